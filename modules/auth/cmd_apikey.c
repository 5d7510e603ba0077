/* APIKEY: long-lived keys of users, for programs; and the check of one. */
#include "keyed.h"

#include "audit.h"
#include "commands.h"
#include "leader.h"
#include "settings.h"
#include "store.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/base64.h"

#include <stdio.h>

#define USED_EVERY_MS 60000 /* a key's last use is written at most this often */
#define PENDING_MAX 64      /* uses that wait to be written; more are dropped */
#define UNKNOWN_KEY "TOKENREVOKED there is no such API key"
#define TTL_S_MAX (100LL * 366 * 86400)

/* Uses of keys that this node saw and that are not written yet: identify() may run where nothing
 * can be written, and on nodes that do not lead. */
static struct use {
    unsigned char id[RECORD_APIKEY_LEN];
    int64_t at_ms;
} pending[PENDING_MAX];
static size_t pending_count;

/* ---- Checking ---------------------------------------------------------------------------------
 */

static void note_use(const struct apikey_record *key, int64_t now_ms)
{
    if (now_ms - key->used_ms < USED_EVERY_MS) {
        return;
    }
    for (size_t i = 0; i < pending_count; i++) {
        if (memcmp(pending[i].id, key->id, sizeof key->id) == 0) {
            return;
        }
    }
    if (pending_count < PENDING_MAX) {
        struct use *use = &pending[pending_count++];
        use->at_ms = now_ms;
        memcpy(use->id, key->id, sizeof use->id);
    }
}

/* Judge out->key, reading its user. */
static const char *judge_key(RedisModuleCtx *ctx, struct keyed *out)
{
    if (store_get_user(ctx, out->key.name, &out->user) != HL_OK) {
        return "TOKENREVOKED the user does not exist any more";
    }
    return apikey_objection(&out->key, &out->user, RedisModule_Milliseconds());
}

const char *keyed_alive(RedisModuleCtx *ctx, const unsigned char id[RECORD_APIKEY_LEN],
                        struct keyed *out)
{
    return store_get_apikey(ctx, id, &out->key) == HL_OK ? judge_key(ctx, out) : UNKNOWN_KEY;
}

const char *keyed_check(RedisModuleCtx *ctx, struct hl_slice text, struct keyed *out)
{
    struct apikey_text given;
    if (!apikey_parse(&given, text)) {
        return "TOKENINVALID not an API key";
    }
    bool known =
        store_get_apikey(ctx, given.id, &out->key) == HL_OK && apikey_matches(&out->key, &given);
    seal_wipe(&given, sizeof given);
    const char *error = known ? judge_key(ctx, out) : UNKNOWN_KEY;
    if (error == NULL) {
        note_use(&out->key, RedisModule_Milliseconds());
    }
    return error;
}

/* ---- Last use ---------------------------------------------------------------------------------
 */

void keyed_flush(RedisModuleCtx *ctx)
{
    for (size_t i = 0; i < pending_count; i++) {
        char id[APIKEY_ID_TEXT];
        char at_ms[24];
        hl_hex_format(id, pending[i].id, RECORD_APIKEY_LEN);
        snprintf(at_ms, sizeof at_ms, "%lld", (long long)pending[i].at_ms);
        leader_run(ctx, (const char *const[]){"AUTH.APIKEY", "USED", id, at_ms}, 4);
    }
    pending_count = 0;
}

bool keyed_pending(void)
{
    return pending_count != 0;
}

void keyed_unload(void)
{
    pending_count = 0;
}

/* ---- Commands ---------------------------------------------------------------------------------
 */

static void reply_key(RedisModuleCtx *ctx, const struct apikey_record *key, const char *secret)
{
    char id[APIKEY_ID_TEXT];
    RedisModule_ReplyWithMap(ctx, secret == NULL ? 7 : 8);
    hl_hex_format(id, key->id, sizeof key->id);
    reply_text(ctx, "id", id);
    reply_text(ctx, "name", key->label);
    reply_text(ctx, "user", key->name);
    reply_number(ctx, "created", key->created_ms / 1000);
    reply_number(ctx, "expires", key->expires_ms / 1000);
    reply_number(ctx, "last_used", key->used_ms / 1000);
    RedisModule_ReplyWithCString(ctx, "scopes");
    RedisModule_ReplyWithArray(ctx, (long)key->scope_count);
    for (size_t i = 0; i < key->scope_count; i++) {
        RedisModule_ReplyWithCString(ctx, key->scopes[i]);
    }
    if (secret != NULL) {
        reply_text(ctx, "key", secret);
    }
}

/* Note in the audit trail what became of a key. */
static void note_key(RedisModuleCtx *ctx, const char *action, const struct apikey_record *key)
{
    char text[APIKEY_ID_TEXT + USER_NAME_MAX + 2];
    char id[APIKEY_ID_TEXT];
    hl_hex_format(id, key->id, sizeof key->id);
    snprintf(text, sizeof text, "%s %s", id, key->name);
    audit_note(ctx, &(struct audit_event){.action = action, .target = text, .result = "ok"});
}

