/* Goal: hiredis, blocking and on a libuv loop, works against the server as it does against Redis.
 */
#include "support/server.h"

#include <criterion/criterion.h>
#include <hiredis/adapters/libuv.h>
#include <hiredis/async.h>
#include <stdlib.h>
#include <string.h>

#define MANY 10000

static struct server *server;
static redisContext *c;

static void setup(void)
{
    struct server_options options = {0};
    if (server_is_redis(&options)) {
        options.flags[0] = "--save";
        options.flags[1] = "";
    }
    server = server_start(&options);
    c = server_connect(server);
}

static void teardown(void)
{
    redisFree(c);
    server_close(server);
}

TestSuite(hiredis, .init = setup, .fini = teardown);

/* Run one command and check its reply's type and text (NULL: any text). */
#define EXPECT(wanted_type, wanted_text, ...)                                                      \
    do {                                                                                           \
        redisReply *reply_ = redisCommand(c, __VA_ARGS__);                                         \
        cr_assert_not_null(reply_, "%s", c->errstr);                                               \
        cr_assert_eq(reply_->type, wanted_type, "type %d: %s", reply_->type, reply_->str);         \
        if ((const char *)(wanted_text) != NULL) {                                                 \
            cr_assert_str_eq(reply_->str, (const char *)(wanted_text));                            \
        }                                                                                          \
        freeReplyObject(reply_);                                                                   \
    } while (0)

Test(hiredis, every_type_of_reply)
{
    EXPECT(REDIS_REPLY_STATUS, "OK", "SET k v");
    EXPECT(REDIS_REPLY_STRING, "v", "GET k");
    EXPECT(REDIS_REPLY_NIL, NULL, "GET absent");
    EXPECT(REDIS_REPLY_INTEGER, NULL, "INCR n");
    EXPECT(REDIS_REPLY_ERROR, "WRONGTYPE Operation against a key holding the wrong kind of value",
           "HSET k x y");
    EXPECT(REDIS_REPLY_ERROR, "ERR wrong number of arguments for 'get' command", "GET");
    EXPECT(REDIS_REPLY_STATUS, "OK", "MSET a 1 b 2");
    redisReply *reply = redisCommand(c, "MGET a absent b");
    cr_assert_eq(reply->type, REDIS_REPLY_ARRAY);
    cr_assert_eq(reply->elements, 3);
    cr_assert_eq(reply->element[1]->type, REDIS_REPLY_NIL);
    cr_assert_str_eq(reply->element[2]->str, "2");
    freeReplyObject(reply);
}

Test(hiredis, bytes_of_any_value)
{
    char bytes[4096];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(i * 7);
    }
    EXPECT(REDIS_REPLY_STATUS, "OK", "SET %b %b", bytes, (size_t)256, bytes, sizeof bytes);
    redisReply *reply = redisCommand(c, "GET %b", bytes, (size_t)256);
    cr_assert_eq(reply->len, sizeof bytes);
    cr_assert_eq(memcmp(reply->str, bytes, sizeof bytes), 0);
    freeReplyObject(reply);
}

Test(hiredis, ten_thousand_in_one_pipeline)
{
    redisReply *reply = NULL;
    for (int i = 0; i < MANY; i++) {
        redisAppendCommand(c, "INCR pipelined");
    }
    for (int i = 0; i < MANY; i++) {
        cr_assert_eq(redisGetReply(c, (void **)&reply), REDIS_OK, "%s", c->errstr);
        cr_assert_eq(reply->integer, i + 1);
        freeReplyObject(reply);
    }
}

