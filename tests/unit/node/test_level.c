/* Feature levels: what a group may write is what its lowest member reads, and rises only when told.
 *
 * Method: groups of nodes whose builds understand different levels, as their settings pretend.
 */
#include "node/node_internal.h"
#include "unit/node/group.h"

static struct group g;

static void setup(void)
{
    memset(&g, 0, sizeof g);
}

static void teardown(void)
{
    group_fini(&g);
}

TestSuite(level, .init = setup, .fini = teardown);

#define LOW 1
#define HIGH 2

static struct member *found_at(uint32_t level)
{
    group_init_at(&g, 3, level);
    for (int i = 0; i < 3; i++) {
        g.at[i].node->config.feature_level = HIGH;
    }
    return group_lead(&g);
}

static void tell_levels(struct member *m, uint32_t level)
{
    for (int i = 0; i < g.count; i++) {
        if (i != m->at) {
            hl_node_peer_level(m->node, g.at[i].id, level);
        }
    }
}

Test(level, a_group_begins_at_what_its_founders_agreed_on)
{
    struct member *leader = found_at(LOW);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k v", "+OK\r\n");
    cr_assert_eq(hl_level_now(leader->node), LOW, "although every node understands more");
    group_expect_equal(&g);
}

Test(level, finalize_raises_it_everywhere_and_a_restart_keeps_it)
{
    struct member *leader = found_at(LOW);
    struct hl_session *a = member_client(leader);
    tell_levels(leader, HIGH);
    member_say(leader, a, "RAFT.FINALIZE", ":2\r\n");
    member_say(leader, a, "RAFT.FINALIZE", ":2\r\n");
    group_expect_equal(&g);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(hl_level_now(g.at[i].node), HIGH, "node %d", i);
        member_kill(&g.at[i]);
    }
    for (int i = 0; i < 3; i++) {
        g.level_own = HIGH;
        member_restart(&g.at[i]);
    }
    leader = group_lead(&g);
    cr_assert_eq(hl_level_now(leader->node), HIGH);
}

Test(level, finalize_waits_for_the_lowest_member_and_says_who_it_is)
{
    struct member *leader = found_at(LOW);
    struct hl_session *a = member_client(leader);
    const char *got = member_ask(leader, a, "RAFT.FINALIZE");
    cr_assert(strstr(got, "it is not known which feature level") != NULL, "%s", got);
    tell_levels(leader, HIGH);
    hl_node_peer_level(leader->node, g.at[(leader->at + 1) % 3].id, LOW);
    got = member_ask(leader, a, "RAFT.FINALIZE");
    cr_assert(strstr(got, g.at[(leader->at + 1) % 3].name) != NULL, "%s", got);
    cr_assert_eq(hl_level_now(leader->node), LOW);
}

Test(level, what_is_undone_is_not_raised)
{
    struct member *leader = found_at(LOW);
    struct hl_session *a = member_client(leader);
    tell_levels(leader, HIGH);
    leader->cut = true;
    (void)member_run(leader, a, "RAFT.FINALIZE");
    cr_assert_eq(hl_level_now(leader->node), HIGH);
    group_run(&g, 100);
    struct member *next = group_lead(&g);
    struct hl_session *b = member_client(next);
    member_say(next, b, "SET k v", "+OK\r\n");
    leader->cut = false;
    group_run(&g, 400);
    group_expect_equal(&g);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(hl_level_now(g.at[i].node), LOW, "node %d", i);
    }
}

Test(level, entries_and_snapshots_of_a_newer_level_are_refused_with_both_numbers)
{
    struct member *leader = found_at(HIGH);
    struct hl_wal_entry entry = {.index = 99, .term = 1, .type = HL_WAL_NOP, .feature_level = 7};
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_node_apply(leader->node, &entry, &msg), HL_EVERSION);
    cr_assert(strstr(msg.text, "feature level 7") && strstr(msg.text, "has 2"), "%s", msg.text);
    struct hl_snap_label label = hl_snapshot_label(leader->node);
    cr_assert_eq(hl_snapshot_write(leader->node, &leader->disk, "d", &label, NULL, &msg), HL_OK);
    group_run(&g, 40);
    cr_assert_eq(hl_snapshot_publish(leader->node, &leader->disk, "d", &label, &msg), HL_OK);
    struct hl_snap_reader *reader = NULL;
    struct hl_config_at config;
    cr_assert_eq(hl_snap_reader_open(&reader, &leader->disk, "d", label.index, &label, &msg),
                 HL_OK);
    leader->node->config.feature_level = LOW;
    cr_assert_eq(hl_snapshot_inspect(leader->node, reader, &config, &msg), HL_EVERSION);
    cr_assert(strstr(msg.text, "feature level 2") != NULL, "%s", msg.text);
    hl_snap_reader_close(reader);
}
