/* Replies of calls, taken apart.  The bytes are parsed once, by resp/reader.h; handles to elements
 * are made when a module asks for them and end with the outermost one. */
#include "abi/internal.h"
#include "kit/num.h"

#include <limits.h>

/* End the handles below `reply`; depth is bounded by HL_REPLY_DEPTH_MAX. */
static void destroy_parts(RedisModuleCallReply *reply)
{
    if (reply->children != NULL) {
        for (size_t i = 0; i < reply->value->count; i++) {
            destroy_parts(&reply->children[i]);
        }
        hl_free(reply->children);
    }
    if (reply->attributes != NULL) {
        destroy_parts(reply->attributes);
        hl_free(reply->attributes);
    }
}

void hl_callreply_destroy(RedisModuleCallReply *reply)
{
    if (reply == NULL) {
        return;
    }
    destroy_parts(reply);
    hl_free(reply->tree);
    hl_buf_fini(&reply->bytes);
    hl_free(reply);
}

static void end_reply(void *reply)
{
    hl_callreply_destroy(reply);
}

RedisModuleCallReply *hl_callreply_new(RedisModuleCtx *ctx, struct hl_buf *bytes, int proto)
{
    RedisModuleCallReply *reply = hl_calloc(1, sizeof *reply);
    reply->bytes = *bytes;
    *bytes = (struct hl_buf){0};
    if (hl_reply_parse(hl_buf_view(&reply->bytes), &reply->tree) != HL_OK) {
        hl_buf_fini(&reply->bytes);
        hl_free(reply);
        return NULL;
    }
    reply->root = reply;
    reply->value = reply->tree;
    reply->proto = proto;
    hl_ctx_add(ctx, reply, end_reply, &reply->ctx);
    return reply;
}

void hl_rm_FreeCallReply(RedisModuleCallReply *reply)
{
    if (reply == NULL || reply->root != reply) {
        return; /* an element ends with what holds it */
    }
    hl_ctx_forget(reply->ctx, reply);
    hl_callreply_destroy(reply);
}

int hl_rm_CallReplyType(RedisModuleCallReply *reply)
{
    if (reply == NULL) {
        return REDISMODULE_REPLY_UNKNOWN;
    }
    switch (reply->value->type) {
    case HL_REPLY_STRING:
    case HL_REPLY_SIMPLE:
        return REDISMODULE_REPLY_STRING;
    case HL_REPLY_ERROR:
        return REDISMODULE_REPLY_ERROR;
    case HL_REPLY_INTEGER:
        return REDISMODULE_REPLY_INTEGER;
    case HL_REPLY_NULL:
        return REDISMODULE_REPLY_NULL;
    case HL_REPLY_DOUBLE:
        return REDISMODULE_REPLY_DOUBLE;
    case HL_REPLY_BOOL:
        return REDISMODULE_REPLY_BOOL;
    case HL_REPLY_BIG_NUMBER:
        return REDISMODULE_REPLY_BIG_NUMBER;
    case HL_REPLY_VERBATIM:
        return REDISMODULE_REPLY_VERBATIM_STRING;
    case HL_REPLY_ARRAY:
    case HL_REPLY_PUSH:
        return REDISMODULE_REPLY_ARRAY;
    case HL_REPLY_MAP:
        return REDISMODULE_REPLY_MAP;
    case HL_REPLY_SET:
        return REDISMODULE_REPLY_SET;
    case HL_REPLY_ATTRIBUTE:
        return REDISMODULE_REPLY_ATTRIBUTE;
    }
    return REDISMODULE_REPLY_UNKNOWN;
}

static bool is(const RedisModuleCallReply *reply, enum hl_reply_type type)
{
    return reply != NULL && reply->value->type == type;
}

static bool is_text(const RedisModuleCallReply *reply)
{
    return is(reply, HL_REPLY_STRING) || is(reply, HL_REPLY_SIMPLE) || is(reply, HL_REPLY_ERROR);
}

size_t hl_rm_CallReplyLength(RedisModuleCallReply *reply)
{
    if (is_text(reply) || is(reply, HL_REPLY_VERBATIM) || is(reply, HL_REPLY_BIG_NUMBER)) {
        return reply->value->text.len;
    }
    if (is(reply, HL_REPLY_MAP) || is(reply, HL_REPLY_ATTRIBUTE)) {
        return reply->value->count / 2;
    }
    return reply == NULL ? 0 : reply->value->count;
}

long long hl_rm_CallReplyInteger(RedisModuleCallReply *reply)
{
    return is(reply, HL_REPLY_INTEGER) ? reply->value->integer : LLONG_MIN;
}

double hl_rm_CallReplyDouble(RedisModuleCallReply *reply)
{
    return is(reply, HL_REPLY_DOUBLE) ? reply->value->number : (double)LLONG_MIN;
}

int hl_rm_CallReplyBool(RedisModuleCallReply *reply)
{
    return is(reply, HL_REPLY_BOOL) ? (int)reply->value->integer : INT_MIN;
}

