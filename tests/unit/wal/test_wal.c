/* Goal: entries come back as they were appended, in order, whatever the batches were; what is
 * durable is exactly what was synced; a full disk delays and a failed sync ends the log.
 * Method: small segments over a disk in memory. */
#include "support/wal_fixture.h"

Test(wal, what_was_appended_is_read_back_before_and_after_it_is_written)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    cr_assert_eq(hl_wal_first(wal), 1);
    cr_assert_eq(hl_wal_last(wal), 0);
    for (int i = 0; i < 200; i++) {
        append_one(wal);
    }
    cr_assert_eq(hl_wal_last(wal), 200);
    cr_assert_eq(hl_wal_durable(wal), 0);
    check_all(wal, NULL);

    struct hl_wal_batch batch;
    cr_assert(hl_wal_batch_take(wal, &batch));
    cr_assert_eq(batch.first, 1);
    cr_assert_eq(batch.last, 200);
    for (int i = 0; i < 100; i++) {
        append_one(wal);
    }
    check_all(wal, NULL);
    cr_assert_not(hl_wal_batch_take(wal, &batch), "one batch at a time");
    cr_assert_eq(hl_wal_batch_write(wal, &batch, NULL), HL_OK);
    check_all(wal, NULL);
    cr_assert_eq(hl_wal_durable(wal), 0, "durable only when the loop was told");
    hl_wal_batch_done(wal, &batch, HL_OK);
    cr_assert_eq(hl_wal_durable(wal), 200);
    check_all(wal, NULL);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    cr_assert_eq(hl_wal_durable(wal), 300);
    cr_assert_eq(hl_wal_pending_size(wal), 0);
    check_all(wal, NULL);
    hl_wal_close(wal);
    cr_assert_eq(fake->held, 0);

    wal = open_good(&disk, &small_segments);
    cr_assert_eq(hl_wal_last(wal), 300);
    cr_assert_eq(hl_wal_durable(wal), 300);
    check_all(wal, NULL);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}

Test(wal, one_batch_is_one_sync)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    append_one(wal);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    int before = fake->syncs;
    for (int i = 0; i < 10; i++) {
        append_one(wal);
    }
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    cr_assert_eq(fake->syncs, before + 1);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}

Test(wal, an_entry_built_in_place_equals_one_that_was_copied)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    append_one(wal);
    hl_buf_append_text(hl_wal_append_begin(wal), "never mind");
    hl_wal_append_cancel(wal);
    char text[128];
    struct hl_slice body = body_of(text, sizeof text, 2, 1);
    struct hl_buf *buf = hl_wal_append_begin(wal);
    for (size_t i = 0; i < body.len; i++) {
        hl_buf_append(buf, body.ptr + i, 1);
    }
    struct hl_wal_entry entry = {
        .index = 2, .term = 1, .type = HL_WAL_EFFECTS, .log_time_us = 2000, .feature_level = 3};
    hl_wal_append_end(wal, &entry);
    append_one(wal);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    check_all(wal, NULL);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}

static bool measure(void *arg, const struct hl_wal_entry *entry)
{
    size_t *len = arg;
    *len = entry->body.len;
    return true;
}

Test(wal, an_entry_may_be_larger_than_a_segment_or_empty)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    size_t len = 0;
    static char large[3 * SEGMENT_SIZE + 5];
    memset(large, 'x', sizeof large);
    for (hl_index i = 1; i <= 6; i++) {
        struct hl_wal_entry entry = {.index = i, .term = 1, .type = HL_WAL_NOP};
        entry.body = (struct hl_slice){.ptr = large, .len = i % 2 == 0 ? sizeof large : 0};
        hl_wal_append(wal, &entry);
    }
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    hl_wal_close(wal);
    wal = open_good(&disk, &small_segments);
    cr_assert_eq(hl_wal_last(wal), 6);
    for (hl_index i = 1; i <= 6; i++) {
        cr_assert_eq(hl_wal_read(wal, i, i, measure, &len, NULL), HL_OK);
        cr_assert_eq(len, i % 2 == 0 ? sizeof large : 0);
    }
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}

