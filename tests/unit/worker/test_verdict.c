/* Goal: every way in which a handler, a server or a network can end has the outcome that the manual
 * promises.  Method: tables, and properties over many draws for what is left to chance. */
#include "worker/verdict.h"

#include <criterion/criterion.h>

Test(verdict, an_exit_status_decides)
{
    cr_assert_eq(worker_judge_exit(0, 0, 65).end, WORKER_DONE);
    cr_assert_eq(worker_judge_exit(65, 0, 65).end, WORKER_FAIL);
    cr_assert_eq(worker_judge_exit(64, 0, 65).end, WORKER_RETRY);
    cr_assert_eq(worker_judge_exit(65, 0, 66).end, WORKER_RETRY);
    cr_assert_eq(worker_judge_exit(127, 0, 65).end, WORKER_RETRY);
    cr_assert_eq(worker_judge_exit(0, 9, 65).end, WORKER_RETRY, "a signal is never success");
    cr_assert_eq(worker_judge_exit(65, 15, 65).end, WORKER_RETRY);
    cr_assert_eq(worker_judge_exit(1, 0, 65).delay_ms, -1);
}

Test(verdict, an_http_status_decides)
{
    static const struct {
        int64_t status;
        enum worker_end end;
    } rows[] = {{200, WORKER_DONE},  {204, WORKER_DONE},  {299, WORKER_DONE},  {301, WORKER_RETRY},
                {302, WORKER_RETRY}, {400, WORKER_FAIL},  {401, WORKER_FAIL},  {404, WORKER_FAIL},
                {408, WORKER_RETRY}, {409, WORKER_FAIL},  {410, WORKER_FAIL},  {422, WORKER_FAIL},
                {425, WORKER_RETRY}, {429, WORKER_RETRY}, {499, WORKER_FAIL},  {500, WORKER_RETRY},
                {502, WORKER_RETRY}, {503, WORKER_RETRY}, {599, WORKER_RETRY}, {100, WORKER_RETRY},
                {0, WORKER_RETRY}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert_eq(worker_judge_http(rows[i].status, 0).end, rows[i].end, "%d",
                     (int)rows[i].status);
        cr_assert_eq(worker_judge_http(rows[i].status, 0).delay_ms, -1);
    }
}

Test(verdict, retry_after_counts_where_it_makes_sense_and_within_bounds)
{
    cr_assert_eq(worker_judge_http(429, 7).delay_ms, 7000);
    cr_assert_eq(worker_judge_http(503, 60).delay_ms, 60000);
    cr_assert_eq(worker_judge_http(408, 1).delay_ms, 1000);
    cr_assert_eq(worker_judge_http(500, 7).delay_ms, -1);
    cr_assert_eq(worker_judge_http(200, 7).delay_ms, -1);
    cr_assert_eq(worker_judge_http(404, 7).delay_ms, -1);
    cr_assert_eq(worker_judge_http(429, -5).delay_ms, -1);
    cr_assert_eq(worker_judge_http(429, INT64_MAX).delay_ms, INT64_C(28) * 24 * 3600 * 1000);
}

Test(verdict, an_error_reply_is_final_or_not)
{
    static const struct {
        const char *text;
        enum worker_answer answer;
    } rows[] = {{"NOJOB No such job", WORKER_GONE},
                {"LEASELOST The token does not hold the lease", WORKER_GONE},
                {"ERR unknown command", WORKER_REFUSED},
                {"NOPERM no", WORKER_REFUSED},
                {"WRONGTYPE Operation", WORKER_REFUSED},
                {"NOAUTH Authentication required.", WORKER_REFUSED},
                {"NOTLEADER another node leads", WORKER_AGAIN},
                {"NOQUORUM no leader is known", WORKER_AGAIN},
                {"UNKNOWN not confirmed", WORKER_AGAIN},
                {"TRYAGAIN leadership is changing", WORKER_AGAIN},
                {"LOADING Redis is loading", WORKER_AGAIN},
                {"MOVED 1 h:1", WORKER_AGAIN},
                {"ROLLEDBACK another leader took over", WORKER_AGAIN},
                {"", WORKER_AGAIN},
                {"NOJOBS", WORKER_AGAIN}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert_eq(worker_judge_answer(hl_slice_of(rows[i].text)), rows[i].answer, "%s",
                     rows[i].text);
    }
}

