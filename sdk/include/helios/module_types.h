/* The types of the module ABI: opaque handles, callbacks, and the structs whose layout is shared.
 *
 * T1  A handle is a pointer that only the server looks into; a module keeps it no longer than the
 *     call that gave it says.
 * T2  A struct in this file is binary ABI: fields are never moved, and grow only at the end, under
 *     a version number that is the first field.  tests/unit/abi/test_layout.c measures them.
 */
#ifndef HELIOS_MODULE_TYPES_H
#define HELIOS_MODULE_TYPES_H

#include "helios/module_constants.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef long long mstime_t; /* milliseconds; absolute ones count from 1970 */
typedef long long ustime_t; /* microseconds */

/* ---- Handles ------------------------------------------------------------------------------- */

typedef struct RedisModuleCtx RedisModuleCtx;             /* one execution: a command, a callback */
typedef struct RedisModuleCommand RedisModuleCommand;     /* a registered command */
typedef struct RedisModuleKey RedisModuleKey;             /* an opened key */
typedef struct RedisModuleString RedisModuleString;       /* counted, binary-safe, immutable */
typedef struct RedisModuleCallReply RedisModuleCallReply; /* the answer of RedisModule_Call() */
typedef struct RedisModuleIO RedisModuleIO;               /* a value being saved or loaded */
typedef struct RedisModuleType RedisModuleType;           /* a data type of this module */
typedef struct RedisModuleDigest RedisModuleDigest;       /* the digest of a value, being built */
typedef struct RedisModuleBlockedClient RedisModuleBlockedClient; /* a client awaiting an answer */
typedef struct RedisModuleDict RedisModuleDict;         /* an ordered map of bytes to pointers */
typedef struct RedisModuleDictIter RedisModuleDictIter; /* a position in such a map */
typedef struct RedisModuleCommandFilterCtx
    RedisModuleCommandFilterCtx;                                    /* a command on its way in */
typedef struct RedisModuleCommandFilter RedisModuleCommandFilter;   /* a registered filter */
typedef struct RedisModuleInfoCtx RedisModuleInfoCtx;               /* INFO, being written */
typedef struct RedisModuleServerInfoData RedisModuleServerInfoData; /* INFO, taken apart */
typedef struct RedisModuleScanCursor RedisModuleScanCursor;         /* how far a scan has come */
typedef struct RedisModuleDefragCtx RedisModuleDefragCtx; /* one step of defragmentation */
typedef struct RedisModuleUser RedisModuleUser;           /* a user with permissions */
typedef struct RedisModuleKeyOptCtx RedisModuleKeyOptCtx; /* the key a type method works on */
typedef struct RedisModuleRdbStream RedisModuleRdbStream; /* where a dump goes to or comes from */
typedef struct RedisModuleConfigIterator RedisModuleConfigIterator; /* a walk over settings */
typedef uint64_t RedisModuleTimerID;                                /* a timer; never 0 */

/* ---- Streams and events: passed by value or pointer ------------------------------------------ */

typedef struct RedisModuleStreamID {
    uint64_t ms;  /* milliseconds since 1970, the first half of "ms-seq" */
    uint64_t seq; /* the second half */
} RedisModuleStreamID;

typedef struct RedisModuleEvent {
    uint64_t id;      /* REDISMODULE_EVENT_* */
    uint64_t dataver; /* the version of the struct that the callback's `data` will point to */
} RedisModuleEvent;

/* ---- Callbacks of a module ------------------------------------------------------------------- */

/* A command: reply through ctx, return REDISMODULE_OK.  argv lives until the function returns. */
typedef int (*RedisModuleCmdFunc)(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);
/* A client of a module went away while it was blocked. */
typedef void (*RedisModuleDisconnectFunc)(RedisModuleCtx *ctx, RedisModuleBlockedClient *bc);
/* Something happened to a key; `event` names it ("set", "del").  The return value is ignored. */
typedef int (*RedisModuleNotificationFunc)(RedisModuleCtx *ctx, int type, const char *event,
                                           RedisModuleString *key);