Test(wal, hard_state_and_identity_survive)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    hl_wal_set_hard_state(wal, 7, 42);
    hl_wal_set_identity(wal, (const unsigned char *)"0123456789abcdef", 42, 3,
                        (const unsigned char *)"fedcba9876543210");
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    hl_wal_close(wal);
    fake_disk_crash(fake, FAKE_CRASH_LOSE, 0);
    wal = open_good(&disk, &small_segments);
    const struct hl_wal_meta *meta = hl_wal_meta(wal);
    cr_assert_eq(meta->term, 7);
    cr_assert_eq(meta->vote, 42);
    cr_assert_eq(meta->node_id, 42);
    cr_assert_eq(meta->incarnation, 3);
    cr_assert_eq(meta->salt, 0x5a17);
    cr_assert_arr_eq(meta->cluster_id, "0123456789abcdef", 16);
    cr_assert_arr_eq(meta->boot_id, "fedcba9876543210", 16);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}

Test(wal, a_second_opener_is_told_that_it_is_busy)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    struct hl_wal *other = NULL;
    cr_assert_eq(hl_wal_open(&other, &disk, &small_segments, NULL, NULL), HL_EBUSY);
    cr_assert_null(other);
    struct hl_wal_options look = small_segments;
    look.repair = HL_WAL_READ_ONLY;
    cr_assert_eq(hl_wal_open(&other, &disk, &look, NULL, NULL), HL_OK);
    hl_wal_close(other);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}

Test(wal, written_but_unsynced_counts_in_the_mode_interval_only_until_the_power_fails)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal_options options = small_segments;
    options.sync = HL_WAL_SYNC_INTERVAL;
    struct hl_wal *wal = open_good(&disk, &options);
    append_one(wal);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    cr_assert_eq(hl_wal_durable(wal), 1);
    cr_assert_eq(hl_wal_synced(wal), 0);
    hl_wal_request_sync(wal);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    cr_assert_eq(hl_wal_synced(wal), 1);
    append_one(wal);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    hl_wal_close(wal);
    fake_disk_crash(fake, FAKE_CRASH_LOSE, 0);
    wal = open_good(&disk, &options);
    cr_assert_eq(hl_wal_last(wal), 1);
    check_all(wal, NULL);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}

Test(wal, truncation_takes_what_was_written_what_flies_and_what_waits)
{
    /* Entries 1..10 are written, 11..20 in flight, 21..30 waiting; cut anywhere. */
    for (hl_index from = 1; from <= 31; from++) {
        struct fake_disk *fake = fake_disk_create();
        struct hl_disk disk = fake_disk_seam(fake);
        struct hl_wal *wal = open_good(&disk, &small_segments);
        cr_assert_eq(append_synced(wal, 10), HL_OK);
        for (int i = 0; i < 10; i++) {
            append_one(wal);
        }
        struct hl_wal_batch batch;
        cr_assert(hl_wal_batch_take(wal, &batch));
        for (int i = 0; i < 10; i++) {
            append_one(wal);
        }
        cr_assert_eq(hl_wal_truncate_from(wal, from, NULL), HL_OK);
        cr_assert_eq(hl_wal_last(wal), from - 1);
        struct reading reading = {0};
        for (int i = 0; i < 15; i++) {
            reading.terms[from + (hl_index)i] = 2;
            append_in(wal, 2);
        }
        check_all(wal, &reading);
        cr_assert_eq(hl_wal_batch_write(wal, &batch, NULL), HL_OK);
        hl_wal_batch_done(wal, &batch, HL_OK);
        cr_assert_eq(hl_wal_durable(wal), from - 1 < 20 ? from - 1 : 20);
        check_all(wal, &reading);
        cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
        cr_assert_eq(hl_wal_durable(wal), from + 14);
        check_all(wal, &reading);
        hl_wal_close(wal);
        fake_disk_crash(fake, FAKE_CRASH_LOSE, 0);
        wal = open_good(&disk, &small_segments);
        cr_assert_eq(hl_wal_last(wal), from + 14);
        check_all(wal, &reading);
        hl_wal_close(wal);
        fake_disk_destroy(fake);
    }
}

