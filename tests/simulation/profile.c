/* Swarm: each seed switches kinds of trouble on and off and draws their rates, so that no two seeds
 * are alike and rare combinations get their own seeds. */
#include "sim.h"

#define FORGETFUL_SEEDS 6 /* one in so many */

#define SPECULATION_SIZE (1u << 20)

/* A rate up to `most`, or none, by the toss of a coin. */
static int rate(struct sim *sim, int most)
{
    return sim_chance(sim, 350000) ? 0 : (int)sim_below(sim, most);
}

/* 3 to 7 machines, of which 3 to all vote at first; a whole node is alone in some seeds. */
static void draw_cluster(struct sim *sim)
{
    struct sim_profile *p = &sim->profile;
    static const int sizes[] = {3, 3, 5, 5, 5, 4, 7, 1};
    p->machines = sizes[sim_below(sim, sim_engine.arm != NULL ? 8 : 7)];
    if (p->machines == 1) {
        return;
    }
    p->script =
        sim_chance(sim, 500000) ? SIM_SCRIPT_NONE : (enum sim_script)sim_below(sim, SIM_SCRIPTS);
    if (sim->wanted_script != 0) {
        p->script = (enum sim_script)sim->wanted_script;
    }
    if (p->script == SIM_SCRIPT_LONG_LOG) {
        p->machines = 3;
    } else if (p->script != SIM_SCRIPT_NONE) {
        p->machines = 5; /* the attacks are made for it */
    }
    p->voters = (1u << p->machines) - 1;
    if (p->machines > 3 && sim_chance(sim, 400000)) {
        p->voters = sim_chance(sim, 500000) ? 7 : 15;
    }
    p->ordered = sim_chance(sim, 500000);
    p->think_mean_us = 4 * SIM_MS + (int)sim_below(sim, 20 * SIM_MS);
    p->lease = sim_chance(sim, 600000);
    p->eager = sim_chance(sim, 300000);
    p->batch = sim_chance(sim, 600000) ? 8 : 1 + (int)sim_below(sim, 2);
    p->config_ppm = rate(sim, 120000);
    p->transfer_ppm = rate(sim, 60000);
    p->lose_disk_ppm = sim_chance(sim, 400000) ? (int)sim_below(sim, 40000) : 0;
    p->rot_ppm = sim_chance(sim, 400000) ? (int)sim_below(sim, 80000) : 0;
    p->misroute_ppm = rate(sim, 10000);
    p->stale = sim_chance(sim, 200000);
    p->session_ppm = p->stale ? 0 : rate(sim, 600000);
    p->bounded_ppm = p->stale ? 0 : rate(sim, 300000);
    p->bound_ms = 20 + (int)sim_below(sim, 400);
    p->speculation_size =
        sim_chance(sim, 300000) ? 2048 + (size_t)sim_below(sim, 16384) : SPECULATION_SIZE;
    p->monitor = sim_chance(sim, 300000);
}

/* An attack needs quiet around it, or it never gets to its end. */
static void calm(struct sim_profile *p)
{
    p->cut_ppm = 0;
    p->crash_ppm /= 8;
    p->pause_ppm /= 8;
    p->drop_ppm /= 8;
    p->slow_ppm = 0;
    p->sync_fail_ppm = 0;
    p->full_ppm = 0;
    p->slow_disk_ppm = 0;
    p->jump_ppm /= 4;
    p->config_ppm /= 4;
    p->transfer_ppm /= 4;
    p->delay_mean_us = 500 + p->delay_mean_us / 2;
}

