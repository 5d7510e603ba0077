/* Errands: commands for somebody who is not connected end once, and say what became of them.
 *
 * Method: a group of three nodes in memory; an errand runs on the leader or on a follower while
 * leaders die, users go and time is up. */
#include "node/acl.h"
#include "node/errand.h"
#include "node/forward.h"
#include "node/node_internal.h"
#include "unit/node/group.h"

#define WORDS_MAX 16
#define COMMANDS_MAX 8

static struct group g;

static void setup(void)
{
    group_init(&g, 3);
}

static void teardown(void)
{
    group_fini(&g);
}

TestSuite(errand, .init = setup, .fini = teardown);

/* One errand and what it is about. */
struct job {
    struct hl_errand errand; /* first: on_told() knows it by that */
    struct hl_errand_order order;
    struct hl_errand_command commands[COMMANDS_MAX];
    struct hl_slice words[COMMANDS_MAX][WORDS_MAX];
    struct member *at;
    bool told, ended;
};

static void on_told(struct hl_errand *errand)
{
    ((struct job *)(void *)errand)->told = true;
}

/* Commands of words, one command in each argument, NULL behind the last. */
static struct job *job_of(struct member *m, const char *first, ...)
{
    struct job *job = hl_calloc(1, sizeof *job);
    job->at = m;
    job->order = (struct hl_errand_order){.commands = job->commands,
                                          .trusted = true,
                                          .client = hl_slice_of("web:1"),
                                          .proto = 2,
                                          .reply_size_max = 1000};
    va_list args;
    va_start(args, first);
    for (const char *text = first; text != NULL; text = va_arg(args, const char *)) {
        struct hl_errand_command *command = &job->commands[job->order.count];
        command->argv = job->words[job->order.count++];
        while (*text != '\0') {
            size_t len = strcspn(text, " ");
            job->words[job->order.count - 1][command->argc++] =
                (struct hl_slice){.ptr = text, .len = len};
            text += len + (text[len] == ' ');
        }
    }
    va_end(args);
    return job;
}

static void begin(struct job *job)
{
    hl_node_begin(job->at->node);
    job->ended = hl_errand_begin(job->at->node, &job->errand, &job->order, on_told);
    hl_node_end(job->at->node);
}

static void step(struct job *job)
{
    group_step(&g);
    if (!job->ended && job->told) {
        job->told = false;
        hl_node_begin(job->at->node);
        job->ended = hl_errand_step(job->at->node, &job->errand);
        hl_node_end(job->at->node);
    }
}

static void run_to_end(struct job *job)
{
    for (int i = 0; i < STEPS_MAX && !job->ended; i++) {
        step(job);
    }
    cr_assert(job->ended, "it never ends");
}

static void give_up(struct job *job)
{
    cr_assert_not(job->ended);
    hl_node_begin(job->at->node);
    hl_errand_give_up(job->at->node, &job->errand, "the time is over");
    hl_node_end(job->at->node);
    job->ended = true;
}

/* What it ended with; releases it. */
static void expect(struct job *job, enum hl_errand_outcome outcome, const char *reply)
{
    cr_assert(job->ended);
    cr_assert_null(job->errand.session);
    struct hl_slice got = hl_buf_view(&job->errand.reply);
    cr_expect_eq(job->errand.outcome, outcome, "outcome %d, reply %.*s", (int)job->errand.outcome,
                 (int)got.len, got.ptr);
    size_t len = strlen(reply); /* of errors, how they begin */
    cr_expect(got.len >= len && memcmp(got.ptr, reply, len) == 0 &&
                  (got.len == len || reply[0] == '-'),
              "got '%.*s', want '%s'", (int)got.len, got.ptr, reply);
    hl_buf_fini(&job->errand.reply);
    hl_free(job);
}

static void expect_run(struct job *job, enum hl_errand_outcome outcome, const char *reply)
{
    begin(job);
    run_to_end(job);
    expect(job, outcome, reply);
}

static struct member *follower_of(struct member *leader)
{
    group_run(&g, 20);
    struct member *follower = &g.at[(leader->at + 1) % g.count];
    cr_assert_not_null(hl_node_leader(follower->node));
    return follower;
}

