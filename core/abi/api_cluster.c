/* Slots, and the cluster as modules of Redis Cluster know it: there is none, and all slots are
 * ours.
 *
 * Nodes here hold the same data and agree by a log of their own; what a module does reaches them
 * through effects, not through messages. */
#include "abi/internal.h"
#include "base/slot.h"

#include <errno.h>

unsigned int hl_rm_ClusterKeySlotC(const char *keystr, size_t keylen)
{
    return hl_key_slot((struct hl_slice){.ptr = keystr, .len = keylen});
}

unsigned int hl_rm_ClusterKeySlot(RedisModuleString *key)
{
    return hl_rm_ClusterKeySlotC(key->ptr, key->len);
}

int hl_rm_ClusterCanAccessKeysInSlot(int slot)
{
    return slot >= 0 && slot < HL_SLOTS;
}

const char *hl_rm_GetMyClusterID(void)
{
    return NULL;
}

size_t hl_rm_GetClusterSize(void)
{
    return 0;
}

char **hl_rm_GetClusterNodesList(RedisModuleCtx *ctx, size_t *numnodes)
{
    (void)ctx;
    *numnodes = 0;
    return NULL;
}

void hl_rm_FreeClusterNodesList(char **ids)
{
    (void)ids; /* only ever NULL */
}

int hl_rm_GetClusterNodeInfo(RedisModuleCtx *ctx, const char *id, char *ip, char *master_id,
                             int *port, int *flags)
{
    (void)ctx;
    (void)id;
    (void)ip;
    (void)master_id;
    (void)port;
    (void)flags;
    return REDISMODULE_ERR;
}

int hl_rm_SendClusterMessage(RedisModuleCtx *ctx, const char *target_id, uint8_t type,
                             const char *msg, uint32_t len)
{
    (void)ctx;
    (void)target_id;
    (void)type;
    (void)msg;
    (void)len;
    return REDISMODULE_ERR;
}

void hl_rm_RegisterClusterMessageReceiver(RedisModuleCtx *ctx, uint8_t type,
                                          RedisModuleClusterMessageReceiver callback)
{
    (void)ctx;
    (void)type;
    (void)callback; /* no message will ever come */
}

void hl_rm_SetClusterFlags(RedisModuleCtx *ctx, uint64_t flags)
{
    (void)ctx;
    (void)flags;
}
