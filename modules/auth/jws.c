/* Signing and verifying compact JWS on the keys of jws_key.c; invariants J1 to J5 are in jws.h. */
#include "jws.h"

#include "jws_key.h"

#include "kit/assert.h"
#include "kit/base64.h"

#include <jansson.h>

/* A token's three parts, borrowed from it. */
struct parts {
    struct hl_slice header, payload, signature;
    struct hl_slice signed_text; /* header, dot, payload */
};

const char *jws_verdict_text(enum jws_verdict verdict)
{
    switch (verdict) {
    case JWS_GOOD:
        return "good";
    case JWS_TOO_LONG:
        return "longer than any token";
    case JWS_MALFORMED:
        return "not a token";
    case JWS_UNKNOWN_KEY:
        return "signed with an unknown key";
    case JWS_WRONG_ALG:
        return "not the key's algorithm";
    case JWS_WRONG_TYPE:
        return "not an access token";
    case JWS_BAD_SIGNATURE:
        return "bad signature";
    }
    HL_ASSERT(!"a verdict of the enum");
    return "";
}

/* Cut `token` at its two dots; false unless there are exactly two and no part is empty. */
static bool split(struct hl_slice token, struct parts *out)
{
    const char *end = token.ptr + token.len;
    const char *first = token.len == 0 ? NULL : memchr(token.ptr, '.', token.len);
    const char *second = first == NULL ? NULL : memchr(first + 1, '.', (size_t)(end - first - 1));
    if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL) {
        return false;
    }
    out->header = (struct hl_slice){token.ptr, (size_t)(first - token.ptr)};
    out->payload = (struct hl_slice){first + 1, (size_t)(second - first - 1)};
    out->signature = (struct hl_slice){second + 1, (size_t)(end - second - 1)};
    out->signed_text = (struct hl_slice){token.ptr, (size_t)(second - token.ptr)};
    return out->header.len != 0 && out->payload.len != 0 && out->signature.len != 0;
}

/* The header's member as text, or NULL when it is missing or no string. */
static const char *header_text(const json_t *header, const char *member)
{
    return json_string_value(json_object_get(header, member));
}

/* Find the key that a header names (J1, J2, J3). */
static enum jws_verdict judge_header(const json_t *header, struct jws_key *const *keys,
                                     size_t count, const struct jws_key **out)
{
    const char *alg = header_text(header, "alg");
    const char *kid = header_text(header, "kid");
    const char *typ = header_text(header, "typ");
    if (alg == NULL || kid == NULL || typ == NULL || json_object_size(header) != 3) {
        return JWS_MALFORMED;
    }
    if (strcmp(typ, JWS_TYPE) != 0) {
        return JWS_WRONG_TYPE;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(jws_key_kid(keys[i]), kid) == 0) {
            if (strcmp(alg, jws_alg_name(jws_key_alg(keys[i]))) != 0) {
                return JWS_WRONG_ALG;
            }
            *out = keys[i];
            return JWS_GOOD;
        }
    }
    return JWS_UNKNOWN_KEY;
}

/* Decode and judge the header text. */
static enum jws_verdict find_key(struct hl_slice text, struct jws_key *const *keys, size_t count,
                                 const struct jws_key **out)
{
    unsigned char bytes[HL_BASE64URL_BYTES(JWS_TOKEN_MAX)];
    size_t len = 0;
    if (!hl_base64url_decode(text, bytes, sizeof bytes, &len)) {
        return JWS_MALFORMED;
    }
    json_t *header = json_loadb((const char *)bytes, len, JSON_REJECT_DUPLICATES, NULL);
    enum jws_verdict verdict =
        json_is_object(header) ? judge_header(header, keys, count, out) : JWS_MALFORMED;
    json_decref(header);
    return verdict;
}

enum jws_verdict jws_verify(struct hl_buf *payload, struct hl_slice token,
                            struct jws_key *const *keys, size_t count)
{
    struct parts parts;
    const struct jws_key *key = NULL;
    if (token.len > JWS_TOKEN_MAX) {
        return JWS_TOO_LONG;
    }
    if (!split(token, &parts)) {
        return JWS_MALFORMED;
    }
    enum jws_verdict verdict = find_key(parts.header, keys, count, &key);
    if (verdict != JWS_GOOD) {
        return verdict;
    }
    HL_ASSERT(key != NULL);
    unsigned char signature[JWS_SIGNATURE_MAX];
    unsigned char body[HL_BASE64URL_BYTES(JWS_TOKEN_MAX)];
    size_t signature_len = 0;
    size_t body_len = 0;
    if (!hl_base64url_decode(parts.signature, signature, sizeof signature, &signature_len) ||
        !hl_base64url_decode(parts.payload, body, sizeof body, &body_len)) {
        return JWS_MALFORMED;
    }
    if (!jws_key_verify(key, parts.signed_text, signature, signature_len)) {
        return JWS_BAD_SIGNATURE;
    }
    hl_buf_append(payload, body, body_len);
    return JWS_GOOD;
}

hl_err jws_sign(struct hl_buf *out, const struct jws_key *key, struct hl_slice payload)
{
    if (!jws_key_signs(key)) {
        return HL_EINVAL;
    }
    if (payload.len > JWS_TOKEN_MAX) {
        return HL_ELIMIT;
    }
    struct hl_buf header = {0};
    struct hl_buf text = {0};
    unsigned char signature[JWS_SIGNATURE_MAX];
    size_t signature_len = 0;
    hl_buf_printf(&header, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"" JWS_TYPE "\"}",
                  jws_alg_name(jws_key_alg(key)), jws_key_kid(key));
    hl_base64url_append(&text, header.ptr, header.len);
    hl_buf_append_text(&text, ".");
    hl_base64url_append(&text, payload.ptr, payload.len);
    hl_err err = jws_key_sign(key, hl_buf_view(&text), signature, &signature_len);
    if (err == HL_OK) {
        hl_buf_append_text(&text, ".");
        hl_base64url_append(&text, signature, signature_len);
        err = text.len > JWS_TOKEN_MAX ? HL_ELIMIT : HL_OK;
    }
    if (err == HL_OK) {
        hl_buf_append_slice(out, hl_buf_view(&text));
    }
    hl_buf_fini(&header);
    hl_buf_fini(&text);
    return err;
}
