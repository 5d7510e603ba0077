/* Routes in a sorted array: the first that fits is the right one. */
#include "router.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/http1_text.h"

#include <stdio.h>

/* Take the segment behind the '/' at the beginning of *rest; false when there is none. */
static bool next_segment(struct hl_slice *rest, struct hl_slice *segment)
{
    if (rest->len == 0) {
        return false;
    }
    HL_ASSERT(rest->ptr[0] == '/');
    const char *end = memchr(rest->ptr + 1, '/', rest->len - 1);
    size_t len = end == NULL ? rest->len - 1 : (size_t)(end - rest->ptr) - 1;
    *segment = (struct hl_slice){.ptr = rest->ptr + 1, .len = len};
    rest->ptr += len + 1;
    rest->len -= len + 1;
    return true;
}

enum kind { LITERAL, CAPTURE, REST };

/* What a pattern's segment is; *name is what is between the braces. */
static enum kind kind_of(struct hl_slice segment, struct hl_slice *name)
{
    if (segment.len < 2 || segment.ptr[0] != '{') {
        return LITERAL;
    }
    *name = (struct hl_slice){.ptr = segment.ptr + 1, .len = segment.len - 2};
    if (name->len >= 3 && memcmp(name->ptr + name->len - 3, "...", 3) == 0) {
        name->len -= 3;
        return REST;
    }
    return CAPTURE;
}

static hl_err check_pattern(const char *pattern, struct hl_errmsg *msg)
{
    struct hl_slice rest = hl_slice_of(pattern);
    struct hl_slice segment;
    size_t captures = 0;
    if (rest.len == 0 || rest.len > ROUTE_PATTERN_MAX || pattern[0] != '/') {
        return hl_fail(msg, HL_EINVAL, "a pattern begins with '/' and has at most %d characters",
                       ROUTE_PATTERN_MAX);
    }
    while (next_segment(&rest, &segment)) {
        struct hl_slice name = {0};
        enum kind kind = kind_of(segment, &name);
        bool braces = memchr(segment.ptr, '{', segment.len) != NULL ||
                      memchr(segment.ptr, '}', segment.len) != NULL;
        if (kind == LITERAL ? braces
                            : segment.ptr[segment.len - 1] != '}' || !hl_http1_is_token(name)) {
            return hl_fail(msg, HL_EINVAL, "'%.*s' is neither a literal nor {name} nor {name...}",
                           (int)segment.len, segment.ptr);
        }
        if (kind == REST && rest.len != 0) {
            return hl_fail(msg, HL_EINVAL, "{name...} must be the last segment");
        }
        captures += kind != LITERAL;
    }
    return captures <= ROUTE_PARAMS_MAX
               ? HL_OK
               : hl_fail(msg, HL_EINVAL, "more than %d captures", ROUTE_PARAMS_MAX);
}

/* RT2: negative when `a` is asked before `b`; 0 when they fit the same paths. */
static int compare(const char *a, const char *b)
{
    struct hl_slice rest_a = hl_slice_of(a);
    struct hl_slice rest_b = hl_slice_of(b);
    for (;;) {
        struct hl_slice seg_a;
        struct hl_slice seg_b;
        struct hl_slice name;
        bool more_a = next_segment(&rest_a, &seg_a);
        bool more_b = next_segment(&rest_b, &seg_b);
        if (!more_a || !more_b) {
            return (int)more_b - (int)more_a; /* the longer first */
        }
        int kind_a = (int)kind_of(seg_a, &name);
        int kind_b = (int)kind_of(seg_b, &name);
        if (kind_a != kind_b) {
            return kind_a - kind_b;
        }
        int order = kind_a == LITERAL ? hl_slice_compare(seg_a, seg_b) : 0;
        if (order != 0) {
            return order;
        }
    }
}

/* Of routes for the same paths, "*" comes last. */
static int compare_routes(const char *method_a, const char *a, const char *method_b, const char *b)
{
    int order = compare(a, b);
    if (order != 0) {
        return order;
    }
    int any = (strcmp(method_a, "*") == 0) - (strcmp(method_b, "*") == 0);
    return any != 0 ? any : strcmp(method_a, method_b);
}

