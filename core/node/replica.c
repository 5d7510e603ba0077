/* Replica: raft's events in, its duties out. */
#include "node/replica.h"

#include "base/metrics.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/admit.h"
#include "node/barrier.h"
#include "node/forward.h"
#include "node/node_internal.h"
#include "node/wire_raft.h"
#include "raft/mutant.h"

#define APPLY_SLICE_US 5000    /* of applying between two looks at the clients */
#define REBUILD_SLICE_US 20000 /* of loading, the same */
#define HAND_OVER_US 5000000   /* that giving leadership away may take */

static uint64_t now_us(const struct hl_node *node)
{
    return node->world->mono_us(node->world->ctx);
}

/* --- duties ----------------------------------------------------------------------------------- */

bool hl_replica_term_at(const struct hl_node *node, hl_index index, hl_term *term)
{
    return hl_terms_at(hl_wal_terms(node->wal), index, term) ||
           (node->cluster.live && hl_raft_term_at(&node->raft, index, term));
}

static void truncate(struct hl_node *node, hl_index from)
{
    struct hl_errmsg msg = {{0}};
    if (hl_wal_truncate_from(node->wal, from, &msg) != HL_OK) {
        node->world->fatal(node->world->ctx, msg.text);
    }
    hl_replica_config_drop_from(node, from);
    node->cluster.sizes_from = node->cluster.sizes_from > from ? from : node->cluster.sizes_from;
    node->cluster.proposed = hl_wal_last(node->wal);
    if (node->cluster.stop.index >= from) {
        hl_stop_passed(node);
    }
    if (node->last < from) {
        return;
    }
    if (HL_MUTANT(NO_ROLLBACK)) {
        node->last = from - 1;
        return;
    }
    hl_replica_discard(node);
}

/* The log starts behind the snapshot that was just published. */
static void reset_log(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    struct hl_errmsg msg = {{0}};
    HL_ASSERT(node->batch_count == 0);
    if (hl_wal_reset(node->wal, node->snapshot_index, node->snapshot_term, &msg) != HL_OK) {
        node->world->fatal(node->world->ctx, msg.text);
    }
    if (c->save_waits) { /* it is on the disk by now; the next batch says so */
        hl_wal_set_hard_state(node->wal, c->save_term, c->save_vote);
    }
    c->proposed = node->snapshot_index;
    c->sizes_from = node->snapshot_index + 1;
}

static void append(struct hl_node *node, struct hl_wire_entries *entries, hl_index first,
                   hl_index last)
{
    HL_ASSERT(entries != NULL);
    struct hl_wal_entry entry;
    while (hl_wire_entry_next(entries, &entry) && entry.index <= last) {
        if (entry.index < first) {
            continue;
        }
        hl_wal_append(node->wal, &entry);
        hl_replica_note_size(&node->cluster, entry.index, entry.body.len);
        struct hl_members members;
        if (entry.type == HL_WAL_CFG && hl_members_decode(entry.body, &members, NULL) == HL_OK) {
            hl_replica_config_push(node, entry.index, &members);
        }
    }
    HL_ASSERT(hl_wal_last(node->wal) == last);
    node->cluster.proposed = last;
}

static bool on_last(void *arg, const struct hl_wal_entry *entry)
{
    struct hl_wal_entry *last = arg;
    last->log_time_us = entry->log_time_us;
    last->feature_level = entry->feature_level;
    return false;
}

/* Times and levels never go back along the log (G1), what is not applied yet included. */
static void follow_last(struct hl_node *node, struct hl_wal_entry *noop)
{
    hl_index end = hl_wal_last(node->wal);
    struct hl_wal_entry last = {.log_time_us = node->log_time_us,
                                .feature_level = hl_level_now(node)};
    struct hl_errmsg msg = {{0}};
    if (node->last < end && hl_wal_read(node->wal, end, end, on_last, &last, &msg) != HL_OK) {
        node->world->fatal(node->world->ctx, msg.text);
    }
    noop->log_time_us = node->now_us > last.log_time_us ? node->now_us : last.log_time_us;
    noop->feature_level = last.feature_level;
}

