/* A few threads and a bounded queue in front of them: where password hashes are computed. */
#ifndef AUTH_POOL_H
#define AUTH_POOL_H

#include "kit/err.h"

#include <stdbool.h>
#include <stddef.h>

#define POOL_THREADS_MAX 4
#define POOL_QUEUE_MAX 4096

/* Opaque: the threads and their queue. */
struct pool;

/* What a thread does with a job, which it then owns. */
typedef void (*pool_work)(void *job);

/* Start `threads` (1..POOL_THREADS_MAX) threads that run `work`.  The caller owns *out and ends
 * it with pool_destroy().  HL_EIO, with no thread left, when the system gives none. */
HL_MUST_USE hl_err pool_create(struct pool **out, int threads, pool_work work);

/* Queue `job`, which then belongs to the work.  False, the job still the caller's, when `queue_max`
 * (1..POOL_QUEUE_MAX) jobs are waiting. */
bool pool_submit(struct pool *pool, void *job, size_t queue_max);

/* Finish the jobs that wait, end the threads and free the pool; NULL does nothing. */
void pool_destroy(struct pool *pool);

#endif
