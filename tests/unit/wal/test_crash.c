/* Goal: after a crash at any moment, of the process or of the power, the log opens, holds every
 * entry that was durable, and none that was never appended.
 * Method: a seeded workload of batches, truncations, snapshots and votes over small segments, also
 * with several batches in flight whose syncs return in any order; the power goes at its 1st disk
 * operation, its 2nd, ..., and the disk keeps all, nothing or a random part of what was not synced.
 * A disk that lies about syncing must be caught. */
#include "support/wal_fixture.h"

#define INDEX_MAX 512
#define STEPS 60

struct model {
    hl_term terms[INDEX_MAX];   /* of the newest entry appended at an index */
    uint64_t ever[INDEX_MAX];   /* bit t: an entry of term t was appended there */
    hl_index durable;           /* was said to be durable and not truncated since */
    hl_index base;              /* dropped or reset up to here */
    hl_term term, durable_term; /* hard state asked for, and said to be durable */
};

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    return z ^ z >> 27;
}

static hl_err flush(struct hl_wal *wal, struct model *model)
{
    hl_err err = hl_wal_flush(wal, NULL);
    if (err == HL_OK) {
        model->durable = hl_wal_synced(wal);
        model->durable_term = model->term;
    }
    return err;
}

static hl_err truncate(struct hl_wal *wal, struct model *model, uint64_t *random)
{
    hl_index from = hl_wal_last(wal) + 1 - next_random(random) % 30;
    if (from <= model->base || from < hl_wal_first(wal) || from > hl_wal_last(wal)) {
        return HL_OK;
    }
    hl_err err = hl_wal_truncate_from(wal, from, NULL);
    if (err == HL_OK) {
        model->durable = model->durable < from ? model->durable : from - 1;
        hl_wal_set_hard_state(wal, ++model->term, 0);
    }
    return err;
}

static void append_some(struct hl_wal *wal, struct model *model, uint64_t *random, uint64_t most)
{
    for (uint64_t i = next_random(random) % most; i > 0 && hl_wal_last(wal) + 1 < INDEX_MAX; i--) {
        hl_index index = hl_wal_last(wal) + 1;
        model->terms[index] = model->term;
        model->ever[index] |= (uint64_t)1 << model->term;
        append_in(wal, model->term);
    }
}

static hl_err work(struct hl_wal *wal, struct model *model, uint64_t *random)
{
    for (int step = 0; step < STEPS; step++) {
        hl_err err = HL_OK;
        uint64_t dice = next_random(random) % 16;
        if (dice == 0 && model->term < 60) {
            err = truncate(wal, model, random);
        } else if (dice == 1 && model->durable > 20) {
            bool ahead = next_random(random) % 4 == 0; /* of what is synced */
            hl_index newest = ahead ? hl_wal_last(wal) : model->durable;
            model->base = newest - next_random(random) % 20;
            hl_wal_drop_before(wal, model->base + 1, 1);
            model->base = hl_wal_meta(wal)->base;
        } else if (dice == 2 && next_random(random) % 8 == 0) {
            hl_index base = hl_wal_last(wal) + next_random(random) % 5;
            model->durable = 0; /* until it is done, anything may be left */
            err = hl_wal_reset(wal, base, 1, NULL);
            model->base = base;
            model->durable = err == HL_OK ? base : 0;
        } else {
            append_some(wal, model, random, 12);
        }
        if (err == HL_OK && dice % 2 == 0) {
            err = flush(wal, model);
        }
        if (err != HL_OK) {
            return err;
        }
    }
    return flush(wal, model);
}

struct flight {
    struct hl_wal_batch batch;
    hl_term term; /* of the hard state that it makes durable */
    bool synced;
};

/* Batches in flight, oldest first, as the threads of a server hold them. */
struct flights {
    struct flight at[HL_WAL_FLIGHTS_MAX];
    int count;
    int most; /* that there ever were */
};

static struct flights flights;

