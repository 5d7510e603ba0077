/* Descriptors that modules watch, and functions that the loop runs once. */
#include "abi/unit.h"

#include <errno.h>

struct watch {
    struct hl_list_node node; /* in abi->watches */
    struct hl_module *module; /* NULL: of whoever called without a context */
    int fd;
    int mask;
    RedisModuleEventLoopFunc func[2]; /* readable, writable */
    void *data[2];
};

#define MASK_ALL (REDISMODULE_EVENTLOOP_READABLE | REDISMODULE_EVENTLOOP_WRITABLE)

static struct watch *find(struct hl_abi *abi, int fd)
{
    HL_LIST_EACH(w, &abi->watches)
    {
        if (HL_LIST_ENTRY(w, struct watch, node)->fd == fd) {
            return HL_LIST_ENTRY(w, struct watch, node);
        }
    }
    return NULL;
}

static hl_err tell(struct hl_abi *abi, int fd, int mask)
{
    return abi->services->watch == NULL ? HL_EINVAL
                                        : abi->services->watch(abi->services->ctx, fd, mask);
}

int hl_rm_EventLoopAdd(int fd, int mask, RedisModuleEventLoopFunc func, void *user_data)
{
    struct hl_abi *abi = hl_abi_current;
    if (fd < 0 || func == NULL || mask == 0 || (mask & ~MASK_ALL) != 0) {
        errno = EINVAL;
        return REDISMODULE_ERR;
    }
    struct watch *watch = find(abi, fd);
    int before = watch == NULL ? 0 : watch->mask;
    if (tell(abi, fd, before | mask) != HL_OK) {
        errno = ERANGE;
        return REDISMODULE_ERR;
    }
    if (watch == NULL) {
        watch = hl_calloc(1, sizeof *watch);
        watch->fd = fd;
        hl_list_append(&abi->watches, &watch->node);
    }
    watch->mask |= mask;
    for (int i = 0; i < 2; i++) {
        if ((mask & 1 << i) != 0) {
            watch->func[i] = func;
            watch->data[i] = user_data;
        }
    }
    return REDISMODULE_OK;
}

int hl_rm_EventLoopDel(int fd, int mask)
{
    struct hl_abi *abi = hl_abi_current;
    if (fd < 0 || (mask & ~MASK_ALL) != 0) {
        errno = EINVAL;
        return REDISMODULE_ERR;
    }
    struct watch *watch = find(abi, fd);
    if (watch == NULL) {
        return REDISMODULE_OK;
    }
    watch->mask &= ~mask;
    (void)tell(abi, fd, watch->mask);
    if (watch->mask == 0) {
        hl_list_remove(&watch->node);
        hl_free(watch);
    }
    return REDISMODULE_OK;
}

/* Run a callback inside a frame, although it gets no context. */
static void in_frame(struct hl_abi *abi, void (*run)(void *arg), void *arg)
{
    RedisModuleCtx ctx;
    hl_ctx_init(&ctx, abi, NULL);
    hl_frame_begin(&ctx);
    run(arg);
    hl_ctx_fini(&ctx);
    (void)hl_frame_end(&ctx);
}

struct ready {
    RedisModuleEventLoopFunc func;
    int fd;
    void *data;
    int mask;
};

static void run_ready(void *arg)
{
    struct ready *ready = arg;
    ready->func(ready->fd, ready->data, ready->mask);
}

void hl_abi_fd_ready(struct hl_abi *abi, int fd, int mask)
{
    for (int i = 0; i < 2; i++) {
        struct watch *watch = find(abi, fd); /* again: the first callback may have ended it */
        if (watch != NULL && (watch->mask & mask & 1 << i) != 0) {
            struct ready ready = {watch->func[i], fd, watch->data[i], 1 << i};
            in_frame(abi, run_ready, &ready);
        }
    }
}

int hl_rm_EventLoopAddOneShot(RedisModuleEventLoopOneShotFunc func, void *user_data)
{
    if (func == NULL) {
        errno = EINVAL;
        return REDISMODULE_ERR;
    }
    hl_inbox_put(hl_abi_current, HL_MAIL_ONESHOT, (void *)func, user_data);
    return REDISMODULE_OK;
}

struct oneshot {
    RedisModuleEventLoopOneShotFunc func;
    void *data;
};

static void run_oneshot(void *arg)
{
    struct oneshot *oneshot = arg;
    oneshot->func(oneshot->data);
}

void hl_oneshot_run(struct hl_abi *abi, void *function, void *argument)
{
    struct oneshot oneshot = {(RedisModuleEventLoopOneShotFunc)function, argument};
    in_frame(abi, run_oneshot, &oneshot);
}

void hl_eventloop_drop(struct hl_module *module)
{
    (void)module; /* EventLoopAdd has no context, so no owner: the module ends its watches itself */
}
