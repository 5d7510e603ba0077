/* The file in which a server remembers how long it ran: node/uptime.h.
 *
 * Written off the loop every few seconds without a sync (a crash of the machine may cost the newest
 * of it, or all: then history begins anew), and once, synced, at an orderly end.  That it cannot be
 * written costs nothing but the history.
 */
#ifndef HL_SERVER_UPTIME_FILE_H
#define HL_SERVER_UPTIME_FILE_H

#include "server/server.h"

#define HL_UPTIME_FILE "uptime" /* in the data directory */

/* Read what an earlier session left, begin this one.  The directory is locked.  Nothing is written
 * before the loop runs: a start that fails is no session, and no crash. */
void hl_uptime_file_begin(struct hl_server *server);

/* `hz` times a second: write when it is time to. */
void hl_uptime_file_cron(struct hl_server *server);

/* The loop has ended, in order. */
void hl_uptime_file_end(struct hl_server *server);

#endif
