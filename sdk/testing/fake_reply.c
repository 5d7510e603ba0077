/* Replies: what a command answers is built as a tree, which a caller can take apart and a test can
 * print. */
#include "kit/num.h"
#include "testing/fake_internal.h"

#include <errno.h>
#include <limits.h>
#include <math.h>

#define KIND_VERBATIM_EXT "txt"

void fake_reply_free(RedisModuleCallReply *reply)
{
    if (reply == NULL) {
        return;
    }
    for (size_t i = 0; i < reply->count; i++) {
        fake_reply_free(reply->items[i]); /* depth is bounded by FAKE_DEPTH_MAX */
    }
    hl_free(reply->items);
    hl_free(reply->ptr);
    hl_free(reply);
}

/* ---- Printing ---- */

void fake_print_bytes(struct hl_buf *out, const char *ptr, size_t len)
{
    hl_buf_append_text(out, "\"");
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)ptr[i];
        if (c < ' ' || c > '~') {
            hl_buf_printf(out, "\\x%02x", c);
        } else {
            hl_buf_printf(out, c == '"' || c == '\\' ? "\\%c" : "%c", c);
        }
    }
    hl_buf_append_text(out, "\"");
}

static void print_items(struct hl_buf *out, const RedisModuleCallReply *reply, const char *marks)
{
    hl_buf_append(out, marks, strlen(marks) - 1);
    for (size_t i = 0; i < reply->count; i++) {
        hl_buf_append_text(out, i == 0 ? "" : " ");
        fake_reply_print(out, reply->items[i]);
    }
    hl_buf_append_text(out, marks + strlen(marks) - 1);
}

static void print_string(struct hl_buf *out, const RedisModuleCallReply *reply)
{
    if (reply->status) {
        hl_buf_printf(out, "+%s", reply->ptr);
    } else {
        fake_print_bytes(out, reply->ptr, reply->len);
    }
}

void fake_reply_print(struct hl_buf *out, const RedisModuleCallReply *reply)
{
    char number[HL_DOUBLE_TEXT_MAX];
    if (reply->type == REDISMODULE_REPLY_STRING) {
        print_string(out, reply);
    } else if (reply->type == REDISMODULE_REPLY_ERROR) {
        hl_buf_printf(out, "-%s", reply->ptr);
    } else if (reply->type == REDISMODULE_REPLY_INTEGER) {
        hl_buf_printf(out, ":%lld", reply->integer);
    } else if (reply->type == REDISMODULE_REPLY_NULL) {
        hl_buf_append_text(out, "(null)");
    } else if (reply->type == REDISMODULE_REPLY_DOUBLE) {
        hl_format_double(number, reply->number);
        hl_buf_printf(out, ",%s", number);
    } else if (reply->type == REDISMODULE_REPLY_BOOL) {
        hl_buf_append_text(out, reply->integer ? "#t" : "#f");
    } else if (reply->type == REDISMODULE_REPLY_BIG_NUMBER) {
        hl_buf_printf(out, "(%s", reply->ptr);
    } else if (reply->type == REDISMODULE_REPLY_VERBATIM_STRING) {
        hl_buf_printf(out, "=%s:", reply->format);
        fake_print_bytes(out, reply->ptr, reply->len);
    } else if (reply->type == REDISMODULE_REPLY_MAP) {
        print_items(out, reply, "{}");
    } else if (reply->type == REDISMODULE_REPLY_SET) {
        print_items(out, reply, "~[]");
    } else {
        print_items(out, reply, "[]");
    }
}

/* ---- Building ---- */

static bool is_aggregate(int type)
{
    return type == REDISMODULE_REPLY_ARRAY || type == REDISMODULE_REPLY_MAP ||
           type == REDISMODULE_REPLY_SET;
}

/* Close every aggregate that got all its elements. */
static void close_full(RedisModuleCtx *ctx)
{
    while (ctx->depth > 0 && ctx->open[ctx->depth - 1].left == 0) {
        ctx->depth--;
    }
}

/* Put a new reply where the next one belongs.  A blocked or key-naming call has nobody to answer:
 * the reply is a mistake there, and asserted when the command ends. */
static RedisModuleCallReply *add(RedisModuleCtx *ctx, int type)
{
    RedisModuleCallReply *reply = hl_calloc(1, sizeof *reply);
    reply->type = type;
    if (ctx->depth == 0) {
        HL_ASSERT(ctx->reply == NULL); /* F4: a second reply */
        ctx->reply = reply;
        return reply;
    }
    RedisModuleCallReply *parent = ctx->open[ctx->depth - 1].reply;
    reply->nested = true;
    parent->items = hl_realloc(parent->items, (parent->count + 1) * sizeof *parent->items);
    parent->items[parent->count++] = reply;
    if (ctx->open[ctx->depth - 1].left > 0) {
        ctx->open[ctx->depth - 1].left--;
    }
    return reply;
}

