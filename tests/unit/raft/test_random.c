/* Groups of five servers in make-believe chaos (chaos.c), some thousand seeds: messages lost,
 * doubled and reordered, crashes that lose what was not on disk, slow disks, pauses, one-way cuts,
 * drifting clocks, power failures that take what was not synced, changes of members, transfers,
 * resignations, compactions and snapshots.  Every step asserts A1 to A5, D1, E1, E2, F1 and the
 * freshness of reads; at the end the healed group must live. */
#include "unit/raft/group.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct group group;

/* HELIOS_RAFT_SEED runs one seed and traces it; HELIOS_RAFT_SEEDS so many. */
static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

Test(raft_random, chaos_breaks_no_promise_and_ends_in_life)
{
    uint64_t one = setting("HELIOS_RAFT_SEED", 0);
    uint64_t count = one != 0 ? 1 : setting("HELIOS_RAFT_SEEDS", 2000);
    uint64_t first = one != 0 ? one : setting("HELIOS_RAFT_FIRST", 1);
    uint64_t sum[10] = {0};
    for (uint64_t seed = first; seed < first + count; seed++) {

        group_chaos(&group, seed, one != 0 ? stdout : NULL);
        cr_assert_str_empty(group.failure, "HELIOS_RAFT_SEED=%llu: %s", (unsigned long long)seed,
                            group.failure);
        const uint64_t stats[] = {group.stats.elections,   group.stats.commits,
                                  group.stats.truncations, group.stats.installs,
                                  group.stats.configs,     group.stats.transfers,
                                  group.stats.reads,       group.stats.crashes,
                                  group.stats.unbarred,    group.stats.blackouts};
        for (int i = 0; i < 10; i++) {
            sum[i] += stats[i];
        }
        group_fini(&group);
    }
    if (one == 0) {
        for (int i = 0; i < 10; i++) {
            cr_assert_gt(sum[i], count / 20, "chaos no longer reaches what it is for: %d", i);
        }
    }
    printf("elections %llu commits %llu truncations %llu installs %llu configs %llu transfers %llu "
           "reads %llu crashes %llu unbarred %llu blackouts %llu\n",
           (unsigned long long)sum[0], (unsigned long long)sum[1], (unsigned long long)sum[2],
           (unsigned long long)sum[3], (unsigned long long)sum[4], (unsigned long long)sum[5],
           (unsigned long long)sum[6], (unsigned long long)sum[7], (unsigned long long)sum[8],
           (unsigned long long)sum[9]);
}
