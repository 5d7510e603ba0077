/* Whoever started us: systemd is told about readiness, a pid file is kept, a terminal is left. */
#ifndef HL_SERVER_SUPERVISE_H
#define HL_SERVER_SUPERVISE_H

#include "server/config.h"

/* What `supervised` and the environment come to. */
enum hl_supervisor { HL_SUPERVISOR_NONE, HL_SUPERVISOR_SYSTEMD, HL_SUPERVISOR_UPSTART };

/* Who watches us: `auto` looks at the environment, as systemd and upstart set it. */
enum hl_supervisor hl_supervisor_of(const struct hl_config *cfg);

/* Tell systemd `text`, lines such as "READY=1", when it is there; a failure is ignored, as nobody
 * could be told. */
void hl_supervise_tell(const struct hl_config *cfg, const char *text);

/* With `daemonize`: go on in a child without a terminal, while the parent waits for
 * hl_supervise_started() and ends with its code.  Call before threads exist.  HL_EIO. */
HL_MUST_USE hl_err hl_supervise_detach(const struct hl_config *cfg, struct hl_errmsg *msg);

/* The start is over: let go of the terminal, and let the parent end with `code`. */
void hl_supervise_started(int code);

/* Write our number into the pid file, when one is named.  HL_EIO: it cannot be written. */
HL_MUST_USE hl_err hl_supervise_write_pid(const struct hl_config *cfg, struct hl_errmsg *msg);

/* Remove it. */
void hl_supervise_remove_pid(const struct hl_config *cfg);

#endif
