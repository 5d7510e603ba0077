/* The log's own thread: the only place where the server waits for the disk. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/server.h"

#include <pthread.h>
#include <signal.h>

enum stage {
    IDLE,    /* nothing to do */
    WRITING, /* `batch` is the thread's */
    WRITTEN, /* `err` is the loop's */
};

struct hl_log_thread {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct hl_wal *wal;
    void (*done)(void *ctx);
    void *ctx;
    enum stage stage;
    bool stop;
    struct hl_wal_batch batch;
    hl_err err;
    struct hl_errmsg msg;
};

static void *run(void *arg)
{
    struct hl_log_thread *t = arg;
    pthread_mutex_lock(&t->mutex);
    for (;;) {
        while (t->stage != WRITING && !t->stop) {
            pthread_cond_wait(&t->work, &t->mutex);
        }
        if (t->stage != WRITING) {
            break;
        }
        struct hl_wal_batch batch = t->batch;
        pthread_mutex_unlock(&t->mutex);
        struct hl_errmsg msg = {0};
        hl_err err = hl_wal_batch_write(t->wal, &batch, &msg);
        pthread_mutex_lock(&t->mutex);
        t->err = err;
        t->msg = msg;
        t->stage = WRITTEN;
        t->done(t->ctx);
    }
    pthread_mutex_unlock(&t->mutex);
    return NULL;
}

struct hl_log_thread *hl_log_thread_start(struct hl_wal *wal, void (*done)(void *ctx), void *ctx)
{
    struct hl_log_thread *t = hl_calloc(1, sizeof *t);
    t->wal = wal;
    t->done = done;
    t->ctx = ctx;
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->work, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&t->thread, NULL, run, t);
    HL_ASSERT(rc == 0);
    (void)pthread_setname_np(t->thread, "log");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return t;
}

void hl_log_thread_write(struct hl_log_thread *t, const struct hl_wal_batch *batch)
{
    pthread_mutex_lock(&t->mutex);
    HL_ASSERT(t->stage == IDLE);
    t->batch = *batch;
    t->stage = WRITING;
    pthread_cond_signal(&t->work);
    pthread_mutex_unlock(&t->mutex);
}

bool hl_log_thread_result(struct hl_log_thread *t, hl_err *err, struct hl_errmsg *msg)
{
    pthread_mutex_lock(&t->mutex);
    bool written = t->stage == WRITTEN;
    if (written) {
        *err = t->err;
        *msg = t->msg;
        t->stage = IDLE;
    }
    pthread_mutex_unlock(&t->mutex);
    return written;
}

void hl_log_thread_stop(struct hl_log_thread *t)
{
    if (t == NULL) {
        return;
    }
    pthread_mutex_lock(&t->mutex);
    t->stop = true;
    pthread_cond_signal(&t->work);
    pthread_mutex_unlock(&t->mutex);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->work);
    pthread_mutex_destroy(&t->mutex);
    hl_free(t);
}
