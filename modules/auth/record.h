/* The records that the module keeps, and their stored forms.
 *
 * A stored record is: kind (1 byte), format version (1 byte), then the fields in the order of the
 * struct.  Integers are little-endian of fixed width; text and bytes of variable length carry a
 * length first (1 byte, or 2 where noted); moments are milliseconds since the epoch, i64, 0 or
 * more.  A decoder refuses unknown kinds and versions, lengths above the bounds below, values out
 * of range and bytes left over; it never asserts on input, because RESTORE lets a client present
 * any bytes.
 *
 *   USER     name, id[16], hash, cv u64, created, disabled u8,
 *            role count u8, roles, session count u8, sessions[16 each]
 *   SESSION  sid[16], name, user id[16], cv u64, created, expires, revoked u8, mac key[16],
 *            current[32], rotated (0: never), previous[32] if rotated, successor (2-byte length)
 *   FAILURE  count u32, last, locked until
 *   KEYRING  kek id[8], count u8, keys: alg u8, kid, created, retired (0: active),
 *            verify until (0: no end), public, private (sealed)
 */
#ifndef AUTH_RECORD_H
#define AUTH_RECORD_H

#include "jws.h"
#include "password.h"
#include "seal.h"
#include "token.h"

#define RECORD_VERSION 1
#define RECORD_SESSIONS_MAX 64 /* sessions a user can have at once */
#define RECORD_KEYS_MAX 8      /* signing keys, the active one and retired ones */
#define RECORD_SECRET_LEN 32
#define RECORD_MAC_LEN 16
#define RECORD_KEK_ID_LEN 8
#define RECORD_SUCCESSOR_MAX (JWS_TOKEN_MAX + 128 + SEAL_OVERHEAD)
#define RECORD_BYTES_MAX 8192 /* no record's stored form is longer */

enum record_kind {
    RECORD_USER = 1,
    RECORD_SESSION = 2,
    RECORD_FAILURE = 3,
    RECORD_KEYRING = 4,
};

struct user_record {
    char name[USER_NAME_MAX + 1];
    unsigned char id[TOKEN_ID_LEN];
    char hash[PASSWORD_HASH_LEN + 1];
    uint64_t cv; /* credential version: tokens of another one are dead; 1..INT64_MAX */
    int64_t created_ms;
    bool disabled;
    size_t role_count;
    char roles[TOKEN_ROLES_MAX][TOKEN_ROLE_MAX + 1];
    size_t session_count; /* oldest first */
    unsigned char sessions[RECORD_SESSIONS_MAX][TOKEN_ID_LEN];
};

struct session_record {
    unsigned char sid[TOKEN_ID_LEN];
    char name[USER_NAME_MAX + 1];
    unsigned char user_id[TOKEN_ID_LEN];
    uint64_t cv;
    int64_t created_ms, expires_ms;
    bool revoked;
    unsigned char mac_key[RECORD_MAC_LEN];   /* tells our own old refresh tokens from forgeries */
    unsigned char current[SEAL_DIGEST_LEN];  /* digest of the valid secret */
    int64_t rotated_ms;                      /* 0: never */
    unsigned char previous[SEAL_DIGEST_LEN]; /* digest of the one before, when rotated */
    size_t successor_len;
    unsigned char successor[RECORD_SUCCESSOR_MAX]; /* the answer, sealed under the previous one */
};

struct failure_record {
    uint32_t count;
    int64_t last_ms, locked_until_ms;
};

struct keyring_entry {
    enum jws_alg alg;
    char kid[JWS_KID_LEN + 1];
    int64_t created_ms, retired_ms, verify_until_ms;
    size_t public_len;
    unsigned char public_key[JWS_PUBLIC_MAX];
    unsigned char sealed[JWS_PRIVATE_LEN + SEAL_OVERHEAD];
};

struct keyring_record {
    unsigned char kek_id[RECORD_KEK_ID_LEN];
    size_t count; /* newest last */
    struct keyring_entry keys[RECORD_KEYS_MAX];
};

/* Append the stored form; the record must be within its bounds, which is asserted. */
void user_encode(struct hl_buf *out, const struct user_record *user);

/* As user_encode(). */
void session_encode(struct hl_buf *out, const struct session_record *session);

/* As user_encode(). */
void failure_encode(struct hl_buf *out, const struct failure_record *failure);

/* As user_encode(). */
void keyring_encode(struct hl_buf *out, const struct keyring_record *ring);

/* Read a stored form (any bytes).  HL_ECORRUPT or, for a format of a later release, HL_EVERSION;
 * *user is then untouched. */
HL_MUST_USE hl_err user_decode(struct user_record *user, struct hl_slice bytes);

/* As user_decode(). */
HL_MUST_USE hl_err session_decode(struct session_record *session, struct hl_slice bytes);

/* As user_decode(). */
HL_MUST_USE hl_err failure_decode(struct failure_record *failure, struct hl_slice bytes);

/* As user_decode(). */
HL_MUST_USE hl_err keyring_decode(struct keyring_record *ring, struct hl_slice bytes);

/* Whether `bytes` are a well-formed record of any kind: the check at every door. */
HL_MUST_USE hl_err record_check(struct hl_slice bytes);

#endif
