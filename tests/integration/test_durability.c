/* Goal: what a client was told survives a crash, what it was not told is there wholly or not at
 * all, and no read shows a value that a crash then takes back.
 *
 * Method: each lane is one connection that sends operations 1, 2, 3... in order, many in flight, on
 * keys of its own; readers look at all lanes.  The server is killed at a random moment and started
 * again.  Because a lane's operations are ordered, the state must be that after some operation `p`:
 *
 *   C1  acknowledged <= p <= sent               nothing acknowledged is lost, nothing is invented
 *   C2  every key of the lane agrees on p       MULTI blocks and single writes are all or nothing
 *   C3  seen by any reader <= p                 no read was taken back
 *   C4  a reader never sees a lane go backwards, nor a MULTI block half done
 *
 * By itself kill -9 keeps what the kernel holds, so the test also runs over a disk that forgets
 * what was not synced (support/dropdisk.c), where a server that acknowledges before it syncs must
 * fail.
 */
#include "support/server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LANES 4
#define READERS 2
#define BATCH_MAX 16          /* operations in flight on one lane */
#define KILL_AFTER_MAX 600    /* acknowledgements between two crashes */
#define SPIN_US_MAX 2000      /* so that the crash meets any phase of a sync */
#define STARTING_US_MAX 60000 /* of a start that is crashed too */
#define PAD_MAX 700           /* bytes that a value carries, so that records differ in length */
#define VALUE_MAX (PAD_MAX + 32)
#define RECORD_LEN 10   /* of a number in a lane's log */
#define TAIL_CHECKED 16 /* last records of a lane's log, after each crash */
#define PROGRESS_MS_MAX 30000
#define SAVED_KEYS 200000 /* a child needs some tenths of a second for them */
#define TEXT_MAX 1024

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true /* slower, and dropdisk cannot be preloaded */
#else
#define SANITIZED false
#endif

enum kind { SET_ONE = 0, PUSH = 1, BLOCK = 2, COUNT = 3, KINDS = 4 };

struct lane {
    int id;
    struct run *run;
    atomic_long sent;
    atomic_long acked;
    atomic_long seen;
};

struct run {
    struct server *server;
    struct lane lanes[LANES];
    atomic_bool stop;
    atomic_long acked_total;
    atomic_uint seed;
    pthread_mutex_t lock;
    pthread_cond_t progress;
    long target;
    char violation[TEXT_MAX]; /* the first one; "" when all is well */
};

__attribute__((format(printf, 2, 3))) static void violate(struct run *run, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    pthread_mutex_lock(&run->lock);
    if (run->violation[0] == '\0') {
        vsnprintf(run->violation, sizeof run->violation, fmt, args);
    }
    pthread_mutex_unlock(&run->lock);
    va_end(args);
}

static bool violated(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    bool yes = run->violation[0] != '\0';
    pthread_mutex_unlock(&run->lock);
    return yes;
}

/* What operation `i` writes: its number and a padding that follows from it. */
static void value_of(long i, char *out)
{
    int pad = (int)(i * 37 % PAD_MAX);
    int len = snprintf(out, VALUE_MAX, "%ld:", i);
    memset(out + len, (int)('a' + i % 26), (size_t)pad);
    out[len + pad] = '\0';
}

/* The last operation of `kind` up to `p`, 0 when there is none. */
static long last_of(long p, enum kind kind)
{
    long i = p - ((p - (long)kind) % KINDS + KINDS) % KINDS;
    return i > 0 ? i : 0;
}

/* Queue operation `i` of a lane; returns how many replies it gets, the last of which tells. */
static int append_operation(redisContext *c, int lane, long i)
{
    char value[VALUE_MAX];
    value_of(i, value);
    switch ((enum kind)(i % KINDS)) {
    case SET_ONE:
        redisAppendCommand(c, "SET lane:%d:reg %s", lane, value);
        return 1;
    case PUSH:
        redisAppendCommand(c, "APPEND lane:%d:log %010ld", lane, i);
        return 1;
    case BLOCK:
        redisAppendCommand(c, "MULTI");
        redisAppendCommand(c, "SET lane:%d:a %s", lane, value);
        redisAppendCommand(c, "APPEND lane:%d:log %010ld", lane, i);
        redisAppendCommand(c, "SET lane:%d:b %s", lane, value);
        redisAppendCommand(c, "EXEC");
        return 5;
    case COUNT:
        redisAppendCommand(c, "INCR lane:%d:count", lane);
        return 1;
    case KINDS:
        break;
    }
    abort();
}

