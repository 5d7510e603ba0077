/* Goal: the loop may append, read, truncate and drop while the log thread writes.
 * Method: both for real, over the real disk; run under ThreadSanitizer it proves more. */
#include "server/disk_posix.h"
#include "support/wal_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUNDS 400

static char dir[64];

static void remove_name(void *arg, const char *name)
{
    (void)arg;
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
}

struct thread {
    pthread_t id;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct hl_wal *wal;
    struct hl_wal_batch batch;
    bool has_work, is_done, ends;
    hl_err err;
};

static void *write_batches(void *arg)
{
    struct thread *thread = arg;
    pthread_mutex_lock(&thread->lock);
    for (;;) {
        while (!thread->has_work && !thread->ends) {
            pthread_cond_wait(&thread->changed, &thread->lock);
        }
        if (!thread->has_work) {
            break;
        }
        thread->has_work = false;
        pthread_mutex_unlock(&thread->lock);
        hl_err err = hl_wal_batch_write(thread->wal, &thread->batch, NULL);
        pthread_mutex_lock(&thread->lock);
        thread->err = err;
        thread->is_done = true;
        pthread_cond_broadcast(&thread->changed);
    }
    pthread_mutex_unlock(&thread->lock);
    return NULL;
}

/* What the loop does in one turn while a batch may be in flight. */
static void turn(struct hl_wal *wal, struct reading *reading, int round)
{
    hl_term term = 1 + (hl_term)round / 50;
    for (int i = 0; i < round % 7; i++) {
        hl_index index = hl_wal_last(wal) + 1;
        if (index < 512) {
            reading->terms[index] = term;
            append_in(wal, term);
        }
    }
    hl_index last = hl_wal_last(wal);
    if (round % 50 == 49 && last > hl_wal_meta(wal)->base + 5) {
        hl_index from = last - 4;
        cr_assert_eq(hl_wal_truncate_from(wal, from > hl_wal_meta(wal)->base ? from : last, NULL),
                     HL_OK);
    }
    if (round % 90 == 89 && hl_wal_durable(wal) > 10) {
        hl_wal_drop_before(wal, hl_wal_durable(wal) - 5, 1);
    }
    if (round % 5 == 0) {
        check_all(wal, reading);
    }
}

Test(wal_threads, the_loop_works_on_while_the_log_thread_writes)
{
    snprintf(dir, sizeof dir, "/tmp/helios-wal-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    struct hl_wal_options options = {.segment_size = SEGMENT_SIZE, .salt = 1};
    options.dir = dir;
    struct hl_wal *wal = open_good(hl_disk_posix(), &options);
    struct thread thread = {.wal = wal};
    pthread_mutex_init(&thread.lock, NULL);
    pthread_cond_init(&thread.changed, NULL);
    cr_assert_eq(pthread_create(&thread.id, NULL, write_batches, &thread), 0);
    static struct reading reading;
    bool in_flight = false;
    int overlaps = 0;
    for (int round = 0; round < ROUNDS; round++) {
        turn(wal, &reading, round);
        pthread_mutex_lock(&thread.lock);
        while (in_flight && round % 3 == 0 && !thread.is_done) {
            pthread_cond_wait(&thread.changed, &thread.lock);
        }
        if (in_flight && thread.is_done) {
            thread.is_done = in_flight = false;
            cr_assert_eq(thread.err, HL_OK);
            hl_wal_batch_done(wal, &thread.batch, thread.err);
        }
        overlaps += in_flight;
        if (!in_flight && hl_wal_batch_take(wal, &thread.batch)) {
            in_flight = thread.has_work = true;
            pthread_cond_broadcast(&thread.changed);
        }
        pthread_mutex_unlock(&thread.lock);
    }
    pthread_mutex_lock(&thread.lock);
    while (in_flight && !thread.is_done) {
        pthread_cond_wait(&thread.changed, &thread.lock);
    }
    thread.ends = true;
    pthread_cond_broadcast(&thread.changed);
    pthread_mutex_unlock(&thread.lock);
    pthread_join(thread.id, NULL);
    if (in_flight) {
        hl_wal_batch_done(wal, &thread.batch, thread.err);
    }
    cr_assert_gt(overlaps, 0, "the two never ran at the same time");
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    check_all(wal, &reading);
    hl_index last = hl_wal_last(wal);
    hl_wal_close(wal);
    wal = open_good(hl_disk_posix(), &options);
    cr_assert_eq(hl_wal_last(wal), last);
    check_all(wal, &reading);
    hl_wal_close(wal);
    cr_assert_eq(hl_disk_posix()->list(NULL, dir, remove_name, NULL, NULL), HL_OK);
    rmdir(dir);
}
