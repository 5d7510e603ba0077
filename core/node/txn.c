/* Transactions: MULTI queues, EXEC runs the queue as one unit, WATCH guards it.
 *
 * Watched keys are kept in a table by (database, name); each entry lists the sessions that watch
 * it. The keyspace reports changes only while somebody watches.
 */
#include "base/siphash.h"
#include "command/args.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/node_internal.h"

#define BUCKETS_FIRST 64

struct hl_watched_key {
    struct hl_watched_key *next; /* in the bucket */
    struct hl_list_node watchers;
    uint64_t hash;
    int db;
    size_t len;
    char name[];
};

struct hl_watch_table {
    struct hl_watched_key **buckets;
    size_t bucket_count, count;
};

static const uint64_t watch_seed[2] = {0x5bd1e995u, 0x9747b28cu};

static uint64_t watch_hash(int db, struct hl_slice key)
{
    return hl_hash(watch_seed, key.ptr, key.len) + (uint64_t)db * 0x9e3779b97f4a7c15u;
}

static struct hl_watched_key *find_watched(const struct hl_watch_table *table, int db,
                                           struct hl_slice key)
{
    if (table->bucket_count == 0) {
        return NULL;
    }
    uint64_t hash = watch_hash(db, key);
    struct hl_watched_key *w = table->buckets[hash & (table->bucket_count - 1)];
    while (w != NULL && (w->hash != hash || w->db != db || w->len != key.len ||
                         memcmp(w->name, key.ptr, key.len) != 0)) {
        w = w->next;
    }
    return w;
}

static void grow_table(struct hl_watch_table *table)
{
    size_t count = table->bucket_count == 0 ? BUCKETS_FIRST : table->bucket_count * 2;
    struct hl_watched_key **buckets = hl_calloc(count, sizeof *buckets);
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (struct hl_watched_key *w = table->buckets[i], *next = NULL; w != NULL; w = next) {
            next = w->next;
            w->next = buckets[w->hash & (count - 1)];
            buckets[w->hash & (count - 1)] = w;
        }
    }
    hl_free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = count;
}

static struct hl_watched_key *add_watched(struct hl_node *node, int db, struct hl_slice key)
{
    struct hl_watch_table *table = node->watched;
    if (table->count >= table->bucket_count) {
        grow_table(table);
    }
    struct hl_watched_key *w = hl_malloc(sizeof *w + key.len);
    w->hash = watch_hash(db, key);
    w->db = db;
    w->len = key.len;
    memcpy(w->name, key.ptr, key.len);
    hl_list_init(&w->watchers);
    struct hl_watched_key **bucket = &table->buckets[w->hash & (table->bucket_count - 1)];
    w->next = *bucket;
    *bucket = w;
    table->count++;
    node->ks.watching++;
    return w;
}

static void remove_watched(struct hl_node *node, struct hl_watched_key *w)
{
    struct hl_watch_table *table = node->watched;
    struct hl_watched_key **at = &table->buckets[w->hash & (table->bucket_count - 1)];
    while (*at != w) {
        at = &(*at)->next;
    }
    *at = w->next;
    hl_free(w);
    table->count--;
    node->ks.watching--;
}

void hl_watch_init(struct hl_node *node)
{
    node->watched = hl_calloc(1, sizeof *node->watched);
}

void hl_watch_fini(struct hl_node *node)
{
    HL_ASSERT(node->watched->count == 0);
    hl_free(node->watched->buckets);
    hl_free(node->watched);
}

void hl_watch_clear(struct hl_node *node, struct hl_session *session)
{
    HL_LIST_EACH(it, &session->watches)
    {
        struct hl_watch *watch = HL_LIST_ENTRY(it, struct hl_watch, by_session);
        hl_list_remove(&watch->by_key);
        hl_list_remove(&watch->by_session);
        if (hl_list_empty(&watch->key->watchers)) {
            remove_watched(node, watch->key);
        }
        hl_free(watch);
    }
}

static void touch_watchers(struct hl_watched_key *w)
{
    HL_LIST_EACH(it, &w->watchers)
    {
        struct hl_watch *watch = HL_LIST_ENTRY(it, struct hl_watch, by_key);
        watch->session->flags |= HL_SESSION_DIRTY_CAS;
    }
}

