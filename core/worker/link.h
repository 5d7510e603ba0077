/* link: one connection to a server, speaking RESP in clear or over TLS.
 *
 * Only bytes: it connects, sends commands and hands over replies.  What to do when it fails is the
 * session's matter (session.h).  hiredis serves as a parser, since its version in Debian 12 knows
 * no TLS; the kit's engine does that.
 */
#ifndef HL_WORKER_LINK_H
#define HL_WORKER_LINK_H

#include "kit/bytes.h"
#include "kit/tls.h"

#include <hiredis/hiredis.h>
#include <uv.h>

/* Opaque: from link_open() to link_drop(). */
struct link;

/* Whom a link talks to; every function may call link_drop(). */
struct link_owner {
    void *ctx;
    void (*on_up)(void *ctx);                       /* connected, TLS included */
    void (*on_reply)(void *ctx, redisReply *reply); /* borrowed for the call */
    void (*on_down)(void *ctx, const char *why);    /* failed; link_drop() is still to be called */
};

/* Begin to connect, to the Unix socket `host` when that begins with '/'.  `host` is copied; `tls`
 * may be NULL and outlives the link. */
struct link *link_open(uv_loop_t *loop, const char *host, int port,
                       const struct hl_tls_context *tls, const struct link_owner *owner);

/* Send the bytes of whole commands, now or once connected. */
void link_send(struct link *link, struct hl_slice bytes);

/* End it, if it lives: no function of the owner is called any more.  NULL is allowed. */
void link_drop(struct link *link);

#endif
