/* Power loss: what was answered is there, what was not is wholly there or wholly not.
 *
 * Method: a node on a disk that forgets what was not synced. */
#include "command/effect.h"
#include "unit/node/rig.h"

#include <signal.h>
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

TestSuite(restart, .init = setup, .fini = teardown);

static void digest(unsigned char out[20])
{
    hl_ks_digest(&rig.node->ks, &rig.node->modules, out);
}

Test(restart, what_was_answered_survives)
{
    struct hl_session *a = rig_client(&rig);
    rig_say(&rig, a, "SET k v", "+OK\r\n");
    rig_say(&rig, a, "HSET h a 1 b 2", ":2\r\n");
    rig_say(&rig, a, "INCRBYFLOAT f 1.5", "$3\r\n1.5\r\n");
    unsigned char before[20];
    unsigned char after[20];
    digest(before);
    rig_power_loss(&rig);
    digest(after);
    cr_assert_eq(memcmp(before, after, 20), 0);
}

Test(restart, what_was_not_durable_was_not_answered_and_is_gone)
{
    struct hl_session *a = rig_client(&rig);
    rig_say(&rig, a, "SET k old", "+OK\r\n");
    rig_run(&rig, a, "SET k new");
    rig_turn(&rig);
    rig_expect(a, "");
    rig_power_loss(&rig);
    a = rig_client(&rig);
    rig_say(&rig, a, "GET k", "$3\r\nold\r\n");
}

Test(restart, a_transaction_is_there_wholly_or_not_at_all)
{
    struct hl_session *a = rig_client(&rig);
    rig_run(&rig, a, "MULTI");
    rig_run(&rig, a, "SET x 1");
    rig_run(&rig, a, "SET y 1");
    rig_run(&rig, a, "EXEC");
    rig_turn(&rig);
    rig_power_loss(&rig);
    a = rig_client(&rig);
    rig_say(&rig, a, "EXISTS x y", ":0\r\n");
}

Test(restart, deadlines_are_absolute)
{
    struct hl_session *a = rig_client(&rig);
    rig_say(&rig, a, "SET k v EX 100", "+OK\r\n");
    rig.wall_us += 99000000;
    rig_power_loss(&rig);
    a = rig_client(&rig);
    rig_say(&rig, a, "TTL k", ":1\r\n");
    rig.wall_us += 2000000;
    rig_turn(&rig);
    rig_say(&rig, a, "GET k", "$-1\r\n");
    rig_power_loss(&rig);
    a = rig_client(&rig);
    rig_say(&rig, a, "EXISTS k", ":0\r\n");
}

Test(restart, a_snapshot_and_the_log_behind_it_give_the_same_state)
{
    struct hl_session *a = rig_client(&rig);
    char request[64];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(request, sizeof request, "SET key%d value%d", i, i);
        rig_say(&rig, a, request, "+OK\r\n");
    }
    rig_say(&rig, a, "HSET h f v", ":1\r\n");
    struct hl_snap_label label = hl_snapshot_label(rig.node);
    uint64_t keys = 0;
    cr_assert_eq(hl_snapshot_write(rig.node, &rig.disk, "d", &label, &keys, NULL), HL_OK);
    cr_assert_eq(keys, 301);
    cr_assert_eq(hl_snapshot_publish(rig.node, &rig.disk, "d", &label, NULL), HL_OK);
    rig_say(&rig, a, "SET after snapshot", "+OK\r\n");
    rig_say(&rig, a, "DEL key0", ":1\r\n");
    unsigned char before[20];
    unsigned char after[20];
    digest(before);
    rig_power_loss(&rig);
    cr_assert_eq(rig.node->snapshot_index, label.index);
    digest(after);
    cr_assert_eq(memcmp(before, after, 20), 0);
}

Test(restart, a_snapshot_of_what_is_not_committed_is_not_published)
{
    struct hl_session *a = rig_client(&rig);
    rig_run(&rig, a, "SET k v");
    struct hl_snap_label label = hl_snapshot_label(rig.node);
    cr_assert_gt(label.index, rig.node->commit);
    cr_assert_eq(hl_snapshot_write(rig.node, &rig.disk, "d", &label, NULL, NULL), HL_OK);
    rig_power_loss(&rig); /* before hl_snapshot_publish() was allowed */
    a = rig_client(&rig);
    rig_say(&rig, a, "GET k", "$-1\r\n");
}

static void save(void)
{
    struct hl_snap_label label = hl_snapshot_label(rig.node);
    cr_assert_eq(hl_snapshot_write(rig.node, &rig.disk, "d", &label, NULL, NULL), HL_OK);
    cr_assert_eq(hl_snapshot_publish(rig.node, &rig.disk, "d", &label, NULL), HL_OK);
}

