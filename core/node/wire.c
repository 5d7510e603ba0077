#include "node/wire.h"

#include "base/crc32c.h"
#include "kit/assert.h"
#include "node/cursor.h"

#define MAGIC 0x46504c48u /* "HLPF" */
#define HELLO_REPLY 1
#define HELLO_EMPTY 2
#define HELLO_MEMBER 4

size_t hl_wire_begin(struct hl_buf *out, const struct hl_wire_frame *frame)
{
    size_t start = out->len;
    char header[HL_FRAME_HEADER] = {0};
    hl_put_le32(header, MAGIC);
    hl_put_le16(header + 4, HL_FRAME_VERSION);
    header[6] = (char)frame->peer_class;
    header[7] = (char)frame->type;
    memcpy(header + 8, frame->cluster_id, sizeof frame->cluster_id);
    hl_put_le64(header + 24, frame->from);
    hl_put_le64(header + 32, frame->to);
    hl_put_le64(header + 40, frame->incarnation);
    hl_buf_append(out, header, sizeof header);
    return start;
}

void hl_wire_end(struct hl_buf *out, size_t start)
{
    HL_ASSERT(out->len >= start + HL_FRAME_HEADER);
    size_t len = out->len - start - HL_FRAME_HEADER;
    HL_ASSERT(len <= HL_FRAME_BODY_MAX);
    char *header = out->ptr + start;
    hl_put_le32(header + 48, (uint32_t)len);
    hl_put_le32(header + 56, hl_crc32c(0, header + HL_FRAME_HEADER, len));
    hl_put_le32(header + 60, hl_crc32c(0, header, HL_FRAME_HEADER - 4));
}

static bool class_known(uint8_t value)
{
    return value >= HL_PEER_RAFT && value <= HL_PEER_FORWARD;
}

static bool type_known(uint8_t value)
{
    return value >= HL_FRAME_HELLO && value <= HL_FRAME_SCRUB;
}

hl_err hl_wire_peek(const char *bytes, struct hl_wire_frame *out, uint32_t *body_len,
                    struct hl_errmsg *msg)
{
    if (hl_get_le32(bytes) != MAGIC) {
        return hl_fail(msg, HL_ECORRUPT, "not a frame of a Helios node");
    }
    if (hl_get_le32(bytes + 60) != hl_crc32c(0, bytes, HL_FRAME_HEADER - 4)) {
        return hl_fail(msg, HL_ECORRUPT, "a frame's header is damaged");
    }
    uint16_t version = hl_get_le16(bytes + 4);
    if (version != HL_FRAME_VERSION) {
        return hl_fail(msg, HL_EVERSION, "the peer speaks protocol version %u, this server %u",
                       version, (unsigned)HL_FRAME_VERSION);
    }
    uint8_t peer_class = (uint8_t)bytes[6];
    uint8_t type = (uint8_t)bytes[7];
    uint32_t len = hl_get_le32(bytes + 48);
    if (!class_known(peer_class) || !type_known(type) || len > HL_FRAME_BODY_MAX ||
        hl_get_le32(bytes + 52) != 0) {
        return hl_fail(msg, HL_ECORRUPT, "a frame of class %u, type %u and %u bytes", peer_class,
                       type, len);
    }
    struct hl_wire_frame frame = {
        .peer_class = (enum hl_peer_class)peer_class,
        .type = (enum hl_wire_type)type,
        .from = hl_get_le64(bytes + 24),
        .to = hl_get_le64(bytes + 32),
        .incarnation = hl_get_le64(bytes + 40),
    };
    memcpy(frame.cluster_id, bytes + 8, sizeof frame.cluster_id);
    *out = frame;
    *body_len = len;
    return HL_OK;
}

hl_err hl_wire_decode(struct hl_slice bytes, struct hl_wire_frame *out, struct hl_errmsg *msg)
{
    if (bytes.len < HL_FRAME_HEADER) {
        return hl_fail(msg, HL_ECORRUPT, "a frame of %zu bytes", bytes.len);
    }
    struct hl_wire_frame frame;
    uint32_t len = 0;
    hl_err err = hl_wire_peek(bytes.ptr, &frame, &len, msg);
    if (err != HL_OK) {
        return err;
    }
    frame.body =
        (struct hl_slice){.ptr = bytes.ptr + HL_FRAME_HEADER, .len = bytes.len - HL_FRAME_HEADER};
    if (frame.body.len != len) {
        return hl_fail(msg, HL_ECORRUPT, "a frame's body has %zu bytes, its header says %u",
                       frame.body.len, len);
    }
    if (hl_crc32c(0, frame.body.ptr, frame.body.len) != hl_get_le32(bytes.ptr + 56)) {
        return hl_fail(msg, HL_ECORRUPT, "a frame's body is damaged");
    }
    *out = frame;
    return HL_OK;
}

