/* The signing keys: one that comes next, one active, older ones that only verify until their tokens
 * have expired.  A key is published (it verifies on every node, and is in the JWKS) some time
 * before it signs, so that whoever keeps a copy of the JWKS has it by then.
 *
 *   K1  Private halves leave this file only sealed under the key-encryption key (KEK).
 *   K2  The record names the KEK by its id, a MAC of the KEK; with another KEK nothing is opened
 *       and nothing is added, so that a lost KEK file never turns into a second set of keys.
 *   K3  At most one entry is active and at most one, behind it, is next.
 */
#ifndef AUTH_KEYRING_H
#define AUTH_KEYRING_H

#include "record.h"

/* Keys of a ring made usable.  All zero is a valid empty set; end it with keyset_fini(). */
struct keyset {
    size_t count;
    struct jws_key *keys[RECORD_KEYS_MAX];
    int64_t verify_until_ms[RECORD_KEYS_MAX]; /* INT64_MAX: no end */
    const struct jws_key *active;             /* NULL when none can sign; one of `keys` */
};

/* The id of a KEK. */
void kek_identify(unsigned char id[RECORD_KEK_ID_LEN], const unsigned char kek[SEAL_KEY_LEN]);

/* Whether `kek` is the one that seals `ring`; an empty ring takes any. */
bool keyring_fits(const struct keyring_record *ring, const unsigned char kek[SEAL_KEY_LEN]);

/*
 * Make `material` the active key at `now_ms`, sealed under `kek`, and retire the one before: it
 * verifies for `verify_ms` more (0: not at all).  Entries that no longer verify are dropped.
 *
 * HL_EINVAL when `kek` does not fit (K2), HL_EFULL when RECORD_KEYS_MAX keys still verify, HL_EIO
 * when the system gives no randomness; the ring is then unchanged.
 */
HL_MUST_USE hl_err keyring_add(struct keyring_record *ring, const struct jws_material *material,
                               const unsigned char kek[SEAL_KEY_LEN], int64_t now_ms,
                               int64_t verify_ms);

/*
 * Publish `material` as the next key at `now_ms`, to sign from `active_ms` on.  A key that was next
 * gives way.  Without an active key it becomes active at once.  Errors as keyring_add().
 */
HL_MUST_USE hl_err keyring_plan(struct keyring_record *ring, const struct jws_material *material,
                                const unsigned char kek[SEAL_KEY_LEN], int64_t now_ms,
                                int64_t active_ms);

/* Do what has become due at `now_ms`: the next key becomes active and the active one retires, to
 * verify for `verify_ms` more; retired keys that no longer verify are dropped.  False when nothing
 * was due and the ring is unchanged. */
bool keyring_advance(struct keyring_record *ring, int64_t now_ms, int64_t verify_ms);

/* Replace the set by the ring's keys.  Without a KEK (NULL), or with one that does not fit, keys
 * can only verify and HS256 keys are left out.  HL_ECORRUPT, the set empty, when an entry is no
 * key or does not open under a KEK that fits. */
HL_MUST_USE hl_err keyset_load(struct keyset *set, const struct keyring_record *ring,
                               const unsigned char *kek);

/* Write the keys that verify at `now_ms` to `out` (RECORD_KEYS_MAX of them) and return how many;
 * valid until the set changes. */
size_t keyset_view(const struct keyset *set, int64_t now_ms, struct jws_key **out);

/* End the keys; the set is then empty and usable again. */
void keyset_fini(struct keyset *set);

#endif
