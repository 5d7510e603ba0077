/* The log's own threads: the only place where the server waits for the disk.
 *
 * The loop hands batches over in a ring, and takes the results in the same order, without a lock:
 * with one, the loop that was woken while the thread still held it slept again at once, and both
 * often share a processor.
 *
 * One thread is enough for a disk that flushes at once.  On a slow one a batch that arrives during
 * a flush would wait for the rest of it and then for its own, and so would all replies behind it on
 * its connection.  So there batches overlap: each of several threads puts the next batch into the
 * file, passes the *baton* on, and flushes while the others do the same.
 *
 * Why rest.  Several flushes that begin one right after the other end so too, and who comes then
 * finds none to join for a whole flush.  So a batch begins no sooner after the one before than the
 * time of a flush divided by how many may fly: they stay spread, and each gathers more.
 *
 * Invariants:
 *   H1  a flight's batch is the threads' while its stage is GIVEN or WRITING; `err`, `msg` and
 *       `took_us` are the loop's while it is WRITTEN.  Only the loop leaves IDLE and WRITTEN, only
 *       a thread leaves GIVEN, with the baton, and WRITING.
 *   H2  once the loop has asked (hl_log_thread_ask()), either it saw there what it waits for, or
 *       `done` is called: each side writes its own word before it reads the other's.
 *   H3  who holds the baton alone takes flights and puts batches, in the order of the ring.  It is
 *       passed on during a sync only by a batch that shares.
 *   H4  `rest_until_us` is set by the loop and cleared by who holds the baton.
 */
#include "base/metrics.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/server.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#define FLIGHTS HL_WAL_FLIGHTS_MAX
#define SLOW_US 300 /* flushes that take longer overlap, */
#define FAST_US 200 /* until they take less again */
#define REST_MAX_US 2000
#define WINDOW 32    /* flushes that are judged together: see learn() */
#define EXCEPTIONS 4 /* of them say nothing */
#define SMOOTHING 4  /* a flush counts for a quarter of the average */

enum stage {
    IDLE,    /* nothing to do */
    GIVEN,   /* `batch` is the threads' */
    WRITING, /* one of them has it */
    WRITTEN, /* `err` is the loop's */
};

struct flight {
    _Atomic enum stage stage;
    struct hl_wal_batch batch;
    hl_err err;
    struct hl_errmsg msg;
    uint64_t took_us; /* its sync; 0: there was none */
};

struct hl_log_thread {
    struct hl_wal *wal;
    void (*done)(void *ctx);
    void *ctx;
    struct flight flights[FLIGHTS];
    atomic_bool asked; /* the loop is about to sleep: call `done` */
    atomic_bool stop;
    _Atomic uint64_t rest_until_us; /* H4; 0: no rest */
    sem_t work;                     /* raised for each batch, and to stop */
    pthread_mutex_t baton;
    unsigned next; /* flight that the baton's holder takes */

    /* The loop's. */
    pthread_t threads[FLIGHTS];
    unsigned thread_count;
    unsigned oldest, count; /* of flights */
    bool rests;             /* what it was told last of `rest_until_us` */
    bool slow;              /* flushes overlap */
    unsigned judged;        /* flushes of this window, */
    unsigned contrary;      /* and how many of them were not as `slow` says */
    uint64_t flush_us;      /* average */
    struct hl_metric *sync_seconds;
};

static uint64_t clock_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void wake_loop(struct hl_log_thread *t)
{
    if (atomic_exchange(&t->asked, false)) {
        t->done(t->ctx); /* H2 */
    }
}

/* Wait until the next batch may begin.  With the baton. */
static void rest(struct hl_log_thread *t)
{
    uint64_t until_us = atomic_load(&t->rest_until_us);
    if (until_us == 0) {
        return;
    }
    struct timespec until = {.tv_sec = (time_t)(until_us / 1000000),
                             .tv_nsec = (long)(until_us % 1000000) * 1000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    atomic_store(&t->rest_until_us, 0);
    wake_loop(t);
}

/* The next batch, or NULL when the thread is to end.  With the baton. */
static struct flight *take_flight(struct hl_log_thread *t)
{
    rest(t);
    while (sem_wait(&t->work) != 0) {
        HL_ASSERT(errno == EINTR);
    }
    struct flight *flight = &t->flights[t->next];
    if (atomic_load(&flight->stage) != GIVEN) { /* in a full ring another may still have it */
        HL_ASSERT(atomic_load(&t->stop));
        (void)sem_post(&t->work); /* for the others */
        return NULL;
    }
    atomic_store(&flight->stage, WRITING);
    t->next = (t->next + 1) % FLIGHTS;
    return flight;
}

static void *run(void *arg)
{
    struct hl_log_thread *t = arg;
    pthread_mutex_lock(&t->baton);
    struct flight *flight = NULL;
    while ((flight = take_flight(t)) != NULL) {
        bool passes = flight->batch.shares;
        flight->msg.text[0] = '\0';
        flight->took_us = 0;
        flight->err = hl_wal_batch_put(t->wal, &flight->batch, &flight->msg);
        if (passes) {
            pthread_mutex_unlock(&t->baton); /* H3 */
        }
        if (flight->err == HL_OK) {
            uint64_t start_us = clock_us();
            flight->err = hl_wal_batch_sync(t->wal, &flight->batch, &flight->msg);
            flight->took_us = clock_us() - start_us + 1; /* one that took no time counts, too */
        }
        atomic_store(&flight->stage, WRITTEN); /* H1 */
        wake_loop(t);
        if (passes) {
            pthread_mutex_lock(&t->baton);
        }
    }
    pthread_mutex_unlock(&t->baton);
    return NULL;
}

/* False when the system has no thread for us. */
static bool add_thread(struct hl_log_thread *t)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&t->threads[t->thread_count], NULL, run, t);
    if (rc == 0) {
        (void)pthread_setname_np(t->threads[t->thread_count], "log");
        t->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0;
}

