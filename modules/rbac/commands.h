/* The commands, one function each, and what they share. */
#ifndef RBAC_COMMANDS_H
#define RBAC_COMMANDS_H

#include "bridge.h"
#include "decide.h"
#include "helios/module.h"

#define ROLES_MAX 64 /* that a question may carry */

/* Counters since the module was loaded, on this node. */
struct stats {
    unsigned long long allowed, denied, cache_hits, changes;
};

/* The counters. */
struct stats *stats(void);

/* Decide about `request` for a user, who carries roles of his own (may be NULL, 0).  *roles gets
 * what counts for him: `decision.by` points into it. */
struct decision judge(RedisModuleCtx *ctx, struct hl_slice user, const struct hl_slice *carried,
                      size_t carried_count, const struct request *request,
                      struct effective_list *roles);

/* Offer helios/rbac_service.h to other modules: service.c.  In OnLoad only. */
void service_load(RedisModuleCtx *ctx);

/* Forget remembered decisions. */
void service_end(void);

/* RBAC.ROLE SET|GET|DEL|LIST: cmd_role.c */
int cmd_role(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RBAC.GRANT subject role|@group ... */
int cmd_grant(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RBAC.REVOKE subject [role|@group ...] */
int cmd_revoke(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RBAC.ROLES [subject] */
int cmd_roles(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RBAC._PUT key bytes: what a rewritten append-only file says.  Refused to clients. */
int cmd_put(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RBAC.CAN user permission [key] | user COMMAND name [argument ...]: cmd_can.c */
int cmd_can(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RBAC.EXPLAIN, as CAN */
int cmd_explain(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RBAC.WHOCAN permission [key] | COMMAND name [argument ...] */
int cmd_whocan(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* RBAC.HELP: module.c */
int cmd_help(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* The bytes of an argument, borrowed from it. */
static inline struct hl_slice arg_slice(RedisModuleString *arg)
{
    struct hl_slice slice = {0};
    slice.ptr = RedisModule_StringPtrLen(arg, &slice.len);
    return slice;
}

#endif
