/* Passwords and user names: what is acceptable, bcrypt hashes ($2b$), and telling them apart.
 *
 * bcrypt reads 72 bytes and stops at a NUL, so longer passwords and passwords with a NUL are
 * refused rather than cut: otherwise two different passwords would open one account.
 */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include "kit/bytes.h"

#define PASSWORD_LEN_MIN 8
#define PASSWORD_LEN_MAX 72
#define PASSWORD_COST_MIN 4
#define PASSWORD_COST_MAX 14
#define PASSWORD_SALT_LEN 16
#define PASSWORD_HASH_LEN 60 /* "$2b$10$" and 53 characters */
#define USER_NAME_MAX 64

/* NULL when `password` may be set, else what is wrong with it, as a sentence without a name. */
const char *password_objection(struct hl_slice password);

/* Whether little is left of `password` without the user's name and the product's, ignoring case. */
bool password_is_derived(struct hl_slice password, const char *name);

/* NULL when `name` may be registered, else what is wrong.  Letters, digits and "._-@+" only, so
 * that a name can be part of a key, a log line and a URL without quoting. */
const char *user_name_objection(struct hl_slice name);

/*
 * The bcrypt hash of `password` at `cost` with `salt`, NUL-terminated, into `out`.
 *
 * HL_EINVAL when the password is empty, too long or holds a NUL, or the cost is out of range;
 * HL_ENOMEM; HL_EIO when libcrypt refuses.  Takes about 2^cost / 16 milliseconds: never on the
 * server's thread when a client chose the moment.
 */
HL_MUST_USE hl_err password_hash(char out[PASSWORD_HASH_LEN + 1], struct hl_slice password,
                                 int cost, const unsigned char salt[PASSWORD_SALT_LEN]);

/* Whether `password` has the NUL-terminated hash `hash`.  Always computes one hash, even when the
 * password could not have been set; costs as much as password_hash(). */
bool password_matches(const char *hash, struct hl_slice password);

/* Whether `text` has the shape of a hash of password_hash(): prefix, cost in range, alphabet. */
bool password_hash_valid(struct hl_slice text);

/* The cost of a valid hash. */
int password_hash_cost(const char *hash);

#endif
