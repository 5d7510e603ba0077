/* Who asks, and may they?  Decided on the server's thread by the command GATEWAY._ACCESS, so that a
 * decision sees the keyspace as a command does and waits, as its answer, for what it rests on.
 *
 *   A1  Yes is believed at once.  No is believed only when it was said of the newest state: a
 *       follower that lags must not refuse who has just logged in elsewhere.  So a refusal is asked
 *       for again, by a linearizable read, before it is told; without a quorum the answer is 503.
 *   A2  No credential is an argument of a command: the command carries a number, and the question
 *       waits here under it.
 */
#ifndef GATEWAY_ACCESS_H
#define GATEWAY_ACCESS_H

#include "outcome.h"

#include "helios/auth_service.h"
#include "helios/module.h"
#include "kit/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum gw_verdict {
    GW_ALLOWED,
    GW_STRANGER,  /* the credential is none: 401 */
    GW_FORBIDDEN, /* who asks is known, and may not: 403 */
    GW_UNDECIDED, /* it could not be decided: `problem` says why */
};

/* A question; all zero but what is asked.  The memory is the caller's until `done`. */
struct gw_access {
    /* What is asked: one of credential, who, local; the texts are borrowed until `done`. */
    struct hl_slice credential; /* a token or an API key; ptr NULL: none was shown */
    bool known;                 /* `who` is given */
    bool local;                 /* nothing was shown by a client of this machine */
    const char *permission;     /* NULL: who it is, no more */
    struct hl_slice key;        /* ptr NULL: no key is in question */
    /* Called on the server's thread. */
    void (*done)(struct gw_access *access);
    void *data;

    /* The answer. */
    enum gw_verdict verdict;
    HeliosAuthIdentity who;    /* of whoever is known */
    HeliosAuthRefusal refusal; /* of a stranger */
    struct gw_problem problem; /* its message is in `text` */
    char text[160];

    /* Its own. */
    uint64_t id;
    struct gw_access *next;
    bool newest; /* asked of the newest state */
};

/* Ask.  Any thread.  False, with nothing taken, when there is no room for the question, or the
 * module is leaving. */
bool gw_access_ask(struct gw_access *access);

/* Has somebody the permission, as things stand here and now?  On the server's thread. */
bool gw_access_permits(RedisModuleCtx *ctx, const HeliosAuthIdentity *who, const char *permission);

/* GATEWAY._ACCESS number */
int gw_cmd_access(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

#endif
