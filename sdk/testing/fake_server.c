/* Calls and replication, timers, waiting clients, events, INFO, shared functions. */
#include "kit/num.h"
#include "testing/fake_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

/* ---- Calling and replicating commands ---- */

int fake_format(struct fake *fake, RedisModuleString **argv, const char *name, const char *fmt,
                va_list args, bool *replicate)
{
    int argc = 0;
    argv[argc++] = fake_string_new(fake, name, strlen(name));
    *replicate = false;
    for (const char *p = fmt; *p != '\0'; p++) {
        HL_ASSERT(argc < FAKE_ARGS_MAX);
        if (*p == 'c') {
            const char *text = va_arg(args, const char *);
            argv[argc++] = fake_string_new(fake, text, strlen(text));
        } else if (*p == 's') {
            argv[argc] = va_arg(args, RedisModuleString *);
            argv[argc++]->refs++;
        } else if (*p == 'b') {
            const char *bytes = va_arg(args, const char *);
            argv[argc++] = fake_string_new(fake, bytes, va_arg(args, size_t));
        } else if (*p == 'l') {
            char number[HL_I64_TEXT_MAX];
            int len = hl_format_i64(number, va_arg(args, long long));
            argv[argc++] = fake_string_new(fake, number, (size_t)len);
        } else if (*p == 'v') {
            RedisModuleString **more = va_arg(args, RedisModuleString **);
            size_t count = va_arg(args, size_t);
            for (size_t i = 0; i < count; i++) {
                HL_ASSERT(argc < FAKE_ARGS_MAX);
                more[i]->refs++;
                argv[argc++] = more[i];
            }
        } else if (*p == '!') {
            *replicate = true;
        } else {
            HL_ASSERT(strchr("AR30CSWMEDK", *p) != NULL); /* F4: an unknown letter */
        }
    }
    return argc;
}

void fake_replicate(struct fake *fake, RedisModuleString **argv, int argc)
{
    for (int i = 0; i < argc; i++) {
        bool plain = argv[i]->len != 0;
        for (size_t j = 0; j < argv[i]->len; j++) {
            plain = plain && argv[i]->ptr[j] > ' ' && argv[i]->ptr[j] <= '~';
        }
        hl_buf_append_text(&fake->replicated, i == 0 ? "" : " ");
        if (plain) {
            hl_buf_append(&fake->replicated, argv[i]->ptr, argv[i]->len);
        } else {
            fake_print_bytes(&fake->replicated, argv[i]->ptr, argv[i]->len);
        }
    }
    hl_buf_append_text(&fake->replicated, "\n");
}

static void unref_all(RedisModuleString **argv, int argc)
{
    for (int i = 0; i < argc; i++) {
        fake_string_unref(argv[i]);
    }
}

static int fake_Replicate(RedisModuleCtx *ctx, const char *name, const char *fmt, ...)
{
    RedisModuleString *argv[FAKE_ARGS_MAX];
    bool replicate = false;
    va_list args;
    va_start(args, fmt);
    int argc = fake_format(ctx->fake, argv, name, fmt, args, &replicate);
    va_end(args);
    fake_replicate(ctx->fake, argv, argc);
    unref_all(argv, argc);
    return REDISMODULE_OK;
}

static int fake_ReplicateVerbatim(RedisModuleCtx *ctx)
{
    fake_replicate(ctx->fake, ctx->argv, ctx->argc);
    return REDISMODULE_OK;
}

static struct hl_slice slice_of(const RedisModuleString *str)
{
    return (struct hl_slice){.ptr = str->ptr, .len = str->len};
}

static RedisModuleCallReply *text_reply(int type, bool status, struct hl_slice text)
{
    RedisModuleCallReply *reply = hl_calloc(1, sizeof *reply);
    reply->type = type;
    reply->status = status;
    reply->ptr = hl_strndup(text.ptr, text.len);
    reply->len = text.len;
    return reply;
}

static RedisModuleCallReply *number_reply(int type, long long integer)
{
    RedisModuleCallReply *reply = hl_calloc(1, sizeof *reply);
    reply->type = type;
    reply->integer = integer;
    return reply;
}

