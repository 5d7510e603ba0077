/* Encoding and decoding of records; the formats are drawn in record.h. */
#include "record.h"

#include "kit/alloc.h"
#include "kit/assert.h"

HL_STATIC(RECORD_SUCCESSOR_MAX <= UINT16_MAX);
HL_STATIC(RECORD_SUCCESSOR_MAX + 512 < RECORD_BYTES_MAX);
HL_STATIC(RECORD_SESSIONS_MAX *TOKEN_ID_LEN + TOKEN_ROLES_MAX * (TOKEN_ROLE_MAX + 1) + 256 <
          RECORD_BYTES_MAX);

/* What is left to read; once something was wrong, everything reads as zero and `bad` stays. */
struct reader {
    const unsigned char *at;
    size_t left;
    bool bad;
};

static void put_head(struct hl_buf *out, enum record_kind kind)
{
    hl_buf_append_u8(out, (uint8_t)kind);
    hl_buf_append_u8(out, RECORD_VERSION);
}

static void put_moment(struct hl_buf *out, int64_t ms)
{
    HL_ASSERT(ms >= 0);
    hl_buf_append_le64(out, (uint64_t)ms);
}

static void put_text(struct hl_buf *out, const void *text, size_t len)
{
    HL_ASSERT(len <= UINT8_MAX);
    hl_buf_append_u8(out, (uint8_t)len);
    hl_buf_append(out, text, len);
}

static void get_bytes(struct reader *in, void *out, size_t len)
{
    if (in->left < len) {
        in->bad = true;
        in->left = 0;
    }
    if (in->bad) {
        memset(out, 0, len);
        return;
    }
    memcpy(out, in->at, len);
    in->at += len;
    in->left -= len;
}

static uint8_t get_u8(struct reader *in)
{
    uint8_t v = 0;
    get_bytes(in, &v, 1);
    return v;
}

static bool get_flag(struct reader *in)
{
    uint8_t v = get_u8(in);
    in->bad |= v > 1;
    return v == 1;
}

static uint64_t get_u64(struct reader *in)
{
    unsigned char v[8];
    get_bytes(in, v, sizeof v);
    return hl_get_le64(v);
}

/* A number that also fits a signed one: moments, versions. */
static int64_t get_i63(struct reader *in)
{
    uint64_t v = get_u64(in);
    in->bad |= v > INT64_MAX;
    return in->bad ? 0 : (int64_t)v;
}

/* Text of `min` to `max` bytes without NUL into `out`, which has room for a NUL more. */
static struct hl_slice get_text(struct reader *in, char *out, size_t min, size_t max)
{
    size_t len = get_u8(in);
    in->bad |= len < min || len > max;
    len = in->bad ? 0 : len;
    get_bytes(in, out, len);
    out[in->bad ? 0 : len] = '\0';
    in->bad |= strlen(out) != len;
    return hl_slice_of(out);
}

static void get_user_name(struct reader *in, char out[USER_NAME_MAX + 1])
{
    struct hl_slice name = get_text(in, out, 1, USER_NAME_MAX);
    in->bad |= user_name_objection(name) != NULL;
}

/* Begin reading a record of `kind`. */
static hl_err get_head(struct reader *in, struct hl_slice bytes, enum record_kind kind)
{
    *in = (struct reader){.at = (const unsigned char *)bytes.ptr, .left = bytes.len};
    if (bytes.len < 2 || bytes.len > RECORD_BYTES_MAX || get_u8(in) != (uint8_t)kind) {
        return HL_ECORRUPT;
    }
    return get_u8(in) == RECORD_VERSION ? HL_OK : HL_EVERSION;
}

static hl_err get_end(const struct reader *in)
{
    return in->bad || in->left != 0 ? HL_ECORRUPT : HL_OK;
}

void user_encode(struct hl_buf *out, const struct user_record *user)
{
    HL_ASSERT(user->cv >= 1 && user->cv <= INT64_MAX);
    HL_ASSERT(user->role_count <= TOKEN_ROLES_MAX);
    HL_ASSERT(user->session_count <= RECORD_SESSIONS_MAX);
    put_head(out, RECORD_USER);
    put_text(out, user->name, strlen(user->name));
    hl_buf_append(out, user->id, sizeof user->id);
    put_text(out, user->hash, strlen(user->hash));
    hl_buf_append_le64(out, user->cv);
    put_moment(out, user->created_ms);
    hl_buf_append_u8(out, user->disabled);
    hl_buf_append_u8(out, (uint8_t)user->role_count);
    for (size_t i = 0; i < user->role_count; i++) {
        put_text(out, user->roles[i], strlen(user->roles[i]));
    }
    hl_buf_append_u8(out, (uint8_t)user->session_count);
    hl_buf_append(out, user->sessions, user->session_count * TOKEN_ID_LEN);
}

