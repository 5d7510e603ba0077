/* Goal: nodes find each other, know each other, lose nothing silently but what may be lost, and
 * nobody else can hurt them through the raft port.
 *
 * Method: several transports on one loop over loopback, and plain sockets that misbehave.  Nothing
 * sleeps: the loop runs until a condition holds, for at most some seconds.
 */
#include "server/peer.h"

#include "kit/alloc.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 10000
#define SIDES 3

struct side {
    struct hl_peers *peers;
    struct hl_peers_self self;
    char address[32], name[16];
    int port;
    unsigned messages, lost, answers, asked;
    hl_peer last_from;
    enum hl_peer_class classes[64]; /* of the first messages */
    uint64_t numbers[64];           /* their first eight bytes */
    char why[200];                  /* of the last answer */
    bool answer_empty, answer_member;
    hl_peer answer_id;
    char log[8192];
};

static uv_loop_t loop;
static struct side sides[SIDES];

static void enter(void *ctx)
{
    (void)ctx;
}

static void give_self(void *ctx, struct hl_peers_self *out)
{
    struct side *side = ctx;
    *out = side->self;
}

static void on_message(void *ctx, hl_peer from, struct hl_slice bytes)
{
    struct side *side = ctx;
    struct hl_wire_frame frame;
    cr_assert_eq(hl_wire_decode(bytes, &frame, NULL), HL_OK);
    if (side->messages < 64) {
        side->classes[side->messages] = frame.peer_class;
        side->numbers[side->messages] = frame.body.len >= 8 ? hl_get_le64(frame.body.ptr) : 0;
    }
    side->messages++;
    side->last_from = from;
}

static void on_lost(void *ctx, hl_peer peer, enum hl_peer_class peer_class)
{
    struct side *side = ctx;
    (void)peer;
    (void)peer_class;
    side->lost++;
}

static void on_answer(void *ctx, const char *name, const struct hl_wire_frame *frame,
                      const struct hl_hello *hello, const char *why)
{
    struct side *side = ctx;
    (void)name;
    side->answers++;
    (void)snprintf(side->why, sizeof side->why, "%s", why);
    if (hello != NULL) {
        side->answer_empty = hello->empty;
        side->answer_member = hello->member;
        side->answer_id = frame->from;
    }
}

static void on_asked(void *ctx, const struct hl_wire_frame *frame, const struct hl_hello *hello)
{
    struct side *side = ctx;
    (void)frame;
    (void)hello;
    side->asked++;
}

static void on_log(void *ctx, int level, const char *line)
{
    struct side *side = ctx;
    (void)level;
    size_t len = strlen(side->log);
    (void)snprintf(side->log + len, sizeof side->log - len, "%s\n", line);
}

static int free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    cr_assert_eq(bind(fd, (struct sockaddr *)&in, len), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    (void)close(fd);
    return ntohs(in.sin_port);
}

static void start_side(struct side *side)
{
    const struct hl_peers_hooks hooks = {.ctx = side,
                                         .enter = enter,
                                         .self = give_self,
                                         .message = on_message,
                                         .lost = on_lost,
                                         .answer = on_answer,
                                         .asked = on_asked,
                                         .log = on_log};
    const struct hl_peers_options options = {
        .bind = side->address, .tls_name = "", .seed = (uint64_t)side->port, .greeting_ms = 300};
    struct hl_errmsg msg = {0};
    cr_assert_eq(hl_peers_create(&side->peers, &loop, &options, &hooks, &msg), HL_OK, "%s",
                 msg.text);
}

static void setup(void)
{
    cr_assert_eq(uv_loop_init(&loop), 0);
    for (int i = 0; i < SIDES; i++) {
        struct side *side = &sides[i];
        memset(side, 0, sizeof *side);
        side->port = free_port();
        (void)snprintf(side->name, sizeof side->name, "node-%d", i + 1);
        (void)snprintf(side->address, sizeof side->address, "127.0.0.1:%d", side->port);
        side->self = (struct hl_peers_self){.cluster_id = {7},
                                            .id = (hl_peer)(i + 1),
                                            .incarnation = 1,
                                            .name = side->name,
                                            .raft_addr = side->address,
                                            .client_addr = ""};
        start_side(side);
    }
}