/* The first entry of a term: in a group just founded it says who the members are. */
static void append_noop(struct hl_node *node, hl_term term)
{
    struct hl_cluster *c = &node->cluster;
    const struct hl_config_at *at = hl_replica_config_newest(node);
    bool founds = at != NULL && at->index == 0;
    struct hl_buf body = {0};
    struct hl_members members = *hl_node_members(node);
    if (founds) {
        hl_members_encode(&members, &body);
    }
    struct hl_wal_entry noop = {
        .index = hl_wal_last(node->wal) + 1,
        .term = term,
        .type = founds ? HL_WAL_CFG : HL_WAL_NOP,
        .body = hl_buf_view(&body),
    };
    follow_last(node, &noop);
    hl_level_seen(node, noop.feature_level);
    hl_wal_append(node->wal, &noop);
    hl_replica_note_size(c, noop.index, body.len);
    hl_buf_fini(&body);
    if (founds) {
        hl_replica_config_push(node, noop.index, &members);
    }
    c->proposed = noop.index;
    /* C3 of PROTOCOL: it gates the inherited log. */
    node->mingate = HL_MUTANT(NO_MINGATE) ? 0 : noop.index;
}

static void note_leader(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    if (c->leader != 0 && c->leader != c->known_leader) {
        c->known_leader = c->leader;
        node->stats.leader_changes++;
    }
}

/* All of the log is applied: execute. */
static void lead(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    HL_ASSERT(node->last == hl_wal_last(node->wal)); /* C1 */
    if (node->now_us > node->log_time_us) {
        node->log_time_us = node->now_us; /* G1 */
    }
    node->ks.now_ms = node->log_time_us / 1000; /* the log will say that what follows ran then */
    c->inherits = false;
    c->leads = true;
    hl_admin_lead(node);
    c->leader = node->node_id;
    HL_LIST_EACH(it, &node->sessions)
    {
        hl_replica_forget_reader(node, HL_LIST_ENTRY(it, struct hl_session, all));
    }
    node->ks.expiry = HL_EXPIRY_DELETE;
    if (c->prove) {
        hl_node_log(node, 2, "leading in term %llu from entry %llu on", (unsigned long long)c->term,
                    (unsigned long long)node->mingate);
    }
    if (c->prove && node->hooks.role_changed != NULL) {
        node->hooks.role_changed(node->hooks.ctx, true);
    }
    note_leader(node);
    hl_forward_leader_changed(node);
    hl_resume_postponed(node);
}

/* The next slice of applying what the log holds. */
static void inherit(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    HL_ASSERT(c->inherits && !c->leads);
    if (c->rebuilding && !hl_replica_rebuild(node, REBUILD_SLICE_US)) {
        return;
    }
    if (HL_MUTANT(LEADS_UNAPPLIED)) {
        node->last = hl_wal_last(node->wal);
    }
    switch (hl_replica_apply_log(node, APPLY_SLICE_US)) {
    case HL_APPLIED_ALL:
        lead(node);
        return;
    case HL_APPLIED_SOME:
    case HL_APPLIED_STOPPED: /* nobody executes behind the no-op: the iteration ends by resigning */
        return;
    }
}

/* Elected: the no-op goes out at once, so that everything before it can be committed.  Clients are
 * served when all of it is applied, which is cut into slices. */
static void begin_leading(struct hl_node *node, hl_term term)
{
    struct hl_cluster *c = &node->cluster;
    HL_ASSERT(!node->unit.open);
    append_noop(node, term);
    c->handing = false;
    c->backlog_first = c->backlog_count = 0;
    c->watched.index = 0;
    c->inherits = true;
    inherit(node);
    if (c->inherits) {
        hl_node_log(node, 2, "elected in term %llu: applying entries %llu to %llu before leading",
                    (unsigned long long)term, (unsigned long long)node->last + 1,
                    (unsigned long long)c->proposed);
    }
}

/* One batch at a time is timed from its last command to its commit. */
static void watch_commit(struct hl_node *node, hl_index last)
{
    struct hl_cluster *c = &node->cluster;
    if (c->watched.index == 0) {
        c->watched.index = last;
        c->watched.at_us = node->mark_us;
    }
}

static void note_commit(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    if (c->watched.index == 0 || c->watched.index > node->commit) {
        return;
    }
    uint64_t since_us = c->watched.at_us;
    uint64_t took_us = node->begun_us > since_us ? node->begun_us - since_us : 0;
    c->watched.index = 0;
    hl_metric_observe(node->commit_seconds, (double)took_us / 1e6);
}