/* The few commands of the server that modules lean on: SET, GET, DEL, EXISTS.  NULL: none of them.
 */
static RedisModuleCallReply *builtin(struct fake *fake, RedisModuleString **argv, int argc)
{
    struct hl_slice name = slice_of(argv[0]);
    if (hl_slice_is(name, "set") && argc == 3) {
        fake_value_set(fake, slice_of(argv[1]), slice_of(argv[2]));
        return text_reply(REDISMODULE_REPLY_STRING, true, hl_slice_of("OK"));
    }
    if (hl_slice_is(name, "get") && argc == 2) {
        struct fake_value *value = fake_value_find(fake, slice_of(argv[1]));
        if (value == NULL) {
            return number_reply(REDISMODULE_REPLY_NULL, 0);
        }
        if (value->type != REDISMODULE_KEYTYPE_STRING) {
            return text_reply(REDISMODULE_REPLY_ERROR, false,
                              hl_slice_of(REDISMODULE_ERRORMSG_WRONGTYPE));
        }
        return text_reply(REDISMODULE_REPLY_STRING, false, hl_buf_view(&value->string));
    }
    bool del = hl_slice_is(name, "del");
    if (del || hl_slice_is(name, "exists")) {
        long long count = 0;
        for (int i = 1; i < argc; i++) {
            count += del ? fake_value_delete(fake, slice_of(argv[i]))
                         : fake_value_find(fake, slice_of(argv[i])) != NULL;
        }
        return number_reply(REDISMODULE_REPLY_INTEGER, count);
    }
    return NULL;
}

RedisModuleCallReply *fake_call(struct fake *fake, RedisModuleString **argv, int argc)
{
    bool blocked = false;
    RedisModuleCallReply *reply = builtin(fake, argv, argc);
    return reply != NULL ? reply : fake_execute(fake, argv, argc, &blocked);
}

RedisModuleCallReply *fake_error_reply(const char *text)
{
    return text_reply(REDISMODULE_REPLY_ERROR, false, hl_slice_of(text));
}

static RedisModuleCallReply *fake_Call(RedisModuleCtx *ctx, const char *name, const char *fmt, ...)
{
    RedisModuleString *argv[FAKE_ARGS_MAX];
    bool replicate = false;
    va_list args;
    va_start(args, fmt);
    int argc = fake_format(fake_current, argv, name, fmt, args, &replicate);
    va_end(args);
    RedisModuleCallReply *reply = fake_call(fake_current, argv, argc);
    if (reply != NULL) {
        fake_ctx_add(ctx, FAKE_REPLY, reply);
    }
    if (replicate && reply != NULL) {
        fake_replicate(fake_current, argv, argc);
    }
    unref_all(argv, argc);
    return reply;
}

/* ---- Timers ---- */

static RedisModuleTimerID fake_CreateTimer(RedisModuleCtx *ctx, mstime_t period,
                                           RedisModuleTimerProc run, void *data)
{
    struct fake *fake = ctx->fake;
    HL_ASSERT(fake->timer_count < FAKE_ITEMS_MAX);
    fake->timers[fake->timer_count] = (struct fake_timer){
        .id = fake->next_timer++, .at = fake->now_ms + period, .run = run, .data = data};
    return fake->timers[fake->timer_count++].id;
}

static struct fake_timer *find_timer(struct fake *fake, RedisModuleTimerID id)
{
    for (size_t i = 0; i < fake->timer_count; i++) {
        if (fake->timers[i].id == id) {
            return &fake->timers[i];
        }
    }
    return NULL;
}

static int fake_StopTimer(RedisModuleCtx *ctx, RedisModuleTimerID id, void **data)
{
    struct fake_timer *timer = find_timer(ctx->fake, id);
    if (timer == NULL) {
        return REDISMODULE_ERR;
    }
    if (data != NULL) {
        *data = timer->data;
    }
    *timer = ctx->fake->timers[--ctx->fake->timer_count];
    return REDISMODULE_OK;
}

static int fake_GetTimerInfo(RedisModuleCtx *ctx, RedisModuleTimerID id, uint64_t *remaining,
                             void **data)
{
    struct fake_timer *timer = find_timer(ctx->fake, id);
    if (timer == NULL) {
        return REDISMODULE_ERR;
    }
    if (remaining != NULL) {
        *remaining = (uint64_t)(timer->at - ctx->fake->now_ms);
    }
    if (data != NULL) {
        *data = timer->data;
    }
    return REDISMODULE_OK;
}