Test(restart, a_snapshot_made_without_a_log_replaces_the_log_beside_it)
{
    struct hl_session *a = rig_client(&rig);
    rig_say(&rig, a, "SET k old", "+OK\r\n");
    rig_say(&rig, a, "SET gone x", "+OK\r\n");
    rig.no_log = true;
    rig_power_loss(&rig);
    a = rig_client(&rig);
    rig_say(&rig, a, "SET k new", "+OK\r\n");
    rig_say(&rig, a, "DEL gone", ":1\r\n");
    rig_say(&rig, a, "DBSIZE", ":1\r\n");
    save();
    rig_say(&rig, a, "SET k newer", "+OK\r\n");
    save();
    rig.no_log = false;
    rig_power_loss(&rig);
    a = rig_client(&rig);
    rig_say(&rig, a, "GET k", "$5\r\nnewer\r\n");
    rig_say(&rig, a, "EXISTS gone", ":0\r\n");
    rig_say(&rig, a, "SET after x", "+OK\r\n");
    rig_power_loss(&rig);
    a = rig_client(&rig);
    rig_say(&rig, a, "MGET k after", "*2\r\n$5\r\nnewer\r\n$1\r\nx\r\n");
}

Test(restart, a_full_disk_refuses_writes_serves_reads_and_recovers)
{
    struct hl_session *a = rig_client(&rig);
    rig_say(&rig, a, "SET k v", "+OK\r\n");
    uint64_t used = 0;
    for (int i = 0; i < rig.fake->names_count; i++) {
        used += rig.fake->files[rig.fake->names[i].file].now.len;
    }
    rig.fake->size_max = used;
    char request[512] = "SET big ";
    memset(request + 8, 'x', 400);
    request[408] = '\0';
    int tries = 0;
    while (rig.node->log_state == HL_LOG_GOOD && tries++ < 1000) {
        rig_run(&rig, a, request);
        rig_turn(&rig);
        rig_sync(&rig);
    }
    cr_assert_eq(rig.node->log_state, HL_LOG_FULL);
    struct hl_session *b = rig_client(&rig);
    rig_run(&rig, b, "SET k other");
    struct hl_slice out = hl_session_output(b);
    cr_assert_gt(out.len, 8);
    cr_assert_eq(memcmp(out.ptr, "-MISCONF", 8), 0, "%.*s", (int)out.len, out.ptr);
    hl_session_taken(b, out.len);
    rig_run(&rig, b, "GET k");
    rig_expect(b, "$1\r\nv\r\n");
    rig.fake->size_max = 0;
    hl_node_cron(rig.node);
    rig_sync(&rig);
    cr_assert_eq(rig.node->log_state, HL_LOG_GOOD);
    rig_say(&rig, b, "SET k other", "+OK\r\n");
}

Test(restart, many_random_writes_replay_to_the_same_digest)
{
    struct hl_session *a = rig_client(&rig);
    static const char *const forms[] = {"SET k%d %d",
                                        "APPEND k%d %d",
                                        "INCR n%d %d",
                                        "HSET h%d f %d",
                                        "DEL k%d h%d",
                                        "EXPIRE k%d %d",
                                        "PEXPIRE h%d 1%d",
                                        "SETRANGE k%d %d z",
                                        "RENAME k%d k%d",
                                        "COPY k%d c%d",
                                        "HINCRBYFLOAT h%d f %d.5",
                                        "GETEX k%d EX 5%d",
                                        "PERSIST k%d%d",
                                        "MSET k%d 1 n%d 2"};
    struct hl_rng rng;
    hl_rng_seed(&rng, 42);
    char request[64];
    for (int i = 0; i < 5000; i++) {
        const char *form = forms[hl_rng_below(&rng, sizeof forms / sizeof forms[0])];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(request, sizeof request, form, (int)hl_rng_below(&rng, 20),
                       (int)hl_rng_below(&rng, 20));
#pragma GCC diagnostic pop
        rig_run(&rig, a, request);
        if (i % 16 == 0) {
            rig_turn(&rig);
            rig_sync(&rig);
        }
    }
    rig_turn(&rig);
    rig_sync(&rig);
    unsigned char before[20];
    unsigned char after[20];
    digest(before);
    rig_power_loss(&rig);
    digest(after);
    cr_assert_eq(memcmp(before, after, 20), 0);
}

/* Let a moment pass, longer than the key lives. */
static void wait_ms(int64_t ms)
{
    rig.wall_us += ms * 1000;
    rig_turn(&rig);
}

static void make_dying_key(struct hl_session *a)
{
    rig_say(&rig, a, "SET k v PX 50", "+OK\r\n");
    wait_ms(100);
}

