/* Goal: what a head says is told right, bodies come whole, limits are exact, and responses are read
 * with the same care as requests. */
#include "kit/http1.h"

#include <criterion/criterion.h>

static struct hl_http1_head head;

static struct hl_http1 *reader(bool requests)
{
    return hl_http1_create(requests, &hl_http1_limits_default);
}

static hl_err read_head(struct hl_http1 *http, const char *text)
{
    size_t used = 0;
    hl_err err = hl_http1_head(http, hl_slice_of(text), &head, &used, NULL);
    cr_assert(err != HL_OK || used == strlen(text));
    return err;
}

static bool is(struct hl_slice slice, const char *text)
{
    return hl_slice_equal(slice, hl_slice_of(text));
}

Test(http1, a_request_is_taken_apart)
{
    struct hl_http1 *http = reader(true);
    cr_assert_eq(read_head(http, "POST /a/b?c=d&e HTTP/1.1\r\nHost: Example.org:80\r\n"
                                 "X-One:  1 \r\nx-one: 2\r\nContent-Length: 3\r\n\r\n"),
                 HL_OK);
    cr_assert(is(head.method, "POST"));
    cr_assert(is(head.path, "/a/b"));
    cr_assert(is(head.query, "c=d&e"));
    cr_assert(is(head.host, "Example.org:80"));
    cr_assert_eq(head.minor, 1);
    cr_assert(head.keep_alive);
    cr_assert(head.has_length);
    cr_assert_eq(head.length, 3);
    cr_assert_eq(head.header_count, 4);
    cr_assert(is(*hl_http1_find(&head, "X-ONE"), "1"), "the first, without the blanks");
    cr_assert_null(hl_http1_find(&head, "X-Two"));
    hl_http1_destroy(http);
}

Test(http1, the_connection_is_kept_as_the_version_and_the_header_say)
{
    static const struct {
        const char *text;
        bool keep;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hl_http1 *http = reader(true);
        cr_assert_eq(read_head(http, cases[i].text), HL_OK, "%s", cases[i].text);
        cr_assert_eq(head.keep_alive, cases[i].keep, "%s", cases[i].text);
        hl_http1_destroy(http);
    }
}

