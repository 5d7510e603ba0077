/* A real server process for a test: started in a directory of its own, killed, started again.
 *
 * Every function here ends the test program with a message when the process, the port or the disk
 * does not do what it says, so that callers need no error paths.
 *
 *   S1  a server never outlives the test program: the kernel kills it when its parent dies.
 *   S2  nothing waits for a time: every wait is for an event, with a bound, and notices at once
 *       when the process ends.
 */
#ifndef TEST_SUPPORT_SERVER_H
#define TEST_SUPPORT_SERVER_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/types.h>

#define SERVER_FLAGS_MAX 24       /* flags beside those that server_start() adds */
#define SERVER_ENV_MAX 8          /* variables beside those of the test program */
#define SERVER_READY_MS_MAX 30000 /* to answer PING after a start */
#define SERVER_STOP_MS_MAX 20000  /* to end after SIGTERM */

/* What to start.  All zero: the server of this build with its defaults. */
struct server_options {
    const char *program;                     /* NULL: server_program() */
    const char *flags[SERVER_FLAGS_MAX + 1]; /* ends with NULL */
    const char *env[SERVER_ENV_MAX + 1];     /* "NAME=value", ends with NULL */
    bool forgetful_disk;                     /* what it did not sync is lost when it is killed */
};

/* Opaque: one server and its directory. */
struct server;

/* The server under test: $HELIOS_SERVER, or the program of this build.  Never NULL. */
const char *server_program(void);

/* Whether `options` name redis-server, which some tests run against to prove themselves. */
bool server_is_redis(const struct server_options *options);

/* Start a server on a free port of 127.0.0.1 in a new temporary directory, with
 * `--port P --dir D` and the flags of `options` (borrowed for this call), and wait until it answers
 * PING.  The caller owns it and ends it with server_close(). */
struct server *server_start(const struct server_options *options);

/* Start it again on the same directory and port after server_kill() or server_stop(). */
void server_restart(struct server *server);

/* As server_restart(), with the variables `env` (ends with NULL) in place of those of the start. */
void server_restart_with(struct server *server, const char *const *env);

/* As server_restart(), but end the process `us` microseconds after it began, wherever that finds
 * it: for crashes in the middle of recovery.  It does not run afterwards. */
void server_crash_while_starting(struct server *server, long us);

/* End the process at once, as a crash would, and wait until it is gone. */
void server_kill(struct server *server);

/* Ask it to end and wait; returns its exit status, or 256 + the signal that ended it. */
int server_stop(struct server *server);

/* End it if it runs, remove its directory and free it.  NULL is allowed. */
void server_close(struct server *server);

/* Where it is: valid until server_close(). */
int server_port(const struct server *server);

/* Its data directory, an absolute path; borrowed until server_close(). */
const char *server_dir(const struct server *server);

/* Its process, or 0 when it does not run. */
pid_t server_pid(const struct server *server);

/* Everything it printed since the first start; the caller frees it. */
char *server_log(const struct server *server);

/* A connection with a time-out of 20 s for each reply; the caller ends it with redisFree(). */
redisContext *server_connect(const struct server *server);

/* As server_connect(), but NULL when the server refuses: for clients that race with a crash. */
redisContext *server_try_connect(const struct server *server);

#endif
