/* GATEWAY.ONCE: run a command once for an Idempotency-Key, and answer it again for ever after.
 *
 * Executed on the leader as one unit: what the command changed and the record of its reply are one
 * entry of the log.  So whatever fails in between, both are there or neither is, on every node that
 * may lead; and as commands run one after the other, of two requests that come at once the second
 * finds the record of the first and waits, as its reader, until that is committed.
 *
 *   the record   field <Idempotency-Key> of the hash `gateway:once:<who>`, which expires with the
 *                youngest; see once.h
 */
#include "cmd_once.h"

#include "once.h"
#include "settings.h"

#include "kit/base64.h"
#include "kit/num.h"

#define ARGS_BEFORE 5 /* GATEWAY.ONCE key field digest ttl */

static struct hl_slice text_of(const RedisModuleString *string)
{
    struct hl_slice text = {0};
    text.ptr = RedisModule_StringPtrLen(string, &text.len);
    return text;
}

/* --- replies ---------------------------------------------------------------------------------- */

/* Append a reply as items; false when it cannot be kept (I2). */
static bool keep_reply(struct hl_buf *out, RedisModuleCallReply *reply, int depth)
{
    struct gw_once_item item = {.kind = '_'};
    if (out->len > GW_ONCE_REPLY_MAX || depth == 0) {
        return false;
    }
    int type = RedisModule_CallReplyType(reply);
    if (type == REDISMODULE_REPLY_STRING) {
        item.kind = '$';
        item.text.ptr = RedisModule_CallReplyStringPtr(reply, &item.text.len);
        if (item.text.len > GW_ONCE_REPLY_MAX) {
            return false;
        }
    } else if (type == REDISMODULE_REPLY_INTEGER) {
        item.kind = ':';
        item.number = RedisModule_CallReplyInteger(reply);
    } else if (type == REDISMODULE_REPLY_ARRAY || type == REDISMODULE_REPLY_MAP) {
        item.kind = type == REDISMODULE_REPLY_ARRAY ? '*' : '%';
        item.number = (int64_t)RedisModule_CallReplyLength(reply);
    } else if (type != REDISMODULE_REPLY_NULL) {
        return false;
    }
    gw_once_put(out, &item);
    bool kept = item.number <= GW_ONCE_ITEMS_MAX || item.kind == ':';
    for (size_t i = 0; kept && item.kind == '*' && i < (size_t)item.number; i++) {
        kept = keep_reply(out, RedisModule_CallReplyArrayElement(reply, i), depth - 1);
    }
    for (size_t i = 0; kept && item.kind == '%' && i < (size_t)item.number; i++) {
        RedisModuleCallReply *key = NULL;
        RedisModuleCallReply *value = NULL;
        (void)RedisModule_CallReplyMapElement(reply, i, &key, &value);
        kept = keep_reply(out, key, depth - 1) && keep_reply(out, value, depth - 1);
    }
    return kept && out->len <= GW_ONCE_REPLY_MAX;
}

/* Reply what was kept: once_decode() found every item whole. */
static void reply_kept(RedisModuleCtx *ctx, struct hl_slice items)
{
    struct gw_once_item item;
    while (gw_once_take(&items, &item)) {
        switch (item.kind) {
        case '$':
            RedisModule_ReplyWithStringBuffer(ctx, item.text.ptr, item.text.len);
            break;
        case ':':
            RedisModule_ReplyWithLongLong(ctx, item.number);
            break;
        case '*':
            RedisModule_ReplyWithArray(ctx, (long)item.number);
            break;
        case '%':
            RedisModule_ReplyWithMap(ctx, (long)item.number);
            break;
        default:
            RedisModule_ReplyWithNull(ctx);
            break;
        }
    }
}

/* --- records ---------------------------------------------------------------------------------- */

/* Forget what has expired of the hash. */
static void sweep(RedisModuleCtx *ctx, RedisModuleString *key, int64_t now_ms)
{
    RedisModuleCallReply *all = RedisModule_Call(ctx, "HGETALL", "s", key);
    size_t count = all == NULL ? 0 : RedisModule_CallReplyLength(all);
    for (size_t i = 0; i + 1 < count; i += 2) {
        struct gw_once_record record;
        struct hl_slice field = {0};
        struct hl_slice value = {0};
        field.ptr =
            RedisModule_CallReplyStringPtr(RedisModule_CallReplyArrayElement(all, i), &field.len);
        value.ptr = RedisModule_CallReplyStringPtr(RedisModule_CallReplyArrayElement(all, i + 1),
                                                   &value.len);
        if (!gw_once_decode(value, &record) || record.until_ms <= now_ms) {
            RedisModule_FreeCallReply(
                RedisModule_Call(ctx, "HDEL", "!sb", key, field.ptr, field.len));
        }
    }
    if (all != NULL) {
        RedisModule_FreeCallReply(all);
    }
}

