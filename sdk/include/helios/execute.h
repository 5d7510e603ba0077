/* Commands for clients that the module serves itself: HTTP, WebSocket, a proxy's API.
 *
 * RedisModule_Call() runs a command here and now, on the server's thread, with nobody's rights;
 * what it changed may still be undone, and on a node that does not lead it cannot write.
 * HeliosModule_Execute() runs commands as if the module's client were connected to the server: from
 * any thread, with the rights of a user, on whatever node leads, and the answer comes only when it
 * can no longer be undone.
 *
 *   static void done(void *data, const HeliosModuleExecuteResult *result) { ... }  // on the
 * server's thread
 *   ...
 *   HeliosModuleExecutor *executor = HeliosModule_ExecutorOpen(ctx, NULL);         // in OnLoad
 *   ...
 *   HeliosModuleText get[] = {HELIOSMODULE_TEXT("GET"), {key, key_len}};
 *   HeliosModuleExecuteCommand command = {2, get};
 *   HeliosModuleExecuteRequest request = {
 *       .version = HELIOSMODULE_EXECUTE_VERSION, .commands = &command, .count = 1,
 *       .user = {name, name_len}, .done = done, .data = mine};
 *   uint64_t call = HeliosModule_Execute(executor, &request);                      // any thread
 *
 *   E1  Every call that HeliosModule_Execute() accepted is answered exactly once by `done`, sooner
 *       or later: by the command, by its time-out, by a cancel, by the executor's end.
 *   E2  `done` runs on the server's thread and stops all clients while it runs: take the reply, put
 *       it into a queue of your own, wake your own loop, return.
 *   E3  An outcome is never a guess: ANSWERED and NOT_EXECUTED are definite, whatever else is not
 *       known is UNKNOWN, and only NOT_EXECUTED is safe to send again when running twice would
 * harm. E4  Calls run side by side and end in any order.  What must be together is one request.
 */
#ifndef HELIOS_EXECUTE_H
#define HELIOS_EXECUTE_H

#include "helios/module_types.h"

#ifndef HELIOS_API
#define HELIOS_API __attribute__((weak, visibility("hidden")))
#endif

#define HELIOSMODULE_EXECUTE_VERSION 1

/* Bounds, and what a zero in a limit or request means. */
#define HELIOSMODULE_EXECUTE_CALLS_MAX 65536          /* calls under way that may be asked for */
#define HELIOSMODULE_EXECUTE_CALLS 4096               /* default */
#define HELIOSMODULE_EXECUTE_BYTES ((size_t)64 << 20) /* arguments of all calls under way */
#define HELIOSMODULE_EXECUTE_REPLY ((size_t)64 << 20) /* the reply of one call */
#define HELIOSMODULE_EXECUTE_COMMANDS_MAX 1024        /* commands of one call */
#define HELIOSMODULE_EXECUTE_TIMEOUT_MS 10000
#define HELIOSMODULE_EXECUTE_TIMEOUT_MS_MAX 86400000

/* How a call ended. */
#define HELIOSMODULE_EXECUTE_ANSWERED 0 /* it ran; the reply, perhaps an error, is its answer */
#define HELIOSMODULE_EXECUTE_NOT_EXECUTED                                                          \
    1                                  /* it did not and will not run, for a reason that may pass */
#define HELIOSMODULE_EXECUTE_UNKNOWN 2 /* it may have run, may be running, or may run yet */

/* Which state a command that only reads may show on a node that does not lead. */
#define HELIOSMODULE_READ_DEFAULT 0      /* as the setting follower-reads says */
#define HELIOSMODULE_READ_LINEARIZABLE 1 /* the newest */
#define HELIOSMODULE_READ_SESSION 2 /* not older than `read_value`, a token of an earlier result   \
                                     */
#define HELIOSMODULE_READ_BOUNDED 3 /* at most `read_value` milliseconds old */
#define HELIOSMODULE_READ_STALE 4   /* what this node has */

/* Bytes of any kind, not ended by NUL. */
typedef struct HeliosModuleText {
    const char *ptr;
    size_t len;
} HeliosModuleText;

/* The text of a string constant. */
#define HELIOSMODULE_TEXT(constant) ((HeliosModuleText){(constant), sizeof(constant) - 1})

/* One command: its name is the first argument. */
typedef struct HeliosModuleExecuteCommand {
    size_t argc;
    const HeliosModuleText *argv;
} HeliosModuleExecuteCommand;

