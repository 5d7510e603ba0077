/* A group of nodes: what one answers, all keep, whoever dies.
 *
 * Method: three nodes and more on disks in memory, with a network between them that the test cuts.
 */
#include "unit/node/group.h"

#include <signal.h>

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

/* The leader's disk and those of the others are busy with the first batch. */
Test(group, entries_leave_together_with_their_way_to_the_own_disk)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k 0", "+OK\r\n");
    group_run(&g, 20);
    for (int i = 0; i < 3; i++) {
        g.at[i].slow = true;
    }
    size_t before = g.frame_count;
    (void)member_run(leader, a, "SET k 1");
    cr_assert_eq(g.frame_count, before + 2, "the others are idle: it goes at once");
    (void)member_run(leader, a, "SET k 2");
    (void)member_run(leader, a, "SET k 3");
    cr_assert_eq(g.frame_count, before + 2, "what everybody would write later anyway waits");
    leader->slow = false;
    write_batch(leader);
    cr_assert_eq(g.frame_count, before + 4, "it goes along with the own batch");
    group_run(&g, 20);
    cr_assert_not(has_output(a), "no other disk holds it");
    other_than(leader, 1)->slow = false;
    group_run(&g, 20);
    struct hl_slice got = hl_session_output(a);
    cr_assert(hl_slice_is(got, "+ok\r\n+ok\r\n+ok\r\n"), "got '%.*s'", (int)got.len, got.ptr);
    other_than(leader, 2)->slow = false;
    group_expect_equal(&g);
}

/* A leader whose own disk hangs holds nobody up: the others are a majority. */
Test(group, a_leader_whose_disk_hangs_still_commits)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k 0", "+OK\r\n");
    leader->slow = true;
    for (int i = 0; i < 10; i++) {
        member_say(leader, a, "SET k 1", "+OK\r\n");
    }
    leader->slow = false;
    group_expect_equal(&g);
}

Test(group, a_follower_that_does_not_forward_refuses_writes)
{
    struct member *leader = group_lead(&g);
    struct member *follower = other_than(leader, 1);
    group_run(&g, 20);
    struct hl_session *b = member_client(follower);
    char want[64];
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

/* Fill the log with `count` values, then make a snapshot at `m` and let the log before it go. */
static struct hl_snap_label fill_and_snapshot(struct member *m, struct hl_session *a, int count)
{
    char big[2501];
    uint32_t noise = 1;
    for (int i = 0; i < count; i++) {
        char request[3100];
        for (size_t at = 0; at + 1 < sizeof big; at++) { /* what does not compress */
            noise = noise * 1664525 + 1013904223;
            big[at] = (char)('!' + (noise >> 24) % 90);
        }
        big[sizeof big - 1] = '\0';
        snprintf(request, sizeof request, "SET key%d %s", i, big);
        member_say(m, a, request, "+OK\r\n");
    }
    struct hl_snap_label label = hl_snapshot_label(m->node);
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_snapshot_write(m->node, &m->disk, "d", &label, NULL, &msg), HL_OK, "%s",
                 msg.text);
    hl_node_begin(m->node);
    cr_assert_eq(hl_snapshot_publish(m->node, &m->disk, "d", &label, &msg), HL_OK, "%s", msg.text);
    hl_node_end(m->node);
    group_run(&g, 20);
    return label;
}

Test(group, a_node_that_missed_much_gets_a_snapshot)
{
    struct member *leader = group_lead(&g);
    struct member *late = other_than(leader, 1);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "CLIENT SESSION s", ":0\r\n");
    member_say(leader, a, "SEQ 1 SET k v", "+OK\r\n");
    group_run(&g, 20);
    late->cut = true;
    member_say(leader, a, "SEQ 2 INCR n", ":1\r\n");
    struct hl_snap_label label = fill_and_snapshot(leader, a, 100);
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

