/* A machine that runs core/raft alone, with a log and a disk of a few lines: ten times as fast as a
 * whole node, so that consensus meets many more seeds.
 *
 * An entry is a number.  The disk knows what was flushed; a flush takes a while and stores hard
 * state and entries as they were when it began, and a crash in the middle of it stores a part of
 * them. Clients are here too: they propose where they think the leader is, and read anywhere.
 */
#include "sim.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdio.h>
#include <string.h>

#define ENTRIES_MAX 6000
#define PENDING_MAX 512
#define FIT 8 /* entries in one message, at most; the profile may say fewer */

enum kind {
    NOOP = 1,
    VALUE,
    CONFIG,
};

struct entry {
    hl_term term;
    uint64_t value;
    enum kind kind;
    int config; /* of CONFIG: position in bare->configs */
};

struct image {
    hl_term term;
    hl_peer vote;
    hl_index base; /* entries up to it are in the snapshot */
    hl_term base_term;
    int base_config;
    hl_index base_config_index;
    hl_index last;
    struct entry entries[ENTRIES_MAX]; /* by index */
};

/* A request of a client that waits. */
struct pending {
    bool is_read;
    hl_index index; /* of the entry proposed */
    hl_term term;
    uint64_t read_id;
    hl_index floor; /* what a read must see: what was answered before it was sent */
    bool confirmed;
    hl_index read_index;
};

struct sim_bare {
    struct image disk, log; /* what a crash leaves, and what the process sees */
    struct image flush;     /* what is being stored */
    hl_index flush_first;
    bool flushing;
    hl_index
        dirty_from; /* entries from here on differ from the disk or are being stored; 0: none */
    bool hard_dirty;
    struct hl_raft raft;
    struct hl_terms terms;
    uint64_t read_id;
    struct pending pending[PENDING_MAX];
    int pending_count;
    bool begun;
};

/* What a frame holds. */
struct packet {
    enum {
        MESSAGE,
        SNAPSHOT,
        INSTALLED, /* the answer to it */
    } what;
    struct hl_raft_msg msg;
    hl_index snapshot, snapshot_config_index;
    hl_term snapshot_term;
    int snapshot_config;
    uint32_t count;
    struct entry entries[]; /* msg.prev + 1 .. msg.last */
};

static struct hl_raft_config configs[SIM_CONFIGS_MAX]; /* of this run: entries name them by place */
static int config_count;

static void schedule(struct sim_machine *machine, uint64_t wake_us);
static void start_flush(struct sim_machine *machine);

static struct sim_bare *bare_of(struct sim_machine *machine)
{
    return machine->bare;
}

static int add_config(const struct hl_raft_config *config)
{
    HL_ASSERT(config_count < SIM_CONFIGS_MAX);
    configs[config_count] = *config;
    return config_count++;
}

static struct hl_raft_config config_of_mask(struct sim *sim, uint32_t voters)
{
    struct hl_raft_config config = {0};
    for (int i = 0; i < sim->profile.machines; i++) {
        if ((voters >> i & 1) != 0) {
            config.members[config.count++] =
                (struct hl_raft_member){.id = sim->machines[i].peer, .voter = true};
        }
    }
    return config;
}

/* --- what a step owes ------------------------------------------------------------------------- */

static void dirty(struct sim_bare *bare, hl_index from)
{
    if (bare->dirty_from == 0 || from < bare->dirty_from) {
        bare->dirty_from = from;
    }
}

static void append(struct sim_machine *machine, const struct entry *entry)
{
    struct sim_bare *bare = bare_of(machine);
    HL_ASSERT(bare->log.last + 1 < ENTRIES_MAX);
    bare->log.entries[++bare->log.last] = *entry;
    dirty(bare, bare->log.last);
}

