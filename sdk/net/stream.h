/* A stream socket with or without TLS: bytes in, bytes out, and time.
 *
 * The owner embeds struct net_stream, takes bytes from `in` (hl_buf_consume()), appends to `out`
 * and calls net_stream_flush(); whatever happens comes through the hooks.
 *
 *   NS1  `in` never holds more than `in_max` and NET_READ_MAX bytes: when nobody takes them, the
 *        socket is not read.
 *   NS2  behind net_stream_finish() bytes are thrown away for a moment so that what was sent
 *        arrives, and `ready`, `ended` and `expired` are not called any more.
 *   NS3  `lost` is called once, whoever closed; behind it only `freed`, once, when the memory may
 *        go.
 *   NS4  hooks may close or finish the stream; the memory stays until `freed`.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "net/loop.h"

#include "kit/bytes.h"
#include "kit/tls.h"

#define NET_NEVER_MS INT64_MAX
#define NET_LINGER_MS 1000          /* how long bytes are thrown away */
#define NET_LINGER_MAX (256 * 1024) /* and how many */

struct net_stream;

/* What the owner is told, on the loop's thread. */
struct net_stream_hooks {
    /* Connected, and the TLS handshake is over.  May be NULL. */
    void (*opened)(struct net_stream *stream);
    /* Something has changed: `in` has bytes, or everything was sent.  Never nested. */
    void (*ready)(struct net_stream *stream);
    /* The peer will send nothing more; behind `ready`, again and again while the stream stays open.
     * Never nested. */
    void (*ended)(struct net_stream *stream);
    /* So many of the bytes counted in `marked` were sent.  May be NULL. */
    void (*sent)(struct net_stream *stream, size_t marked);
    /* When to call `expired`, as net_loop_now_ms() counts; NET_NEVER_MS for not. */
    int64_t (*deadline)(const struct net_stream *stream);
    /* The deadline has passed. */
    void (*expired)(struct net_stream *stream);
    /* The peer took no byte for write_timeout_ms: the stream is closed behind this.  May be NULL.
     */
    void (*stalled)(struct net_stream *stream);
    /* The peer breaks TLS: close, or finish so that it is told.  NULL: finish. */
    void (*tls_failed)(struct net_stream *stream, const char *why);
    /* It is closed. */
    void (*lost)(struct net_stream *stream);
    /* The stream's memory is not used any more. */
    void (*freed)(struct net_stream *stream);
    /* So many bytes were moved, for counters.  May be NULL. */
    void (*moved)(struct net_stream *stream, size_t in, size_t out);
};

/* Of the fields `in`, `out`, `marked`, `in_max` and `write_timeout_ms` are the owner's; the others
 * are for reading. */
struct net_stream {
    const struct net_stream_hooks *hooks; /* static */
    struct net_loop *loop;
    struct hl_buf in;
    struct hl_buf out; /* to be sent, before encryption */
    size_t marked;     /* bytes of `out` that `sent` shall tell about */
    size_t in_max;     /* with so many in `in` nothing more is read */
    int64_t write_timeout_ms;
    bool eof;                  /* the peer will send nothing more */
    bool opened;               /* and the TLS handshake is over */
    bool finishing;            /* net_stream_finish() was called */
    bool closed;               /* NS3 */
    bool held;                 /* the owner wants nothing read now */
    int error;                 /* of libuv, why it was lost; 0 for none */
    unsigned char address[16]; /* the peer's: IPv6, or IPv4 mapped into it */
    char remote[46];           /* the same as text */

    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    uv_shutdown_t shutdown;
    uv_connect_t connect;
    struct hl_tls *tls;
    struct hl_buf writing; /* what libuv is sending */
    size_t writing_marked;
    size_t stalled; /* bytes libuv had to send when last looked */
    int64_t write_deadline_ms, shut_ms;
    uint64_t lingered;
    int handles; /* of the two that libuv still knows */
    bool reading, writes, advancing, shut, shutting, connecting;
};

/*
 * Take a connection off a listener.  The stream is the owner's memory, all zero but for in_max and
 * write_timeout_ms; `tls` NULL for none.  HL_EIO when there is none or no TLS for it: the stream is
 * closed then, and only `freed` is called, later.  Else call net_stream_start() (or close).
 */
HL_MUST_USE hl_err net_stream_accept(struct net_stream *stream,
                                     const struct net_stream_hooks *hooks,
                                     struct net_listener *listener,
                                     const struct hl_tls_context *tls);

/* Begin reading what was accepted. */
void net_stream_start(struct net_stream *stream);

/* Connect; as above for the memory.  `tls` and `host` as for hl_tls_create().  What fails comes as
 * `lost` with `error`, never before this returns; `out` may be filled at once. */
void net_stream_connect(struct net_stream *stream, const struct net_stream_hooks *hooks,
                        struct net_loop *loop, const struct sockaddr *address,
                        const struct hl_tls_context *tls, const char *host);

/* Send what is in `out`. */
void net_stream_flush(struct net_stream *stream);

/* Look again at what is in `in`, and at the deadline: call it whenever something has changed. */
void net_stream_advance(struct net_stream *stream);

/* The deadline is another one now. */
void net_stream_arm(struct net_stream *stream);

/* Close once `out` is sent (NS2). */
void net_stream_finish(struct net_stream *stream);

/* Say that nothing more will be sent, once `out` is, and read on. */
void net_stream_shut(struct net_stream *stream);

/* Close at once. */
void net_stream_close(struct net_stream *stream);

/* Bytes that wait to be sent. */
size_t net_stream_backlog(const struct net_stream *stream);

#endif
