/* Unsafe recovery: what is left of a node becomes a cluster of its own, wherever it is broken off.
 * Method: a log and a snapshot on a disk in memory, whose operations fail one after the other; the
 * machine may lose its power then, and recovering again goes on. */
#include "node/recover.h"

#include "node/node_internal.h"
#include "node/snapshot.h"
#include "support/wal_fixture.h"
#include "wal/snapfile.h"

#define SELF 7
#define LABEL 4 /* of the snapshot */
#define LAST 9  /* entry */

static const unsigned char old_id[16] = "the old cluster";
static const unsigned char new_id[16] = "the new cluster";

static struct hl_slice members_of(struct hl_buf *out, bool with_self)
{
    struct hl_members members = {0};
    const char *names[] = {"node-1", "node-2", "node-3"};
    for (hl_peer id = SELF; id < SELF + 3; id++) {
        if (id != SELF || with_self) {
            struct hl_slice name = hl_slice_of(names[id - SELF]);
            cr_assert_eq(hl_members_put(&members, id, true, name, hl_slice_of("127.0.0.1:7000"),
                                        hl_slice_of("127.0.0.1:6379")),
                         HL_OK);
        }
    }
    hl_members_encode(&members, out);
    return hl_buf_view(out);
}

static void append_members(struct hl_wal *wal, bool with_self)
{
    struct hl_buf body = {0};
    struct hl_wal_entry entry = {.index = hl_wal_last(wal) + 1,
                                 .term = 1,
                                 .type = HL_WAL_CFG,
                                 .log_time_us = (int64_t)(hl_wal_last(wal) + 1) * 1000,
                                 .feature_level = 1,
                                 .body = members_of(&body, with_self)};
    hl_wal_append(wal, &entry);
    hl_buf_fini(&body);
}

/* A snapshot that holds its members and nothing else. */
static void write_snapshot(const struct hl_disk *disk)
{
    struct hl_snap_label label = {.index = LABEL, .term = 1, .log_time_us = LABEL * 1000};
    memcpy(label.cluster_id, old_id, sizeof old_id);
    struct hl_buf table = {0}, stream = {0};
    hl_buf_append(&table, "cluster", sizeof "cluster");
    hl_buf_append_le64(&table, 1);
    (void)members_of(&table, true);
    hl_buf_append(&stream, "V", 1);
    hl_buf_append_le32(&stream, HL_SNAPSHOT_VERSION);
    hl_buf_append_le32(&stream, 1);
    hl_buf_append(&stream, "T", 1);
    hl_buf_append_le32(&stream, (uint32_t)table.len);
    hl_buf_append(&stream, table.ptr, table.len);
    hl_buf_append(&stream, "E", 1);
    struct hl_snap_writer *writer = NULL;
    cr_assert_eq(hl_snap_writer_open(&writer, disk, "dir", &label, NULL), HL_OK);
    cr_assert_eq(hl_snap_write(writer, stream.ptr, stream.len, NULL), HL_OK);
    cr_assert_eq(hl_snap_writer_finish(writer, NULL), HL_OK);
    cr_assert_eq(hl_snap_publish(disk, "dir", LABEL, NULL), HL_OK);
    hl_buf_fini(&table);
    hl_buf_fini(&stream);
}

static struct hl_wal *open_log(const struct hl_disk *disk)
{
    struct hl_wal *wal = NULL;
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_wal_open(&wal, disk, &small_segments, NULL, &msg), HL_OK, "%s", msg.text);
    return wal;
}

/* The directory of one of three, whose log goes beyond its snapshot; `compacted`: from there on. */
static void make_node(const struct hl_disk *disk, bool compacted)
{
    struct hl_wal *wal = open_log(disk);
    hl_wal_set_identity(wal, old_id, SELF, 3, old_id);
    hl_wal_set_hard_state(wal, 2, SELF);
    append_members(wal, true);
    while (hl_wal_last(wal) < LAST) {
        append_one(wal);
    }
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    if (compacted) {
        write_snapshot(disk);
        hl_wal_drop_before(wal, LABEL + 1, 1);
        cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    }
    hl_wal_close(wal);
}

static hl_err recover(struct hl_wal *wal, const struct hl_disk *disk)
{
    struct hl_recovery found;
    struct hl_errmsg msg = {{0}};
    hl_err err = hl_recovery_look(wal, disk, "dir", &found, &msg);
    cr_assert(err == HL_OK || msg.text[0] != '\0', "a failure must say why");
    return err == HL_OK ? hl_recovery_force(wal, disk, "dir", &found, new_id, &msg) : err;
}

