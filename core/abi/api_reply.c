/* Replies: one function per kind of value, in whichever protocol the client speaks.
 *
 * A context that answers nobody (a timer, an event) has no writer: replies go nowhere, and the
 * functions still return OK, as in Redis. */
#include "abi/internal.h"

#include <math.h>

int hl_rm_WrongArity(RedisModuleCtx *ctx)
{
    if (ctx->out != NULL) {
        const char *name = ctx->call == NULL ? "" : ctx->call->cmd->row->name;
        hl_write_error_printf(ctx->out, "ERR wrong number of arguments for '%s' command", name);
    }
    return REDISMODULE_OK;
}

int hl_rm_ReplyWithLongLong(RedisModuleCtx *ctx, long long ll)
{
    if (ctx->out != NULL) {
        hl_write_int(ctx->out, ll);
    }
    return REDISMODULE_OK;
}

int hl_rm_ReplyWithError(RedisModuleCtx *ctx, const char *err)
{
    if (ctx->out != NULL) {
        hl_write_error(ctx->out, err[0] == '-' ? err + 1 : err);
    }
    return REDISMODULE_OK;
}

int hl_rm_ReplyWithErrorFormat(RedisModuleCtx *ctx, const char *fmt, ...)
{
    if (ctx->out == NULL) {
        return REDISMODULE_OK;
    }
    struct hl_buf text = {0};
    va_list args;
    va_start(args, fmt);
    hl_buf_vprintf(&text, fmt, args);
    va_end(args);
    hl_write_error_slice(ctx->out, hl_buf_view(&text));
    hl_buf_fini(&text);
    return REDISMODULE_OK;
}

int hl_rm_ReplyWithSimpleString(RedisModuleCtx *ctx, const char *msg)
{
    if (ctx->out != NULL) {
        hl_write_simple(ctx->out, msg);
    }
    return REDISMODULE_OK;
}

/* Begin an aggregate of `len` values (pairs of a map), REDISMODULE_POSTPONED_LEN: unknown yet. */
static int begin(RedisModuleCtx *ctx, enum hl_aggregate kind, long len)
{
    if (ctx->out == NULL) {
        return REDISMODULE_OK;
    }
    if (len == REDISMODULE_POSTPONED_LEN) {
        if (ctx->postponed_count == HL_ABI_POSTPONED_MAX) {
            return REDISMODULE_ERR;
        }
        ctx->postponed[ctx->postponed_count].mark = hl_write_begin(ctx->out);
        ctx->postponed[ctx->postponed_count].kind = kind;
        ctx->postponed_count++;
        return REDISMODULE_OK;
    }
    if (len < 0) {
        return REDISMODULE_ERR;
    }
    switch (kind) {
    case HL_ARRAY:
        hl_write_array(ctx->out, (size_t)len);
        break;
    case HL_MAP:
        hl_write_map(ctx->out, (size_t)len);
        break;
    case HL_SET:
        hl_write_set(ctx->out, (size_t)len);
        break;
    case HL_PUSH:
        hl_write_push(ctx->out, (size_t)len);
        break;
    }
    return REDISMODULE_OK;
}

/* The innermost open aggregate got `len` values.  A module that sets the length of another kind
 * means that one all the same, as in Redis. */
static void end(RedisModuleCtx *ctx, enum hl_aggregate kind, long len)
{
    if (ctx->out == NULL || ctx->postponed_count == 0 || len < 0) {
        return;
    }
    ctx->postponed_count--;
    hl_write_end(ctx->out, ctx->postponed[ctx->postponed_count].mark, kind, (size_t)len);
}

int hl_rm_ReplyWithArray(RedisModuleCtx *ctx, long len)
{
    return begin(ctx, HL_ARRAY, len);
}

int hl_rm_ReplyWithMap(RedisModuleCtx *ctx, long len)
{
    return begin(ctx, HL_MAP, len);
}

int hl_rm_ReplyWithSet(RedisModuleCtx *ctx, long len)
{
    return begin(ctx, HL_SET, len);
}

int hl_rm_ReplyWithAttribute(RedisModuleCtx *ctx, long len)
{
    /* An attribute of unknown length cannot be begun: the writer has no mark for its kind. */
    if (ctx->out == NULL || ctx->out->proto == 2 || len < 0) {
        return REDISMODULE_ERR;
    }
    return hl_write_attribute(ctx->out, (size_t)len) ? REDISMODULE_OK : REDISMODULE_ERR;
}

