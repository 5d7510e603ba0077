/* Frames from peers: whatever is accepted is written again as the same bytes, and nothing beyond
 * the frame is looked at.  The first byte of the input chooses between a body of a kind, behind
 * which checksums would hide everything, and a whole frame. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/forward.h"
#include "node/wire_raft.h"

static void check_same(const struct hl_buf *made, struct hl_slice from)
{
    HL_ASSERT(hl_slice_equal(hl_buf_view(made), from));
}

static void try_frame(struct hl_slice bytes, struct hl_buf *out)
{
    struct hl_wire_frame frame;
    struct hl_errmsg msg = {0};
    if (hl_wire_decode(bytes, &frame, &msg) != HL_OK) {
        HL_ASSERT(msg.text[0] != '\0');
        return;
    }
    size_t start = hl_wire_begin(out, &frame);
    hl_buf_append_slice(out, frame.body);
    hl_wire_end(out, start);
    check_same(out, bytes);
}

static void try_hello(struct hl_slice body, struct hl_buf *out)
{
    struct hl_hello hello;
    if (hl_hello_decode(body, &hello)) {
        hl_hello_encode(&hello, out);
        check_same(out, body);
    }
}

static void try_chunk(struct hl_slice body, struct hl_buf *out)
{
    struct hl_snap_chunk chunk;
    if (hl_snap_chunk_decode(body, &chunk)) {
        HL_ASSERT(chunk.offset + chunk.bytes.len <= chunk.size);
        hl_snap_chunk_encode(&chunk, out);
        check_same(out, body);
    }
}

static void try_reply(struct hl_slice body, struct hl_buf *out)
{
    struct hl_snap_reply reply;
    if (hl_snap_reply_decode(body, &reply)) {
        hl_snap_reply_encode(&reply, out);
        check_same(out, body);
    }
}

static void try_members(struct hl_slice body, struct hl_buf *out)
{
    struct hl_members members;
    if (hl_members_decode(body, &members, NULL) == HL_OK) {
        hl_members_encode(&members, out);
        check_same(out, body);
    }
}

static void try_raft(struct hl_slice body, struct hl_buf *out)
{
    struct hl_wire_frame frame = {.body = body, .from = 1, .to = 2};
    struct hl_raft_msg msg;
    struct hl_wire_entries entries;
    struct hl_wal_entry entry;
    hl_index cfg = 0;
    if (!hl_wire_raft_decode(&frame, &msg, &entries, &cfg)) {
        return;
    }
    hl_wire_raft_encode(&msg, out);
    hl_index last = msg.prev;
    while (msg.type == HL_RAFT_APPEND && hl_wire_entry_next(&entries, &entry)) {
        HL_ASSERT(entry.index == ++last);
        hl_wire_entry_encode(&entry, out);
    }
    HL_ASSERT(msg.type != HL_RAFT_APPEND || last == msg.last);
    check_same(out, body);
}

static void try_forward(struct hl_slice body, struct hl_buf *out)
{
    struct hl_forward_msg msg;
    if (hl_forward_msg_decode(body, &msg)) {
        hl_forward_msg_encode(&msg, out);
        check_same(out, body);
        if (msg.kind == HL_FORWARD_REQUEST) {
            hl_free((void *)msg.argv);
        }
    }
}

static void try_forward_reply(struct hl_slice body, struct hl_buf *out)
{
    struct hl_forward_reply reply;
    if (hl_forward_reply_decode(body, &reply)) {
        hl_forward_reply_encode(&reply, out);
        check_same(out, body);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(struct hl_slice body, struct hl_buf * out) = {
        try_frame,   try_hello, try_chunk,   try_reply,
        try_members, try_raft,  try_forward, try_forward_reply};
    if (size == 0) {
        return 0;
    }
    struct hl_buf out = {0};
    char *copy = hl_malloc(size); /* exactly as large, so that a read beyond it is seen */
    memcpy(copy, data + 1, size - 1);
    struct hl_slice body = {.ptr = copy, .len = size - 1};
    tries[data[0] % HL_ARRAY_LEN(tries)](body, &out);
    hl_free(copy);
    hl_buf_fini(&out);
    return 0;
}
