/* Sessions and their refresh tokens: a state machine without clock, randomness or server.
 *
 * A refresh token is 64 bytes in base64url: session id (16), secret (32), mac (16).  The session
 * keeps the digests of the current secret and of the one before.
 *
 *   S1  The secret is nowhere in the record, so that a stolen snapshot lets nobody in.
 *   S2  The mac proves that we made the token.  A token with a good mac whose secret is neither
 *       the current nor, within the leeway, the previous one was used before: somebody has a
 *       copy, and the session is revoked.  A forged token changes nothing, so that knowing a
 *       session id does not suffice to end it.
 *   S3  Whoever presents the previous secret within the leeway gets the same successor, byte for
 *       byte.  The answer is kept sealed under a key made of that previous secret.
 *   S4  A revoked session stays revoked until its record expires.
 */
#ifndef AUTH_SESSION_H
#define AUTH_SESSION_H

#include "record.h"

#define REFRESH_RAW_LEN (TOKEN_ID_LEN + RECORD_SECRET_LEN + RECORD_MAC_LEN)
#define REFRESH_TEXT_LEN HL_BASE64URL_LEN(REFRESH_RAW_LEN)

struct refresh_token {
    unsigned char sid[TOKEN_ID_LEN];
    unsigned char secret[RECORD_SECRET_LEN];
    unsigned char mac[RECORD_MAC_LEN];
};

/* Random bytes for a new session, drawn by the caller. */
struct session_seed {
    unsigned char sid[TOKEN_ID_LEN];
    unsigned char mac_key[RECORD_MAC_LEN];
    unsigned char secret[RECORD_SECRET_LEN];
};

/* What a presented refresh token is. */
enum session_verdict {
    SESSION_ROTATE,  /* the current one: give a successor */
    SESSION_REPLAY,  /* the loser of a race: give the same successor again */
    SESSION_REUSED,  /* a copy of an old one: revoke the session */
    SESSION_REVOKED, /* the session was ended or revoked before */
    SESSION_EXPIRED,
    SESSION_FORGED, /* not made by us: change nothing */
};

/* Append the text form of `token`. */
void refresh_format(struct hl_buf *out, const struct refresh_token *token);

/* Read a text form (any bytes); false when it is none. */
bool refresh_parse(struct refresh_token *token, struct hl_slice text);

/* Begin a session of `user` at `now_ms` that lasts `ttl_ms`, and make its first refresh token. */
void session_open(struct session_record *session, struct refresh_token *first,
                  const struct user_record *user, const struct session_seed *seed, int64_t now_ms,
                  int64_t ttl_ms);

/* Judge `token`, whose sid must be the session's (asserted), at `now_ms`. */
enum session_verdict session_present(const struct session_record *session,
                                     const struct refresh_token *token, int64_t now_ms,
                                     int64_t leeway_ms);

/* Make the successor of a session's refresh token from a random `secret`. */
void session_next(const struct session_record *session, struct refresh_token *next,
                  const unsigned char secret[RECORD_SECRET_LEN]);

/* After SESSION_ROTATE: make `next` the current token, `token` the previous one, and keep `next`
 * and `access` sealed for those who lose the race.  The session then lasts `ttl_ms` from
 * `now_ms`.  HL_EIO, the session unchanged, when the system gives no randomness. */
HL_MUST_USE hl_err session_rotate(struct session_record *session, const struct refresh_token *token,
                                  const struct refresh_token *next, struct hl_slice access,
                                  int64_t now_ms, int64_t ttl_ms);

/* After SESSION_REPLAY: give the successor again and append its access token.  HL_ECORRUPT when
 * the record was tampered with. */
HL_MUST_USE hl_err session_replay(const struct session_record *session,
                                  const struct refresh_token *token, struct refresh_token *next,
                                  struct hl_buf *access);

/* End the session (S4) and forget what it could still hand out. */
void session_revoke(struct session_record *session);

/* Whether the session is `user`'s, of the user's credential version, neither revoked nor expired
 * at `now_ms`, and the user enabled. */
bool session_alive(const struct session_record *session, const struct user_record *user,
                   int64_t now_ms);

#endif
