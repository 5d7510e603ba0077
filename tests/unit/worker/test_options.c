/* Goal: every documented way to say something is understood, and everything else is refused with a
 * sentence that names it.  Method: whole command lines, environments and files. */
#include "kit/assert.h"
#include "worker/options.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WORDS_MAX 80

static struct worker_options options;
static struct worker_request request;
static struct hl_errmsg msg;

/* Read a line of words separated by '|'. */
static hl_err read_line(const char *line, char *const *envp)
{
    static char text[4096];
    char *argv[WORDS_MAX] = {NULL};
    int argc = 0;
    worker_options_fini(&options);
    msg.text[0] = '\0';
    (void)snprintf(text, sizeof text, "helios-worker|%s", line);
    for (char *at = text; at != NULL && argc < WORDS_MAX - 1;) {
        argv[argc++] = at;
        at = strchr(at, '|');
        if (at != NULL) {
            *at++ = '\0';
        }
    }
    argc -= argc > 1 && argv[argc - 1][0] == '\0' ? 1 : 0;
    return worker_options_read(&options, argc, argv, envp, &request, &msg);
}

static void forget(void)
{
    worker_options_fini(&options);
}

TestSuite(options, .fini = forget);

Test(options, the_command_line_of_the_first_documents_works_as_it_stands)
{
    cr_assert_eq(read_line("--worker-id=worker-1|--poll-interval=5s", NULL), HL_OK, "%s", msg.text);
    cr_assert_str_eq(options.id, "worker-1");
    cr_assert_eq(options.poll_ms, 5000);
    cr_assert_eq(options.concurrency, 1);
    cr_assert_null(options.exec);
    cr_assert_null(options.http);
    cr_assert_eq(options.server_count, 2);
    cr_assert_str_eq(options.servers[0].host, "127.0.0.1");
    cr_assert_eq(options.servers[0].port, 6379);
    cr_assert_str_eq(options.servers[1].host, "/var/lib/helios/gateway/helios.sock");
    cr_assert_eq(options.servers[1].port, 0);
    cr_assert_str_eq(options.queues[0], "default");
    cr_assert_eq(options.log_form, HL_LOG_JSON);
}

Test(options, one_dash_two_dashes_equals_and_spaces_mean_the_same)
{
    static const char *const lines[] = {
        "--worker-id=w9|--poll-interval=250ms|--queue=a,b|--concurrency=4|--exec=cat",
        "-worker-id|w9|-poll-interval|250ms|-queue|a,b|-concurrency|4|-exec|cat",
        "-worker-id=w9|--poll-interval|250ms|--queue|a|--queue=b|-concurrency=4|--exec|cat"};
    for (size_t i = 0; i < HL_ARRAY_LEN(lines); i++) {
        cr_assert_eq(read_line(lines[i], NULL), HL_OK, "%s", msg.text);
        cr_assert_str_eq(options.id, "w9");
        cr_assert_eq(options.poll_ms, 250);
        cr_assert_eq(options.queue_count, 2);
        cr_assert_str_eq(options.queues[1], "b");
        cr_assert_eq(options.concurrency, 4);
        cr_assert_str_eq(options.exec, "cat");
        cr_assert_not(options.weighted);
    }
}

Test(options, the_environment_speaks_where_the_command_line_is_silent)
{
    char *env[] = {(char *)"WORKER_ID=from-env",
                   (char *)"POLL_INTERVAL=7s",
                   (char *)"HELIOS_WORKER_CONCURRENCY=3",
                   (char *)"HELIOS_WORKER_JOB_TIMEOUT=2m",
                   (char *)"HELIOS_WORKER_QUEUE=q1,q2",
                   (char *)"HELIOS_PASSWORD=secret",
                   (char *)"DATA_DIR=/data",
                   NULL};
    cr_assert_eq(read_line("--exec|true", env), HL_OK, "%s", msg.text);
    cr_assert_str_eq(options.id, "from-env");
    cr_assert_eq(options.poll_ms, 7000);
    cr_assert_eq(options.concurrency, 3);
    cr_assert_eq(options.job_timeout_ms, 120000);
    cr_assert_eq(options.queue_count, 2);
    cr_assert_str_eq(options.password, "secret");
    cr_assert_str_eq(options.servers[1].host, "/data/gateway/helios.sock");
    cr_assert_eq(read_line("--exec|true|--worker-id|mine|--concurrency|5|--queue|x", env), HL_OK);
    cr_assert_str_eq(options.id, "mine");
    cr_assert_eq(options.concurrency, 5);
    cr_assert_eq(options.queue_count, 1);
}