Test(errand, on_the_leader_an_answer_waits_for_its_entry)
{
    struct member *leader = group_lead(&g);
    struct job *job = job_of(leader, "SET k v", NULL);
    begin(job);
    cr_assert_not(job->ended, "not before it is committed");
    cr_assert_not(job->told);
    run_to_end(job);
    cr_assert_geq(job->errand.token, leader->node->commit);
    expect(job, HL_ERRAND_ANSWERED, "+OK\r\n");
    expect_run(job_of(leader, "GET k", NULL), HL_ERRAND_ANSWERED, "$1\r\nv\r\n");
    expect_run(job_of(leader, "HGET k f", NULL), HL_ERRAND_ANSWERED, "-WRONGTYPE ");
    expect_run(job_of(leader, "nonsense", NULL), HL_ERRAND_ANSWERED, "-ERR unknown command");
}

Test(errand, on_a_follower_it_goes_to_the_leader_with_all_its_rights)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_errmsg msg = {{0}};
    struct hl_slice off[] = {hl_slice_of("off")};
    for (int i = 0; i < g.count; i++) { /* so that nobody but the trusted has any rights */
        cr_assert_eq(hl_acl_set(g.at[i].node->acl, hl_slice_of("default"), off, 1, &msg), HL_OK);
    }
    expect_run(job_of(f, "SET k v", NULL), HL_ERRAND_ANSWERED, "+OK\r\n");
    expect_run(job_of(f, "GET k", NULL), HL_ERRAND_ANSWERED, "$1\r\nv\r\n");
    group_run(&g, 20);
    cr_assert_eq(hl_forward_stats(f->node).lines, 0);
    cr_assert_eq(hl_forward_stats(leader->node).guests, 0);
}

Test(errand, it_has_the_rights_of_its_user_and_no_more)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct hl_slice rules[] = {hl_slice_of("on"), hl_slice_of("~mine:*"), hl_slice_of("+set"),
                               hl_slice_of("+get")};
    struct hl_errmsg msg = {{0}};
    for (int i = 0; i < g.count; i++) {
        cr_assert_eq(hl_acl_set(g.at[i].node->acl, hl_slice_of("ada"), rules, 4, &msg), HL_OK);
    }
    struct member *both[] = {leader, f};
    for (int i = 0; i < 2; i++) {
        const char *const requests[] = {"SET mine:k v", "SET other v", "DEL mine:k", "MULTI"};
        const char *const answers[] = {"+OK\r\n", "-NOPERM ", "-NOPERM ", "-ERR "};
        for (size_t r = 0; r < HL_ARRAY_LEN(requests); r++) {
            struct job *job = job_of(both[i], requests[r], NULL);
            job->order.trusted = false;
            job->order.user = hl_slice_of("ada");
            expect_run(job, HL_ERRAND_ANSWERED, answers[r]);
        }
        struct job *job = job_of(both[i], "GET k", NULL);
        job->order.trusted = false;
        job->order.user = hl_slice_of("nobody");
        expect_run(job, HL_ERRAND_ANSWERED, "-NOPERM there is no user");
    }
}

Test(errand, several_commands_are_all_or_none_in_one_entry)
{
    struct member *leader = group_lead(&g);
    struct member *both[] = {leader, follower_of(leader)};
    for (int i = 0; i < 2; i++) {
        hl_index before = leader->node->last;
        expect_run(job_of(both[i], "SET a 1", "INCR a", "GET a", "DEL a", NULL), HL_ERRAND_ANSWERED,
                   "*4\r\n+OK\r\n:2\r\n$1\r\n2\r\n:1\r\n");
        cr_assert_eq(leader->node->last, before + 1);
        expect_run(job_of(both[i], "SET a 1", "SET a", "SET a 2", NULL), HL_ERRAND_ANSWERED,
                   "-ERR wrong number of arguments for 'set' command\r\n");
        group_run(&g, 20);
        cr_assert_eq(leader->node->last, before + 1, "nothing of it");
    }
}

/* A refused MULTI must not leave its commands to run one by one (N3). */
Test(errand, who_may_not_begin_a_transaction_runs_nothing_of_it)
{
    struct member *leader = group_lead(&g);
    struct hl_slice rules[] = {hl_slice_of("on"), hl_slice_of("~*"), hl_slice_of("+set")};
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_acl_set(leader->node->acl, hl_slice_of("ada"), rules, 3, &msg), HL_OK);
    struct job *job = job_of(leader, "SET a 1", "SET b 1", NULL);
    job->order.trusted = false;
    job->order.user = hl_slice_of("ada");
    expect_run(job, HL_ERRAND_ANSWERED, "-NOPERM ");
    expect_run(job_of(leader, "EXISTS a b", NULL), HL_ERRAND_ANSWERED, ":0\r\n");
}

