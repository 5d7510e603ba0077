/* world: the clock, chance and the open queue behind a command; the edge of the module. */
#ifndef WORLD_H
#define WORLD_H

#include "decide.h"
#include "helios/module.h"

/* One piece of work on one queue: open, decide, replicate. */
struct work {
    RedisModuleCtx *ctx;
    RedisModuleString *name; /* borrowed */
    RedisModuleKey *key;
    struct jobs_queue *queue; /* NULL when the key is empty and nothing was to be made */
    struct jobs_env env;
    struct hl_buf effects;
    uint64_t ready_before;
    uint64_t counters_before[JOBS_COUNTERS];
};

enum work_mode {
    WORK_EXISTING, /* an empty key stays empty */
    WORK_MAKE,     /* an empty key becomes a queue */
};

/* Open the queue for writing.  False, with nothing open, when the key is of another type. */
bool work_begin(struct work *work, RedisModuleCtx *ctx, RedisModuleString *name,
                enum work_mode mode);

/* Replicate what happened, wake who waits, remember the deadline, close. */
void work_end(struct work *work);

/* Milliseconds since the epoch, within the engine's range. */
int64_t world_now_ms(void);

/* `len` unguessable bytes; `ctx` is not used. */
void world_random(void *ctx, void *out, size_t len);

/* Whether the running command is part of a transaction or a script: jobs_env.frozen. */
bool world_is_frozen(RedisModuleCtx *ctx);

/* Whether this node decides about queues now: a master that has finished loading. */
bool world_may_decide(RedisModuleCtx *ctx);

/* Clients are paused for a failover or a shutdown: nothing may be replicated now. */
bool world_must_wait(void);

/* A slice of the string's bytes, borrowed as long as the string. */
struct hl_slice world_slice(const RedisModuleString *string);

/* Wake clients that wait for jobs of the queue. */
void world_signal(RedisModuleCtx *ctx, RedisModuleString *name);

/* Tell subscribers of keyspace events (class 'd', of modules) what happened to the queue. */
void world_notify(RedisModuleCtx *ctx, RedisModuleString *name, const char *event);

#endif
