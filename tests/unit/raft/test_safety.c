/* What every group of servers rests on, for each size: a majority and not one fewer elects and
 * commits, and a message that comes twice is as one that came once.
 *
 * Method: groups of one to seven servers in which all but some are cut off. */
#include "unit/raft/group.h"

#include <criterion/criterion.h>

#define SAVED_MAX 64

static struct group group;

/* `count` servers, all up. */
static void make(uint32_t count)
{
    group_init(&group, 1, count, count);
    for (uint32_t i = 1; i <= count; i++) {
        group_start(&group, &group.servers[i], false);
    }
}

/* Only 1 .. `left` hear one another. */
static void cut_all_but(uint32_t left)
{
    for (uint32_t i = left + 1; i <= group.count; i++) {
        group_isolate(&group, i, true);
    }
}

static void check_and_end(void)
{
    cr_assert_str_empty(group.failure, "%s", group.failure);
    group_fini(&group);
}

Test(raft_safety, a_majority_of_one_to_seven_elects_and_not_one_fewer)
{
    for (uint32_t count = 1; count <= SERVERS_MAX; count++) {
        for (uint32_t left = 1; left <= count; left++) {
            make(count);
            cut_all_but(left);
            bool leads = group_elect(&group, 1) != NULL;
            cr_expect_eq(leads, left >= count / 2 + 1, "%u of %u", left, count);
            check_and_end();
        }
    }
}

Test(raft_safety, a_majority_of_one_to_seven_commits_and_not_one_fewer)
{
    for (uint32_t count = 1; count <= SERVERS_MAX; count++) {
        for (uint32_t left = 1; left <= count; left++) {
            make(count);
            struct server *leader = group_elect(&group, 1);
            cr_assert_not_null(leader);
            hl_index before = leader->raft.commit;
            cut_all_but(left);
            cr_assert(group_propose(&group, leader, 1));
            group_settle(&group);
            hl_index want = left >= count / 2 + 1 ? before + 1 : before;
            cr_expect_eq(leader->raft.commit, want, "%u of %u", left, count);
            check_and_end();
        }
    }
}

/* What lies in the bag. */
static struct packet saved[SAVED_MAX];
static uint32_t saved_count;

static void save_packets(void)
{
    saved_count = 0;
    for (uint32_t i = 0; i < group.packets_end; i++) {
        if (group.packets[i].used && group.packets[i].msg.type == HL_RAFT_APPEND) {
            cr_assert_lt(saved_count, SAVED_MAX);
            saved[saved_count++] = group.packets[i];
        }
    }
    cr_assert_gt(saved_count, 0, "nothing was sent");
}

/* They come once more. */
static void repeat_packets(void)
{
    for (uint32_t i = 0; i < saved_count; i++) {
        uint32_t at = 0;
        while (at < PACKETS_MAX && group.packets[at].used) {
            at++;
        }
        cr_assert_lt(at, PACKETS_MAX);
        group.packets[at] = saved[i];
        group.packets_end = at >= group.packets_end ? at + 1 : group.packets_end;
    }
    group_settle(&group);
}

Test(raft_safety, an_append_that_comes_again_changes_nothing)
{
    make(3);
    struct server *leader = group_elect(&group, 1);
    struct server *follower = &group.servers[2];
    cr_assert_not_null(leader);
    cr_assert(group_propose(&group, leader, 3));
    cr_assert_eq(group_step(&group, leader, (struct hl_raft_event){.type = HL_RAFT_ON_FLUSH}),
                 HL_OK);
    save_packets();
    group_settle(&group);
    hl_index last = leader->raft.log.last;
    for (int again = 0; again < 3; again++) {
        repeat_packets();
        cr_assert_eq(follower->raft.log.last, last);
        cr_assert_eq(follower->now.last, last);
        cr_assert_eq(follower->raft.commit, last);
        cr_assert_eq(leader->raft.commit, last);
    }
    /* Now they are old: what came after them stays. */
    cr_assert(group_propose(&group, leader, 5));
    group_settle(&group);
    uint64_t truncations = group.stats.truncations;
    repeat_packets();
    cr_assert_eq(follower->raft.log.last, last + 5);
    cr_assert_eq(follower->raft.commit, last + 5);
    cr_assert_eq(group.stats.truncations, truncations);
    group_check_logs(&group);
    check_and_end();
}
