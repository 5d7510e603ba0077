/* The log's entries become state: at the start, on a node that follows, and anew after a rollback
 * or with a received snapshot; a slice at a time.
 *
 * Applying is deterministic (PROTOCOL section 2): effects run as commands marked replicated,
 * without expiry, rights or limits; at an effect that answers with an error the node stops (N4,
 * stopped.c), and one that is alone in its group does not start.
 */
#include "command/effect.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/node_internal.h"
#include "node/snapshot.h"
#include "raft/mutant.h"

#define SLICE_ENTRIES 256 /* applied between two looks at the clock */

struct hl_loader {
    struct hl_session *session; /* the one that applies; belongs to the node's list */
    struct hl_buf scratch;      /* its replies, which nobody reads but for errors */
    uint64_t start_us, applied;
    bool snapshot_done;
    struct hl_node *node;
    struct hl_errmsg *msg;
    hl_err err;
    bool begun;      /* a part of the entry that failed was applied */
    bool log_failed; /* it could not be read */
    int left;        /* entries of the running slice */
};

static struct hl_loader *loader_of(struct hl_node *node)
{
    if (node->loader == NULL) {
        node->loader = hl_calloc(1, sizeof *node->loader);
        node->loader->node = node;
        node->loader->session =
            hl_session_create(node, HL_SESSION_INTERNAL | HL_SESSION_AUTHENTICATED);
        node->loader->session->writer.out = &node->loader->scratch;
    }
    return node->loader;
}

void hl_load_fini(struct hl_node *node)
{
    if (node->loader == NULL) {
        return;
    }
    hl_session_destroy(node, node->loader->session);
    hl_buf_fini(&node->loader->scratch);
    hl_free(node->loader);
    node->loader = NULL;
}

static hl_err apply_effect(struct hl_node *node, const struct hl_wal_entry *entry,
                           const struct hl_effect_reader *effect, struct hl_errmsg *msg)
{
    struct hl_loader *loader = loader_of(node);
    struct hl_command *cmd = hl_command_of(node->commands, effect->argv, effect->argc);
    if (cmd == NULL || cmd->run == NULL || !hl_command_arity_ok(cmd, effect->argc)) {
        return hl_fail(msg, HL_EINVAL,
                       "entry %llu holds the command '%.*s', which this server does not have: is a "
                       "module missing?",
                       (unsigned long long)entry->index, (int)effect->argv[0].len,
                       effect->argv[0].ptr);
    }
    if (effect->db >= node->ks.db_count) {
        return hl_fail(msg, HL_EINVAL, "entry %llu changes database %d, but `databases` is %d",
                       (unsigned long long)entry->index, effect->db, node->ks.db_count);
    }
    hl_buf_clear(&loader->scratch);
    loader->session->db = effect->db;
    /* Orders (MODULE, ACL) change nothing when they fail; of others that cannot be told. */
    loader->begun = loader->begun || (cmd->flags & HL_CMD_LOGGED) == 0;
    if (!hl_node_call(node, loader->session, cmd, effect->argc, effect->argv,
                      &loader->session->writer,
                      HL_CALL_REPLICATED | HL_CALL_NESTED | HL_CALL_DENY_BLOCK)) {
        bool busy = loader->scratch.len > 6 && memcmp(loader->scratch.ptr, "-BUSY ", 6) == 0;
        return hl_fail(
            msg, busy ? HL_EBUSY : HL_ECORRUPT, "entry %llu cannot be applied: %.*s answered %.*s",
            (unsigned long long)entry->index, (int)effect->argv[0].len, effect->argv[0].ptr,
            loader->scratch.len < 220 ? (int)loader->scratch.len : 220, loader->scratch.ptr);
    }
    return HL_OK;
}