Test(wal, truncation_limits_no_later_batch)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    cr_assert_eq(append_synced(wal, 10), HL_OK);
    cr_assert_eq(hl_wal_truncate_from(wal, 5, NULL), HL_OK);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(append_synced(wal, 1), HL_OK);
        cr_assert_eq(hl_wal_durable(wal), hl_wal_last(wal), "batch %d after it", i);
    }
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}

/* Goal: who reads on where it stopped gets what is there now, whatever came between.
 * Method: three readers take random pieces of a log that is appended to, flushed and cut. */
Test(wal, who_reads_on_gets_what_is_there_now)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    struct reading readers[3] = {{.next = 1}, {.next = 1}, {.next = 1}};
    uint64_t chance = 11;
    for (int round = 0; round < 4000; round++) {
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        hl_term term = 1 + (hl_term)round / 50;
        hl_index last = hl_wal_last(wal);
        unsigned draw = (unsigned)(chance >> 33) % 20;
        if (draw < 12 && last < 480) {
            for (int i = 0; i < 3; i++) {
                readers[i].terms[last + 1] = term;
            }
            append_in(wal, term);
        } else if (draw < 15) {
            cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
        } else if (draw == 15 && (last > 450 || last % 7 == 0)) {
            hl_index from = 1 + last - last / (2 + (hl_index)(chance >> 40) % 20);
            cr_assert_eq(hl_wal_truncate_from(wal, from, NULL), HL_OK);
            for (int i = 0; i < 3; i++) {
                readers[i].next = readers[i].next < from ? readers[i].next : from;
            }
        } else if (draw > 15) {
            struct reading *reader = &readers[draw % 3];
            hl_index to = reader->next + (hl_index)(chance >> 50) % 30;
            to = to < last ? to : last;
            cr_assert_eq(hl_wal_read(wal, reader->next, to, check_entry, reader, NULL), HL_OK);
            cr_assert_gt(reader->next, to);
        }
    }
    check_all(wal, &readers[0]);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}

Test(wal, truncating_across_segments_removes_their_files)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    cr_assert_eq(append_synced(wal, 300), HL_OK);
    int names = fake->names_count;
    cr_assert_gt(names, 5);
    cr_assert_eq(hl_wal_truncate_from(wal, 3, NULL), HL_OK);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    cr_assert_eq(fake->names_count, 2, "meta and the first segment");
    cr_assert_eq(append_synced(wal, 300), HL_OK);
    check_all(wal, NULL);
    hl_wal_close(wal);
    wal = open_good(&disk, &small_segments);
    cr_assert_eq(hl_wal_last(wal), 302);
    check_all(wal, NULL);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}

Test(wal, whole_segments_before_a_snapshot_are_dropped)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    cr_assert_eq(append_synced(wal, 300), HL_OK);
    uint64_t before = hl_wal_size_on_disk(wal);
    hl_wal_drop_before(wal, 200, 1);
    cr_assert_leq(hl_wal_first(wal), 200);
    cr_assert_gt(hl_wal_first(wal), 100);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    cr_assert_lt(hl_wal_size_on_disk(wal), before);
    check_all(wal, NULL);
    hl_wal_close(wal);
    wal = open_good(&disk, &small_segments);
    cr_assert_eq(hl_wal_meta(wal)->base, 199);
    cr_assert_eq(hl_wal_meta(wal)->base_term, 1);
    cr_assert_eq(hl_wal_last(wal), 300);
    check_all(wal, NULL);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}

Test(wal, a_received_snapshot_empties_the_log)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    cr_assert_eq(append_synced(wal, 100), HL_OK);
    append_one(wal);
    cr_assert_eq(hl_wal_reset(wal, 5000, 1, NULL), HL_OK);
    cr_assert_eq(hl_wal_last(wal), 5000);
    cr_assert_eq(hl_wal_first(wal), 5001);
    cr_assert_eq(hl_wal_durable(wal), 5000);
    cr_assert_eq(fake->names_count, 1, "only meta remains");
    cr_assert_eq(append_synced(wal, 100), HL_OK);
    check_all(wal, NULL);
    hl_wal_close(wal);
    wal = open_good(&disk, &small_segments);
    cr_assert_eq(hl_wal_last(wal), 5100);
    cr_assert_eq(hl_wal_first(wal), 5001);
    check_all(wal, NULL);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}

