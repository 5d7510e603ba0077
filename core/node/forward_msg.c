/* Forwarding's messages as bytes: forward.h has the layout. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/cursor.h"
#include "node/forward.h"

#define ARG_OVERHEAD 4 /* bytes of an argument's length: bounds argc by the size of the message */

/* Bits of a request's flags. */
#define DISTURBED 1u
#define TRUSTED 2u
#define LOCAL 4u

static uint8_t flags_of(const struct hl_forward_msg *msg)
{
    return (uint8_t)((msg->disturbed ? DISTURBED : 0) | (msg->trusted ? TRUSTED : 0) |
                     (msg->local ? LOCAL : 0));
}

void hl_forward_msg_encode(const struct hl_forward_msg *msg, struct hl_buf *out)
{
    hl_buf_append_u8(out, (uint8_t)msg->kind);
    hl_buf_append_le64(out, msg->handle);
    if (msg->kind == HL_FORWARD_END) {
        return;
    }
    hl_buf_append_le64(out, msg->seq);
    hl_buf_append_le32(out, (uint32_t)msg->db);
    hl_buf_append_u8(out, (uint8_t)msg->proto);
    hl_buf_append_u8(out, flags_of(msg));
    hl_buf_append_text16(out, msg->user);
    hl_buf_append_text16(out, msg->client);
    hl_buf_append_text16(out, msg->once);
    hl_buf_append_le32(out, (uint32_t)msg->argc);
    for (int i = 0; i < msg->argc; i++) {
        HL_ASSERT(msg->argv[i].len <= UINT32_MAX);
        hl_buf_append_le32(out, (uint32_t)msg->argv[i].len);
        hl_buf_append_slice(out, msg->argv[i]);
    }
}

static bool take_argv(struct hl_cursor *cursor, struct hl_forward_msg *msg)
{
    uint32_t argc = hl_cursor_u32(cursor);
    if (!cursor->ok || argc == 0 || argc > cursor->left / ARG_OVERHEAD || argc > INT32_MAX) {
        return false;
    }
    struct hl_slice *argv = hl_calloc(argc, sizeof *argv);
    for (uint32_t i = 0; i < argc; i++) {
        argv[i] = hl_cursor_bytes(cursor, hl_cursor_u32(cursor));
    }
    if (!cursor->ok || cursor->left != 0) {
        hl_free(argv);
        return false;
    }
    msg->argc = (int)argc;
    msg->argv = argv;
    return true;
}

bool hl_forward_msg_decode(struct hl_slice body, struct hl_forward_msg *out)
{
    struct hl_cursor cursor = hl_cursor_over(body);
    struct hl_forward_msg msg = {.kind = hl_cursor_u8(&cursor)};
    msg.handle = hl_cursor_u64(&cursor);
    if (msg.kind == HL_FORWARD_END) {
        *out = msg;
        return cursor.ok && cursor.left == 0;
    }
    msg.seq = hl_cursor_u64(&cursor);
    uint32_t db = hl_cursor_u32(&cursor);
    msg.proto = hl_cursor_u8(&cursor);
    uint8_t flags = hl_cursor_u8(&cursor);
    msg.disturbed = (flags & DISTURBED) != 0;
    msg.local = (flags & LOCAL) != 0;
    msg.trusted = (flags & TRUSTED) != 0;
    msg.user = hl_cursor_text(&cursor);
    msg.client = hl_cursor_text(&cursor);
    msg.once = hl_cursor_text(&cursor);
    if (!cursor.ok || msg.kind != HL_FORWARD_REQUEST || db > INT32_MAX ||
        (flags & ~(DISTURBED | TRUSTED | LOCAL)) != 0 || msg.once.len > HL_ONCE_ID_MAX ||
        (msg.proto != 2 && msg.proto != 3) || !take_argv(&cursor, &msg)) {
        return false;
    }
    msg.db = (int)db;
    *out = msg;
    return true;
}

void hl_forward_reply_encode(const struct hl_forward_reply *reply, struct hl_buf *out)
{
    hl_buf_append_u8(out, (uint8_t)reply->kind);
    hl_buf_append_le64(out, reply->handle);
    if (reply->kind == HL_FORWARD_GONE) {
        return;
    }
    hl_buf_append_le64(out, reply->seq);
    if (reply->kind == HL_FORWARD_REFUSED) {
        return;
    }
    hl_buf_append_le64(out, reply->offset);
    hl_buf_append_le64(out, reply->index);
    hl_buf_append_le32(out, (uint32_t)reply->db);
    hl_buf_append_u8(out, (uint8_t)reply->flags);
    hl_buf_append_text16(out, reply->once);
    hl_buf_append_slice(out, reply->bytes);
}

bool hl_forward_reply_decode(struct hl_slice body, struct hl_forward_reply *out)
{
    struct hl_cursor cursor = hl_cursor_over(body);
    struct hl_forward_reply reply = {.kind = hl_cursor_u8(&cursor)};
    reply.handle = hl_cursor_u64(&cursor);
    if (reply.kind == HL_FORWARD_REFUSED || reply.kind == HL_FORWARD_REPLY) {
        reply.seq = hl_cursor_u64(&cursor);
    }
    if (reply.kind == HL_FORWARD_REPLY) {
        reply.offset = hl_cursor_u64(&cursor);
        reply.index = hl_cursor_u64(&cursor);
        uint32_t db = hl_cursor_u32(&cursor);
        reply.flags = hl_cursor_u8(&cursor);
        reply.once = hl_cursor_text(&cursor);
        reply.bytes = hl_cursor_bytes(&cursor, cursor.left);
        if (db > INT32_MAX || reply.once.len > HL_ONCE_ID_MAX) {
            return false;
        }
        reply.db = (int)db;
    }
    bool known = reply.kind >= HL_FORWARD_REPLY && reply.kind <= HL_FORWARD_GONE;
    if (!known || !cursor.ok || cursor.left != 0) {
        return false;
    }
    *out = reply;
    return true;
}
