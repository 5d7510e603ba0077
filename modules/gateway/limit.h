/* Rate limits of routes: how they are written, and what answers say of them.  Pure.
 *
 *   limits   limit [; limit]...
 *   limit    method path capacity num den [local|replicated] [open|closed]
 *            POST /api/v1/auth/login 10 1 6 replicated closed
 *
 * num requests come back in den seconds, up to the capacity.  `local` limits are each node's own,
 * `replicated` ones hold for the cluster; `open` lets requests pass when it cannot be decided,
 * `closed` refuses them.  Without the words: local, open.
 */
#ifndef GATEWAY_LIMIT_H
#define GATEWAY_LIMIT_H

#include "kit/bytes.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stdint.h>

#define GW_LIMITS_MAX 32
#define GW_LIMIT_METHOD_MAX 15
#define GW_LIMIT_PATH_MAX 127
#define GW_LIMIT_CAPACITY_MAX INT64_C(1000000000)
#define GW_LIMIT_RATE_MAX INT64_C(1000000)
#define GW_LIMIT_SPAN_MAX_S INT64_C(1000000000) /* of a full refill */

struct gw_limit {
    char method[GW_LIMIT_METHOD_MAX + 1]; /* "" for the one of all other routes */
    char path[GW_LIMIT_PATH_MAX + 1];
    int64_t capacity, num, den;
    bool replicated, closed;
};

/* Whether the three numbers are a limit. */
bool gw_limit_valid(int64_t capacity, int64_t num, int64_t den);

/* Read limits into `out`, which has room for GW_LIMITS_MAX; *count is set on success.  HL_EINVAL,
 * HL_ELIMIT: `msg` says which and why. */
HL_MUST_USE hl_err gw_limits_parse(struct hl_slice text, struct gw_limit *out, size_t *count,
                                   struct hl_errmsg *msg);

/* What a limiter answered. */
struct gw_limit_state {
    bool allowed;
    int64_t remaining, retry_ms, reset_ms;
};

/* Seconds, rounded up, at least 1: for Retry-After. */
int64_t gw_limit_retry_s(const struct gw_limit_state *state);

/* The value of RateLimit-Policy, NUL-terminated in `size` bytes (256 suffice). */
void gw_limit_policy_text(const struct gw_limit *limit, char *out, size_t size);
/* The same, of RateLimit. */
void gw_limit_state_text(const struct gw_limit *limit, const struct gw_limit_state *state,
                         char *out, size_t size);

#endif