static void pop_backlog(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    while (c->backlog_count != 0 && c->backlog[c->backlog_first].last <= node->commit) {
        c->backlog_first = (c->backlog_first + 1) % HL_BACKLOG_RING;
        c->backlog_count--;
    }
}

/* Reads are proved when the commit index has reached what the proof says. */
static bool settle_reads(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    bool behind = node->commit < c->read_index && !HL_MUTANT(READ_BEHIND);
    if (c->read_proved == c->read_done || behind) {
        return false;
    }
    c->read_done = c->read_proved;
    return true;
}

/* Who the members are must be known after a start, and whether that can still be taken back. */
static void note_committed_members(struct hl_node *node)
{
    const struct hl_config_at *at = hl_replica_config_newest(node);
    if (at != NULL && at->index <= node->commit && at->index > hl_wal_meta(node->wal)->committed) {
        hl_wal_note_committed(node->wal, at->index);
    }
}

static void committed(struct hl_node *node, hl_index commit)
{
    struct hl_cluster *c = &node->cluster;
    bool moved = commit > node->commit;
    if (moved) {
        node->commit = commit;
        HL_ASSERT(!c->leads || node->commit <= node->last); /* N1 */
        pop_backlog(node);
        note_commit(node);
        note_committed_members(node);
        c->retires |= hl_replica_config_removes(node);
        hl_replica_config_drop_old(node);
    }
    bool proved = settle_reads(node);
    if (moved || proved) {
        hl_gate_release(node);
    }
    if (moved) {
        hl_admin_committed(node);
    }
    if (moved && node->crowded_us != 0) {
        hl_resume_postponed(node);
    }
}

static void take_reads(struct hl_node *node, const struct hl_raft_ready *ready)
{
    struct hl_cluster *c = &node->cluster;
    if (ready->read_id > c->read_proved) {
        c->read_proved = ready->read_id;
        c->read_index = ready->read_index;
    }
    if (ready->read_failed > c->read_failed) {
        c->read_failed = ready->read_failed;
        c->read_wanted |= ready->role == HL_RAFT_LEADER; /* a later proof covers these, too */
        hl_resume_postponed(node);
    }
}

static void carry_out(struct hl_node *node, const struct hl_raft_ready *ready,
                      struct hl_wire_entries *entries)
{
    struct hl_cluster *c = &node->cluster;
    c->term = ready->term;
    if (ready->stepped_down) { /* first, so that what is truncated is no longer executed upon */
        hl_replica_depose(node);
    }
    if (ready->truncate != 0) {
        truncate(node, ready->truncate);
    }
    if (ready->log_reset) {
        reset_log(node);
    }
    if (ready->append_last != 0) {
        append(node, entries, ready->append_first, ready->append_last);
    }
    if (ready->save_hard_state) {
        hl_wal_set_hard_state(node->wal, ready->term, ready->vote);
        c->save_waits = true;
        c->save_term = ready->term;
        c->save_vote = ready->vote;
    }
    c->leader = ready->leader;
    if (ready->append_noop) {
        begin_leading(node, ready->term);
    }
    if (c->inherits || c->removed) {
        c->leader = 0; /* nobody who takes requests, as yet or for this node */
    }
    if (ready->config_changed) {
        hl_replica_config_changed(node);
    }
    hl_record_ready(node, ready);
    for (uint32_t i = 0; i < ready->message_count && !c->removed; i++) {
        hl_replica_send_message(node, &ready->messages[i]);
    }
    take_reads(node, ready);
    committed(node, ready->commit);
    note_leader(node);
    if (ready->leader_changed) {
        hl_forward_leader_changed(node);
        hl_resume_postponed(node);
    }
    if (ready->transfer_failed && c->handing) {
        hl_replica_resume_leading(node);
    }
    for (uint32_t i = 0; i < ready->snapshot_count; i++) {
        hl_transfer_start(node, ready->snapshot_to[i]);
    }
    c->flush_due |= ready->flush;
    c->flush_held = ready->held;
    c->wake_us = ready->wake_us;
}

