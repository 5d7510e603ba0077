/* Strings: counted bytes.  Counts are atomic, since modules drop references on their threads. */
#include "abi/internal.h"
#include "kit/num.h"

#include <stdio.h>

#define STREAM_ID_TEXT_MAX 48 /* two numbers of 20 digits, '-' and a NUL */

RedisModuleString *hl_string_new(struct hl_slice bytes)
{
    RedisModuleString *str = hl_malloc(sizeof *str + bytes.len + 1);
    atomic_init(&str->refs, 1);
    str->len = bytes.len;
    str->cap = 0;
    str->ptr = str->bytes;
    if (bytes.len != 0) {
        memcpy(str->ptr, bytes.ptr, bytes.len);
    }
    str->ptr[bytes.len] = '\0';
    return str;
}

RedisModuleString *hl_string_ref(RedisModuleString *str)
{
    atomic_fetch_add_explicit(&str->refs, 1, memory_order_relaxed);
    return str;
}

void hl_string_unref(RedisModuleString *str)
{
    if (str == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&str->refs, 1, memory_order_acq_rel);
    HL_ASSERT(before > 0);
    if (before == 1) {
        if (str->cap != 0) {
            hl_free(str->ptr);
        }
        hl_free(str);
    }
}

void hl_string_end(void *str)
{
    hl_string_unref(str);
}

static RedisModuleString *create(RedisModuleCtx *ctx, const char *ptr, size_t len)
{
    RedisModuleString *str = hl_string_new((struct hl_slice){.ptr = ptr, .len = len});
    hl_ctx_add(ctx, str, hl_string_end, NULL);
    return str;
}

RedisModuleString *hl_rm_CreateString(RedisModuleCtx *ctx, const char *ptr, size_t len)
{
    return create(ctx, ptr, len);
}

RedisModuleString *hl_rm_CreateStringFromLongLong(RedisModuleCtx *ctx, long long ll)
{
    char text[HL_I64_TEXT_MAX];
    return create(ctx, text, (size_t)hl_format_i64(text, ll));
}

RedisModuleString *hl_rm_CreateStringFromULongLong(RedisModuleCtx *ctx, unsigned long long ull)
{
    char text[HL_I64_TEXT_MAX + 1];
    return create(ctx, text, (size_t)snprintf(text, sizeof text, "%llu", ull));
}

RedisModuleString *hl_rm_CreateStringFromDouble(RedisModuleCtx *ctx, double d)
{
    char text[HL_DOUBLE_TEXT_MAX];
    return create(ctx, text, (size_t)hl_format_double(text, d));
}

RedisModuleString *hl_rm_CreateStringFromLongDouble(RedisModuleCtx *ctx, long double ld,
                                                    int humanfriendly)
{
    char text[HL_LDOUBLE_TEXT_MAX];
    int len =
        humanfriendly ? hl_format_ldouble(text, ld) : snprintf(text, sizeof text, "%.17Lg", ld);
    return create(ctx, text, (size_t)len);
}

RedisModuleString *hl_rm_CreateStringFromString(RedisModuleCtx *ctx, const RedisModuleString *str)
{
    return create(ctx, str->ptr, str->len);
}

RedisModuleString *hl_rm_CreateStringFromStreamID(RedisModuleCtx *ctx,
                                                  const RedisModuleStreamID *id)
{
    char text[STREAM_ID_TEXT_MAX];
    int len = snprintf(text, sizeof text, "%llu-%llu", (unsigned long long)id->ms,
                       (unsigned long long)id->seq);
    return create(ctx, text, (size_t)len);
}

RedisModuleString *hl_rm_CreateStringPrintf(RedisModuleCtx *ctx, const char *fmt, ...)
{
    struct hl_buf text = {0};
    va_list args;
    va_start(args, fmt);
    hl_buf_vprintf(&text, fmt, args);
    va_end(args);
    RedisModuleString *str = create(ctx, text.ptr, text.len);
    hl_buf_fini(&text);
    return str;
}

void hl_rm_FreeString(RedisModuleCtx *ctx, RedisModuleString *str)
{
    hl_ctx_forget(ctx, str);
    hl_string_unref(str);
}

void hl_rm_RetainString(RedisModuleCtx *ctx, RedisModuleString *str)
{
    bool automatic = ctx != NULL && (ctx->flags & HL_CTX_AUTO) != 0;
    if (automatic && hl_ctx_forget(ctx, str)) {
        return; /* the reference that the context held is the module's now */
    }
    hl_string_ref(str);
}