/* What CREATE was asked for. */
struct wish {
    struct hl_slice label;
    RedisModuleString *user;
    long long ttl_s; /* 0: for ever */
    RedisModuleString **scopes;
    long long scope_count;
};

static const char *parse_wish(struct wish *wish, RedisModuleString **argv, int argc)
{
    *wish = (struct wish){.label = arg_slice(argv[2])};
    if (wish->label.len == 0 || !record_text_ok(wish->label, RECORD_TEXT_MAX)) {
        return "ERR a name is 1 to 64 characters of printable ASCII";
    }
    for (int i = 3; i < argc; i += 2) {
        struct hl_slice word = arg_slice(argv[i]);
        if (i + 1 == argc) {
            return "ERR syntax error";
        }
        if (hl_slice_is(word, "USER")) {
            wish->user = argv[i + 1];
        } else if (hl_slice_is(word, "TTL")) {
            if (RedisModule_StringToLongLong(argv[i + 1], &wish->ttl_s) != REDISMODULE_OK ||
                wish->ttl_s < 1 || wish->ttl_s > TTL_S_MAX) {
                return "ERR TTL must be seconds, at least 1 and at most a hundred years";
            }
        } else if (hl_slice_is(word, "SCOPES")) {
            if (RedisModule_StringToLongLong(argv[i + 1], &wish->scope_count) != REDISMODULE_OK ||
                wish->scope_count < 1 || wish->scope_count > RECORD_SCOPES_MAX ||
                wish->scope_count > argc - i - 2) {
                return "ERR SCOPES needs a count of 1 to 16 and as many scopes";
            }
            wish->scopes = argv + i + 2;
            i += (int)wish->scope_count;
        } else {
            return "ERR syntax error";
        }
    }
    return NULL;
}

/* Whom the key will act for. */
static const char *owner_of(RedisModuleCtx *ctx, const struct wish *wish, struct user_record *user)
{
    const char *own = wish->user == NULL ? live_name(ctx) : NULL;
    if (wish->user != NULL) {
        return read_user(ctx, wish->user, user);
    }
    return own != NULL && store_get_user(ctx, own, user) == HL_OK
               ? NULL
               : "NOSUCHUSER the connection did not log in as a user of this module: name a USER";
}

static const char *take_scopes(struct apikey_record *key, const struct wish *wish)
{
    for (long long i = 0; i < wish->scope_count; i++) {
        struct hl_slice scope = arg_slice(wish->scopes[i]);
        if (!record_scope_ok(scope)) {
            return "ERR a scope is a permission, ns:verb or ns:*, perhaps with @keys";
        }
        memcpy(key->scopes[key->scope_count++], scope.ptr, scope.len);
    }
    return NULL;
}

static const char *create(RedisModuleCtx *ctx, const struct wish *wish, struct hl_buf *text,
                          struct apikey_record *key)
{
    struct apikey_text secret;
    struct user_record user;
    char id[APIKEY_ID_TEXT];
    const char *error = owner_of(ctx, wish, &user);
    if (error != NULL) {
        return error;
    }
    if (store_list_count(ctx, STORE_APIKEYS) >= (size_t)settings()->max_api_keys) {
        return "ERR there are too many API keys: see auth.max-api-keys";
    }
    if (seal_random(&secret, sizeof secret) != HL_OK) {
        return "ERR the system gives no randomness";
    }
    int64_t now_ms = RedisModule_Milliseconds();
    apikey_open(key, &secret, &user, now_ms);
    memcpy(key->label, wish->label.ptr, wish->label.len);
    key->expires_ms = wish->ttl_s == 0 ? 0 : now_ms + wish->ttl_s * 1000;
    error = take_scopes(key, wish);
    hl_hex_format(id, key->id, sizeof key->id);
    if (error == NULL &&
        (store_list_add(ctx, STORE_APIKEYS, id) != HL_OK || store_put_apikey(ctx, key) != HL_OK)) {
        error = "ERR cannot store the API key: a key of the module is in use";
    }
    if (error == NULL) {
        apikey_format(text, &secret);
        hl_buf_append_u8(text, '\0');
    }
    seal_wipe(&secret, sizeof secret);
    return error;
}

static const char *cmd_create(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct wish wish;
    struct apikey_record key;
    struct hl_buf text = {0};
    const char *error = parse_wish(&wish, argv, argc);
    if (error == NULL) {
        error = create(ctx, &wish, &text, &key);
    }
    if (error == NULL) {
        note_key(ctx, "apikey-create", &key);
        reply_key(ctx, &key, text.ptr);
    }
    seal_wipe(text.ptr, text.len);
    hl_buf_fini(&text);
    return error;
}

/* The keys of `user` (NULL: all) as a block that the caller frees, and how many; NULL when the list
 * is damaged. */
