#include "node/once.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/sha256.h"
#include "node/cursor.h"
#include "node/node.h"
#include "raft/mutant.h"

#define TABLE_VERSION 1
#define BUCKETS_FIRST 64
#define FNV_OFFSET 14695981039346656037u
#define FNV_PRIME 1099511628211u

static uint64_t hash_of(struct hl_slice id)
{
    uint64_t hash = FNV_OFFSET;
    for (size_t i = 0; i < id.len; i++) {
        hash = (hash ^ (unsigned char)id.ptr[i]) * FNV_PRIME;
    }
    return hash;
}

void hl_once_init(struct hl_once_table *table)
{
    *table = (struct hl_once_table){.bucket_count = BUCKETS_FIRST};
    table->buckets = hl_calloc(table->bucket_count, sizeof(struct hl_once *));
    hl_list_init(&table->used);
}

static struct hl_once **bucket_of(const struct hl_once_table *table, uint64_t hash)
{
    return &table->buckets[hash & (table->bucket_count - 1)];
}

static void forget(struct hl_once_table *table, struct hl_once *once)
{
    struct hl_once **at = bucket_of(table, once->hash);
    while (*at != once) {
        at = &(*at)->next;
    }
    *at = once->next;
    hl_list_remove(&once->used);
    hl_buf_fini(&once->reply);
    hl_free(once);
    table->count--;
}

static void forget_all(struct hl_once_table *table)
{
    HL_LIST_EACH(it, &table->used)
    {
        forget(table, HL_LIST_ENTRY(it, struct hl_once, used));
    }
}

void hl_once_fini(struct hl_once_table *table)
{
    forget_all(table);
    hl_free(table->buckets);
}

static struct hl_once *find(const struct hl_once_table *table, struct hl_slice id)
{
    uint64_t hash = hash_of(id);
    struct hl_once *once = *bucket_of(table, hash);
    while (once != NULL && (once->hash != hash || once->id_len != id.len ||
                            memcmp(once->id, id.ptr, id.len) != 0)) {
        once = once->next;
    }
    return once;
}

static bool is_forgotten(const struct hl_once *once, int64_t now_us)
{
    return now_us - once->log_time_us > HL_ONCE_UNUSED_US;
}

struct hl_once *hl_once_find(const struct hl_once_table *table, struct hl_slice id, int64_t now_us)
{
    struct hl_once *once = find(table, id);
    return once == NULL || is_forgotten(once, now_us) ? NULL : once;
}

static void grow(struct hl_once_table *table)
{
    struct hl_once_table larger = {.bucket_count = table->bucket_count * 2};
    larger.buckets = hl_calloc(larger.bucket_count, sizeof(struct hl_once *));
    HL_LIST_EACH(it, &table->used)
    {
        struct hl_once *once = HL_LIST_ENTRY(it, struct hl_once, used);
        struct hl_once **bucket = bucket_of(&larger, once->hash);
        once->next = *bucket;
        *bucket = once;
    }
    hl_free(table->buckets);
    table->buckets = larger.buckets;
    table->bucket_count = larger.bucket_count;
}

static struct hl_once *add(struct hl_once_table *table, struct hl_slice id)
{
    if (table->count >= table->bucket_count) {
        grow(table);
    }
    struct hl_once *once = hl_calloc(1, sizeof *once + id.len);
    once->hash = hash_of(id);
    once->id_len = id.len;
    memcpy(once->id, id.ptr, id.len);
    struct hl_once **bucket = bucket_of(table, once->hash);
    once->next = *bucket;
    *bucket = once;
    hl_list_append(&table->used, &once->used);
    table->count++;
    return once;
}

static void forget_unused(struct hl_once_table *table, int64_t now_us)
{
    while (!hl_list_empty(&table->used)) {
        struct hl_once *oldest = HL_LIST_ENTRY(table->used.next, struct hl_once, used);
        if (!is_forgotten(oldest, now_us)) {
            return;
        }
        forget(table, oldest);
    }
}

void hl_once_note(struct hl_once_table *table, struct hl_slice id, uint64_t seq, hl_index index,
                  int64_t log_time_us, struct hl_slice reply)
{
    HL_ASSERT(id.len <= HL_ONCE_ID_MAX);
    forget_unused(table, log_time_us);
    struct hl_once *once = find(table, id);
    if (once == NULL) {
        once = add(table, id);
    } else if (seq < once->seq) {
        return; /* O1 */
    } else {
        hl_list_remove(&once->used); /* O2 */
        hl_list_append(&table->used, &once->used);
    }
    once->seq = seq;
    once->index = index;
    once->log_time_us = log_time_us;
    hl_buf_fini(&once->reply); /* most replies are short: keep no room for a long one */
    hl_buf_append_slice(&once->reply, reply);
}

static void encode(const struct hl_once *once, struct hl_buf *out)
{
    hl_buf_append_text16(out, (struct hl_slice){.ptr = once->id, .len = once->id_len});
    hl_buf_append_le64(out, once->seq);
    hl_buf_append_le64(out, once->index);
    hl_buf_append_le64(out, (uint64_t)once->log_time_us);
    hl_buf_append_le32(out, (uint32_t)once->reply.len);
    hl_buf_append_slice(out, hl_buf_view(&once->reply));
}

void hl_once_save(void *ctx, struct hl_buf *out)
{
    struct hl_node *node = ctx;
    hl_buf_append_le32(out, TABLE_VERSION);
    if (HL_MUTANT(UNSAVED_ONCE)) {
        return;
    }
    HL_LIST_EACH(it, &node->once.used)
    {
        encode(HL_LIST_ENTRY(it, struct hl_once, used), out);
    }
}

hl_err hl_once_load(void *ctx, struct hl_slice contents, struct hl_errmsg *msg)
{
    struct hl_node *node = ctx;
    struct hl_cursor in = hl_cursor_over(contents);
    uint32_t version = hl_cursor_u32(&in);
    if (in.ok && version != TABLE_VERSION) {
        return hl_fail(msg, HL_EVERSION, "sessions: format version %u, this build knows %u",
                       version, (unsigned)TABLE_VERSION);
    }
    forget_all(&node->once);
    int64_t last_us = INT64_MIN;
    while (in.ok && in.left > 0) {
        struct hl_slice id = hl_cursor_text(&in);
        uint64_t seq = hl_cursor_u64(&in);
        uint64_t index = hl_cursor_u64(&in);
        int64_t log_time_us = (int64_t)hl_cursor_u64(&in);
        struct hl_slice reply = hl_cursor_bytes(&in, hl_cursor_u32(&in));
        if (!in.ok || id.len == 0 || id.len > HL_ONCE_ID_MAX || log_time_us < last_us ||
            find(&node->once, id) != NULL) {
            in.ok = false;
            break;
        }
        last_us = log_time_us;
        hl_once_note(&node->once, id, seq, index, log_time_us, reply);
    }
    return in.ok ? HL_OK : hl_fail(msg, HL_ECORRUPT, "the snapshot's sessions are malformed");
}

void hl_once_digest(const struct hl_once_table *table, unsigned char out[20])
{
    struct hl_buf bytes = {0};
    HL_LIST_EACH(it, (struct hl_list_node *)&table->used)
    {
        unsigned char one[HL_SHA256_BYTES];
        hl_buf_clear(&bytes);
        encode(HL_LIST_ENTRY(it, struct hl_once, used), &bytes);
        hl_sha256(hl_buf_view(&bytes), one);
        for (size_t i = 0; i < 20; i++) {
            out[i] ^= one[i];
        }
    }
    hl_buf_fini(&bytes);
}