hl_err hl_replica_step(struct hl_node *node, struct hl_raft_event *event,
                       struct hl_wire_entries *entries)
{
    HL_ASSERT(node->cluster.live);
    if (event->type != HL_RAFT_ON_PROPOSE) {
        hl_replica_propose(node); /* while it still leads: any event may end that */
    }
    struct hl_raft_ready ready;
    event->now_us = now_us(node);
    hl_err err = hl_raft_step(&node->raft, event, &ready);
    if (err == HL_OK) {
        carry_out(node, &ready, entries);
    }
    return err;
}

/* Of events that cannot be refused. */
static void step(struct hl_node *node, struct hl_raft_event event)
{
    hl_err err = hl_replica_step(node, &event, NULL);
    HL_ASSERT(err == HL_OK);
}

/* What is left of an earlier start: the snapshot, and what it noted. */
static hl_index known_committed(const struct hl_node *node)
{
    hl_index noted = hl_wal_meta(node->wal)->committed;
    bool held = noted > node->snapshot_index && noted <= hl_wal_last(node->wal);
    return held ? noted : node->snapshot_index;
}

void hl_replica_start(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    const struct hl_wal_meta *meta = hl_wal_meta(node->wal);
    const struct hl_cluster_config *config = &node->config.cluster;
    struct hl_raft_config_entry *configs = hl_calloc(c->config_count + 1, sizeof *configs);
    for (uint32_t i = 0; i < c->config_count; i++) {
        configs[i] = (struct hl_raft_config_entry){
            .index = c->configs[i].index, .config = hl_replica_config_of(&c->configs[i].members)};
    }
    uint64_t election_us = config->election_us == 0 ? HL_ELECTION_US : config->election_us;
    struct hl_raft_start start = {
        .self = node->node_id,
        .configs = configs,
        .config_count = c->config_count,
        .term = meta->term,
        .vote = meta->vote,
        .log = hl_wal_terms(node->wal),
        .commit = known_committed(node),
        .barred = config->barred,
        .barred_until = config->barred_until,
        .now_us = now_us(node),
        .election_us = election_us,
        .heartbeat_us = config->heartbeat_us == 0 ? election_us / 10 : config->heartbeat_us,
        .drift_ppm = config->drift_ppm,
        .lease = config->lease,
        .fit = hl_replica_fit,
        .ctx = node,
    };
    node->world->entropy(node->world->ctx, &start.seed, sizeof start.seed);
    hl_raft_init(&node->raft, &start);
    hl_free(configs);
    c->live = true;
    c->term = meta->term;
    c->read_next = 1;
    c->sizes_from = hl_wal_last(node->wal) + 1;
    c->proposed = hl_wal_last(node->wal);
    node->commit = start.commit;
    hl_replica_config_changed(node);
    step(node, (struct hl_raft_event){.type = HL_RAFT_ON_START});
}

void hl_replica_fini(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    hl_transfers_fini(node);
    hl_install_fini(node);
    if (c->live) {
        hl_raft_fini(&node->raft);
    }
    hl_free(c->configs);
    hl_buf_fini(&c->frame);
}

/* --- the iteration ---------------------------------------------------------------------------- */

void hl_replica_propose(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    hl_index last = hl_wal_last(node->wal);
    if (last == c->proposed) {
        return;
    }
    HL_ASSERT(last > c->proposed && node->last == last); /* C1, C3 */
    struct hl_raft_event event = {.type = HL_RAFT_ON_PROPOSE,
                                  .propose = {.count = (uint32_t)(last - c->proposed)}};
    c->proposed = last;
    watch_commit(node, last);
    if (c->prove) {
        uint32_t at = (c->backlog_first + c->backlog_count) % HL_BACKLOG_RING;
        if (c->backlog_count == HL_BACKLOG_RING) {
            at = (at + HL_BACKLOG_RING - 1) % HL_BACKLOG_RING; /* joins the newest */
        } else {
            c->backlog_count++;
        }
        c->backlog[at] =
            (struct hl_backlog){.last = last, .bytes = c->sealed_bytes, .at_us = node->mark_us};
    }
    step(node, event);
}

