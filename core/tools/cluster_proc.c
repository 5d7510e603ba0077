/* See cluster_proc.h. */
#include "tools/cluster_proc.h"

#include "kit/assert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOG_TAIL 2000      /* bytes of a log that a failure shows */
#define KILL_WAIT_MS 10000 /* a killed process that stays longer hangs in the kernel */

int64_t cluster_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void cluster_sleep(int64_t wait_ms)
{
    struct timespec left = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000};
    nanosleep(&left, NULL);
}

/* Up to `size` - 1 bytes of a small file, NUL-terminated; their number, 0 when it cannot be read.
 */
static size_t slurp(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    while (fd >= 0 && len < size - 1) {
        ssize_t n = read(fd, out + len, size - 1 - len);
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    if (fd >= 0) {
        close(fd);
    }
    out[len] = '\0';
    return len;
}

void cluster_boot_id(char out[64])
{
    slurp("/proc/sys/kernel/random/boot_id", out, 64);
    out[strcspn(out, "\n")] = '\0';
}

bool cluster_port_probe(void *ctx, int port)
{
    (void)ctx;
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    int on = 1; /* connections that are only dying down do not count */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool is_free = bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0;
    close(fd);
    return is_free;
}

/* When a process started, in ticks since boot; false when there is none, or only its remains. */
static bool started_at(int64_t pid, uint64_t *started)
{
    char path[64];
    char stat[1024];
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    if (pid <= 0 || slurp(path, stat, sizeof stat) == 0) {
        return false;
    }
    const char *p = strrchr(stat, ')'); /* the name before it may hold anything */
    if (p == NULL || p[1] == '\0' || p[2] == 'Z' || p[2] == 'X') {
        return false;
    }
    for (int field = 2; field < 22; field++) {
        p = strchr(p + 1, ' ');
        if (p == NULL) {
            return false;
        }
    }
    *started = strtoull(p + 1, NULL, 10);
    return true;
}

bool cluster_proc_runs(const struct cluster *cluster, const struct cluster_node *node)
{
    char boot_id[64];
    uint64_t started = 0;
    cluster_boot_id(boot_id);
    return node->pid > 0 && strcmp(boot_id, cluster->boot_id) == 0 &&
           started_at(node->pid, &started) && started == node->pid_started;
}

bool cluster_proc_serves(int64_t pid, const char *dir, const struct cluster_node *node,
                         uint64_t *started)
{
    char path[64];
    char line[16384];
    char wanted[CLUSTER_PATH_MAX + CLUSTER_ID_MAX + 8];
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/cmdline", pid);
    (void)snprintf(wanted, sizeof wanted, "%s/%s", dir, node->id);
    if (pid <= 0 || !started_at(pid, started)) {
        return false;
    }
    size_t len = slurp(path, line, sizeof line);
    for (size_t at = 0; at < len; at += strlen(line + at) + 1) {
        if (strcmp(line + at, wanted) == 0) {
            return true;
        }
    }
    return false;
}

/* In the child: never returns.  An error number goes through `report`, which exec closes. */
__attribute__((noreturn)) static void become(char **argv, int log, int report)
{
    int null = open("/dev/null", O_RDONLY);
    setsid();
    if (null >= 0 && dup2(null, 0) >= 0 && dup2(log, 1) >= 0 && dup2(log, 2) >= 0) {
        signal(SIGPIPE, SIG_DFL);
        execv(argv[0], argv);
    }
    int why = errno;
    ssize_t n = write(report, &why, sizeof why);
    _exit(n == (ssize_t)sizeof why ? 126 : 127);
}

/* Fork and wait until the program runs, or its error number came back. */
static hl_err launch(char **argv, int log, int64_t *pid, struct hl_errmsg *msg)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
        return hl_fail(msg, HL_EIO, "pipe: %s", strerror(errno));
    }
    pid_t child = fork();
    if (child == 0) {
        become(argv, log, report[1]);
    }
    int why = child < 0 ? errno : 0;
    close(report[1]);
    if (child > 0 && read(report[0], &why, sizeof why) == (ssize_t)sizeof why) {
        waitpid(child, NULL, 0);
    }
    close(report[0]);
    if (why != 0) {
        return hl_fail(msg, HL_EIO, "%s: %s", argv[0], strerror(why));
    }
    *pid = child;
    return HL_OK;
}

