/* Snapshots in a forked child: when one is due, one at a time, published once it may be. */
#ifndef HL_SERVER_SAVER_H
#define HL_SERVER_SAVER_H

#include "server/server.h"

struct hl_saver;

/* Make the saver of a server; its node exists. */
struct hl_saver *hl_saver_create(struct hl_server *server);

/* Kill a child at work. */
void hl_saver_stop(struct hl_saver *saver);

/* Release it; no child is at work.  NULL is allowed. */
void hl_saver_destroy(struct hl_saver *saver);

/* Start a child unless one is at work (false, HL_EBUSY's reason in `msg`) or forking fails. */
bool hl_saver_start(struct hl_saver *saver, struct hl_errmsg *msg);

/* Make one as soon as may be. */
void hl_saver_schedule(struct hl_saver *saver);

/* True while a child is at work or its file waits for its label to commit. */
bool hl_saver_busy(const struct hl_saver *saver);

/* Milliseconds since the running child was started; -1 when none is. */
int64_t hl_saver_running_ms(const struct hl_saver *saver);

/* Look after the child and the triggers; called by the cron, within an iteration. */
void hl_saver_cron(struct hl_saver *saver);

/* Write and publish a snapshot in this process: at the end of a run without a log. */
HL_MUST_USE hl_err hl_saver_save_now(struct hl_saver *saver, struct hl_errmsg *msg);

/* SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE, RAFT.SNAPSHOT. */
extern const struct hl_command_row hl_commands_save[];
extern const size_t hl_commands_save_count;

#endif