Test(hiredis, a_transaction)
{
    EXPECT(REDIS_REPLY_STATUS, "OK", "MULTI");
    EXPECT(REDIS_REPLY_STATUS, "QUEUED", "SET t 1");
    EXPECT(REDIS_REPLY_STATUS, "QUEUED", "HSET t x y");
    EXPECT(REDIS_REPLY_STATUS, "QUEUED", "INCR t");
    redisReply *reply = redisCommand(c, "EXEC");
    cr_assert_eq(reply->elements, 3);
    cr_assert_eq(reply->element[1]->type, REDIS_REPLY_ERROR);
    cr_assert_eq(reply->element[2]->integer, 2);
    freeReplyObject(reply);
    EXPECT(REDIS_REPLY_STATUS, "OK", "MULTI");
    EXPECT(REDIS_REPLY_ERROR, NULL, "NO.SUCH.COMMAND");
    EXPECT(REDIS_REPLY_ERROR, "EXECABORT Transaction discarded because of previous errors.",
           "EXEC");
}

Test(hiredis, quit_says_ok_and_closes)
{
    EXPECT(REDIS_REPLY_STATUS, "OK", "QUIT");
    cr_assert_null(redisCommand(c, "PING"));
    cr_assert(c->err == REDIS_ERR_EOF || c->err == REDIS_ERR_IO, "a reset is a close too");
}

struct loop {
    uv_loop_t uv;
    redisAsyncContext *main;
    redisAsyncContext *sub;
    int replies;
    int messages;
};

static void on_reply(redisAsyncContext *ac, void *reply, void *arg)
{
    struct loop *loop = ac->data;
    redisReply *r = reply;
    cr_assert_not_null(r, "%s", ac->errstr);
    cr_assert_eq(r->integer, (intptr_t)arg, "replies come in the order of their commands");
    if (++loop->replies == MANY) {
        redisAsyncDisconnect(ac);
    }
}

static redisAsyncContext *attach(struct loop *loop)
{
    redisAsyncContext *ac = redisAsyncConnect("127.0.0.1", server_port(server));
    cr_assert_not_null(ac);
    cr_assert_eq(ac->err, 0);
    ac->data = loop;
    cr_assert_eq(redisLibuvAttach(ac, &loop->uv), REDIS_OK);
    return ac;
}

Test(hiredis, ten_thousand_on_a_loop)
{
    struct loop loop = {0};
    uv_loop_init(&loop.uv);
    loop.main = attach(&loop);
    for (intptr_t i = 1; i <= MANY; i++) {
        redisAsyncCommand(loop.main, on_reply, (void *)i, "INCR asynchronous");
    }
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    cr_assert_eq(loop.replies, MANY);
    uv_loop_close(&loop.uv);
}

static void on_message(redisAsyncContext *ac, void *reply, void *arg)
{
    (void)arg;
    struct loop *loop = ac->data;
    redisReply *r = reply;
    if (r == NULL) {
        return; /* the connection is closing */
    }
    cr_assert_eq(r->elements, 3);
    if (strcmp(r->element[0]->str, "subscribe") == 0) {
        redisAsyncCommand(loop->main, NULL, NULL, "PUBLISH c first");
        redisAsyncCommand(loop->main, NULL, NULL, "PUBLISH c second");
    } else if (strcmp(r->element[0]->str, "message") == 0) {
        cr_assert_str_eq(r->element[2]->str, loop->messages == 0 ? "first" : "second");
        if (++loop->messages == 2) {
            redisAsyncDisconnect(loop->main);
            redisAsyncCommand(ac, NULL, NULL, "UNSUBSCRIBE c");
        }
    } else {
        cr_assert_str_eq(r->element[0]->str, "unsubscribe");
        redisAsyncDisconnect(ac);
    }
}

Test(hiredis, messages_reach_a_subscriber_on_a_loop)
{
    redisReply *info = redisCommand(c, "COMMAND INFO SUBSCRIBE");
    bool has = info->elements == 1 && info->element[0]->type == REDIS_REPLY_ARRAY;
    freeReplyObject(info);
    if (!has) {
        cr_skip_test("the server has no SUBSCRIBE");
    }
    struct loop loop = {0};
    uv_loop_init(&loop.uv);
    loop.main = attach(&loop);
    loop.sub = attach(&loop);
    redisAsyncCommand(loop.sub, on_message, NULL, "SUBSCRIBE c");
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    cr_assert_eq(loop.messages, 2);
    uv_loop_close(&loop.uv);
}