static void send_message(struct sim_machine *machine, const struct hl_raft_msg *msg)
{
    struct sim_bare *bare = bare_of(machine);
    struct sim *sim = machine->sim;
    uint32_t count = msg->type == HL_RAFT_APPEND ? (uint32_t)(msg->last - msg->prev) : 0;
    size_t size = sizeof(struct packet) + count * sizeof(struct entry);
    struct packet *packet = hl_calloc(1, size);
    packet->msg = *msg;
    packet->msg.config = NULL;
    packet->msg.config_index = 0;
    packet->count = count;
    for (uint32_t i = 0; i < count; i++) {
        HL_ASSERT(msg->prev + 1 + i > bare->log.base && msg->prev + 1 + i <= bare->log.last);
        packet->entries[i] = bare->log.entries[msg->prev + 1 + i];
    }
    int to = sim_machine_of(sim, msg->to);
    HL_ASSERT(to >= 0);
    sim_net_send(machine, &sim->machines[to],
                 (struct hl_slice){.ptr = (const char *)packet, .len = size});
    hl_free(packet);
}

#define SNAPSHOT_PATIENCE_US (200 * SIM_MS)

static bool step(struct sim_machine *machine, struct hl_raft_event *event,
                 const struct packet *packet);

static void snapshot_over(struct sim_machine *machine, hl_peer to, hl_index index, bool ok)
{
    struct hl_raft_event event = {.type = HL_RAFT_ON_SNAPSHOT_SENT,
                                  .snapshot_sent = {.peer = to, .index = index, .ok = ok}};
    (void)step(machine, &event, NULL);
}

static void on_snapshot_lost(struct sim *sim, struct sim_event *event)
{
    snapshot_over(&sim->machines[event->machine], (hl_peer)event->a, (hl_index)event->b, false);
}

static void send_snapshot(struct sim_machine *machine, hl_peer to)
{
    struct sim_bare *bare = bare_of(machine);
    struct packet packet = {.what = SNAPSHOT,
                            .snapshot = bare->log.base,
                            .snapshot_term = bare->log.base_term,
                            .snapshot_config = bare->log.base_config,
                            .snapshot_config_index = bare->log.base_config_index};
    packet.msg.from = bare->raft.self;
    packet.msg.to = to;
    sim_net_send(machine, &machine->sim->machines[sim_machine_of(machine->sim, to)],
                 (struct hl_slice){.ptr = (const char *)&packet, .len = sizeof packet});
    struct sim_event *event =
        sim_after(machine->sim, SNAPSHOT_PATIENCE_US, machine->id, on_snapshot_lost);
    event->a = (int64_t)to;
    event->b = (int64_t)packet.snapshot;
}

static void commit(struct sim_machine *machine, hl_index to)
{
    struct sim_bare *bare = bare_of(machine);
    hl_index from = machine->seen_commit < bare->log.base ? bare->log.base : machine->seen_commit;
    for (hl_index i = from + 1; i <= to; i++) {
        const struct entry *entry = &bare->log.entries[i];
        sim_oracle_commit(machine, i, entry->term, entry->value * 4 + entry->kind, 0);
    }
}

/* Answer what may be answered. */
static void answer(struct sim_machine *machine, hl_index committed)
{
    struct sim_bare *bare = bare_of(machine);
    struct sim *sim = machine->sim;
    int kept = 0;
    for (int i = 0; i < bare->pending_count; i++) {
        struct pending *p = &bare->pending[i];
        hl_index index = p->is_read ? p->read_index : p->index;
        if (committed < index || (p->is_read && !p->confirmed)) {
            bare->pending[kept++] = *p;
            continue;
        }
        hl_term term = 0;
        if (p->is_read && committed < p->floor) {
            sim_fail(sim, "B2 read value",
                     "machine %d reads at entry %llu, and %llu had been answered before",
                     machine->id, (unsigned long long)committed, (unsigned long long)p->floor);
        }
        bool ours = p->is_read || (hl_raft_term_at(&bare->raft, index, &term) && term == p->term);
        hl_index seen = p->is_read ? committed : index;
        if (ours && seen > sim->answered) {
            sim->answered = seen;
        }
        sim->stats.ops += ours;
        sim->stats.failed += !ours;
    }
    bare->pending_count = kept;
}

static void note_reads(struct sim_machine *machine, const struct hl_raft_ready *ready)
{
    struct sim_bare *bare = bare_of(machine);
    int kept = 0;
    for (int i = 0; i < bare->pending_count; i++) {
        struct pending *p = &bare->pending[i];
        /* What an old leader confirmed may wait for an entry that was dropped: ask again. */
        bool stale = p->is_read && p->confirmed && ready->leader_changed;
        if (stale || (p->is_read && !p->confirmed && p->read_id <= ready->read_failed)) {
            machine->sim->stats.failed++;
            continue;
        }
        if (p->is_read && !p->confirmed && p->read_id <= ready->read_id) {
            p->confirmed = true;
            p->read_index = ready->read_index;
        }
        bare->pending[kept++] = *p;
    }
    bare->pending_count = kept;
}