static void acknowledge(struct lane *lane, long i)
{
    struct run *run = lane->run;
    atomic_store(&lane->acked, i);
    long total = atomic_fetch_add(&run->acked_total, 1) + 1;
    if (total >= run->target) {
        pthread_mutex_lock(&run->lock);
        pthread_cond_signal(&run->progress);
        pthread_mutex_unlock(&run->lock);
    }
}

/* Read the replies of operation `i`; false when the connection is gone. */
static bool await_operation(redisContext *c, struct lane *lane, long i, int replies)
{
    for (int r = 0; r < replies; r++) {
        redisReply *reply = NULL;
        if (redisGetReply(c, (void **)&reply) != REDIS_OK) {
            return false;
        }
        if (reply->type == REDIS_REPLY_ERROR) {
            violate(lane->run, "lane %d: operation %ld answers %s", lane->id, i, reply->str);
        }
        bool last_of_block = replies > 1 && r == replies - 1;
        if (last_of_block && (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)) {
            violate(lane->run, "lane %d: EXEC %ld answers no array of 3", lane->id, i);
        }
        freeReplyObject(reply);
    }
    return true;
}

static void *write_lane(void *arg)
{
    struct lane *lane = arg;
    unsigned seed = atomic_fetch_add(&lane->run->seed, 1);
    redisContext *c = server_try_connect(lane->run->server);
    bool alive = c != NULL;
    while (alive && !atomic_load(&lane->run->stop)) {
        int replies[BATCH_MAX];
        int batch = 1 + rand_r(&seed) % BATCH_MAX;
        long first = atomic_load(&lane->acked) + 1;
        for (int n = 0; n < batch; n++) {
            replies[n] = append_operation(c, lane->id, first + n);
        }
        atomic_store(&lane->sent, first + batch - 1);
        for (int n = 0; alive && n < batch; n++) {
            alive = await_operation(c, lane, first + n, replies[n]);
            if (alive) {
                acknowledge(lane, first + n);
            }
        }
    }
    if (c != NULL) {
        redisFree(c);
    }
    return NULL;
}

/* The number in a value, after checking the whole of it; -1 for torn bytes, 0 for no value.
 * `plain` values are the number alone. */
static long number_in(const redisReply *reply, bool plain)
{
    if (reply->type == REDIS_REPLY_NIL || (reply->type == REDIS_REPLY_STRING && reply->len == 0)) {
        return 0;
    }
    if (reply->type != REDIS_REPLY_STRING) {
        return -1;
    }
    char expected[VALUE_MAX];
    long i = atol(reply->str);
    if (i <= 0) {
        return -1;
    }
    if (plain) {
        snprintf(expected, sizeof expected, reply->len == RECORD_LEN ? "%010ld" : "%ld", i);
    } else {
        value_of(i, expected);
    }
    return strcmp(reply->str, expected) == 0 ? i : -1;
}

static void saw(struct lane *lane, long i, long *before)
{
    if (i < *before) {
        violate(lane->run, "lane %d: a reader saw %ld and then %ld", lane->id, *before, i);
    }
    *before = i;
    long seen = atomic_load(&lane->seen);
    while (i > seen && !atomic_compare_exchange_weak(&lane->seen, &seen, i)) {
    }
}

/* Look at one key, or at both keys that a block writes; false when the connection is gone. */
static bool look(redisContext *c, struct lane *lane, int what, long *before)
{
    redisReply *reply = NULL;
    if (what == BLOCK) {
        redisAppendCommand(c, "MGET lane:%d:a lane:%d:b", lane->id, lane->id);
    } else if (what == PUSH) {
        redisAppendCommand(c, "GETRANGE lane:%d:log -10 -1", lane->id);
    } else {
        redisAppendCommand(c, "GET lane:%d:reg", lane->id);
    }
    if (redisGetReply(c, (void **)&reply) != REDIS_OK) {
        return false;
    }
    long a = -1;
    long b = -1;
    if (what == BLOCK && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        a = number_in(reply->element[0], false);
        b = number_in(reply->element[1], false);
    } else if (what != BLOCK) {
        a = b = number_in(reply, what == PUSH);
    }
    if (a != b || a < 0) {
        violate(lane->run, "lane %d: a reader saw %ld beside %ld: %s", lane->id, a, b,
                reply->type == REDIS_REPLY_ERROR ? reply->str : "half a write");
    } else {
        saw(lane, a, &before[lane->id * KINDS + what]);
    }
    freeReplyObject(reply);
    return true;
}

