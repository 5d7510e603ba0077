/* Blocked clients: a command that answers later.
 *
 *   B1  bc->session is NULL from the moment that the client has its answer, has left, or never
 *       waited (inside MULTI, scripts and calls).
 *   B2  a handle of BlockClient lives until UnblockClient or AbortBlock, whatever the client does;
 * one of BlockClientOnKeys until its client has its answer or has left. B3  UnblockClient, alone of
 * all here, may be called on any thread: it only hands the handle over.
 */
#include "abi/unit.h"

#include <errno.h>

#define KEYS_MAX 1024 /* of one waiting client */
#define WRONGPASS "WRONGPASS invalid username-password pair or user is disabled."

struct RedisModuleBlockedClient {
    struct hl_list_node node; /* in abi->blocked */
    struct hl_abi *abi;
    struct hl_module *module;
    struct hl_session *session; /* B1 */
    RedisModuleCtx *ctx;        /* of the command, while it runs */
    RedisModuleCmdFunc reply, timeout;
    RedisModuleDisconnectFunc disconnect;
    RedisModuleFreePrivdataFunc free_privdata;
    void *privdata;
    RedisModuleString **argv;
    int argc;
    int db;
    RedisModuleString **keys; /* of BlockClientOnKeys */
    int key_count;
    bool on_keys, ready, unblocked, aborted;
    RedisModuleString *ready_key; /* one of keys */
    RedisModuleAuthCallback auth; /* of BlockClientOnAuth: judges instead of replying */
    RedisModuleString *login, *password;
    struct hl_buf thread_out; /* replies of its thread-safe contexts */
    int proto;
    int64_t measure_start_us, measured_us;
};

static void unref_all(RedisModuleString **strings, int count)
{
    for (int i = 0; i < count; i++) {
        hl_string_unref(strings[i]);
    }
    hl_free(strings);
}

static RedisModuleString **ref_all(RedisModuleString **strings, int count)
{
    RedisModuleString **copies = hl_calloc((size_t)count, sizeof *copies);
    for (int i = 0; i < count; i++) {
        copies[i] = hl_string_ref(strings[i]);
    }
    return copies;
}

/* End the handle: its private data goes through the module's function. */
static void destroy(RedisModuleBlockedClient *bc)
{
    HL_ASSERT(bc->session == NULL);
    if (bc->free_privdata != NULL && bc->privdata != NULL) {
        RedisModuleCtx ctx;
        hl_ctx_init(&ctx, bc->abi, bc->module);
        ctx.blocked = bc;
        hl_frame_begin(&ctx);
        bc->free_privdata(&ctx, bc->privdata);
        hl_ctx_fini(&ctx);
        (void)hl_frame_end(&ctx);
    }
    if (bc->ctx != NULL) {
        bc->ctx->blocked = NULL;
    }
    bc->module->blocked--;
    hl_list_remove(&bc->node);
    unref_all(bc->argv, bc->argc);
    unref_all(bc->keys, bc->key_count);
    hl_string_unref(bc->login);
    if (bc->password != NULL) {
        explicit_bzero(bc->password->ptr, bc->password->len);
        hl_string_unref(bc->password);
    }
    hl_buf_fini(&bc->thread_out);
    hl_free(bc);
}

/* Let the client go on: what was written for it waits for `gate`. */
static void release(RedisModuleBlockedClient *bc, uint64_t gate)
{
    struct hl_session *session = bc->session;
    struct hl_node *node = bc->abi->node;
    bc->session = NULL;
    hl_session_answered(node, session, gate);
}

/* Run a callback that answers the client, in a frame; returns what it returned and the gate. */
static int run_callback(RedisModuleBlockedClient *bc, RedisModuleCmdFunc callback, uint32_t flags,
                        uint64_t *gate)
{
    RedisModuleCtx ctx;
    hl_ctx_init(&ctx, bc->abi, bc->module);
    ctx.flags |= flags;
    ctx.blocked = bc;
    ctx.session = bc->session;
    ctx.out = bc->session == NULL ? NULL : &bc->session->writer;
    ctx.ready_key = bc->ready_key;
    ctx.db = bc->db;
    ctx.argv = bc->argv;
    ctx.argc = bc->argc;
    hl_frame_begin(&ctx);
    int result = callback(&ctx, bc->argv, bc->argc);
    hl_ctx_fini(&ctx);
    *gate = hl_frame_end(&ctx);
    return result;
}