/* Runs once the notification that asked for it is over: here writing is safe. */
typedef void (*RedisModulePostNotificationJobFunc)(RedisModuleCtx *ctx, void *pd);
/* A message of the same module on another cluster node arrived. */
typedef void (*RedisModuleClusterMessageReceiver)(RedisModuleCtx *ctx, const char *sender_id,
                                                  uint8_t type, const unsigned char *payload,
                                                  uint32_t len);
/* A timer ran out. */
typedef void (*RedisModuleTimerProc)(RedisModuleCtx *ctx, void *data);
/* Every command passes here before it is looked up; the filter may change its arguments. */
typedef void (*RedisModuleCommandFilterFunc)(RedisModuleCommandFilterCtx *filter);
/* A child made by RedisModule_Fork() ended. */
typedef void (*RedisModuleForkDoneHandler)(int exitcode, int bysignal, void *user_data);
/* INFO (or a crash report, where nothing may be allocated) asks for the module's sections. */
typedef void (*RedisModuleInfoFunc)(RedisModuleInfoCtx *ctx, int for_crash_report);
/* One key of a RedisModule_Scan(); `key` is NULL when the server did not open it. */
typedef void (*RedisModuleScanCB)(RedisModuleCtx *ctx, RedisModuleString *keyname,
                                  RedisModuleKey *key, void *privdata);
/* One element of a RedisModule_ScanKey(); `value` is NULL in a set. */
typedef void (*RedisModuleScanKeyCB)(RedisModuleKey *key, RedisModuleString *field,
                                     RedisModuleString *value, void *privdata);
/* The user that a client was authenticated as changed, or the client left. */
typedef void (*RedisModuleUserChangedFunc)(uint64_t client_id, void *privdata);
/* A server event; `data` points to the struct of that event, or is NULL. */
typedef void (*RedisModuleEventCallback)(RedisModuleCtx *ctx, RedisModuleEvent eid,
                                         uint64_t subevent, void *data);
/* A promise returned by RedisModule_Call() was kept. */
typedef void (*RedisModuleOnUnblocked)(RedisModuleCtx *ctx, RedisModuleCallReply *reply,
                                       void *private_data);
/* Judge a login: return REDISMODULE_AUTH_HANDLED (and maybe *err) or _NOT_HANDLED. */
typedef int (*RedisModuleAuthCallback)(RedisModuleCtx *ctx, RedisModuleString *username,
                                       RedisModuleString *password, RedisModuleString **err);
/* Free what a blocked client was given. */
typedef void (*RedisModuleFreePrivdataFunc)(RedisModuleCtx *ctx, void *privdata);
/* A descriptor is ready. */
typedef void (*RedisModuleEventLoopFunc)(int fd, void *user_data, int mask);
/* The loop runs this once. */
typedef void (*RedisModuleEventLoopOneShotFunc)(void *user_data);
/* Defragment the globals of a module. */
typedef void (*RedisModuleDefragFunc)(RedisModuleDefragCtx *ctx);
/* The same, returning nonzero while there is more to do. */
typedef int (*RedisModuleDefragFunc2)(RedisModuleDefragCtx *ctx);
/* Defragment one value of a dictionary; returns where it lives now, NULL when it did not move. */
typedef void *(*RedisModuleDefragDictValueCallback)(RedisModuleDefragCtx *ctx, void *data,
                                                    unsigned char *key, size_t keylen);

/* Settings: read one.  The string stays the module's. */
typedef RedisModuleString *(*RedisModuleConfigGetStringFunc)(const char *name, void *privdata);
typedef long long (*RedisModuleConfigGetNumericFunc)(const char *name, void *privdata);
typedef int (*RedisModuleConfigGetBoolFunc)(const char *name, void *privdata);
typedef int (*RedisModuleConfigGetEnumFunc)(const char *name, void *privdata);
/* Settings: change one.  To refuse, set *err to a new string and return REDISMODULE_ERR. */
typedef int (*RedisModuleConfigSetStringFunc)(const char *name, RedisModuleString *val,
                                              void *privdata, RedisModuleString **err);
