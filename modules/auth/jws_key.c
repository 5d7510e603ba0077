/* Keys on OpenSSL's EVP: making, importing, signing and verifying. */
#include "jws_key.h"

#include "seal.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/base64.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>

#define ES256_HALF_LEN 32
#define ES256_POINT_LEN 65
#define ED25519_PUBLIC_LEN 32
#define HS256_LEN 32

struct jws_key {
    enum jws_alg alg;
    char kid[JWS_KID_LEN + 1];
    bool signs;
    EVP_PKEY *pkey;                        /* NULL for HS256 */
    unsigned char secret[JWS_PRIVATE_LEN]; /* HS256 only */
};

const char *jws_alg_name(enum jws_alg alg)
{
    switch (alg) {
    case JWS_ES256:
        return "ES256";
    case JWS_EDDSA:
        return "EdDSA";
    case JWS_HS256:
        return "HS256";
    }
    HL_ASSERT(!"an algorithm of the enum");
    return "";
}

bool jws_alg_parse(struct hl_slice name, enum jws_alg *alg)
{
    static const enum jws_alg all[] = {JWS_ES256, JWS_EDDSA, JWS_HS256};
    for (size_t i = 0; i < HL_ARRAY_LEN(all); i++) {
        if (hl_slice_equal(name, hl_slice_of(jws_alg_name(all[i])))) {
            *alg = all[i];
            return true;
        }
    }
    return false;
}

/* Take the two halves out of a new EVP key. */
static bool export_halves(struct jws_material *out, EVP_PKEY *pkey)
{
    size_t len = 0;
    if (out->alg == JWS_EDDSA) {
        size_t private_len = JWS_PRIVATE_LEN;
        len = JWS_PUBLIC_MAX;
        bool good = EVP_PKEY_get_raw_public_key(pkey, out->public_key, &len) == 1 &&
                    EVP_PKEY_get_raw_private_key(pkey, out->private_key, &private_len) == 1;
        out->public_len = len;
        return good && private_len == JWS_PRIVATE_LEN && len == ED25519_PUBLIC_LEN;
    }
    BIGNUM *number = NULL;
    bool good = EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, out->public_key,
                                                JWS_PUBLIC_MAX, &len) == 1 &&
                len == ES256_POINT_LEN &&
                EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &number) == 1 &&
                BN_bn2binpad(number, out->private_key, JWS_PRIVATE_LEN) == JWS_PRIVATE_LEN;
    BN_clear_free(number);
    out->public_len = len;
    return good;
}

hl_err jws_generate(struct jws_material *out, enum jws_alg alg)
{
    struct jws_material made = {.alg = alg, .has_private = true};
    unsigned char id[JWS_KID_LEN / 2];
    hl_err err = seal_random(id, sizeof id);
    if (err != HL_OK) {
        return err;
    }
    hl_hex_format(made.kid, id, sizeof id);
    if (alg == JWS_HS256) {
        err = seal_random(made.private_key, HS256_LEN);
    } else {
        EVP_PKEY *pkey = alg == JWS_ES256 ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
                                          : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        err = pkey != NULL && export_halves(&made, pkey) ? HL_OK : HL_EIO;
        EVP_PKEY_free(pkey);
    }
    if (err == HL_OK) {
        *out = made;
    }
    seal_wipe(&made, sizeof made);
    return err;
}

/* Build a P-256 key from its point and, when there is one, its number; NULL when impossible. */
static EVP_PKEY *import_es256(const struct jws_material *material)
{
    if (material->public_len != ES256_POINT_LEN) {
        return NULL;
    }
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *number =
        material->has_private ? BN_bin2bn(material->private_key, JWS_PRIVATE_LEN, NULL) : NULL;
    OSSL_PARAM *params = NULL;
    int selection = material->has_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
    bool good =
        ctx != NULL && build != NULL && (!material->has_private || number != NULL) &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, material->public_key,
                                         ES256_POINT_LEN) == 1 &&
        (number == NULL || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, number) == 1);
    if (good) {
        params = OSSL_PARAM_BLD_to_param(build);
        good = params != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
               EVP_PKEY_fromdata(ctx, &pkey, selection, params) == 1;
    }
    OSSL_PARAM_free(params);
    BN_clear_free(number);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

/* Build an Ed25519 key; NULL when the halves are not each other's. */
static EVP_PKEY *import_eddsa(const struct jws_material *material)
{
    if (material->public_len != ED25519_PUBLIC_LEN) {
        return NULL;
    }
    if (!material->has_private) {
        return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, material->public_key,
                                           ED25519_PUBLIC_LEN);
    }
    EVP_PKEY *pkey =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, material->private_key, 32);
    unsigned char derived[ED25519_PUBLIC_LEN];
    size_t len = sizeof derived;
    if (pkey == NULL || EVP_PKEY_get_raw_public_key(pkey, derived, &len) != 1 ||
        memcmp(derived, material->public_key, sizeof derived) != 0) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    return pkey;
}

/* Whether the point is on the curve and, with a private half, both belong together. */
static bool sound(EVP_PKEY *pkey, const struct jws_material *material)
{
    EVP_PKEY_CTX *check = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool good = check != NULL && (material->has_private ? EVP_PKEY_pairwise_check(check)
                                                        : EVP_PKEY_public_check(check)) == 1;
    EVP_PKEY_CTX_free(check);
    return good;
}

