/* Goal: with several batches in flight what is durable has no gaps, whichever sync returns first
 * and whichever fails; and whatever is more than an append waits for its turn. Method: the halves
 * of a write are called by hand, in any order that threads could bring about, over a disk in
 * memory. */
#include "support/wal_fixture.h"

#define OVERLAP 4
#define LARGE_SEGMENT (4 * SEGMENT_SIZE)

static const struct hl_wal_options options = {
    .dir = "dir", .segment_size = LARGE_SEGMENT, .salt = 0x5a17};

struct flights {
    struct fake_disk *fake;
    struct hl_disk disk;
    struct hl_wal *wal;
    struct hl_wal_batch batches[HL_WAL_FLIGHTS_MAX];
};

static struct flights f;

static void set_up(void)
{
    f.fake = fake_disk_create();
    f.disk = fake_disk_seam(f.fake);
    f.wal = open_good(&f.disk, &options);
    cr_assert_eq(append_synced(f.wal, 10), HL_OK);
    hl_wal_set_overlap(f.wal, OVERLAP);
}

static void tear_down(void)
{
    hl_wal_close(f.wal);
    cr_assert_eq(f.fake->held, 0);
    fake_disk_destroy(f.fake);
}

TestSuite(overlap, .init = set_up, .fini = tear_down);

/* Append `count` entries and take them as flight `n`. */
static void take(int n, int count)
{
    for (int i = 0; i < count; i++) {
        append_one(f.wal);
    }
    cr_assert(hl_wal_batch_take(f.wal, &f.batches[n]));
    cr_assert(f.batches[n].shares && !f.batches[n].again);
}

static void take_and_put(int n, int count)
{
    take(n, count);
    cr_assert_eq(hl_wal_batch_put(f.wal, &f.batches[n], NULL), HL_OK);
}

static void sync_one(int n)
{
    cr_assert_eq(hl_wal_batch_sync(f.wal, &f.batches[n], NULL), HL_OK);
}

static void end(int n)
{
    hl_wal_batch_done(f.wal, &f.batches[n], HL_OK);
}

static void reopen_after(enum fake_crash how)
{
    hl_wal_close(f.wal);
    fake_disk_crash(f.fake, how, 1);
    f.wal = open_good(&f.disk, &options);
    hl_wal_set_overlap(f.wal, OVERLAP);
}

Test(overlap, batches_that_only_append_fly_together_and_end_in_order)
{
    for (int n = 0; n < OVERLAP; n++) {
        take(n, 2);
        check_all(f.wal, NULL);
    }
    append_one(f.wal);
    struct hl_wal_batch more;
    cr_assert_not(hl_wal_batch_take(f.wal, &more), "no more than were allowed");
    for (int n = 0; n < OVERLAP; n++) {
        cr_assert_eq(hl_wal_batch_put(f.wal, &f.batches[n], NULL), HL_OK);
    }
    static const int order[OVERLAP] = {2, 0, 3, 1};
    for (int i = 0; i < OVERLAP; i++) {
        sync_one(order[i]);
        cr_assert_eq(hl_wal_durable(f.wal), 10);
    }
    for (int n = 0; n < OVERLAP; n++) {
        end(n);
        cr_assert_eq(hl_wal_durable(f.wal), 12 + 2 * (hl_index)n);
        check_all(f.wal, NULL);
    }
    cr_assert_eq(hl_wal_flush(f.wal, NULL), HL_OK);
    cr_assert_eq(hl_wal_durable(f.wal), 19);
    cr_assert_eq(hl_wal_pending_size(f.wal), 0);
    reopen_after(FAKE_CRASH_LOSE);
    cr_assert_eq(hl_wal_last(f.wal), 19);
    check_all(f.wal, NULL);
}

Test(overlap, a_sync_covers_what_was_put_before_it_began)
{
    take_and_put(0, 3);
    take_and_put(1, 3);
    int syncs = f.fake->syncs;
    sync_one(0);
    sync_one(1);
    cr_assert_eq(f.fake->syncs, syncs + 2, "each proves itself");
    end(0);
    end(1);
    cr_assert_eq(hl_wal_synced(f.wal), 16);
    reopen_after(FAKE_CRASH_LOSE);
    cr_assert_eq(hl_wal_last(f.wal), 16);
}

