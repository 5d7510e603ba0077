/* What INFO and the metrics tell about the module: counts since it was loaded, on this node. */
#ifndef AUTH_STATS_H
#define AUTH_STATS_H

#include "helios/module.h"

/* Each is only ever counted up, on the server's thread. */
struct stats {
    unsigned long long registrations, logins, login_failures, login_lockouts, refreshes,
        refresh_replays, refresh_reuses, logouts, verifications, verification_failures, busy;
};

/* The counters, for whoever has something to count. */
struct stats *stats(void);

/* Register the section for INFO and the metrics, where the server has them.  In OnLoad only. */
void stats_load(RedisModuleCtx *ctx);

#endif
