/* What the module auth offers to other modules: whose credential is this, and does it still stand?
 *
 *   static const HeliosAuthService *auth;
 *   ...
 *   auth = RedisModule_GetSharedAPI(ctx, HELIOS_AUTH_SERVICE);   // NULL: auth is not loaded
 *   HeliosAuthIdentity who;
 *   HeliosAuthRefusal refusal;
 *   if (auth->identify(ctx, bearer, bearer_len, &who, &refusal) != HELIOS_AUTH_GOOD) {
 *       ... 401, refusal.code and refusal.text say why and hold nothing secret
 *   }
 *
 * For a request that is over soon this is all.  Whoever serves a client for longer (a WebSocket, a
 * stream) keeps the identity, never the credential, and looks at the epoch, which costs one load:
 *
 *   if (auth->epoch() != seen) {          // any thread: something was revoked, somewhere
 *       seen = auth->epoch();             // before asking, so that nothing is missed
 *       if (!auth->stands(ctx, &who)) {   // on the server's thread
 *           ... end the connection
 *       }
 *   }                                     // and end it at who.expires_ms, too, if that is not 0
 *
 * Every node answers from its own state: a revocation holds on a follower as soon as it applied it,
 * within a second while it hears its leader.  While a module uses the service, auth cannot be
 * unloaded.
 */
#ifndef HELIOS_AUTH_SERVICE_H
#define HELIOS_AUTH_SERVICE_H

#include "helios/module_types.h"

#include <stddef.h>
#include <stdint.h>

#define HELIOS_AUTH_SERVICE "helios.auth"

/* Bounds of an identity; texts end with a NUL that is not counted. */
#define HELIOS_AUTH_ID_MAX 32
#define HELIOS_AUTH_NAME_MAX 64
#define HELIOS_AUTH_ROLES_MAX 16
#define HELIOS_AUTH_ROLE_MAX 32
#define HELIOS_AUTH_SCOPES_MAX 16
#define HELIOS_AUTH_SCOPE_MAX 64

/* What identify() returns. */
#define HELIOS_AUTH_GOOD 0
#define HELIOS_AUTH_INVALID 1 /* no credential of ours: malformed, forged, for somebody else */
#define HELIOS_AUTH_EXPIRED 2 /* it was good until a moment in the past */
#define HELIOS_AUTH_REVOKED 3 /* its session, its key or its user has ended, or is disabled */

/* What a credential is. */
#define HELIOS_AUTH_TOKEN 1   /* a signed access token (JWT) of a session */
#define HELIOS_AUTH_API_KEY 2 /* a long-lived key, perhaps with scopes */

/* Somebody, as plain values: may be copied, and read on any thread.  Holds nothing secret. */
typedef struct HeliosAuthIdentity {
    int kind;                              /* HELIOS_AUTH_TOKEN or HELIOS_AUTH_API_KEY */
    char user_id[HELIOS_AUTH_ID_MAX + 1];  /* hexadecimal */
    char name[HELIOS_AUTH_NAME_MAX + 1];   /* of the user */
    char token_id[HELIOS_AUTH_ID_MAX + 1]; /* jti of the token, or the id of the API key */
    char session[HELIOS_AUTH_ID_MAX + 1];  /* "" for an API key */
    int64_t issued_ms;                     /* all moments since the epoch */
    int64_t expires_ms;                    /* 0: never */
    uint64_t credential_version;           /* rises when passwords change, users are disabled */
    size_t role_count;                     /* as they are now, not when the token was issued */
    char roles[HELIOS_AUTH_ROLES_MAX][HELIOS_AUTH_ROLE_MAX + 1];
    size_t scope_count; /* 0: all that the user may */
    char scopes[HELIOS_AUTH_SCOPES_MAX][HELIOS_AUTH_SCOPE_MAX + 1];
} HeliosAuthIdentity;

/* Why a credential was refused, for an answer to the client. */
typedef struct HeliosAuthRefusal {
    char code[16];  /* TOKENINVALID, TOKENEXPIRED, TOKENREVOKED: as AUTH.VERIFY answers */
    char text[112]; /* a sentence without the code */
} HeliosAuthRefusal;

typedef struct HeliosAuthService {
    size_t struct_size; /* of the version that is offered; later ones only add behind */

    /* Whose credential are these `len` bytes: an access token, or an API key?  Any bytes are
     * allowed.  HELIOS_AUTH_GOOD with *out filled, or another of the constants, *out untouched and
     * *refusal filled (it may be NULL).  On the server's thread, or with its lock held by `ctx`.
     * Some microseconds when the token was seen before, a hundred for a signature. */
    int (*identify)(RedisModuleCtx *ctx, const char *credential, size_t len,
                    HeliosAuthIdentity *out, HeliosAuthRefusal *refusal);

    /* 1 while the identity would still be given out: its session or key lives, its user is enabled
     * at the same credential version, it has not expired, and no key was taken out of use at once
     * (AUTH.ROTATE NOW) after it was issued, give or take auth.clock-skew.  Roles may have changed.
     * As identify(), on the server's thread. */
    int (*stands)(RedisModuleCtx *ctx, const HeliosAuthIdentity *identity);

    /* A number that changes whenever an identity may have ceased to stand; expiry alone does not
     * change it.  Any thread. */
    uint64_t (*epoch)(void);

    /* 1 when the identity's scopes leave `permission` ("kv:get", NUL-terminated) on `key` (NULL: no
     * key is in question) to what its user may; 0 when they take it away.  Always 1 without
     * scopes.  Ask the module rbac as well: a scope narrows and never grants.  Any thread. */
    int (*scope_allows)(const HeliosAuthIdentity *identity, const char *permission, const char *key,
                        size_t key_len);
} HeliosAuthService;

#endif
