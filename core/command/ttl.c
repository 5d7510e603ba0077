#include "command/ttl.h"

#include "kit/num.h"

bool hl_ttl_positive(struct hl_call *call, int i, struct hl_ttl_unit unit, int64_t *when_ms)
{
    int64_t v = 0;
    if (!hl_arg_i64(call, i, &v)) {
        return false;
    }
    bool bad = v <= 0 || (unit.seconds && v > INT64_MAX / 1000);
    if (!bad) {
        v = unit.seconds ? v * 1000 : v;
        bad = !unit.absolute && v > INT64_MAX - call->now_ms;
    }
    if (bad) {
        hl_reply_errorf(call, "ERR invalid expire time in '%s' command", call->cmd->row->name);
        return false;
    }
    *when_ms = unit.absolute ? v : v + call->now_ms;
    return true;
}

static bool time_option(struct hl_call *call, int i, struct hl_ttl_unit *unit)
{
    static const struct {
        const char *word;
        struct hl_ttl_unit unit;
    } words[] = {
        {"ex", {.seconds = true}},
        {"px", {.seconds = false}},
        {"exat", {.seconds = true, .absolute = true}},
        {"pxat", {.seconds = false, .absolute = true}},
    };
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        if (hl_arg_is(call, i, words[w].word)) {
            *unit = words[w].unit;
            return true;
        }
    }
    return false;
}

/* Options that exclude one another. */
static bool clash(unsigned flags, unsigned option)
{
    const unsigned lives = HL_OPT_TTL | HL_OPT_KEEPTTL | HL_OPT_PERSIST;
    if ((option & lives) != 0) {
        return (flags & lives & ~option) != 0 || ((option & flags & HL_OPT_TTL) != 0);
    }
    if (option == HL_OPT_NX) {
        return (flags & HL_OPT_XX) != 0;
    }
    return option == HL_OPT_XX && (flags & HL_OPT_NX) != 0;
}

static unsigned word_option(struct hl_call *call, int i)
{
    static const struct {
        const char *word;
        unsigned option;
    } words[] = {
        {"nx", HL_OPT_NX},           {"xx", HL_OPT_XX},           {"get", HL_OPT_GET},
        {"keepttl", HL_OPT_KEEPTTL}, {"persist", HL_OPT_PERSIST},
    };
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        if (hl_arg_is(call, i, words[w].word)) {
            return words[w].option;
        }
    }
    return 0;
}

bool hl_ttl_options(struct hl_call *call, int first, unsigned allowed, struct hl_ttl_options *out)
{
    *out = (struct hl_ttl_options){0};
    for (int i = first; i < call->argc; i++) {
        unsigned option = word_option(call, i);
        struct hl_ttl_unit unit = {0};
        if (option == 0 && i + 1 < call->argc && time_option(call, i, &unit)) {
            option = HL_OPT_TTL;
        }
        if (option == 0 || (allowed & option) == 0 || clash(out->flags, option)) {
            hl_reply_error(call, HL_ERR_SYNTAX);
            return false;
        }
        out->flags |= option;
        if (option == HL_OPT_TTL) {
            out->unit = unit;
            out->at = ++i;
        }
    }
    return true;
}

void hl_effect_set_at(struct hl_call *call, struct hl_slice key, struct hl_slice value,
                      int64_t when_ms)
{
    char when[HL_I64_TEXT_MAX];
    int len = hl_format_i64(when, when_ms);
    struct hl_slice argv[5] = {
        hl_slice_of("SET"), key, value, hl_slice_of("PXAT"), {.ptr = when, .len = (size_t)len}};
    hl_call_effect(call, 5, argv);
}

void hl_effect_expire_at(struct hl_call *call, struct hl_slice key, int64_t when_ms)
{
    char when[HL_I64_TEXT_MAX];
    int len = hl_format_i64(when, when_ms);
    struct hl_slice argv[3] = {hl_slice_of("PEXPIREAT"), key, {.ptr = when, .len = (size_t)len}};
    hl_call_effect(call, 3, argv);
}
