/* The module ABI of Redis 4.0 to 8.4, as Helios serves it: all that a module includes.
 *
 * A module built from this header loads in Helios, in Redis 7.0 and newer and in Valkey.  A
 * smallest one is sdk/examples/hello.  Include it in as many files of a module as you like: they
 * share one set of pointers, which no other module sees.
 *
 *   M1  RedisModule_Init() comes first in RedisModule_OnLoad(); before it every pointer is NULL.
 *   M2  A function that the server lacks stays NULL, and Init does not mind.
 *   M3  Nothing here is linked: the server hands every function over through the context.
 */
#ifndef HELIOS_MODULE_H
#define HELIOS_MODULE_H

/* One definition per module, however many of its files include this. */
#define HELIOS_API __attribute__((weak, visibility("hidden")))
#define HELIOS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#include "helios/module_calls.h"
#include "helios/module_data.h"
#include "helios/module_server.h"

#include <stdlib.h>

/* What a module exports, and the server calls once when it loads it.  `argv` holds the arguments of
 * MODULE LOAD.  Return REDISMODULE_ERR, after logging why, to refuse: the server then removes all
 * that was registered. */
__attribute__((visibility("default"))) int RedisModule_OnLoad(RedisModuleCtx *ctx,
                                                              RedisModuleString **argv, int argc);

/* What a module may export: called before it is unloaded; REDISMODULE_ERR refuses. */
__attribute__((visibility("default"))) int RedisModule_OnUnload(RedisModuleCtx *ctx);

/* Abort the server, with a report, when `condition` does not hold: for bugs of the module only. */
#define RedisModule_Assert(condition)                                                              \
    ((condition) ? (void)0 : (RedisModule__Assert(#condition, __FILE__, __LINE__), abort()))

/* True for the client id of a command that is replayed from the log at start. */
#define RedisModule_IsAOFClient(id) ((id) == UINT64_MAX)

/* Silence the compiler about an argument that is not needed. */
#define REDISMODULE_NOT_USED(variable) ((void)(variable))

/* Fill the pointers from the server's table.  `ctx` is the context of RedisModule_OnLoad(). */
static inline void HeliosModule_FillTable(RedisModuleCtx *ctx)
{
    typedef int (*get_api_func)(const char *name, void *target);
    get_api_func get_api = *(get_api_func *)(void *)ctx; /* the first word of a context, by ABI */
    const struct {
        const char *name;
        void *target;
    } wanted[] = {
#define X(name) {"RedisModule_" #name, (void *)&RedisModule_##name},
#include "helios/module_names.def"
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        get_api(wanted[i].name, wanted[i].target); /* an unknown name leaves its NULL: M2 */
    }
}

/*
 * Make the ABI usable and tell the server who loads.
 *
 * name    unique among the loaded modules; borrowed for the call.
 * ver     the module's own version, shown by MODULE LIST.
 * apiver  REDISMODULE_APIVER_1.
 *
 * Returns REDISMODULE_OK, or REDISMODULE_ERR when a module of that name is loaded already or the
 * server is older than 4.0; then return REDISMODULE_ERR from OnLoad at once.
 */
static inline int RedisModule_Init(RedisModuleCtx *ctx, const char *name, int ver, int apiver)
{
    HeliosModule_FillTable(ctx);
    if (RedisModule_SetModuleAttribs == NULL) {
        return REDISMODULE_ERR;
    }
    if (RedisModule_IsModuleNameBusy != NULL && RedisModule_IsModuleNameBusy(name)) {
        return REDISMODULE_ERR;
    }
    RedisModule_SetModuleAttribs(ctx, name, ver, apiver);
    return REDISMODULE_OK;
}

#endif
