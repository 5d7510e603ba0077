/* Keys: opening, closing, and what holds for every type of value. */
#include "abi/internal.h"
#include "abi/unit.h"
#include "keyspace/hash.h"
#include "keyspace/quicklist.h"
#include "keyspace/string.h"

#include <errno.h>

#define OPEN_KEY_ALL                                                                               \
    (REDISMODULE_READ | REDISMODULE_WRITE | REDISMODULE_OPEN_KEY_NOTOUCH |                         \
     REDISMODULE_OPEN_KEY_NONOTIFY | REDISMODULE_OPEN_KEY_NOSTATS |                                \
     REDISMODULE_OPEN_KEY_NOEXPIRE | REDISMODULE_OPEN_KEY_NOEFFECTS)

struct hl_db *hl_key_db(const RedisModuleKey *key)
{
    return hl_ks_db(key->abi->ks, key->db);
}

struct hl_entry *hl_key_entry(const RedisModuleKey *key)
{
    if (key == NULL) {
        return NULL;
    }
    unsigned flags = HL_FIND_NOTOUCH | HL_FIND_NOSTATS;
    if ((key->mode & REDISMODULE_OPEN_KEY_NOEXPIRE) != 0) {
        flags |= HL_FIND_EXPIRED;
    }
    return hl_db_find(hl_key_db(key), hl_string_slice(key->name), flags);
}

struct hl_entry *hl_key_typed(const RedisModuleKey *key, enum hl_type type)
{
    struct hl_entry *entry = hl_key_entry(key);
    if (entry != NULL && hl_entry_type(entry) != type) {
        errno = ENOTSUP;
        return NULL;
    }
    return entry;
}

bool hl_key_writable(const RedisModuleKey *key)
{
    return key != NULL && (key->mode & REDISMODULE_WRITE) != 0 && !key->inert;
}

void hl_key_changed(RedisModuleKey *key)
{
    key->changed = true;
    hl_db_modified(hl_key_db(key), hl_string_slice(key->name));
    hl_frame_changed(key->abi, key->db, hl_string_slice(key->name));
}

int hl_rm_KeyExists(RedisModuleCtx *ctx, RedisModuleString *keyname)
{
    return hl_db_find(hl_ctx_db(ctx), hl_string_slice(keyname), HL_FIND_NOTOUCH) != NULL;
}

static void end_key(void *ptr)
{
    hl_rm_CloseKey(ptr);
}

RedisModuleKey *hl_rm_OpenKey(RedisModuleCtx *ctx, RedisModuleString *keyname, int mode)
{
    bool write = (mode & REDISMODULE_WRITE) != 0;
    if (keyname == NULL || !hl_ctx_usable(ctx)) {
        return NULL;
    }
    unsigned flags = write ? HL_FIND_WRITE : 0;
    flags |= (mode & REDISMODULE_OPEN_KEY_NOTOUCH) != 0 ? HL_FIND_NOTOUCH : 0;
    flags |= (mode & REDISMODULE_OPEN_KEY_NOSTATS) != 0 ? HL_FIND_NOSTATS : 0;
    flags |= (mode & REDISMODULE_OPEN_KEY_NOEXPIRE) != 0 ? HL_FIND_EXPIRED : 0;
    struct hl_entry *entry = hl_db_find(hl_ctx_db(ctx), hl_string_slice(keyname), flags);
    if (entry == NULL && !write) {
        return NULL;
    }
    RedisModuleKey *key = hl_calloc(1, sizeof *key);
    *key = (RedisModuleKey){
        .abi = ctx->abi,
        .name = hl_string_ref(keyname),
        .db = ctx->db,
        .mode = mode,
        .inert = write && !hl_frame_may_write(ctx->abi),
    };
    hl_ctx_add(ctx, key, end_key, &key->ctx);
    return key;
}

void hl_rm_CloseKey(RedisModuleKey *kp)
{
    if (kp == NULL || kp->given) {
        return;
    }
    hl_ctx_forget(kp->ctx, kp);
    hl_string_unref(kp->name);
    hl_free(kp);
}

void hl_key_given_init(RedisModuleKey *key, struct hl_abi *abi, RedisModuleString *name, int db,
                       int mode)
{
    *key = (RedisModuleKey){
        .abi = abi, .name = hl_string_ref(name), .db = db, .mode = mode, .given = true};
}

void hl_key_given_fini(RedisModuleKey *key)
{
    hl_string_unref(key->name);
    key->name = NULL;
}

int hl_rm_GetOpenKeyModesAll(void)
{
    return OPEN_KEY_ALL;
}

int hl_rm_KeyType(RedisModuleKey *kp)
{
    struct hl_entry *entry = hl_key_entry(kp);
    if (entry == NULL) {
        return REDISMODULE_KEYTYPE_EMPTY;
    }
    switch (hl_entry_type(entry)) {
    case HL_TYPE_STRING:
        return REDISMODULE_KEYTYPE_STRING;
    case HL_TYPE_LIST:
        return REDISMODULE_KEYTYPE_LIST;
    case HL_TYPE_SET:
        return REDISMODULE_KEYTYPE_SET;
    case HL_TYPE_ZSET:
        return REDISMODULE_KEYTYPE_ZSET;
    case HL_TYPE_HASH:
        return REDISMODULE_KEYTYPE_HASH;
    case HL_TYPE_MODULE:
        return REDISMODULE_KEYTYPE_MODULE;
    case HL_TYPE_STREAM:
        return REDISMODULE_KEYTYPE_STREAM;
    }
    return REDISMODULE_KEYTYPE_EMPTY;
}