/* ---- Waiting clients ---- */

static RedisModuleBlockedClient *fake_BlockClient(RedisModuleCtx *ctx, RedisModuleCmdFunc reply,
                                                  RedisModuleCmdFunc timeout,
                                                  RedisModuleFreePrivdataFunc free_privdata,
                                                  long long timeout_ms)
{
    struct fake *fake = ctx->fake;
    RedisModuleBlockedClient *bc = hl_calloc(1, sizeof *bc);
    *bc = (RedisModuleBlockedClient){
        .fake = fake,
        .reply = reply,
        .timeout = timeout,
        .free_privdata = free_privdata,
        .deadline = timeout_ms == 0 ? 0 : fake->now_ms + timeout_ms,
        .argv = hl_calloc((size_t)ctx->argc, sizeof *bc->argv),
        .argc = ctx->argc,
        .next = fake->blocked,
    };
    for (int i = 0; i < ctx->argc; i++) {
        bc->argv[i] = ctx->argv[i];
        bc->argv[i]->refs++;
    }
    fake->blocked = bc;
    ctx->blocked = bc;
    return bc;
}

/* The keys do not matter here: every client that waits on keys is asked again each time. */
static RedisModuleBlockedClient *
fake_BlockClientOnKeys(RedisModuleCtx *ctx, RedisModuleCmdFunc reply, RedisModuleCmdFunc timeout,
                       RedisModuleFreePrivdataFunc free_privdata, long long timeout_ms,
                       RedisModuleString **keys, int numkeys, void *privdata)
{
    HL_ASSERT(keys != NULL && numkeys > 0);
    RedisModuleBlockedClient *bc = fake_BlockClient(ctx, reply, timeout, free_privdata, timeout_ms);
    bc->on_keys = true;
    bc->privdata = privdata;
    return bc;
}

static void fake_SignalKeyAsReady(RedisModuleCtx *ctx, RedisModuleString *key)
{
    HL_ASSERT(ctx != NULL && key != NULL);
}

static int fake_SubscribeToKeyspaceEvents(RedisModuleCtx *ctx, int types,
                                          RedisModuleNotificationFunc run)
{
    return ctx == NULL || types == 0 || run == NULL ? REDISMODULE_ERR : REDISMODULE_OK;
}

static int fake_UnblockClient(RedisModuleBlockedClient *bc, void *privdata)
{
    HL_ASSERT(!bc->unblocked && !bc->aborted);
    bc->unblocked = true;
    bc->privdata = privdata;
    return REDISMODULE_OK;
}

static int fake_AbortBlock(RedisModuleBlockedClient *bc)
{
    bc->aborted = true;
    return REDISMODULE_OK;
}

static void *fake_GetBlockedClientPrivateData(RedisModuleCtx *ctx)
{
    return ctx->serving == NULL ? NULL : ctx->serving->privdata;
}

static int fake_IsBlockedReplyRequest(RedisModuleCtx *ctx)
{
    return ctx->serving != NULL && !ctx->timed_out;
}

static int fake_IsBlockedTimeoutRequest(RedisModuleCtx *ctx)
{
    return ctx->serving != NULL && ctx->timed_out;
}

/* Run the callback that ends a wait, and append what it answers.  False when a client that waits
 * on keys is not served: it waits on. */
static bool finish(struct fake *fake, RedisModuleBlockedClient *bc, bool timed_out)
{
    RedisModuleCmdFunc callback = timed_out ? bc->timeout : bc->reply;
    RedisModuleCtx ctx;
    fake_ctx_init(&ctx, fake);
    ctx.serving = bc;
    ctx.timed_out = timed_out;
    ctx.argv = bc->argv;
    ctx.argc = bc->argc;
    if (callback != NULL && !bc->aborted) {
        int result = callback(&ctx, bc->argv, bc->argc);
        if (bc->on_keys && !timed_out && result != REDISMODULE_OK) {
            HL_ASSERT(ctx.reply == NULL);
            fake_ctx_fini(&ctx);
            return false;
        }
        RedisModuleCallReply *reply = fake_reply_take(&ctx);
        hl_buf_append_text(&fake->answer, fake->answer.len == 0 ? "" : "\n");
        fake_reply_print(&fake->answer, reply);
        fake_reply_free(reply);
    }
    if (bc->free_privdata != NULL && (bc->privdata != NULL || bc->aborted)) {
        bc->free_privdata(&ctx, bc->privdata);
    }
    fake_ctx_fini(&ctx);
    return true;
}