Test(options, servers_are_hosts_ports_and_paths)
{
    cr_assert_eq(read_line("--server|10.0.0.1:6379,node2:6380,[::1]:6381,/run/h.sock", NULL), HL_OK,
                 "%s", msg.text);
    cr_assert_eq(options.server_count, 4);
    cr_assert_str_eq(options.servers[0].host, "10.0.0.1");
    cr_assert_eq(options.servers[1].port, 6380);
    cr_assert_str_eq(options.servers[2].host, "::1");
    cr_assert_str_eq(options.servers[3].host, "/run/h.sock");
    cr_assert_eq(options.servers[3].port, 0);
    cr_assert_eq(read_line("--server|:6380", NULL), HL_OK);
    cr_assert_str_eq(options.servers[0].host, "127.0.0.1");
}

Test(options, weights_belong_to_queues)
{
    cr_assert_eq(read_line("--queue|urgent=5,slow=1,plain", NULL), HL_OK, "%s", msg.text);
    cr_assert(options.weighted);
    cr_assert_eq(options.weights[0], 5);
    cr_assert_eq(options.weights[2], 1);
    cr_assert_str_eq(options.queues[0], "urgent");
}

Test(options, a_configuration_file_has_a_section_for_the_worker)
{
    char path[] = "/tmp/helios-worker-test-XXXXXX.yaml";
    int fd = mkstemps(path, 5);
    cr_assert_geq(fd, 0);
    static const char text[] = "worker:\n  worker_id: w3\n  poll_interval: \"2s\"\n"
                               "  max_attempts: 3\n  visibility_timeout: 30\n";
    cr_assert_eq(write(fd, text, sizeof text - 1), (ssize_t)sizeof text - 1);
    (void)close(fd);
    char line[200];
    (void)snprintf(line, sizeof line, "--config|%s", path);
    cr_assert_eq(read_line(line, NULL), HL_OK, "%s", msg.text);
    cr_assert_str_eq(options.id, "w3");
    cr_assert_eq(options.poll_ms, 2000);
    cr_assert_eq(options.lease_ms, 30000);
    (void)snprintf(line, sizeof line, "--config=%s|--poll-interval=1s", path);
    cr_assert_eq(read_line(line, NULL), HL_OK, "%s", msg.text);
    cr_assert_eq(options.poll_ms, 1000);
    (void)unlink(path);
}

Test(options, a_password_comes_from_the_first_line_of_a_file)
{
    char path[] = "/tmp/helios-worker-test-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, "hunter2\r\nmore\n", 14), 14);
    char line[200];
    (void)snprintf(line, sizeof line, "--user|ada|--password-file|%s", path);
    cr_assert_eq(read_line(line, NULL), HL_OK, "%s", msg.text);
    cr_assert_str_eq(options.user, "ada");
    cr_assert_str_eq(options.password, "hunter2");
    cr_assert_eq(ftruncate(fd, 0), 0);
    cr_assert_eq(read_line(line, NULL), HL_EIO);
    cr_assert_not_null(strstr(msg.text, "password-file"));
    (void)close(fd);
    (void)unlink(path);
    cr_assert_eq(read_line(line, NULL), HL_EIO);
}

Test(options, help_and_version_need_nothing_else)
{
    cr_assert_eq(read_line("--help", NULL), HL_OK);
    cr_assert(request.help);
    cr_assert_eq(read_line("-version", NULL), HL_OK);
    cr_assert(request.version);
}

