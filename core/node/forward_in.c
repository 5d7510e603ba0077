/* Forwarding on the leader: guests. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/acl.h"
#include "node/forward_internal.h"
#include "raft/mutant.h"

#include <stdio.h>

/* A request that ran, and where its reply ends. */
struct reply_end {
    uint64_t seq;
    uint64_t end; /* offset into all output the guest ever had */
};

struct hl_guest {
    struct hl_list_node ready; /* in forwarding->ready */
    struct hl_session *session;
    hl_peer from;
    uint64_t handle;
    uint64_t taken;            /* seq of the newest request */
    uint64_t sent;             /* bytes of output sent: the offset of the next */
    struct hl_list_node queue; /* struct hl_forwarded that wait for their turn */
    uint64_t running;          /* seq of the request that blocks the session; 0: none */
    bool refusing;             /* begun by a leader that is none any more: takes nothing new */
    struct reply_end *ends;    /* oldest first, ends[first..count) */
    uint32_t end_first, end_count, end_cap;
    uint64_t answered;  /* seq, as last sent */
    bool owes;          /* answered is behind taken; counted in forwarding->owing */
    uint32_t flags;     /* as last sent */
    struct hl_buf once; /* the client session that the line named last */
};

/* What a guest's session has instead of a socket. */
static void on_output(void *ctx, struct hl_session *session)
{
    struct hl_node *node = ctx;
    struct hl_guest *guest = session->edge;
    if (!hl_list_linked(&guest->ready)) {
        hl_list_append(&node->forwarding->ready, &guest->ready);
    }
}

static const struct hl_session_port guest_port = {.output = on_output, .resume = on_output};

/* --- finding ---------------------------------------------------------------------------------- */

static struct hl_guest_list *list_of(struct hl_node *node, hl_peer peer, bool make)
{
    struct hl_guest_list *room = NULL;
    for (size_t i = 0; i < HL_ARRAY_LEN(node->forwarding->guests); i++) {
        struct hl_guest_list *list = &node->forwarding->guests[i];
        if (list->peer == peer) {
            return list;
        }
        room = list->peer == 0 && room == NULL ? list : room;
    }
    if (make && room != NULL) {
        room->peer = peer;
        return room;
    }
    return NULL;
}

static struct hl_place *place_of(struct hl_guest_list *list, uint64_t handle)
{
    uint32_t slot = HL_FORWARD_SLOT(handle);
    if (slot >= list->cap) {
        uint32_t cap = list->cap == 0 ? 64 : list->cap;
        while (cap <= slot) {
            cap *= 2;
        }
        list->at = hl_realloc(list->at, cap * sizeof *list->at);
        memset(list->at + list->cap, 0, (cap - list->cap) * sizeof *list->at);
        list->cap = cap;
    }
    return &list->at[slot];
}

/* taken or answered changed. */
static void count_owing(struct hl_node *node, struct hl_guest *guest)
{
    bool owes = guest->taken != guest->answered;
    node->forwarding->owing += (uint32_t)owes - (uint32_t)guest->owes;
    guest->owes = owes;
}

static struct hl_guest *find(struct hl_node *node, hl_peer peer, uint64_t handle)
{
    struct hl_guest_list *list = list_of(node, peer, false);
    uint32_t slot = HL_FORWARD_SLOT(handle);
    struct hl_guest *guest = list != NULL && slot < list->cap ? list->at[slot].guest : NULL;
    return guest != NULL && guest->handle == handle ? guest : NULL;
}

static void destroy(struct hl_node *node, struct hl_guest *guest)
{
    struct hl_guest_list *list = list_of(node, guest->from, false);
    list->at[HL_FORWARD_SLOT(guest->handle)].guest = NULL;
    guest->answered = guest->taken; /* nobody waits for it any more */
    count_owing(node, guest);
    HL_LIST_EACH(it, &guest->queue)
    {
        hl_forwarded_destroy(HL_LIST_ENTRY(it, struct hl_forwarded, list));
    }
    hl_session_destroy(node, guest->session);
    hl_list_remove(&guest->ready);
    hl_free(guest->ends);
    hl_buf_fini(&guest->once);
    hl_free(guest);
    node->forwarding->stats.guests--;
}

/* Where the client of the guest is, as its node says. */
static void set_address(struct hl_guest *guest, struct hl_slice client)
{
    char *addr = guest->session->addr;
    (void)snprintf(addr, sizeof guest->session->addr, "%.*s", (int)client.len, client.ptr);
}

