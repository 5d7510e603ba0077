/* The life of the process: settings in, a serving node, an orderly end. */
#ifndef HL_SERVER_RUN_H
#define HL_SERVER_RUN_H

#include "server/server.h"

/* Fill server->world. */
void hl_server_init_world(struct hl_server *server);

/* Make the loop and its handles; nothing runs yet. */
void hl_server_init_loop(struct hl_server *server);

/* Load, serve, and return when the server was told to stop. */
void hl_server_run(struct hl_server *server);

/* Close sockets, threads and the loop. */
void hl_server_fini_loop(struct hl_server *server);

/* A line for the log file: level 0 debug … 3 warning. */
void hl_run_log(struct hl_server *server, int level, const char *line);

/* Called `hz` times a second. */
void hl_run_cron(struct hl_server *server);

/* Called between slices of loading. */
void hl_run_load_progress(struct hl_server *server);

/* Called once everything is loaded. */
void hl_run_ready(struct hl_server *server);

/* End in order; unless it shall be now, a leader hands over first. */
void hl_run_end(struct hl_server *server, bool now);

/* Called for SIGTERM, SIGINT, SIGHUP. */
void hl_run_signal(struct hl_server *server, int number);

/* SIGHUP and CONFIG RELOAD: read the settings' file, and the certificates even when their names are
 * the same; *changed is the number of settings that did.  A setting that cannot change keeps its
 * value; with `strict` it refuses the whole, and nothing has changed.  HL_ENOENT (with `strict`):
 * there is no file; others as hl_config_reload(), or the certificates in use stay. */
HL_MUST_USE hl_err hl_run_reload(struct hl_server *server, bool strict, int *changed,
                                 struct hl_errmsg *msg);

/* The whole program: returns the exit code. */
int hl_run(int argc, char **argv, char **envp);

#endif
