#include "server/forward_frame.h"

#include "kit/assert.h"
#include "node/cursor.h"

#define KIND_REQUEST 1
#define KIND_GONE 2
#define REPLY_KEEPS 1
#define REPLY_CLOSE 2

static void append_le16(struct hl_buf *out, uint16_t v)
{
    unsigned char bytes[2];
    hl_put_le16(bytes, v);
    hl_buf_append(out, bytes, sizeof bytes);
}

void hl_forwarded_encode(const struct hl_forwarded *request, struct hl_buf *out)
{
    hl_buf_append_u8(out, request->gone ? KIND_GONE : KIND_REQUEST);
    hl_buf_append_le64(out, request->client);
    if (request->gone) {
        return;
    }
    hl_buf_append_le64(out, request->number);
    hl_buf_append_u8(out, request->proto);
    append_le16(out, request->db);
    hl_buf_append_text16(out, request->user);
    hl_buf_append_text16(out, request->address);
    hl_buf_append_le32(out, request->argc);
    for (uint32_t i = 0; i < request->argc; i++) {
        hl_buf_append_le32(out, (uint32_t)request->argv[i].len);
        hl_buf_append_slice(out, request->argv[i]);
    }
}

/* All arguments are there, and nothing else. */
static bool has_arguments(struct hl_slice args, uint32_t argc)
{
    struct hl_cursor in = hl_cursor_over(args);
    for (uint32_t i = 0; i < argc && in.ok; i++) {
        (void)hl_cursor_bytes(&in, hl_cursor_u32(&in));
    }
    return in.ok && in.left == 0 && argc != 0;
}

bool hl_forwarded_decode(struct hl_slice body, struct hl_forwarded *out)
{
    struct hl_cursor in = hl_cursor_over(body);
    uint8_t kind = hl_cursor_u8(&in);
    struct hl_forwarded request = {.gone = kind == KIND_GONE, .client = hl_cursor_u64(&in)};
    if (kind == KIND_GONE) {
        if (!in.ok || in.left != 0) {
            return false;
        }
        *out = request;
        return true;
    }
    request.number = hl_cursor_u64(&in);
    request.proto = hl_cursor_u8(&in);
    request.db = hl_cursor_u16(&in);
    request.user = hl_cursor_text(&in);
    request.address = hl_cursor_text(&in);
    request.argc = hl_cursor_u32(&in);
    request.args = hl_cursor_bytes(&in, in.left);
    if (!in.ok || kind != KIND_REQUEST || (request.proto != 2 && request.proto != 3) ||
        !has_arguments(request.args, request.argc)) {
        return false;
    }
    *out = request;
    return true;
}

void hl_forwarded_args(const struct hl_forwarded *request, struct hl_slice *argv)
{
    struct hl_cursor in = hl_cursor_over(request->args);
    for (uint32_t i = 0; i < request->argc; i++) {
        argv[i] = hl_cursor_bytes(&in, hl_cursor_u32(&in));
    }
    HL_ASSERT(in.ok);
}

void hl_forward_reply_encode(const struct hl_forward_reply *reply, struct hl_buf *out)
{
    hl_buf_append_le64(out, reply->client);
    hl_buf_append_le64(out, reply->number);
    hl_buf_append_le64(out, reply->index);
    hl_buf_append_u8(
        out, (uint8_t)((reply->keeps ? REPLY_KEEPS : 0) | (reply->close ? REPLY_CLOSE : 0)));
    append_le16(out, reply->db);
    hl_buf_append_text16(out, reply->user);
    hl_buf_append_slice(out, reply->bytes);
}

bool hl_forward_reply_decode(struct hl_slice body, struct hl_forward_reply *out)
{
    struct hl_cursor in = hl_cursor_over(body);
    struct hl_forward_reply reply = {.client = hl_cursor_u64(&in)};
    reply.number = hl_cursor_u64(&in);
    reply.index = hl_cursor_u64(&in);
    uint8_t flags = hl_cursor_u8(&in);
    reply.keeps = (flags & REPLY_KEEPS) != 0;
    reply.close = (flags & REPLY_CLOSE) != 0;
    reply.db = hl_cursor_u16(&in);
    reply.user = hl_cursor_text(&in);
    reply.bytes = hl_cursor_bytes(&in, in.left);
    if (!in.ok || (flags & ~(REPLY_KEEPS | REPLY_CLOSE)) != 0) {
        return false;
    }
    *out = reply;
    return true;
}