static void teardown(void)
{
    for (int i = 0; i < SIDES; i++) {
        hl_peers_destroy(sides[i].peers);
    }
    cr_assert_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
    cr_assert_eq(uv_loop_close(&loop), 0, "a handle is left");
}

TestSuite(peers, .init = setup, .fini = teardown, .timeout = 60);

static void on_wake(uv_timer_t *timer)
{
    (void)timer;
}

/* Run the loop until `done(arg)`; false when that takes too long. */
static bool run_until(bool (*done)(void *arg), void *arg)
{
    uv_timer_t wake;
    (void)uv_timer_init(&loop, &wake);
    (void)uv_timer_start(&wake, on_wake, 5, 5);
    uint64_t end = uv_hrtime() + WAIT_MS * 1000000ull;
    while (!done(arg) && uv_hrtime() < end) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&wake, NULL);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    return done(arg);
}

static struct hl_members members_of(int count)
{
    struct hl_members members = {0};
    for (int i = 0; i < count; i++) {
        cr_assert_eq(hl_members_put(&members, sides[i].self.id, true, hl_slice_of(sides[i].name),
                                    hl_slice_of(sides[i].address), hl_slice_of("")),
                     HL_OK);
    }
    return members;
}

static void introduce(int count)
{
    struct hl_members members = members_of(count);
    for (int i = 0; i < count; i++) {
        hl_peers_set(sides[i].peers, &members);
    }
}

static bool all_up(void *arg)
{
    int count = *(int *)arg;
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < count; k++) {
            for (int c = HL_PEER_RAFT; i != k && c <= HL_PEER_FORWARD; c++) {
                if (!hl_peers_is_up(sides[i].peers, sides[k].self.id, (enum hl_peer_class)c)) {
                    return false;
                }
            }
        }
    }
    return true;
}

static void send_number(struct side *from, hl_peer to, enum hl_peer_class peer_class,
                        uint64_t number, size_t len)
{
    struct hl_wire_frame frame = {.peer_class = peer_class,
                                  .type = HL_FRAME_RAFT,
                                  .from = from->self.id,
                                  .to = to,
                                  .incarnation = from->self.incarnation};
    memcpy(frame.cluster_id, from->self.cluster_id, sizeof frame.cluster_id);
    struct hl_buf bytes = {0};
    size_t start = hl_wire_begin(&bytes, &frame);
    hl_buf_append_le64(&bytes, number);
    if (len > 8) {
        hl_buf_grow(&bytes, len - 8);
        memset(bytes.ptr + bytes.len, 'x', len - 8);
        bytes.len += len - 8;
    }
    hl_wire_end(&bytes, start);
    hl_peers_send(from->peers, to, peer_class, hl_buf_view(&bytes));
    hl_buf_fini(&bytes);
}

struct wanted {
    unsigned *counter, least;
};

static bool reached(void *arg)
{
    struct wanted *wanted = arg;
    return *wanted->counter >= wanted->least;
}

static bool wait_for(unsigned *counter, unsigned least)
{
    return run_until(reached, &(struct wanted){.counter = counter, .least = least});
}

/* --- nodes among themselves ------------------------------------------------------------------- */

Test(peers, frames_of_a_class_arrive_in_order)
{
    int count = 3;
    introduce(count);
    cr_assert(run_until(all_up, &count));
    for (uint64_t i = 0; i < 50; i++) {
        send_number(&sides[0], 2, HL_PEER_RAFT, i, i % 7 == 0 ? 300000 : 8);
    }
    send_number(&sides[2], 1, HL_PEER_FORWARD, 77, 8);
    cr_assert(wait_for(&sides[1].messages, 50));
    cr_assert(wait_for(&sides[0].messages, 1));
    for (uint64_t i = 0; i < 50; i++) {
        cr_assert_eq(sides[1].numbers[i], i);
    }
    cr_assert_eq(sides[1].last_from, 1);
    cr_assert_eq(sides[0].numbers[0], 77);
    cr_assert_eq(sides[0].last_from, 3);
    struct hl_buf info = {0};
    hl_peers_info(sides[0].peers, &info);
    hl_buf_append_u8(&info, 0);
    cr_assert_not_null(strstr(info.ptr, "raft_links_in:6\r\n"), "%s", info.ptr);
    cr_assert_not_null(strstr(info.ptr, "raft_link0:id=node-2,"), "%s", info.ptr);
    cr_assert_not_null(strstr(info.ptr, ",raft=up,bulk=up,forward=up,connects=3,"), "%s", info.ptr);
    hl_buf_fini(&info);
}