Test(group, a_snapshot_is_received_although_pieces_are_lost_and_the_sender_dies)
{
    struct member *leader = group_lead(&g);
    struct member *late = other_than(leader, 1);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k v", "+OK\r\n");
    group_run(&g, 20);
    late->cut = true;
    struct hl_snap_label label = fill_and_snapshot(leader, a, 600); /* several pieces */
    late->cut = false;
    for (int i = 0; i < 400 && late->node->cluster.install == NULL; i++) {
        group_step(&g);
    }
    cr_assert_not_null(late->node->cluster.install);
    late->cut = true; /* what is under way is lost */
    group_step(&g);
    late->cut = false;
    hl_node_peer_lost(leader->node, late->id);
    group_run(&g, 600);
    cr_assert_eq(late->node->snapshot_index, label.index);
    group_expect_equal(&g);
}

Test(group, a_damaged_snapshot_is_refused_before_anything_changes)
{
    struct member *leader = group_lead(&g);
    struct member *late = other_than(leader, 1);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k v", "+OK\r\n");
    group_run(&g, 20);
    late->cut = true;
    struct hl_snap_label label = fill_and_snapshot(leader, a, 100);
    char name[64];
    snprintf(name, sizeof name, "%020llu.snap", (unsigned long long)label.index);
    cr_assert_not_null(fake_disk_file(leader->fake, name));
    fake_disk_poke(leader->fake, name, 100000, '!');
    late->cut = false;
    group_run(&g, 300);
    cr_assert_eq(late->node->snapshot_index, 0);
    struct hl_session *b = member_client(late);
    late->node->config.cluster.follower_reads = HL_READ_STALE;
    member_say(late, b, "GET k", "$1\r\nv\r\n");
}

Test(group, a_request_with_a_number_runs_once_whoever_leads)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SEQ 1 INCR n",
               "-NOSESSION this connection has no session, or it was forgotten; nothing was "
               "executed\r\n");
    member_say(leader, a, "CLIENT SESSION me", ":0\r\n");
    member_say(leader, a, "SEQ 1 INCR n", ":1\r\n");
    member_say(leader, a, "SEQ 1 INCR n", ":1\r\n");
    member_say(leader, a, "SEQ 2 HSET n f v",
               "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    member_say(leader, a, "SEQ 3 INCR n", ":2\r\n");
    member_say(leader, a, "SEQ 2 INCR n",
               "-STALESEQ a later request of this session was executed already\r\n");
    group_run(&g, 20);
    member_kill(leader);
    struct member *next = group_lead(&g);
    struct hl_session *b = member_client(next);
    member_say(next, b, "CLIENT SESSION me", ":3\r\n");
    member_say(next, b, "SEQ 3 INCR n", ":2\r\n");
    member_say(next, b, "SEQ 4 INCR n", ":3\r\n");
    member_restart(leader);
    group_expect_equal(&g);
    g.wall_us += 2 * HL_ONCE_UNUSED_US;
    group_run(&g, 5);
    member_say(next, b, "SEQ 4 INCR n",
               "-NOSESSION this connection has no session, or it was forgotten; nothing was "
               "executed\r\n");
}

/* A duplicate whose original is executed and not committed is answered when it is. */
Test(group, a_duplicate_waits_for_the_original)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    struct hl_session *b = member_client(leader);
    member_say(leader, a, "CLIENT SESSION me", ":0\r\n");
    member_say(leader, b, "CLIENT SESSION me", ":0\r\n");
    other_than(leader, 1)->slow = other_than(leader, 2)->slow = true;
    (void)member_run(leader, a, "SEQ 1 INCR n");
    (void)member_run(leader, b, "SEQ 1 INCR n");
    group_run(&g, 5);
    cr_assert(!has_output(a) && !has_output(b));
    other_than(leader, 1)->slow = other_than(leader, 2)->slow = false;
    group_run(&g, 10);
    cr_assert(has_output(a) && has_output(b));
}

