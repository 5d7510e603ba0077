/* Goal: a signature verifies under its own key and algorithm, and every other token is refused.
 * Method: our own tokens for each algorithm, the examples of RFC 7515 and RFC 8037 as outside
 * evidence, classic attacks by hand, and every single changed character. */
#include "auth/jws.h"
#include "auth/jws_key.h"
#include "kit/base64.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const enum jws_alg all[] = {JWS_ES256, JWS_EDDSA, JWS_HS256};

static struct jws_key *make(enum jws_alg alg, struct jws_material *material)
{
    struct jws_key *key = NULL;
    cr_assert_eq(jws_generate(material, alg), HL_OK);
    cr_assert_eq(jws_key_create(&key, material), HL_OK);
    return key;
}

static enum jws_verdict check(struct hl_slice token, struct jws_key *key)
{
    struct hl_buf payload = {0};
    enum jws_verdict verdict = jws_verify(&payload, token, &key, 1);
    cr_assert(verdict == JWS_GOOD || payload.len == 0, "a refused token gives nothing out");
    hl_buf_fini(&payload);
    return verdict;
}

/* A token with this header, signed properly by `key` whatever the header says. */
static enum jws_verdict check_header(const char *header, struct jws_key *key)
{
    struct hl_buf token = {0};
    unsigned char signature[JWS_SIGNATURE_MAX];
    size_t len = 0;
    hl_base64url_append(&token, header, strlen(header));
    hl_buf_append_text(&token, ".e30");
    cr_assert_eq(jws_key_sign(key, hl_buf_view(&token), signature, &len), HL_OK);
    hl_buf_append_text(&token, ".");
    hl_base64url_append(&token, signature, len);
    enum jws_verdict verdict = check(hl_buf_view(&token), key);
    hl_buf_fini(&token);
    return verdict;
}

Test(jws, what_a_key_signs_it_verifies)
{
    for (size_t i = 0; i < 3; i++) {
        struct jws_material material;
        struct jws_key *key = make(all[i], &material);
        struct hl_buf token = {0};
        struct hl_buf payload = {0};
        cr_assert_eq(jws_sign(&token, key, hl_slice_of("{\"a\":1}")), HL_OK);
        cr_assert_eq(jws_verify(&payload, hl_buf_view(&token), &key, 1), JWS_GOOD);
        cr_assert(hl_slice_equal(hl_buf_view(&payload), hl_slice_of("{\"a\":1}")));
        hl_buf_fini(&token);
        hl_buf_fini(&payload);
        jws_key_destroy(key);
    }
}

Test(jws, the_public_half_verifies_and_cannot_sign)
{
    for (size_t i = 0; i < 2; i++) {
        struct jws_material material;
        struct jws_key *key = make(all[i], &material);
        struct jws_key *verifier = NULL;
        struct hl_buf token = {0};
        struct hl_buf none = {0};
        cr_assert_eq(jws_sign(&token, key, hl_slice_of("{}")), HL_OK);
        material.has_private = false;
        cr_assert_eq(jws_key_create(&verifier, &material), HL_OK);
        cr_assert_eq(check(hl_buf_view(&token), verifier), JWS_GOOD);
        cr_assert_eq(jws_sign(&none, verifier, hl_slice_of("{}")), HL_EINVAL);
        cr_assert_eq(none.len, 0);
        jws_key_destroy(verifier);
        jws_key_destroy(key);
        hl_buf_fini(&token);
    }
}

Test(jws, no_changed_character_survives)
{
    static const char chars[] = "A_.=b";
    for (size_t i = 0; i < 3; i++) {
        struct jws_material material;
        struct jws_key *key = make(all[i], &material);
        struct hl_buf token = {0};
        cr_assert_eq(jws_sign(&token, key, hl_slice_of("{\"sub\":\"ada\"}")), HL_OK);
        for (size_t at = 0; at < token.len; at++) {
            for (size_t c = 0; c < sizeof chars; c++) {
                char kept = token.ptr[at];
                token.ptr[at] = chars[c];
                bool same = kept == chars[c];
                cr_assert(same || check(hl_buf_view(&token), key) != JWS_GOOD, "%zu: %d", at, c);
                token.ptr[at] = kept;
            }
            cr_assert_neq(check((struct hl_slice){token.ptr, at}, key), JWS_GOOD, "cut at %zu", at);
        }
        cr_assert_eq(check(hl_buf_view(&token), key), JWS_GOOD);
        hl_buf_fini(&token);
        jws_key_destroy(key);
    }
}

