/* RM_Call: a module runs a command. */
#include "abi/unit.h"
#include "node/acl.h"

#include <errno.h>

/* The session that calls run on: not the client's, whose state a command could change. */
static struct hl_session *caller_of(RedisModuleCtx *ctx)
{
    struct hl_abi *abi = ctx->abi;
    if (abi->caller == NULL) {
        abi->caller = hl_session_create(abi->node, HL_SESSION_INTERNAL | HL_SESSION_AUTHENTICATED);
    }
    return abi->caller;
}

/* Commands that change the session they run on, or answer more or less than once. */
static bool belongs_to_connections(const struct hl_command *cmd)
{
    return (cmd->flags & (HL_CMD_RUNS_IN_MULTI | HL_CMD_NO_MULTI | HL_CMD_NO_AUTH)) != 0 ||
           ((cmd->flags & HL_CMD_PUBSUB) != 0 && (cmd->acl & HL_ACL_CONNECTION) != 0);
}

/* Why the command must not run: 0, or an errno of RM_Call. */
static int refuse(RedisModuleCtx *ctx, const struct hl_fmt_args *args, struct hl_command *cmd)
{
    if (cmd == NULL) {
        return ENOENT;
    }
    if (cmd->run == NULL || !hl_command_arity_ok(cmd, args->argc)) {
        return EINVAL;
    }
    if (belongs_to_connections(cmd) ||
        ((args->flags & HL_FMT_SCRIPT) != 0 && (cmd->flags & HL_CMD_NOSCRIPT) != 0)) {
        return ESPIPE;
    }
    bool write = (cmd->flags & HL_CMD_WRITE) != 0;
    if (write && (args->flags & HL_FMT_NO_WRITES) != 0) {
        return ENOSPC;
    }
    if (write && !hl_frame_may_write(ctx->abi)) {
        return EROFS;
    }
    if ((args->flags & HL_FMT_USER) != 0) {
        bool known = false;
        int index = 0;
        const struct hl_user *user = hl_ctx_user(ctx, &known);
        if (!known) {
            return ENOTSUP;
        }
        if (hl_acl_check(ctx->abi->node->acl, user, cmd, args->argv, args->argc, &index) !=
            HL_ACL_ALLOWED) {
            return EACCES;
        }
    }
    if (ctx->abi->call_depth >= HL_ABI_CALL_DEPTH_MAX) {
        return ELOOP;
    }
    return 0;
}

/* The text of a refusal, for callers that want errors as replies. */
static const char *refusal_text(int error)
{
    if (error == ENOENT) {
        return "ERR unknown command";
    }
    if (error == EINVAL) {
        return "ERR wrong number of arguments";
    }
    if (error == ENOSPC) {
        return "ERR Write command was called while write is not allowed.";
    }
    if (error == EROFS) {
        return "READONLY You can't write against a read only replica.";
    }
    if (error == EACCES) {
        return "NOPERM the user of the call has no permission to run it";
    }
    return "ERR command is not allowed in a module call";
}

static RedisModuleCallReply *run(RedisModuleCtx *ctx, const struct hl_fmt_args *args,
                                 struct hl_command *cmd)
{
    struct hl_abi *abi = ctx->abi;
    struct hl_session *caller = caller_of(ctx);
    struct hl_buf bytes = {0};
    int proto = (args->flags & HL_FMT_RESP3) != 0 ? 3 : 2;
    if ((args->flags & HL_FMT_RESP_AUTO) != 0 && ctx->out != NULL) {
        proto = ctx->out->proto;
    }
    struct hl_writer out = {.out = &bytes, .proto = proto};
    int outer_db = caller->db;
    bool outer_muted = abi->node->unit.muted;
    bool replicate = (args->flags & HL_FMT_REPLICATE) != 0;
    caller->db = ctx->db;
    abi->node->unit.muted = !replicate || outer_muted;
    abi->call_depth++;
    (void)hl_node_call(abi->node, caller, cmd, args->argc, args->argv, &out,
                       HL_CALL_NESTED | HL_CALL_DENY_BLOCK |
                           (ctx->call == NULL ? 0 : ctx->call->flags & HL_CALL_REPLICATED));
    abi->call_depth--;
    abi->node->unit.muted = outer_muted;
    ctx->db = caller->db; /* SELECT is refused above; SWAPDB and MOVE leave it */
    caller->db = outer_db;
    hl_abi_enter(abi);
    return hl_callreply_new(ctx, &bytes, proto);
}

RedisModuleCallReply *hl_rm_Call(RedisModuleCtx *ctx, const char *cmdname, const char *fmt, ...)
{
    struct hl_fmt_args args;
    va_list list;
    va_start(list, fmt);
    bool good = hl_fmt_read(&args, cmdname, fmt, list);
    va_end(list);
    if (!good) {
        errno = EBADF;
        return NULL;
    }
    RedisModuleCallReply *reply = NULL;
    if (!hl_ctx_usable(ctx)) {
        hl_fmt_fini(&args);
        errno = EPERM;
        return NULL;
    }
    struct hl_command *cmd = hl_command_of(ctx->abi->table, args.argv, args.argc);
    int error = refuse(ctx, &args, cmd);
    if (error != 0 && (args.flags & HL_FMT_ERRORS) != 0) {
        struct hl_buf bytes = {0};
        struct hl_writer out = {.out = &bytes, .proto = 2};
        hl_write_error(&out, refusal_text(error));
        reply = hl_callreply_new(ctx, &bytes, 2);
    } else if (error == 0 && (args.flags & HL_FMT_DRY_RUN) != 0) {
        struct hl_buf bytes = {0};
        hl_buf_append_text(&bytes, HL_REPLY_OK);
        reply = hl_callreply_new(ctx, &bytes, 2);
    } else if (error == 0) {
        reply = run(ctx, &args, cmd);
    }
    hl_fmt_fini(&args);
    errno = error;
    return reply;
}