RedisModuleString *hl_rm_HoldString(RedisModuleCtx *ctx, RedisModuleString *str)
{
    hl_string_ref(str);
    hl_ctx_add(ctx, str, hl_string_end, NULL);
    return str;
}

const char *hl_rm_StringPtrLen(const RedisModuleString *str, size_t *len)
{
    if (str == NULL) {
        static const char complaint[] = "(NULL string reply referenced in module)";
        if (len != NULL) {
            *len = sizeof complaint - 1;
        }
        return complaint;
    }
    if (len != NULL) {
        *len = str->len;
    }
    return str->ptr;
}

int hl_rm_StringToLongLong(const RedisModuleString *str, long long *ll)
{
    int64_t value = 0;
    if (!hl_parse_i64(hl_string_slice(str), &value)) {
        return REDISMODULE_ERR;
    }
    *ll = value;
    return REDISMODULE_OK;
}

int hl_rm_StringToULongLong(const RedisModuleString *str, unsigned long long *ull)
{
    uint64_t value = 0;
    if (!hl_parse_u64(hl_string_slice(str), &value)) {
        return REDISMODULE_ERR;
    }
    *ull = value;
    return REDISMODULE_OK;
}

int hl_rm_StringToDouble(const RedisModuleString *str, double *d)
{
    return hl_parse_double(hl_string_slice(str), d) ? REDISMODULE_OK : REDISMODULE_ERR;
}

int hl_rm_StringToLongDouble(const RedisModuleString *str, long double *d)
{
    return hl_parse_ldouble(hl_string_slice(str), d) ? REDISMODULE_OK : REDISMODULE_ERR;
}

int hl_rm_StringToStreamID(const RedisModuleString *str, RedisModuleStreamID *id)
{
    struct hl_slice text = hl_string_slice(str);
    RedisModuleStreamID read = {0};
    if (hl_slice_equal(text, hl_slice_of("-"))) {
        *id = read;
        return REDISMODULE_OK;
    }
    if (hl_slice_equal(text, hl_slice_of("+"))) {
        *id = (RedisModuleStreamID){.ms = UINT64_MAX, .seq = UINT64_MAX};
        return REDISMODULE_OK;
    }
    const char *dash = memchr(text.ptr, '-', text.len);
    size_t ms_len = dash == NULL ? text.len : (size_t)(dash - text.ptr);
    struct hl_slice ms = {.ptr = text.ptr, .len = ms_len};
    struct hl_slice seq = {.ptr = "0", .len = 1};
    if (dash != NULL) {
        seq = (struct hl_slice){.ptr = dash + 1, .len = text.len - ms_len - 1};
    }
    if (!hl_parse_u64(ms, &read.ms) || !hl_parse_u64(seq, &read.seq)) {
        return REDISMODULE_ERR;
    }
    *id = read;
    return REDISMODULE_OK;
}

int hl_rm_StringAppendBuffer(RedisModuleCtx *ctx, RedisModuleString *str, const char *buf,
                             size_t len)
{
    (void)ctx;
    if (atomic_load_explicit(&str->refs, memory_order_acquire) != 1) {
        return REDISMODULE_ERR; /* somebody else would see it change */
    }
    size_t want = str->len + len;
    if (want < len) {
        return REDISMODULE_ERR;
    }
    if (want > str->cap) {
        size_t cap = want < 64 ? 64 : want * 2;
        char *grown = hl_realloc(str->cap == 0 ? NULL : str->ptr, cap + 1);
        if (str->cap == 0) {
            memcpy(grown, str->bytes, str->len);
        }
        str->ptr = grown;
        str->cap = cap;
    }
    if (len != 0) {
        memcpy(str->ptr + str->len, buf, len);
    }
    str->len = want;
    str->ptr[want] = '\0';
    return REDISMODULE_OK;
}

void hl_rm_TrimStringAllocation(RedisModuleString *str)
{
    if (str == NULL || str->cap <= str->len || str->len == 0) {
        return;
    }
    str->ptr = hl_realloc(str->ptr, str->len + 1);
    str->cap = str->len;
}

int hl_rm_StringCompare(const RedisModuleString *a, const RedisModuleString *b)
{
    return hl_slice_compare(hl_string_slice(a), hl_string_slice(b));
}