Test(errand, a_request_with_a_number_runs_once_whoever_leads)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    for (int i = 0; i < 3; i++) {
        struct job *job = job_of(f, "INCR n", NULL);
        job->order.once = hl_slice_of("key-1");
        job->order.once_seq = 1;
        expect_run(job, HL_ERRAND_ANSWERED, ":1\r\n");
        if (i == 0) {
            member_kill(leader);
            (void)group_lead(&g);
            group_run(&g, 20);
        }
    }
    struct job *job = job_of(f, "INCR n", NULL);
    job->order.once = hl_slice_of("key-2");
    job->order.once_seq = 1;
    expect_run(job, HL_ERRAND_ANSWERED, ":2\r\n");
}

Test(errand, what_belongs_to_connections_does_not_run)
{
    struct member *leader = group_lead(&g);
    static const char *const requests[] = {
        "MULTI",   "EXEC",          "DISCARD",          "WATCH k",
        "RESET",   "QUIT",          "AUTH x",           "HELLO 3",
        "MONITOR", "SEQ 1 SET k v", "CLIENT REPLY OFF", "CLIENT SESSION x"};
    for (size_t i = 0; i < HL_ARRAY_LEN(requests); i++) {
        expect_run(job_of(leader, requests[i], NULL), HL_ERRAND_ANSWERED,
                   "-ERR a command that belongs to connections");
    }
    struct job *job = job_of(leader, "PING", NULL);
    job->order.db = 1000;
    expect_run(job, HL_ERRAND_ANSWERED, "-ERR DB index");
}

/* The leader dies when it has the request: nobody knows. */
Test(errand, a_write_whose_leader_dies_is_unknown)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct job *job = job_of(f, "INCR n", NULL);
    begin(job);
    group_step(&g); /* it has arrived */
    member_kill(leader);
    run_to_end(job);
    expect(job, HL_ERRAND_UNKNOWN, "-UNKNOWN ");
}

Test(errand, a_write_that_never_left_is_definitely_not_executed)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    f->cut = true;
    while (hl_node_leader(f->node) != NULL) {
        group_step(&g);
    }
    struct job *job = job_of(f, "INCR n", NULL);
    begin(job);
    group_run(&g, 10);
    give_up(job); /* before the node itself gives up */
    expect(job, HL_ERRAND_NOT_EXECUTED, "-NOTEXECUTED the time is over");
    expect_run(job_of(f, "INCR n", NULL), HL_ERRAND_NOT_EXECUTED, "-NOQUORUM ");
    f->cut = false;
    (void)group_lead(&g);
    group_run(&g, 40);
    expect_run(job_of(f, "GET n", NULL), HL_ERRAND_ANSWERED, "$-1\r\n");
}

Test(errand, a_write_of_a_leader_alone_is_unknown_until_another_says_it_was_undone)
{
    struct member *leader = group_lead(&g);
    group_run(&g, 20);
    leader->cut = true;
    struct job *early = job_of(leader, "SET k early", NULL);
    struct job *late = job_of(leader, "SET k late", NULL);
    struct job *read = job_of(leader, "GET k", NULL);
    begin(early);
    begin(late);
    begin(read);
    group_step(&g);
    give_up(early);
    expect(early, HL_ERRAND_UNKNOWN, "-UNKNOWN ");
    give_up(read); /* it changes nothing, whatever happens */
    expect(read, HL_ERRAND_NOT_EXECUTED, "-NOTEXECUTED ");
    struct member *other = group_lead(&g);
    cr_assert_neq(other, leader);
    for (int i = 0; i < 3; i++) { /* until its log is longer */
        expect_run(job_of(other, "SET k other", NULL), HL_ERRAND_ANSWERED, "+OK\r\n");
    }
    leader->cut = false;
    run_to_end(late);
    expect(late, HL_ERRAND_NOT_EXECUTED, "-ROLLEDBACK ");
}

Test(errand, a_transaction_without_its_exec_is_definitely_nothing)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct job *job = job_of(f, "SET a 1", "SET b 1", NULL);
    begin(job); /* MULTI is sent, and waits for its answer */
    group_step(&g);
    give_up(job);
    expect(job, HL_ERRAND_NOT_EXECUTED, "-NOTEXECUTED ");
    group_run(&g, 40);
    expect_run(job_of(f, "EXISTS a b", NULL), HL_ERRAND_ANSWERED, ":0\r\n");
}

/* At each moment of a transaction through a follower the leader dies: all of it is there or
 * nothing, and the outcome never says the opposite. */