static void apply_log(struct sim_machine *machine, const struct hl_raft_ready *ready,
                      const struct packet *packet)
{
    struct sim_bare *bare = bare_of(machine);
    if (ready->truncate != 0) {
        if (ready->truncate <= machine->seen_commit) {
            sim_fail(machine->sim, "A5 truncation", "machine %d drops entry %llu, committed: %llu",
                     machine->id, (unsigned long long)ready->truncate,
                     (unsigned long long)machine->seen_commit);
        }
        bare->log.last = ready->truncate - 1;
        dirty(bare, ready->truncate);
        machine->sim->stats.rollbacks++;
    }
    for (hl_index i = ready->append_first; i != 0 && i <= ready->append_last; i++) {
        HL_ASSERT(i == bare->log.last + 1);
        append(machine, &packet->entries[i - packet->msg.prev - 1]);
    }
    if (ready->save_hard_state) {
        bare->log.term = ready->term;
        bare->log.vote = ready->vote;
        bare->hard_dirty = true;
    }
    if (ready->append_noop) {
        const struct entry noop = {.term = ready->term, .kind = NOOP};
        append(machine, &noop);
    }
}

static bool step(struct sim_machine *machine, struct hl_raft_event *event,
                 const struct packet *packet)
{
    struct sim_bare *bare = bare_of(machine);
    struct hl_raft_ready ready;
    event->now_us = sim_machine_mono_us(machine);
    if (hl_raft_step(&bare->raft, event, &ready) != HL_OK) {
        return false;
    }
    apply_log(machine, &ready, packet);
    if (event->type == HL_RAFT_ON_INSTALLED && ready.log_reset) {
        bare->log.last = event->installed.index;
    }
    for (uint32_t i = 0; i < ready.message_count; i++) {
        send_message(machine, &ready.messages[i]);
    }
    for (uint32_t i = 0; i < ready.snapshot_count; i++) {
        send_snapshot(machine, ready.snapshot_to[i]);
    }
    if (event->type != HL_RAFT_ON_INSTALLED && event->type != HL_RAFT_ON_CONFIG) {
        commit(machine, ready.commit);
        note_reads(machine, &ready);
        answer(machine, ready.commit);
    }
    bool flush = ready.flush;
    schedule(machine, ready.wake_us);
    start_flush(machine);
    sim_oracle_raft(machine);
    if (flush && event->type != HL_RAFT_ON_FLUSH) {
        struct hl_raft_event end = {.type = HL_RAFT_ON_FLUSH};
        (void)step(machine, &end, NULL);
    }
    return true;
}

/* --- disk ------------------------------------------------------------------------------------- */

static void store(struct sim_bare *bare, hl_index last)
{
    bare->disk.term = bare->flush.term;
    bare->disk.vote = bare->flush.vote;
    hl_index first = bare->flush_first;
    if (first == 0) {
        return;
    }
    if (first <= bare->disk.base) {
        first = bare->disk.base + 1;
    }
    for (hl_index i = first; i <= last; i++) {
        bare->disk.entries[i] = bare->flush.entries[i];
    }
    bare->disk.last = last > bare->disk.base ? last : bare->disk.base;
}

static void on_stored(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->machine];
    struct sim_bare *bare = bare_of(machine);
    bare->flushing = false;
    struct hl_raft_event saved = {.type = HL_RAFT_ON_SAVED,
                                  .saved = {.term = bare->flush.term, .vote = bare->flush.vote}};
    hl_index last = bare->flush.last;
    hl_term term =
        last == bare->flush.base ? bare->flush.base_term : bare->flush.entries[last].term;
    (void)step(machine, &saved, NULL);
    struct hl_raft_event durable = {.type = HL_RAFT_ON_DURABLE,
                                    .durable = {.index = last, .term = term}};
    (void)step(machine, &durable, NULL);
}

