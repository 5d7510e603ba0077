/* Encoding and decoding of records; the formats are drawn in record.h. */
#include "record.h"

#include "kit/alloc.h"
#include "kit/assert.h"

HL_STATIC(RECORD_SUCCESSOR_MAX <= UINT16_MAX);
HL_STATIC(RECORD_SUCCESSOR_MAX + 1024 < RECORD_BYTES_MAX);
HL_STATIC(RECORD_SESSIONS_MAX *TOKEN_ID_LEN + TOKEN_ROLES_MAX * (TOKEN_ROLE_MAX + 1) +
              RECORD_HISTORY_MAX * (PASSWORD_HASH_LEN + 1) + 256 <
          RECORD_BYTES_MAX);

/* What is left to read; once something was wrong, everything reads as zero and `bad` stays. */
struct reader {
    const unsigned char *at;
    size_t left;
    bool bad;
    uint8_t version;
};

/* The newest version of each kind. */
static uint8_t newest(enum record_kind kind)
{
    switch (kind) {
    case RECORD_USER:
    case RECORD_SESSION:
    case RECORD_KEYRING:
        return 2;
    case RECORD_FAILURE:
    case RECORD_APIKEY:
    case RECORD_CLOSED:
    case RECORD_AUDIT:
    case RECORD_TRAIL:
        return 1;
    }
    HL_ASSERT(!"a kind of the enum");
    return 0;
}

static void put_head(struct hl_buf *out, enum record_kind kind)
{
    hl_buf_append_u8(out, (uint8_t)kind);
    hl_buf_append_u8(out, newest(kind));
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

static void put_string(struct hl_buf *out, const char *text)
{
    put_text(out, text, strlen(text));
}

bool record_text_ok(struct hl_slice text, size_t max)
{
    bool good = text.len <= max;
    for (size_t i = 0; good && i < text.len; i++) {
        good = text.ptr[i] >= ' ' && text.ptr[i] <= '~';
    }
    return good;
}

static bool scope_word(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool plain = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9');
        if (!plain && (i == 0 || text[i] == '\0' || strchr("-_.", text[i]) == NULL)) {
            return false;
        }
    }
    return len != 0;
}