Test(http1, an_upgrade_needs_both_headers)
{
    struct hl_http1 *http = reader(true);
    cr_assert_eq(read_head(http, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"), HL_OK);
    cr_assert_not(head.wants_upgrade);
    hl_http1_next(http);
    cr_assert_eq(read_head(http, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n\r\n"),
                 HL_OK);
    cr_assert(head.wants_upgrade);
    cr_assert(is(head.upgrade, "websocket"));
    hl_http1_destroy(http);
}

/* All pieces of a body, and how many bytes of `text` belong to the message. */
static size_t read_body(struct hl_http1 *http, const char *text, struct hl_buf *body)
{
    struct hl_slice in = hl_slice_of(text);
    bool done = false;
    while (!done) {
        struct hl_slice piece;
        size_t used = 0;
        cr_assert_eq(hl_http1_body(http, in, &used, &piece, &done, NULL), HL_OK);
        cr_assert(done || used > 0, "stuck at %s", in.ptr);
        hl_buf_append_slice(body, piece);
        in.ptr += used;
        in.len -= used;
    }
    return (size_t)(in.ptr - text);
}

Test(http1, a_body_ends_where_it_says)
{
    struct hl_buf body = {0};
    struct hl_http1 *http = reader(true);
    cr_assert_eq(read_head(http, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"), HL_OK);
    cr_assert_eq(read_body(http, "helloGET", &body), 5);
    cr_assert(is(hl_buf_view(&body), "hello"));
    hl_http1_next(http);
    hl_buf_clear(&body);
    cr_assert_eq(
        read_head(http, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), HL_OK);
    cr_assert_eq(read_body(http, "3\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\nGET", &body), 26);
    cr_assert(is(hl_buf_view(&body), "hello"));
    hl_buf_fini(&body);
    hl_http1_destroy(http);
}

Test(http1, a_limit_is_met_exactly)
{
    struct hl_http1_limits limits = hl_http1_limits_default;
    limits.line_max = strlen("GET /1234 HTTP/1.1\r\n");
    limits.head_max = limits.line_max + strlen("Host: a\r\n\r\n");
    limits.headers_max = 1;
    limits.body_max = 4;
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"GET /1234 HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"GET /12345 HTTP/1.1\r\nHost: a\r\n\r\n", 414},
        {"GET /1234 HTTP/1.1\r\nHost: ab\r\n\r\n", 431},
        {"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", 431},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hl_http1 *http = hl_http1_create(true, &limits);
        (void)read_head(http, cases[i].text);
        cr_assert_eq(hl_http1_status(http), cases[i].status, "%s", cases[i].text);
        hl_http1_destroy(http);
    }
    limits = hl_http1_limits_default;
    struct hl_http1 *http = hl_http1_create(true, &limits);
    struct hl_slice piece;
    size_t used = 0;
    bool done = false;
    hl_http1_limit_body(http, 4);
    cr_assert_eq(read_head(http, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"), HL_OK);
    cr_assert_eq(hl_http1_body(http, hl_slice_of(""), &used, &piece, &done, NULL), HL_EINVAL);
    cr_assert_eq(hl_http1_status(http), 413, "before a byte of it has come");
    hl_http1_destroy(http);
}

Test(http1, chunk_extensions_are_bounded_together)
{
    struct hl_http1 *http = reader(true);
    cr_assert_eq(
        read_head(http, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), HL_OK);
    struct hl_buf chunk = {0};
    hl_buf_append_text(&chunk, "1;a=");
    for (int i = 0; i < 200; i++) {
        hl_buf_append_text(&chunk, "b");
    }
    hl_buf_append_text(&chunk, "\r\nx\r\n");
    hl_err err = HL_OK;
    int chunks = 0;
    for (; err == HL_OK && chunks < 1000; chunks++) {
        struct hl_slice in = hl_buf_view(&chunk);
        while (err == HL_OK && in.len != 0) {
            struct hl_slice piece;
            size_t used = 0;
            bool done = false;
            err = hl_http1_body(http, in, &used, &piece, &done, NULL);
            in.ptr += used;
            in.len -= used;
        }
    }
    cr_assert_eq(err, HL_EINVAL);
    cr_assert_leq(chunks, HL_HTTP1_CHUNK_NOTES_MAX / 200 + 1);
    hl_buf_fini(&chunk);
    hl_http1_destroy(http);
}

Test(http1, a_connection_may_end_between_messages_only)
{
    struct hl_http1 *http = reader(true);
    bool done = false;
    cr_assert_eq(hl_http1_end(http, &done), HL_OK);
    cr_assert_eq(read_head(http, "GET /"), HL_ENOENT);
    cr_assert_eq(hl_http1_end(http, &done), HL_EINVAL);
    hl_http1_destroy(http);
}

/* What is expected of a response: its body's framing, or a refusal. */
enum expected { NONE, COUNTED, CHUNKED, CLOSE, REFUSED };

static const struct response {
    const char *text;
    enum expected expected;
    bool answers_head;
} responses[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", COUNTED, false},
    {"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n", COUNTED, false},
    {"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n", CHUNKED, false},
    {"HTTP/1.0 200 OK\r\n\r\n", CLOSE, false},
    {"HTTP/1.1 200 OK\r\n\r\n", CLOSE, false},
    {"HTTP/1.1 204 No Content\r\n\r\n", NONE, false},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", NONE, false},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", NONE, false},
    {"HTTP/1.1 100 Continue\r\n\r\n", NONE, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", NONE, true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", NONE, true},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", REFUSED, false},
    {"HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n", REFUSED, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", REFUSED, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", REFUSED, false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", REFUSED, false},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", REFUSED, false},
    {"HTTP/1.1 200 OK\nContent-Length: 3\r\n\r\n", REFUSED, false},
    {"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", REFUSED, false},
    {"HTTP/1.1 20 OK\r\n\r\n", REFUSED, false},
    {"HTTP/1.1 2000 OK\r\n\r\n", REFUSED, false},
    {"HTTP/1.1 099 OK\r\n\r\n", REFUSED, false},
    {"HTTP/2.0 200 OK\r\n\r\n", REFUSED, false},
    {"\r\nHTTP/1.1 200 OK\r\n\r\n", REFUSED, false},
};

Test(http1, responses_are_framed_or_refused)
{
    for (size_t i = 0; i < sizeof responses / sizeof responses[0]; i++) {
        const struct response *r = &responses[i];
        struct hl_http1 *http = reader(false);
        hl_http1_answers_head(http, r->answers_head);
        hl_err err = read_head(http, r->text);
        cr_assert_eq(err, r->expected == REFUSED ? HL_EINVAL : HL_OK, "%s", r->text);
        if (err != HL_OK) {
            cr_assert_eq(hl_http1_status(http), 502);
        } else {
            enum expected found = head.chunked       ? CHUNKED
                                  : head.until_close ? CLOSE
                                  : head.length != 0 ? COUNTED
                                                     : NONE;
            cr_assert_eq(found, r->expected, "%s", r->text);
        }
        hl_http1_destroy(http);
    }
}

Test(http1, a_response_may_end_with_its_connection)
{
    struct hl_http1 *http = reader(false);
    struct hl_slice piece;
    size_t used = 0;
    bool done = false;
    cr_assert_eq(read_head(http, "HTTP/1.1 200 OK\r\n\r\n"), HL_OK);
    cr_assert_eq(hl_http1_body(http, hl_slice_of("all of it"), &used, &piece, &done, NULL), HL_OK);
    cr_assert(is(piece, "all of it"));
    cr_assert_not(done);
    cr_assert_eq(hl_http1_end(http, &done), HL_OK);
    cr_assert(done);
    hl_http1_destroy(http);
}

Test(http1, a_head_can_move)
{
    char copy[128];
    const char *text = "GET /a?b HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
    struct hl_http1 *http = reader(true);
    cr_assert_eq(read_head(http, text), HL_OK);
    memcpy(copy, text, strlen(text));
    hl_http1_rebase(&head, text, copy);
    cr_assert(head.path.ptr == copy + 4);
    cr_assert(is(*hl_http1_find(&head, "x"), "y"));
    cr_assert(hl_http1_find(&head, "x")->ptr > copy && hl_http1_find(&head, "x")->ptr < copy + 128);
    hl_http1_destroy(http);
}
