/* The glue on the fake server, whose clock we own: replies, timers, replication, the end.
 * Built with the address sanitizer this also proves that unloading frees everything. */
#include "testing/fake.h"

#include "helios/module.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct fake *fake;

static void setup(void)
{
    fake = fake_create();
    cr_assert_eq(fake_load(fake, RedisModule_OnLoad, NULL), REDISMODULE_OK, "%s",
                 fake_logged(fake));
}

static void teardown(void)
{
    cr_assert_eq(fake_live(fake), 0, "handles are left");
    cr_assert_eq(fake_unload(fake, RedisModule_OnUnload), REDISMODULE_OK);
    fake_advance(fake, 1000000); /* no timer may be left to fire */
    fake_destroy(fake);
}

TestSuite(jobs_module, .init = setup, .fini = teardown);

static bool says(const char *line, const char *part)
{
    const char *reply = fake_run(fake, line);
    bool found = strstr(reply, part) != NULL;
    if (!found) {
        printf("%s: %s\n", line, reply);
    }
    return found;
}

/* The text between `before` and the next quote of a reply. */
static const char *after(const char *reply, const char *before)
{
    static char text[128];
    const char *at = strstr(reply, before);
    cr_assert_not_null(at, "%s", reply);
    at += strlen(before);
    size_t len = strcspn(at, "\"");
    cr_assert_lt(len, sizeof text);
    memcpy(text, at, len);
    text[len] = '\0';
    return text;
}

/* Push a job; its id. */
static const char *push(const char *options)
{
    static char id[128];
    char line[256];
    snprintf(line, sizeof line, "JOB.PUSH q payload %s", options);
    snprintf(id, sizeof id, "%s", after(fake_run(fake, line), "\""));
    return id;
}

/* Pull a job of queue q; its token. */
static const char *pull(void)
{
    return after(fake_run(fake, "JOB.PULL q"), "\"token\" \"");
}

Test(jobs_module, answers_a_life)
{
    char line[256];
    const char *id = push("");
    const char *token = pull();
    cr_assert_eq(strlen(token), 32);
    snprintf(line, sizeof line, "JOB.ACK %s %s done", id, token);
    cr_assert_str_eq(fake_run(fake, line), "+OK");
    snprintf(line, sizeof line, "JOB.GET %s", id);
    cr_assert(says(line, "\"status\" \"done\""));
    cr_assert(says(line, "\"result\" \"done\""));
    cr_assert(says("JOB.STATS q", "\"acked\" :1"));
    cr_assert_str_eq(fake_run(fake, "JOB.QUEUES"), "[\"q\"]");
    cr_assert_not_null(strstr(fake_info(fake), "jobs_done:1"));
}

Test(jobs_module, replicates_outcomes_and_nothing_for_reads)
{
    push("");
    cr_assert_eq(strncmp(fake_replicated(fake), "JOB._APPLY q ", 13), 0);
    fake_run(fake, "JOB.LIST q");
    fake_run(fake, "JOB.STATS");
    fake_run(fake, "JOB.PULL nothing");
    fake_run(fake, "JOB.GET q:1-00000000");
    cr_assert_str_eq(fake_replicated(fake), "");
    pull();
    cr_assert_eq(strncmp(fake_replicated(fake), "JOB._APPLY q ", 13), 0);
    cr_assert(says("JOB._APPLY q x", "-ERR JOB._APPLY is for replication only"));
    cr_assert_str_eq(fake_replicated(fake), "");
}

Test(jobs_module, names_the_keys_of_a_pull)
{
    cr_assert_str_eq(fake_keys(fake, "JOB.PULL a b c COUNT 3"), "1 2 3");
    cr_assert_str_eq(fake_keys(fake, "JOB.PULL count COUNT 3"), "1");
}

Test(jobs_module, the_timer_ends_leases_on_a_master)
{
    push("VIS 5 BACKOFF fixed 1000 1000 0");
    pull();
    fake_replicated(fake);
    fake_advance(fake, 4999);
    cr_assert_str_eq(fake_replicated(fake), "");
    fake_advance(fake, 2);
    cr_assert_eq(strncmp(fake_replicated(fake), "JOB._APPLY q ", 13), 0);
    cr_assert(says("JOB.STATS q", "\"scheduled\" :1"));
    fake_advance(fake, 1001);
    cr_assert(says("JOB.STATS q", "\"ready\" :1"));
}

