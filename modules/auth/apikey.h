/* API keys: their text, the secret in it, and what their scopes leave.
 *
 *   hlk_<id: 16 hexadecimal digits>_<48 characters of base64url: secret (32 bytes), check (4)>
 *
 * Numbered invariants:
 *   Y1  The record holds the SHA-256 of the secret alone.  The secret has 256 random bits, so a
 * slow hash would make it no safer. Y2  The check, a digest of the rest cut short, tells a mistyped
 * key from a revoked one before anything is looked up; it is no secret and proves nothing. Y3  A
 * scope narrows what the user may and never adds to it.
 */
#ifndef AUTH_APIKEY_H
#define AUTH_APIKEY_H

#include "record.h"

#define APIKEY_PREFIX "hlk_"
#define APIKEY_CHECK_LEN 4
#define APIKEY_ID_TEXT (2 * RECORD_APIKEY_LEN + 1)
#define APIKEY_TEXT_LEN 69

struct apikey_text {
    unsigned char id[RECORD_APIKEY_LEN];
    unsigned char secret[RECORD_SECRET_LEN];
};

/* Append the text of a key. */
void apikey_format(struct hl_buf *out, const struct apikey_text *key);

/* Read the text of a key (any bytes); false when it is none or was mistyped (Y2). */
bool apikey_parse(struct apikey_text *key, struct hl_slice text);

/* Whether `text` claims to be a key, good or not. */
bool apikey_looks_so(struct hl_slice text);

/* Begin a record of `key` for `user`; label, expiry and scopes are the caller's to set. */
void apikey_open(struct apikey_record *record, const struct apikey_text *key,
                 const struct user_record *user, int64_t now_ms);

/* Whether `key` is the one of the record, in time that does not depend on the secret. */
bool apikey_matches(const struct apikey_record *record, const struct apikey_text *key);

/* Whether the key of a record lets its user in at `now_ms`: not expired, and the user is the one it
 * was made for and enabled.  NULL, or why not as an error to reply. */
const char *apikey_objection(const struct apikey_record *record, const struct user_record *user,
                             int64_t now_ms);

/* Whether one scope covers `permission` on `key` (NULL: none in question). */
bool apikey_scope_covers(struct hl_slice scope, struct hl_slice permission,
                         const struct hl_slice *key);

#endif