Test(peers, a_large_bulk_frame_does_not_delay_consensus)
{
    int count = 2;
    introduce(count);
    cr_assert(run_until(all_up, &count));
    send_number(&sides[0], 2, HL_PEER_BULK, 1, 48u << 20);
    send_number(&sides[0], 2, HL_PEER_RAFT, 2, 8);
    cr_assert(wait_for(&sides[1].messages, 2));
    cr_assert_eq(sides[1].numbers[0], 2, "the later, smaller frame is there first");
    cr_assert_eq(sides[1].classes[1], HL_PEER_BULK);
}

Test(peers, a_node_that_ends_is_told_and_found_again_when_it_is_back)
{
    int count = 2;
    introduce(count);
    cr_assert(run_until(all_up, &count));
    hl_peers_destroy(sides[1].peers);
    cr_assert(wait_for(&sides[0].lost, 6), "three connections each way");
    send_number(&sides[0], 2, HL_PEER_FORWARD, 1, 8);
    cr_assert(wait_for(&sides[0].lost, 7), "what was not sent is told");
    send_number(&sides[0], 2, HL_PEER_RAFT, 1, 8); /* this may be lost without a word */
    sides[1].self.incarnation = 2;
    start_side(&sides[1]);
    introduce(count);
    cr_assert(run_until(all_up, &count));
    cr_assert_eq(sides[0].lost, 7);
    send_number(&sides[0], 2, HL_PEER_RAFT, 5, 8);
    cr_assert(wait_for(&sides[1].messages, 1));
    cr_assert_eq(sides[1].numbers[0], 5);
}

/* The others know only its old address; it knows theirs, and tells them. */
Test(peers, a_node_that_comes_back_at_another_address_is_found)
{
    int count = 2;
    introduce(count);
    cr_assert(run_until(all_up, &count));
    struct hl_members members = members_of(2);
    hl_peers_destroy(sides[1].peers);
    sides[1].self.incarnation = 2;
    sides[1].port = free_port();
    (void)snprintf(sides[1].address, sizeof sides[1].address, "127.0.0.1:%d", sides[1].port);
    start_side(&sides[1]);
    hl_peers_set(sides[1].peers, &members);
    cr_assert(run_until(all_up, &count), "%s", sides[0].log);
    hl_peers_set(sides[0].peers, &members); /* the same list again changes nothing */
    cr_assert(hl_peers_is_up(sides[0].peers, 2, HL_PEER_RAFT));
}

Test(peers, who_is_no_member_any_more_is_left)
{
    int count = 3;
    introduce(count);
    cr_assert(run_until(all_up, &count));
    struct hl_members two = members_of(2);
    hl_peers_set(sides[0].peers, &two);
    cr_assert_not(hl_peers_is_up(sides[0].peers, 3, HL_PEER_RAFT));
    cr_assert(wait_for(&sides[2].lost, 6));
}

static bool is_logged(void *arg)
{
    const char *part = *(const char **)arg;
    return strstr(sides[0].log, part) != NULL || strstr(sides[1].log, part) != NULL;
}

static bool wait_logged(const char *part)
{
    return run_until(is_logged, &part);
}

Test(peers, a_node_of_another_cluster_is_refused)
{
    sides[1].self.cluster_id[0] = 8;
    introduce(2);
    cr_assert(wait_logged("refuses us: it belongs to another cluster"), "%s", sides[0].log);
    cr_assert(wait_logged("refused a connection to the raft port from 127.0.0.1"));
    send_number(&sides[0], 2, HL_PEER_RAFT, 1, 8);
    cr_assert_not(hl_peers_is_up(sides[0].peers, 2, HL_PEER_RAFT));
    cr_assert_eq(sides[1].messages, 0);
}

