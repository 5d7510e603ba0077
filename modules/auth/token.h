/* Access tokens: the claims inside a signed token, and the policy that they must meet.
 *
 * Payload members, all required: iss, aud, sub (user id), name, jti, sid (session) as strings;
 * roles as an array of strings; iat, nbf, exp (seconds since the epoch) and cv (credential
 * version) as integers.  A member that is none of these is ignored.
 */
#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include "jws.h"
#include "password.h"

#define TOKEN_ID_LEN 16 /* bytes of sub, jti and sid; twice as many hexadecimal digits in text */
#define TOKEN_ID_TEXT (2 * TOKEN_ID_LEN + 1)
#define TOKEN_ROLES_MAX 16
#define TOKEN_ROLE_MAX 32 /* bytes */
#define TOKEN_SKEW_MAX_S 60
#define TOKEN_ISSUER_MAX 128

struct token_claims {
    char sub[TOKEN_ID_TEXT];
    char name[USER_NAME_MAX + 1];
    char jti[TOKEN_ID_TEXT];
    char sid[TOKEN_ID_TEXT];
    size_t role_count;
    char roles[TOKEN_ROLES_MAX][TOKEN_ROLE_MAX + 1];
    int64_t iat_s, nbf_s, exp_s;
    uint64_t cv; /* at most INT64_MAX */
};

struct token_policy {
    const char *issuer, *audience; /* compared byte by byte */
    int64_t skew_s;                /* 0..TOKEN_SKEW_MAX_S of clock difference forgiven */
};

enum token_verdict {
    TOKEN_GOOD,
    TOKEN_REFUSED,      /* the signature's side; the reason says which */
    TOKEN_BAD_CLAIMS,   /* signed by us, but a claim is missing, ill-typed or out of bounds */
    TOKEN_WRONG_ISSUER, /* or the audience */
    TOKEN_EXPIRED,
    TOKEN_NOT_YET, /* nbf or iat lie ahead */
};

/* NULL when `role` may be given to a user, else what is wrong with it. */
const char *token_role_objection(struct hl_slice role);

/* Append a token of `claims` signed by `key`.  Errors as jws_sign(); `out` is then unchanged. */
HL_MUST_USE hl_err token_issue(struct hl_buf *out, const struct jws_key *key,
                               const struct token_policy *policy,
                               const struct token_claims *claims);

/* Check `token` (any bytes) at `now_s`.  *claims is written only when the answer is TOKEN_GOOD;
 * *reason, a clause that lives for ever, always. */
HL_MUST_USE enum token_verdict token_check(struct token_claims *claims, const char **reason,
                                           struct hl_slice token, struct jws_key *const *keys,
                                           size_t count, const struct token_policy *policy,
                                           int64_t now_s);

/* What of token_judge() depends on the moment, for claims that were good before: TOKEN_GOOD,
 * TOKEN_EXPIRED or TOKEN_NOT_YET. */
HL_MUST_USE enum token_verdict token_judge_time(const struct token_claims *claims,
                                                const char **reason,
                                                const struct token_policy *policy, int64_t now_s);

/* The half of token_check() behind the signature: judge a payload's JSON.  Public for fuzzing. */
HL_MUST_USE enum token_verdict token_judge(struct token_claims *claims, const char **reason,
                                           struct hl_slice payload,
                                           const struct token_policy *policy, int64_t now_s);

#endif
