/* session: the worker's side of the server, over whatever goes wrong between.
 *
 * Two links to one server: one waits in JOB.PULL, the other carries everything else, which would
 * otherwise wait behind it.  When either fails both are closed and the next server is tried, ever
 * slower.  An order (JOB.ACK, JOB.NACK, JOB.EXTEND) is sent again until the server has answered it:
 * it names a lease by its token, so that doing it twice does nothing.
 */
#ifndef HL_WORKER_SESSION_H
#define HL_WORKER_SESSION_H

#include "worker/link.h"
#include "worker/options.h"

/* Opaque. */
struct session;

/* Opaque: one command that will be answered. */
struct order;

/* An answer that is no reason to ask again: anything but an error, or an error that
 * worker_judge_answer() calls WORKER_GONE or WORKER_REFUSED.  `reply` is borrowed for the call. */
typedef void order_fn(void *ctx, const redisReply *reply);

/* Whom a session talks to. */
struct session_owner {
    void *ctx;
    void (*on_up)(void *ctx);   /* JOB.PULL may be asked for */
    void (*on_down)(void *ctx); /* no server now; it tries again by itself */
    /* What JOB.PULL answered: an array, nil, or an error of WORKER_REFUSED.  Not called when the
     * session went down meanwhile: on_up() comes again. */
    void (*on_pull)(void *ctx, const redisReply *reply);
    void (*on_refused)(void *ctx, const char *why); /* the server does not want us: give up */
};

/* A session that begins to connect.  `options`, `log` and `tls` (may be NULL) outlive it; the
 * caller ends it with session_destroy(). */
struct session *session_create(uv_loop_t *loop, const struct worker_options *options,
                               struct hl_log *log, const struct hl_tls_context *tls,
                               const struct session_owner *owner, struct hl_rng *rng);

/* Close the links and drop every order unanswered.  NULL is allowed. */
void session_destroy(struct session *session);

/* Ask for up to `count` jobs, waiting for `block_ms` (-1: not at all).  Only when up and not
 * pulling. */
void session_pull(struct session *session, int64_t count, int64_t block_ms);

/* Whether a JOB.PULL is not answered yet. */
bool session_is_pulling(const struct session *session);

/* Whether both links work. */
bool session_is_up(const struct session *session);

/* Let a waiting JOB.PULL end now; it is answered as ever. */
void session_interrupt(struct session *session);

/* Send a command of `argc` words until it is answered; `done` is then called, once.  The order
 * lives until then. */
struct order *session_order(struct session *session, size_t argc, const struct hl_slice *argv,
                            order_fn *done, void *ctx);

/* Do not call an order's `done`, and do not send it again. */
void session_cancel(struct order *order);

/* Milliseconds since the epoch on the server's clock, as well as is known. */
int64_t session_server_ms(const struct session *session);

#endif