typedef struct HeliosModuleExecuteResult {
    int outcome; /* HELIOSMODULE_EXECUTE_* */
    /* Never NULL, and given: end it with RedisModule_FreeCallReply(), on any thread; one thread at
     * a time may look at it with RedisModule_CallReply*().  Its bytes as they would go to a client:
     * RedisModule_CallReplyProto().  Of several commands: an array of their replies.  Of an outcome
     * that is not ANSWERED: an error that says why, for humans. */
    RedisModuleCallReply *reply;
    uint64_t token; /* state that the client has seen now, for HELIOSMODULE_READ_SESSION */
} HeliosModuleExecuteResult;

/* Called once when a call has ended (E1, E2). `result` is borrowed, its reply is given. */
typedef void (*HeliosModuleExecuteFunc)(void *data, const HeliosModuleExecuteResult *result);

/* What to execute.  All is copied before HeliosModule_Execute() returns; zeros are defaults. */
typedef struct HeliosModuleExecuteRequest {
    uint64_t version; /* HELIOSMODULE_EXECUTE_VERSION */
    const HeliosModuleExecuteCommand *commands;
    size_t count; /* of them; several are one transaction: all or none, nothing in between */
    /* The user of the server (ACL) whose rights the commands have.  A NULL pointer: no user; the
     * module vouches for what it sends, everything is allowed. */
    HeliosModuleText user;
    HeliosModuleText client; /* who asks, for MONITOR, SLOWLOG and ACL LOG: "http:10.0.0.7:4711" */
    /* Run once, however often it is sent: the id of a client session, 1 to 128 bytes, and the
     * number of the request in it, 1 or more (PROTOCOL: exactly once).  Not for several commands.
     */
    HeliosModuleText once;
    uint64_t once_seq;
    int database;
    int proto; /* 2 or 3 (default): the form of the reply */
    int read;  /* HELIOSMODULE_READ_* */
    uint64_t read_value;
    uint64_t timeout_ms; /* default HELIOSMODULE_EXECUTE_TIMEOUT_MS */
    HeliosModuleExecuteFunc done;
    void *data;
} HeliosModuleExecuteRequest;

/* What an executor may hold; zeros are defaults. */
typedef struct HeliosModuleExecuteLimits {
    uint64_t version; /* HELIOSMODULE_EXECUTE_VERSION */
    size_t calls;     /* under way at once */
    size_t bytes;     /* of their arguments together */
    size_t reply;     /* bytes of one reply */
} HeliosModuleExecuteLimits;

/* Counters of an executor, since it was opened. */
typedef struct HeliosModuleExecuteStats {
    uint64_t version; /* HELIOSMODULE_EXECUTE_VERSION, set by the caller */
    uint64_t under_way;
    uint64_t refused; /* not accepted: a limit */
    uint64_t answered, not_executed, unknown;
} HeliosModuleExecuteStats;

/* A door to the server for the module of `ctx`: as many as it likes, usually one, opened in OnLoad
 * or later on the server's thread.  NULL with errno EINVAL when a limit is out of range.  Calls of
 * executors that are left open when the module goes are not answered. */
typedef struct HeliosModuleExecutor HeliosModuleExecutor;
HELIOS_API
    HeliosModuleExecutor *(*HeliosModule_ExecutorOpen)(RedisModuleCtx *ctx,
                                                       const HeliosModuleExecuteLimits *limits);

/* End an executor, on the server's thread (OnUnload, the shutdown event), when no thread of the
 * module uses it any more: whatever is under way is answered before this returns. */
HELIOS_API void (*HeliosModule_ExecutorClose)(HeliosModuleExecutor *executor);

/*
 * Take a request and run it soon.  Any thread; never waits.
 *
 * Returns the number of the call, for HeliosModule_ExecuteCancel(), or 0, with nothing taken and
 * `done` never called:
 *   EAGAIN  the executor holds as much as it may: answer "busy", try later
 *   EINVAL  a field is out of range, a command has no name, or SEQ with several commands
 */
HELIOS_API uint64_t (*HeliosModule_Execute)(HeliosModuleExecutor *executor,
                                            const HeliosModuleExecuteRequest *request);

/* The client has gone: end the call soon, as its time-out would.  Any thread.  A call that has
 * ended already is left alone; `done` is or was called in every case (E1). */
HELIOS_API void (*HeliosModule_ExecuteCancel)(HeliosModuleExecutor *executor, uint64_t call);

/* Fill `stats`.  Any thread.  ERR when its version is not known. */
HELIOS_API int (*HeliosModule_ExecutorStats)(HeliosModuleExecutor *executor,
                                             HeliosModuleExecuteStats *stats);

#endif
