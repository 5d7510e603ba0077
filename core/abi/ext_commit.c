/* Extensions of Helios: waiting for commit, key-precise commands, leadership. */
#include "abi/unit.h"

/* A callback that waits. */
struct waiter {
    struct hl_list_node node; /* in abi->commits */
    struct hl_module *module; /* NULL: its module is gone */
    HeliosModuleCommitFunc run;
    void *data;
    uint64_t gate;
    bool gated; /* the unit is over, and `gate` is known */
};

int hl_hm_OnCommit(RedisModuleCtx *ctx, HeliosModuleCommitFunc callback, void *data)
{
    if (callback == NULL || !hl_ctx_usable(ctx)) {
        return REDISMODULE_ERR;
    }
    struct waiter *waiter = hl_calloc(1, sizeof *waiter);
    *waiter = (struct waiter){.module = ctx->module, .run = callback, .data = data};
    hl_list_append(&ctx->abi->commits, &waiter->node);
    ctx->abi->services->wake(ctx->abi->services->ctx);
    return REDISMODULE_OK;
}

int hl_hm_SetKeyPrecise(RedisModuleCommand *command)
{
    if (command == NULL || !command->module->loading) {
        return REDISMODULE_ERR;
    }
    struct hl_command *cmd =
        hl_command_find(command->module->abi->table, hl_slice_of(command->row.name));
    command->row.flags |= HL_CMD_KEY_PRECISE;
    cmd->flags |= HL_CMD_KEY_PRECISE;
    return REDISMODULE_OK;
}

int hl_hm_IsLeader(void)
{
    return hl_abi_current->ks->expiry == HL_EXPIRY_DELETE;
}

void hl_commit_unit_ended(struct hl_abi *abi)
{
    for (struct hl_list_node *w = abi->commits.prev; w != &abi->commits; w = w->prev) {
        struct waiter *waiter = HL_LIST_ENTRY(w, struct waiter, node);
        if (waiter->gated) {
            return; /* all before it are, too */
        }
        waiter->gated = true;
        /* What module code saw is not known key by key: everything executed so far. */
        waiter->gate = abi->node->last;
    }
}

void hl_commit_run(struct hl_abi *abi)
{
    while (!hl_list_empty(&abi->commits)) {
        struct waiter *waiter = HL_LIST_ENTRY(abi->commits.next, struct waiter, node);
        bool ready = waiter->gated && (abi->node->wal == NULL || waiter->gate <= abi->node->commit);
        if (!ready) {
            return; /* gates never decrease along the list */
        }
        struct waiter due = *waiter;
        hl_list_remove(&waiter->node);
        hl_free(waiter);
        RedisModuleCtx ctx;
        hl_ctx_init(&ctx, abi, due.module);
        hl_frame_begin(&ctx);
        due.run(due.data);
        hl_ctx_fini(&ctx);
        (void)hl_frame_end(&ctx);
    }
}

bool hl_commit_waits(const struct hl_module *module)
{
    HL_LIST_EACH(w, &module->abi->commits)
    {
        if (HL_LIST_ENTRY(w, struct waiter, node)->module == module) {
            return true;
        }
    }
    return false;
}

void hl_commit_undone(struct hl_abi *abi)
{
    HL_LIST_EACH(w, &abi->commits)
    {
        struct waiter *waiter = HL_LIST_ENTRY(w, struct waiter, node);
        if (!waiter->gated || waiter->gate > abi->node->commit) {
            hl_list_remove(&waiter->node);
            hl_free(waiter);
        }
    }
}

void hl_commit_drop(struct hl_module *module)
{
    HL_LIST_EACH(w, &module->abi->commits)
    {
        struct waiter *waiter = HL_LIST_ENTRY(w, struct waiter, node);
        if (waiter->module == module) {
            hl_list_remove(w);
            hl_free(waiter);
        }
    }
}
