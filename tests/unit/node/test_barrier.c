/* Orders that every node must agree to: all or none carry them out, others wait meanwhile, and not
 * for ever.
 *
 * Method: an order that sets a key, asked of nodes whose answers the test decides.
 */
#include "unit/node/group.h"

#include "command/args.h"
#include "node/barrier.h"

static struct group g;
static struct member *leader, *one, *two;
static hl_err says[GROUP_MAX]; /* what each node answers */
static uint32_t answers;       /* that the order saw */

/* ORDER value: sets "ordered" when all agree; fails when the value is "fail". */
static void run_order(struct hl_call *call)
{
    if ((call->flags & (HL_CALL_BARRIER | HL_CALL_REPLICATED)) == 0) {
        hl_barrier_begin(call, hl_slice_of("may it?"));
        return;
    }
    if (hl_slice_is(call->argv[1], "fail")) {
        hl_reply_error(call, "ERR as told");
        return;
    }
    if ((call->flags & HL_CALL_BARRIER) != 0) {
        const struct hl_slice *at = hl_barrier_answers(call->node, &answers);
        for (uint32_t i = 0; i < answers; i++) {
            cr_assert(hl_slice_is(at[i], "yes"));
        }
    }
    struct hl_slice set[] = {hl_slice_of("SET"), hl_slice_of("ordered"), call->argv[1]};
    struct hl_buf out = {0};
    struct hl_writer writer = {.out = &out, .proto = 2};
    struct hl_call inner = *call;
    inner.argc = 3;
    inner.argv = set;
    inner.out = &writer;
    hl_command_of(call->node->commands, set, 3)->run(&inner);
    hl_buf_fini(&out);
    call->changes++;
    hl_write_ok(call->out);
}

static const struct hl_command_row row = {.name = "order",
                                          .run = run_order,
                                          .arity = 2,
                                          .flags = HL_CMD_LOGGED | HL_CMD_NO_MULTI,
                                          .group = "test",
                                          .since = "1",
                                          .complexity = "O(1)",
                                          .summary = "Orders."};

static hl_err asked(void *ctx, struct hl_slice question, struct hl_buf *answer,
                    struct hl_errmsg *why)
{
    cr_assert(hl_slice_is(question, "may it?"));
    hl_err err = says[(hl_err *)ctx - says];
    if (err != HL_OK) {
        return hl_fail(why, err, "I may not");
    }
    hl_buf_append_text(answer, "yes");
    return HL_OK;
}

static void setup(void)
{
    group_init(&g, 3);
    for (int i = 0; i < 3; i++) {
        says[i] = HL_OK;
        g.at[i].node->hooks.ctx = &says[i];
        g.at[i].node->hooks.asked = asked;
        cr_assert_eq(hl_command_register(g.at[i].node->commands, &row, 1), HL_OK);
    }
    leader = group_lead(&g);
    one = &g.at[(leader->at + 1) % 3];
    two = &g.at[(leader->at + 2) % 3];
    group_run(&g, 20);
}

static void teardown(void)
{
    group_fini(&g);
}

TestSuite(barrier, .init = setup, .fini = teardown);

static hl_err *says_of(struct member *m)
{
    return &says[m->at];
}

static void expect_not_ordered(void)
{
    struct hl_session *a = member_client(group_lead(&g));
    member_say(group_lead(&g), a, "GET ordered", "$-1\r\n");
    cr_assert_null(leader->node->barrier);
}

Test(barrier, all_agree_and_all_carry_it_out)
{
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "ORDER x", "+OK\r\n");
    cr_assert_eq(answers, 3);
    group_expect_equal(&g);
    struct hl_session *b = member_client(two);
    member_say(two, b, "GET ordered", "$1\r\nx\r\n");
}

Test(barrier, a_follower_passes_it_on)
{
    struct hl_session *a = member_client(one);
    member_say(one, a, "ORDER x", "+OK\r\n");
    group_expect_equal(&g);
}

static void run_late(struct hl_call *call)
{
    hl_write_simple(call->out, "late");
}