static int add_text(RedisModuleCtx *ctx, int type, const char *ptr, size_t len)
{
    RedisModuleCallReply *reply = add(ctx, type);
    reply->ptr = hl_strndup(len == 0 ? "" : ptr, len);
    reply->len = len;
    close_full(ctx);
    return REDISMODULE_OK;
}

static int add_integer(RedisModuleCtx *ctx, int type, long long integer)
{
    add(ctx, type)->integer = integer;
    close_full(ctx);
    return REDISMODULE_OK;
}

/* Begin an aggregate of `len` elements, -1 when that follows. */
static int add_open(RedisModuleCtx *ctx, int type, long len)
{
    HL_ASSERT(len >= -1);
    RedisModuleCallReply *reply = add(ctx, type);
    HL_ASSERT(ctx->depth < FAKE_DEPTH_MAX);
    ctx->open[ctx->depth].reply = reply;
    ctx->open[ctx->depth].left = len;
    ctx->depth++;
    close_full(ctx);
    return REDISMODULE_OK;
}

static void set_length(RedisModuleCtx *ctx, int type, long len)
{
    HL_ASSERT(ctx->depth > 0 && ctx->open[ctx->depth - 1].left == -1);
    RedisModuleCallReply *reply = ctx->open[ctx->depth - 1].reply;
    HL_ASSERT(reply->type == type);
    HL_ASSERT((long)reply->count == len); /* F4: a wrong count would break the protocol */
    ctx->depth--;
    close_full(ctx);
}

RedisModuleCallReply *fake_reply_take(RedisModuleCtx *ctx)
{
    HL_ASSERT(ctx->reply != NULL); /* F4: no reply */
    HL_ASSERT(ctx->depth == 0);    /* F4: fewer elements than promised */
    RedisModuleCallReply *reply = ctx->reply;
    ctx->reply = NULL;
    return reply;
}

static int fake_WrongArity(RedisModuleCtx *ctx)
{
    struct hl_buf text = {0};
    hl_buf_printf(&text, "ERR wrong number of arguments for '%s' command",
                  ctx->command == NULL ? "?" : ctx->command->name);
    add_text(ctx, REDISMODULE_REPLY_ERROR, text.ptr, text.len);
    hl_buf_fini(&text);
    return REDISMODULE_OK;
}

static int fake_ReplyWithLongLong(RedisModuleCtx *ctx, long long ll)
{
    return add_integer(ctx, REDISMODULE_REPLY_INTEGER, ll);
}

static int fake_ReplyWithError(RedisModuleCtx *ctx, const char *text)
{
    return add_text(ctx, REDISMODULE_REPLY_ERROR, text, strlen(text));
}

HL_PRINTF(2, 3)
static int fake_ReplyWithErrorFormat(RedisModuleCtx *ctx, const char *fmt, ...)
{
    struct hl_buf text = {0};
    va_list args;
    va_start(args, fmt);
    hl_buf_vprintf(&text, fmt, args);
    va_end(args);
    add_text(ctx, REDISMODULE_REPLY_ERROR, text.ptr, text.len);
    hl_buf_fini(&text);
    return REDISMODULE_OK;
}

static int fake_ReplyWithSimpleString(RedisModuleCtx *ctx, const char *text)
{
    HL_ASSERT(strpbrk(text, "\r\n") == NULL);
    RedisModuleCallReply *reply = add(ctx, REDISMODULE_REPLY_STRING);
    reply->ptr = hl_strndup(text, strlen(text));
    reply->len = strlen(text);
    reply->status = true;
    close_full(ctx);
    return REDISMODULE_OK;
}

static int fake_ReplyWithArray(RedisModuleCtx *ctx, long len)
{
    return add_open(ctx, REDISMODULE_REPLY_ARRAY, len);
}

static int fake_ReplyWithMap(RedisModuleCtx *ctx, long len)
{
    return add_open(ctx, REDISMODULE_REPLY_MAP, len < 0 ? len : len * 2);
}

static int fake_ReplyWithSet(RedisModuleCtx *ctx, long len)
{
    return add_open(ctx, REDISMODULE_REPLY_SET, len);
}