bool hl_replica_is_crowded(const struct hl_node *node)
{
    const struct hl_cluster *c = &node->cluster;
    if (c->backlog_count == 0) {
        return false;
    }
    const struct hl_backlog *oldest = &c->backlog[c->backlog_first];
    const struct hl_backlog *last =
        &c->backlog[(c->backlog_first + c->backlog_count - 1) % HL_BACKLOG_RING];
    uint64_t election_us = node->config.cluster.election_us;
    election_us = election_us == 0 ? HL_ELECTION_US : election_us;
    return last->bytes - oldest->bytes > node->config.speculation_max ||
           node->mark_us - oldest->at_us > election_us;
}

uint64_t hl_replica_read(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    if (!c->prove || !c->live) {
        return 0;
    }
    c->read_wanted = true;
    return c->read_next;
}

static void ask_for_proof(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    if (!c->read_wanted) {
        return;
    }
    c->read_wanted = false;
    step(node, (struct hl_raft_event){.type = HL_RAFT_ON_READ, .read = {.id = c->read_next}});
    c->read_next++;
}

/* All that was executed is committed: now leadership may go. */
static void go_on_handing_over(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    if (!c->handing || c->leads || hl_raft_role(&node->raft) != HL_RAFT_LEADER ||
        hl_raft_transfer_to(&node->raft) != 0) {
        return;
    }
    if (node->commit < node->last) {
        return;
    }
    struct hl_raft_event event = {.type = HL_RAFT_ON_TRANSFER, .transfer = {.peer = c->hand_to}};
    if (hl_replica_step(node, &event, NULL) != HL_OK) {
        hl_replica_resume_leading(node);
    }
}

static bool follows(const struct hl_node *node)
{
    const struct hl_cluster *c = &node->cluster;
    return !c->leads && !c->handing && !c->inherits && !c->rebuilding;
}

/*
 * Entries go to the peers together with their way to the own disk, so that a flush here and one
 * there take the same ones: a message for each iteration would cost every node more than it brings
 * (a peer that is flushing writes it later anyway).  A peer that has answered everything gets the
 * next ones at once, whatever the own disk does.
 */
static void flush(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    if (!c->flush_due && !c->flush_held) {
        return;
    }
    bool may_wait = !hl_log_kicks(node);
    if (!c->flush_due && may_wait) {
        return;
    }
    c->flush_due = false;
    step(node, (struct hl_raft_event){.type = HL_RAFT_ON_FLUSH, .flush = {.may_wait = may_wait}});
}

void hl_replica_end(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    hl_admin_seed(node);
    hl_replica_config_correct(node);
    hl_replica_propose(node);
    if (c->retires) {
        c->retires = false;
        hl_replica_retire(node);
    }
    ask_for_proof(node);
    if (c->handing) {
        go_on_handing_over(node);
    }
    if (follows(node) && node->last < node->commit) {
        (void)hl_replica_apply(node, APPLY_SLICE_US);
    }
    hl_stop_resign(node);
    hl_readers_look(node);
    flush(node);
}

void hl_replica_batch_taken(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    c->save_flies |= c->save_waits;
    if (c->save_waits) {
        c->flying_term = c->save_term;
        c->flying_vote = c->save_vote;
    }
    c->save_waits = false;
}

void hl_replica_batch_done(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    if (c->save_flies) {
        c->save_flies = false;
        step(node,
             (struct hl_raft_event){.type = HL_RAFT_ON_SAVED,
                                    .saved = {.term = c->flying_term, .vote = c->flying_vote}});
    }
    struct hl_raft_event event = {.type = HL_RAFT_ON_DURABLE,
                                  .durable = {.index = hl_wal_durable(node->wal)}};
    if (hl_replica_term_at(node, event.durable.index, &event.durable.term)) {
        step(node, event);
    }
}

void hl_node_tick(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    if (!c->live) {
        return;
    }
    if (c->inherits) {
        inherit(node);
    } else if (c->rebuilding) {
        (void)hl_replica_rebuild(node, REBUILD_SLICE_US);
    } else if (follows(node)) {
        (void)hl_replica_apply(node, APPLY_SLICE_US);
    }
    hl_transfers_tick(node);
    hl_install_tick(node);
    /* While its state is made anew this node does not stand for election. */
    if ((!c->rebuilding || c->inherits) && !c->removed && now_us(node) >= c->wake_us) {
        step(node, (struct hl_raft_event){.type = HL_RAFT_ON_TICK});
    }
    if (c->handing && !c->leads && now_us(node) > c->hand_until_us) {
        hl_replica_resume_leading(node);
    }
}

