/* What clients of /ws/cluster say, whose pages they may be, and where their token may stand. */
#include "gateway/credential.h"
#include "gateway/feed_words.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct gw_said said(const char *text)
{
    return gw_feed_read(hl_slice_of(text));
}

Test(feed_words, what_makes_sense_is_understood)
{
    cr_assert_eq(said("{\"type\":\"ping\"}").saying, GW_SAYS_PING);
    struct gw_said s = said("{\"type\":\"subscribe\",\"data\":[\"status\",\"peer_changes\"]}");
    cr_assert_eq(s.saying, GW_SAYS_SUBSCRIBE);
    cr_assert_eq(s.topics, 1u << GW_TOPIC_STATUS | 1u << GW_TOPIC_PEER_CHANGES);
    s = said("{\"type\":\"unsubscribe\",\"data\":{\"latency\":true,\"uptime\":false}}");
    cr_assert_eq(s.saying, GW_SAYS_UNSUBSCRIBE);
    cr_assert_eq(s.topics, 1u << GW_TOPIC_LATENCY);
    for (unsigned i = 0; i < GW_TOPICS; i++) {
        char text[80];
        (void)snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"data\":[\"%s\"]}",
                       gw_topic_name((enum gw_topic)i));
        cr_assert_eq(said(text).topics, 1u << i);
    }
}

Test(feed_words, everything_else_is_nonsense_with_a_reason)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        "{\"type\":7}",
        "{\"type\":\"Ping\"}",
        "{\"type\":\"subscribe\"}",
        "{\"type\":\"subscribe\",\"data\":7}",
        "{\"type\":\"subscribe\",\"data\":[7]}",
        "{\"type\":\"subscribe\",\"data\":[\"all\"]}",
        "{\"type\":\"subscribe\",\"data\":{\"all\":true}}",
        "{\"type\":\"subscribe\",\"data\":{\"status\":\"yes\"}}",
        "{\"type\":\"ping\",\"type\":\"ping\"}",
        "[[[[[[[[[[[[1]]]]]]]]]]]]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(said(bad[i]).saying, GW_SAYS_NONSENSE, "%s", bad[i]);
        cr_assert_neq(said(bad[i]).why[0], '\0', "%s", bad[i]);
    }
}

static bool same(const char *origin, const char *host)
{
    return gw_is_same_origin(hl_slice_of(origin), hl_slice_of(host));
}

Test(feed_words, only_the_same_host_and_port_is_the_same_site)
{
    cr_assert(same("https://a.example", "a.example"));
    cr_assert(same("http://a.example:8443", "A.example:8443"));
    cr_assert(same("https://[::1]:8443", "[::1]:8443"));
    static const char *const foreign[] = {
        "null",
        "",
        "a.example",
        "https://",
        "https://b.example",
        "https://a.example.evil",
        "https://xa.example",
        "https://a.example:1",
        "ftp://a.example",
        "https://a.example/",
    };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        cr_assert_not(same(foreign[i], "a.example"), "%s", foreign[i]);
    }
    cr_assert_not(same("https://", ""));
    cr_assert_not(gw_is_same_origin(hl_slice_of("http://x"), (struct hl_slice){0}));
}

static void expect_token(const char *header, const char *token)
{
    struct hl_slice got = gw_protocol_credential(hl_slice_of(header));
    if (token == NULL) {
        cr_assert_null(got.ptr, "'%s'", header);
        return;
    }
    cr_assert(hl_slice_equal(got, hl_slice_of(token)), "'%s': '%.*s'", header, (int)got.len,
              got.ptr);
}

Test(feed_words, a_token_stands_among_the_protocols)
{
    expect_token("helios.token.abc", "abc");
    expect_token("helios.cluster.v1, helios.token.a.b-c_d", "a.b-c_d");
    expect_token("helios.cluster.v1,helios.token.abc , other", "abc");
    expect_token("\t helios.token.x\t,", "x");
    expect_token("", NULL);
    expect_token("helios.token.", NULL);
    expect_token("xhelios.token.abc", NULL);
    expect_token("helios.cluster.v1", NULL);
    expect_token(", ,,", NULL);
}
