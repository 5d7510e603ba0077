/* Who calls, and what holds for him. */
#include "abi/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int hl_client_flags(const RedisModuleCtx *ctx)
{
    const struct hl_node *node = ctx->abi->node;
    bool leads = ctx->abi->ks->expiry != HL_EXPIRY_HIDE;
    int flags = leads ? REDISMODULE_CTX_FLAGS_MASTER
                      : REDISMODULE_CTX_FLAGS_SLAVE | REDISMODULE_CTX_FLAGS_READONLY |
                            REDISMODULE_CTX_FLAGS_REPLICA_IS_ONLINE;
    flags |= node->loading ? REDISMODULE_CTX_FLAGS_LOADING : 0;
    flags |= node->config.maxmemory != 0 ? REDISMODULE_CTX_FLAGS_MAXMEMORY : 0;
    flags |= node->wal != NULL ? REDISMODULE_CTX_FLAGS_AOF : 0;
    if (ctx->call != NULL) {
        flags |= (ctx->call->flags & HL_CALL_MULTI) != 0 ? REDISMODULE_CTX_FLAGS_MULTI : 0;
        flags |=
            (ctx->call->flags & HL_CALL_REPLICATED) != 0 ? REDISMODULE_CTX_FLAGS_REPLICATED : 0;
        bool waits = (ctx->call->flags & (HL_CALL_DENY_BLOCK | HL_CALL_MULTI)) == 0;
        flags |= waits ? 0 : REDISMODULE_CTX_FLAGS_DENY_BLOCKING;
    }
    if (ctx->out != NULL && ctx->out->proto == 3) {
        flags |= REDISMODULE_CTX_FLAGS_RESP3;
    }
    if (ctx->session != NULL && (ctx->session->flags & HL_SESSION_DIRTY_EXEC) != 0) {
        flags |= REDISMODULE_CTX_FLAGS_MULTI_DIRTY;
    }
    return flags;
}

unsigned long long hl_rm_GetClientId(RedisModuleCtx *ctx)
{
    if (ctx->call != NULL && (ctx->call->flags & HL_CALL_REPLICATED) != 0) {
        return UINT64_MAX; /* nobody: the log is being applied */
    }
    return ctx->session == NULL ? 0 : ctx->session->id;
}

/* The client of that id; NULL with errno when it is gone. */
static struct hl_session *client(uint64_t id)
{
    struct hl_session *session = hl_session_by_id(hl_abi_current->node, id);
    if (session == NULL) {
        errno = ENOENT;
    }
    return session;
}

/* Cut "host:port" (or a path) of a session into the two fields. */
static void split_address(const struct hl_session *session, RedisModuleClientInfo *info)
{
    const char *colon = strrchr(session->addr, ':');
    size_t len = colon == NULL ? strlen(session->addr) : (size_t)(colon - session->addr);
    const char *host = session->addr;
    if (len >= 2 && host[0] == '[') { /* an IPv6 address stands in brackets */
        host++;
        len -= 2;
    }
    len = len < sizeof info->addr - 1 ? len : sizeof info->addr - 1;
    memcpy(info->addr, host, len);
    info->addr[len] = '\0';
    info->port = colon == NULL ? 0 : (uint16_t)strtoul(colon + 1, NULL, 10);
}

void hl_client_info(const struct hl_session *session, RedisModuleClientInfo *info)
{
    uint64_t flags = 0;
    static const struct {
        uint32_t session;
        uint64_t info;
    } pairs[] = {
        {HL_SESSION_TLS, REDISMODULE_CLIENTINFO_FLAG_SSL},
        {HL_SESSION_PUBSUB, REDISMODULE_CLIENTINFO_FLAG_PUBSUB},
        {HL_SESSION_BLOCKED, REDISMODULE_CLIENTINFO_FLAG_BLOCKED},
        {HL_SESSION_UNIX, REDISMODULE_CLIENTINFO_FLAG_UNIXSOCKET},
        {HL_SESSION_MULTI, REDISMODULE_CLIENTINFO_FLAG_MULTI},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(pairs); i++) {
        flags |= (session->flags & pairs[i].session) != 0 ? pairs[i].info : 0;
    }
    *info = (RedisModuleClientInfo){
        .version = REDISMODULE_CLIENTINFO_VERSION, .flags = flags, .id = session->id};
    info->db = (uint16_t)session->db;
    split_address(session, info);
}

int hl_rm_GetClientInfoById(void *ci, uint64_t id)
{
    struct hl_session *session = client(id);
    RedisModuleClientInfo *info = ci;
    if (session == NULL || (info != NULL && info->version != REDISMODULE_CLIENTINFO_VERSION)) {
        return REDISMODULE_ERR;
    }
    if (info != NULL) {
        hl_client_info(session, info);
    }
    return REDISMODULE_OK;
}

RedisModuleString *hl_rm_GetClientNameById(RedisModuleCtx *ctx, uint64_t id)
{
    struct hl_session *session = client(id);
    if (session == NULL || session->name == NULL) {
        return NULL;
    }
    return hl_rm_CreateString(ctx, session->name, strlen(session->name));
}

int hl_rm_SetClientNameById(uint64_t id, RedisModuleString *name)
{
    struct hl_session *session = client(id);
    if (session == NULL) {
        return REDISMODULE_ERR;
    }
    for (size_t i = 0; name != NULL && i < name->len; i++) {
        if (name->ptr[i] < '!' || name->ptr[i] > '~') {
            errno = EINVAL;
            return REDISMODULE_ERR;
        }
    }
    hl_free(session->name);
    session->name = name == NULL || name->len == 0 ? NULL : hl_strndup(name->ptr, name->len);
    return REDISMODULE_OK;
}

RedisModuleString *hl_rm_GetClientCertificate(RedisModuleCtx *ctx, uint64_t id)
{
    (void)ctx;
    (void)id;
    return NULL;
}

int hl_rm_RedactClientCommandArgument(RedisModuleCtx *ctx, int pos)
{
    bool good = ctx->call != NULL && pos > 0 && pos < ctx->call->argc;
    return good ? REDISMODULE_OK : REDISMODULE_ERR;
}

/* ---- Messages ---- */

static int publish(RedisModuleCtx *ctx, RedisModuleString *channel, RedisModuleString *message,
                   bool shard)
{
    const struct hl_abi_services *services = ctx->abi->services;
    return services->publish == NULL ? 0
                                     : services->publish(services->ctx, hl_string_slice(channel),
                                                         hl_string_slice(message), shard);
}

int hl_rm_PublishMessage(RedisModuleCtx *ctx, RedisModuleString *channel,
                         RedisModuleString *message)
{
    return publish(ctx, channel, message, false);
}

int hl_rm_PublishMessageShard(RedisModuleCtx *ctx, RedisModuleString *channel,
                              RedisModuleString *message)
{
    return publish(ctx, channel, message, true);
}