hl_err hl_node_apply(struct hl_node *node, const struct hl_wal_entry *entry, struct hl_errmsg *msg)
{
    if (entry->feature_level > hl_level_own(node)) {
        return hl_fail(msg, HL_EVERSION,
                       "entry %llu needs feature level %u, this server has %u: upgrade it",
                       (unsigned long long)entry->index, (unsigned)entry->feature_level,
                       (unsigned)hl_level_own(node));
    }
    hl_level_seen(node, entry->feature_level);
    if (entry->log_time_us > node->log_time_us) {
        node->log_time_us = entry->log_time_us;
    }
    if (entry->type == HL_WAL_SCRUB) {
        hl_scrub_apply(node, entry);
    }
    if (entry->type != HL_WAL_EFFECTS) {
        return HL_OK;
    }
    enum hl_expiry before = node->ks.expiry;
    int64_t now_ms = node->ks.now_ms;
    node->ks.expiry = HL_EXPIRY_OFF;
    node->ks.now_ms = entry->log_time_us / 1000;
    hl_unit_begin(node);
    node->ks.gate_index = 0;
    node->applying = true;
    loader_of(node)->begun = false;
    struct hl_effect_reader effect = {.body = entry->body};
    hl_err err = HL_OK;
    while ((err = hl_effect_next(&effect)) == HL_OK) {
        err = apply_effect(node, entry, &effect, msg);
        if (err != HL_OK) {
            break;
        }
    }
    if (err == HL_ECORRUPT && effect.position < entry->body.len && effect.argc == 0) {
        err = hl_fail(msg, HL_ECORRUPT, "entry %llu does not hold effects",
                      (unsigned long long)entry->index);
    }
    hl_effect_reader_fini(&effect);
    (void)hl_unit_end(node);
    node->admin.dirty = node->unit.admin ? entry->index : node->admin.dirty;
    node->applying = false;
    node->ks.expiry = before;
    node->ks.now_ms = now_ms;
    return err == HL_ENOENT ? HL_OK : err;
}

static bool on_entry(void *arg, const struct hl_wal_entry *entry)
{
    struct hl_loader *loader = arg;
    loader->err = hl_node_apply(loader->node, entry, loader->msg);
    if (loader->err != HL_OK) {
        return false;
    }
    loader->node->last = entry->index;
    loader->applied++;
    return --loader->left > 0;
}

/* Apply what follows X up to `target`.  HL_ENOENT: the time is over. */
static hl_err replay(struct hl_node *node, hl_index target, uint64_t budget_us,
                     struct hl_errmsg *msg)
{
    struct hl_loader *loader = loader_of(node);
    uint64_t start_us = node->world->mono_us(node->world->ctx);
    while (node->last < target) {
        if (node->world->mono_us(node->world->ctx) - start_us > budget_us) {
            return HL_ENOENT;
        }
        loader->left = SLICE_ENTRIES;
        loader->msg = msg;
        loader->err = HL_OK;
        hl_err err = hl_wal_read(node->wal, node->last + 1, target, on_entry, loader, msg);
        loader->log_failed = err != HL_OK && loader->err == HL_OK;
        err = err != HL_OK ? err : loader->err;
        if (err != HL_OK) {
            return err == HL_ENOENT ? HL_ECORRUPT : err;
        }
        node->load_done = node->last;
        node->load_total = target;
    }
    return HL_OK;
}

/* What the log held is loaded; from now on only snapshots are made.  Their labels are past its end,
 * so that a server that uses it again sees that they hold more than it does, and empties it. */
static void leave_log(struct hl_node *node)
{
    node->last = node->snapshot_index;
    if (node->wal != NULL) {
        node->last = hl_wal_last(node->wal);
        node->cluster.term = hl_wal_meta(node->wal)->term;
    }
    node->commit = node->last;
    node->wal = NULL;
    node->cluster.leads = true;
    hl_record_alone(node);
}

static void end_loading(struct hl_node *node)
{
    node->loading = false;
    hl_load_fini(node);
    if (node->hooks.loading != NULL) {
        node->hooks.loading(node->hooks.ctx, true);
    }
}

static void done(struct hl_node *node)
{
    struct hl_loader *loader = node->loader;
    uint64_t took_us = node->world->mono_us(node->world->ctx) - loader->start_us;
    size_t keys = 0;
    for (int i = 0; i < node->ks.db_count; i++) {
        keys += hl_db_count(hl_ks_db(&node->ks, i));
    }
    hl_node_log(node, 2,
                "DB loaded: %zu keys from a snapshot at %llu and %llu log entries, %.3f seconds",
                keys, (unsigned long long)node->snapshot_index, (unsigned long long)loader->applied,
                (double)took_us / 1e6);
    if (!node->config.appendonly) {
        leave_log(node);
    }
    node->ks.expiry = node->wal == NULL ? HL_EXPIRY_DELETE : HL_EXPIRY_HIDE;
    node->stats.changes_since_save = loader->applied;
    node->stats.last_save_s = node->now_ms / 1000;
    end_loading(node);
    hl_admin_compare_files(node);
    if (node->wal != NULL) {
        hl_replica_start(node);
    }
}

