/* Stream sockets: libuv, TLS, buffers, timers. */
#include "net/stream.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#define DECRYPT_STEP 4096 /* room made for plaintext at a time */

/* --- deadlines -------------------------------------------------------------------------------- */

static int64_t deadline_of(const struct net_stream *s)
{
    if (s->finishing) {
        return s->shut ? s->shut_ms + NET_LINGER_MS : NET_NEVER_MS; /* the writer's time before */
    }
    return s->hooks->deadline(s);
}

static void on_timer(uv_timer_t *timer);

/* Let the timer ring at the earliest deadline; one that rings early only looks again. */
void net_stream_arm(struct net_stream *s)
{
    if (s->closed) {
        return;
    }
    int64_t next = deadline_of(s);
    if (s->writes && s->write_deadline_ms < next) {
        next = s->write_deadline_ms;
    }
    if (next == NET_NEVER_MS) {
        return;
    }
    int64_t now = net_loop_now_ms(s->loop);
    uint64_t wait = next > now ? (uint64_t)(next - now) : 0;
    if (!uv_is_active((uv_handle_t *)&s->timer) || uv_timer_get_due_in(&s->timer) > wait) {
        uv_timer_start(&s->timer, on_timer, wait, 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct net_stream *s = timer->data;
    int64_t now = net_loop_now_ms(s->loop);
    if (s->error != 0) {
        net_stream_close(s); /* connecting failed at once */
        return;
    }
    if (s->writes) {
        size_t left = uv_stream_get_write_queue_size((uv_stream_t *)&s->tcp);
        if (left < s->stalled) {
            s->stalled = left;
            s->write_deadline_ms = now + s->write_timeout_ms;
        } else if (now >= s->write_deadline_ms) {
            if (s->hooks->stalled != NULL) {
                s->hooks->stalled(s);
            }
            net_stream_close(s);
            return;
        }
    }
    if (now >= deadline_of(s)) {
        if (s->finishing) {
            net_stream_close(s);
        } else {
            s->hooks->expired(s);
        }
    }
    net_stream_arm(s);
}

/* --- closing ---------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct net_stream *s = handle->data;
    if (--s->handles != 0) {
        return;
    }
    hl_tls_destroy(s->tls);
    hl_buf_fini(&s->in);
    hl_buf_fini(&s->out);
    hl_buf_fini(&s->writing);
    s->hooks->freed(s);
}

static void close_handles(struct net_stream *s)
{
    s->closed = true;
    uv_close((uv_handle_t *)&s->tcp, on_closed);
    uv_close((uv_handle_t *)&s->timer, on_closed);
}

void net_stream_close(struct net_stream *s)
{
    if (!s->closed) {
        close_handles(s);
        s->hooks->lost(s);
    }
}

static void on_shut(uv_shutdown_t *request, int status)
{
    struct net_stream *s = request->data;
    if (s->finishing && (status < 0 || s->eof)) {
        net_stream_close(s);
    }
}

/* Everything is sent: say goodbye, and let the peer read it before the connection is cut. */
static void say_goodbye(struct net_stream *s)
{
    if (s->shut) {
        return;
    }
    s->shut = true;
    s->shut_ms = net_loop_now_ms(s->loop);
    s->shutdown.data = s;
    if (uv_shutdown(&s->shutdown, (uv_stream_t *)&s->tcp, on_shut) != 0) {
        net_stream_close(s);
        return;
    }
    if (s->finishing) {
        hl_buf_fini(&s->in);
        net_stream_advance(s); /* which reads on */
    }
}

void net_stream_finish(struct net_stream *s)
{
    if (s->closed || s->finishing) {
        return;
    }
    if (s->connecting) {
        net_stream_close(s); /* nobody to say goodbye to */
        return;
    }
    s->finishing = true;
    if (s->shut) {
        s->shut_ms = net_loop_now_ms(s->loop);
        net_stream_advance(s);
    } else {
        net_stream_flush(s);
    }
}

void net_stream_shut(struct net_stream *s)
{
    if (!s->closed && !s->shutting && !s->finishing) {
        s->shutting = true;
        net_stream_flush(s);
    }
}

/* --- writing ---------------------------------------------------------------------------------- */

static void on_written(uv_write_t *write, int status)
{
    struct net_stream *s = write->data;
    s->writes = false;
    if (s->closed) {
        return;
    }
    if (status < 0) {
        s->error = status;
        net_stream_close(s);
        return;
    }
    if (s->hooks->moved != NULL) {
        s->hooks->moved(s, 0, s->writing.len);
    }
    hl_buf_fini(&s->writing); /* a silent connection holds no memory */
    size_t marked = s->writing_marked;
    s->writing_marked = 0;
    if (marked != 0 && s->hooks->sent != NULL) {
        s->hooks->sent(s, marked);
    }
    net_stream_flush(s);
    net_stream_advance(s);
}

/* Move as much as TLS takes from `out` to `writing`, and what TLS itself has to say. */
static void encrypt(struct net_stream *s)
{
    size_t at = 0;
    while (at < s->out.len) {
        size_t put = 0;
        if (hl_tls_write(s->tls, s->out.ptr + at, s->out.len - at, &put) != HL_OK) {
            break;
        }
        at += put;
        struct hl_slice made = hl_tls_output(s->tls);
        hl_buf_append_slice(&s->writing, made);
        hl_tls_sent(s->tls, made.len);
    }
    hl_buf_consume(&s->out, at);
    if ((s->finishing || s->shutting) && s->out.len == 0) {
        hl_tls_close(s->tls);
    }
    struct hl_slice made = hl_tls_output(s->tls);
    hl_buf_append_slice(&s->writing, made);
    hl_tls_sent(s->tls, made.len);
}

void net_stream_flush(struct net_stream *s)
{
    if (s->writes || s->closed || s->shut || s->connecting) {
        return;
    }
    if (s->tls != NULL) {
        encrypt(s);
    } else {
        struct hl_buf empty = s->writing;
        s->writing = s->out;
        s->out = empty;
    }
    if (s->out.len == 0) {
        s->writing_marked += s->marked;
        s->marked = 0;
    }
    if (s->writing.len == 0) {
        if (s->finishing || (s->shutting && s->out.len == 0)) {
            say_goodbye(s);
        }
        return;
    }
    uv_buf_t buf = uv_buf_init(s->writing.ptr, (unsigned)s->writing.len);
    s->write.data = s;
    s->writes = true;
    s->stalled = s->writing.len;
    s->write_deadline_ms = net_loop_now_ms(s->loop) + s->write_timeout_ms;
    if (uv_write(&s->write, (uv_stream_t *)&s->tcp, &buf, 1, on_written) != 0) {
        s->writes = false;
        net_stream_close(s);
        return;
    }
    net_stream_arm(s);
}

size_t net_stream_backlog(const struct net_stream *s)
{
    return s->out.len + s->writing.len;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct net_stream *s = handle->data;
    *out = uv_buf_init(s->loop->read, NET_READ_MAX);
}

/* The peer broke TLS, or showed no good certificate. */
static void fail_tls(struct net_stream *s, const char *why)
{
    if (s->hooks->tls_failed != NULL) {
        s->hooks->tls_failed(s, why);
    } else {
        net_stream_finish(s); /* once the alert is sent */
    }
}

/* Decrypt what came; false when the connection is over. */
static bool take_ciphertext(struct net_stream *s, const char *bytes, size_t len)
{
    struct hl_errmsg msg = {0};
    hl_err err = hl_tls_feed(s->tls, bytes, len, &msg);
    while (err == HL_OK) {
        size_t got = 0;
        hl_buf_grow(&s->in, DECRYPT_STEP);
        err = hl_tls_read(s->tls, s->in.ptr + s->in.len, s->in.cap - s->in.len, &got, &msg);
        s->in.len += err == HL_OK ? got : 0;
    }
    net_stream_flush(s); /* the handshake, an alert */
    if (s->closed) {
        return false;
    }
    if (err == HL_EFULL) {
        s->eof = true;
    } else if (err != HL_ENOENT) {
        fail_tls(s, msg.text);
        return false;
    }
    if (!s->opened && !hl_tls_is_handshaking(s->tls)) {
        s->opened = true;
        if (s->hooks->opened != NULL) {
            s->hooks->opened(s);
        }
        net_stream_flush(s); /* what waited for the handshake */
    }
    return !s->closed;
}

static void on_read(uv_stream_t *tcp, ssize_t count, const uv_buf_t *buf)
{
    struct net_stream *s = tcp->data;
    if (count == 0 || s->closed) {
        return;
    }
    if (count < 0 && count != UV_EOF) {
        s->error = (int)count;
        net_stream_close(s);
        return;
    }
    if (count < 0) {
        s->eof = true;
        net_stream_advance(s);
        return;
    }
    if (s->hooks->moved != NULL) {
        s->hooks->moved(s, (size_t)count, 0);
    }
    if (s->finishing) {
        s->lingered += (uint64_t)count;
        if (s->lingered > NET_LINGER_MAX) {
            net_stream_close(s);
        }
        return;
    }
    if (s->tls == NULL) {
        hl_buf_append(&s->in, buf->base, (size_t)count);
    } else if (!take_ciphertext(s, buf->base, (size_t)count)) {
        return;
    }
    net_stream_advance(s);
}

/* Read, or do not, as there is room (NS1). */
static void set_reading(struct net_stream *s)
{
    bool full = s->in.len >= s->in_max || s->held;
    bool wants = !s->eof && (!full || s->finishing) && !s->connecting;
    if (s->in.len == 0 && s->in.cap != 0) {
        hl_buf_fini(&s->in);
    }
    if (wants == s->reading) {
        return;
    }
    s->reading = wants;
    if (!wants) {
        uv_read_stop((uv_stream_t *)&s->tcp);
    } else if (uv_read_start((uv_stream_t *)&s->tcp, give_buffer, on_read) != 0) {
        net_stream_close(s);
    }
}

void net_stream_advance(struct net_stream *s)
{
    if (s->advancing || s->closed) {
        return;
    }
    s->advancing = true;
    if (!s->finishing && s->opened) {
        s->hooks->ready(s);
    }
    if (s->eof && !s->closed) {
        if (!s->finishing) {
            s->hooks->ended(s);
        } else if (!s->writes && s->shut) {
            net_stream_close(s);
        }
    }
    s->advancing = false;
    if (s->closed) {
        return;
    }
    set_reading(s);
    net_stream_arm(s);
}

/* --- beginning -------------------------------------------------------------------------------- */

/* The peer's address, as bytes for tables and as text for people. */
static void learn_address(struct net_stream *s)
{
    struct sockaddr_storage from = {0};
    int len = sizeof from;
    (void)uv_tcp_getpeername(&s->tcp, (struct sockaddr *)&from, &len);
    if (from.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&from;
        memset(s->address + 10, 0xff, 2);
        memcpy(s->address + 12, &v4->sin_addr, 4);
        (void)uv_ip4_name(v4, s->remote, sizeof s->remote);
    } else if (from.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&from;
        memcpy(s->address, &v6->sin6_addr, 16);
        (void)uv_ip6_name(v6, s->remote, sizeof s->remote);
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
            const char *v4_text = strrchr(s->remote, ':') + 1;
            memmove(s->remote, v4_text, strlen(v4_text) + 1);
        }
    }
}

static void begin(struct net_stream *s, const struct net_stream_hooks *hooks, struct net_loop *loop)
{
    s->hooks = hooks;
    s->loop = loop;
    s->handles = 2;
    int bad = uv_tcp_init(&loop->uv, &s->tcp) | uv_timer_init(&loop->uv, &s->timer);
    HL_ASSERT(bad == 0); /* neither does more than fill in fields */
    s->tcp.data = s;
    s->timer.data = s;
}

hl_err net_stream_accept(struct net_stream *s, const struct net_stream_hooks *hooks,
                         struct net_listener *listener, const struct hl_tls_context *tls)
{
    begin(s, hooks, listener->loop);
    bool good = uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&s->tcp) == 0;
    if (good) {
        learn_address(s);
        (void)uv_tcp_nodelay(&s->tcp, 1);
    }
    if (good && tls != NULL) {
        s->tls = hl_tls_create(tls, NULL);
        good = s->tls != NULL;
    }
    if (!good) {
        close_handles(s);
        return HL_EIO;
    }
    s->opened = s->tls == NULL;
    return HL_OK;
}

