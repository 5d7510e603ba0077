/* Scans: some keys, or some elements of a key, at a time.
 *
 * What a step finds is gathered first and shown then, so that a callback may change anything. */
#include "abi/unit.h"
#include "keyspace/hash.h"

#include <errno.h>

struct RedisModuleScanCursor {
    uint64_t position;
    bool done;
};

/* Copies of what one step found: keys, or fields and values alternating. */
struct found {
    RedisModuleString **list;
    size_t count, cap;
};

static void add(struct found *found, struct hl_slice bytes)
{
    if (found->count == found->cap) {
        found->cap = found->cap == 0 ? 32 : found->cap * 2;
        found->list = hl_realloc(found->list, found->cap * sizeof *found->list);
    }
    found->list[found->count++] = hl_string_new(bytes);
}

static void add_key(void *ctx, struct hl_entry *entry)
{
    add(ctx, hl_entry_key(entry));
}

static void add_pair(void *ctx, struct hl_slice field, struct hl_slice value)
{
    add(ctx, field);
    add(ctx, value);
}

static void end(struct found *found)
{
    for (size_t i = 0; i < found->count; i++) {
        hl_string_unref(found->list[i]);
    }
    hl_free(found->list);
}

RedisModuleScanCursor *hl_rm_ScanCursorCreate(void)
{
    return hl_calloc(1, sizeof(RedisModuleScanCursor));
}

void hl_rm_ScanCursorRestart(RedisModuleScanCursor *cursor)
{
    *cursor = (RedisModuleScanCursor){0};
}

void hl_rm_ScanCursorDestroy(RedisModuleScanCursor *cursor)
{
    hl_free(cursor);
}

int hl_rm_Scan(RedisModuleCtx *ctx, RedisModuleScanCursor *cursor, RedisModuleScanCB fn,
               void *privdata)
{
    if (cursor->done || !hl_ctx_usable(ctx)) {
        errno = ENOENT;
        return 0;
    }
    struct found found = {0};
    cursor->position = hl_db_scan(hl_ctx_db(ctx), cursor->position, add_key, &found);
    cursor->done = cursor->position == 0;
    for (size_t i = 0; i < found.count; i++) {
        struct hl_slice name = hl_string_slice(found.list[i]);
        if (hl_db_find(hl_ctx_db(ctx), name, HL_FIND_NOTOUCH | HL_FIND_NOSTATS) == NULL) {
            continue; /* it died meanwhile */
        }
        RedisModuleKey key;
        hl_key_given_init(&key, ctx->abi, found.list[i], ctx->db, REDISMODULE_READ);
        fn(ctx, found.list[i], &key, privdata);
        hl_key_given_fini(&key);
    }
    end(&found);
    errno = 0;
    return !cursor->done;
}

int hl_rm_ScanKey(RedisModuleKey *key, RedisModuleScanCursor *cursor, RedisModuleScanKeyCB fn,
                  void *privdata)
{
    struct hl_entry *entry = hl_key_typed(key, HL_TYPE_HASH);
    if (entry == NULL) {
        errno = EINVAL;
        return 0;
    }
    if (cursor->done) {
        errno = ENOENT;
        return 0;
    }
    struct found found = {0};
    cursor->position = hl_hash_scan(entry, cursor->position, add_pair, &found);
    cursor->done = cursor->position == 0;
    for (size_t i = 0; i + 1 < found.count; i += 2) {
        fn(key, found.list[i], found.list[i + 1], privdata);
    }
    end(&found);
    errno = 0;
    return !cursor->done;
}