/* What tables hold before any snapshot or entry: what they return to when all is made anew. */
static void remember_genesis(struct hl_node *node)
{
    for (size_t i = 0; i < node->table_count; i++) {
        const struct hl_state_table *table = &node->tables[i];
        hl_buf_clear(&node->genesis[i]);
        table->save(table->ctx, &node->genesis[i]);
    }
    node->genesis_count = node->table_count;
}

static void begin_loading(struct hl_node *node)
{
    struct hl_loader *loader = loader_of(node);
    loader->start_us = node->world->mono_us(node->world->ctx);
    node->ks.expiry = HL_EXPIRY_OFF;
    if (node->hooks.loading != NULL) {
        node->hooks.loading(node->hooks.ctx, false);
    }
}

/* The snapshot, and what the log says of the members. */
static hl_err load_base(struct hl_node *node, uint64_t budget_us, struct hl_errmsg *msg)
{
    hl_err err = hl_snapshot_load_step(node, (int64_t)budget_us, msg);
    if (err != HL_OK) {
        return err;
    }
    node->loader->snapshot_done = true;
    node->last = node->snapshot_index;
    if (node->snapshot_index != 0) {
        uint64_t took_us = node->world->mono_us(node->world->ctx) - node->loader->start_us;
        hl_node_record_snapshot(node,
                                (struct hl_snap_event){.kind = HL_SNAP_RESTORED,
                                                       .index = node->snapshot_index,
                                                       .term = node->snapshot_term,
                                                       .took_us = took_us},
                                NULL);
    }
    if (node->wal == NULL) {
        return HL_OK;
    }
    if (hl_wal_first(node->wal) > node->snapshot_index + 1) {
        return hl_fail(msg, HL_ECORRUPT,
                       "the log starts at entry %llu, but the newest usable snapshot ends at "
                       "%llu: entries between are missing",
                       (unsigned long long)hl_wal_first(node->wal),
                       (unsigned long long)node->snapshot_index);
    }
    return HL_OK;
}

hl_err hl_node_load_step(struct hl_node *node, int64_t budget_us, struct hl_errmsg *msg)
{
    HL_ASSERT(node->loading && !node->cluster.live);
    hl_err err = HL_OK;
    struct hl_loader *loader = loader_of(node);
    if (loader->start_us == 0) {
        remember_genesis(node);
        begin_loading(node);
    }
    if (err == HL_OK && !loader->snapshot_done) {
        err = load_base(node, (uint64_t)budget_us, msg);
        if (err == HL_OK && node->wal != NULL) {
            err = hl_replica_recover(node, msg);
        }
    }
    if (err != HL_OK) {
        return err;
    }
    if (node->wal != NULL) {
        /* Alone in the group, all that the log holds is committed; otherwise a leader will tell. */
        bool all = hl_replica_is_sole(node) || !node->config.appendonly;
        hl_index target = all ? hl_wal_last(node->wal) : node->snapshot_index;
        err = replay(node, target, (uint64_t)budget_us, msg);
        if (err != HL_OK) {
            return err;
        }
    }
    done(node);
    return HL_OK;
}

/* --- while raft runs -------------------------------------------------------------------------- */

/* replay() of what is in the log; an entry that cannot be applied is noted (N4). */
static hl_err replay_or_stop(struct hl_node *node, hl_index target, uint64_t budget_us)
{
    struct hl_errmsg msg = {{0}};
    hl_err err = replay(node, target, budget_us, &msg);
    if (node->cluster.stop.index != 0 && node->last >= node->cluster.stop.index) {
        hl_stop_passed(node);
    }
    if (loader_of(node)->log_failed) { /* that is the disk's affair, not the entry's */
        node->world->fatal(node->world->ctx, msg.text);
    }
    if (err != HL_OK && err != HL_ENOENT) {
        hl_stop_note(node, err, loader_of(node)->begun, msg.text);
    }
    return err;
}