static void tell_disconnect(RedisModuleBlockedClient *bc)
{
    if (bc->disconnect == NULL) {
        return;
    }
    RedisModuleCtx ctx;
    hl_ctx_init(&ctx, bc->abi, bc->module);
    ctx.blocked = bc;
    ctx.flags |= HL_CTX_GONE;
    hl_frame_begin(&ctx);
    bc->disconnect(&ctx, bc);
    hl_ctx_fini(&ctx);
    (void)hl_frame_end(&ctx);
}

/* The wait ends by time, by CLIENT UNBLOCK, or with the client: hl_blocked.end of the session. */
static void on_end(struct hl_node *node, struct hl_session *session, int reason)
{
    RedisModuleBlockedClient *bc = session->blocked.owner;
    uint64_t gate = node->last;
    HL_ASSERT(bc->session == session);
    hl_abi_enter(bc->abi);
    if (reason == HL_UNBLOCK_CLOSED) {
        bc->session = NULL; /* the session is being destroyed: it is not resumed */
        tell_disconnect(bc);
    } else {
        if (reason == HL_UNBLOCK_ERROR) {
            hl_write_error(&session->writer, HL_UNBLOCKED);
        } else if (bc->timeout != NULL) {
            (void)run_callback(bc, bc->timeout, HL_CTX_TIMEOUT, &gate);
        } else {
            hl_write_null(&session->writer); /* the module left nothing to say */
        }
        release(bc, gate);
    }
    if (bc->on_keys) {
        destroy(bc); /* B2 */
    }
}

/* Why a client cannot wait here, or NULL. */
static const char *denied(const RedisModuleCtx *ctx)
{
    if (ctx->call == NULL || ctx->session == NULL) {
        return "ERR Blocking module command called from a place that cannot wait";
    }
    if ((ctx->call->flags &
         (HL_CALL_MULTI | HL_CALL_NESTED | HL_CALL_DENY_BLOCK | HL_CALL_REPLICATED)) != 0) {
        return "ERR Blocking module command called from transaction";
    }
    return NULL;
}

static RedisModuleBlockedClient *block(RedisModuleCtx *ctx, RedisModuleCmdFunc reply,
                                       RedisModuleCmdFunc timeout,
                                       RedisModuleFreePrivdataFunc free_privdata,
                                       long long timeout_ms, bool on_keys)
{
    struct hl_abi *abi = ctx->abi;
    RedisModuleBlockedClient *bc = hl_calloc(1, sizeof *bc);
    *bc = (RedisModuleBlockedClient){
        .abi = abi,
        .module = ctx->module,
        .reply = reply,
        .timeout = timeout,
        .free_privdata = free_privdata,
        .argv = ref_all(ctx->argv, ctx->argc),
        .argc = ctx->argc,
        .db = ctx->db,
        .on_keys = on_keys,
        .proto = ctx->out == NULL ? 2 : ctx->out->proto,
    };
    ctx->module->blocked++;
    hl_list_append(&abi->blocked, &bc->node);
    const char *why = denied(ctx);
    if (why != NULL) {
        if (ctx->out != NULL) {
            hl_write_error(ctx->out, why);
        }
        return bc; /* the module will unblock or abort it; nobody waits */
    }
    bc->session = ctx->session;
    bc->ctx = ctx;
    ctx->blocked = bc;
    int64_t deadline = 0;
    if (timeout_ms > 0 && __builtin_add_overflow(abi->node->now_ms, timeout_ms, &deadline)) {
        deadline = 0; /* beyond all time */
    }
    struct hl_blocked blocked = {
        .owner = bc, .deadline_ms = deadline, .unblockable = timeout != NULL, .end = on_end};
    hl_session_block(abi->node, ctx->session, &blocked);
    return bc;
}

RedisModuleBlockedClient *hl_rm_BlockClient(RedisModuleCtx *ctx, RedisModuleCmdFunc reply_callback,
                                            RedisModuleCmdFunc timeout_callback,
                                            RedisModuleFreePrivdataFunc free_privdata,
                                            long long timeout_ms)
{
    if (ctx->module == NULL || ctx->blocked != NULL) {
        return NULL; /* one answer, one wait */
    }
    return block(ctx, reply_callback, timeout_callback, free_privdata, timeout_ms, false);
}

