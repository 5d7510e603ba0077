/* Secrets as bytes: randomness, digests, and authenticated encryption of small values.
 *
 * Sealed form: nonce (12 bytes, random), ciphertext (as long as the plain text), tag (16 bytes);
 * AES-256-GCM.  The additional data binds a value to its place and is not stored.
 */
#ifndef AUTH_SEAL_H
#define AUTH_SEAL_H

#include "kit/bytes.h"

#define SEAL_KEY_LEN 32
#define SEAL_DIGEST_LEN 32
#define SEAL_NONCE_LEN 12
#define SEAL_TAG_LEN 16
#define SEAL_OVERHEAD (SEAL_NONCE_LEN + SEAL_TAG_LEN)
#define SEAL_PLAIN_MAX 8192

/* Fill `out` with `len` bytes that nobody can guess.  HL_EIO when the system gives none: the
 * caller must then refuse the request, `out` is not to be used. */
HL_MUST_USE hl_err seal_random(void *out, size_t len);

/* SHA-256 of `bytes` into `out`. */
void seal_digest(unsigned char out[SEAL_DIGEST_LEN], struct hl_slice bytes);

/* HMAC-SHA-256 under `key` of `label`, a zero byte and `bytes`, into `out`.  Labels keep uses of
 * one key apart. */
void seal_mac(unsigned char out[SEAL_DIGEST_LEN], struct hl_slice key, const char *label,
              struct hl_slice bytes);

/* Append the sealed form of `plain` (at most SEAL_PLAIN_MAX bytes) to `out`.  HL_EIO when the
 * system gives no randomness; `out` is then unchanged. */
HL_MUST_USE hl_err seal_close(struct hl_buf *out, const unsigned char key[SEAL_KEY_LEN],
                              struct hl_slice bound_to, struct hl_slice plain);

/* Append the plain text of `sealed` to `out`.  HL_ECORRUPT, `out` unchanged, when `key` or
 * `bound_to` is not the one used to seal it, or the bytes were changed. */
HL_MUST_USE hl_err seal_open(struct hl_buf *out, const unsigned char key[SEAL_KEY_LEN],
                             struct hl_slice bound_to, struct hl_slice sealed);

/* Whether `len` bytes are equal, in time that does not depend on where they differ. */
bool seal_equal(const void *a, const void *b, size_t len);

/* Overwrite memory that held a secret; the compiler may not drop it. */
void seal_wipe(void *ptr, size_t len);

#endif