Test(restart, a_key_that_keys_and_scan_left_out_does_not_come_back_with_the_clock)
{
    static const char *const asks[][2] = {{"KEYS *", "*0\r\n"},
                                          {"SCAN 0 COUNT 100", "*2\r\n$1\r\n0\r\n*0\r\n"},
                                          {"RANDOMKEY", "$-1\r\n"},
                                          {"GET k", "$-1\r\n"},
                                          {"WATCH k", "+OK\r\n"}};
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        struct hl_session *a = rig_client(&rig);
        make_dying_key(a);
        rig_run(&rig, a, asks[i][0]);
        rig_expect(a, ""); /* the answer waits for the death */
        rig_turn(&rig);
        rig_sync(&rig);
        rig_expect(a, asks[i][1]);
        wait_ms(-1000);
        rig_say(&rig, a, "GET k", "$-1\r\n");
        rig_power_loss(&rig);
        a = rig_client(&rig);
        rig_say(&rig, a, "GET k", "$-1\r\n");
        wait_ms(1000);
    }
}

Test(restart, a_key_that_was_dead_when_watched_does_not_fail_the_transaction)
{
    struct hl_session *a = rig_client(&rig);
    struct hl_session *b = rig_client(&rig);
    make_dying_key(a);
    rig_say(&rig, a, "WATCH k", "+OK\r\n");
    rig_say(&rig, b, "GET k", "$-1\r\n");
    rig_say(&rig, a, "MULTI", "+OK\r\n");
    rig_say(&rig, a, "PING", "+QUEUED\r\n");
    rig_say(&rig, a, "EXEC", "*1\r\n+PONG\r\n");
}

/* Method: the wall clock is set back by an hour, twice, while the other clock goes on. */
Test(restart, a_clock_that_is_set_back_revives_nothing_and_does_not_stop_time)
{
    struct hl_session *a = rig_client(&rig);
    rig_say(&rig, a, "MSET short 1 long 1", "+OK\r\n");
    rig_say(&rig, a, "PEXPIRE short 5000", ":1\r\n");
    rig_say(&rig, a, "PEXPIRE long 3600000", ":1\r\n");
    wait_ms(4000);
    rig_say(&rig, a, "EXISTS short", ":1\r\n");
    int64_t before_us = rig.node->log_time_us;
    wait_ms(-3600000);
    cr_assert_geq(rig.node->log_time_us, before_us, "G1");
    rig.mono_us += 2000000;
    rig_turn(&rig);
    rig_say(&rig, a, "GET short", "$-1\r\n");
    before_us = rig.node->log_time_us;
    rig_power_loss(&rig);
    cr_assert_geq(rig.node->log_time_us, before_us, "the log says how late it was");
    a = rig_client(&rig);
    rig_say(&rig, a, "EXISTS short long", ":1\r\n");
    for (int i = 0; i < 24 * 60; i++) { /* a day passes, by both clocks */
        rig.mono_us += 60000000;
        wait_ms(60000);
    }
    cr_assert_eq(rig.node->log_time_us, rig.node->now_us, "the two have met again");
    rig_say(&rig, a, "EXISTS long", ":0\r\n");
}

__attribute__((noreturn)) static void end_quietly(void *ctx, const char *why)
{
    (void)ctx;
    (void)why;
    abort();
}

/* Short requests that write long values: bounds on requests do not bound what they change. */
static void grow_one_unit(int count)
{
    struct hl_session *a = rig_client(&rig);
    rig.node->config.unit_max = 1000;
    rig.world.fatal = end_quietly;
    rig_say(&rig, a, "MULTI", "+OK\r\n");
    for (int i = 0; i < count; i++) {
        rig_say(&rig, a, "INCRBYFLOAT k 1e200", "+QUEUED\r\n");
    }
    rig_run(&rig, a, "EXEC");
    rig_turn(&rig);
    rig_sync(&rig);
    cr_assert_eq(hl_session_output(a).ptr[0], '*');
}

Test(restart, a_unit_of_the_largest_size_is_logged)
{
    grow_one_unit(4);
}

Test(restart, a_unit_that_no_entry_can_hold_ends_the_process_before_it_is_logged, .signal = SIGABRT)
{
    grow_one_unit(5);
}

Test(restart, relative_times_in_the_log_count_from_the_time_of_the_entry)
{
    struct hl_session *a = rig_client(&rig);
    rig_say(&rig, a, "SET k v", "+OK\r\n");
    int64_t then_us = rig.wall_us;
    wait_ms(100000);
    struct hl_buf body = {0};
    struct hl_slice effect[3] = {hl_slice_of("PEXPIRE"), hl_slice_of("k"), hl_slice_of("1000000")};
    hl_effect_encode(&body, 0, 3, effect); /* as a module may state it */
    struct hl_wal_entry entry = {.index = rig.node->last,
                                 .type = HL_WAL_EFFECTS,
                                 .log_time_us = then_us,
                                 .feature_level = 1,
                                 .body = hl_buf_view(&body)};
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_node_apply(rig.node, &entry, &msg), HL_OK, "%s", msg.text);
    hl_buf_fini(&body);
    char want[64];
    (void)snprintf(want, sizeof want, ":%lld\r\n", (long long)(then_us / 1000 + 1000000));
    rig_say(&rig, a, "PEXPIRETIME k", want);
}