RedisModuleBlockedClient *
hl_rm_BlockClientOnKeysWithFlags(RedisModuleCtx *ctx, RedisModuleCmdFunc reply_callback,
                                 RedisModuleCmdFunc timeout_callback,
                                 RedisModuleFreePrivdataFunc free_privdata, long long timeout_ms,
                                 RedisModuleString **keys, int numkeys, void *privdata, int flags)
{
    (void)flags; /* clients are woken for deleted keys too: their callback looks anyway */
    if (ctx->module == NULL || ctx->blocked != NULL || numkeys < 1 || numkeys > KEYS_MAX ||
        reply_callback == NULL) {
        return NULL;
    }
    RedisModuleBlockedClient *bc =
        block(ctx, reply_callback, timeout_callback, free_privdata, timeout_ms, true);
    bc->keys = ref_all(keys, numkeys);
    bc->key_count = numkeys;
    bc->privdata = privdata;
    if (bc->session == NULL) {
        destroy(bc); /* denied: nobody will ever come for it */
        return NULL;
    }
    return bc;
}

RedisModuleBlockedClient *hl_rm_BlockClientOnKeys(RedisModuleCtx *ctx,
                                                  RedisModuleCmdFunc reply_callback,
                                                  RedisModuleCmdFunc timeout_callback,
                                                  RedisModuleFreePrivdataFunc free_privdata,
                                                  long long timeout_ms, RedisModuleString **keys,
                                                  int numkeys, void *privdata)
{
    return hl_rm_BlockClientOnKeysWithFlags(ctx, reply_callback, timeout_callback, free_privdata,
                                            timeout_ms, keys, numkeys, privdata,
                                            REDISMODULE_BLOCK_UNBLOCK_DEFAULT);
}

/* The command that blocked is over: its context is gone. */
void hl_blocked_command_over(RedisModuleCtx *ctx)
{
    if (ctx->blocked != NULL && ctx->blocked->ctx == ctx) {
        ctx->blocked->ctx = NULL;
    }
}

/* ---- Ending a wait ---- */

int hl_rm_UnblockClient(RedisModuleBlockedClient *bc, void *privdata)
{
    if (bc == NULL) {
        errno = EINVAL;
        return REDISMODULE_ERR;
    }
    if (bc->on_keys && bc->timeout == NULL) {
        errno = ENOTSUP;
        return REDISMODULE_ERR;
    }
    if (!bc->on_keys) {
        bc->privdata = privdata;
    }
    hl_inbox_put(bc->abi, HL_MAIL_UNBLOCK, bc, NULL);
    return REDISMODULE_OK;
}

/* Whether `bc` still exists: a wait on keys may have ended while it was being handed over. */
static bool exists(struct hl_abi *abi, const RedisModuleBlockedClient *bc)
{
    HL_LIST_EACH(b, &abi->blocked)
    {
        if (HL_LIST_ENTRY(b, RedisModuleBlockedClient, node) == bc) {
            return true;
        }
    }
    return false;
}

/* Run the login of a blocked client again, with what the module found. */
static uint64_t run_login_again(RedisModuleBlockedClient *bc, enum hl_auth_answer answer)
{
    struct hl_abi *abi = bc->abi;
    struct hl_slice *argv = hl_calloc((size_t)bc->argc, sizeof *argv);
    for (int i = 0; i < bc->argc; i++) {
        argv[i] = hl_string_slice(bc->argv[i]);
    }
    struct hl_command *cmd = hl_command_of(abi->table, argv, bc->argc);
    abi->auth_decided = bc->session;
    abi->auth_answer = answer;
    RedisModuleCtx ctx;
    hl_ctx_init(&ctx, abi, bc->module);
    hl_frame_begin(&ctx);
    (void)hl_node_call(abi->node, bc->session, cmd, bc->argc, argv, &bc->session->writer,
                       HL_CALL_DENY_BLOCK);
    hl_ctx_fini(&ctx);
    uint64_t gate = hl_frame_end(&ctx);
    abi->auth_decided = NULL;
    hl_free(argv);
    return gate;
}