typedef int (*RedisModuleConfigSetNumericFunc)(const char *name, long long val, void *privdata,
                                               RedisModuleString **err);
typedef int (*RedisModuleConfigSetBoolFunc)(const char *name, int val, void *privdata,
                                            RedisModuleString **err);
typedef int (*RedisModuleConfigSetEnumFunc)(const char *name, int val, void *privdata,
                                            RedisModuleString **err);
/* Settings: after all of one CONFIG SET were changed; refusing rolls them back. */
typedef int (*RedisModuleConfigApplyFunc)(RedisModuleCtx *ctx, void *privdata,
                                          RedisModuleString **err);

/* ---- Methods of a data type ------------------------------------------------------------------ */

/* Rebuild a value written under `encver`; NULL means the bytes are not ours. */
typedef void *(*RedisModuleTypeLoadFunc)(RedisModuleIO *rdb, int encver);
typedef void (*RedisModuleTypeSaveFunc)(RedisModuleIO *rdb, void *value);
/* Globals of the module, before or after the keys. */
typedef int (*RedisModuleTypeAuxLoadFunc)(RedisModuleIO *rdb, int encver, int when);
typedef void (*RedisModuleTypeAuxSaveFunc)(RedisModuleIO *rdb, int when);
/* Emit the commands that rebuild `value` under `key`. */
typedef void (*RedisModuleTypeRewriteFunc)(RedisModuleIO *aof, RedisModuleString *key, void *value);
typedef size_t (*RedisModuleTypeMemUsageFunc)(const void *value);
typedef size_t (*RedisModuleTypeMemUsageFunc2)(RedisModuleKeyOptCtx *ctx, const void *value,
                                               size_t sample_size);
typedef void (*RedisModuleTypeDigestFunc)(RedisModuleDigest *digest, void *value);
typedef void (*RedisModuleTypeFreeFunc)(void *value);
/* How many allocations freeing would take: much means a thread does it. */
typedef size_t (*RedisModuleTypeFreeEffortFunc)(RedisModuleString *key, const void *value);
typedef size_t (*RedisModuleTypeFreeEffortFunc2)(RedisModuleKeyOptCtx *ctx, const void *value);
/* The key left the keyspace; the value is freed later, maybe on another thread. */
typedef void (*RedisModuleTypeUnlinkFunc)(RedisModuleString *key, const void *value);
typedef void (*RedisModuleTypeUnlinkFunc2)(RedisModuleKeyOptCtx *ctx, const void *value);
/* COPY: a deep copy, or NULL when it cannot be made. */
typedef void *(*RedisModuleTypeCopyFunc)(RedisModuleString *fromkey, RedisModuleString *tokey,
                                         const void *value);
typedef void *(*RedisModuleTypeCopyFunc2)(RedisModuleKeyOptCtx *ctx, const void *value);
typedef int (*RedisModuleTypeDefragFunc)(RedisModuleDefragCtx *ctx, RedisModuleString *key,
                                         void **value);

/* What the server calls for values of a type.  Fields after the one that `version` names are not
 * read, so a module built years ago still fits; any pointer may be NULL but rdb_load, rdb_save and
 * free of a type whose keys are to be kept. */
