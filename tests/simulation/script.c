/* Attacks: windows in time that chance almost never meets.  Each watches who becomes leader and
 * cuts, crashes and heals around it, again and again with other delays. */
#include "sim.h"

#define NONE (-1)

static uint32_t bit(int machine)
{
    return 1u << machine;
}

static int other_than(struct sim *sim, uint32_t without)
{
    int count = sim->profile.machines;
    int left = 0;
    for (int i = 0; i < count; i++) {
        left += (without & bit(i)) == 0;
    }
    if (left == 0) {
        return NONE;
    }
    for (int64_t n = sim_below(sim, left), i = 0; i < count; i++) {
        if ((without & bit((int)i)) == 0 && n-- == 0) {
            return (int)i;
        }
    }
    return NONE;
}

int sim_leader(const struct sim *sim)
{
    int best = NONE;
    for (int i = 0; i < sim->profile.machines; i++) {
        const struct hl_raft *raft = sim->machines[i].up ? sim->machines[i].raft : NULL;
        if (raft != NULL && hl_raft_role(raft) == HL_RAFT_LEADER &&
            (best == NONE || hl_raft_term(raft) > hl_raft_term(sim->machines[best].raft))) {
            best = i;
        }
    }
    return best;
}

static void crash_for(struct sim *sim, int at, int64_t min_us, int64_t spread_us)
{
    struct sim_machine *machine = &sim->machines[at];
    enum fake_crash how = sim_chance(sim, 500000) ? FAKE_CRASH_LOSE : FAKE_CRASH_TEAR;
    if (machine->up) {
        sim_machine_crash(machine, how, min_us + sim_below(sim, spread_us));
    }
}

static void later(struct sim *sim, int64_t delay_us, sim_event_fn run, int a)
{
    struct sim_event *event = sim_after(sim, delay_us, -1, run);
    event->a = a;
}

static void on_heal(struct sim *sim, struct sim_event *event)
{
    (void)event;
    sim_net_heal(sim);
    sim->script.stage = 0;
}

/* --- the lease: a follower loses the leader first, then the leader loses everybody -------------
 */

static void on_isolate(struct sim *sim, struct sim_event *event)
{
    int leader = (int)event->a;
    if (!sim->chaos) {
        return;
    }
    sim_net_split(sim, bit(leader), SIM_CUT_BOTH);
    if (sim->profile.script == SIM_SCRIPT_LEASE_RESTART) {
        for (int i = 0; i < sim->profile.machines; i++) {
            if (i != leader && i != sim->script.first) {
                crash_for(sim, i, 2 * SIM_MS, 30 * SIM_MS);
            }
        }
    }
    later(sim, 100 * SIM_MS + sim_below(sim, 400 * SIM_MS), on_heal, 0);
}

static void attack_lease(struct sim *sim)
{
    int leader = sim_leader(sim);
    int follower = leader == NONE ? NONE : other_than(sim, bit(leader));
    if (follower == NONE) {
        return;
    }
    sim_net_heal(sim);
    sim->script.stage = 1;
    sim->script.first = follower;
    sim->cut[leader][follower] = sim->cut[follower][leader] = true;
    if (sim_chance(sim, 500000)) {
        sim->idle_until_us = sim->now_us + 150 * SIM_MS + sim_below(sim, 300 * SIM_MS);
    }
    later(sim, 20 * SIM_MS + sim_below(sim, 400 * SIM_MS), on_isolate, leader);
}

/* --- figure 8: leaders that live a moment and reach a minority ---------------------------------
 */

static void on_end_of_reign(struct sim *sim, struct sim_event *event)
{
    if (!sim->chaos) {
        return;
    }
    if (sim_chance(sim, 500000)) {
        crash_for(sim, (int)event->a, 20 * SIM_MS, 250 * SIM_MS);
    }
    if (sim_chance(sim, 160000)) {
        for (int i = 0; i < sim->profile.machines; i++) {
            crash_for(sim, i, 20 * SIM_MS, 250 * SIM_MS);
        }
    }
    sim_net_heal(sim);
    sim->script.stage = 0;
}

static void shorten_reign(struct sim *sim, int leader)
{
    uint32_t side = bit(leader);
    if (sim_chance(sim, 500000)) {
        side |= bit(other_than(sim, side));
    }
    sim_net_heal(sim);
    sim_net_split(sim, side, SIM_CUT_BOTH);
    sim->script.stage = 1;
    int64_t most = sim_chance(sim, 500000) ? 20 * SIM_MS : 250 * SIM_MS;
    later(sim, 2 * SIM_MS + sim_below(sim, most), on_end_of_reign, leader);
}

