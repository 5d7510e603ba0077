/* What other modules are offered: helios/auth_service.h. */
#include "service.h"

#include "access.h"
#include "keyed.h"
#include "settings.h"
#include "stats.h"
#include "store.h"

#include "helios/auth_service.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/base64.h"

#include <stdio.h>

HL_STATIC(HELIOS_AUTH_ID_MAX + 1 == TOKEN_ID_TEXT);
HL_STATIC(HELIOS_AUTH_NAME_MAX == USER_NAME_MAX);
HL_STATIC(HELIOS_AUTH_ROLES_MAX == TOKEN_ROLES_MAX);
HL_STATIC(HELIOS_AUTH_ROLE_MAX == TOKEN_ROLE_MAX);
HL_STATIC(HELIOS_AUTH_SCOPES_MAX == RECORD_SCOPES_MAX);
HL_STATIC(HELIOS_AUTH_SCOPE_MAX == RECORD_SCOPE_MAX);

/* Split an error of ours, "CODE text", and say which constant its code is. */
static int refuse(const char *error, HeliosAuthRefusal *out)
{
    size_t code = strcspn(error, " ");
    HL_ASSERT(error[code] == ' ');
    if (out != NULL) {
        snprintf(out->code, sizeof out->code, "%.*s", (int)code, error);
        snprintf(out->text, sizeof out->text, "%s", error + code + 1);
    }
    return strncmp(error, "TOKENEXPIRED", code) == 0   ? HELIOS_AUTH_EXPIRED
           : strncmp(error, "TOKENREVOKED", code) == 0 ? HELIOS_AUTH_REVOKED
                                                       : HELIOS_AUTH_INVALID;
}

static void describe_token(HeliosAuthIdentity *out, const struct access *access)
{
    *out = (HeliosAuthIdentity){.kind = HELIOS_AUTH_TOKEN,
                                .issued_ms = access->claims.iat_s * 1000,
                                .expires_ms = access->claims.exp_s * 1000,
                                .credential_version = access->claims.cv,
                                .role_count = access->user.role_count};
    memcpy(out->user_id, access->claims.sub, sizeof out->user_id);
    memcpy(out->name, access->claims.name, sizeof out->name);
    memcpy(out->token_id, access->claims.jti, sizeof out->token_id);
    memcpy(out->session, access->claims.sid, sizeof out->session);
    memcpy(out->roles, access->user.roles, sizeof out->roles);
}

static void describe_key(HeliosAuthIdentity *out, const struct keyed *keyed)
{
    *out = (HeliosAuthIdentity){.kind = HELIOS_AUTH_API_KEY,
                                .issued_ms = keyed->key.created_ms,
                                .expires_ms = keyed->key.expires_ms,
                                .credential_version = keyed->user.cv,
                                .role_count = keyed->user.role_count,
                                .scope_count = keyed->key.scope_count};
    hl_hex_format(out->user_id, keyed->user.id, TOKEN_ID_LEN);
    hl_hex_format(out->token_id, keyed->key.id, RECORD_APIKEY_LEN);
    memcpy(out->name, keyed->user.name, sizeof out->name);
    memcpy(out->roles, keyed->user.roles, sizeof out->roles);
    memcpy(out->scopes, keyed->key.scopes, sizeof out->scopes);
}

static const char *identify_key(RedisModuleCtx *ctx, struct hl_slice text, HeliosAuthIdentity *out)
{
    struct keyed *keyed = hl_calloc(1, sizeof *keyed);
    const char *error = keyed_check(ctx, text, keyed);
    if (error == NULL) {
        describe_key(out, keyed);
    }
    hl_free(keyed);
    return error;
}

static const char *identify_token(RedisModuleCtx *ctx, struct hl_slice text,
                                  HeliosAuthIdentity *out)
{
    struct access *access = hl_calloc(1, sizeof *access);
    const char *error = access_check(ctx, text, access);
    if (error == NULL) {
        describe_token(out, access);
    }
    hl_free(access);
    return error;
}

static int identify(RedisModuleCtx *ctx, const char *credential, size_t len,
                    HeliosAuthIdentity *out, HeliosAuthRefusal *refusal)
{
    struct hl_slice text = {credential, len};
    const char *error =
        apikey_looks_so(text) ? identify_key(ctx, text, out) : identify_token(ctx, text, out);
    stats()->verifications++;
    stats()->verification_failures += error != NULL;
    return error == NULL ? HELIOS_AUTH_GOOD : refuse(error, refusal);
}

/* Whether the moment up to which an identity is good lies ahead. */
static bool in_time(const HeliosAuthIdentity *identity)
{
    int64_t skew_ms = settings()->clock_skew_s * 1000;
    return identity->expires_ms == 0 || RedisModule_Milliseconds() < identity->expires_ms + skew_ms;
}

static bool key_stands(RedisModuleCtx *ctx, const HeliosAuthIdentity *identity)
{
    unsigned char id[RECORD_APIKEY_LEN];
    if (!hl_hex_parse(hl_slice_of(identity->token_id), id, sizeof id)) {
        return false;
    }
    struct keyed *keyed = hl_calloc(1, sizeof *keyed);
    bool alive = keyed_alive(ctx, id, keyed) == NULL;
    hl_free(keyed);
    return alive;
}

static bool token_stands(RedisModuleCtx *ctx, const HeliosAuthIdentity *identity)
{
    unsigned char sid[TOKEN_ID_LEN];
    unsigned char id[TOKEN_ID_LEN];
    if (!in_time(identity) || !access_may_have_signed(ctx, identity->issued_ms) ||
        !hl_hex_parse(hl_slice_of(identity->session), sid, sizeof sid) ||
        !hl_hex_parse(hl_slice_of(identity->user_id), id, sizeof id)) {
        return false;
    }
    struct access *access = hl_calloc(1, sizeof *access);
    bool alive =
        access_alive(ctx, identity->name, id, sid, identity->credential_version, access) == NULL;
    hl_free(access);
    return alive;
}

static int stands(RedisModuleCtx *ctx, const HeliosAuthIdentity *identity)
{
    return identity->kind == HELIOS_AUTH_API_KEY ? key_stands(ctx, identity)
           : identity->kind == HELIOS_AUTH_TOKEN ? token_stands(ctx, identity)
                                                 : 0;
}

static int scope_allows(const HeliosAuthIdentity *identity, const char *permission, const char *key,
                        size_t key_len)
{
    struct hl_slice bytes = {key, key_len};
    for (size_t i = 0; i < identity->scope_count && i < HELIOS_AUTH_SCOPES_MAX; i++) {
        struct hl_slice scope = hl_slice_of(identity->scopes[i]);
        if (record_scope_ok(scope) &&
            apikey_scope_covers(scope, hl_slice_of(permission), key != NULL ? &bytes : NULL)) {
            return 1;
        }
    }
    return identity->scope_count == 0;
}

void service_load(RedisModuleCtx *ctx)
{
    static const HeliosAuthService service = {.struct_size = sizeof service,
                                              .identify = identify,
                                              .stands = stands,
                                              .epoch = store_epoch,
                                              .scope_allows = scope_allows};
    if (RedisModule_ExportSharedAPI == NULL ||
        RedisModule_ExportSharedAPI(ctx, HELIOS_AUTH_SERVICE, (void *)&service) != REDISMODULE_OK) {
        RedisModule_Log(ctx, "warning", "cannot offer %s to other modules", HELIOS_AUTH_SERVICE);
    }
}