uint64_t hl_node_wake_us(const struct hl_node *node)
{
    const struct hl_cluster *c = &node->cluster;
    if (!c->live) {
        return UINT64_MAX;
    }
    if (c->rebuilding || c->resign_due || (c->install_due && node->batch_count == 0)) {
        return 0;
    }
    uint64_t wake = hl_transfers_wake_us(node);
    if (c->removed) {
        return wake;
    }
    uint64_t barrier_us = hl_barrier_wake_us(node);
    wake = barrier_us < wake ? barrier_us : wake;
    if (c->inherits || (follows(node) && node->last < node->commit)) {
        uint64_t retry_us = hl_stop_wake_us(node);
        wake = retry_us < wake ? retry_us : wake;
    }
    return wake < c->wake_us ? wake : c->wake_us;
}

/* --- orders ----------------------------------------------------------------------------------- */

hl_err hl_replica_configure(struct hl_node *node, const struct hl_members *members,
                            struct hl_errmsg *msg)
{
    HL_ASSERT(node->unit.body == NULL);
    hl_replica_propose(node);
    struct hl_raft_config config = hl_replica_config_of(members);
    struct hl_raft_event event = {.type = HL_RAFT_ON_CONFIG, .config = {.config = &config}};
    hl_err err = hl_raft_may_config(&node->raft, &config);
    if (err == HL_EBUSY) {
        return hl_fail(msg, err, "another change is not committed yet, try again");
    }
    if (err != HL_OK) {
        return hl_fail(msg, err, "one voter changes at a time, and one must remain");
    }
    struct hl_buf body = {0};
    hl_members_encode(members, &body);
    struct hl_wal_entry entry = {
        .index = node->last + 1,
        .term = node->cluster.term,
        .type = HL_WAL_CFG,
        .log_time_us = node->log_time_us,
        .feature_level = hl_level_now(node),
        .body = hl_buf_view(&body),
    };
    hl_wal_append(node->wal, &entry);
    hl_replica_note_size(&node->cluster, entry.index, body.len);
    hl_buf_fini(&body);
    node->last++;
    node->cluster.proposed = node->last;
    hl_replica_config_push(node, node->last, members);
    err = hl_replica_step(node, &event, NULL);
    HL_ASSERT(err == HL_OK); /* it was asked before */
    return HL_OK;
}

hl_err hl_replica_hand_over(struct hl_node *node, hl_peer peer)
{
    struct hl_cluster *c = &node->cluster;
    if (!c->leads || c->handing) {
        return HL_EBUSY;
    }
    const struct hl_member *member =
        peer == 0 ? NULL : hl_members_find(hl_node_members(node), peer);
    if (peer != 0 && (member == NULL || !member->voter || peer == node->node_id)) {
        return HL_EINVAL;
    }
    if (hl_replica_is_sole(node)) {
        return HL_EINVAL;
    }
    hl_replica_propose(node);
    c->handing = true;
    c->leads = false;
    c->hand_to = peer;
    c->hand_until_us = now_us(node) + HAND_OVER_US;
    node->ks.expiry = HL_EXPIRY_HIDE; /* C2 */
    return HL_OK;
}

void hl_replica_resume_leading(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    c->handing = false;
    if (hl_raft_role(&node->raft) == HL_RAFT_LEADER && hl_raft_may_propose(&node->raft)) {
        c->leads = true;
        node->ks.expiry = HL_EXPIRY_DELETE;
    }
    hl_resume_postponed(node);
}

/* --- snapshots -------------------------------------------------------------------------------- */

/* Entries below the label that the log still holds are kept for peers that are a little behind. */
void hl_replica_compacted(struct hl_node *node)
{
    if (!node->cluster.live) {
        return;
    }
    hl_index index = hl_wal_first(node->wal) - 1;
    index = index < node->snapshot_index ? index : node->snapshot_index;
    struct hl_raft_event event = {.type = HL_RAFT_ON_COMPACTED, .compacted = {.index = index}};
    hl_err err = hl_replica_step(node, &event, NULL);
    HL_MAYBE(err != HL_OK); /* nothing new to tell */
}