/* The exact one: L1 with B, then L2 alone, then B or L1 commits L1's entries, then L2 comes back.
 */
static void on_second_dies(struct sim *sim, struct sim_event *event)
{
    if (!sim->chaos) {
        return;
    }
    crash_for(sim, (int)event->a, 5000 * SIM_MS, 500 * SIM_MS);
    sim_net_heal(sim);
    sim->script.stage = 3;
}

static void on_third_dies(struct sim *sim, struct sim_event *event)
{
    if (!sim->chaos) {
        return;
    }
    crash_for(sim, (int)event->a, 300 * SIM_MS, 300 * SIM_MS);
    sim_net_heal(sim);
    sim_net_split(sim, bit(sim->script.partner), SIM_CUT_BOTH);
    sim->script.stage = 0;
    sim->script.until_us = sim->now_us + 1000 * SIM_MS;
}

static void start_figure8(struct sim *sim)
{
    int leader = sim_leader(sim);
    if (leader == NONE || sim->profile.machines < 5) {
        return;
    }
    sim->script.first = leader;
    sim->script.partner = other_than(sim, bit(leader));
    sim_net_heal(sim);
    sim_net_split(sim, bit(leader) | bit(sim->script.partner), SIM_CUT_BOTH);
    sim->script.stage = 1;
}

static void figure8_leader(struct sim *sim, int leader)
{
    int first = sim->script.first;
    int partner = sim->script.partner;
    if (sim->script.stage == 1 && leader != first && leader != partner) {
        sim->script.second = leader;
        sim_net_heal(sim);
        sim_net_split(sim, bit(leader), SIM_CUT_BOTH);
        sim->script.stage = 2;
        later(sim, 1 * SIM_MS + sim_below(sim, 10 * SIM_MS), on_second_dies, leader);
    } else if (sim->script.stage == 3 && (leader == first || leader == partner)) {
        int rest = leader == first ? partner : first;
        sim_net_heal(sim);
        sim_net_split(sim, bit(rest), SIM_CUT_BOTH);
        sim->script.partner = rest;
        sim->script.stage = 4;
        later(sim, 500 + sim_below(sim, 12 * SIM_MS), on_third_dies, leader);
        if (!sim->machines[sim->script.second].up) {
            sim_machine_boot(&sim->machines[sim->script.second], 5 * SIM_MS);
        }
    }
}

/* --- a flush in flight across a truncation -----------------------------------------------------
 */

static void start_slow_flush(struct sim *sim)
{
    int leader = sim_leader(sim);
    int slow = leader == NONE ? NONE : other_than(sim, bit(leader));
    if (slow == NONE || sim->profile.machines < 5) {
        return;
    }
    sim->script.first = leader;
    sim->script.partner = slow;
    sim->machines[slow].one_slow_us = 500 * SIM_MS + sim_below(sim, 400 * SIM_MS);
    sim->machines[slow].slow_until_us = sim->now_us + 1100 * SIM_MS; /* the next one too */
    sim_net_heal(sim);
    sim_net_split(sim, bit(leader) | bit(slow), SIM_CUT_BOTH);
    sim->script.stage = 1;
}

static void slow_flush_leader(struct sim *sim, int leader)
{
    uint32_t old = bit(sim->script.first) | bit(sim->script.partner);
    if (sim->script.stage != 1 || (old & bit(leader)) != 0) {
        return;
    }
    sim->script.second = other_than(sim, old | bit(leader));
    sim_net_heal(sim);
    sim_net_split(sim, bit(sim->script.first), SIM_CUT_BOTH);
    sim_net_split(sim, bit(sim->script.second), SIM_CUT_BOTH);
    sim->script.stage = 2;
}

/* The slow flush has just been reported: everybody but those that were cut off dies. */
static void on_slow_flush_over(struct sim *sim, struct sim_event *event)
{
    (void)event;
    if (sim->script.stage != 2 || !sim->chaos) {
        sim->script.stage = 0;
        return;
    }
    for (int i = 0; i < sim->profile.machines; i++) {
        if (i != sim->script.first && i != sim->script.second && i != sim->script.partner) {
            crash_for(sim, i, 800 * SIM_MS, 500 * SIM_MS);
        }
    }
    crash_for(sim, sim->script.partner, 10 * SIM_MS, 20 * SIM_MS);
    sim_net_heal(sim);
    sim->script.stage = 0;
}

void sim_script_slow_flush(struct sim_machine *machine, int64_t takes_us)
{
    struct sim *sim = machine->sim;
    if (sim->profile.script == SIM_SCRIPT_SLOW_FLUSH) {
        later(sim, takes_us + 1 * SIM_MS + sim_below(sim, 40 * SIM_MS), on_slow_flush_over, 0);
    }
}