hl_err cluster_proc_start(const struct cluster *cluster, struct cluster_node *node, const char *dir,
                          struct hl_errmsg *msg)
{
    char path[CLUSTER_PATH_MAX + CLUSTER_ID_MAX + 8];
    (void)snprintf(path, sizeof path, "%s/%s", dir, node->id);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return hl_fail(msg, HL_EIO, "%s: %s", path, strerror(errno));
    }
    (void)snprintf(path, sizeof path, "%s/%s.log", dir, node->id);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0) {
        return hl_fail(msg, HL_EIO, "%s: %s", path, strerror(errno));
    }
    struct hl_buf words = {0};
    char *argv[CLUSTER_FLAGS_MAX + 32];
    size_t count = cluster_plan_argv(cluster, node, dir, &words);
    HL_ASSERT(count < HL_ARRAY_LEN(argv));
    char *word = words.ptr;
    for (size_t i = 0; i < count; i++) {
        argv[i] = word;
        word += strlen(word) + 1;
    }
    argv[count] = NULL;
    int64_t pid = 0;
    hl_err err = launch(argv, log, &pid, msg);
    hl_buf_fini(&words);
    close(log);
    if (err == HL_OK) {
        node->pid = pid;
        node->pid_started = 0;
        (void)started_at(pid, &node->pid_started); /* false: it ended again already */
    }
    return err;
}

/* Whether the process behind a pidfd ends within a time; it is reaped if it is ours. */
static bool ends_within(int pidfd, int64_t pid, int64_t wait_ms)
{
    struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
    int64_t until = cluster_now_ms() + wait_ms;
    int n = 0;
    do {
        int64_t left = until - cluster_now_ms();
        n = poll(&poll_fd, 1, left > 0 ? (int)left : 0);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        waitpid((pid_t)pid, NULL, WNOHANG);
    }
    return n > 0;
}

/* A descriptor of a node's process, -1 when it does not run. */
static int open_process(const struct cluster *cluster, const struct cluster_node *node)
{
    int pidfd = node->pid > 0 ? (int)syscall(SYS_pidfd_open, (pid_t)node->pid, 0) : -1;
    /* Looked at after the descriptor was taken, so it cannot be another process by now. */
    if (pidfd >= 0 && !cluster_proc_runs(cluster, node)) {
        close(pidfd);
        return -1;
    }
    return pidfd;
}

void cluster_proc_tell(const struct cluster *cluster, const struct cluster_node *node)
{
    int pidfd = open_process(cluster, node);
    if (pidfd >= 0) {
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
        close(pidfd);
    }
}

hl_err cluster_proc_wait(const struct cluster *cluster, struct cluster_node *node, int64_t wait_ms,
                         bool *killed, struct hl_errmsg *msg)
{
    *killed = false;
    int pidfd = open_process(cluster, node);
    bool gone = pidfd < 0 || ends_within(pidfd, node->pid, wait_ms);
    if (!gone) {
        *killed = true;
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        gone = ends_within(pidfd, node->pid, KILL_WAIT_MS);
    }
    if (pidfd >= 0) {
        close(pidfd);
    }
    if (!gone) {
        return hl_fail(msg, HL_EBUSY, "%s: process %" PRId64 " does not end, even killed", node->id,
                       node->pid);
    }
    node->pid = 0;
    return HL_OK;
}

void cluster_print_log_tail(const char *dir, const struct cluster_node *node)
{
    char path[CLUSTER_PATH_MAX + CLUSTER_ID_MAX + 8];
    char tail[LOG_TAIL + 1];
    (void)snprintf(path, sizeof path, "%s/%s.log", dir, node->id);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    if (fseek(file, -LOG_TAIL, SEEK_END) != 0) {
        rewind(file);
    }
    size_t len = fread(tail, 1, LOG_TAIL, file);
    tail[len] = '\0';
    (void)fclose(file);
    const char *from = len == LOG_TAIL ? strchr(tail, '\n') : NULL;
    fprintf(stderr, "--- the end of %s\n%s", path, from == NULL ? tail : from + 1);
}

/* nftw() has no argument for its callback. */
static char failed_path[CLUSTER_PATH_MAX];

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *where)
{
    (void)stat;
    (void)kind;
    (void)where;
    if (remove(path) == 0 || errno == ENOENT) {
        return 0;
    }
    (void)snprintf(failed_path, sizeof failed_path, "%.4000s: %s", path, strerror(errno));
    return -1;
}

hl_err cluster_remove_tree(const char *path, struct hl_errmsg *msg)
{
    struct stat stat;
    if (lstat(path, &stat) != 0) {
        return hl_fail(msg, errno == ENOENT ? HL_ENOENT : HL_EIO, "%s: %s", path, strerror(errno));
    }
    failed_path[0] = '\0';
    if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0) {
        return hl_fail(msg, HL_EIO, "%.300s", failed_path[0] == '\0' ? path : failed_path);
    }
    return HL_OK;
}