static void on_half(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->machine];
    if (sim->chaos && sim_chance(sim, sim->profile.sync_fail_ppm)) {
        sim->stats.sync_failures++;
        sim_machine_crash_any(machine); /* a failed sync ends the process */
        return;
    }
    store(bare_of(machine), bare_of(machine)->flush.last);
    (void)sim_after(sim, event->a, machine->id, on_stored);
}

static void start_flush(struct sim_machine *machine)
{
    struct sim_bare *bare = bare_of(machine);
    if (bare->flushing || (bare->dirty_from == 0 && !bare->hard_dirty)) {
        return;
    }
    bare->flushing = true;
    bare->flush_first = bare->dirty_from;
    hl_index first = bare->dirty_from == 0 ? bare->log.last + 1 : bare->dirty_from;
    bare->flush.term = bare->log.term;
    bare->flush.vote = bare->log.vote;
    bare->flush.base = bare->log.base;
    bare->flush.base_term = bare->log.base_term;
    bare->flush.last = bare->log.last;
    first = first > bare->log.last && bare->log.last > bare->log.base ? bare->log.last : first;
    for (hl_index i = first; i <= bare->log.last; i++) {
        bare->flush.entries[i] = bare->log.entries[i];
    }
    bare->dirty_from = 0;
    bare->hard_dirty = false;
    int64_t half_us = sim_machine_disk_us(machine) / 2;
    struct sim_event *event = sim_after(machine->sim, half_us, machine->id, on_half);
    event->a = half_us;
}

/* --- the process ------------------------------------------------------------------------------ */

static void on_tick(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->machine];
    if (machine->tick_at_us > sim->now_us) {
        return; /* an older alarm */
    }
    machine->tick_at_us = INT64_MAX;
    struct hl_raft_event tick = {.type = HL_RAFT_ON_TICK};
    (void)step(machine, &tick, NULL);
}

static void schedule(struct sim_machine *machine, uint64_t wake_us)
{
    int64_t delay_us = sim_machine_until(machine, wake_us);
    int64_t at_us = machine->sim->now_us + delay_us;
    if (delay_us == SIM_NEVER || at_us >= machine->tick_at_us) {
        return;
    }
    machine->tick_at_us = at_us;
    (void)sim_after(machine->sim, delay_us, machine->id, on_tick);
}

static hl_index fit(void *ctx, hl_index first, hl_index last)
{
    struct sim_machine *machine = ctx;
    hl_index most = first + (hl_index)machine->sim->profile.batch - 1;
    return last < most ? last : most;
}

static void compact(struct sim_machine *machine)
{
    struct sim_bare *bare = bare_of(machine);
    hl_index to = hl_raft_commit(&bare->raft);
    hl_index durable = hl_raft_durable(&bare->raft);
    to = durable < to ? durable : to;
    to = bare->disk.last < to ? bare->disk.last : to;
    hl_term term = 0;
    if (to < bare->log.base + (hl_index)machine->sim->profile.snapshot_entries ||
        !hl_raft_term_at(&bare->raft, to, &term)) {
        return;
    }
    hl_index config_index = 0;
    int config = add_config(hl_raft_config_at(&bare->raft, to, &config_index));
    struct hl_raft_event event = {.type = HL_RAFT_ON_COMPACTED, .compacted = {.index = to}};
    bare->log.base = bare->disk.base = to;
    bare->log.base_term = bare->disk.base_term = term;
    bare->log.base_config = bare->disk.base_config = config;
    bare->log.base_config_index = bare->disk.base_config_index = config_index;
    (void)step(machine, &event, NULL);
    machine->sim->stats.snapshots++;
}

static void install(struct sim_machine *machine, const struct packet *packet)
{
    struct sim_bare *bare = bare_of(machine);
    struct hl_raft_event event = {.type = HL_RAFT_ON_INSTALLED,
                                  .installed = {.index = packet->snapshot,
                                                .term = packet->snapshot_term,
                                                .config = &configs[packet->snapshot_config],
                                                .config_index = packet->snapshot_config_index}};
    if (!step(machine, &event, packet)) {
        return; /* it has more already */
    }
    struct image *images[] = {&bare->log, &bare->disk};
    bool kept = bare->log.last > packet->snapshot;
    for (int i = 0; i < 2; i++) {
        images[i]->base = packet->snapshot;
        images[i]->base_term = packet->snapshot_term;
        images[i]->base_config = packet->snapshot_config;
        images[i]->base_config_index = packet->snapshot_config_index;
        if (!kept || images[i]->last < packet->snapshot) {
            images[i]->last = packet->snapshot;
        }
    }
    if (bare->flush.last < packet->snapshot) {
        bare->flush_first = 0; /* what is being stored is of no more use */
    }
    machine->seen_commit = packet->snapshot;
    machine->sim->stats.installs++;
}

