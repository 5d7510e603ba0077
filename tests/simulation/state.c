/* What is asserted of a whole node: its log, its state, the order of its indexes.
 *
 * Two states that executed the same log up to the same (index, term) are equal, committed or not:
 * so every state seen is noted under that name, and compared with those noted before (C1, C4, D1).
 */
#include "sim.h"

#include "command/effect.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/node_internal.h"

#define DIGEST_SIZE 20
#define ITERATION_SIZE (64u << 10) /* bytes that one iteration of a loop may execute */

/* The state after executing the log up to (index, term). */
struct sim_digest {
    hl_index index; /* 0: free */
    hl_term term;
    int machine; /* which had it first */
    unsigned char bytes[DIGEST_SIZE];
};

/* --- the log ---------------------------------------------------------------------------------- */

static uint64_t hash_of(const struct hl_wal_entry *entry)
{
    uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)entry->type ^ (uint64_t)entry->log_time_us << 8;
    for (size_t i = 0; i < entry->body.len; i++) {
        h = (h ^ (unsigned char)entry->body.ptr[i]) * 0x100000001b3u;
    }
    return h;
}

static bool on_committed(void *arg, const struct hl_wal_entry *entry)
{
    sim_oracle_commit(arg, entry->index, entry->term, hash_of(entry), entry->log_time_us);
    return true;
}

/* F3: there is one cluster. */
static void look_at_cluster(struct sim_machine *machine)
{
    static const unsigned char none[16];
    struct sim *sim = machine->sim;
    const struct hl_node *node = machine->node;
    if (node->commit != 0 && memcmp(sim->cluster_id, none, sizeof none) == 0) {
        memcpy(sim->cluster_id, node->cluster_id, sizeof none);
    }
    if (node->commit != 0 && memcmp(sim->cluster_id, node->cluster_id, sizeof none) != 0) {
        sim_fail(sim, "F3 bootstrap", "machine %d commits in a second cluster", machine->id);
    }
}

static void look_at_log(struct sim_machine *machine)
{
    const struct hl_node *node = machine->node;
    hl_index first = machine->seen_commit + 1;
    if (first < hl_wal_first(machine->wal)) {
        first = hl_wal_first(machine->wal);
    }
    if (first > node->commit) {
        return;
    }
    struct hl_errmsg msg = {{0}};
    hl_err err = hl_wal_read(machine->wal, first, node->commit, on_committed, machine, &msg);
    if (err != HL_OK && !machine->fake->fail_for_ever && !machine->rotten) {
        sim_fail(machine->sim, "A2 state machine safety", "machine %d cannot read its log: %s",
                 machine->id, msg.text);
    }
}

/* --- states ----------------------------------------------------------------------------------- */

static struct sim_digest *place_of(struct sim_digest *digests, size_t cap, hl_index index,
                                   hl_term term)
{
    size_t at = (size_t)(index * 0x9e3779b97f4a7c15u ^ term * 0xff51afd7ed558ccdu) & (cap - 1);
    while (digests[at].index != 0 && (digests[at].index != index || digests[at].term != term)) {
        at = (at + 1) & (cap - 1);
    }
    return &digests[at];
}

static void grow_digests(struct sim *sim)
{
    size_t cap = sim->digests_cap == 0 ? 1024 : sim->digests_cap * 2;
    struct sim_digest *digests = hl_calloc(cap, sizeof *digests);
    for (size_t i = 0; i < sim->digests_cap; i++) {
        const struct sim_digest *old = &sim->digests[i];
        if (old->index != 0) {
            *place_of(digests, cap, old->index, old->term) = *old;
        }
    }
    hl_free(sim->digests);
    sim->digests = digests;
    sim->digests_cap = cap;
}

/* C1: the state is a function of the log. */
static void look_at_state(struct sim_machine *machine, hl_index index, hl_term term)
{
    struct sim *sim = machine->sim;
    if (index == 0 || (index == machine->seen_index && term == machine->seen_term)) {
        return;
    }
    machine->seen_index = index;
    machine->seen_term = term;
    unsigned char bytes[DIGEST_SIZE];
    hl_node_digest(machine->node, bytes);
    if (sim->digests_count * 2 >= sim->digests_cap) {
        grow_digests(sim);
    }
    struct sim_digest *digest = place_of(sim->digests, sim->digests_cap, index, term);
    sim->stats.digests++;
    if (digest->index == 0) {
        *digest = (struct sim_digest){.index = index, .term = term, .machine = machine->id};
        memcpy(digest->bytes, bytes, sizeof bytes);
        sim->digests_count++;
    } else if (memcmp(digest->bytes, bytes, sizeof bytes) != 0) {
        sim_fail(sim, "C1 determinism",
                 "machine %d has another state after entry %llu of term %llu than machine %d had",
                 machine->id, (unsigned long long)index, (unsigned long long)term, digest->machine);
    }
}

