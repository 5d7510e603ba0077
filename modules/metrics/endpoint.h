/* The module's own thread: it listens for scrapes and makes texts, for HTTP and for RESP.
 *
 *   ME1  the server's thread only runs collectors, a step in an iteration; values are read and
 *        texts are made on this one.
 *   ME2  a text that was asked for holds what was counted before it was asked for: who asks while
 *        collectors run waits for the next round, unless collect-timeout passes first.
 *   ME3  everything in struct endpoint but `round_over` is touched on its thread alone, or before
 *        that begins and after it has ended.
 */
#ifndef METRICS_ENDPOINT_H
#define METRICS_ENDPOINT_H

#include "render.h"

#include "net/loop.h"

struct client;

struct endpoint {
    struct net_loop net;
    HeliosModuleMetricReader *reader;
    struct client *clients;
    size_t client_count;
    bool collecting;            /* a round is under way */
    uint64_t round;             /* its number, or that of the next one */
    struct net_mail ask;        /* to the server's thread: collect */
    struct net_mail round_over; /* from it */
    HeliosModuleMetric *scrapes[RENDER_FORMS], *stale, *seconds, *refused, *left_out;
};

/* Listen as the settings say, and begin the thread; on the server's.  NULL with the reason. */
struct endpoint *endpoint_start(RedisModuleCtx *ctx, HeliosModuleMetricReader *reader,
                                struct hl_errmsg *msg);

/* Cut all connections and end the thread; on the server's. */
void endpoint_stop(struct endpoint *endpoint);

/* Release everything, once the desk is closed: mail of it may lie there. */
void endpoint_free(struct endpoint *endpoint);

/* What the thread does for the server's. */
struct endpoint_job {
    struct net_mail mail;
    struct endpoint *endpoint;
    void (*run)(struct endpoint_job *job);
};

/* Run a job on the thread once values are collected; from the server's thread.  It owns the job
 * from now on, and is run in every case but the module's end. */
bool endpoint_collect(struct endpoint *endpoint, struct endpoint_job *job);

/* What is counted now, as text; on the thread.  Given: end it with hl_buf_fini(). */
struct hl_buf endpoint_text(struct endpoint *endpoint, enum render_form form);

/* A client wants a text: the number of the round that it waits for.  On the thread. */
uint64_t endpoint_want(struct endpoint *endpoint);

#endif
