#include "server/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int parent = -1; /* where the waiting parent hears the code; -1: there is none */

enum hl_supervisor hl_supervisor_of(const struct hl_config *cfg)
{
    bool systemd = getenv("NOTIFY_SOCKET") != NULL;
    bool upstart = getenv("UPSTART_JOB") != NULL;
    switch ((enum hl_cfg_supervised)hl_config_int(cfg, HL_CFG_SUPERVISED)) {
    case HL_SUPERVISED_SYSTEMD:
        return systemd ? HL_SUPERVISOR_SYSTEMD : HL_SUPERVISOR_NONE;
    case HL_SUPERVISED_UPSTART:
        return upstart ? HL_SUPERVISOR_UPSTART : HL_SUPERVISOR_NONE;
    case HL_SUPERVISED_AUTO:
        return systemd   ? HL_SUPERVISOR_SYSTEMD
               : upstart ? HL_SUPERVISOR_UPSTART
                         : HL_SUPERVISOR_NONE;
    case HL_SUPERVISED_NO:
        break;
    }
    return HL_SUPERVISOR_NONE;
}

void hl_supervise_tell(const struct hl_config *cfg, const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (hl_supervisor_of(cfg) != HL_SUPERVISOR_SYSTEMD || strlen(path) < 2 ||
        strlen(path) >= sizeof address.sun_path) {
        return;
    }
    size_t len = strlen(path);
    memcpy(address.sun_path, path, len);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* a name that is in no directory */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
        (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
                     (struct sockaddr *)&address, size);
        (void)close(fd);
    }
}

/* The parent's part: wait for the child's code, or its end, and end too. */
static void wait_for_start(int from, pid_t child) __attribute__((noreturn));

static void wait_for_start(int from, pid_t child)
{
    unsigned char code = 1;
    ssize_t got;
    do {
        got = read(from, &code, 1);
    } while (got < 0 && errno == EINTR);
    if (got != 1) {
        (void)waitpid(child, NULL, 0); /* it ended before it started; it said why */
    }
    _exit(code);
}

hl_err hl_supervise_detach(const struct hl_config *cfg, struct hl_errmsg *msg)
{
    if (!hl_config_bool(cfg, HL_CFG_DAEMONIZE)) {
        return HL_OK;
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return hl_fail(msg, HL_EIO, "daemonize: %s", strerror(errno));
    }
    pid_t child = fork();
    if (child < 0) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        return hl_fail(msg, HL_EIO, "daemonize: %s", strerror(errno));
    }
    if (child > 0) {
        (void)close(ends[1]);
        wait_for_start(ends[0], child);
    }
    (void)close(ends[0]);
    (void)setsid();
    parent = ends[1];
    return HL_OK;
}

void hl_supervise_started(int code)
{
    if (parent < 0) {
        return;
    }
    unsigned char byte = (unsigned char)code;
    ssize_t put = write(parent, &byte, 1);
    (void)put; /* a parent that is gone needs no answer */
    (void)close(parent);
    parent = -1;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(null, STDOUT_FILENO);
        (void)dup2(null, STDERR_FILENO);
        (void)close(null);
    }
}

hl_err hl_supervise_write_pid(const struct hl_config *cfg, struct hl_errmsg *msg)
{
    const char *path = hl_config_text(cfg, HL_CFG_PIDFILE);
    if (path[0] == '\0') {
        return HL_OK;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
        hl_err err = hl_fail(msg, HL_EIO, "pidfile: cannot write %s: %s", path, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return err;
    }
    (void)close(fd);
    return HL_OK;
}

void hl_supervise_remove_pid(const struct hl_config *cfg)
{
    const char *path = hl_config_text(cfg, HL_CFG_PIDFILE);
    if (path[0] != '\0') {
        (void)unlink(path);
    }
}
