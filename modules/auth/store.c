/* The data type and its keys.  A value is the stored form of one record, checked at every door:
 * when it is written, loaded, restored or applied. */
#include "store.h"

#include "live.h"

#include "helios/home_key.h"
#include "kit/assert.h"
#include "kit/base64.h"

#include <stdio.h>

#define TYPE_NAME "helauth01"
#define TYPE_ENCODING 1
#define KEYRING_KEY "auth:keys"
#define CLOSED_KEY "auth:bootstrap"
#define TRAIL_KEY "auth:audit"

struct blob {
    size_t len;
    char bytes[];
};

static RedisModuleType *type;
static _Atomic uint64_t session_count;
static _Atomic uint64_t epoch = 1; /* values are freed on the server's threads, too */

/* ---- The data type ----------------------------------------------------------------------------
 */

/* A record came or went on which hangs what clients may do. */
static void note_change(const struct blob *blob)
{
    if (blob->len != 0 && blob->bytes[0] != RECORD_FAILURE && blob->bytes[0] < RECORD_CLOSED) {
        epoch++;
    }
}

uint64_t store_epoch(void)
{
    return epoch;
}

/* A record was made (1) or freed (-1). */
static void count(const struct blob *blob, int change)
{
    if (blob->len != 0 && blob->bytes[0] == RECORD_SESSION) {
        session_count += (uint64_t)(int64_t)change;
    }
}

size_t store_session_count(void)
{
    return session_count;
}

static struct blob *blob_create(const char *bytes, size_t len)
{
    struct blob *blob = RedisModule_Alloc(sizeof *blob + len);
    blob->len = len;
    memcpy(blob->bytes, bytes, len);
    count(blob, 1);
    return blob;
}

static void *type_load(RedisModuleIO *io, int encoding)
{
    if (encoding != TYPE_ENCODING) {
        RedisModule_LogIOError(io, "warning", "record of encoding %d is from a later release",
                               encoding);
        return NULL;
    }
    size_t len = 0;
    char *bytes = RedisModule_LoadStringBuffer(io, &len);
    if (bytes == NULL) {
        return NULL; /* cut short: the server reports it */
    }
    hl_err err = record_check((struct hl_slice){bytes, len});
    struct blob *blob = err == HL_OK ? blob_create(bytes, len) : NULL;
    if (blob == NULL) {
        RedisModule_LogIOError(io, "warning", "%s",
                               err == HL_EVERSION ? "a record is from a later release"
                                                  : "a record is damaged");
    }
    RedisModule_Free(bytes);
    return blob;
}

static void type_save(RedisModuleIO *io, void *value)
{
    const struct blob *blob = value;
    RedisModule_SaveStringBuffer(io, blob->bytes, blob->len);
}

static void type_rewrite(RedisModuleIO *io, RedisModuleString *key, void *value)
{
    const struct blob *blob = value;
    RedisModule_EmitAOF(io, "AUTH.PUT", "slb", key, 0LL, blob->bytes, blob->len);
}

static size_t type_mem_usage(const void *value)
{
    const struct blob *blob = value;
    return sizeof *blob + blob->len;
}

static void type_digest(RedisModuleDigest *digest, void *value)
{
    const struct blob *blob = value;
    RedisModule_DigestAddStringBuffer(digest, blob->bytes, blob->len);
    RedisModule_DigestEndSequence(digest);
}

static void *type_copy(RedisModuleString *from, RedisModuleString *to, const void *value)
{
    (void)from;
    (void)to;
    const struct blob *blob = value;
    return blob_create(blob->bytes, blob->len);
}

static void type_free(void *value)
{
    note_change(value);
    count(value, -1);
    RedisModule_Free(value);
}

bool store_register(RedisModuleCtx *ctx)
{
    RedisModuleTypeMethods methods = {
        .version = REDISMODULE_TYPE_METHOD_VERSION,
        .rdb_load = type_load,
        .rdb_save = type_save,
        .aof_rewrite = RedisModule_EmitAOF == NULL ? NULL : type_rewrite,
        .mem_usage = type_mem_usage,
        .digest = RedisModule_DigestAddStringBuffer == NULL ? NULL : type_digest,
        .free = type_free,
        .copy = type_copy,
    };
    type = RedisModule_CreateDataType(ctx, TYPE_NAME, TYPE_ENCODING, &methods);
    if (type == NULL) {
        RedisModule_Log(ctx, "warning", "cannot register the data type " TYPE_NAME);
    }
    return type != NULL;
}

