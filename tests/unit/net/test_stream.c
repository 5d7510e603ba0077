/* Streams on a loop: what is sent arrives, ends are told once, and silence has a bound.
 *
 * Method: both ends live on one loop, which the test turns itself.
 */
#include "net/stream.h"

#include "kit/alloc.h"

#include <criterion/criterion.h>
#include <string.h>

struct end {
    struct net_stream s;
    char got[256];
    size_t got_len;
    int64_t deadline_ms;
    int opened, ended, expired, lost, freed, stalled;
    size_t marked;
    bool echoes;
};

static struct net_loop loop;
static struct end server, client;

static struct end *end_of(const struct net_stream *s)
{
    return (struct end *)s;
}

static void opened(struct net_stream *s)
{
    end_of(s)->opened++;
}

static void ready(struct net_stream *s)
{
    struct end *end = end_of(s);
    size_t room = sizeof end->got - end->got_len;
    size_t len = s->in.len < room ? s->in.len : room;
    memcpy(end->got + end->got_len, len != 0 ? s->in.ptr : "", len);
    end->got_len += len;
    if (end->echoes) {
        hl_buf_append(&s->out, s->in.ptr, len);
        net_stream_flush(s);
    }
    hl_buf_consume(&s->in, len);
}

static void ended(struct net_stream *s)
{
    end_of(s)->ended++;
    net_stream_advance(s); /* what has changed may be looked at from any hook */
}

static void sent(struct net_stream *s, size_t marked)
{
    end_of(s)->marked += marked;
}

static int64_t deadline(const struct net_stream *s)
{
    return end_of(s)->deadline_ms;
}

static void expired(struct net_stream *s)
{
    end_of(s)->expired++;
    end_of(s)->deadline_ms = NET_NEVER_MS;
}

static void stalled(struct net_stream *s)
{
    end_of(s)->stalled++;
}

static void lost(struct net_stream *s)
{
    end_of(s)->lost++;
}

static void freed(struct net_stream *s)
{
    end_of(s)->freed++;
}

static const struct net_stream_hooks hooks = {
    .opened = opened,
    .ready = ready,
    .ended = ended,
    .sent = sent,
    .deadline = deadline,
    .expired = expired,
    .stalled = stalled,
    .lost = lost,
    .freed = freed,
};

static void accept_one(struct net_listener *listener)
{
    cr_assert_eq(net_stream_accept(&server.s, &hooks, listener, NULL), HL_OK);
    net_stream_start(&server.s);
}

static void fail_accept(struct net_listener *listener, const char *why)
{
    (void)listener;
    cr_assert_fail("cannot accept: %s", why);
}

static struct end fresh(void)
{
    return (struct end){.s = {.in_max = 64, .write_timeout_ms = 5000}, .deadline_ms = NET_NEVER_MS};
}