static struct apikey_record *all_keys(RedisModuleCtx *ctx, const struct user_record *user,
                                      size_t *found)
{
    size_t max = store_list_count(ctx, STORE_APIKEYS) + 1;
    size_t count = 0;
    char(*names)[USER_NAME_MAX + 1] = hl_calloc(max, sizeof *names);
    struct apikey_record *keys = hl_calloc(max, sizeof *keys);
    *found = 0;
    if (store_page(ctx, STORE_APIKEYS, "", max, names, &count) != HL_OK) {
        hl_free(keys);
        keys = NULL;
    }
    for (size_t i = 0; keys != NULL && i < count; i++) {
        unsigned char id[RECORD_APIKEY_LEN];
        struct apikey_record *key = &keys[*found];
        *found += hl_hex_parse(hl_slice_of(names[i]), id, sizeof id) &&
                  store_get_apikey(ctx, id, key) == HL_OK &&
                  (user == NULL || memcmp(key->user_id, user->id, sizeof user->id) == 0);
    }
    hl_free(names);
    return keys;
}

static const char *cmd_list(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct user_record user = {0};
    size_t count = 0;
    if (argc != 2 && (argc != 4 || !hl_slice_is(arg_slice(argv[2]), "USER"))) {
        return "ERR syntax error";
    }
    const char *error = argc == 4 ? read_user(ctx, argv[3], &user) : NULL;
    if (error != NULL) {
        return error;
    }
    struct apikey_record *keys = all_keys(ctx, argc == 4 ? &user : NULL, &count);
    if (keys == NULL) {
        return "ERR the list in auth:apikeys is damaged";
    }
    RedisModule_ReplyWithArray(ctx, (long)count);
    for (size_t i = 0; i < count; i++) {
        reply_key(ctx, &keys[i], NULL);
    }
    hl_free(keys);
    return NULL;
}

/* Delete a key's record and its place in the list. */
static hl_err drop_key(RedisModuleCtx *ctx, const struct apikey_record *key)
{
    char id[APIKEY_ID_TEXT];
    hl_hex_format(id, key->id, sizeof key->id);
    store_drop_apikey(ctx, key->id);
    return store_list_remove(ctx, STORE_APIKEYS, id);
}

void keyed_drop_all(RedisModuleCtx *ctx, const struct user_record *user)
{
    size_t count = 0;
    struct apikey_record *keys = all_keys(ctx, user, &count);
    for (size_t i = 0; i < count; i++) {
        hl_err err = drop_key(ctx, &keys[i]);
        HL_MAYBE(err != HL_OK); /* the list was damaged meanwhile: the record is gone */
    }
    hl_free(keys);
}

/* Read the key that `arg` names by its id. */
static const char *read_key(RedisModuleCtx *ctx, RedisModuleString *arg, struct apikey_record *key)
{
    unsigned char id[RECORD_APIKEY_LEN];
    return hl_hex_parse(arg_slice(arg), id, sizeof id) && store_get_apikey(ctx, id, key) == HL_OK
               ? NULL
               : "NOSUCHKEY there is no API key of this id";
}

static const char *cmd_revoke(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct apikey_record key;
    struct user_record user;
    const char *error = argc != 3 ? "ERR syntax error" : read_key(ctx, argv[2], &key);
    if (error != NULL) {
        return error;
    }
    if (drop_key(ctx, &key) != HL_OK ||
        (store_get_user(ctx, key.name, &user) == HL_OK && store_put_user(ctx, &user) != HL_OK)) {
        return "ERR cannot store the change";
    }
    note_key(ctx, "apikey-revoke", &key);
    RedisModule_ReplyWithSimpleString(ctx, "OK");
    return NULL;
}

/* USED id ms: a node tells when it last saw a key. */
static const char *cmd_used(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct apikey_record key;
    long long at_ms = 0;
    const char *error = argc != 4 ? "ERR syntax error" : read_key(ctx, argv[2], &key);
    if (error == NULL && (RedisModule_StringToLongLong(argv[3], &at_ms) != REDISMODULE_OK ||
                          at_ms < 0 || at_ms > RedisModule_Milliseconds() + USED_EVERY_MS)) {
        error = "ERR USED takes an id and the milliseconds since the epoch";
    }
    if (error != NULL) {
        return error;
    }
    if (at_ms - key.used_ms >= USED_EVERY_MS) {
        key.used_ms = at_ms;
        if (store_put_apikey(ctx, &key) != HL_OK) {
            return "ERR cannot store the change";
        }
    }
    RedisModule_ReplyWithSimpleString(ctx, "OK");
    return NULL;
}

int cmd_apikey(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    static const struct {
        const char *word;
        const char *(*run)(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);
        int argc_min;
    } verbs[] = {{"CREATE", cmd_create, 3},
                 {"LIST", cmd_list, 2},
                 {"REVOKE", cmd_revoke, 3},
                 {"USED", cmd_used, 4}};
    const char *error = "ERR syntax error";
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(verbs); i++) {
        if (hl_slice_is(arg_slice(argv[1]), verbs[i].word) && argc >= verbs[i].argc_min) {
            error = verbs[i].run(ctx, argv, argc);
            break;
        }
    }
    return error == NULL ? REDISMODULE_OK : RedisModule_ReplyWithError(ctx, error);
}