/* Serve those who were unblocked or ran out of time, and forget them. */
static void serve_blocked(struct fake *fake)
{
    for (RedisModuleBlockedClient **at = &fake->blocked; *at != NULL;) {
        RedisModuleBlockedClient *bc = *at;
        bool late = !bc->unblocked && bc->deadline != 0 && bc->deadline <= fake->now_ms;
        bool ends = bc->unblocked || bc->aborted || late || bc->on_keys;
        if (!ends || !finish(fake, bc, late)) {
            at = &bc->next;
            continue;
        }
        *at = bc->next;
        unref_all(bc->argv, bc->argc);
        hl_free(bc->argv);
        hl_free(bc);
    }
}

const char *fake_unblocked(struct fake *fake)
{
    hl_buf_clear(&fake->answer);
    serve_blocked(fake);
    hl_buf_append_u8(&fake->answer, 0);
    fake->answer.len--;
    return fake->answer.ptr;
}

void fake_advance(struct fake *fake, long long ms)
{
    mstime_t until = fake->now_ms + ms;
    for (;;) {
        struct fake_timer *next = NULL;
        for (size_t i = 0; i < fake->timer_count; i++) {
            bool due = fake->timers[i].at <= until;
            if (due && (next == NULL || fake->timers[i].at < next->at)) {
                next = &fake->timers[i];
            }
        }
        if (next == NULL) {
            break;
        }
        struct fake_timer timer = *next;
        *next = fake->timers[--fake->timer_count];
        fake->now_ms = timer.at > fake->now_ms ? timer.at : fake->now_ms;
        RedisModuleCtx ctx;
        fake_ctx_init(&ctx, fake);
        timer.run(&ctx, timer.data);
        fake_ctx_fini(&ctx);
    }
    fake->now_ms = until;
}

/* ---- Events, INFO, shared functions ---- */

static int fake_SubscribeToServerEvent(RedisModuleCtx *ctx, RedisModuleEvent event,
                                       RedisModuleEventCallback run)
{
    struct fake *fake = ctx->fake;
    HL_ASSERT(fake->event_count < FAKE_ITEMS_MAX);
    fake->events[fake->event_count].id = event.id;
    fake->events[fake->event_count++].run = run;
    return REDISMODULE_OK;
}

void fake_event(struct fake *fake, RedisModuleEvent event, uint64_t subevent, void *data)
{
    for (size_t i = 0; i < fake->event_count; i++) {
        if (fake->events[i].id == event.id && fake->events[i].run != NULL) {
            RedisModuleCtx ctx;
            fake_ctx_init(&ctx, fake);
            fake->events[i].run(&ctx, event, subevent, data);
            fake_ctx_fini(&ctx);
        }
    }
}

static int fake_RegisterInfoFunc(RedisModuleCtx *ctx, RedisModuleInfoFunc callback)
{
    ctx->fake->info = callback;
    return REDISMODULE_OK;
}

const char *fake_info(struct fake *fake)
{
    hl_buf_clear(&fake->info_text);
    if (fake->info != NULL) {
        fake->info((RedisModuleInfoCtx *)(void *)fake, 0);
    }
    hl_buf_append_u8(&fake->info_text, 0);
    fake->info_text.len--;
    return fake->info_text.ptr;
}

static struct hl_buf *info_text(RedisModuleInfoCtx *info)
{
    return &((struct fake *)(void *)info)->info_text;
}

static int fake_InfoAddSection(RedisModuleInfoCtx *info, const char *name)
{
    bool plain = name == NULL || name[0] == '\0';
    hl_buf_printf(info_text(info), "# %s%s%s\n", fake_current->module, plain ? "" : "_",
                  plain ? "" : name);
    return REDISMODULE_OK;
}

