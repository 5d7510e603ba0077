/* Dictionaries: ordered maps from bytes to pointers, for modules' own use.
 *
 * A skip list.  An iterator keeps the key it stands on, not a node: whatever is inserted or deleted
 * meanwhile, going on finds the next key in order. */
#include "abi/internal.h"

#include <errno.h>

#define LEVELS 24

struct item {
    void *value;
    size_t len;
    unsigned char *key; /* behind `next` in the same allocation */
    int levels;
    struct item *next[];
};

struct RedisModuleDict {
    struct item *head[LEVELS];
    uint64_t count;
    uint64_t random; /* xorshift, for heights: any seed does */
    size_t bytes;
};

struct RedisModuleDictIter {
    RedisModuleDict *dict;
    struct hl_buf key; /* where it stands */
    bool fresh;        /* nothing was returned since it was placed */
    bool valid;        /* false: no key was found there */
};

static int compare(const struct item *item, const void *key, size_t len)
{
    return hl_slice_compare((struct hl_slice){.ptr = (const char *)item->key, .len = item->len},
                            (struct hl_slice){.ptr = key, .len = len});
}

/* The links that lead to the first item not below the key, one per level. */
static struct item *search(RedisModuleDict *d, const void *key, size_t len,
                           struct item **links[LEVELS])
{
    struct item *before = NULL;
    for (int level = LEVELS - 1; level >= 0; level--) {
        struct item **link = before == NULL ? &d->head[level] : &before->next[level];
        while (*link != NULL && compare(*link, key, len) < 0) {
            before = *link;
            link = &before->next[level];
        }
        if (links != NULL) {
            links[level] = link;
        }
    }
    return before == NULL ? d->head[0] : before->next[0];
}

/* The last item below the key (or below or equal), NULL when there is none. */
static struct item *search_below(RedisModuleDict *d, const void *key, size_t len, bool or_equal)
{
    struct item *before = NULL;
    for (int level = LEVELS - 1; level >= 0; level--) {
        struct item *next = before == NULL ? d->head[level] : before->next[level];
        while (next != NULL && compare(next, key, len) < (or_equal ? 1 : 0)) {
            before = next;
            next = before->next[level];
        }
    }
    return before;
}

static struct item *last_item(RedisModuleDict *d)
{
    struct item *last = NULL;
    for (int level = LEVELS - 1; level >= 0; level--) {
        struct item *next = last == NULL ? d->head[level] : last->next[level];
        while (next != NULL) {
            last = next;
            next = last->next[level];
        }
    }
    return last;
}

static struct item *find(RedisModuleDict *d, const void *key, size_t len)
{
    struct item *item = search(d, key, len, NULL);
    return item != NULL && compare(item, key, len) == 0 ? item : NULL;
}

static int random_levels(RedisModuleDict *d)
{
    d->random ^= d->random << 13;
    d->random ^= d->random >> 7;
    d->random ^= d->random << 17;
    int levels = 1;
    for (uint64_t bits = d->random; (bits & 3) == 0 && levels < LEVELS; bits >>= 2) {
        levels++;
    }
    return levels;
}

static void end_dict(void *dict)
{
    RedisModuleDict *d = dict;
    for (struct item *item = d->head[0]; item != NULL;) {
        struct item *next = item->next[0];
        hl_free(item);
        item = next;
    }
    hl_free(d);
}

RedisModuleDict *hl_rm_CreateDict(RedisModuleCtx *ctx)
{
    RedisModuleDict *d = hl_calloc(1, sizeof *d);
    d->random = 0x9E3779B97F4A7C15U;
    hl_ctx_add(ctx, d, end_dict, NULL);
    return d;
}

void hl_rm_FreeDict(RedisModuleCtx *ctx, RedisModuleDict *d)
{
    if (d != NULL) {
        hl_ctx_forget(ctx, d);
        end_dict(d);
    }
}

uint64_t hl_rm_DictSize(RedisModuleDict *d)
{
    return d->count;
}

size_t hl_rm_MallocSizeDict(RedisModuleDict *dict)
{
    return sizeof *dict + dict->bytes;
}

