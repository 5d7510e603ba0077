/* Which handler a method and a path are for.
 *
 *   RT1  a segment of a pattern is literal, "{name}" for one whole segment that is not empty, or,
 * as the last, "{name...}" for the rest of the path, which may be empty or hold '/'. RT2  the first
 * difference between two patterns decides which is asked first: a literal segment before {name}
 * before {name...}.  A longer path never falls back to a shorter pattern. RT3  segments are
 * compared and captured as they were sent; captures are percent-decoded, so an encoded '/' never
 * makes a segment.
 */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include "kit/bytes.h"
#include "kit/err.h"

#define HTTP_ROUTES_MAX 1024
#define ROUTE_PATTERN_MAX 256
#define ROUTE_METHOD_MAX 16
#define ROUTE_PARAMS_MAX 8

struct route {
    char method[ROUTE_METHOD_MAX + 1]; /* "*" for every method */
    char pattern[ROUTE_PATTERN_MAX + 1];
    uint64_t owner; /* whose it is, for the caller */
    void *value;    /* the caller's */
};

struct router {
    struct route *routes; /* in the order of RT2 */
    size_t count;
};

/* What a path's segments stand for; the names borrow the route's pattern. */
struct route_match {
    const struct route *route;
    size_t param_count;
    struct {
        struct hl_slice name;
        struct hl_slice raw; /* of the path, still encoded */
    } params[ROUTE_PARAMS_MAX];
    bool path_known;  /* some route has the path, if for another method */
    char allowed[96]; /* the methods of such routes, "GET, HEAD, POST" */
};

/* Add a route.  HL_EINVAL with the reason in `msg`; HL_EBUSY: the method and the pattern are taken;
 * HL_EFULL at HTTP_ROUTES_MAX. */
HL_MUST_USE hl_err router_add(struct router *router, const char *method, const char *pattern,
                              uint64_t owner, void *value, struct hl_errmsg *msg);

/* Take the owner's route out; returns its value, NULL when there is none. */
void *router_take(struct router *router, const char *method, const char *pattern, uint64_t owner);

/* Take out some route of the owner; NULL when there is none left. */
void *router_take_any(struct router *router, uint64_t owner);

/* Find the route; match->route is NULL when there is none.  HEAD is served by GET's. */
void router_find(const struct router *router, struct hl_slice method, struct hl_slice path,
                 struct route_match *match);

/* Release the table; the values are the caller's. */
void router_fini(struct router *router);

#endif