void hl_watch_modified(void *ctx, int db, struct hl_slice key)
{
    struct hl_node *node = ctx;
    struct hl_watched_key *w = find_watched(node->watched, db, key);
    if (w != NULL) {
        touch_watchers(w);
    }
}

/* Only keys that exist change when a database is emptied. */
void hl_watch_flushed(struct hl_node *node, int db)
{
    struct hl_watch_table *table = node->watched;
    for (size_t i = 0; i < table->bucket_count && table->count != 0; i++) {
        for (struct hl_watched_key *w = table->buckets[i]; w != NULL; w = w->next) {
            struct hl_slice name = {.ptr = w->name, .len = w->len};
            unsigned flags = HL_FIND_NOTOUCH | HL_FIND_NOSTATS | HL_FIND_EXPIRED;
            if ((db < 0 || db == w->db) &&
                hl_db_find(hl_ks_db(&node->ks, w->db), name, flags) != NULL) {
                touch_watchers(w);
            }
        }
    }
}

static bool watches_already(struct hl_session *session, int db, struct hl_slice key)
{
    HL_LIST_EACH(it, &session->watches)
    {
        struct hl_watch *watch = HL_LIST_ENTRY(it, struct hl_watch, by_session);
        struct hl_slice name = {.ptr = watch->key->name, .len = watch->key->len};
        if (watch->key->db == db && hl_slice_equal(name, key)) {
            return true;
        }
    }
    return false;
}

static bool is_expired(struct hl_node *node, int db, struct hl_slice key)
{
    unsigned flags = HL_FIND_NOTOUCH | HL_FIND_NOSTATS | HL_FIND_EXPIRED;
    struct hl_entry *entry = hl_db_find(hl_ks_db(&node->ks, db), key, flags);
    int64_t when = entry != NULL ? hl_entry_expire(entry) : HL_NO_EXPIRE;
    return when != HL_NO_EXPIRE && when < node->ks.now_ms;
}