Test(overlap, without_leave_there_is_one_at_a_time)
{
    hl_wal_set_overlap(f.wal, 1);
    append_one(f.wal);
    struct hl_wal_batch batch;
    cr_assert(hl_wal_batch_take(f.wal, &batch));
    cr_assert_not(batch.shares);
    append_one(f.wal);
    hl_wal_set_overlap(f.wal, OVERLAP); /* from the next one on */
    cr_assert_not(hl_wal_batch_take(f.wal, &f.batches[0]));
    cr_assert_eq(hl_wal_batch_write(f.wal, &batch, NULL), HL_OK);
    hl_wal_batch_done(f.wal, &batch, HL_OK);
    take_and_put(0, 1);
    sync_one(0);
    end(0);
}

enum chore { VOTE, DROP, CUT, SEGMENT, SYNC, RARE, CHORES };

static void ask_for(enum chore chore)
{
    static const char large[LARGE_SEGMENT];
    struct hl_wal_entry entry = {.index = hl_wal_last(f.wal) + 1, .term = 1, .type = HL_WAL_NOP};
    switch (chore) {
    case VOTE:
        hl_wal_set_hard_state(f.wal, 2, 1);
        break;
    case DROP:
        hl_wal_drop_before(f.wal, 5, 1);
        break;
    case CUT:
        cr_assert_eq(hl_wal_truncate_from(f.wal, 8, NULL), HL_OK);
        append_one(f.wal);
        break;
    case SEGMENT:
        entry.body = (struct hl_slice){.ptr = large, .len = sizeof large};
        hl_wal_append(f.wal, &entry);
        break;
    case SYNC:
        hl_wal_request_sync(f.wal);
        break;
    case RARE:
        hl_wal_set_sync(f.wal, HL_WAL_SYNC_NONE);
        append_one(f.wal);
        break;
    case CHORES:
        cr_assert(false);
    }
}

Test(overlap, whatever_is_more_than_an_append_flies_alone)
{
    for (int chore = 0; chore < CHORES; chore++) {
        take_and_put(0, 1);
        ask_for((enum chore)chore);
        struct hl_wal_batch alone;
        cr_assert_not(hl_wal_batch_take(f.wal, &alone), "chore %d waits for flights", chore);
        sync_one(0);
        end(0);
        cr_assert(hl_wal_batch_take(f.wal, &alone), "chore %d", chore);
        cr_assert_not(alone.shares);
        append_one(f.wal);
        cr_assert_not(hl_wal_batch_take(f.wal, &f.batches[1]), "nothing joins chore %d", chore);
        cr_assert_eq(hl_wal_batch_write(f.wal, &alone, NULL), HL_OK);
        hl_wal_batch_done(f.wal, &alone, HL_OK);
        hl_wal_set_sync(f.wal, HL_WAL_SYNC_EVERY);
        cr_assert_eq(hl_wal_flush(f.wal, NULL), HL_OK);
        cr_assert_eq(hl_wal_durable(f.wal), hl_wal_last(f.wal));
        tear_down();
        set_up();
    }
}

Test(overlap, handles_of_a_segment_go_with_it)
{
    int most = 0;
    int segments = 0;
    for (int i = 0; i < 500; i++) {
        append_one(f.wal);
        struct hl_wal_batch batch;
        cr_assert(hl_wal_batch_take(f.wal, &batch));
        cr_assert_eq(hl_wal_batch_write(f.wal, &batch, NULL), HL_OK);
        hl_wal_batch_done(f.wal, &batch, HL_OK);
        most = f.fake->held > most ? f.fake->held : most;
        if (!batch.shares) {
            segments++;
            cr_assert_eq(f.fake->held, 2, "the lock and the new segment");
        }
    }
    cr_assert_gt(segments, 1);
    cr_assert_gt(most, 2 + OVERLAP);
}

Test(overlap, a_sync_that_fails_is_final_though_later_ones_returned_well)
{
    for (int failing = 0; failing < 3; failing++) {
        for (int n = 0; n < 3; n++) {
            take_and_put(n, 2);
        }
        for (int n = 2; n >= 0; n--) { /* the later ones return first */
            if (n == failing) {
                f.fake->fail_at = f.fake->ops + 1;
                cr_assert_eq(hl_wal_batch_sync(f.wal, &f.batches[n], NULL), HL_EIO);
            } else {
                sync_one(n);
            }
        }
        for (int n = 0; n < 3; n++) {
            hl_wal_batch_done(f.wal, &f.batches[n], n == failing ? HL_EIO : HL_OK);
            hl_index good = 10 + 2 * (hl_index)(n < failing ? n + 1 : failing);
            cr_assert_eq(hl_wal_durable(f.wal), good, "%d failed, %d ended", failing, n);
            cr_assert_eq(hl_wal_synced(f.wal), good);
            cr_assert_eq(hl_wal_is_poisoned(f.wal), n >= failing);
        }
        append_one(f.wal);
        struct hl_wal_batch more;
        cr_assert_not(hl_wal_batch_take(f.wal, &more));
        cr_assert_eq(hl_wal_flush(f.wal, NULL), HL_EIO);
        tear_down();
        set_up();
    }
}

