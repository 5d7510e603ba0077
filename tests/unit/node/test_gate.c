/* The gate: no byte leaves before the entry that it tells of is on disk.
 *
 * Method: a node on a disk in memory; the test holds the log back and looks at what may leave. */
#include "unit/node/rig.h"

#include <stdio.h>

static struct rig rig;

static void setup(void)
{
    rig_init(&rig);
}

static void teardown(void)
{
    rig_fini(&rig);
}

TestSuite(gate, .init = setup, .fini = teardown);

Test(gate, a_write_is_answered_when_its_entry_is_durable)
{
    struct hl_session *a = rig_client(&rig);
    rig_run(&rig, a, "SET k v");
    rig_expect(a, "");
    rig_turn(&rig);
    rig_expect(a, "");
    rig_sync(&rig);
    rig_expect(a, "+OK\r\n");
}

Test(gate, a_read_of_a_changed_key_waits_for_the_change)
{
    struct hl_session *a = rig_client(&rig);
    struct hl_session *b = rig_client(&rig);
    rig_say(&rig, a, "SET clean 1", "+OK\r\n");
    rig_run(&rig, a, "SET k v");
    rig_run(&rig, b, "GET k");
    rig_expect(b, "");
    rig_turn(&rig);
    rig_sync(&rig);
    rig_expect(b, "$1\r\nv\r\n");
}

Test(gate, a_read_of_another_key_does_not_wait)
{
    struct hl_session *a = rig_client(&rig);
    struct hl_session *b = rig_client(&rig);
    rig_say(&rig, a, "SET clean 1", "+OK\r\n");
    rig_run(&rig, a, "SET k v");
    rig_run(&rig, b, "GET clean");
    rig_expect(b, "$1\r\n1\r\n");
}

Test(gate, a_missing_key_waits_for_the_deletion_that_made_it_missing)
{
    struct hl_session *a = rig_client(&rig);
    struct hl_session *b = rig_client(&rig);
    rig_say(&rig, a, "SET k v", "+OK\r\n");
    rig_run(&rig, a, "DEL k");
    rig_run(&rig, b, "GET k");
    rig_expect(b, "");
    rig_turn(&rig);
    rig_sync(&rig);
    rig_expect(b, "$-1\r\n");
}

