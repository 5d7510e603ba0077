/* A machine that runs a whole node: the real log on a disk in memory, keyspace, commands, gate.
 *
 * The log thread is two events: the batch is written when the first half of its time has passed,
 * and reported when all of it has, so that a crash between them finds durable entries nobody heard
 * of.
 */
#include "sim.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/refetch.h"
#include "raft/mutant.h"

#include <stdio.h>
#include <string.h>

#define EPOCH_US 1700000000000000
#define DATABASES 2
#define CRON_US 100000
#define SYNC_PPM 300000 /* of a cron, where the log is synced now and then only */
#define LOAD_BUDGET_US 1000000
#define PUT_US 60 /* to write a batch, without the sync */

static const unsigned char alone_id[16] = "alone";
static const unsigned char boot_id[16] = "boot";

/* --- the world -------------------------------------------------------------------------------- */

static int64_t wall_us(void *ctx)
{
    struct sim_machine *machine = ctx;
    return EPOCH_US + sim_machine_local_us(machine) + machine->wall_offset_us;
}

static uint64_t mono_us(void *ctx)
{
    struct sim_machine *machine = ctx;
    return sim_machine_mono_us(machine);
}

static void entropy(void *ctx, void *out, size_t len)
{
    struct sim_machine *machine = ctx;
    unsigned char *p = out;
    for (size_t i = 0; i < len; i++) {
        p[i] = (unsigned char)(hl_rng_next(&machine->entropy) >> 56);
    }
}

static size_t memory_used(void *ctx)
{
    (void)ctx;
    return 1 << 20;
}

static void on_session(void *ctx, struct hl_session *session)
{
    (void)ctx; /* sessions are looked at after every iteration */
    (void)session;
}

static void log_line(void *ctx, int level, const char *line)
{
    struct sim_machine *machine = ctx;
    if (machine->sim->verbose) {
        fprintf(stderr, "  %10.3f ms  m%d log %d: %s\n", (double)machine->sim->now_us / 1000,
                machine->id, level, line);
    }
}

__attribute__((noreturn)) static void fatal(void *ctx, const char *why)
{
    struct sim_machine *machine = ctx;
    (void)snprintf(machine->why, sizeof machine->why, "%s", why);
    machine->sim->dying = machine;
    longjmp(machine->sim->fatal, 1);
}

/* --- the log thread --------------------------------------------------------------------------- */

/* The power went while the disk was working. */
static bool power_is_gone(struct sim_machine *machine)
{
    struct fake_disk *fake = machine->fake;
    return fake->fail_for_ever && fake->fail_at != 0 && fake->ops >= fake->fail_at;
}

static void lose_power(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    sim->stats.power_cuts++;
    sim_trace(sim, "m%lld: the power goes at operation %lld of the disk", machine->id,
              machine->fake->ops, 0, 0);
    sim_machine_crash_any(machine);
}

static void on_reported(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->machine];
    while (machine->up && machine->flight_count > 0 &&
           machine->flights[0].stage == SIM_FLIGHT_OVER && sim_machine_begin(machine)) {
        struct sim_flight flight = machine->flights[0];
        machine->flight_count--;
        memmove(machine->flights, machine->flights + 1,
                (size_t)machine->flight_count * sizeof *machine->flights);
        machine->written = flight.err;
        hl_node_log_done(machine->node, flight.err, flight.why);
        sim_machine_end(machine);
    }
}

static void end_flight(struct sim_flight *flight, hl_err err, const char *why)
{
    flight->stage = SIM_FLIGHT_OVER;
    flight->err = err;
    (void)snprintf(flight->why, sizeof flight->why, "%s", why);
}

static void on_synced(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->machine];
    struct hl_errmsg msg = {{0}};
    for (int i = 0; i < machine->flight_count; i++) {
        struct sim_flight *flight = &machine->flights[i];
        if (flight->seq == (uint64_t)event->a && flight->stage == SIM_FLIGHT_PUT) {
            hl_err err = hl_wal_batch_sync(machine->wal, &flight->batch, &msg);
            end_flight(flight, err, msg.text);
        }
    }
    if (power_is_gone(machine)) {
        lose_power(machine);
        return;
    }
    (void)sim_after(sim, event->b, machine->id, on_reported);
}