/* --- bodies ----------------------------------------------------------------------------------- */

void hl_hello_encode(const struct hl_hello *hello, struct hl_buf *out)
{
    HL_ASSERT(hello->peer_count <= HL_MEMBERS_MAX);
    int flags = (hello->reply ? HELLO_REPLY : 0) | (hello->empty ? HELLO_EMPTY : 0) |
                (hello->member ? HELLO_MEMBER : 0);
    hl_buf_append_u8(out, (uint8_t)flags);
    hl_buf_append_text16(out, hello->name);
    hl_buf_append_text16(out, hello->raft_addr);
    hl_buf_append_text16(out, hello->client_addr);
    hl_buf_append_text16(out, hello->refusal);
    unsigned char count[2];
    hl_put_le16(count, (uint16_t)hello->peer_count);
    hl_buf_append(out, count, sizeof count);
    for (uint32_t i = 0; i < hello->peer_count; i++) {
        hl_buf_append_text16(out, hello->peers[i]);
    }
    hl_buf_append_le32(out, hello->level == 0 ? 1 : hello->level);
    hl_buf_append_le64(out, hello->members_index);
}

bool hl_hello_decode(struct hl_slice body, struct hl_hello *out)
{
    struct hl_cursor in = hl_cursor_over(body);
    uint8_t flags = hl_cursor_u8(&in);
    struct hl_hello hello = {.reply = (flags & HELLO_REPLY) != 0,
                             .empty = (flags & HELLO_EMPTY) != 0,
                             .member = (flags & HELLO_MEMBER) != 0};
    hello.name = hl_cursor_text(&in);
    hello.raft_addr = hl_cursor_text(&in);
    hello.client_addr = hl_cursor_text(&in);
    hello.refusal = hl_cursor_text(&in);
    hello.peer_count = hl_cursor_u16(&in);
    if (hello.peer_count > HL_MEMBERS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < hello.peer_count; i++) {
        hello.peers[i] = hl_cursor_text(&in);
    }
    hello.level = hl_cursor_u32(&in);
    hello.members_index = hl_cursor_u64(&in);
    if (!in.ok || in.left != 0 || hello.level == 0 ||
        (flags & ~(HELLO_REPLY | HELLO_EMPTY | HELLO_MEMBER)) != 0) {
        return false;
    }
    *out = hello;
    return true;
}

void hl_snap_chunk_encode(const struct hl_snap_chunk *chunk, struct hl_buf *out)
{
    HL_ASSERT(chunk->bytes.len <= HL_SNAP_CHUNK_MAX);
    hl_buf_append_le64(out, chunk->index);
    hl_buf_append_le64(out, chunk->term);
    hl_buf_append_le64(out, chunk->size);
    hl_buf_append_le64(out, chunk->offset);
    hl_buf_append_slice(out, chunk->bytes);
}

bool hl_snap_chunk_decode(struct hl_slice body, struct hl_snap_chunk *out)
{
    struct hl_cursor in = hl_cursor_over(body);
    struct hl_snap_chunk chunk = {.index = hl_cursor_u64(&in)};
    chunk.term = hl_cursor_u64(&in);
    chunk.size = hl_cursor_u64(&in);
    chunk.offset = hl_cursor_u64(&in);
    chunk.bytes = hl_cursor_bytes(&in, in.left);
    if (!in.ok || chunk.index == 0 || chunk.bytes.len > HL_SNAP_CHUNK_MAX ||
        chunk.offset > chunk.size || chunk.bytes.len > chunk.size - chunk.offset) {
        return false;
    }
    *out = chunk;
    return true;
}

void hl_snap_reply_encode(const struct hl_snap_reply *reply, struct hl_buf *out)
{
    hl_buf_append_le64(out, reply->index);
    hl_buf_append_le64(out, reply->term);
    hl_buf_append_le64(out, reply->offset);
    hl_buf_append_u8(out, (uint8_t)reply->answer);
    hl_buf_append_text16(out, reply->why);
}

bool hl_snap_reply_decode(struct hl_slice body, struct hl_snap_reply *out)
{
    struct hl_cursor in = hl_cursor_over(body);
    struct hl_snap_reply reply = {.index = hl_cursor_u64(&in)};
    reply.term = hl_cursor_u64(&in);
    reply.offset = hl_cursor_u64(&in);
    uint8_t answer = hl_cursor_u8(&in);
    reply.why = hl_cursor_text(&in);
    if (!in.ok || in.left != 0 || answer < HL_SNAP_MORE || answer > HL_SNAP_REFUSED) {
        return false;
    }
    reply.answer = (enum hl_snap_answer)answer;
    *out = reply;
    return true;
}