Test(gate, an_error_that_reveals_a_type_waits_like_a_value)
{
    struct hl_session *a = rig_client(&rig);
    struct hl_session *b = rig_client(&rig);
    rig_run(&rig, a, "HSET h f v");
    rig_run(&rig, b, "GET h");
    rig_expect(b, "");
    rig_turn(&rig);
    rig_sync(&rig);
    rig_expect(b, "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
}

Test(gate, a_refusal_of_set_nx_waits_for_the_key_it_saw)
{
    struct hl_session *a = rig_client(&rig);
    struct hl_session *b = rig_client(&rig);
    rig_run(&rig, a, "SET k 1");
    rig_run(&rig, b, "SET k 2 NX");
    rig_expect(b, "");
    rig_turn(&rig);
    rig_sync(&rig);
    rig_expect(b, "$-1\r\n");
}

Test(gate, whole_keyspace_answers_wait_for_everything)
{
    struct hl_session *a = rig_client(&rig);
    struct hl_session *b = rig_client(&rig);
    rig_run(&rig, a, "SET k v");
    rig_run(&rig, b, "DBSIZE");
    rig_expect(b, "");
    rig_turn(&rig);
    rig_sync(&rig);
    rig_expect(b, ":1\r\n");
}

Test(gate, replies_leave_in_order_even_when_a_later_one_could_go)
{
    struct hl_session *a = rig_client(&rig);
    rig_run(&rig, a, "SET k v");
    rig_run(&rig, a, "PING");
    rig_expect(a, "");
    rig_turn(&rig);
    rig_sync(&rig);
    rig_expect(a, "+OK\r\n+PONG\r\n");
}

Test(gate, what_needs_nothing_leaves_at_once)
{
    struct hl_session *a = rig_client(&rig);
    rig_run(&rig, a, "PING");
    rig_expect(a, "+PONG\r\n");
    rig_run(&rig, a, "GET missing");
    rig_expect(a, "$-1\r\n");
}

Test(gate, exec_leaves_as_one_frame_when_its_one_entry_is_durable)
{
    struct hl_session *a = rig_client(&rig);
    hl_index before = rig.node->last;
    rig_run(&rig, a, "MULTI");
    rig_run(&rig, a, "SET x 1");
    rig_run(&rig, a, "INCR x");
    rig_expect(a, "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    rig_run(&rig, a, "EXEC");
    rig_expect(a, "");
    cr_assert_eq(rig.node->last, before + 1, "one unit, one entry");
    rig_turn(&rig);
    rig_sync(&rig);
    rig_expect(a, "*2\r\n+OK\r\n:2\r\n");
}

Test(gate, an_exec_refused_by_watch_waits_for_what_it_saw)
{
    struct hl_session *a = rig_client(&rig);
    struct hl_session *b = rig_client(&rig);
    rig_run(&rig, a, "WATCH k");
    rig_run(&rig, b, "SET k v");
    rig_run(&rig, a, "MULTI");
    rig_run(&rig, a, "GET k");
    rig_expect(a, "+OK\r\n+OK\r\n+QUEUED\r\n");
    rig_run(&rig, a, "EXEC");
    rig_expect(a, "");
    rig_turn(&rig);
    rig_sync(&rig);
    rig_expect(a, "*-1\r\n");
}

Test(gate, an_expired_key_is_missing_once_its_death_is_durable)
{
    struct hl_session *a = rig_client(&rig);
    rig_say(&rig, a, "SET k v PX 5", "+OK\r\n");
    rig.wall_us += 10000;
    rig_turn(&rig);
    hl_index before = rig.node->last;
    rig_run(&rig, a, "GET k");
    cr_assert_eq(rig.node->last, before + 1, "the death is an effect");
    rig_expect(a, "");
    rig_turn(&rig);
    rig_sync(&rig);
    rig_expect(a, "$-1\r\n");
}

Test(gate, an_exec_refused_for_an_expired_key_waits_for_its_death)
{
    struct hl_session *a = rig_client(&rig);
    rig_say(&rig, a, "SET k v PX 5", "+OK\r\n");
    rig_say(&rig, a, "WATCH k", "+OK\r\n");
    rig_say(&rig, a, "MULTI", "+OK\r\n");
    rig_say(&rig, a, "PING", "+QUEUED\r\n");
    rig.wall_us += 10000;
    rig_turn(&rig);
    hl_index before = rig.node->last;
    rig_run(&rig, a, "EXEC");
    cr_assert_eq(rig.node->last, before + 1, "the death is an effect");
    rig_expect(a, "");
    rig_turn(&rig);
    rig_sync(&rig);
    rig_expect(a, "*-1\r\n");
}

Test(gate, a_write_in_flight_delays_only_until_its_own_batch)
{
    struct hl_session *a = rig_client(&rig);
    struct hl_session *b = rig_client(&rig);
    rig_run(&rig, a, "SET one 1");
    rig_turn(&rig); /* the first batch is with the log thread */
    rig_run(&rig, b, "SET two 2");
    rig_turn(&rig);
    struct hl_wal_batch *batch = rig.batch;
    rig.batch = NULL;
    cr_assert_eq(hl_wal_batch_write(rig.wal, batch, NULL), HL_OK);
    hl_node_log_done(rig.node, HL_OK, "");
    rig_expect(a, "+OK\r\n");
    rig_expect(b, "");
    rig_turn(&rig);
    rig_sync(&rig);
    rig_expect(b, "+OK\r\n");
}

Test(gate, a_flush_gates_every_name)
{
    struct hl_session *a = rig_client(&rig);
    struct hl_session *b = rig_client(&rig);
    rig_say(&rig, a, "SET k v", "+OK\r\n");
    rig_run(&rig, a, "FLUSHALL");
    rig_run(&rig, b, "GET never-seen");
    rig_expect(b, "");
    rig_turn(&rig);
    rig_sync(&rig);
    rig_expect(b, "$-1\r\n");
}

Test(gate, a_monitor_that_runs_exec_gets_no_line_inside_the_reply_and_nothing_early)
{
    struct hl_session *a = rig_client(&rig);
    rig_run(&rig, a, "MONITOR");
    rig_expect(a, "+OK\r\n");
    rig_run(&rig, a, "MULTI");
    rig_run(&rig, a, "SET x 1");
    rig_run(&rig, a, "SET y 2");
    hl_session_taken(a, hl_session_output(a).len);
    size_t before = a->out.len;
    rig_run(&rig, a, "EXEC");
    struct hl_slice out = hl_session_output(a);
    cr_assert(memmem(out.ptr, out.len, "+OK", 3) == NULL, "left early: %.*s", (int)out.len,
              out.ptr);
    static const char reply[] = "*2\r\n+OK\r\n+OK\r\n";
    cr_assert_gt(a->out.len, before + sizeof reply);
    cr_assert_eq(memcmp(a->out.ptr + a->out.len - (sizeof reply - 1), reply, sizeof reply - 1), 0);
    rig_turn(&rig);
    rig_sync(&rig);
    cr_assert_eq(hl_session_output(a).len, a->out.len);
}

Test(gate, client_reply_off_covers_what_a_transaction_queues)
{
    struct hl_session *a = rig_client(&rig);
    rig_run(&rig, a, "CLIENT REPLY OFF");
    rig_run(&rig, a, "MULTI");
    rig_run(&rig, a, "SET x 1");
    rig_run(&rig, a, "EXEC");
    rig_say(&rig, a, "CLIENT REPLY ON", "+OK\r\n");
    rig_run(&rig, a, "CLIENT REPLY SKIP");
    rig_run(&rig, a, "MULTI");
    rig_say(&rig, a, "GET x", "+QUEUED\r\n");
}

Test(gate, lowering_the_bound_of_a_transaction_in_progress_bounds_it)
{
    struct hl_session *a = rig_client(&rig);
    rig_say(&rig, a, "MULTI", "+OK\r\n");
    rig_say(&rig, a, "SET k value", "+QUEUED\r\n");
    rig.node->config.multi_queue_max = 10;
    rig_run(&rig, a, "SET k value");
    cr_assert_eq(hl_session_output(a).ptr[0], '-');
}

Test(gate, the_slow_log_takes_any_limit)
{
    struct hl_session *a = rig_client(&rig);
    rig.node->config.slowlog_slower_than_us = 0;
    rig.node->config.slowlog_max_len = SIZE_MAX / 2;
    for (int i = 0; i < 300; i++) {
        rig_run(&rig, a, "PING");
    }
    hl_session_taken(a, hl_session_output(a).len);
    rig_say(&rig, a, "SLOWLOG LEN", ":300\r\n");
    rig.node->config.slowlog_max_len = 7;
    rig_run(&rig, a, "PING");
    hl_session_taken(a, hl_session_output(a).len);
    rig_say(&rig, a, "SLOWLOG LEN", ":7\r\n");
}

Test(gate, output_may_leave_in_pieces_of_any_size)
{
    static const size_t pieces[] = {1, 3, 7, 50, 1000};
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
        struct hl_session *a = rig_client(&rig);
        struct hl_buf seen = {0};
        struct hl_buf want = {0};
        char request[64];
        for (int i = 0; i < 100; i++) { /* answered at once, and after the disk, in turns */
            (void)snprintf(request, sizeof request, "ECHO at-once-%d", i);
            rig_run(&rig, a, request);
            (void)snprintf(request, sizeof request, "at-once-%d", i);
            hl_buf_printf(&want, "$%zu\r\n%s\r\n", strlen(request), request);
            (void)snprintf(request, sizeof request, "SET k%d v", i);
            rig_run(&rig, a, request);
            hl_buf_append_text(&want, "+OK\r\n");
            rig_turn(&rig);
            if (i % 3 == 0) {
                rig_sync(&rig);
            }
            struct hl_slice out = hl_session_output(a);
            size_t len = out.len < pieces[p] ? out.len : pieces[p];
            hl_buf_append(&seen, out.ptr, len);
            hl_session_taken(a, len);
            cr_assert_eq(seen.len + hl_session_held(a), want.len);
        }
        rig_sync(&rig);
        while (hl_session_output(a).len != 0) {
            hl_buf_append(&seen, hl_session_output(a).ptr, 1);
            hl_session_taken(a, 1);
        }
        cr_assert_eq(a->out.len, 0, "nothing is kept");
        cr_assert(hl_slice_equal(hl_buf_view(&seen), hl_buf_view(&want)));
        hl_buf_fini(&seen);
        hl_buf_fini(&want);
    }
}

static void run_nothing(struct hl_call *call)
{
    hl_write_ok(call->out);
}

Test(gate, a_queued_command_whose_module_goes_is_an_error_and_nothing_worse)
{
    static const struct hl_command_row row = {.name = "x.y",
                                              .run = run_nothing,
                                              .arity = 1,
                                              .flags = HL_CMD_WRITE | HL_CMD_DENYOOM |
                                                       HL_CMD_KEY_PRECISE};
    struct hl_session *a = rig_client(&rig);
    struct hl_session *b = rig_client(&rig);
    cr_assert_eq(hl_command_register(rig.node->commands, &row, 1), HL_OK);
    struct hl_session *const both[] = {a, b};
    for (int i = 0; i < 2; i++) {
        rig_run(&rig, both[i], "MULTI");
        rig_run(&rig, both[i], "x.y");
        rig_run(&rig, both[i], "PING");
        hl_session_taken(both[i], hl_session_output(both[i]).len);
    }
    cr_assert(hl_command_unregister(rig.node->commands, "x.y"));
    rig.node->config.maxmemory = 1;
    rig.memory = 2;
    rig_say(&rig, a, "EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    rig.node->config.maxmemory = 0;
    cr_assert_eq(hl_command_register(rig.node->commands, &row, 1), HL_OK);
    rig_say(&rig, b, "EXEC", "*2\r\n+OK\r\n+PONG\r\n");
    cr_assert(hl_command_unregister(rig.node->commands, "x.y"));
}

static int resumed;

static void count_resumed(void *ctx, struct hl_session *session)
{
    (void)ctx;
    (void)session;
    resumed++;
}

static enum hl_exec_result set_large(struct hl_session *session, const char *bytes, size_t len)
{
    struct hl_slice argv[3] = {hl_slice_of("SET"), hl_slice_of("k"), {.ptr = bytes, .len = len}};
    return hl_node_execute(rig.node, session, 3, argv);
}

Test(gate, writes_wait_for_a_slow_disk_and_are_refused_only_when_it_stalls)
{
    struct hl_session *a = rig_client(&rig);
    struct hl_session *b = rig_client(&rig);
    size_t len = rig.node->config.speculation_max + 1;
    char *bytes = hl_calloc(1, len);
    rig.world.resume = count_resumed;
    cr_assert_eq(set_large(a, bytes, len), HL_EXEC_DONE);
    rig_turn(&rig);
    cr_assert_eq(set_large(b, "v", 1), HL_EXEC_POSTPONE);
    cr_assert_eq(resumed, 0);
    rig_sync(&rig);
    rig_expect(a, "+OK\r\n");
    cr_assert_eq(resumed, 1);
    cr_assert_eq(set_large(b, "v", 1), HL_EXEC_DONE);
    rig_turn(&rig);
    rig_sync(&rig);
    rig_expect(b, "+OK\r\n");
    cr_assert_eq(set_large(a, bytes, len), HL_EXEC_DONE);
    rig_turn(&rig);
    cr_assert_eq(set_large(b, "v", 1), HL_EXEC_POSTPONE);
    rig.mono_us += 60000000;
    rig_turn(&rig);
    hl_node_cron(rig.node);
    cr_assert_eq(resumed, 2);
    cr_assert_eq(set_large(b, "v", 1), HL_EXEC_DONE);
    struct hl_slice out = hl_session_output(b);
    cr_assert(out.len > 10 && memcmp(out.ptr, "-NOQUORUM ", 10) == 0, "%.*s", (int)out.len,
              out.ptr);
    hl_free(bytes);
    rig_turn(&rig);
    rig_sync(&rig);
}

static struct hl_wal_batch *flights[HL_WAL_FLIGHTS_MAX];
static int flight_count;

static void collect_flight(void *ctx, struct hl_wal_batch *batch)
{
    (void)ctx;
    flights[flight_count++] = batch;
}

Test(gate, batches_in_flight_together_release_in_order)
{
    static const char *const sets[] = {"SET one 1", "SET two 2", "SET three 3"};
    struct hl_session *clients[3];
    rig.world.log_write = collect_flight;
    hl_wal_set_overlap(rig.wal, 3);
    for (int i = 0; i < 3; i++) {
        clients[i] = rig_client(&rig);
        rig_run(&rig, clients[i], sets[i]);
        rig_turn(&rig);
        cr_assert_eq(flight_count, i + 1);
    }
    struct hl_session *reader = rig_client(&rig);
    rig_run(&rig, reader, "GET two");
    rig_turn(&rig);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(hl_wal_batch_put(rig.wal, flights[i], NULL), HL_OK);
    }
    for (int i = 2; i >= 0; i--) { /* the last one's flush returns first: nothing leaves for it */
        cr_assert_eq(hl_wal_batch_sync(rig.wal, flights[i], NULL), HL_OK);
        rig_expect(clients[i], "");
    }
    for (int i = 0; i < 3; i++) {
        rig_expect(reader, i < 2 ? "" : "$1\r\n2\r\n");
        hl_node_log_done(rig.node, HL_OK, "");
        rig_expect(clients[i], "+OK\r\n");
    }
}
