/* Commands: one row each, and everything that the row drives.
 *
 * A row (struct hl_command_row) is written beside its handler, in the cmd_*.c of its family, and
 * feeds dispatch, arity, key extraction, ACL categories, COMMAND INFO/DOCS and docs/commands.md.
 * Families that need sessions live in core/node, those that need the machine in core/server, module
 * commands in core/abi: each registers its rows in the one table.
 *
 * Invariants:
 *   C1  a handler replies exactly once (one reply value, or an attribute and one), whatever
 * happens. C2  a handler that changed something says so with hl_call_modified() or call->changes,
 * or records effects of its own: what it changed is covered by what is logged. C3  a handler reads
 * time only from call->now_ms and randomness only from call->rng.
 */
#ifndef HL_COMMAND_COMMAND_H
#define HL_COMMAND_COMMAND_H

#include "keyspace/keyspace.h"
#include "resp/writer.h"

#include <stdbool.h>
#include <stdint.h>

/* Flags of a command; the words are those of COMMAND INFO. */
#define HL_CMD_WRITE (1u << 0)
#define HL_CMD_READONLY (1u << 1)
#define HL_CMD_DENYOOM (1u << 2)
#define HL_CMD_MODULE (1u << 3)
#define HL_CMD_ADMIN (1u << 4)
#define HL_CMD_PUBSUB (1u << 5)
#define HL_CMD_NOSCRIPT (1u << 6)
#define HL_CMD_BLOCKING (1u << 7)
#define HL_CMD_LOADING (1u << 8)
#define HL_CMD_STALE (1u << 9)
#define HL_CMD_SKIP_MONITOR (1u << 10)
#define HL_CMD_SKIP_SLOWLOG (1u << 11)
#define HL_CMD_FAST (1u << 12)
#define HL_CMD_NO_AUTH (1u << 13)
#define HL_CMD_MAY_REPLICATE (1u << 14)
#define HL_CMD_NO_MULTI (1u << 15)
#define HL_CMD_MOVABLE_KEYS (1u << 16)
#define HL_CMD_ALLOW_BUSY (1u << 17)
#define HL_CMD_NO_ASYNC_LOADING (1u << 18)
#define HL_CMD_NO_MANDATORY_KEYS (1u << 19)
#define HL_CMD_GETKEYS_API (1u << 20)
/* Reads or writes the whole keyspace: its reply waits for every entry executed so far. */
#define HL_CMD_WHOLE_KEYSPACE (1u << 24)
/* The gate is decided by the keys looked up; without it a module command waits for every entry. */
#define HL_CMD_KEY_PRECISE (1u << 25)
/* Arguments hold secrets: never shown by MONITOR, SLOWLOG or an error. */
#define HL_CMD_SENSITIVE (1u << 26)
/* Runs at once inside MULTI instead of being queued. */
#define HL_CMD_RUNS_IN_MULTI (1u << 27)
/* Changes what is logged beside the keys: runs where writes run. */
#define HL_CMD_LOGGED (1u << 28)
/* Runs where the leader is, although it writes nothing: it prepares or guards writes. */
#define HL_CMD_AT_LEADER (1u << 29)

/* ACL categories, in the order ACL CAT prints them. */
#define HL_ACL_KEYSPACE (1u << 0)
#define HL_ACL_READ (1u << 1)
#define HL_ACL_WRITE (1u << 2)
#define HL_ACL_SET (1u << 3)
#define HL_ACL_SORTEDSET (1u << 4)
#define HL_ACL_LIST (1u << 5)
#define HL_ACL_HASH (1u << 6)
#define HL_ACL_STRING (1u << 7)
#define HL_ACL_BITMAP (1u << 8)
#define HL_ACL_HYPERLOGLOG (1u << 9)
#define HL_ACL_GEO (1u << 10)
#define HL_ACL_STREAM (1u << 11)
#define HL_ACL_PUBSUB (1u << 12)
#define HL_ACL_ADMIN (1u << 13)
#define HL_ACL_FAST (1u << 14)
#define HL_ACL_SLOW (1u << 15)
#define HL_ACL_BLOCKING (1u << 16)
#define HL_ACL_DANGEROUS (1u << 17)
#define HL_ACL_CONNECTION (1u << 18)
#define HL_ACL_TRANSACTION (1u << 19)
#define HL_ACL_SCRIPTING (1u << 20)

/* Flags of a key argument; the words are those of COMMAND INFO's key specifications. */
#define HL_KEY_RO (1u << 0)
#define HL_KEY_RW (1u << 1)
#define HL_KEY_OW (1u << 2)
#define HL_KEY_RM (1u << 3)
#define HL_KEY_ACCESS (1u << 4)
#define HL_KEY_UPDATE (1u << 5)
#define HL_KEY_INSERT (1u << 6)
#define HL_KEY_DELETE (1u << 7)
#define HL_KEY_NOT_KEY (1u << 8)
#define HL_KEY_INCOMPLETE (1u << 9)
#define HL_KEY_VARIABLE_FLAGS (1u << 10)