/* The next batch goes into the file.  Those behind one that could not share its fate. */
static void on_put(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->machine];
    struct hl_errmsg msg = {{0}};
    hl_err err = HL_OK;
    bool more = false;
    for (int i = 0; i < machine->flight_count; i++) {
        struct sim_flight *flight = &machine->flights[i];
        if (flight->stage != SIM_FLIGHT_WAITS) {
            continue;
        }
        if (err != HL_OK) {
            end_flight(flight, err, msg.text);
            continue;
        }
        if (more) {
            (void)sim_after(sim, PUT_US, machine->id, on_put);
            break;
        }
        more = true;
        err = hl_wal_batch_put(machine->wal, &flight->batch, &msg);
        if (err != HL_OK) {
            end_flight(flight, err, msg.text);
            continue;
        }
        flight->stage = SIM_FLIGHT_PUT;
        int64_t half_us = sim_machine_disk_us(machine) / 2;
        struct sim_event *synced = sim_after(sim, half_us, machine->id, on_synced);
        synced->a = (int64_t)flight->seq;
        synced->b = half_us;
    }
    if (power_is_gone(machine)) {
        lose_power(machine);
    } else if (err != HL_OK) {
        (void)sim_after(sim, PUT_US, machine->id, on_reported);
    }
}

static void log_write(void *ctx, struct hl_wal_batch *batch)
{
    struct sim_machine *machine = ctx;
    HL_ASSERT(machine->flight_count < HL_WAL_FLIGHTS_MAX);
    bool idle = true;
    for (int i = 0; i < machine->flight_count; i++) {
        idle &= machine->flights[i].stage != SIM_FLIGHT_WAITS;
    }
    machine->flights[machine->flight_count++] =
        (struct sim_flight){.seq = ++machine->flight_seq, .batch = *batch};
    if (idle) {
        (void)sim_after(machine->sim, PUT_US, machine->id, on_put);
    }
}

/* --- the loop --------------------------------------------------------------------------------- */

static void on_tick(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->machine];
    if (machine->tick_at_us > sim->now_us) {
        return; /* an older alarm */
    }
    machine->tick_at_us = SIM_NEVER;
    if (sim_machine_begin(machine)) {
        hl_node_tick(machine->node);
        sim_machine_end(machine);
    }
}

static void schedule(struct sim_machine *machine)
{
    int64_t delay_us = sim_machine_until(machine, hl_node_wake_us(machine->node));
    if (delay_us == SIM_NEVER || machine->sim->now_us + delay_us >= machine->tick_at_us) {
        return;
    }
    machine->tick_at_us = machine->sim->now_us + delay_us;
    (void)sim_after(machine->sim, delay_us, machine->id, on_tick);
}

bool sim_machine_begin(struct sim_machine *machine)
{
    if (!machine->up || machine->node == NULL || machine->sim->now_us < machine->paused_until_us) {
        return false;
    }
    hl_node_begin(machine->node);
    machine->began_at = machine->node->last;
    return true;
}

void sim_machine_end(struct sim_machine *machine)
{
    if (!machine->up) {
        return;
    }
    hl_node_end(machine->node);
    if (power_is_gone(machine)) {
        lose_power(machine);
        return;
    }
    machine->raft = machine->node->cluster.live ? &machine->node->raft : NULL;
    schedule(machine);
    sim_oracle_raft(machine);
    sim_state_look(machine);
    sim_clients_harvest(machine);
}

/* --- snapshots -------------------------------------------------------------------------------- */

/* The part of the saver: the file is written at once (a forked child sees one instant), published
 * some time after its label has committed. */