/* NULL when the line has ended: its first request has come twice. */
static struct hl_guest *create(struct hl_node *node, hl_peer from, const struct hl_forward_msg *msg)
{
    uint64_t handle = msg->handle;
    struct hl_guest_list *list = list_of(node, from, true);
    if (list == NULL) {
        return NULL;
    }
    struct hl_place *place = place_of(list, handle);
    if (handle <= place->newest) {
        return NULL;
    }
    if (place->guest != NULL) {
        destroy(node, place->guest); /* of a line that has ended */
    }
    place->newest = handle;
    struct hl_guest *guest = hl_calloc(1, sizeof *guest);
    guest->from = from;
    guest->handle = handle;
    hl_list_init(&guest->queue);
    guest->session = hl_session_create(node, HL_SESSION_GUEST);
    guest->session->edge = guest;
    guest->session->port = &guest_port;
    place->guest = guest;
    node->forwarding->stats.guests++;
    set_address(guest, msg->client);
    if (node->hooks.session_began != NULL) {
        node->hooks.session_began(node->hooks.ctx, guest->session);
    }
    return guest;
}

/* --- saying ----------------------------------------------------------------------------------- */

static void post(struct hl_node *node, hl_peer to, const struct hl_forward_reply *reply)
{
    struct hl_buf body = {0};
    hl_forward_reply_encode(reply, &body);
    hl_forward_post(node, to, HL_FRAME_FORWARD_REPLY, hl_buf_view(&body));
    hl_buf_fini(&body);
}

static void post_refusal(struct hl_node *node, hl_peer to, uint64_t handle, uint64_t seq)
{
    struct hl_forward_reply reply = {.kind = HL_FORWARD_REFUSED, .handle = handle, .seq = seq};
    post(node, to, &reply);
}

static void post_gone(struct hl_node *node, hl_peer to, uint64_t handle)
{
    struct hl_forward_reply reply = {.kind = HL_FORWARD_GONE, .handle = handle};
    post(node, to, &reply);
}

static uint32_t flags_of(const struct hl_session *session)
{
    const uint32_t closing = HL_SESSION_CLOSE_AFTER | HL_SESSION_CLOSE_NOW;
    bool in_multi = (session->flags & HL_SESSION_MULTI) != 0;
    bool stateful = in_multi || !hl_list_empty(&session->watches) ||
                    (session->flags & HL_SESSION_DIRTY_CAS) != 0;
    return (stateful ? HL_FORWARD_STATEFUL : 0) | (in_multi ? HL_FORWARD_IN_MULTI : 0) |
           ((session->flags & closing) != 0 ? HL_FORWARD_CLOSE : 0);
}

static void push_end(struct hl_guest *guest, uint64_t seq)
{
    if (guest->end_count == guest->end_cap) {
        uint32_t live = guest->end_count - guest->end_first;
        if (live != 0) {
            memmove(guest->ends, guest->ends + guest->end_first, live * sizeof *guest->ends);
        }
        guest->end_first = 0;
        guest->end_count = live;
        if (live * 2 >= guest->end_cap) {
            guest->end_cap = guest->end_cap == 0 ? 4 : guest->end_cap * 2;
            guest->ends = hl_realloc(guest->ends, guest->end_cap * sizeof *guest->ends);
        }
    }
    guest->ends[guest->end_count++] =
        (struct reply_end){.seq = seq, .end = guest->sent + hl_session_held(guest->session)};
}

/* The newest request whose reply ends at or before `offset`. */
static uint64_t answered_at(struct hl_guest *guest, uint64_t offset)
{
    uint64_t seq = guest->answered;
    while (guest->end_first < guest->end_count && guest->ends[guest->end_first].end <= offset) {
        seq = guest->ends[guest->end_first++].seq;
    }
    return seq;
}

/* Send what may leave. */
static void say(struct hl_node *node, struct hl_guest *guest)
{
    struct hl_session *session = guest->session;
    for (;;) {
        struct hl_slice out = hl_session_output(session);
        out.len = out.len < HL_FORWARD_REPLY_MAX ? out.len : HL_FORWARD_REPLY_MAX;
        uint64_t answered = answered_at(guest, guest->sent + out.len);
        uint32_t flags = flags_of(session);
        bool news = answered != guest->answered || (flags & ~guest->flags & HL_FORWARD_CLOSE) != 0;
        if (out.len == 0 && !news) {
            break;
        }
        struct hl_forward_reply reply = {
            .kind = HL_FORWARD_REPLY,
            .handle = guest->handle,
            .seq = answered,
            .offset = guest->sent,
            .once = {.ptr = session->once_id, .len = session->once_id_len},
            .index = node->commit, /* of the newest entry that these bytes can tell of */
            .db = session->db,
            .flags = flags,
            .bytes = out,
        };
        post(node, guest->from, &reply);
        guest->answered = answered;
        count_owing(node, guest);
        guest->flags = flags;
        guest->sent += out.len;
        hl_session_taken(session, out.len);
    }
}