static void print_message(const struct sim_machine *machine, const struct hl_raft_msg *msg)
{
    static const char *const names[] = {
        [HL_RAFT_PRE_VOTE] = "pre-vote",
        [HL_RAFT_PRE_VOTE_REPLY] = "pre-vote reply",
        [HL_RAFT_VOTE] = "vote",
        [HL_RAFT_VOTE_REPLY] = "vote reply",
        [HL_RAFT_APPEND] = "append",
        [HL_RAFT_APPEND_REPLY] = "append reply",
        [HL_RAFT_TIMEOUT_NOW] = "timeout now",
        [HL_RAFT_READ] = "read",
        [HL_RAFT_READ_REPLY] = "read reply",
    };
    fprintf(
        stderr,
        "  %10.3f ms  m%d <- m%d: %s%s, term %llu, prev %llu/%llu, last %llu/%llu, commit %llu, "
        "match %llu, hint %llu/%llu, round %llu\n",
        (double)machine->sim->now_us / 1000, machine->id, sim_machine_of(machine->sim, msg->from),
        names[msg->type], msg->reject ? " (no)" : "", (unsigned long long)msg->term,
        (unsigned long long)msg->prev, (unsigned long long)msg->prev_term,
        (unsigned long long)msg->last, (unsigned long long)msg->last_term,
        (unsigned long long)msg->commit, (unsigned long long)msg->match,
        (unsigned long long)msg->hint, (unsigned long long)msg->hint_term,
        (unsigned long long)msg->round);
}

static void receive(struct sim_machine *machine, struct sim_machine *from, struct hl_slice frame)
{
    struct packet *packet = hl_malloc(frame.len);
    memcpy(packet, frame.ptr, frame.len);
    if (machine->sim->verbose && packet->what == MESSAGE) {
        print_message(machine, &packet->msg);
    }
    if (packet->what == SNAPSHOT) {
        install(machine, packet);
        struct packet answer_packet = {.what = INSTALLED, .snapshot = packet->snapshot};
        sim_net_send(
            machine, from,
            (struct hl_slice){.ptr = (const char *)&answer_packet, .len = sizeof answer_packet});
    } else if (packet->what == INSTALLED) {
        snapshot_over(machine, from->peer, packet->snapshot, true);
    } else {
        for (uint32_t i = 0; i < packet->count; i++) {
            if (packet->entries[i].kind == CONFIG) {
                packet->msg.config_index = packet->msg.prev + 1 + i;
                packet->msg.config = &configs[packet->entries[i].config];
            }
        }
        struct hl_raft_event event = {.type = HL_RAFT_ON_MESSAGE, .message = {.msg = &packet->msg}};
        (void)step(machine, &event, packet);
        compact(machine);
    }
    hl_free(packet);
}

/* The configurations of the recovered log, ascending. */
static uint32_t recover_configs(struct sim_bare *bare, struct hl_raft_config_entry *out)
{
    uint32_t count = 0;
    if (bare->log.base_config >= 0) {
        out[count++] = (struct hl_raft_config_entry){.index = bare->log.base_config_index,
                                                     .config = configs[bare->log.base_config]};
    }
    for (hl_index i = bare->log.base + 1; i <= bare->log.last; i++) {
        if (bare->log.entries[i].kind == CONFIG) {
            HL_ASSERT(count < SIM_CONFIGS_MAX);
            out[count++] = (struct hl_raft_config_entry){
                .index = i, .config = configs[bare->log.entries[i].config]};
        }
    }
    return count;
}