static int fake_ReplyWithEmptyArray(RedisModuleCtx *ctx)
{
    return add_open(ctx, REDISMODULE_REPLY_ARRAY, 0);
}

static void fake_ReplySetArrayLength(RedisModuleCtx *ctx, long len)
{
    set_length(ctx, REDISMODULE_REPLY_ARRAY, len);
}

static void fake_ReplySetMapLength(RedisModuleCtx *ctx, long len)
{
    set_length(ctx, REDISMODULE_REPLY_MAP, len * 2);
}

static void fake_ReplySetSetLength(RedisModuleCtx *ctx, long len)
{
    set_length(ctx, REDISMODULE_REPLY_SET, len);
}

static int fake_ReplyWithStringBuffer(RedisModuleCtx *ctx, const char *buf, size_t len)
{
    return add_text(ctx, REDISMODULE_REPLY_STRING, buf, len);
}

static int fake_ReplyWithCString(RedisModuleCtx *ctx, const char *text)
{
    return add_text(ctx, REDISMODULE_REPLY_STRING, text, strlen(text));
}

static int fake_ReplyWithString(RedisModuleCtx *ctx, RedisModuleString *str)
{
    return add_text(ctx, REDISMODULE_REPLY_STRING, str->ptr, str->len);
}

static int fake_ReplyWithEmptyString(RedisModuleCtx *ctx)
{
    return add_text(ctx, REDISMODULE_REPLY_STRING, "", 0);
}

static int fake_ReplyWithVerbatimString(RedisModuleCtx *ctx, const char *buf, size_t len)
{
    RedisModuleCallReply *reply = add(ctx, REDISMODULE_REPLY_VERBATIM_STRING);
    reply->ptr = hl_strndup(buf, len);
    reply->len = len;
    memcpy(reply->format, KIND_VERBATIM_EXT, sizeof KIND_VERBATIM_EXT);
    close_full(ctx);
    return REDISMODULE_OK;
}

static int fake_ReplyWithNull(RedisModuleCtx *ctx)
{
    return add_integer(ctx, REDISMODULE_REPLY_NULL, 0);
}

static int fake_ReplyWithNullArray(RedisModuleCtx *ctx)
{
    return add_integer(ctx, REDISMODULE_REPLY_NULL, 0);
}

static int fake_ReplyWithBool(RedisModuleCtx *ctx, int b)
{
    return add_integer(ctx, REDISMODULE_REPLY_BOOL, b != 0);
}

static int fake_ReplyWithDouble(RedisModuleCtx *ctx, double d)
{
    add(ctx, REDISMODULE_REPLY_DOUBLE)->number = d;
    close_full(ctx);
    return REDISMODULE_OK;
}

static int fake_ReplyWithLongDouble(RedisModuleCtx *ctx, long double d)
{
    return fake_ReplyWithDouble(ctx, (double)d);
}

static int fake_ReplyWithBigNumber(RedisModuleCtx *ctx, const char *digits, size_t len)
{
    return add_text(ctx, REDISMODULE_REPLY_BIG_NUMBER, digits, len);
}

static int fake_ReplyWithCallReply(RedisModuleCtx *ctx, RedisModuleCallReply *from)
{
    if (is_aggregate(from->type)) {
        add_open(ctx, from->type, (long)from->count);
        for (size_t i = 0; i < from->count; i++) {
            fake_ReplyWithCallReply(ctx, from->items[i]);
        }
        return REDISMODULE_OK;
    }
    RedisModuleCallReply *copy = add(ctx, from->type);
    bool nested = copy->nested;
    *copy = *from;
    copy->nested = nested;
    copy->ptr = from->ptr == NULL ? NULL : hl_strndup(from->ptr, from->len);
    close_full(ctx);
    return REDISMODULE_OK;
}

/* ---- Taking apart ---- */

static void fake_FreeCallReply(RedisModuleCallReply *reply)
{
    if (reply == NULL || reply->nested) {
        return;
    }
    fake_current->live--;
    fake_reply_free(reply);
}

static int fake_CallReplyType(RedisModuleCallReply *reply)
{
    return reply == NULL ? REDISMODULE_REPLY_UNKNOWN : reply->type;
}

static long long fake_CallReplyInteger(RedisModuleCallReply *reply)
{
    return reply == NULL || reply->type != REDISMODULE_REPLY_INTEGER ? LLONG_MIN : reply->integer;
}

static double fake_CallReplyDouble(RedisModuleCallReply *reply)
{
    return reply->type == REDISMODULE_REPLY_DOUBLE ? reply->number : (double)LLONG_MIN;
}

