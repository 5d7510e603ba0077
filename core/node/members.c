#include "node/members.h"

#include "kit/assert.h"
#include "node/cursor.h"

const struct hl_member *hl_members_find(const struct hl_members *members, hl_peer id)
{
    for (uint32_t i = 0; i < members->count; i++) {
        if (members->at[i].id == id) {
            return &members->at[i];
        }
    }
    return NULL;
}

/* M2 */
static bool text_ok(struct hl_slice text, size_t max)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c == 0x7f) {
            return false;
        }
    }
    return text.len <= max;
}

static void copy_text(char *out, struct hl_slice text)
{
    if (text.len != 0) {
        memcpy(out, text.ptr, text.len);
    }
    out[text.len] = '\0';
}

hl_err hl_members_put(struct hl_members *members, hl_peer id, bool voter, struct hl_slice name,
                      struct hl_slice raft_addr, struct hl_slice client_addr)
{
    HL_ASSERT(members->count <= HL_MEMBERS_MAX);
    struct hl_member *member = (struct hl_member *)hl_members_find(members, id);
    uint32_t voters = hl_members_voters(members) - (member != NULL && member->voter);
    if (id == 0 || (member == NULL && members->count == HL_MEMBERS_MAX) ||
        (voter && voters == HL_RAFT_VOTERS_MAX) || !text_ok(name, HL_MEMBER_NAME_MAX) ||
        !text_ok(raft_addr, HL_MEMBER_ADDR_MAX) || !text_ok(client_addr, HL_MEMBER_ADDR_MAX)) {
        return HL_EINVAL;
    }
    if (member == NULL) {
        member = &members->at[members->count++];
    }
    struct hl_member made = {.id = id, .voter = voter};
    copy_text(made.name, name);
    copy_text(made.raft_addr, raft_addr);
    copy_text(made.client_addr, client_addr);
    *member = made;
    return HL_OK;
}

bool hl_members_remove(struct hl_members *members, hl_peer id)
{
    for (uint32_t i = 0; i < members->count; i++) {
        if (members->at[i].id == id) {
            members->count--;
            memmove(&members->at[i], &members->at[i + 1],
                    (members->count - i) * sizeof members->at[0]);
            return true;
        }
    }
    return false;
}

uint32_t hl_members_voters(const struct hl_members *members)
{
    uint32_t voters = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        voters += members->at[i].voter;
    }
    return voters;
}

void hl_members_encode(const struct hl_members *members, struct hl_buf *out)
{
    hl_buf_append_le32(out, HL_MEMBERS_VERSION);
    hl_buf_append_le32(out, members->count);
    for (uint32_t i = 0; i < members->count; i++) {
        const struct hl_member *member = &members->at[i];
        hl_buf_append_le64(out, member->id);
        hl_buf_append_u8(out, member->voter);
        hl_buf_append_text16(out, hl_slice_of(member->name));
        hl_buf_append_text16(out, hl_slice_of(member->raft_addr));
        hl_buf_append_text16(out, hl_slice_of(member->client_addr));
    }
}

hl_err hl_members_decode(struct hl_slice body, struct hl_members *out, struct hl_errmsg *msg)
{
    struct hl_cursor in = hl_cursor_over(body);
    uint32_t version = hl_cursor_u32(&in);
    if (in.ok && version != HL_MEMBERS_VERSION) {
        return hl_fail(msg, HL_EVERSION, "members: format version %u, this build knows %u", version,
                       (unsigned)HL_MEMBERS_VERSION);
    }
    uint32_t count = hl_cursor_u32(&in);
    struct hl_members read = {0};
    for (uint32_t i = 0; i < count && in.ok; i++) {
        uint64_t id = hl_cursor_u64(&in);
        uint8_t voter = hl_cursor_u8(&in);
        struct hl_slice name = hl_cursor_text(&in);
        struct hl_slice raft_addr = hl_cursor_text(&in);
        struct hl_slice client_addr = hl_cursor_text(&in);
        if (!in.ok || voter > 1 || hl_members_find(&read, id) != NULL ||
            hl_members_put(&read, id, voter == 1, name, raft_addr, client_addr) != HL_OK) {
            in.ok = false;
        }
    }
    if (!in.ok || in.left != 0) {
        return hl_fail(msg, HL_ECORRUPT, "members: malformed");
    }
    *out = read;
    return HL_OK;
}