static void save(struct sim_machine *machine)
{
    struct hl_node *node = machine->node;
    struct hl_errmsg msg = {{0}};
    struct hl_snap_label label = hl_snapshot_label(node);
    if (node->cluster.rebuilding) {
        return;
    }
    machine->snapshot_epoch = node->cluster.epoch;
    if (label.index < machine->snapshot_done + (hl_index)machine->sim->profile.snapshot_entries) {
        return;
    }
    hl_err err = hl_snapshot_write(node, &machine->disk, "d", &label, NULL, &msg);
    if (err == HL_OK) {
        machine->snapshot = label;
    }
    sim_trace(machine->sim, "m%lld: snapshot at %lld, commit %lld, result %lld", machine->id,
              (int64_t)label.index, (int64_t)node->commit, err);
}

static void publish(struct sim_machine *machine)
{
    struct hl_node *node = machine->node;
    struct hl_errmsg msg = {{0}};
    if (machine->snapshot_epoch != node->cluster.epoch) {
        machine->snapshot.index = 0; /* what it holds was undone */
        return;
    }
    if (machine->snapshot.index > node->commit && !HL_MUTANT(EARLY_SNAPSHOT)) {
        return;
    }
    hl_err err = hl_snapshot_publish(node, &machine->disk, "d", &machine->snapshot, &msg);
    sim_trace(machine->sim, "m%lld: snapshot %lld published, result %lld", machine->id,
              (int64_t)machine->snapshot.index, err, 0);
    if (err == HL_OK) {
        machine->snapshot_done = machine->base_seen = machine->snapshot.index;
        machine->sim->stats.snapshots++;
    }
    machine->snapshot.index = 0;
}

/* What the server's cron does: under `interval`, and once a leader has given back what was lost. */
static void look_after_log(struct sim_machine *machine)
{
    const struct hl_wal_meta *meta = hl_wal_meta(machine->wal);
    if (machine->sim->profile.forgets && sim_chance(machine->sim, SYNC_PPM)) {
        hl_wal_request_sync(machine->wal);
    }
    if (machine->barred && hl_refetch_is_due(meta) && !hl_raft_barred(machine->raft)) {
        unsigned char cluster[16];
        memcpy(cluster, meta->cluster_id, sizeof cluster);
        hl_wal_set_identity(machine->wal, cluster, meta->node_id, meta->incarnation, boot_id);
    }
    machine->barred = machine->barred && hl_raft_barred(machine->raft);
}

static void on_cron(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->machine];
    (void)sim_after(sim, CRON_US, machine->id, on_cron);
    if (!sim_machine_begin(machine)) {
        return;
    }
    hl_node_cron(machine->node);
    sim_machine_end(machine);
    if (!machine->up || machine->node->loading) {
        return;
    }
    look_after_log(machine);
    if (machine->snapshot.index != 0) {
        publish(machine);
    } else {
        save(machine);
    }
    if (power_is_gone(machine)) {
        lose_power(machine);
    }
}

/* A sync off the loop, of a snapshot that is received; the node hears of it as long after as a
 * batch of the log takes. */
static void on_file_synced(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->machine];
    if (sim_machine_begin(machine)) {
        hl_node_file_synced(machine->node, (uint64_t)event->a, (hl_err)event->b, "a failed sync");
        sim_machine_end(machine);
    }
}

static bool file_sync(void *ctx, int file, uint64_t number)
{
    struct sim_machine *machine = ctx;
    hl_err err = machine->disk.fdatasync(machine->disk.ctx, file, NULL);
    struct sim_event *event =
        sim_after(machine->sim, sim_machine_disk_us(machine), machine->id, on_file_synced);
    event->a = (int64_t)number;
    event->b = err;
    return true;
}

/* --- the life of the process ------------------------------------------------------------------ */

static void on_lost(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->machine];
    if (sim_machine_begin(machine)) {
        hl_node_peer_lost(machine->node, (hl_peer)event->a);
        sim_machine_end(machine);
    }
}

