/* Goal: opening cuts exactly a torn tail, refuses damage with its place, and leaks nothing.
 * Method: a good log, then every single damage to it. */
#include "base/crc32c.h"
#include "support/wal_fixture.h"

#define FIRST "00000000000000000001.wal"

/* A closed log of `count` entries, each synced on its own; where the last one starts and ends. */
static struct fake_disk *make_log(int count, struct hl_disk *disk, size_t *start, size_t *end)
{
    struct fake_disk *fake = fake_disk_create();
    *disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(disk, &small_segments);
    cr_assert_eq(append_synced(wal, count - 1), HL_OK);
    *start = HL_WAL_SEGMENT_HEADER + (size_t)hl_wal_size_used(wal);
    cr_assert_eq(append_synced(wal, 1), HL_OK);
    *end = HL_WAL_SEGMENT_HEADER + (size_t)hl_wal_size_used(wal);
    hl_wal_close(wal);
    return fake;
}

Test(recover, a_tail_torn_at_any_byte_is_cut_and_the_log_goes_on)
{
    struct hl_disk disk;
    size_t start = 0;
    size_t end = 0;
    struct fake_disk *good = make_log(5, &disk, &start, &end);
    for (size_t at = start; at < end; at++) {
        for (int zeroed = 0; zeroed < 2; zeroed++) {
            struct fake_disk *fake = fake_disk_dup(good);
            disk = fake_disk_seam(fake);
            fake_disk_resize(fake, FIRST, at);
            if (zeroed) {
                fake_disk_resize(fake, FIRST, SEGMENT_SIZE);
            }
            struct hl_wal *wal = NULL;
            struct hl_wal_findings found;
            struct hl_errmsg msg = {0};
            cr_assert_eq(hl_wal_open(&wal, &disk, &small_segments, &found, &msg), HL_OK, "%s",
                         msg.text);
            bool lost = at < end - (zeroed ? 6 : 0); /* the last bytes may be zero anyway */
            if (hl_wal_last(wal) == 4) {
                cr_assert_eq(found.file[0] != '\0', at > start, "cut at %zu", at);
            } else {
                cr_assert(!lost || zeroed, "entry 5 survived a cut at %zu", at);
            }
            cr_assert_not(found.damaged);
            check_all(wal, NULL);
            cr_assert_eq(append_synced(wal, 3), HL_OK);
            hl_index last = hl_wal_last(wal);
            hl_wal_close(wal);
            wal = open_good(&disk, &small_segments);
            cr_assert_eq(hl_wal_last(wal), last);
            check_all(wal, NULL);
            hl_wal_close(wal);
            fake_disk_destroy(fake);
        }
    }
    fake_disk_destroy(good);
}

Test(recover, a_flip_of_any_byte_before_the_tail_is_refused_with_its_place)
{
    struct hl_disk disk;
    size_t start = 0;
    size_t end = 0;
    struct fake_disk *good = make_log(5, &disk, &start, &end);
    for (size_t at = 0; at < start; at++) {
        struct fake_disk *fake = fake_disk_dup(good);
        disk = fake_disk_seam(fake);
        char old = fake_disk_file(fake, FIRST)->bytes[at];
        fake_disk_poke(fake, FIRST, at, (char)(old ^ 1 << at % 8));
        struct hl_wal *wal = NULL;
        struct hl_wal_findings found;
        struct hl_errmsg msg = {0};
        cr_assert_eq(hl_wal_open(&wal, &disk, &small_segments, &found, &msg), HL_ECORRUPT,
                     "byte %zu", at);
        cr_assert_null(wal);
        cr_assert_eq(fake->held, 0);
        cr_assert_neq(strstr(msg.text, FIRST ": offset "), NULL, "%s", msg.text);
        cr_assert(found.damaged);
        cr_assert_str_eq(found.file, FIRST);
        cr_assert_leq(found.offset, at);
        cr_assert_eq(fake_disk_file(fake, FIRST)->bytes[at], (char)(old ^ 1 << at % 8),
                     "a refused log is left as it is");
        fake_disk_destroy(fake);
    }
    fake_disk_destroy(good);
}

