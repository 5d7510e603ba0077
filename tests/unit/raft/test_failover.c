/* How long a group is without a leader when its leader dies: silence, pre-vote, vote, two disks.
 *
 * Times are make-believe, so the figures are the same on every machine. */
#include "unit/raft/group.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define RUNS 1000

static struct group group;
static uint64_t took_us[RUNS];

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void measure(uint32_t count)
{
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        took_us[seed] = group_failover_us(&group, seed + 1, count);
        cr_assert_str_empty(group.failure, "seed %d: %s", (int)seed + 1, group.failure);
        group_fini(&group);
    }
    qsort(took_us, RUNS, sizeof took_us[0], ascending);
    printf("%u servers, in election timeouts: median %.2f, p99 %.2f, longest %.2f\n", count,
           (double)took_us[RUNS / 2] / ELECTION_US, (double)took_us[RUNS * 99 / 100] / ELECTION_US,
           (double)took_us[RUNS - 1] / ELECTION_US);
}

Test(raft_failover, a_dead_leader_is_replaced_within_two_election_timeouts)
{
    static const uint32_t counts[] = {3, 4, 5};
    for (int i = 0; i < 3; i++) {
        measure(counts[i]);
        cr_expect_geq(took_us[0], ELECTION_US - HEARTBEAT_US - 5000, "before silence was proved");
        cr_expect_leq(took_us[RUNS / 2], ELECTION_US * 14 / 10);
        cr_expect_leq(took_us[RUNS * 99 / 100], ELECTION_US * 2);
    }
}
