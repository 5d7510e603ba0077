#include "limit.h"

#include "kit/num.h"

#include <stdio.h>

bool gw_limit_valid(int64_t capacity, int64_t num, int64_t den)
{
    return capacity >= 1 && capacity <= GW_LIMIT_CAPACITY_MAX && num >= 1 &&
           num <= GW_LIMIT_RATE_MAX && den >= 1 && den <= GW_LIMIT_RATE_MAX &&
           capacity * den / num <= GW_LIMIT_SPAN_MAX_S; /* below 10^15: no overflow */
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Take the next word off; len 0 when there is none. */
static struct hl_slice next_word(struct hl_slice *rest)
{
    while (rest->len != 0 && rest->ptr[0] == ' ') {
        rest->ptr++;
        rest->len--;
    }
    const char *end = rest->len == 0 ? NULL : memchr(rest->ptr, ' ', rest->len);
    struct hl_slice word = {.ptr = rest->ptr,
                            .len = end == NULL ? rest->len : (size_t)(end - rest->ptr)};
    rest->ptr += word.len;
    rest->len -= word.len;
    return word;
}

static bool copy_word(struct hl_slice word, char *out, size_t size)
{
    if (word.len == 0 || word.len >= size) {
        return false;
    }
    memcpy(out, word.ptr, word.len);
    out[word.len] = '\0';
    return true;
}

static bool take_option(struct hl_slice word, struct gw_limit *limit)
{
    if (hl_slice_is(word, "local") || hl_slice_is(word, "replicated")) {
        limit->replicated = hl_slice_is(word, "replicated");
        return true;
    }
    if (hl_slice_is(word, "open") || hl_slice_is(word, "closed")) {
        limit->closed = hl_slice_is(word, "closed");
        return true;
    }
    return false;
}

static hl_err parse_one(struct hl_slice text, struct gw_limit *limit, struct hl_errmsg *msg)
{
    struct hl_slice rest = text;
    *limit = (struct gw_limit){0};
    bool named = copy_word(next_word(&rest), limit->method, sizeof limit->method) &&
                 copy_word(next_word(&rest), limit->path, sizeof limit->path) &&
                 limit->path[0] == '/';
    bool numbers = hl_parse_i64(next_word(&rest), &limit->capacity) &&
                   hl_parse_i64(next_word(&rest), &limit->num) &&
                   hl_parse_i64(next_word(&rest), &limit->den);
    if (!named || !numbers) {
        return hl_fail(msg, HL_EINVAL, "'%.*s' is not: method path capacity num den",
                       (int)(text.len < 100 ? text.len : 100), text.ptr);
    }
    if (!gw_limit_valid(limit->capacity, limit->num, limit->den)) {
        return hl_fail(msg, HL_EINVAL, "the numbers of %s %s are out of range", limit->method,
                       limit->path);
    }
    for (struct hl_slice word = next_word(&rest); word.len != 0; word = next_word(&rest)) {
        if (!take_option(word, limit)) {
            return hl_fail(msg, HL_EINVAL, "%s %s: local or replicated, open or closed",
                           limit->method, limit->path);
        }
    }
    return HL_OK;
}

static bool is_blank(struct hl_slice text)
{
    return next_word(&text).len == 0;
}

hl_err gw_limits_parse(struct hl_slice text, struct gw_limit *out, size_t *count,
                       struct hl_errmsg *msg)
{
    size_t found = 0;
    while (!is_blank(text)) {
        const char *end = memchr(text.ptr, ';', text.len);
        struct hl_slice one = {.ptr = text.ptr,
                               .len = end == NULL ? text.len : (size_t)(end - text.ptr)};
        if (found == GW_LIMITS_MAX) {
            return hl_fail(msg, HL_ELIMIT, "there are more than %d limits", GW_LIMITS_MAX);
        }
        hl_err err = parse_one(one, &out[found], msg);
        if (err != HL_OK) {
            return err;
        }
        found++;
        size_t used = one.len + (end != NULL);
        text.ptr += used;
        text.len -= used;
    }
    *count = found;
    return HL_OK;
}

/* --- telling ---------------------------------------------------------------------------------- */

int64_t gw_limit_retry_s(const struct gw_limit_state *state)
{
    return state->retry_ms <= 1000 ? 1 : state->retry_ms / 1000 + (state->retry_ms % 1000 != 0);
}

/* "login" for ".../login", "client" for the one of all other routes. */
static const char *name_of(const struct gw_limit *limit)
{
    const char *slash = strrchr(limit->path, '/');
    return slash == NULL ? "client" : slash[1] == '\0' || slash[1] == '{' ? "route" : slash + 1;
}

void gw_limit_policy_text(const struct gw_limit *limit, char *out, size_t size)
{
    int64_t window_s = (limit->capacity * limit->den + limit->num - 1) / limit->num;
    snprintf(out, size, "\"%s\";q=%lld;w=%lld", name_of(limit), (long long)limit->capacity,
             (long long)window_s);
}

void gw_limit_state_text(const struct gw_limit *limit, const struct gw_limit_state *state,
                         char *out, size_t size)
{
    int64_t reset_s = state->reset_ms / 1000 + (state->reset_ms % 1000 != 0);
    snprintf(out, size, "\"%s\";r=%lld;t=%lld", name_of(limit), (long long)state->remaining,
             (long long)reset_s);
}
