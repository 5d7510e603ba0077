/* Forwarding: a client of a follower works as if it were connected to the leader, whoever leads.
 *
 * Method: a group of three nodes in memory; the client talks to a follower all the time. */
#include "node/forward.h"
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

TestSuite(forward, .init = setup, .fini = teardown);

/* A follower that knows who leads. */
static struct member *follower_of(struct member *leader)
{
    group_run(&g, 20);
    struct member *follower = &g.at[(leader->at + 1) % g.count];
    cr_assert_not_null(hl_node_leader(follower->node));
    return follower;
}

static bool is_closing(const struct hl_session *session)
{
    return (session->flags & (HL_SESSION_CLOSE_AFTER | HL_SESSION_CLOSE_NOW)) != 0;
}

/* Run without waiting, then let `steps` pass and expect all output so far. */
static void expect_after(struct hl_session *session, int steps, const char *want)
{
    group_run(&g, steps);
    struct hl_slice got = hl_session_output(session);
    cr_assert(hl_slice_equal(got, hl_slice_of(want)), "got '%.*s', want '%s'", (int)got.len,
              got.ptr, want);
    hl_session_taken(session, got.len);
}

Test(forward, a_write_runs_at_the_leader_and_its_reply_comes_back)
{
    struct member *f = follower_of(group_lead(&g));
    struct hl_session *a = member_client(f);
    member_say(f, a, "SET k v", "+OK\r\n");
    member_say(f, a, "GET k", "$1\r\nv\r\n");
    member_say(f, a, "HSET k f v",
               "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    group_expect_equal(&g);
}

Test(forward, replies_of_a_pipeline_come_in_order)
{
    struct member *f = follower_of(group_lead(&g));
    struct hl_session *a = member_client(f);
    cr_assert(member_run(f, a, "INCR n"));
    cr_assert(member_run(f, a, "GET n"));
    cr_assert(member_run(f, a, "nonsense"));
    cr_assert(member_run(f, a, "INCR n"));
    cr_assert_not(member_run(f, a, "PING"),
                  "what this node answers waits for what the leader does");
    expect_after(a, 40,
                 ":1\r\n$1\r\n1\r\n-ERR unknown command 'nonsense', with args beginning with: "
                 "\r\n:2\r\n");
    member_say(f, a, "PING", "+PONG\r\n");
}

Test(forward, errors_that_need_no_leader_are_made_here)
{
    struct member *f = follower_of(group_lead(&g));
    struct hl_session *a = member_client(f);
    member_say(f, a, "SET k", "-ERR wrong number of arguments for 'set' command\r\n");
    cr_assert_eq(hl_forward_stats(f->node).sent, 0);
}

Test(forward, the_database_goes_along)
{
    struct member *f = follower_of(group_lead(&g));
    struct hl_session *a = member_client(f);
    member_say(f, a, "SELECT 3", "+OK\r\n");
    member_say(f, a, "SET k three", "+OK\r\n");
    member_say(f, a, "SELECT 0", "+OK\r\n");
    member_say(f, a, "EXISTS k", ":0\r\n");
    member_say(f, a, "MULTI", "+OK\r\n");
    member_say(f, a, "SELECT 3", "+QUEUED\r\n");
    member_say(f, a, "EXEC", "*1\r\n+OK\r\n");
    member_say(f, a, "GET k", "$5\r\nthree\r\n");
}

Test(forward, a_client_session_is_known_to_what_is_sent_right_behind)
{
    struct member *f = follower_of(group_lead(&g));
    struct hl_session *a = member_client(f);
    cr_assert(member_run(f, a, "CLIENT SESSION me"));
    cr_assert(member_run(f, a, "SEQ 1 APPEND k x"));
    cr_assert(member_run(f, a, "SEQ 2 APPEND k y"));
    expect_after(a, 40, ":0\r\n:1\r\n:2\r\n");
    member_say(f, a, "SEQ 2 APPEND k y", ":2\r\n");
}

/* A read that the leader answered is seen by the session's next one, which this node answers. */
Test(forward, a_session_does_not_go_back_after_a_forwarded_read)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f), *b = member_client(leader);
    member_say(leader, b, "SET k old", "+OK\r\n");
    group_run(&g, 20);
    member_say(f, a, "CLIENT CONSISTENCY SESSION", "+OK\r\n");
    member_say(leader, b, "SET k new", "+OK\r\n");
    cr_assert(member_run(f, a, "WATCH k"));
    cr_assert(member_run(f, a, "GET k"));
    expect_after(a, 40, "+OK\r\n$3\r\nnew\r\n");
    cr_assert_geq(a->last_gate, leader->node->last, "the reply said how far it went");
}

