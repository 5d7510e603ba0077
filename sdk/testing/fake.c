/* The fake server itself: loading a module, running commands, and what tests ask.
 *
 * Functions of the ABI live in the fake_*.c files beside, each with a table of names. */
#include "testing/fake_internal.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#define START_MS 1000000

struct fake *fake_current;

void *fake_find(const struct fake_row *rows, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return rows[i].function;
        }
    }
    return NULL;
}

/* The function behind the first word of every context. */
static int get_api(const char *full_name, void *target)
{
    static void *(*const tables[])(const char *) = {
        fake_lookup_basic, fake_lookup_string, fake_lookup_reply,  fake_lookup_key,
        fake_lookup_type,  fake_lookup_server, fake_lookup_config, fake_lookup_dict,
    };
    static const char prefix[] = "RedisModule_";
    static const char own[] = "HeliosModule_";
    if (strncmp(full_name, own, sizeof own - 1) == 0) {
        void *function = fake_lookup_execute(full_name + sizeof own - 1);
        if (function != NULL) {
            *(void **)target = function;
        }
        return function == NULL;
    }
    if (strncmp(full_name, prefix, sizeof prefix - 1) != 0) {
        return 1;
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(tables); i++) {
        void *function = tables[i](full_name + sizeof prefix - 1);
        if (function != NULL) {
            *(void **)target = function;
            return 0;
        }
    }
    return 1;
}

/* ---- Contexts ---- */

void fake_ctx_init(RedisModuleCtx *ctx, struct fake *fake)
{
    *ctx = (RedisModuleCtx){.get_api = (void *)get_api, .fake = fake};
}

void fake_ctx_add(RedisModuleCtx *ctx, enum fake_object kind, void *ptr)
{
    fake_current->live++;
    if (ctx == NULL) {
        return;
    }
    ctx->objects = hl_realloc(ctx->objects, (ctx->object_count + 1) * sizeof *ctx->objects);
    ctx->objects[ctx->object_count].kind = kind;
    ctx->objects[ctx->object_count].ptr = ptr;
    ctx->object_count++;
}

bool fake_ctx_remove(RedisModuleCtx *ctx, void *ptr)
{
    for (size_t i = 0; ctx != NULL && i < ctx->object_count; i++) {
        if (ctx->objects[i].ptr == ptr) {
            ctx->objects[i] = ctx->objects[--ctx->object_count];
            return true;
        }
    }
    return false;
}

void fake_ctx_fini(RedisModuleCtx *ctx)
{
    for (size_t i = 0; ctx->automatic && i < ctx->object_count; i++) {
        ctx->fake->live--;
        switch (ctx->objects[i].kind) {
        case FAKE_STRING:
            fake_string_unref(ctx->objects[i].ptr);
            break;
        case FAKE_KEY:
            fake_string_unref(((RedisModuleKey *)ctx->objects[i].ptr)->name);
            hl_free(ctx->objects[i].ptr);
            break;
        case FAKE_REPLY:
            fake_reply_free(ctx->objects[i].ptr);
            break;
        }
    }
    for (size_t i = 0; i < ctx->pool_count; i++) {
        hl_free(ctx->pool[i]);
    }
    hl_free(ctx->pool);
    hl_free(ctx->objects);
    hl_buf_fini(&ctx->keys);
}

/* ---- Life of the fake ---- */

struct fake *fake_create(void)
{
    HL_ASSERT(fake_current == NULL);
    struct fake *fake = hl_calloc(1, sizeof *fake);
    fake->now_ms = START_MS;
    fake->next_timer = 1;
    fake->flags = REDISMODULE_CTX_FLAGS_MASTER;
    fake_current = fake;
    return fake;
}

static void free_blocked(struct fake *fake)
{
    while (fake->blocked != NULL) {
        struct RedisModuleBlockedClient *bc = fake->blocked;
        fake->blocked = bc->next;
        for (int i = 0; i < bc->argc; i++) {
            fake_string_unref(bc->argv[i]);
        }
        hl_free(bc->argv);
        hl_free(bc);
    }
}

