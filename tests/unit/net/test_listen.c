/* Goal: addresses are read as people write them, and nothing else is taken for one. */
#include "net/listen.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>

static struct net_address out[NET_LISTENERS_MAX];
static size_t count;

static hl_err parse(const char *text)
{
    count = 0;
    return net_listen_parse(hl_slice_of(text), true, out, &count, NULL);
}

Test(listen, addresses_are_read)
{
    static const struct {
        const char *text;
        int family;
        int port;
    } cases[] = {
        {"127.0.0.1:8443", AF_INET, 8443}, {"[::1]:80", AF_INET6, 80},
        {":8443", AF_INET6, 8443},         {"*:0", AF_INET6, 0},
        {"8443", AF_INET6, 8443},          {"localhost:1", AF_INET, 1},
        {"::1:65535", AF_INET6, 65535},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(parse(cases[i].text), HL_OK, "%s", cases[i].text);
        cr_assert_eq(count, 1);
        cr_assert_eq(out[0].address.ss_family, cases[i].family, "%s", cases[i].text);
        cr_assert_eq(ntohs(((struct sockaddr_in *)&out[0].address)->sin_port), cases[i].port);
        cr_assert(out[0].tls);
    }
}

Test(listen, an_address_may_be_optional)
{
    cr_assert_eq(parse("-:9090 -[::1]:80 127.0.0.1:1"), HL_OK);
    cr_assert_eq(count, 3);
    cr_assert(out[0].optional && out[1].optional);
    cr_assert_not(out[2].optional);
    cr_assert_eq(ntohs(((struct sockaddr_in *)&out[0].address)->sin_port), 9090);
    cr_assert_eq(parse("-"), HL_EINVAL);
    cr_assert_eq(parse("--:1"), HL_EINVAL);
}

Test(listen, lists_are_bounded)
{
    cr_assert_eq(parse(" :1, :2 :3,"), HL_OK);
    cr_assert_eq(count, 3);
    cr_assert_eq(parse(""), HL_OK);
    cr_assert_eq(count, 0);
    cr_assert_eq(parse("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"), HL_OK);
    cr_assert_eq(parse("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"), HL_EINVAL);
}

Test(listen, what_is_no_address_is_refused)
{
    static const char *const bad[] = {
        "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "nowhere:1",
        "127.0.0:1", "[::1:80",    "http://a:1",      "127.0.0.1:8o", "[127.0.0.1]x:1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(parse(bad[i]), HL_EINVAL, "%s", bad[i]);
    }
}