/* A module's command: its node has answered the order, and not applied it yet. */
Test(barrier, what_an_order_brought_is_known_to_who_gave_it)
{
    static const struct hl_command_row late = {.name = "late",
                                               .run = run_late,
                                               .arity = 1,
                                               .flags = HL_CMD_READONLY,
                                               .group = "test",
                                               .since = "1",
                                               .complexity = "O(1)",
                                               .summary = "Comes late."};
    cr_assert_eq(hl_command_register(leader->node->commands, &late, 1), HL_OK);
    struct hl_session *a = member_client(one);
    member_say(one, a, "ORDER x", "+OK\r\n");
    a->last_gate = one->node->last + 1; /* as if the answer had overtaken the entry */
    member_say(one, a, "LATE", "+late\r\n");
    member_say(leader, member_client(leader), "SET k v", "+OK\r\n");
    group_run(&g, 50);
    const char *refused = member_ask(one, a, "LATE");
    cr_assert_eq(memcmp(refused, "-ERR unknown", 12), 0, "%s", refused);
}

Test(barrier, one_that_says_no_is_named)
{
    *says_of(two) = HL_EINVAL;
    struct hl_session *a = member_client(leader);
    char want[128];
    snprintf(want, sizeof want, "-ERR node %s: I may not; nothing was changed\r\n", two->name);
    member_say(leader, a, "ORDER x", want);
    expect_not_ordered();
}

Test(barrier, the_leader_itself_may_say_no)
{
    *says_of(leader) = HL_EINVAL;
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "ORDER x", "-ERR I may not\r\n");
    expect_not_ordered();
}

Test(barrier, one_that_is_busy_is_asked_again)
{
    *says_of(two) = HL_EBUSY;
    *says_of(leader) = HL_EBUSY;
    struct hl_session *a = member_client(leader);
    (void)member_run(leader, a, "ORDER x");
    group_run(&g, 50);
    *says_of(leader) = HL_OK;
    group_run(&g, 50);
    cr_assert(!has_output(a));
    *says_of(two) = HL_OK;
    for (int i = 0; i < STEPS_MAX && !has_output(a); i++) {
        group_step(&g);
    }
    cr_assert(has_output(a));
    cr_assert_eq(hl_session_output(a).ptr[0], '+');
}

Test(barrier, one_that_stays_busy_is_not_waited_for_for_ever)
{
    *says_of(two) = HL_EBUSY;
    struct hl_session *a = member_client(leader);
    struct hl_session *b = member_client(leader);
    (void)member_run(leader, a, "ORDER x");
    cr_assert(!member_run(leader, b, "SET k v"), "others wait meanwhile");
    cr_assert(!member_run(leader, b, "GET k"));
    cr_assert(member_run(leader, b, "PING"));
    uint64_t start_us = g.mono_us;
    while (!has_output(a)) {
        group_step(&g);
        cr_assert_leq(g.mono_us - start_us, HL_BARRIER_US + 100000);
    }
    struct hl_slice out = hl_session_output(a);
    cr_assert_not_null(strstr(out.ptr, two->name), "%.*s", (int)out.len, out.ptr);
    hl_session_taken(b, hl_session_output(b).len);
    member_say(leader, b, "SET k v", "+OK\r\n");
    expect_not_ordered();
}

Test(barrier, one_that_is_down_is_left_out)
{
    two->cut = true;
    group_run(&g, 200); /* a second: longer than two elections */
    leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "ORDER x", "+OK\r\n");
    cr_assert_eq(answers, 2);
    two->cut = false;
    group_expect_equal(&g);
}

Test(barrier, one_that_has_just_fallen_silent_is_waited_for)
{
    two->cut = true;
    struct hl_session *a = member_client(leader);
    (void)member_run(leader, a, "ORDER x");
    group_run(&g, 10);
    cr_assert(!has_output(a));
    two->cut = false;
    for (int i = 0; i < STEPS_MAX && !has_output(a); i++) {
        group_step(&g);
    }
    cr_assert_eq(hl_session_output(a).ptr[0], '+', "asked again when the question was lost");
    cr_assert_eq(answers, 3);
}

