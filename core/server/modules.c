/* The services of the module ABI on libuv, and the lock.
 *
 * Invariants:
 *   D1  the loop's thread holds the lock whenever it runs anything but a poll.
 *   D2  the lock goes to waiters in the order they came (tickets), so neither a busy loop nor a
 *       busy thread starves the other.
 */
#include "server/modules.h"

#include "abi/abi.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/config.h"
#include "server/info.h"
#include "server/memory.h"
#include "server/run.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

struct lock {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t next, serving; /* tickets: equal when nobody has it */
};

/* A descriptor that a module watches. */
struct watched {
    uv_poll_t poll;
    struct hl_list_node node;
    struct hl_modules *modules;
    int fd;
};

struct hl_modules {
    struct hl_server *server;
    struct hl_abi *abi;
    struct hl_abi_services services;
    struct lock lock;
    uv_async_t wake;
    uv_timer_t timer;
    struct hl_list_node watches;
    char *path;
    atomic_bool stopped;
};

/* --- the lock --------------------------------------------------------------------------------- */

static void lock_take(struct lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
    uint64_t ticket = lock->next++;
    while (lock->serving != ticket) {
        pthread_cond_wait(&lock->changed, &lock->mutex);
    }
    pthread_mutex_unlock(&lock->mutex);
}

static bool lock_try(struct lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
    bool free = lock->serving == lock->next;
    if (free) {
        lock->next++;
    }
    pthread_mutex_unlock(&lock->mutex);
    return free;
}

static void lock_give(struct lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
    HL_ASSERT(lock->serving < lock->next);
    lock->serving++;
    pthread_cond_broadcast(&lock->changed);
    pthread_mutex_unlock(&lock->mutex);
}

static bool lock_is_wanted(struct lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
    bool wanted = lock->next - lock->serving > 1;
    pthread_mutex_unlock(&lock->mutex);
    return wanted;
}

static void service_lock(void *ctx)
{
    lock_take(&((struct hl_modules *)ctx)->lock);
}

static bool service_try_lock(void *ctx)
{
    return lock_try(&((struct hl_modules *)ctx)->lock);
}

static void service_unlock(void *ctx)
{
    lock_give(&((struct hl_modules *)ctx)->lock);
}

/* --- the other services ----------------------------------------------------------------------- */