int hl_rm_ReplyWithNullArray(RedisModuleCtx *ctx)
{
    if (ctx->out != NULL) {
        hl_write_null_array(ctx->out);
    }
    return REDISMODULE_OK;
}

int hl_rm_ReplyWithEmptyArray(RedisModuleCtx *ctx)
{
    return begin(ctx, HL_ARRAY, 0);
}

void hl_rm_ReplySetArrayLength(RedisModuleCtx *ctx, long len)
{
    end(ctx, HL_ARRAY, len);
}

void hl_rm_ReplySetMapLength(RedisModuleCtx *ctx, long len)
{
    end(ctx, HL_MAP, len);
}

void hl_rm_ReplySetSetLength(RedisModuleCtx *ctx, long len)
{
    end(ctx, HL_SET, len);
}

void hl_rm_ReplySetAttributeLength(RedisModuleCtx *ctx, long len)
{
    (void)ctx;
    (void)len; /* ReplyWithAttribute() refused to begin one */
}

int hl_rm_ReplyWithStringBuffer(RedisModuleCtx *ctx, const char *buf, size_t len)
{
    if (ctx->out != NULL) {
        hl_write_bulk(ctx->out, (struct hl_slice){.ptr = buf, .len = len});
    }
    return REDISMODULE_OK;
}

int hl_rm_ReplyWithCString(RedisModuleCtx *ctx, const char *buf)
{
    return hl_rm_ReplyWithStringBuffer(ctx, buf, strlen(buf));
}

int hl_rm_ReplyWithString(RedisModuleCtx *ctx, RedisModuleString *str)
{
    return hl_rm_ReplyWithStringBuffer(ctx, str->ptr, str->len);
}

int hl_rm_ReplyWithEmptyString(RedisModuleCtx *ctx)
{
    return hl_rm_ReplyWithStringBuffer(ctx, "", 0);
}

int hl_rm_ReplyWithVerbatimStringType(RedisModuleCtx *ctx, const char *buf, size_t len,
                                      const char *ext)
{
    if (strlen(ext) != 3) {
        return REDISMODULE_ERR;
    }
    if (ctx->out != NULL) {
        hl_write_verbatim(ctx->out, ext, (struct hl_slice){.ptr = buf, .len = len});
    }
    return REDISMODULE_OK;
}

int hl_rm_ReplyWithVerbatimString(RedisModuleCtx *ctx, const char *buf, size_t len)
{
    return hl_rm_ReplyWithVerbatimStringType(ctx, buf, len, "txt");
}

int hl_rm_ReplyWithNull(RedisModuleCtx *ctx)
{
    if (ctx->out != NULL) {
        hl_write_null(ctx->out);
    }
    return REDISMODULE_OK;
}

int hl_rm_ReplyWithBool(RedisModuleCtx *ctx, int b)
{
    if (ctx->out != NULL) {
        hl_write_bool(ctx->out, b != 0);
    }
    return REDISMODULE_OK;
}

int hl_rm_ReplyWithDouble(RedisModuleCtx *ctx, double d)
{
    if (ctx->out != NULL) {
        hl_write_double(ctx->out, d);
    }
    return REDISMODULE_OK;
}

int hl_rm_ReplyWithLongDouble(RedisModuleCtx *ctx, long double d)
{
    if (ctx->out != NULL) {
        hl_write_ldouble(ctx->out, d);
    }
    return REDISMODULE_OK;
}

int hl_rm_ReplyWithBigNumber(RedisModuleCtx *ctx, const char *bignum, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool sign = i == 0 && len > 1 && (bignum[i] == '-' || bignum[i] == '+');
        if (!sign && (bignum[i] < '0' || bignum[i] > '9')) {
            return REDISMODULE_ERR; /* it would break the protocol */
        }
    }
    if (ctx->out != NULL) {
        hl_write_big_number(ctx->out, (struct hl_slice){.ptr = bignum, .len = len});
    }
    return REDISMODULE_OK;
}

int hl_rm_ReplyWithCallReply(RedisModuleCtx *ctx, RedisModuleCallReply *reply)
{
    if (reply == NULL) {
        return REDISMODULE_ERR;
    }
    if (ctx->out == NULL) {
        return REDISMODULE_OK;
    }
    if (reply->root->proto == 3 && ctx->out->proto == 2) {
        return REDISMODULE_ERR; /* the client would not understand it */
    }
    struct hl_slice raw = reply->value->raw;
    if (reply == reply->root) {
        raw = hl_buf_view(&reply->bytes); /* with its attributes */
    }
    hl_write_raw(ctx->out, raw.ptr, raw.len);
    return REDISMODULE_OK;
}