Test(verdict, moved_names_a_place_or_nothing)
{
    char host[256] = "";
    int port = 0;
    cr_assert(worker_read_moved(hl_slice_of("MOVED 16383 10.0.0.2:6380"), host, &port));
    cr_assert_str_eq(host, "10.0.0.2");
    cr_assert_eq(port, 6380);
    cr_assert(worker_read_moved(hl_slice_of("MOVED 1 [::1]:7"), host, &port));
    cr_assert_str_eq(host, "::1");
    static const char *const wrong[] = {"MOVED",           "MOVED 1",         "MOVED 1 host",
                                        "MOVED 1 host:",   "MOVED 1 host:0",  "MOVED 1 host:65536",
                                        "MOVED 1 :6379",   "ASK 1 host:6379", "MOVED 1 host:12x",
                                        "MOVED 1 host:-1", "MOVED a:1 host"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_assert_not(worker_read_moved(hl_slice_of(wrong[i]), host, &port), "%s", wrong[i]);
    }
    char text[400];
    memset(text, 'h', sizeof text);
    memcpy(text, "MOVED 1 ", 8);
    memcpy(text + 395, ":6379", 5);
    cr_assert_not(worker_read_moved((struct hl_slice){text, sizeof text}, host, &port));
}

/* Every server is tried at once; then the wait doubles up to a bound, and chance takes at most half
 * of it away. */
Test(verdict, the_back_off_grows_to_a_bound)
{
    struct hl_rng rng;
    hl_rng_seed(&rng, 7);
    for (uint64_t attempt = 0; attempt < 3; attempt++) {
        cr_assert_eq(worker_backoff_ms(attempt, 3, &rng), 0);
    }
    for (int draw = 0; draw < 1000; draw++) {
        int64_t most = 50;
        for (uint64_t round = 1; round < 12; round++) {
            int64_t wait_ms = worker_backoff_ms(round * 3 + 1, 3, &rng);
            cr_assert_leq(wait_ms, most);
            cr_assert_geq(wait_ms, most / 2);
            most = most * 2 > 5000 ? 5000 : most * 2;
        }
    }
    cr_assert_leq(worker_backoff_ms(UINT64_MAX, 1, &rng), 5000);
}

Test(verdict, a_lease_is_extended_after_a_third_of_it)
{
    cr_assert_eq(worker_beat_ms(300000), 100000);
    cr_assert_eq(worker_beat_ms(1000), 333);
    cr_assert_eq(worker_beat_ms(0), 20);
    cr_assert_eq(worker_beat_ms(-5), 20);
}

/* Method: count who comes first in 30000 draws of 6:3:1; three standard deviations are 250. */
Test(verdict, queues_come_first_as_often_as_their_weights_say)
{
    static const uint32_t weights[] = {6, 3, 1};
    struct hl_rng rng;
    hl_rng_seed(&rng, 42);
    int first[3] = {0};
    for (int draw = 0; draw < 30000; draw++) {
        size_t order[3];
        worker_order_queues(weights, 3, &rng, order);
        first[order[0]]++;
        unsigned seen = 0;
        for (int i = 0; i < 3; i++) {
            seen |= 1u << order[i];
        }
        cr_assert_eq(seen, 7u, "each queue once");
    }
    cr_assert(first[0] > 17500 && first[0] < 18500, "%d", first[0]);
    cr_assert(first[1] > 8500 && first[1] < 9500, "%d", first[1]);
    cr_assert(first[2] > 2500 && first[2] < 3500, "%d", first[2]);
}