static hl_err put_next(struct hl_wal *wal, const struct model *model)
{
    struct flight *flight = &flights.at[flights.count];
    if (flights.count == HL_WAL_FLIGHTS_MAX || !hl_wal_batch_take(wal, &flight->batch)) {
        return HL_OK;
    }
    flight->term = model->term;
    flight->synced = false;
    flights.count++;
    flights.most = flights.count > flights.most ? flights.count : flights.most;
    return hl_wal_batch_put(wal, &flight->batch, NULL);
}

static hl_err sync_any(struct hl_wal *wal, uint64_t *random)
{
    struct flight *flight = &flights.at[next_random(random) % (uint64_t)flights.count];
    if (flight->synced) {
        return HL_OK;
    }
    hl_err err = hl_wal_batch_sync(wal, &flight->batch, NULL);
    flight->synced = err == HL_OK;
    return err;
}

static void end_oldest(struct hl_wal *wal, struct model *model)
{
    hl_wal_batch_done(wal, &flights.at[0].batch, flights.at[0].synced ? HL_OK : HL_EIO);
    if (!hl_wal_is_poisoned(wal)) {
        model->durable = hl_wal_synced(wal);
        model->durable_term = flights.at[0].term;
    }
    flights.count--;
    memmove(flights.at, flights.at + 1, (size_t)flights.count * sizeof *flights.at);
}

/* As work(), with what threads do at the same time brought into some order. */
static hl_err work_overlapped(struct hl_wal *wal, struct model *model, uint64_t *random)
{
    hl_wal_set_overlap(wal, HL_WAL_FLIGHTS_MAX);
    flights.count = 0;
    hl_err err = HL_OK;
    for (int step = 0; err == HL_OK && step < STEPS * 4; step++) {
        uint64_t dice = next_random(random) % 32;
        if (dice == 0 && model->term < 60) {
            err = truncate(wal, model, random);
        } else if (dice == 1 && model->durable > 20) {
            hl_wal_drop_before(wal, model->durable - next_random(random) % 20 + 1, 1);
            model->base = hl_wal_meta(wal)->base;
        } else if (dice < 10) {
            append_some(wal, model, random, 4); /* so that a segment holds many batches */
        } else if (dice < 20) {
            err = put_next(wal, model);
        } else if (dice < 27 && flights.count > 0) {
            err = sync_any(wal, random);
        } else if (flights.count > 0 && flights.at[0].synced) {
            end_oldest(wal, model);
        }
    }
    while (flights.count > 0) {
        struct flight *oldest = &flights.at[0];
        if (err == HL_OK && !oldest->synced) {
            err = hl_wal_batch_sync(wal, &oldest->batch, NULL);
            oldest->synced = err == HL_OK;
        }
        end_oldest(wal, model); /* badly, when the power went before its sync */
    }
    return err == HL_OK ? flush(wal, model) : err;
}

typedef hl_err (*work_fn)(struct hl_wal *wal, struct model *model, uint64_t *random);

static bool check_survivor(void *arg, const struct hl_wal_entry *entry)
{
    const struct model *model = arg;
    char text[128];
    struct hl_slice body = body_of(text, sizeof text, entry->index, entry->term);
    cr_assert(hl_slice_equal(entry->body, body));
    cr_assert(entry->term < 64 && (model->ever[entry->index] >> entry->term & 1) != 0,
              "entry %llu was never appended", (unsigned long long)entry->index);
    if (entry->index <= model->durable) {
        cr_assert_eq(entry->term, model->terms[entry->index], "entry %llu is an old one",
                     (unsigned long long)entry->index);
    }
    return true;
}

/* Does the log hold what the model says? */
static bool survives(struct fake_disk *fake, struct model *model, const struct hl_wal_options *how)
{
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_wal *wal = NULL;
    struct hl_errmsg msg = {0};
    if (hl_wal_open(&wal, &disk, how, NULL, &msg) != HL_OK) {
        if (!fake->lies) {
            cr_log_error("%s", msg.text);
        }
        return false;
    }
    bool holds = hl_wal_last(wal) >= model->durable &&
                 hl_wal_meta(wal)->term >= model->durable_term &&
                 (hl_wal_first(wal) <= hl_wal_meta(wal)->base + 1);
    if (holds) {
        holds = hl_wal_read(wal, hl_wal_first(wal), hl_wal_last(wal), check_survivor, model,
                            NULL) == HL_OK;
    }
    if (!holds && !fake->lies) {
        cr_log_error("holds %llu..%llu, base %llu; durable were %llu, base %llu",
                     (unsigned long long)hl_wal_first(wal), (unsigned long long)hl_wal_last(wal),
                     (unsigned long long)hl_wal_meta(wal)->base, (unsigned long long)model->durable,
                     (unsigned long long)model->base);
    }
    hl_wal_close(wal);
    cr_assert_eq(fake->held, 0);
    return holds;
}

