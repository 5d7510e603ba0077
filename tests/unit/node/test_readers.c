/* Reads on a follower: which of them one word of the leader confirms.
 *
 * Method: a group of three nodes in memory; the test plays the edge that counts the input. */
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

TestSuite(readers, .init = setup, .fini = teardown);

static struct member *other_than(struct member *leader)
{
    return &g.at[(leader->at + 1) % g.count];
}

/* As an edge tells it: so much of the session's input has arrived, so much came behind the request
 * that is run next. */
static void arrived(struct hl_session *session, uint64_t bytes, size_t behind)
{
    session->net_in = bytes;
    session->behind = behind;
}

Test(readers, reads_that_arrived_together_share_a_proof)
{
    struct member *leader = group_lead(&g);
    struct member *follower = other_than(leader);
    struct hl_session *a = member_client(leader);
    struct hl_session *b = member_client(follower);
    member_say(leader, a, "SET k old", "+OK\r\n");
    arrived(b, 300, 200);
    uint64_t before = follower->node->cluster.read_next;
    member_say(follower, b, "GET k", "$3\r\nold\r\n");
    cr_assert_eq(follower->node->cluster.read_next, before + 1);
    arrived(b, 350, 150); /* the first part of a fourth has come meanwhile */
    cr_assert(member_run(follower, b, "GET k"), "the second needs no other");
    arrived(b, 350, 50);
    cr_assert(member_run(follower, b, "GET k"), "nor does the third");
    cr_assert_eq(follower->node->cluster.read_next, before + 1);
    hl_session_taken(b, hl_session_output(b).len);

    member_say(leader, a, "SET k new", "+OK\r\n");
    arrived(b, 400, 0);
    cr_assert_not(member_run(follower, b, "GET k"), "it came after the proof was asked for");
    cr_assert_eq(follower->node->cluster.read_next, before + 2);
    member_say(follower, b, "GET k", "$3\r\nnew\r\n");
    cr_assert_eq(follower->node->cluster.readers, 0);
}

Test(readers, a_read_behind_a_write_of_the_same_client_needs_a_proof_of_its_own)
{
    struct member *leader = group_lead(&g);
    struct member *follower = other_than(leader);
    struct hl_session *b = member_client(follower);
    arrived(b, 300, 200);
    member_say(follower, b, "GET k", "$-1\r\n");
    arrived(b, 300, 100);
    member_say(follower, b, "SET k v", "+OK\r\n");
    arrived(b, 300, 0);
    cr_assert_not(member_run(follower, b, "GET k"), "the write may not have come here yet");
    member_say(follower, b, "GET k", "$1\r\nv\r\n");
}
