/* The audit trail: who did what, in the order of the log, chained and bounded.
 *
 *   T1  An entry is part of the effect of what it tells: both are committed or neither.  Its index
 *       is the trail's own, one more than that of the entry before; effects are applied in the
 *       order of the log, so the indexes have that order on every node.
 *   T2  An entry's chain is the SHA-256 of the chain before and of the entry, so that none can be
 *       changed, moved or taken out of the middle unnoticed.
 *   T3  Failures are noted a few times a second at most, and the next entry says how many were not:
 *       whoever sprays passwords can neither fill the log nor push others out of the trail faster.
 *   T4  Nothing secret is in it: names, ids and words of ours.
 */
#ifndef AUTH_AUDIT_H
#define AUTH_AUDIT_H

#include "record.h"

#include "helios/module.h"

#define AUDIT_FAILURES_PER_S 5

/* What happened.  Texts are borrowed; NULL is unknown; what is not printable is left out. */
struct audit_event {
    const char *action;  /* "login" */
    const char *actor;   /* NULL: the ACL user of the context's client */
    const char *target;  /* what was acted upon: a user, a session, a key */
    const char *result;  /* "ok", or why not in one word */
    const char *address; /* NULL: that of the context's client */
};

/* Note what happened, in a command that writes or where effects are allowed.  An event whose result
 * is not "ok" is a failure (T3).  Nothing happens when the setting audit-max is 0, or the trail is
 * damaged (which is logged). */
void audit_note(RedisModuleCtx *ctx, const struct audit_event *event);

/* AUTH.AUDIT [AFTER index] [COUNT n] [USER user] [ACTION action] | VERIFY */
int cmd_audit(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

#endif
