/* The server's thread, as seen from http's: mail that is run between commands. */
#ifndef HTTP_DESK_H
#define HTTP_DESK_H

#include "mail.h"

#include "helios/module.h"

/* Open it, in OnLoad.  False, after logging why. */
bool desk_open(RedisModuleCtx *ctx);

/* Hand mail over; from any thread.  It is run, or dropped. */
void desk_post(struct mail *mail);

/* Run what waits, now; on the server's thread, by whoever blocks it for a while. */
void desk_run(void);

/* Drop what waits on behalf of an owner; on the server's thread. */
void desk_drop(uint64_t owner);

/* Write a line to the server's log; from any thread.  `level` is static: "warning" ... */
void desk_log(const char *level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drop everything and close; on the server's thread.  Mail that comes later is dropped. */
void desk_close(void);

#endif