static void start(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    if (machine->bare == NULL) {
        machine->bare = hl_calloc(1, sizeof *machine->bare);
        machine->bare->disk.base_config = -1;
        if ((sim->profile.voters >> machine->id & 1) != 0) {
            struct hl_raft_config config = config_of_mask(sim, sim->profile.voters);
            machine->bare->disk.base_config = add_config(&config);
        }
    }
    struct sim_bare *bare = machine->bare;
    bare->log = bare->disk;
    bare->flushing = bare->hard_dirty = false;
    bare->dirty_from = 0;
    bare->pending_count = 0;
    bare->read_id = 0;
    static struct hl_raft_config_entry found[SIM_CONFIGS_MAX];
    struct hl_raft_start start = {.self = machine->peer,
                                  .configs = found,
                                  .config_count = recover_configs(bare, found),
                                  .term = bare->log.term,
                                  .vote = bare->log.vote,
                                  .log = &bare->terms,
                                  .commit = bare->log.base,
                                  .seed = hl_rng_next(&machine->entropy),
                                  .now_us = sim_machine_mono_us(machine),
                                  .election_us = SIM_ELECTION_US,
                                  .heartbeat_us = SIM_HEARTBEAT_US,
                                  .drift_ppm = (uint32_t)sim->profile.clock_ppm,
                                  .lease = sim->profile.lease,
                                  .fit = fit,
                                  .ctx = machine};
    hl_terms_reset(&bare->terms, bare->log.base, bare->log.base_term);
    for (hl_index i = bare->log.base + 1; i <= bare->log.last; i++) {
        hl_terms_append(&bare->terms, i, bare->log.entries[i].term);
    }
    hl_raft_init(&bare->raft, &start);
    machine->raft = &bare->raft;
    sim_oracle_recovered(machine);
    struct hl_raft_event event = {.type = HL_RAFT_ON_START};
    (void)step(machine, &event, NULL);
}

static void end(struct sim_machine *machine, bool abandon)
{
    (void)abandon;
    struct sim_bare *bare = bare_of(machine);
    hl_raft_fini(&bare->raft);
    hl_terms_fini(&bare->terms);
}

/* A part of what was being stored may be there; hard state comes before entries. */
static void crash(struct sim_machine *machine, enum fake_crash how)
{
    struct sim_bare *bare = bare_of(machine);
    struct sim *sim = machine->sim;
    if (!bare->flushing || how == FAKE_CRASH_LOSE || bare->flush_first == 0) {
        return;
    }
    hl_index first = bare->flush_first - 1;
    hl_index span = bare->flush.last > first ? bare->flush.last - first : 0;
    if (bare->flush.last >= bare->flush_first) {
        store(bare, first + (hl_index)sim_below(sim, (int64_t)span + 1));
    }
}

static hl_index durable(const struct sim_machine *machine)
{
    return hl_raft_durable(machine->raft);
}

static bool propose_config(struct sim_machine *machine, uint32_t voters)
{
    struct sim_bare *bare = bare_of(machine);
    struct hl_raft_config config = config_of_mask(machine->sim, voters);
    struct hl_raft_event event = {.type = HL_RAFT_ON_CONFIG, .config = {.config = &config}};
    hl_term term = hl_raft_term(&bare->raft);
    /* The entry must be in the log before its messages are built. */
    if (hl_raft_may_config(&bare->raft, &config) != HL_OK) {
        return false;
    }
    const struct entry entry = {.term = term, .kind = CONFIG, .config = add_config(&config)};
    append(machine, &entry);
    bool done = step(machine, &event, NULL);
    HL_ASSERT(done);
    machine->sim->stats.configs++;
    return true;
}

static void transfer(struct sim_machine *machine)
{
    struct hl_raft_event event = {.type = HL_RAFT_ON_TRANSFER};
    machine->sim->stats.transfers += step(machine, &event, NULL);
}

static void fini(struct sim_machine *machine)
{
    hl_free(machine->bare);
}

/* --- clients ---------------------------------------------------------------------------------- */

static void propose(struct sim_machine *machine)
{
    struct sim_bare *bare = bare_of(machine);
    uint32_t count = 1 + (uint32_t)sim_below(machine->sim, 3);
    if (!hl_raft_may_propose(&bare->raft) || bare->pending_count == PENDING_MAX ||
        bare->log.last + 64 > ENTRIES_MAX) {
        return;
    }
    hl_term term = hl_raft_term(&bare->raft);
    for (uint32_t i = 0; i < count; i++) {
        const struct entry entry = {
            .term = term, .value = (uint64_t)++machine->sim->next_value, .kind = VALUE};
        append(machine, &entry);
    }
    bare->pending[bare->pending_count++] = (struct pending){.index = bare->log.last, .term = term};
    struct hl_raft_event event = {.type = HL_RAFT_ON_PROPOSE, .propose = {.count = count}};
    (void)step(machine, &event, NULL);
}