Test(recover, a_torn_tail_below_the_watermark_is_damage)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    cr_assert_eq(append_synced(wal, 5), HL_OK);
    hl_wal_drop_before(wal, 6, 1); /* a snapshot: the watermark is stored */
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    hl_wal_close(wal);
    fake_disk_resize(fake, FIRST, 500);
    cr_assert_eq(hl_wal_open(&wal, &disk, &small_segments, NULL, NULL), HL_ECORRUPT);
    fake_disk_destroy(fake);
}

Test(recover, after_a_clean_end_a_lost_tail_is_damage)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    cr_assert_eq(append_synced(wal, 5), HL_OK);
    hl_wal_note_watermark(wal);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    cr_assert_eq(hl_wal_meta(wal)->watermark, 5);
    hl_wal_close(wal);
    fake_disk_resize(fake, FIRST, 500);
    cr_assert_eq(hl_wal_open(&wal, &disk, &small_segments, NULL, NULL), HL_ECORRUPT);
    fake_disk_destroy(fake);
}

Test(recover, a_missing_segment_is_damage)
{
    struct fake_disk *good = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(good);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    cr_assert_eq(append_synced(wal, 300), HL_OK);
    hl_wal_close(wal);
    for (int i = 0; i < good->names_count; i++) {
        struct fake_disk *fake = fake_disk_dup(good);
        disk = fake_disk_seam(fake);
        char name[HL_DISK_NAME_MAX];
        memcpy(name, fake->names[i].text, sizeof name);
        cr_assert_eq(disk.remove(fake, "dir", name, NULL), HL_OK);
        struct hl_errmsg msg = {0};
        hl_err err = hl_wal_open(&wal, &disk, &small_segments, NULL, &msg);
        if (err == HL_OK) { /* the last one held only what no later file or watermark tells of */
            cr_assert_geq(hl_wal_last(wal), 250);
            hl_wal_close(wal);
        } else {
            cr_assert_eq(err, HL_ECORRUPT);
            cr_assert_neq(strstr(msg.text, ": offset "), NULL, "%s", msg.text);
        }
        cr_assert_eq(fake->held, 0);
        fake_disk_destroy(fake);
    }
    fake_disk_destroy(good);
}

/* Found by the fuzzer: an emptied segment in the middle looked like one just created. */
/* Method: entries are made durable, before and behind a snapshot; then every segment is removed. */
Test(recover, a_log_without_its_only_segment_is_damage_and_not_a_new_log)
{
    for (int snapshot = 0; snapshot <= 2; snapshot++) {
        struct fake_disk *fake = fake_disk_create();
        struct hl_disk disk = fake_disk_seam(fake);
        struct hl_wal *wal = open_good(&disk, &small_segments);
        cr_assert_eq(append_synced(wal, 3), HL_OK);
        if (snapshot > 0) {
            hl_wal_drop_before(wal, snapshot == 1 ? 3 : 4, 1);
            cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
            cr_assert_eq(append_synced(wal, snapshot == 1 ? 0 : 1), HL_OK);
        }
        hl_wal_close(wal);
        fake_disk_crash(fake, FAKE_CRASH_LOSE, 0);
        cr_assert_eq(disk.remove(disk.ctx, "dir", "00000000000000000001.wal", NULL), HL_OK);
        struct hl_errmsg msg = {0};
        wal = NULL;
        hl_err err = hl_wal_open(&wal, &disk, &small_segments, NULL, &msg);
        cr_assert_eq(err, HL_ECORRUPT, "snapshot %d", snapshot);
        cr_assert(strstr(msg.text, "watermark") != NULL, "%s", msg.text);
        cr_assert_null(wal);
        fake_disk_destroy(fake);
    }
}