static hl_err (*inner_fdatasync)(void *ctx, int file, struct hl_errmsg *msg);
static int handle; /* synced last */

static hl_err note_handle(void *ctx, int file, struct hl_errmsg *msg)
{
    handle = file;
    return inner_fdatasync(ctx, file, msg);
}

/* Or of two syncs the later could be told what the earlier one's bytes met (W9). */
Test(overlap, each_sync_has_a_handle_of_its_own_opened_before_its_bytes_are_written)
{
    take(0, 1);
    int held = f.fake->held;
    f.fake->fail_at = f.fake->ops + 2;
    f.fake->fail_with = HL_EFULL;
    struct hl_errmsg msg = {0};
    cr_assert_eq(hl_wal_batch_put(f.wal, &f.batches[0], &msg), HL_EFULL);
    cr_assert_neq(strstr(msg.text, "write"), NULL, "%s", msg.text);
    cr_assert_eq(f.fake->held, held + 1);
    hl_wal_batch_done(f.wal, &f.batches[0], HL_EFULL);
    cr_assert_eq(hl_wal_flush(f.wal, NULL), HL_OK);
    take_and_put(0, 1);
    take_and_put(1, 1);
    cr_assert_eq(f.fake->held, held + 3);
    inner_fdatasync = f.disk.fdatasync;
    f.disk.fdatasync = note_handle;
    sync_one(0);
    int first = handle;
    sync_one(1);
    cr_assert_neq(handle, first);
    end(0);
    end(1);
}

Test(overlap, where_no_handle_is_to_be_had_the_sync_is_part_of_putting)
{
    take_and_put(0, 1);
    take(1, 1);
    f.fake->fail_at = f.fake->ops + 1;
    f.fake->fail_with = HL_EFULL;
    int syncs = f.fake->syncs;
    cr_assert_eq(hl_wal_batch_put(f.wal, &f.batches[1], NULL), HL_OK);
    cr_assert_eq(f.fake->syncs, syncs + 1);
    take_and_put(2, 1);
    sync_one(1);
    cr_assert_eq(f.fake->syncs, syncs + 1);
    sync_one(0);
    end(0);
    end(1);
    cr_assert_eq(hl_wal_durable(f.wal), 12);
    sync_one(2);
    end(2);
    reopen_after(FAKE_CRASH_LOSE);
    cr_assert_eq(hl_wal_last(f.wal), 13);

    cr_assert_eq(append_synced(f.wal, 2), HL_OK);
    take(0, 1);
    f.fake->fail_at = f.fake->ops + 1;
    f.fake->fail_with = HL_EIO;
    cr_assert_eq(hl_wal_batch_put(f.wal, &f.batches[0], NULL), HL_EIO);
    hl_wal_batch_done(f.wal, &f.batches[0], HL_EIO);
}

