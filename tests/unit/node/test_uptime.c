/* How long a server runs, over its starts: sessions, crashes, offices, and the file.
 *
 * Method: a server's life is played with given times, its file handed from one start to the next;
 * damaged files are all prefixes of a good one and every one with a bit changed.
 */
#include "node/uptime.h"

#include <criterion/criterion.h>
#include <string.h>

#define DAY_MS (24 * 3600 * 1000LL)
#define START_MS 1700000000000LL

static struct hl_uptime up;
static struct hl_buf file;

static void setup(void)
{
    memset(&up, 0, sizeof up);
}

static void teardown(void)
{
    hl_buf_fini(&file);
}

TestSuite(uptime, .init = setup, .fini = teardown);

/* The server ends `ran_ms` after its start and begins again `down_ms` later. */
static int64_t live(int64_t start_ms, int64_t ran_ms, int64_t down_ms, bool clean)
{
    uint64_t start_us = (uint64_t)start_ms; /* any clock: only differences count */
    hl_uptime_begin(&up, start_ms, start_us);
    hl_buf_clear(&file);
    hl_uptime_encode(&up, start_ms + ran_ms, start_us + (uint64_t)ran_ms * 1000, clean, &file);
    memset(&up, 0, sizeof up);
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_uptime_decode(&up, hl_buf_view(&file), &msg), HL_OK, "%s", msg.text);
    return start_ms + ran_ms + down_ms;
}

Test(uptime, a_first_session_counts_itself)
{
    hl_uptime_begin(&up, START_MS, 500);
    struct hl_uptime_figures f = hl_uptime_figures(&up, START_MS + 10, 10500);
    cr_assert_eq(f.totals.sessions, 1);
    cr_assert_eq(f.restarts, 0);
    cr_assert_eq(f.session_ms, 10);
    cr_assert_eq(f.totals.up_ms, 10);
    cr_assert_eq(f.totals.shortest_ms, 10);
    cr_assert_eq(f.totals.crashes, 0);
    cr_assert_float_eq(f.percent_24h, 100, 1e-9);
    cr_assert_float_eq(f.percent_all, 100, 1e-9);
}

Test(uptime, crashes_and_ends_in_order_are_told_apart_over_restarts)
{
    int64_t at_ms = live(START_MS, 60000, 30000, true);
    at_ms = live(at_ms, 30000, 60000, false);
    hl_uptime_begin(&up, at_ms, 1000);
    struct hl_uptime_figures f = hl_uptime_figures(&up, at_ms + 20000, 1000 + 20000000);
    cr_assert_eq(f.totals.sessions, 3);
    cr_assert_eq(f.restarts, 2);
    cr_assert_eq(f.totals.crashes, 1);
    cr_assert_eq(f.totals.last_crash_ms, (uint64_t)(START_MS + 120000));
    cr_assert_eq(f.totals.last_restart_ms, (uint64_t)at_ms);
    cr_assert_eq(f.totals.up_ms, 110000);
    cr_assert_eq(f.totals.down_ms, 90000);
    cr_assert_eq(f.totals.longest_ms, 60000);
    cr_assert_eq(f.totals.shortest_ms, 20000);
    cr_assert_eq(f.average_ms, 110000 / 3);
    cr_assert_eq(f.mtbf_ms, 110000);
    cr_assert_float_eq(f.percent_all, 55, 1e-9);
    cr_assert_float_eq(f.percent_24h, 55, 1e-9);
    cr_assert_eq(up.past_count, 2);
    cr_assert(up.past[0].clean);
    cr_assert_not(up.past[1].clean);
}

Test(uptime, a_share_is_of_its_window_only)
{
    int64_t at_ms = live(START_MS, DAY_MS, 19 * DAY_MS, true); /* down until day 20 */
    hl_uptime_begin(&up, at_ms, 0);
    int64_t now_ms = at_ms + 2 * DAY_MS;
    struct hl_uptime_figures f = hl_uptime_figures(&up, now_ms, 2 * DAY_MS * 1000ULL);
    cr_assert_float_eq(f.percent_24h, 100, 1e-9);
    cr_assert_float_eq(f.percent_7d, 100.0 * 2 / 7, 1e-6);
    cr_assert_float_eq(f.percent_30d, 100.0 * 3 / 22, 1e-6, "what is not known is not counted");
}

