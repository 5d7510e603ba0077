#include "kit/tls.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define WRITE_MAX (64 * 1024) /* plaintext encrypted at once */

struct hl_tls_context {
    SSL_CTX *ctx;
    bool server;
};

struct hl_tls {
    SSL *ssl;
    BIO *in;           /* ciphertext to be read; owned by ssl */
    BIO *made;         /* ciphertext just made; owned by ssl */
    struct hl_buf out; /* the same, kept for the caller; bytes before `sent` have left */
    size_t sent;
    size_t fed; /* bytes while handshaking (T3) */
    bool open;  /* the handshake is over */
    bool failed;
};

/* --- reasons ---------------------------------------------------------------------------------- */

/* The oldest error of OpenSSL's queue, which is the cause of the others; empties the queue. */
static const char *reason(void)
{
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) {
        return "unknown reason";
    }
    if (ERR_SYSTEM_ERROR(code)) {
        return strerror(ERR_GET_REASON(code));
    }
    const char *text = ERR_reason_error_string(code);
    return text != NULL ? text : "unknown reason";
}

static bool given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* --- context ---------------------------------------------------------------------------------- */

/* Always installed: OpenSSL would ask on the terminal otherwise. */
static int give_pass(char *out, int size, int writing, void *arg)
{
    (void)writing;
    const char *pass = arg;
    size_t len = pass != NULL ? strlen(pass) : 0;
    if (len == 0 || size < 0 || len > (size_t)size) {
        return -1;
    }
    memcpy(out, pass, len);
    return (int)len;
}

static hl_err use_key(SSL_CTX *ctx, const struct hl_tls_options *o, struct hl_errmsg *msg)
{
    if (!given(o->cert_file) && !given(o->key_file)) {
        return o->server ? hl_fail(msg, HL_EINVAL, "TLS needs a certificate and its key") : HL_OK;
    }
    if (!given(o->cert_file) || !given(o->key_file)) {
        return hl_fail(msg, HL_EINVAL,
                       "TLS needs both a certificate and its key, only the %s is "
                       "set",
                       given(o->cert_file) ? "certificate" : "key");
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, o->cert_file) != 1) {
        return hl_fail(msg, HL_EIO, "TLS certificate %s: %s", o->cert_file, reason());
    }
    char *pass = (char *)(uintptr_t)o->key_pass; /* OpenSSL's argument is not const */
    SSL_CTX_set_default_passwd_cb(ctx, give_pass);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, pass);
    int ok = SSL_CTX_use_PrivateKey_file(ctx, o->key_file, SSL_FILETYPE_PEM);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    if (ok != 1) {
        return hl_fail(msg, HL_EIO, "TLS key %s: %s", o->key_file, reason());
    }
    if (SSL_CTX_check_private_key(ctx) != 1) {
        return hl_fail(msg, HL_EIO, "TLS key %s does not belong to %s", o->key_file, o->cert_file);
    }
    return HL_OK;
}

static hl_err use_authorities(SSL_CTX *ctx, const struct hl_tls_options *o, struct hl_errmsg *msg)
{
    if (o->peer != HL_TLS_PEER_ANY && !given(o->ca_file) && !given(o->ca_dir)) {
        return hl_fail(msg, HL_EINVAL,
                       "TLS needs a file or directory of CA certificates to check "
                       "the peers' certificates");
    }
    if (given(o->ca_file) && SSL_CTX_load_verify_file(ctx, o->ca_file) != 1) {
        return hl_fail(msg, HL_EIO, "TLS CA certificates %s: %s", o->ca_file, reason());
    }
    if (given(o->ca_dir) && SSL_CTX_load_verify_dir(ctx, o->ca_dir) != 1) {
        return hl_fail(msg, HL_EIO, "TLS CA directory %s: %s", o->ca_dir, reason());
    }
    int mode = SSL_VERIFY_NONE;
    if (o->peer != HL_TLS_PEER_ANY) {
        mode = SSL_VERIFY_PEER;
    }
    if (o->peer == HL_TLS_PEER_REQUIRED) {
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    SSL_CTX_set_verify(ctx, mode, NULL);
    return HL_OK;
}

static hl_err use_rules(SSL_CTX *ctx, const struct hl_tls_options *o, struct hl_errmsg *msg)
{
    if (o->no_tls12 && o->no_tls13) {
        return hl_fail(msg, HL_EINVAL, "TLS needs at least one version");
    }
    uint64_t flags = SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION;
    flags |= o->prefer_server_ciphers ? SSL_OP_CIPHER_SERVER_PREFERENCE : 0;
    flags |= o->session_caching ? 0 : SSL_OP_NO_TICKET;
    SSL_CTX_set_options(ctx, flags);
    (void)SSL_CTX_set_min_proto_version(ctx, o->no_tls12 ? TLS1_3_VERSION : TLS1_2_VERSION);
    (void)SSL_CTX_set_max_proto_version(ctx, o->no_tls13 ? TLS1_2_VERSION : TLS1_3_VERSION);
    if (given(o->ciphers) && SSL_CTX_set_cipher_list(ctx, o->ciphers) != 1) {
        return hl_fail(msg, HL_EINVAL, "TLS ciphers '%s': %s", o->ciphers, reason());
    }
    if (given(o->ciphersuites) && SSL_CTX_set_ciphersuites(ctx, o->ciphersuites) != 1) {
        return hl_fail(msg, HL_EINVAL, "TLS cipher suites '%s': %s", o->ciphersuites, reason());
    }
    static const unsigned char id[] = "helios";
    (void)SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1);
    SSL_CTX_set_session_cache_mode(ctx,
                                   o->session_caching ? SSL_SESS_CACHE_SERVER : SSL_SESS_CACHE_OFF);
    if (!o->session_caching) {
        (void)SSL_CTX_set_num_tickets(ctx, 0);
    }
    int64_t size = o->session_cache_size;
    (void)SSL_CTX_sess_set_cache_size(ctx, size > INT_MAX ? INT_MAX : (long)size);
    if (o->session_timeout_s > 0) {
        int64_t timeout_s = o->session_timeout_s;
        (void)SSL_CTX_set_timeout(ctx, timeout_s > INT_MAX ? INT_MAX : (long)timeout_s);
    }
    SSL_CTX_set_max_cert_list(ctx, HL_TLS_CHAIN_MAX);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    return HL_OK;
}

