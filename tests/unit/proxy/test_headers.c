/* Heads, handed on.  Method: a head as text through the parser, what comes out as text. */
#include "proxy/headers.h"

#include "kit/alloc.h"

#include <criterion/criterion.h>
#include <string.h>

static struct hl_http1 *http;
static struct hl_http1_head head;

static void parse(const char *bytes, bool request)
{
    size_t used = 0;
    http = hl_http1_create(request, &hl_http1_limits_default);
    cr_assert_eq(hl_http1_head(http, hl_slice_of(bytes), &head, &used, NULL), HL_OK);
}

static char *request_of(const char *bytes, struct forward forward)
{
    struct hl_buf out = {0};
    parse(bytes, true);
    forward.remote = "10.1.1.1";
    forward.host = "backend:1";
    forward.request_id = "id";
    forward.traceparent = "tp";
    cr_assert_eq(headers_put_request(&out, &head, &forward), HL_OK);
    hl_buf_append(&out, "", 1);
    hl_http1_destroy(http);
    return out.ptr;
}

static void check(const char *bytes, struct forward forward, const char *want)
{
    char *got = request_of(bytes, forward);
    cr_assert_str_eq(got, want);
    hl_free(got);
}

#define OWN                                                                                        \
    "X-Forwarded-For: 10.1.1.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n"              \
    "Via: 1.1 helios\r\nX-Request-ID: id\r\ntraceparent: tp\r\n"

Test(headers, framing_is_written_anew)
{
    check("POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", (struct forward){0},
          "POST /a?b HTTP/1.1\r\nHost: h\r\n" OWN "Content-Length: 5\r\n\r\n");
    check("POST / HTTP/1.1\r\nHost: h\r\nTRANSFER-ENCODING: Chunked\r\n\r\n", (struct forward){0},
          "POST / HTTP/1.1\r\nHost: h\r\n" OWN "Transfer-Encoding: chunked\r\n\r\n");
}

Test(headers, what_connection_names_ends_here_however_long_the_name)
{
    check(
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: a, "
        "X-Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"
        "x-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: "
        "1\r\nA: 2\r\nB: 3\r\nTE: x\r\nb_c: 4\r\n\r\n",
        (struct forward){0}, "GET / HTTP/1.1\r\nHost: h\r\n" OWN "B: 3\r\n\r\n");
}

Test(headers, a_prefix_is_cut_off)
{
    check("GET /api/x?y HTTP/1.1\r\nHost: h\r\n\r\n", (struct forward){.strip = 4},
          "GET /x?y HTTP/1.1\r\nHost: h\r\n" OWN "\r\n");
    check("GET /api?y HTTP/1.1\r\nHost: h\r\n\r\n", (struct forward){.strip = 4},
          "GET /?y HTTP/1.1\r\nHost: h\r\n" OWN "\r\n");
}

Test(headers, an_old_client_without_host_gets_the_backends)
{
    char *got = request_of("GET / HTTP/1.0\r\n\r\n", (struct forward){.secure = true});
    cr_assert_not_null(strstr(got, "\r\nHost: backend:1\r\n"));
    cr_assert_not_null(strstr(got, "\r\nX-Forwarded-Proto: https\r\n"));
    cr_assert_null(strstr(got, "X-Forwarded-Host"));
    hl_free(got);
}

Test(headers, only_a_whole_websocket_request_is_one)
{
    static const char ws[] = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
                             "Upgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n\r\n";
    static const char *const others[] = {
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
        "Sec-WebSocket-Key: k\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: k\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: k\r\nContent-Length: 3\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n",
    };
    parse(ws, true);
    cr_assert(headers_want_websocket(&head));
    hl_http1_destroy(http);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        parse(others[i], true);
        cr_assert_not(headers_want_websocket(&head), "%zu", i);
        hl_http1_destroy(http);
    }
}

static enum framing frame(const char *bytes, struct answer *answer, char got[512])
{
    struct hl_buf out = {0};
    parse(bytes, false);
    answer->date = "D";
    answer->request_id = "id";
    enum framing framing = headers_put_response(&out, &head, answer);
    cr_assert_lt(out.len, 512);
    memcpy(got, out.ptr, out.len);
    got[out.len] = '\0';
    hl_buf_fini(&out);
    hl_http1_destroy(http);
    return framing;
}

Test(headers, a_response_is_framed_for_its_client)
{
    char got[512];
    struct answer a = {0};
    cr_assert_eq(frame("HTTP/1.1 200 X\r\nContent-Length: 3\r\nConnection: Foo\r\nFoo: 1\r\n"
                       "Bar: 2\r\nKeep-Alive: 1\r\n\r\n",
                       &a, got),
                 FRAME_LENGTH);
    cr_assert_str_eq(got, "HTTP/1.1 200 OK\r\nBar: 2\r\nDate: D\r\nX-Request-ID: id\r\n"
                          "Content-Length: 3\r\n\r\n");
    cr_assert_eq(frame("HTTP/1.1 200 X\r\n\r\n", &a, got), FRAME_CHUNKED);
    cr_assert_not(a.close);
    a = (struct answer){.old_client = true};
    cr_assert_eq(frame("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n", &a, got),
                 FRAME_CLOSE);
    cr_assert(a.close);
    a = (struct answer){0};
    cr_assert_eq(frame("HTTP/1.1 304 X\r\nContent-Length: 7\r\n\r\n", &a, got), FRAME_NONE);
    cr_assert_not_null(strstr(got, "Content-Length: 7\r\n"));
    cr_assert_eq(frame("HTTP/1.1 204 X\r\n\r\n", &a, got), FRAME_NONE);
    cr_assert_null(strstr(got, "Content-Length"));
}