static void configure(struct member *leader, hl_peer id, bool there, bool voter, const char *name)
{
    struct hl_members members = *hl_node_members(leader->node);
    struct hl_errmsg msg = {{0}};
    if (there) {
        struct hl_slice text = hl_slice_of(name);
        cr_assert_eq(hl_members_put(&members, id, voter, text, text, text), HL_OK);
    } else {
        cr_assert(hl_members_remove(&members, id));
    }
    hl_node_begin(leader->node);
    cr_assert_eq(hl_replica_configure(leader->node, &members, &msg), HL_OK, "%s", msg.text);
    hl_node_end(leader->node);
    group_run(&g, 40);
    cr_assert_geq(leader->node->commit, leader->node->last);
}

Test(group, a_new_node_joins_learns_and_votes)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k v", "+OK\r\n");
    struct member *joiner = group_join(&g);
    group_run(&g, 200);
    cr_assert_eq(hl_node_members(joiner->node)->count, 0, "it waits");
    configure(leader, joiner->id, true, false, joiner->name);
    group_expect_equal(&g);
    configure(leader, joiner->id, true, true, joiner->name);
    cr_assert_eq(hl_members_voters(hl_node_members(joiner->node)), 4);
    member_kill(joiner);
    joiner->joins = true;
    member_restart(joiner);
    group_expect_equal(&g);
    for (int i = 0; i < 3; i++) {
        if (i != leader->at) {
            configure(leader, g.at[i].id, false, false, NULL);
            g.at[i].cut = true;
        }
    }
    member_say(leader, a, "SET k w", "+OK\r\n");
}

Test(group, a_group_of_one_becomes_one_of_three)
{
    group_fini(&g);
    memset(&g, 0, sizeof g);
    g.count = 1;
    g.mono_us = 1000000;
    g.wall_us = 1700000000000000;
    g.segment_size = 64 * 1024;
    member_init(&g, 0);
    member_open(&g.at[0], NULL);
    struct member *first = group_lead(&g);
    struct hl_session *a = member_client(first);
    member_say(first, a, "SET k v", "+OK\r\n");
    member_kill(first);
    member_restart(first);
    cr_assert_eq(hl_node_members(first->node)->count, 1);
    first = group_lead(&g);
    a = member_client(first);
    for (int i = 0; i < 2; i++) {
        struct member *joiner = group_join(&g);
        configure(first, joiner->id, true, false, joiner->name);
        configure(first, joiner->id, true, true, joiner->name);
    }
    member_say(first, a, "SET k w", "+OK\r\n");
    member_kill(first);
    struct member *next = group_lead(&g);
    struct hl_session *b = member_client(next);
    member_say(next, b, "GET k", "$1\r\nw\r\n");
    member_restart(first);
    group_expect_equal(&g);
}

Test(group, a_member_that_moved_says_where_it_is_when_it_leads)
{
    struct member *moved = group_lead(&g);
    group_run(&g, 20);
    member_kill(moved);
    struct member *other = group_lead(&g);
    snprintf(moved->name, sizeof moved->name, "new:2");
    moved->moved = true;
    member_restart(moved);
    group_run(&g, 40);
    hl_node_begin(other->node);
    cr_assert_eq(hl_replica_hand_over(other->node, moved->id), HL_OK);
    hl_node_end(other->node);
    for (int i = 0; i < STEPS_MAX && !hl_node_leads(moved->node); i++) {
        group_step(&g);
    }
    hl_index before = moved->node->last;
    group_run(&g, 40);
    for (int i = 0; i < g.count; i++) {
        const struct hl_member *known = hl_members_find(hl_node_members(g.at[i].node), moved->id);
        cr_assert_str_eq(known->raft_addr, "new:2");
        cr_assert_str_eq(known->client_addr, "new:2");
        cr_assert(known->voter);
    }
    cr_assert_leq(moved->node->last, before + 2, "once");
    struct hl_session *a = member_client(moved);
    member_say(moved, a, "SET k v", "+OK\r\n");
    group_expect_equal(&g);
}

