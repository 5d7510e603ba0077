/* Strings, memory and the small things of the ABI. */
#include "kit/num.h"
#include "testing/fake_internal.h"

#include <ctype.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

RedisModuleString *fake_string_new(struct fake *fake, const char *ptr, size_t len)
{
    RedisModuleString *str = hl_calloc(1, sizeof *str);
    *str = (RedisModuleString){
        .refs = 1, .ptr = hl_strndup(len == 0 ? "" : ptr, len), .len = len, .fake = fake};
    return str;
}

void fake_string_unref(RedisModuleString *str)
{
    HL_ASSERT(str->refs > 0);
    str->refs--;
    if (str->refs == 0) {
        hl_free(str->ptr);
        hl_free(str);
    }
}

static RedisModuleString *create(RedisModuleCtx *ctx, const char *ptr, size_t len)
{
    RedisModuleString *str = fake_string_new(fake_current, ptr, len);
    fake_ctx_add(ctx, FAKE_STRING, str);
    return str;
}

static RedisModuleString *fake_CreateString(RedisModuleCtx *ctx, const char *ptr, size_t len)
{
    return create(ctx, ptr, len);
}

static RedisModuleString *fake_CreateStringFromLongLong(RedisModuleCtx *ctx, long long ll)
{
    char text[HL_I64_TEXT_MAX];
    return create(ctx, text, (size_t)hl_format_i64(text, ll));
}

static RedisModuleString *fake_CreateStringFromULongLong(RedisModuleCtx *ctx,
                                                         unsigned long long ull)
{
    char text[HL_I64_TEXT_MAX + 1];
    return create(ctx, text, (size_t)snprintf(text, sizeof text, "%llu", ull));
}

static RedisModuleString *fake_CreateStringFromDouble(RedisModuleCtx *ctx, double d)
{
    char text[HL_DOUBLE_TEXT_MAX];
    return create(ctx, text, (size_t)hl_format_double(text, d));
}

static RedisModuleString *fake_CreateStringFromString(RedisModuleCtx *ctx,
                                                      const RedisModuleString *str)
{
    return create(ctx, str->ptr, str->len);
}

HL_PRINTF(2, 3)
static RedisModuleString *fake_CreateStringPrintf(RedisModuleCtx *ctx, const char *fmt, ...)
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

static void fake_FreeString(RedisModuleCtx *ctx, RedisModuleString *str)
{
    fake_ctx_remove(ctx, str);
    fake_current->live--;
    fake_string_unref(str);
}

static void fake_RetainString(RedisModuleCtx *ctx, RedisModuleString *str)
{
    if (ctx != NULL && ctx->automatic && fake_ctx_remove(ctx, str)) {
        return; /* the reference that the context held is the caller's now */
    }
    str->refs++;
    fake_current->live++;
}

static RedisModuleString *fake_HoldString(RedisModuleCtx *ctx, RedisModuleString *str)
{
    str->refs++;
    fake_ctx_add(ctx, FAKE_STRING, str);
    return str;
}

static const char *fake_StringPtrLen(const RedisModuleString *str, size_t *len)
{
    if (str == NULL) {
        if (len != NULL) {
            *len = 0;
        }
        return "(NULL string reply referenced in module)";
    }
    if (len != NULL) {
        *len = str->len;
    }
    return str->ptr;
}

static struct hl_slice slice_of(const RedisModuleString *str)
{
    return (struct hl_slice){.ptr = str->ptr, .len = str->len};
}

static int fake_StringToLongLong(const RedisModuleString *str, long long *ll)
{
    int64_t value = 0;
    if (!hl_parse_i64(slice_of(str), &value)) {
        return REDISMODULE_ERR;
    }
    *ll = value;
    return REDISMODULE_OK;
}

static int fake_StringToULongLong(const RedisModuleString *str, unsigned long long *ull)
{
    uint64_t value = 0;
    if (!hl_parse_u64(slice_of(str), &value)) {
        return REDISMODULE_ERR;
    }
    *ull = value;
    return REDISMODULE_OK;
}

static int fake_StringToDouble(const RedisModuleString *str, double *d)
{
    return hl_parse_double(slice_of(str), d) ? REDISMODULE_OK : REDISMODULE_ERR;
}

static int fake_StringToLongDouble(const RedisModuleString *str, long double *d)
{
    return hl_parse_ldouble(slice_of(str), d) ? REDISMODULE_OK : REDISMODULE_ERR;
}

static int fake_StringAppendBuffer(RedisModuleCtx *ctx, RedisModuleString *str, const char *buf,
                                   size_t len)
{
    (void)ctx;
    if (str->refs != 1) {
        return REDISMODULE_ERR;
    }
    str->ptr = hl_realloc(str->ptr, str->len + len + 1);
    memcpy(str->ptr + str->len, buf, len);
    str->len += len;
    str->ptr[str->len] = '\0';
    return REDISMODULE_OK;
}

static int fake_StringCompare(const RedisModuleString *a, const RedisModuleString *b)
{
    return hl_slice_compare(slice_of(a), slice_of(b));
}

static void fake_TrimStringAllocation(RedisModuleString *str)
{
    (void)str;
}

void *fake_lookup_string(const char *name)
{
    static const struct fake_row rows[] = {
        FAKE_ROW(CreateString),
        FAKE_ROW(CreateStringFromLongLong),
        FAKE_ROW(CreateStringFromULongLong),
        FAKE_ROW(CreateStringFromDouble),
        FAKE_ROW(CreateStringFromString),
        FAKE_ROW(CreateStringPrintf),
        FAKE_ROW(FreeString),
        FAKE_ROW(RetainString),
        FAKE_ROW(HoldString),
        FAKE_ROW(StringPtrLen),
        FAKE_ROW(StringToLongLong),
        FAKE_ROW(StringToULongLong),
        FAKE_ROW(StringToDouble),
        FAKE_ROW(StringToLongDouble),
        FAKE_ROW(StringAppendBuffer),
        FAKE_ROW(StringCompare),
        FAKE_ROW(TrimStringAllocation),
    };
    return fake_find(rows, HL_ARRAY_LEN(rows), name);
}