Test(options, what_is_wrong_is_named)
{
    static const struct {
        const char *line, *part;
    } rows[] = {{"--exec|a|--http|http://h/", "exclude"},
                {"--http|ftp://host/", "http://"},
                {"--http|host/path", "http://"},
                {"--exec|", "exec"},
                {"--exec", "needs a value"},
                {"--concurrency|0", "concurrency"},
                {"--concurrency|1001", "out of range"},
                {"--concurrency|many", "whole number"},
                {"--job-timeout|soon", "30s"},
                {"--job-timeout|-5", "job-timeout"},
                {"--result-max|1tb", "result-max"},
                {"--permanent-exit|0", "permanent-exit"},
                {"--queue|a,,b", "queue"},
                {"--queue|a=0", "weight"},
                {"--queue|a=1001", "weight"},
                {"--queue|a=x", "weight"},
                {"--queue|BLOCK", "JOB.PULL"},
                {"--queue|a\tb", "control"},
                {"--server|nowhere", "host:port"},
                {"--server|a:1,", "host:port"},
                {"--server|h:99999", "host:port"},
                {"--http-header|X: y|--exec|a", "--http"},
                {"--http-header|no colon", "Name: text"},
                {"--http-cacert|f|--exec|a", "--http"},
                {"--user|ada", "password"},
                {"--tls", "cacert"},
                {"--cert|a|--key|b", "--tls"},
                {"--tls|--insecure|--cert|a", "together"},
                {"--once=perhaps", "yes or no"},
                {"--worker-id|a b", "worker-id"},
                {"--poll-interval|never", "poll-interval"},
                {"--quue|a", "quue"},
                {"--maxmemory|1gb", "not of the worker"}};
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        cr_assert_neq(read_line(rows[i].line, NULL), HL_OK, "%s", rows[i].line);
        cr_assert_not_null(strstr(msg.text, rows[i].part), "%s: %s", rows[i].line, msg.text);
    }
}

Test(options, too_many_of_a_thing_are_refused)
{
    char line[2000] = "--queue|q";
    for (int i = 0; i < 64; i++) {
        (void)snprintf(line + strlen(line), sizeof line - strlen(line), ",q%d", i);
    }
    cr_assert_eq(read_line(line, NULL), HL_EINVAL);
    cr_assert_not_null(strstr(msg.text, "64"));
    (void)snprintf(line, sizeof line, "--server|h:1");
    for (int i = 0; i < 16; i++) {
        (void)snprintf(line + strlen(line), sizeof line - strlen(line), ",h:1");
    }
    cr_assert_eq(read_line(line, NULL), HL_EINVAL);
}

Test(options, the_help_names_every_flag_that_is_read)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    worker_options_print_help(out);
    (void)fclose(out);
    static const char *const names[] = {"--server",
                                        "--user",
                                        "--password-file",
                                        "--tls",
                                        "--cacert",
                                        "--cert",
                                        "--key",
                                        "--insecure",
                                        "--queue",
                                        "--concurrency",
                                        "--exec",
                                        "--http",
                                        "--http-header",
                                        "--job-timeout",
                                        "--kill-after",
                                        "--http-cacert",
                                        "--grace",
                                        "--result-max",
                                        "--permanent-exit",
                                        "--once",
                                        "--drain",
                                        "--worker-id",
                                        "--poll-interval",
                                        "--config",
                                        "--log-level",
                                        "--log-format",
                                        "JOB_ID",
                                        "Retry-After",
                                        "SIGTERM"};
    for (size_t i = 0; i < HL_ARRAY_LEN(names); i++) {
        cr_assert_not_null(strstr(text, names[i]), "%s", names[i]);
    }
    for (const char *at = text; *at != '\0';) {
        const char *end = strchr(at, '\n');
        cr_assert_leq(end - at, 110, "a line too long for a terminal: %.60s", at);
        at = end + 1;
    }
    free(text);
}
