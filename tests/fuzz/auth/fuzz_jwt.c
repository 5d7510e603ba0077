/* Goal: no bytes crash the reading of tokens, and no bytes become a token unless we signed them.
 *
 * The first byte chooses: whole tokens (the keys are fixed, their private halves unknown to the
 * input), payloads as if their signature had verified, headers signed for real, refresh tokens.
 */
#include "auth/jws_key.h"
#include "auth/session.h"
#include "auth/token.h"

#include "kit/assert.h"
#include "kit/base64.h"

static const struct token_policy policy = {"helios", "helios", 60};
static struct jws_key *keys[3];

static void setup(void)
{
    static const enum jws_alg all[] = {JWS_ES256, JWS_EDDSA, JWS_HS256};
    for (size_t i = 0; i < 3 && keys[i] == NULL; i++) {
        struct jws_material material;
        HL_ASSERT(jws_generate(&material, all[i]) == HL_OK);
        memcpy(material.kid, "0123456789abcde0", JWS_KID_LEN);
        material.kid[JWS_KID_LEN - 1] = (char)('0' + i);
        HL_ASSERT(jws_key_create(&keys[i], &material) == HL_OK);
    }
}

/* A token whose header is the input and whose signature is good: only the header is judged. */
static void try_header(struct hl_slice header)
{
    struct hl_buf token = {0};
    struct hl_buf payload = {0};
    unsigned char signature[JWS_SIGNATURE_MAX];
    size_t len = 0;
    hl_base64url_append(&token, header.ptr, header.len);
    hl_buf_append_text(&token, ".e30");
    HL_ASSERT(jws_key_sign(keys[2], hl_buf_view(&token), signature, &len) == HL_OK);
    hl_buf_append_text(&token, ".");
    hl_base64url_append(&token, signature, len);
    if (jws_verify(&payload, hl_buf_view(&token), keys, 3) != JWS_GOOD) {
        HL_ASSERT(payload.len == 0);
    }
    hl_buf_fini(&token);
    hl_buf_fini(&payload);
}

static void try_refresh(struct hl_slice text)
{
    struct refresh_token token;
    struct hl_buf again = {0};
    if (refresh_parse(&token, text)) {
        refresh_format(&again, &token);
        HL_ASSERT(hl_slice_equal(hl_buf_view(&again), text)); /* one text per token */
    }
    hl_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    setup();
    if (size == 0) {
        return 0;
    }
    struct token_claims claims;
    const char *reason = NULL;
    struct hl_slice rest = {(const char *)data + 1, size - 1};
    switch (data[0] % 4) {
    case 0:
        HL_ASSERT(token_check(&claims, &reason, rest, keys, 3, &policy, 1700000000) != TOKEN_GOOD);
        break;
    case 1:
        if (token_judge(&claims, &reason, rest, &policy, 1700000000) == TOKEN_GOOD) {
            HL_ASSERT(claims.role_count <= TOKEN_ROLES_MAX);
            HL_ASSERT(user_name_objection(hl_slice_of(claims.name)) == NULL);
        }
        HL_ASSERT(reason != NULL);
        break;
    case 2:
        try_header(rest);
        break;
    default:
        try_refresh(rest);
        break;
    }
    return 0;
}
