/* The signing keys of the keyspace made usable, and tokens checked against live state. */
#include "access.h"

#include "kek.h"
#include "keyring.h"
#include "settings.h"
#include "store.h"
#include "token_cache.h"

#include "kit/assert.h"
#include "kit/base64.h"

#include <stdio.h>

#define RETRY_MS 60000

static struct keyset keys;
static struct hl_buf loaded; /* the stored ring that `keys` was made of */
static hl_err found;         /* how reading it ended: HL_OK, HL_ENOENT or a failure */
static hl_err made;          /* how making keys of it ended; HL_OK or HL_ECORRUPT */
static bool stale = true;    /* make the keys again even if the bytes are the same */
static struct token_cache cache;
static int64_t cache_until_ms;     /* a key that may have signed what it holds ends then */
static struct settings cache_with; /* whose issuer and audience its tokens were checked with */
static unsigned char kek[SEAL_KEY_LEN];
static bool have_kek;
static int64_t retry_ms; /* a successor could not be made: not before then */

void access_unload(void)
{
    keyset_fini(&keys);
    token_cache_fini(&cache);
    hl_buf_fini(&loaded);
    seal_wipe(kek, sizeof kek);
    have_kek = false;
    stale = true;
}

/* Make `keys` follow the keyspace. */
static void follow(RedisModuleCtx *ctx)
{
    struct hl_buf stored = {0};
    struct keyring_record ring = {0};
    hl_err err = store_get_keyring(ctx, &stored);
    if (!stale && err == found && hl_slice_equal(hl_buf_view(&stored), hl_buf_view(&loaded))) {
        hl_buf_fini(&stored);
        return;
    }
    stale = false;
    found = err;
    hl_buf_fini(&loaded);
    loaded = stored;
    keyset_fini(&keys);
    token_cache_fini(&cache);
    if (err == HL_OK) {
        err = keyring_decode(&ring, hl_buf_view(&stored));
    }
    if (err == HL_OK) {
        err = keyset_load(&keys, &ring, have_kek ? kek : NULL);
    }
    made = err == HL_ENOENT ? HL_OK : err;
    if (made != HL_OK) {
        RedisModule_Log(ctx, "warning", "the key ring in auth:keys is damaged");
    }
}

hl_err access_ring(RedisModuleCtx *ctx, struct keyring_record *out)
{
    struct hl_buf stored = {0};
    *out = (struct keyring_record){0};
    hl_err err = store_get_keyring(ctx, &stored);
    if (err == HL_OK) {
        err = keyring_decode(out, hl_buf_view(&stored));
    }
    hl_buf_fini(&stored);
    return err == HL_ENOENT ? HL_OK : err;
}

/* Have the KEK that fits `ring`, creating one only for an empty ring (A1). */
static hl_err need_kek(const struct keyring_record *ring, struct hl_errmsg *msg)
{
    const char *path = settings()->kek_file;
    if (!have_kek) {
        hl_err err = kek_read(kek, path, msg);
        if (err == HL_ENOENT && ring->count == 0) {
            err = kek_create(kek, path, msg);
        } else if (err == HL_ENOENT) {
            return hl_fail(msg, HL_ENOENT,
                           "the key-encryption key file %s is missing: restore the one that "
                           "sealed the keys, or delete auth:keys to begin anew",
                           path);
        }
        if (err != HL_OK) {
            return err;
        }
        have_kek = true;
        stale = true; /* keys opened without it can now be opened with it */
    }
    if (!keyring_fits(ring, kek)) {
        have_kek = false; /* read it again next time: the operator may have put it right */
        return hl_fail(msg, HL_EINVAL,
                       "the key-encryption key in %s is not the one that sealed the signing keys",
                       path);
    }
    return HL_OK;
}

/* How long a key verifies after it retired: as long as its tokens live. */
static int64_t verify_ms(void)
{
    return (settings()->token_ttl_s + settings()->clock_skew_s) * 1000;
}

/* How a new key comes into the ring. */
enum entrance { ENTER_FIRST, ENTER_ACTIVE, ENTER_ALONE, ENTER_NEXT };

static hl_err enter_ring(struct keyring_record *ring, const struct jws_material *material,
                         enum entrance how)
{
    int64_t now_ms = RedisModule_Milliseconds();
    switch (how) {
    case ENTER_FIRST:
    case ENTER_ALONE:
        return keyring_add(ring, material, kek, now_ms, 0);
    case ENTER_ACTIVE:
        return keyring_add(ring, material, kek, now_ms, verify_ms());
    case ENTER_NEXT:
        return keyring_plan(ring, material, kek, now_ms, now_ms + settings()->key_publish_s * 1000);
    }
    HL_ASSERT(!"an entrance of the enum");
    return HL_EINVAL;
}