/* Method: the fake disk calls all zeros at the end of a file a hole, as some real ones do. */
Test(recover, an_entry_that_ends_in_zeros_is_not_mistaken_for_a_torn_one)
{
    static const char zeros[3000];
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    for (size_t len = 0; len <= sizeof zeros; len += 600) {
        struct hl_wal *wal = open_good(&disk, &small_segments);
        hl_index index = hl_wal_last(wal) + 1;
        struct hl_wal_entry entry = {
            .index = index, .term = 1, .type = HL_WAL_EFFECTS, .body = {.ptr = zeros, .len = len}};
        hl_wal_append(wal, &entry);
        cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
        hl_wal_close(wal);
        fake_disk_crash(fake, FAKE_CRASH_LOSE, 0);
        struct hl_wal_findings found = {0};
        struct hl_errmsg msg = {0};
        cr_assert_eq(hl_wal_open(&wal, &disk, &small_segments, &found, &msg), HL_OK, "%s",
                     msg.text);
        cr_assert_eq(hl_wal_last(wal), index, "%zu zeros", len);
        cr_assert_eq(found.cut_size, 0, "%zu zeros", len);
        cr_assert_eq(hl_wal_size_on_disk(wal) % SEGMENT_SIZE, 0, "the reserved space stays");
        hl_wal_close(wal);
    }
    fake_disk_destroy(fake);
}

/* Method: a sync fails, the process starts again over the same kernel, acknowledges, and then the
 * power goes. */
Test(recover, what_a_failed_sync_left_in_memory_is_stored_before_it_is_called_durable)
{
    for (int torn = 0; torn <= 1; torn++) {
        struct fake_disk *fake = fake_disk_create();
        struct hl_disk disk = fake_disk_seam(fake);
        struct hl_wal *wal = open_good(&disk, &small_segments);
        cr_assert_eq(append_synced(wal, 5), HL_OK);
        for (int i = 0; i < 15; i++) { /* more than a page: nothing later touches all of them */
            append_one(wal);
        }
        fake->fail_syncs = 1;
        cr_assert_eq(hl_wal_flush(wal, NULL), HL_EIO);
        hl_wal_close(wal);
        fake_disk_crash(fake, FAKE_CRASH_PROCESS, 0);
        if (torn == 1) { /* and the last of them was not written wholly */
            int file = -1;
            cr_assert_eq(disk.open(disk.ctx, "dir", "00000000000000000001.wal", false, &file, NULL),
                         HL_OK);
            uint64_t end = 0;
            cr_assert_eq(disk.data_end(disk.ctx, file, &end, NULL), HL_OK);
            cr_assert_eq(disk.pwrite(disk.ctx, file, "XX", 2, end - 4, NULL), HL_OK);
            disk.close(disk.ctx, file);
        }
        wal = open_good(&disk, &small_segments);
        cr_assert_eq(hl_wal_last(wal), torn == 1 ? 19 : 20);
        cr_assert_eq(hl_wal_durable(wal), hl_wal_last(wal));
        cr_assert_eq(append_synced(wal, 3), HL_OK);
        hl_index last = hl_wal_last(wal);
        hl_wal_close(wal);
        fake_disk_crash(fake, FAKE_CRASH_LOSE, 0);
        wal = open_good(&disk, &small_segments);
        cr_assert_eq(hl_wal_last(wal), last);
        check_all(wal, NULL);
        hl_wal_close(wal);
        fake_disk_destroy(fake);
    }
}

Test(recover, a_segment_cut_to_nothing_is_damage_when_it_was_sealed)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    cr_assert_eq(append_synced(wal, 300), HL_OK);
    hl_wal_close(wal);
    fake_disk_resize(fake, FIRST, 0);
    cr_assert_eq(hl_wal_open(&wal, &disk, &small_segments, NULL, NULL), HL_ECORRUPT);
    fake_disk_destroy(fake);
}

