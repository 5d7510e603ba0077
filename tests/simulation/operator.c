/* The operator: replaces machines that lost their disks (PROTOCOL section 10).
 *
 * Whoever finds an emptied machine starts it as it was started before, which it refuses.  Then it
 * is started with --join, as a new node; the former one is removed, and the new one comes in as a
 * learner that is promoted when it has caught up.
 *
 * A disk is lost only when what was promised survives it: the group has a leader whose
 * configuration is committed, and those that are in trouble are a minority of its voters.  While
 * one is, nobody else changes the configuration.
 */
#include "sim.h"

#include "kit/assert.h"

#define ROUND_US (100 * SIM_MS)
#define LOOK_US (800 * SIM_MS)      /* until somebody restarts a machine whose disk rots */
#define PATIENCE_US (1000 * SIM_MS) /* for a machine that was started as before to refuse that */

/* The leader, if it knows that it is one and its configuration is committed; or NULL. */
static struct sim_machine *settled_leader(struct sim *sim)
{
    int at = sim_leader(sim);
    if (at < 0 || sim->now_us < sim->machines[at].paused_until_us) {
        return NULL;
    }
    const struct hl_raft *raft = sim->machines[at].raft;
    hl_index config_index = 0;
    hl_term term = 0;
    (void)hl_raft_config(raft, &config_index);
    bool knows = hl_raft_term_at(raft, hl_raft_commit(raft), &term) && term == hl_raft_term(raft);
    return knows && config_index <= hl_raft_commit(raft) ? &sim->machines[at] : NULL;
}

bool sim_operator_busy(const struct sim *sim)
{
    for (int i = 0; i < sim->profile.machines; i++) {
        if (sim->machines[i].trouble != SIM_TROUBLE_NONE) {
            return true;
        }
    }
    return false;
}

/* May the machine lose what it has? */
static bool may_lose(struct sim *sim, int victim)
{
    struct sim_machine *leader = settled_leader(sim);
    if (leader == NULL || sim->machines[victim].trouble != SIM_TROUBLE_NONE) {
        return false;
    }
    uint32_t voters = sim_machine_voters(leader);
    int bad = 1;
    for (int i = 0; i < sim->profile.machines; i++) {
        bad += sim->machines[i].trouble != SIM_TROUBLE_NONE;
    }
    return bad <= (__builtin_popcount(voters) - 1) / 2;
}

/* The machine is as good as lost: what its disk holds cannot be used. */
static void give_up_disk(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    if (machine->up) {
        sim_machine_crash(machine, FAKE_CRASH_LOSE, SIM_NEVER);
    }
    machine->trouble = SIM_TROUBLE_EMPTIED;
    machine->trouble_us = sim->now_us;
    sim_machine_wipe(machine);
    sim_machine_boot(machine, 20 * SIM_MS + sim_below(sim, 300 * SIM_MS));
}

void sim_operator_lose_disk(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    if (!may_lose(sim, machine->id)) {
        return;
    }
    sim->stats.lost_disks++;
    sim_trace(sim, "m%lld: loses its disk", machine->id, 0, 0, 0);
    give_up_disk(machine);
}

static void on_look(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->a];
    if (machine->trouble == SIM_TROUBLE_ROTTEN && machine->up && !machine->looked) {
        sim_machine_crash(machine, FAKE_CRASH_PROCESS, 20 * SIM_MS);
    }
}

void sim_operator_rot_disk(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    if (!may_lose(sim, machine->id) || !sim_rot(machine)) {
        return;
    }
    sim->stats.rotten++;
    machine->trouble = SIM_TROUBLE_ROTTEN;
    machine->rotten = true;
    machine->looked = false;
    struct sim_event *event = sim_after(sim, sim_below(sim, LOOK_US), -1, on_look);
    event->a = machine->id;
}

