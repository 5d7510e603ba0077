/* What the module ratelimit offers to other modules: limits of this process alone.
 *
 * RATELIMIT.TAKE is exact for the whole cluster, and each permit is an entry of the log.  Whoever
 * serves many clients may rather want a decision here and now, on any thread, that other nodes know
 * nothing of:
 *
 *   static const HeliosRatelimitService *limits;
 *   static HeliosRatelimitSet *set;
 *   ...
 *   limits = RedisModule_GetSharedAPI(ctx, HELIOS_RATELIMIT_SERVICE);   // NULL: not loaded
 *   set = limits->open(10000);
 *   HeliosRatelimitBucket bucket = {.capacity = 100, .num = 1, .den = 1};
 *   HeliosRatelimitAnswer answer;
 *   if (limits->take(set, ip, ip_len, &bucket, 1, now_ms, &answer) == 0 && !answer.allowed) {
 *       ... 429, Retry-After: answer.retry_ms
 *   }
 *   ...
 *   limits->close(set);                                                 // in OnUnload
 *
 * The buckets are those of RATELIMIT.TAKE with `capacity num den`, to the last digit.  While a
 * module uses the service, ratelimit cannot be unloaded.
 */
#ifndef HELIOS_RATELIMIT_SERVICE_H
#define HELIOS_RATELIMIT_SERVICE_H

#include <stddef.h>
#include <stdint.h>

#define HELIOS_RATELIMIT_SERVICE "ratelimit.v1"
#define HELIOS_RATELIMIT_KEYS_MAX 1000000 /* that a set may hold */
#define HELIOS_RATELIMIT_KEY_MAX 512      /* bytes of a key */

/* A token bucket: num tokens come back in den seconds, up to the capacity.  The bounds are those of
 * RATELIMIT.TAKE. */
typedef struct HeliosRatelimitBucket {
    int64_t capacity, num, den;
} HeliosRatelimitBucket;

/* The four numbers of RATELIMIT.TAKE. */
typedef struct HeliosRatelimitAnswer {
    int allowed;
    int64_t remaining; /* that could be taken now */
    int64_t retry_ms;  /* 0 when allowed; -1: never, it is more than the capacity */
    int64_t reset_ms;  /* until all are there again */
} HeliosRatelimitAnswer;

/* Buckets by key; beyond its size the one that was used longest ago is forgotten. */
typedef struct HeliosRatelimitSet HeliosRatelimitSet;

typedef struct HeliosRatelimitService {
    size_t struct_size; /* of the version that is offered; later ones only add behind */

    /* A set of at most `keys_max` (1 to HELIOS_RATELIMIT_KEYS_MAX) buckets, about 200 bytes each
     * beside its key; NULL when that is out of range.  Any thread. */
    HeliosRatelimitSet *(*open)(size_t keys_max);
    /* End it, when no thread uses it any more; NULL is allowed. */
    void (*close)(HeliosRatelimitSet *set);
    /* Take `want` (0: only look) or nothing of the bucket of `key`, at `now_ms` of whatever clock
     * the caller always uses.  0; -1 when an argument is out of its bounds.  Any thread, many at
     * once; less than a microsecond. */
    int (*take)(HeliosRatelimitSet *set, const char *key, size_t key_len,
                const HeliosRatelimitBucket *bucket, int64_t want, int64_t now_ms,
                HeliosRatelimitAnswer *out);
} HeliosRatelimitService;

#endif
