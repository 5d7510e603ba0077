/* The layouts that modules and server share, measured against what Redis and Valkey use.
 *
 * Method: the compiler measures; a layout that moved does not build.  The numbers are those of
 * x86-64 and every other LP64 system. */
#include "helios/module.h"
#include "kit/assert.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define SIZE(type, size) HL_STATIC(sizeof(type) == (size))
#define AT(type, field, offset) HL_STATIC(offsetof(type, field) == (offset))

SIZE(RedisModuleStreamID, 16);
AT(RedisModuleStreamID, ms, 0);
AT(RedisModuleStreamID, seq, 8);

SIZE(RedisModuleCommandArg, 72);
AT(RedisModuleCommandArg, name, 0);
AT(RedisModuleCommandArg, type, 8);
AT(RedisModuleCommandArg, key_spec_index, 12);
AT(RedisModuleCommandArg, token, 16);
AT(RedisModuleCommandArg, summary, 24);
AT(RedisModuleCommandArg, since, 32);
AT(RedisModuleCommandArg, flags, 40);
AT(RedisModuleCommandArg, deprecated_since, 48);
AT(RedisModuleCommandArg, subargs, 56);
AT(RedisModuleCommandArg, display_text, 64);

SIZE(RedisModuleEvent, 16);
AT(RedisModuleEvent, id, 0);
AT(RedisModuleEvent, dataver, 8);

SIZE(RedisModuleClientInfo, 80);
AT(RedisModuleClientInfo, version, 0);
AT(RedisModuleClientInfo, flags, 8);
AT(RedisModuleClientInfo, id, 16);
AT(RedisModuleClientInfo, addr, 24);
AT(RedisModuleClientInfo, port, 70);
AT(RedisModuleClientInfo, db, 72);

SIZE(RedisModuleReplicationInfo, 64);
AT(RedisModuleReplicationInfo, version, 0);
AT(RedisModuleReplicationInfo, master, 8);
AT(RedisModuleReplicationInfo, masterhost, 16);
AT(RedisModuleReplicationInfo, masterport, 24);
AT(RedisModuleReplicationInfo, replid1, 32);
AT(RedisModuleReplicationInfo, replid2, 40);
AT(RedisModuleReplicationInfo, repl1_offset, 48);
AT(RedisModuleReplicationInfo, repl2_offset, 56);

SIZE(RedisModuleFlushInfo, 16);
AT(RedisModuleFlushInfo, version, 0);
AT(RedisModuleFlushInfo, sync, 8);
AT(RedisModuleFlushInfo, dbnum, 12);

SIZE(RedisModuleModuleChange, 24);
AT(RedisModuleModuleChange, version, 0);
AT(RedisModuleModuleChange, module_name, 8);
AT(RedisModuleModuleChange, module_version, 16);

SIZE(RedisModuleConfigChange, 24);
AT(RedisModuleConfigChange, version, 0);
AT(RedisModuleConfigChange, num_changes, 8);
AT(RedisModuleConfigChange, config_names, 16);

SIZE(RedisModuleCronLoopInfo, 16);
AT(RedisModuleCronLoopInfo, version, 0);
AT(RedisModuleCronLoopInfo, hz, 8);

SIZE(RedisModuleLoadingProgressInfo, 16);
AT(RedisModuleLoadingProgressInfo, version, 0);
AT(RedisModuleLoadingProgressInfo, hz, 8);
AT(RedisModuleLoadingProgressInfo, progress, 12);

SIZE(RedisModuleSwapDbInfo, 16);
AT(RedisModuleSwapDbInfo, version, 0);
AT(RedisModuleSwapDbInfo, dbnum_first, 8);
AT(RedisModuleSwapDbInfo, dbnum_second, 12);

SIZE(RedisModuleKeyInfo, 16);
AT(RedisModuleKeyInfo, version, 0);
AT(RedisModuleKeyInfo, key, 8);

SIZE(RedisModuleSlotRange, 4);
AT(RedisModuleSlotRange, start, 0);
AT(RedisModuleSlotRange, end, 2);

SIZE(RedisModuleSlotRangeArray, 4);
AT(RedisModuleSlotRangeArray, num_ranges, 0);
AT(RedisModuleSlotRangeArray, ranges, 4);

SIZE(RedisModuleClusterSlotMigrationInfo, 112);
AT(RedisModuleClusterSlotMigrationInfo, version, 0);
AT(RedisModuleClusterSlotMigrationInfo, source_node_id, 8);
AT(RedisModuleClusterSlotMigrationInfo, destination_node_id, 49);
AT(RedisModuleClusterSlotMigrationInfo, task_id, 96);
AT(RedisModuleClusterSlotMigrationInfo, slots, 104);

SIZE(RedisModuleClusterSlotMigrationTrimInfo, 16);
AT(RedisModuleClusterSlotMigrationTrimInfo, version, 0);
AT(RedisModuleClusterSlotMigrationTrimInfo, slots, 8);

