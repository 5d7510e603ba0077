/* What a module does without a function that it needs. */
#include "testing/fake.h"

#include "helios/needed.h"

#include <criterion/criterion.h>

static const struct helios_needed served[] = {
    HELIOS_NEEDED(CreateCommand),
    HELIOS_NEEDED(ReplyWithNull),
};

static const struct helios_needed too_many[] = {
    HELIOS_NEEDED(CreateCommand),
    HELIOS_NEEDED(Fork),
    HELIOS_NEEDED(ExitFromChild),
};

static int load_served(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    RedisModule_Init(ctx, "served", 1, REDISMODULE_APIVER_1);
    return HELIOS_HAS_ALL(ctx, served) ? REDISMODULE_OK : REDISMODULE_ERR;
}

static int load_too_many(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    RedisModule_Init(ctx, "too-many", 1, REDISMODULE_APIVER_1);
    return HELIOS_HAS_ALL(ctx, too_many) ? REDISMODULE_OK : REDISMODULE_ERR;
}

Test(needed, a_server_that_has_all_is_accepted_in_silence)
{
    struct fake *fake = fake_create();
    cr_assert_eq(fake_load(fake, load_served, NULL), REDISMODULE_OK);
    cr_assert_str_eq(fake_logged(fake), "");
    fake_destroy(fake);
}

/* The fake server cannot fork. */
Test(needed, each_function_that_the_server_lacks_is_named_in_the_log)
{
    struct fake *fake = fake_create();
    cr_assert_eq(fake_load(fake, load_too_many, NULL), REDISMODULE_ERR);
    cr_assert_str_eq(fake_logged(fake), "warning: the server lacks RedisModule_Fork\n"
                                        "warning: the server lacks RedisModule_ExitFromChild\n");
    fake_destroy(fake);
}