static int64_t clock_us(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t service_wall_us(void *ctx)
{
    (void)ctx;
    return clock_us(CLOCK_REALTIME);
}

static int64_t service_monotonic_us(void *ctx)
{
    (void)ctx;
    return clock_us(CLOCK_MONOTONIC);
}

static void service_entropy(void *ctx, void *out, size_t len)
{
    (void)ctx;
    char *at = out;
    while (len != 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
}

static void service_log(void *ctx, enum hl_abi_log level, const char *text)
{
    hl_run_log(((struct hl_modules *)ctx)->server, (int)level, text);
}

static void service_wake(void *ctx)
{
    struct hl_modules *modules = ctx;
    if (!atomic_load(&modules->stopped)) { /* a thread may come late, when the loop is gone */
        (void)uv_async_send(&modules->wake);
    }
}

static void on_watched(uv_poll_t *poll, int status, int events)
{
    struct watched *watched = poll->data;
    struct hl_modules *modules = watched->modules;
    hl_server_enter(modules->server);
    int mask = 0;
    /* UV_READABLE and UV_WRITABLE are the ABI's bits too; an error is for whoever reads next. */
    mask |= (events & UV_READABLE) != 0 || status < 0 ? 1 : 0;
    mask |= (events & UV_WRITABLE) != 0 ? 2 : 0;
    hl_abi_fd_ready(modules->abi, watched->fd, mask);
}

static void free_watched(uv_handle_t *handle)
{
    hl_free(handle->data);
}

static hl_err service_watch(void *ctx, int fd, int mask)
{
    struct hl_modules *modules = ctx;
    struct watched *found = NULL;
    HL_LIST_EACH(w, &modules->watches)
    {
        if (HL_LIST_ENTRY(w, struct watched, node)->fd == fd) {
            found = HL_LIST_ENTRY(w, struct watched, node);
        }
    }
    if (mask == 0) {
        if (found != NULL) {
            hl_list_remove(&found->node);
            uv_close((uv_handle_t *)&found->poll, free_watched);
        }
        return HL_OK;
    }
    if (found == NULL) {
        found = hl_calloc(1, sizeof *found);
        found->modules = modules;
        found->fd = fd;
        found->poll.data = found;
        if (uv_poll_init(&modules->server->loop, &found->poll, fd) != 0) {
            hl_free(found);
            return HL_EINVAL;
        }
        hl_list_append(&modules->watches, &found->node);
    }
    int events = ((mask & 1) != 0 ? UV_READABLE : 0) | ((mask & 2) != 0 ? UV_WRITABLE : 0);
    return uv_poll_start(&found->poll, events, on_watched) == 0 ? HL_OK : HL_EINVAL;
}

static bool service_config_take(void *ctx, const char *name, struct hl_buf *value)
{
    struct hl_modules *modules = ctx;
    const char *text = hl_config_take_module_setting(modules->server->config, name);
    if (text == NULL) {
        return hl_config_module_value(modules->server->config, name, value);
    }
    hl_buf_append_text(value, text);
    return true;
}

static hl_err service_config_add(void *ctx, const struct hl_abi_config *config)
{
    struct hl_modules *modules = ctx;
    struct hl_config_external external = {
        .name = config->name,
        .immutable = config->immutable,
        .hidden_value = config->secret,
        .ctx = config->ctx,
        .get = config->get,
        .set = config->set,
        .apply = config->apply,
    };
    return hl_config_external_add(modules->server->config, &external);
}

static void service_config_remove(void *ctx, const char *module)
{
    hl_config_external_remove(((struct hl_modules *)ctx)->server->config, module);
}

static void service_info(void *ctx, struct hl_slice section, struct hl_buf *out)
{
    hl_info_write(((struct hl_modules *)ctx)->server, &section, section.len == 0 ? 0 : 1, out);
}

static double service_memory_ratio(void *ctx)
{
    struct hl_modules *modules = ctx;
    size_t max = modules->server->node->config.maxmemory;
    return max == 0 ? 0 : (double)hl_memory_used() / (double)max;
}

static bool service_allowed(void *ctx, const struct hl_session *session)
{
    struct hl_modules *modules = ctx;
    int64_t allow = hl_config_int(modules->server->config, HL_CFG_ENABLE_MODULE_COMMAND);
    return allow == HL_ALLOW_YES ||
           /* Of a guest its node says so, which could put the order into the log itself. */
           (allow == HL_ALLOW_LOCAL && session != NULL && (session->flags & HL_SESSION_LOCAL) != 0);
}

static const char *service_path(void *ctx)
{
    return ((struct hl_modules *)ctx)->path;
}

/* The configured folders, or bin/modules beside the program; the caller owns the result. */
static char *module_path(struct hl_server *server)
{
    const char *set = hl_config_text(server->config, HL_CFG_MODULE_PATH);
    if (set[0] != '\0') {
        return hl_strndup(set, strlen(set));
    }
    char exe[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - sizeof "modules");
    if (len <= 0) {
        return hl_strndup("", 0);
    }
    exe[len] = '\0';
    char *slash = strrchr(exe, '/');
    (void)snprintf(slash + 1, sizeof "modules", "modules");
    return hl_strndup(exe, strlen(exe));
}

/* --- the loop --------------------------------------------------------------------------------- */

static void on_due(struct hl_modules *modules)
{
    hl_server_enter(modules->server); /* hl_modules_service() does the rest, before the poll */
}

static void on_wake(uv_async_t *handle)
{
    on_due(handle->data);
}

static void on_timer(uv_timer_t *handle)
{
    on_due(handle->data);
}

void hl_modules_service(struct hl_modules *modules)
{
    if (atomic_load(&modules->stopped)) {
        return;
    }
    int64_t due_us = hl_abi_service(modules->abi);
    if (due_us == INT64_MAX) {
        (void)uv_timer_stop(&modules->timer);
        return;
    }
    int64_t wait_us = due_us - clock_us(CLOCK_MONOTONIC);
    uint64_t wait_ms = wait_us <= 0 ? 0 : ((uint64_t)wait_us + 999) / 1000;
    uv_update_time(&modules->server->loop);
    (void)uv_timer_start(&modules->timer, on_timer, wait_ms, 0);
}

void hl_modules_go_on(struct hl_modules *modules)
{
    if (!atomic_load(&modules->stopped) && hl_abi_is_due(modules->abi)) {
        service_wake(modules);
    }
}

/* Wait for what the loop waits for, without the lock (D1). */
static void poll_unlocked(struct hl_modules *modules)
{
    uv_loop_t *loop = &modules->server->loop;
    int timeout_ms = modules->server->entered ? 0 : uv_backend_timeout(loop);
    if (timeout_ms == 0 && !lock_is_wanted(&modules->lock)) {
        return;
    }
    struct pollfd ready = {.fd = uv_backend_fd(loop), .events = POLLIN};
    lock_give(&modules->lock);
    if (timeout_ms != 0) {
        (void)poll(&ready, 1, timeout_ms);
    }
    lock_take(&modules->lock);
}

void hl_modules_run_loop(struct hl_modules *modules)
{
    struct hl_server *server = modules->server;
    bool alive = true;
    while (alive && !server->stopping && server->exit_code == 0) {
        if (hl_abi_has_threads(modules->abi)) {
            poll_unlocked(modules);
            alive = uv_run(&server->loop, UV_RUN_NOWAIT) != 0;
        } else {
            alive = uv_run(&server->loop, UV_RUN_ONCE) != 0;
        }
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static void lock_init(struct lock *lock)
{
    pthread_mutex_init(&lock->mutex, NULL);
    pthread_cond_init(&lock->changed, NULL);
}

struct hl_modules *hl_modules_create(struct hl_server *server)
{
    struct hl_modules *modules = hl_calloc(1, sizeof *modules);
    modules->server = server;
    modules->path = module_path(server);
    hl_list_init(&modules->watches);
    lock_init(&modules->lock);
    lock_take(&modules->lock); /* D1 */
    (void)uv_async_init(&server->loop, &modules->wake, on_wake);
    modules->wake.data = modules;
    (void)uv_timer_init(&server->loop, &modules->timer);
    modules->timer.data = modules;
    modules->services = (struct hl_abi_services){
        .ctx = modules,
        .wall_us = service_wall_us,
        .monotonic_us = service_monotonic_us,
        .entropy = service_entropy,
        .log = service_log,
        .wake = service_wake,
        .lock = service_lock,
        .try_lock = service_try_lock,
        .unlock = service_unlock,
        .watch = service_watch,
        .config_take = service_config_take,
        .config_add = service_config_add,
        .config_remove = service_config_remove,
        .info = service_info,
        .memory_ratio = service_memory_ratio,
        .module_allowed = service_allowed,
        .module_path = service_path,
        .metrics = server->metrics,
    };
    modules->abi = hl_abi_create(server->node, &modules->services);
    hl_config_watch_modules(server->config);
    return modules;
}

/* What the program's role and the sections of the settings call for. */
static hl_err load_called_for(struct hl_modules *modules, struct hl_errmsg *msg)
{
    struct hl_config_module wanted[HL_CONFIG_MODULES_MAX];
    const char *name = NULL;
    const char *instead = NULL;
    for (size_t at = 0; hl_config_unheeded(modules->server->config, &at, &name, &instead);) {
        char line[160];
        (void)snprintf(line, sizeof line, "%s has no effect: %s", name, instead);
        hl_run_log(modules->server, HL_ABI_LOG_WARNING, line);
    }
    size_t count = hl_config_modules(modules->server->config, wanted);
    for (size_t i = 0; i < count; i++) {
        struct hl_errmsg why = {{0}};
        hl_err err = hl_abi_load(modules->abi, wanted[i].name, NULL, 0, &why);
        if (err == HL_ENOENT) {
            return hl_fail(
                msg, HL_EINVAL,
                "the module %.60s is missing, and %.80s: there is no %.60s.so in %.120s; "
                "build it (./dev build), or name its folder with module-path",
                wanted[i].name, wanted[i].because, wanted[i].name, modules->path);
        }
        if (err != HL_OK) {
            return hl_fail(msg, HL_EINVAL, "the module %.60s does not load, and %.80s: %.180s",
                           wanted[i].name, wanted[i].because, why.text);
        }
    }
    return HL_OK;
}

hl_err hl_modules_load(struct hl_modules *modules, struct hl_errmsg *msg)
{
    struct hl_config *cfg = modules->server->config;
    size_t count = 0;
    const struct hl_config_line *lines = hl_config_lines(cfg, &count);
    for (size_t i = 0; i < count; i++) {
        if (lines[i].kind != HL_CFG_LINE_LOADMODULE) {
            continue;
        }
        int argc = lines[i].argc - 1;
        struct hl_slice *argv = hl_calloc((size_t)argc, sizeof *argv);
        for (int j = 0; j < argc; j++) {
            argv[j] = hl_slice_of(lines[i].argv[j + 1]);
        }
        struct hl_errmsg why = {{0}};
        hl_err err = hl_abi_load(modules->abi, lines[i].argv[0], argv, argc, &why);
        hl_free(argv);
        if (err != HL_OK) {
            return hl_fail(msg, HL_EINVAL, "%.60s: Can't load module from %.80s: %.150s",
                           lines[i].origin, lines[i].argv[0], why.text);
        }
    }
    hl_err err = load_called_for(modules, msg);
    if (err != HL_OK) {
        return err;
    }
    const struct hl_config_line *left = hl_config_plugin_setting_left(cfg);
    if (left != NULL) {
        return hl_fail(msg, HL_EINVAL, "%.60s: %.120s: the module has no such setting",
                       left->origin, left->argv[0]);
    }
    left = hl_config_module_setting_left(cfg);
    if (left != NULL) {
        return hl_fail(msg, HL_EINVAL,
                       "%.60s: Module Configuration detected without loadmodule directive or no "
                       "ApplyConfig call: %.80s",
                       left->origin, left->argv[0]);
    }
    return HL_OK;
}

void hl_modules_stop(struct hl_modules *modules)
{
    atomic_store(&modules->stopped, true);
    HL_LIST_EACH(w, &modules->watches)
    {
        struct watched *watched = HL_LIST_ENTRY(w, struct watched, node);
        hl_list_remove(w);
        uv_close((uv_handle_t *)&watched->poll, free_watched);
    }
}

bool hl_modules_destroy(struct hl_modules *modules)
{
    if (modules == NULL) {
        return true;
    }
    if (!hl_abi_destroy(modules->abi)) {
        return false; /* a module's thread still looks at it; the process is about to end */
    }
    hl_free(modules->path);
    pthread_mutex_destroy(&modules->lock.mutex);
    pthread_cond_destroy(&modules->lock.changed);
    hl_free(modules);
    return true;
}