/* ---- Keys -------------------------------------------------------------------------------------
 */

/* HL_OK when the key holds a value of our type, HL_ENOENT when it is empty. */
static hl_err holds(const struct helios_home_key *place)
{
    if (HeliosModule_HomeIsEmpty(place)) {
        return HL_ENOENT;
    }
    return RedisModule_ModuleTypeGetType(place->key) == type ? HL_OK : HL_ECORRUPT;
}

/* Append the record stored under `name`. */
static hl_err get(RedisModuleCtx *ctx, const char *name, struct hl_buf *out)
{
    struct helios_home_key place = HeliosModule_OpenHome(ctx, name, false);
    hl_err err = holds(&place);
    if (err == HL_OK) {
        const struct blob *blob = RedisModule_ModuleTypeGetValue(place.key);
        hl_buf_append(out, blob->bytes, blob->len);
    }
    HeliosModule_CloseHome(&place);
    return err;
}

/* Set the key to `record` with a deadline (0: none), without replicating. */
static hl_err set(struct helios_home_key *place, int64_t deadline_ms, struct hl_slice record)
{
    if (holds(place) == HL_ECORRUPT) {
        return HL_ECORRUPT; /* a client put something else there: not ours to overwrite */
    }
    struct blob *blob = blob_create(record.ptr, record.len);
    RedisModule_ModuleTypeSetValue(place->key, type, blob);
    note_change(blob);
    if (deadline_ms != 0) {
        RedisModule_SetAbsExpire(place->key, deadline_ms);
    } else {
        RedisModule_SetExpire(place->key, REDISMODULE_NO_EXPIRE);
    }
    return HL_OK;
}

/* Write `record` and replicate it; takes the buffer's memory. */
static hl_err put(RedisModuleCtx *ctx, const char *name, int64_t deadline_ms, struct hl_buf *record)
{
    HL_ASSERT(record_check(hl_buf_view(record)) == HL_OK);
    struct helios_home_key place = HeliosModule_OpenHome(ctx, name, true);
    hl_err err = set(&place, deadline_ms, hl_buf_view(record));
    if (err == HL_OK) {
        RedisModule_Replicate(ctx, "AUTH.PUT", "slb", place.name, (long long)deadline_ms,
                              record->ptr, record->len);
    }
    HeliosModule_CloseHome(&place);
    hl_buf_fini(record);
    return err;
}

static void drop(RedisModuleCtx *ctx, const char *name)
{
    struct helios_home_key place = HeliosModule_OpenHome(ctx, name, true);
    if (holds(&place) == HL_OK) {
        RedisModule_DeleteKey(place.key);
        RedisModule_Replicate(ctx, "DEL", "s", place.name);
    }
    HeliosModule_CloseHome(&place);
}

