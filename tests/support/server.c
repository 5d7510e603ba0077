/* See server.h. */
#include "support/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEP_MS 5              /* between two looks at a server that is starting */
#define START_ATTEMPTS_MAX 5   /* ports to try when somebody else takes one first */
#define LOG_TAIL 4000          /* bytes of it that a message shows */
#define LOG_BYTES_MAX 16777216 /* of a server's log that server_log() reads */

struct server {
    char *program;
    char *flags[SERVER_FLAGS_MAX + 1];
    char *env[SERVER_ENV_MAX + 1];
    char dir[64];
    char log_path[80];
    bool forgetful_disk;
    int port;
    pid_t pid; /* 0 when it does not run */
    int pidfd; /* readable when the process has ended */
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "server: ");
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\n");
    va_end(args);
    abort();
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static char *copy(const char *text)
{
    char *dup = strdup(text);
    if (dup == NULL) {
        die("out of memory");
    }
    return dup;
}

const char *server_program(void)
{
    const char *program = getenv("HELIOS_SERVER");
    return program != NULL ? program : HELIOS_SERVER_DEFAULT;
}

bool server_is_redis(const struct server_options *options)
{
    const char *program = options->program != NULL ? options->program : server_program();
    return strstr(program, "redis-server") != NULL;
}

/* A port that was free a moment ago. */
static int free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
        die("no free port: %s", strerror(errno));
    }
    close(fd);
    return ntohs(addr.sin_port);
}

/* In the child: become the server. */
__attribute__((noreturn)) static void become(const struct server *server, pid_t parent)
{
    char port[16];
    const char *argv[SERVER_FLAGS_MAX + 6] = {server->program, "--port", port, "--dir",
                                              server->dir};
    snprintf(port, sizeof port, "%d", server->port);
    for (int i = 0; server->flags[i] != NULL; i++) {
        argv[5 + i] = server->flags[i];
    }
    for (int i = 0; server->env[i] != NULL; i++) {
        putenv(server->env[i]);
    }
    if (server->forgetful_disk) {
        setenv("LD_PRELOAD", DROPDISK_LIBRARY, 1);
        setenv("DROPDISK_DIR", server->dir, 1);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int log = open(server->log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int null = open("/dev/null", O_RDONLY);
    if (getppid() != parent || log < 0 || null < 0 || chdir(server->dir) != 0) {
        _exit(126);
    }
    dup2(null, 0);
    dup2(log, 1);
    dup2(log, 2);
    execv(server->program, (char *const *)argv);
    dprintf(2, "cannot run %s: %s\n", server->program, strerror(errno));
    _exit(127);
}

/* Reap the process; returns its exit status, or 256 + signal. */
static int reap(struct server *server)
{
    int status = 0;
    while (waitpid(server->pid, &status, 0) < 0 && errno == EINTR) {
    }
    close(server->pidfd);
    server->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* Wait at most `ms` for the process to end. */
static bool ended(const struct server *server, int ms)
{
    struct pollfd waiting = {.fd = server->pidfd, .events = POLLIN};
    return poll(&waiting, 1, ms) == 1;
}

static bool answers_ping(const struct server *server)
{
    redisContext *c = server_try_connect(server);
    if (c == NULL) {
        return false;
    }
    redisReply *reply = redisCommand(c, "PING");
    bool ready = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    redisFree(c);
    return ready;
}

/* Fork the process. */
static void spawn(struct server *server)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        die("fork: %s", strerror(errno));
    }
    if (pid == 0) {
        become(server, parent);
    }
    server->pid = pid;
    server->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (server->pidfd < 0) {
        die("pidfd_open: %s", strerror(errno));
    }
}

/* Fork, and wait for PING; false when the process ended first. */
static bool launch(struct server *server)
{
    spawn(server);
    int64_t until = now_ms() + SERVER_READY_MS_MAX;
    while (!answers_ping(server)) {
        if (ended(server, STEP_MS)) {
            reap(server);
            return false;
        }
        if (now_ms() > until) {
            char *log = server_log(server);
            die("%s does not answer PING:\n%s", server->program, log);
        }
    }
    return true;
}

static void set_env(struct server *server, const char *const *env)
{
    for (int i = 0; server->env[i] != NULL; i++) {
        free(server->env[i]);
        server->env[i] = NULL;
    }
    for (int i = 0; env[i] != NULL && i < SERVER_ENV_MAX; i++) {
        server->env[i] = copy(env[i]);
    }
}

struct server *server_start(const struct server_options *options)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        die("out of memory");
    }
    server->program = copy(options->program != NULL ? options->program : server_program());
    for (int i = 0; i < SERVER_FLAGS_MAX && options->flags[i] != NULL; i++) {
        server->flags[i] = copy(options->flags[i]);
    }
    set_env(server, options->env);
    server->forgetful_disk = options->forgetful_disk;
    snprintf(server->dir, sizeof server->dir, "/tmp/helios-test-XXXXXX");
    if (mkdtemp(server->dir) == NULL) {
        die("mkdtemp: %s", strerror(errno));
    }
    snprintf(server->log_path, sizeof server->log_path, "%s.log", server->dir);
    for (int i = 0; i < START_ATTEMPTS_MAX; i++) {
        server->port = free_port();
        if (launch(server)) {
            return server;
        }
    }
    char *log = server_log(server);
    char *program = copy(server->program);
    server_close(server);
    die("%s ends at once:\n%s", program, log);
}

