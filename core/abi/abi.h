/* The module ABI as the server sees it: make it, load modules, and tell it what happens.
 *
 * All is called on the loop thread, under the module lock, unless a comment says otherwise.
 */
#ifndef HL_ABI_ABI_H
#define HL_ABI_ABI_H

#include "abi/services.h"
#include "command/command.h"

struct hl_abi;
struct hl_node;
struct hl_dump_modules;

/* A module without modules: registers MODULE in the node's table of commands, and hangs itself into
 * the node's hooks.  `node` and `services` are borrowed until hl_abi_destroy().  One per process
 * but in the simulator, where hl_abi_enter() says whose turn it is. */
struct hl_abi *hl_abi_create(struct hl_node *node, const struct hl_abi_services *services);

/* Ask every module to stop, unload them all, and release everything.  NULL is allowed.  False when
 * a module's thread may still hand something over: then the memory of the ABI and `services` must
 * stay until the process ends, though the node may go. */
bool hl_abi_destroy(struct hl_abi *abi);

/* Functions of the ABI without a context mean this one from now on. */
void hl_abi_enter(struct hl_abi *abi);

/* What is under the first word of a context: 0 and *target set to the function called `full_name`
 * (with its prefix), or 1 and *target untouched.  Any thread. */
int hl_abi_get_api(const char *full_name, void *target);

/* The function of that name without prefix, or NULL.  Any thread. */
void *hl_abi_function(const char *name);

/* One setting of MODULE LOADEX. */
struct hl_abi_setting {
    struct hl_slice name; /* "module.setting" */
    struct hl_slice value;
};

/*
 * Load a module, as `loadmodule` does.
 *
 * path      a file, or a bare name that is looked for in the module path.
 * argv      arguments for OnLoad, copied.
 *
 * HL_OK, or with nothing of the module left and the reason in `msg`, for the log:
 *   HL_ENOENT   no such file          HL_EINVAL  not a module, or it refused to load
 *   HL_EBUSY    the name is taken     HL_EIO     the file cannot be copied or mapped
 */
HL_MUST_USE hl_err hl_abi_load(struct hl_abi *abi, const char *path, const struct hl_slice *argv,
                               int argc, struct hl_errmsg *msg);

/* Unload a module.  HL_ENOENT or HL_EBUSY with the reason in the words of Redis; the module then
 * stays as it was. */
HL_MUST_USE hl_err hl_abi_unload(struct hl_abi *abi, struct hl_slice name, struct hl_errmsg *msg);

/* Do what is due: timers, blocked clients that were answered by threads, functions handed over.
 * Returns the monotonic time, in microseconds, when it wants to be called again; INT64_MAX: never,
 * until services.wake. */
int64_t hl_abi_service(struct hl_abi *abi);

/* True when hl_abi_service() has something to do that nobody woke it for: ask at the end of an
 * iteration, whose output may have been for modules' own clients. */
bool hl_abi_is_due(const struct hl_abi *abi);

/* True while a module holds a thread-safe context: its threads may want the lock. */
bool hl_abi_has_threads(const struct hl_abi *abi);

/* A watched descriptor is ready for `mask` (REDISMODULE_EVENTLOOP_*). */
void hl_abi_fd_ready(struct hl_abi *abi, int fd, int mask);

/* Tell modules of a server event; `data` is the struct of that event or NULL. */
void hl_abi_fire(struct hl_abi *abi, uint64_t id, uint64_t subevent, void *data);

/* How DUMP, RESTORE, snapshots and digests treat values of module types; lives as long as `abi`. */
const struct hl_dump_modules *hl_abi_dump_modules(struct hl_abi *abi);

#endif
