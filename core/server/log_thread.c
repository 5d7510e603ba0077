/* The log's own thread: the only place where the server waits for the disk.
 *
 * Loop and thread pass one batch back and forth without a lock: with one, the loop that was woken
 * while the thread still held it slept again at once, and both often share a processor.
 *
 * Invariants:
 *   H1  `batch` is the thread's while stage is WRITING; `err` and `msg` are the loop's while it is
 *       WRITTEN.  Only the loop leaves IDLE and WRITTEN, only the thread leaves WRITING.
 *   H2  once the loop has asked (hl_log_thread_ask()), either it saw the result there, or `done`
 *       is called: each side writes its own word before it reads the other's.
 *   H3  `resting` is set before its batch is WRITTEN, and `done` is called after it is cleared.
 *
 * Why rest.  A slow flush releases many clients at once, and their next requests arrive within a
 * fraction of it.  A batch that began with the first of them would make the others wait for all of
 * that flush and then for their own: two groups of clients that take turns, at half the speed.
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/server.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#define REST_AFTER_US 1000 /* a flush that takes longer is worth gathering for */
#define REST_PART 4        /* how much of the flush the rest takes */
#define REST_MAX_US 2000

enum stage {
    IDLE,    /* nothing to do */
    WRITING, /* `batch` is the thread's */
    WRITTEN, /* `err` is the loop's */
};

struct hl_log_thread {
    pthread_t thread;
    sem_t work; /* raised for each batch, and to stop */
    struct hl_wal *wal;
    void (*done)(void *ctx);
    void *ctx;
    _Atomic enum stage stage;
    atomic_bool asked;   /* the loop is about to sleep: call `done` */
    atomic_bool resting; /* H3 */
    atomic_bool stop;
    struct hl_wal_batch batch;
    hl_err err;
    struct hl_errmsg msg;
};

static void wait_for_work(struct hl_log_thread *t)
{
    while (sem_wait(&t->work) != 0) {
        HL_ASSERT(errno == EINTR);
    }
}

static uint64_t clock_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void rest(struct hl_log_thread *t, uint64_t us)
{
    us = us < REST_MAX_US ? us : REST_MAX_US;
    struct timespec wait = {.tv_nsec = (long)us * 1000};
    (void)nanosleep(&wait, NULL);
    atomic_store(&t->resting, false);
    t->done(t->ctx); /* H3 */
}

static void *run(void *arg)
{
    struct hl_log_thread *t = arg;
    for (;;) {
        wait_for_work(t);
        if (atomic_load(&t->stage) != WRITING) {
            HL_ASSERT(atomic_load(&t->stop));
            return NULL;
        }
        t->msg.text[0] = '\0';
        uint64_t start_us = clock_us();
        t->err = hl_wal_batch_write(t->wal, &t->batch, &t->msg);
        uint64_t took_us = clock_us() - start_us;
        atomic_store(&t->resting, took_us > REST_AFTER_US);
        atomic_store(&t->stage, WRITTEN); /* H1 */
        if (atomic_exchange(&t->asked, false)) {
            t->done(t->ctx); /* H2 */
        }
        if (took_us > REST_AFTER_US) {
            rest(t, took_us / REST_PART);
        }
    }
}

struct hl_log_thread *hl_log_thread_start(struct hl_wal *wal, void (*done)(void *ctx), void *ctx)
{
    struct hl_log_thread *t = hl_calloc(1, sizeof *t);
    t->wal = wal;
    t->done = done;
    t->ctx = ctx;
    int rc = sem_init(&t->work, 0, 0);
    HL_ASSERT(rc == 0);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&t->thread, NULL, run, t);
    HL_ASSERT(rc == 0);
    (void)pthread_setname_np(t->thread, "log");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return t;
}

void hl_log_thread_write(struct hl_log_thread *t, const struct hl_wal_batch *batch)
{
    HL_ASSERT(atomic_load(&t->stage) == IDLE);
    t->batch = *batch;
    atomic_store(&t->stage, WRITING);
    (void)sem_post(&t->work);
}

bool hl_log_thread_ask(struct hl_log_thread *t)
{
    atomic_store(&t->asked, true); /* H2 */
    return atomic_load(&t->stage) == WRITTEN;
}

void hl_log_thread_unask(struct hl_log_thread *t)
{
    atomic_store_explicit(&t->asked, false, memory_order_relaxed);
}

bool hl_log_thread_result(struct hl_log_thread *t, hl_err *err, struct hl_errmsg *msg)
{
    if (atomic_load(&t->stage) != WRITTEN) {
        return false;
    }
    *err = t->err;
    *msg = t->msg;
    atomic_store_explicit(&t->stage, IDLE, memory_order_relaxed);
    return true;
}

bool hl_log_thread_resting(struct hl_log_thread *t)
{
    return atomic_load(&t->resting);
}

bool hl_log_thread_stop(struct hl_log_thread *t, hl_err *err, struct hl_errmsg *msg)
{
    if (t == NULL) {
        return false;
    }
    atomic_store(&t->stop, true);
    (void)sem_post(&t->work);
    pthread_join(t->thread, NULL);
    bool written = hl_log_thread_result(t, err, msg);
    (void)sem_destroy(&t->work);
    hl_free(t);
    return written;
}
