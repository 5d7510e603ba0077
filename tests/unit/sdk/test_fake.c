/* The fake server against a small module that uses each of its parts. */
#include "testing/fake.h"

#include "helios/module.h"

#include <criterion/criterion.h>
#include <string.h>

static struct fake *fake;
static long long limit;
static int ticks;
static RedisModuleBlockedClient *waiting;
static RedisModuleString *kept;

static int cmd_tree(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    RedisModule_ReplyWithArray(ctx, REDISMODULE_POSTPONED_LEN);
    RedisModule_ReplyWithMap(ctx, 1);
    RedisModule_ReplyWithCString(ctx, "k\n\"");
    RedisModule_ReplyWithDouble(ctx, 1.5);
    RedisModule_ReplyWithSimpleString(ctx, "fine");
    RedisModule_ReplyWithNull(ctx);
    RedisModule_ReplySetArrayLength(ctx, 3);
    return REDISMODULE_OK;
}

static int cmd_call(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "SET", "!sl", argv[1], (long long)argc);
    RedisModule_FreeCallReply(reply);
    reply = RedisModule_Call(ctx, "t.tree", "");
    cr_assert_eq(RedisModule_CallReplyLength(reply), 3u);
    RedisModule_ReplyWithCallReply(ctx, reply);
    RedisModule_FreeCallReply(reply);
    return REDISMODULE_OK;
}

static int cmd_keep(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argc;
    kept = RedisModule_CreateStringFromString(ctx, argv[1]); /* not freed by the command: a leak */
    return RedisModule_ReplyWithNull(ctx);
}

static int answer(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    bool late = RedisModule_IsBlockedTimeoutRequest(ctx);
    return RedisModule_ReplyWithCString(ctx, late ? "late"
                                                  : RedisModule_GetBlockedClientPrivateData(ctx));
}

static int cmd_wait(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    waiting = RedisModule_BlockClient(ctx, answer, answer, NULL, 100);
    return REDISMODULE_OK;
}

static void tick(RedisModuleCtx *ctx, void *data)
{
    ticks++;
    RedisModule_Log(ctx, "notice", "tick %d", ticks);
    RedisModule_CreateTimer(ctx, 10, tick, data);
}

static long long get_limit(const char *name, void *privdata)
{
    (void)name;
    (void)privdata;
    return limit;
}

static int set_limit(const char *name, long long value, void *privdata, RedisModuleString **err)
{
    (void)name;
    (void)privdata;
    if (value == 13) {
        *err = RedisModule_CreateString(NULL, "unlucky", 7);
        return REDISMODULE_ERR;
    }
    limit = value;
    return REDISMODULE_OK;
}

static int onload(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    cr_assert_eq(RedisModule_Init(ctx, "t", 1, REDISMODULE_APIVER_1), REDISMODULE_OK);
    cr_assert_eq(argc, 2);
    RedisModule_CreateCommand(ctx, "t.tree", cmd_tree, "readonly", 0, 0, 0);
    RedisModule_CreateCommand(ctx, "t.call", cmd_call, "write", 1, -1, 2);
    RedisModule_CreateCommand(ctx, "t.keep", cmd_keep, "readonly", 0, 0, 0);
    RedisModule_CreateCommand(ctx, "t.wait", cmd_wait, "readonly blocking", 0, 0, 0);
    cr_assert_eq(RedisModule_CreateCommand(ctx, "t.tree", cmd_tree, "", 0, 0, 0), REDISMODULE_ERR);
    cr_assert_eq(RedisModule_CreateCommand(ctx, "t.x", cmd_tree, "rw", 0, 0, 0), REDISMODULE_ERR);
    RedisModule_CreateTimer(ctx, 10, tick, NULL);
    RedisModule_RegisterNumericConfig(ctx, "limit", 5, REDISMODULE_CONFIG_DEFAULT, 1, 99, get_limit,
                                      set_limit, NULL, NULL);
    return RedisModule_LoadConfigs(ctx);
}

static void setup(void)
{
    fake = fake_create();
    fake_preset(fake, "limit", "42");
    cr_assert_eq(fake_load(fake, onload, "one \"t w o\""), REDISMODULE_OK);
}

static void teardown(void)
{
    fake_destroy(fake);
}

TestSuite(fake, .init = setup, .fini = teardown);

Test(fake, shows_replies_as_text)
{
    cr_assert_str_eq(fake_run(fake, "t.tree"), "[{\"k\\x0a\\\"\" ,1.5} +fine (null)]");
    cr_assert_str_eq(fake_run(fake, "t.none"), "-ERR unknown command");
}

Test(fake, runs_calls_and_notes_what_they_replicate)
{
    cr_assert_str_eq(fake_run(fake, "t.call \"a key\" b c"),
                     "[{\"k\\x0a\\\"\" ,1.5} +fine (null)]");
    cr_assert_str_eq(fake_replicated(fake), "SET \"a key\" 4\n");
    cr_assert_str_eq(fake_keys(fake, "t.call a b c"), "1 3");
    cr_assert_eq(fake_live(fake), 0);
}

Test(fake, counts_what_a_command_forgot_to_free)
{
    fake_run(fake, "t.keep x");
    cr_assert_eq(fake_live(fake), 1);
    RedisModule_FreeString(NULL, kept);
    cr_assert_eq(fake_live(fake), 0);
}

Test(fake, time_moves_by_hand)
{
    fake_advance(fake, 9);
    cr_assert_eq(ticks, 0);
    fake_advance(fake, 21);
    cr_assert_eq(ticks, 3);
    cr_assert_str_eq(fake_logged(fake), "notice: tick 1\nnotice: tick 2\nnotice: tick 3\n");
    cr_assert_str_eq(fake_logged(fake), "");
}

Test(fake, a_blocked_client_is_answered_or_times_out)
{
    static char done[] = "done";
    cr_assert_str_eq(fake_run(fake, "t.wait"), "(blocked)");
    cr_assert_str_eq(fake_unblocked(fake), "");
    RedisModule_UnblockClient(waiting, done);
    cr_assert_str_eq(fake_unblocked(fake), "\"done\"");
    fake_run(fake, "t.wait");
    fake_advance(fake, 100);
    cr_assert_str_eq(fake_unblocked(fake), "\"late\"");
}

Test(fake, settings_are_preset_changed_and_refused)
{
    cr_assert_eq(limit, 42);
    cr_assert_str_eq(fake_config_set(fake, "limit", "7"), "+OK");
    cr_assert_str_eq(fake_config_get(fake, "limit"), "7");
    cr_assert_str_eq(fake_config_set(fake, "limit", "13"), "-ERR unlucky");
    cr_assert_eq(fake_config_set(fake, "limit", "100")[0], '-');
    cr_assert_str_eq(fake_config_get(fake, "limit"), "7");
    cr_assert_eq(fake_live(fake), 0);
}