hl_err user_decode(struct user_record *user, struct hl_slice bytes)
{
    struct reader in;
    struct user_record read = {0};
    hl_err err = get_head(&in, bytes, RECORD_USER);
    if (err != HL_OK) {
        return err;
    }
    get_user_name(&in, read.name);
    get_bytes(&in, read.id, sizeof read.id);
    struct hl_slice hash = get_text(&in, read.hash, PASSWORD_HASH_LEN, PASSWORD_HASH_LEN);
    in.bad |= !password_hash_valid(hash);
    read.cv = (uint64_t)get_i63(&in);
    in.bad |= read.cv == 0;
    read.created_ms = get_i63(&in);
    read.disabled = get_flag(&in);
    read.role_count = get_u8(&in);
    in.bad |= read.role_count > TOKEN_ROLES_MAX;
    for (size_t i = 0; !in.bad && i < read.role_count; i++) {
        struct hl_slice role = get_text(&in, read.roles[i], 1, TOKEN_ROLE_MAX);
        in.bad |= token_role_objection(role) != NULL;
    }
    read.session_count = get_u8(&in);
    in.bad |= read.session_count > RECORD_SESSIONS_MAX;
    if (!in.bad) {
        get_bytes(&in, read.sessions, read.session_count * TOKEN_ID_LEN);
    }
    err = get_end(&in);
    if (err == HL_OK) {
        *user = read;
    }
    return err;
}

void session_encode(struct hl_buf *out, const struct session_record *session)
{
    HL_ASSERT(session->cv >= 1 && session->cv <= INT64_MAX);
    HL_ASSERT(session->successor_len <= RECORD_SUCCESSOR_MAX);
    HL_ASSERT(session->rotated_ms != 0 || session->successor_len == 0);
    put_head(out, RECORD_SESSION);
    hl_buf_append(out, session->sid, sizeof session->sid);
    put_text(out, session->name, strlen(session->name));
    hl_buf_append(out, session->user_id, sizeof session->user_id);
    hl_buf_append_le64(out, session->cv);
    put_moment(out, session->created_ms);
    put_moment(out, session->expires_ms);
    hl_buf_append_u8(out, session->revoked);
    hl_buf_append(out, session->mac_key, sizeof session->mac_key);
    hl_buf_append(out, session->current, sizeof session->current);
    put_moment(out, session->rotated_ms);
    if (session->rotated_ms != 0) {
        hl_buf_append(out, session->previous, sizeof session->previous);
    }
    unsigned char len[2];
    hl_put_le16(len, (uint16_t)session->successor_len);
    hl_buf_append(out, len, sizeof len);
    hl_buf_append(out, session->successor, session->successor_len);
}

hl_err session_decode(struct session_record *session, struct hl_slice bytes)
{
    struct reader in;
    hl_err err = get_head(&in, bytes, RECORD_SESSION);
    if (err != HL_OK) {
        return err;
    }
    struct session_record *read = hl_calloc(1, sizeof *read);
    get_bytes(&in, read->sid, sizeof read->sid);
    get_user_name(&in, read->name);
    get_bytes(&in, read->user_id, sizeof read->user_id);
    read->cv = (uint64_t)get_i63(&in);
    in.bad |= read->cv == 0;
    read->created_ms = get_i63(&in);
    read->expires_ms = get_i63(&in);
    read->revoked = get_flag(&in);
    get_bytes(&in, read->mac_key, sizeof read->mac_key);
    get_bytes(&in, read->current, sizeof read->current);
    read->rotated_ms = get_i63(&in);
    if (read->rotated_ms != 0) {
        get_bytes(&in, read->previous, sizeof read->previous);
    }
    unsigned char len[2];
    get_bytes(&in, len, sizeof len);
    read->successor_len = hl_get_le16(len);
    in.bad |= read->successor_len > RECORD_SUCCESSOR_MAX;
    in.bad |= read->rotated_ms == 0 && read->successor_len != 0;
    if (!in.bad) {
        get_bytes(&in, read->successor, read->successor_len);
    }
    err = get_end(&in);
    if (err == HL_OK) {
        *session = *read;
    }
    hl_free(read);
    return err;
}

