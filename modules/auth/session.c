/* The refresh token state machine; S1 to S4 are in session.h. */
#include "session.h"

#include "kit/assert.h"
#include "kit/base64.h"

HL_STATIC(sizeof(struct refresh_token) == REFRESH_RAW_LEN);
HL_STATIC(RECORD_MAC_LEN <= SEAL_DIGEST_LEN);

static struct hl_slice bytes_of(const void *ptr, size_t len)
{
    return (struct hl_slice){.ptr = ptr, .len = len};
}

/* The mac that makes a token ours (S2). */
static void mac_of(const struct session_record *session, const struct refresh_token *token,
                   unsigned char out[RECORD_MAC_LEN])
{
    unsigned char full[SEAL_DIGEST_LEN];
    seal_mac(full, bytes_of(session->mac_key, sizeof session->mac_key), "refresh",
             bytes_of(token, offsetof(struct refresh_token, mac)));
    memcpy(out, full, RECORD_MAC_LEN);
}

/* The key under which the answer to `token` is sealed (S3). */
static void successor_key(const struct refresh_token *token, unsigned char out[SEAL_KEY_LEN])
{
    HL_STATIC(SEAL_KEY_LEN == SEAL_DIGEST_LEN);
    seal_mac(out, bytes_of(token->secret, sizeof token->secret), "successor",
             bytes_of(token->sid, sizeof token->sid));
}

void refresh_format(struct hl_buf *out, const struct refresh_token *token)
{
    hl_base64url_append(out, token, sizeof *token);
}

bool refresh_parse(struct refresh_token *token, struct hl_slice text)
{
    unsigned char raw[REFRESH_RAW_LEN];
    size_t len = 0;
    if (!hl_base64url_decode(text, raw, sizeof raw, &len) || len != sizeof raw) {
        return false;
    }
    memcpy(token, raw, sizeof *token);
    return true;
}

void session_next(const struct session_record *session, struct refresh_token *next,
                  const unsigned char secret[RECORD_SECRET_LEN])
{
    memcpy(next->sid, session->sid, sizeof next->sid);
    memcpy(next->secret, secret, sizeof next->secret);
    mac_of(session, next, next->mac);
}

void session_open(struct session_record *session, struct refresh_token *first,
                  const struct user_record *user, const struct session_seed *seed, int64_t now_ms,
                  int64_t ttl_ms)
{
    HL_ASSERT(now_ms >= 0 && ttl_ms > 0 && ttl_ms <= INT64_MAX - now_ms);
    *session = (struct session_record){
        .cv = user->cv, .created_ms = now_ms, .expires_ms = now_ms + ttl_ms};
    memcpy(session->sid, seed->sid, sizeof session->sid);
    memcpy(session->mac_key, seed->mac_key, sizeof session->mac_key);
    memcpy(session->user_id, user->id, sizeof session->user_id);
    memcpy(session->name, user->name, sizeof session->name);
    session_next(session, first, seed->secret);
    seal_digest(session->current, bytes_of(first->secret, sizeof first->secret));
}

enum session_verdict session_present(const struct session_record *session,
                                     const struct refresh_token *token, int64_t now_ms,
                                     int64_t leeway_ms)
{
    HL_ASSERT(memcmp(session->sid, token->sid, sizeof token->sid) == 0);
    unsigned char mac[RECORD_MAC_LEN];
    unsigned char digest[SEAL_DIGEST_LEN];
    mac_of(session, token, mac);
    if (!seal_equal(mac, token->mac, sizeof mac)) {
        return SESSION_FORGED;
    }
    if (session->revoked) {
        return SESSION_REVOKED;
    }
    if (now_ms >= session->expires_ms) {
        return SESSION_EXPIRED;
    }
    seal_digest(digest, bytes_of(token->secret, sizeof token->secret));
    if (seal_equal(digest, session->current, sizeof digest)) {
        return SESSION_ROTATE;
    }
    /* A clock that stepped back counts as no time passed. */
    bool recent = session->rotated_ms != 0 &&
                  (now_ms <= session->rotated_ms || now_ms - session->rotated_ms <= leeway_ms);
    if (recent && seal_equal(digest, session->previous, sizeof digest)) {
        return SESSION_REPLAY;
    }
    return SESSION_REUSED;
}

hl_err session_rotate(struct session_record *session, const struct refresh_token *token,
                      const struct refresh_token *next, struct hl_slice access, int64_t now_ms,
                      int64_t ttl_ms)
{
    HL_ASSERT(!session->revoked);
    HL_ASSERT(access.len <= JWS_TOKEN_MAX);
    HL_ASSERT(now_ms > 0 && ttl_ms > 0 && ttl_ms <= INT64_MAX - now_ms);
    unsigned char key[SEAL_KEY_LEN];
    struct hl_buf answer = {0};
    struct hl_buf sealed = {0};
    successor_key(token, key);
    hl_buf_append(&answer, next, sizeof *next);
    hl_buf_append_slice(&answer, access);
    hl_err err =
        seal_close(&sealed, key, bytes_of(session->sid, sizeof session->sid), hl_buf_view(&answer));
    if (err == HL_OK) {
        HL_ASSERT(sealed.len <= RECORD_SUCCESSOR_MAX);
        memcpy(session->successor, sealed.ptr, sealed.len);
        session->successor_len = sealed.len;
        memcpy(session->previous, session->current, sizeof session->previous);
        seal_digest(session->current, bytes_of(next->secret, sizeof next->secret));
        session->rotated_ms = now_ms;
        session->expires_ms = now_ms + ttl_ms;
    }
    seal_wipe(answer.ptr, answer.len);
    seal_wipe(key, sizeof key);
    hl_buf_fini(&answer);
    hl_buf_fini(&sealed);
    return err;
}

hl_err session_replay(const struct session_record *session, const struct refresh_token *token,
                      struct refresh_token *next, struct hl_buf *access)
{
    unsigned char key[SEAL_KEY_LEN];
    struct hl_buf answer = {0};
    successor_key(token, key);
    hl_err err = seal_open(&answer, key, bytes_of(session->sid, sizeof session->sid),
                           bytes_of(session->successor, session->successor_len));
    if (err == HL_OK && answer.len < sizeof *next) {
        err = HL_ECORRUPT;
    }
    if (err == HL_OK) {
        memcpy(next, answer.ptr, sizeof *next);
        hl_buf_append(access, answer.ptr + sizeof *next, answer.len - sizeof *next);
    }
    seal_wipe(answer.ptr, answer.len);
    seal_wipe(key, sizeof key);
    hl_buf_fini(&answer);
    return err;
}

void session_revoke(struct session_record *session)
{
    session->revoked = true;
    session->successor_len = 0;
}

bool session_alive(const struct session_record *session, const struct user_record *user,
                   int64_t now_ms)
{
    return !session->revoked && now_ms < session->expires_ms && !user->disabled &&
           session->cv == user->cv && memcmp(session->user_id, user->id, sizeof user->id) == 0 &&
           strcmp(session->name, user->name) == 0;
}