typedef struct RedisModuleTypeMethods {
    uint64_t version; /* REDISMODULE_TYPE_METHOD_VERSION */
    RedisModuleTypeLoadFunc rdb_load;
    RedisModuleTypeSaveFunc rdb_save;
    RedisModuleTypeRewriteFunc aof_rewrite;
    RedisModuleTypeMemUsageFunc mem_usage;
    RedisModuleTypeDigestFunc digest;
    RedisModuleTypeFreeFunc free;
    RedisModuleTypeAuxLoadFunc aux_load; /* version 2 */
    RedisModuleTypeAuxSaveFunc aux_save;
    int aux_save_triggers;                     /* REDISMODULE_AUX_* */
    RedisModuleTypeFreeEffortFunc free_effort; /* version 3 */
    RedisModuleTypeUnlinkFunc unlink;
    RedisModuleTypeCopyFunc copy;
    RedisModuleTypeDefragFunc defrag;
    RedisModuleTypeMemUsageFunc2 mem_usage2; /* version 4: preferred to those without the 2 */
    RedisModuleTypeFreeEffortFunc2 free_effort2;
    RedisModuleTypeUnlinkFunc2 unlink2;
    RedisModuleTypeCopyFunc2 copy2;
    RedisModuleTypeAuxSaveFunc aux_save2; /* version 5: writes nothing at all when it saves none */
} RedisModuleTypeMethods;

/* ---- What a command tells about itself (RedisModule_SetCommandInfo) ---------------------------
 */

typedef enum {
    REDISMODULE_ARG_TYPE_STRING,
    REDISMODULE_ARG_TYPE_INTEGER,
    REDISMODULE_ARG_TYPE_DOUBLE,
    REDISMODULE_ARG_TYPE_KEY,
    REDISMODULE_ARG_TYPE_PATTERN,
    REDISMODULE_ARG_TYPE_UNIX_TIME,
    REDISMODULE_ARG_TYPE_PURE_TOKEN,
    REDISMODULE_ARG_TYPE_ONEOF, /* one of subargs */
    REDISMODULE_ARG_TYPE_BLOCK, /* all of subargs */
} RedisModuleCommandArgType;

typedef enum {
    REDISMODULE_KSPEC_BS_INVALID, /* ends the array */
    REDISMODULE_KSPEC_BS_UNKNOWN,
    REDISMODULE_KSPEC_BS_INDEX,
    REDISMODULE_KSPEC_BS_KEYWORD,
} RedisModuleKeySpecBeginSearchType;

typedef enum {
    REDISMODULE_KSPEC_FK_OMITTED, /* one key, where the search began */
    REDISMODULE_KSPEC_FK_UNKNOWN,
    REDISMODULE_KSPEC_FK_RANGE,
    REDISMODULE_KSPEC_FK_KEYNUM,
} RedisModuleKeySpecFindKeysType;

typedef struct RedisModuleCommandHistoryEntry {
    const char *since; /* NULL ends the array */
    const char *changes;
} RedisModuleCommandHistoryEntry;

typedef struct RedisModuleCommandKeySpec {
    const char *notes;
    uint64_t flags; /* REDISMODULE_CMD_KEY_* */
    RedisModuleKeySpecBeginSearchType begin_search_type;
    union {
        struct {
            int pos; /* the argument where the keys begin; 1 is the first */
        } index;
        struct {
            const char *keyword; /* the keys begin after this word */
            int startfrom;       /* look from this argument on; negative: backwards from the end */
        } keyword;
    } bs;
    RedisModuleKeySpecFindKeysType find_keys_type;
    union {
        struct {
            int lastkey; /* relative to the first; -1: the last argument */
            int keystep;
            int limit; /* with lastkey -1: stop after 1/limit of the arguments; 0, 1: no limit */
        } range;
        struct {
            int keynumidx; /* the argument that counts the keys, relative to the beginning */
            int firstkey;
            int keystep;
        } keynum;
    } fk;
} RedisModuleCommandKeySpec;

typedef struct RedisModuleCommandArg {
    const char *name; /* NULL ends the array */
    RedisModuleCommandArgType type;
    int key_spec_index; /* for a key: which of key_specs; else -1 */
    const char *token;
    const char *summary;
    const char *since;
    int flags; /* REDISMODULE_CMD_ARG_* */
    const char *deprecated_since;
    struct RedisModuleCommandArg *subargs;
    const char *display_text;
} RedisModuleCommandArg;

/* The sizes that the module was compiled with, by which the server walks the arrays. */
typedef struct RedisModuleCommandInfoVersion {
    int version;
    size_t sizeof_historyentry;
    size_t sizeof_keyspec;
    size_t sizeof_arg;
} RedisModuleCommandInfoVersion;