/* --- configurations in a hurry -----------------------------------------------------------------
 */

static void change_config(struct sim *sim, int leader)
{
    struct sim_machine *machine = &sim->machines[leader];
    uint32_t voters = sim_machine_voters(machine);
    uint32_t changed = voters ^ bit((int)sim_below(sim, sim->profile.machines));
    if (changed != 0 && machine->up && __builtin_popcount(changed) >= 2) {
        (void)sim_engine.propose_config(machine, changed);
    }
}

static void on_change(struct sim *sim, struct sim_event *event)
{
    int leader = (int)event->a;
    const struct sim_machine *machine = &sim->machines[leader];
    if (machine->up && machine->raft != NULL && hl_raft_role(machine->raft) == HL_RAFT_LEADER) {
        change_config(sim, leader);
    }
}

void sim_script_config(struct sim *sim)
{
    int leader = sim_leader(sim);
    if (leader != NONE) {
        change_config(sim, leader);
    }
}

/* Ongaro's bug: two leaders change the same configuration in two ways, and each has a majority. */
static void start_two_configs(struct sim *sim)
{
    int leader = sim_leader(sim);
    if (leader == NONE) {
        return;
    }
    uint32_t voters = sim_machine_voters(&sim->machines[leader]);
    uint32_t all = (1u << sim->profile.machines) - 1;
    int joins = other_than(sim, voters);
    if (joins == NONE || __builtin_popcount(voters) != 4) {
        return;
    }
    sim->script.first = leader;
    sim->script.partner = joins;
    sim_net_heal(sim);
    sim_net_split(sim, (bit(leader) | bit(joins)) & all, SIM_CUT_BOTH);
    (void)sim_engine.propose_config(&sim->machines[leader], voters | bit(joins));
    sim->script.stage = 1;
}

static void on_first_returns(struct sim *sim, struct sim_event *event)
{
    (void)event;
    if (!sim->chaos) {
        return;
    }
    sim_net_heal(sim);
    sim_net_split(sim, bit(sim->script.second) | bit(sim->script.third), SIM_CUT_BOTH);
    sim->script.stage = 0;
    sim->script.until_us = sim->now_us + 1000 * SIM_MS;
}

static void on_remove_first(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->a];
    if (machine->up && machine->raft != NULL && hl_raft_role(machine->raft) == HL_RAFT_LEADER) {
        uint32_t voters = sim_machine_voters(machine);
        (void)sim_engine.propose_config(machine, voters & ~bit(sim->script.first));
    }
}

static void two_configs_leader(struct sim *sim, int leader)
{
    uint32_t old = bit(sim->script.first) | bit(sim->script.partner);
    if (sim->script.stage != 1 || (old & bit(leader)) != 0) {
        return;
    }
    sim->script.second = leader;
    sim->script.third = other_than(sim, old | bit(leader));
    later(sim, 0, on_remove_first, leader);
    sim_net_heal(sim);
    sim_net_split(sim, bit(leader) | bit(sim->script.third), SIM_CUT_BOTH);
    sim->script.stage = 2;
    later(sim, 10 * SIM_MS + sim_below(sim, 60 * SIM_MS), on_first_returns, 0);
}

/* --- a leader that is cut off removes the others ------------------------------------------------
 */

static void on_remove(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->a];
    if (!machine->up || machine->raft == NULL || hl_raft_role(machine->raft) != HL_RAFT_LEADER ||
        sim->script.stage != 1) {
        return;
    }
    uint32_t voters = sim_machine_voters(machine);
    int victim = other_than(sim, ~voters | bit(machine->id));
    if (victim != NONE) {
        (void)sim_engine.propose_config(machine, voters & ~bit(victim));
    }
    later(sim, 5 * SIM_MS, on_remove, machine->id);
}

static void start_shrink(struct sim *sim)
{
    int leader = sim_leader(sim);
    if (leader == NONE) {
        return;
    }
    sim_net_heal(sim);
    sim_net_split(sim, bit(leader), SIM_CUT_BOTH);
    sim->script.stage = 1;
    later(sim, 5 * SIM_MS, on_remove, leader);
    later(sim, 300 * SIM_MS + sim_below(sim, 600 * SIM_MS), on_heal, 0);
}

/* --- the longer log has the lower term ----------------------------------------------------------
 */

static void on_bury(struct sim *sim, struct sim_event *event)
{
    if (!sim->chaos) {
        return;
    }
    struct sim_machine *machine = &sim->machines[event->a];
    machine->buried = true;
    sim_machine_crash(machine, FAKE_CRASH_LOSE, SIM_NEVER);
}