struct hl_log_thread *hl_log_thread_start(struct hl_wal *wal, void (*done)(void *ctx), void *ctx)
{
    struct hl_log_thread *t = hl_calloc(1, sizeof *t);
    t->wal = wal;
    t->done = done;
    t->ctx = ctx;
    int rc = sem_init(&t->work, 0, 0);
    HL_ASSERT(rc == 0);
    rc = pthread_mutex_init(&t->baton, NULL);
    HL_ASSERT(rc == 0);
    bool added = add_thread(t);
    HL_ASSERT(added);
    return t;
}

void hl_log_thread_measure(struct hl_log_thread *t, struct hl_metric *sync_seconds)
{
    t->sync_seconds = sync_seconds;
}

void hl_log_thread_write(struct hl_log_thread *t, const struct hl_wal_batch *batch)
{
    HL_ASSERT(t->count < FLIGHTS);
    struct flight *flight = &t->flights[(t->oldest + t->count) % FLIGHTS];
    HL_ASSERT(atomic_load(&flight->stage) == IDLE);
    flight->batch = *batch;
    t->count++;
    if (batch->shares) {
        if (t->thread_count <= t->count && t->thread_count < FLIGHTS) {
            (void)add_thread(t); /* without it they wait for each other, as on a fast disk */
        }
        uint64_t gap_us = t->flush_us / FLIGHTS;
        atomic_store(&t->rest_until_us,
                     clock_us() + (gap_us < REST_MAX_US ? gap_us : REST_MAX_US)); /* H4 */
        t->rests = true;
    }
    atomic_store(&flight->stage, GIVEN);
    (void)sem_post(&t->work);
}

static bool has_result(struct hl_log_thread *t)
{
    return t->count > 0 && atomic_load(&t->flights[t->oldest].stage) == WRITTEN;
}

bool hl_log_thread_ask(struct hl_log_thread *t)
{
    atomic_store(&t->asked, true); /* H2 */
    return has_result(t) || (t->rests && atomic_load(&t->rest_until_us) == 0);
}

void hl_log_thread_unask(struct hl_log_thread *t)
{
    atomic_store_explicit(&t->asked, false, memory_order_relaxed);
}

/*
 * Decide anew whether flushes overlap.  What is measured holds the time until the thread was given
 * a processor again, too: on a busy one many flushes look slow whatever the disk does.  But then
 * some do not, and on a slow disk nearly all do.
 */
static void learn(struct hl_log_thread *t, uint64_t took_us)
{
    t->flush_us = (t->flush_us * (SMOOTHING - 1) + took_us) / SMOOTHING;
    t->contrary += t->slow ? took_us < FAST_US : took_us > SLOW_US;
    if (++t->judged < WINDOW) {
        return;
    }
    unsigned enough = t->slow ? EXCEPTIONS : WINDOW - EXCEPTIONS;
    if (t->contrary > enough) {
        t->slow = !t->slow;
        hl_wal_set_overlap(t->wal, t->slow ? FLIGHTS : 1);
    }
    t->judged = 0;
    t->contrary = 0;
}

bool hl_log_thread_result(struct hl_log_thread *t, hl_err *err, struct hl_errmsg *msg)
{
    if (!has_result(t)) {
        return false;
    }
    struct flight *flight = &t->flights[t->oldest];
    *err = flight->err;
    *msg = flight->msg;
    if (flight->took_us > 0) {
        learn(t, flight->took_us);
        hl_metric_observe(t->sync_seconds, (double)(flight->took_us - 1) / 1e6);
    }
    atomic_store_explicit(&flight->stage, IDLE, memory_order_relaxed);
    t->oldest = (t->oldest + 1) % FLIGHTS;
    t->count--;
    return true;
}

bool hl_log_thread_resting(struct hl_log_thread *t)
{
    t->rests = atomic_load(&t->rest_until_us) != 0;
    return t->rests;
}

void hl_log_thread_stop(struct hl_log_thread *t)
{
    atomic_store(&t->stop, true);
    (void)sem_post(&t->work);
    for (unsigned i = 0; i < t->thread_count; i++) {
        pthread_join(t->threads[i], NULL);
    }
}

void hl_log_thread_destroy(struct hl_log_thread *t)
{
    if (t == NULL) {
        return;
    }
    (void)sem_destroy(&t->work);
    (void)pthread_mutex_destroy(&t->baton);
    hl_free(t);
}
