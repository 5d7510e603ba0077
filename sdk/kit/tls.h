/* TLS without a socket: ciphertext in, plaintext out, and the other way round.
 *
 * The caller owns the connection and moves the bytes:
 *
 *     what the socket gave     hl_tls_feed(), then hl_tls_read() until it says HL_ENOENT
 *     what shall be sent       hl_tls_write(), then send hl_tls_output() and say hl_tls_sent()
 *
 * Feeding makes output too (the handshake, alerts), also when it fails: send it before closing.
 * Nothing here blocks, reads a clock or asks a human for a pass phrase.
 *
 * Invariants:
 *   T1  a failed engine stays failed: no plaintext that came after the failure is ever given.
 *   T2  before the handshake is over no plaintext is given or taken, so a peer whose certificate
 *       was refused reaches nothing.
 *   T3  memory is bounded: HL_TLS_HANDSHAKE_MAX bytes of input before the handshake is over, one
 *       record afterwards beside what was just fed, and HL_TLS_OUTPUT_MAX of output.
 *
 * A context may be shared by engines of several threads, and outlives its destruction while engines
 * use it.  An engine belongs to one thread at a time.
 */
#ifndef KIT_TLS_H
#define KIT_TLS_H

#include "kit/bytes.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stdint.h>

#define HL_TLS_HANDSHAKE_MAX (128 * 1024) /* bytes a peer may send to prove who it is */
#define HL_TLS_CHAIN_MAX (32 * 1024)      /* bytes of its certificates */
#define HL_TLS_OUTPUT_MAX (128 * 1024)    /* ciphertext waiting before no more plaintext is taken */

enum hl_tls_peer {
    HL_TLS_PEER_ANY,      /* a server: asks for no certificate; a client: believes any */
    HL_TLS_PEER_OPTIONAL, /* a certificate that is shown must be good (a client: as REQUIRED) */
    HL_TLS_PEER_REQUIRED, /* a good certificate must be shown */
};

/* Texts may be NULL or "" for none. */
struct hl_tls_options {
    bool server;
    const char *cert_file; /* PEM, the chain behind it included; a server needs one */
    const char *key_file;  /* PEM */
    const char *key_pass;  /* of an encrypted key */
    const char *ca_file;   /* PEM: whom a peer's certificate must chain to */
    const char *ca_dir;    /* the same, hashed as OpenSSL does */
    enum hl_tls_peer peer; /* anything but ANY needs ca_file or ca_dir */
    bool no_tls12, no_tls13;
    const char *ciphers;      /* TLS 1.2, OpenSSL's syntax */
    const char *ciphersuites; /* TLS 1.3 */
    bool prefer_server_ciphers;
    bool session_caching; /* clients may resume */
    int64_t session_cache_size, session_timeout_s;
    bool http1; /* a server of HTTP/1.1: says so, and refuses clients that want only others */
};

/* Opaque: certificate, key and rules of many connections. */
struct hl_tls_context;

/* Opaque: one connection. */
struct hl_tls;

/*
 * Read the files and check that they fit together.
 *
 * out      set on success to a context that the caller ends with hl_tls_context_destroy().
 * options  borrowed for the call.
 * msg      on failure which file or text, and why; never the pass phrase.
 *
 * Returns HL_OK, HL_EINVAL for options that make no sense together, HL_EIO for a file that cannot
 * be read or used, HL_ENOMEM; nothing is left behind then.
 */
HL_MUST_USE hl_err hl_tls_context_create(struct hl_tls_context **out,
                                         const struct hl_tls_options *options,
                                         struct hl_errmsg *msg);

/* Let go of it; engines made from it go on.  NULL is allowed. */
void hl_tls_context_destroy(struct hl_tls_context *context);

/* An engine for one connection, ended with hl_tls_destroy().  `host`: for clients, the name that
 * the certificate must be for (borrowed), or NULL to check no name.  NULL when out of memory. */
struct hl_tls *hl_tls_create(const struct hl_tls_context *context, const char *host);

/* Release it without a farewell.  NULL is allowed. */
void hl_tls_destroy(struct hl_tls *tls);

/* Take ciphertext from the peer and go on with the handshake; a client calls it once with no bytes
 * to begin.  HL_EINVAL when the peer broke the rules or showed no good certificate (T1); `msg` (may
 * be NULL) says which.  Costs a signature (up to a few ms) in one call per connection. */
HL_MUST_USE hl_err hl_tls_feed(struct hl_tls *tls, const void *bytes, size_t len,
                               struct hl_errmsg *msg);

/* True until the peer's identity is settled. */
bool hl_tls_is_handshaking(const struct hl_tls *tls);

/* Take up to `room` (not 0) bytes of plaintext.  HL_OK sets *got > 0; HL_ENOENT: feed more first;
 * HL_EFULL: the peer said goodbye, nothing more will come; HL_EINVAL: see hl_tls_feed(). */
HL_MUST_USE hl_err hl_tls_read(struct hl_tls *tls, void *into, size_t room, size_t *got,
                               struct hl_errmsg *msg);

/* Encrypt some of `len` (not 0) bytes; *put says how many.  HL_OK; HL_EFULL while handshaking or
 * while HL_TLS_OUTPUT_MAX waits: nothing was taken; HL_EINVAL after a failure. */
HL_MUST_USE hl_err hl_tls_write(struct hl_tls *tls, const void *bytes, size_t len, size_t *put);

/* Tell the peer that nothing more will be written; makes output. */
void hl_tls_close(struct hl_tls *tls);

/* Ciphertext for the peer, valid until the engine is used again. */
struct hl_slice hl_tls_output(const struct hl_tls *tls);

/* The first `len` bytes of hl_tls_output() were sent. */
void hl_tls_sent(struct hl_tls *tls, size_t len);

/* True when the peer showed a certificate that is for `host`, a name or an address; that it chains
 * to the authorities is what the handshake saw to.  False before that is over. */
bool hl_tls_peer_is(const struct hl_tls *tls, const char *host);

/* Version and cipher for people, such as "TLSv1.3 TLS_AES_256_GCM_SHA384", and whether the session
 * was resumed.  `version` and `cipher` are static texts, "" before the handshake is over. */
struct hl_tls_info {
    const char *version, *cipher;
    bool resumed;
    bool peer_shown; /* a certificate, which was good */
};

/* What was agreed on. */
struct hl_tls_info hl_tls_info(const struct hl_tls *tls);

#endif