void failure_encode(struct hl_buf *out, const struct failure_record *failure)
{
    put_head(out, RECORD_FAILURE);
    hl_buf_append_le32(out, failure->count);
    put_moment(out, failure->last_ms);
    put_moment(out, failure->locked_until_ms);
}

hl_err failure_decode(struct failure_record *failure, struct hl_slice bytes)
{
    struct reader in;
    struct failure_record read = {0};
    unsigned char count[4];
    hl_err err = get_head(&in, bytes, RECORD_FAILURE);
    if (err != HL_OK) {
        return err;
    }
    get_bytes(&in, count, sizeof count);
    read.count = hl_get_le32(count);
    read.last_ms = get_i63(&in);
    read.locked_until_ms = get_i63(&in);
    err = get_end(&in);
    if (err == HL_OK) {
        *failure = read;
    }
    return err;
}

/* The length that a public half of `alg` has. */
static size_t public_len_of(enum jws_alg alg)
{
    return alg == JWS_ES256 ? 65 : alg == JWS_EDDSA ? 32 : 0;
}

void keyring_encode(struct hl_buf *out, const struct keyring_record *ring)
{
    HL_ASSERT(ring->count <= RECORD_KEYS_MAX);
    put_head(out, RECORD_KEYRING);
    hl_buf_append(out, ring->kek_id, sizeof ring->kek_id);
    hl_buf_append_u8(out, (uint8_t)ring->count);
    for (size_t i = 0; i < ring->count; i++) {
        const struct keyring_entry *key = &ring->keys[i];
        HL_ASSERT(key->public_len == public_len_of(key->alg));
        hl_buf_append_u8(out, (uint8_t)key->alg);
        put_text(out, key->kid, JWS_KID_LEN);
        put_moment(out, key->created_ms);
        put_moment(out, key->retired_ms);
        put_moment(out, key->verify_until_ms);
        put_text(out, key->public_key, key->public_len);
        put_text(out, key->sealed, sizeof key->sealed);
    }
}

static void get_key(struct reader *in, struct keyring_entry *key)
{
    uint8_t alg = get_u8(in);
    in->bad |= alg != JWS_ES256 && alg != JWS_EDDSA && alg != JWS_HS256;
    key->alg = in->bad ? JWS_ES256 : (enum jws_alg)alg;
    get_text(in, key->kid, JWS_KID_LEN, JWS_KID_LEN);
    key->created_ms = get_i63(in);
    key->retired_ms = get_i63(in);
    key->verify_until_ms = get_i63(in);
    key->public_len = get_u8(in);
    in->bad |= key->public_len != public_len_of(key->alg);
    key->public_len = in->bad ? 0 : key->public_len;
    get_bytes(in, key->public_key, key->public_len);
    in->bad |= get_u8(in) != sizeof key->sealed;
    get_bytes(in, key->sealed, sizeof key->sealed);
}

hl_err keyring_decode(struct keyring_record *ring, struct hl_slice bytes)
{
    struct reader in;
    struct keyring_record read = {0};
    hl_err err = get_head(&in, bytes, RECORD_KEYRING);
    if (err != HL_OK) {
        return err;
    }
    get_bytes(&in, read.kek_id, sizeof read.kek_id);
    read.count = get_u8(&in);
    in.bad |= read.count > RECORD_KEYS_MAX;
    for (size_t i = 0; !in.bad && i < read.count; i++) {
        get_key(&in, &read.keys[i]);
    }
    err = get_end(&in);
    if (err == HL_OK) {
        *ring = read;
    }
    return err;
}

hl_err record_check(struct hl_slice bytes)
{
    if (bytes.len == 0) {
        return HL_ECORRUPT;
    }
    union {
        struct user_record user;
        struct session_record session;
        struct failure_record failure;
        struct keyring_record ring;
    } read;
    switch ((unsigned char)bytes.ptr[0]) {
    case RECORD_USER:
        return user_decode(&read.user, bytes);
    case RECORD_SESSION:
        return session_decode(&read.session, bytes);
    case RECORD_FAILURE:
        return failure_decode(&read.failure, bytes);
    case RECORD_KEYRING:
        return keyring_decode(&read.ring, bytes);
    default:
        return HL_ECORRUPT;
    }
}
