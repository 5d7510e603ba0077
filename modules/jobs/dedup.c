/* Linear hashing with keyed SipHash-1-3.
 *
 * Invariants:
 *   U1  buckets exist exactly for 0 .. mask + split; an entry is in the bucket of its hash.
 *   U2  table and list hold the same entries; of dedup ids the heap does too, and the list ascends
 *       in when.tie.
 */
#include "dedup.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#define SEGMENT 256u /* buckets in a segment */
#define MASK_FIRST (SEGMENT - 1)

static uint64_t rotate(uint64_t v, unsigned by)
{
    return v << by | v >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static uint64_t hash_of(const struct jobs_dedup *dedup, struct hl_slice id)
{
    uint64_t v[4] = {
        dedup->key[0] ^ UINT64_C(0x736f6d6570736575), dedup->key[1] ^ UINT64_C(0x646f72616e646f6d),
        dedup->key[0] ^ UINT64_C(0x6c7967656e657261), dedup->key[1] ^ UINT64_C(0x7465646279746573)};
    size_t at = 0;
    for (; id.len - at >= 8; at += 8) {
        uint64_t word = hl_get_le64(id.ptr + at);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t tail = (uint64_t)id.len << 56;
    for (unsigned shift = 0; at < id.len; at++, shift += 8) {
        tail |= (uint64_t)(unsigned char)id.ptr[at] << shift;
    }
    v[3] ^= tail;
    sip_round(v);
    v[0] ^= tail;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct jobs_used **bucket_at(const struct jobs_dedup *dedup, size_t bucket)
{
    HL_ASSERT(bucket / SEGMENT < dedup->segment_count);
    return &dedup->segments[bucket / SEGMENT][bucket % SEGMENT];
}

static struct jobs_used **bucket_of(const struct jobs_dedup *dedup, uint64_t hash)
{
    size_t bucket = (size_t)hash & dedup->mask;
    if (bucket < dedup->split) {
        bucket = (size_t)hash & (dedup->mask * 2 + 1);
    }
    return bucket_at(dedup, bucket);
}

static void add_segment(struct jobs_dedup *dedup)
{
    dedup->segments =
        hl_realloc(dedup->segments, (dedup->segment_count + 1) * sizeof *dedup->segments);
    dedup->segments[dedup->segment_count++] = hl_calloc(SEGMENT, sizeof **dedup->segments);
    dedup->bytes += SEGMENT * sizeof **dedup->segments + sizeof *dedup->segments;
}

/* Split one bucket in two. */
static void grow(struct jobs_dedup *dedup)
{
    size_t made = dedup->mask + 1 + dedup->split;
    if (made / SEGMENT == dedup->segment_count) {
        add_segment(dedup);
    }
    struct jobs_used **from = bucket_at(dedup, dedup->split);
    struct jobs_used **to = bucket_at(dedup, made);
    while (*from != NULL) {
        struct jobs_used *used = *from;
        if (((size_t)used->hash & (dedup->mask * 2 + 1)) == made) {
            *from = used->bucket_next;
            used->bucket_next = *to;
            *to = used;
        } else {
            from = &used->bucket_next;
        }
    }
    dedup->split++;
    if (dedup->split > dedup->mask) {
        dedup->mask = dedup->mask * 2 + 1;
        dedup->split = 0;
    }
}

/* Free the table but not the entries. */
static void drop_table(struct jobs_dedup *dedup)
{
    for (size_t i = 0; i < dedup->segment_count; i++) {
        hl_free(dedup->segments[i]);
    }
    hl_free(dedup->segments);
    dedup->segments = NULL;
    dedup->segment_count = 0;
    dedup->mask = MASK_FIRST;
    dedup->split = 0;
    dedup->bytes = 0;
}

void jobs_dedup_init(struct jobs_dedup *dedup, const uint64_t key[2])
{
    *dedup = (struct jobs_dedup){.mask = MASK_FIRST, .key = {key[0], key[1]}};
}

void jobs_dedup_fini(struct jobs_dedup *dedup)
{
    struct jobs_used *next = NULL;
    for (struct jobs_used *used = dedup->first; used != NULL; used = next) {
        next = used->next;
        hl_free(used);
    }
    drop_table(dedup);
    jobs_heap_fini(&dedup->ends);
    *dedup = (struct jobs_dedup){0};
}

struct hl_slice jobs_used_id(const struct jobs_used *used)
{
    return (struct hl_slice){.ptr = used->id, .len = used->when.len};
}

struct jobs_used *jobs_dedup_find(const struct jobs_dedup *dedup, struct hl_slice id)
{
    if (dedup->count == 0) {
        return NULL;
    }
    uint64_t hash = hash_of(dedup, id);
    for (struct jobs_used *used = *bucket_of(dedup, hash); used != NULL; used = used->bucket_next) {
        if (used->hash == hash && hl_slice_equal(jobs_used_id(used), id)) {
            return used;
        }
    }
    return NULL;
}

void jobs_dedup_add(struct jobs_dedup *dedup, struct hl_slice id, uint64_t seq, int64_t until_ms)
{
    HL_ASSERT(id.len <= UINT32_MAX);
    if (dedup->segment_count == 0) {
        add_segment(dedup);
    }
    struct jobs_used *used = hl_malloc(sizeof *used + id.len);
    *used = (struct jobs_used){.when = {.tie = seq, .len = (uint32_t)id.len},
                               .prev = dedup->last,
                               .hash = hash_of(dedup, id)};
    memcpy(used->id, id.ptr, id.len);
    struct jobs_used **bucket = bucket_of(dedup, used->hash);
    used->bucket_next = *bucket;
    *bucket = used;
    *(dedup->last != NULL ? &dedup->last->next : &dedup->first) = used;
    dedup->last = used;
    if (until_ms != 0) {
        jobs_heap_put(&dedup->ends, &used->when, until_ms);
    }
    dedup->count++;
    dedup->bytes += sizeof *used + id.len;
    if (dedup->count > dedup->mask + 1 + dedup->split) {
        grow(dedup);
    }
}

void jobs_dedup_drop(struct jobs_dedup *dedup, struct jobs_used *used)
{
    struct jobs_used **link = bucket_of(dedup, used->hash);
    while (*link != used) {
        HL_ASSERT(*link != NULL);
        link = &(*link)->bucket_next;
    }
    *link = used->bucket_next;
    *(used->prev != NULL ? &used->prev->next : &dedup->first) = used->next;
    *(used->next != NULL ? &used->next->prev : &dedup->last) = used->prev;
    jobs_heap_drop(&dedup->ends, &used->when);
    dedup->count--;
    dedup->bytes -= sizeof *used + used->when.len;
    hl_free(used);
    if (dedup->count == 0) {
        drop_table(dedup);
    }
}