/* Make a key and add it to the ring. */
static hl_err add_key(RedisModuleCtx *ctx, struct keyring_record *ring, enum jws_alg alg,
                      enum entrance how, char kid[JWS_KID_LEN + 1], struct hl_errmsg *msg)
{
    struct jws_material material;
    hl_err err = jws_generate(&material, alg);
    if (err == HL_OK) {
        err = enter_ring(ring, &material, how);
    }
    memcpy(kid, material.kid, JWS_KID_LEN + 1);
    seal_wipe(&material, sizeof material);
    if (err == HL_EFULL) {
        return hl_fail(msg, err, "too many retired keys still verify: wait, or use ROTATE NOW");
    }
    if (err == HL_OK) {
        err = store_put_keyring(ctx, ring);
    }
    if (err != HL_OK) {
        return hl_fail(msg, err, "cannot make a signing key");
    }
    follow(ctx);
    RedisModule_Log(ctx, "notice", "signing key %s is %s", kid,
                    how == ENTER_NEXT ? "published" : "active");
    return HL_OK;
}

hl_err access_ready(RedisModuleCtx *ctx, struct hl_errmsg *msg)
{
    struct keyring_record ring;
    char kid[JWS_KID_LEN + 1];
    follow(ctx);
    if (keys.active != NULL) {
        return HL_OK;
    }
    hl_err err = access_ring(ctx, &ring);
    if (err != HL_OK || made != HL_OK) {
        return hl_fail(msg, HL_ECORRUPT, "the key ring in auth:keys is damaged");
    }
    err = need_kek(&ring, msg);
    if (err != HL_OK) {
        return err;
    }
    if (ring.count == 0) {
        return add_key(ctx, &ring, (enum jws_alg)settings()->algorithm, ENTER_FIRST, kid, msg);
    }
    follow(ctx);
    return keys.active != NULL ? HL_OK : hl_fail(msg, HL_ECORRUPT, "auth:keys holds no active key");
}

static hl_err change_ring(RedisModuleCtx *ctx, enum jws_alg alg, enum entrance how,
                          char kid[JWS_KID_LEN + 1], struct hl_errmsg *msg)
{
    struct keyring_record ring;
    hl_err err = access_ring(ctx, &ring);
    if (err != HL_OK) {
        return hl_fail(msg, err, "the key ring in auth:keys is damaged");
    }
    err = need_kek(&ring, msg);
    return err == HL_OK ? add_key(ctx, &ring, alg, how, kid, msg) : err;
}

hl_err access_rotate(RedisModuleCtx *ctx, enum jws_alg alg, bool at_once, char kid[JWS_KID_LEN + 1],
                     struct hl_errmsg *msg)
{
    return change_ring(ctx, alg, at_once ? ENTER_ALONE : ENTER_ACTIVE, kid, msg);
}

hl_err access_plan(RedisModuleCtx *ctx, enum jws_alg alg, char kid[JWS_KID_LEN + 1],
                   struct hl_errmsg *msg)
{
    return change_ring(ctx, alg, ENTER_NEXT, kid, msg);
}

/* Whether the active key has lived so long that its successor should be published. */
static bool successor_due(const struct keyring_record *ring, int64_t now_ms)
{
    int64_t lifetime_ms = settings()->key_lifetime_s * 1000;
    int64_t since_ms = INT64_MAX;
    for (size_t i = 0; i < ring->count; i++) {
        if (ring->keys[i].state == KEY_NEXT) {
            return false;
        }
        if (ring->keys[i].state == KEY_ACTIVE) {
            since_ms = ring->keys[i].active_ms;
        }
    }
    return lifetime_ms != 0 && since_ms <= now_ms && now_ms - since_ms >= lifetime_ms &&
           now_ms >= retry_ms;
}

bool access_due(RedisModuleCtx *ctx)
{
    int64_t now_ms = RedisModule_Milliseconds();
    struct keyring_record ring;
    if (access_ring(ctx, &ring) != HL_OK) {
        return false;
    }
    return successor_due(&ring, now_ms) || keyring_advance(&ring, now_ms, verify_ms());
}

void access_advance(RedisModuleCtx *ctx)
{
    int64_t now_ms = RedisModule_Milliseconds();
    struct keyring_record ring;
    struct hl_errmsg msg = {0};
    char kid[JWS_KID_LEN + 1];
    if (access_ring(ctx, &ring) != HL_OK) {
        return;
    }
    if (keyring_advance(&ring, now_ms, verify_ms()) && store_put_keyring(ctx, &ring) == HL_OK) {
        RedisModule_Log(ctx, "notice", "the signing keys changed: %zu are published", ring.count);
    }
    if (successor_due(&ring, now_ms) &&
        access_plan(ctx, (enum jws_alg)settings()->algorithm, kid, &msg) != HL_OK) {
        RedisModule_Log(ctx, "warning", "no successor of the signing key: %s", msg.text);
        retry_ms = now_ms + RETRY_MS;
    }
}

