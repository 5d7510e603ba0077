/* The glue on the fake server, whose clock we own: replies, replication, keys, the end. */
#include "testing/fake.h"

#include "helios/module.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct fake *fake;

static void setup(void)
{
    fake = fake_create();
    cr_assert_eq(fake_load(fake, RedisModule_OnLoad, NULL), REDISMODULE_OK, "%s",
                 fake_logged(fake));
}

static void teardown(void)
{
    cr_assert_eq(fake_live(fake), 0, "handles are left");
    cr_assert_eq(fake_unload(fake, RedisModule_OnUnload), REDISMODULE_OK);
    fake_destroy(fake);
}

TestSuite(ratelimit_module, .init = setup, .fini = teardown);

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

Test(ratelimit_module, a_bucket_is_taken_from_refused_and_refilled)
{
    expect("RATELIMIT.TAKE k 3 1 1", "[:1 :2 :0 :1000]");
    expect("RATELIMIT.TAKE k 3 1 1 2", "[:1 :0 :0 :3000]");
    expect("RATELIMIT.TAKE k 3 1 1", "[:0 :0 :1000 :3000]");
    expect("RATELIMIT.TAKE k 3 1 1 4", "[:0 :0 :-1 :3000]");
    fake_advance(fake, 1500);
    expect("RATELIMIT.PEEK k 3 1 1", "[:1 :1 :0 :1500]");
    expect("RATELIMIT.TAKE k TOKEN 3 1 1 COST 1", "[:1 :0 :0 :2500]");
    expect("RATELIMIT.GET k", "{\"algorithm\" \"token\" \"capacity\" :3 \"rate_num\" :1 "
                              "\"rate_den\" :1 \"used\" :3 \"remaining\" :0 \"reset_ms\" :2500 "
                              "\"updated_ms\" :1001500}");
}

Test(ratelimit_module, what_is_refused_or_looked_at_replicates_nothing)
{
    expect("RATELIMIT.TAKE k 1 1 1", "[:1 :0 :0 :1000]");
    const char *said = fake_replicated(fake);
    cr_assert(strncmp(said, "RATELIMIT._PUT k 1001000 ", 25) == 0, "%s", said);
    expect("RATELIMIT.TAKE k 1 1 1", "[:0 :0 :1000 :1000]");
    expect("RATELIMIT.PEEK k", "[:0 :0 :1000 :1000]");
    expect("RATELIMIT.GET absent", "(null)");
    expect("RATELIMIT.PEEK absent", "[:1 :100 :0 :0]");
    expect("RATELIMIT.TAKE other 5 1 1 0", "[:1 :5 :0 :0]");
    expect("CL.THROTTLE third 5 1 1 0", "[:0 :6 :6 :-1 :0]");
    cr_assert_str_eq(fake_replicated(fake), "");
    expect("RATELIMIT.REFUND k", ":1");
    cr_assert_str_eq(fake_replicated(fake), "DEL k\n");
}

Test(ratelimit_module, several_limits_are_all_or_nothing)
{
    expect("RATELIMIT.TAKE a 5 1 1 AND b GCRA 2 1 1 AND c WINDOW 9 1000 COST 3",
           "[:1 :1 :0 :1031 [[:1 :4 :0 :1000] [:1 :1 :0 :1000] [:1 :6 :0 :1031]]]");
    expect("RATELIMIT.TAKE a 5 1 1 AND b GCRA 2 1 1 2 AND c WINDOW 9 1000 COST 3",
           "[:0 :1 :1000 :1031 [[:1 :4 :0 :1000] [:0 :1 :1000 :1000] [:1 :6 :0 :1031]]]");
    expect_part("RATELIMIT.GET a", "\"used\" :1");
    expect_part("RATELIMIT.GET c", "\"used\" :3");
    expect("RATELIMIT.TAKE a 5 1 1 AND b GCRA 2 1 1 9 AND c WINDOW 9 1000 COST 7",
           "[:0 :1 :-1 :1031 [[:1 :4 :0 :1000] [:0 :1 :-1 :1000] [:0 :6 :1031 :1031]]]");
    expect("RATELIMIT.TAKE a 5 1 1 AND a 5 1 1", "-ERR the same key twice in one call");
}

Test(ratelimit_module, tells_where_its_keys_are)
{
    cr_assert_str_eq(fake_keys(fake, "RATELIMIT.TAKE a 5 1 1 AND and GCRA 2 1 1 2 AND c p NOW 5"),
                     "1 6 13");
    cr_assert_str_eq(fake_keys(fake, "RATELIMIT.PEEK a"), "1");
    cr_assert_str_eq(fake_keys(fake, "RATE_TAKE a 1 1 1 5 1"), "1");
}

