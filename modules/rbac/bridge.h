/* bridge: ACL users that may what the policy says, so that the server enforces it: for commands, in
 * MULTI, in scripts and wherever a module asks for its user's rights.
 *
 *   E1  Every user with grants has an ACL user of that name, made when missing (on, without a
 *       password); passwords and on/off are never touched.  `default` is left alone.
 *   E2  A user whose last grant went may nothing; one without any password is deleted, which ends
 *       its connections.  Users of ours are known by a mark in their rules, so that a restart or
 *       a new leader finds them.
 *   E3  On Helios users are part of the replicated state: the leader alone changes them, in the
 *       entry of the command that changed the policy.  On a server with users of its own each node
 *       changes its own.
 *   E4  It happens at once behind a command, for up to SYNC_NOW_MAX users; else, and behind
 * whatever else changes the policy, by the server's cron (ten times a second).
 */
#ifndef RBAC_BRIDGE_H
#define RBAC_BRIDGE_H

#include "store.h"

/* Look at what the server can do, and listen to its cron.  In OnLoad only. */
void bridge_load(RedisModuleCtx *ctx);

/* Bring the ACL users to what the policy says now. */
void bridge_sync(RedisModuleCtx *ctx);

/* The same for one user, whose grants alone have changed. */
void bridge_sync_one(RedisModuleCtx *ctx, struct hl_slice user);

/* What the bridge did on this node. */
struct bridge_stats {
    unsigned long long renewed;  /* ACL users that were given rules */
    unsigned long long dropped;  /* that lost them with the last grant */
    unsigned long long withheld; /* that got nothing, since the ACL cannot say what is denied */
};

/* The counters. */
const struct bridge_stats *bridge_stats(void);

/* Whether the server's ACL can deny keys and channels. */
bool bridge_denies_keys(void);

/* Forget everything, changing no ACL user. */
void bridge_end(void);

#endif
