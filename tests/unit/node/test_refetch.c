/* Goal: a node of several whose log is damaged gives up what it cannot read, says so on its disk
 * before it cuts anything, and only when others vote.
 *
 * Method: groups on disks in memory; a byte of a log changes while its node is down.
 */
#include "node/refetch.h"
#include "unit/node/group.h"
#include "wal/snapname.h"

#define FIRST_SEGMENT "00000000000000000001.wal"
#define EARLY 600 /* bytes into the segment: in an entry that others stand behind */

static struct group g;

static void teardown(void)
{
    group_fini(&g);
}

TestSuite(refetch, .fini = teardown);

/* A node that is down, with a damage in the middle of its log. */
static struct member *damaged(int voters)
{
    group_init(&g, voters);
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    for (int i = 0; i < 20; i++) {
        member_say(leader, a, "SET k v", "+OK\r\n");
    }
    group_run(&g, 40);
    struct member *m = voters == 1 ? leader : &g.at[(leader->at + 1) % voters];
    member_kill(m);
    struct fake_content *content = fake_disk_file(m->fake, FIRST_SEGMENT);
    cr_assert_not_null(content);
    fake_disk_poke(m->fake, FIRST_SEGMENT, EARLY, (char)(content->bytes[EARLY] ^ 0x40));
    return m;
}

static hl_err open_log(struct member *m, struct hl_wal **wal, struct hl_wal_findings *findings,
                       struct hl_errmsg *msg)
{
    const struct hl_wal_options options = {
        .dir = "d", .segment_size = (uint32_t)g.segment_size, .salt = 5};
    return hl_refetch_open(wal, &m->disk, &options, findings, msg);
}

Test(refetch, a_member_cuts_its_log_and_is_marked_until_it_has_everything_again)
{
    struct member *m = damaged(3);
    struct hl_wal *wal = NULL;
    struct hl_wal_findings findings;
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(open_log(m, &wal, &findings, &msg), HL_OK, "%s", msg.text);
    cr_assert(findings.damaged);
    cr_assert_gt(findings.highest, hl_wal_last(wal), "it knows how much it lost");
    cr_assert(hl_refetch_is_due(hl_wal_meta(wal)));
    hl_wal_close(wal);
    fake_disk_crash(m->fake, FAKE_CRASH_LOSE, 0);
    cr_assert_eq(open_log(m, &wal, &findings, &msg), HL_OK, "%s", msg.text);
    cr_assert_not(findings.damaged, "it was cut for good");
    cr_assert(hl_refetch_is_due(hl_wal_meta(wal)), "a restart does not forget the loss");
    hl_wal_close(wal);
    fake_disk_crash(m->fake, FAKE_CRASH_LOSE, 0);
    m->barred = true;
    member_restart(m);
    cr_assert(hl_raft_barred(&m->node->raft));
    group_expect_equal(&g);
    cr_assert_not(hl_raft_barred(&m->node->raft), "it has everything again");
}

Test(refetch, a_node_alone_refuses_and_changes_nothing)
{
    struct member *m = damaged(1);
    struct fake_disk *before = fake_disk_dup(m->fake);
    struct hl_wal *wal = NULL;
    struct hl_wal_findings findings;
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(open_log(m, &wal, &findings, &msg), HL_ECORRUPT);
    cr_assert_null(wal);
    cr_assert_not_null(strstr(msg.text, "helios check"), "%s", msg.text);
    cr_assert_not_null(strstr(msg.text, FIRST_SEGMENT), "%s", msg.text);
    const struct fake_content *now = fake_disk_file(m->fake, FIRST_SEGMENT);
    const struct fake_content *then = fake_disk_file(before, FIRST_SEGMENT);
    cr_assert_eq(now->len, then->len);
    cr_assert_arr_eq(now->bytes, then->bytes, now->len);
    fake_disk_destroy(before);
}

/* The snapshot names the members; when it rots, what the log still holds of it does. */
Test(refetch, a_node_whose_snapshot_rotted_founds_nothing)
{
    group_init(&g, 3);
    struct member *leader = group_lead(&g);
    struct hl_session *a = member_client(leader);
    for (int i = 0; i < 10; i++) {
        member_say(leader, a, "SET k v", "+OK\r\n");
    }
    group_run(&g, 20);
    struct member *follower = &g.at[(leader->at + 1) % 3];
    struct hl_snap_label label = hl_snapshot_label(follower->node);
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_snapshot_write(follower->node, &follower->disk, "d", &label, NULL, &msg),
                 HL_OK);
    cr_assert_eq(hl_snapshot_publish(follower->node, &follower->disk, "d", &label, &msg), HL_OK);
    member_say(leader, a, "SET k w", "+OK\r\n");
    group_run(&g, 20);
    member_kill(follower);
    char name[HL_DISK_NAME_MAX];
    hl_snap_name(name, label.index);
    struct fake_content *content = fake_disk_file(follower->fake, name);
    cr_assert_not_null(content);
    fake_disk_poke(follower->fake, name, content->len / 2,
                   (char)(content->bytes[content->len / 2] ^ 1));
    member_restart(follower);
    cr_assert_eq(hl_node_members(follower->node)->count, 3);
    cr_assert_not(hl_node_leads(follower->node));
    group_expect_equal(&g);
}