Test(forward, a_transaction_is_one)
{
    struct member *f = follower_of(group_lead(&g));
    struct hl_session *a = member_client(f);
    member_say(f, a, "MULTI", "+OK\r\n");
    member_say(f, a, "SET x 1", "+QUEUED\r\n");
    member_say(f, a, "PING", "+QUEUED\r\n");
    member_say(f, a, "GET x", "+QUEUED\r\n");
    member_say(f, a, "EXEC", "*3\r\n+OK\r\n+PONG\r\n$1\r\n1\r\n");
    member_say(f, a, "PING", "+PONG\r\n");
}

Test(forward, a_pipelined_transaction_is_one)
{
    struct member *f = follower_of(group_lead(&g));
    struct hl_session *a = member_client(f);
    cr_assert(member_run(f, a, "MULTI"));
    cr_assert(member_run(f, a, "SET x 1"));
    cr_assert(member_run(f, a, "INCR x"));
    cr_assert(member_run(f, a, "EXEC"));
    expect_after(a, 40, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:2\r\n");
}

Test(forward, an_error_spoils_the_transaction_it_is_in)
{
    struct member *f = follower_of(group_lead(&g));
    struct hl_session *a = member_client(f);
    member_say(f, a, "MULTI", "+OK\r\n");
    member_say(f, a, "SET x", "-ERR wrong number of arguments for 'set' command\r\n");
    member_say(f, a, "EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
}

Test(forward, a_watched_key_is_watched_at_the_leader)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f), *b = member_client(leader);
    member_say(f, a, "WATCH k", "+OK\r\n");
    member_say(leader, b, "SET k other", "+OK\r\n");
    member_say(f, a, "MULTI", "+OK\r\n");
    member_say(f, a, "SET k mine", "+QUEUED\r\n");
    member_say(f, a, "EXEC", "*-1\r\n");
    member_say(f, a, "GET k", "$5\r\nother\r\n");
}

Test(forward, the_guest_ends_with_its_client)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f);
    member_say(f, a, "SET k v", "+OK\r\n");
    cr_assert_eq(hl_forward_stats(leader->node).guests, 1);
    hl_node_begin(f->node);
    hl_session_destroy(f->node, a);
    hl_node_end(f->node);
    group_run(&g, 3);
    cr_assert_eq(hl_forward_stats(leader->node).guests, 0);
    cr_assert_eq(hl_forward_stats(f->node).lines, 0);
}

Test(forward, a_leader_knows_whether_it_owes_an_answer)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f);
    struct hl_session *b = member_client(f);
    cr_assert(hl_forward_is_idle(leader->node));
    cr_assert(member_run(f, a, "SET k v"));
    cr_assert(member_run(f, b, "SET k w"));
    group_step(&g);
    cr_assert_not(hl_forward_is_idle(leader->node));
    expect_after(a, 20, "+OK\r\n");
    expect_after(b, 0, "+OK\r\n");
    cr_assert(hl_forward_is_idle(leader->node));
    cr_assert(member_run(f, a, "SET k x"));
    group_step(&g);
    cr_assert_not(hl_forward_is_idle(leader->node));
    hl_node_begin(f->node);
    hl_session_destroy(f->node, a);
    hl_node_end(f->node);
    group_run(&g, 3);
    cr_assert(hl_forward_is_idle(leader->node), "nobody waits for it any more");
}

Test(forward, an_idle_client_follows_the_leader)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f);
    member_say(f, a, "SET k v", "+OK\r\n");
    member_kill(leader);
    (void)group_lead(&g);
    member_say(f, a, "SET k w", "+OK\r\n");
    member_say(f, a, "GET k", "$1\r\nw\r\n");
    cr_assert_not(is_closing(a));
}

/* W3: nothing but the old leader knows what became of it. */
Test(forward, a_request_whose_fate_is_unknown_ends_the_connection)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f);
    cr_assert(member_run(f, a, "INCR n"));
    group_step(&g); /* it has arrived, its entry is not committed */
    member_kill(leader);
    (void)group_lead(&g);
    group_run(&g, STEPS_MAX);
    cr_assert(is_closing(a));
    cr_assert_not(has_output(a));
}

Test(forward, a_request_that_was_never_sent_waits_for_a_leader)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f);
    member_kill(leader);
    while (hl_node_leader(f->node) != NULL) {
        group_step(&g); /* until the election has begun */
    }
    member_say(f, a, "INCR n", ":1\r\n");
}

Test(forward, without_a_leader_a_request_is_refused_in_time)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f);
    f->cut = true;
    while (hl_node_leader(f->node) != NULL) {
        group_step(&g);
    }
    cr_assert(member_run(f, a, "INCR n"));
    expect_after(a, HL_FORWARD_LEADERLESS_MS / (STEP_US / 1000) + 50,
                 "-NOQUORUM no leader can be reached; the command was not executed, try again\r\n");
    f->cut = false;
    member_say(f, a, "INCR n", ":1\r\n");
}

