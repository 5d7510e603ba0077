/* The example `lines` on the fake server, and so the fake's HeliosModule_Execute. */
#include "helios/execute.h"
#include "helios/module.h"
#include "testing/fake.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MS_MAX 10000

static struct fake *fake;
static int fd;

static int dial(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port =
                                      htons((uint16_t)atoi(fake_run(fake, "lines.port") + 1)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(s, (struct sockaddr *)&address, sizeof address), 0);
    return s;
}

static void setup(void)
{
    fake = fake_create();
    cr_assert_eq(fake_load(fake, RedisModule_OnLoad, "0 ada"), REDISMODULE_OK, "%s",
                 fake_logged(fake));
    fd = dial();
}

static void teardown(void)
{
    close(fd);
    cr_assert_eq(fake_unload(fake, RedisModule_OnUnload), REDISMODULE_OK);
    cr_assert_eq(fake_live(fake), 0);
    fake_destroy(fake);
}

TestSuite(lines, .init = setup, .fini = teardown);

static void say(const char *text)
{
    cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Until something ran; the module's thread takes its time. */
static void expect_executed(const char *want)
{
    const char *got = "";
    for (int i = 0; i < ANSWER_MS_MAX && got[0] == '\0'; i++) {
        got = fake_executed(fake);
        (void)poll(NULL, 0, got[0] == '\0');
    }
    cr_assert_str_eq(got, want);
}

static void expect_line(const char *want)
{
    char line[512];
    size_t len = 0;
    while (len == 0 || line[len - 1] != '\n') {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        cr_assert_eq(poll(&ready, 1, ANSWER_MS_MAX), 1, "no answer");
        cr_assert_lt(len, sizeof line - 1);
        cr_assert_eq(recv(fd, line + len, 1, 0), 1);
        len++;
    }
    line[len] = '\0';
    cr_assert_str_eq(line, want);
}

Test(lines, a_line_is_executed_as_the_user_and_answered)
{
    say("SET k v\n");
    expect_executed("ada: SET k v\n");
    expect_line("answered OK\n");
    say("GET k\n");
    expect_executed("ada: GET k\n");
    expect_line("answered v\n");
    say("nonsense\n");
    expect_executed("ada: nonsense\n");
    expect_line("answered ERR unknown command\n");
}

Test(lines, several_commands_are_one_request)
{
    say("SET a 1 ; SET b 2 ; GET a\n");
    expect_executed("ada: SET a 1 ; SET b 2 ; GET a\n");
    expect_line("answered OK, OK, 1\n");
}

Test(lines, lines_that_are_no_request_are_told_so)
{
    say("\n;\nSET a ;\n");
    expect_line("error: words, please; commands between semicolons\n");
    expect_line("error: words, please; commands between semicolons\n");
    expect_line("error: words, please; commands between semicolons\n");
    cr_assert_str_eq(fake_executed(fake), "");
}

Test(lines, outcomes_are_told_apart)
{
    fake_execute_next(fake, HELIOSMODULE_EXECUTE_UNKNOWN, "UNKNOWN nobody knows");
    say("SET k v\n");
    expect_executed("ada: SET k v\n");
    expect_line("unknown UNKNOWN nobody knows\n");
    fake_execute_next(fake, HELIOSMODULE_EXECUTE_NOT_EXECUTED, "NOQUORUM try again");
    say("SET k v\n");
    expect_executed("ada: SET k v\n");
    expect_line("not-executed NOQUORUM try again\n");
}

Test(lines, unloading_ends_what_is_under_way)
{
    say("SET k v\n");
    char byte = 0;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    cr_assert_eq(poll(&ready, 1, 50), 0, "nobody runs it");
    cr_assert_eq(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
}

Test(lines_arguments, that_are_wrong_are_refused)
{
    static const char *const wrong[] = {"x", "-1", "65536", "0 ada more"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        fake = fake_create();
        cr_assert_eq(fake_load(fake, RedisModule_OnLoad, wrong[i]), REDISMODULE_ERR, "%s",
                     wrong[i]);
        cr_assert(strstr(fake_logged(fake), "arguments are") != NULL);
        fake_destroy(fake);
    }
}
