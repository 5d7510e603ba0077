/* Modules in the server: the services the ABI needs, the lock it runs under, and their settings. */
#ifndef HL_SERVER_MODULES_H
#define HL_SERVER_MODULES_H

#include "server/server.h"

struct hl_modules;

/* Make the module ABI on server->node.  Ended by hl_modules_destroy() before the node is. */
struct hl_modules *hl_modules_create(struct hl_server *server);

/* Load what `loadmodule` lines name, before any data is loaded.  HL_EINVAL with the reason when one
 * refuses, or when a module's setting in the file belongs to none. */
HL_MUST_USE hl_err hl_modules_load(struct hl_modules *modules, struct hl_errmsg *msg);

/* What is due in this iteration; called before it ends. */
void hl_modules_service(struct hl_modules *modules);

/* The iteration has ended: what its end made due comes in the next one, at once. */
void hl_modules_go_on(struct hl_modules *modules);

/* Run the loop until it is stopped.  While a module has threads that use the server, the lock is
 * given up around every poll and to every thread that waits for it. */
void hl_modules_run_loop(struct hl_modules *modules);

/* Close the handles on the loop: after this no module code runs but in hl_modules_destroy(). */
void hl_modules_stop(struct hl_modules *modules);

/* Unload everything.  NULL is allowed.  False when a module's thread may still use the server:
 * then what the ABI was given stays until the process ends. */
bool hl_modules_destroy(struct hl_modules *modules);

#endif
