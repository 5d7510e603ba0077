/* A node that cannot apply an entry stops there: visible, still a good voter, never a leader, never
 * skipping; and goes on when it can.
 *
 * Method: a command that two of three nodes have plays the part of a module's, which the third one
 * lacks.
 */
#include "unit/node/group.h"

#include "command/args.h"
#include "node/cluster.h"

static struct group g;
static struct member *leader, *lacking, *other;

/* MOD.SET key value; an effect of another command before it when the value is "twice". */
static void run_set(struct hl_call *call)
{
    if ((call->flags & HL_CALL_REPLICATED) == 0 && hl_slice_is(call->argv[2], "twice")) {
        struct hl_slice incr[] = {hl_slice_of("INCR"), hl_slice_of("n")};
        struct hl_buf out = {0};
        struct hl_writer writer = {.out = &out, .proto = 2};
        struct hl_call inner = *call;
        inner.argc = 2;
        inner.argv = incr;
        inner.out = &writer;
        hl_command_of(call->node->commands, incr, 2)->run(&inner);
        hl_buf_fini(&out);
        hl_call_effect(call, 2, incr);
        hl_call_effect(call, call->argc, call->argv);
    } else {
        call->changes++;
    }
    hl_write_ok(call->out);
}

static const struct hl_command_row row = {.name = "mod.set",
                                          .run = run_set,
                                          .arity = 3,
                                          .flags = HL_CMD_WRITE,
                                          .group = "test",
                                          .since = "1",
                                          .complexity = "O(1)",
                                          .summary = "Sets."};

static void give(struct member *m)
{
    cr_assert_eq(hl_command_register(m->node->commands, &row, 1), HL_OK);
}

static void setup(void)
{
    group_init(&g, 3);
    leader = group_lead(&g);
    other = &g.at[(leader->at + 1) % 3];
    lacking = &g.at[(leader->at + 2) % 3];
    give(leader);
    give(other);
}

static void teardown(void)
{
    group_fini(&g);
}

TestSuite(stopped, .init = setup, .fini = teardown);

static void await_stop(struct member *m)
{
    for (int i = 0; i < STEPS_MAX && hl_node_stopped(m->node) == NULL; i++) {
        group_step(&g);
    }
    cr_assert_not_null(hl_node_stopped(m->node), "it has not stopped");
}

static void await_applied(struct member *m, hl_index index)
{
    for (int i = 0; i < 10 * STEPS_MAX && m->node->last < index; i++) {
        group_step(&g);
    }
    cr_assert_geq(m->node->last, index, "it does not go on");
}

/* Make the third node stop; returns the entry at which. */
static hl_index stop(const char *request)
{
    struct hl_session *a = member_client(leader);
    member_say(leader, a, request, "+OK\r\n");
    hl_index index = leader->node->last;
    member_say(leader, a, "SET k v", "+OK\r\n");
    await_stop(lacking);
    cr_assert_eq(hl_node_stopped(lacking->node)->index, index);
    cr_assert_eq(lacking->node->last, index - 1, "nothing behind it is applied");
    return index;
}

static void hand_over(void)
{
    hl_node_begin(leader->node);
    cr_assert_eq(hl_replica_hand_over(leader->node, lacking->id), HL_OK);
    hl_node_end(leader->node);
}

Test(stopped, it_says_so_and_why)
{
    (void)stop("MOD.SET k v");
    const struct hl_stop *why = hl_node_stopped(lacking->node);
    cr_assert_not_null(strstr(why->why, "MOD.SET"), "%s", why->why);
    struct hl_session *a = member_client(lacking);
    cr_assert(member_run(lacking, a, "GET k"), "a reader must not wait");
    cr_assert(has_output(a));
    struct hl_slice out = hl_session_output(a);
    cr_assert_eq(memcmp(out.ptr, "-MASTERDOWN ", 12), 0, "%.*s", (int)out.len, out.ptr);
    hl_session_taken(a, out.len);
    member_say(lacking, a, "PING", "+PONG\r\n");
    member_say(lacking, a, "SET written there", "+OK\r\n"); /* by the leader */
    cr_assert_null(hl_node_stopped(leader->node));
    cr_assert_null(hl_node_stopped(other->node));
}

