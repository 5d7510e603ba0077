/* The server's thread, as seen from a module's own: mail that is run between commands.
 *
 * One for each module, since each links a library of its own.
 */
#ifndef NET_DESK_H
#define NET_DESK_H

#include "net/mail.h"

#include "helios/module.h"

/* Open it, in OnLoad; `name` is static and begins the lines of net_desk_log().  False, after
 * logging why. */
bool net_desk_open(RedisModuleCtx *ctx, const char *name);

/* Hand mail over; from any thread.  It is run, or dropped. */
void net_desk_post(struct net_mail *mail);

/* Run what waits, now; on the server's thread, by whoever blocks it for a while. */
void net_desk_run(void);

/* Drop what waits on behalf of an owner; on the server's thread. */
void net_desk_drop(uint64_t owner);

/* Write a line to the server's log; from any thread.  `level` is static: "warning" ... */
void net_desk_log(const char *level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drop everything and close; on the server's thread.  Mail that comes later is dropped. */
void net_desk_close(void);

#endif