hl_err jws_key_create(struct jws_key **out, const struct jws_material *material)
{
    EVP_PKEY *pkey = NULL;
    switch (material->alg) {
    case JWS_HS256:
        if (!material->has_private || material->public_len != 0) {
            return HL_EINVAL;
        }
        break;
    case JWS_ES256:
        pkey = import_es256(material);
        if (pkey == NULL || !sound(pkey, material)) {
            EVP_PKEY_free(pkey);
            return HL_EINVAL;
        }
        break;
    case JWS_EDDSA:
        pkey = import_eddsa(material);
        if (pkey == NULL) {
            return HL_EINVAL;
        }
        break;
    }
    struct jws_key *key = hl_calloc(1, sizeof *key);
    key->alg = material->alg;
    key->signs = material->has_private;
    key->pkey = pkey;
    memcpy(key->kid, material->kid, sizeof key->kid);
    key->kid[JWS_KID_LEN] = '\0';
    if (material->alg == JWS_HS256) {
        memcpy(key->secret, material->private_key, sizeof key->secret);
    }
    *out = key;
    return HL_OK;
}

void jws_key_destroy(struct jws_key *key)
{
    if (key == NULL) {
        return;
    }
    EVP_PKEY_free(key->pkey);
    seal_wipe(key, sizeof *key);
    hl_free(key);
}

const char *jws_key_kid(const struct jws_key *key)
{
    return key->kid;
}

bool jws_key_signs(const struct jws_key *key)
{
    return key->signs;
}

enum jws_alg jws_key_alg(const struct jws_key *key)
{
    return key->alg;
}

/* Between DER, which OpenSSL speaks, and r || s, which JWS does. */
static bool der_from_halves(const unsigned char *halves, unsigned char **der, int *len)
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(halves, ES256_HALF_LEN, NULL);
    BIGNUM *s = BN_bin2bn(halves + ES256_HALF_LEN, ES256_HALF_LEN, NULL);
    if (pair == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(pair);
        return false;
    }
    *der = NULL;
    *len = i2d_ECDSA_SIG(pair, der);
    ECDSA_SIG_free(pair);
    return *len > 0;
}

static bool halves_from_der(const unsigned char *der, size_t len, unsigned char *halves)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
    if (pair == NULL) {
        return false;
    }
    bool good = BN_bn2binpad(ECDSA_SIG_get0_r(pair), halves, ES256_HALF_LEN) == ES256_HALF_LEN &&
                BN_bn2binpad(ECDSA_SIG_get0_s(pair), halves + ES256_HALF_LEN, ES256_HALF_LEN) ==
                    ES256_HALF_LEN;
    ECDSA_SIG_free(pair);
    return good;
}

static void mac(const struct jws_key *key, struct hl_slice text, unsigned char out[HS256_LEN])
{
    unsigned len = 0;
    unsigned char *made = HMAC(EVP_sha256(), key->secret, (int)sizeof key->secret,
                               (const unsigned char *)text.ptr, text.len, out, &len);
    HL_ASSERT(made != NULL && len == HS256_LEN);
}

/* The digest that the algorithm names; Ed25519 has its own inside. */
static const EVP_MD *digest_of(enum jws_alg alg)
{
    return alg == JWS_ES256 ? EVP_sha256() : NULL;
}

hl_err jws_key_sign(const struct jws_key *key, struct hl_slice text,
                    unsigned char out[JWS_SIGNATURE_MAX], size_t *len)
{
    HL_ASSERT(key->signs);
    if (key->alg == JWS_HS256) {
        mac(key, text, out);
        *len = HS256_LEN;
        return HL_OK;
    }
    unsigned char raw[128];
    size_t raw_len = sizeof raw;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx != NULL &&
                EVP_DigestSignInit(ctx, NULL, digest_of(key->alg), NULL, key->pkey) == 1 &&
                EVP_DigestSign(ctx, raw, &raw_len, (const unsigned char *)text.ptr, text.len) == 1;
    EVP_MD_CTX_free(ctx);
    if (good && key->alg == JWS_ES256) {
        good = halves_from_der(raw, raw_len, out);
    } else if (good) {
        HL_ASSERT(raw_len == JWS_SIGNATURE_MAX);
        memcpy(out, raw, JWS_SIGNATURE_MAX);
    }
    *len = JWS_SIGNATURE_MAX;
    return good ? HL_OK : HL_EIO;
}

bool jws_key_verify(const struct jws_key *key, struct hl_slice text, const unsigned char *signature,
                    size_t len)
{
    if (key->alg == JWS_HS256) {
        unsigned char expected[HS256_LEN];
        mac(key, text, expected);
        return len == HS256_LEN && seal_equal(expected, signature, HS256_LEN);
    }
    if (len != JWS_SIGNATURE_MAX) {
        return false;
    }
    unsigned char *der = NULL;
    int der_len = 0;
    if (key->alg == JWS_ES256 && !der_from_halves(signature, &der, &der_len)) {
        return false;
    }
    const unsigned char *raw = der != NULL ? der : signature;
    size_t raw_len = der != NULL ? (size_t)der_len : len;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx != NULL &&
                EVP_DigestVerifyInit(ctx, NULL, digest_of(key->alg), NULL, key->pkey) == 1 &&
                EVP_DigestVerify(ctx, raw, raw_len, (const unsigned char *)text.ptr, text.len) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    return good;
}