Test(jws, another_key_of_the_same_kid_does_not_verify)
{
    for (size_t i = 0; i < 3; i++) {
        struct jws_material ours;
        struct jws_material theirs;
        struct jws_key *key = make(all[i], &ours);
        struct jws_key *forger = NULL;
        struct hl_buf token = {0};
        cr_assert_eq(jws_generate(&theirs, all[i]), HL_OK);
        memcpy(theirs.kid, ours.kid, sizeof theirs.kid);
        cr_assert_eq(jws_key_create(&forger, &theirs), HL_OK);
        cr_assert_eq(jws_sign(&token, forger, hl_slice_of("{}")), HL_OK);
        cr_assert_eq(check(hl_buf_view(&token), key), JWS_BAD_SIGNATURE);
        hl_buf_fini(&token);
        jws_key_destroy(forger);
        jws_key_destroy(key);
    }
}

/* The public half as an HMAC secret: the attack that fools verifiers which believe the header. */
Test(jws, an_hmac_under_the_public_key_is_not_a_signature)
{
    struct jws_material ours;
    struct jws_key *key = make(JWS_ES256, &ours);
    struct jws_material forged = {.alg = JWS_HS256, .has_private = true};
    struct jws_key *forger = NULL;
    struct hl_buf token = {0};
    memcpy(forged.kid, ours.kid, sizeof forged.kid);
    memcpy(forged.private_key, ours.public_key, sizeof forged.private_key);
    cr_assert_eq(jws_key_create(&forger, &forged), HL_OK);
    cr_assert_eq(jws_sign(&token, forger, hl_slice_of("{}")), HL_OK);
    cr_assert_eq(check(hl_buf_view(&token), key), JWS_WRONG_ALG);
    hl_buf_fini(&token);
    jws_key_destroy(forger);
    jws_key_destroy(key);
}

Test(jws, the_header_has_three_members_each_once)
{
    static const struct {
        enum jws_verdict verdict;
        const char *header; /* K stands for the key's kid */
    } rows[] = {
        {JWS_GOOD, "{\"alg\":\"ES256\",\"kid\":\"K\",\"typ\":\"at+jwt\"}"},
        {JWS_GOOD, " {\"typ\":\"at+jwt\", \"kid\":\"K\",\"alg\":\"ES256\"}\n"},
        {JWS_WRONG_ALG, "{\"alg\":\"none\",\"kid\":\"K\",\"typ\":\"at+jwt\"}"},
        {JWS_WRONG_ALG, "{\"alg\":\"es256\",\"kid\":\"K\",\"typ\":\"at+jwt\"}"},
        {JWS_WRONG_ALG, "{\"alg\":\"HS256\",\"kid\":\"K\",\"typ\":\"at+jwt\"}"},
        {JWS_WRONG_TYPE, "{\"alg\":\"ES256\",\"kid\":\"K\",\"typ\":\"JWT\"}"},
        {JWS_MALFORMED, "{\"alg\":\"ES256\",\"kid\":\"K\"}"},
        {JWS_MALFORMED, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}"},
        {JWS_MALFORMED, "{\"kid\":\"K\",\"typ\":\"at+jwt\"}"},
        {JWS_MALFORMED, "{\"alg\":1,\"kid\":\"K\",\"typ\":\"at+jwt\"}"},
        {JWS_MALFORMED, "{\"alg\":\"ES256\",\"kid\":[\"K\"],\"typ\":\"at+jwt\"}"},
        {JWS_UNKNOWN_KEY, "{\"alg\":\"ES256\",\"kid\":\"../../key\",\"typ\":\"at+jwt\"}"},
        {JWS_UNKNOWN_KEY, "{\"alg\":\"ES256\",\"kid\":\"\",\"typ\":\"at+jwt\"}"},
        {JWS_MALFORMED, "{\"alg\":\"ES256\",\"kid\":\"K\",\"typ\":\"at+jwt\",\"jku\":\"h\"}"},
        {JWS_MALFORMED, "{\"alg\":\"ES256\",\"kid\":\"K\",\"typ\":\"at+jwt\",\"crit\":[]}"},
        {JWS_MALFORMED, "{\"alg\":\"none\",\"alg\":\"ES256\",\"kid\":\"K\",\"typ\":\"at+jwt\"}"},
        {JWS_MALFORMED, "[]"},
        {JWS_MALFORMED, "{"},
        {JWS_MALFORMED, "{}{}"},
    };
    struct jws_material material;
    struct jws_key *key = make(JWS_ES256, &material);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char header[256];
        const char *at = strchr(rows[i].header, 'K');
        int before = at == NULL ? (int)strlen(rows[i].header) : (int)(at - rows[i].header);
        snprintf(header, sizeof header, "%.*s%s%s", before, rows[i].header,
                 at == NULL ? "" : material.kid, at == NULL ? "" : at + 1);
        cr_assert_eq(check_header(header, key), rows[i].verdict, "%s", header);
    }
    jws_key_destroy(key);
}