static void send_frame(void *ctx, hl_peer to, enum hl_peer_class peer_class, struct hl_slice frame)
{
    struct sim_machine *machine = ctx;
    struct sim *sim = machine->sim;
    int at = sim_machine_of(sim, to);
    (void)peer_class;
    at = at < 0 ? sim_machine_was(sim, to) : at; /* its address is still in use */
    if (at < 0 || (at == machine->id && to == machine->peer)) {
        sim_fail(sim, "F2 identity", "machine %d sends to nobody", machine->id);
    }
    sim_net_send(machine, &sim->machines[at], frame);
    if (sim_chance(sim, sim->profile.misroute_ppm)) {
        int other = (int)sim_below(sim, sim->profile.machines);
        sim_net_send(machine, &sim->machines[other], frame);
    }
    if (sim->cut[machine->id][at] && sim_chance(sim, 100000)) {
        struct sim_event *event = sim_after(sim, 1 * SIM_MS, machine->id, on_lost);
        event->a = (int64_t)to;
    }
}

static void on_peers(void *ctx, const struct hl_members *members)
{
    (void)ctx;
    (void)members;
}

static void make_disk(struct sim_machine *machine)
{
    if (machine->fake != NULL) {
        return;
    }
    machine->fake = fake_disk_create();
    machine->disk = fake_disk_seam(machine->fake);
    machine->world = (struct hl_world){.ctx = machine,
                                       .wall_us = wall_us,
                                       .mono_us = mono_us,
                                       .entropy = entropy,
                                       .log_write = log_write,
                                       .output = on_session,
                                       .resume = on_session,
                                       .memory_used = memory_used,
                                       .fatal = fatal,
                                       .log = log_line,
                                       .send = send_frame,
                                       .peers = on_peers,
                                       .file_sync = file_sync};
}

/* Every second seed without a script: clients stay where they are and their requests travel. */
static enum hl_follower_writes forwards(const struct sim *sim)
{
    return sim->profile.script == SIM_SCRIPT_NONE && sim->seed % 2 == 1
               ? HL_FOLLOWER_WRITES_FORWARD
               : HL_FOLLOWER_WRITES_REDIRECT;
}

static void create_node(struct sim_machine *machine)
{
    const struct sim_profile *profile = &machine->sim->profile;
    struct hl_node_config config = {
        .databases = DATABASES,
        .appendonly = true,
        .maxmemory_policy = HL_EVICT_NOEVICTION,
        .maxmemory_samples = 5,
        .slowlog_slower_than_us = -1,
        .hz = 10,
        .active_expire = true,
        .active_expire_effort = 1,
        .speculation_max = profile->speculation_size,
        .multi_queue_max = 1 << 20,
        .cluster = {.name = machine->name,
                    .raft_addr = machine->name,
                    .client_addr = machine->name,
                    .election_us = SIM_ELECTION_US,
                    .heartbeat_us = SIM_HEARTBEAT_US,
                    .drift_ppm = (uint32_t)profile->clock_ppm,
                    .lease = profile->lease,
                    .barred = machine->barred,
                    .barred_until = machine->barred_until,
                    .follower_writes = forwards(machine->sim),
                    .follower_reads = profile->stale ? HL_READ_STALE : HL_READ_LINEARIZABLE}};
    machine->node = hl_node_create(&machine->world, machine->wal, &config);
    sim_state_watch(machine);
    hl_node_load_from(machine->node, &machine->disk, "d");
}

/* Its disk is known to be its own from the first start on. */
static hl_err identify(struct sim_machine *machine, struct hl_errmsg *msg)
{
    const struct hl_wal_meta *meta = hl_wal_meta(machine->wal);
    const struct sim *sim = machine->sim;
    unsigned char cluster[16];
    memcpy(cluster, meta->cluster_id, sizeof cluster);
    if (sim->profile.machines == 1) {
        memcpy(cluster, alone_id, sizeof cluster);
    } else if (hl_boot_is_new(machine->wal)) {
        memset(cluster, 0, sizeof cluster); /* one that was noted and never begun */
    }
    bool lost = hl_refetch_is_due(meta);
    machine->barred = lost || (machine->barred && !hl_boot_is_new(machine->wal));
    HL_ASSERT(meta->node_id == 0 || meta->node_id == machine->peer);
    unsigned char boot[16];
    memcpy(boot, lost ? hl_wal_boot_lost : boot_id, sizeof boot);
    hl_wal_set_identity(machine->wal, cluster, machine->peer, meta->incarnation + 1, boot);
    hl_wal_set_overlap(machine->wal, (unsigned)sim->profile.flights);
    return sim->profile.machines == 1 ? HL_OK : hl_wal_flush(machine->wal, msg);
}

