/* The data type: saved, loaded, rewritten, copied, digested and freed through the engine's events.
 *
 * Values may be freed on the server's lazy-free thread: the list of values has a lock, and freeing
 * touches nothing else that is shared.
 */
#include "type.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "roster.h"
#include "world.h"

#include <pthread.h>

#define TYPE_NAME "hljobqueu" /* stored with each value: for ever */
#define LOAD_PIECES_MAX (INT64_C(1) << 40)

static RedisModuleType *queue_type;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct queue_value *values;

struct queue_value *type_new_value(void)
{
    uint64_t key[2];
    world_random(NULL, key, sizeof key);
    struct queue_value *value = hl_calloc(1, sizeof *value);
    value->queue = jobs_create(key);
    pthread_mutex_lock(&lock);
    value->next = values;
    if (values != NULL) {
        values->prev = value;
    }
    values = value;
    pthread_mutex_unlock(&lock);
    return value;
}

static void free_value(void *data)
{
    struct queue_value *value = data;
    pthread_mutex_lock(&lock);
    *(value->prev != NULL ? &value->prev->next : &values) = value->next;
    if (value->next != NULL) {
        value->next->prev = value->prev;
    }
    pthread_mutex_unlock(&lock);
    jobs_destroy(value->queue);
    hl_free(value);
}

/* An empty piece ends the value: an older reader never mistakes the next key for a piece. */
static void *rdb_load(RedisModuleIO *io, int encver)
{
    if (encver < JOBS_FORMAT_MIN || encver > JOBS_FORMAT) {
        RedisModule_LogIOError(io, "warning", "a job queue of format %d is newer than this module",
                               encver);
        return NULL;
    }
    struct queue_value *value = type_new_value();
    for (int64_t i = 0; i < LOAD_PIECES_MAX; i++) {
        size_t len = 0;
        char *piece = RedisModule_LoadStringBuffer(io, &len);
        if (RedisModule_IsIOError(io) || piece == NULL) {
            RedisModule_Free(piece);
            break;
        }
        hl_err err = jobs_apply_bytes(value->queue, (struct hl_slice){piece, len});
        RedisModule_Free(piece);
        if (err != HL_OK) {
            RedisModule_LogIOError(io, "warning", "a job queue is damaged (%d)", err);
            break;
        }
        if (len == 0) {
            if (!value->queue->begun) {
                break;
            }
            roster_note_loaded(io, value->queue);
            return value;
        }
    }
    free_value(value);
    return NULL;
}

static void save_piece(void *ctx, struct hl_slice piece)
{
    RedisModule_SaveStringBuffer(ctx, piece.ptr, piece.len);
}

static void rdb_save(RedisModuleIO *io, void *data)
{
    const struct queue_value *value = data;
    jobs_snapshot(value->queue, save_piece, io);
    RedisModule_SaveStringBuffer(io, "", 0);
}

struct rewriting {
    RedisModuleIO *io;
    RedisModuleString *key;
};

static void rewrite_piece(void *ctx, struct hl_slice piece)
{
    const struct rewriting *r = ctx;
    RedisModule_EmitAOF(r->io, "JOB._APPLY", "sb", r->key, piece.ptr, piece.len);
}

static void aof_rewrite(RedisModuleIO *io, RedisModuleString *key, void *data)
{
    const struct queue_value *value = data;
    struct rewriting r = {.io = io, .key = key};
    jobs_snapshot(value->queue, rewrite_piece, &r);
}

static size_t memory_usage(const void *data)
{
    const struct queue_value *value = data;
    return sizeof *value + jobs_bytes(value->queue);
}

static void digest_piece(void *ctx, struct hl_slice piece)
{
    RedisModule_DigestAddStringBuffer(ctx, piece.ptr, piece.len);
}

static void digest(RedisModuleDigest *md, void *data)
{
    const struct queue_value *value = data;
    jobs_snapshot(value->queue, digest_piece, md);
    RedisModule_DigestEndSequence(md);
}

static size_t free_effort(RedisModuleString *key, const void *data)
{
    (void)key;
    const struct queue_value *value = data;
    return 1 + jobs_total(value->queue) + value->queue->dedup.count;
}

static void copy_piece(void *ctx, struct hl_slice piece)
{
    hl_err err = jobs_apply_bytes(ctx, piece);
    HL_ASSERT(err == HL_OK || err == HL_ENOMEM);
}

static void *copy(RedisModuleString *from, RedisModuleString *to, const void *data)
{
    (void)from;
    (void)to;
    const struct queue_value *value = data;
    struct queue_value *duplicate = type_new_value();
    jobs_snapshot(value->queue, copy_piece, duplicate->queue);
    if (jobs_total(duplicate->queue) != jobs_total(value->queue)) {
        free_value(duplicate); /* out of memory */
        return NULL;
    }
    return duplicate;
}

int type_register(RedisModuleCtx *ctx)
{
    static RedisModuleTypeMethods methods = {
        .version = REDISMODULE_TYPE_METHOD_VERSION,
        .rdb_load = rdb_load,
        .rdb_save = rdb_save,
        .aof_rewrite = aof_rewrite,
        .mem_usage = memory_usage,
        .digest = digest,
        .free = free_value,
        .free_effort = free_effort,
        .copy = copy,
    };
    queue_type = RedisModule_CreateDataType(ctx, TYPE_NAME, JOBS_FORMAT, &methods);
    if (queue_type == NULL) {
        RedisModule_Log(ctx, "warning", "cannot register the type " TYPE_NAME);
        return REDISMODULE_ERR;
    }
    return REDISMODULE_OK;
}

struct jobs_queue *type_queue_of(RedisModuleKey *key, bool *wrong_type)
{
    *wrong_type = false;
    if (key == NULL || RedisModule_KeyType(key) == REDISMODULE_KEYTYPE_EMPTY) {
        return NULL;
    }
    if (RedisModule_ModuleTypeGetType(key) != queue_type) {
        *wrong_type = true;
        return NULL;
    }
    return ((struct queue_value *)RedisModule_ModuleTypeGetValue(key))->queue;
}

struct jobs_queue *type_make_queue(RedisModuleKey *key)
{
    struct queue_value *value = type_new_value();
    if (RedisModule_ModuleTypeSetValue(key, queue_type, value) != REDISMODULE_OK) {
        free_value(value);
        return NULL; /* the key is not open for writing: a follower */
    }
    return value->queue;
}

struct type_totals type_sum(void)
{
    struct type_totals totals = {0};
    pthread_mutex_lock(&lock);
    for (const struct queue_value *value = values; value != NULL; value = value->next) {
        totals.queues++;
        totals.bytes += jobs_bytes(value->queue);
        for (unsigned i = 0; i < JOBS_STATES; i++) {
            totals.count[i] += value->queue->count[i];
        }
        for (unsigned i = 0; i < JOBS_COUNTERS; i++) {
            totals.counters[i] += value->queue->counters[i];
        }
    }
    pthread_mutex_unlock(&lock);
    return totals;
}