static void *read_lanes(void *arg)
{
    struct run *run = arg;
    unsigned seed = atomic_fetch_add(&run->seed, 1);
    long before[LANES * KINDS] = {0};
    redisContext *c = server_try_connect(run->server);
    bool alive = c != NULL;
    while (alive && !atomic_load(&run->stop)) {
        alive = look(c, &run->lanes[rand_r(&seed) % LANES], rand_r(&seed) % COUNT, before);
    }
    if (c != NULL) {
        redisFree(c);
    }
    return NULL;
}

static long ask_number(redisContext *c, const char *fmt, int lane, bool plain)
{
    redisReply *reply = redisCommand(c, fmt, lane);
    cr_assert_not_null(reply, "the server ended during a check: %s", c->errstr);
    bool integer = reply->type == REDIS_REPLY_INTEGER;
    long i = integer ? (long)reply->integer : number_in(reply, plain);
    freeReplyObject(reply);
    return i;
}

/* The last `count` records of a lane's log are those that operations up to `p` appended. */
static void check_log(struct run *run, redisContext *c, int lane, long p, int count)
{
    long appended = (p + KINDS - PUSH) / KINDS + (p + KINDS - BLOCK) / KINDS;
    long len = ask_number(c, "STRLEN lane:%d:log", lane, true);
    if (len != appended * RECORD_LEN) {
        violate(run, "lane %d: log has %ld bytes, %ld records were appended", lane, len, appended);
    }
    redisReply *reply =
        redisCommand(c, "GETRANGE lane:%d:log %ld -1", lane, -(long)count * RECORD_LEN);
    cr_assert_not_null(reply);
    long i = p;
    for (size_t end = reply->len; end >= RECORD_LEN; end -= RECORD_LEN) {
        char record[RECORD_LEN + 1] = {0};
        memcpy(record, reply->str + end - RECORD_LEN, RECORD_LEN);
        while (i > 0 && i % KINDS != PUSH && i % KINDS != BLOCK) {
            i--;
        }
        if (atol(record) != i) {
            violate(run, "lane %d: log holds %s where %ld was appended", lane, record, i);
            break;
        }
        i--;
    }
    freeReplyObject(reply);
}

/* C1, C2 and C3 of one lane; what is found becomes where the lane goes on. */
static void check_lane(struct run *run, redisContext *c, struct lane *lane, int log_count)
{
    long found[KINDS] = {
        [SET_ONE] = ask_number(c, "GET lane:%d:reg", lane->id, false),
        [PUSH] = ask_number(c, "GETRANGE lane:%d:log -10 -1", lane->id, true),
        [BLOCK] = ask_number(c, "GET lane:%d:a", lane->id, false),
    };
    long b = ask_number(c, "GET lane:%d:b", lane->id, false);
    long count = ask_number(c, "GET lane:%d:count", lane->id, true);
    found[COUNT] = count > 0 ? (count - 1) * KINDS + COUNT : 0;
    long p = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        p = found[kind] > p ? found[kind] : p;
    }
    long acked = atomic_load(&lane->acked);
    long sent = atomic_load(&lane->sent);
    long seen = atomic_load(&lane->seen);
    if (p < acked || p > sent || p < seen) {
        violate(run,
                "lane %d: state of operation %ld, but %ld was acknowledged, %ld sent, %ld seen",
                lane->id, p, acked, sent, seen);
    }
    long last_push = last_of(p, PUSH) > last_of(p, BLOCK) ? last_of(p, PUSH) : last_of(p, BLOCK);
    if (found[SET_ONE] != last_of(p, SET_ONE) || found[PUSH] != last_push ||
        found[BLOCK] != last_of(p, BLOCK) || found[COUNT] != last_of(p, COUNT) ||
        b != found[BLOCK]) {
        violate(run, "lane %d: keys disagree: reg %ld log %ld a %ld b %ld count %ld", lane->id,
                found[SET_ONE], found[PUSH], found[BLOCK], b, found[COUNT]);
    }
    check_log(run, c, lane->id, p, log_count);
    atomic_store(&lane->acked, p);
    atomic_store(&lane->sent, p);
    atomic_store(&lane->seen, p);
}