static const RedisModuleCommandInfoVersion RedisModule_CurrentCommandInfoVersion
    __attribute__((unused)) = {
        .version = 1,
        .sizeof_historyentry = sizeof(RedisModuleCommandHistoryEntry),
        .sizeof_keyspec = sizeof(RedisModuleCommandKeySpec),
        .sizeof_arg = sizeof(RedisModuleCommandArg),
};

/* The value of RedisModuleCommandInfo.version. */
#define REDISMODULE_COMMAND_INFO_VERSION (&RedisModule_CurrentCommandInfoVersion)

typedef struct RedisModuleCommandInfo {
    const RedisModuleCommandInfoVersion *version;
    const char *summary;
    const char *complexity;
    const char *since;
    RedisModuleCommandHistoryEntry *history; /* ends with an all-zero element, as the others do */
    const char *tips;                        /* words with spaces between */
    int arity;                               /* with the name; negative: at least so many */
    RedisModuleCommandKeySpec *key_specs;
    RedisModuleCommandArg *args;
} RedisModuleCommandInfo;

/* ---- What clients and events carry ------------------------------------------------------------
 */

typedef struct RedisModuleClientInfo {
    uint64_t version; /* set by the module before it asks */
    uint64_t flags;   /* REDISMODULE_CLIENTINFO_FLAG_* */
    uint64_t id;
    char addr[46]; /* IPv4 or IPv6, as text */
    uint16_t port;
    uint16_t db;
} RedisModuleClientInfo;
typedef RedisModuleClientInfo RedisModuleClientInfoV1;

#define REDISMODULE_CLIENTINFO_INITIALIZER_V1                                                      \
    {                                                                                              \
        .version = 1                                                                               \
    }

typedef struct RedisModuleReplicationInfo {
    uint64_t version;
    int master; /* 1 when this node is one */
    char *masterhost;
    int masterport;
    char *replid1;
    char *replid2;
    uint64_t repl1_offset;
    uint64_t repl2_offset;
} RedisModuleReplicationInfo;
typedef RedisModuleReplicationInfo RedisModuleReplicationInfoV1;

typedef struct RedisModuleFlushInfo {
    uint64_t version;
    int32_t sync;
    int32_t dbnum; /* -1: all of them */
} RedisModuleFlushInfo;
typedef RedisModuleFlushInfo RedisModuleFlushInfoV1;

typedef struct RedisModuleModuleChange {
    uint64_t version;
    const char *module_name;
    int32_t module_version;
} RedisModuleModuleChange;
typedef RedisModuleModuleChange RedisModuleModuleChangeV1;

typedef struct RedisModuleConfigChange {
    uint64_t version;
    uint32_t num_changes;
    const char **config_names;
} RedisModuleConfigChange;
typedef RedisModuleConfigChange RedisModuleConfigChangeV1;

typedef struct RedisModuleCronLoopInfo {
    uint64_t version;
    int32_t hz; /* calls per second, about */
} RedisModuleCronLoopInfo;
typedef RedisModuleCronLoopInfo RedisModuleCronLoopV1;

typedef struct RedisModuleLoadingProgressInfo {
    uint64_t version;
    int32_t hz;
    int32_t progress; /* 0..1024 */
} RedisModuleLoadingProgressInfo;
typedef RedisModuleLoadingProgressInfo RedisModuleLoadingProgressV1;

typedef struct RedisModuleSwapDbInfo {
    uint64_t version;
    int32_t dbnum_first;
    int32_t dbnum_second;
} RedisModuleSwapDbInfo;
typedef RedisModuleSwapDbInfo RedisModuleSwapDbInfoV1;

typedef struct RedisModuleKeyInfo {
    uint64_t version;
    RedisModuleKey *key; /* the key as it still is, open for reading */
} RedisModuleKeyInfo;
typedef RedisModuleKeyInfo RedisModuleKeyInfoV1;

