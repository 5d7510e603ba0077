/* Threads around a ring of jobs. */
#include "pool.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <pthread.h>
#include <signal.h>

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t more;
    pool_work work;
    bool closing;
    size_t first, count; /* of the ring; count <= POOL_QUEUE_MAX */
    void *ring[POOL_QUEUE_MAX];
    int threads;
    pthread_t thread[POOL_THREADS_MAX];
};

static void *run(void *arg)
{
    struct pool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->count == 0 && !pool->closing) {
            pthread_cond_wait(&pool->more, &pool->lock);
        }
        if (pool->count == 0) {
            break;
        }
        void *job = pool->ring[pool->first];
        pool->first = (pool->first + 1) % POOL_QUEUE_MAX;
        pool->count--;
        pthread_mutex_unlock(&pool->lock);
        pool->work(job);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

hl_err pool_create(struct pool **out, int threads, pool_work work)
{
    HL_ASSERT(threads >= 1 && threads <= POOL_THREADS_MAX);
    struct pool *pool = hl_calloc(1, sizeof *pool);
    pool->work = work;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->more, NULL);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the server's */
    while (pool->threads < threads &&
           pthread_create(&pool->thread[pool->threads], NULL, run, pool) == 0) {
        pool->threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pool->threads < threads) {
        pool_destroy(pool);
        return HL_EIO;
    }
    *out = pool;
    return HL_OK;
}

bool pool_submit(struct pool *pool, void *job, size_t queue_max)
{
    HL_ASSERT(job != NULL);
    HL_ASSERT(queue_max >= 1 && queue_max <= POOL_QUEUE_MAX);
    pthread_mutex_lock(&pool->lock);
    HL_ASSERT(!pool->closing);
    bool fits = pool->count < queue_max;
    if (fits) {
        pool->ring[(pool->first + pool->count++) % POOL_QUEUE_MAX] = job;
        pthread_cond_signal(&pool->more);
    }
    pthread_mutex_unlock(&pool->lock);
    return fits;
}

void pool_destroy(struct pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->more);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->threads; i++) {
        pthread_join(pool->thread[i], NULL);
    }
    HL_ASSERT(pool->count == 0);
    pthread_cond_destroy(&pool->more);
    pthread_mutex_destroy(&pool->lock);
    hl_free(pool);
}
