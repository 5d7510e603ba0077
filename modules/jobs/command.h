/* command: the JOB.* commands, and what they share. */
#ifndef JOBS_COMMAND_H
#define JOBS_COMMAND_H

#include "id.h"
#include "world.h"

/* What goes wrong in the same words everywhere. */
#define ERROR_SYNTAX "ERR syntax error"
#define ERROR_RANGE "ERR value is not an integer or out of range"
#define ERROR_NO_JOB "NOJOB No such job"
#define ERROR_LEASE_LOST "LEASELOST The token does not hold the lease of the job"
#define ERROR_READ_ONLY "READONLY This node does not decide about jobs"

#define COMMAND_LATER_MAX_MS (INT64_C(10) * 365 * 24 * 3600 * 1000) /* a delay, a TTL, a window */

/* The arguments that are not yet read. */
struct words {
    RedisModuleString **argv;
    int argc;
    int at; /* next argument */
};

/* True, and past it, when the next argument is `word` in any case. */
bool words_take(struct words *words, const char *word);

/* Read the next argument as an integer in min..max, and go past it; false otherwise. */
bool words_int(struct words *words, int64_t min, int64_t max, int64_t *out);

/* Take the next argument; NULL when there is none. */
RedisModuleString *words_next(struct words *words);

/* JOB.PUSH: push.c. */
int cmd_push(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.PUSHM */
int cmd_pushm(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* Commands of who holds a lease, and about one job: work_commands.c. */
int cmd_ack(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.NACK */
int cmd_nack(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.EXTEND */
int cmd_extend(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.PROGRESS */
int cmd_progress(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.RELEASE */
int cmd_release(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.CANCEL */
int cmd_cancel(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.RETRY */
int cmd_retry(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* Commands about a whole queue: queue_commands.c. */
int cmd_pause(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.RESUME */
int cmd_resume(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.DRAIN */
int cmd_drain(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.CONFIG */
int cmd_config(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.PURGE */
int cmd_purge(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.REDRIVE */
int cmd_redrive(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB._APPLY: what replicas and the append-only file are told. */
int cmd_apply(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.PULL: pull.c. */
int cmd_pull(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* How many clients wait in JOB.PULL now. */
int64_t pull_waiters(void);

/* Commands that only look: look_commands.c. */
int cmd_get(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.LIST */
int cmd_list(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.STATS */
int cmd_stats(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.QUEUES */
int cmd_queues(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.HELP */
int cmd_help(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* Commands that wait for news: follow.c. */
int cmd_result(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.EVENTS */
int cmd_events(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* JOB.HOLDS: look_commands.c. */
int cmd_holds(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* Open the queue `name` for reading.  False, with the error replied, when it is something else;
 * *queue is NULL when there is none.  *key is to be closed with command_close(). */
bool command_open(RedisModuleCtx *ctx, RedisModuleString *name, RedisModuleKey **key,
                  const struct jobs_queue **queue);

/* Close what command_open() opened; NULL is allowed. */
void command_close(RedisModuleKey *key);

/* Reply where a page goes on, as text; 0 is the end. */
void command_reply_cursor(RedisModuleCtx *ctx, uint64_t cursor);

/* A token's bytes, written to `token` (JOBS_TOKEN_LEN) from its text; empty when the text is no
 * token, so that it is no lease's. */
struct hl_slice command_token(const RedisModuleString *text, unsigned char *token);

/* Reply what an engine's verdict means: OK, 0 for JOBS_WRONG_STATE, or an error. */
int command_reply_verdict(RedisModuleCtx *ctx, enum jobs_verdict verdict);

/* The size of a payload, result or error that a client sends (NULL: none): NULL, or the error to
 * reply. */
const char *command_check_size(const RedisModuleString *text);

/* The JOBS_IN bits of a state's name, or of pending (scheduled and ready), in_progress, dlq; 0 for
 * an unknown one. */
unsigned command_state(const RedisModuleString *name);

/* Reply the id of a job of the queue `name`. */
void command_reply_id(RedisModuleCtx *ctx, struct hl_slice name, const struct jobs_queue *queue,
                      uint64_t seq);

/* JOB.SCHEDULE: cron_commands.c. */
int cmd_schedule(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* Tell the server what the commands mean (COMMAND DOCS): docs.c. */
void docs_register(RedisModuleCtx *ctx);

/* The lines of JOB.HELP, ended by NULL. */
const char *const *docs_help(void);

#endif
