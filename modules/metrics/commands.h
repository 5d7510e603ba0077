/* The commands, by file, and what they share. */
#ifndef METRICS_COMMANDS_H
#define METRICS_COMMANDS_H

#include "endpoint.h"

#include "helios/module.h"

/* cmd_show.c: the thread that makes texts, from now on; NULL: none. */
void show_open(struct endpoint *endpoint);

/* METRICS.RENDER [TEXT | OPENMETRICS] */
int cmd_render(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* METRICS.GET name */
int cmd_get(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* METRICS.LIST [pattern] */
int cmd_list(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* METRICS.STATUS */
int cmd_status(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* METRICS.DEFINE name kind [HELP text] [LABEL name value]... [BUCKETS bound...]; cmd_custom.c, as
 * all that follow. */
int cmd_define(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* METRICS.ADD name [delta] */
int cmd_add(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* METRICS.SET name value */
int cmd_set(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* METRICS.OBSERVE name value */
int cmd_observe(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* METRICS.DEL name */
int cmd_del(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* METRICS.RESET */
int cmd_reset(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* METRICS.CUSTOM [name] */
int cmd_custom(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* The bytes of an argument. */
struct hl_slice arg_slice(const RedisModuleString *arg);

#endif