/* Where keys stand among the arguments (argv[0] is the command name).  A spec with `flags` 0 ends
 * the list. */
struct hl_key_spec {
    uint32_t flags;      /* HL_KEY_* */
    const char *keyword; /* begin after this word, searched from argv[first] on; NULL: at `first` */
    int first;           /* index of the first key; negative counts from the end */
    int last;            /* relative to the first key; -1 is the last argument, -2 the one before */
    int step;            /* distance between keys, 1 or more */
    int keynum;          /* > 0: `last` is unused; argv[first] counts the keys, which follow */
};

#define HL_KEY_SPECS_MAX 4

struct hl_call;
typedef void hl_command_fn(struct hl_call *call);

/* One key found among the arguments. */
struct hl_key_ref {
    int index;      /* into argv */
    uint32_t flags; /* HL_KEY_* */
};

/* Finds keys where specs cannot: appends to `refs` (room for argc), returns the count or -1 when
 * the arguments are malformed. */
typedef int hl_getkeys_fn(const struct hl_slice *argv, int argc, struct hl_key_ref *refs);

/* The constant description of a command or subcommand.  All strings live as long as the table. */
struct hl_command_row {
    const char *name;   /* lower case; a subcommand is "parent|sub" */
    hl_command_fn *run; /* NULL for a container that only has subcommands */
    int arity;          /* argc, the name included; negative: at least */
    uint32_t flags;     /* HL_CMD_* */
    uint32_t acl;       /* HL_ACL_*; READ, WRITE, FAST and SLOW follow from flags when left out */
    struct hl_key_spec keys[HL_KEY_SPECS_MAX];
    hl_getkeys_fn *getkeys; /* NULL: the specs say it all */
    const char *group;      /* "string", "hash", "generic", "server", … */
    const char *since;      /* version of Redis that first had it, or of Helios */
    const char *complexity; /* "O(1)" */
    const char *summary;    /* one line, our words */
    const char
        *args; /* grammar of the arguments, see docs.h: "key value [NX|XX] [EX seconds:int]" */
    const char *tips; /* comma-separated command tips, or NULL */
};

/* A registered command.  `row` is constant; the counters are the owner's to reset. */
struct hl_command {
    const struct hl_command_row *row;
    hl_command_fn *run;
    int arity;
    uint32_t flags;
    uint32_t acl;
    uint32_t id;               /* dense from 0, stable while registered: index into ACL bitmaps */
    struct hl_command *parent; /* of a subcommand, else NULL */
    struct hl_command **subs;  /* of a container */
    uint32_t sub_count;
    void *owner; /* the module command behind it, else NULL */
    uint64_t calls, usec, rejected, failed;
    void *histogram; /* latency histogram, filled by core/node; NULL until first used */
};

#define HL_COMMANDS_MAX 4096    /* ids: bounds ACL bitmaps */
#define HL_COMMAND_NAME_MAX 128 /* bytes of "parent|sub" */

struct hl_command_table;

/* An empty table; the caller owns it. */
struct hl_command_table *hl_command_table_create(void);

/* Release the table and all its commands.  NULL is allowed. */
void hl_command_table_destroy(struct hl_command_table *table);

/*
 * Register `count` rows, which must live as long as they are registered; containers before their
 * subcommands.  HL_EBUSY when a name is taken, HL_ELIMIT past HL_COMMANDS_MAX: the rows before the
 * offending one stay registered.
 */
HL_MUST_USE hl_err hl_command_register(struct hl_command_table *table,
                                       const struct hl_command_row *rows, size_t count);

/* Remove a command and its subcommands; false when there is none of that name. */
bool hl_command_unregister(struct hl_command_table *table, const char *name);

/* Increases with every registration or removal: caches of commands compare it. */
uint64_t hl_command_table_epoch(const struct hl_command_table *table);

/* Find by name, any case; "parent|sub" finds a subcommand.  NULL when missing. */
struct hl_command *hl_command_find(const struct hl_command_table *table, struct hl_slice name);

/* Find the subcommand of `parent` named `sub`, any case.  NULL when missing. */
struct hl_command *hl_command_find_sub(const struct hl_command *parent, struct hl_slice sub);

/* The command of a request: a container's subcommand when argv[1] names one, the container itself
 * when it does not (its run is NULL or handles it).  NULL when argv[0] is unknown. */
struct hl_command *hl_command_of(const struct hl_command_table *table, const struct hl_slice *argv,
                                 int argc);

/* The command with this id, or NULL; ids run below hl_command_id_end(). */
struct hl_command *hl_command_by_id(const struct hl_command_table *table, uint32_t id);

/* One more than the highest id in use. */
uint32_t hl_command_id_end(const struct hl_command_table *table);

/* Number of commands without subcommands. */
size_t hl_command_count(const struct hl_command_table *table);

/* True when argc satisfies the command's arity. */
static inline bool hl_command_arity_ok(const struct hl_command *cmd, int argc)
{
    return cmd->arity >= 0 ? argc == cmd->arity : argc >= -cmd->arity;
}