Test(ratelimit_module, a_policy_is_a_limit_with_a_name)
{
    expect("RATELIMIT.TAKE k api", "-NOPOLICY there is no such policy: see RATELIMIT.POLICY LIST");
    expect("RATELIMIT.POLICY SET api GCRA 5 10 1", "+OK");
    cr_assert_str_eq(fake_replicated(fake), "RATELIMIT.POLICY SET api GCRA 5 10 1\n");
    expect("RATELIMIT.POLICY GET api",
           "{\"algorithm\" \"gcra\" \"capacity\" :5 \"rate_num\" :10 \"rate_den\" :1}");
    expect("RATELIMIT.TAKE k api 4", "[:1 :1 :0 :400]");
    expect("RATELIMIT.POLICY SET api WINDOW 10 60000", "+OK");
    expect("RATELIMIT.TAKE k api 6", "[:1 :0 :0 :61249]");
    expect("RATELIMIT.POLICY LIST", "[{\"name\" \"api\" \"algorithm\" \"window\" \"capacity\" :10 "
                                    "\"window_ms\" :60000}]");
    expect("RATELIMIT.TAKE d", "[:1 :99 :0 :1000]");
    expect("RATELIMIT.POLICY SET default 2 1 1", "+OK");
    expect("RATELIMIT.TAKE d", "[:1 :1 :0 :1000]");
    expect("RATELIMIT.POLICY DEL api", ":1");
    expect("RATELIMIT.POLICY DEL api", ":0");
    expect("RATELIMIT.POLICY GET api", "(null)");
    expect("RATELIMIT.POLICY DEL default", ":1");
    expect_part("RATELIMIT.POLICY SET and 1 1 1", "-ERR a policy's name");
    expect_part("RATELIMIT.POLICY SET p 1 1", "-ERR syntax error");
    expect_part("RATELIMIT.POLICY SET p 0 1 1", "-ERR the limit is out of range");
    expect_part("RATELIMIT.POLICY NONSENSE", "-ERR syntax error: RATELIMIT.POLICY SET");
}

Test(ratelimit_module, time_can_be_given)
{
    expect("RATELIMIT.TAKE k 1 1 1 1 NOW 5000", "[:1 :0 :0 :1000]");
    expect("RATELIMIT.TAKE k 1 1 1 NOW 5999", "[:0 :0 :1 :1]");
    expect("RATELIMIT.TAKE k 1 1 1 NOW 4000", "[:0 :0 :1000 :1000]");
    expect("RATELIMIT.TAKE k 1 1 1 NOW 6000", "[:1 :0 :0 :1000]");
    expect("RATELIMIT.REFUND k 5 NOW 6100", ":1");
    expect("RATE_TAKE old 2 1 1 7000 2", "[:1 :0 :0 :2000]");
    expect("RATE_TAKE old 2 1 1 8000 1", "[:1 :0 :0 :2000]");
    expect("RATE_TAKE new 2 1 1", "[:1 :1 :0 :1000]");
    expect("RATELIMIT.TAKE k 1 1 1 NOW -5", "-ERR value is not an integer or out of range");
    expect("RATELIMIT.TAKE k 1 1 1 NOW 7000000000001",
           "-ERR value is not an integer or out of range");
}

Test(ratelimit_module, keys_go_when_nothing_is_taken_any_more)
{
    expect("RATELIMIT.TAKE k 2 1 1 2", "[:1 :0 :0 :2000]");
    fake_advance(fake, 1999);
    expect_part("RATELIMIT.GET k", "\"used\"");
    fake_advance(fake, 1);
    expect("RATELIMIT.GET k", "(null)");
    expect("RATELIMIT.TAKE k 2 1 1 2", "[:1 :0 :0 :2000]");
    expect("RATELIMIT.TAKE j 2 1 1 2", "[:1 :0 :0 :2000]");
    expect("RATELIMIT.RESET k j absent", ":2");
    expect("RATELIMIT.GET j", "(null)");
}

Test(ratelimit_module, arguments_that_are_none_are_refused)
{
    static const char *const bad[] = {
        "RATELIMIT.TAKE k 1",
        "RATELIMIT.TAKE k 1 1",
        "RATELIMIT.TAKE k 1 1 x",
        "RATELIMIT.TAKE k 1 1 1 1 1",
        "RATELIMIT.TAKE k 1 1 1 -1",
        "RATELIMIT.TAKE k 1 1 1 AND",
        "RATELIMIT.TAKE k 1 1 1 NOW",
        "RATELIMIT.TAKE k GCRA",
        "RATELIMIT.TAKE k WINDOW 1",
        "RATELIMIT.TAKE k 0 1 1",
        "RATELIMIT.TAKE k 1 0 1",
        "RATELIMIT.TAKE k 1 1 0",
        "RATELIMIT.TAKE k 1.5 1 1",
        "RATELIMIT.TAKE k \"\" 1 1",
        "RATELIMIT.TAKE k COST",
        "RATELIMIT.TAKE k COST x",
        "RATELIMIT.TAKE",
        "RATELIMIT.REFUND k -1",
        "RATELIMIT.REFUND k 1 1",
        "RATELIMIT.REFUND",
        "RATELIMIT.RESET",
        "RATELIMIT.GET",
        "RATELIMIT.TOP COUNT 0",
        "RATELIMIT.TOP COUNT 9999",
        "RATELIMIT.TOP x",
        "RATELIMIT._PUT k 0 x",
        "RATELIMIT._PUT k",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *got = fake_run(fake, bad[i]);
        cr_assert_eq(got[0], '-', "%s: %s", bad[i], got);
    }
    char line[1024] = "RATELIMIT.TAKE k0";
    for (int i = 1; i <= 16; i++) {
        snprintf(line + strlen(line), sizeof line - strlen(line), " AND k%d", i);
    }
    expect(line, "-ERR too many limits in one call: at most 16");
    cr_assert_str_eq(fake_replicated(fake), "");
}