static void insert(RedisModuleDict *d, struct item **links[LEVELS], const void *key, size_t len,
                   void *value)
{
    int levels = random_levels(d);
    size_t head = sizeof(struct item) + (size_t)levels * sizeof(struct item *);
    struct item *item = hl_malloc(head + len);
    item->value = value;
    item->len = len;
    item->levels = levels;
    item->key = (unsigned char *)item + head;
    if (len != 0) {
        memcpy(item->key, key, len);
    }
    for (int level = 0; level < levels; level++) {
        item->next[level] = *links[level];
        *links[level] = item;
    }
    d->count++;
    d->bytes += head + len;
}

/* Add, or with `replace` change, a key. */
static int set(RedisModuleDict *d, const void *key, size_t len, void *value, bool replace)
{
    struct item **links[LEVELS];
    struct item *item = search(d, key, len, links);
    if (item != NULL && compare(item, key, len) == 0) {
        if (!replace) {
            return REDISMODULE_ERR;
        }
        item->value = value;
        return REDISMODULE_OK;
    }
    insert(d, links, key, len, value);
    return REDISMODULE_OK;
}

int hl_rm_DictSetC(RedisModuleDict *d, void *key, size_t keylen, void *ptr)
{
    return set(d, key, keylen, ptr, false);
}

int hl_rm_DictReplaceC(RedisModuleDict *d, void *key, size_t keylen, void *ptr)
{
    return set(d, key, keylen, ptr, true);
}

int hl_rm_DictSet(RedisModuleDict *d, RedisModuleString *key, void *ptr)
{
    return set(d, key->ptr, key->len, ptr, false);
}

int hl_rm_DictReplace(RedisModuleDict *d, RedisModuleString *key, void *ptr)
{
    return set(d, key->ptr, key->len, ptr, true);
}

void *hl_rm_DictGetC(RedisModuleDict *d, void *key, size_t keylen, int *nokey)
{
    struct item *item = find(d, key, keylen);
    if (nokey != NULL) {
        *nokey = item == NULL;
    }
    return item == NULL ? NULL : item->value;
}

void *hl_rm_DictGet(RedisModuleDict *d, RedisModuleString *key, int *nokey)
{
    return hl_rm_DictGetC(d, key->ptr, key->len, nokey);
}

int hl_rm_DictDelC(RedisModuleDict *d, void *key, size_t keylen, void *oldval)
{
    struct item **links[LEVELS];
    struct item *item = search(d, key, keylen, links);
    if (item == NULL || compare(item, key, keylen) != 0) {
        return REDISMODULE_ERR;
    }
    if (oldval != NULL) {
        *(void **)oldval = item->value;
    }
    for (int level = 0; level < item->levels; level++) {
        *links[level] = item->next[level];
    }
    d->count--;
    d->bytes -= sizeof *item + (size_t)item->levels * sizeof(struct item *) + item->len;
    hl_free(item);
    return REDISMODULE_OK;
}

int hl_rm_DictDel(RedisModuleDict *d, RedisModuleString *key, void *oldval)
{
    return hl_rm_DictDelC(d, key->ptr, key->len, oldval);
}

/* ---- Iterators ---- */

/* Stand on `item`, or nowhere. */
static void stand_on(RedisModuleDictIter *di, const struct item *item)
{
    hl_buf_clear(&di->key);
    di->valid = item != NULL;
    if (item != NULL) {
        hl_buf_append(&di->key, item->key, item->len);
    }
}

/* Place the iterator; false when `op` is none. */
static bool place(RedisModuleDictIter *di, const char *op, const void *key, size_t len)
{
    RedisModuleDict *d = di->dict;
    struct item *item = NULL;
    if (strcmp(op, "^") == 0) {
        item = d->head[0];
    } else if (strcmp(op, "$") == 0) {
        item = last_item(d);
    } else if (strcmp(op, ">=") == 0) {
        item = search(d, key, len, NULL);
    } else if (strcmp(op, ">") == 0) {
        item = search(d, key, len, NULL);
        item = item != NULL && compare(item, key, len) == 0 ? item->next[0] : item;
    } else if (strcmp(op, "<=") == 0) {
        item = search_below(d, key, len, true);
    } else if (strcmp(op, "<") == 0) {
        item = search_below(d, key, len, false);
    } else if (strcmp(op, "==") == 0) {
        item = find(d, key, len);
    } else {
        return false;
    }
    stand_on(di, item);
    di->fresh = true;
    return true;
}