static int fake_InfoAddFieldCString(RedisModuleInfoCtx *info, const char *field, const char *value)
{
    hl_buf_printf(info_text(info), "%s_%s:%s\n", fake_current->module, field, value);
    return REDISMODULE_OK;
}

static int fake_InfoAddFieldString(RedisModuleInfoCtx *info, const char *field,
                                   RedisModuleString *value)
{
    return fake_InfoAddFieldCString(info, field, value->ptr);
}

static int fake_InfoAddFieldLongLong(RedisModuleInfoCtx *info, const char *field, long long value)
{
    hl_buf_printf(info_text(info), "%s_%s:%lld\n", fake_current->module, field, value);
    return REDISMODULE_OK;
}

static int fake_InfoAddFieldULongLong(RedisModuleInfoCtx *info, const char *field,
                                      unsigned long long value)
{
    hl_buf_printf(info_text(info), "%s_%s:%llu\n", fake_current->module, field, value);
    return REDISMODULE_OK;
}

static int fake_InfoAddFieldDouble(RedisModuleInfoCtx *info, const char *field, double value)
{
    hl_buf_printf(info_text(info), "%s_%s:%.17g\n", fake_current->module, field, value);
    return REDISMODULE_OK;
}

static int fake_ExportSharedAPI(RedisModuleCtx *ctx, const char *name, void *function)
{
    struct fake *fake = ctx->fake;
    HL_ASSERT(fake->shared_count < FAKE_ITEMS_MAX);
    fake->shared[fake->shared_count++] =
        (struct fake_pair){.name = hl_strndup(name, strlen(name)), .ptr = function};
    return REDISMODULE_OK;
}

static void *fake_GetSharedAPI(RedisModuleCtx *ctx, const char *name)
{
    for (size_t i = 0; i < ctx->fake->shared_count; i++) {
        if (strcmp(ctx->fake->shared[i].name, name) == 0) {
            return ctx->fake->shared[i].ptr;
        }
    }
    return NULL;
}

static int fake_NotifyKeyspaceEvent(RedisModuleCtx *ctx, int type, const char *event,
                                    RedisModuleString *key)
{
    (void)ctx;
    (void)type;
    return event == NULL || key == NULL ? REDISMODULE_ERR : REDISMODULE_OK;
}

static int fake_SignalModifiedKey(RedisModuleCtx *ctx, RedisModuleString *key)
{
    (void)ctx;
    return key == NULL ? REDISMODULE_ERR : REDISMODULE_OK;
}

void *fake_lookup_server(const char *name)
{
    static const struct fake_row rows[] = {
        FAKE_ROW(Replicate),
        FAKE_ROW(ReplicateVerbatim),
        FAKE_ROW(Call),
        FAKE_ROW(CreateTimer),
        FAKE_ROW(StopTimer),
        FAKE_ROW(GetTimerInfo),
        FAKE_ROW(BlockClient),
        FAKE_ROW(BlockClientOnKeys),
        FAKE_ROW(SignalKeyAsReady),
        FAKE_ROW(SubscribeToKeyspaceEvents),
        FAKE_ROW(UnblockClient),
        FAKE_ROW(AbortBlock),
        FAKE_ROW(GetBlockedClientPrivateData),
        FAKE_ROW(IsBlockedReplyRequest),
        FAKE_ROW(IsBlockedTimeoutRequest),
        FAKE_ROW(SubscribeToServerEvent),
        FAKE_ROW(RegisterInfoFunc),
        FAKE_ROW(InfoAddSection),
        FAKE_ROW(InfoAddFieldCString),
        FAKE_ROW(InfoAddFieldString),
        FAKE_ROW(InfoAddFieldLongLong),
        FAKE_ROW(InfoAddFieldULongLong),
        FAKE_ROW(InfoAddFieldDouble),
        FAKE_ROW(ExportSharedAPI),
        FAKE_ROW(GetSharedAPI),
        FAKE_ROW(NotifyKeyspaceEvent),
        FAKE_ROW(SignalModifiedKey),
    };
    return fake_find(rows, HL_ARRAY_LEN(rows), name);
}
