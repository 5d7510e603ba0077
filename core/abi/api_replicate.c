/* What a module states about the log: Replicate and ReplicateVerbatim. */
#include "abi/unit.h"

int hl_rm_Replicate(RedisModuleCtx *ctx, const char *cmdname, const char *fmt, ...)
{
    struct hl_fmt_args args;
    va_list list;
    va_start(list, fmt);
    bool good = hl_fmt_read(&args, cmdname, fmt, list);
    va_end(list);
    if (!good) {
        return REDISMODULE_ERR;
    }
    if (!hl_ctx_usable(ctx)) {
        hl_fmt_fini(&args);
        return REDISMODULE_ERR;
    }
    struct hl_command *cmd = hl_command_of(ctx->abi->table, args.argv, args.argc);
    /* Applying must not fail, so what could not run is not recorded either. */
    bool runs = cmd != NULL && cmd->run != NULL && hl_command_arity_ok(cmd, args.argc);
    if (runs) {
        hl_frame_state(ctx->abi, ctx->db, args.argc, args.argv);
    }
    hl_fmt_fini(&args);
    return runs ? REDISMODULE_OK : REDISMODULE_ERR;
}

int hl_rm_ReplicateVerbatim(RedisModuleCtx *ctx)
{
    if (ctx->call == NULL) {
        return REDISMODULE_ERR;
    }
    hl_frame_state(ctx->abi, hl_db_index(ctx->call->db), ctx->call->argc, ctx->call->argv);
    return REDISMODULE_OK;
}
