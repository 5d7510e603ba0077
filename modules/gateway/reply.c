/* Looking at replies. */
#include "gateway.h"

#include "kit/assert.h"
#include "kit/json.h"
#include "kit/num.h"

#define DEPTH_MAX 16

bool gw_reply_is_null(RedisModuleCallReply *reply)
{
    return reply == NULL || RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_NULL;
}

struct hl_slice gw_reply_text(RedisModuleCallReply *reply)
{
    struct hl_slice text = {0};
    if (reply != NULL && RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_VERBATIM_STRING) {
        const char *format = NULL;
        text.ptr = RedisModule_CallReplyVerbatim(reply, &text.len, &format);
    } else if (reply != NULL) {
        text.ptr = RedisModule_CallReplyStringPtr(reply, &text.len);
    }
    return text.ptr != NULL ? text : (struct hl_slice){0};
}

int64_t gw_reply_number(RedisModuleCallReply *reply)
{
    int64_t number = 0;
    if (reply != NULL && RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_INTEGER) {
        return RedisModule_CallReplyInteger(reply);
    }
    struct hl_slice text = gw_reply_text(reply);
    return text.ptr != NULL && hl_parse_i64(text, &number) ? number : 0;
}

size_t gw_reply_count(RedisModuleCallReply *reply)
{
    return reply != NULL && RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_ARRAY
               ? RedisModule_CallReplyLength(reply)
               : 0;
}

RedisModuleCallReply *gw_reply_at(RedisModuleCallReply *reply, size_t at)
{
    return at < gw_reply_count(reply) ? RedisModule_CallReplyArrayElement(reply, at) : NULL;
}

RedisModuleCallReply *gw_reply_field(RedisModuleCallReply *reply, const char *name)
{
    if (reply == NULL || RedisModule_CallReplyType(reply) != REDISMODULE_REPLY_MAP) {
        return NULL;
    }
    size_t count = RedisModule_CallReplyLength(reply);
    for (size_t i = 0; i < count; i++) {
        RedisModuleCallReply *key = NULL;
        RedisModuleCallReply *value = NULL;
        if (RedisModule_CallReplyMapElement(reply, i, &key, &value) == REDISMODULE_OK &&
            hl_slice_equal(gw_reply_text(key), hl_slice_of(name))) {
            return value;
        }
    }
    return NULL;
}

json_t *gw_json_text(struct hl_slice text)
{
    json_t *value = json_stringn(text.ptr != NULL ? text.ptr : "", text.len);
    if (value != NULL) {
        return value;
    }
    struct hl_buf quoted = {0}; /* bytes that are no UTF-8 */
    hl_json_append_string(&quoted, text);
    value = json_loadb(quoted.ptr, quoted.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    hl_buf_fini(&quoted);
    return value != NULL ? value : json_string("");
}

static json_t *to_json(RedisModuleCallReply *reply, int depth);

static json_t *list_to_json(RedisModuleCallReply *reply, int depth)
{
    bool is_set = RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_SET;
    json_t *list = json_array();
    for (size_t i = 0; i < RedisModule_CallReplyLength(reply); i++) {
        RedisModuleCallReply *element = is_set ? RedisModule_CallReplySetElement(reply, i)
                                               : RedisModule_CallReplyArrayElement(reply, i);
        json_array_append_new(list, to_json(element, depth));
    }
    return list;
}

static json_t *map_to_json(RedisModuleCallReply *reply, int depth)
{
    json_t *object = json_object();
    for (size_t i = 0; i < RedisModule_CallReplyLength(reply); i++) {
        RedisModuleCallReply *key = NULL;
        RedisModuleCallReply *value = NULL;
        (void)RedisModule_CallReplyMapElement(reply, i, &key, &value);
        json_t *name = gw_json_text(gw_reply_text(key));
        json_object_set_new(object, json_string_value(name), to_json(value, depth));
        json_decref(name);
    }
    return object;
}

static json_t *to_json(RedisModuleCallReply *reply, int depth)
{
    if (reply == NULL || depth == 0) {
        return json_null();
    }
    switch (RedisModule_CallReplyType(reply)) {
    case REDISMODULE_REPLY_INTEGER:
        return json_integer(RedisModule_CallReplyInteger(reply));
    case REDISMODULE_REPLY_DOUBLE:
        return json_real(RedisModule_CallReplyDouble(reply));
    case REDISMODULE_REPLY_BOOL:
        return json_boolean(RedisModule_CallReplyBool(reply));
    case REDISMODULE_REPLY_ARRAY:
    case REDISMODULE_REPLY_SET:
        return list_to_json(reply, depth - 1);
    case REDISMODULE_REPLY_MAP:
        return map_to_json(reply, depth - 1);
    case REDISMODULE_REPLY_NULL:
        return json_null();
    default: { /* texts of all kinds; the types are numbers of the ABI, not an enum */
        struct hl_slice text = gw_reply_text(reply);
        return text.ptr != NULL ? gw_json_text(text) : json_null();
    }
    }
}

json_t *gw_reply_json(RedisModuleCallReply *reply)
{
    return to_json(reply, DEPTH_MAX);
}