Test(group, leadership_is_handed_over_without_an_error)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    (void)member_run(leader, a, "SET k v");
    hl_node_begin(leader->node);
    cr_assert_eq(hl_replica_hand_over(leader->node, other_than(leader, 1)->id), HL_OK);
    hl_node_end(leader->node);
    cr_assert(!member_run(leader, a, "SET k w"), "it waits for the new leader");
    group_run(&g, 60);
    cr_assert(hl_node_leads(other_than(leader, 1)->node));
    struct hl_slice out = hl_session_output(a);
    cr_assert(out.len == 5 && memcmp(out.ptr, "+OK\r\n", 5) == 0, "'%.*s'", (int)out.len, out.ptr);
    cr_assert_eq(leader->node->cluster.epoch, 0, "nothing was undone");
    group_expect_equal(&g);
}

Test(group, without_a_majority_writes_are_refused)
{
    struct member *leader = group_lead(&g);
    other_than(leader, 1)->cut = other_than(leader, 2)->cut = true;
    group_run(&g, 200);
    cr_assert(!hl_node_leads(leader->node));
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k v",
               "-NOQUORUM no leader can be reached; the command was not executed, try again\r\n");
    member_say(leader, a, "PING", "+PONG\r\n");
    member_say(leader, a, "GET k",
               "-NOQUORUM no leader confirms that this server is up to date; try again\r\n");
}

Test(group, keys_expire_by_the_leaders_word)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k v PX 300", "+OK\r\n");
    group_run(&g, 10);
    struct member *follower = other_than(leader, 1);
    struct hl_session *b = member_client(follower);
    member_say(follower, b, "GET k", "$1\r\nv\r\n");
    group_run(&g, 100);
    group_expect_equal(&g);
    cr_assert_eq(hl_db_count(hl_ks_db(&follower->node->ks, 0)), 0, "its death was an entry");
    member_say(follower, b, "GET k", "$-1\r\n");
}

Test(group, a_blocked_watch_dies_with_the_state)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    struct hl_session *w = member_client(leader);
    member_say(leader, a, "SET k old", "+OK\r\n");
    member_say(leader, w, "WATCH k", "+OK\r\n");
    group_run(&g, 20);
    leader->cut = true;
    (void)member_run(leader, a, "SET k lost");
    struct member *next = group_lead(&g);
    struct hl_session *b = member_client(next);
    member_say(next, b, "SET other 1", "+OK\r\n");
    leader->cut = false;
    group_expect_equal(&g);
    cr_assert((w->flags & HL_SESSION_DIRTY_CAS) != 0);
}

/* A leader without its majority, which has executed a write that nobody else has. */
static struct member *leader_with_a_tail(struct hl_session **session)
{
    struct member *leader = group_lead(&g);
    *session = member_client(leader);
    member_say(leader, *session, "SET k old", "+OK\r\n");
    group_run(&g, 20);
    leader->cut = true;
    (void)member_run(leader, *session, "SET k lost");
    for (int i = 0; i < STEPS_MAX && hl_node_leads(leader->node); i++) {
        group_step(&g);
    }
    cr_assert(!hl_node_leads(leader->node));
    cr_assert_gt(leader->node->last, leader->node->commit);
    return leader;
}

Test(group, state_that_may_be_undone_is_shown_to_nobody)
{
    struct hl_session *a = NULL;
    struct member *leader = leader_with_a_tail(&a);
    leader->node->config.cluster.follower_reads = HL_READ_STALE;
    struct hl_session *b = member_client(leader);
    cr_assert(!member_run(leader, b, "GET k"));
    group_run(&g, 50);
    cr_assert(!has_output(b));
    struct member *next = group_lead(&g);
    struct hl_session *c = member_client(next);
    member_say(next, c, "SET k new", "+OK\r\n");
    leader->cut = false;
    group_run(&g, 100);
    member_say(leader, b, "GET k", "$3\r\nnew\r\n");
}

Test(group, a_snapshot_of_what_was_undone_is_never_published)
{
    struct hl_session *a = NULL;
    struct member *leader = leader_with_a_tail(&a);
    struct hl_snap_label label = hl_snapshot_label(leader->node);
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_snapshot_write(leader->node, &leader->disk, "d", &label, NULL, &msg), HL_OK);
    struct member *next = group_lead(&g);
    struct hl_session *c = member_client(next);
    member_say(next, c, "SET k new", "+OK\r\n");
    member_say(next, c, "SET k newer", "+OK\r\n");
    leader->cut = false;
    group_expect_equal(&g);
    cr_assert_geq(leader->node->commit, label.index);
    cr_assert_eq(hl_snapshot_publish(leader->node, &leader->disk, "d", &label, &msg), HL_EINVAL);
    cr_assert_neq(msg.text[0], '\0');
}

