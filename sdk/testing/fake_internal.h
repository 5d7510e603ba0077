/* The insides of the fake server, shared by its files only. */
#ifndef TESTING_FAKE_INTERNAL_H
#define TESTING_FAKE_INTERNAL_H

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/bytes.h"
#include "testing/fake.h"

#include <stdarg.h>

#define FAKE_ARGS_MAX 64
#define FAKE_ITEMS_MAX 256 /* commands, settings, types, timers, subscriptions: each */
#define FAKE_DEPTH_MAX 8   /* replies within replies */

struct RedisModuleString {
    int refs;
    char *ptr; /* len bytes and a NUL */
    size_t len;
    struct fake *fake;
};

/* A reply, whole; also what RedisModule_Call() returns. */
struct RedisModuleCallReply {
    int type;    /* REDISMODULE_REPLY_* */
    bool status; /* a string sent as a simple one */
    char *ptr;
    size_t len;
    char format[4];
    long long integer;
    double number;
    struct RedisModuleCallReply **items;
    size_t count;
    bool nested; /* owned by another reply */
};

struct fake_value {
    struct hl_slice name;
    int type; /* REDISMODULE_KEYTYPE_* */
    struct hl_buf string;
    struct RedisModuleType *module_type;
    void *value;
    mstime_t expire_at; /* absolute; REDISMODULE_NO_EXPIRE: never */
    struct fake_value *next;
};

struct RedisModuleKey {
    RedisModuleCtx *ctx;
    RedisModuleString *name;
    int mode;
};

struct RedisModuleType {
    char name[10];
    int encver;
    RedisModuleTypeMethods methods;
};

struct RedisModuleCommand {
    char *name;
    RedisModuleCmdFunc run;
    int first, last, step;
    bool getkeys_api;
    struct fake *fake;
};

struct RedisModuleIO {
    struct hl_buf bytes;
    size_t at;
    bool failed;
    struct fake *fake;
    RedisModuleCtx *ctx;
    RedisModuleString *key;
};

enum fake_object { FAKE_STRING, FAKE_KEY, FAKE_REPLY };

struct RedisModuleCtx {
    void *get_api; /* first, by ABI */
    struct fake *fake;
    bool automatic;
    struct {
        enum fake_object kind;
        void *ptr;
    } * objects;
    size_t object_count;
    void **pool;
    size_t pool_count;
    RedisModuleCallReply *reply; /* the outermost array; NULL until something is replied */
    struct {
        RedisModuleCallReply *reply;
        long left; /* -1: its length follows */
    } open[FAKE_DEPTH_MAX];
    int depth;
    RedisModuleString **argv;
    int argc;
    RedisModuleCommand *command;
    struct RedisModuleBlockedClient *blocked; /* made by this command */
    struct RedisModuleBlockedClient *serving; /* whose callback this is */
    bool timed_out;
    bool keys_request;
    struct hl_buf keys;
};

struct RedisModuleBlockedClient {
    struct fake *fake;
    RedisModuleCmdFunc reply, timeout;
    RedisModuleFreePrivdataFunc free_privdata;
    void *privdata;
    mstime_t deadline; /* 0: none */
    RedisModuleString **argv;
    int argc;
    bool unblocked, aborted, on_keys;
    struct RedisModuleBlockedClient *next;
};

struct fake_config {
    char *name;
    int kind; /* RedisModuleConfigType */
    unsigned flags;
    long long min, max, initial;
    char *initial_text;
    char **words;
    int *word_values;
    int word_count;
    void *get, *set;
    RedisModuleConfigApplyFunc apply;
    void *privdata;
};

struct fake_timer {
    RedisModuleTimerID id;
    mstime_t at;
    RedisModuleTimerProc run;
    void *data;
};

struct fake_pair {
    char *name;
    char *value; /* or, for shared functions, the pointer */
    void *ptr;
};

struct fake {
    char *module;
    mstime_t now_ms;
    uint64_t random;
    int flags;
    bool loading, configs_loaded;
    struct RedisModuleCommand *commands[FAKE_ITEMS_MAX];
    size_t command_count;
    struct RedisModuleType *types[FAKE_ITEMS_MAX];
    size_t type_count;
    struct fake_config configs[FAKE_ITEMS_MAX];
    size_t config_count;
    struct fake_timer timers[FAKE_ITEMS_MAX];
    size_t timer_count;
    RedisModuleTimerID next_timer;
    struct fake_pair presets[FAKE_ITEMS_MAX];
    size_t preset_count;
    struct fake_pair shared[FAKE_ITEMS_MAX];
    size_t shared_count;
    struct {
        uint64_t id;
        RedisModuleEventCallback run;
    } events[FAKE_ITEMS_MAX];
    size_t event_count;
    RedisModuleInfoFunc info;
    struct fake_value *values;
    struct RedisModuleBlockedClient *blocked;
    struct hl_buf reply_text, replicated, replicated_taken, logged, logged_taken, answer, info_text;
    struct hl_buf executed;
    struct fake_call *calls; /* fake_execute.c: oldest first */
    uint64_t next_call;
    int next_outcome;       /* of the next call, when next_error is not NULL */
    const char *next_error; /* borrowed */
    size_t live;
};

