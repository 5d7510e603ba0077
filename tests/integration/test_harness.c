/* Goal: the server harness does what it says; proved on redis-server, whose behaviour is known. */
#include "support/server.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct server_options redis = {
    .program = "/usr/bin/redis-server",
    .flags = {"--save", "", "--appendonly", "yes", "--appendfsync", "always", NULL},
};

static long long get_number(redisContext *c, const char *key)
{
    redisReply *reply = redisCommand(c, "GET %s", key);
    cr_assert_not_null(reply);
    long long n = reply->str != NULL ? atoll(reply->str) : -1;
    freeReplyObject(reply);
    return n;
}

Test(harness, a_started_server_answers)
{
    struct server *server = server_start(&redis);
    redisContext *c = server_connect(server);
    cr_assert_eq(get_number(c, "absent"), -1);
    redisFree(c);
    server_close(server);
}

Test(harness, a_killed_server_keeps_its_directory_and_port)
{
    struct server *server = server_start(&redis);
    int port = server_port(server);
    redisContext *c = server_connect(server);
    freeReplyObject(redisCommand(c, "SET k 7"));
    redisFree(c);
    server_kill(server);
    cr_assert_eq(server_pid(server), 0);
    cr_assert_null(server_try_connect(server));
    server_restart(server);
    cr_assert_eq(server_port(server), port);
    c = server_connect(server);
    cr_assert_eq(get_number(c, "k"), 7);
    redisFree(c);
    cr_assert_eq(server_stop(server), 0);
    server_close(server);
}

Test(harness, the_log_is_captured_and_the_directory_removed)
{
    struct server *server = server_start(&redis);
    char *dir = strdup(server_dir(server));
    char *log = server_log(server);
    cr_assert_not_null(strstr(log, "Ready to accept connections"));
    cr_assert_eq(access(dir, F_OK), 0);
    server_close(server);
    cr_assert_neq(access(dir, F_OK), 0);
    free(log);
    free(dir);
}

Test(harness, a_program_that_ends_at_once_ends_the_test, .signal = SIGABRT)
{
    struct server_options nothing = {.program = "/bin/false"};
    server_start(&nothing);
}