static long long count_of(RedisModuleCtx *ctx, RedisModuleString *key)
{
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "HLEN", "s", key);
    long long count = reply == NULL ? 0 : RedisModule_CallReplyInteger(reply);
    if (reply != NULL) {
        RedisModule_FreeCallReply(reply);
    }
    return count;
}

/* Whether one more may be remembered for this client. */
static bool has_room(RedisModuleCtx *ctx, RedisModuleString *key, int64_t now_ms)
{
    long long most = gw_setting(GW_SETTING_ONCE_MAX);
    if (count_of(ctx, key) >= most) {
        sweep(ctx, key, now_ms);
    }
    return count_of(ctx, key) < most;
}

struct once {
    RedisModuleString *key, *field;
    unsigned char digest[HL_SHA256_BYTES];
    int64_t now_ms, until_ms;
};

static void remember(RedisModuleCtx *ctx, const struct once *once, RedisModuleCallReply *reply)
{
    struct hl_buf items = {0};
    struct hl_buf bytes = {0};
    if (!keep_reply(&items, reply, GW_ONCE_DEPTH_MAX)) {
        hl_buf_clear(&items);
        gw_once_put(&items, &(struct gw_once_item){.kind = '_'}); /* that it was done, at least */
    }
    struct gw_once_record record = {.until_ms = once->until_ms, .reply = hl_buf_view(&items)};
    memcpy(record.digest, once->digest, sizeof record.digest);
    gw_once_encode(&bytes, &record);
    RedisModule_FreeCallReply(
        RedisModule_Call(ctx, "HSET", "!ssb", once->key, once->field, bytes.ptr, bytes.len));
    RedisModule_FreeCallReply(
        RedisModule_Call(ctx, "PEXPIREAT", "!sl", once->key, (long long)once->until_ms));
    hl_buf_fini(&bytes);
    hl_buf_fini(&items);
}

/* Reply what is remembered; false when nothing is. */
static bool reply_again(RedisModuleCtx *ctx, const struct once *once)
{
    struct gw_once_record record;
    struct hl_slice bytes = {0};
    RedisModuleCallReply *found = RedisModule_Call(ctx, "HGET", "ss", once->key, once->field);
    if (found != NULL && RedisModule_CallReplyType(found) == REDISMODULE_REPLY_STRING) {
        bytes.ptr = RedisModule_CallReplyStringPtr(found, &bytes.len);
    }
    bool known = gw_once_decode(bytes, &record) && record.until_ms > once->now_ms;
    if (known && hl_equal_constant_time(record.digest, once->digest, sizeof record.digest)) {
        RedisModule_ReplyWithArray(ctx, 2);
        RedisModule_ReplyWithLongLong(ctx, 1);
        reply_kept(ctx, record.reply);
    } else if (known) {
        RedisModule_ReplyWithError(ctx,
                                   "ONCEDIFFERS the Idempotency-Key was used for another request");
    }
    if (found != NULL) {
        RedisModule_FreeCallReply(found);
    }
    return known;
}

static bool read_once(RedisModuleString **argv, struct once *once)
{
    int64_t ttl_ms = 0;
    once->key = argv[1];
    once->field = argv[2];
    once->now_ms = RedisModule_Milliseconds();
    bool good = gw_once_key_valid(text_of(argv[2])) &&
                hl_hex_parse(text_of(argv[3]), once->digest, sizeof once->digest) &&
                hl_parse_i64(text_of(argv[4]), &ttl_ms) && ttl_ms >= 1 && ttl_ms <= INT32_MAX;
    once->until_ms = once->now_ms + ttl_ms;
    return good;
}

int gw_cmd_once(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct once once;
    if (argc <= ARGS_BEFORE) {
        return RedisModule_WrongArity(ctx);
    }
    if (!read_once(argv, &once)) {
        return RedisModule_ReplyWithError(ctx,
                                          "ERR the field, the digest or the time is malformed");
    }
    if (reply_again(ctx, &once)) {
        return REDISMODULE_OK;
    }
    if (!has_room(ctx, once.key, once.now_ms)) {
        return RedisModule_ReplyWithError(
            ctx, "ONCEFULL too many Idempotency-Keys are remembered, try again in 60 seconds");
    }
    /* With the caller's own rights (C): whoever may run this may still run no more than before. */
    RedisModuleCallReply *reply =
        RedisModule_Call(ctx, text_of(argv[ARGS_BEFORE]).ptr, "!3ECv", argv + ARGS_BEFORE + 1,
                         (size_t)(argc - ARGS_BEFORE - 1));
    if (reply == NULL) {
        return RedisModule_ReplyWithError(ctx, "ERR the command cannot run here");
    }
    if (RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_ERROR) {
        RedisModule_ReplyWithCallReply(ctx, reply); /* nothing was done: it may come again */
    } else {
        remember(ctx, &once, reply);
        RedisModule_ReplyWithArray(ctx, 2);
        RedisModule_ReplyWithLongLong(ctx, 0);
        RedisModule_ReplyWithCallReply(ctx, reply);
    }
    RedisModule_FreeCallReply(reply);
    return REDISMODULE_OK;
}