Test(jobs_module, the_timer_does_nothing_on_a_replica_until_promoted)
{
    push("DELAY 1000");
    fake_replicated(fake);
    fake_set_flags(fake, REDISMODULE_CTX_FLAGS_SLAVE);
    fake_advance(fake, 5000);
    cr_assert_str_eq(fake_replicated(fake), "");
    cr_assert(says("JOB.STATS q", "\"scheduled\" :1"));
    fake_set_flags(fake, REDISMODULE_CTX_FLAGS_MASTER);
    RedisModuleEvent event = {.id = REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED, .dataver = 1};
    fake_event(fake, event, REDISMODULE_EVENT_REPLROLECHANGED_NOW_MASTER, NULL);
    fake_advance(fake, 2);
    cr_assert(says("JOB.STATS q", "\"ready\" :1"));
}

Test(jobs_module, a_restart_keeps_everything_and_the_timer)
{
    push("DELAY 1000 ID order-1");
    push("PRI 3");
    pull();
    cr_assert(fake_reload(fake));
    cr_assert(says("JOB.STATS q", "\"leased\" :1"));
    cr_assert(says("JOB.PUSH q other ID order-1", ":1]"));
    RedisModuleEvent event = {.id = REDISMODULE_EVENT_LOADING, .dataver = 1};
    fake_event(fake, event, REDISMODULE_SUBEVENT_LOADING_ENDED, NULL);
    fake_advance(fake, 1001);
    cr_assert(says("JOB.STATS q", "\"ready\" :1"));
}

Test(jobs_module, a_waiting_client_is_served_by_a_push_or_by_time)
{
    cr_assert_str_eq(fake_run(fake, "JOB.PULL q BLOCK 5000"), "(blocked)");
    cr_assert_str_eq(fake_unblocked(fake), "");
    push("DELAY 1000");
    cr_assert_str_eq(fake_unblocked(fake), "");
    fake_advance(fake, 1001);
    cr_assert_not_null(strstr(fake_unblocked(fake), "\"attempt\" :1"));
    cr_assert_str_eq(fake_run(fake, "JOB.PULL q BLOCK 5000"), "(blocked)");
    fake_advance(fake, 5001);
    cr_assert_str_eq(fake_unblocked(fake), "(null)");
    cr_assert_not_null(strstr(fake_info(fake), "jobs_waiters:0"));
}

Test(jobs_module, never_waits_in_a_transaction_or_script)
{
    fake_set_flags(fake, REDISMODULE_CTX_FLAGS_MASTER | REDISMODULE_CTX_FLAGS_MULTI);
    cr_assert_str_neq(fake_run(fake, "JOB.PULL q BLOCK 0"), "(blocked)");
    fake_set_flags(fake, REDISMODULE_CTX_FLAGS_MASTER | REDISMODULE_CTX_FLAGS_LUA);
    cr_assert_str_neq(fake_run(fake, "JOB.PULL q BLOCK 0"), "(blocked)");
}

Test(jobs_module, settings_are_bounded_and_used)
{
    cr_assert_str_eq(fake_config_set(fake, "max-payload", "3"), "+OK");
    cr_assert(says("JOB.PUSH q four", "-ERR The payload is larger"));
    cr_assert_str_neq(fake_config_set(fake, "max-payload", "0"), "+OK");
    cr_assert_str_eq(fake_config_set(fake, "max-payload", "100"), "+OK");
    cr_assert_str_eq(fake_config_set(fake, "max-queue-depth", "1"), "+OK");
    push("");
    cr_assert(says("JOB.PUSH q again", "-ERR The queue is full"));
}

Test(jobs_module, refuses_arguments_of_its_own)
{
    cr_assert_eq(fake_live(fake), 0);
    cr_assert(says("JOB.HELP", "JOB.PUSH queue payload"));
    cr_assert(says("JOB.HELP x", "-ERR wrong number of arguments"));
}

Test(jobs_module, a_waiting_result_is_told_when_the_job_ends)
{
    char line[256];
    const char *id = push("");
    snprintf(line, sizeof line, "JOB.RESULT %s", id);
    cr_assert_str_eq(fake_run(fake, line), "(null)");
    snprintf(line, sizeof line, "JOB.RESULT %s BLOCK 5000", id);
    cr_assert_str_eq(fake_run(fake, line), "(blocked)");
    const char *token = pull();
    cr_assert_str_eq(fake_unblocked(fake), "");
    snprintf(line, sizeof line, "JOB.ACK %s %s sent", id, token);
    cr_assert_str_eq(fake_run(fake, line), "+OK");
    cr_assert_str_eq(fake_unblocked(fake), "[\"done\" \"sent\"]");
    cr_assert_not_null(strstr(fake_info(fake), "jobs_followers:0"));
}

