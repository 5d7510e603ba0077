/* Names of queues by (database, name) in a dictionary, those with a deadline in a heap too.
 *
 * Invariants:
 *   O1  an entry is in the heap exactly when its queue had a deadline when last seen.
 *   O2  armed_ms != 0 exactly when the timer exists; it fires no later than the first deadline
 *       that a master knows of.
 *   O3  without queues there is no timer, so that the module can be unloaded.
 */
#include "roster.h"

#include "follow.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "type.h"
#include "world.h"

#define FIRE_BUDGET 2000 /* overdue things that one firing of the timer clears */
#define QUEUE_BUDGET 500 /* of them in one queue */
#define EMPTY_COST 10    /* what opening a queue in vain counts as */
#define PAUSED_MS 50     /* how often a paused server is asked whether it still is */
#define DB_LEN 4

struct entry {
    struct jobs_timed when; /* len: of key */
    char key[];             /* database, big-endian, then the name */
};

static RedisModuleDict *entries;
static struct jobs_heap deadlines;
static uint64_t next_tie;
static RedisModuleTimerID timer;
static int64_t armed_ms;

static void fire(RedisModuleCtx *ctx, void *data);

static void put_db(char *key, int db)
{
    for (int i = 0; i < DB_LEN; i++) {
        key[i] = (char)((unsigned)db >> (8 * (DB_LEN - 1 - i)));
    }
}

static int db_of(const struct entry *entry)
{
    unsigned db = 0;
    for (int i = 0; i < DB_LEN; i++) {
        db = db << 8 | (unsigned char)entry->key[i];
    }
    return (int)db;
}

static struct hl_slice name_of(const struct entry *entry)
{
    return (struct hl_slice){.ptr = entry->key + DB_LEN, .len = entry->when.len - DB_LEN};
}

static void make_key(struct hl_buf *key, int db, struct hl_slice name)
{
    char prefix[DB_LEN];
    put_db(prefix, db);
    hl_buf_append(key, prefix, sizeof prefix);
    hl_buf_append_slice(key, name);
}

static void forget(struct entry *entry)
{
    jobs_heap_drop(&deadlines, &entry->when);
    RedisModule_DictDelC(entries, entry->key, entry->when.len, NULL);
    hl_free(entry);
}

static void forget_name(int db, struct hl_slice name)
{
    if (RedisModule_DictSize(entries) == 0) {
        return;
    }
    struct hl_buf key = {0};
    make_key(&key, db, name);
    struct entry *entry = RedisModule_DictGetC(entries, key.ptr, key.len, NULL);
    if (entry != NULL) {
        forget(entry);
    }
    hl_buf_fini(&key);
}

static struct entry *find_or_add(int db, struct hl_slice name)
{
    struct hl_buf key = {0};
    make_key(&key, db, name);
    struct entry *entry = RedisModule_DictGetC(entries, key.ptr, key.len, NULL);
    if (entry == NULL) {
        entry = hl_malloc(sizeof *entry + key.len);
        *entry = (struct entry){.when = {.tie = next_tie++, .len = (uint32_t)key.len}};
        memcpy(entry->key, key.ptr, key.len);
        RedisModule_DictSetC(entries, entry->key, key.len, entry);
    }
    hl_buf_fini(&key);
    return entry;
}

static void set_deadline(struct entry *entry, int64_t due_ms)
{
    if (due_ms == 0) {
        jobs_heap_drop(&deadlines, &entry->when);
    } else {
        jobs_heap_put(&deadlines, &entry->when, due_ms);
    }
}

/* See to it that the timer fires by the first deadline, and that there is none without queues. */
static void arm(RedisModuleCtx *ctx)
{
    if (armed_ms != 0 && RedisModule_DictSize(entries) == 0) {
        RedisModule_StopTimer(ctx, timer, NULL);
        armed_ms = 0;
    }
    const struct jobs_timed *first = jobs_heap_first(&deadlines);
    if (first == NULL || (armed_ms != 0 && armed_ms <= first->due_ms) || !world_may_decide(ctx)) {
        return;
    }
    int64_t now_ms = world_now_ms();
    int64_t wait_ms = first->due_ms > now_ms ? first->due_ms - now_ms : 1;
    if (armed_ms != 0) {
        if (armed_ms <= now_ms + 1) {
            return; /* it is about to fire */
        }
        RedisModule_StopTimer(ctx, timer, NULL);
    }
    timer = RedisModule_CreateTimer(ctx, wait_ms, fire, NULL);
    armed_ms = now_ms + wait_ms;
}

