/* One computer, whatever its process runs: clocks, crashes, restarts. */
#include "sim.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdio.h>
#include <string.h>

#define MONO_START_US 1000000

/* --- clocks ----------------------------------------------------------------------------------- */

int64_t sim_machine_local_us(const struct sim_machine *machine)
{
    int64_t now = machine->sim->now_us;
    return now + now * machine->clock_ppm / 1000000;
}

uint64_t sim_machine_mono_us(const struct sim_machine *machine)
{
    return (uint64_t)(MONO_START_US + sim_machine_local_us(machine) + machine->mono_offset_us);
}

int64_t sim_machine_until(const struct sim_machine *machine, uint64_t wake_us)
{
    if (wake_us == UINT64_MAX) {
        return SIM_NEVER;
    }
    uint64_t now_us = sim_machine_mono_us(machine);
    if (wake_us <= now_us) {
        return 10; /* at once, but after what else happens now */
    }
    int64_t left_us = (int64_t)(wake_us - now_us);
    /* One more, so that the local clock has reached it. */
    return left_us - left_us * machine->clock_ppm / (1000000 + machine->clock_ppm) + 1;
}

int64_t sim_machine_disk_us(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    if (machine->one_slow_us > 0) {
        int64_t takes_us = machine->one_slow_us;
        machine->one_slow_us = 0;
        sim_script_slow_flush(machine, takes_us);
        return takes_us;
    }
    bool slow = sim->now_us < machine->slow_until_us;
    return 100 + sim_exponential(sim, slow ? 150 * SIM_MS : sim->profile.disk_mean_us);
}

/* --- the life of the process ------------------------------------------------------------------ */

void sim_machine_init(struct sim *sim, int id)
{
    struct sim_machine *machine = &sim->machines[id];
    *machine = (struct sim_machine){.sim = sim, .id = id, .tick_at_us = SIM_NEVER};
    hl_rng_seed(&machine->entropy, sim->seed * 1000 + (uint64_t)id);
    machine->peer = hl_rng_next(&machine->entropy) | 1;
    (void)snprintf(machine->name, sizeof machine->name, "m%d:1", id);
    int64_t most = sim->profile.clock_ppm;
    machine->clock_ppm = sim_below(sim, 2 * most + 1) - most;
    machine->mono_offset_us = sim_below(sim, 1000 * 1000 * SIM_MS);
    machine->wall_offset_us = sim_below(sim, 100 * SIM_MS);
}

static void on_start(struct sim *sim, struct sim_event *event)
{
    struct sim_machine *machine = &sim->machines[event->machine];
    if (machine->up || machine->buried) {
        return;
    }
    machine->up = true;
    machine->up_since_us = sim->now_us;
    machine->tick_at_us = SIM_NEVER;
    sim_trace(sim, "m%lld: starts", machine->id, 0, 0, 0);
    sim_engine.start(machine);
}

void sim_machine_boot(struct sim_machine *machine, int64_t delay_us)
{
    (void)sim_after(machine->sim, delay_us, machine->id, on_start);
}

/* The process is gone.  One that ended itself in the middle of something is left as it is: its
 * memory is not in a state to be taken apart. */
static void end_process(struct sim_machine *machine, bool abandon)
{
    machine->up = false;
    machine->life++;
    machine->was_leader = false;
    sim_engine.end(machine, abandon);
    machine->raft = NULL;
}

void sim_machine_crash(struct sim_machine *machine, enum fake_crash how, int64_t down_us)
{
    struct sim *sim = machine->sim;
    if (!machine->up) {
        return;
    }
    sim->stats.crashes++;
    sim_trace(sim, "m%lld: crashes, kind %lld, down for %lld us", machine->id, how, down_us, 0);
    end_process(machine, false);
    sim_engine.crash(machine, how);
    machine->paused_until_us = 0;
    if (down_us != SIM_NEVER) {
        sim_machine_boot(machine, down_us);
    }
}

void sim_machine_died(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    sim_trace(sim, "m%lld: ended itself, disk said %lld", machine->id, machine->written, 0, 0);
    const struct fake_disk *fake = machine->fake;
    bool disk = machine->written == HL_EIO || machine->rotten ||
                (fake != NULL && (fake->injected > 0 || fake->size_max > 0));
    if (!disk) {
        sim_fail(sim, "C6 apply is total", "machine %d ended itself: %s", machine->id,
                 machine->why);
    }
    end_process(machine, true);
    sim_engine.crash(machine, FAKE_CRASH_PROCESS);
    sim_machine_boot(machine, 50 * SIM_MS);
}

void sim_machine_crash_any(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    enum fake_crash how = FAKE_CRASH_LOSE;
    if (sim_chance(sim, sim->profile.tear_ppm)) {
        how = sim_chance(sim, 500000) ? FAKE_CRASH_TEAR : FAKE_CRASH_PROCESS;
    }
    sim_machine_crash(machine, how, 20 * SIM_MS + sim_below(sim, 400 * SIM_MS));
}

void sim_machine_fini(struct sim_machine *machine)
{
    if (machine->up) {
        end_process(machine, false);
    }
    sim_engine.fini(machine);
}

/* --- what it believes ------------------------------------------------------------------------- */

uint32_t sim_machine_voters(const struct sim_machine *machine)
{
    hl_index index = 0;
    const struct hl_raft_config *config = hl_raft_config(machine->raft, &index);
    uint32_t voters = 0;
    for (uint32_t i = 0; i < config->count; i++) {
        int at =
            config->members[i].voter ? sim_machine_of(machine->sim, config->members[i].id) : -1;
        voters |= at < 0 ? 0 : 1u << at;
    }
    return voters;
}

int sim_machine_was(const struct sim *sim, hl_peer id)
{
    for (int i = 0; i < sim->profile.machines; i++) {
        const struct sim_machine *machine = &sim->machines[i];
        for (int j = 0; j < machine->former_count; j++) {
            if (machine->formers[j] == id) {
                return i;
            }
        }
    }
    return -1;
}

int sim_machine_named(const struct sim *sim, const char *name)
{
    for (int i = 0; i < sim->profile.machines; i++) {
        if (strcmp(sim->machines[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

int sim_machine_of(const struct sim *sim, hl_peer id)
{
    for (int i = 0; i < sim->profile.machines; i++) {
        if (sim->machines[i].peer == id) {
            return i;
        }
    }
    return -1;
}
