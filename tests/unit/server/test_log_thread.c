/* Goal: the log's threads put batches in order, overlap their flushes when these are slow and only
 * then, give the results in order, never forget to wake the loop, and end with nothing lost.
 * Method: the real threads over a disk in memory whose flushes take time or fail; the test is the
 * loop and sleeps only when the threads let it.  Under ThreadSanitizer it proves more. */
#include "server/server.h"
#include "support/wal_fixture.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#define BATCHES 200
#define SLOW_US 2000
#define LONG_US 300000
#define WAIT_S 20 /* a wake-up that never comes fails the test */

struct bed {
    struct fake_disk *fake;
    struct hl_disk inner, disk;
    pthread_mutex_t lock; /* the fake disk is for one thread at a time */
    atomic_int slow_us;   /* how long a flush takes */
    atomic_int long_us;   /* how long the next one takes; 0: as all */
    atomic_int flushing;  /* now */
    atomic_int most;      /* at once */
    atomic_bool instant;  /* a flush stores nothing: copying takes long under a sanitizer */
    atomic_bool erratic;  /* three of eight flushes take no time */
    int flushes;
    atomic_int fail_in; /* so many flushes from now one fails; 0: none */
    sem_t wake;
    struct hl_wal *wal;
    struct hl_log_thread *threads;
    bool rests;
    hl_err err; /* the first that is not HL_OK */
    hl_index durable;
};

static struct bed bed;

static hl_err bed_open(void *ctx, const char *dir, const char *name, bool create, int *file,
                       struct hl_errmsg *msg)
{
    (void)ctx;
    pthread_mutex_lock(&bed.lock);
    hl_err err = bed.inner.open(bed.inner.ctx, dir, name, create, file, msg);
    pthread_mutex_unlock(&bed.lock);
    return err;
}

static hl_err bed_pwrite(void *ctx, int file, const void *bytes, size_t len, uint64_t offset,
                         struct hl_errmsg *msg)
{
    (void)ctx;
    pthread_mutex_lock(&bed.lock);
    hl_err err = bed.inner.pwrite(bed.inner.ctx, file, bytes, len, offset, msg);
    pthread_mutex_unlock(&bed.lock);
    return err;
}

static hl_err bed_fdatasync(void *ctx, int file, struct hl_errmsg *msg)
{
    (void)ctx;
    pthread_mutex_lock(&bed.lock);
    bool fails = atomic_load(&bed.fail_in) > 0 && atomic_fetch_sub(&bed.fail_in, 1) == 1;
    hl_err err = HL_OK;
    if (fails) {
        err = hl_fail(msg, HL_EIO, "bed: fdatasync failed");
    } else if (!atomic_load(&bed.instant)) {
        err = bed.inner.fdatasync(bed.inner.ctx, file, msg);
    }
    int now = atomic_fetch_add(&bed.flushing, 1) + 1;
    if (now > atomic_load(&bed.most)) {
        atomic_store(&bed.most, now);
    }
    bool quick = atomic_load(&bed.erratic) && bed.flushes++ % 8 < 3;
    pthread_mutex_unlock(&bed.lock);
    int long_us = atomic_exchange(&bed.long_us, 0);
    int pause_us = long_us != 0 ? long_us : quick ? 0 : atomic_load(&bed.slow_us);
    struct timespec pause = {.tv_nsec = (long)pause_us * 1000};
    if (pause.tv_nsec != 0) {
        (void)nanosleep(&pause, NULL);
    }
    atomic_fetch_sub(&bed.flushing, 1);
    return err;
}

static void wake(void *ctx)
{
    (void)ctx;
    (void)sem_post(&bed.wake);
}

static const struct hl_wal_options options = {.dir = "dir", .segment_size = 64 * 1024, .salt = 7};

static void set_up(void)
{
    bed.fake = fake_disk_create();
    bed.inner = bed.disk = fake_disk_seam(bed.fake);
    bed.disk.open = bed_open;
    bed.disk.pwrite = bed_pwrite;
    bed.disk.fdatasync = bed_fdatasync;
    pthread_mutex_init(&bed.lock, NULL);
    sem_init(&bed.wake, 0, 0);
    bed.wal = open_good(&bed.disk, &options);
    cr_assert_eq(append_synced(bed.wal, 1), HL_OK);
    bed.most = 0;
    bed.durable = hl_wal_durable(bed.wal);
    bed.threads = hl_log_thread_start(bed.wal, wake, NULL);
}

static void tear_down(void)
{
    hl_log_thread_destroy(bed.threads);
    hl_wal_close(bed.wal);
    cr_assert_eq(bed.fake->held, 0);
    fake_disk_destroy(bed.fake);
    sem_destroy(&bed.wake);
    pthread_mutex_destroy(&bed.lock);
}

TestSuite(log_thread, .init = set_up, .fini = tear_down);

/* Batches in flight, as the node holds them. */
static struct hl_wal_batch batches[HL_WAL_FLIGHTS_MAX];
static unsigned oldest;
static unsigned count;

static void take_results(void)
{
    hl_err err = HL_OK;
    struct hl_errmsg msg;
    while (hl_log_thread_result(bed.threads, &err, &msg)) {
        hl_wal_batch_done(bed.wal, &batches[oldest], err);
        if (err == HL_OK && bed.err == HL_OK) {
            cr_assert_eq(hl_wal_durable(bed.wal), batches[oldest].last, "in order");
        } else if (bed.err == HL_OK) {
            bed.err = err;
            bed.durable = hl_wal_durable(bed.wal);
        }
        oldest = (oldest + 1) % HL_WAL_FLIGHTS_MAX;
        count--;
    }
    bed.rests = hl_log_thread_resting(bed.threads);
}