/* It has been started since: either nothing was lost, or it has everything again, or it refuses. */
static void look_at_rotten(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    if (machine->refused && !machine->up) {
        sim->stats.beyond_repair++;
        give_up_disk(machine);
        return;
    }
    const struct sim_machine *leader = settled_leader(sim);
    if (leader != NULL && hl_members_find(hl_node_members(leader->node), machine->peer) == NULL) {
        machine->trouble = SIM_TROUBLE_NONE; /* it was removed: nobody will give it anything */
        return;
    }
    bool runs = machine->looked && machine->up && machine->raft != NULL;
    if (!runs || hl_raft_barred(machine->raft) || machine->barred) {
        return;
    }
    sim->stats.refetched += machine->barred_until != 0;
    sim->stats.harmless += machine->barred_until == 0;
    machine->barred_until = 0;
    machine->rotten = false;
    machine->trouble = SIM_TROUBLE_NONE;
    sim_trace(sim, "m%lld: is as good as before", machine->id, 0, 0, 0);
}

/* It was started as before, and has stopped or got nowhere. */
static void replace(struct sim_machine *machine)
{
    if (!machine->refused && machine->sim->now_us - machine->trouble_us < PATIENCE_US) {
        return;
    }
    if (machine->up) {
        sim_machine_crash(machine, FAKE_CRASH_PROCESS, SIM_NEVER);
    }
    machine->trouble = SIM_TROUBLE_REPLACED;
    machine->joins = true;
    sim_machine_boot(machine, 1 * SIM_MS);
}

static bool is_caught_up(const struct sim_machine *leader, hl_peer peer)
{
    struct hl_raft_peer_status status;
    return hl_raft_peer_status(leader->raft, peer, &status) && status.caught_up;
}

/* One step of changing the members; true when there is none left. */
static bool change_members(struct sim_machine *leader, struct sim_machine *machine)
{
    struct hl_node *node = leader->node;
    struct hl_members members = *hl_node_members(node);
    struct hl_slice name = hl_slice_of(machine->name);
    const struct hl_member *fresh = hl_members_find(&members, machine->peer);
    const struct hl_member *former = hl_members_find(&members, machine->former);
    machine->was_voter |= former != NULL && former->voter;
    if (former != NULL) {
        (void)hl_members_remove(&members, machine->former);
    } else if (!machine->was_voter || (fresh != NULL && fresh->voter)) {
        return true;
    } else if (fresh == NULL || is_caught_up(leader, machine->peer)) {
        hl_err err = hl_members_put(&members, machine->peer, fresh != NULL, name, name, name);
        HL_MAYBE(err != HL_OK);
    } else {
        return false;
    }
    struct hl_errmsg msg = {{0}};
    hl_err err = hl_replica_configure(node, &members, &msg);
    leader->sim->stats.configs += err == HL_OK;
    sim_trace(leader->sim, "m%lld: the operator changes the members for m%lld, result %lld",
              leader->id, machine->id, err, 0);
    return false;
}

static void join(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    struct sim_machine *leader = settled_leader(sim);
    if (leader == NULL || !hl_node_leads(leader->node) || !sim_machine_begin(leader)) {
        return;
    }
    bool done = hl_node_leads(leader->node) && change_members(leader, machine);
    sim_machine_end(leader);
    if (done) {
        machine->trouble = SIM_TROUBLE_NONE;
        sim->stats.replaced++;
        sim_trace(sim, "m%lld: has been replaced", machine->id, 0, 0, 0);
    }
}

static void on_round(struct sim *sim, struct sim_event *event)
{
    (void)event;
    (void)sim_after(sim, ROUND_US, -1, on_round);
    for (int i = 0; i < sim->profile.machines; i++) {
        struct sim_machine *machine = &sim->machines[i];
        switch (machine->trouble) {
        case SIM_TROUBLE_NONE:
            if (machine->refused && !machine->up) {
                machine->refused = false;
                machine->joins = true; /* removed before it ever had anything */
                sim_machine_boot(machine, 1 * SIM_MS);
            }
            break;
        case SIM_TROUBLE_EMPTIED:
            replace(machine);
            break;
        case SIM_TROUBLE_ROTTEN:
            look_at_rotten(machine);
            break;
        case SIM_TROUBLE_REPLACED:
            join(machine);
            break;
        }
    }
}

void sim_operator_start(struct sim *sim)
{
    (void)sim_after(sim, ROUND_US, -1, on_round);
}
