/* How machines begin: the rules of core/node/bootstrap.h, with its questions and answers carried
 * over the simulated network, as core/server/cluster.c does over the real one.
 *
 * All founders list all founders.  Whoever does not found is started with --join, and so is a
 * machine that comes in the place of one that lost its disk.
 */
#include "sim.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/node_internal.h"

#define LOOK_US (20 * SIM_MS)
#define PATIENCE_US (150 * SIM_MS) /* for an answer */

static void on_look(struct sim *sim, struct sim_event *event);

/* --- questions and answers -------------------------------------------------------------------- */

static void make_hello(const struct sim_machine *machine, hl_peer to, bool reply,
                       struct hl_buf *out)
{
    const struct hl_boot *boot = &machine->boot;
    const struct hl_node *node = machine->node;
    struct hl_wire_frame frame = hl_node_frame(node, to, HL_PEER_RAFT, HL_FRAME_HELLO);
    struct hl_hello hello = {.reply = reply,
                             .level = hl_level_own(node),
                             .empty = hl_boot_is_new(machine->wal),
                             .member = reply && machine->begun &&
                                       hl_members_find(hl_node_members(node), to) != NULL,
                             .name = hl_slice_of(boot->self.name),
                             .raft_addr = hl_slice_of(boot->self.raft_addr),
                             .client_addr = hl_slice_of(boot->self.client_addr),
                             .peer_count = boot->count};
    for (uint32_t i = 0; i < boot->count; i++) {
        hello.peers[i] = hl_slice_of(boot->peers[i].listed);
    }
    size_t start = hl_wire_begin(out, &frame);
    hl_hello_encode(&hello, out);
    hl_wire_end(out, start);
}

static void read_hello(const struct sim_event *event, struct hl_wire_frame *frame,
                       struct hl_hello *hello)
{
    struct hl_slice bytes = {.ptr = event->data, .len = (size_t)event->c};
    hl_err err = hl_wire_decode(bytes, frame, NULL);
    bool good = err == HL_OK && hl_hello_decode(frame->body, hello);
    HL_ASSERT(good);
}

/* Let `run` happen at machine `at` with a hello of `from`, unless it gets lost on its way. */
static void carry(struct sim_machine *from, int at, hl_peer to, bool reply, sim_event_fn run)
{
    struct sim *sim = from->sim;
    if (sim->cut[from->id][at] || (sim->chaos && sim_chance(sim, sim->profile.drop_ppm))) {
        return;
    }
    struct hl_buf out = {0};
    make_hello(from, to, reply, &out);
    int64_t delay_us = sim->profile.delay_min_us + sim_exponential(sim, sim->profile.delay_mean_us);
    struct sim_event *event = sim_after(sim, delay_us, at, run);
    event->a = from->id;
    event->b = from->boot_round;
    event->c = (int64_t)out.len;
    event->data = out.ptr; /* freed with the event */
}

static void on_answer(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->machine];
    struct hl_wire_frame frame;
    struct hl_hello hello;
    if (machine->node != NULL && !machine->begun) {
        read_hello(event, &frame, &hello);
        hl_boot_answered(&machine->boot, sim->machines[event->a].name, &frame, &hello);
    }
}

static void on_question(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->machine];
    struct hl_wire_frame frame;
    struct hl_hello hello;
    if (!machine->up || machine->node == NULL) {
        return;
    }
    read_hello(event, &frame, &hello);
    bool loading = machine->begun && machine->node->loading;
    if (!loading) {
        carry(machine, (int)event->a, frame.from, true, on_answer);
    }
    hl_node_peer_level(machine->node, frame.from, hello.level);
    hl_boot_was_asked(&machine->boot, &hello);
}

static void on_silence(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->machine];
    if (!machine->begun && machine->boot_round == event->b) {
        hl_boot_unanswered(&machine->boot, sim->machines[event->a].name, "it does not answer");
    }
}

static void ask(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    const struct hl_boot_peer *peer;
    while ((peer = hl_boot_question(&machine->boot)) != NULL) {
        int at = sim_machine_named(sim, peer->name);
        HL_ASSERT(at >= 0);
        carry(machine, at, 0, false, on_question);
        struct sim_event *event = sim_after(sim, PATIENCE_US, machine->id, on_silence);
        event->a = at;
        event->b = machine->boot_round;
    }
}

/* --- deciding --------------------------------------------------------------------------------- */

/* F3: a machine that lost its disk founds nothing, for the others know better. */
static void found(struct sim_machine *machine)
{
    const struct hl_boot *boot = &machine->boot;
    if (machine->trouble != SIM_TROUBLE_NONE) {
        sim_fail(machine->sim, "F3 bootstrap",
                 "machine %d lost its disk, and founds a cluster all the same", machine->id);
    }
    hl_node_bootstrap(machine->node, boot->cluster_id, &boot->members, boot->level);
}

static void begin_as(struct sim_machine *machine, enum hl_boot_decision decision)
{
    struct sim *sim = machine->sim;
    sim_trace(sim, "m%lld: begins, decision %lld", machine->id, decision, 0, 0);
    switch (decision) {
    case HL_BOOT_NONE:
        return;
    case HL_BOOT_STOP:
        sim->stats.refused_starts++;
        machine->refused = true;
        sim_machine_crash(machine, FAKE_CRASH_PROCESS, SIM_NEVER);
        return;
    case HL_BOOT_FOUND:
        found(machine);
        break;
    case HL_BOOT_JOIN:
        hl_node_join(machine->node);
        break;
    case HL_BOOT_RESUME:
        if (hl_wal_last(machine->wal) == 0) {
            hl_node_join(machine->node); /* it had promised something, but has no data yet */
        }
        break;
    }
    machine->begun = true;
    sim_machine_load(machine);
}

static void look(struct sim_machine *machine)
{
    enum hl_boot_decision decision = hl_boot_tick(&machine->boot, sim_machine_mono_us(machine));
    ask(machine);
    if (decision != HL_BOOT_NONE) {
        begin_as(machine, decision);
        return;
    }
    (void)sim_after(machine->sim, LOOK_US, machine->id, on_look);
}

static void on_look(struct sim *sim, struct sim_event *event)
{
    look(&sim->machines[event->machine]);
}

void sim_boot_begin(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    bool founder = (sim->profile.voters >> machine->id & 1) != 0;
    struct hl_boot_options options = {.id = machine->peer,
                                      .name = machine->name,
                                      .raft_addr = machine->name,
                                      .client_addr = machine->name,
                                      .level = hl_level_own(machine->node),
                                      .has_state = !hl_boot_is_new(machine->wal),
                                      .join = !founder || machine->joins};
    for (int i = 0; i < sim->profile.machines && founder; i++) {
        if ((sim->profile.voters >> i & 1) != 0) {
            options.list[options.list_count].name = sim->machines[i].name;
            options.list[options.list_count++].raft_addr = sim->machines[i].name;
        }
    }
    machine->boot_round++;
    machine->begun = false;
    machine->refused = false;
    hl_err err = hl_boot_init(&machine->boot, &options, NULL);
    HL_ASSERT(err == HL_OK);
    look(machine);
}