Test(ratelimit_module, cl_throttle_speaks_as_redis_cell)
{
    expect("CL.THROTTLE user123 15 30 60 1", "[:0 :16 :15 :-1 :2]");
    expect("cl.throttle user123 15 30 60", "[:0 :16 :14 :-1 :4]");
    expect("CL.THROTTLE user123 15 30 60 15", "[:1 :16 :14 :2 :4]");
    expect("CL.THROTTLE user123 15 30 60 17", "[:1 :16 :14 :-1 :4]");
    const char *usage =
        "-Cell error: Usage: cl.throttle <key> <max_burst> <count per period> <period> "
        "[<quantity>]";
    expect("CL.THROTTLE", usage);
    expect("CL.THROTTLE k 1 1", usage);
    expect("CL.THROTTLE k 1 1 1 1 1", usage);
    expect("CL.THROTTLE k x 1 1", "-Cell error: Couldn't parse as integer: x");
    expect("CL.THROTTLE k 1 1 1 \"a\\x0ab\"", "-Cell error: Couldn't parse as integer: a b");
    expect("CL.THROTTLE k 1 0 1", "-Cell error: Zero rates are not supported");
    expect("CL.THROTTLE k -1 1 1 1", "[:1 :0 :0 :-1 :0]");
    expect_part("RATELIMIT.GET user123", "\"algorithm\" \"gcra\"");
}

/* What a follower hears makes it hold the same. */
Test(ratelimit_module, effects_bring_the_same_state)
{
    fake_set_flags(fake, REDISMODULE_CTX_FLAGS_REPLICATED);
    static const char put[] =
        "RATELIMIT._PUT k 1002000 \"\\x01\\x01\\x03\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
        "\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
        "\\x40\\x42\\x0f\\x00\\x00\\x00\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
        "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\"";
    expect(put, "+OK");
    expect_part("RATELIMIT.GET k", "\"used\" :2");
    cr_assert(strncmp(fake_replicated(fake), "RATELIMIT._PUT k", 16) == 0);
    fake_advance(fake, 2000);
    expect("RATELIMIT.GET k", "(null)");
    fake_set_flags(fake, 0);
    expect_part(put, "-ERR RATELIMIT._PUT applies effects");
}

Test(ratelimit_module, a_restart_keeps_everything)
{
    expect("RATELIMIT.POLICY SET api WINDOW 10 60000", "+OK");
    expect("RATELIMIT.TAKE w api 6", "[:1 :4 :0 :61249]");
    expect("RATELIMIT.TAKE b 3 1 1 2", "[:1 :1 :0 :2000]");
    expect("CL.THROTTLE c 15 30 60", "[:0 :16 :15 :-1 :2]");
    cr_assert(fake_reload(fake));
    expect("RATELIMIT.TAKE w api 4", "[:1 :0 :0 :61249]");
    expect("RATELIMIT.TAKE b 3 1 1 2", "[:0 :1 :1000 :2000]");
    expect("CL.THROTTLE c 15 30 60", "[:0 :16 :14 :-1 :4]");
}

Test(ratelimit_module, knows_who_asks_most)
{
    expect("RATELIMIT.TOP", "[]");
    expect("RATELIMIT.TAKE a 1 1 1", "[:1 :0 :0 :1000]");
    expect("RATELIMIT.TAKE a 1 1 1", "[:0 :0 :1000 :1000]");
    expect("RATELIMIT.TAKE b 1 1 1", "[:1 :0 :0 :1000]");
    expect("RATELIMIT.TOP COUNT 1", "[{\"key\" \"a\" \"count\" :2 \"error\" :0 \"refused\" :1}]");
    expect_part("RATELIMIT.TOP RESET", "\"b\"");
    expect("RATELIMIT.TOP", "[]");
    cr_assert_str_eq(fake_config_set(fake, "top-size", "0"), "+OK");
    expect("RATELIMIT.TAKE c 1 1 1", "[:1 :0 :0 :1000]");
    expect("RATELIMIT.TOP", "[]");
    const char *info = fake_info(fake);
    cr_assert(strstr(info, "allowed:3") != NULL && strstr(info, "refused:1") != NULL, "%s", info);
}

Test(ratelimit_module, settings_change_the_default)
{
    cr_assert_str_eq(fake_config_set(fake, "default-capacity", "2"), "+OK");
    cr_assert_str_eq(fake_config_set(fake, "default-rate-den", "10"), "+OK");
    expect("RATELIMIT.TAKE k", "[:1 :1 :0 :10000]");
    cr_assert_neq(fake_config_set(fake, "default-capacity", "0")[0], '+');
    cr_assert_str_eq(fake_config_get(fake, "default-rate-num"), "1");
    expect_part("RATELIMIT.HELP", "RATELIMIT.TAKE key");
}