void fake_destroy(struct fake *fake)
{
    if (fake == NULL) {
        return;
    }
    while (fake->values != NULL) {
        fake_value_delete(fake, fake->values->name);
    }
    free_blocked(fake);
    for (size_t i = 0; i < fake->command_count; i++) {
        hl_free(fake->commands[i]->name);
        hl_free(fake->commands[i]);
    }
    for (size_t i = 0; i < fake->type_count; i++) {
        hl_free(fake->types[i]);
    }
    for (size_t i = 0; i < fake->preset_count; i++) {
        hl_free(fake->presets[i].name);
        hl_free(fake->presets[i].value);
    }
    for (size_t i = 0; i < fake->shared_count; i++) {
        hl_free(fake->shared[i].name);
    }
    fake_configs_free(fake);
    hl_buf_fini(&fake->reply_text);
    hl_buf_fini(&fake->replicated);
    hl_buf_fini(&fake->replicated_taken);
    hl_buf_fini(&fake->logged);
    hl_buf_fini(&fake->logged_taken);
    hl_buf_fini(&fake->answer);
    hl_buf_fini(&fake->info_text);
    hl_buf_fini(&fake->executed);
    hl_free(fake->module);
    hl_free(fake);
    fake_current = NULL;
}

/* ---- Command lines ---- */

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);
    return at == NULL ? -1 : (int)(at - digits);
}

/* Read one word at *at, quoted or plain, and move behind it. */
static RedisModuleString *next_word(struct fake *fake, const char **at)
{
    struct hl_buf word = {0};
    const char *p = *at;
    bool quoted = *p == '"';
    p += quoted;
    while (*p != '\0' && (quoted ? *p != '"' : *p != ' ')) {
        if (quoted && p[0] == '\\' && p[1] == 'x' && hex_digit(p[2]) >= 0 && hex_digit(p[3]) >= 0) {
            hl_buf_append_u8(&word, (uint8_t)(hex_digit(p[2]) * 16 + hex_digit(p[3])));
            p += 4;
        } else {
            p += quoted && p[0] == '\\' && p[1] != '\0';
            hl_buf_append(&word, p, 1);
            p++;
        }
    }
    p += quoted && *p == '"';
    *at = p;
    RedisModuleString *str = fake_string_new(fake, word.ptr, word.len);
    hl_buf_fini(&word);
    return str;
}

/* Cut a line into words; returns their number. */
static int split(struct fake *fake, const char *line, RedisModuleString **argv)
{
    int argc = 0;
    for (const char *p = line; p != NULL && *p != '\0';) {
        if (*p == ' ') {
            p++;
            continue;
        }
        HL_ASSERT(argc < FAKE_ARGS_MAX);
        argv[argc++] = next_word(fake, &p);
    }
    return argc;
}

static void unref_all(RedisModuleString **argv, int argc)
{
    for (int i = 0; i < argc; i++) {
        fake_string_unref(argv[i]);
    }
}

static const char *text_of(struct hl_buf *buf)
{
    hl_buf_append_u8(buf, 0);
    buf->len--;
    return buf->ptr;
}

/* ---- Loading and running ---- */

int fake_unload(struct fake *fake, int (*onunload)(RedisModuleCtx *ctx))
{
    RedisModuleCtx ctx;
    fake_ctx_init(&ctx, fake);
    int result = onunload(&ctx);
    fake_ctx_fini(&ctx);
    return result;
}

int fake_load(struct fake *fake, fake_onload onload, const char *args)
{
    RedisModuleString *argv[FAKE_ARGS_MAX];
    int argc = split(fake, args, argv);
    RedisModuleCtx ctx;
    fake_ctx_init(&ctx, fake);
    fake->loading = true;
    fake->configs_loaded = fake->config_count == 0;
    int err = onload(&ctx, argv, argc);
    fake->loading = false;
    if (fake->config_count != 0 && !fake->configs_loaded) {
        err = REDISMODULE_ERR;
    }
    fake_reply_free(ctx.reply);
    fake_ctx_fini(&ctx);
    unref_all(argv, argc);
    return err;
}

static RedisModuleCommand *find_command(struct fake *fake, RedisModuleString **argv, int argc)
{
    RedisModuleCommand *best = NULL;
    for (size_t i = 0; argc > 0 && i < fake->command_count; i++) {
        RedisModuleCommand *command = fake->commands[i];
        char full[128];
        snprintf(full, sizeof full, "%.60s|%.60s", argv[0]->ptr, argc > 1 ? argv[1]->ptr : "");
        if (strcasecmp(command->name, full) == 0) {
            return command;
        }
        if (strcasecmp(command->name, argv[0]->ptr) == 0) {
            best = command;
        }
    }
    return best;
}

