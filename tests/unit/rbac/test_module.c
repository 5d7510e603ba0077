/* The glue on the fake server: replies, replication, saving, the end, and what other modules are
 * offered.  The fake has no users: enforcement is tested on real servers. */
#include "testing/fake.h"

#include "helios/module.h"
#include "helios/rbac_service.h"

#include <criterion/criterion.h>
#include <string.h>

static struct fake *fake;
static const HeliosRbacService *service;
static RedisModuleCtx *other; /* the context of another module while it asks */
static int answer;
static HeliosRbacQuestion question;

static int cmd_ask(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    service = RedisModule_GetSharedAPI(ctx, HELIOS_RBAC_SERVICE);
    other = ctx;
    answer = service->can(ctx, &question);
    return RedisModule_ReplyWithLongLong(ctx, answer);
}

/* The module, and beside it a command that asks as another module would. */
static int load(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    int result = RedisModule_OnLoad(ctx, argv, argc);
    if (result == REDISMODULE_OK) {
        result = RedisModule_CreateCommand(ctx, "test.ask", cmd_ask, "readonly", 0, 0, 0);
    }
    return result;
}

static void setup(void)
{
    fake = fake_create();
    cr_assert_eq(fake_load(fake, load, NULL), REDISMODULE_OK, "%s", fake_logged(fake));
}

static void teardown(void)
{
    cr_assert_eq(fake_live(fake), 0, "handles are left");
    cr_assert_eq(fake_unload(fake, RedisModule_OnUnload), REDISMODULE_OK);
    fake_destroy(fake);
}

TestSuite(rbac_module, .init = setup, .fini = teardown);

static void expect(const char *line, const char *reply)
{
    const char *got = fake_run(fake, line);
    cr_assert_str_eq(got, reply, "%s: %s", line, got);
}

static void expect_part(const char *line, const char *part)
{
    const char *got = fake_run(fake, line);
    cr_assert(strstr(got, part) != NULL, "%s: %s", line, got);
}

Test(rbac_module, changes_replicate_as_they_are_and_questions_do_not)
{
    expect("RBAC.ROLE SET clerk kv:get@a* INHERITS readonly DESCRIPTION \"two words\"", "+OK");
    cr_assert_str_eq(fake_replicated(fake), "RBAC.ROLE SET clerk kv:get@a* INHERITS readonly "
                                            "DESCRIPTION \"two words\"\n");
    expect("RBAC.GRANT ada clerk", ":1");
    cr_assert_str_eq(fake_replicated(fake), "RBAC.GRANT ada clerk\n");
    expect("RBAC.GRANT ada clerk", ":0");
    expect("RBAC.CAN ada kv:get", ":1");
    expect("RBAC.CAN ada kv:set", ":0");
    expect("RBAC.REVOKE bob", ":0");
    expect("RBAC.REVOKE ada user", ":0");
    expect("RBAC.GRANT ada nobody", "-NOROLE there is no such role");
    cr_assert_str_eq(fake_replicated(fake), "");
    expect("RBAC.REVOKE ada", ":1");
    cr_assert_str_eq(fake_replicated(fake), "RBAC.REVOKE ada\n");
}

Test(rbac_module, shows_what_it_holds)
{
    expect("RBAC.ROLE GET readonly",
           "{\"name\" \"readonly\" \"description\" \"Reads keys and jobs.\" \"permissions\" "
           "[\"kv:get\" \"job:view\"] \"inherits\" [] \"built_in\" :1}");
    expect("RBAC.ROLE GET nobody", "(null)");
    expect("RBAC.ROLE SET a INHERITS user", "+OK");
    expect("RBAC.GRANT @g a", ":1");
    expect("RBAC.GRANT ada @g", ":1");
    expect("RBAC.ROLES ada", "{\"granted\" [\"@g\"] \"effective\" [\"a\" \"user\"]}");
    expect("RBAC.ROLES", "[\"@g\" \"ada\"]");
    expect("RBAC.ROLES AFTER @g COUNT 5", "[\"ada\"]");
    expect("RBAC.EXPLAIN ada kv:get x",
           "{\"allowed\" :1 \"reason\" \"a rule allows it\" \"rule\" \"kv:get\" \"role\" \"user\" "
           "\"granted\" \"a\" \"to\" \"@g\"}");
    expect("RBAC.EXPLAIN ada what:ever",
           "{\"allowed\" :0 \"reason\" \"no rule of the roles allows all of it\" \"rule\" (null) "
           "\"role\" (null) \"granted\" (null) \"to\" (null)}");
    expect("RBAC.WHOCAN kv:set",
           "{\"users\" [\"ada\"] \"more\" :0 \"roles\" [\"a\" \"admin\" \"user\"]}");
    expect_part("RBAC.HELP", "RBAC.GRANT");
}

