/* The configuration: what it takes, what it refuses, and that its bytes are it. */
#include "proxy/config.h"
#include "proxy/match.h"

#include "kit/alloc.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct hl_slice text(const char *t)
{
    return hl_slice_of(t);
}

static const char *add(struct config *c, const char *id, const char *address)
{
    struct backend_config b = {.weight = 1};
    cr_assert(config_read_id(b.id, text(id)));
    cr_assert(config_read_address(b.address, text(address)));
    return config_put_backend(c, &b);
}

static const char *route(struct config *c, const char *id, const char *host, const char *path,
                         const char *backend)
{
    char pool[1][CONFIG_ID_MAX + 1];
    struct route_config r = {.pool_count = 1, .pool = pool};
    cr_assert(config_read_id(r.id, text(id)));
    cr_assert(config_read_host(r.host, text(host)));
    cr_assert(config_read_path(r.path, text(path)));
    cr_assert(config_read_id(pool[0], text(backend)));
    return config_put_route(c, &r);
}

static struct config *example(void)
{
    struct config *c = config_create();
    cr_assert_null(add(c, "b", "127.0.0.1:80"));
    cr_assert_null(add(c, "a", "[::1]:81"));
    cr_assert_null(add(c, "c", "name.internal:82"));
    cr_assert_null(route(c, "z", "*", "/", "a"));
    cr_assert_null(route(c, "y", "*.Example.org", "/api/", "b"));
    cr_assert_null(route(c, "x", "www.example.org", "/api/v1", "c"));
    return c;
}