/* Clear what is overdue in one queue.  Returns what it cost. */
static size_t serve(RedisModuleCtx *ctx, struct entry *entry)
{
    struct hl_slice name = name_of(entry);
    RedisModule_SelectDb(ctx, db_of(entry));
    RedisModuleString *key = RedisModule_CreateString(ctx, name.ptr, name.len);
    struct work work;
    size_t cost = EMPTY_COST;
    if (!work_begin(&work, ctx, key, WORK_EXISTING)) {
        forget(entry);
    } else if (work.queue == NULL) {
        work_end(&work);
        forget(entry);
    } else {
        size_t done = jobs_tick(work.queue, &work.env, QUEUE_BUDGET);
        set_deadline(entry, jobs_deadline(work.queue));
        bool changed = work.effects.len != 0;
        work_end(&work);
        if (changed) {
            world_notify(ctx, key, "job.tick");
        }
        cost += done;
    }
    RedisModule_FreeString(ctx, key);
    return cost;
}

static void fire(RedisModuleCtx *ctx, void *data)
{
    (void)data;
    armed_ms = 0;
    if (!world_may_decide(ctx)) {
        return; /* whoever becomes master arms it again */
    }
    if (world_must_wait()) {
        timer = RedisModule_CreateTimer(ctx, PAUSED_MS, fire, NULL);
        armed_ms = world_now_ms() + PAUSED_MS;
        return;
    }
    int home = RedisModule_GetSelectedDb(ctx);
    int64_t now_ms = world_now_ms();
    size_t cost = 0;
    while (cost < FIRE_BUDGET) {
        struct jobs_timed *first = jobs_heap_first(&deadlines);
        if (first == NULL || first->due_ms > now_ms) {
            break;
        }
        cost += serve(ctx, (struct entry *)first);
    }
    RedisModule_SelectDb(ctx, home);
    arm(ctx);
}

void roster_note(RedisModuleCtx *ctx, RedisModuleString *name, const struct jobs_queue *queue)
{
    struct entry *entry = find_or_add(RedisModule_GetSelectedDb(ctx), world_slice(name));
    set_deadline(entry, jobs_deadline(queue));
    arm(ctx);
}

void roster_note_loaded(RedisModuleIO *io, const struct jobs_queue *queue)
{
    const RedisModuleString *name = RedisModule_GetKeyNameFromIO(io);
    int db = RedisModule_GetDbIdFromIO(io);
    if (name != NULL && db >= 0) { /* else RESTORE, whose event tells the name */
        set_deadline(find_or_add(db, world_slice(name)), jobs_deadline(queue));
    }
}

void roster_visit(RedisModuleCtx *ctx, RedisModuleString *after,
                  bool (*visit)(void *arg, struct hl_slice name, const struct jobs_queue *queue),
                  void *arg)
{
    int db = RedisModule_GetSelectedDb(ctx);
    struct hl_buf from = {0};
    struct hl_slice none = {0};
    make_key(&from, db, after != NULL ? world_slice(after) : none);
    RedisModuleDictIter *iter = RedisModule_DictIteratorStartC(entries, ">", from.ptr, from.len);
    hl_buf_fini(&from);
    void *data = NULL;
    bool more = true;
    while (more && RedisModule_DictNextC(iter, NULL, &data) != NULL) {
        const struct entry *entry = data;
        if (db_of(entry) != db) {
            break;
        }
        struct hl_slice name = name_of(entry);
        RedisModuleString *key = RedisModule_CreateString(ctx, name.ptr, name.len);
        RedisModuleKey *open = RedisModule_OpenKey(ctx, key, REDISMODULE_READ);
        bool wrong_type = false;
        const struct jobs_queue *queue = type_queue_of(open, &wrong_type);
        if (queue != NULL) {
            more = visit(arg, name, queue);
        }
        if (open != NULL) {
            RedisModule_CloseKey(open);
        }
        RedisModule_FreeString(ctx, key);
    }
    RedisModule_DictIteratorStop(iter);
}

/* A key came, or came back, by another way than our commands. */
static void see(RedisModuleCtx *ctx, RedisModuleString *name)
{
    RedisModuleKey *key = RedisModule_OpenKey(ctx, name, REDISMODULE_READ);
    bool wrong_type = false;
    const struct jobs_queue *queue = type_queue_of(key, &wrong_type);
    if (queue != NULL) {
        roster_note(ctx, name, queue);
        if (queue->count[JOBS_READY] != 0) {
            world_signal(ctx, name);
        }
    }
    if (key != NULL) {
        RedisModule_CloseKey(key);
    }
}

