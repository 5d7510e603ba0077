#include "local.h"

#include "kit/alloc.h"
#include "kit/assert.h"

struct place {
    struct place *next;          /* of the same bucket */
    struct place *newer, *older; /* in the order of use */
    uint64_t hash;
    struct limiter limiter;
    size_t key_len;
    char key[];
};

struct local {
    size_t keys_max, count, bucket_count;
    uint64_t seed;
    struct place *newest, *oldest;
    struct place **buckets;
};

struct local *local_create(size_t keys_max, uint64_t seed)
{
    HL_ASSERT(keys_max >= 1);
    struct local *local = hl_calloc(1, sizeof *local);
    local->keys_max = keys_max;
    local->seed = seed;
    local->bucket_count = 16;
    while (local->bucket_count < keys_max && local->bucket_count < 65536) {
        local->bucket_count *= 2;
    }
    local->buckets = hl_calloc(local->bucket_count, sizeof *local->buckets);
    return local;
}

void local_destroy(struct local *local)
{
    if (local == NULL) {
        return;
    }
    for (struct place *place = local->newest; place != NULL;) {
        struct place *older = place->older;
        hl_free(place);
        place = older;
    }
    hl_free(local->buckets);
    hl_free(local);
}

size_t local_count(const struct local *local)
{
    return local->count;
}

static uint64_t hash_of(const struct local *local, struct hl_slice key)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ local->seed;
    for (size_t i = 0; i < key.len; i++) {
        hash = (hash ^ (unsigned char)key.ptr[i]) * UINT64_C(1099511628211);
    }
    return hash ^ hash >> 29;
}

static void leave_order(struct local *local, struct place *place)
{
    *(place->newer != NULL ? &place->newer->older : &local->newest) = place->older;
    *(place->older != NULL ? &place->older->newer : &local->oldest) = place->newer;
}

static void become_newest(struct local *local, struct place *place)
{
    place->newer = NULL;
    place->older = local->newest;
    *(local->newest != NULL ? &local->newest->newer : &local->oldest) = place;
    local->newest = place;
}

static void forget_oldest(struct local *local)
{
    struct place *place = local->oldest;
    HL_ASSERT(place != NULL);
    struct place **at = &local->buckets[place->hash % local->bucket_count];
    while (*at != place) {
        at = &(*at)->next;
    }
    *at = place->next;
    leave_order(local, place);
    local->count--;
    hl_free(place);
}

static struct place *find(const struct local *local, uint64_t hash, struct hl_slice key)
{
    struct place *place = local->buckets[hash % local->bucket_count];
    while (place != NULL &&
           (place->hash != hash ||
            !hl_slice_equal((struct hl_slice){.ptr = place->key, .len = place->key_len}, key))) {
        place = place->next;
    }
    return place;
}

static struct place *make(struct local *local, uint64_t hash, struct hl_slice key)
{
    if (local->count == local->keys_max) { /* V1 */
        forget_oldest(local);
    }
    struct place *place = hl_calloc(1, sizeof *place + key.len);
    place->hash = hash;
    place->key_len = key.len;
    memcpy(place->key, key.ptr, key.len);
    place->next = local->buckets[hash % local->bucket_count];
    local->buckets[hash % local->bucket_count] = place;
    become_newest(local, place);
    local->count++;
    return place;
}

struct limit_result local_take(struct local *local, struct hl_slice key, const struct limit *limit,
                               int64_t want, int64_t now_ms)
{
    HL_ASSERT(limit_valid(limit));
    HL_ASSERT(key.len != 0);
    uint64_t hash = hash_of(local, key);
    struct place *place = find(local, hash, key);
    if (place == NULL) {
        place = make(local, hash, key);
        limiter_begin(&place->limiter, limit, now_ms);
    } else {
        leave_order(local, place);
        become_newest(local, place);
    }
    if (!limit_equal(&place->limiter.limit, limit)) {
        limiter_adapt(&place->limiter, limit, now_ms);
    }
    return limiter_take(&place->limiter, want, now_ms);
}