Test(stopped, it_still_counts_as_a_voter)
{
    (void)stop("MOD.SET k v");
    other->cut = true;
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k w", "+OK\r\n");
}

Test(stopped, it_never_leads)
{
    (void)stop("MOD.SET k v");
    leader->cut = true;
    group_run(&g, 20);
    cr_assert_eq(group_lead(&g), other);
    other->cut = true;
    for (int i = 0; i < STEPS_MAX; i++) {
        group_step(&g);
        cr_assert(!hl_node_leads(lacking->node));
        cr_assert_neq(hl_raft_role(&lacking->node->raft), HL_RAFT_LEADER);
    }
}

/* It learns that the entry is committed only by leading, which must not happen. */
Test(stopped, one_that_is_elected_before_it_knows_resigns)
{
    struct hl_session *a = member_client(leader);
    other->cut = true;
    (void)member_run(leader, a, "MOD.SET k v");
    for (int i = 0; i < 100 && hl_wal_last(lacking->wal) < leader->node->last; i++) {
        group_step(&g);
    }
    hl_index index = leader->node->last;
    leader->cut = true;
    other->cut = false; /* the older log: only the third can win */
    for (int i = 0; i < STEPS_MAX && hl_node_stopped(lacking->node) == NULL; i++) {
        group_step(&g);
        cr_assert(!hl_node_leads(lacking->node));
    }
    cr_assert_not_null(hl_node_stopped(lacking->node));
    cr_assert_eq(hl_node_stopped(lacking->node)->index, index);
    group_run(&g, 20);
    cr_assert_neq(hl_raft_role(&lacking->node->raft), HL_RAFT_LEADER);
    leader->cut = false;
    struct member *next = group_lead(&g);
    cr_assert_neq(next, lacking);
    give(lacking);
    await_applied(lacking, next->node->commit);
    group_expect_equal(&g);
}

Test(stopped, it_goes_on_when_it_can_and_may_lead_again)
{
    hl_index index = stop("MOD.SET k v");
    give(lacking);
    await_applied(lacking, index + 1);
    cr_assert_null(hl_node_stopped(lacking->node));
    group_expect_equal(&g);
    struct hl_session *a = member_client(lacking);
    member_say(lacking, a, "GET k", "$1\r\nv\r\n");
    hand_over();
    for (int i = 0; i < STEPS_MAX && !hl_node_leads(lacking->node); i++) {
        group_step(&g);
    }
    cr_assert(hl_node_leads(lacking->node));
    member_say(lacking, a, "SET k w", "+OK\r\n");
}

Test(stopped, leadership_that_is_handed_to_it_stays)
{
    (void)stop("MOD.SET k v");
    hand_over();
    for (int i = 0; i < STEPS_MAX && !hl_node_leads(leader->node); i++) {
        group_step(&g);
        cr_assert(!hl_node_leads(lacking->node));
    }
    cr_assert(hl_node_leads(leader->node));
}

/* What was applied of the entry must not be applied twice. */
Test(stopped, an_entry_that_was_applied_in_part_is_made_anew)
{
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET n 5", "+OK\r\n");
    hl_index index = stop("MOD.SET k twice");
    cr_assert(hl_node_stopped(lacking->node)->begun);
    group_run(&g, 400); /* it is tried again meanwhile */
    cr_assert_not_null(hl_node_stopped(lacking->node));
    give(lacking);
    await_applied(lacking, index + 1);
    group_expect_equal(&g);
}

Test(stopped, a_restart_stops_at_the_same_entry)
{
    hl_index index = stop("MOD.SET k v");
    member_kill(lacking);
    member_restart(lacking);
    await_stop(lacking);
    cr_assert_eq(hl_node_stopped(lacking->node)->index, index);
}

Test(stopped, an_entry_of_a_later_version_stops_it)
{
    struct hl_wal_entry entry = {
        .index = 9, .type = HL_WAL_EFFECTS, .feature_level = UINT16_MAX, .log_time_us = 1};
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_node_apply(lacking->node, &entry, &msg), HL_EVERSION);
    cr_assert_not_null(strstr(msg.text, "upgrade"), "%s", msg.text);
}