Test(jobs_module, events_are_awaited)
{
    cr_assert_str_eq(fake_run(fake, "JOB.EVENTS q BLOCK 5000"), "(blocked)");
    push("");
    cr_assert_not_null(strstr(fake_unblocked(fake), "\"event\" \"enqueued\""));
    cr_assert_str_eq(fake_run(fake, "JOB.EVENTS q AFTER $ BLOCK 50"), "(blocked)");
    fake_advance(fake, 51);
    cr_assert_str_eq(fake_unblocked(fake), "(null)");
    cr_assert(says("JOB.EVENTS q AFTER 77", "\"last\" :1"));
    cr_assert_not_null(strstr(fake_info(fake), "jobs_followers:0"));
}

/* The fake's one client has number 1. */
static void disconnect(uint64_t number)
{
    RedisModuleClientInfo info = {.version = 1, .id = number};
    RedisModuleEvent event = {.id = REDISMODULE_EVENT_CLIENT_CHANGE, .dataver = 1};
    fake_event(fake, event, REDISMODULE_SUBEVENT_CLIENT_CHANGE_DISCONNECTED, &info);
}

Test(jobs_module, a_bound_lease_ends_with_its_connection)
{
    push("");
    push("");
    fake_run(fake, "JOB.PULL q BOUND");
    fake_run(fake, "JOB.PULL q");
    disconnect(2);
    fake_advance(fake, 10);
    cr_assert(says("JOB.STATS q", "\"leased\" :2"));
    fake_replicated(fake);
    disconnect(1);
    cr_assert_str_eq(fake_replicated(fake), "", "not in the middle of what ends the connection");
    fake_advance(fake, 2);
    cr_assert_eq(strncmp(fake_replicated(fake), "JOB._APPLY q ", 13), 0);
    cr_assert(says("JOB.STATS q", "\"leased\" :1"));
    cr_assert(says("JOB.STATS q", "\"lease_dropped\" :1"));
}

Test(jobs_module, a_bound_lease_that_ended_otherwise_is_nobodys)
{
    char line[256];
    const char *id = push("");
    const char *token = after(fake_run(fake, "JOB.PULL q BOUND"), "\"token\" \"");
    snprintf(line, sizeof line, "JOB.RELEASE %s %s", id, token);
    cr_assert_str_eq(fake_run(fake, line), "+OK");
    pull();
    disconnect(1);
    fake_advance(fake, 2);
    cr_assert(says("JOB.STATS q", "\"leased\" :1"), "the next lease is another's");
}

Test(jobs_module, a_replica_ends_no_lease_of_a_lost_connection)
{
    push("");
    fake_run(fake, "JOB.PULL q BOUND");
    fake_replicated(fake);
    fake_set_flags(fake, REDISMODULE_CTX_FLAGS_SLAVE);
    disconnect(1);
    fake_advance(fake, 5);
    cr_assert_str_eq(fake_replicated(fake), "");
    cr_assert(says("JOB.STATS q", "\"leased\" :1"));
}

Test(jobs_module, many_bound_leases_are_swept)
{
    char line[256];
    for (int i = 0; i < 1000; i++) {
        const char *id = push("");
        const char *token = after(fake_run(fake, "JOB.PULL q BOUND"), "\"token\" \"");
        snprintf(line, sizeof line, "JOB.ACK %s %s", id, token);
        cr_assert_str_eq(fake_run(fake, line), "+OK");
    }
    push("");
    fake_run(fake, "JOB.PULL q BOUND");
    disconnect(1);
    fake_advance(fake, 2);
    cr_assert(says("JOB.STATS q", "\"leased\" :0"));
}

Test(jobs_module, no_time_passes_in_a_transaction)
{
    char holds[256];
    char ack[256];
    const char *id = push("VIS 1");
    const char *token = pull();
    snprintf(holds, sizeof holds, "JOB.HOLDS %s %s", id, token);
    snprintf(ack, sizeof ack, "JOB.ACK %s %s", id, token);
    fake_set_flags(fake, REDISMODULE_CTX_FLAGS_SLAVE); /* so that the timer does not end it */
    fake_advance(fake, 5000);
    fake_set_flags(fake, REDISMODULE_CTX_FLAGS_MASTER);
    cr_assert_str_eq(fake_run(fake, holds), ":0");
    fake_set_flags(fake, REDISMODULE_CTX_FLAGS_MASTER | REDISMODULE_CTX_FLAGS_MULTI);
    push("");
    cr_assert_str_eq(fake_run(fake, holds), ":1");
    cr_assert_str_eq(fake_run(fake, ack), "+OK");
}

Test(jobs_module, names_the_keys_of_a_redrive)
{
    cr_assert_str_eq(fake_keys(fake, "JOB.REDRIVE q COUNT 3 TO other"), "1 5");
    cr_assert_str_eq(fake_keys(fake, "JOB.REDRIVE q ERROR TO"), "1");
}