Test(group, a_monitor_is_shown_nothing_that_may_be_undone)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    struct hl_session *monitor = member_client(leader);
    member_say(leader, monitor, "MONITOR", "+OK\r\n");
    member_say(leader, a, "SET k v", "+OK\r\n");
    hl_session_taken(monitor, hl_session_output(monitor).len);
    other_than(leader, 1)->cut = other_than(leader, 2)->cut = true;
    (void)member_run(leader, a, "SET k w");
    (void)member_run(leader, a, "GET k");
    group_run(&g, 3);
    struct hl_slice out = hl_session_output(monitor);
    cr_assert(out.len == 0 || memmem(out.ptr, out.len, "\"GET\"", 5) == NULL);
}

Test(group, a_failed_sync_ends_the_node, .signal = SIGABRT)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k v", "+OK\r\n");
    leader->fake->fail_at = leader->fake->ops + 1;
    leader->fake->fail_for_ever = true;
    (void)member_run(leader, a, "SET k w");
    group_run(&g, 20);
}

Test(group, a_connection_chooses_how_fresh_its_reads_are)
{
    struct member *leader = group_lead(&g);
    struct member *follower = other_than(leader, 1);
    struct hl_session *a = member_client(leader);
    struct hl_session *b = member_client(follower);
    member_say(leader, a, "SET k old", "+OK\r\n");
    group_run(&g, 20);
    member_say(follower, b, "CLIENT CONSISTENCY", "$12\r\nlinearizable\r\n");
    follower->cut = true;
    member_say(leader, a, "SET k new", "+OK\r\n");
    char token[32];
    snprintf(token, sizeof token, "%s", member_ask(leader, a, "CLIENT TOKEN"));
    group_run(&g, 40);
    member_say(follower, b, "CLIENT CONSISTENCY STALE", "+OK\r\n");
    member_say(follower, b, "GET k", "$3\r\nold\r\n");
    member_say(follower, b, "CLIENT CONSISTENCY BOUNDED 100", "+OK\r\n");
    cr_assert(!member_run(follower, b, "GET k"), "the leader was last heard of too long ago");
    member_say(follower, b, "CLIENT CONSISTENCY BOUNDED 100000", "+OK\r\n");
    member_say(follower, b, "GET k", "$3\r\nold\r\n");
    char request[64];
    snprintf(request, sizeof request, "CLIENT CONSISTENCY SESSION %.*s",
             (int)strcspn(token + 1, "\r"), token + 1);
    member_say(follower, b, request, "+OK\r\n");
    cr_assert(!member_run(follower, b, "GET k"), "it has not seen what the token says");
    follower->cut = false;
    member_say(follower, b, "GET k", "$3\r\nnew\r\n");
    member_say(follower, b, "CLIENT CONSISTENCY DEFAULT", "+OK\r\n");
    member_say(follower, b, "GET k", "$3\r\nnew\r\n");
    member_say(follower, b, "CLIENT CONSISTENCY bounded", "-ERR syntax error\r\n");
}

/* A token covers what was written, whatever was asked after that. */
Test(group, a_token_covers_what_the_connection_wrote_and_nobody_has_yet)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    group_run(&g, 20);
    other_than(leader, 1)->cut = other_than(leader, 2)->cut = true;
    (void)member_run(leader, a, "SET k v");
    hl_index written = leader->node->last;
    (void)member_run(leader, a, "PING");
    (void)member_run(leader, a, "CLIENT TOKEN");
    other_than(leader, 1)->cut = other_than(leader, 2)->cut = false;
    group_run(&g, 20);
    char want[64];
    snprintf(want, sizeof want, "+OK\r\n+PONG\r\n:%llu\r\n", (unsigned long long)written);
    struct hl_slice out = hl_session_output(a);
    cr_assert(hl_slice_equal(out, hl_slice_of(want)), "'%.*s'", (int)out.len, out.ptr);
}

