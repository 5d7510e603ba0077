#include "door.h"

#include "kit/assert.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static struct {
    HeliosModuleExecutor *executor;
    pthread_t thread;
    pthread_mutex_t calling; /* held while a thread is inside HeliosModule_Execute() (D2) */
    bool closing;            /* under `calling` */

    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t more;
    struct gw_work *first, **end;
    bool stopping, stopped;
} door = {.calling = PTHREAD_MUTEX_INITIALIZER,
          .mutex = PTHREAD_MUTEX_INITIALIZER,
          .more = PTHREAD_COND_INITIALIZER,
          .closing = true,
          .stopped = true};

/* All that waits, in order; NULL when the thread is to end and nothing waits. */
static struct gw_work *take(void)
{
    pthread_mutex_lock(&door.mutex);
    while (door.first == NULL && !door.stopping) {
        pthread_cond_wait(&door.more, &door.mutex);
    }
    struct gw_work *work = door.first;
    door.first = NULL;
    door.end = &door.first;
    door.stopped = work == NULL;
    pthread_mutex_unlock(&door.mutex);
    return work;
}

static void *serve(void *arg)
{
    (void)arg;
    for (struct gw_work *work = take(); work != NULL; work = take()) {
        while (work != NULL) {
            struct gw_work *next = work->next;
            work->run(work);
            work = next;
        }
    }
    return NULL;
}

bool gw_door_open(RedisModuleCtx *ctx)
{
    door.executor = HeliosModule_ExecutorOpen(ctx, NULL);
    if (door.executor == NULL) {
        RedisModule_Log(ctx, "warning", "cannot execute commands: %s", strerror(errno));
        return false;
    }
    door.first = NULL;
    door.end = &door.first;
    door.stopping = false;
    door.stopped = false;
    int failed = pthread_create(&door.thread, NULL, serve, NULL);
    if (failed != 0) {
        RedisModule_Log(ctx, "warning", "cannot start a thread: %s", strerror(failed));
        HeliosModule_ExecutorClose(door.executor);
        door.executor = NULL;
        door.stopped = true;
        return false;
    }
    door.closing = false;
    return true;
}

void gw_door_close(void)
{
    if (door.executor == NULL) {
        return;
    }
    pthread_mutex_lock(&door.calling);
    door.closing = true;
    pthread_mutex_unlock(&door.calling);
    HeliosModule_ExecutorClose(door.executor); /* the thread goes on meanwhile: D1 */
    door.executor = NULL;
    pthread_mutex_lock(&door.mutex);
    door.stopping = true;
    pthread_cond_signal(&door.more);
    pthread_mutex_unlock(&door.mutex);
    pthread_join(door.thread, NULL);
    HL_ASSERT(door.first == NULL);
}

bool gw_post(struct gw_work *work)
{
    pthread_mutex_lock(&door.mutex);
    bool taken = !door.stopped;
    if (taken) {
        work->next = NULL;
        if (door.first == NULL) {
            pthread_cond_signal(&door.more);
        }
        *door.end = work;
        door.end = &work->next;
    }
    pthread_mutex_unlock(&door.mutex);
    return taken;
}

uint64_t gw_execute(const HeliosModuleExecuteRequest *request)
{
    uint64_t call = 0;
    pthread_mutex_lock(&door.calling);
    if (door.closing) {
        errno = EPIPE;
    } else {
        call = HeliosModule_Execute(door.executor, request);
    }
    pthread_mutex_unlock(&door.calling);
    return call;
}

HeliosModuleExecuteStats gw_execute_stats(void)
{
    HeliosModuleExecuteStats stats = {.version = HELIOSMODULE_EXECUTE_VERSION};
    if (door.executor != NULL) {
        (void)HeliosModule_ExecutorStats(door.executor, &stats);
    }
    return stats;
}
