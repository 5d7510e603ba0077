/* Claims to JSON and back, with every bound checked on both sides. */
#include "token.h"

#include "kit/assert.h"
#include "kit/base64.h"

#include <jansson.h>

const char *token_role_objection(struct hl_slice role)
{
    if (role.len == 0 || role.len > TOKEN_ROLE_MAX) {
        return "a role has 1 to 32 bytes";
    }
    return user_name_objection(role) == NULL ? NULL : "a role holds letters, digits and . _ - @ +";
}

static json_t *payload_of(const struct token_policy *policy, const struct token_claims *claims)
{
    json_t *roles = json_array();
    for (size_t i = 0; i < claims->role_count; i++) {
        json_array_append_new(roles, json_string(claims->roles[i]));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I}", "iss",
                     policy->issuer, "aud", policy->audience, "sub", claims->sub, "name",
                     claims->name, "jti", claims->jti, "sid", claims->sid, "roles", roles, "iat",
                     (json_int_t)claims->iat_s, "nbf", (json_int_t)claims->nbf_s, "exp",
                     (json_int_t)claims->exp_s, "cv", (json_int_t)claims->cv);
}

hl_err token_issue(struct hl_buf *out, const struct jws_key *key, const struct token_policy *policy,
                   const struct token_claims *claims)
{
    HL_ASSERT(claims->role_count <= TOKEN_ROLES_MAX);
    HL_ASSERT(claims->cv <= INT64_MAX);
    json_t *payload = payload_of(policy, claims);
    char *text = payload == NULL ? NULL : json_dumps(payload, JSON_COMPACT);
    json_decref(payload);
    if (text == NULL) {
        return HL_ENOMEM;
    }
    hl_err err = jws_sign(out, key, hl_slice_of(text));
    free(text);
    return err;
}

/* Copy a string member of at most `cap` - 1 bytes; false when it is missing, no string or longer.
 * jansson refuses NUL inside strings, so the length is strlen()'s. */
static bool read_text(const json_t *payload, const char *member, char *out, size_t cap)
{
    const json_t *value = json_object_get(payload, member);
    size_t len = json_string_length(value);
    if (!json_is_string(value) || len >= cap) {
        return false;
    }
    memcpy(out, json_string_value(value), len + 1);
    return true;
}

/* Read an identifier: TOKEN_ID_LEN bytes in lower-case hexadecimal. */
static bool read_id(const json_t *payload, const char *member, char out[TOKEN_ID_TEXT])
{
    unsigned char bytes[TOKEN_ID_LEN];
    return read_text(payload, member, out, TOKEN_ID_TEXT) &&
           hl_hex_parse(hl_slice_of(out), bytes, sizeof bytes);
}

/* Read a whole number, 0 or more. */
static bool read_count(const json_t *payload, const char *member, int64_t *out)
{
    const json_t *value = json_object_get(payload, member);
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *out = json_integer_value(value);
    return true;
}

static bool read_roles(const json_t *payload, struct token_claims *claims)
{
    const json_t *roles = json_object_get(payload, "roles");
    if (!json_is_array(roles) || json_array_size(roles) > TOKEN_ROLES_MAX) {
        return false;
    }
    claims->role_count = json_array_size(roles);
    for (size_t i = 0; i < claims->role_count; i++) {
        const json_t *role = json_array_get(roles, i);
        size_t len = json_string_length(role);
        if (!json_is_string(role) ||
            token_role_objection((struct hl_slice){json_string_value(role), len}) != NULL) {
            return false;
        }
        memcpy(claims->roles[i], json_string_value(role), len + 1);
    }
    return true;
}

static bool read_claims(const json_t *payload, struct token_claims *claims)
{
    int64_t cv = 0;
    bool good = read_id(payload, "sub", claims->sub) && read_id(payload, "jti", claims->jti) &&
                read_id(payload, "sid", claims->sid) &&
                read_text(payload, "name", claims->name, sizeof claims->name) &&
                user_name_objection(hl_slice_of(claims->name)) == NULL &&
                read_count(payload, "iat", &claims->iat_s) &&
                read_count(payload, "nbf", &claims->nbf_s) &&
                read_count(payload, "exp", &claims->exp_s) && read_count(payload, "cv", &cv) &&
                read_roles(payload, claims);
    claims->cv = (uint64_t)cv;
    return good;
}

static bool is_text(const json_t *payload, const char *member, const char *expected)
{
    const char *value = json_string_value(json_object_get(payload, member));
    return value != NULL && strcmp(value, expected) == 0;
}

/* Whether the moment `at_s` is more than `skew_s` after `now_s`. */
static bool lies_ahead(int64_t at_s, int64_t now_s, int64_t skew_s)
{
    return at_s > now_s && at_s - now_s > skew_s;
}

enum token_verdict token_judge_time(const struct token_claims *claims, const char **reason,
                                    const struct token_policy *policy, int64_t now_s)
{
    if (lies_ahead(claims->nbf_s, now_s, policy->skew_s) ||
        lies_ahead(claims->iat_s, now_s, policy->skew_s)) {
        *reason = "not valid yet";
        return TOKEN_NOT_YET;
    }
    if (now_s >= claims->exp_s && now_s - claims->exp_s >= policy->skew_s) {
        *reason = "expired";
        return TOKEN_EXPIRED;
    }
    *reason = "good";
    return TOKEN_GOOD;
}

/* Judge a parsed payload; the order of the tests is the order of the answers' usefulness. */
static enum token_verdict judge(struct token_claims *claims, const char **reason,
                                const json_t *payload, const struct token_policy *policy,
                                int64_t now_s)
{
    if (!json_is_object(payload) || !read_claims(payload, claims)) {
        *reason = "a claim is missing or malformed";
        return TOKEN_BAD_CLAIMS;
    }
    if (!is_text(payload, "iss", policy->issuer) || !is_text(payload, "aud", policy->audience)) {
        *reason = "issued by or for somebody else";
        return TOKEN_WRONG_ISSUER;
    }
    return token_judge_time(claims, reason, policy, now_s);
}

enum token_verdict token_judge(struct token_claims *claims, const char **reason,
                               struct hl_slice payload, const struct token_policy *policy,
                               int64_t now_s)
{
    HL_ASSERT(policy->skew_s >= 0 && policy->skew_s <= TOKEN_SKEW_MAX_S);
    HL_ASSERT(now_s >= 0);
    struct token_claims read = {0};
    json_t *json = payload.len > JWS_TOKEN_MAX
                       ? NULL
                       : json_loadb(payload.len == 0 ? "" : payload.ptr, payload.len,
                                    JSON_REJECT_DUPLICATES, NULL);
    enum token_verdict verdict = judge(&read, reason, json, policy, now_s);
    json_decref(json);
    if (verdict == TOKEN_GOOD) {
        *claims = read;
    }
    return verdict;
}

enum token_verdict token_check(struct token_claims *claims, const char **reason,
                               struct hl_slice token, struct jws_key *const *keys, size_t count,
                               const struct token_policy *policy, int64_t now_s)
{
    struct hl_buf payload = {0};
    enum jws_verdict signature = jws_verify(&payload, token, keys, count);
    enum token_verdict verdict = TOKEN_REFUSED;
    *reason = jws_verdict_text(signature);
    if (signature == JWS_GOOD) {
        verdict = token_judge(claims, reason, hl_buf_view(&payload), policy, now_s);
    }
    hl_buf_fini(&payload);
    return verdict;
}