/* What a dead process leaves in our memory. */
static void bury(struct sim_machine *machine)
{
    hl_node_destroy(machine->node);
    for (int i = 0; i < machine->flight_count; i++) {
        hl_wal_batch_done(machine->wal, &machine->flights[i].batch, HL_EIO);
    }
    hl_wal_close(machine->wal);
}

static bool started(struct sim_machine *machine, hl_err err, const struct hl_errmsg *msg)
{
    sim_trace(machine->sim, "m%lld: starts, result %lld", machine->id, err, 0, 0);
    if (err == HL_ECORRUPT && machine->rotten) {
        machine->refused = machine->trouble == SIM_TROUBLE_ROTTEN; /* the operator sees to it */
        sim_machine_crash(machine, FAKE_CRASH_PROCESS, SIM_NEVER);
        return false;
    }
    if (err != HL_OK && err != HL_EIO && err != HL_EFULL) {
        sim_fail(machine->sim, "start", "machine %d does not start: %s", machine->id, msg->text);
    }
    if (err != HL_OK) {
        sim_machine_crash_any(machine);
    }
    return err == HL_OK;
}

/* Loading may meet the loss of power too: then it is tried again. */
void sim_machine_load(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    struct hl_errmsg msg = {{0}};
    hl_err err = HL_ENOENT;
    while (err == HL_ENOENT) {
        err = hl_node_load_step(machine->node, LOAD_BUDGET_US, &msg);
    }
    if (!started(machine, err, &msg)) {
        return;
    }
    machine->raft = machine->node->cluster.live ? &machine->node->raft : NULL;
    machine->looked = true;
    machine->snapshot_done = machine->node->snapshot_index;
    sim_oracle_recovered(machine);
    sim_state_recovered(machine);
    (void)sim_after(sim, CRON_US, machine->id, on_cron);
    if (sim_machine_begin(machine)) {
        sim_machine_end(machine);
    }
}

static void start(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    make_disk(machine);
    struct hl_wal_options options = {.dir = "d",
                                     .segment_size = sim->profile.segment_size,
                                     .sync = sim->profile.forgets ? HL_WAL_SYNC_INTERVAL
                                                                  : HL_WAL_SYNC_EVERY,
                                     .salt = sim->seed};
    struct hl_errmsg msg = {{0}};
    machine->snapshot.index = 0;
    struct hl_wal_findings findings = {0};
    hl_err err = sim->profile.machines > 1
                     ? hl_refetch_open(&machine->wal, &machine->disk, &options, &findings, &msg)
                     : hl_wal_open(&machine->wal, &machine->disk, &options, &findings, &msg);
    if (err == HL_OK && findings.damaged) {
        machine->barred_until = findings.highest;
    }
    if (err == HL_OK) {
        err = identify(machine, &msg);
    }
    if (!started(machine, err, &msg)) {
        return;
    }
    if (hl_wal_meta(machine->wal)->removed) {
        sim_machine_crash(machine, FAKE_CRASH_PROCESS, SIM_NEVER);
        return;
    }
    create_node(machine);
    if (sim->profile.machines == 1) {
        machine->begun = true;
        sim_machine_load(machine);
    } else {
        sim_boot_begin(machine);
    }
}