typedef struct RedisModuleSlotRange {
    uint16_t start;
    uint16_t end; /* inclusive */
} RedisModuleSlotRange;

typedef struct RedisModuleSlotRangeArray {
    int32_t num_ranges;
    RedisModuleSlotRange ranges[];
} RedisModuleSlotRangeArray;

typedef struct RedisModuleClusterSlotMigrationInfo {
    uint64_t version;
    char source_node_id[REDISMODULE_NODE_ID_LEN + 1];
    char destination_node_id[REDISMODULE_NODE_ID_LEN + 1];
    const char *task_id;
    RedisModuleSlotRangeArray *slots;
} RedisModuleClusterSlotMigrationInfo;

typedef struct RedisModuleClusterSlotMigrationTrimInfo {
    uint64_t version;
    RedisModuleSlotRangeArray *slots;
} RedisModuleClusterSlotMigrationTrimInfo;

/* Why a request was refused, for the ACL log. */
typedef enum {
    REDISMODULE_ACL_LOG_AUTH,
    REDISMODULE_ACL_LOG_CMD,
    REDISMODULE_ACL_LOG_KEY,
    REDISMODULE_ACL_LOG_CHANNEL,
} RedisModuleACLLogEntryReason;

/* What kind of setting a name is (RedisModule_ConfigGetType). */
typedef enum {
    REDISMODULE_CONFIG_TYPE_STRING,
    REDISMODULE_CONFIG_TYPE_ENUM,
    REDISMODULE_CONFIG_TYPE_NUMERIC,
    REDISMODULE_CONFIG_TYPE_BOOL,
} RedisModuleConfigType;

/* ---- The events to subscribe to -------------------------------------------------------------- */

#define HELIOS_EVENT(name, number)                                                                 \
    static const RedisModuleEvent RedisModuleEvent_##name                                          \
        __attribute__((unused)) = {.id = (number), .dataver = 1}

HELIOS_EVENT(ReplicationRoleChanged, REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED);
HELIOS_EVENT(Persistence, REDISMODULE_EVENT_PERSISTENCE);
HELIOS_EVENT(FlushDB, REDISMODULE_EVENT_FLUSHDB);
HELIOS_EVENT(Loading, REDISMODULE_EVENT_LOADING);
HELIOS_EVENT(ClientChange, REDISMODULE_EVENT_CLIENT_CHANGE);
HELIOS_EVENT(Shutdown, REDISMODULE_EVENT_SHUTDOWN);
HELIOS_EVENT(ReplicaChange, REDISMODULE_EVENT_REPLICA_CHANGE);
HELIOS_EVENT(MasterLinkChange, REDISMODULE_EVENT_MASTER_LINK_CHANGE);
HELIOS_EVENT(CronLoop, REDISMODULE_EVENT_CRON_LOOP);
HELIOS_EVENT(ModuleChange, REDISMODULE_EVENT_MODULE_CHANGE);
HELIOS_EVENT(LoadingProgress, REDISMODULE_EVENT_LOADING_PROGRESS);
HELIOS_EVENT(SwapDB, REDISMODULE_EVENT_SWAPDB);
HELIOS_EVENT(ReplBackup, REDISMODULE_EVENT_REPL_BACKUP); /* never fired by anything recent */
HELIOS_EVENT(ForkChild, REDISMODULE_EVENT_FORK_CHILD);
HELIOS_EVENT(ReplAsyncLoad, REDISMODULE_EVENT_REPL_ASYNC_LOAD);
HELIOS_EVENT(EventLoop, REDISMODULE_EVENT_EVENTLOOP);
HELIOS_EVENT(Config, REDISMODULE_EVENT_CONFIG);
HELIOS_EVENT(Key, REDISMODULE_EVENT_KEY);
HELIOS_EVENT(ClusterSlotMigration, REDISMODULE_EVENT_CLUSTER_SLOT_MIGRATION);
HELIOS_EVENT(ClusterSlotMigrationTrim, REDISMODULE_EVENT_CLUSTER_SLOT_MIGRATION_TRIM);

#endif