static void check_all(struct run *run, int log_count)
{
    redisContext *c = server_connect(run->server);
    for (int n = 0; n < LANES; n++) {
        check_lane(run, c, &run->lanes[n], log_count);
    }
    redisFree(c);
}

/* Wait until clients have got `more` acknowledgements, then a little longer. */
static void await_progress(struct run *run, unsigned *seed)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PROGRESS_MS_MAX / 1000;
    pthread_mutex_lock(&run->lock);
    while (atomic_load(&run->acked_total) < run->target && run->violation[0] == '\0') {
        if (pthread_cond_timedwait(&run->progress, &run->lock, &until) == ETIMEDOUT) {
            snprintf(run->violation, sizeof run->violation, "no progress in %d ms",
                     PROGRESS_MS_MAX);
        }
    }
    pthread_mutex_unlock(&run->lock);
    struct timespec spin = {.tv_nsec = rand_r(seed) % SPIN_US_MAX * 1000L};
    nanosleep(&spin, NULL);
}

/* So that the crash meets a child that writes a snapshot, or the log being cut after it. */
static void start_snapshot(const struct server *server)
{
    redisContext *c = server_connect(server);
    redisReply *reply = redisCommand(c, "BGSAVE");
    cr_assert_not_null(reply);
    bool started = reply->type != REDIS_REPLY_ERROR;
    cr_assert(started || strstr(reply->str, "already in progress") != NULL, "%s", reply->str);
    freeReplyObject(reply);
    redisFree(c);
}

/* Traffic, a crash in the middle of it, perhaps crashes of the recovery, a start, a check. */
static void crash_once(struct run *run, int round, unsigned *seed)
{
    pthread_t threads[LANES + READERS];
    atomic_store(&run->stop, false);
    run->target = atomic_load(&run->acked_total) + 1 + rand_r(seed) % KILL_AFTER_MAX;
    for (int n = 0; n < LANES + READERS; n++) {
        void *(*body)(void *) = n < LANES ? write_lane : read_lanes;
        void *arg = n < LANES ? (void *)&run->lanes[n] : (void *)run;
        cr_assert_eq(pthread_create(&threads[n], NULL, body, arg), 0);
    }
    if (round % 3 == 1) {
        start_snapshot(run->server);
    }
    await_progress(run, seed);
    server_kill(run->server);
    atomic_store(&run->stop, true);
    for (int n = 0; n < LANES + READERS; n++) {
        pthread_join(threads[n], NULL);
    }
    for (int n = rand_r(seed) % 3; n > 0; n--) {
        server_crash_while_starting(run->server, rand_r(seed) % STARTING_US_MAX);
    }
    server_restart(run->server);
    check_all(run, TAIL_CHECKED);
}

/* Crash a server `rounds` times; the first violation, or "". */
static struct run *crash_run(const struct server_options *options, int rounds)
{
    struct run *run = calloc(1, sizeof *run);
    cr_assert_not_null(run);
    pthread_mutex_init(&run->lock, NULL);
    pthread_cond_init(&run->progress, NULL);
    unsigned seed = (unsigned)time(NULL);
    const char *chosen = getenv("HELIOS_TEST_SEED");
    if (chosen != NULL) {
        seed = (unsigned)atol(chosen);
    }
    fprintf(stderr, "HELIOS_TEST_SEED=%u\n", seed);
    run->seed = seed;
    for (int n = 0; n < LANES; n++) {
        run->lanes[n].id = n;
        run->lanes[n].run = run;
    }
    run->server = server_start(options);
    int round = 0;
    for (; round < rounds && !violated(run); round++) {
        crash_once(run, round, &seed);
    }
    if (!violated(run)) {
        check_all(run, INT32_MAX / RECORD_LEN);
    }
    fprintf(stderr, "%d crashes, %ld acknowledged operations\n", round,
            atomic_load(&run->acked_total));
    server_close(run->server);
    return run;
}