Test(rbac_module, a_restart_keeps_everything)
{
    expect("RBAC.ROLE SET a -kv:get@x* INHERITS user", "+OK");
    expect("RBAC.GRANT ada a", ":1");
    cr_assert(fake_reload(fake));
    expect("RBAC.CAN ada kv:get y", ":1");
    expect("RBAC.CAN ada kv:get x1", ":0");
}

static int ask(const char *user, const char *permission, const char *key)
{
    question.user = user;
    question.user_len = strlen(user);
    question.permission = permission;
    question.key = key;
    question.key_len = key != NULL ? strlen(key) : 0;
    (void)fake_run(fake, "test.ask");
    return answer;
}

Test(rbac_module, other_modules_are_answered_and_remembered_answers_end_with_a_change)
{
    static const char *const admin[] = {"admin"};
    question = (HeliosRbacQuestion){0};
    cr_assert_eq(ask("ada", "kv:get", NULL), 1, "the default role");
    cr_assert_eq(ask("ada", "kv:get", NULL), 1);
    cr_assert_not_null(strstr(fake_info(fake), "cache_hits:1"));
    cr_assert_eq(ask("ada", "admin:config", NULL), 0);
    question.roles = admin;
    question.role_count = 1;
    cr_assert_eq(ask("ada", "admin:config", NULL), 1, "the token says so");
    expect("RBAC.GRANT ada readonly", ":1");
    cr_assert_eq(ask("ada", "admin:config", NULL), 0, "a grant counts before the token");
    cr_assert_eq(ask("ada", "kv:get", "k"), 1);
    expect("RBAC.ROLE SET readonly -kv:get@k* kv:get", "+OK");
    cr_assert_eq(ask("ada", "kv:get", "k"), 0);
    cr_assert_eq(ask("ada", "kv:get", "other"), 1);
    cr_assert_eq(ask("ada", "nonsense", NULL), -1);
    cr_assert_eq(ask("ada", "kv:*", NULL), -1);
    cr_assert_eq(fake_config_set(fake, "default-role", "")[0], '+');
    question = (HeliosRbacQuestion){0};
    cr_assert_eq(ask("bob", "kv:get", NULL), 0);
    cr_assert_not_null(other);
}

Test(rbac_module, effects_are_not_for_clients)
{
    expect_part("RBAC._PUT rbac:policy x", "-ERR RBAC._PUT applies effects");
    fake_set_flags(fake, REDISMODULE_CTX_FLAGS_REPLICATED);
    expect("RBAC._PUT rbac:policy x", "-ERR RBAC._PUT got no policy");
    expect(
        "RBAC._PUT rbac:policy "
        "\"\\x01\\x00\\x00\\x00\\x00\\x01\\x00\\x00\\x00\\x03\\x00ada\\x01\\x00\\x05\\x00admin\"",
        "+OK");
    expect("RBAC.CAN ada what:ever", ":1");
}

Test(rbac_module, arguments_that_are_none_are_refused)
{
    static const char *const bad[] = {
        "RBAC.ROLE",
        "RBAC.ROLE SET",
        "RBAC.ROLE SET r get",
        "RBAC.ROLE FOO",
        "RBAC.ROLE DEL admin",
        "RBAC.ROLE SET r DESCRIPTION",
        "RBAC.GRANT ada",
        "RBAC.GRANT @g @h",
        "RBAC.CAN ada",
        "RBAC.CAN ada kv",
        "RBAC.CAN ada kv:* x",
        "RBAC.CAN ada kv:get x y",
        "RBAC.WHOCAN",
        "RBAC.ROLES COUNT 0 x",
        "RBAC.ROLES AFTER a COUNT",
        "RBAC.ROLE SET r INHERITS nobody",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *got = fake_run(fake, bad[i]);
        cr_assert_eq(got[0], '-', "%s: %s", bad[i], got);
    }
    cr_assert_str_eq(fake_replicated(fake), "");
}
