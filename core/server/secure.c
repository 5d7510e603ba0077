#include "server/secure.h"

#include "kit/tls.h"
#include "server/config.h"

#include <errno.h>
#include <sys/socket.h>

#define CHUNK_SIZE (16 * 1024) /* ciphertext taken from the socket at once: about a record */

/* --- settings --------------------------------------------------------------------------------- */

static enum hl_tls_peer peer_of(enum hl_cfg_tls_auth auth)
{
    switch (auth) {
    case HL_TLS_AUTH_NO:
        return HL_TLS_PEER_ANY;
    case HL_TLS_AUTH_OPTIONAL:
        return HL_TLS_PEER_OPTIONAL;
    case HL_TLS_AUTH_YES:
        break;
    }
    return HL_TLS_PEER_REQUIRED;
}

/* An empty list allows both versions. */
static bool allows(const char *protocols, const char *version)
{
    struct hl_slice rest = hl_slice_of(protocols);
    struct hl_slice word;
    bool any = false;
    while (hl_config_next_word(&rest, &word)) {
        any = true;
        if (hl_slice_is(word, version)) {
            return true;
        }
    }
    return !any;
}

hl_err hl_secure_load(struct hl_server *server, struct hl_errmsg *msg)
{
    const struct hl_config *cfg = server->config;
    if (hl_config_int(cfg, HL_CFG_TLS_PORT) == 0) {
        return HL_OK;
    }
    const char *protocols = hl_config_text(cfg, HL_CFG_TLS_PROTOCOLS);
    enum hl_cfg_tls_auth auth = (enum hl_cfg_tls_auth)hl_config_int(cfg, HL_CFG_TLS_AUTH_CLIENTS);
    const struct hl_tls_options options = {
        .server = true,
        .cert_file = hl_config_text(cfg, HL_CFG_TLS_CERT_FILE),
        .key_file = hl_config_text(cfg, HL_CFG_TLS_KEY_FILE),
        .key_pass = hl_config_text(cfg, HL_CFG_TLS_KEY_FILE_PASS),
        .ca_file = hl_config_text(cfg, HL_CFG_TLS_CA_CERT_FILE),
        .ca_dir = hl_config_text(cfg, HL_CFG_TLS_CA_CERT_DIR),
        .peer = peer_of(auth),
        .no_tls12 = !allows(protocols, "TLSv1.2"),
        .no_tls13 = !allows(protocols, "TLSv1.3"),
        .ciphers = hl_config_text(cfg, HL_CFG_TLS_CIPHERS),
        .ciphersuites = hl_config_text(cfg, HL_CFG_TLS_CIPHERSUITES),
        .prefer_server_ciphers = hl_config_bool(cfg, HL_CFG_TLS_PREFER_SERVER_CIPHERS),
        .session_caching = hl_config_bool(cfg, HL_CFG_TLS_SESSION_CACHING),
        .session_cache_size = hl_config_int(cfg, HL_CFG_TLS_SESSION_CACHE_SIZE),
        .session_timeout_s = hl_config_int(cfg, HL_CFG_TLS_SESSION_CACHE_TIMEOUT),
    };
    struct hl_tls_context *fresh = NULL;
    hl_err err = hl_tls_context_create(&fresh, &options, msg);
    if (err == HL_OK) {
        hl_tls_context_destroy(server->tls);
        server->tls = fresh;
    }
    return err;
}

void hl_secure_unload(struct hl_server *server)
{
    hl_tls_context_destroy(server->tls);
    server->tls = NULL;
}

/* --- bytes ------------------------------------------------------------------------------------ */

bool hl_secure_waits(const struct hl_conn *conn)
{
    return conn->tls != NULL && hl_tls_output(conn->tls).len != 0;
}

/* 1: nothing waits any more, 0: the socket takes no more for now, -1: it broke (errno says how). */
static int send_waiting(struct hl_conn *conn)
{
    struct hl_slice out = hl_tls_output(conn->tls);
    while (out.len != 0) {
        ssize_t put = send(conn->fd, out.ptr, out.len, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return errno == EAGAIN ? 0 : -1;
        }
        hl_tls_sent(conn->tls, (size_t)put);
        out = hl_tls_output(conn->tls);
    }
    return 1;
}

bool hl_secure_flush(struct hl_conn *conn)
{
    return conn->tls == NULL || send_waiting(conn) >= 0;
}

static ssize_t refused(struct hl_conn *conn, const char *why)
{
    (void)send_waiting(conn); /* the alert, if the socket takes it */
    hl_node_log(conn->server->node, 1, "TLS with %s failed: %s", conn->session->addr, why);
    errno = EPROTO;
    return -1;
}

/* Take one chunk from the socket into the engine.  1, or what hl_socket_read() shall return. */
static ssize_t feed(struct hl_conn *conn)
{
    struct hl_server *server = conn->server;
    bool handshaking = hl_tls_is_handshaking(conn->tls);
    if (handshaking && server->tls_turn_us > HL_SECURE_TURN_US_MAX) {
        errno = EAGAIN; /* the socket stays readable, so the next iteration comes back to it */
        return -1;
    }
    char chunk[CHUNK_SIZE];
    ssize_t got = recv(conn->fd, chunk, sizeof chunk, 0);
    if (got <= 0) {
        return got;
    }
    uint64_t start_us = handshaking ? server->world.mono_us(server) : 0;
    struct hl_errmsg msg = {0};
    hl_err err = hl_tls_feed(conn->tls, chunk, (size_t)got, &msg);
    if (handshaking) {
        server->tls_turn_us += server->world.mono_us(server) - start_us;
    }
    if (err != HL_OK) {
        return refused(conn, msg.text);
    }
    return send_waiting(conn) < 0 ? -1 : 1;
}

ssize_t hl_secure_read(struct hl_conn *conn, char *into, size_t room)
{
    size_t total = 0;
    bool fed = false;
    for (;;) {
        size_t got = 0;
        struct hl_errmsg msg = {0};
        hl_err err = hl_tls_read(conn->tls, into + total, room - total, &got, &msg);
        if (err == HL_OK) {
            total += got;
            if (total == room) {
                conn->tls_more = true;
                return (ssize_t)total;
            }
            continue;
        }
        conn->tls_more = total != 0 && err != HL_ENOENT; /* the end is told by the next call */
        if (total != 0) {
            return (ssize_t)total;
        }
        if (err == HL_EFULL) {
            return 0;
        }
        if (err != HL_ENOENT) {
            return refused(conn, msg.text);
        }
        if (fed) {
            errno = EAGAIN;
            return -1;
        }
        ssize_t rc = feed(conn);
        if (rc <= 0) {
            return rc;
        }
        fed = true;
    }
}

ssize_t hl_secure_write(struct hl_conn *conn, const char *bytes, size_t len)
{
    int sent = send_waiting(conn);
    size_t put = 0;
    hl_err err = sent < 0 ? HL_EIO : hl_tls_write(conn->tls, bytes, len, &put);
    if (err == HL_EFULL) {
        errno = EAGAIN;
        return -1;
    }
    if (err == HL_EINVAL) {
        errno = EPROTO;
        return -1;
    }
    return err != HL_OK || send_waiting(conn) < 0 ? -1 : (ssize_t)put;
}

void hl_secure_end(struct hl_conn *conn)
{
    if (conn->tls != NULL) {
        hl_tls_close(conn->tls);
        (void)send_waiting(conn);
        hl_tls_destroy(conn->tls);
        conn->tls = NULL;
    }
}
