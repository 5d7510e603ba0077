/* Commands of modules: registration, naming their keys, and running them. */
#include "abi/internal.h"
#include "abi/unit.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#define FLAGS_TEXT_MAX 512

/* The flag words of CreateCommand.  `flag` 0: a word that changes nothing here. */
static const struct word {
    const char *word;
    uint32_t flag;
} words[] = {
    {"write", HL_CMD_WRITE},
    {"readonly", HL_CMD_READONLY},
    {"admin", HL_CMD_ADMIN},
    {"deny-oom", HL_CMD_DENYOOM},
    {"deny-script", HL_CMD_NOSCRIPT},
    {"allow-loading", HL_CMD_LOADING},
    {"pubsub", HL_CMD_PUBSUB},
    {"random", 0},
    {"blocking", HL_CMD_BLOCKING},
    {"allow-stale", HL_CMD_STALE},
    {"no-monitor", HL_CMD_SKIP_MONITOR},
    {"no-slowlog", HL_CMD_SKIP_SLOWLOG},
    {"fast", HL_CMD_FAST},
    {"no-auth", HL_CMD_NO_AUTH},
    {"may-replicate", HL_CMD_MAY_REPLICATE},
    {"getkeys-api", HL_CMD_GETKEYS_API},
    {"getchannels-api", 0},
    {"no-cluster", 0},
    {"no-mandatory-keys", HL_CMD_NO_MANDATORY_KEYS},
    {"allow-busy", HL_CMD_ALLOW_BUSY},
};