static int crashes(int usual)
{
    const char *scale = getenv("HELIOS_TEST_SCALE");
    const char *chosen = getenv("HELIOS_TEST_CRASHES");
    usual = SANITIZED ? usual / 10 : usual;
    return chosen != NULL ? atoi(chosen) : usual * (scale != NULL ? atoi(scale) : 1);
}

/* The flags that both this server and redis-server take for "acknowledged means durable". */
#define DURABLE "--appendonly", "yes", "--appendfsync", "always"

Test(durability, nothing_acknowledged_is_lost_when_the_process_is_killed)
{
    struct server_options options = {.flags = {DURABLE, NULL}};
    struct run *run = crash_run(&options, crashes(200));
    cr_assert_str_eq(run->violation, "");
    free(run);
}

/* A disk that loses what was not synced: all of it, or each page and name by chance. */
static void survive_on(const char *seed, int rounds)
{
    struct server_options options = {
        .flags = {DURABLE, NULL}, .env = {seed, NULL}, .forgetful_disk = true};
    if (server_is_redis(&options)) {
        options.env[1] = "DROPDISK_KIND=1"; /* it relies on the journals of ext4 and xfs */
    }
    struct run *run = crash_run(&options, rounds);
    cr_assert_str_eq(run->violation, "");
    free(run);
}

Test(durability, nothing_acknowledged_is_lost_when_the_disk_forgets_all_that_was_not_synced,
     .disabled = SANITIZED)
{
    survive_on("DROPDISK_SEED=0", crashes(60));
}

Test(durability, nothing_acknowledged_is_lost_when_the_disk_keeps_some_of_it, .disabled = SANITIZED)
{
    survive_on("DROPDISK_SEED=7", crashes(60));
}

/* Flushes so slow that several are in flight, and die half done. */
Test(durability, nothing_acknowledged_is_lost_when_flushes_overlap, .disabled = SANITIZED)
{
    for (int round = 0; round < 2; round++) {
        struct server_options options = {
            .flags = {DURABLE, NULL},
            .env = {round == 0 ? "DROPDISK_SEED=0" : "DROPDISK_SEED=7", "DISKSLOW_US=1000", NULL},
            .forgetful_disk = true};
        struct run *run = crash_run(&options, crashes(20));
        cr_assert_str_eq(run->violation, "");
        free(run);
    }
}

/* The two below must fail, or the tests above would prove nothing. */
Test(durability, a_disk_that_lies_about_syncing_is_found_out, .disabled = SANITIZED)
{
    struct server_options options = {.flags = {DURABLE, NULL},
                                     .env = {"DROPDISK_SEED=0", "DROPDISK_LIE=1", NULL},
                                     .forgetful_disk = true};
    struct run *run = crash_run(&options, 20);
    cr_assert_str_neq(run->violation, "");
    free(run);
}

Test(durability, a_server_that_acknowledges_before_it_syncs_is_found_out, .disabled = SANITIZED)
{
    struct server_options options = {.flags = {"--appendonly", "yes", "--appendfsync", "no", NULL},
                                     .env = {"DROPDISK_SEED=0", NULL},
                                     .forgetful_disk = true};
    struct run *run = crash_run(&options, 20);
    cr_assert_str_neq(run->violation, "");
    free(run);
}

/* Goal: the child that writes a snapshot holds nothing (lock, port) that a new server needs. */
Test(durability, a_server_killed_while_it_saves_starts_again_at_once)
{
    struct server_options options = {.flags = {DURABLE, NULL}};
    struct server *server = server_start(&options);
    for (int round = 0; round < 3; round++) {
        redisContext *c = server_connect(server);
        redisReply *reply = NULL;
        for (int i = 0; i < SAVED_KEYS; i++) {
            redisAppendCommand(c, "SET saved:%d %0100d", i, round);
        }
        for (int i = 0; i < SAVED_KEYS; i++) {
            cr_assert_eq(redisGetReply(c, (void **)&reply), REDIS_OK);
            freeReplyObject(reply);
        }
        redisFree(c);
        start_snapshot(server);
        server_kill(server);
        server_restart(server);
        c = server_connect(server);
        cr_assert_eq(ask_number(c, "DBSIZE", 0, true), SAVED_KEYS);
        cr_assert_eq(ask_number(c, "STRLEN saved:%d", round, true), 100);
        redisFree(c);
    }
    server_close(server);
}
