/* Forwarding: what both ends share. */
#include "node/forward.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/forward_internal.h"

#define UNSENT_MAX                                                                                 \
    4096 /* answers kept for nodes that cannot be reached; beyond it they are lost                 \
          */

/* A message of this node to itself (the line's node has become the leader), or one kept for later.
 */
struct looped {
    struct hl_list_node list;
    hl_peer to;
    enum hl_wire_type type;
    struct hl_buf body;
};

void hl_forward_init(struct hl_node *node)
{
    node->forwarding = hl_calloc(1, sizeof *node->forwarding);
    hl_list_init(&node->forwarding->all_lines);
    hl_list_init(&node->forwarding->busy_lines);
    hl_list_init(&node->forwarding->ready);
    hl_list_init(&node->forwarding->loopback);
    hl_list_init(&node->forwarding->stalled);
    hl_list_init(&node->forwarding->unsent);
    uint32_t start = 0; /* so that handles of an earlier life of this node are not taken for ours */
    node->world->entropy(node->world->ctx, &start, sizeof start);
    node->forwarding->serial = start;
}

static struct looped *take_looped(struct hl_list_node *head)
{
    if (hl_list_empty(head)) {
        return NULL;
    }
    struct looped *looped = HL_LIST_ENTRY(head->next, struct looped, list);
    hl_list_remove(&looped->list);
    return looped;
}

static void free_looped(struct looped *looped)
{
    hl_buf_fini(&looped->body);
    hl_free(looped);
}

void hl_forward_fini(struct hl_node *node)
{
    hl_forward_guests_fini(node);
    HL_ASSERT(hl_list_empty(&node->forwarding->all_lines));
    struct hl_list_node *const lists[] = {&node->forwarding->loopback, &node->forwarding->unsent};
    for (size_t i = 0; i < HL_ARRAY_LEN(lists); i++) {
        struct looped *looped = NULL;
        while ((looped = take_looped(lists[i])) != NULL) {
            free_looped(looped);
        }
    }
    hl_free(node->forwarding);
    node->forwarding = NULL;
}

struct hl_forwarded *hl_forwarded_create(int argc, const struct hl_slice *argv)
{
    struct hl_forwarded *request = hl_calloc(1, sizeof *request);
    request->argc = argc;
    request->argv = hl_slices_dup(argv, (size_t)argc);
    request->size = hl_slices_size(argv, (size_t)argc);
    return request;
}

void hl_forward_set_once(struct hl_session *session, struct hl_slice id)
{
    struct hl_slice now = {.ptr = session->once_id, .len = session->once_id_len};
    if (hl_slice_equal(now, id)) {
        return;
    }
    hl_free(session->once_id);
    session->once_id = id.len != 0 ? hl_strndup(id.ptr, id.len) : NULL;
    session->once_id_len = id.len;
}

void hl_forwarded_destroy(struct hl_forwarded *request)
{
    hl_list_remove(&request->list);
    hl_free(request->argv);
    hl_free(request);
}

static void keep(struct hl_list_node *list, hl_peer to, enum hl_wire_type type,
                 struct hl_slice body)
{
    struct looped *looped = hl_calloc(1, sizeof *looped);
    looped->to = to;
    looped->type = type;
    hl_buf_append_slice(&looped->body, body);
    hl_list_append(list, &looped->list);
}

bool hl_forward_reaches(const struct hl_node *node, hl_peer to)
{
    return to == node->node_id || node->world->reaches == NULL ||
           node->world->reaches(node->world->ctx, to, HL_PEER_FORWARD);
}

static void send_now(struct hl_node *node, hl_peer to, enum hl_wire_type type, struct hl_slice body)
{
    struct hl_buf bytes = {0};
    struct hl_wire_frame frame = hl_node_frame(node, to, HL_PEER_FORWARD, type);
    size_t start = hl_wire_begin(&bytes, &frame);
    hl_buf_append_slice(&bytes, body);
    hl_wire_end(&bytes, start);
    node->world->send(node->world->ctx, to, HL_PEER_FORWARD, hl_buf_view(&bytes));
    hl_buf_fini(&bytes);
}

void hl_forward_post(struct hl_node *node, hl_peer to, enum hl_wire_type type, struct hl_slice body)
{
    struct hl_forwarding *f = node->forwarding;
    if (to == node->node_id) {
        keep(&f->loopback, to, type, body);
    } else if (hl_forward_reaches(node, to)) {
        send_now(node, to, type, body);
    } else if (type == HL_FRAME_FORWARD_REPLY && f->unsent_count < UNSENT_MAX) {
        f->unsent_count++;
        keep(&f->unsent, to, type, body);
    }
}

/* What could not be sent may have become possible. */
void hl_forward_retry(struct hl_node *node)
{
    struct hl_forwarding *f = node->forwarding;
    HL_LIST_EACH(it, &f->unsent)
    {
        struct looped *looped = HL_LIST_ENTRY(it, struct looped, list);
        if (hl_forward_reaches(node, looped->to)) {
            hl_list_remove(it);
            f->unsent_count--;
            send_now(node, looped->to, looped->type, hl_buf_view(&looped->body));
            free_looped(looped);
        }
    }
    while (!hl_list_empty(&f->stalled)) {
        struct hl_list_node *first = f->stalled.next;
        hl_list_remove(first);
        hl_list_append(&f->ready, first);
    }
}

void hl_forward_on_frame(struct hl_node *node, hl_peer from, enum hl_wire_type type,
                         struct hl_slice body)
{
    if (type == HL_FRAME_FORWARD) {
        hl_forward_on_message(node, from, body);
    } else {
        hl_forward_on_reply(node, from, body);
    }
}

void hl_forward_pump(struct hl_node *node)
{
    struct hl_forwarding *f = node->forwarding;
    while (!hl_list_empty(&f->loopback) || !hl_list_empty(&f->ready)) {
        struct looped *looped = take_looped(&f->loopback);
        if (looped != NULL) {
            hl_forward_on_frame(node, node->node_id, looped->type, hl_buf_view(&looped->body));
            free_looped(looped);
        }
        hl_forward_guests_pump(node);
    }
}

struct hl_forward_stats hl_forward_stats(const struct hl_node *node)
{
    return node->forwarding->stats;
}