/* --- running ---------------------------------------------------------------------------------- */

static bool takes_requests(const struct hl_guest *guest)
{
    const uint32_t stops = HL_SESSION_BLOCKED | HL_SESSION_CLOSE_NOW | HL_SESSION_CLOSE_AFTER;
    return (guest->session->flags & stops) == 0;
}

/* Run one request; false when it has to wait. */
static bool run(struct hl_node *node, struct hl_guest *guest, uint64_t seq, int db, int proto,
                int argc, const struct hl_slice *argv)
{
    struct hl_session *session = guest->session;
    session->db = db < node->ks.db_count ? db : session->db;
    session->writer.proto = proto;
    if (hl_node_execute(node, session, argc, argv) == HL_EXEC_POSTPONE) {
        return false;
    }
    if ((session->flags & HL_SESSION_BLOCKED) != 0) {
        guest->running = seq;
    } else {
        push_end(guest, seq);
    }
    on_output(node, session);
    return true;
}

/* The session was blocked or postponed and may go on. */
static void go_on(struct hl_node *node, struct hl_guest *guest)
{
    if (guest->running != 0 && (guest->session->flags & HL_SESSION_BLOCKED) == 0) {
        push_end(guest, guest->running);
        guest->running = 0;
    }
    while (takes_requests(guest) && !guest->refusing && !hl_list_empty(&guest->queue)) {
        struct hl_forwarded *next = HL_LIST_ENTRY(guest->queue.next, struct hl_forwarded, list);
        guest->session->flags &= ~HL_SESSION_POSTPONED;
        if (!run(node, guest, next->seq, next->db, next->proto, next->argc, next->argv)) {
            return;
        }
        hl_forwarded_destroy(next);
    }
}

static void enqueue(struct hl_guest *guest, const struct hl_forward_msg *msg)
{
    struct hl_forwarded *request = hl_forwarded_create(msg->argc, msg->argv);
    request->seq = msg->seq;
    request->db = msg->db;
    request->proto = msg->proto;
    hl_list_append(&guest->queue, &request->list);
}

/* The rights of the client: its user as this node knows it. */
static bool become(struct hl_node *node, struct hl_guest *guest, const struct hl_forward_msg *msg)
{
    struct hl_session *session = guest->session;
    if (msg->trusted) {
        hl_auth_as_server(session);
        return true;
    }
    if (session->user != NULL && (session->flags & HL_SESSION_AUTHENTICATED) != 0 &&
        hl_slice_equal(hl_acl_name(session->user), msg->user)) {
        return true;
    }
    struct hl_user *user = hl_acl_find(node->acl, msg->user);
    if (user == NULL) {
        return false;
    }
    hl_auth_as(session, user);
    return true;
}

/* Which client session the client is in is its own node's to say when that has changed there.  What
 * was sent before the answer to CLIENT SESSION names the former one. */
static void take_once(struct hl_guest *guest, struct hl_slice id)
{
    if (guest->taken > 1 && hl_slice_equal(hl_buf_view(&guest->once), id)) {
        return;
    }
    hl_buf_clear(&guest->once);
    hl_buf_append_slice(&guest->once, id);
    hl_forward_set_once(guest->session, id);
}