/* Run with the power going at operation `fail_at`; false when the workload ended before. */
static bool run(uint64_t seed, int fail_at, work_fn work_by, enum hl_wal_sync sync, bool lies,
                int *lost)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    fake->lies = lies;
    struct hl_wal_options options = small_segments;
    options.sync = sync;
    static struct model model;
    model = (struct model){.term = 1};
    struct hl_wal *wal = open_good(&disk, &options);
    hl_wal_set_hard_state(wal, 1, 0);
    cr_assert_eq(hl_wal_flush(wal, NULL), HL_OK);
    fake->ops = 0;
    fake->fail_at = fail_at;
    fake->fail_for_ever = true;
    uint64_t random = seed;
    bool ended = work_by(wal, &model, &random) == HL_OK;
    hl_wal_close(wal);
    for (int how = FAKE_CRASH_PROCESS; how <= FAKE_CRASH_TEAR; how++) {
        int variants = how == FAKE_CRASH_TEAR ? 3 : 1;
        for (int v = 0; v < variants; v++) {
            struct fake_disk *twin = fake_disk_dup(fake);
            fake_disk_crash(twin, (enum fake_crash)how, seed * 77 + (uint64_t)(fail_at * 3 + v));
            bool good = survives(twin, &model, &options);
            *lost += !good;
            cr_assert(good || lies, "seed %llu, power lost at operation %d, crash %d.%d",
                      (unsigned long long)seed, fail_at, how, v);
            if (good && !lies) { /* and what recovery decided is final */
                fake_disk_crash(twin, FAKE_CRASH_LOSE, 0);
                cr_assert(survives(twin, &model, &options),
                          "seed %llu op %d crash %d.%d: second crash", (unsigned long long)seed,
                          fail_at, how, v);
            }
            fake_disk_destroy(twin);
        }
    }
    fake_disk_destroy(fake);
    return !ended;
}

Test(crash, no_moment_to_lose_power_loses_a_durable_entry)
{
    int lost = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        int fail_at = 1;
        while (run(seed, fail_at, work, HL_WAL_SYNC_EVERY, false, &lost)) {
            fail_at++;
        }
        cr_assert_gt(fail_at, 50);
    }
}

Test(crash, nor_does_it_between_any_two_steps_of_several_batches_in_flight)
{
    int lost = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        int fail_at = 1;
        while (run(seed, fail_at, work_overlapped, HL_WAL_SYNC_EVERY, false, &lost)) {
            fail_at++;
        }
        cr_assert_gt(fail_at, 50);
    }
    cr_assert_gt(flights.most, 3, "they hardly overlapped");
}

Test(crash, nor_does_it_when_syncs_are_rare)
{
    int lost = 0;
    for (uint64_t seed = 11; seed <= 30; seed++) {
        int fail_at = 1;
        while (run(seed, fail_at, work, HL_WAL_SYNC_INTERVAL, false, &lost)) {
            fail_at++;
        }
    }
}

Test(crash, a_disk_that_lies_about_syncing_is_found_out)
{
    int lost = 0;
    for (int fail_at = 40; fail_at < 60; fail_at++) {
        run(1, fail_at, work, HL_WAL_SYNC_EVERY, true, &lost);
    }
    cr_assert_gt(lost, 20, "this test could not fail");
    lost = 0;
    for (int fail_at = 40; fail_at < 60; fail_at++) {
        run(1, fail_at, work_overlapped, HL_WAL_SYNC_EVERY, true, &lost);
    }
    cr_assert_gt(lost, 20, "this test could not fail");
}
