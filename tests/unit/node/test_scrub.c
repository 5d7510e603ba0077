/* A node whose memory failed is found out and mended, and no healthy one is touched.
 *
 * Method: a group of nodes, one of which loses or changes a key that nobody told it to.
 */
#include "base/slot.h"
#include "node/node_internal.h"
#include "unit/node/group.h"

static struct group g;

#define PASS_STEPS 4000 /* that comparing everything once may take */

static void setup(void)
{
    group_init(&g, 3);
}

static void teardown(void)
{
    group_fini(&g);
}

TestSuite(scrub, .init = setup, .fini = teardown);

static struct member *other_than(struct member *m, int nth)
{
    return &g.at[(m->at + nth) % g.count];
}

static void fill(struct member *leader, struct hl_session *a, int count)
{
    char request[64];
    for (int i = 0; i < count; i++) {
        snprintf(request, sizeof request, i % 2 == 0 ? "SET key%d value" : "HSET key%d f v g w", i);
        (void)member_ask(leader, a, request);
    }
    group_run(&g, 40);
}

static void lose(struct member *m, const char *key)
{
    cr_assert(hl_db_delete(hl_ks_db(&m->node->ks, 0), hl_slice_of(key)), "%s", key);
}

/* Compare everything once. */
static void scrub(struct member *leader, struct hl_session *a)
{
    member_say(leader, a, "RAFT.SCRUB", "+OK\r\n");
    for (int i = 0; i < PASS_STEPS && leader->node->scrub.ordered != 0; i++) {
        group_step(&g);
    }
    group_run(&g, 200);
}

static uint64_t differences(void)
{
    uint64_t all = 0;
    for (int i = 0; i < g.count; i++) {
        all += g.at[i].node->scrub.differences + g.at[i].node->scrub.mended;
    }
    return all;
}

Test(scrub, healthy_nodes_agree_while_clients_write)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    fill(leader, a, 200);
    member_say(leader, a, "RAFT.SCRUB", "+OK\r\n");
    for (int i = 0; i < 300 && leader->node->scrub.ordered != 0; i++) {
        char request[64];
        snprintf(request, sizeof request, i % 3 == 0 ? "DEL key%d" : "SET key%d x", i * 7 % 260);
        (void)member_ask(leader, a, request);
    }
    for (int i = 0; i < PASS_STEPS && leader->node->scrub.ordered != 0; i++) {
        group_step(&g);
    }
    cr_assert_eq(leader->node->scrub.ordered, 0);
    group_run(&g, 200);
    for (int i = 0; i < 3; i++) {
        cr_assert_geq(g.at[i].node->scrub.compared, 16384, "node %d: %llu", i,
                      (unsigned long long)g.at[i].node->scrub.compared);
    }
    cr_assert_eq(differences(), 0);
}

Test(scrub, a_follower_that_lost_a_key_is_mended)
{
    struct member *leader = group_lead(&g);
    struct member *bad = other_than(leader, 1);
    struct hl_session *a = member_client(leader);
    fill(leader, a, 100);
    lose(bad, "key42");
    scrub(leader, a);
    cr_assert_eq(bad->node->scrub.mended, 1);
    cr_assert_eq(leader->node->scrub.differences, 1);
    cr_assert(!bad->node->scrub.differs);
    struct hl_session *b = member_client(bad);
    member_say(bad, b, "GET key42", "$5\r\nvalue\r\n");
    group_expect_equal(&g);
    scrub(leader, a);
    cr_assert_eq(leader->node->scrub.differences, 1, "it is right now");
}

Test(scrub, a_leader_that_lost_a_key_gives_leadership_away_and_is_mended)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    fill(leader, a, 100);
    lose(leader, "key43");
    member_say(leader, a, "RAFT.SCRUB", "+OK\r\n");
    for (int i = 0; i < PASS_STEPS && leader->node->scrub.mended == 0; i++) {
        group_step(&g);
    }
    cr_assert_eq(leader->node->scrub.mended, 1);
    cr_assert(!hl_node_leads(leader->node));
    struct member *next = group_lead(&g);
    struct hl_session *b = member_client(next);
    member_say(next, b, "HGET key43 f", "$1\r\nv\r\n");
    group_expect_equal(&g);
}

static struct hl_snap_label save(struct member *m)
{
    struct hl_snap_label label = hl_snapshot_label(m->node);
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_snapshot_write(m->node, &m->disk, "d", &label, NULL, &msg), HL_OK, "%s",
                 msg.text);
    group_run(&g, 40);
    cr_assert_eq(hl_snapshot_publish(m->node, &m->disk, "d", &label, &msg), HL_OK, "%s", msg.text);
    return label;
}

