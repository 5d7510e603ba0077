/* What Helios offers modules beyond the ABI of Redis.  A module that includes this still loads in
 * Redis and Valkey: there every pointer stays NULL, and the module does without.
 *
 *   static void answered(void *data) { ... }
 *   ...
 *   HeliosModule_LookUp(ctx);                       // once, behind RedisModule_Init()
 *   if (HeliosModule_OnCommit != NULL) {
 *       HeliosModule_OnCommit(ctx, answered, data);
 *   } else {
 *       answered(data);
 *   }
 */
#ifndef HELIOS_EXTENSIONS_H
#define HELIOS_EXTENSIONS_H

#include "helios/execute.h"
#include "helios/metrics.h"
#include "helios/module_types.h"

#ifndef HELIOS_API
#define HELIOS_API __attribute__((weak, visibility("hidden")))
#endif

/* For RedisModule_SetModuleOptions(), beside Redis's own, which ignores it: all that the module
 * keeps in memory beside its values follows from them, from its settings and its arguments, so
 * MODULE RELOAD may swap it.  A module whose types have aux_save and aux_load need not say so. */
#define HELIOSMODULE_OPTION_NO_GLOBALS (1 << 24)

/* Something that a module wants to do once what it did cannot be undone. */
typedef void (*HeliosModuleCommitFunc)(void *data);

/* Call back on the server's thread when everything that the running command or callback did, or
 * saw, is committed: only then may it be told to the world outside the server, such as an HTTP
 * client. At the earliest when the command is over.  Once per call; when the change is taken back,
 * because this node ceased to lead before it was committed, never.  ERR for a thread-safe context
 * without the lock, or without callback. */
HELIOS_API int (*HeliosModule_OnCommit)(RedisModuleCtx *ctx, HeliosModuleCommitFunc callback,
                                        void *data);

/* Declare that a command looks at no more than the keys it opens or hands to commands it calls: its
 * replies then wait for changes of these keys alone, instead of for everything.  In OnLoad only;
 * ERR otherwise. */
HELIOS_API int (*HeliosModule_SetKeyPrecise)(RedisModuleCommand *command);

/* 1 while this node leads: writes work here, and timers may act. */
HELIOS_API int (*HeliosModule_IsLeader)(void);

/* Fill the pointers above, and those of execute.h and metrics.h, from the server's table.  `ctx` is
 * the context of RedisModule_OnLoad(). */
static inline void HeliosModule_LookUp(RedisModuleCtx *ctx)
{
    typedef int (*get_api_func)(const char *name, void *target);
    get_api_func get_api = *(get_api_func *)(void *)ctx; /* the first word of a context, by ABI */
    get_api("HeliosModule_OnCommit", (void *)&HeliosModule_OnCommit);
    get_api("HeliosModule_SetKeyPrecise", (void *)&HeliosModule_SetKeyPrecise);
    get_api("HeliosModule_IsLeader", (void *)&HeliosModule_IsLeader);
    get_api("HeliosModule_ExecutorOpen", (void *)&HeliosModule_ExecutorOpen);
    get_api("HeliosModule_ExecutorClose", (void *)&HeliosModule_ExecutorClose);
    get_api("HeliosModule_Execute", (void *)&HeliosModule_Execute);
    get_api("HeliosModule_ExecuteCancel", (void *)&HeliosModule_ExecuteCancel);
    get_api("HeliosModule_ExecutorStats", (void *)&HeliosModule_ExecutorStats);
    get_api("HeliosModule_MetricDefine", (void *)&HeliosModule_MetricDefine);
    get_api("HeliosModule_MetricUndefine", (void *)&HeliosModule_MetricUndefine);
    get_api("HeliosModule_MetricSeries", (void *)&HeliosModule_MetricSeries);
    get_api("HeliosModule_MetricForget", (void *)&HeliosModule_MetricForget);
    get_api("HeliosModule_MetricAdd", (void *)&HeliosModule_MetricAdd);
    get_api("HeliosModule_MetricSet", (void *)&HeliosModule_MetricSet);
    get_api("HeliosModule_MetricObserve", (void *)&HeliosModule_MetricObserve);
    get_api("HeliosModule_MetricCollector", (void *)&HeliosModule_MetricCollector);
    get_api("HeliosModule_MetricsReader", (void *)&HeliosModule_MetricsReader);
    get_api("HeliosModule_MetricsCollect", (void *)&HeliosModule_MetricsCollect);
    get_api("HeliosModule_MetricsVisit", (void *)&HeliosModule_MetricsVisit);
}

#endif
