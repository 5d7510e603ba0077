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
 *            role count u8, roles, session count u8, sessions[16 each];
 *            since 2: password set, history count u8, hashes
 *   SESSION  sid[16], name, user id[16], cv u64, created, expires, revoked u8, mac key[16],
 *            current[32], rotated (0: never), previous[32] if rotated, successor (2-byte length);
 *            since 2: device, address
 *   FAILURE  count u32, last, locked until
 *   KEYRING  kek id[8], count u8, keys: alg u8, kid, created, retired (0: not yet),
 *            verify until (0: no end), public, private (sealed); since 2: state u8, active from
 *   APIKEY   id[8], label, user name, user id[16], digest[32], created, expires (0: never),
 *            used (0: never), scope count u8, scopes
 *   CLOSED   at, name
 *   AUDIT    index u64, at, actor, action, target, result, address, omitted u32, chain[32]
 *   TRAIL    next index u64, first index u64, chain[32]
 *
 * A record of an older version is read and gets what a record of that time means; what is written
 * has the newest version of its kind.
 */
#ifndef AUTH_RECORD_H
#define AUTH_RECORD_H

#include "jws.h"
#include "password.h"
#include "seal.h"
#include "token.h"

#define RECORD_SESSIONS_MAX 64 /* sessions a user can have at once */
#define RECORD_KEYS_MAX 8      /* signing keys, the active one and retired ones */
#define RECORD_SECRET_LEN 32
#define RECORD_MAC_LEN 16
#define RECORD_KEK_ID_LEN 8
#define RECORD_SUCCESSOR_MAX (JWS_TOKEN_MAX + 128 + SEAL_OVERHEAD)
#define RECORD_BYTES_MAX 8192 /* no record's stored form is longer */
#define RECORD_HISTORY_MAX 8  /* former passwords of a user */
#define RECORD_TEXT_MAX 64    /* of a device, a label, an actor, a target */
#define RECORD_ADDRESS_MAX 45 /* an IPv6 address as text */
#define RECORD_WORD_MAX 31    /* of an action, a result */
#define RECORD_APIKEY_LEN 8   /* bytes of a key's id */
#define RECORD_SCOPES_MAX 16
#define RECORD_SCOPE_MAX 64

enum record_kind {
    RECORD_USER = 1,
    RECORD_SESSION = 2,
    RECORD_FAILURE = 3,
    RECORD_KEYRING = 4,
    RECORD_APIKEY = 5,
    RECORD_CLOSED = 6,
    RECORD_AUDIT = 7,
    RECORD_TRAIL = 8,
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
    int64_t password_ms;  /* when the password was set */
    size_t history_count; /* newest first, the hash in force not among them */
    char history[RECORD_HISTORY_MAX][PASSWORD_HASH_LEN + 1];
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
    char device[RECORD_TEXT_MAX + 1];              /* what the client calls itself */
    char address[RECORD_ADDRESS_MAX + 1];          /* where the login came from; "" unknown */
};

struct failure_record {
    uint32_t count;
    int64_t last_ms, locked_until_ms;
};

/* What a signing key is for: published, signing, verifying only. */
enum key_state {
    KEY_NEXT = 1,
    KEY_ACTIVE = 2,
    KEY_RETIRED = 3,
};

struct keyring_entry {
    enum jws_alg alg;
    char kid[JWS_KID_LEN + 1];
    enum key_state state;
    int64_t created_ms, active_ms, retired_ms, verify_until_ms; /* active_ms: planned, or since */
    size_t public_len;
    unsigned char public_key[JWS_PUBLIC_MAX];
    unsigned char sealed[JWS_PRIVATE_LEN + SEAL_OVERHEAD];
};

struct keyring_record {
    unsigned char kek_id[RECORD_KEK_ID_LEN];
    size_t count; /* newest last */
    struct keyring_entry keys[RECORD_KEYS_MAX];
};

struct apikey_record {
    unsigned char id[RECORD_APIKEY_LEN];
    char label[RECORD_TEXT_MAX + 1];
    char name[USER_NAME_MAX + 1]; /* of the user it acts for */
    unsigned char user_id[TOKEN_ID_LEN];
    unsigned char digest[SEAL_DIGEST_LEN]; /* of the secret */
    int64_t created_ms, expires_ms, used_ms;
    size_t scope_count; /* 0: all that the user may */
    char scopes[RECORD_SCOPES_MAX][RECORD_SCOPE_MAX + 1];
};