/* A login that a module thought about: let it judge, then answer. */
static void serve_login(RedisModuleBlockedClient *bc)
{
    struct hl_session *session = bc->session;
    struct hl_user *before = session->user;
    bool was = (session->flags & HL_SESSION_AUTHENTICATED) != 0;
    RedisModuleString *err = NULL;
    RedisModuleCtx ctx;
    hl_ctx_init(&ctx, bc->abi, bc->module);
    ctx.flags |= HL_CTX_REPLY;
    ctx.blocked = bc;
    ctx.session = session;
    ctx.argv = bc->argv;
    ctx.argc = bc->argc;
    session->flags &= ~HL_SESSION_AUTHENTICATED; /* to see what the module does */
    hl_frame_begin(&ctx);
    int result = bc->auth(&ctx, bc->login, bc->password, &err);
    hl_ctx_fini(&ctx);
    uint64_t gate = hl_frame_end(&ctx);
    enum hl_auth_answer answer = hl_acl_judge(session, result);
    if (answer != HL_AUTH_ACCEPTED) {
        session->user = before;
        session->flags |= was ? HL_SESSION_AUTHENTICATED : 0;
    }
    if (answer == HL_AUTH_REFUSED) {
        hl_write_error(&session->writer, err != NULL ? err->ptr : WRONGPASS);
    } else {
        gate = run_login_again(bc, answer);
    }
    hl_string_unref(err);
    release(bc, gate);
}

void hl_blocked_set_login(RedisModuleBlockedClient *bc, RedisModuleString *login,
                          RedisModuleString *password)
{
    bc->login = hl_string_ref(login);
    bc->password = hl_string_ref(password);
}

RedisModuleBlockedClient *hl_rm_BlockClientOnAuth(RedisModuleCtx *ctx,
                                                  RedisModuleAuthCallback reply_callback,
                                                  RedisModuleFreePrivdataFunc free_privdata)
{
    if (ctx->module == NULL || ctx->blocked != NULL || reply_callback == NULL) {
        return NULL;
    }
    RedisModuleBlockedClient *bc = block(ctx, NULL, NULL, free_privdata, 0, false);
    bc->auth = reply_callback;
    return bc;
}

void hl_blocked_serve(struct hl_abi *abi, RedisModuleBlockedClient *bc)
{
    if (!exists(abi, bc)) {
        return;
    }
    if (bc->auth != NULL && bc->session != NULL) {
        serve_login(bc);
        destroy(bc);
        return;
    }
    uint64_t gate = abi->node->last;
    if (bc->session != NULL) {
        struct hl_buf *out = &bc->session->out;
        hl_buf_append_slice(out, hl_buf_view(&bc->thread_out));
        RedisModuleCmdFunc callback = bc->on_keys ? bc->timeout : bc->reply;
        if (callback != NULL) {
            (void)run_callback(bc, callback, bc->on_keys ? HL_CTX_TIMEOUT : HL_CTX_REPLY, &gate);
        }
        release(bc, gate);
    }
    destroy(bc);
}

int hl_rm_AbortBlock(RedisModuleBlockedClient *bc)
{
    if (bc == NULL) {
        return REDISMODULE_ERR;
    }
    bc->aborted = true;
    if (bc->session != NULL) {
        struct hl_session *session = bc->session;
        bc->session = NULL;
        hl_session_unblock(bc->abi->node, session);
    }
    bc->privdata = NULL;
    destroy(bc);
    return REDISMODULE_OK;
}

/* ---- Waiting for keys ---- */

void hl_blocked_key_ready(struct hl_abi *abi, int db, struct hl_slice key)
{
    HL_LIST_EACH(b, &abi->blocked)
    {
        RedisModuleBlockedClient *bc = HL_LIST_ENTRY(b, RedisModuleBlockedClient, node);
        for (int i = 0; bc->db == db && !bc->ready && i < bc->key_count; i++) {
            if (hl_slice_equal(hl_string_slice(bc->keys[i]), key)) {
                bc->ready = true;
                bc->ready_key = bc->keys[i];
                abi->keys_ready = true;
            }
        }
    }
}

void hl_blocked_look(struct hl_abi *abi, int db)
{
    HL_LIST_EACH(b, &abi->blocked)
    {
        RedisModuleBlockedClient *bc = HL_LIST_ENTRY(b, RedisModuleBlockedClient, node);
        for (int i = 0; bc->db == db && !bc->ready && i < bc->key_count; i++) {
            if (hl_db_find(hl_ks_db(abi->ks, db), hl_string_slice(bc->keys[i]),
                           HL_FIND_NOTOUCH | HL_FIND_NOSTATS) != NULL) {
                bc->ready = true;
                bc->ready_key = bc->keys[i];
                abi->keys_ready = true;
            }
        }
    }
}