/* Turn the loop until *what is `count`, with a bound. */
static void turn_until(const int *what, int count)
{
    uint64_t until = uv_hrtime() + 10ull * 1000000000;
    while (*what < count) {
        cr_assert_lt(uv_hrtime(), until, "it never happened");
        uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
}

static void turn_until_got(const struct end *end, size_t len)
{
    uint64_t until = uv_hrtime() + 10ull * 1000000000;
    while (end->got_len < len) {
        cr_assert_lt(uv_hrtime(), until, "the bytes never came");
        uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
}

static struct sockaddr_in listening(void)
{
    struct sockaddr_in at = {0};
    int len = sizeof at;
    uv_tcp_getsockname(&loop.listeners[0].tcp, (struct sockaddr *)&at, &len);
    return at;
}

static void set_up(void)
{
    struct net_address addresses[NET_LISTENERS_MAX];
    size_t count = 0;
    memset(&loop, 0, sizeof loop);
    server = fresh();
    client = fresh();
    cr_assert_eq(net_listen_parse(hl_slice_of("127.0.0.1:0"), false, addresses, &count, NULL),
                 HL_OK);
    cr_assert_eq(net_loop_init(&loop, NULL), HL_OK);
    cr_assert_eq(net_loop_listen(&loop, addresses, accept_one, fail_accept, NULL), HL_OK);
}

static void tear_down(void)
{
    net_loop_cancel(&loop);
}

static void connect_both(void)
{
    struct sockaddr_in at = listening();
    net_stream_connect(&client.s, &hooks, &loop, (struct sockaddr *)&at, NULL, NULL);
    turn_until(&client.opened, 1);
}

static void close_both(void)
{
    net_stream_close(&client.s);
    net_stream_close(&server.s);
    turn_until(&client.freed, 1);
    turn_until(&server.freed, 1);
    cr_assert_eq(client.lost, 1);
    cr_assert_eq(server.lost, 1);
}

TestSuite(stream, .init = set_up, .fini = tear_down);

Test(stream, what_is_written_before_the_connection_stands_arrives)
{
    struct sockaddr_in at = listening();
    server.echoes = true;
    net_stream_connect(&client.s, &hooks, &loop, (struct sockaddr *)&at, NULL, NULL);
    hl_buf_append_text(&client.s.out, "hello");
    client.s.marked = 5;
    net_stream_flush(&client.s);
    turn_until_got(&client, 5);
    cr_assert_eq(memcmp(client.got, "hello", 5), 0);
    cr_assert_eq(client.marked, 5, "the owner hears how much was sent");
    cr_assert_str_eq(server.s.remote, "127.0.0.1");
    close_both();
}

Test(stream, a_port_where_nobody_listens_is_told_as_an_error)
{
    struct sockaddr_in at = listening();
    net_loop_deafen(&loop);
    uv_run(&loop.uv, UV_RUN_NOWAIT);
    net_stream_connect(&client.s, &hooks, &loop, (struct sockaddr *)&at, NULL, NULL);
    turn_until(&client.freed, 1);
    cr_assert_eq(client.lost, 1);
    cr_assert_eq(client.s.error, UV_ECONNREFUSED);
    cr_assert_eq(client.opened, 0);
}

Test(stream, an_owner_that_takes_nothing_stops_the_sender)
{
    connect_both();
    server.got_len = sizeof server.got; /* no room */
    for (int i = 0; i < 1000; i++) {
        char block[1024] = {0};
        hl_buf_append(&client.s.out, block, sizeof block);
    }
    net_stream_flush(&client.s);
    for (int i = 0; i < 200; i++) {
        uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
    cr_assert_leq(server.s.in.len, server.s.in_max + NET_READ_MAX, "NS1");
    cr_assert_gt(server.s.in.len, 0);
    close_both();
}

Test(stream, a_peer_that_reads_nothing_is_given_up)
{
    client.s.write_timeout_ms = 30;
    connect_both();
    server.got_len = sizeof server.got;
    char *block = hl_calloc(1, 8 * 1024 * 1024);
    hl_buf_append(&client.s.out, block, 8 * 1024 * 1024);
    hl_free(block);
    net_stream_flush(&client.s);
    turn_until(&client.freed, 1);
    cr_assert_eq(client.stalled, 1);
    cr_assert_eq(client.lost, 1);
    close_both();
}

Test(stream, what_was_sent_arrives_although_the_sender_finishes_at_once)
{
    connect_both();
    hl_buf_append_text(&client.s.out, "farewell");
    net_stream_finish(&client.s);
    turn_until_got(&server, 8);
    turn_until(&server.ended, 1);
    net_stream_finish(&server.s);
    turn_until(&client.freed, 1);
    turn_until(&server.freed, 1);
    cr_assert_eq(client.lost, 1);
    cr_assert_eq(server.lost, 1);
}

Test(stream, half_a_connection_may_end_and_the_other_half_goes_on)
{
    connect_both();
    net_stream_shut(&client.s);
    turn_until(&server.ended, 1);
    hl_buf_append_text(&server.s.out, "still here");
    net_stream_flush(&server.s);
    turn_until_got(&client, 10);
    close_both();
}

Test(stream, a_deadline_rings_also_when_it_was_moved_nearer)
{
    connect_both();
    client.deadline_ms = net_loop_now_ms(&loop) + 3600000;
    net_stream_arm(&client.s);
    client.deadline_ms = net_loop_now_ms(&loop) + 10;
    net_stream_arm(&client.s);
    turn_until(&client.expired, 1);
    close_both();
}
