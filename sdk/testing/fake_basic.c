/* Memory, registration of commands, logging, time and random numbers. */
#include "testing/fake_internal.h"

#include <malloc.h>
#include <stdio.h>
#include <strings.h>

static void *fake_Alloc(size_t bytes)
{
    return hl_malloc(bytes);
}

static void *fake_TryAlloc(size_t bytes)
{
    return hl_try_malloc(bytes);
}

static void *fake_Calloc(size_t count, size_t size)
{
    return hl_calloc(count, size);
}

static void *fake_Realloc(void *ptr, size_t bytes)
{
    return hl_realloc(ptr, bytes);
}

static void fake_Free(void *ptr)
{
    hl_free(ptr);
}

static char *fake_Strdup(const char *text)
{
    return hl_strndup(text, strlen(text));
}

static size_t fake_MallocSize(void *ptr)
{
    return malloc_usable_size(ptr);
}

static float fake_GetUsedMemoryRatio(void)
{
    return 0.0F;
}

static void fake_AutoMemory(RedisModuleCtx *ctx)
{
    ctx->automatic = true;
}

static void *fake_PoolAlloc(RedisModuleCtx *ctx, size_t bytes)
{
    if (bytes == 0) {
        return NULL;
    }
    ctx->pool = hl_realloc(ctx->pool, (ctx->pool_count + 1) * sizeof *ctx->pool);
    return ctx->pool[ctx->pool_count++] = hl_malloc(bytes);
}

static void fake_SetModuleAttribs(RedisModuleCtx *ctx, const char *name, int ver, int apiver)
{
    (void)ver;
    HL_ASSERT(apiver == REDISMODULE_APIVER_1);
    hl_free(ctx->fake->module);
    ctx->fake->module = hl_strndup(name, strlen(name));
}

static int fake_IsModuleNameBusy(const char *name)
{
    return fake_current->module != NULL && strcmp(fake_current->module, name) == 0;
}

static void fake_SetModuleOptions(RedisModuleCtx *ctx, int options)
{
    (void)ctx;
    (void)options;
}

