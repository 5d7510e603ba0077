/* Goal: a path finds the most literal pattern, whatever the order of registration; bad patterns are
 * refused; captures are what was sent.
 *
 * Oracle of the order: the same routes registered in many orders find the same. */
#include "http/router.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct router router;

static hl_err add(const char *method, const char *pattern)
{
    return router_add(&router, method, pattern, 1, (void *)(uintptr_t)pattern, NULL);
}

static const char *find(const char *method, const char *path)
{
    static struct route_match match;
    router_find(&router, hl_slice_of(method), hl_slice_of(path), &match);
    return match.route != NULL ? match.route->pattern : match.path_known ? match.allowed : NULL;
}

static const char *const patterns[] = {
    "/", "/a", "/a/b", "/a/{x}", "/a/{rest...}", "/{x}", "/{x}/b", "/{rest...}", "/a/{x}/c",
};
#define PATTERNS (sizeof patterns / sizeof patterns[0])

Test(router, the_most_literal_pattern_wins_in_any_order)
{
    static const struct {
        const char *path, *pattern;
    } cases[] = {
        {"/", "/"},
        {"/a", "/a"},
        {"/a/b", "/a/b"},
        {"/a/z", "/a/{x}"},
        {"/a/z/c", "/a/{x}/c"},
        {"/a/z/d", "/a/{rest...}"},
        {"/a/b/c", "/a/{x}/c"},
        {"/a/", "/a/{rest...}"},
        {"/z", "/{x}"},
        {"/z/b", "/{x}/b"},
        {"/z/z", "/{rest...}"},
        {"/a%2Fb", "/{x}"},
    };
    for (size_t turn = 0; turn < PATTERNS; turn++) {
        for (size_t i = 0; i < PATTERNS; i++) {
            cr_assert_eq(add("GET", patterns[(turn + i * 4) % PATTERNS]), HL_OK);
        }
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            cr_assert_str_eq(find("GET", cases[i].path), cases[i].pattern, "%s", cases[i].path);
        }
        while (router_take_any(&router, 1) != NULL) {
        }
        cr_assert_eq(router.count, 0);
    }
    router_fini(&router);
}

Test(router, methods_are_told_apart)
{
    cr_assert_eq(add("GET", "/a"), HL_OK);
    cr_assert_eq(add("POST", "/a"), HL_OK);
    cr_assert_eq(add("*", "/b"), HL_OK);
    cr_assert_eq(add("GET", "/c"), HL_OK);
    cr_assert_eq(add("*", "/c"), HL_OK);
    cr_assert_eq(add("DELETE", "/{x}"), HL_OK);
    cr_assert_str_eq(find("POST", "/a"), "/a");
    cr_assert_str_eq(find("HEAD", "/a"), "/a", "GET serves HEAD");
    cr_assert_str_eq(find("PUT", "/a"), "GET, HEAD, POST, DELETE");
    cr_assert_str_eq(find("DELETE", "/a"), "/{x}", "a later pattern that has the method");
    cr_assert_str_eq(find("PUT", "/b"), "/b");
    cr_assert_str_eq(find("HEAD", "/c"), "/c");
    cr_assert_null(find("GET", "/b/c"));
    cr_assert_null(find("OPTIONS", "*"));
    router_fini(&router);
}

Test(router, captures_are_what_was_sent)
{
    struct route_match match;
    cr_assert_eq(add("GET", "/jobs/{id}/ack/{rest...}"), HL_OK);
    router_find(&router, hl_slice_of("GET"), hl_slice_of("/jobs/a%20b/ack/c/d/"), &match);
    cr_assert_not_null(match.route);
    cr_assert_eq(match.param_count, 2);
    cr_assert(hl_slice_equal(match.params[0].name, hl_slice_of("id")));
    cr_assert(hl_slice_equal(match.params[0].raw, hl_slice_of("a%20b")));
    cr_assert(hl_slice_equal(match.params[1].name, hl_slice_of("rest")));
    cr_assert(hl_slice_equal(match.params[1].raw, hl_slice_of("c/d/")));
    router_find(&router, hl_slice_of("GET"), hl_slice_of("/jobs//ack/c"), &match);
    cr_assert_null(match.route, "a capture is not empty");
    router_find(&router, hl_slice_of("GET"), hl_slice_of("/jobs/x/ack"), &match);
    cr_assert_null(match.route, "there is no rest without its '/'");
    router_fini(&router);
}

Test(router, what_is_no_pattern_is_refused)
{
    static const char *const bad[] = {"",       "a",
                                      "/{",     "/{}",
                                      "/{x",    "/a{x}",
                                      "/{x}a",  "/{...}",
                                      "/{x y}", "/{rest...}/a",
                                      "/a}b/c", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hl_errmsg msg = {0};
        cr_assert_eq(router_add(&router, "GET", bad[i], 1, NULL, &msg), HL_EINVAL, "%s", bad[i]);
        cr_assert_neq(msg.text[0], '\0');
    }
    cr_assert_eq(add("G T", "/a"), HL_EINVAL);
    cr_assert_eq(add("GET", "/a/{x}"), HL_OK);
    cr_assert_eq(add("GET", "/a/{y}"), HL_EBUSY, "the same paths");
    cr_assert_eq(add("PUT", "/a/{y}"), HL_OK);
    router_fini(&router);
}

Test(router, the_table_is_bounded_and_owners_are_kept_apart)
{
    char pattern[32];
    for (int i = 0; i < HTTP_ROUTES_MAX; i++) {
        snprintf(pattern, sizeof pattern, "/p%d", i);
        cr_assert_eq(router_add(&router, "GET", pattern, (uint64_t)i % 2 + 1, &router, NULL),
                     HL_OK);
    }
    cr_assert_eq(add("GET", "/more"), HL_EFULL);
    cr_assert_null(router_take(&router, "GET", "/p0", 2), "it is another's");
    cr_assert_not_null(router_take(&router, "GET", "/p0", 1));
    int taken = 0;
    while (router_take_any(&router, 2) != NULL) {
        taken++;
    }
    cr_assert_eq(taken, HTTP_ROUTES_MAX / 2);
    cr_assert_eq(router.count, HTTP_ROUTES_MAX / 2 - 1);
    router_fini(&router);
}