Test(peers, a_node_whose_directory_was_emptied_is_refused_under_its_old_id)
{
    struct hl_members members = members_of(2);
    sides[1].self.id = 22; /* drawn anew */
    hl_peers_set(sides[0].peers, &members);
    cr_assert(wait_logged("directory emptied"), "%s", sides[0].log);
    cr_assert_not(hl_peers_is_up(sides[0].peers, 2, HL_PEER_RAFT));
}

Test(peers, an_earlier_start_of_a_node_is_refused)
{
    int count = 2;
    sides[1].self.incarnation = 5;
    introduce(count);
    cr_assert(run_until(all_up, &count));
    hl_peers_destroy(sides[1].peers);
    sides[1].self.incarnation = 4;
    start_side(&sides[1]);
    introduce(count);
    cr_assert(wait_logged("copy of its directory"), "%s", sides[0].log);
    cr_assert_not(hl_peers_is_up(sides[1].peers, 1, HL_PEER_RAFT));
    cr_assert_not(hl_peers_is_up(sides[0].peers, 2, HL_PEER_RAFT));
}

/* A node without a cluster that waits is reached by a member, and answers it though it knows no
 * members, once it has taken over the cluster's id. */
Test(peers, a_node_that_waits_to_be_added_talks_to_whoever_adds_it)
{
    memset(sides[1].self.cluster_id, 0, sizeof sides[1].self.cluster_id);
    sides[1].self.waiting = true;
    struct hl_members members = members_of(2);
    hl_peers_set(sides[0].peers, &members);
    for (int i = 0; i < 200 && !hl_peers_is_up(sides[0].peers, 2, HL_PEER_RAFT); i++) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    send_number(&sides[0], 2, HL_PEER_RAFT, 1, 8);
    cr_assert(wait_for(&sides[1].messages, 1), "%s", sides[0].log);
    sides[1].self = sides[0].self;
    sides[1].self.id = 2;
    sides[1].self.name = sides[1].name;
    for (int i = 0; i < 1000 && !hl_peers_is_up(sides[1].peers, 1, HL_PEER_RAFT); i++) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    send_number(&sides[1], 1, HL_PEER_RAFT, 2, 8);
    cr_assert(wait_for(&sides[0].messages, 1));
}

Test(peers, a_question_tells_who_answers)
{
    sides[1].self.empty = true;
    struct hl_members members = members_of(2);
    hl_peers_set(sides[1].peers, &members);
    hl_peers_ask(sides[0].peers, "node-2", sides[1].address);
    hl_peers_ask(sides[0].peers, "node-2", sides[1].address); /* one at a time */
    cr_assert(wait_for(&sides[0].answers, 1));
    cr_assert_eq(sides[0].answer_id, 2);
    cr_assert(sides[0].answer_empty && sides[0].answer_member);
    cr_assert_eq(sides[1].asked, 1);
    char nowhere[32];
    (void)snprintf(nowhere, sizeof nowhere, "127.0.0.1:%d", free_port());
    hl_peers_ask(sides[0].peers, "node-9", nowhere);
    cr_assert(wait_for(&sides[0].answers, 2));
    cr_assert_str_eq(sides[0].why, "connection refused");
    hl_peers_ask(sides[0].peers, "node-9", "no.such.name.invalid:7");
    cr_assert(wait_for(&sides[0].answers, 3));
    cr_assert_neq(sides[0].why[0], '\0');
}

/* --- everybody else --------------------------------------------------------------------------- */

static int dial(const struct side *side)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)side->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int rc = connect(fd, (struct sockaddr *)&in, sizeof in);
    cr_assert(rc == 0 || errno == EINPROGRESS);
    return fd;
}