RedisModuleDictIter *hl_rm_DictIteratorStartC(RedisModuleDict *d, const char *op, void *key,
                                              size_t keylen)
{
    RedisModuleDictIter *di = hl_calloc(1, sizeof *di);
    di->dict = d;
    (void)place(di, op, key, keylen); /* a misspelled op leaves it at the end */
    return di;
}

RedisModuleDictIter *hl_rm_DictIteratorStart(RedisModuleDict *d, const char *op,
                                             RedisModuleString *key)
{
    return hl_rm_DictIteratorStartC(d, op, key == NULL ? NULL : key->ptr,
                                    key == NULL ? 0 : key->len);
}

void hl_rm_DictIteratorStop(RedisModuleDictIter *di)
{
    if (di != NULL) {
        hl_buf_fini(&di->key);
        hl_free(di);
    }
}

int hl_rm_DictIteratorReseekC(RedisModuleDictIter *di, const char *op, void *key, size_t keylen)
{
    return place(di, op, key, keylen) && di->valid ? REDISMODULE_OK : REDISMODULE_ERR;
}

int hl_rm_DictIteratorReseek(RedisModuleDictIter *di, const char *op, RedisModuleString *key)
{
    return hl_rm_DictIteratorReseekC(di, op, key->ptr, key->len);
}

/* The item to return now, in the direction asked; NULL at the end. */
static struct item *step(RedisModuleDictIter *di, bool forward)
{
    if (!di->valid) {
        return NULL;
    }
    const void *key = di->key.ptr;
    size_t len = di->key.len;
    struct item *item = NULL;
    if (forward) {
        item = search(di->dict, key, len, NULL);
        bool here = item != NULL && compare(item, key, len) == 0;
        item = here && !di->fresh ? item->next[0] : item;
    } else {
        item = search_below(di->dict, key, len, di->fresh);
    }
    di->fresh = false;
    stand_on(di, item);
    return item;
}

static void *returned(const RedisModuleDictIter *di, const struct item *item, size_t *keylen,
                      void **dataptr)
{
    if (item == NULL) {
        return NULL;
    }
    if (keylen != NULL) {
        *keylen = item->len;
    }
    if (dataptr != NULL) {
        *dataptr = item->value;
    }
    static char nothing[1];
    return di->key.len == 0 ? nothing : di->key.ptr; /* stays until the next call */
}

void *hl_rm_DictNextC(RedisModuleDictIter *di, size_t *keylen, void **dataptr)
{
    return returned(di, step(di, true), keylen, dataptr);
}

void *hl_rm_DictPrevC(RedisModuleDictIter *di, size_t *keylen, void **dataptr)
{
    return returned(di, step(di, false), keylen, dataptr);
}

RedisModuleString *hl_rm_DictNext(RedisModuleCtx *ctx, RedisModuleDictIter *di, void **dataptr)
{
    size_t len = 0;
    void *key = hl_rm_DictNextC(di, &len, dataptr);
    return key == NULL ? NULL : hl_rm_CreateString(ctx, key, len);
}

RedisModuleString *hl_rm_DictPrev(RedisModuleCtx *ctx, RedisModuleDictIter *di, void **dataptr)
{
    size_t len = 0;
    void *key = hl_rm_DictPrevC(di, &len, dataptr);
    return key == NULL ? NULL : hl_rm_CreateString(ctx, key, len);
}

int hl_rm_DictCompareC(RedisModuleDictIter *di, const char *op, void *key, size_t keylen)
{
    if (!di->valid) {
        return REDISMODULE_ERR;
    }
    int order = hl_slice_compare(hl_buf_view(&di->key), (struct hl_slice){key, keylen});
    bool holds =
        (order == 0 && (strcmp(op, "==") == 0 || strcmp(op, "<=") == 0 || strcmp(op, ">=") == 0)) ||
        (order < 0 && op[0] == '<') || (order > 0 && op[0] == '>');
    return holds ? REDISMODULE_OK : REDISMODULE_ERR;
}

int hl_rm_DictCompare(RedisModuleDictIter *di, const char *op, RedisModuleString *key)
{
    return hl_rm_DictCompareC(di, op, key->ptr, key->len);
}