hl_err router_add(struct router *router, const char *method, const char *pattern, uint64_t owner,
                  void *value, struct hl_errmsg *msg)
{
    size_t at = 0;
    int order = -1;
    hl_err err = check_pattern(pattern, msg);
    if (err != HL_OK) {
        return err;
    }
    if (!hl_http1_is_token(hl_slice_of(method)) || strlen(method) > ROUTE_METHOD_MAX) {
        return hl_fail(msg, HL_EINVAL, "'%s' is no method", method);
    }
    if (router->count == HTTP_ROUTES_MAX) {
        return hl_fail(msg, HL_EFULL, "there are %d routes already", HTTP_ROUTES_MAX);
    }
    for (; at < router->count; at++) {
        const struct route *r = &router->routes[at];
        order = compare_routes(method, pattern, r->method, r->pattern);
        if (order <= 0) {
            break;
        }
    }
    if (at < router->count && order == 0) {
        return hl_fail(msg, HL_EBUSY, "%s %s is taken by %s %s", method, pattern,
                       router->routes[at].method, router->routes[at].pattern);
    }
    router->routes = hl_realloc(router->routes, (router->count + 1) * sizeof *router->routes);
    memmove(router->routes + at + 1, router->routes + at,
            (router->count - at) * sizeof *router->routes);
    struct route *route = &router->routes[at];
    *route = (struct route){.owner = owner, .value = value};
    memcpy(route->method, method, strlen(method) + 1);
    memcpy(route->pattern, pattern, strlen(pattern) + 1);
    router->count++;
    return HL_OK;
}

static void *take_at(struct router *router, size_t at)
{
    void *value = router->routes[at].value;
    router->count--;
    memmove(router->routes + at, router->routes + at + 1,
            (router->count - at) * sizeof *router->routes);
    return value;
}

void *router_take(struct router *router, const char *method, const char *pattern, uint64_t owner)
{
    for (size_t i = 0; i < router->count; i++) {
        const struct route *r = &router->routes[i];
        if (r->owner == owner && strcmp(r->method, method) == 0 &&
            strcmp(r->pattern, pattern) == 0) {
            return take_at(router, i);
        }
    }
    return NULL;
}

void *router_take_any(struct router *router, uint64_t owner)
{
    for (size_t i = 0; i < router->count; i++) {
        if (router->routes[i].owner == owner) {
            return take_at(router, i);
        }
    }
    return NULL;
}

/* Whether the pattern fits, and what it captures. */
static bool fits(const struct route *route, struct hl_slice path, struct route_match *match)
{
    struct hl_slice pattern = hl_slice_of(route->pattern);
    struct hl_slice want;
    match->param_count = 0;
    while (next_segment(&pattern, &want)) {
        struct hl_slice name = {0};
        struct hl_slice segment;
        enum kind kind = kind_of(want, &name);
        if (kind == REST && path.len != 0) {
            segment = (struct hl_slice){.ptr = path.ptr + 1, .len = path.len - 1};
            path.len = 0;
        } else if (!next_segment(&path, &segment) ||
                   (kind == LITERAL ? !hl_slice_equal(segment, want) : segment.len == 0)) {
            return false;
        }
        if (kind != LITERAL) {
            match->params[match->param_count].name = name;
            match->params[match->param_count].raw = segment;
            match->param_count++;
        }
    }
    return path.len == 0;
}

static void allow(struct route_match *match, const char *method)
{
    size_t len = strlen(match->allowed);
    const char *head = strcmp(method, "GET") == 0 ? ", HEAD" : "";
    if (!hl_http1_list_has(hl_slice_of(match->allowed), method)) {
        snprintf(match->allowed + len, sizeof match->allowed - len, "%s%s%s", len != 0 ? ", " : "",
                 method, head);
    }
}

void router_find(const struct router *router, struct hl_slice method, struct hl_slice path,
                 struct route_match *match)
{
    struct route_match trial = {0};
    const struct route *get = NULL; /* serves HEAD when nothing else does */
    bool is_head = hl_slice_equal(method, hl_slice_of("HEAD"));
    *match = (struct route_match){0};
    for (size_t i = 0; i < router->count && path.len != 0 && path.ptr[0] == '/'; i++) {
        const struct route *r = &router->routes[i];
        if (!fits(r, path, &trial)) {
            continue;
        }
        match->path_known = true;
        allow(match, r->method);
        if (strcmp(r->method, "*") == 0 || hl_slice_equal(method, hl_slice_of(r->method))) {
            match->route = r;
            break;
        }
        if (is_head && get == NULL && strcmp(r->method, "GET") == 0) {
            get = r;
        }
    }
    if (get != NULL && (match->route == NULL || strcmp(match->route->method, "*") == 0)) {
        match->route = get;
    }
    if (match->route != NULL) {
        bool good = fits(match->route, path, match);
        HL_ASSERT(good);
    }
}

void router_fini(struct router *router)
{
    hl_free(router->routes);
    *router = (struct router){0};
}
