/* How long members take to answer: which answer ends which call, and the figures of them.
 *
 * Method: the functions alone, with times given; the figures are compared with those of a list that
 * is short enough to be counted by hand.
 */
#include "node/rpc_stats.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define A 11
#define B 12
#define SELF 10

static struct hl_rpc_stats stats;
static uint64_t seen_ok, seen_failed, seen_us;

static void observe(void *ctx, hl_peer peer, enum hl_rpc kind, bool ok, uint64_t took_us)
{
    (void)ctx;
    (void)peer;
    (void)kind;
    seen_ok += ok;
    seen_failed += !ok;
    seen_us += took_us;
}

static void put(struct hl_members *members, hl_peer id, const char *name)
{
    cr_assert_eq(hl_members_put(members, id, true, hl_slice_of(name), hl_slice_of("127.0.0.1:1"),
                                hl_slice_of("127.0.0.1:2")),
                 HL_OK);
}

static void setup(void)
{
    struct hl_members members = {0};
    memset(&stats, 0, sizeof stats);
    put(&members, SELF, "self");
    put(&members, A, "a");
    put(&members, B, "b");
    hl_rpc_members(&stats, &members, SELF);
    stats.observer = observe;
    seen_ok = seen_failed = seen_us = 0;
}

static void teardown(void)
{
    hl_rpc_fini(&stats);
}

TestSuite(rpc_stats, .init = setup, .fini = teardown);

static struct hl_rpc_now at(uint64_t us)
{
    return (struct hl_rpc_now){.mono_us = us, .wall_ms = 1000000 + (int64_t)us / 1000};
}

static struct hl_rpc_mark mark(uint64_t round, uint64_t entry)
{
    return (struct hl_rpc_mark){.round = round, .entry = entry};
}

static struct hl_rpc_summary of(hl_peer id, enum hl_rpc kind)
{
    return hl_rpc_summarize(&hl_rpc_peer(&stats, id)->series[kind]);
}

Test(rpc_stats, an_answer_that_covers_the_call_ends_it_and_an_older_one_does_not)
{
    hl_rpc_sent(&stats, A, HL_RPC_APPEND_ENTRIES, mark(3, 50), at(1000));
    hl_rpc_answered(&stats, A, HL_RPC_APPEND_ENTRIES, mark(2, 50), at(1100));
    hl_rpc_answered(&stats, A, HL_RPC_APPEND_ENTRIES, mark(3, 49), at(1200));
    hl_rpc_answered(&stats, B, HL_RPC_APPEND_ENTRIES, mark(3, 50), at(1300));
    hl_rpc_answered(&stats, A, HL_RPC_REQUEST_VOTE, HL_RPC_ANY, at(1300));
    cr_assert_eq(of(A, HL_RPC_APPEND_ENTRIES).count, 0);
    hl_rpc_answered(&stats, A, HL_RPC_APPEND_ENTRIES, mark(3, 51), at(3500));
    cr_assert_eq(of(A, HL_RPC_APPEND_ENTRIES).count, 1);
    cr_assert_float_eq(of(A, HL_RPC_APPEND_ENTRIES).last_ms, 2.5, 1e-9);
    hl_rpc_answered(&stats, A, HL_RPC_APPEND_ENTRIES, mark(3, 51), at(3600));
    cr_assert_eq(of(A, HL_RPC_APPEND_ENTRIES).count, 1, "it was ended");
    cr_assert_eq(of(A, HL_RPC_AGGREGATED).count, 1);
    cr_assert_eq(of(B, HL_RPC_AGGREGATED).count, 0);
    cr_assert_eq(seen_ok, 1);
    cr_assert_eq(seen_us, 2500);
}

Test(rpc_stats, what_is_sent_while_one_waits_is_not_watched)
{
    hl_rpc_sent(&stats, A, HL_RPC_APPEND_ENTRIES, mark(1, 5), at(1000));
    hl_rpc_sent(&stats, A, HL_RPC_APPEND_ENTRIES, mark(1, 9), at(2000));
    cr_assert_eq(stats.waiting, 1);
    hl_rpc_answered(&stats, A, HL_RPC_APPEND_ENTRIES, mark(1, 5), at(3000));
    cr_assert_float_eq(of(A, HL_RPC_APPEND_ENTRIES).last_ms, 2.0, 1e-9);
}

Test(rpc_stats, a_message_that_nobody_answers_is_not_watched)
{
    hl_rpc_sent(&stats, A, HL_RPC_APPEND_ENTRIES, mark(1, 0), at(1000));
    hl_rpc_answered(&stats, A, HL_RPC_APPEND_ENTRIES, mark(1, 0), at(2000));
    hl_rpc_sent(&stats, A, HL_RPC_APPEND_ENTRIES, mark(1, 0), at(3000)); /* only a commit index */
    cr_assert_eq(stats.waiting, 0);
    hl_rpc_forget(&stats, HL_RPC_APPEND_ENTRIES); /* a new term begins at round 1 again */
    hl_rpc_sent(&stats, A, HL_RPC_APPEND_ENTRIES, mark(1, 0), at(4000));
    cr_assert_eq(stats.waiting, 1);
}