/* Heartbeats alone do not make fresh: what they say is committed must be here. */
Test(group, a_bounded_read_waits_on_a_node_that_is_catching_up)
{
    struct member *leader = group_lead(&g);
    struct member *follower = other_than(leader, 1);
    struct hl_session *a = member_client(leader);
    struct hl_session *b = member_client(follower);
    member_say(leader, a, "SET k old", "+OK\r\n");
    group_run(&g, 20);
    member_say(follower, b, "CLIENT CONSISTENCY BOUNDED 100", "+OK\r\n");
    member_say(follower, b, "GET k", "$3\r\nold\r\n");
    follower->cut = true;
    member_say(leader, a, "SET k new", "+OK\r\n");
    group_run(&g, 60);
    follower->cut = false;
    hl_index ignored = 0;
    uint64_t before_us = hl_raft_contact_us(&follower->node->raft, &ignored);
    while (hl_raft_contact_us(&follower->node->raft, &ignored) == before_us) {
        group_step(&g);
    }
    cr_assert_lt(follower->node->last, leader->node->commit, "it has yet to catch up");
    cr_assert_not(member_run(follower, b, "GET k"), "it has heard of the leader, and knows less");
    member_say(follower, b, "GET k", "$3\r\nnew\r\n");
}

/* A node that begins to lead and executes in one iteration: the time that its entries carry is the
 * time that it executed at. */
Test(group, what_a_new_leader_executes_at_once_is_the_same_elsewhere)
{
    struct member *first = group_lead(&g);
    struct hl_session *a = member_client(first);
    member_say(first, a, "SET k v", "+OK\r\n");
    group_run(&g, 20);
    first->cut = true;
    for (int i = 0; i < STEPS_MAX && hl_node_leader(other_than(first, 1)->node) != NULL; i++) {
        group_step(&g);
    }
    struct hl_session *clients[3] = {NULL};
    for (int i = 1; i < 3; i++) {
        struct member *m = other_than(first, i);
        clients[m->at] = member_client(m);
        (void)member_run(m, clients[m->at], i == 1 ? "CLIENT SESSION one" : "CLIENT SESSION two");
    }
    struct member *second = group_lead(&g);
    cr_assert_neq(second->at, first->at);
    group_run(&g, 40);
    cr_assert(has_output(clients[second->at]));
    first->cut = false;
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

/* A read that waits for a leader's word when its own node becomes the leader, and the next read on
 * the same connection when that node is deposed: the old word proves nothing any more. */
Test(group, a_proof_that_a_read_no_longer_needed_does_not_serve_the_next_one)
{
    struct member *first = group_lead(&g);
    struct hl_session *writer = member_client(first);
    member_say(first, writer, "SET k old", "+OK\r\n");
    group_run(&g, 20);
    struct hl_session *clients[3] = {NULL};
    first->cut = true;
    for (int i = 0; i < 3; i++) {
        if (&g.at[i] != first) {
            clients[i] = member_client(&g.at[i]);
            cr_assert_not(member_run(&g.at[i], clients[i], "GET k"),
                          "there is a proof to wait for");
        }
    }
    struct member *second = group_lead(&g);
    struct hl_session *reader = clients[second->at];
    member_say(second, reader, "GET k", "$3\r\nold\r\n");
    member_say(second, reader, "GET k", "$3\r\nold\r\n");
    second->cut = true;
    first->cut = false;
    group_run(&g, 3 * (int)(ELECTION_US / STEP_US));
    cr_assert_not(hl_node_leads(second->node));
    struct member *third = group_lead(&g);
    writer = member_client(third);
    member_say(third, writer, "SET k new", "+OK\r\n");
    cr_assert_not(member_run(second, reader, "GET k"), "nobody has confirmed that this is all");
    second->cut = false;
    member_say(second, reader, "GET k", "$3\r\nnew\r\n");
}