void net_stream_start(struct net_stream *s)
{
    net_stream_advance(s);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct net_stream *s = connect->data;
    struct hl_errmsg msg = {0};
    s->connecting = false;
    if (s->closed) {
        return;
    }
    if (status < 0) {
        s->error = status;
        net_stream_close(s);
        return;
    }
    (void)uv_tcp_nodelay(&s->tcp, 1);
    if (s->tls != NULL && hl_tls_feed(s->tls, NULL, 0, &msg) != HL_OK) {
        fail_tls(s, msg.text);
        return;
    }
    s->opened = s->tls == NULL;
    if (s->opened && s->hooks->opened != NULL) {
        s->hooks->opened(s);
    }
    net_stream_flush(s);
    net_stream_advance(s);
}

void net_stream_connect(struct net_stream *s, const struct net_stream_hooks *hooks,
                        struct net_loop *loop, const struct sockaddr *address,
                        const struct hl_tls_context *tls, const char *host)
{
    begin(s, hooks, loop);
    s->connecting = true;
    s->connect.data = s;
    if (tls != NULL) {
        s->tls = hl_tls_create(tls, host);
    }
    int rc = tls != NULL && s->tls == NULL
                 ? UV_ENOMEM
                 : uv_tcp_connect(&s->connect, &s->tcp, address, on_connected);
    if (rc != 0) {
        s->error = rc;
        uv_timer_start(&s->timer, on_timer, 0, 0);
    } else {
        net_stream_arm(s);
    }
}
