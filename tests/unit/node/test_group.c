/* A group of nodes: what one answers, all keep, whoever dies.
 *
 * Method: three nodes and more on disks in memory, with a network between them that the test cuts.
 */
#include "unit/node/group.h"

static struct group g;

static void setup(void)
{
    group_init(&g, 3);
}

static void teardown(void)
{
    group_fini(&g);
}

TestSuite(group, .init = setup, .fini = teardown);

static struct member *other_than(struct member *m, int nth)
{
    return &g.at[(m->at + nth) % g.count];
}

Test(group, elects_one_leader_that_all_know)
{
    struct member *leader = group_lead(&g);
    group_run(&g, 20);
    for (int i = 0; i < 3; i++) {
        const struct hl_member *known = hl_node_leader(g.at[i].node);
        cr_assert_not_null(known, "node %d", i);
        cr_assert_eq(known->id, leader->id);
        cr_assert_eq(g.at[i].members_told, 3);
    }
}

Test(group, a_write_is_answered_when_a_majority_has_it)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    other_than(leader, 1)->cut = true;
    member_say(leader, a, "SET k v", "+OK\r\n");
    other_than(leader, 2)->cut = true;
    (void)member_run(leader, a, "SET k w");
    group_run(&g, 10);
    cr_assert(!has_output(a), "nobody else has it");
}

Test(group, followers_apply_what_is_committed)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k v", "+OK\r\n");
    member_say(leader, a, "HSET h f 1 g 2", ":2\r\n");
    group_expect_equal(&g);
    struct member *follower = other_than(leader, 1);
    struct hl_session *b = member_client(follower);
    member_say(follower, b, "GET k", "$1\r\nv\r\n");
}

Test(group, a_follower_reads_what_was_answered_before)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    struct hl_session *b = member_client(other_than(leader, 1));
    for (int i = 0; i < 20; i++) {
        char request[32];
        char want[32];
        snprintf(request, sizeof request, "SET k %d", i + 10);
        snprintf(want, sizeof want, "$2\r\n%d\r\n", i + 10);
        member_say(leader, a, request, "+OK\r\n");
        member_say(other_than(leader, 1), b, "GET k", want);
    }
}

Test(group, a_follower_refuses_writes_and_names_the_leader)
{
    struct member *leader = group_lead(&g);
    struct member *follower = other_than(leader, 1);
    group_run(&g, 20);
    struct hl_session *b = member_client(follower);
    char want[64];
    snprintf(want, sizeof want, "-NOTLEADER %s %s\r\n", leader->name, leader->name);
    member_say(follower, b, "SET k v", want);
    follower->node->config.cluster.follower_writes = HL_FOLLOWER_WRITES_REDIRECT;
    snprintf(want, sizeof want, "-MOVED 7629 %s\r\n", leader->name);
    member_say(follower, b, "SET k v", want);
    follower->node->config.cluster.follower_writes = HL_FOLLOWER_WRITES_REFUSE;
    member_say(follower, b, "SET k v",
               "-READONLY You can't write against a read only replica.\r\n");
}

Test(group, a_leader_that_dies_is_replaced_and_nothing_answered_is_lost)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k v", "+OK\r\n");
    member_kill(leader);
    struct member *next = group_lead(&g);
    cr_assert_neq(next->at, leader->at);
    struct hl_session *b = member_client(next);
    member_say(next, b, "GET k", "$1\r\nv\r\n");
    member_say(next, b, "SET k w", "+OK\r\n");
    member_restart(leader);
    group_expect_equal(&g);
    struct hl_session *c = member_client(leader);
    member_say(leader, c, "GET k", "$1\r\nw\r\n");
}

Test(group, all_may_die_at_once)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k v", "+OK\r\n");
    for (int i = 0; i < 3; i++) {
        member_kill(&g.at[i]);
    }
    for (int i = 0; i < 3; i++) {
        member_restart(&g.at[i]);
    }
    leader = group_lead(&g);
    a = member_client(leader);
    member_say(leader, a, "GET k", "$1\r\nv\r\n");
    group_expect_equal(&g);
}

Test(group, a_leader_that_is_cut_off_answers_no_read)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k v", "+OK\r\n");
    leader->cut = true;
    (void)member_run(leader, a, "GET k");
    group_run(&g, 5);
    cr_assert(!has_output(a), "another may lead by now");
    group_run(&g, 100);
    struct hl_slice out = hl_session_output(a);
    cr_assert(out.len > 10 && memcmp(out.ptr, "-NOTLEADER", 10) == 0, "'%.*s'", (int)out.len,
              out.ptr);
}