bool record_scope_ok(struct hl_slice scope)
{
    if (!record_text_ok(scope, RECORD_SCOPE_MAX) || scope.len == 0) {
        return false;
    }
    const char *colon = memchr(scope.ptr, ':', scope.len);
    const char *at = memchr(scope.ptr, '@', scope.len);
    const char *end = scope.ptr + scope.len;
    const char *verb_end = at != NULL ? at : end;
    if (colon == NULL || colon > verb_end || at == end - 1) {
        return false;
    }
    size_t verb = (size_t)(verb_end - colon - 1);
    return scope_word(scope.ptr, (size_t)(colon - scope.ptr)) &&
           (scope_word(colon + 1, verb) || (verb == 1 && colon[1] == '*'));
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

/* Text that record_text_ok(). */
static void get_plain(struct reader *in, char *out, size_t max)
{
    struct hl_slice text = get_text(in, out, 0, max);
    in->bad |= !record_text_ok(text, max);
}

static void get_hash(struct reader *in, char out[PASSWORD_HASH_LEN + 1])
{
    struct hl_slice hash = get_text(in, out, PASSWORD_HASH_LEN, PASSWORD_HASH_LEN);
    in->bad |= !password_hash_valid(hash);
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
    in->version = get_u8(in);
    return in->version >= 1 && in->version <= newest(kind) ? HL_OK : HL_EVERSION;
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
    HL_ASSERT(user->history_count <= RECORD_HISTORY_MAX);
    put_moment(out, user->password_ms);
    hl_buf_append_u8(out, (uint8_t)user->history_count);
    for (size_t i = 0; i < user->history_count; i++) {
        put_string(out, user->history[i]);
    }
}

/* What version 2 added to a user. */
static void get_history(struct reader *in, struct user_record *user)
{
    if (in->version < 2) {
        user->password_ms = user->created_ms;
        return;
    }
    user->password_ms = get_i63(in);
    user->history_count = get_u8(in);
    in->bad |= user->history_count > RECORD_HISTORY_MAX;
    for (size_t i = 0; !in->bad && i < user->history_count; i++) {
        get_hash(in, user->history[i]);
    }
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
    get_hash(&in, read.hash);
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
    get_history(&in, &read);
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
    put_string(out, session->device);
    put_string(out, session->address);
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
    if (in.version >= 2) {
        get_plain(&in, read->device, RECORD_TEXT_MAX);
        get_plain(&in, read->address, RECORD_ADDRESS_MAX);
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
        hl_buf_append_u8(out, (uint8_t)key->state);
        put_moment(out, key->active_ms);
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
    if (in->version < 2) {
        key->state = key->retired_ms == 0 ? KEY_ACTIVE : KEY_RETIRED;
        key->active_ms = key->created_ms;
        return;
    }
    uint8_t state = get_u8(in);
    in->bad |= state < KEY_NEXT || state > KEY_RETIRED;
    key->state = in->bad ? KEY_RETIRED : (enum key_state)state;
    in->bad |= (key->state == KEY_RETIRED) != (key->retired_ms != 0);
    key->active_ms = get_i63(in);
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

void apikey_encode(struct hl_buf *out, const struct apikey_record *key)
{
    HL_ASSERT(key->scope_count <= RECORD_SCOPES_MAX);
    put_head(out, RECORD_APIKEY);
    hl_buf_append(out, key->id, sizeof key->id);
    put_string(out, key->label);
    put_string(out, key->name);
    hl_buf_append(out, key->user_id, sizeof key->user_id);
    hl_buf_append(out, key->digest, sizeof key->digest);
    put_moment(out, key->created_ms);
    put_moment(out, key->expires_ms);
    put_moment(out, key->used_ms);
    hl_buf_append_u8(out, (uint8_t)key->scope_count);
    for (size_t i = 0; i < key->scope_count; i++) {
        put_string(out, key->scopes[i]);
    }
}

hl_err apikey_decode(struct apikey_record *key, struct hl_slice bytes)
{
    struct reader in;
    struct apikey_record read = {0};
    hl_err err = get_head(&in, bytes, RECORD_APIKEY);
    if (err != HL_OK) {
        return err;
    }
    get_bytes(&in, read.id, sizeof read.id);
    get_plain(&in, read.label, RECORD_TEXT_MAX);
    get_user_name(&in, read.name);
    get_bytes(&in, read.user_id, sizeof read.user_id);
    get_bytes(&in, read.digest, sizeof read.digest);
    read.created_ms = get_i63(&in);
    read.expires_ms = get_i63(&in);
    read.used_ms = get_i63(&in);
    read.scope_count = get_u8(&in);
    in.bad |= read.scope_count > RECORD_SCOPES_MAX;
    for (size_t i = 0; !in.bad && i < read.scope_count; i++) {
        struct hl_slice scope = get_text(&in, read.scopes[i], 1, RECORD_SCOPE_MAX);
        in.bad |= !record_scope_ok(scope);
    }
    err = get_end(&in);
    if (err == HL_OK) {
        *key = read;
    }
    return err;
}

void closed_encode(struct hl_buf *out, const struct closed_record *closed)
{
    put_head(out, RECORD_CLOSED);
    put_moment(out, closed->at_ms);
    put_string(out, closed->name);
}

hl_err closed_decode(struct closed_record *closed, struct hl_slice bytes)
{
    struct reader in;
    struct closed_record read = {0};
    hl_err err = get_head(&in, bytes, RECORD_CLOSED);
    if (err != HL_OK) {
        return err;
    }
    read.at_ms = get_i63(&in);
    get_user_name(&in, read.name);
    err = get_end(&in);
    if (err == HL_OK) {
        *closed = read;
    }
    return err;
}

void audit_encode(struct hl_buf *out, const struct audit_record *audit)
{
    HL_ASSERT(audit->index <= INT64_MAX);
    put_head(out, RECORD_AUDIT);
    hl_buf_append_le64(out, audit->index);
    put_moment(out, audit->at_ms);
    put_string(out, audit->actor);
    put_string(out, audit->action);
    put_string(out, audit->target);
    put_string(out, audit->result);
    put_string(out, audit->address);
    hl_buf_append_le32(out, audit->omitted);
    hl_buf_append(out, audit->chain, sizeof audit->chain);
}

hl_err audit_decode(struct audit_record *audit, struct hl_slice bytes)
{
    struct reader in;
    struct audit_record read = {0};
    unsigned char omitted[4];
    hl_err err = get_head(&in, bytes, RECORD_AUDIT);
    if (err != HL_OK) {
        return err;
    }
    read.index = (uint64_t)get_i63(&in);
    read.at_ms = get_i63(&in);
    get_plain(&in, read.actor, RECORD_TEXT_MAX);
    get_plain(&in, read.action, RECORD_WORD_MAX);
    get_plain(&in, read.target, RECORD_TEXT_MAX);
    get_plain(&in, read.result, RECORD_WORD_MAX);
    get_plain(&in, read.address, RECORD_ADDRESS_MAX);
    get_bytes(&in, omitted, sizeof omitted);
    read.omitted = hl_get_le32(omitted);
    get_bytes(&in, read.chain, sizeof read.chain);
    err = get_end(&in);
    if (err == HL_OK) {
        *audit = read;
    }
    return err;
}

void trail_encode(struct hl_buf *out, const struct trail_record *trail)
{
    HL_ASSERT(trail->first <= trail->next && trail->next <= INT64_MAX);
    put_head(out, RECORD_TRAIL);
    hl_buf_append_le64(out, trail->next);
    hl_buf_append_le64(out, trail->first);
    hl_buf_append(out, trail->chain, sizeof trail->chain);
}

hl_err trail_decode(struct trail_record *trail, struct hl_slice bytes)
{
    struct reader in;
    struct trail_record read = {0};
    hl_err err = get_head(&in, bytes, RECORD_TRAIL);
    if (err != HL_OK) {
        return err;
    }
    read.next = (uint64_t)get_i63(&in);
    read.first = (uint64_t)get_i63(&in);
    in.bad |= read.first > read.next;
    get_bytes(&in, read.chain, sizeof read.chain);
    err = get_end(&in);
    if (err == HL_OK) {
        *trail = read;
    }
    return err;
}

void record_encode(struct hl_buf *out, enum record_kind kind, const union record *record)
{
    switch (kind) {
    case RECORD_USER:
        user_encode(out, &record->user);
        return;
    case RECORD_SESSION:
        session_encode(out, &record->session);
        return;
    case RECORD_FAILURE:
        failure_encode(out, &record->failure);
        return;
    case RECORD_KEYRING:
        keyring_encode(out, &record->ring);
        return;
    case RECORD_APIKEY:
        apikey_encode(out, &record->apikey);
        return;
    case RECORD_CLOSED:
        closed_encode(out, &record->closed);
        return;
    case RECORD_AUDIT:
        audit_encode(out, &record->audit);
        return;
    case RECORD_TRAIL:
        trail_encode(out, &record->trail);
        return;
    }
    HL_ASSERT(!"a kind of the enum");
}

hl_err record_decode(enum record_kind *kind, union record *record, struct hl_slice bytes)
{
    if (bytes.len == 0) {
        return HL_ECORRUPT;
    }
    *kind = (enum record_kind)(unsigned char)bytes.ptr[0];
    switch ((unsigned char)bytes.ptr[0]) {
    case RECORD_USER:
        return user_decode(&record->user, bytes);
    case RECORD_SESSION:
        return session_decode(&record->session, bytes);
    case RECORD_FAILURE:
        return failure_decode(&record->failure, bytes);
    case RECORD_KEYRING:
        return keyring_decode(&record->ring, bytes);
    case RECORD_APIKEY:
        return apikey_decode(&record->apikey, bytes);
    case RECORD_CLOSED:
        return closed_decode(&record->closed, bytes);
    case RECORD_AUDIT:
        return audit_decode(&record->audit, bytes);
    case RECORD_TRAIL:
        return trail_decode(&record->trail, bytes);
    default:
        return HL_ECORRUPT;
    }
}

hl_err record_check(struct hl_slice bytes)
{
    enum record_kind kind;
    union record read;
    return record_decode(&kind, &read, bytes);
}