Test(errand, whenever_the_leader_dies_the_outcome_is_true)
{
    bool answered = false;
    bool unknown = false;
    for (int moment = 0; !answered; moment++) {
        cr_assert_lt(moment, 60);
        if (moment > 0) {
            group_fini(&g);
            group_init(&g, 3);
        }
        struct member *leader = group_lead(&g);
        struct member *f = follower_of(leader);
        struct job *job = job_of(f, "INCR a", "INCR b", NULL);
        begin(job);
        for (int i = 0; i < moment; i++) {
            step(job);
        }
        answered = job->ended;
        member_kill(leader);
        run_to_end(job);
        enum hl_errand_outcome outcome = job->errand.outcome;
        unknown = unknown || outcome == HL_ERRAND_UNKNOWN;
        hl_buf_fini(&job->errand.reply);
        hl_free(job);
        (void)group_lead(&g);
        group_run(&g, 60);
        struct job *look = job_of(f, "EXISTS a b", NULL);
        begin(look);
        run_to_end(look);
        struct hl_slice got = hl_buf_view(&look->errand.reply);
        bool there = hl_slice_equal(got, hl_slice_of(":2\r\n"));
        cr_assert(there || hl_slice_equal(got, hl_slice_of(":0\r\n")), "half of it, moment %d",
                  moment);
        cr_assert(outcome != HL_ERRAND_ANSWERED || there, "moment %d", moment);
        cr_assert(outcome != HL_ERRAND_NOT_EXECUTED || !there, "moment %d", moment);
        hl_buf_fini(&look->errand.reply);
        hl_free(look);
    }
    cr_assert(unknown, "no moment was a bad one: the test sees nothing");
}

Test(errand, a_reply_larger_than_its_receiver_wants_ends_it)
{
    struct member *leader = group_lead(&g);
    struct member *both[] = {leader, follower_of(leader)};
    static char value[900];
    memset(value, 'x', sizeof value - 1);
    char request[1000];
    snprintf(request, sizeof request, "SET k %s", value);
    expect_run(job_of(leader, request, NULL), HL_ERRAND_ANSWERED, "+OK\r\n");
    for (int i = 0; i < 2; i++) {
        struct job *read = job_of(both[i], "MGET k k", NULL);
        expect_run(read, HL_ERRAND_ANSWERED, "-ERR the reply is larger");
        struct job *write = job_of(both[i], "INCR n", "MGET k k", NULL);
        expect_run(write, HL_ERRAND_UNKNOWN, "-UNKNOWN the command was executed");
    }
}

Test(errand, its_user_may_go_meanwhile)
{
    struct member *leader = group_lead(&g);
    struct hl_slice rules[] = {hl_slice_of("on"), hl_slice_of("~*"), hl_slice_of("+@all")};
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_acl_set(leader->node->acl, hl_slice_of("ada"), rules, 3, &msg), HL_OK);
    struct hl_user *ada = hl_acl_find(leader->node->acl, hl_slice_of("ada"));
    struct job *job = job_of(leader, "SET k v", NULL);
    job->order.trusted = false;
    job->order.user = hl_slice_of("ada");
    leader->slow = true;
    begin(job);
    hl_auth_user_gone(leader->node, ada, NULL, 0);
    cr_assert(hl_acl_remove(leader->node->acl, hl_slice_of("ada")));
    run_to_end(job);
    leader->slow = false;
    expect(job, HL_ERRAND_UNKNOWN, "-UNKNOWN ");
}

Test(errand, a_follower_reads_as_fresh_as_it_is_asked_to)
{
    struct member *leader = group_lead(&g);
    struct member *f = follower_of(leader);
    struct job *write = job_of(leader, "SET k new", NULL);
    begin(write);
    run_to_end(write);
    hl_index token = write->errand.token;
    expect(write, HL_ERRAND_ANSWERED, "+OK\r\n");
    struct job *stale = job_of(f, "GET k", NULL);
    stale->order.own_consistency = true;
    stale->order.consistency = HL_READ_STALE;
    begin(stale);
    cr_assert(stale->ended, "at once");
    expect(stale, HL_ERRAND_ANSWERED, "$-1\r\n");
    struct job *session = job_of(f, "GET k", NULL);
    session->order.own_consistency = true;
    session->order.consistency = HL_READ_SESSION;
    session->order.read_value = token;
    expect_run(session, HL_ERRAND_ANSWERED, "$3\r\nnew\r\n");
}