bool hl_replica_apply(struct hl_node *node, uint64_t budget_us)
{
    if (!hl_stop_may_try(node)) {
        return true;
    }
    if (node->cluster.stop.begun) { /* hl_replica_rebuild() tries again */
        hl_replica_make_anew(node);
        return false;
    }
    return replay_or_stop(node, node->commit, budget_us) != HL_ENOENT;
}

enum hl_applied hl_replica_apply_log(struct hl_node *node, uint64_t budget_us)
{
    if (node->cluster.stop.index != 0 && !node->cluster.stop.told && !hl_stop_may_try(node)) {
        return HL_APPLIED_SOME;
    }
    hl_err err = node->cluster.stop.told ? HL_EINVAL
                                         : replay_or_stop(node, hl_wal_last(node->wal), budget_us);
    if (node->cluster.stop.told) {
        node->cluster.resign_due = true;
        return HL_APPLIED_STOPPED;
    }
    return err == HL_OK ? HL_APPLIED_ALL : HL_APPLIED_SOME;
}

/* Empty the state, as a full synchronisation of a replica does. */
static void wipe(struct hl_node *node)
{
    hl_watch_flushed(node, -1);
    if (node->hooks.flushed != NULL) {
        node->hooks.flushed(node->hooks.ctx, -1, false);
    }
    node->ks.gate_index = 0;
    hl_ks_flush(&node->ks);
    hl_scrub_reset(node);
    node->cluster.levels.now = 0; /* it is read anew */
    memset(node->ks.gate, 0, HL_GATE_SLOTS * sizeof *node->ks.gate);
    if (node->hooks.flushed != NULL) {
        node->hooks.flushed(node->hooks.ctx, -1, true);
    }
    for (size_t i = 0; i < node->genesis_count && !HL_MUTANT(REBUILD_KEEPS); i++) {
        const struct hl_state_table *table = &node->tables[i];
        struct hl_errmsg msg = {{0}};
        if (table->load(table->ctx, hl_buf_view(&node->genesis[i]), &msg) != HL_OK) {
            node->world->fatal(node->world->ctx, msg.text);
        }
    }
}

void hl_replica_make_anew(struct hl_node *node)
{
    HL_ASSERT(!node->unit.open && !node->cluster.leads);
    node->cluster.epoch++;
    if (node->hooks.discarded != NULL) {
        node->hooks.discarded(node->hooks.ctx);
    }
    if (node->cluster.rebuilding) { /* from an older snapshot: begin again, without events */
        hl_load_fini(node);
        hl_snapshot_load_fini(node);
    } else {
        hl_load_fini(node);
        begin_loading(node);
    }
    node->cluster.rebuilding = true;
    node->loading = true;
    hl_admin_discarded(node);
    wipe(node);
    node->last = 0;
    if (node->snapshot_index != 0) {
        hl_node_load_from(node, node->snapshot_disk, node->snapshot_dir);
    }
}

void hl_replica_discard(struct hl_node *node)
{
    hl_node_log(node, 3,
                "entries that were executed here are not part of the log any more: the "
                "state is made anew");
    hl_replica_make_anew(node);
}

bool hl_replica_rebuild(struct hl_node *node, uint64_t budget_us)
{
    HL_ASSERT(node->cluster.rebuilding);
    struct hl_errmsg msg = {{0}};
    hl_err err = HL_OK;
    if (!loader_of(node)->snapshot_done) {
        err = load_base(node, budget_us, &msg);
    }
    if (err != HL_OK && err != HL_ENOENT) {
        node->world->fatal(node->world->ctx, msg.text);
    }
    err = err == HL_OK ? replay_or_stop(node, node->commit, budget_us) : err;
    if (err == HL_ENOENT) {
        return false;
    }
    node->cluster.rebuilding = false;
    hl_admin_rebuilt(node);
    if (err == HL_OK) { /* otherwise it stopped on the way */
        hl_scrub_rebuilt(node);
    }
    node->ks.expiry = HL_EXPIRY_HIDE;
    hl_node_log(node, 2, "the state is made anew up to entry %llu", (unsigned long long)node->last);
    end_loading(node);
    hl_install_done(node);
    hl_resume_postponed(node);
    return true;
}