Test(overlap, a_disk_that_is_full_in_the_middle_delays_and_loses_nothing)
{
    for (int n = 0; n < 4; n++) {
        take(n, 2);
    }
    cr_assert_eq(hl_wal_batch_put(f.wal, &f.batches[0], NULL), HL_OK);
    f.fake->fail_at = f.fake->ops + 2;
    f.fake->fail_with = HL_EFULL;
    cr_assert_eq(hl_wal_batch_put(f.wal, &f.batches[1], NULL), HL_EFULL);
    int ops = f.fake->ops;
    struct hl_errmsg msg = {0};
    for (int n = 2; n < 4; n++) {
        cr_assert_eq(hl_wal_batch_put(f.wal, &f.batches[n], &msg), HL_EFULL, "no gap is left");
        cr_assert_neq(msg.text[0], '\0');
    }
    cr_assert_eq(f.fake->ops, ops);
    sync_one(0);
    end(0);
    cr_assert_eq(hl_wal_durable(f.wal), 12);
    append_one(f.wal);
    struct hl_wal_batch again;
    for (int n = 1; n < 4; n++) {
        hl_wal_batch_done(f.wal, &f.batches[n], HL_EFULL);
        check_all(f.wal, NULL);
        cr_assert(n == 3 || !hl_wal_batch_take(f.wal, &again), "flight %d ended, not all", n);
    }
    cr_assert_not(hl_wal_is_poisoned(f.wal));
    for (int n = 1; n < 4; n++) {
        cr_assert(hl_wal_batch_take(f.wal, &again));
        cr_assert_eq(again.first, f.batches[n].first);
        cr_assert_eq(again.last, f.batches[n].last);
        cr_assert(again.again);
        struct hl_wal_batch more;
        cr_assert(n == 3 || !hl_wal_batch_take(f.wal, &more), "one by one");
        cr_assert_eq(hl_wal_batch_write(f.wal, &again, NULL), HL_OK);
        hl_wal_batch_done(f.wal, &again, HL_OK);
        cr_assert_eq(hl_wal_durable(f.wal), again.last);
    }
    cr_assert_eq(hl_wal_flush(f.wal, NULL), HL_OK);
    cr_assert_eq(hl_wal_durable(f.wal), 19);
    reopen_after(FAKE_CRASH_LOSE);
    cr_assert_eq(hl_wal_last(f.wal), 19);
    check_all(f.wal, NULL);
}

Test(overlap, what_was_kept_for_want_of_space_can_be_emptied_away)
{
    take(0, 2);
    take(1, 2);
    f.fake->fail_at = f.fake->ops + 2;
    f.fake->fail_with = HL_EFULL;
    for (int n = 0; n < 2; n++) {
        cr_assert_eq(hl_wal_batch_put(f.wal, &f.batches[n], NULL), HL_EFULL);
        hl_wal_batch_done(f.wal, &f.batches[n], HL_EFULL);
    }
    cr_assert_eq(hl_wal_reset(f.wal, 100, 1, NULL), HL_OK);
    cr_assert_eq(hl_wal_last(f.wal), 100);
    cr_assert_eq(append_synced(f.wal, 3), HL_OK);
    reopen_after(FAKE_CRASH_LOSE);
    cr_assert_eq(hl_wal_first(f.wal), 101);
    cr_assert_eq(hl_wal_last(f.wal), 103);
    check_all(f.wal, NULL);
}

/* Entries 1..10 are durable, 11..14, 15..18 and 19..22 in flight, 23..26 waiting. */
static void truncate_at(hl_index from)
{
    for (int n = 0; n < 3; n++) {
        take(n, 4);
    }
    for (int i = 0; i < 4; i++) {
        append_one(f.wal);
    }
    cr_assert_eq(hl_wal_batch_put(f.wal, &f.batches[0], NULL), HL_OK);
    cr_assert_eq(hl_wal_truncate_from(f.wal, from, NULL), HL_OK);
    cr_assert_eq(hl_wal_last(f.wal), from - 1);
    struct reading reading = {0};
    for (hl_index i = from; i < from + 15; i++) {
        reading.terms[i] = 2;
        append_in(f.wal, 2);
    }
    check_all(f.wal, &reading);
    struct hl_wal_batch next;
    cr_assert_eq(hl_wal_batch_take(f.wal, &next), from > 22, "a cut of the file waits");
    for (int n = 1; n < 3; n++) {
        cr_assert_eq(hl_wal_batch_put(f.wal, &f.batches[n], NULL), HL_OK);
    }
    for (int n = 2; n >= 0; n--) {
        sync_one(n);
        check_all(f.wal, &reading);
    }
    for (int n = 0; n < 3; n++) {
        end(n);
        hl_index last = f.batches[n].last;
        cr_assert_eq(hl_wal_durable(f.wal), from - 1 < last ? from - 1 : last);
        check_all(f.wal, &reading);
    }
    if (from > 22) {
        cr_assert_eq(hl_wal_batch_write(f.wal, &next, NULL), HL_OK);
        hl_wal_batch_done(f.wal, &next, HL_OK);
    }
    cr_assert_eq(hl_wal_flush(f.wal, NULL), HL_OK);
    cr_assert_eq(hl_wal_durable(f.wal), from + 14);
    check_all(f.wal, &reading);
    reopen_after(FAKE_CRASH_LOSE);
    cr_assert_eq(hl_wal_last(f.wal), from + 14);
    check_all(f.wal, &reading);
}

Test(overlap, truncation_takes_what_flies_and_what_waits)
{
    for (hl_index from = 1; from <= 27; from++) {
        truncate_at(from);
        tear_down();
        set_up();
    }
}