Test(jws, only_three_non_empty_canonical_parts_are_a_token)
{
    struct jws_material material;
    struct jws_key *key = make(JWS_HS256, &material);
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "...",
                                      "e30",
                                      "e30.e30",
                                      "e30.e30.",
                                      ".e30.e30",
                                      "e30..e30",
                                      "a.b.c",
                                      "e30.e30.e30.e30",
                                      "e30=.e30.e30",
                                      "e3 .e30.e30",
                                      "\xff.\xff.\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(check(hl_slice_of(bad[i]), key), JWS_MALFORMED, "%s", bad[i]);
    }
    cr_assert_eq(check((struct hl_slice){0}, key), JWS_MALFORMED);
    struct hl_buf token = {0};
    cr_assert_eq(jws_sign(&token, key, hl_slice_of("{}")), HL_OK);
    hl_buf_append_text(&token, "=");
    cr_assert_eq(check(hl_buf_view(&token), key), JWS_MALFORMED, "padding");
    hl_buf_fini(&token);
    jws_key_destroy(key);
}

Test(jws, a_long_token_is_refused_before_it_is_decoded)
{
    struct jws_material material;
    struct jws_key *key = make(JWS_HS256, &material);
    struct hl_buf text = {0};
    struct hl_buf token = {0};
    hl_buf_grow(&text, JWS_TOKEN_MAX + 1);
    memset(text.ptr, '[', JWS_TOKEN_MAX + 1);
    cr_assert_eq(check((struct hl_slice){text.ptr, JWS_TOKEN_MAX + 1}, key), JWS_TOO_LONG);
    cr_assert_eq(check((struct hl_slice){text.ptr, JWS_TOKEN_MAX}, key), JWS_MALFORMED);
    cr_assert_eq(jws_sign(&token, key, (struct hl_slice){text.ptr, JWS_TOKEN_MAX}), HL_ELIMIT);
    cr_assert_eq(token.len, 0);
    hl_buf_fini(&text);
    jws_key_destroy(key);
}

Test(jws, zeros_and_ones_are_no_signature)
{
    struct jws_material material;
    unsigned char zeros[JWS_SIGNATURE_MAX] = {0};
    unsigned char ones[JWS_SIGNATURE_MAX];
    memset(ones, 0xff, sizeof ones);
    for (size_t i = 0; i < 3; i++) {
        struct jws_key *key = make(all[i], &material);
        for (size_t len = 0; len <= sizeof zeros; len++) {
            cr_assert_not(jws_key_verify(key, hl_slice_of("a.b"), zeros, len), "%zu", len);
            cr_assert_not(jws_key_verify(key, hl_slice_of("a.b"), ones, len), "%zu", len);
        }
        jws_key_destroy(key);
    }
}