Test(rpc_stats, figures_are_those_of_the_answers)
{
    for (uint64_t i = 1; i <= 100; i++) { /* 1 ms ... 100 ms */
        hl_rpc_sent(&stats, A, HL_RPC_APPEND_ENTRIES, mark(i, 0), at(i * 1000000));
        hl_rpc_answered(&stats, A, HL_RPC_APPEND_ENTRIES, mark(i, 0), at(i * 1000000 + i * 1000));
    }
    struct hl_rpc_summary s = of(A, HL_RPC_APPEND_ENTRIES);
    cr_assert_eq(s.count, 100);
    cr_assert_float_eq(s.min_ms, 1, 1e-9);
    cr_assert_float_eq(s.max_ms, 100, 1e-9);
    cr_assert_float_eq(s.avg_ms, 50.5, 1e-6);
    cr_assert_float_eq(s.p50_ms, 50, 1e-9);
    cr_assert_float_eq(s.p90_ms, 90, 1e-9);
    cr_assert_float_eq(s.p99_ms, 99, 1e-9);
    cr_assert_float_eq(s.std_dev_ms, sqrt((100.0 * 100 - 1) / 12), 1e-6);
}

Test(rpc_stats, percentiles_forget_what_is_old)
{
    for (uint64_t i = 1; i <= 2 * HL_RPC_SAMPLES; i++) {
        uint64_t took_us = i <= HL_RPC_SAMPLES ? 900000 : 1000;
        hl_rpc_sent(&stats, A, HL_RPC_APPEND_ENTRIES, mark(i, 0), at(i * 1000000));
        hl_rpc_answered(&stats, A, HL_RPC_APPEND_ENTRIES, mark(i, 0), at(i * 1000000 + took_us));
    }
    cr_assert_float_eq(of(A, HL_RPC_APPEND_ENTRIES).p99_ms, 1, 1e-9);
    cr_assert_float_eq(of(A, HL_RPC_APPEND_ENTRIES).max_ms, 900, 1e-9);
}

Test(rpc_stats, errors_in_a_row_are_counted_until_an_answer)
{
    for (uint64_t i = 1; i <= 4; i++) {
        hl_rpc_sent(&stats, A, HL_RPC_REQUEST_VOTE, mark(0, 0), at(i * 1000000));
        hl_rpc_expire(&stats, 500000, at(i * 1000000 + 500000));
        cr_assert_eq(stats.waiting, 1, "not later than the limit");
        hl_rpc_expire(&stats, 500000, at(i * 1000000 + 500001));
    }
    cr_assert_eq(hl_rpc_peer(&stats, A)->consecutive_errors, 4);
    cr_assert_eq(of(A, HL_RPC_REQUEST_VOTE).errors, 4);
    cr_assert_eq(of(A, HL_RPC_AGGREGATED).errors, 4);
    cr_assert_eq(of(A, HL_RPC_REQUEST_VOTE).last_error_ms, 1000000 + 4500);
    cr_assert_eq(seen_failed, 4);
    hl_rpc_sent(&stats, A, HL_RPC_APPEND_ENTRIES, mark(1, 0), at(9000000));
    hl_rpc_lost(&stats, A, at(9000001));
    cr_assert_eq(hl_rpc_peer(&stats, A)->consecutive_errors, 5);
    hl_rpc_sent(&stats, A, HL_RPC_REQUEST_VOTE, mark(0, 0), at(9500000));
    hl_rpc_answered(&stats, A, HL_RPC_REQUEST_VOTE, HL_RPC_ANY, at(9500001));
    cr_assert_eq(hl_rpc_peer(&stats, A)->consecutive_errors, 0);
    cr_assert_eq(of(A, HL_RPC_AGGREGATED).errors, 5);
}

Test(rpc_stats, a_snapshot_takes_its_time)
{
    hl_rpc_sent(&stats, A, HL_RPC_INSTALL_SNAPSHOT, mark(0, 0), at(1000));
    hl_rpc_expire(&stats, 500000, at(99000000));
    hl_rpc_lost(&stats, A, at(99000000));
    hl_rpc_answered(&stats, A, HL_RPC_INSTALL_SNAPSHOT, HL_RPC_ANY, at(100001000));
    cr_assert_float_eq(of(A, HL_RPC_INSTALL_SNAPSHOT).last_ms, 100000, 1e-9);
    hl_rpc_sent(&stats, A, HL_RPC_INSTALL_SNAPSHOT, mark(0, 0), at(200000000));
    hl_rpc_failed(&stats, A, HL_RPC_INSTALL_SNAPSHOT, at(200000001));
    cr_assert_eq(of(A, HL_RPC_INSTALL_SNAPSHOT).errors, 1);
}

Test(rpc_stats, members_that_leave_take_their_calls_along_and_a_reset_keeps_the_others)
{
    struct hl_members members = {0};
    hl_rpc_sent(&stats, A, HL_RPC_APPEND_ENTRIES, mark(1, 0), at(1000));
    hl_rpc_sent(&stats, B, HL_RPC_APPEND_ENTRIES, mark(1, 0), at(1000));
    hl_rpc_heard(&stats, B, at(1500));
    put(&members, SELF, "self");
    put(&members, B, "b");
    hl_rpc_members(&stats, &members, SELF);
    cr_assert_null(hl_rpc_peer(&stats, A));
    cr_assert_null(hl_rpc_peer(&stats, SELF));
    cr_assert_eq(stats.waiting, 1);
    hl_rpc_answered(&stats, A, HL_RPC_APPEND_ENTRIES, mark(9, 9), at(2000)); /* a stranger now */
    hl_rpc_reset(&stats);
    hl_rpc_answered(&stats, B, HL_RPC_APPEND_ENTRIES, mark(1, 0), at(2000));
    cr_assert_eq(of(B, HL_RPC_APPEND_ENTRIES).count, 1, "what waits goes on");
    cr_assert_eq(hl_rpc_peer(&stats, B)->contact_us, 1500);
}