Test(uptime, offices_share_the_time_and_survive)
{
    hl_uptime_begin(&up, START_MS, 0);
    hl_uptime_office(&up, HL_OFFICE_CANDIDATE, 1000000);
    hl_uptime_office(&up, HL_OFFICE_LEADER, 1500000);
    hl_uptime_office(&up, HL_OFFICE_LEADER, 9000000);
    up.elections++;
    up.terms_as_leader++;
    hl_uptime_encode(&up, START_MS + 10000, 10000000, true, &file);
    struct hl_errmsg msg = {{0}};
    struct hl_uptime next = {0};
    cr_assert_eq(hl_uptime_decode(&next, hl_buf_view(&file), &msg), HL_OK);
    hl_uptime_begin(&next, START_MS + 20000, 0);
    struct hl_uptime_figures f = hl_uptime_figures(&next, START_MS + 30000, 10000000);
    cr_assert_eq(f.totals.office_ms[HL_OFFICE_FOLLOWER], 11000);
    cr_assert_eq(f.totals.office_ms[HL_OFFICE_CANDIDATE], 500);
    cr_assert_eq(f.totals.office_ms[HL_OFFICE_LEADER], 8500);
    cr_assert_float_eq(f.leadership_ratio, 0.425, 1e-9);
    cr_assert_eq(f.totals.elections, 1);
    cr_assert_eq(f.totals.terms_as_leader, 1);
}

Test(uptime, a_reset_forgets_all_but_the_session)
{
    int64_t at_ms = live(START_MS, 60000, 30000, false);
    hl_uptime_begin(&up, at_ms, 0);
    up.elections = 7;
    hl_uptime_office(&up, HL_OFFICE_LEADER, 1000000);
    hl_uptime_reset(&up, at_ms + 5000, 5000000);
    struct hl_uptime_figures f = hl_uptime_figures(&up, at_ms + 6000, 6000000);
    cr_assert_eq(f.totals.sessions, 1);
    cr_assert_eq(f.totals.crashes, 0);
    cr_assert_eq(f.totals.elections, 0);
    cr_assert_eq(f.session_ms, 6000);
    cr_assert_eq(f.totals.office_ms[HL_OFFICE_LEADER], 1000);
    cr_assert_eq(f.totals.office_ms[HL_OFFICE_FOLLOWER], 0);
    cr_assert_float_eq(f.percent_all, 100, 1e-9);
}

Test(uptime, more_sessions_than_are_remembered_leave_the_sums_right)
{
    int64_t at_ms = START_MS;
    for (int i = 0; i < HL_UPTIME_PAST_MAX + 10; i++) {
        at_ms = live(at_ms, 1000, 1000, i % 2 == 0);
        cr_assert_leq(file.len, HL_UPTIME_FILE_MAX);
    }
    hl_uptime_begin(&up, at_ms, 0);
    struct hl_uptime_figures f = hl_uptime_figures(&up, at_ms, 0);
    cr_assert_eq(up.past_count, HL_UPTIME_PAST_MAX);
    cr_assert_eq(f.totals.sessions, HL_UPTIME_PAST_MAX + 11);
    cr_assert_eq(f.totals.up_ms, (HL_UPTIME_PAST_MAX + 10) * 1000);
    cr_assert_eq(f.totals.down_ms, (HL_UPTIME_PAST_MAX + 10) * 1000);
    cr_assert_eq(f.totals.crashes, (HL_UPTIME_PAST_MAX + 10) / 2);
}

Test(uptime, a_clock_that_was_set_back_makes_no_nonsense)
{
    (void)live(START_MS, 60000, 0, true);
    hl_uptime_begin(&up, START_MS - DAY_MS, 5000000);
    struct hl_uptime_figures f = hl_uptime_figures(&up, START_MS - 2 * DAY_MS, 4000000);
    cr_assert_eq(f.totals.down_ms, 0);
    cr_assert_eq(f.session_ms, 0);
    cr_assert(f.percent_24h >= 0 && f.percent_24h <= 100);
    cr_assert(f.percent_all >= 0 && f.percent_all <= 100);
}

Test(uptime, a_file_that_is_cut_or_changed_anywhere_is_refused_and_changes_nothing)
{
    (void)live(START_MS, 60000, 30000, false);
    (void)live(START_MS + 90000, 60000, 30000, true);
    struct hl_uptime before;
    memset(&up, 0, sizeof up);
    before = up;
    struct hl_errmsg msg = {{0}};
    for (size_t len = 0; len < file.len; len++) {
        struct hl_slice cut = {.ptr = file.ptr, .len = len};
        cr_assert_neq(hl_uptime_decode(&up, cut, &msg), HL_OK, "cut at %zu", len);
    }
    for (size_t i = 0; i < file.len; i++) {
        file.ptr[i] ^= 0x10;
        cr_assert_neq(hl_uptime_decode(&up, hl_buf_view(&file), &msg), HL_OK, "byte %zu", i);
        file.ptr[i] ^= 0x10;
    }
    cr_assert_eq(memcmp(&before, &up, sizeof up), 0);
    cr_assert_eq(hl_uptime_decode(&up, hl_buf_view(&file), &msg), HL_OK);
}