Test(jws, a_signature_is_exactly_as_long_as_it_must_be)
{
    struct jws_material material;
    for (size_t i = 0; i < 3; i++) {
        struct jws_key *key = make(all[i], &material);
        unsigned char signature[JWS_SIGNATURE_MAX + 1] = {0};
        size_t len = 0;
        cr_assert_eq(jws_key_sign(key, hl_slice_of("a.b"), signature, &len), HL_OK);
        for (size_t n = 0; n <= sizeof signature; n++) {
            cr_assert_eq(jws_key_verify(key, hl_slice_of("a.b"), signature, n), n == len, "%zu", n);
        }
        jws_key_destroy(key);
    }
}

Test(jws, a_broken_key_is_refused)
{
    struct jws_material good;
    struct jws_key *key = NULL;
    cr_assert_eq(jws_generate(&good, JWS_ES256), HL_OK);
    struct jws_material bad = good;
    bad.public_key[40] ^= 1; /* a point off the curve */
    cr_assert_eq(jws_key_create(&key, &bad), HL_EINVAL);
    bad.has_private = false;
    cr_assert_eq(jws_key_create(&key, &bad), HL_EINVAL);
    bad = good;
    bad.private_key[5] ^= 1; /* another point's number */
    cr_assert_eq(jws_key_create(&key, &bad), HL_EINVAL);
    memset(bad.private_key, 0, sizeof bad.private_key);
    cr_assert_eq(jws_key_create(&key, &bad), HL_EINVAL);
    bad = good;
    bad.public_len = 33;
    cr_assert_eq(jws_key_create(&key, &bad), HL_EINVAL);
    cr_assert_eq(jws_generate(&good, JWS_EDDSA), HL_OK);
    bad = good;
    bad.private_key[0] ^= 1;
    cr_assert_eq(jws_key_create(&key, &bad), HL_EINVAL);
    cr_assert_eq(jws_generate(&good, JWS_HS256), HL_OK);
    good.has_private = false;
    cr_assert_eq(jws_key_create(&key, &good), HL_EINVAL);
    cr_assert_null(key);
}

/* Decode a vector's base64url into exactly `len` bytes. */
static void unbase(unsigned char *out, size_t len, const char *text)
{
    size_t got = 0;
    cr_assert(hl_base64url_decode(hl_slice_of(text), out, len, &got));
    cr_assert_eq(got, len);
}

Test(jws, the_es256_example_of_rfc_7515_verifies)
{
    struct jws_material material = {.alg = JWS_ES256, .public_len = 65};
    unsigned char signature[64];
    struct jws_key *key = NULL;
    material.public_key[0] = 4;
    unbase(material.public_key + 1, 32, "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
    unbase(material.public_key + 33, 32, "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    unbase(signature, 64,
           "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
           "pmWQxfKTUJqPP3-Kg6NU1Q");
    cr_assert_eq(jws_key_create(&key, &material), HL_OK);
    const char *text = "eyJhbGciOiJFUzI1NiJ9."
                       "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6"
                       "Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    cr_assert(jws_key_verify(key, hl_slice_of(text), signature, 64));
    signature[63] ^= 1;
    cr_assert_not(jws_key_verify(key, hl_slice_of(text), signature, 64));
    jws_key_destroy(key);
}

Test(jws, the_eddsa_example_of_rfc_8037_verifies_and_is_reproduced)
{
    struct jws_material material = {.alg = JWS_EDDSA, .public_len = 32, .has_private = true};
    unsigned char signature[64];
    unsigned char made[64];
    size_t len = 0;
    struct jws_key *key = NULL;
    unbase(material.private_key, 32, "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    unbase(material.public_key, 32, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    unbase(
        signature, 64,
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
    cr_assert_eq(jws_key_create(&key, &material), HL_OK);
    struct hl_slice text = hl_slice_of("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
    cr_assert(jws_key_verify(key, text, signature, 64));
    cr_assert_eq(jws_key_sign(key, text, made, &len), HL_OK);
    cr_assert_eq(memcmp(made, signature, 64), 0);
    jws_key_destroy(key);
}
