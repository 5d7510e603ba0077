/* Start-up: the log's entries become state again, a slice at a time.
 *
 * Applying is deterministic (PROTOCOL section 2): effects run as commands marked replicated,
 * without expiry, rights or limits, and an effect that answers with an error stops the node (N4).
 */
#include "command/effect.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/node_internal.h"

#define SLICE_ENTRIES 256 /* applied between two looks at the clock */

struct hl_loader {
    struct hl_session *session; /* the one that applies; belongs to the node's list */
    struct hl_buf scratch;      /* its replies, which nobody reads but for errors */
    hl_index next;              /* entry to apply next */
    struct hl_terms terms;      /* of the entries applied */
    uint64_t start_us, applied;
    bool snapshot_done;
    struct hl_node *node;
    struct hl_errmsg *msg;
    hl_err err;
    int left; /* entries of the running slice */
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
    hl_terms_fini(&node->loader->terms);
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
    if (!hl_node_call(node, loader->session, cmd, effect->argc, effect->argv,
                      &loader->session->writer,
                      HL_CALL_REPLICATED | HL_CALL_NESTED | HL_CALL_DENY_BLOCK)) {
        return hl_fail(
            msg, HL_ECORRUPT, "entry %llu cannot be applied: %.*s answered %.*s",
            (unsigned long long)entry->index, (int)effect->argv[0].len, effect->argv[0].ptr,
            loader->scratch.len < 100 ? (int)loader->scratch.len : 100, loader->scratch.ptr);
    }
    return HL_OK;
}

hl_err hl_node_apply(struct hl_node *node, const struct hl_wal_entry *entry, struct hl_errmsg *msg)
{
    if (entry->feature_level > HL_FEATURE_LEVEL) {
        return hl_fail(msg, HL_EVERSION,
                       "entry %llu needs feature level %u, this server has %u: upgrade it",
                       (unsigned long long)entry->index, (unsigned)entry->feature_level,
                       (unsigned)HL_FEATURE_LEVEL);
    }
    if (entry->log_time_us > node->log_time_us) {
        node->log_time_us = entry->log_time_us;
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
    if (entry->term < hl_terms_last(&loader->terms)) {
        loader->err = hl_fail(loader->msg, HL_ECORRUPT,
                              "entry %llu is of an older term than its "
                              "predecessor",
                              (unsigned long long)entry->index);
        return false;
    }
    hl_terms_append(&loader->terms, entry->index, entry->term);
    loader->next = entry->index + 1;
    loader->applied++;
    return --loader->left > 0;
}

/* From here on the node leads its group of one: what is on disk is committed by the no-op. */
static void lead(struct hl_node *node)
{
    const struct hl_wal_meta *meta = hl_wal_meta(node->wal);
    hl_peer self = node->node_id;
    uint64_t now_us = node->world->mono_us(node->world->ctx);
    struct hl_raft_config_entry alone = {
        .config = {.count = 1, .members = {{.id = self, .voter = true}}}};
    HL_ASSERT(node->loader->terms.last == hl_wal_last(node->wal));
    struct hl_raft_start start = {
        .self = self,
        .configs = &alone,
        .config_count = 1,
        .term = meta->term,
        .vote = meta->vote,
        .log = &node->loader->terms,
        .seed = hl_rng_next(&node->rng),
        .now_us = now_us,
    };
    hl_raft_init(&node->raft, &start);
    struct hl_raft_event event = {.type = HL_RAFT_ON_START, .now_us = now_us};
    struct hl_raft_ready ready;
    hl_err err = hl_raft_step(&node->raft, &event, &ready);
    HL_ASSERT(err == HL_OK);
    HL_ASSERT(ready.append_noop);
    hl_wal_set_hard_state(node->wal, ready.term, ready.vote);
    node->last = hl_raft_last(&node->raft);
    node->commit = ready.commit;
    node->mingate = node->last; /* C3: nothing leaves before the inherited log is committed */
    struct hl_wal_entry noop = {
        .index = node->last,
        .term = ready.term,
        .type = HL_WAL_NOP,
        .log_time_us = node->log_time_us,
        .feature_level = HL_FEATURE_LEVEL,
    };
    hl_wal_append(node->wal, &noop);
}

/* What the log held is loaded; from now on only snapshots are made.  Their labels are past its end,
 * so that a server that uses it again sees that they hold more than it does, and empties it. */
static void leave_log(struct hl_node *node)
{
    node->last = node->snapshot_index;
    if (node->wal != NULL) {
        node->last = hl_wal_last(node->wal);
        node->raft.term = hl_wal_meta(node->wal)->term;
    }
    node->commit = node->last;
    node->wal = NULL;
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
    if (node->wal != NULL) {
        lead(node);
    }
    node->ks.expiry = HL_EXPIRY_DELETE;
    node->loading = false;
    node->stats.changes_since_save = loader->applied;
    node->stats.last_save_s = node->now_ms / 1000;
    hl_load_fini(node);
    if (node->hooks.loading != NULL) {
        node->hooks.loading(node->hooks.ctx, true);
    }
}

static hl_err replay(struct hl_node *node, int64_t budget_us, struct hl_errmsg *msg)
{
    struct hl_loader *loader = node->loader;
    uint64_t start_us = node->world->mono_us(node->world->ctx);
    hl_index last = hl_wal_last(node->wal);
    while (loader->next <= last) {
        if (node->world->mono_us(node->world->ctx) - start_us > (uint64_t)budget_us) {
            return HL_ENOENT;
        }
        loader->left = SLICE_ENTRIES;
        loader->msg = msg;
        loader->err = HL_OK;
        hl_err err = hl_wal_read(node->wal, loader->next, last, on_entry, loader, msg);
        err = err != HL_OK ? err : loader->err;
        if (err != HL_OK) {
            return err == HL_ENOENT ? HL_ECORRUPT : err;
        }
        node->load_done = loader->next;
        node->load_total = last;
    }
    return HL_OK;
}

hl_err hl_node_load_step(struct hl_node *node, int64_t budget_us, struct hl_errmsg *msg)
{
    HL_ASSERT(node->loading);
    struct hl_loader *loader = loader_of(node);
    if (loader->start_us == 0) {
        loader->start_us = node->world->mono_us(node->world->ctx);
        node->ks.expiry = HL_EXPIRY_OFF;
        if (node->hooks.loading != NULL) {
            node->hooks.loading(node->hooks.ctx, false);
        }
    }
    if (!loader->snapshot_done) {
        hl_err err = hl_snapshot_load_step(node, budget_us, msg);
        if (err != HL_OK) {
            return err;
        }
        loader->snapshot_done = true;
        loader->next = node->snapshot_index + 1;
        hl_terms_reset(&loader->terms, node->snapshot_index, node->snapshot_term);
    }
    if (node->wal != NULL) {
        if (hl_wal_first(node->wal) > loader->next) {
            return hl_fail(msg, HL_ECORRUPT,
                           "the log starts at entry %llu, but the newest usable snapshot ends at "
                           "%llu: entries between are missing",
                           (unsigned long long)hl_wal_first(node->wal),
                           (unsigned long long)node->snapshot_index);
        }
        hl_err err = replay(node, budget_us, msg);
        if (err != HL_OK) {
            return err;
        }
    }
    done(node);
    return HL_OK;
}