void sim_machine_wipe(struct sim_machine *machine)
{
    HL_ASSERT(!machine->up);
    fake_disk_destroy(machine->fake);
    machine->fake = NULL;
    make_disk(machine);
    if (machine->former_count < SIM_FORMER_MAX) {
        machine->formers[machine->former_count++] = machine->peer;
    }
    machine->former = machine->peer;
    machine->was_voter = false;
    machine->peer = hl_rng_next(&machine->entropy) | 1;
    machine->promised = 0; /* to nobody, under its new name */
    machine->barred = machine->rotten = false;
    machine->barred_until = 0;
    machine->snapshot_done = 0;
}

static void end(struct sim_machine *machine, bool abandon)
{
    sim_clients_lost(machine, abandon);
    if (!abandon) {
        bury(machine);
    }
    machine->node = NULL;
    machine->wal = NULL;
    machine->begun = false;
    machine->flight_count = 0;
}

static void crash(struct sim_machine *machine, enum fake_crash how)
{
    machine->barred |= machine->sim->profile.forgets && how != FAKE_CRASH_PROCESS;
    fake_disk_crash(machine->fake, how, hl_rng_next(&machine->sim->rng));
}

/* F2: what is for another node, of another cluster or of one that was removed changes nothing. */
static void drop(struct sim_machine *machine, const struct hl_wire_frame *frame,
                 struct hl_slice bytes)
{
    struct hl_node *node = machine->node;
    const struct hl_raft *raft = &node->raft;
    uint64_t contact_us = raft->contact_us;
    hl_index sum = raft->term + raft->vote + raft->commit + raft->log.last + raft->leader;
    hl_node_peer_message(node, frame->from, bytes);
    if (raft->contact_us != contact_us ||
        raft->term + raft->vote + raft->commit + raft->log.last + raft->leader != sum) {
        sim_fail(machine->sim, "F2 identity", "machine %d accepts a frame for node %llx",
                 machine->id, (unsigned long long)frame->to);
    }
    machine->sim->stats.foreign++;
}

static void receive(struct sim_machine *machine, struct sim_machine *from, struct hl_slice bytes)
{
    struct hl_wire_frame frame;
    hl_err err = hl_wire_decode(bytes, &frame, NULL);
    HL_ASSERT(err == HL_OK);
    if (!machine->begun) {
        if (frame.to == machine->peer) {
            hl_boot_was_called(&machine->boot);
        }
        return; /* it is sent again */
    }
    (void)from;
    if (!sim_machine_begin(machine)) {
        return;
    }
    const struct hl_node *node = machine->node;
    bool foreign = node->cluster.live &&
                   (frame.to != machine->peer ||
                    memcmp(frame.cluster_id, node->cluster_id, sizeof frame.cluster_id) != 0);
    bool adopts = frame.to == machine->peer && node->cluster.joins;
    if (foreign && !adopts) {
        drop(machine, &frame, bytes);
    } else {
        hl_node_peer_message(machine->node, frame.from, bytes);
    }
    sim_machine_end(machine);
}

/* A founder's first entry is on its way to the disk when raft counts it already; what it says to
 * others waits for its term to be stored, and so for that entry. */
static hl_index durable(const struct sim_machine *machine)
{
    hl_index raft = hl_raft_durable(machine->raft);
    hl_index wal = hl_wal_durable(machine->wal);
    return raft < wal ? raft : wal;
}

/* A removed node comes back as another, with nothing on its disk: once its removal is committed. */
static void begin_anew(const struct sim_machine *leader, struct sim_machine *machine)
{
    if (hl_node_members_index(leader->node) == 0) {
        return;
    }
    sim_machine_crash(machine, FAKE_CRASH_LOSE, SIM_NEVER);
    sim_machine_wipe(machine);
    machine->outcast = false;
    machine->joins = true;
    sim_machine_boot(machine, 1 * SIM_MS);
}