Test(forward, a_transaction_does_not_outlive_its_leader)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f);
    member_say(f, a, "MULTI", "+OK\r\n");
    member_say(f, a, "SET x 1", "+QUEUED\r\n");
    member_kill(leader);
    (void)group_lead(&g);
    group_run(&g, 20);
    member_say(f, a, "SET y 1",
               "-TRYAGAIN the leader changed and the transaction was dropped, nothing of it was "
               "executed: EXEC or DISCARD it, then begin again\r\n");
    member_say(f, a, "EXEC",
               "-EXECABORT Transaction discarded because of: the leader changed, nothing of it was "
               "executed\r\n");
    member_say(f, a, "EXISTS x y", ":0\r\n");
    member_say(f, a, "SET y 1", "+OK\r\n");
}

/* The leader is the same all the time, and has the beginning of the transaction. */
Test(forward, a_transaction_of_which_a_part_was_refused_does_not_run)
{
    struct member *f = follower_of(group_lead(&g));
    struct hl_session *a = member_client(f);
    member_say(f, a, "MULTI", "+OK\r\n");
    member_say(f, a, "SET x 1", "+QUEUED\r\n");
    f->cut = true;
    while (hl_node_leader(f->node) != NULL) {
        group_step(&g);
    }
    cr_assert(member_run(f, a, "SET y 1"));
    expect_after(a, HL_FORWARD_LEADERLESS_MS / (STEP_US / 1000) + 50,
                 "-TRYAGAIN the leader changed and the transaction was dropped, nothing of it was "
                 "executed: EXEC or DISCARD it, then begin again\r\n");
    f->cut = false;
    group_run(&g, 40);
    member_say(f, a, "SET z 1",
               "-TRYAGAIN the leader changed and the transaction was dropped, nothing of it was "
               "executed: EXEC or DISCARD it, then begin again\r\n");
    member_say(f, a, "EXEC",
               "-EXECABORT Transaction discarded because of: the leader changed, nothing of it was "
               "executed\r\n");
    member_say(f, a, "EXISTS x y z", ":0\r\n");
}

Test(forward, a_watch_does_not_outlive_its_leader)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f);
    member_say(f, a, "WATCH k", "+OK\r\n");
    member_kill(leader);
    (void)group_lead(&g);
    group_run(&g, 20);
    member_say(f, a, "MULTI", "+OK\r\n");
    member_say(f, a, "SET k v", "+QUEUED\r\n");
    member_say(f, a, "EXEC", "*-1\r\n");
    member_say(f, a, "MULTI", "+OK\r\n");
    member_say(f, a, "SET k v", "+QUEUED\r\n");
    member_say(f, a, "EXEC", "*1\r\n+OK\r\n");
}

Test(forward, a_follower_that_becomes_the_leader_serves_its_clients)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f);
    member_say(f, a, "WATCH k", "+OK\r\n");
    hl_node_begin(leader->node);
    cr_assert_eq(hl_replica_hand_over(leader->node, f->id), HL_OK);
    hl_node_end(leader->node);
    for (int i = 0; i < STEPS_MAX && !hl_node_leads(f->node); i++) {
        group_step(&g);
    }
    cr_assert(hl_node_leads(f->node));
    member_say(f, a, "MULTI", "+OK\r\n");
    member_say(f, a, "SET k v", "+QUEUED\r\n");
    member_say(f, a, "EXEC", "*-1\r\n");
    member_say(f, a, "SET k v", "+OK\r\n");
    cr_assert_eq(hl_forward_stats(f->node).guests, 0);
}

Test(forward, a_lost_watch_goes_with_the_requests_that_wait)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f);
    member_say(f, a, "WATCH k", "+OK\r\n");
    hl_node_begin(leader->node);
    cr_assert_eq(hl_replica_hand_over(leader->node, f->id), HL_OK);
    hl_node_end(leader->node);
    cr_assert(member_run(f, a, "MULTI")); /* to the one that gives its office to this node */
    cr_assert(member_run(f, a, "SET k v"));
    cr_assert(member_run(f, a, "EXEC"));
    for (int i = 0; i < STEPS_MAX && !hl_node_leads(f->node); i++) {
        group_step(&g);
    }
    expect_after(a, 40, "+OK\r\n+QUEUED\r\n*-1\r\n");
}

