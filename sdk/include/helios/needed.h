/* Refuse a server that lacks a function: a line in the log instead of a crash later.
 *
 * RedisModule_Init() leaves the pointer of an unknown function NULL.  A module lists the functions
 * that it calls without looking, and asks once:
 *
 *   static const struct helios_needed needed[] = {
 *       HELIOS_NEEDED(CreateCommand),
 *       HELIOS_NEEDED(Replicate),
 *   };
 *   ...
 *   if (!HELIOS_HAS_ALL(ctx, needed)) {     // in RedisModule_OnLoad(), behind RedisModule_Init()
 *       return REDISMODULE_ERR;
 *   }
 */
#ifndef HELIOS_NEEDED_H
#define HELIOS_NEEDED_H

#include "helios/module.h"

#include <stddef.h>

struct helios_needed {
    const char *name;    /* without its prefix, a literal */
    const void *pointer; /* where the pointer to the function lives */
};

/* A row of the list: a function by its name without prefix, RedisModule_##name. */
#define HELIOS_NEEDED(function)                                                                    \
    {                                                                                              \
#function, &RedisModule_##function                                                         \
    }

/* 1 when the server has all `count` functions; otherwise 0, and each that it lacks is named in the
 * log.  0 without a word when it lacks the log itself. */
static inline int HeliosModule_HasAll(RedisModuleCtx *ctx, const struct helios_needed *needed,
                                      size_t count)
{
    int has_all = RedisModule_Log != NULL;
    for (size_t i = 0; i < count && RedisModule_Log != NULL; i++) {
        if (*(void *const *)needed[i].pointer == NULL) {
            RedisModule_Log(ctx, "warning", "the server lacks RedisModule_%s", needed[i].name);
            has_all = 0;
        }
    }
    return has_all;
}

/* The same for a whole array. */
#define HELIOS_HAS_ALL(ctx, needed)                                                                \
    HeliosModule_HasAll((ctx), (needed), sizeof(needed) / sizeof((needed)[0]))

#endif