/* The first administrator was made: there will not be another first one. */
struct closed_record {
    int64_t at_ms;
    char name[USER_NAME_MAX + 1];
};

/* Who did what. */
struct audit_record {
    uint64_t index;
    int64_t at_ms;
    char actor[RECORD_TEXT_MAX + 1]; /* "" unknown */
    char action[RECORD_WORD_MAX + 1];
    char target[RECORD_TEXT_MAX + 1];
    char result[RECORD_WORD_MAX + 1];
    char address[RECORD_ADDRESS_MAX + 1];
    uint32_t omitted;                     /* failures before this one that were too many to note */
    unsigned char chain[SEAL_DIGEST_LEN]; /* of the record before and of this one */
};

/* Where the audit trail begins and ends. */
struct trail_record {
    uint64_t next, first; /* indexes; equal: empty.  At most INT64_MAX, as of an audit record */
    unsigned char chain[SEAL_DIGEST_LEN];
};

/* Any record. */
union record {
    struct user_record user;
    struct session_record session;
    struct failure_record failure;
    struct keyring_record ring;
    struct apikey_record apikey;
    struct closed_record closed;
    struct audit_record audit;
    struct trail_record trail;
};

/* Append the stored form; the record must be within its bounds, which is asserted. */
void user_encode(struct hl_buf *out, const struct user_record *user);

/* As user_encode(). */
void session_encode(struct hl_buf *out, const struct session_record *session);

/* As user_encode(). */
void failure_encode(struct hl_buf *out, const struct failure_record *failure);

/* As user_encode(). */
void keyring_encode(struct hl_buf *out, const struct keyring_record *ring);

/* As user_encode(). */
void apikey_encode(struct hl_buf *out, const struct apikey_record *key);

/* As user_encode(). */
void closed_encode(struct hl_buf *out, const struct closed_record *closed);

/* As user_encode(). */
void audit_encode(struct hl_buf *out, const struct audit_record *audit);

/* As user_encode(). */
void trail_encode(struct hl_buf *out, const struct trail_record *trail);

/* Append the stored form of a record of `kind`. */
void record_encode(struct hl_buf *out, enum record_kind kind, const union record *record);

/* Whether `text` has at most `max` bytes, all of them printable ASCII: what devices, labels and
 * the like may be. */
bool record_text_ok(struct hl_slice text, size_t max);

/* Whether `scope` is one: "ns:verb" or "ns:*", and perhaps "@" and a glob of keys. */
bool record_scope_ok(struct hl_slice scope);

/* Read a stored form (any bytes).  HL_ECORRUPT or, for a format of a later release, HL_EVERSION;
 * *user is then untouched. */
HL_MUST_USE hl_err user_decode(struct user_record *user, struct hl_slice bytes);

/* As user_decode(). */
HL_MUST_USE hl_err session_decode(struct session_record *session, struct hl_slice bytes);

/* As user_decode(). */
HL_MUST_USE hl_err failure_decode(struct failure_record *failure, struct hl_slice bytes);

/* As user_decode(). */
HL_MUST_USE hl_err keyring_decode(struct keyring_record *ring, struct hl_slice bytes);

/* As user_decode(). */
HL_MUST_USE hl_err apikey_decode(struct apikey_record *key, struct hl_slice bytes);

/* As user_decode(). */
HL_MUST_USE hl_err closed_decode(struct closed_record *closed, struct hl_slice bytes);

/* As user_decode(). */
HL_MUST_USE hl_err audit_decode(struct audit_record *audit, struct hl_slice bytes);

/* As user_decode(). */
HL_MUST_USE hl_err trail_decode(struct trail_record *trail, struct hl_slice bytes);

/* Read a record of whichever kind, and say which.  Errors as user_decode(). */
HL_MUST_USE hl_err record_decode(enum record_kind *kind, union record *record,
                                 struct hl_slice bytes);

/* Whether `bytes` are a well-formed record of any kind: the check at every door. */
HL_MUST_USE hl_err record_check(struct hl_slice bytes);

#endif