/* The text of a reply that qualifies, else NULL. */
static const char *text_when(const RedisModuleCallReply *reply, bool qualifies, size_t *len)
{
    if (!qualifies) {
        return NULL;
    }
    if (len != NULL) {
        *len = reply->value->text.len;
    }
    return reply->value->text.ptr == NULL ? "" : reply->value->text.ptr;
}

const char *hl_rm_CallReplyStringPtr(RedisModuleCallReply *reply, size_t *len)
{
    return text_when(reply, is_text(reply), len);
}

const char *hl_rm_CallReplyBigNumber(RedisModuleCallReply *reply, size_t *len)
{
    return text_when(reply, is(reply, HL_REPLY_BIG_NUMBER), len);
}

const char *hl_rm_CallReplyVerbatim(RedisModuleCallReply *reply, size_t *len, const char **format)
{
    bool qualifies = is(reply, HL_REPLY_VERBATIM);
    if (qualifies && format != NULL) {
        *format = reply->value->format;
    }
    return text_when(reply, qualifies, len);
}

const char *hl_rm_CallReplyProto(RedisModuleCallReply *reply, size_t *len)
{
    if (reply == NULL) {
        return NULL;
    }
    struct hl_slice raw = reply == reply->root ? hl_buf_view(&reply->bytes) : reply->value->raw;
    if (len != NULL) {
        *len = raw.len;
    }
    return raw.ptr;
}

RedisModuleString *hl_rm_CreateStringFromCallReply(RedisModuleCallReply *reply)
{
    if (is(reply, HL_REPLY_INTEGER)) {
        char text[HL_I64_TEXT_MAX];
        int len = hl_format_i64(text, reply->value->integer);
        RedisModuleCtx *ctx = reply->root->ctx;
        return hl_rm_CreateString(ctx, text, (size_t)len);
    }
    bool qualifies =
        is_text(reply) || is(reply, HL_REPLY_VERBATIM) || is(reply, HL_REPLY_BIG_NUMBER);
    if (!qualifies) {
        return NULL;
    }
    return hl_rm_CreateString(reply->root->ctx, reply->value->text.ptr, reply->value->text.len);
}

/* The handle of child `i`, which exists. */
static RedisModuleCallReply *child(RedisModuleCallReply *reply, size_t i)
{
    if (reply->children == NULL) {
        reply->children = hl_calloc(reply->value->count, sizeof *reply->children);
        for (size_t j = 0; j < reply->value->count; j++) {
            reply->children[j].root = reply->root;
            reply->children[j].value = &reply->value->children[j];
        }
    }
    return &reply->children[i];
}

RedisModuleCallReply *hl_rm_CallReplyArrayElement(RedisModuleCallReply *reply, size_t idx)
{
    bool array = is(reply, HL_REPLY_ARRAY) || is(reply, HL_REPLY_PUSH);
    return array && idx < reply->value->count ? child(reply, idx) : NULL;
}

RedisModuleCallReply *hl_rm_CallReplySetElement(RedisModuleCallReply *reply, size_t idx)
{
    return is(reply, HL_REPLY_SET) && idx < reply->value->count ? child(reply, idx) : NULL;
}

/* Pair `idx` of something that alternates keys and values. */
static int pair(RedisModuleCallReply *reply, size_t idx, RedisModuleCallReply **key,
                RedisModuleCallReply **val)
{
    if (idx >= reply->value->count / 2) {
        return REDISMODULE_ERR;
    }
    if (key != NULL) {
        *key = child(reply, 2 * idx);
    }
    if (val != NULL) {
        *val = child(reply, 2 * idx + 1);
    }
    return REDISMODULE_OK;
}

int hl_rm_CallReplyMapElement(RedisModuleCallReply *reply, size_t idx, RedisModuleCallReply **key,
                              RedisModuleCallReply **val)
{
    return is(reply, HL_REPLY_MAP) ? pair(reply, idx, key, val) : REDISMODULE_ERR;
}

RedisModuleCallReply *hl_rm_CallReplyAttribute(RedisModuleCallReply *reply)
{
    if (reply == NULL || reply->value->attributes == NULL) {
        return NULL;
    }
    if (reply->attributes == NULL) {
        reply->attributes = hl_calloc(1, sizeof *reply->attributes);
        reply->attributes->root = reply->root;
        reply->attributes->value = reply->value->attributes;
    }
    return reply->attributes;
}

int hl_rm_CallReplyAttributeElement(RedisModuleCallReply *reply, size_t idx,
                                    RedisModuleCallReply **key, RedisModuleCallReply **val)
{
    return is(reply, HL_REPLY_ATTRIBUTE) ? pair(reply, idx, key, val) : REDISMODULE_ERR;
}

void hl_rm_CallReplyPromiseSetUnblockHandler(RedisModuleCallReply *reply,
                                             RedisModuleOnUnblocked on_unblock, void *private_data)
{
    (void)reply;
    (void)on_unblock;
    (void)private_data; /* no call returns a promise: "K" answers at once or refuses */
}

int hl_rm_CallReplyPromiseAbort(RedisModuleCallReply *reply, void **private_data)
{
    (void)reply;
    (void)private_data;
    return REDISMODULE_ERR;
}
