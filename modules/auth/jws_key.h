/* Keys of jws.h from within: what jws.c needs beyond the public functions. */
#ifndef AUTH_JWS_KEY_H
#define AUTH_JWS_KEY_H

#include "jws.h"

#define JWS_SIGNATURE_MAX 64

/* The key's one algorithm. */
enum jws_alg jws_key_alg(const struct jws_key *key);

/* Sign `text`; *len is set to at most JWS_SIGNATURE_MAX.  HL_EIO when OpenSSL fails. */
HL_MUST_USE hl_err jws_key_sign(const struct jws_key *key, struct hl_slice text,
                                unsigned char out[JWS_SIGNATURE_MAX], size_t *len);

/* Whether `signature` (of exactly the algorithm's length, else false) is `text`'s. */
bool jws_key_verify(const struct jws_key *key, struct hl_slice text, const unsigned char *signature,
                    size_t len);

#endif