Test(scrub, a_node_whose_snapshot_is_wrong_too_is_sent_the_leaders)
{
    struct member *leader = group_lead(&g);
    struct member *bad = other_than(leader, 1);
    struct hl_session *a = member_client(leader);
    fill(leader, a, 100);
    lose(bad, "key44");
    (void)save(bad);
    scrub(leader, a);
    cr_assert(bad->node->scrub.differs);
    struct hl_session *b = member_client(bad);
    const char *got = member_ask(bad, b, "GET key44");
    cr_assert(strncmp(got, "-MASTERDOWN", 11) == 0, "%s", got);
    member_say(bad, b, "SET k v", "+OK\r\n"); /* the leader does that */
    struct hl_snap_label label = hl_snapshot_label(bad->node);
    struct hl_errmsg msg = {{0}};
    cr_assert_neq(hl_snapshot_write(bad->node, &bad->disk, "d", &label, NULL, &msg), HL_OK);
    label = save(leader);
    for (int i = 0; i < STEPS_MAX && bad->node->scrub.differs; i++) {
        group_step(&g);
    }
    cr_assert(!bad->node->scrub.differs);
    cr_assert_eq(bad->node->snapshot_index, label.index);
    group_expect_equal(&g);
    b = member_client(bad);
    member_say(bad, b, "GET key44", "$5\r\nvalue\r\n");
    other_than(leader, 2)->cut = true;
    member_say(leader, a, "SET k w", "+OK\r\n"); /* it counts, */
    other_than(leader, 2)->cut = false;
    other_than(leader, 2)->slow = true;
    member_kill(bad);
    member_restart(bad);
    other_than(leader, 2)->slow = false;
    group_expect_equal(&g); /* and its disk holds what is right */
}

Test(scrub, a_node_that_is_known_to_be_wrong_never_leads)
{
    struct member *leader = group_lead(&g);
    struct member *bad = other_than(leader, 1);
    struct hl_session *a = member_client(leader);
    fill(leader, a, 100);
    lose(bad, "key44");
    (void)save(bad);
    scrub(leader, a);
    cr_assert(bad->node->scrub.differs);
    member_kill(leader);
    struct member *next = group_lead(&g);
    cr_assert_neq(next->at, bad->at);
}

Test(scrub, without_a_majority_nobody_is_condemned)
{
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    fill(leader, a, 100);
    lose(other_than(leader, 1), "key45");
    lose(other_than(leader, 2), "key45");
    cr_assert(hl_db_delete(hl_ks_db(&leader->node->ks, 0), hl_slice_of("key45")));
    (void)hl_db_set_string(hl_ks_db(&leader->node->ks, 0), hl_slice_of("key45"), hl_slice_of("one"),
                           false);
    (void)hl_db_set_string(hl_ks_db(&other_than(leader, 1)->node->ks, 0), hl_slice_of("key45"),
                           hl_slice_of("two"), false);
    scrub(leader, a);
    cr_assert_geq(leader->node->scrub.differences, 2);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(g.at[i].node->scrub.differs_at, 0, "node %d", i);
    }
}

Test(scrub, slots_are_compared_by_themselves_and_databases_are_told_apart)
{
    for (int i = 0; i < 3; i++) {
        g.at[i].node->config.cluster.scrub_us = 1;
    }
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET {06S} v", "+OK\r\n"); /* slot 0 */
    member_say(leader, a, "SWAPDB 0 3", "+OK\r\n");
    group_run(&g, 40);
    struct member *bad = other_than(leader, 2);
    cr_assert(hl_db_delete(hl_ks_db(&bad->node->ks, 3), hl_slice_of("{06S}")));
    for (int i = 0; i < PASS_STEPS && bad->node->scrub.mended == 0; i++) {
        group_step(&g);
    }
    cr_assert_eq(bad->node->scrub.mended, 1);
}

/* Goal: whatever makes a name, it is compared, although the window was open before. */
Test(scrub, names_that_appear_in_an_open_window_are_compared)
{
    static const char *const makers[][2] = {
        {"SET name v", NULL},
        {"INCR name", NULL},
        {"HSET name f v", NULL},
        {"RENAME other name", "SET other v"},
        {"COPY other name", "HSET other f v"},
        {"SET name v EX 1000", NULL},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(makers); i++) {
        group_fini(&g);
        group_init(&g, 3);
        struct member *leader = group_lead(&g);
        struct hl_session *a = member_client(leader);
        for (int k = 0; k < 3; k++) {
            g.at[k].node->config.cluster.scrub_us = 1000000;
            g.at[k].node->scrub.next = hl_key_slot(hl_slice_of("name"));
        }
        for (int k = 0; k < STEPS_MAX && leader->node->scrub.phase != HL_SCRUB_HOLDS; k++) {
            group_step(&g);
        }
        group_run(&g, 40);
        if (makers[i][1] != NULL) {
            (void)member_ask(leader, a, makers[i][1]);
        }
        cr_assert_neq(*member_ask(leader, a, makers[i][0]), '-', "%s", makers[i][0]);
        group_run(&g, 40);
        lose(other_than(leader, 1), "name");
        for (int k = 0; k < STEPS_MAX && leader->node->scrub.differences == 0; k++) {
            group_step(&g);
        }
        cr_assert_eq(leader->node->scrub.differences, 1, "%s", makers[i][0]);
    }
}

Test(scrub, malformed_frames_and_entries_do_nothing)
{
    struct member *leader = group_lead(&g);
    static const char *const bodies[] = {"", "\1", "\2\1\2\3", "\2zzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
                                         "\1zzzzzzzzzzzzzzzzzzzzzzzzzzzzz"};
    for (size_t i = 0; i < HL_ARRAY_LEN(bodies); i++) {
        hl_scrub_on_frame(leader->node, other_than(leader, 1)->id, hl_slice_of(bodies[i]));
        struct hl_wal_entry entry = {
            .index = 9, .type = HL_WAL_SCRUB, .body = hl_slice_of(bodies[i])};
        hl_scrub_apply(other_than(leader, 1)->node, &entry);
    }
    cr_assert_eq(differences(), 0);
    group_expect_equal(&g);
}