size_t hl_rm_ValueLength(RedisModuleKey *kp)
{
    struct hl_entry *entry = hl_key_entry(kp);
    if (entry == NULL) {
        return 0;
    }
    switch (hl_entry_type(entry)) {
    case HL_TYPE_STRING:
        return hl_string_len(entry);
    case HL_TYPE_HASH:
        return hl_hash_len(entry);
    case HL_TYPE_LIST:
        return hl_ql_len(entry);
    case HL_TYPE_SET:
    case HL_TYPE_ZSET:
    case HL_TYPE_STREAM:
    case HL_TYPE_MODULE:
        return 0;
    }
    return 0;
}

int hl_rm_DeleteKey(RedisModuleKey *key)
{
    if (!hl_key_writable(key)) {
        return REDISMODULE_ERR;
    }
    if (hl_db_delete(hl_key_db(key), hl_string_slice(key->name))) {
        hl_key_changed(key);
    }
    return REDISMODULE_OK;
}

int hl_rm_UnlinkKey(RedisModuleKey *key)
{
    return hl_rm_DeleteKey(key);
}

mstime_t hl_rm_GetAbsExpire(RedisModuleKey *key)
{
    struct hl_entry *entry = hl_key_entry(key);
    return entry == NULL ? REDISMODULE_NO_EXPIRE : hl_entry_expire(entry);
}

mstime_t hl_rm_GetExpire(RedisModuleKey *key)
{
    mstime_t at = hl_rm_GetAbsExpire(key);
    if (at == REDISMODULE_NO_EXPIRE) {
        return at;
    }
    mstime_t left = at - key->abi->ks->now_ms;
    return left < 0 ? 0 : left;
}

/* Set the deadline `at`, HL_NO_EXPIRE for none. */
static int set_expire(RedisModuleKey *key, int64_t at)
{
    struct hl_entry *entry = hl_key_entry(key);
    if (!hl_key_writable(key) || entry == NULL) {
        return REDISMODULE_ERR;
    }
    hl_db_set_expire(hl_key_db(key), entry, at);
    hl_key_changed(key);
    return REDISMODULE_OK;
}

int hl_rm_SetExpire(RedisModuleKey *key, mstime_t expire)
{
    int64_t at = HL_NO_EXPIRE;
    if (key == NULL || (expire < 0 && expire != REDISMODULE_NO_EXPIRE)) {
        return REDISMODULE_ERR;
    }
    if (expire != REDISMODULE_NO_EXPIRE &&
        __builtin_add_overflow(key->abi->ks->now_ms, expire, &at)) {
        return REDISMODULE_ERR;
    }
    return set_expire(key, at);
}

int hl_rm_SetAbsExpire(RedisModuleKey *key, mstime_t expire)
{
    if (key == NULL || (expire < 0 && expire != REDISMODULE_NO_EXPIRE)) {
        return REDISMODULE_ERR;
    }
    return set_expire(key, expire == REDISMODULE_NO_EXPIRE ? HL_NO_EXPIRE : expire);
}

unsigned long long hl_rm_DbSize(RedisModuleCtx *ctx)
{
    return hl_db_count(hl_ctx_db(ctx));
}

RedisModuleString *hl_rm_RandomKey(RedisModuleCtx *ctx)
{
    struct hl_entry *entry = hl_db_random(hl_ctx_db(ctx));
    if (entry == NULL) {
        return NULL;
    }
    struct hl_slice name = hl_entry_key(entry);
    return hl_rm_CreateString(ctx, name.ptr, name.len);
}

const RedisModuleString *hl_rm_GetKeyNameFromModuleKey(RedisModuleKey *key)
{
    return key == NULL ? NULL : key->name;
}

int hl_rm_GetDbIdFromModuleKey(RedisModuleKey *key)
{
    return key == NULL ? -1 : key->db;
}

int hl_rm_SignalModifiedKey(RedisModuleCtx *ctx, RedisModuleString *keyname)
{
    hl_db_modified(hl_ctx_db(ctx), hl_string_slice(keyname));
    return REDISMODULE_OK;
}

/* ---- Use: idle time and frequency ---- */

int hl_rm_SetLRU(RedisModuleKey *key, mstime_t lru_idle)
{
    struct hl_entry *entry = hl_key_entry(key);
    if (entry == NULL || key->abi->ks->lfu || lru_idle < 0) {
        return REDISMODULE_ERR;
    }
    mstime_t seconds = lru_idle / 1000;
    hl_entry_set_idle(key->abi->ks, entry, seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds);
    return REDISMODULE_OK;
}

int hl_rm_GetLRU(RedisModuleKey *key, mstime_t *lru_idle)
{
    struct hl_entry *entry = hl_key_entry(key);
    *lru_idle = -1;
    if (entry == NULL) {
        return REDISMODULE_ERR;
    }
    if (!key->abi->ks->lfu) {
        *lru_idle = (mstime_t)hl_entry_idle(key->abi->ks, entry) * 1000;
    }
    return REDISMODULE_OK;
}

int hl_rm_SetLFU(RedisModuleKey *key, long long lfu_freq)
{
    struct hl_entry *entry = hl_key_entry(key);
    if (entry == NULL || !key->abi->ks->lfu || lfu_freq < 0 || lfu_freq > 255) {
        return REDISMODULE_ERR;
    }
    hl_entry_set_freq(key->abi->ks, entry, (uint32_t)lfu_freq);
    return REDISMODULE_OK;
}

int hl_rm_GetLFU(RedisModuleKey *key, long long *lfu_freq)
{
    struct hl_entry *entry = hl_key_entry(key);
    *lfu_freq = -1;
    if (entry == NULL) {
        return REDISMODULE_ERR;
    }
    if (key->abi->ks->lfu) {
        *lfu_freq = hl_entry_freq(key->abi->ks, entry);
    }
    return REDISMODULE_OK;
}
