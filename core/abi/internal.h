/* What the files of core/abi share: modules, contexts, strings, keys, replies of calls.
 *
 * Invariants:
 *   X1  the first word of every context is the address of hl_abi_get_api().
 *   X2  module code runs only between hl_ctx_init() and hl_ctx_fini() of some context, on the loop
 *       or under the lock, with hl_abi_current set.
 *   X3  an object made in a context is in its list of objects, or was given to the module: so that
 *       automatic memory frees each once.
 *   X4  a handle never keeps the address of an entry of the keyspace: it looks up by name each
 *       time, because whatever ran in between may have moved or deleted the entry.
 *   X5  all that a module owns is in lists of its struct hl_module or marked with it, and every
 *       file that keeps such things has a hl_<file>_drop() that unloading calls.
 */
#ifndef HL_ABI_INTERNAL_H
#define HL_ABI_INTERNAL_H

#include "abi/abi.h"
#include "abi/order.h"
#include "abi/services.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/metrics.h"
#include "command/args.h"
#include "command/command.h"
#include "helios/module_types.h"
#include "keyspace/keyspace.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/bytes.h"
#include "node/node.h"
#include "resp/reader.h"

#include <stdarg.h>
#include <stdatomic.h>

/* The prototypes: each function of the ABI is hl_rm_<Name>, of the type its public pointer has.
 * The pointers themselves belong to modules and do not exist here. */
#define HELIOS_API extern
#define HELIOS_PRINTF(fmt, args)
#include "helios/module_calls.h"
#include "helios/module_data.h"
#include "helios/module_server.h"

#include "helios/extensions.h"
#undef HELIOS_API
#define API(name, file, since) extern __typeof__(*RedisModule_##name) hl_rm_##name;
#include "abi/api.def"
#undef API
#define EXTENSION(name) extern __typeof__(*HeliosModule_##name) hl_hm_##name;
#include "abi/extensions.def"
#undef EXTENSION

#define HL_ABI_ARGS_MAX (1 << 20)     /* arguments of one call */
#define HL_ABI_POSTPONED_MAX 64       /* aggregates of unknown length inside one another */
#define HL_ABI_CALL_DEPTH_MAX 16      /* RM_Call within RM_Call */
#define HL_ABI_NAME_MAX 64            /* bytes of a module's name */
#define HL_ABI_STRING_MAX (512 << 20) /* bytes of a string value */
#define HL_TYPE_ENCODING_MAX 1023     /* of a data type's values: the low bits of its id */

/* ---- Strings (api_string.c) ---- */

struct RedisModuleString {
    atomic_uint refs;
    size_t len;
    size_t cap; /* of `ptr`, without the NUL; 0: the bytes are in `bytes` */
    char *ptr;  /* len bytes and a NUL */
    char bytes[];
};

/* A new string with one reference; the bytes are copied. */
RedisModuleString *hl_string_new(struct hl_slice bytes);

/* Take a reference; returns `str`. */
RedisModuleString *hl_string_ref(RedisModuleString *str);

/* Drop a reference; NULL does nothing. */
void hl_string_unref(RedisModuleString *str);

/* hl_string_unref() for lists of objects. */
void hl_string_end(void *str);

static inline struct hl_slice hl_string_slice(const RedisModuleString *str)
{
    return (struct hl_slice){.ptr = str->ptr, .len = str->len};
}

/* ---- Modules (loader.c) ---- */

struct hl_object_file;

struct hl_module {
    struct hl_list_node node; /* in abi->modules */
    struct hl_abi *abi;
    char *name; /* NULL until SetModuleAttribs */
    int version, apiver;
    char *path;
    char *asked;           /* the path as it was given to MODULE LOAD, RELOAD or loadmodule */
    bool configured;       /* the configuration file loads it */
    bool durable;          /* MODULE LOAD loaded it: part of the state (durable.c) */
    bool obsolete;         /* the state that is being made anew may do without it (durable.c) */
    struct hl_words order; /* how to load it again (order.h), while it is durable */
    RedisModuleString **argv;
    int argc;
    struct hl_object_file *object; /* NULL for a module that is linked in (tests) */
    bool loading;                  /* inside OnLoad: registrations are allowed */
    bool unloading;
    int options; /* REDISMODULE_OPTION(S)_* */
    uint32_t id; /* ever growing: tells a module from a later one at the same address */