hl_err access_issue(struct hl_buf *out, const struct user_record *user,
                    const unsigned char sid[TOKEN_ID_LEN], int64_t now_ms)
{
    HL_ASSERT(keys.active != NULL);
    struct token_claims claims = {.role_count = user->role_count, .cv = user->cv};
    struct token_policy policy = settings_policy();
    unsigned char jti[TOKEN_ID_LEN];
    hl_err err = seal_random(jti, sizeof jti);
    if (err != HL_OK) {
        return err;
    }
    hl_hex_format(claims.sub, user->id, TOKEN_ID_LEN);
    hl_hex_format(claims.sid, sid, TOKEN_ID_LEN);
    hl_hex_format(claims.jti, jti, TOKEN_ID_LEN);
    memcpy(claims.name, user->name, sizeof claims.name);
    memcpy(claims.roles, user->roles, sizeof claims.roles);
    claims.iat_s = claims.nbf_s = now_ms / 1000;
    claims.exp_s = claims.iat_s + settings()->token_ttl_s;
    return token_issue(out, keys.active, &policy, &claims);
}

/* The error for a verdict of the token's own checks. */
static const char *refusal(enum token_verdict verdict, const char *reason)
{
    static char text[128];
    const char *code = verdict == TOKEN_EXPIRED ? "TOKENEXPIRED" : "TOKENINVALID";
    snprintf(text, sizeof text, "%s the token is %s", code, reason);
    return text;
}

/* Empty the cache when what it was checked against is not what is in force (C2). */
static void trust_cache(const struct settings *now, int64_t now_ms)
{
    bool same = strcmp(cache_with.issuer, now->issuer) == 0 &&
                strcmp(cache_with.audience, now->audience) == 0;
    if (cache.slots != NULL && same && now_ms < cache_until_ms) {
        return;
    }
    token_cache_fini(&cache);
    cache_with = *now;
    cache_until_ms = INT64_MAX;
    for (size_t i = 0; i < keys.count; i++) {
        if (keys.verify_until_ms[i] > now_ms && keys.verify_until_ms[i] < cache_until_ms) {
            cache_until_ms = keys.verify_until_ms[i];
        }
    }
}

/* The token's own checks: signature, claims, times. */
static enum token_verdict check_token(struct hl_slice token, struct token_claims *claims,
                                      const char **reason, int64_t now_ms)
{
    struct jws_key *view[RECORD_KEYS_MAX];
    struct token_policy policy = settings_policy();
    unsigned char digest[SEAL_DIGEST_LEN];
    if (token.len <= JWS_TOKEN_MAX) { /* a longer one is refused without looking at it */
        trust_cache(settings(), now_ms);
        seal_digest(digest, token);
        if (token_cache_get(&cache, digest, claims)) {
            return token_judge_time(claims, reason, &policy, now_ms / 1000);
        }
    }
    size_t count = keyset_view(&keys, now_ms, view);
    enum token_verdict verdict =
        token_check(claims, reason, token, view, count, &policy, now_ms / 1000);
    if (verdict == TOKEN_GOOD) {
        token_cache_put(&cache, digest, claims);
    }
    return verdict;
}

const char *access_alive(RedisModuleCtx *ctx, const char *name, const unsigned char *user_id,
                         const unsigned char *sid, uint64_t cv, struct access *out)
{
    if (store_get_user(ctx, name, &out->user) != HL_OK ||
        memcmp(out->user.id, user_id, TOKEN_ID_LEN) != 0) {
        return "TOKENREVOKED the user does not exist any more";
    }
    if (out->user.disabled) {
        return "TOKENREVOKED the user is disabled";
    }
    if (cv != out->user.cv || store_get_session(ctx, sid, &out->session) != HL_OK ||
        !session_alive(&out->session, &out->user, RedisModule_Milliseconds())) {
        return "TOKENREVOKED the session has ended";
    }
    return NULL;
}

bool access_may_have_signed(RedisModuleCtx *ctx, int64_t issued_ms)
{
    int64_t now_ms = RedisModule_Milliseconds();
    int64_t oldest_ms = INT64_MAX;
    struct keyring_record ring;
    if (access_ring(ctx, &ring) != HL_OK) {
        return false;
    }
    for (size_t i = 0; i < ring.count; i++) {
        const struct keyring_entry *key = &ring.keys[i];
        bool verifies = key->state != KEY_RETIRED || key->verify_until_ms > now_ms;
        if (verifies && key->created_ms < oldest_ms) {
            oldest_ms = key->created_ms;
        }
    }
    return oldest_ms != INT64_MAX && issued_ms + 1000 + settings()->clock_skew_s * 1000 > oldest_ms;
}

const char *access_check(RedisModuleCtx *ctx, struct hl_slice token, struct access *out)
{
    const char *reason = NULL;
    int64_t now_ms = RedisModule_Milliseconds();
    unsigned char sid[TOKEN_ID_LEN];
    unsigned char id[TOKEN_ID_LEN];
    follow(ctx);
    enum token_verdict verdict = check_token(token, &out->claims, &reason, now_ms);
    if (verdict != TOKEN_GOOD) {
        return refusal(verdict, reason);
    }
    if (!hl_hex_parse(hl_slice_of(out->claims.sid), sid, sizeof sid) ||
        !hl_hex_parse(hl_slice_of(out->claims.sub), id, sizeof id)) {
        return "TOKENINVALID the token's ids are malformed";
    }
    return access_alive(ctx, out->claims.name, id, sid, out->claims.cv, out);
}