static void read_log(struct sim_machine *machine)
{
    struct sim_bare *bare = bare_of(machine);
    if (bare->pending_count == PENDING_MAX) {
        return;
    }
    bare->pending[bare->pending_count++] = (struct pending){
        .is_read = true, .read_id = ++bare->read_id, .floor = machine->sim->answered};
    struct hl_raft_event event = {.type = HL_RAFT_ON_READ, .read = {.id = bare->read_id}};
    (void)step(machine, &event, NULL);
}

/* Mostly the leader, but also one that has not heard that it is no longer, and anybody. */
static int whom_to_ask(struct sim *sim)
{
    int count = sim->profile.machines;
    int first = (int)sim_below(sim, count);
    if (sim_chance(sim, 500000)) {
        return sim_leader(sim);
    }
    for (int i = 0; i < count && sim_chance(sim, 900000); i++) {
        const struct sim_machine *machine = &sim->machines[(first + i) % count];
        if (machine->up && hl_raft_role(machine->raft) == HL_RAFT_LEADER) {
            return machine->id;
        }
    }
    return first;
}

static void on_client(struct sim *sim, struct sim_event *event)
{
    int64_t wait_us = sim_exponential(sim, sim->profile.think_mean_us);
    if (sim->chaos && sim->now_us < sim->idle_until_us) {
        wait_us += sim->idle_until_us - sim->now_us;
    }
    if (!sim->finishing) {
        struct sim_event *next = sim_after(sim, wait_us, -1, on_client);
        next->a = event->a;
    }
    int at = whom_to_ask(sim);
    struct sim_machine *machine = at < 0 ? NULL : &sim->machines[at];
    if (machine == NULL || !machine->up || sim->now_us < machine->paused_until_us) {
        return;
    }
    if (sim_chance(sim, 600000)) {
        propose(machine);
    } else {
        read_log(machine);
    }
}

static void start_clients(struct sim *sim)
{
    for (int i = 0; i < sim->profile.clients; i++) {
        struct sim_event *event = sim_after(sim, 300 * SIM_MS + i * 100, -1, on_client);
        event->a = i;
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

static void finish(struct sim *sim)
{
    sim->finishing = true;
    sim->finish_us = sim->now_us;
}

/* Every voter has what the leader has, and no client waits where it could be answered. */
static bool done(const struct sim *sim)
{
    int leader = sim_leader(sim);
    if (leader < 0 || sim->now_us < sim->finish_us + 500 * SIM_MS) {
        return false;
    }
    hl_index last = hl_raft_last(sim->machines[leader].raft);
    uint32_t voters = sim_machine_voters(&sim->machines[leader]);
    for (int i = 0; i < sim->profile.machines; i++) {
        const struct sim_machine *machine = &sim->machines[i];
        if ((voters >> i & 1) != 0 && !machine->buried &&
            (!machine->up || hl_raft_commit(machine->raft) != last)) {
            return false;
        }
    }
    const struct sim_bare *bare = sim->machines[leader].bare;
    for (int i = 0; i < bare->pending_count; i++) {
        const struct pending *p = &bare->pending[i];
        if (p->is_read || p->index <= last) {
            return false; /* an entry that was dropped meanwhile stays of unknown outcome */
        }
    }
    return true;
}

static void judge(struct sim *sim)
{
    (void)sim; /* everything was asserted on the way */
}

static void fini_all(struct sim *sim)
{
    (void)sim;
}

const struct sim_engine sim_engine = {.cluster = true,
                                      .start = start,
                                      .end = end,
                                      .crash = crash,
                                      .receive = receive,
                                      .durable = durable,
                                      .propose_config = propose_config,
                                      .transfer = transfer,
                                      .fini = fini,
                                      .clients = start_clients,
                                      .finish = finish,
                                      .done = done,
                                      .judge = judge,
                                      .fini_all = fini_all};