static bool is_closed(void *arg)
{
    char byte;
    ssize_t got = recv(*(int *)arg, &byte, 1, 0);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

static unsigned count_lines(const char *log, const char *part)
{
    unsigned count = 0;
    for (const char *at = strstr(log, part); at != NULL; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

static uint64_t info_number(const char *field)
{
    struct hl_buf info = {0};
    hl_peers_info(sides[0].peers, &info);
    hl_buf_append_u8(&info, 0);
    const char *at = strstr(info.ptr, field);
    cr_assert_not_null(at, "%s", info.ptr);
    uint64_t number = strtoull(at + strlen(field), NULL, 10);
    hl_buf_fini(&info);
    return number;
}

/* A HELLO as a node would say it, with one thing to change before it is sealed. */
static struct hl_buf make_hello(hl_peer from, hl_peer to)
{
    struct hl_wire_frame frame = {.peer_class = HL_PEER_RAFT,
                                  .type = HL_FRAME_HELLO,
                                  .cluster_id = {7},
                                  .from = from,
                                  .to = to,
                                  .incarnation = 1};
    struct hl_hello hello = {.name = hl_slice_of("stranger"),
                             .raft_addr = hl_slice_of("127.0.0.1:1"),
                             .client_addr = hl_slice_of("")};
    struct hl_buf bytes = {0};
    size_t start = hl_wire_begin(&bytes, &frame);
    hl_hello_encode(&hello, &bytes);
    hl_wire_end(&bytes, start);
    return bytes;
}

Test(peers, nonsense_closes_that_connection_with_one_line)
{
    struct hl_buf cases[6] = {{0}};
    hl_buf_append_text(
        &cases[0],
        "GET / HTTP/1.1\r\nHost: a.very.long.name.that.makes.sixty.four.bytes.of.it\r\n");
    cases[1] = make_hello(9, 1);
    hl_put_le16(cases[1].ptr + 4, 99); /* another version, its checksum wrong too */
    cases[2] = make_hello(9, 1);
    cases[2].ptr[70] ^= 1; /* damaged */
    cases[3] = make_hello(9, 1);
    cases[3].ptr[6] = 9; /* no such class */
    cases[4] = make_hello(0, 1);
    struct hl_wire_frame raft = {
        .peer_class = HL_PEER_RAFT, .type = HL_FRAME_RAFT, .from = 9, .to = 1};
    hl_wire_end(&cases[5], hl_wire_begin(&cases[5], &raft));
    for (size_t i = 0; i < 6; i++) {
        int fd = dial(&sides[0]);
        cr_assert_eq(send(fd, cases[i].ptr, cases[i].len, MSG_NOSIGNAL), (ssize_t)cases[i].len);
        cr_assert(run_until(is_closed, &fd), "case %zu", i);
        cr_assert_eq(info_number("raft_links_refused:"), i + 1);
        (void)close(fd);
        hl_buf_fini(&cases[i]);
    }
    cr_assert_eq(sides[0].messages, 0);
    cr_assert_eq(count_lines(sides[0].log, "refused a connection"), 5, "a line once: %s",
                 sides[0].log);
}

/* A header that is right in itself and promises more than a stranger may send. */
Test(peers, a_stranger_cannot_announce_a_large_frame)
{
    struct hl_wire_frame frame = {
        .peer_class = HL_PEER_RAFT, .type = HL_FRAME_HELLO, .from = 9, .to = 1};
    struct hl_buf bytes = {0};
    size_t start = hl_wire_begin(&bytes, &frame);
    hl_buf_grow(&bytes, 1u << 20);
    memset(bytes.ptr + bytes.len, 0, 1u << 20);
    bytes.len += 1u << 20;
    hl_wire_end(&bytes, start);
    int fd = dial(&sides[0]);
    cr_assert_eq(send(fd, bytes.ptr, HL_FRAME_HEADER, MSG_NOSIGNAL), HL_FRAME_HEADER);
    cr_assert(run_until(is_closed, &fd));
    cr_assert_not_null(strstr(sides[0].log, "longer than allowed"), "%s", sides[0].log);
    (void)close(fd);
    hl_buf_fini(&bytes);
}

Test(peers, who_says_nothing_or_dribbles_is_closed_in_time)
{
    int silent = dial(&sides[0]);
    int slow = dial(&sides[0]);
    struct hl_buf hello = make_hello(9, 1);
    uint64_t start = uv_hrtime();
    size_t sent = 0;
    while (!is_closed(&slow) && uv_hrtime() - start < WAIT_MS * 1000000ull) {
        if (sent < hello.len - 1 && sent * 20 * 1000000ull < uv_hrtime() - start) {
            (void)send(slow, hello.ptr + sent, 1, MSG_NOSIGNAL);
            sent++;
        }
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
    cr_assert_lt(uv_hrtime() - start, 5000 * 1000000ull);
    cr_assert(run_until(is_closed, &silent));
    (void)close(silent);
    (void)close(slow);
    hl_buf_fini(&hello);
}

Test(peers, a_flood_of_strangers_does_not_keep_nodes_out)
{
    int fds[200];
    for (int i = 0; i < 200; i++) {
        fds[i] = dial(&sides[0]);
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
    int count = 2;
    introduce(count);
    cr_assert(run_until(all_up, &count));
    cr_assert_leq(count_lines(sides[0].log, "refused a connection"), 10, "lines are limited");
    for (int i = 0; i < 200; i++) {
        (void)close(fds[i]);
    }
}

/* A node that takes nothing: a listener of the kernel's that answers the HELLO and never reads. */
struct mute {
    int listener, fds[3];
    unsigned count;
};

static bool mute_connected(void *arg)
{
    struct mute *mute = arg;
    int fd = accept4(mute->listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd >= 0) {
        mute->fds[mute->count++] = fd;
    }
    for (unsigned i = 0; i < mute->count; i++) {
        char bytes[512];
        ssize_t got = recv(mute->fds[i], bytes, sizeof bytes, MSG_PEEK);
        if (got < HL_FRAME_HEADER) {
            continue;
        }
        struct hl_wire_frame frame;
        uint32_t len = 0;
        cr_assert_eq(hl_wire_peek(bytes, &frame, &len, NULL), HL_OK);
        if (frame.type != HL_FRAME_HELLO || (size_t)got != HL_FRAME_HEADER + (size_t)len) {
            continue;
        }
        (void)recv(mute->fds[i], bytes, sizeof bytes, 0);
        struct hl_wire_frame reply = {.peer_class = frame.peer_class,
                                      .type = HL_FRAME_HELLO,
                                      .cluster_id = {7},
                                      .from = 2,
                                      .to = 1,
                                      .incarnation = 1};
        struct hl_hello hello = {.reply = true, .name = hl_slice_of("node-2")};
        struct hl_buf out = {0};
        size_t start = hl_wire_begin(&out, &reply);
        hl_hello_encode(&hello, &out);
        hl_wire_end(&out, start);
        cr_assert_eq(send(mute->fds[i], out.ptr, out.len, 0), (ssize_t)out.len);
        hl_buf_fini(&out);
    }
    return hl_peers_is_up(sides[0].peers, 2, HL_PEER_RAFT) &&
           hl_peers_is_up(sides[0].peers, 2, HL_PEER_FORWARD) &&
           hl_peers_is_up(sides[0].peers, 2, HL_PEER_BULK);
}

Test(peers, what_waits_for_a_node_that_does_not_read_is_bounded)
{
    hl_peers_destroy(sides[1].peers);
    sides[1].peers = NULL;
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    struct mute mute = {.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    cr_assert_eq(bind(mute.listener, (struct sockaddr *)&in, len), 0);
    cr_assert_eq(listen(mute.listener, 8), 0);
    cr_assert_eq(getsockname(mute.listener, (struct sockaddr *)&in, &len), 0);
    (void)snprintf(sides[1].address, sizeof sides[1].address, "127.0.0.1:%d", ntohs(in.sin_port));
    struct hl_members members = members_of(2);
    hl_peers_set(sides[0].peers, &members);
    cr_assert(run_until(mute_connected, &mute), "%s", sides[0].log);
    for (uint64_t i = 0; i < 150; i++) {
        send_number(&sides[0], 2, HL_PEER_RAFT, i, 1u << 20);
    }
    cr_assert_gt(info_number("dropped="), 60);
    cr_assert_leq(info_number("queued_bytes="), 65u << 20);
    cr_assert_eq(sides[0].lost, 0, "consensus sends again by itself");
    uint64_t before = info_number("dropped=");
    for (uint64_t i = 0; i < 40; i++) {
        send_number(&sides[0], 2, HL_PEER_BULK, i, 1u << 20);
    }
    cr_assert_gt(info_number("dropped="), before + 20);
    cr_assert_leq(info_number("queued_bytes="), 70u << 20);
    cr_assert(wait_for(&sides[0].lost, 1), "the others are told");
    (void)close(mute.listener);
    for (unsigned i = 0; i < mute.count; i++) {
        (void)close(mute.fds[i]);
    }
}
