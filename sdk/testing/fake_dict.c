/* Dictionaries as sorted arrays: slow for many, and plain.
 *
 * An iterator is a position that survives changes: it remembers the key it stands on.
 */
#include "testing/fake_internal.h"

#include "helios/module.h"

struct pair {
    char *key;
    size_t len;
    void *value;
};

struct RedisModuleDict {
    struct pair *pairs;
    size_t count;
};

struct RedisModuleDictIter {
    RedisModuleDict *dict;
    struct hl_buf key; /* the next element is the first whose key is at or after this one */
    bool after;        /* or strictly after */
};

static RedisModuleDict *fake_CreateDict(RedisModuleCtx *ctx)
{
    (void)ctx;
    return hl_calloc(1, sizeof(RedisModuleDict));
}

static void fake_FreeDict(RedisModuleCtx *ctx, RedisModuleDict *dict)
{
    (void)ctx;
    for (size_t i = 0; i < dict->count; i++) {
        hl_free(dict->pairs[i].key);
    }
    hl_free(dict->pairs);
    hl_free(dict);
}

static uint64_t fake_DictSize(RedisModuleDict *dict)
{
    return dict->count;
}

/* The first place whose key is not less than `key`; *found when it is equal. */
static size_t place_of(const RedisModuleDict *dict, const void *key, size_t len, bool *found)
{
    struct hl_slice wanted = {.ptr = key, .len = len};
    for (size_t i = 0; i < dict->count; i++) {
        struct hl_slice have = {.ptr = dict->pairs[i].key, .len = dict->pairs[i].len};
        int order = hl_slice_compare(have, wanted);
        if (order >= 0) {
            *found = order == 0;
            return i;
        }
    }
    *found = false;
    return dict->count;
}

static int fake_DictSetC(RedisModuleDict *dict, void *key, size_t len, void *value)
{
    bool found = false;
    size_t at = place_of(dict, key, len, &found);
    if (found) {
        return REDISMODULE_ERR;
    }
    dict->pairs = hl_realloc(dict->pairs, (dict->count + 1) * sizeof *dict->pairs);
    memmove(&dict->pairs[at + 1], &dict->pairs[at], (dict->count - at) * sizeof *dict->pairs);
    dict->count++;
    dict->pairs[at] = (struct pair){.key = hl_strndup(key, len), .len = len, .value = value};
    return REDISMODULE_OK;
}

static int fake_DictReplaceC(RedisModuleDict *dict, void *key, size_t len, void *value)
{
    bool found = false;
    size_t at = place_of(dict, key, len, &found);
    if (!found) {
        return fake_DictSetC(dict, key, len, value);
    }
    dict->pairs[at].value = value;
    return REDISMODULE_OK;
}

static void *fake_DictGetC(RedisModuleDict *dict, void *key, size_t len, int *nokey)
{
    bool found = false;
    size_t at = place_of(dict, key, len, &found);
    if (nokey != NULL) {
        *nokey = !found;
    }
    return found ? dict->pairs[at].value : NULL;
}

static int fake_DictDelC(RedisModuleDict *dict, void *key, size_t len, void *old)
{
    bool found = false;
    size_t at = place_of(dict, key, len, &found);
    if (!found) {
        return REDISMODULE_ERR;
    }
    if (old != NULL) {
        *(void **)old = dict->pairs[at].value;
    }
    char *gone = dict->pairs[at].key; /* freed last: `key` may point into it */
    dict->count--;
    memmove(&dict->pairs[at], &dict->pairs[at + 1], (dict->count - at) * sizeof *dict->pairs);
    hl_free(gone);
    return REDISMODULE_OK;
}

/* Of the operators "^", ">=" and ">"; a test that needs another adds it. */
static RedisModuleDictIter *fake_DictIteratorStartC(RedisModuleDict *dict, const char *op,
                                                    void *key, size_t len)
{
    RedisModuleDictIter *iter = hl_calloc(1, sizeof *iter);
    iter->dict = dict;
    iter->after = strcmp(op, ">") == 0;
    HL_ASSERT(iter->after || strcmp(op, "^") == 0 || strcmp(op, ">=") == 0);
    if (op[0] != '^') {
        hl_buf_append(&iter->key, key, len);
    }
    return iter;
}

static void *fake_DictNextC(RedisModuleDictIter *iter, size_t *len, void **value)
{
    bool found = false;
    size_t at = place_of(iter->dict, iter->key.ptr, iter->key.len, &found);
    at += found && iter->after;
    if (at == iter->dict->count) {
        return NULL;
    }
    const struct pair *pair = &iter->dict->pairs[at];
    hl_buf_clear(&iter->key);
    hl_buf_append(&iter->key, pair->key, pair->len);
    iter->after = true;
    if (len != NULL) {
        *len = pair->len;
    }
    if (value != NULL) {
        *value = pair->value;
    }
    return pair->key;
}

static void fake_DictIteratorStop(RedisModuleDictIter *iter)
{
    hl_buf_fini(&iter->key);
    hl_free(iter);
}

void *fake_lookup_dict(const char *name)
{
    static const struct fake_row rows[] = {FAKE_ROW(CreateDict),   FAKE_ROW(FreeDict),
                                           FAKE_ROW(DictSize),     FAKE_ROW(DictSetC),
                                           FAKE_ROW(DictReplaceC), FAKE_ROW(DictGetC),
                                           FAKE_ROW(DictDelC),     FAKE_ROW(DictIteratorStartC),
                                           FAKE_ROW(DictNextC),    FAKE_ROW(DictIteratorStop)};
    return fake_find(rows, HL_ARRAY_LEN(rows), name);
}