/* Choose our protocol when the client offers it; a client that offers others only is refused, since
 * it would take our bytes for theirs (RFC 7301, 3.2). */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *offered, unsigned int offered_len, void *arg)
{
    (void)ssl;
    (void)arg;
    static const char ours[] = "http/1.1";
    size_t len = sizeof ours - 1;
    for (unsigned int at = 0; at < offered_len; at += offered[at] + 1u) {
        if (offered[at] == len && offered_len - at > len &&
            memcmp(offered + at + 1, ours, len) == 0) {
            *out = offered + at + 1;
            *out_len = (unsigned char)len;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

hl_err hl_tls_context_create(struct hl_tls_context **out, const struct hl_tls_options *options,
                             struct hl_errmsg *msg)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method());
    if (ctx == NULL) {
        return hl_fail(msg, HL_ENOMEM, "TLS: %s", reason());
    }
    hl_err err = use_rules(ctx, options, msg);
    if (err == HL_OK) {
        err = use_key(ctx, options, msg);
    }
    if (err == HL_OK) {
        err = use_authorities(ctx, options, msg);
    }
    ERR_clear_error();
    if (err != HL_OK) {
        SSL_CTX_free(ctx);
        return err;
    }
    struct hl_tls_context *context = hl_calloc(1, sizeof *context);
    *context = (struct hl_tls_context){.ctx = ctx, .server = options->server};
    if (options->server && options->http1) {
        SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    }
    *out = context;
    return HL_OK;
}

void hl_tls_context_destroy(struct hl_tls_context *context)
{
    if (context != NULL) {
        SSL_CTX_free(context->ctx);
        hl_free(context);
    }
}

/* --- engine ----------------------------------------------------------------------------------- */

/* A client checks the name in the certificate, an address as an address. */
static bool expect_host(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1) {
        return true;
    }
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

struct hl_tls *hl_tls_create(const struct hl_tls_context *context, const char *host)
{
    ERR_clear_error();
    SSL *ssl = SSL_new(context->ctx);
    BIO *in = BIO_new(BIO_s_mem());
    BIO *made = BIO_new(BIO_s_mem());
    if (ssl == NULL || in == NULL || made == NULL ||
        (!context->server && host != NULL && !expect_host(ssl, host))) {
        SSL_free(ssl);
        (void)BIO_free(in);
        (void)BIO_free(made);
        ERR_clear_error();
        return NULL;
    }
    (void)BIO_set_mem_eof_return(in, -1); /* empty means "later", not the end */
    SSL_set_bio(ssl, in, made);
    if (context->server) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    struct hl_tls *tls = hl_calloc(1, sizeof *tls);
    *tls = (struct hl_tls){.ssl = ssl, .in = in, .made = made};
    return tls;
}

void hl_tls_destroy(struct hl_tls *tls)
{
    if (tls != NULL) {
        SSL_free(tls->ssl);
        hl_buf_fini(&tls->out);
        hl_free(tls);
    }
}

/* Move what OpenSSL made to where the caller takes it. */
static void collect(struct hl_tls *tls)
{
    int len = BIO_pending(tls->made);
    if (len > 0) {
        hl_buf_grow(&tls->out, (size_t)len);
        int got = BIO_read(tls->made, tls->out.ptr + tls->out.len, len);
        HL_ASSERT(got == len); /* it is memory */
        tls->out.len += (size_t)got;
    }
}

static hl_err fail(struct hl_tls *tls, struct hl_errmsg *msg)
{
    tls->failed = true;
    collect(tls); /* the alert that says why */
    long verify = SSL_get_verify_result(tls->ssl);
    if (verify != X509_V_OK) {
        ERR_clear_error();
        return hl_fail(msg, HL_EINVAL, "certificate refused: %s",
                       X509_verify_cert_error_string(verify));
    }
    return hl_fail(msg, HL_EINVAL, "%s", reason());
}

static hl_err shake(struct hl_tls *tls, struct hl_errmsg *msg)
{
    int rc = SSL_do_handshake(tls->ssl);
    if (rc == 1) {
        tls->open = true;
        collect(tls);
        return HL_OK;
    }
    int why = SSL_get_error(tls->ssl, rc);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        return fail(tls, msg);
    }
    collect(tls);
    return HL_OK;
}

