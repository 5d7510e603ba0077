/* What clients' buffers may hold: client-output-buffer-limit and maxmemory-clients. */
#ifndef HL_SERVER_LIMITS_H
#define HL_SERVER_LIMITS_H

#include "server/conn.h"

/* Replies held for a client that sends requests and does not read: past this its requests wait, and
 * go on when half of it has left.  So one client cannot fill the memory even where
 * client-output-buffer-limit is 0, and no client that reads is closed. */
#define HL_OUTPUT_PAUSE (256u << 20)

/* Replies made for one client before the others have their turn. */
#define HL_OUTPUT_TURN (4u << 20)

/* True when the client holds more output than its class may, now or for too long (then the reason
 * was logged): close it. */
bool hl_limits_exceeded(struct hl_conn *conn);

/* True while so much output is held that no more requests are taken. */
bool hl_limits_pause(struct hl_conn *conn);

/* Close those that exceed their class's limits, and the largest while all of them together hold
 * more than maxmemory-clients. */
void hl_limits_cron(struct hl_server *server);

#endif