static void kick(void)
{
    unsigned at = (oldest + count) % HL_WAL_FLIGHTS_MAX;
    if (bed.rests || count == HL_WAL_FLIGHTS_MAX || !hl_wal_batch_take(bed.wal, &batches[at])) {
        return;
    }
    count++;
    hl_log_thread_write(bed.threads, &batches[at]);
    bed.rests = hl_log_thread_resting(bed.threads);
}

/* The loop sleeps until a thread has something to say. */
static void sleep_until_told(void)
{
    bool expects = count > 0 || bed.rests;
    if (!expects || hl_log_thread_ask(bed.threads)) {
        return;
    }
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    cr_assert_eq(sem_timedwait(&bed.wake, &until), 0, "nobody woke the loop");
}

/* Hand over `wanted` batches of new entries, then wait for all that is appended. */
static void turn(int wanted)
{
    while (bed.err == HL_OK && (wanted > 0 || count > 0 || hl_wal_pending_size(bed.wal) > 0)) {
        hl_log_thread_unask(bed.threads);
        take_results();
        unsigned before = count;
        if (wanted > 0 && hl_wal_pending_size(bed.wal) < 4096) {
            append_one(bed.wal);
        }
        kick();
        wanted -= count > before;
        sleep_until_told();
    }
}

static void stop(void)
{
    hl_log_thread_stop(bed.threads);
    take_results();
    cr_assert_eq(count, 0);
}

Test(log_thread, slow_flushes_overlap_and_end_in_order)
{
    atomic_store(&bed.slow_us, SLOW_US);
    turn(BATCHES);
    stop();
    cr_assert_eq(bed.err, HL_OK);
    cr_assert_gt(bed.most, 2, "%d at once", bed.most);
    cr_assert_leq(bed.most, HL_WAL_FLIGHTS_MAX);
    cr_assert_eq(hl_wal_durable(bed.wal), hl_wal_last(bed.wal));
    check_all(bed.wal, NULL);
}

Test(log_thread, fast_flushes_do_not_and_slow_ones_may_become_fast)
{
    hl_wal_set_overlap(bed.wal, 1);
    turn(1);
    int before = bed.most;
    cr_assert_eq(before, 1);
    atomic_store(&bed.slow_us, SLOW_US);
    turn(BATCHES);
    cr_assert_gt(bed.most, 1);
    atomic_store(&bed.slow_us, 0);
    atomic_store(&bed.instant, true);
    int alone = 0; /* in a row: one that opens a segment is alone by itself */
    for (int rounds = 0; alone < 3 && rounds < 3000; rounds++) { /* a busy machine is never fast */
        turn(1);
        append_one(bed.wal);
        struct hl_wal_batch batch;
        cr_assert(hl_wal_batch_take(bed.wal, &batch));
        cr_assert_eq(hl_wal_batch_write(bed.wal, &batch, NULL), HL_OK);
        hl_wal_batch_done(bed.wal, &batch, HL_OK);
        alone = batch.shares ? 0 : alone + 1;
    }
    cr_assert_eq(alone, 3);
    stop();
}

Test(log_thread, flushes_that_are_slow_now_and_then_do_not_overlap)
{
    atomic_store(&bed.slow_us, SLOW_US);
    atomic_store(&bed.instant, true);
    atomic_store(&bed.erratic, true);
    turn(BATCHES);
    stop();
    cr_assert_eq(bed.most, 1, "%d at once", bed.most);
}

Test(log_thread, a_failed_flush_is_reported_before_those_that_came_after_it)
{
    atomic_store(&bed.slow_us, SLOW_US);
    turn(BATCHES / 4);
    cr_assert_gt(bed.most, 2);
    atomic_store(&bed.fail_in, 10);
    turn(BATCHES);
    stop();
    cr_assert_eq(bed.err, HL_EIO);
    cr_assert(hl_wal_is_poisoned(bed.wal));
    cr_assert_eq(hl_wal_durable(bed.wal), bed.durable, "nothing counts after it");
    cr_assert_lt(bed.durable, hl_wal_last(bed.wal));
}

Test(log_thread, stopping_finishes_what_is_in_flight)
{
    atomic_store(&bed.slow_us, SLOW_US);
    turn(BATCHES / 4);
    while (count < HL_WAL_FLIGHTS_MAX) {
        append_one(bed.wal);
        bed.rests = false; /* sooner than the loop would */
        kick();
    }
    stop();
    cr_assert_eq(bed.err, HL_OK);
    cr_assert_eq(hl_wal_durable(bed.wal), hl_wal_last(bed.wal));
}

/* Goal: who ends last does not make the others take its batch again.  Method: the flush of the
 * first batch of a full ring outlasts all others, so the threads that look for more find it. */
Test(log_thread, stopping_waits_for_a_flush_that_lasts, .timeout = WAIT_S)
{
    atomic_store(&bed.slow_us, SLOW_US);
    turn(BATCHES / 4);
    atomic_store(&bed.long_us, LONG_US);
    while (count < HL_WAL_FLIGHTS_MAX) {
        append_one(bed.wal);
        bed.rests = false;
        kick();
    }
    stop();
    cr_assert_eq(bed.err, HL_OK);
    cr_assert_eq(hl_wal_durable(bed.wal), hl_wal_last(bed.wal));
    check_all(bed.wal, NULL);
}

Test(log_thread, stopping_at_once_is_well_too)
{
    stop();
}
