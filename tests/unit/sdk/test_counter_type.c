/* The example counter_type on the fake server: its glue from the outside, without a server. */
#include "testing/fake.h"

#include "helios/module.h"

#include <criterion/criterion.h>
#include <string.h>

static struct fake *fake;

static void setup(void)
{
    fake = fake_create();
    cr_assert_eq(fake_load(fake, RedisModule_OnLoad, NULL), REDISMODULE_OK);
}

static void teardown(void)
{
    fake_destroy(fake);
}

TestSuite(counter_type, .init = setup, .fini = teardown);

Test(counter_type, adds_answers_and_replicates)
{
    cr_assert_str_eq(fake_run(fake, "counter.get hits"), "(null)");
    cr_assert_str_eq(fake_run(fake, "counter.add hits 3"), ":3");
    cr_assert_str_eq(fake_run(fake, "COUNTER.ADD hits -5"), ":-2");
    cr_assert_str_eq(fake_run(fake, "counter.get hits"), "[:-2 :2]");
    cr_assert_str_eq(fake_replicated(fake), "counter.add hits 3\nCOUNTER.ADD hits -5\n");
    cr_assert_eq(fake_live(fake), 0);
}

Test(counter_type, refuses_what_is_wrong_and_replicates_none_of_it)
{
    cr_assert_str_eq(fake_run(fake, "counter.add hits"),
                     "-ERR wrong number of arguments for 'counter.add' command");
    cr_assert_str_eq(fake_run(fake, "counter.add hits 1x"),
                     "-ERR value is not an integer or out of range");
    fake_run(fake, "counter.restore hits 9223372036854775807 1");
    cr_assert_str_eq(fake_replicated(fake), "counter.restore hits 9223372036854775807 1\n");
    cr_assert_str_eq(fake_run(fake, "counter.add hits 1"), "-ERR increment would overflow");
    cr_assert_str_eq(fake_replicated(fake), "");
    cr_assert_eq(fake_live(fake), 0);
}

Test(counter_type, values_survive_a_restart)
{
    fake_run(fake, "counter.add a 7");
    fake_run(fake, "counter.add b -1");
    cr_assert(fake_reload(fake));
    cr_assert_str_eq(fake_run(fake, "counter.get a"), "[:7 :1]");
    cr_assert_str_eq(fake_run(fake, "counter.get b"), "[:-1 :1]");
}

Test(counter_type, names_its_key)
{
    cr_assert_str_eq(fake_keys(fake, "counter.add hits 3"), "1");
}
