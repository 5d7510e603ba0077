/* type: queues as values of keys. */
#ifndef JOBS_TYPE_H
#define JOBS_TYPE_H

#include "helios/module.h"
#include "queue.h"

/* What a queue's key holds. */
struct queue_value {
    struct jobs_queue *queue;
    struct queue_value *prev; /* all values of this process, for INFO: under type.c's lock */
    struct queue_value *next;
};

/* Register the data type; in OnLoad only.  REDISMODULE_ERR, having logged why, when refused. */
int type_register(RedisModuleCtx *ctx);

/* A new value around an empty queue; a key takes it with ModuleTypeSetValue(). */
struct queue_value *type_new_value(void);

/* The queue that the open key holds; NULL when it is empty or of another type (*wrong_type). */
struct jobs_queue *type_queue_of(RedisModuleKey *key, bool *wrong_type);

/* Make the empty open key hold a new queue, and return that; NULL when the key may not be written.
 */
struct jobs_queue *type_make_queue(RedisModuleKey *key);

/* Sums over all queues of the process. */
struct type_totals {
    uint64_t queues;
    uint64_t bytes;
    uint64_t count[JOBS_STATES];
    uint64_t counters[JOBS_COUNTERS];
};

/* Add the queues up.  O(queues). */
struct type_totals type_sum(void);

#endif