/* The old leader executes a write that nobody else gets; the others go on without it. */
Test(group, what_was_undone_is_said_so_and_is_gone)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k old", "+OK\r\n");
    group_run(&g, 20);
    leader->cut = true;
    (void)member_run(leader, a, "SET k lost");
    (void)member_run(leader, a, "INCR n");
    struct member *next = group_lead(&g);
    struct hl_session *b = member_client(next);
    member_say(next, b, "GET k", "$3\r\nold\r\n");
    member_say(next, b, "SET other 1", "+OK\r\n");
    group_run(&g, 100);
    cr_assert(!has_output(a), "whether it stays is not known yet");
    uint64_t epoch = leader->node->cluster.epoch;
    leader->cut = false;
    group_expect_equal(&g);
    cr_assert_gt(leader->node->cluster.epoch, epoch);
    struct hl_slice out = hl_session_output(a);
    size_t lines = 0;
    for (size_t i = 0; i < out.len; i++) {
        lines += out.ptr[i] == '\n';
    }
    cr_assert_eq(lines, 2, "one error for each");
    cr_assert(memcmp(out.ptr, "-ROLLEDBACK", 11) == 0, "'%.*s'", (int)out.len, out.ptr);
    hl_session_taken(a, out.len);
    member_say(leader, a, "GET k", "$3\r\nold\r\n");
    member_say(leader, a, "EXISTS n", ":0\r\n");
}

/* The old leader loses its office, but the entry reached another before: it is answered OK. */
Test(group, a_parked_write_that_stays_is_answered_by_the_old_leader)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    struct member *heir = other_than(leader, 1);
    member_say(leader, a, "SET k old", "+OK\r\n");
    group_run(&g, 20);
    other_than(leader, 2)->cut = true;
    heir->slow = true;
    leader->slow = true;
    (void)member_run(leader, a, "SET k new");
    group_step(&g);
    group_step(&g);
    cr_assert(!has_output(a));
    leader->cut = true;
    heir->slow = leader->slow = false;
    other_than(leader, 2)->cut = false;
    struct member *next = group_lead(&g);
    cr_assert_eq(next->at, heir->at, "it has the longer log");
    cr_assert(!has_output(a), "parked");
    uint64_t epoch = leader->node->cluster.epoch;
    leader->cut = false;
    group_expect_equal(&g);
    struct hl_slice out = hl_session_output(a);
    cr_assert(out.len == 5 && memcmp(out.ptr, "+OK\r\n", 5) == 0, "'%.*s'", (int)out.len, out.ptr);
    cr_assert_eq(leader->node->cluster.epoch, epoch, "the same entries: nothing to undo");
}

Test(group, a_node_that_missed_much_gets_a_snapshot)
{
    struct member *leader = group_lead(&g);
    struct member *late = other_than(leader, 1);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k v", "+OK\r\n");
    group_run(&g, 20);
    late->cut = true;
    char big[3000];
    memset(big, 'x', sizeof big);
    for (int i = 0; i < 100; i++) {
        char request[3100];
        snprintf(request, sizeof request, "SET key%d %.*s", i, 2500, big);
        member_say(leader, a, request, "+OK\r\n");
    }
    struct hl_snap_label label = hl_snapshot_label(leader->node);
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_snapshot_write(leader->node, &leader->disk, "d", &label, NULL, &msg), HL_OK,
                 "%s", msg.text);
    hl_node_begin(leader->node);
    cr_assert_eq(hl_snapshot_publish(leader->node, &leader->disk, "d", &label, &msg), HL_OK, "%s",
                 msg.text);
    hl_node_end(leader->node);
    group_run(&g, 20);
    cr_assert_gt(hl_wal_first(leader->wal), late->node->last + 1, "the log is no longer there");
    late->cut = false;
    group_run(&g, 400);
    cr_assert_eq(late->node->snapshot_index, label.index);
    group_expect_equal(&g);
    member_say(leader, a, "SET after 1", "+OK\r\n");
    group_expect_equal(&g);
    member_kill(late);
    member_restart(late);
    member_say(leader, a, "SET again 1", "+OK\r\n");
    group_expect_equal(&g);
}

/* A process that was stopped finds clients' requests first and the time that has passed after
 * them, in one iteration. */
Test(group, a_leader_that_is_deposed_within_an_iteration_has_proposed_what_it_executed)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k v", "+OK\r\n");
    group_run(&g, 20);
    struct hl_slice request[] = {hl_slice_of("SET"), hl_slice_of("k"), hl_slice_of("w")};
    g.mono_us += (uint64_t)10 * ELECTION_US;
    hl_node_begin(leader->node);
    cr_assert_eq(hl_node_execute(leader->node, a, 3, request), HL_EXEC_DONE);
    hl_node_tick(leader->node);
    cr_assert_not(hl_node_leads(leader->node));
    hl_node_end(leader->node);
    cr_assert(!has_output(a), "nobody else has it");
    group_lead(&g);
    group_expect_equal(&g);
}
