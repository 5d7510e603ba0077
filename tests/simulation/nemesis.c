/* What goes wrong, at random: rates come from the profile. */
#include "sim.h"

#define SLOW_DISK_MAX_US (800 * SIM_MS)
#define FULL_MAX_US (600 * SIM_MS)
#define JUMP_MAX_US (5000LL * SIM_MS)

/* Often the leader: that is where it hurts. */
static struct sim_machine *any_machine(struct sim *sim)
{
    int leader = sim_chance(sim, 400000) ? sim_leader(sim) : -1;
    if (leader >= 0) {
        return &sim->machines[leader];
    }
    return &sim->machines[sim_below(sim, sim->profile.machines)];
}

static void crash(struct sim *sim)
{
    struct sim_machine *machine = any_machine(sim);
    if (sim_engine.arm != NULL && sim_chance(sim, sim->profile.power_ppm)) {
        if (machine->up) {
            int operations = 1 + (int)sim_below(sim, 40);
            sim_trace(sim, "m%lld: the power will go in %lld operations", machine->id, operations,
                      0, 0);
            sim_engine.arm(machine, operations);
        }
        return;
    }
    sim_machine_crash_any(machine);
}

static void pause_machine(struct sim *sim)
{
    struct sim_machine *machine = any_machine(sim);
    int64_t pause_us = 50 * SIM_MS + sim_below(sim, 600 * SIM_MS);
    machine->paused_until_us = sim->now_us + pause_us;
    sim->pause_us = pause_us > sim->pause_us ? pause_us : sim->pause_us;
    sim->stats.pauses++;
    sim_trace(sim, "m%lld: pauses for %lld us", machine->id, pause_us, 0, 0);
}

static void on_space(struct sim *sim, struct sim_event *event)
{
    sim->machines[event->a].fake->size_max = 0;
    sim_trace(sim, "m%lld: space on the disk again", event->a, 0, 0, 0);
}

/* The limit does not depend on the process: a restart finds the disk full too. */
static void fill_disk(struct sim *sim)
{
    struct sim_machine *machine = any_machine(sim);
    uint64_t used = 0;
    if (machine->fake == NULL) {
        return;
    }
    for (int i = 0; i < FAKE_FILES_MAX; i++) {
        used += machine->fake->files[i].now.len;
    }
    machine->fake->size_max = used + (uint64_t)sim_below(sim, sim->profile.segment_size);
    sim->stats.full_disks++;
    sim_trace(sim, "m%lld: disk full beyond %lld bytes", machine->id,
              (int64_t)machine->fake->size_max, 0, 0);
    struct sim_event *event = sim_after(sim, sim_below(sim, FULL_MAX_US), -1, on_space);
    event->a = machine->id;
}

static void slow_disk(struct sim *sim)
{
    struct sim_machine *machine = any_machine(sim);
    machine->slow_until_us = sim->now_us + sim_below(sim, SLOW_DISK_MAX_US);
    sim->stats.slow_disks++;
}

static void jump_clock(struct sim *sim)
{
    struct sim_machine *machine = any_machine(sim);
    machine->wall_offset_us += sim_below(sim, 2 * JUMP_MAX_US) - JUMP_MAX_US;
}

static void fail_sync(struct sim *sim)
{
    struct sim_machine *machine = any_machine(sim);
    if (machine->fake == NULL) {
        return;
    }
    machine->fake->fail_syncs = 1;
    sim->stats.sync_failures++;
    sim_trace(sim, "m%lld: the next sync fails", machine->id, 0, 0, 0);
}

/* One in five crashes takes all machines: a power failure of the room. */
static void crash_some(struct sim *sim)
{
    if (!sim_chance(sim, 200000)) {
        crash(sim);
        return;
    }
    for (int i = 0; i < sim->profile.machines; i++) {
        sim_machine_crash_any(&sim->machines[i]);
    }
}

static void split(struct sim *sim)
{
    uint32_t side = (uint32_t)sim_below(sim, 1 << sim->profile.machines);
    int leader = sim_leader(sim);
    if (leader >= 0 && sim_chance(sim, 250000)) {
        side = 1u << leader;
    }
    sim_net_heal(sim);
    sim_net_split(sim, side, (enum sim_cut)sim_below(sim, SIM_CUTS));
}

static void transfer(struct sim *sim)
{
    int leader = sim_leader(sim);
    if (leader >= 0 && sim->now_us >= sim->machines[leader].paused_until_us) {
        sim_engine.transfer(&sim->machines[leader]);
    }
}

static void lose_disk(struct sim *sim)
{
    struct sim_machine *machine = any_machine(sim);
    if (sim_engine.lose_disk != NULL) {
        sim_engine.lose_disk(machine);
    }
}

static void rot_disk(struct sim *sim)
{
    struct sim_machine *machine = any_machine(sim);
    if (sim_engine.rot_disk != NULL) {
        sim_engine.rot_disk(machine);
    }
}

static void on_nemesis(struct sim *sim, struct sim_event *event)
{
    (void)event;
    const struct sim_profile *p = &sim->profile;
    if (!sim->chaos) {
        return;
    }
    const struct {
        int ppm;
        void (*act)(struct sim *sim);
    } acts[] = {
        {p->crash_ppm, crash_some},  {p->pause_ppm, pause_machine},
        {p->full_ppm, fill_disk},    {p->slow_disk_ppm, slow_disk},
        {p->jump_ppm, jump_clock},   {p->sync_fail_ppm, fail_sync},
        {p->cut_ppm, split},         {p->config_ppm, sim_script_config},
        {p->transfer_ppm, transfer}, {p->lose_disk_ppm, lose_disk},
        {p->rot_ppm, rot_disk},
    };
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        if (sim_chance(sim, acts[i].ppm)) {
            acts[i].act(sim);
        }
    }
    sim_oracle_leases(sim);
    sim_script_poll(sim);
    if (p->script == SIM_SCRIPT_NONE && sim_chance(sim, 150000)) {
        sim_net_heal(sim);
    }
    if (p->bursty && sim->now_us > sim->idle_until_us && sim_chance(sim, 120000)) {
        sim->idle_until_us = sim->now_us + 100 * SIM_MS + sim_below(sim, 500 * SIM_MS);
    }
    (void)sim_after(sim, p->nemesis_period_us, -1, on_nemesis);
}

void sim_nemesis_start(struct sim *sim)
{
    sim->chaos = true;
    (void)sim_after(sim, 200 * SIM_MS, -1, on_nemesis);
}

void sim_nemesis_stop(struct sim *sim)
{
    sim->chaos = false;
    sim_net_heal(sim);
    for (int i = 0; i < sim->profile.machines; i++) {
        struct sim_machine *machine = &sim->machines[i];
        machine->paused_until_us = 0;
        machine->slow_until_us = 0;
        if (machine->fake != NULL) {
            machine->fake->size_max = 0;
            machine->fake->fail_syncs = 0;
            machine->fake->fail_at = 0;
            machine->fake->fail_for_ever = false;
        }
    }
    sim_trace(sim, "--- everything works from now on", 0, 0, 0, 0);
}