/* The fake that is in use: functions without a context need it (F3). */
extern struct fake *fake_current;

/* The address of a function of the ABI by its name without prefix, or NULL: one per file. */
void *fake_lookup_basic(const char *name);

/* As fake_lookup_basic(). */
void *fake_lookup_string(const char *name);

/* As fake_lookup_basic(). */
void *fake_lookup_reply(const char *name);

/* As fake_lookup_basic(). */
void *fake_lookup_key(const char *name);

/* As fake_lookup_basic(). */
void *fake_lookup_type(const char *name);

/* As fake_lookup_basic(). */
void *fake_lookup_server(const char *name);

/* As fake_lookup_basic(). */
void *fake_lookup_config(const char *name);

/* As fake_lookup_basic(). */
void *fake_lookup_dict(const char *name);

/* The same, for functions of Helios's own. */
void *fake_lookup_execute(const char *name);

/* One row of a table of functions, and the search in it. */
struct fake_row {
    const char *name;
    void *function;
};
#define FAKE_ROW(name)                                                                             \
    {                                                                                              \
#name, (void *)fake_##name                                                                 \
    }

/* The function of that name in `rows`, or NULL. */
void *fake_find(const struct fake_row *rows, size_t count, const char *name);

/* Begin and end a context. */
void fake_ctx_init(RedisModuleCtx *ctx, struct fake *fake);

/* End it: automatic objects are freed.  The reply is not: take it before. */
void fake_ctx_fini(RedisModuleCtx *ctx);

/* Note an object as made by `ctx` (NULL: by nobody). */
void fake_ctx_add(RedisModuleCtx *ctx, enum fake_object kind, void *ptr);

/* Forget an object; false when `ctx` does not know it. */
bool fake_ctx_remove(RedisModuleCtx *ctx, void *ptr);

/* A string with one reference, not noted anywhere. */
RedisModuleString *fake_string_new(struct fake *fake, const char *ptr, size_t len);

/* Drop a reference. */
void fake_string_unref(RedisModuleString *str);

/* End a whole reply; NULL is allowed. */
void fake_reply_free(RedisModuleCallReply *reply);

/* The only reply of a finished command, taken from the context; fails when there is not one. */
RedisModuleCallReply *fake_reply_take(RedisModuleCtx *ctx);

/* Append a reply as text. */
void fake_reply_print(struct hl_buf *out, const RedisModuleCallReply *reply);

/* Append bytes in double quotes, unprintable ones as \xNN. */
void fake_print_bytes(struct hl_buf *out, const char *ptr, size_t len);

/* Run a command; its reply, or NULL when it blocked or does not exist (errno ENOENT). */
RedisModuleCallReply *fake_execute(struct fake *fake, RedisModuleString **argv, int argc,
                                   bool *blocked);

/* Run a command of the server or the module; its reply, or NULL when it blocked or does not exist.
 */
RedisModuleCallReply *fake_call(struct fake *fake, RedisModuleString **argv, int argc);

/* A reply that is this error. */
RedisModuleCallReply *fake_error_reply(const char *text);

/* Build an argument vector from a format of RedisModule_Call(); -1 when it is malformed.  Each
 * string is owned by the caller. */
int fake_format(struct fake *fake, RedisModuleString **argv, const char *name, const char *fmt,
                va_list args, bool *replicate);

/* Note that a command goes to the log. */
void fake_replicate(struct fake *fake, RedisModuleString **argv, int argc);

/* The value of a key that has not expired, or NULL. */
struct fake_value *fake_value_find(struct fake *fake, struct hl_slice name);

/* Delete it, when there is one. */
bool fake_value_delete(struct fake *fake, struct hl_slice name);

/* Store a string value. */
void fake_value_set(struct fake *fake, struct hl_slice name, struct hl_slice bytes);

/* Release what belongs to settings, and print into a log. */
void fake_configs_free(struct fake *fake);

#endif