/* Read the words; false when one is unknown. */
static bool read_flags(const char *text, RedisModuleCommand *command, uint32_t *flags)
{
    char copy[FLAGS_TEXT_MAX];
    *flags = HL_CMD_MODULE;
    if (text == NULL) {
        return true;
    }
    if (strlen(text) >= sizeof copy) {
        return false;
    }
    snprintf(copy, sizeof copy, "%s", text);
    for (char *save = NULL, *word = strtok_r(copy, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        const struct word *found = NULL;
        for (size_t i = 0; i < HL_ARRAY_LEN(words) && found == NULL; i++) {
            if (hl_slice_is(hl_slice_of(word), words[i].word)) {
                found = &words[i];
            }
        }
        if (found == NULL) {
            return false;
        }
        *flags |= found->flag;
        command->getkeys_api |= strcmp(found->word, "getkeys-api") == 0;
        command->getchannels_api |= strcmp(found->word, "getchannels-api") == 0;
    }
    return true;
}

/* Letters that would confuse ACL rules, subcommands or the protocol. */
static bool name_ok(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len < HL_COMMAND_NAME_MAX / 2 && strpbrk(name, " \r\n|@=,") == NULL;
}

RedisModuleCommand *hl_module_command_of(const struct hl_command *cmd)
{
    return cmd == NULL || (cmd->flags & HL_CMD_MODULE) == 0 ? NULL : cmd->owner;
}

static void free_command(RedisModuleCommand *command)
{
    hl_free((char *)command->row.name);
    hl_free(command);
}

/* What COMMAND INFO and the ACL know of the keys: one range, as CreateCommand gives it. */
static void set_range(RedisModuleCommand *command, int first, int last, int step)
{
    bool write = (command->row.flags & HL_CMD_WRITE) != 0;
    if (first == 0) {
        return;
    }
    command->row.keys[0] = (struct hl_key_spec){
        .flags = write ? HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_UPDATE : HL_KEY_RO | HL_KEY_ACCESS,
        .first = first,
        .last = last < 0 ? last : last - first,
        .step = step < 1 ? 1 : step,
    };
}

static int find_keys(const struct hl_slice *argv, int argc, struct hl_key_ref *refs);

/* Register `full` ("name" or "parent|name"). */
static int add(struct hl_module *module, RedisModuleCommand *parent, const char *full,
               RedisModuleCmdFunc run, const char *flags_text, int first, int last, int step)
{
    RedisModuleCommand *command = hl_calloc(1, sizeof *command);
    uint32_t flags = 0;
    if (!read_flags(flags_text, command, &flags)) {
        hl_free(command);
        return REDISMODULE_ERR;
    }
    command->module = module;
    command->run = run;
    command->parent = parent;
    char *name = hl_strndup(full, strlen(full));
    for (char *p = name; *p != '\0'; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    command->row = (struct hl_command_row){
        .name = name,
        .run = run == NULL ? NULL : hl_command_run_module,
        .arity = -1,
        .flags = flags,
        .group = "module",
        .getkeys = command->getkeys_api ? find_keys : NULL,
    };
    set_range(command, first, last, step);
    if (hl_command_register(module->abi->table, &command->row, 1) != HL_OK) {
        free_command(command);
        return REDISMODULE_ERR;
    }
    struct hl_command *cmd = hl_command_find(module->abi->table, hl_slice_of(name));
    HL_ASSERT(cmd != NULL);
    cmd->owner = command;
    hl_list_append(&module->commands, &command->node);
    return REDISMODULE_OK;
}

int hl_rm_CreateCommand(RedisModuleCtx *ctx, const char *name, RedisModuleCmdFunc cmdfunc,
                        const char *strflags, int firstkey, int lastkey, int keystep)
{
    struct hl_module *module = ctx->module;
    if (module == NULL || !module->loading || !name_ok(name)) {
        return REDISMODULE_ERR;
    }
    return add(module, NULL, name, cmdfunc, strflags, firstkey, lastkey, keystep);
}

int hl_rm_CreateSubcommand(RedisModuleCommand *parent, const char *name, RedisModuleCmdFunc cmdfunc,
                           const char *strflags, int firstkey, int lastkey, int keystep)
{
    char full[HL_COMMAND_NAME_MAX];
    if (parent == NULL || !parent->module->loading || parent->parent != NULL || !name_ok(name)) {
        return REDISMODULE_ERR;
    }
    int len = snprintf(full, sizeof full, "%s|%s", parent->row.name, name);
    if (len < 0 || (size_t)len >= sizeof full) {
        return REDISMODULE_ERR;
    }
    return add(parent->module, parent, full, cmdfunc, strflags, firstkey, lastkey, keystep);
}

RedisModuleCommand *hl_rm_GetCommand(RedisModuleCtx *ctx, const char *name)
{
    RedisModuleCommand *command =
        hl_module_command_of(hl_command_find(ctx->abi->table, hl_slice_of(name)));
    return command == NULL || command->module != ctx->module ? NULL : command;
}

void hl_command_drop(struct hl_module *module)
{
    HL_LIST_EACH(c, &module->commands)
    { /* subcommands go with their parents */
        RedisModuleCommand *command = HL_LIST_ENTRY(c, RedisModuleCommand, node);
        if (command->parent == NULL) {
            hl_command_unregister(module->abi->table, command->row.name);
        }
    }
    HL_LIST_EACH(c, &module->commands)
    {
        RedisModuleCommand *command = HL_LIST_ENTRY(c, RedisModuleCommand, node);
        hl_list_remove(c);
        hl_command_info_free(command);
        free_command(command);
    }
}

/* ---- Naming keys ---- */

int hl_rm_IsKeysPositionRequest(RedisModuleCtx *ctx)
{
    return (ctx->flags & HL_CTX_KEYS) != 0;
}

void hl_rm_KeyAtPosWithFlags(RedisModuleCtx *ctx, int pos, int flags)
{
    bool good = (ctx->flags & HL_CTX_KEYS) != 0 && pos > 0 && pos < ctx->argc;
    if (!good || ctx->ref_count >= ctx->argc) {
        return; /* a position that is no argument, or named twice */
    }
    if (ctx->refs == NULL) {
        ctx->refs = hl_calloc((size_t)ctx->argc, sizeof *ctx->refs);
    }
    /* The flags of the ABI and of core/command are the same bits (asserted below). */
    ctx->refs[ctx->ref_count++] = (struct hl_key_ref){.index = pos, .flags = (uint32_t)flags};
}

HL_STATIC(REDISMODULE_CMD_KEY_RO == HL_KEY_RO);
HL_STATIC(REDISMODULE_CMD_KEY_RW == HL_KEY_RW);
HL_STATIC(REDISMODULE_CMD_KEY_ACCESS == HL_KEY_ACCESS);
HL_STATIC(REDISMODULE_CMD_KEY_DELETE == HL_KEY_DELETE);
HL_STATIC(REDISMODULE_CMD_KEY_VARIABLE_FLAGS == HL_KEY_VARIABLE_FLAGS);

void hl_rm_KeyAtPos(RedisModuleCtx *ctx, int pos)
{
    hl_rm_KeyAtPosWithFlags(
        ctx, pos, REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_ACCESS | REDISMODULE_CMD_KEY_UPDATE);
}

int hl_rm_IsChannelsPositionRequest(RedisModuleCtx *ctx)
{
    return (ctx->flags & HL_CTX_CHANNELS) != 0;
}

void hl_rm_ChannelAtPosWithFlags(RedisModuleCtx *ctx, int pos, int flags)
{
    (void)ctx;
    (void)pos;
    (void)flags;
}

static RedisModuleString **make_strings(const struct hl_slice *argv, int argc)
{
    RedisModuleString **strings = hl_calloc((size_t)argc, sizeof *strings);
    for (int i = 0; i < argc; i++) {
        strings[i] = hl_string_new(argv[i]);
    }
    return strings;
}

static void free_strings(RedisModuleString **strings, int argc)
{
    for (int i = 0; i < argc; i++) {
        hl_string_unref(strings[i]);
    }
    hl_free(strings);
}

/* The getkeys function of every command with the flag getkeys-api: run the command to hear it. */
static int find_keys(const struct hl_slice *argv, int argc, struct hl_key_ref *refs)
{
    RedisModuleCommand *command =
        hl_module_command_of(hl_command_of(hl_abi_current->table, argv, argc));
    if (command == NULL || command->run == NULL) {
        return -1;
    }
    RedisModuleCtx ctx;
    hl_ctx_init(&ctx, command->module->abi, command->module);
    ctx.flags |= HL_CTX_KEYS;
    ctx.argv = make_strings(argv, argc);
    ctx.argc = argc;
    hl_frame_begin(&ctx);
    command->run(&ctx, ctx.argv, argc);
    int count = ctx.ref_count;
    if (count > 0) {
        memcpy(refs, ctx.refs, (size_t)count * sizeof *refs);
    }
    free_strings(ctx.argv, argc);
    hl_ctx_fini(&ctx);
    (void)hl_frame_end(&ctx);
    return count;
}

int *hl_rm_GetCommandKeysWithFlags(RedisModuleCtx *ctx, RedisModuleString **argv, int argc,
                                   int *num_keys, int **out_flags)
{
    *num_keys = 0;
    if (argc <= 0 || argc > HL_ABI_ARGS_MAX) {
        errno = EINVAL;
        return NULL;
    }
    struct hl_slice *slices = hl_calloc((size_t)argc, sizeof *slices);
    struct hl_key_ref *refs = hl_calloc((size_t)argc, sizeof *refs);
    for (int i = 0; i < argc; i++) {
        slices[i] = hl_string_slice(argv[i]);
    }
    struct hl_command *cmd = hl_command_of(ctx->abi->table, slices, argc);
    int *positions = NULL;
    int count = 0;
    errno = 0;
    if (cmd == NULL) {
        errno = ENOENT;
    } else if (!hl_command_arity_ok(cmd, argc)) {
        errno = EINVAL;
    } else {
        count = hl_command_keys(cmd, slices, argc, refs);
        errno = count < 0 ? EINVAL : 0;
    }
    if (count > 0) {
        positions = hl_calloc((size_t)count, sizeof *positions);
        int *flags = out_flags == NULL ? NULL : hl_calloc((size_t)count, sizeof *flags);
        for (int i = 0; i < count; i++) {
            positions[i] = refs[i].index;
            if (flags != NULL) {
                flags[i] = (int)hl_command_key_use(cmd, slices, argc, refs[i].flags);
            }
        }
        if (out_flags != NULL) {
            *out_flags = flags;
        }
        *num_keys = count;
    }
    hl_free(slices);
    hl_free(refs);
    return positions;
}

int *hl_rm_GetCommandKeys(RedisModuleCtx *ctx, RedisModuleString **argv, int argc, int *num_keys)
{
    return hl_rm_GetCommandKeysWithFlags(ctx, argv, argc, num_keys, NULL);
}

const char *hl_rm_GetCurrentCommandName(RedisModuleCtx *ctx)
{
    return ctx->call == NULL ? NULL : ctx->call->cmd->row->name;
}

/* ---- Running ---- */

/* Whether the bytes that a module wrote are exactly one reply (C1 of core/command). */
static bool one_reply(struct hl_slice bytes)
{
    struct hl_reader reader;
    hl_reader_init(&reader);
    return hl_reader_next(&reader, bytes.ptr, bytes.len) == HL_READ_REPLY &&
           reader.pos == bytes.len;
}

/* Replace what a module wrote by an error, when it was not one whole reply. */
static void check_reply(RedisModuleCtx *ctx, struct hl_call *call, size_t start)
{
    struct hl_buf *out = call->out->out;
    struct hl_slice bytes = {.ptr = out->ptr + start, .len = out->len - start};
    while (ctx->postponed_count > 0) { /* an array that was never given its length */
        ctx->postponed_count--;
        hl_write_abandon(call->out, ctx->postponed[ctx->postponed_count].mark);
        bytes.len = 0;
    }
    if (bytes.len > 0 && bytes.ptr[0] == '-') {
        call->failed = true;
    }
    if (bytes.len == 0 || !one_reply(bytes)) {
        out->len = start;
        hl_reply_errorf(call, "ERR module '%s' broke the protocol: command '%s' sent %s",
                        ctx->module->name, call->cmd->row->name,
                        bytes.len == 0 ? "no reply" : "other than one reply");
    }
}

void hl_command_run_module(struct hl_call *call)
{
    RedisModuleCommand *command = call->cmd->owner;
    struct hl_module *module = command->module;
    RedisModuleCtx ctx;
    hl_ctx_init(&ctx, module->abi, module);
    ctx.call = call;
    ctx.session = call->session;
    ctx.out = call->out;
    ctx.db = hl_db_index(call->db);
    ctx.argv = make_strings(call->argv, call->argc);
    ctx.argc = call->argc;
    size_t start = call->out->out->len;
    hl_call_effect_none(call); /* what it changed is logged when it says so, or by closure */
    hl_frame_begin(&ctx);
    command->run(&ctx, ctx.argv, ctx.argc);
    if (ctx.blocked == NULL) {
        check_reply(&ctx, call, start);
    }
    hl_blocked_command_over(&ctx);
    if (call->session != NULL) {
        call->session->db = ctx.db; /* RM_SelectDb stays in force for the client, as in Redis */
    }
    hl_ctx_fini(&ctx);
    (void)hl_frame_end(&ctx);
    free_strings(ctx.argv, call->argc);
}

int hl_rm_SetCommandACLCategories(RedisModuleCommand *command, const char *ctgrsflags)
{
    (void)ctgrsflags; /* ACL categories of module commands follow from their flags, for now */
    return command == NULL || !command->module->loading ? REDISMODULE_ERR : REDISMODULE_OK;
}

int hl_rm_AddACLCategory(RedisModuleCtx *ctx, const char *name)
{
    bool loading = ctx->module != NULL && ctx->module->loading;
    return loading && name != NULL && name_ok(name) ? REDISMODULE_OK : REDISMODULE_ERR;
}