static int on_key_event(RedisModuleCtx *ctx, int type, const char *event, RedisModuleString *name)
{
    (void)type;
    if (entries == NULL) {
        return REDISMODULE_OK; /* after roster_fini() */
    }
    static const char *const gone[] = {"del", "expired", "evicted", "rename_from", "move_from"};
    static const char *const come[] = {"rename_to", "move_to", "copy_to", "restore"};
    for (size_t i = 0; i < HL_ARRAY_LEN(gone); i++) {
        if (strcmp(event, gone[i]) == 0) {
            forget_name(RedisModule_GetSelectedDb(ctx), world_slice(name));
            follow_gone(ctx, name);
            arm(ctx);
            return REDISMODULE_OK;
        }
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(come); i++) {
        if (strcmp(event, come[i]) == 0) {
            see(ctx, name);
            return REDISMODULE_OK;
        }
    }
    return REDISMODULE_OK;
}

/* Take every entry out into `out`, whose count is returned; the caller frees `out`. */
static size_t take_all(struct entry ***out)
{
    size_t count = 0;
    *out = hl_calloc(RedisModule_DictSize(entries) + 1, sizeof **out);
    RedisModuleDictIter *iter = RedisModule_DictIteratorStartC(entries, "^", NULL, 0);
    void *data = NULL;
    while (RedisModule_DictNextC(iter, NULL, &data) != NULL) {
        (*out)[count++] = data;
    }
    RedisModule_DictIteratorStop(iter);
    RedisModule_FreeDict(NULL, entries);
    entries = RedisModule_CreateDict(NULL);
    return count;
}

static void put_back(struct entry *entry)
{
    RedisModule_DictSetC(entries, entry->key, entry->when.len, entry);
}

static void swap_dbs(int first, int second)
{
    struct entry **all = NULL;
    size_t count = take_all(&all);
    for (size_t i = 0; i < count; i++) {
        int db = db_of(all[i]);
        put_db(all[i]->key, db == first ? second : db == second ? first : db);
        put_back(all[i]);
    }
    hl_free(all);
}

/* Forget the entries of a database, -1 for all. */
static void flush_db(int db)
{
    struct entry **all = NULL;
    size_t count = take_all(&all);
    for (size_t i = 0; i < count; i++) {
        if (db < 0 || db_of(all[i]) == db) {
            jobs_heap_drop(&deadlines, &all[i]->when);
            hl_free(all[i]);
        } else {
            put_back(all[i]);
        }
    }
    hl_free(all);
}

static void on_server_event(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data)
{
    if (entries == NULL) {
        return; /* after roster_fini() */
    }
    if (event.id == REDISMODULE_EVENT_FLUSHDB && sub == REDISMODULE_SUBEVENT_FLUSHDB_START) {
        flush_db(((const RedisModuleFlushInfo *)data)->dbnum);
        follow_flushed(((const RedisModuleFlushInfo *)data)->dbnum);
        arm(ctx);
    } else if (event.id == REDISMODULE_EVENT_SWAPDB) {
        const RedisModuleSwapDbInfo *swap = data;
        swap_dbs(swap->dbnum_first, swap->dbnum_second);
    } else if (event.id == REDISMODULE_EVENT_LOADING ||
               event.id == REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED ||
               (event.id == REDISMODULE_EVENT_CRON_LOOP && armed_ms == 0)) {
        arm(ctx); /* does nothing unless this is a master that has finished loading */
    }
}

int roster_register(RedisModuleCtx *ctx)
{
    static const uint64_t ids[] = {
        REDISMODULE_EVENT_FLUSHDB, REDISMODULE_EVENT_SWAPDB, REDISMODULE_EVENT_LOADING,
        REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED, REDISMODULE_EVENT_CRON_LOOP};
    entries = RedisModule_CreateDict(NULL);
    for (size_t i = 0; i < HL_ARRAY_LEN(ids); i++) {
        RedisModuleEvent event = {.id = ids[i], .dataver = 1};
        if (RedisModule_SubscribeToServerEvent == NULL ||
            RedisModule_SubscribeToServerEvent(ctx, event, on_server_event) != REDISMODULE_OK) {
            RedisModule_Log(ctx, "warning", "no event %d on this server", (int)ids[i]);
        }
    }
    int types =
        REDISMODULE_NOTIFY_GENERIC | REDISMODULE_NOTIFY_EXPIRED | REDISMODULE_NOTIFY_EVICTED;
    if (RedisModule_SubscribeToKeyspaceEvents == NULL ||
        RedisModule_SubscribeToKeyspaceEvents(ctx, types, on_key_event) != REDISMODULE_OK) {
        RedisModule_Log(ctx, "warning",
                        "cannot follow renamed and restored queues: their timers may be late");
    }
    return REDISMODULE_OK;
}

void roster_fini(RedisModuleCtx *ctx)
{
    if (entries == NULL) {
        return;
    }
    if (armed_ms != 0) {
        RedisModule_StopTimer(ctx, timer, NULL);
        armed_ms = 0;
    }
    flush_db(-1);
    RedisModule_FreeDict(NULL, entries);
    entries = NULL;
    jobs_heap_fini(&deadlines);
}