static bool propose_config(struct sim_machine *machine, uint32_t voters)
{
    struct sim *sim = machine->sim;
    uint32_t changed = voters ^ sim_machine_voters(machine);
    if (__builtin_popcount(changed) != 1 || sim_operator_busy(sim) || !sim_machine_begin(machine)) {
        return false;
    }
    hl_err err = HL_EBUSY;
    struct hl_errmsg msg = {{0}};
    struct sim_machine *other = &sim->machines[__builtin_ctz(changed)];
    bool adds = (voters & changed) != 0;
    bool leads = hl_node_leads(machine->node);
    if (leads && adds && other->outcast) {
        begin_anew(machine, other);
    } else if (leads) {
        struct hl_members members = *hl_node_members(machine->node);
        struct hl_slice name = hl_slice_of(other->name);
        err = HL_OK;
        if (!adds) {
            (void)hl_members_remove(&members, other->peer);
        } else {
            err = hl_members_put(&members, other->peer, true, name, name, name);
        }
        HL_ASSERT(err == HL_OK);
        err = hl_replica_configure(machine->node, &members, &msg);
    }
    other->outcast |= err == HL_OK && !adds;
    sim->stats.configs += err == HL_OK;
    sim_trace(sim, "m%lld: changes the voters to %llx, result %lld", machine->id, voters, err, 0);
    sim_machine_end(machine);
    return err == HL_OK;
}

static void transfer(struct sim_machine *machine)
{
    if (sim_machine_begin(machine)) {
        hl_err err = hl_replica_hand_over(machine->node, 0);
        machine->sim->stats.transfers += err == HL_OK;
        sim_trace(machine->sim, "m%lld: hands over, result %lld", machine->id, err, 0, 0);
        sim_machine_end(machine);
    }
}

static void fini(struct sim_machine *machine)
{
    fake_disk_destroy(machine->fake);
}

static void arm(struct sim_machine *machine, int operations)
{
    if (machine->fake == NULL) {
        return;
    }
    machine->fake->fail_at = machine->fake->ops + operations;
    machine->fake->fail_for_ever = true;
}

/* What there is to wait for, or NULL: everything is read, and every voter has what the leader has,
 * in a log that is as short as the snapshots make it. */
static const char *waits_for(const struct sim *sim)
{
    int leader = sim_leader(sim);
    if (!sim_workload_done(sim) || leader < 0 || sim_operator_busy(sim)) {
        return leader < 0 ? "no leader" : "an operation, or the operator";
    }
    const struct hl_node *first = sim->machines[leader].node;
    uint32_t voters = sim_machine_voters(&sim->machines[leader]);
    for (int i = 0; i < sim->profile.machines; i++) {
        const struct sim_machine *machine = &sim->machines[i];
        if ((voters >> i & 1) != 0 && !machine->buried &&
            (!machine->up || machine->node->commit != first->last ||
             machine->node->last != first->last || !sim_state_is_short(machine))) {
            return !machine->up || sim_state_is_short(machine) ? "a voter lacks what another has"
                                                               : "H2, a log is too long";
        }
    }
    return NULL;
}

static bool done(const struct sim *sim)
{
    return waits_for(sim) == NULL;
}

static void judge(struct sim *sim)
{
    if (sim->forgot) {
        return; /* clients were told of what nobody has any more */
    }
    struct check_result result = check_history(&sim->history);
    if (!result.ok) {
        sim_fail(sim, "B2..B5 histories", "%s", result.why);
    }
    sim->stats.gave_up += result.gave_up;
}

static void begin(struct sim *sim)
{
    sim_clients_start(sim);
    sim_operator_start(sim);
}

static void fini_all(struct sim *sim)
{
    sim_clients_fini(sim);
    sim_state_fini(sim);
}

const struct sim_engine sim_engine = {.cluster = true,
                                      .forgets = true,
                                      .start = start,
                                      .end = end,
                                      .crash = crash,
                                      .receive = receive,
                                      .arm = arm,
                                      .durable = durable,
                                      .propose_config = propose_config,
                                      .transfer = transfer,
                                      .lose_disk = sim_operator_lose_disk,
                                      .rot_disk = sim_operator_rot_disk,
                                      .fini = fini,
                                      .clients = begin,
                                      .finish = sim_workload_finish,
                                      .done = done,
                                      .waits_for = waits_for,
                                      .judge = judge,
                                      .fini_all = fini_all};
