/* Swarm: each seed switches kinds of trouble on and off and draws their rates, so that no two seeds
 * are alike and rare combinations get their own seeds. */
#include "sim.h"

/* A rate up to `most`, or none, by the toss of a coin. */
static int rate(struct sim *sim, int most)
{
    return sim_chance(sim, 350000) ? 0 : (int)sim_below(sim, most);
}

void sim_profile_draw(struct sim *sim)
{
    struct sim_profile *p = &sim->profile;
    *p = (struct sim_profile){
        .machines = 1,
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
        .keys = 1 + (int)sim_below(sim, 4),
    };
    if (sim_chance(sim, 200000)) {
        p->disk_mean_us *= 8;
    }
}