static void cmd_watch(struct hl_call *call)
{
    struct hl_session *session = call->session;
    struct hl_node *node = call->node;
    if ((session->flags & HL_SESSION_MULTI) != 0) {
        hl_reply_error(call, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    for (int i = 1; i < call->argc && (session->flags & HL_SESSION_DIRTY_CAS) == 0; i++) {
        if (watches_already(session, session->db, call->argv[i])) {
            continue;
        }
        /* A key that has expired dies now and is missing from the start, where keys may die. */
        (void)hl_db_find(call->db, call->argv[i], HL_FIND_NOTOUCH | HL_FIND_NOSTATS);
        struct hl_watched_key *key = find_watched(node->watched, session->db, call->argv[i]);
        struct hl_watch *watch = hl_calloc(1, sizeof *watch);
        watch->session = session;
        watch->key = key != NULL ? key : add_watched(node, session->db, call->argv[i]);
        watch->expired_at_watch = is_expired(node, session->db, call->argv[i]);
        hl_list_append(&watch->key->watchers, &watch->by_key);
        hl_list_append(&session->watches, &watch->by_session);
    }
    hl_write_ok(call->out);
}

static void cmd_unwatch(struct hl_call *call)
{
    hl_watch_clear(call->node, call->session);
    call->session->flags &= ~HL_SESSION_DIRTY_CAS;
    hl_write_ok(call->out);
}

bool hl_txn_queue(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                  int argc, const struct hl_slice *argv)
{
    if ((session->flags & (HL_SESSION_DIRTY_EXEC | HL_SESSION_DIRTY_CAS)) != 0) {
        return true; /* it will never run: keep nothing */
    }
    size_t bytes = hl_slices_size(argv, (size_t)argc);
    size_t max = node->config.multi_queue_max; /* it may have been lowered meanwhile */
    if (session->queued_bytes > max || bytes > max - session->queued_bytes) {
        return false;
    }
    if (session->queued_count == session->queued_cap) {
        session->queued_cap = session->queued_cap == 0 ? 8 : session->queued_cap * 2;
        session->queued =
            hl_realloc(session->queued, (size_t)session->queued_cap * sizeof *session->queued);
    }
    session->queued[session->queued_count++] =
        (struct hl_queued){.cmd = cmd,
                           .epoch = hl_command_table_epoch(node->commands),
                           .argc = argc,
                           .argv = hl_slices_dup(argv, (size_t)argc)};
    session->queued_bytes += bytes;
    return true;
}

struct hl_command *hl_txn_command(struct hl_node *node, struct hl_queued *queued)
{
    uint64_t epoch = hl_command_table_epoch(node->commands);
    if (queued->epoch != epoch) {
        struct hl_command *cmd = hl_command_of(node->commands, queued->argv, queued->argc);
        bool good = cmd != NULL && cmd->run != NULL && hl_command_arity_ok(cmd, queued->argc);
        queued->cmd = good ? cmd : NULL;
        queued->epoch = epoch;
    }
    return queued->cmd;
}

bool hl_txn_has(struct hl_node *node, struct hl_session *session, uint32_t flags)
{
    for (int i = 0; i < session->queued_count; i++) {
        const struct hl_command *cmd = hl_txn_command(node, &session->queued[i]);
        if (cmd != NULL && (cmd->flags & flags) != 0) {
            return true;
        }
    }
    return false;
}

static void drop_queue(struct hl_session *session)
{
    for (int i = 0; i < session->queued_count; i++) {
        hl_free(session->queued[i].argv);
    }
    hl_free(session->queued);
    session->queued = NULL;
    session->queued_count = 0;
    session->queued_cap = 0;
    session->queued_bytes = 0;
}

void hl_txn_discard(struct hl_node *node, struct hl_session *session)
{
    drop_queue(session);
    session->flags &= ~(HL_SESSION_MULTI | HL_SESSION_DIRTY_EXEC | HL_SESSION_DIRTY_CAS);
    hl_watch_clear(node, session);
}

static void cmd_multi(struct hl_call *call)
{
    if ((call->session->flags & HL_SESSION_MULTI) != 0) {
        hl_reply_error(call, "ERR MULTI calls can not be nested");
        return;
    }
    call->session->flags |= HL_SESSION_MULTI;
    hl_write_ok(call->out);
}

static void cmd_discard(struct hl_call *call)
{
    if ((call->session->flags & HL_SESSION_MULTI) == 0) {
        hl_reply_error(call, "ERR DISCARD without MULTI");
        return;
    }
    hl_txn_discard(call->node, call->session);
    hl_write_ok(call->out);
}

/* A key that has expired since WATCH changed; one that was expired already did not. */
static bool watched_expired(struct hl_node *node, struct hl_session *session)
{
    HL_LIST_EACH(it, &session->watches)
    {
        struct hl_watch *watch = HL_LIST_ENTRY(it, struct hl_watch, by_session);
        struct hl_slice name = {.ptr = watch->key->name, .len = watch->key->len};
        if (!watch->expired_at_watch && is_expired(node, watch->key->db, name)) {
            return true;
        }
    }
    return false;
}

/* The answer reveals the state of the watched keys, so it waits for what changed them: for the
 * death of one that has expired too, which this logs. */
static void look_at_watched(struct hl_node *node, struct hl_session *session)
{
    HL_LIST_EACH(it, &session->watches)
    {
        struct hl_watch *watch = HL_LIST_ENTRY(it, struct hl_watch, by_session);
        struct hl_slice name = {.ptr = watch->key->name, .len = watch->key->len};
        unsigned flags = HL_FIND_NOTOUCH | HL_FIND_NOSTATS;
        (void)hl_db_find(hl_ks_db(&node->ks, watch->key->db), name, flags);
    }
}

/* False when a queued command is not there any more, or wants another number of arguments. */
static bool commands_are_there(struct hl_node *node, struct hl_session *session)
{
    for (int i = 0; i < session->queued_count; i++) {
        if (hl_txn_command(node, &session->queued[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static void run_queue(struct hl_call *call, struct hl_queued *queued, int count)
{
    struct hl_node *node = call->node;
    struct hl_session *session = call->session;
    hl_write_array(call->out, (size_t)count);
    for (int i = 0; i < count; i++) {
        struct hl_command *cmd = hl_txn_command(node, &queued[i]);
        if (cmd == NULL) {
            hl_write_error(call->out, "ERR unknown command: its module was unloaded meanwhile");
            continue;
        }
        const char *denied = hl_exec_recheck(node, session, &queued[i]);
        if (denied != NULL) {
            hl_write_error(call->out, denied);
            continue;
        }
        if (cmd != call->cmd && !hl_list_empty(&node->monitors)) {
            hl_monitor_feed(node, session, cmd, queued[i].argc, queued[i].argv);
        }
        hl_node_call(node, session, cmd, queued[i].argc, queued[i].argv, call->out,
                     HL_CALL_MULTI | HL_CALL_DENY_BLOCK);
        node->stats.commands++;
    }
}

static void cmd_exec(struct hl_call *call)
{
    struct hl_session *session = call->session;
    if ((session->flags & HL_SESSION_MULTI) == 0) {
        hl_reply_error(call, "ERR EXEC without MULTI");
        return;
    }
    if (watched_expired(call->node, session)) {
        session->flags |= HL_SESSION_DIRTY_CAS;
    }
    look_at_watched(call->node, session);
    if ((session->flags & HL_SESSION_DIRTY_EXEC) != 0 || !commands_are_there(call->node, session)) {
        hl_txn_discard(call->node, session);
        hl_reply_error(call, "EXECABORT Transaction discarded because of previous errors.");
        return;
    }
    if ((session->flags & HL_SESSION_DIRTY_CAS) != 0) {
        hl_txn_discard(call->node, session);
        hl_write_null_array(call->out);
        return;
    }
    struct hl_queued *queued = session->queued;
    int count = session->queued_count;
    session->queued = NULL;
    session->queued_count = 0;
    hl_watch_clear(call->node, session);
    run_queue(call, queued, count);
    session->queued = queued;
    session->queued_count = count;
    hl_txn_discard(call->node, session);
}

#define TXN_FLAGS                                                                                  \
    (HL_CMD_NOSCRIPT | HL_CMD_LOADING | HL_CMD_STALE | HL_CMD_RUNS_IN_MULTI | HL_CMD_AT_LEADER)

const struct hl_command_row hl_commands_txn[] = {
    {.name = "multi",
     .run = cmd_multi,
     .arity = 1,
     .flags = TXN_FLAGS | HL_CMD_FAST | HL_CMD_ALLOW_BUSY,
     .acl = HL_ACL_TRANSACTION,
     .group = "transactions",
     .since = "1.2.0",
     .complexity = "O(1)",
     .summary = "Start a transaction: commands are queued until EXEC."},
    {.name = "exec",
     .run = cmd_exec,
     .arity = 1,
     .flags = TXN_FLAGS | HL_CMD_SKIP_SLOWLOG,
     .acl = HL_ACL_TRANSACTION,
     .group = "transactions",
     .since = "1.2.0",
     .complexity = "Depends on the commands of the transaction",
     .summary = "Run the queued commands as one atomic unit."},
    {.name = "discard",
     .run = cmd_discard,
     .arity = 1,
     .flags = TXN_FLAGS | HL_CMD_FAST | HL_CMD_ALLOW_BUSY,
     .acl = HL_ACL_TRANSACTION,
     .group = "transactions",
     .since = "2.0.0",
     .complexity = "O(N) where N is the number of queued commands",
     .summary = "Forget the queued commands and leave the transaction."},
    {.name = "watch",
     .run = cmd_watch,
     .arity = -2,
     .flags = TXN_FLAGS | HL_CMD_FAST | HL_CMD_ALLOW_BUSY,
     .acl = HL_ACL_TRANSACTION,
     .keys = {{.flags = HL_KEY_RO, .first = 1, .last = -1, .step = 1}},
     .group = "transactions",
     .since = "2.2.0",
     .complexity = "O(1) per key",
     .summary = "Let EXEC run only if these keys have not changed until then.",
     .args = "key..."},
    {.name = "unwatch",
     .run = cmd_unwatch,
     .arity = 1,
     .flags = (TXN_FLAGS & ~HL_CMD_RUNS_IN_MULTI) | HL_CMD_FAST | HL_CMD_ALLOW_BUSY,
     .acl = HL_ACL_TRANSACTION,
     .group = "transactions",
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Forget all watched keys."},
};
const size_t hl_commands_txn_count = HL_ARRAY_LEN(hl_commands_txn);