/* --- looking ---------------------------------------------------------------------------------- */

/* C3: what a leader inherited gates everything until the first entry of its own term commits. */
static void look_at_inheritance(struct sim_machine *machine)
{
    const struct hl_node *node = machine->node;
    if (!node->cluster.leads || machine->reign == node->cluster.term) {
        return;
    }
    hl_index first = node->last;
    hl_term term = 0;
    while (hl_raft_term_at(machine->raft, first - 1, &term) && term == node->cluster.term) {
        first--;
    }
    machine->reign = node->cluster.term;
    if (node->mingate != first) {
        sim_fail(machine->sim, "C3 inheritance",
                 "machine %d leads term %llu from entry %llu on, and its replies wait for %llu",
                 machine->id, (unsigned long long)machine->reign, (unsigned long long)first,
                 (unsigned long long)node->mingate);
    }
}

/* H2: a leader executes no more ahead of the quorum than it may. */
static void look_at_bounds(struct sim_machine *machine)
{
    const struct hl_node *node = machine->node;
    const struct hl_cluster *c = &node->cluster;
    size_t most = node->config.speculation_max + ITERATION_SIZE;
    uint64_t ahead = hl_wal_pending_size(machine->wal);
    if (c->backlog_count != 0) {
        uint32_t newest = (c->backlog_first + c->backlog_count - 1) % HL_BACKLOG_RING;
        uint64_t bytes = c->backlog[newest].bytes - c->backlog[c->backlog_first].bytes;
        ahead = bytes > ahead ? bytes : ahead;
    }
    if (c->leads && ahead > most) {
        sim_fail(machine->sim, "H2 bounds", "machine %d is %llu bytes ahead, and %zu are allowed",
                 machine->id, (unsigned long long)ahead, node->config.speculation_max);
    }
}

/* C2: S <= C <= L, D <= L; a leader has X = L; who does not lead has X > C only for the tail of a
 * term that it led itself. */
static void look_at_order(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    const struct hl_node *node = machine->node;
    hl_index log = hl_wal_last(machine->wal);
    hl_term term = 0;
    bool good = node->snapshot_index <= node->commit && node->commit <= log && node->last <= log &&
                hl_wal_durable(machine->wal) <= log && (!node->cluster.leads || node->last == log);
    if (good && !node->cluster.leads && !node->cluster.handing && node->last > node->commit &&
        hl_raft_term_at(machine->raft, node->last, &term)) {
        good = sim->leader_of[term] == machine->id + 1;
    }
    if (!good) {
        sim_fail(sim, "C2 order", "machine %d: S %llu, C %llu, X %llu, L %llu, D %llu, leads %d",
                 machine->id, (unsigned long long)node->snapshot_index,
                 (unsigned long long)node->commit, (unsigned long long)node->last,
                 (unsigned long long)log, (unsigned long long)hl_wal_durable(machine->wal),
                 node->cluster.leads);
    }
    if (node->commit < machine->commit_before) {
        sim_fail(sim, "D2 install", "machine %d: commit goes back from %llu to %llu", machine->id,
                 (unsigned long long)machine->commit_before, (unsigned long long)node->commit);
    }
    if (log < machine->seen_commit) {
        sim_fail(sim, "A5 truncation", "machine %d drops entries from %llu on, committed: %llu",
                 machine->id, (unsigned long long)log + 1,
                 (unsigned long long)machine->seen_commit);
    }
    machine->commit_before = node->commit;
}

void sim_state_look(struct sim_machine *machine)
{
    const struct hl_node *node = machine->node;
    if (!node->cluster.live) {
        return;
    }
    bool installed = node->snapshot_index > machine->base_seen;
    machine->base_seen = node->snapshot_index;
    machine->sim->stats.installs += installed;
    if (node->cluster.epoch != machine->seen_epoch) {
        machine->seen_epoch = node->cluster.epoch;
        machine->sim->stats.rollbacks += !installed;
    }
    if (hl_node_stopped(node) != NULL && !machine->rotten) {
        sim_fail(machine->sim, "C6 apply is total", "machine %d stopped: %s", machine->id,
                 hl_node_stopped(node)->why);
    }
    if (node->loading) {
        return;
    }
    look_at_cluster(machine);
    look_at_log(machine);
    if (node->cluster.rebuilding) {
        return;
    }
    look_at_order(machine);
    look_at_inheritance(machine);
    look_at_bounds(machine);
    /* Alone, a leader's term is durable together with its first entries: until then the name
     * (index, term) may be used once more by the next start. */
    hl_term term = 0;
    bool named = machine->sim->profile.machines > 1 || hl_wal_durable(machine->wal) >= node->last;
    if (named && hl_raft_term_at(machine->raft, node->last, &term)) {
        look_at_state(machine, node->last, term);
    }
}