Test(config, texts_that_are_none_are_refused)
{
    char id[CONFIG_ID_MAX + 1];
    char host[CONFIG_HOST_MAX + 1];
    char path[CONFIG_PATH_MAX + 1];
    char address[CONFIG_ADDRESS_MAX + 1];
    static const char *const addresses[] = {"",    "h",     ":1",    "h:",      "h:0",   "h:65536",
                                            "h:x", "a b:1", "[::1]", "h\r\n:1", "::1:1", "h/:1"};
    cr_assert_not(config_read_id(id, text("")));
    cr_assert_not(config_read_id(id, text("a b")));
    cr_assert_not(config_read_id(
        id, text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
    cr_assert_not(config_read_host(host, text("")));
    cr_assert_not(config_read_host(host, text("a/b")));
    cr_assert_not(config_read_host(host, text("a:80")), "a host has no port");
    cr_assert_not(config_read_host(host, text("*.*.org")));
    cr_assert_not(config_read_path(path, text("api")));
    cr_assert_not(config_read_path(path, text("/a b")));
    cr_assert_not(config_read_path(path, text("/a?b")));
    cr_assert_not(config_read_path(path, text("/a\r\nb")));
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        cr_assert_not(config_read_address(address, text(addresses[i])), "%s", addresses[i]);
    }
    cr_assert(config_read_path(path, text("/api///")));
    cr_assert_str_eq(path, "/api");
    cr_assert(config_read_host(host, text("*.Example.ORG")));
    cr_assert_str_eq(host, "*.example.org");
}

Test(config, a_backend_that_a_route_names_stays)
{
    struct config *c = example();
    uint64_t version = c->version;
    cr_assert_not_null(config_delete_backend(c, text("a")), "PC1");
    cr_assert_not_null(route(c, "w", "*", "/", "a"), "PC2");
    cr_assert_not_null(route(c, "w", "*", "/w", "none"));
    cr_assert_eq(c->version, version, "what is refused changes nothing");
    cr_assert_null(config_delete_route(c, text("z")));
    cr_assert_null(config_delete_backend(c, text("a")));
    cr_assert_not_null(config_delete_backend(c, text("a")));
    cr_assert_eq(c->version, version + 2);
    config_destroy(c);
}

Test(config, its_bytes_are_it)
{
    struct config *c = example();
    struct config *copy = NULL;
    struct hl_buf one = {0}, two = {0};
    config_encode(c, &one);
    cr_assert_eq(config_decode(&copy, hl_buf_view(&one)), HL_OK);
    config_encode(copy, &two);
    cr_assert(hl_slice_equal(hl_buf_view(&one), hl_buf_view(&two)), "PC3");
    config_destroy(copy);
    copy = config_dup(c);
    hl_buf_clear(&two);
    config_encode(copy, &two);
    cr_assert(hl_slice_equal(hl_buf_view(&one), hl_buf_view(&two)));
    config_destroy(copy);
    config_destroy(c);
    hl_buf_fini(&one);
    hl_buf_fini(&two);
}

/* Method: cut the bytes anywhere, and flip each byte: refused, or a configuration in order. */
Test(config, bytes_of_strangers_are_refused_or_are_in_order)
{
    struct config *c = example();
    struct hl_buf bytes = {0};
    config_encode(c, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        struct config *got = NULL;
        char *cut = hl_malloc(len);
        memcpy(cut, bytes.ptr, len);
        cr_assert_eq(config_decode(&got, (struct hl_slice){cut, len}), HL_ECORRUPT);
        hl_free(cut);
    }
    for (size_t at = 0; at < bytes.len; at++) {
        struct config *got = NULL;
        bytes.ptr[at] ^= 0x55;
        if (config_decode(&got, hl_buf_view(&bytes)) == HL_OK) {
            struct hl_buf again = {0};
            config_encode(got, &again);
            hl_buf_fini(&again);
            config_destroy(got);
        }
        bytes.ptr[at] ^= 0x55;
    }
    bytes.ptr[0] = 2;
    cr_assert_eq(config_decode(&c, hl_buf_view(&bytes)), HL_EVERSION);
    config_destroy(c);
    hl_buf_fini(&bytes);
}

static const char *found(const struct config *c, const char *host, const char *path)
{
    const struct route_config *r = match_route(c, text(host), text(path));
    return r == NULL ? "" : r->id;
}

Test(match, the_own_name_wins_then_the_wildcard_then_any)
{
    struct config *c = example();
    cr_assert_str_eq(found(c, "www.example.org", "/api/v1/x"), "x");
    cr_assert_str_eq(found(c, "WWW.EXAMPLE.ORG:8080", "/api/v1"), "x");
    cr_assert_str_eq(found(c, "www.example.org.", "/api/v1"), "x", "a full name with its dot");
    cr_assert_str_eq(found(c, "www.example.org", "/api/v2"), "y", "PM3");
    cr_assert_str_eq(found(c, "a.b.example.org", "/api"), "y");
    cr_assert_str_eq(found(c, "example.org", "/api"), "z", "names below, not the domain itself");
    cr_assert_str_eq(found(c, "badexample.org", "/api"), "z");
    cr_assert_str_eq(found(c, "", "/"), "z");
    cr_assert_str_eq(found(c, "x", "*"), "z", "OPTIONS *");
    config_destroy(c);
}

Test(match, the_longest_prefix_wins_and_ends_with_a_segment)
{
    struct config *c = config_create();
    add(c, "a", "h:1");
    route(c, "root", "*", "/", "a");
    route(c, "api", "*", "/api", "a");
    route(c, "v1", "*", "/api/v1", "a");
    cr_assert_str_eq(found(c, "h", "/api/v1/x"), "v1");
    cr_assert_str_eq(found(c, "h", "/api/v1"), "v1");
    cr_assert_str_eq(found(c, "h", "/api/v10"), "api", "PM2");
    cr_assert_str_eq(found(c, "h", "/apis"), "root");
    cr_assert_null(config_delete_route(c, text("root")));
    cr_assert_str_eq(found(c, "h", "/apis"), "");
    config_destroy(c);
}

Test(match, paths_with_dot_segments_are_crooked_however_they_are_written)
{
    static const char *const crooked[] = {"/..",       "/.",         "/a/../b",   "/a/./b",
                                          "/%2e%2e/a", "/a/%2E.",    "/a/.%2e/",  "/a%2f..%2fb",
                                          "/a/..%5cb", "/a%5C..%5c", "/a/..;x=1", "/.;/a"};
    static const char *const straight[] = {"/",      "/a",    "/a..",         "/..a/b",
                                           "/...",   "/a//b", "/.well-known", "/%2",
                                           "/a%2fb", "*",     "/;..",         "/a/%2e%2ea"};
    for (size_t i = 0; i < sizeof crooked / sizeof crooked[0]; i++) {
        cr_assert(match_path_is_crooked(text(crooked[i])), "%s", crooked[i]);
    }
    for (size_t i = 0; i < sizeof straight / sizeof straight[0]; i++) {
        cr_assert_not(match_path_is_crooked(text(straight[i])), "%s", straight[i]);
    }
}