SIZE(RedisModuleTypeMethods, 152);
AT(RedisModuleTypeMethods, version, 0);
AT(RedisModuleTypeMethods, rdb_load, 8);
AT(RedisModuleTypeMethods, rdb_save, 16);
AT(RedisModuleTypeMethods, aof_rewrite, 24);
AT(RedisModuleTypeMethods, mem_usage, 32);
AT(RedisModuleTypeMethods, digest, 40);
AT(RedisModuleTypeMethods, free, 48);
AT(RedisModuleTypeMethods, aux_load, 56);
AT(RedisModuleTypeMethods, aux_save, 64);
AT(RedisModuleTypeMethods, aux_save_triggers, 72);
AT(RedisModuleTypeMethods, free_effort, 80);
AT(RedisModuleTypeMethods, unlink, 88);
AT(RedisModuleTypeMethods, copy, 96);
AT(RedisModuleTypeMethods, defrag, 104);
AT(RedisModuleTypeMethods, mem_usage2, 112);
AT(RedisModuleTypeMethods, free_effort2, 120);
AT(RedisModuleTypeMethods, unlink2, 128);
AT(RedisModuleTypeMethods, copy2, 136);
AT(RedisModuleTypeMethods, aux_save2, 144);

SIZE(RedisModuleCommandInfoVersion, 32);
AT(RedisModuleCommandInfoVersion, sizeof_historyentry, 8);
AT(RedisModuleCommandInfoVersion, sizeof_keyspec, 16);
AT(RedisModuleCommandInfoVersion, sizeof_arg, 24);

SIZE(RedisModuleCommandInfo, 72);
AT(RedisModuleCommandInfo, summary, 8);
AT(RedisModuleCommandInfo, complexity, 16);
AT(RedisModuleCommandInfo, since, 24);
AT(RedisModuleCommandInfo, history, 32);
AT(RedisModuleCommandInfo, tips, 40);
AT(RedisModuleCommandInfo, arity, 48);
AT(RedisModuleCommandInfo, key_specs, 56);
AT(RedisModuleCommandInfo, args, 64);

SIZE(RedisModuleCommandHistoryEntry, 16);
AT(RedisModuleCommandHistoryEntry, changes, 8);

SIZE(RedisModuleCommandKeySpec, 56);
AT(RedisModuleCommandKeySpec, flags, 8);
AT(RedisModuleCommandKeySpec, begin_search_type, 16);
AT(RedisModuleCommandKeySpec, bs.index.pos, 24);
AT(RedisModuleCommandKeySpec, bs.keyword.keyword, 24);
AT(RedisModuleCommandKeySpec, bs.keyword.startfrom, 32);
AT(RedisModuleCommandKeySpec, find_keys_type, 40);
AT(RedisModuleCommandKeySpec, fk.range.lastkey, 44);
AT(RedisModuleCommandKeySpec, fk.range.keystep, 48);
AT(RedisModuleCommandKeySpec, fk.range.limit, 52);
AT(RedisModuleCommandKeySpec, fk.keynum.keynumidx, 44);
AT(RedisModuleCommandKeySpec, fk.keynum.firstkey, 48);
AT(RedisModuleCommandKeySpec, fk.keynum.keystep, 52);

static int asked;
static char last_asked[64];

/* A server that lacks everything but the two functions of the oldest Redis. */
static void set_attribs(RedisModuleCtx *ctx, const char *name, int ver, int apiver)
{
    (void)ctx;
    snprintf(last_asked, sizeof last_asked, "%s %d %d", name, ver, apiver);
}

static int old_server(const char *name, void *target)
{
    asked++;
    if (strcmp(name, "RedisModule_SetModuleAttribs") == 0) {
        *(void **)target = (void *)set_attribs;
        return 0;
    }
    return 1;
}

/* A server that is none. */
static int no_server(const char *name, void *target)
{
    (void)name;
    (void)target;
    return 1;
}

Test(layout, init_asks_for_every_name_and_leaves_null_what_the_server_lacks)
{
    void *ctx[1] = {(void *)old_server};
    int err = RedisModule_Init((RedisModuleCtx *)(void *)ctx, "old", 3, REDISMODULE_APIVER_1);
    cr_assert_eq(err, REDISMODULE_OK);
    cr_assert_str_eq(last_asked, "old 3 1");
    cr_assert_gt(asked, 300);
    cr_assert_null(RedisModule_Alloc);
    cr_assert_not_null(RedisModule_SetModuleAttribs);
}

Test(layout, init_fails_where_there_is_no_abi)
{
    void *ctx[1] = {(void *)no_server};
    int err = RedisModule_Init((RedisModuleCtx *)(void *)ctx, "none", 1, REDISMODULE_APIVER_1);
    cr_assert_eq(err, REDISMODULE_ERR);
}

Test(layout, flags_have_the_values_of_the_contract)
{
    cr_assert_eq(REDISMODULE_NOTIFY_ALL, 10236);
    cr_assert_eq(REDISMODULE_OPEN_KEY_NOEFFECTS, 1048576);
    cr_assert_eq(REDISMODULE_CTX_FLAGS_RESP3, 4194304);
    cr_assert_eq(REDISMODULE_CONFIG_BITFLAGS, 256);
    cr_assert_eq(RedisModuleEvent_Key.id, 17);
    cr_assert_eq(RedisModuleEvent_Key.dataver, 1);
}