void server_restart(struct server *server)
{
    if (server->pid != 0) {
        die("restart of a server that runs");
    }
    if (!launch(server)) {
        char *log = server_log(server);
        size_t len = strlen(log);
        die("%s does not start again on %s:\n%s", server->program, server->dir,
            len > LOG_TAIL ? log + len - LOG_TAIL : log);
    }
}

void server_crash_while_starting(struct server *server, long us)
{
    if (server->pid != 0) {
        die("start of a server that runs");
    }
    spawn(server);
    struct timespec wait = {.tv_nsec = us * 1000};
    nanosleep(&wait, NULL);
    kill(server->pid, SIGKILL);
    int status = reap(server);
    if (status != 256 + SIGKILL) {
        char *log = server_log(server);
        size_t len = strlen(log);
        die("%s ended by itself with %d while it started:\n%s", server->program, status,
            len > LOG_TAIL ? log + len - LOG_TAIL : log);
    }
}

void server_restart_with(struct server *server, const char *const *env)
{
    set_env(server, env);
    server_restart(server);
}

void server_kill(struct server *server)
{
    if (server->pid == 0) {
        die("kill of a server that does not run");
    }
    kill(server->pid, SIGKILL);
    int status = reap(server);
    if (status != 256 + SIGKILL) {
        char *log = server_log(server);
        die("%s had ended by itself with %d:\n%s", server->program, status, log);
    }
}

int server_stop(struct server *server)
{
    if (server->pid == 0) {
        die("stop of a server that does not run");
    }
    kill(server->pid, SIGTERM);
    if (!ended(server, SERVER_STOP_MS_MAX)) {
        die("%s does not end after SIGTERM", server->program);
    }
    return reap(server);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

void server_close(struct server *server)
{
    if (server == NULL) {
        return;
    }
    if (server->pid != 0) {
        kill(server->pid, SIGKILL);
        reap(server);
    }
    nftw(server->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    unlink(server->log_path);
    set_env(server, (const char *const[]){NULL});
    for (int i = 0; server->flags[i] != NULL; i++) {
        free(server->flags[i]);
    }
    free(server->program);
    free(server);
}

int server_port(const struct server *server)
{
    return server->port;
}

const char *server_dir(const struct server *server)
{
    return server->dir;
}

pid_t server_pid(const struct server *server)
{
    return server->pid;
}

char *server_log(const struct server *server)
{
    char *text = calloc(1, LOG_BYTES_MAX + 1);
    if (text == NULL) {
        die("out of memory");
    }
    FILE *file = fopen(server->log_path, "re");
    if (file != NULL) {
        size_t len = fread(text, 1, LOG_BYTES_MAX, file);
        text[len] = '\0';
        fclose(file);
    }
    return text;
}

redisContext *server_try_connect(const struct server *server)
{
    struct timeval limit = {.tv_sec = 20};
    redisContext *c = redisConnectWithTimeout("127.0.0.1", server->port, limit);
    if (c == NULL || c->err != 0) {
        if (c != NULL) {
            redisFree(c);
        }
        return NULL;
    }
    redisSetTimeout(c, limit);
    return c;
}

redisContext *server_connect(const struct server *server)
{
    redisContext *c = server_try_connect(server);
    if (c == NULL) {
        die("cannot connect to %s", server->program);
    }
    return c;
}
