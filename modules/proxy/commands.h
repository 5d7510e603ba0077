/* The commands, one function each, and what they share. */
#ifndef PROXY_COMMANDS_H
#define PROXY_COMMANDS_H

#include "helios/module.h"
#include "kit/bytes.h"

struct proxy;

/* The thread they speak to, for as long as the module is loaded. */
void commands_serve(struct proxy *proxy);

/* PROXY.BACKEND ADD id address [WEIGHT n] [MAX-CONNECTIONS n] [HEALTH path|none]: cmd_config.c */
int cmd_backend_add(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* PROXY.BACKEND DEL id */
int cmd_backend_del(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* PROXY.BACKEND WEIGHT id n */
int cmd_backend_weight(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* PROXY.BACKEND DRAIN id [OFF] */
int cmd_backend_drain(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* PROXY.ROUTE ADD id [HOST host] [PATH prefix] BACKENDS id ... [ALGORITHM name] [STRIP] */
int cmd_route_add(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* PROXY.ROUTE DEL id */
int cmd_route_del(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* PROXY._PUT key bytes: what a rewritten append-only file says.  Refused to clients. */
int cmd_put(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* PROXY.BACKEND LIST: cmd_look.c */
int cmd_backend_list(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* PROXY.ROUTE LIST */
int cmd_route_list(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* PROXY.STATS */
int cmd_stats(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* PROXY.STATUS */
int cmd_status(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* PROXY.RELOAD */
int cmd_reload(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* PROXY.DRAIN */
int cmd_drain(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* PROXY.HELP: docs.c */
int cmd_help(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* Register them all with what COMMAND DOCS says; in OnLoad only.  False, having logged why. */
bool commands_register(RedisModuleCtx *ctx);

/* The bytes of an argument, borrowed from it. */
static inline struct hl_slice arg_slice(RedisModuleString *arg)
{
    struct hl_slice slice = {0};
    slice.ptr = RedisModule_StringPtrLen(arg, &slice.len);
    return slice;
}

#endif
