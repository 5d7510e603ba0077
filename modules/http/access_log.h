/* One JSON line for each exchange, written beside the loop: a slow disk costs lines, not time. */
#ifndef HTTP_ACCESS_LOG_H
#define HTTP_ACCESS_LOG_H

#include "helios/http_service.h"
#include "kit/err.h"

#include <uv.h>

#define ACCESS_LOG_WAITING_MAX (1024 * 1024) /* bytes of lines that wait for the disk */

struct access_log;

/* Open `path` for appending. HL_EIO with the reason in `msg`. End it with access_log_close(). */
HL_MUST_USE hl_err access_log_open(struct access_log **out, uv_loop_t *loop, const char *path,
                                   struct hl_errmsg *msg);

/* Go on in a file of the same path, after the old one was moved away.  HL_EIO with the reason in
 * `msg`: the old one is written on.  NULL is a log that nobody wants. */
HL_MUST_USE hl_err access_log_reopen(struct access_log *log, struct hl_errmsg *msg);

/* Add a line; NULL is a log that nobody wants. */
void access_log_write(struct access_log *log, const struct helios_http_done *done,
                      const char *traceparent);

/* Write what waits and release it, once the loop has ended.  NULL is allowed. */
void access_log_close(struct access_log *log);

#endif
