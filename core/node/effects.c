/* Units and effects: what one execution changed, as one entry of the log.
 *
 * The body is built in place in the log's pending batch, so an effect is copied once between the
 * client's request and the disk.
 */
#include "command/effect.h"
#include "kit/assert.h"
#include "node/node_internal.h"
#include "raft/mutant.h"
#include "wal/format.h"

void hl_unit_begin(struct hl_node *node)
{
    HL_ASSERT(!node->unit.open); /* N2 */
    node->unit = (struct hl_unit){.open = true};
    node->ks.gate_seen = 0;
    node->ks.gated = node->commit < node->last;
    node->ks.gate_index = node->wal != NULL ? node->last + 1 : 0;
}

/* What the unit did cannot be taken back but by starting again, and cannot be logged: so it ends
 * here, before a byte of it was logged or answered. */
static void check_size(struct hl_node *node)
{
    size_t size = node->unit.body->len - node->unit.body_start;
    size_t max = node->config.unit_max != 0 ? node->config.unit_max : HL_WAL_BODY_MAX;
    if (size > max) {
        node->world->fatal(node->world->ctx,
                           "one command or transaction changed more than an entry of the log can "
                           "hold; nothing of it was logged or answered");
    }
}

void hl_unit_effect(struct hl_node *node, int db, int argc, const struct hl_slice *argv)
{
    HL_ASSERT(node->unit.open);
    node->stats.changes_since_save++;
    if (HL_MUTANT(VERBATIM) && node->unit.verbatim) {
        return;
    }
    if (node->wal == NULL || node->ks.expiry != HL_EXPIRY_DELETE) {
        return; /* no log, or these changes come from it */
    }
    if (node->unit.muted && node->hooks.effect_muted != NULL) {
        node->hooks.effect_muted(node->hooks.ctx, db, argc, argv);
        return;
    }
    if (node->unit.body == NULL) {
        node->unit.body = hl_wal_append_begin(node->wal);
        node->unit.body_start = node->unit.body->len;
    }
    hl_effect_encode(node->unit.body, db, argc, argv);
    check_size(node);
    node->unit.effects++;
}

static void seal_entry(struct hl_node *node)
{
    node->stats.entries++;
    node->stats.entry_bytes += node->unit.body->len - node->unit.body_start;
    node->last++;
    struct hl_wal_entry entry = {
        .index = node->last,
        .term = node->cluster.term,
        .type = HL_WAL_EFFECTS,
        .log_time_us = node->log_time_us,
        .feature_level = hl_level_now(node),
    };
    if (node->cluster.prove) {
        hl_replica_note_size(&node->cluster, node->last,
                             node->unit.body->len - node->unit.body_start);
    }
    hl_level_seen(node, entry.feature_level);
    hl_wal_append_end(node->wal, &entry); /* raft learns of it when the iteration ends */
}

uint64_t hl_unit_end(struct hl_node *node)
{
    HL_ASSERT(node->unit.open);
    if (node->hooks.settle != NULL) {
        node->hooks.settle(node->hooks.ctx);
    }
    uint64_t gate = HL_MUTANT(DIRTY_READ) ? 0 : node->ks.gate_seen;
    bool changed = node->unit.body != NULL;
    if (changed) {
        HL_ASSERT(node->cluster.leads || node->cluster.handing); /* C2: refused before they run */
        seal_entry(node);
        gate = node->last;
        node->admin.dirty = node->unit.admin ? node->last : node->admin.dirty;
    }
    if (node->admin.dirty > node->commit && gate < node->admin.dirty) {
        gate = node->admin.dirty; /* M1 of admin.h */
    }
    if (gate < node->mingate) {
        gate = node->mingate;
    }
    /* A name may be marked with an index that no entry took (a change that is not logged). */
    if (gate > node->last) {
        gate = node->last;
    }
    node->unit.open = false;
    node->unit.body = NULL;
    node->unit.made = changed;
    if (!hl_list_empty(&node->key_waits.ready)) {
        hl_key_wait_serve(node);
    }
    if (node->hooks.unit_ended != NULL) {
        node->hooks.unit_ended(node->hooks.ctx, changed);
    }
    node->unit.made = changed; /* units of those who were served have come between */
    return gate;
}
