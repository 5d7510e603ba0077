#include "node/wire_raft.h"

#include "kit/assert.h"

#define REJECT 1
#define TRANSFER 2
#define BARRED 4

void hl_wire_raft_encode(const struct hl_raft_msg *msg, struct hl_buf *out)
{
    HL_ASSERT(msg->run_count <= HL_RAFT_RUNS_MAX);
    hl_buf_append_u8(out, (uint8_t)msg->type);
    hl_buf_append_u8(out, (uint8_t)((msg->reject ? REJECT : 0) | (msg->transfer ? TRANSFER : 0) |
                                    (msg->barred ? BARRED : 0)));
    unsigned char count[2];
    hl_put_le16(count, (uint16_t)msg->run_count);
    hl_buf_append(out, count, sizeof count);
    const uint64_t fields[] = {msg->term,      msg->prev,      msg->prev_term, msg->last,
                               msg->last_term, msg->commit,    msg->round,     msg->match,
                               msg->hint,      msg->hint_term, msg->read_id,   msg->read_index};
    for (size_t i = 0; i < HL_ARRAY_LEN(fields); i++) {
        hl_buf_append_le64(out, fields[i]);
    }
    for (uint32_t i = 0; i < msg->run_count; i++) {
        hl_buf_append_le64(out, msg->runs[i].from);
        hl_buf_append_le64(out, msg->runs[i].term);
    }
}

void hl_wire_entry_encode(const struct hl_wal_entry *entry, struct hl_buf *out)
{
    HL_ASSERT(entry->body.len <= HL_WAL_BODY_MAX);
    hl_buf_append_le32(out, (uint32_t)entry->body.len);
    hl_buf_append_le32(out, (uint32_t)entry->type);
    hl_buf_append_le32(out, entry->feature_level);
    hl_buf_append_le64(out, (uint64_t)entry->log_time_us);
    hl_buf_append_slice(out, entry->body);
}

bool hl_wire_entry_next(struct hl_wire_entries *entries, struct hl_wal_entry *out)
{
    const struct hl_raft_msg *msg = entries->msg;
    if (entries->next > msg->last || !entries->in.ok) {
        return false;
    }
    while (entries->run + 1 < msg->run_count && msg->runs[entries->run + 1].from <= entries->next) {
        entries->run++;
    }
    uint32_t len = hl_cursor_u32(&entries->in);
    uint32_t type = hl_cursor_u32(&entries->in);
    struct hl_wal_entry entry = {.index = entries->next,
                                 .term = msg->runs[entries->run].term,
                                 .type = (enum hl_wal_type)type};
    entry.feature_level = hl_cursor_u32(&entries->in);
    entry.log_time_us = (int64_t)hl_cursor_u64(&entries->in);
    entry.body = hl_cursor_bytes(&entries->in, len);
    if (!entries->in.ok || type < HL_WAL_NOP || type > HL_WAL_SCRUB || len > HL_WAL_BODY_MAX) {
        entries->in.ok = false;
        return false;
    }
    entries->next++;
    *out = entry;
    return true;
}

/* Runs that ascend, start at prev + 1 and end within the message. */
static bool runs_ok(const struct hl_raft_msg *msg)
{
    if (msg->type != HL_RAFT_APPEND || msg->last == msg->prev) {
        return msg->run_count == 0;
    }
    if (msg->last < msg->prev || msg->run_count == 0 || msg->runs[0].from != msg->prev + 1) {
        return false;
    }
    for (uint32_t i = 1; i < msg->run_count; i++) {
        if (msg->runs[i].from <= msg->runs[i - 1].from ||
            msg->runs[i].term <= msg->runs[i - 1].term) {
            return false;
        }
    }
    return msg->runs[msg->run_count - 1].from <= msg->last;
}

static bool entries_ok(struct hl_wire_entries entries, hl_index *cfg)
{
    const struct hl_raft_msg *msg = entries.msg;
    struct hl_wal_entry entry;
    *cfg = 0;
    if (msg->type == HL_RAFT_APPEND) {
        while (hl_wire_entry_next(&entries, &entry)) {
            if (entry.type == HL_WAL_CFG && *cfg != 0) {
                return false;
            }
            *cfg = entry.type == HL_WAL_CFG ? entry.index : *cfg;
        }
        if (entries.next != msg->last + 1) {
            return false;
        }
    }
    return entries.in.ok && entries.in.left == 0;
}

static bool numbers_ok(const struct hl_raft_msg *msg)
{
    return msg->term <= HL_RAFT_NUMBER_MAX && msg->prev <= HL_RAFT_NUMBER_MAX &&
           msg->last <= HL_RAFT_NUMBER_MAX;
}

bool hl_wire_raft_decode(const struct hl_wire_frame *frame, struct hl_raft_msg *out,
                         struct hl_wire_entries *entries, hl_index *cfg)
{
    struct hl_cursor in = hl_cursor_over(frame->body);
    uint8_t type = hl_cursor_u8(&in);
    uint8_t flags = hl_cursor_u8(&in);
    *out = (struct hl_raft_msg){.type = (enum hl_raft_msg_type)type,
                                .from = frame->from,
                                .to = frame->to,
                                .reject = (flags & REJECT) != 0,
                                .transfer = (flags & TRANSFER) != 0,
                                .barred = (flags & BARRED) != 0};
    out->run_count = hl_cursor_u16(&in);
    uint64_t *const fields[] = {&out->term,      &out->prev,      &out->prev_term,
                                &out->last,      &out->last_term, &out->commit,
                                &out->round,     &out->match,     &out->hint,
                                &out->hint_term, &out->read_id,   &out->read_index};
    for (size_t i = 0; i < HL_ARRAY_LEN(fields); i++) {
        *fields[i] = hl_cursor_u64(&in);
    }
    if (!in.ok || type < HL_RAFT_PRE_VOTE || type > HL_RAFT_READ_REPLY ||
        (flags & ~(REJECT | TRANSFER | BARRED)) != 0 || out->run_count > HL_RAFT_RUNS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < out->run_count; i++) {
        out->runs[i].from = hl_cursor_u64(&in);
        out->runs[i].term = hl_cursor_u64(&in);
    }
    *entries = (struct hl_wire_entries){.in = in, .msg = out, .next = out->prev + 1};
    return in.ok && numbers_ok(out) && runs_ok(out) && entries_ok(*entries, cfg);
}