int cmd_put(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long deadline_ms = 0;
    size_t len = 0;
    if (argc != 4) {
        return RedisModule_WrongArity(ctx);
    }
    int flags = RedisModule_GetContextFlags(ctx);
    if ((flags & (REDISMODULE_CTX_FLAGS_REPLICATED | REDISMODULE_CTX_FLAGS_LOADING)) == 0) {
        return RedisModule_ReplyWithError(ctx, "ERR AUTH.PUT applies effects of this module; it "
                                               "is not for clients");
    }
    const char *bytes = RedisModule_StringPtrLen(argv[3], &len);
    if (RedisModule_StringToLongLong(argv[2], &deadline_ms) != REDISMODULE_OK || deadline_ms < 0 ||
        record_check((struct hl_slice){bytes, len}) != HL_OK) {
        return RedisModule_ReplyWithError(ctx, "ERR AUTH.PUT got no record");
    }
    struct helios_home_key place = {.ctx = ctx, .name = argv[1]};
    place.key = RedisModule_OpenKey(ctx, argv[1], REDISMODULE_READ | REDISMODULE_WRITE);
    hl_err err = set(&place, deadline_ms, (struct hl_slice){bytes, len});
    RedisModule_CloseKey(place.key);
    if (err != HL_OK) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    struct user_record user;
    if (user_decode(&user, (struct hl_slice){bytes, len}) == HL_OK) {
        live_check(ctx, &user);
    }
    RedisModule_ReplicateVerbatim(ctx);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

/* ---- Records ----------------------------------------------------------------------------------
 */

static void session_key(char out[STORE_KEY_MAX], const unsigned char sid[TOKEN_ID_LEN])
{
    char text[TOKEN_ID_TEXT];
    hl_hex_format(text, sid, TOKEN_ID_LEN);
    snprintf(out, STORE_KEY_MAX, "auth:session:%s", text);
}

static void failure_key(char out[STORE_KEY_MAX], bool address, const char *who)
{
    snprintf(out, STORE_KEY_MAX, "auth:fail:%s:%s", address ? "addr" : "user", who);
}

static void user_key(char out[STORE_KEY_MAX], const char *name)
{
    snprintf(out, STORE_KEY_MAX, "auth:user:%s", name);
}

static void apikey_key(char out[STORE_KEY_MAX], const unsigned char id[RECORD_APIKEY_LEN])
{
    char text[2 * RECORD_APIKEY_LEN + 1];
    hl_hex_format(text, id, RECORD_APIKEY_LEN);
    snprintf(out, STORE_KEY_MAX, "auth:apikey:%s", text);
}

static void audit_key(char out[STORE_KEY_MAX], uint64_t index)
{
    snprintf(out, STORE_KEY_MAX, "auth:audit:%llu", (unsigned long long)index);
}

/* Read the record of `kind` that `key` holds. */
static hl_err get_record(RedisModuleCtx *ctx, const char *key, enum record_kind kind,
                         union record *out)
{
    struct hl_buf bytes = {0};
    enum record_kind found = kind;
    hl_err err = get(ctx, key, &bytes);
    if (err == HL_OK) {
        err = record_decode(&found, out, hl_buf_view(&bytes));
    }
    hl_buf_fini(&bytes);
    return err == HL_OK && found != kind ? HL_ECORRUPT : err;
}

hl_err store_get_user(RedisModuleCtx *ctx, const char *name, struct user_record *out)
{
    char key[STORE_KEY_MAX];
    struct hl_buf bytes = {0};
    struct user_record user;
    user_key(key, name);
    hl_err err = get(ctx, key, &bytes);
    if (err == HL_OK) {
        err = user_decode(&user, hl_buf_view(&bytes));
    }
    if (err == HL_OK && strcmp(user.name, name) != 0) {
        err = HL_ECORRUPT; /* somebody renamed or copied the key */
    }
    if (err == HL_OK) {
        *out = user;
    }
    hl_buf_fini(&bytes);
    return err;
}

hl_err store_put_user(RedisModuleCtx *ctx, const struct user_record *user)
{
    char key[STORE_KEY_MAX];
    struct hl_buf bytes = {0};
    user_key(key, user->name);
    user_encode(&bytes, user);
    hl_err err = put(ctx, key, 0, &bytes);
    if (err == HL_OK) {
        live_check(ctx, user);
    }
    return err;
}

static const char *list_key(enum store_list list)
{
    return list == STORE_USERS ? "auth:users" : "auth:apikeys";
}

void store_drop_user(RedisModuleCtx *ctx, const char *name)
{
    char key[STORE_KEY_MAX];
    user_key(key, name);
    drop(ctx, key);
}

/* True when the list's key is empty or a hash: one that somebody else filled is refused. */
static bool is_list(const struct helios_home_key *place)
{
    int found = place->key == NULL ? REDISMODULE_KEYTYPE_EMPTY : RedisModule_KeyType(place->key);
    return found == REDISMODULE_KEYTYPE_EMPTY || found == REDISMODULE_KEYTYPE_HASH;
}

/* Add a name to a list, or take it out. */
static hl_err change_list(RedisModuleCtx *ctx, enum store_list list, const char *name, bool add)
{
    struct helios_home_key place = HeliosModule_OpenHome(ctx, list_key(list), true);
    hl_err err = is_list(&place) ? HL_OK : HL_ECORRUPT;
    if (err == HL_OK) {
        RedisModuleString *field = RedisModule_CreateString(ctx, name, strlen(name));
        RedisModuleString *value = RedisModule_CreateString(ctx, "1", 1);
        RedisModule_HashSet(place.key, REDISMODULE_HASH_NONE, field,
                            add ? value : REDISMODULE_HASH_DELETE, NULL);
        if (add) {
            RedisModule_Replicate(ctx, "HSET", "sss", place.name, field, value);
        } else {
            RedisModule_Replicate(ctx, "HDEL", "ss", place.name, field);
        }
        RedisModule_FreeString(ctx, field);
        RedisModule_FreeString(ctx, value);
    }
    HeliosModule_CloseHome(&place);
    return err;
}

hl_err store_list_add(RedisModuleCtx *ctx, enum store_list list, const char *name)
{
    return change_list(ctx, list, name, true);
}

hl_err store_list_remove(RedisModuleCtx *ctx, enum store_list list, const char *name)
{
    return change_list(ctx, list, name, false);
}

size_t store_list_count(RedisModuleCtx *ctx, enum store_list list)
{
    struct helios_home_key place = HeliosModule_OpenHome(ctx, list_key(list), false);
    size_t count = place.key == NULL || RedisModule_KeyType(place.key) != REDISMODULE_KEYTYPE_HASH
                       ? 0
                       : RedisModule_ValueLength(place.key);
    HeliosModule_CloseHome(&place);
    return count;
}

/* The smallest names after `after` that were seen so far, in order. */
struct page {
    const char *after;
    size_t count, max;
    char (*names)[USER_NAME_MAX + 1];
};

/* One name of the list, in no order: keep it when it belongs to the page. */
static void see_name(RedisModuleKey *key, RedisModuleString *field, RedisModuleString *value,
                     void *arg)
{
    (void)key;
    (void)value;
    struct page *page = arg;
    struct hl_slice text = {0};
    char name[USER_NAME_MAX + 1] = "";
    text.ptr = RedisModule_StringPtrLen(field, &text.len);
    if (user_name_objection(text) != NULL) {
        return; /* a client wrote it */
    }
    memcpy(name, text.ptr, text.len);
    size_t low = 0;
    size_t high = page->count; /* its place is in [low, high] */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(page->names[middle], name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool seen = low < page->count && strcmp(page->names[low], name) == 0;
    if (low == page->max || seen || strcmp(name, page->after) <= 0) {
        return;
    }
    page->count += page->count < page->max;
    memmove(page->names[low + 1], page->names[low],
            (page->count - low - 1) * sizeof page->names[0]);
    memcpy(page->names[low], name, sizeof name);
}

hl_err store_page(RedisModuleCtx *ctx, enum store_list list, const char *after, size_t max,
                  char (*names)[USER_NAME_MAX + 1], size_t *count)
{
    struct page page = {.after = after, .max = max, .names = names};
    struct helios_home_key place = HeliosModule_OpenHome(ctx, list_key(list), false);
    hl_err err = is_list(&place) ? HL_OK : HL_ECORRUPT;
    if (err == HL_OK && place.key != NULL) {
        RedisModuleScanCursor *cursor = RedisModule_ScanCursorCreate();
        while (RedisModule_ScanKey(place.key, cursor, see_name, &page) != 0) {
        }
        RedisModule_ScanCursorDestroy(cursor);
    }
    HeliosModule_CloseHome(&place);
    *count = page.count;
    return err;
}

hl_err store_get_session(RedisModuleCtx *ctx, const unsigned char sid[TOKEN_ID_LEN],
                         struct session_record *out)
{
    char key[STORE_KEY_MAX];
    struct hl_buf bytes = {0};
    session_key(key, sid);
    hl_err err = get(ctx, key, &bytes);
    if (err == HL_OK) {
        err = session_decode(out, hl_buf_view(&bytes));
    }
    if (err == HL_OK && memcmp(out->sid, sid, TOKEN_ID_LEN) != 0) {
        err = HL_ECORRUPT; /* a copy under another session's name */
    }
    hl_buf_fini(&bytes);
    return err;
}

hl_err store_put_session(RedisModuleCtx *ctx, const struct session_record *session)
{
    char key[STORE_KEY_MAX];
    struct hl_buf bytes = {0};
    session_key(key, session->sid);
    session_encode(&bytes, session);
    return put(ctx, key, session->expires_ms, &bytes);
}

void store_drop_session(RedisModuleCtx *ctx, const unsigned char sid[TOKEN_ID_LEN])
{
    char key[STORE_KEY_MAX];
    session_key(key, sid);
    drop(ctx, key);
}

hl_err store_get_failure(RedisModuleCtx *ctx, bool address, const char *who,
                         struct failure_record *out)
{
    char key[STORE_KEY_MAX];
    struct hl_buf bytes = {0};
    failure_key(key, address, who);
    hl_err err = get(ctx, key, &bytes);
    if (err == HL_OK) {
        err = failure_decode(out, hl_buf_view(&bytes));
    }
    hl_buf_fini(&bytes);
    return err;
}

hl_err store_put_failure(RedisModuleCtx *ctx, bool address, const char *who,
                         const struct failure_record *failure, int64_t forget_at_ms)
{
    char key[STORE_KEY_MAX];
    struct hl_buf bytes = {0};
    failure_key(key, address, who);
    failure_encode(&bytes, failure);
    return put(ctx, key, forget_at_ms, &bytes);
}

void store_drop_failure(RedisModuleCtx *ctx, bool address, const char *who)
{
    char key[STORE_KEY_MAX];
    failure_key(key, address, who);
    drop(ctx, key);
}

hl_err store_get_keyring(RedisModuleCtx *ctx, struct hl_buf *out)
{
    return get(ctx, KEYRING_KEY, out);
}

hl_err store_put_keyring(RedisModuleCtx *ctx, const struct keyring_record *ring)
{
    struct hl_buf bytes = {0};
    keyring_encode(&bytes, ring);
    return put(ctx, KEYRING_KEY, 0, &bytes);
}

hl_err store_get_apikey(RedisModuleCtx *ctx, const unsigned char id[RECORD_APIKEY_LEN],
                        struct apikey_record *out)
{
    char key[STORE_KEY_MAX];
    union record read;
    apikey_key(key, id);
    hl_err err = get_record(ctx, key, RECORD_APIKEY, &read);
    if (err == HL_OK && memcmp(read.apikey.id, id, RECORD_APIKEY_LEN) != 0) {
        err = HL_ECORRUPT; /* a copy under another key's name */
    }
    if (err == HL_OK) {
        *out = read.apikey;
    }
    return err;
}

hl_err store_put_apikey(RedisModuleCtx *ctx, const struct apikey_record *apikey)
{
    char key[STORE_KEY_MAX];
    struct hl_buf bytes = {0};
    apikey_key(key, apikey->id);
    apikey_encode(&bytes, apikey);
    return put(ctx, key, 0, &bytes);
}

void store_drop_apikey(RedisModuleCtx *ctx, const unsigned char id[RECORD_APIKEY_LEN])
{
    char key[STORE_KEY_MAX];
    apikey_key(key, id);
    drop(ctx, key);
}

hl_err store_get_closed(RedisModuleCtx *ctx, struct closed_record *out)
{
    union record read;
    hl_err err = get_record(ctx, CLOSED_KEY, RECORD_CLOSED, &read);
    if (err == HL_OK) {
        *out = read.closed;
    }
    return err;
}

hl_err store_put_closed(RedisModuleCtx *ctx, const struct closed_record *closed)
{
    struct hl_buf bytes = {0};
    closed_encode(&bytes, closed);
    return put(ctx, CLOSED_KEY, 0, &bytes);
}

hl_err store_get_trail(RedisModuleCtx *ctx, struct trail_record *out)
{
    union record read;
    hl_err err = get_record(ctx, TRAIL_KEY, RECORD_TRAIL, &read);
    if (err == HL_OK) {
        *out = read.trail;
    }
    return err;
}

hl_err store_put_trail(RedisModuleCtx *ctx, const struct trail_record *trail)
{
    struct hl_buf bytes = {0};
    trail_encode(&bytes, trail);
    return put(ctx, TRAIL_KEY, 0, &bytes);
}

hl_err store_get_audit(RedisModuleCtx *ctx, uint64_t index, struct audit_record *out)
{
    char key[STORE_KEY_MAX];
    union record read;
    audit_key(key, index);
    hl_err err = get_record(ctx, key, RECORD_AUDIT, &read);
    if (err == HL_OK && read.audit.index != index) {
        err = HL_ECORRUPT;
    }
    if (err == HL_OK) {
        *out = read.audit;
    }
    return err;
}

hl_err store_put_audit(RedisModuleCtx *ctx, const struct audit_record *audit)
{
    char key[STORE_KEY_MAX];
    struct hl_buf bytes = {0};
    audit_key(key, audit->index);
    audit_encode(&bytes, audit);
    return put(ctx, key, 0, &bytes);
}

void store_drop_audit(RedisModuleCtx *ctx, uint64_t index)
{
    char key[STORE_KEY_MAX];
    audit_key(key, index);
    drop(ctx, key);
}