static int fake_CallReplyBool(RedisModuleCallReply *reply)
{
    return reply->type == REDISMODULE_REPLY_BOOL ? (int)reply->integer : INT_MIN;
}

static size_t fake_CallReplyLength(RedisModuleCallReply *reply)
{
    if (reply == NULL) {
        return 0;
    }
    if (reply->type == REDISMODULE_REPLY_MAP) {
        return reply->count / 2;
    }
    return is_aggregate(reply->type) ? reply->count : reply->len;
}

static RedisModuleCallReply *fake_CallReplyArrayElement(RedisModuleCallReply *reply, size_t i)
{
    bool has = reply != NULL && reply->type == REDISMODULE_REPLY_ARRAY && i < reply->count;
    return has ? reply->items[i] : NULL;
}

static RedisModuleCallReply *fake_CallReplySetElement(RedisModuleCallReply *reply, size_t i)
{
    return reply->type == REDISMODULE_REPLY_SET && i < reply->count ? reply->items[i] : NULL;
}

static int fake_CallReplyMapElement(RedisModuleCallReply *reply, size_t i,
                                    RedisModuleCallReply **key, RedisModuleCallReply **val)
{
    if (reply->type != REDISMODULE_REPLY_MAP || i >= reply->count / 2) {
        return REDISMODULE_ERR;
    }
    if (key != NULL) {
        *key = reply->items[2 * i];
    }
    if (val != NULL) {
        *val = reply->items[2 * i + 1];
    }
    return REDISMODULE_OK;
}

static const char *fake_CallReplyStringPtr(RedisModuleCallReply *reply, size_t *len)
{
    if (reply == NULL ||
        (reply->type != REDISMODULE_REPLY_STRING && reply->type != REDISMODULE_REPLY_ERROR)) {
        return NULL;
    }
    if (len != NULL) {
        *len = reply->len;
    }
    return reply->ptr;
}

static RedisModuleString *fake_CreateStringFromCallReply(RedisModuleCallReply *reply)
{
    char number[HL_I64_TEXT_MAX];
    RedisModuleString *str = NULL;
    if (reply != NULL && reply->type == REDISMODULE_REPLY_INTEGER) {
        str = fake_string_new(fake_current, number, (size_t)hl_format_i64(number, reply->integer));
    } else if (fake_CallReplyStringPtr(reply, NULL) != NULL) {
        str = fake_string_new(fake_current, reply->ptr, reply->len);
    }
    if (str != NULL) {
        fake_ctx_add(NULL, FAKE_STRING, str);
    }
    return str;
}

void *fake_lookup_reply(const char *name)
{
    static const struct fake_row rows[] = {
        FAKE_ROW(WrongArity),
        FAKE_ROW(ReplyWithLongLong),
        FAKE_ROW(ReplyWithError),
        FAKE_ROW(ReplyWithErrorFormat),
        FAKE_ROW(ReplyWithSimpleString),
        FAKE_ROW(ReplyWithArray),
        FAKE_ROW(ReplyWithMap),
        FAKE_ROW(ReplyWithSet),
        FAKE_ROW(ReplyWithEmptyArray),
        FAKE_ROW(ReplySetArrayLength),
        FAKE_ROW(ReplySetMapLength),
        FAKE_ROW(ReplySetSetLength),
        FAKE_ROW(ReplyWithStringBuffer),
        FAKE_ROW(ReplyWithCString),
        FAKE_ROW(ReplyWithString),
        FAKE_ROW(ReplyWithEmptyString),
        FAKE_ROW(ReplyWithVerbatimString),
        FAKE_ROW(ReplyWithNull),
        FAKE_ROW(ReplyWithNullArray),
        FAKE_ROW(ReplyWithBool),
        FAKE_ROW(ReplyWithDouble),
        FAKE_ROW(ReplyWithLongDouble),
        FAKE_ROW(ReplyWithBigNumber),
        FAKE_ROW(ReplyWithCallReply),
        FAKE_ROW(FreeCallReply),
        FAKE_ROW(CallReplyType),
        FAKE_ROW(CallReplyInteger),
        FAKE_ROW(CallReplyDouble),
        FAKE_ROW(CallReplyBool),
        FAKE_ROW(CallReplyLength),
        FAKE_ROW(CallReplyArrayElement),
        FAKE_ROW(CallReplySetElement),
        FAKE_ROW(CallReplyMapElement),
        FAKE_ROW(CallReplyStringPtr),
        FAKE_ROW(CreateStringFromCallReply),
    };
    return fake_find(rows, HL_ARRAY_LEN(rows), name);
}
