/* Goal: sane names of a client are kept, all others replaced by fresh ones. */
#include "net/trace.h"

#include <criterion/criterion.h>

#define TRACE "0123456789abcdef0123456789abcdef"
#define SPAN "0123456789abcdef"

static const unsigned char chance[NET_TRACE_CHANCE] = {0xab, [16] = 0xcd};

static struct net_trace make(const char *id, const char *parent)
{
    struct net_trace trace;
    net_trace_init(&trace, hl_slice_of(id), hl_slice_of(parent), chance);
    return trace;
}

Test(trace, sane_names_are_kept)
{
    struct net_trace t = make("Req-1.a_b", "00-" TRACE "-" SPAN "-01");
    cr_assert_str_eq(t.request_id, "Req-1.a_b");
    cr_assert_str_eq(t.parent, "00-" TRACE "-cd00000000000000-01");
    t = make("x", "cc-" TRACE "-" SPAN "-01-what-the-future-adds");
    cr_assert_str_eq(t.parent, "00-" TRACE "-cd00000000000000-01");
}

Test(trace, other_names_are_replaced)
{
    static const char *const ids[] = {
        "",     "a b",         "a\"b",
        "a\nb", "caf\xc3\xa9", "01234567890123456789012345678901234567890123456789012345678901234"};
    static const char *const parents[] = {
        "",
        "00-" TRACE "-" SPAN "-0",
        "00-" TRACE "-" SPAN "-01-",
        "00-" TRACE "-" SPAN "-01-x",
        "ff-" TRACE "-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0123456789ABCDEF0123456789abcdef-" SPAN "-01",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-zz",
        "cc-" TRACE "-" SPAN "-01x",
    };
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        cr_assert_str_eq(make(ids[i], "").request_id, "ab000000000000000000000000000000", "%zu", i);
    }
    for (size_t i = 0; i < sizeof parents / sizeof parents[0]; i++) {
        cr_assert_str_eq(make("x", parents[i]).parent,
                         "00-ab000000000000000000000000000000-cd00000000000000-00", "%s",
                         parents[i]);
    }
}
