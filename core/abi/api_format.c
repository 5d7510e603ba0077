/* The formats of RM_Call, RM_Replicate and RM_EmitAOF: letters in, a command line out. */
#include "abi/internal.h"
#include "kit/num.h"

/* A piece of `bytes` that an argument will be: offsets first, since the buffer moves as it grows.
 */
struct piece {
    size_t offset, len;
};

struct pieces {
    struct piece *list;
    size_t count, cap;
};

static void add(struct hl_fmt_args *out, struct pieces *pieces, const void *ptr, size_t len)
{
    if (pieces->count == pieces->cap) {
        pieces->cap = pieces->cap == 0 ? 16 : pieces->cap * 2;
        pieces->list = hl_realloc(pieces->list, pieces->cap * sizeof *pieces->list);
    }
    pieces->list[pieces->count++] = (struct piece){.offset = out->bytes.len, .len = len};
    hl_buf_append(&out->bytes, ptr, len);
}

/* The flag of a modifier letter, 0 for any other letter. */
static unsigned modifier(char letter)
{
    static const struct {
        char letter;
        unsigned flag;
    } modifiers[] = {
        {'!', HL_FMT_REPLICATE}, {'A', HL_FMT_NO_AOF},    {'R', HL_FMT_NO_REPLICAS},
        {'3', HL_FMT_RESP3},     {'0', HL_FMT_RESP_AUTO}, {'C', HL_FMT_USER},
        {'S', HL_FMT_SCRIPT},    {'W', HL_FMT_NO_WRITES}, {'M', HL_FMT_OOM},
        {'E', HL_FMT_ERRORS},    {'D', HL_FMT_DRY_RUN},   {'K', HL_FMT_BLOCK},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(modifiers); i++) {
        if (modifiers[i].letter == letter) {
            return modifiers[i].flag;
        }
    }
    return 0;
}

/* Read every letter; false when one is unknown or an argument is missing. */
static bool read_letters(struct hl_fmt_args *out, struct pieces *pieces, const char *fmt,
                         va_list args)
{
    for (const char *p = fmt; *p != '\0'; p++) {
        unsigned flag = modifier(*p);
        if (pieces->count >= HL_ABI_ARGS_MAX) {
            return false;
        }
        if (flag != 0) {
            out->flags |= flag;
        } else if (*p == 'c') {
            const char *text = va_arg(args, const char *);
            add(out, pieces, text, strlen(text));
        } else if (*p == 's') {
            const RedisModuleString *str = va_arg(args, const RedisModuleString *);
            add(out, pieces, str->ptr, str->len);
        } else if (*p == 'b') {
            const char *bytes = va_arg(args, const char *);
            add(out, pieces, bytes, va_arg(args, size_t));
        } else if (*p == 'l') {
            char text[HL_I64_TEXT_MAX];
            int len = hl_format_i64(text, va_arg(args, long long));
            add(out, pieces, text, (size_t)len);
        } else if (*p == 'v') {
            RedisModuleString **strings = va_arg(args, RedisModuleString **);
            size_t count = va_arg(args, size_t);
            if (count > HL_ABI_ARGS_MAX - pieces->count) {
                return false;
            }
            for (size_t i = 0; i < count; i++) {
                add(out, pieces, strings[i]->ptr, strings[i]->len);
            }
        } else {
            return false;
        }
    }
    return true;
}

bool hl_fmt_read(struct hl_fmt_args *out, const char *name, const char *fmt, va_list args)
{
    struct pieces pieces = {0};
    *out = (struct hl_fmt_args){0};
    add(out, &pieces, name, strlen(name));
    bool good = read_letters(out, &pieces, fmt, args);
    if (good) {
        out->argc = (int)pieces.count;
        out->argv = hl_calloc(pieces.count, sizeof *out->argv);
        for (size_t i = 0; i < pieces.count; i++) {
            out->argv[i] = (struct hl_slice){.ptr = out->bytes.ptr + pieces.list[i].offset,
                                             .len = pieces.list[i].len};
        }
    } else {
        hl_fmt_fini(out);
    }
    hl_free(pieces.list);
    return good;
}

void hl_fmt_fini(struct hl_fmt_args *args)
{
    hl_free(args->argv);
    hl_buf_fini(&args->bytes);
    *args = (struct hl_fmt_args){0};
}