    struct hl_list_node commands; /* struct RedisModuleCommand */
    struct hl_list_node types;    /* struct RedisModuleType */
    uint32_t blocked;             /* clients it blocks */
    uint32_t timers;              /* timers that run */
    uint32_t executing;           /* commands of its own clients that run (ext_execute.c) */
    atomic_uint contexts;         /* thread-safe contexts it holds */
    struct hl_list_node used;     /* struct hl_use: modules whose shared functions it uses */
    RedisModuleInfoFunc info;
    bool configs_pending; /* registered settings and did not call LoadConfigs yet */
};

/* A module without an object, in no list yet; ended by unloading. */
struct hl_module *hl_module_create(struct hl_abi *abi, const char *path,
                                   const struct hl_slice *argv, int argc);

/* hl_abi_load() as an order says it.  *out (may be NULL) is the module. */
HL_MUST_USE hl_err hl_module_load(struct hl_abi *abi, const struct hl_order *order,
                                  struct hl_module **out, struct hl_errmsg *msg);

/* Make a module of an object, which is given: run OnLoad, and check the conditions of the order.
 * Not in abi->modules yet.  On failure nothing of it is left, and the reason is logged. */
HL_MUST_USE hl_err hl_module_start(struct hl_abi *abi, struct hl_object_file *given_object,
                                   const struct hl_order *order, struct hl_module **out,
                                   struct hl_errmsg *msg);

/* Ask its OnUnload, when it has one; false when it refuses. */
bool hl_module_agrees_to_go(struct hl_module *module);

/* Remove everything that it registered, and end it.  It is in no list. */
void hl_module_end(struct hl_module *module);

/* Tell the other modules that it came or went. */
void hl_module_tell(struct hl_abi *abi, const char *name, int version, bool loaded);

/* A line for the log. */
void hl_module_log(struct hl_abi *abi, enum hl_abi_log level, const char *fmt, ...) HL_PRINTF(3, 4);

/* Why it cannot be unloaded now, or NULL; *passes when that may pass by itself. */
const char *hl_module_refusal(const struct hl_module *module, bool *passes);

/* Why its code, or a thread of it, may be running, or NULL. */
const char *hl_module_busy(const struct hl_module *module);

/* Unload it although its timers run. */
HL_MUST_USE hl_err hl_module_force_out(struct hl_module *module, struct hl_errmsg *msg);

/* The loaded module of that name, or NULL. */
struct hl_module *hl_module_find(struct hl_abi *abi, struct hl_slice name);

/* True while a thread of a module may still hand something over. */
bool hl_modules_busy(const struct hl_abi *abi);

/* The server ends: ask each module to stop, and let the code of those that do not stay mapped. */
void hl_modules_ask(struct hl_abi *abi);

/* End all modules, whatever they say. */
void hl_modules_end(struct hl_abi *abi);

/* The rows of MODULE (module_command.c). */
extern const struct hl_command_row hl_commands_module[];
extern const size_t hl_commands_module_count;

/* Whether another module uses what this one exports (api_export.c). */
bool hl_export_used(const struct hl_module *module);

/* ---- The whole (abi.c) ---- */

struct hl_abi {
    struct hl_node *node;           /* borrowed */
    struct hl_keyspace *ks;         /* the node's */
    struct hl_command_table *table; /* the node's */
    const struct hl_abi_services *services;
    struct hl_list_node modules;
    uint32_t next_module_id;