/* One of two that lost their leader asks for votes, and the other dies before it answers: so there
 * is a higher term with a shorter log.  With the old leader, which has the longer one, it must
 * still get somewhere. */
static void start_long_log(struct sim *sim)
{
    int leader = sim_leader(sim);
    if (leader == NONE || sim->script.first != 0) {
        return; /* once is enough: one machine is down for good then */
    }
    sim->script.partner = leader;
    sim_net_heal(sim);
    sim_net_split(sim, bit(leader), SIM_CUT_BOTH);
    sim->script.stage = 1;
}

void sim_script_candidate(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    if (!sim->chaos || sim->profile.script != SIM_SCRIPT_LONG_LOG || sim->script.stage != 1 ||
        machine->id == sim->script.partner) {
        return;
    }
    int third = other_than(sim, bit(machine->id) | bit(sim->script.partner));
    struct sim_event *event = sim_after(sim, 1, -1, on_bury);
    event->a = third;
    sim->script.first = 1;
    sim->script.stage = 2;
    sim->script.until_us = SIM_NEVER;
    later(sim, 500 * SIM_MS + sim_below(sim, 500 * SIM_MS), on_heal, 0);
}

/* --- one misses much ----------------------------------------------------------------------------
 */

static void on_asked_enough(struct sim *sim, struct sim_event *event)
{
    (void)event;
    sim->script.back = NONE;
    sim->script.stage = 0;
}

static void on_back(struct sim *sim, struct sim_event *event)
{
    if (sim->chaos) {
        sim_net_heal(sim);
        sim->script.back = (int)event->a;
    }
    later(sim, 60 * SIM_MS, on_asked_enough, 0);
}

static void start_lag(struct sim *sim)
{
    int leader = sim_leader(sim);
    int lags = leader == NONE ? NONE : other_than(sim, bit(leader));
    if (lags == NONE) {
        return;
    }
    sim_net_heal(sim);
    sim_net_split(sim, bit(lags), SIM_CUT_BOTH);
    sim->script.stage = 1;
    later(sim, 200 * SIM_MS + sim_below(sim, 1000 * SIM_MS), on_back, lags);
}

/* --- which, and when ---------------------------------------------------------------------------
 */

void sim_script_poll(struct sim *sim)
{
    bool stuck = sim->now_us > sim->script.until_us;
    if (sim->script.stage != 0 && !stuck) {
        return;
    }
    if (!sim_chance(sim, 200000)) {
        return;
    }
    sim->script.stage = 0;
    sim->script.until_us = sim->now_us + 2000 * SIM_MS;
    switch (sim->profile.script) {
    case SIM_SCRIPT_NONE:
    case SIM_SCRIPT_SHORT_REIGNS:
        return;
    case SIM_SCRIPT_LEASE:
    case SIM_SCRIPT_LEASE_RESTART:
        attack_lease(sim);
        return;
    case SIM_SCRIPT_FIGURE8:
        start_figure8(sim);
        return;
    case SIM_SCRIPT_SLOW_FLUSH:
        start_slow_flush(sim);
        return;
    case SIM_SCRIPT_CONFIGS:
        start_two_configs(sim);
        return;
    case SIM_SCRIPT_SHRINK:
        start_shrink(sim);
        return;
    case SIM_SCRIPT_LONG_LOG:
        start_long_log(sim);
        return;
    case SIM_SCRIPT_LAG:
        start_lag(sim);
        return;
    case SIM_SCRIPTS:
        return;
    }
}

void sim_script_leader(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    if (!sim->chaos) {
        return;
    }
    switch (sim->profile.script) {
    case SIM_SCRIPT_NONE:
    case SIM_SCRIPT_LEASE:
    case SIM_SCRIPT_LEASE_RESTART:
    case SIM_SCRIPT_SHRINK:
    case SIM_SCRIPT_LONG_LOG:
    case SIM_SCRIPT_LAG:
    case SIM_SCRIPTS:
        break;
    case SIM_SCRIPT_SHORT_REIGNS:
        if (sim_chance(sim, 700000)) {
            shorten_reign(sim, machine->id);
        }
        break;
    case SIM_SCRIPT_FIGURE8:
        figure8_leader(sim, machine->id);
        break;
    case SIM_SCRIPT_SLOW_FLUSH:
        slow_flush_leader(sim, machine->id);
        break;
    case SIM_SCRIPT_CONFIGS:
        two_configs_leader(sim, machine->id);
        break;
    }
    if (sim->profile.eager && sim_chance(sim, 600000)) {
        later(sim, sim_below(sim, 20 * SIM_MS), on_change, machine->id);
    }
}