Test(barrier, a_minority_agrees_to_nothing)
{
    one->cut = two->cut = true;
    struct hl_session *a = member_client(leader);
    (void)member_run(leader, a, "ORDER x");
    for (int i = 0; i < STEPS_MAX && !has_output(a); i++) {
        group_step(&g);
    }
    struct hl_slice out = hl_session_output(a);
    cr_assert_eq(memcmp(out.ptr, "-NOTLEADER", 10), 0, "%.*s", (int)out.len, out.ptr);
    cr_assert_null(leader->node->barrier);
    one->cut = two->cut = false;
    expect_not_ordered();
}

Test(barrier, what_fails_on_the_leader_is_not_logged)
{
    struct hl_session *a = member_client(leader);
    hl_index last = leader->node->last;
    member_say(leader, a, "ORDER fail", "-ERR as told\r\n");
    cr_assert_eq(leader->node->last, last);
    expect_not_ordered();
}

Test(barrier, a_client_that_leaves_takes_its_order_back)
{
    *says_of(two) = HL_EBUSY;
    struct hl_session *a = member_client(leader);
    (void)member_run(leader, a, "ORDER x");
    group_run(&g, 5);
    hl_session_destroy(leader->node, a);
    cr_assert_null(leader->node->barrier);
    *says_of(two) = HL_OK;
    group_run(&g, 50);
    expect_not_ordered();
}

Test(barrier, orders_wait_for_one_another)
{
    struct hl_session *a = member_client(leader);
    struct hl_session *b = member_client(leader);
    (void)member_run(leader, a, "ORDER x");
    cr_assert(!member_run(leader, b, "ORDER y"));
    member_say(leader, b, "ORDER y", "+OK\r\n");
    cr_assert(has_output(a));
    group_expect_equal(&g);
}

Test(barrier, it_stays_up_until_the_entry_is_committed)
{
    struct hl_session *a = member_client(leader);
    struct hl_session *b = member_client(leader);
    hl_index last = leader->node->last;
    (void)member_run(leader, a, "ORDER x");
    for (int i = 0; i < 100 && leader->node->last == last; i++) {
        group_step(&g);
    }
    cr_assert_eq(leader->node->last, last + 1);
    cr_assert_lt(leader->node->commit, last + 1);
    cr_assert(!has_output(a));
    cr_assert(!member_run(leader, b, "GET ordered"));
    member_say(leader, b, "GET ordered", "$1\r\nx\r\n");
    cr_assert(has_output(a));
}

Test(barrier, garbage_from_peers_is_ignored)
{
    *says_of(two) = HL_EBUSY;
    struct hl_session *a = member_client(leader);
    (void)member_run(leader, a, "ORDER x");
    group_run(&g, 5);
    for (size_t len = 0; len < 400; len++) {
        char bytes[400];
        memset(bytes, (int)len, sizeof bytes);
        for (int type = HL_FRAME_QUESTION; type <= HL_FRAME_ANSWER; type++) {
            struct hl_wire_frame frame =
                hl_node_frame(two->node, leader->id, HL_PEER_RAFT, (enum hl_wire_type)type);
            struct hl_buf out = {0};
            size_t start = hl_wire_begin(&out, &frame);
            if (type == HL_FRAME_ANSWER) {
                hl_buf_append(&out, bytes, len);
            } else {
                hl_buf_append(&out, bytes, len < 8 ? len : 7);
            }
            hl_wire_end(&out, start);
            hl_node_begin(leader->node);
            hl_node_peer_message(leader->node, two->id, hl_buf_view(&out));
            hl_node_end(leader->node);
            hl_buf_fini(&out);
        }
    }
    cr_assert_not_null(leader->node->barrier);
    *says_of(two) = HL_OK;
    for (int i = 0; i < STEPS_MAX && !has_output(a); i++) {
        group_step(&g);
    }
    cr_assert_eq(hl_session_output(a).ptr[0], '+');
}