static void bend_to_script(struct sim *sim)
{
    struct sim_profile *p = &sim->profile;
    bool exact = false;
    p->lose_disk_ppm = p->script == SIM_SCRIPT_NONE ? p->lose_disk_ppm : 0;
    p->rot_ppm = p->script == SIM_SCRIPT_NONE ? p->rot_ppm : 0;
    switch (p->script) {
    case SIM_SCRIPT_NONE:
    case SIM_SCRIPTS:
        return;
    case SIM_SCRIPT_SHORT_REIGNS:
        p->cut_ppm /= 2;
        p->crash_ppm /= 2;
        p->batch = sim_chance(sim, 500000) ? 1 : p->batch;
        p->disk_mean_us =
            sim_chance(sim, 500000) ? 10 * SIM_MS + sim_below(sim, 60 * SIM_MS) : p->disk_mean_us;
        return;
    case SIM_SCRIPT_LEASE:
    case SIM_SCRIPT_LEASE_RESTART:
        p->lease = true;
        p->disk_mean_us = 1 * SIM_MS;
        calm(p);
        return;
    case SIM_SCRIPT_FIGURE8:
        p->batch = 1;
        exact = true;
        break;
    case SIM_SCRIPT_SLOW_FLUSH:
    case SIM_SCRIPT_SHRINK:
    case SIM_SCRIPT_LONG_LOG:
        exact = true;
        break;
    case SIM_SCRIPT_LAG:
        calm(p);
        p->stale = p->eager = false;
        p->session_ppm = p->bounded_ppm = 400000;
        p->bound_ms = 20 + (int)sim_below(sim, 60);
        p->pause_ppm = 0;
        p->batch = sim_chance(sim, 500000) ? 1 : p->batch;
        p->snapshot_entries = 20 + (int)sim_below(sim, 100);
        return;
    case SIM_SCRIPT_CONFIGS:
        p->voters = 15;
        p->eager = sim_chance(sim, 500000);
        calm(p);
        return;
    }
    if (exact) {
        calm(p);
        p->voters = (1u << p->machines) - 1;
        p->config_ppm = p->transfer_ppm = 0;
        p->eager = false;
        p->disk_mean_us = 500 + sim_below(sim, 2 * SIM_MS);
        p->snapshot_entries = 400;
    }
}

/* Some clusters sync now and then only.  Who may vote is fixed there, so that everything that is
 * left of the log is known to be among the machines. */
static void make_forgetful(struct sim *sim)
{
    struct sim_profile *p = &sim->profile;
    if (!sim_engine.forgets || p->script != SIM_SCRIPT_NONE || p->machines < 2 ||
        sim->seed % FORGETFUL_SEEDS != 0) {
        return;
    }
    p->forgets = true;
    sim->stats.forgetful++;
    p->voters = (1u << p->machines) - 1;
    p->config_ppm = 0;
    p->eager = false;
    p->lose_disk_ppm = p->rot_ppm = 0;
    p->sync_fail_ppm = 0;
    p->monitor = false;
    p->session_ppm = p->bounded_ppm = 0;
}

void sim_profile_draw(struct sim *sim)
{
    struct sim_profile *p = &sim->profile;
    *p = (struct sim_profile){
        .machines = 1,
        .voters = 1,
        .clients = 2 + (int)sim_below(sim, 7),
        .chaos_end_us = 3000 * SIM_MS,
        .end_us = 12000 * SIM_MS,
        .drop_ppm = rate(sim, 100000),
        .dup_ppm = rate(sim, 100000),
        .slow_ppm = rate(sim, 30000),
        .delay_min_us = 200 + sim_below(sim, 800),
        .delay_mean_us = 500 + sim_below(sim, 5000),
        .client_delay_us = 100 + sim_below(sim, 1500),
        .disk_mean_us = 300 + sim_below(sim, 5000),
        .nemesis_period_us = 50 * SIM_MS,
        .crash_ppm = rate(sim, 120000),
        .pause_ppm = rate(sim, 80000),
        .cut_ppm = rate(sim, 150000),
        .sync_fail_ppm = rate(sim, 20000),
        .full_ppm = rate(sim, 40000),
        .slow_disk_ppm = rate(sim, 40000),
        .jump_ppm = rate(sim, 60000),
        .power_ppm = (int)sim_below(sim, 1000000),
        .tear_ppm = (int)sim_below(sim, 1000000),
        .clock_ppm = sim_chance(sim, 500000) ? 50000 : 100,
        .think_mean_us = 500 + (int)sim_below(sim, 15000),
        .bursty = sim_chance(sim, 400000),
        .snapshot_entries = 20 + (int)sim_below(sim, 400),
        .segment_size = 64 * 1024,
        .keys = 1 + (int)sim_below(sim, SIM_KEYS_MAX),
        .speculation_size = SPECULATION_SIZE,
        .flights = sim_chance(sim, 600000) ? 1 : 2 + (int)sim_below(sim, HL_WAL_FLIGHTS_MAX - 1),
    };
    if (sim_chance(sim, 200000)) {
        p->disk_mean_us *= 8;
    }
    if (sim_engine.cluster) {
        p->chaos_end_us = 6000 * SIM_MS;
        p->end_us = 16000 * SIM_MS;
        draw_cluster(sim);
        bend_to_script(sim);
        make_forgetful(sim);
    }
}