Test(wal, a_full_disk_delays_and_loses_nothing)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    fake->size_max = 3 * SEGMENT_SIZE;
    hl_err err = HL_OK;
    int tries = 0;
    while (err == HL_OK && tries++ < 1000) {
        append_one(wal);
        err = hl_wal_flush(wal, NULL);
    }
    cr_assert_eq(err, HL_EFULL);
    cr_assert_not(hl_wal_is_poisoned(wal));
    hl_index durable = hl_wal_durable(wal);
    cr_assert_eq(durable, hl_wal_last(wal) - 1);
    append_one(wal);
    check_all(wal, NULL);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_EFULL);
    cr_assert_eq(hl_wal_durable(wal), durable);

    struct fake_disk *twin = fake_disk_dup(fake);
    struct hl_disk twin_disk = fake_disk_seam(twin);
    fake_disk_crash(twin, FAKE_CRASH_LOSE, 0);
    struct hl_wal *after = open_good(&twin_disk, &small_segments);
    cr_assert_geq(hl_wal_last(after), durable, "opening on a full disk works");
    check_all(after, NULL);
    hl_wal_close(after);
    fake_disk_destroy(twin);

    fake->size_max = 0;
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    cr_assert_eq(hl_wal_durable(wal), durable + 2);
    check_all(wal, NULL);
    hl_wal_close(wal);
    wal = open_good(&disk, &small_segments);
    cr_assert_eq(hl_wal_last(wal), durable + 2);
    check_all(wal, NULL);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}

Test(wal, a_failed_sync_poisons_for_ever)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    cr_assert_eq(append_synced(wal, 1), HL_OK);
    append_one(wal);
    struct hl_wal_batch batch;
    cr_assert(hl_wal_batch_take(wal, &batch));
    fake->fail_at = fake->ops + 2; /* the write is the first, its sync the second */
    struct hl_errmsg msg = {0};
    cr_assert_eq(hl_wal_batch_write(wal, &batch, &msg), HL_EIO);
    cr_assert_neq(strstr(msg.text, "fdatasync"), NULL, "%s", msg.text);
    hl_wal_batch_done(wal, &batch, HL_EIO);
    cr_assert(hl_wal_is_poisoned(wal));
    append_one(wal);
    cr_assert_not(hl_wal_batch_take(wal, &batch));
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_EIO);
    cr_assert_eq(hl_wal_durable(wal), 1);
    hl_wal_close(wal);
    cr_assert_eq(fake->held, 0);
    fake_disk_destroy(fake);
}

Test(wal, the_sync_mode_can_change_under_way)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = open_good(&disk, &small_segments);
    cr_assert_eq(append_synced(wal, 1), HL_OK);
    cr_assert_eq(hl_wal_synced(wal), 1);
    hl_wal_set_sync(wal, HL_WAL_SYNC_INTERVAL);
    cr_assert_eq(append_synced(wal, 1), HL_OK);
    cr_assert_eq(hl_wal_durable(wal), 2, "once written");
    cr_assert_eq(hl_wal_synced(wal), 1);

    /* A batch that was planned without a sync ends under the stricter mode. */
    append_one(wal);
    struct hl_wal_batch batch;
    cr_assert(hl_wal_batch_take(wal, &batch));
    cr_assert_eq(hl_wal_batch_write(wal, &batch, NULL), HL_OK);
    hl_wal_set_sync(wal, HL_WAL_SYNC_EVERY);
    hl_wal_batch_done(wal, &batch, HL_OK);
    cr_assert_eq(hl_wal_durable(wal), 2, "not taken back, and not before a sync");
    cr_assert(hl_wal_batch_take(wal, &batch), "a sync is owed, without further entries");
    cr_assert_eq(hl_wal_batch_write(wal, &batch, NULL), HL_OK);
    hl_wal_batch_done(wal, &batch, HL_OK);
    cr_assert_eq(hl_wal_durable(wal), 3);
    cr_assert_eq(hl_wal_synced(wal), 3);
    hl_wal_close(wal);
    fake_disk_destroy(fake);
}