    /* Lists of the api_*.c files, of all modules; the structs in them are private to the file. */
    struct hl_list_node exports;      /* api_export.c */
    struct hl_list_node timers;       /* api_timer.c, by time */
    struct hl_list_node watches;      /* api_eventloop.c */
    struct hl_list_node listeners;    /* api_notify.c */
    struct hl_list_node jobs;         /* api_notify.c: to run after the unit */
    struct hl_list_node events;       /* api_event.c */
    struct hl_list_node configs;      /* api_config.c */
    struct hl_list_node filters;      /* api_filter.c */
    struct hl_list_node users;        /* api_acl.c: modules' own users */
    struct hl_list_node auths;        /* api_acl.c: authentication callbacks */
    struct hl_list_node user_changes; /* api_acl.c */
    struct hl_session *auth_decided; /* api_acl.c: its login is being run again, with this answer */
    enum hl_auth_answer auth_answer;
    struct hl_list_node commits;          /* ext_commit.c: by gate */
    struct hl_list_node executors;        /* ext_execute.c */
    struct hl_list_node executions_ready; /* ext_execute.c: calls that have something to do */
    struct hl_heap execution_waits;       /* ext_execute.c: calls by the end of their time */
    struct hl_list_node blocked;          /* api_block.c */
    uint64_t next_timer;
    const struct hl_abi_setting *settings; /* of the MODULE LOADEX that runs */
    int setting_count, settings_taken;
    bool reloading; /* a module is being swapped: settings that it has no more are let go */
    bool keys_ready, serving;                     /* api_block.c */
    int notify_depth;                             /* notifications being delivered, to stop loops */
    int call_depth;                               /* RM_Call within RM_Call */
    atomic_uint contexts;                         /* thread-safe contexts of no module */
    struct hl_inbox *inbox;                       /* inbox.c: what threads handed over */
    struct hl_session *caller;                    /* api_call.c: the session that calls run on */
    struct hl_frame *frame;                       /* unit.c */
    struct hl_list_node collectors;               /* ext_metrics.c */
    struct hl_list_node collecting, collect_next; /* ext_metrics.c: who waits for the round */
    struct hl_metrics_round collect_round;
    struct hl_metric_family *module_calls, *module_seconds; /* ext_metrics.c */
    struct hl_list_node aux_later; /* api_aux.c: globals that wait for the keys */
    RedisModuleString **filtered;  /* api_filter.c: the command that filters changed last */
    int filtered_count;
    struct hl_slice *filtered_slices;
    int frame_depth;
};

/* The ABI that module code runs in: for functions without a context (X2). */
extern struct hl_abi *hl_abi_current;

/* Release what unit.c keeps. */
void hl_frame_free(struct hl_abi *abi);

/* ---- Contexts (context.c) ---- */

#define HL_CTX_AUTO (1u << 0)     /* automatic memory */
#define HL_CTX_KEYS (1u << 1)     /* runs only to name its keys */
#define HL_CTX_CHANNELS (1u << 2) /* runs only to name its channels */
#define HL_CTX_REPLY (1u << 3)    /* the reply callback of a blocked client */
#define HL_CTX_TIMEOUT (1u << 4)  /* its timeout callback */
#define HL_CTX_GONE (1u << 5)     /* the client has left */
#define HL_CTX_THREAD (1u << 6)   /* thread-safe */
#define HL_CTX_UNIT (1u << 7)     /* began the running unit, and ends it */
#define HL_CTX_LOCKED (1u << 8)   /* thread-safe, and holds the lock */
#define HL_CTX_DETACHED (1u << 9) /* thread-safe, without a client */

/* Something that automatic memory ends. */
struct hl_object {
    void *ptr;
    void (*end)(void *ptr);
    RedisModuleCtx **back; /* the object's own pointer to the context, or NULL */
};

struct hl_pool_block {
    struct hl_pool_block *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

struct RedisModuleCtx {
    void *get_api; /* X1 */
    struct hl_abi *abi;
    struct hl_module *module;   /* NULL in OnLoad until SetModuleAttribs */
    struct hl_module *loading;  /* in OnLoad: the module to be */
    struct hl_call *call;       /* the command that runs; NULL in other callbacks */
    struct hl_session *session; /* the client it runs for; NULL: none */
    struct hl_writer *out;      /* where replies go; NULL: nowhere */
    int db;                     /* the database it works on */
    uint32_t flags;             /* HL_CTX_* */

    RedisModuleString **argv; /* of the command; owned by whoever made the context */
    int argc;

    struct hl_object *objects; /* X3 */
    size_t object_count, object_cap;
    struct hl_pool_block *pool;

    struct { /* aggregates whose length follows */
        struct hl_write_mark mark;
        enum hl_aggregate kind;
    } postponed[HL_ABI_POSTPONED_MAX];
    int postponed_count;

    struct hl_key_ref *refs; /* HL_CTX_KEYS: what it named */
    int ref_count;

