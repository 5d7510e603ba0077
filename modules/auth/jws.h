/* Compact JSON Web Signatures (RFC 7515) with keys that know their one algorithm.
 *
 * Numbered invariants:
 *   J1  The algorithm comes from the key, never from the token: a header whose "alg" is not the
 *       key's is refused, so "none" and a swap of HMAC and ECDSA cannot happen.
 *   J2  "kid" is compared with the keys of the caller's table and used for nothing else.
 *   J3  The header has exactly the members alg, kid and typ, each once and each a string.
 *   J4  One text per token: canonical base64url, no padding, three parts, at most JWS_TOKEN_MAX.
 *   J5  The payload is given out only after its signature was verified.
 */
#ifndef AUTH_JWS_H
#define AUTH_JWS_H

#include "kit/bytes.h"

#define JWS_TOKEN_MAX 4096
#define JWS_KID_LEN 16 /* hexadecimal digits */
#define JWS_PUBLIC_MAX 65
#define JWS_PRIVATE_LEN 32
#define JWS_TYPE "at+jwt"

enum jws_alg {
    JWS_ES256 = 1, /* ECDSA on P-256: public 65 bytes (uncompressed point), private 32 */
    JWS_EDDSA = 2, /* Ed25519: public 32 bytes, private 32 */
    JWS_HS256 = 3, /* HMAC-SHA-256: no public half, private 32 */
};

/* A key's halves as bytes: what is stored, the private one encrypted. */
struct jws_material {
    enum jws_alg alg;
    char kid[JWS_KID_LEN + 1];
    size_t public_len; /* 0 for HS256 */
    unsigned char public_key[JWS_PUBLIC_MAX];
    bool has_private; /* without it the key verifies only; an HS256 key always needs it */
    unsigned char private_key[JWS_PRIVATE_LEN];
};

/* Opaque: a key ready for use.  May be used from one thread at a time. */
struct jws_key;

/* Why a token was refused; JWS_GOOD is not a refusal. */
enum jws_verdict {
    JWS_GOOD,
    JWS_TOO_LONG,
    JWS_MALFORMED,   /* parts, base64url, or the header's JSON */
    JWS_UNKNOWN_KEY, /* no key of the table has that kid */
    JWS_WRONG_ALG,
    JWS_WRONG_TYPE,
    JWS_BAD_SIGNATURE,
};

/* "ES256" and so on. */
const char *jws_alg_name(enum jws_alg alg);

/* Set *alg from its name, case-sensitive; false when there is no such algorithm. */
bool jws_alg_parse(struct hl_slice name, enum jws_alg *alg);

/* Make a new key pair with a random kid.  HL_EIO when the system gives no randomness. */
HL_MUST_USE hl_err jws_generate(struct jws_material *out, enum jws_alg alg);

/* A usable key of `material`, which the caller owns and ends with jws_key_destroy().  HL_EINVAL,
 * *out untouched, when the bytes are no key of that algorithm (a point off the curve, a private
 * half of another public one, a wrong length). */
HL_MUST_USE hl_err jws_key_create(struct jws_key **out, const struct jws_material *material);

/* End a key and wipe its private half; NULL does nothing. */
void jws_key_destroy(struct jws_key *key);

/* The key's identifier, valid as long as the key. */
const char *jws_key_kid(const struct jws_key *key);

/* Whether the key can sign. */
bool jws_key_signs(const struct jws_key *key);

/* Append the compact form of `payload` signed by `key`.  HL_EINVAL when the key only verifies,
 * HL_ELIMIT when the token would exceed JWS_TOKEN_MAX, HL_EIO when OpenSSL fails; `out` is then
 * unchanged. */
HL_MUST_USE hl_err jws_sign(struct hl_buf *out, const struct jws_key *key, struct hl_slice payload);

/* Check `token` against the `count` keys at `keys` and append its payload to `payload` when, and
 * only when, the answer is JWS_GOOD.  `token` may be any bytes. */
HL_MUST_USE enum jws_verdict jws_verify(struct hl_buf *payload, struct hl_slice token,
                                        struct jws_key *const *keys, size_t count);

/* A verdict as a clause for an error text, such as "bad signature". */
const char *jws_verdict_text(enum jws_verdict verdict);

#endif