RedisModuleCallReply *fake_execute(struct fake *fake, RedisModuleString **argv, int argc,
                                   bool *blocked)
{
    RedisModuleCommand *command = find_command(fake, argv, argc);
    *blocked = false;
    if (command == NULL || command->run == NULL) {
        errno = ENOENT;
        return NULL;
    }
    RedisModuleCtx ctx;
    fake_ctx_init(&ctx, fake);
    ctx.argv = argv;
    ctx.argc = argc;
    ctx.command = command;
    command->run(&ctx, argv, argc);
    RedisModuleCallReply *reply = NULL;
    if (ctx.blocked != NULL && !ctx.blocked->aborted) {
        HL_ASSERT(ctx.reply == NULL); /* a blocked command must not reply */
        *blocked = true;
    } else {
        reply = fake_reply_take(&ctx);
    }
    fake_ctx_fini(&ctx);
    return reply;
}

static const char *run(struct fake *fake, RedisModuleString **argv, int argc)
{
    bool blocked = false;
    RedisModuleCallReply *reply = fake_execute(fake, argv, argc, &blocked);
    hl_buf_clear(&fake->reply_text);
    if (blocked) {
        hl_buf_append_text(&fake->reply_text, "(blocked)");
    } else if (reply == NULL) {
        hl_buf_append_text(&fake->reply_text, "-ERR unknown command");
    } else {
        fake_reply_print(&fake->reply_text, reply);
    }
    fake_reply_free(reply);
    return text_of(&fake->reply_text);
}

const char *fake_run(struct fake *fake, const char *line)
{
    RedisModuleString *argv[FAKE_ARGS_MAX];
    int argc = split(fake, line, argv);
    const char *text = run(fake, argv, argc);
    unref_all(argv, argc);
    return text;
}

const char *fake_run_argv(struct fake *fake, int argc, const char *const *argv, const size_t *lens)
{
    HL_ASSERT(argc <= FAKE_ARGS_MAX);
    RedisModuleString *strings[FAKE_ARGS_MAX];
    for (int i = 0; i < argc; i++) {
        strings[i] = fake_string_new(fake, argv[i], lens[i]);
    }
    const char *text = run(fake, strings, argc);
    unref_all(strings, argc);
    return text;
}

const char *fake_keys(struct fake *fake, const char *line)
{
    RedisModuleString *argv[FAKE_ARGS_MAX];
    int argc = split(fake, line, argv);
    RedisModuleCommand *command = find_command(fake, argv, argc);
    hl_buf_clear(&fake->reply_text);
    if (command != NULL && command->getkeys_api) {
        RedisModuleCtx ctx;
        fake_ctx_init(&ctx, fake);
        ctx.keys_request = true;
        command->run(&ctx, argv, argc);
        hl_buf_append_slice(&fake->reply_text, hl_buf_view(&ctx.keys));
        fake_reply_free(ctx.reply);
        fake_ctx_fini(&ctx);
    } else if (command != NULL && command->first > 0 && command->step > 0) {
        int last = command->last < 0 ? argc + command->last : command->last;
        for (int i = command->first; i <= last && i < argc; i += command->step) {
            hl_buf_printf(&fake->reply_text, "%s%d", fake->reply_text.len == 0 ? "" : " ", i);
        }
    }
    unref_all(argv, argc);
    return text_of(&fake->reply_text);
}

/* ---- What tests ask ---- */

/* Move what has gathered in `from` to `taken`, and show it. */
static const char *take(struct hl_buf *from, struct hl_buf *taken)
{
    hl_buf_clear(taken);
    hl_buf_append_slice(taken, hl_buf_view(from));
    hl_buf_clear(from);
    return text_of(taken);
}

const char *fake_replicated(struct fake *fake)
{
    return take(&fake->replicated, &fake->replicated_taken);
}

const char *fake_logged(struct fake *fake)
{
    return take(&fake->logged, &fake->logged_taken);
}

void fake_set_flags(struct fake *fake, int flags)
{
    fake->flags = flags;
}

size_t fake_live(const struct fake *fake)
{
    return fake->live;
}