void sim_state_recovered(struct sim_machine *machine)
{
    machine->seen_index = 0;
    machine->seen_epoch = 0;
    machine->commit_before = 0;
    machine->reign = 0;
    machine->base_seen = machine->node->snapshot_index;
}

bool sim_state_is_short(const struct sim_machine *machine)
{
    const struct hl_node *node = machine->node;
    hl_index most = 2 * (hl_index)machine->sim->profile.snapshot_entries;
    return node->last - node->snapshot_index <= most;
}

/* --- what units change ------------------------------------------------------------------------ */

/* Names that were changed, one after the other: database and length as u32, bytes. */
static void on_modified(void *ctx, int db, struct hl_slice key)
{
    struct hl_node *node = ctx;
    struct sim_machine *machine = node->world->ctx;
    if (node->unit.open && !node->applying) {
        hl_buf_append_le32(&machine->touched, (uint32_t)db);
        hl_buf_append_le32(&machine->touched, (uint32_t)key.len);
        hl_buf_append_slice(&machine->touched, key);
    }
    hl_watch_modified(ctx, db, key);
}

/* Does the effect say what became of the key? */
static bool covers(const struct hl_node *node, const struct hl_effect_reader *effect, int db,
                   struct hl_slice key)
{
    const struct hl_command *cmd = hl_command_of(node->commands, effect->argv, effect->argc);
    if (cmd == NULL || (cmd->flags & HL_CMD_WHOLE_KEYSPACE) != 0) {
        return cmd != NULL;
    }
    struct hl_key_ref *refs = hl_calloc((size_t)effect->argc, sizeof *refs);
    int count = hl_command_keys(cmd, effect->argv, effect->argc, refs);
    bool found = false;
    for (int i = 0; i < count; i++) {
        found |= effect->db == db && hl_slice_equal(effect->argv[refs[i].index], key);
    }
    hl_free(refs);
    return found;
}

struct closure {
    struct sim_machine *machine;
    struct hl_slice key;
    int db;
    bool covered;
};

static bool on_entry(void *arg, const struct hl_wal_entry *entry)
{
    struct closure *closure = arg;
    struct hl_effect_reader effect = {.body = entry->body};
    while (!closure->covered && hl_effect_next(&effect) == HL_OK) {
        closure->covered = covers(closure->machine->node, &effect, closure->db, closure->key);
    }
    hl_effect_reader_fini(&effect);
    return true;
}

/* C5: what a unit changed is in its entry. */
static void on_unit_ended(void *ctx, bool changed)
{
    struct sim_machine *machine = ctx;
    struct hl_node *node = machine->node;
    for (size_t at = 0; at < machine->touched.len;) {
        const char *bytes = machine->touched.ptr + at;
        struct closure closure = {.machine = machine, .db = (int)hl_get_le32(bytes)};
        closure.key = (struct hl_slice){.ptr = bytes + 8, .len = hl_get_le32(bytes + 4)};
        at += 8 + closure.key.len;
        hl_err err = changed
                         ? hl_wal_read(node->wal, node->last, node->last, on_entry, &closure, NULL)
                         : HL_OK;
        if (err == HL_OK && !closure.covered) {
            sim_fail(machine->sim, "C5 effect closure",
                     "machine %d changed '%.*s' of database %d, and entry %llu does not say so",
                     machine->id, (int)closure.key.len, closure.key.ptr, closure.db,
                     (unsigned long long)node->last);
        }
    }
    hl_buf_clear(&machine->touched);
}

void sim_state_watch(struct sim_machine *machine)
{
    struct hl_node *node = machine->node;
    node->hooks.ctx = machine;
    node->hooks.unit_ended = on_unit_ended;
    node->ks.hooks.modified = on_modified;
    node->ks.watching++;
    hl_buf_clear(&machine->touched);
}

void sim_state_fini(struct sim *sim)
{
    for (int i = 0; i < sim->profile.machines; i++) {
        hl_buf_fini(&sim->machines[i].touched);
    }
    hl_free(sim->digests);
}
