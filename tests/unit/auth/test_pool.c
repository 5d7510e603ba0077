/* Goal: every accepted job runs once, the bound holds, and ending the pool leaves nothing.
 * Method: jobs that wait at a gate of ours. */
#include "auth/pool.h"

#include <criterion/criterion.h>
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static int started, done;

static void work(void *job)
{
    pthread_mutex_lock(&lock);
    started++;
    pthread_cond_broadcast(&moved);
    while (!gate_open) {
        pthread_cond_wait(&moved, &lock);
    }
    ++*(int *)job;
    done++;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
}

static void wait_started(int count)
{
    pthread_mutex_lock(&lock);
    while (started < count) {
        pthread_cond_wait(&moved, &lock);
    }
    pthread_mutex_unlock(&lock);
}

static void open_gate(void)
{
    pthread_mutex_lock(&lock);
    gate_open = true;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
}

Test(pool, the_queue_is_bounded_and_a_refused_job_stays_ours)
{
    struct pool *pool = NULL;
    int jobs[6] = {0};
    cr_assert_eq(pool_create(&pool, 2, work), HL_OK);
    cr_assert(pool_submit(pool, &jobs[0], 3));
    cr_assert(pool_submit(pool, &jobs[1], 3));
    wait_started(2); /* both threads are busy, the queue is empty */
    cr_assert(pool_submit(pool, &jobs[2], 3));
    cr_assert(pool_submit(pool, &jobs[3], 3));
    cr_assert(pool_submit(pool, &jobs[4], 3));
    cr_assert_not(pool_submit(pool, &jobs[5], 3));
    open_gate();
    pool_destroy(pool); /* finishes what waits */
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(jobs[i], 1, "job %d", i);
    }
    cr_assert_eq(jobs[5], 0);
}

Test(pool, many_jobs_run_once_each)
{
    struct pool *pool = NULL;
    static int jobs[POOL_QUEUE_MAX * 3];
    open_gate();
    cr_assert_eq(pool_create(&pool, POOL_THREADS_MAX, work), HL_OK);
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0];) {
        i += pool_submit(pool, &jobs[i], POOL_QUEUE_MAX);
    }
    pool_destroy(pool);
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        cr_assert_eq(jobs[i], 1);
    }
    pool_destroy(NULL);
}