hl_err hl_tls_feed(struct hl_tls *tls, const void *bytes, size_t len, struct hl_errmsg *msg)
{
    HL_ASSERT(len <= INT_MAX);
    if (tls->failed) {
        return hl_fail(msg, HL_EINVAL, "the connection failed before");
    }
    ERR_clear_error();
    if (len != 0 && BIO_write(tls->in, bytes, (int)len) != (int)len) {
        return fail(tls, msg);
    }
    if (tls->open) {
        return HL_OK;
    }
    tls->fed += len;
    hl_err err = shake(tls, msg);
    if (err == HL_OK && !tls->open && tls->fed > HL_TLS_HANDSHAKE_MAX) {
        tls->failed = true;
        err =
            hl_fail(msg, HL_EINVAL, "the handshake is longer than %d bytes", HL_TLS_HANDSHAKE_MAX);
    }
    return err;
}

bool hl_tls_is_handshaking(const struct hl_tls *tls)
{
    return !tls->open;
}

hl_err hl_tls_read(struct hl_tls *tls, void *into, size_t room, size_t *got, struct hl_errmsg *msg)
{
    HL_ASSERT(room != 0);
    if (tls->failed) {
        return hl_fail(msg, HL_EINVAL, "the connection failed before");
    }
    if (!tls->open) {
        return HL_ENOENT;
    }
    ERR_clear_error();
    int want = room > INT_MAX ? INT_MAX : (int)room;
    int rc = SSL_read(tls->ssl, into, want);
    if (rc > 0) {
        collect(tls); /* a key update may have been answered */
        *got = (size_t)rc;
        return HL_OK;
    }
    int why = SSL_get_error(tls->ssl, rc);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        collect(tls);
        return HL_ENOENT;
    }
    if (why == SSL_ERROR_ZERO_RETURN) {
        return hl_fail(msg, HL_EFULL, "the peer closed the connection");
    }
    return fail(tls, msg);
}

hl_err hl_tls_write(struct hl_tls *tls, const void *bytes, size_t len, size_t *put)
{
    HL_ASSERT(len != 0);
    if (tls->failed) {
        return HL_EINVAL;
    }
    if (!tls->open || tls->out.len - tls->sent >= HL_TLS_OUTPUT_MAX) {
        return HL_EFULL;
    }
    ERR_clear_error();
    size_t done = 0;
    while (done < len && done < WRITE_MAX) {
        size_t part = len - done < WRITE_MAX - done ? len - done : WRITE_MAX - done;
        int rc = SSL_write(tls->ssl, (const char *)bytes + done, (int)part);
        if (rc <= 0) {
            (void)fail(tls, NULL); /* output is memory: nothing to wait for */
            return HL_EINVAL;
        }
        done += (size_t)rc;
        collect(tls); /* after each record, so that OpenSSL's buffer stays small */
    }
    *put = done;
    return HL_OK;
}

void hl_tls_close(struct hl_tls *tls)
{
    if (tls->open && !tls->failed) {
        ERR_clear_error();
        (void)SSL_shutdown(tls->ssl); /* one way: an answer is not waited for */
        collect(tls);
        ERR_clear_error();
    }
}

struct hl_slice hl_tls_output(const struct hl_tls *tls)
{
    return (struct hl_slice){.ptr = tls->out.ptr != NULL ? tls->out.ptr + tls->sent : NULL,
                             .len = tls->out.len - tls->sent};
}

void hl_tls_sent(struct hl_tls *tls, size_t len)
{
    HL_ASSERT(len <= tls->out.len - tls->sent);
    tls->sent += len;
    if (tls->sent == tls->out.len) {
        hl_buf_fini(&tls->out);
        tls->sent = 0;
    }
}

bool hl_tls_peer_is(const struct hl_tls *tls, const char *host)
{
    X509 *cert = tls->open ? SSL_get0_peer_certificate(tls->ssl) : NULL;
    if (cert == NULL) {
        return false;
    }
    return X509_check_host(cert, host, 0, 0, NULL) == 1 || X509_check_ip_asc(cert, host, 0) == 1;
}

struct hl_tls_info hl_tls_info(const struct hl_tls *tls)
{
    if (!tls->open) {
        return (struct hl_tls_info){.version = "", .cipher = ""};
    }
    return (struct hl_tls_info){
        .version = SSL_get_version(tls->ssl),
        .cipher = SSL_get_cipher_name(tls->ssl),
        .resumed = SSL_session_reused(tls->ssl) == 1,
        .peer_shown = SSL_get0_peer_certificate(tls->ssl) != NULL,
    };
}