static void take_request(struct hl_node *node, hl_peer from, const struct hl_forward_msg *msg)
{
    struct hl_guest *guest = find(node, from, msg->handle);
    bool again = guest != NULL && msg->seq <= guest->taken; /* it was answered, or will be */
    if (again && !HL_MUTANT(RUN_TWICE)) {
        return;
    }
    if (!hl_node_leads(node) || (guest != NULL && guest->refusing)) {
        post_refusal(node, from, msg->handle, msg->seq);
        return;
    }
    if (guest == NULL && msg->seq == 1) {
        guest = create(node, from, msg);
    }
    if (guest == NULL || (msg->seq != guest->taken + 1 && !again)) { /* W1 */
        if (guest != NULL) {
            destroy(node, guest);
        }
        post_gone(node, from, msg->handle);
        return;
    }
    guest->taken = msg->seq;
    count_owing(node, guest);
    node->forwarding->stats.received++;
    struct hl_session *session = guest->session;
    session->flags = msg->local ? session->flags | HL_SESSION_LOCAL
                                : session->flags & ~(uint32_t)HL_SESSION_LOCAL;
    if (msg->disturbed) {
        session->flags |= HL_SESSION_DIRTY_CAS;
    }
    if (!hl_list_empty(&guest->queue) || !takes_requests(guest)) {
        enqueue(guest, msg);
        return;
    }
    if (!become(node, guest, msg)) {
        hl_write_error_printf(&session->writer, "NOPERM the leader has no user named '%.*s'",
                              msg->user.len < 64 ? (int)msg->user.len : 64, msg->user.ptr);
        hl_session_gate(node, session, hl_admin_gate(node, session));
        push_end(guest, msg->seq);
        on_output(node, session);
        return;
    }
    take_once(guest, msg->once);
    set_address(guest, msg->client);
    if (!run(node, guest, msg->seq, msg->db, msg->proto, msg->argc, msg->argv)) {
        enqueue(guest, msg);
    }
}

void hl_forward_on_message(struct hl_node *node, hl_peer from, struct hl_slice body)
{
    struct hl_forward_msg msg;
    if (!hl_forward_msg_decode(body, &msg)) {
        hl_node_log(node, 3, "a malformed forwarded request is ignored");
        return;
    }
    if (msg.kind == HL_FORWARD_REQUEST) {
        take_request(node, from, &msg);
        hl_free((void *)msg.argv);
        return;
    }
    struct hl_guest *guest = find(node, from, msg.handle);
    if (guest != NULL) {
        destroy(node, guest);
    }
}

/* --- the state of the node -------------------------------------------------------------------- */

static void each_guest(struct hl_node *node, struct hl_guest_list *list,
                       void (*act)(struct hl_node *node, struct hl_guest *guest))
{
    for (uint32_t i = 0; i < list->cap; i++) {
        if (list->at[i].guest != NULL) {
            act(node, list->at[i].guest);
        }
    }
}

static void depose(struct hl_node *node, struct hl_guest *guest)
{
    guest->refusing = true;
    if (hl_list_empty(&guest->queue)) {
        return;
    }
    uint64_t first = HL_LIST_ENTRY(guest->queue.next, struct hl_forwarded, list)->seq;
    post_refusal(node, guest->from, guest->handle, first);
    guest->taken = first - 1;
    count_owing(node, guest);
    HL_LIST_EACH(it, &guest->queue)
    {
        hl_forwarded_destroy(HL_LIST_ENTRY(it, struct hl_forwarded, list));
    }
}

void hl_forward_deposed(struct hl_node *node)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(node->forwarding->guests); i++) {
        each_guest(node, &node->forwarding->guests[i], depose);
    }
}

static void end_guests(struct hl_node *node, struct hl_guest_list *list)
{
    each_guest(node, list, destroy);
    hl_free(list->at);
    *list = (struct hl_guest_list){0};
}

static void say_gone(struct hl_node *node, struct hl_guest *guest)
{
    post_gone(node, guest->from, guest->handle);
}

void hl_forward_peer_lost(struct hl_node *node, hl_peer peer)
{
    struct hl_guest_list *list = list_of(node, peer, false);
    if (list != NULL) {
        each_guest(node, list, say_gone);
        end_guests(node, list);
    }
    hl_forward_lines_peer_lost(node, peer);
}

bool hl_forward_is_idle(const struct hl_node *node)
{
    return node->forwarding->owing == 0;
}

void hl_forward_guests_fini(struct hl_node *node)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(node->forwarding->guests); i++) {
        end_guests(node, &node->forwarding->guests[i]);
    }
}

void hl_forward_guests_pump(struct hl_node *node)
{
    while (!hl_list_empty(&node->forwarding->ready)) {
        struct hl_guest *guest =
            HL_LIST_ENTRY(node->forwarding->ready.next, struct hl_guest, ready);
        hl_list_remove(&guest->ready);
        go_on(node, guest);
        if (hl_forward_reaches(node, guest->from)) {
            say(node, guest);
        } else {
            hl_list_append(&node->forwarding->stalled, &guest->ready);
        }
    }
}