    RedisModuleBlockedClient *blocked; /* in callbacks: whose; in a command: made by it */
    RedisModuleString *ready_key;      /* borrowed */
    const RedisModuleUser *user;       /* SetContextUser */
    struct hl_writer own_writer;       /* for contexts with a reply buffer of their own */
    struct hl_buf own_out;
};

/* Begin a context of `module` (may be NULL) on database 0, answering nobody. */
void hl_ctx_init(RedisModuleCtx *ctx, struct hl_abi *abi, struct hl_module *module);

/* End it: automatic objects are freed, open aggregates closed, pool and own buffers released. */
void hl_ctx_fini(RedisModuleCtx *ctx);

/* Note an object that `end` ends (ctx may be NULL: nothing is noted).  `back` (may be NULL) is set
 * to the context, and to NULL when the context is gone before the object. */
void hl_ctx_add(RedisModuleCtx *ctx, void *ptr, void (*end)(void *ptr), RedisModuleCtx **back);

/* Forget an object: true when it was noted. */
bool hl_ctx_forget(RedisModuleCtx *ctx, const void *ptr);

/* Frames (unit.h) that this thread is in: more than none means that it holds the lock. */
extern _Thread_local unsigned hl_frames_here;

/* False for a thread-safe context while the thread does not hold the lock, through this context or
 * another, or because it runs a callback: it may reply and log, no more. */
static inline bool hl_ctx_usable(const RedisModuleCtx *ctx)
{
    return (ctx->flags & (HL_CTX_THREAD | HL_CTX_LOCKED)) != HL_CTX_THREAD || hl_frames_here != 0;
}

/* The keyspace database of a context. */
struct hl_db *hl_ctx_db(const RedisModuleCtx *ctx);

/* ---- What threads hand over (inbox.c) ---- */

enum hl_mail { HL_MAIL_UNBLOCK, HL_MAIL_ONESHOT };

/* Hand something over to the loop and wake it.  Any thread. */
void hl_inbox_put(struct hl_abi *abi, enum hl_mail kind, void *ptr, void *argument);

/* Take the oldest; false when there is none. */
bool hl_inbox_take(struct hl_abi *abi, enum hl_mail *kind, void **ptr, void **argument);

/* Make it. */
void hl_inbox_init(struct hl_abi *abi);

/* End it with all that was not taken. */
void hl_inbox_fini(struct hl_abi *abi);

/* ---- What is due (api_timer.c, api_eventloop.c, api_block.c) ---- */

/* Run the timers that are due; the time of the next one, INT64_MAX when there is none. */
int64_t hl_timers_run(struct hl_abi *abi);

/* Run a function that was handed over. */
void hl_oneshot_run(struct hl_abi *abi, void *function, void *argument);

/* Answer a client that was unblocked. */
void hl_blocked_serve(struct hl_abi *abi, RedisModuleBlockedClient *bc);

/* The login that the handle of BlockClientOnAuth() is about. */
void hl_blocked_set_login(RedisModuleBlockedClient *bc, RedisModuleString *login,
                          RedisModuleString *password);

/* The command in `ctx` is over: a handle that it made forgets the context. */
void hl_blocked_command_over(RedisModuleCtx *ctx);

/* Where replies of a handle's thread-safe contexts gather. */
struct hl_buf *hl_blocked_thread_out(RedisModuleBlockedClient *bc, int *proto, int *db);

/* The module that blocked the client. */
struct hl_module *hl_blocked_module(RedisModuleBlockedClient *bc);

/* REDISMODULE_CTX_FLAGS_* that the node and the client give (api_client.c). */
int hl_client_flags(const RedisModuleCtx *ctx);

/* One array, as MODULE LIST answers. */
void hl_module_list(struct hl_abi *abi, struct hl_writer *out);

/* A key may be ready for clients that wait for it. */
void hl_blocked_key_ready(struct hl_abi *abi, int db, struct hl_slice key);

/* Any key of the database may be: it holds other keys than before. */
void hl_blocked_look(struct hl_abi *abi, int db);

/* Serve those that were noted. */
void hl_blocked_serve_ready(struct hl_abi *abi);

/* ---- Keys (api_key.c) ---- */

struct RedisModuleKey {
    RedisModuleCtx *ctx; /* NULL when no context made it */
    struct hl_abi *abi;
    RedisModuleString *name;
    int db;
    int mode;     /* REDISMODULE_READ, _WRITE, _OPEN_KEY_* */
    bool inert;   /* opened for writing where writing is refused: changes nothing */
    bool changed; /* a write function was called on it */
    bool given;   /* made by the server for a callback, which ends it */
};

/* The entry behind a handle, or NULL when the key is empty (X4). */
struct hl_entry *hl_key_entry(const RedisModuleKey *key);

/* The entry when it is of that type; NULL when it is empty or another (errno ENOTSUP then). */
struct hl_entry *hl_key_typed(const RedisModuleKey *key, enum hl_type type);

/* True when a write may be done through the handle. */
bool hl_key_writable(const RedisModuleKey *key);

/* The key's database and name. */
struct hl_db *hl_key_db(const RedisModuleKey *key);

/* A write was done: note it for the unit and, on closing, for watchers. */
void hl_key_changed(RedisModuleKey *key);

/* A handle for a callback, on the caller's memory; end it with hl_key_given_fini(). */
void hl_key_given_init(RedisModuleKey *key, struct hl_abi *abi, RedisModuleString *name, int db,
                       int mode);

/* End such a handle. */
void hl_key_given_fini(RedisModuleKey *key);

/* ---- Commands (api_command.c) ---- */

struct RedisModuleCommand {
    struct hl_list_node node; /* in module->commands */
    struct hl_module *module;
    RedisModuleCmdFunc run;
    struct hl_command_row row; /* registered; strings are owned */
    RedisModuleCommand *parent;
    bool getkeys_api, getchannels_api;
    bool described;   /* SetCommandInfo was called */
    char *strings[4]; /* copied by it: summary, complexity, since, tips */
    char *keywords[HL_KEY_SPECS_MAX];
};

/* Run the command of a module: the handler of all their rows. */
void hl_command_run_module(struct hl_call *call);

/* Release what SetCommandInfo copied. */
void hl_command_info_free(RedisModuleCommand *command);

/* The command of a module behind a table entry, or NULL when it is none of a module. */
RedisModuleCommand *hl_module_command_of(const struct hl_command *cmd);

/* ---- Data types (api_type.c) ---- */

struct RedisModuleType {
    struct hl_list_node node; /* in module->types */
    struct hl_module *module;
    uint64_t id; /* name and encver */
    char name[10];
    RedisModuleTypeMethods methods;
    size_t live; /* values in the keyspace */
};

struct RedisModuleKeyOptCtx {
    const RedisModuleString *from, *to;
    int from_db, to_db;
};

/* Free a value: the keyspace's hook. */
void hl_type_free_value(void *ctx, void *type, void *value);

/* Copy a value; NULL when its type cannot.  The copy counts as live. */
void *hl_type_copy_value(struct hl_abi *abi, void *type, void *value, struct hl_slice from,
                         struct hl_slice to);

/* Bytes that a value takes, as its type says; 0 when it does not say. */
size_t hl_type_memory(struct hl_abi *abi, void *type, const void *value, struct hl_slice key,
                      int db, size_t samples);

/* The nine letters of a type. */
const char *hl_type_name(void *type);

/* The type of that 64-bit id (encver ignored), or NULL. */
RedisModuleType *hl_type_by_id(struct hl_abi *abi, uint64_t id);

/* ---- Values as bytes (api_rdb.c) ---- */

struct RedisModuleIO {
    struct hl_abi *abi;
    RedisModuleType *type;
    RedisModuleCtx *ctx; /* made when asked for */
    RedisModuleCtx ctx_memory;
    const RedisModuleString *key; /* NULL for globals */
    int db;
    bool failed;
    struct hl_buf *out; /* saving */
    struct hl_slice in; /* loading */
    size_t at;
    bool emitting; /* aof_rewrite */
};

/* Begin a stream of one value. */
void hl_io_init(RedisModuleIO *io, struct hl_abi *abi, RedisModuleType *type,
                const RedisModuleString *key, int db);

/* End it. */
void hl_io_fini(RedisModuleIO *io);

/* Fill the table for DUMP, RESTORE and snapshots. */
void hl_rdb_fill(struct hl_abi *abi, struct hl_dump_modules *out);

/* ---- Replies of calls (api_callreply.c) ---- */

struct RedisModuleCallReply {
    RedisModuleCtx *ctx;        /* root: the context that made it, or NULL */
    RedisModuleCallReply *root; /* itself for the outermost */
    const struct hl_reply *value;
    RedisModuleCallReply *children;   /* count of them, made when asked for */
    RedisModuleCallReply *attributes; /* made when asked for */
    struct hl_buf bytes;              /* root: what value points into */
    struct hl_reply *tree;            /* root: owned */
    int proto;                        /* root: RESP version of the bytes */
};

/* A reply over `bytes`, which it takes; NULL when they are not one whole reply. */
RedisModuleCallReply *hl_callreply_new(RedisModuleCtx *ctx, struct hl_buf *bytes, int proto);

/* End an outermost reply, whatever the context. */
void hl_callreply_destroy(RedisModuleCallReply *reply);

/* ---- Formats of calls (api_format.c) ---- */

#define HL_FMT_REPLICATE (1u << 0)   /* ! */
#define HL_FMT_NO_AOF (1u << 1)      /* A */
#define HL_FMT_NO_REPLICAS (1u << 2) /* R */
#define HL_FMT_RESP3 (1u << 3)       /* 3 */
#define HL_FMT_RESP_AUTO (1u << 4)   /* 0 */
#define HL_FMT_USER (1u << 5)        /* C */
#define HL_FMT_SCRIPT (1u << 6)      /* S */
#define HL_FMT_NO_WRITES (1u << 7)   /* W */
#define HL_FMT_OOM (1u << 8)         /* M */
#define HL_FMT_ERRORS (1u << 9)      /* E */
#define HL_FMT_DRY_RUN (1u << 10)    /* D */
#define HL_FMT_BLOCK (1u << 11)      /* K */

/* Arguments of a command, as slices into memory that it owns. */
struct hl_fmt_args {
    struct hl_slice *argv;
    int argc;
    unsigned flags; /* HL_FMT_* */
    struct hl_buf bytes;
};

/* Read `fmt` and its arguments behind the name; false, nothing to end, when it is malformed. */
bool hl_fmt_read(struct hl_fmt_args *out, const char *name, const char *fmt, va_list args);

/* End what hl_fmt_read() made. */
void hl_fmt_fini(struct hl_fmt_args *args);

/* ---- INFO, shared functions, events, notifications, filters, globals ---- */

/* Append the modules' sections: one ("module" or "module_name"), or all for NULL. */
void hl_info_sections(struct hl_abi *abi, const struct hl_slice *section, struct hl_buf *out);

/* Append the lines of INFO modules. */
void hl_info_modules(struct hl_abi *abi, struct hl_buf *out);

/* Append the names of those who use the module, separated by '|'. */
void hl_export_print_users(const struct hl_module *module, struct hl_buf *out);

/* Append the names of those whom the module uses. */
void hl_export_print_used(const struct hl_module *module, struct hl_buf *out);

/* True when somebody listens to an event. */
bool hl_event_wanted(const struct hl_abi *abi, uint64_t id);

/* Tell one module of an event that has no data. */
void hl_event_tell(struct hl_module *module, uint64_t id, uint64_t subevent);

/* SWAPDB. */
void hl_event_swapped(struct hl_abi *abi, int a, int b);

/* node->hooks.flushed: FLUSHDB. */
void hl_event_flushed(void *ctx, int db, bool after);

/* node->hooks.loading: LOADING. */
void hl_event_loading(void *ctx, bool ended);

/* This node leads from now on, or does not any more. */
void hl_event_role(void *ctx, bool leads);

/* node->hooks.cron: CRON_LOOP. */
void hl_event_cron(void *ctx);

/* node->hooks.session_began: CLIENT_CHANGE. */
void hl_event_session_began(void *ctx, struct hl_session *session);

/* node->hooks.session_ended: CLIENT_CHANGE. */
void hl_event_session_ended(void *ctx, struct hl_session *session);

/* Fill what modules may know of a client; its version is set. */
void hl_client_info(const struct hl_session *session, RedisModuleClientInfo *info);

/* Let the keyspace tell what listeners want to hear. */
void hl_notify_mask(struct hl_abi *abi);

/* node->hooks.notify: keep it until the command is over. */
void hl_notify_happened(void *ctx, uint32_t classes, const char *event, int db,
                        struct hl_slice key);

/* node->hooks.settle: deliver what was kept, and run the jobs. */
void hl_notify_settle(void *ctx);

/* How many filters a module has. */
int hl_filter_count(const struct hl_module *module);

/* node->hooks.filter, hung in while there are filters. */
int hl_filter_run(void *ctx, struct hl_session *session, int argc, const struct hl_slice *in,
                  struct hl_slice **out);

/* Hang hl_filter_run() in or out. */
void hl_filter_hook(struct hl_abi *abi);

/* Forget the command that filters changed last. */
void hl_filter_release(struct hl_abi *abi);

/* A unit is over: what waits for its commit knows its gate now. */
void hl_commit_unit_ended(struct hl_abi *abi);

/* Call back those whose gate is committed. */
void hl_commit_run(struct hl_abi *abi);

/* What the module waits for. */
void hl_commit_drop(struct hl_module *module);

/* Does the module wait for a commit? */
bool hl_commit_waits(const struct hl_module *module);

/* What was executed and not committed is undone: forget who waited for that. */
void hl_commit_undone(struct hl_abi *abi);

/* ---- Commands for modules' clients (ext_execute.c) ---- */

/* Go on with what threads and the node told; when to be called again, as hl_timers_run(). */
int64_t hl_execute_run(struct hl_abi *abi);

/* True when hl_execute_run() has something to do now. */
bool hl_execute_is_due(const struct hl_abi *abi);

/* The server ends: end all calls, whose modules are not told, and take no more. */
void hl_execute_stop(struct hl_abi *abi);

/* The module's executors, of which no thread uses any. */
void hl_execute_drop(struct hl_module *module);

/* Release what no executor needs any more. */
void hl_execute_fini(struct hl_abi *abi);

/* Append lines of INFO modules. */
void hl_execute_info(struct hl_abi *abi, struct hl_buf *out);

/* ---- Metrics (ext_metrics.c) ---- */

/* Go on with collecting, a step; when to be called again, as hl_timers_run(). */
int64_t hl_metrics_run(struct hl_abi *abi);

/* Count what modules cost, when there are metrics. */
void hl_metrics_open(struct hl_abi *abi);

/* No more. */
void hl_metrics_close(struct hl_abi *abi);

/* The module's families, its collectors, and its waiting for others'. */
void hl_metrics_module_drop(struct hl_module *module);

/* Let snapshots carry modules' globals. */
void hl_aux_register(struct hl_abi *abi);

/* The snapshot is in: load the globals that waited for its keys, before the log behind it. */
void hl_aux_loaded(struct hl_abi *abi);

/* Append what one module's types save of their globals. */
void hl_aux_save(struct hl_module *module, struct hl_buf *out);

/* Load of that what belongs before or after the values (REDISMODULE_AUX_*).  HL_ECORRUPT,
 * HL_EINVAL. */
HL_MUST_USE hl_err hl_aux_load(struct hl_abi *abi, struct hl_slice rows, int when,
                               struct hl_errmsg *msg);

/* The digest of a value; false when its type has none. */
bool hl_digest_value(RedisModuleType *type, void *value, const RedisModuleString *key, int db,
                     uint64_t *out);

/* ---- Users (api_acl.c) ---- */

/* node->hooks.authenticate: ask the modules. */
enum hl_auth_answer hl_acl_authenticate(void *ctx, struct hl_call *call, struct hl_slice user,
                                        struct hl_slice password);

/* What a module answered by `result` and `err` for a session that was not authenticated when it was
 * asked. */
enum hl_auth_answer hl_acl_judge(struct hl_session *session, int result);

/* The session is no longer who it was: tell those who wanted to know. */
void hl_acl_user_changed(struct hl_abi *abi, const struct hl_session *session);

/* Whose rights calls that ask for them ("C") have; *known is false when there is nobody. */
const struct hl_user *hl_ctx_user(const RedisModuleCtx *ctx, bool *known);

/* Has it users of its own, or logged clients in that it watches? */
bool hl_acl_has_users(const struct hl_module *module);

/* Its users and authentication callbacks. */
void hl_acl_drop(struct hl_module *module);

/* ---- Dropping what a module owns (X5), in the order unloading calls them ---- */

/* Remove from the ABI what belongs to `module`: its commands. */
void hl_command_drop(struct hl_module *module);

/* Its data types, of which no value is left. */
void hl_type_drop(struct hl_module *module);

/* What it exported, and its uses of others. */
void hl_export_drop(struct hl_module *module);

/* Its timers. */
void hl_timer_drop(struct hl_module *module);

/* Its watches. */
void hl_eventloop_drop(struct hl_module *module);

/* Its subscriptions to keyspace notifications. */
void hl_notify_drop(struct hl_module *module);

/* Its subscriptions to server events. */
void hl_event_drop(struct hl_module *module);

/* The names and values of a module's settings, for hl_abi_setting. */
void hl_config_save(const struct hl_module *module, struct hl_words *out);

/* Its settings. */
void hl_config_drop(struct hl_module *module);

/* Its command filters. */
void hl_filter_drop(struct hl_module *module);

#endif