void hl_rm_SignalKeyAsReady(RedisModuleCtx *ctx, RedisModuleString *key)
{
    hl_blocked_key_ready(ctx->abi, ctx->db, hl_string_slice(key));
}

/* Ask the module whether the key serves this client now; true when it did. */
static bool try_serve(RedisModuleBlockedClient *bc)
{
    uint64_t gate = 0;
    size_t before = bc->session->out.len;
    bc->ready = false;
    int result = run_callback(bc, bc->reply, HL_CTX_REPLY, &gate);
    if (result != REDISMODULE_OK) {
        bc->session->out.len = before; /* not yet: nothing was said */
        return false;
    }
    release(bc, gate);
    destroy(bc);
    return true;
}

/* The first client that waits and whose key was signalled. */
static RedisModuleBlockedClient *first_ready(struct hl_abi *abi)
{
    HL_LIST_EACH(b, &abi->blocked)
    {
        RedisModuleBlockedClient *bc = HL_LIST_ENTRY(b, RedisModuleBlockedClient, node);
        if (bc->ready && bc->session != NULL) {
            return bc;
        }
    }
    return NULL;
}

void hl_blocked_serve_ready(struct hl_abi *abi)
{
    if (!abi->keys_ready || abi->serving) {
        return;
    }
    abi->serving = true;
    /* Serving one may make more ready; each of them is asked once per signal, so this ends. */
    for (RedisModuleBlockedClient *bc = first_ready(abi); bc != NULL; bc = first_ready(abi)) {
        (void)try_serve(bc);
    }
    abi->keys_ready = false;
    abi->serving = false;
}

/* ---- Questions ---- */

int hl_rm_IsBlockedReplyRequest(RedisModuleCtx *ctx)
{
    return (ctx->flags & HL_CTX_REPLY) != 0;
}

int hl_rm_IsBlockedTimeoutRequest(RedisModuleCtx *ctx)
{
    return (ctx->flags & HL_CTX_TIMEOUT) != 0;
}

int hl_rm_BlockedClientDisconnected(RedisModuleCtx *ctx)
{
    return (ctx->flags & HL_CTX_GONE) != 0;
}

void *hl_rm_GetBlockedClientPrivateData(RedisModuleCtx *ctx)
{
    return ctx->blocked == NULL ? NULL : ctx->blocked->privdata;
}

RedisModuleBlockedClient *hl_rm_GetBlockedClientHandle(RedisModuleCtx *ctx)
{
    return ctx->blocked;
}

RedisModuleString *hl_rm_GetBlockedClientReadyKey(RedisModuleCtx *ctx)
{
    return ctx->ready_key;
}

void *hl_rm_BlockClientGetPrivateData(RedisModuleBlockedClient *blocked_client)
{
    return blocked_client->privdata;
}

void hl_rm_BlockClientSetPrivateData(RedisModuleBlockedClient *blocked_client, void *private_data)
{
    blocked_client->privdata = private_data;
}

void hl_rm_SetDisconnectCallback(RedisModuleBlockedClient *bc, RedisModuleDisconnectFunc callback)
{
    bc->disconnect = callback;
}

/* ---- Measuring ---- */

int hl_rm_BlockedClientMeasureTimeStart(RedisModuleBlockedClient *bc)
{
    bc->measure_start_us = bc->abi->services->monotonic_us(bc->abi->services->ctx);
    return REDISMODULE_OK;
}

int hl_rm_BlockedClientMeasureTimeEnd(RedisModuleBlockedClient *bc)
{
    if (bc->measure_start_us == 0) {
        return REDISMODULE_ERR;
    }
    int64_t now_us = bc->abi->services->monotonic_us(bc->abi->services->ctx);
    bc->measured_us += now_us - bc->measure_start_us;
    bc->measure_start_us = 0;
    return REDISMODULE_OK;
}

/* ---- For api_thread.c ---- */

struct hl_buf *hl_blocked_thread_out(RedisModuleBlockedClient *bc, int *proto, int *db)
{
    *proto = bc->proto;
    *db = bc->db;
    return &bc->thread_out;
}

struct hl_module *hl_blocked_module(RedisModuleBlockedClient *bc)
{
    return bc->module;
}
