/* What other modules are offered: sets of limiters of this process, each under a lock of its own.
 */
#include "service.h"

#include "local.h"

#include "helios/ratelimit_service.h"
#include "kit/alloc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/random.h>

struct HeliosRatelimitSet {
    pthread_mutex_t mutex;
    struct local *local;
};

static atomic_ullong counted[2]; /* calls of all sets that were denied, and allowed */

unsigned long long service_count(bool allowed)
{
    return atomic_load_explicit(&counted[allowed ? 1 : 0], memory_order_relaxed);
}

static HeliosRatelimitSet *open_set(size_t keys_max)
{
    uint64_t seed = 0;
    if (keys_max < 1 || keys_max > HELIOS_RATELIMIT_KEYS_MAX) {
        return NULL;
    }
    ssize_t got = getrandom(&seed, sizeof seed, 0);
    (void)got; /* without it the hash can be guessed: slower, not wrong */
    HeliosRatelimitSet *set = hl_calloc(1, sizeof *set);
    pthread_mutex_init(&set->mutex, NULL);
    set->local = local_create(keys_max, seed);
    return set;
}

static void close_set(HeliosRatelimitSet *set)
{
    if (set != NULL) {
        local_destroy(set->local);
        pthread_mutex_destroy(&set->mutex);
        hl_free(set);
    }
}

static int take(HeliosRatelimitSet *set, const char *key, size_t key_len,
                const HeliosRatelimitBucket *bucket, int64_t want, int64_t now_ms,
                HeliosRatelimitAnswer *out)
{
    struct limit limit = {.algorithm = LIMIT_TOKEN,
                          .capacity = bucket->capacity,
                          .num = bucket->num,
                          .den = bucket->den};
    if (key == NULL || key_len < 1 || key_len > HELIOS_RATELIMIT_KEY_MAX || !limit_valid(&limit) ||
        want < 0 || want > LIMIT_CAPACITY_MAX || now_ms < 0 || now_ms > LIMIT_NOW_MAX_MS) {
        return -1;
    }
    pthread_mutex_lock(&set->mutex);
    struct limit_result result =
        local_take(set->local, (struct hl_slice){.ptr = key, .len = key_len}, &limit, want, now_ms);
    pthread_mutex_unlock(&set->mutex);
    if (want != 0) {
        atomic_fetch_add_explicit(&counted[result.allowed ? 1 : 0], 1, memory_order_relaxed);
    }
    *out = (HeliosRatelimitAnswer){.allowed = result.allowed,
                                   .remaining = result.remaining,
                                   .retry_ms = result.retry_ms,
                                   .reset_ms = result.reset_ms};
    return 0;
}

void service_load(RedisModuleCtx *ctx)
{
    static const HeliosRatelimitService service = {
        .struct_size = sizeof service, .open = open_set, .close = close_set, .take = take};
    if (RedisModule_ExportSharedAPI == NULL ||
        RedisModule_ExportSharedAPI(ctx, HELIOS_RATELIMIT_SERVICE, (void *)&service) !=
            REDISMODULE_OK) {
        RedisModule_Log(ctx, "warning", "cannot offer %s to other modules",
                        HELIOS_RATELIMIT_SERVICE);
    }
}
