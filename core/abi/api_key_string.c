/* String values: set whole, or changed in place. */
#include "abi/internal.h"
#include "keyspace/string.h"

int hl_rm_StringSet(RedisModuleKey *key, RedisModuleString *str)
{
    if (!hl_key_writable(key) || str->len > HL_ABI_STRING_MAX) {
        return REDISMODULE_ERR;
    }
    hl_db_set_string(hl_key_db(key), hl_string_slice(key->name), hl_string_slice(str), false);
    hl_key_changed(key);
    return REDISMODULE_OK;
}

char *hl_rm_StringDMA(RedisModuleKey *key, size_t *len, int mode)
{
    static char empty[] = "<dma-empty-string>"; /* never NULL for an empty key, as in Redis */
    struct hl_entry *entry = hl_key_entry(key);
    if (key == NULL || (entry != NULL && hl_entry_type(entry) != HL_TYPE_STRING)) {
        return NULL;
    }
    bool write = (mode & REDISMODULE_WRITE) != 0;
    if (write && !hl_key_writable(key)) {
        return NULL;
    }
    if (entry == NULL) {
        *len = 0;
        return empty;
    }
    /* Reading needs the bytes in one place too: an integer is turned into its text. */
    *len = hl_string_len(entry);
    char *bytes = hl_string_edit(hl_key_db(key), &entry, *len);
    if (write) {
        hl_key_changed(key);
    }
    return bytes;
}

int hl_rm_StringTruncate(RedisModuleKey *key, size_t newlen)
{
    struct hl_entry *entry = hl_key_entry(key);
    bool wrong = entry != NULL && hl_entry_type(entry) != HL_TYPE_STRING;
    if (!hl_key_writable(key) || wrong || newlen > HL_ABI_STRING_MAX) {
        return REDISMODULE_ERR;
    }
    struct hl_db *db = hl_key_db(key);
    struct hl_slice name = hl_string_slice(key->name);
    if (newlen == 0) {
        if (entry == NULL || !hl_db_delete(db, name)) {
            return REDISMODULE_OK; /* nothing there, nothing wanted */
        }
    } else {
        if (entry == NULL) {
            entry = hl_db_set_string(db, name, (struct hl_slice){0}, false);
        }
        hl_string_edit(db, &entry, newlen);
    }
    hl_key_changed(key);
    return REDISMODULE_OK;
}