static bool on_members(void *arg, const struct hl_wal_entry *entry)
{
    cr_assert_eq(entry->type, HL_WAL_CFG);
    cr_assert_geq(entry->log_time_us, LAST * 1000);
    cr_assert_eq(hl_members_decode(entry->body, arg, NULL), HL_OK);
    return false;
}

static void check_recovered(struct hl_wal *wal, const struct hl_disk *disk, bool compacted)
{
    const struct hl_wal_meta *meta = hl_wal_meta(wal);
    cr_assert_arr_eq(meta->cluster_id, new_id, sizeof new_id);
    cr_assert_eq(meta->node_id, SELF);
    cr_assert_not(meta->removed);
    hl_index last = hl_wal_last(wal);
    cr_assert_gt(last, LAST);
    struct hl_members members = {0};
    cr_assert_eq(hl_wal_read(wal, last, last, on_members, &members, NULL), HL_OK);
    cr_assert_eq(members.count, 1);
    cr_assert_eq(members.at[0].id, SELF);
    cr_assert(members.at[0].voter);
    cr_assert_str_eq(members.at[0].name, "node-1");
    struct hl_snap_found found;
    cr_assert_eq(hl_snap_find(disk, "dir", false, &found, NULL), compacted ? HL_OK : HL_ENOENT);
    if (compacted) {
        cr_assert_eq(found.label.index, LABEL);
        cr_assert_arr_eq(found.label.cluster_id, new_id, sizeof new_id);
    }
}

/* Fail operation `fail_at` and all after it; true when that is more than recovering needs. */
static bool break_off(bool compacted, int fail_at, enum fake_crash how)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    make_node(&disk, compacted);
    struct hl_wal *wal = open_log(&disk);
    fake->ops = 0;
    fake->fail_at = fail_at;
    fake->fail_for_ever = true;
    bool whole = recover(wal, &disk) == HL_OK;
    hl_wal_close(wal);
    fake_disk_crash(fake, how, (uint64_t)fail_at);
    wal = open_log(&disk);
    const unsigned char *id = hl_wal_meta(wal)->cluster_id;
    bool is_old = memcmp(id, old_id, sizeof old_id) == 0;
    cr_assert(is_old || memcmp(id, new_id, sizeof new_id) == 0);
    cr_assert(!is_old || hl_wal_last(wal) == LAST, "alone under the old id");
    if (!whole) {
        cr_assert_eq(recover(wal, &disk), HL_OK, "operation %d", fail_at);
    }
    check_recovered(wal, &disk, compacted);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
    return whole;
}

Test(recover, broken_off_anywhere_it_can_be_done_again)
{
    const enum fake_crash ways[] = {FAKE_CRASH_PROCESS, FAKE_CRASH_LOSE, FAKE_CRASH_TEAR};
    for (int compacted = 0; compacted < 2; compacted++) {
        for (size_t how = 0; how < HL_ARRAY_LEN(ways); how++) {
            int fail_at = 1;
            while (!break_off(compacted == 1, fail_at, ways[how])) {
                fail_at++;
                cr_assert_lt(fail_at, 500);
            }
            cr_assert_gt(fail_at, 5, "it writes the id, and then the members");
        }
    }
}

Test(recover, a_removed_node_is_recovered_too_and_says_so)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    make_node(&disk, false);
    struct hl_wal *wal = open_log(&disk);
    hl_wal_note_removed(wal, true);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    struct hl_recovery found;
    cr_assert_eq(hl_recovery_look(wal, &disk, "dir", &found, NULL), HL_OK);
    cr_assert(found.removed);
    cr_assert_eq(recover(wal, &disk), HL_OK);
    check_recovered(wal, &disk, false);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}

Test(recover, what_is_no_member_of_a_cluster_is_refused)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_log(&disk);
    cr_assert_eq(recover(wal, &disk), HL_ENOENT);
    hl_wal_set_identity(wal, old_id, SELF, 1, old_id);
    append_members(wal, false);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    cr_assert_eq(recover(wal, &disk), HL_EINVAL);
    cr_assert_arr_eq(hl_wal_meta(wal)->cluster_id, old_id, sizeof old_id);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}