Test(recover, a_newer_format_is_refused_naming_both_versions)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    cr_assert_eq(append_synced(wal, 1), HL_OK);
    hl_wal_close(wal);
    char *bytes = fake_disk_file(fake, FIRST)->bytes;
    hl_put_le32(bytes + 8, 7);
    hl_put_le32(bytes + 60, 0);
    /* The checksum of version 7's header, over the same bytes. */

    hl_put_le32(bytes + 60, hl_crc32c(0, bytes, 60));
    struct hl_errmsg msg = {0};
    cr_assert_eq(hl_wal_open(&wal, &disk, &small_segments, NULL, &msg), HL_EVERSION);
    cr_assert_neq(strstr(msg.text, "version 7, this build knows 1"), NULL, "%s", msg.text);
    fake_disk_destroy(fake);
}

Test(recover, opening_releases_everything_whichever_operation_fails)
{
    struct hl_disk disk;
    size_t start = 0;
    size_t end = 0;
    struct fake_disk *good = make_log(5, &disk, &start, &end);
    fake_disk_resize(good, FIRST, end - 9);
    int fail_at = 1;
    for (bool done = false; !done; fail_at++) {
        struct fake_disk *fake = fake_disk_dup(good);
        disk = fake_disk_seam(fake);
        fake->ops = 0;
        fake->fail_at = fail_at;
        struct hl_wal *wal = NULL;
        struct hl_errmsg msg = {0};
        hl_err err = hl_wal_open(&wal, &disk, &small_segments, NULL, &msg);
        if (err == HL_OK) {
            fake->fail_at = 0;
            check_all(wal, NULL);
            hl_wal_close(wal);
            done = true;
        } else {
            cr_assert_eq(err, HL_EIO, "failing operation %d", fail_at);
            cr_assert_null(wal, "out must be untouched on failure");
            cr_assert_neq(msg.text[0], '\0', "a failure must say why");
        }
        cr_assert_eq(fake->held, 0, "leaked after failing operation %d", fail_at);
        fake_disk_destroy(fake);
    }
    cr_assert_gt(fail_at, 10, "only %d", fail_at);
    fake_disk_destroy(good);
}

Test(recover, accepting_loss_keeps_what_is_before_the_damage)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    cr_assert_eq(append_synced(wal, 300), HL_OK);
    hl_wal_close(wal);
    fake_disk_poke(fake, FIRST, 1000, '!');
    struct hl_wal_findings found;
    cr_assert_eq(hl_wal_open(&wal, &disk, &small_segments, &found, NULL), HL_ECORRUPT);
    cr_assert_geq(found.highest, 250);
    cr_assert_lt(found.last, 20);
    struct hl_wal_options lossy = small_segments;
    lossy.repair = HL_WAL_REPAIR_LOSSY;
    cr_assert_eq(hl_wal_open(&wal, &disk, &lossy, &found, NULL), HL_OK);
    cr_assert_eq(hl_wal_last(wal), found.last);
    check_all(wal, NULL);
    cr_assert_eq(append_synced(wal, 100), HL_OK);
    hl_wal_close(wal);
    wal = open_good(&disk, &small_segments);
    cr_assert_eq(hl_wal_last(wal), found.last + 100);
    check_all(wal, NULL);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}

Test(recover, bytes_of_a_client_that_look_like_a_record_do_not_pass_for_one)
{
    /* The client stores the image of a record that claims to prove entry 2, made without the
     * salt; then the record that holds it is torn. */
    char image[HL_WAL_RECORD_HEADER];
    struct hl_wal_entry fake_entry = {.index = 9, .term = 1, .type = HL_WAL_NOP};
    hl_wal_encode_record(image, hl_wal_seed(0), 0, 8, &fake_entry);
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    cr_assert_eq(append_synced(wal, 1), HL_OK);
    struct hl_wal_entry entry = {
        .index = 2, .term = 1, .type = HL_WAL_EFFECTS, .body = {.ptr = image, .len = sizeof image}};
    size_t start = HL_WAL_SEGMENT_HEADER + (size_t)hl_wal_size_used(wal);
    hl_wal_append(wal, &entry);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    hl_wal_close(wal);
    fake_disk_poke(fake, FIRST, start + 16, '!');
    wal = open_good(&disk, &small_segments);
    cr_assert_eq(hl_wal_last(wal), 1);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}