/* The newest request of `f` that is on its way is refused: its receiver leads no more. */
static void refuse_newest(struct member *f)
{
    for (int steps = 0; steps < STEPS_MAX; steps++) {
        for (size_t i = g.frame_count; i-- > 0;) {
            struct hl_wire_frame frame;
            struct hl_errmsg msg = {{0}};
            cr_assert_eq(hl_wire_decode(g.frames[i].bytes, &frame, &msg), HL_OK);
            struct hl_forward_msg request;
            if (frame.type != HL_FRAME_FORWARD || g.frames[i].from != f->at ||
                !hl_forward_msg_decode(frame.body, &request)) {
                continue;
            }
            if (request.kind == HL_FORWARD_REQUEST) {
                struct hl_forward_reply refusal = {
                    .kind = HL_FORWARD_REFUSED, .handle = request.handle, .seq = request.seq};
                struct hl_buf body = {0};
                hl_forward_reply_encode(&refusal, &body);
                hl_free((void *)request.argv);
                hl_free((void *)g.frames[i].bytes.ptr);
                g.frames[i] = g.frames[--g.frame_count];
                hl_node_begin(f->node);
                hl_forward_on_reply(f->node, frame.to, hl_buf_view(&body));
                hl_node_end(f->node);
                hl_buf_fini(&body);
                return;
            }
        }
        group_step(&g);
    }
    cr_assert_fail("nothing is on its way");
}

/* W1: also when the guest that took it has ended. */
Test(forward, a_first_request_that_comes_twice_runs_once)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f);
    cr_assert(member_run(f, a, "INCR n"));
    struct hl_slice copy = {0};
    struct hl_wire_frame frame;
    for (size_t i = 0; i < g.frame_count; i++) {
        cr_assert_eq(hl_wire_decode(g.frames[i].bytes, &frame, NULL), HL_OK);
        if (frame.type == HL_FRAME_FORWARD && g.frames[i].from == f->at) {
            copy = (struct hl_slice){
                .ptr = hl_strndup(g.frames[i].bytes.ptr, g.frames[i].bytes.len),
                .len = g.frames[i].bytes.len};
        }
    }
    cr_assert_neq(copy.len, 0);
    expect_after(a, 20, ":1\r\n");
    hl_node_begin(f->node);
    hl_session_destroy(f->node, a);
    hl_node_end(f->node);
    group_run(&g, 3);
    cr_assert_eq(hl_forward_stats(leader->node).guests, 0);
    hl_node_begin(leader->node);
    hl_node_peer_message(leader->node, f->id, copy);
    hl_node_end(leader->node);
    hl_free((void *)copy.ptr);
    group_run(&g, 20);
    cr_assert_eq(hl_forward_stats(leader->node).guests, 0);
    struct hl_session *b = member_client(f);
    member_say(f, b, "GET n", "$1\r\n1\r\n");
}

Test(forward, a_lost_watch_is_remembered_however_often_a_request_is_refused)
{
    struct member *f = follower_of(group_lead(&g));
    struct hl_session *a = member_client(f);
    member_say(f, a, "WATCH k", "+OK\r\n");
    cr_assert(member_run(f, a, "GET k"));
    refuse_newest(f);
    refuse_newest(f); /* it was sent again, with the word that the watch is lost */
    expect_after(a, 100, "$-1\r\n");
    member_say(f, a, "MULTI", "+OK\r\n");
    member_say(f, a, "SET k v", "+QUEUED\r\n");
    member_say(f, a, "EXEC", "*-1\r\n");
}

Test(forward, requests_that_the_leader_did_not_begin_go_to_the_next)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f);
    member_say(f, a, "SET k v", "+OK\r\n");
    hl_node_begin(leader->node);
    cr_assert_eq(hl_replica_hand_over(leader->node, 0), HL_OK);
    hl_node_end(leader->node);
    cr_assert(member_run(f, a, "INCR n")); /* to the one that gives its office away */
    cr_assert(member_run(f, a, "INCR n"));
    for (int i = 0; i < STEPS_MAX && !has_output(a); i++) {
        group_step(&g);
    }
    expect_after(a, 20, ":1\r\n:2\r\n");
    cr_assert_neq(group_lead(&g), leader);
}

Test(forward, lost_messages_end_the_connection_and_repeat_nothing)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f), *b = member_client(leader);
    member_say(f, a, "INCR n", ":1\r\n");
    hl_node_begin(leader->node);
    hl_node_forward_lost(leader->node, f->id);
    hl_node_end(leader->node);
    cr_assert(member_run(f, a, "INCR n"));
    group_run(&g, 20);
    cr_assert(is_closing(a));
    member_say(leader, b, "GET n", "$1\r\n1\r\n");
}

Test(forward, a_numbered_request_is_executed_once_whoever_leads)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_session *a = member_client(f);
    member_say(f, a, "CLIENT SESSION mine", ":0\r\n");
    member_say(f, a, "SEQ 1 INCR n", ":1\r\n");
    member_kill(leader);
    (void)group_lead(&g);
    member_say(f, a, "SEQ 1 INCR n", ":1\r\n");
    member_say(f, a, "SEQ 2 INCR n", ":2\r\n");
    member_restart(leader);
    group_expect_equal(&g);
}