/* True when `word` is one of the words of `text`. */
static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
        if ((at == text || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

/* True when every word is a flag that servers know. */
static bool flags_known(const char *flags)
{
    static const char known[] = "write readonly admin deny-oom deny-script allow-loading pubsub "
                                "random blocking allow-stale no-monitor no-slowlog fast no-auth "
                                "may-replicate getkeys-api getchannels-api no-cluster "
                                "no-mandatory-keys allow-busy";
    char copy[256];
    snprintf(copy, sizeof copy, "%s", flags);
    for (char *save = NULL, *word = strtok_r(copy, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        if (!has_word(known, word)) {
            return false;
        }
    }
    return true;
}

static int add_command(struct fake *fake, const char *name, RedisModuleCmdFunc run,
                       const char *flags, int first, int last, int step)
{
    if (!fake->loading || !flags_known(flags) || strpbrk(name, " \r\n@=,") != NULL) {
        return REDISMODULE_ERR;
    }
    for (size_t i = 0; i < fake->command_count; i++) {
        if (strcasecmp(fake->commands[i]->name, name) == 0) {
            return REDISMODULE_ERR;
        }
    }
    HL_ASSERT(fake->command_count < FAKE_ITEMS_MAX);
    RedisModuleCommand *command = hl_calloc(1, sizeof *command);
    *command = (RedisModuleCommand){
        .name = hl_strndup(name, strlen(name)),
        .run = run,
        .first = first,
        .last = last,
        .step = step,
        .getkeys_api = has_word(flags, "getkeys-api"),
        .fake = fake,
    };
    fake->commands[fake->command_count++] = command;
    return REDISMODULE_OK;
}

static int fake_CreateCommand(RedisModuleCtx *ctx, const char *name, RedisModuleCmdFunc run,
                              const char *flags, int first, int last, int step)
{
    return add_command(ctx->fake, name, run, flags == NULL ? "" : flags, first, last, step);
}

static int fake_CreateSubcommand(RedisModuleCommand *parent, const char *name,
                                 RedisModuleCmdFunc run, const char *flags, int first, int last,
                                 int step)
{
    char full[128];
    snprintf(full, sizeof full, "%.60s|%.60s", parent->name, name);
    return add_command(parent->fake, full, run, flags == NULL ? "" : flags, first, last, step);
}

static RedisModuleCommand *fake_GetCommand(RedisModuleCtx *ctx, const char *name)
{
    for (size_t i = 0; i < ctx->fake->command_count; i++) {
        if (strcasecmp(ctx->fake->commands[i]->name, name) == 0) {
            return ctx->fake->commands[i];
        }
    }
    return NULL;
}

static int fake_SetCommandInfo(RedisModuleCommand *command, const RedisModuleCommandInfo *info)
{
    return command == NULL || info->version->version != 1 ? REDISMODULE_ERR : REDISMODULE_OK;
}

static int fake_SetCommandACLCategories(RedisModuleCommand *command, const char *categories)
{
    return command == NULL || categories == NULL ? REDISMODULE_ERR : REDISMODULE_OK;
}

static int fake_AddACLCategory(RedisModuleCtx *ctx, const char *name)
{
    (void)name;
    return ctx->fake->loading ? REDISMODULE_OK : REDISMODULE_ERR;
}

static int fake_IsKeysPositionRequest(RedisModuleCtx *ctx)
{
    return ctx->keys_request;
}

static void fake_KeyAtPos(RedisModuleCtx *ctx, int pos)
{
    if (ctx->keys_request && pos > 0) {
        hl_buf_printf(&ctx->keys, "%s%d", ctx->keys.len == 0 ? "" : " ", pos);
    }
}

static void fake_KeyAtPosWithFlags(RedisModuleCtx *ctx, int pos, int flags)
{
    (void)flags;
    fake_KeyAtPos(ctx, pos);
}

static const char *fake_GetCurrentCommandName(RedisModuleCtx *ctx)
{
    return ctx->command == NULL ? NULL : ctx->command->name;
}

static int fake_GetSelectedDb(RedisModuleCtx *ctx)
{
    (void)ctx;
    return 0;
}

static int fake_SelectDb(RedisModuleCtx *ctx, int db)
{
    (void)ctx;
    return db == 0 ? REDISMODULE_OK : REDISMODULE_ERR;
}

static unsigned long long fake_GetClientId(RedisModuleCtx *ctx)
{
    return ctx->command != NULL || ctx->serving != NULL ? 1 : 0;
}

static int fake_GetContextFlags(RedisModuleCtx *ctx)
{
    (void)ctx;
    return fake_current->flags;
}

static int fake_GetServerVersion(void)
{
    return 0x00070200;
}

HL_PRINTF(2, 0)
static void log_line(const char *level, const char *fmt, va_list args)
{
    hl_buf_printf(&fake_current->logged, "%s: ", level);
    hl_buf_vprintf(&fake_current->logged, fmt, args);
    hl_buf_append_text(&fake_current->logged, "\n");
}

HL_PRINTF(3, 4)
static void fake_Log(RedisModuleCtx *ctx, const char *level, const char *fmt, ...)
{
    (void)ctx;
    va_list args;
    va_start(args, fmt);
    log_line(level, fmt, args);
    va_end(args);
}

HL_PRINTF(3, 4)
static void fake_LogIOError(RedisModuleIO *io, const char *level, const char *fmt, ...)
{
    (void)io;
    va_list args;
    va_start(args, fmt);
    log_line(level, fmt, args);
    va_end(args);
}

static void fake__Assert(const char *expr, const char *file, int line)
{
    hl_assert_fail(expr, file, line, "a module");
}

static mstime_t fake_Milliseconds(void)
{
    return fake_current->now_ms;
}

static uint64_t fake_MonotonicMicroseconds(void)
{
    return (uint64_t)fake_current->now_ms * 1000;
}

static ustime_t fake_Microseconds(void)
{
    return fake_current->now_ms * 1000;
}

static ustime_t fake_CachedMicroseconds(void)
{
    return fake_current->now_ms * 1000;
}

static void fake_GetRandomBytes(unsigned char *dst, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        fake_current->random = fake_current->random * 6364136223846793005U + 1442695040888963407U;
        dst[i] = (unsigned char)(fake_current->random >> 33);
    }
}

static void fake_GetRandomHexChars(char *dst, size_t len)
{
    fake_GetRandomBytes((unsigned char *)dst, len);
    for (size_t i = 0; i < len; i++) {
        dst[i] = "0123456789abcdef"[(unsigned char)dst[i] & 15];
    }
}

void *fake_lookup_basic(const char *name)
{
    static const struct fake_row rows[] = {
        FAKE_ROW(Alloc),
        FAKE_ROW(TryAlloc),
        FAKE_ROW(Calloc),
        FAKE_ROW(Realloc),
        FAKE_ROW(Free),
        FAKE_ROW(Strdup),
        FAKE_ROW(MallocSize),
        FAKE_ROW(GetUsedMemoryRatio),
        FAKE_ROW(AutoMemory),
        FAKE_ROW(PoolAlloc),
        FAKE_ROW(SetModuleAttribs),
        FAKE_ROW(IsModuleNameBusy),
        FAKE_ROW(SetModuleOptions),
        FAKE_ROW(CreateCommand),
        FAKE_ROW(CreateSubcommand),
        FAKE_ROW(GetCommand),
        FAKE_ROW(SetCommandInfo),
        FAKE_ROW(SetCommandACLCategories),
        FAKE_ROW(AddACLCategory),
        FAKE_ROW(IsKeysPositionRequest),
        FAKE_ROW(KeyAtPos),
        FAKE_ROW(KeyAtPosWithFlags),
        FAKE_ROW(GetCurrentCommandName),
        FAKE_ROW(GetSelectedDb),
        FAKE_ROW(SelectDb),
        FAKE_ROW(GetClientId),
        FAKE_ROW(GetContextFlags),
        FAKE_ROW(GetServerVersion),
        FAKE_ROW(Log),
        FAKE_ROW(LogIOError),
        FAKE_ROW(_Assert),
        FAKE_ROW(Milliseconds),
        FAKE_ROW(MonotonicMicroseconds),
        FAKE_ROW(Microseconds),
        FAKE_ROW(CachedMicroseconds),
        FAKE_ROW(GetRandomBytes),
        FAKE_ROW(GetRandomHexChars),
    };
    return fake_find(rows, HL_ARRAY_LEN(rows), name);
}