/* Find the keys of a request: fills `refs` (room for argc) and returns their number, 0 when the
 * command has none, -1 when the arguments are malformed. */
int hl_command_keys(const struct hl_command *cmd, const struct hl_slice *argv, int argc,
                    struct hl_key_ref *refs);

/* The flags of a key of hl_command_keys() as this request uses it, where that depends on options:
 * SET reads only with GET, BITFIELD writes only with something other than GET. */
uint32_t hl_command_key_use(const struct hl_command *cmd, const struct hl_slice *argv, int argc,
                            uint32_t flags);

/* --- executing -------------------------------------------------------------------------------- */

/* How a call came to be; bits of hl_call.flags. */
#define HL_CALL_REPLICATED (1u << 0) /* applying a logged effect: no expiry, no ACL, no limits */
#define HL_CALL_MULTI (1u << 1)      /* inside EXEC */
#define HL_CALL_NESTED (1u << 2)     /* made by a module or script */
#define HL_CALL_DENY_BLOCK (1u << 3) /* must not block the caller */

/* What the layer above does for handlers. */
struct hl_call_services {
    void *ctx;
    /* Record an effect of the running unit (already rewritten; argv borrowed for the call). */
    void (*effect)(void *ctx, int db, int argc, const struct hl_slice *argv);
    /* A key became ready for blocked clients. */
    void (*ready)(void *ctx, int db, struct hl_slice key);
    /* Value encodings of module types, for DUMP, RESTORE and digests. */
    const struct hl_dump_modules *modules;
    /* A copy of a module value for COPY, or NULL when its type cannot. */
    void *(*module_copy)(void *ctx, void *type, void *value, struct hl_slice from,
                         struct hl_slice to);
    /* Bytes of a module value beside its entry, for MEMORY USAGE; `samples` of its elements are
     * looked at, 0: all. */
    size_t (*module_memory)(void *ctx, void *type, const void *value, struct hl_slice key, int db,
                            size_t samples);
    /* The table the running command came from, for COMMAND. */
    const struct hl_command_table *commands;
    /* True when a module of this name registered the command.  May be NULL. */
    bool (*command_is_of)(void *ctx, const struct hl_command *cmd, struct hl_slice module);
    /* The nine-letter name of a module type, for TYPE. */
    const char *(*module_type_name)(void *ctx, void *type);
};

/* One execution of one command.  Lives on the stack of the executor. */
struct hl_call {
    struct hl_command *cmd;
    int argc;
    const struct hl_slice *argv; /* borrowed until the handler returns */
    struct hl_keyspace *ks;
    struct hl_db *db;      /* the session's database */
    struct hl_writer *out; /* where the reply goes */
    int64_t now_ms;        /* time of the unit */
    struct hl_rng *rng;    /* randomness of a leader's decisions; never used when replicated */
    uint32_t flags;        /* HL_CALL_* */
    uint64_t changes;      /* raised by the handler: > 0 logs the request verbatim unless … */
    bool effects_own;      /* … the handler recorded effects itself, or chose to log nothing */
    bool failed;           /* the reply is an error; set by hl_reply_error() through the writer */
    struct hl_session *session; /* the caller (core/node); NULL when there is none */
    struct hl_node *node;       /* core/node; opaque here */
    const struct hl_call_services *services;
};

/* The caller changed `key`: counts one change, raises its gate, wakes watchers, and tells listeners
 * of `classes` about `event`.  For keys changed in place; hl_db_* functions raise the gate already
 * and calling both is harmless. */
void hl_call_modified(struct hl_call *call, uint32_t classes, const char *event,
                      struct hl_slice key);

/* Log these arguments instead of the request; may be called several times, in order. */
void hl_call_effect(struct hl_call *call, int argc, const struct hl_slice *argv);

/* Log nothing for this call although it changed something (the change is not part of the state). */
void hl_call_effect_none(struct hl_call *call);

/* --- families of core/command ------------------------------------------------------------------
 */

/* Register the families of this folder: strings, hashes, lists, keys, COMMAND. */
HL_MUST_USE hl_err hl_command_register_all(struct hl_command_table *table);

extern const struct hl_command_row hl_commands_string[];
extern const size_t hl_commands_string_count;
extern const struct hl_command_row hl_commands_number[];
extern const size_t hl_commands_number_count;
extern const struct hl_command_row hl_commands_hash[];
extern const size_t hl_commands_hash_count;
extern const struct hl_command_row hl_commands_list[];
extern const size_t hl_commands_list_count;
extern const struct hl_command_row hl_commands_keys[];
extern const size_t hl_commands_keys_count;
extern const struct hl_command_row hl_commands_expire[];
extern const size_t hl_commands_expire_count;
extern const struct hl_command_row hl_commands_dump[];
extern const size_t hl_commands_dump_count;
extern const struct hl_command_row hl_commands_command[];
extern const size_t hl_commands_command_count;

#endif
