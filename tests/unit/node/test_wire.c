/* Frames and bodies between nodes: what is written is read back, and what is damaged, cut short or
 * of another version is refused with a reason.
 *
 * Method: encode, decode, then every truncation and every flipped byte. */
#include "node/cursor.h"
#include "node/wire_raft.h"

#include <criterion/criterion.h>

static const struct hl_wire_frame head = {.peer_class = HL_PEER_BULK,
                                          .type = HL_FRAME_SNAP_CHUNK,
                                          .cluster_id = "0123456789abcde",
                                          .from = 7,
                                          .to = UINT64_MAX,
                                          .incarnation = 3};

static void make(struct hl_buf *out, const char *body)
{
    size_t start = hl_wire_begin(out, &head);
    hl_buf_append_text(out, body);
    hl_wire_end(out, start);
}

Test(wire, a_frame_is_read_as_it_was_written)
{
    struct hl_buf bytes = {0};
    make(&bytes, "body");
    struct hl_wire_frame frame;
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_wire_decode(hl_buf_view(&bytes), &frame, &msg), HL_OK, "%s", msg.text);
    cr_assert_eq(frame.peer_class, HL_PEER_BULK);
    cr_assert_eq(frame.type, HL_FRAME_SNAP_CHUNK);
    cr_assert_eq(memcmp(frame.cluster_id, head.cluster_id, 16), 0);
    cr_assert_eq(frame.from, 7);
    cr_assert_eq(frame.to, UINT64_MAX);
    cr_assert_eq(frame.incarnation, 3);
    cr_assert(hl_slice_equal(frame.body, hl_slice_of("body")));
    hl_buf_fini(&bytes);
}

Test(wire, a_frame_begins_where_the_buffer_ends)
{
    struct hl_buf bytes = {0};
    make(&bytes, "first");
    size_t first = bytes.len;
    make(&bytes, "second one");
    struct hl_wire_frame frame;
    struct hl_slice second = {.ptr = bytes.ptr + first, .len = bytes.len - first};
    cr_assert_eq(hl_wire_decode(second, &frame, NULL), HL_OK);
    cr_assert(hl_slice_equal(frame.body, hl_slice_of("second one")));
    hl_buf_fini(&bytes);
}

Test(wire, every_changed_byte_and_every_cut_is_noticed)
{
    struct hl_buf bytes = {0};
    make(&bytes, "some bytes");
    struct hl_wire_frame frame;
    for (size_t i = 0; i < bytes.len; i++) {
        struct hl_errmsg msg = {{0}};
        bytes.ptr[i] ^= 0x40;
        cr_assert_neq(hl_wire_decode(hl_buf_view(&bytes), &frame, &msg), HL_OK, "byte %zu", i);
        cr_assert_neq(msg.text[0], '\0');
        bytes.ptr[i] ^= 0x40;
        struct hl_slice cut = {.ptr = bytes.ptr, .len = i};
        cr_assert_eq(hl_wire_decode(cut, &frame, NULL), HL_ECORRUPT, "cut at %zu", i);
    }
    cr_assert_eq(hl_wire_decode(hl_buf_view(&bytes), &frame, NULL), HL_OK);
    hl_buf_fini(&bytes);
}

Test(wire, another_version_is_refused_naming_both)
{
    struct hl_buf bytes = {0};
    make(&bytes, "");
    hl_put_le16(bytes.ptr + 4, 9);
    hl_wire_end(&bytes, 0);
    struct hl_wire_frame frame;
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_wire_decode(hl_buf_view(&bytes), &frame, &msg), HL_EVERSION);
    cr_assert_not_null(strstr(msg.text, "version 9"), "%s", msg.text);
    cr_assert_not_null(strstr(msg.text, "this server 1"), "%s", msg.text);
    hl_buf_fini(&bytes);
}

Test(wire, a_hello_is_read_as_it_was_written_and_refused_when_cut)
{
    struct hl_hello hello = {.members_index = 77,
                             .reply = true,
                             .empty = true,
                             .name = hl_slice_of("node-1"),
                             .raft_addr = hl_slice_of("10.0.0.1:7000"),
                             .client_addr = hl_slice_of(""),
                             .refusal = hl_slice_of("you are too many"),
                             .peer_count = 2,
                             .peers = {hl_slice_of("a:1"), hl_slice_of("b:2")}};
    struct hl_buf body = {0};
    hl_hello_encode(&hello, &body);
    struct hl_hello read;
    cr_assert(hl_hello_decode(hl_buf_view(&body), &read));
    cr_assert(read.reply && read.empty && !read.member && read.members_index == 77);
    cr_assert(hl_slice_equal(read.refusal, hello.refusal));
    cr_assert(hl_slice_equal(read.name, hello.name));
    cr_assert(hl_slice_equal(read.raft_addr, hello.raft_addr));
    cr_assert_eq(read.client_addr.len, 0);
    cr_assert_eq(read.peer_count, 2);
    cr_assert(hl_slice_equal(read.peers[1], hello.peers[1]));
    for (size_t len = 0; len < body.len; len++) {
        cr_assert(!hl_hello_decode((struct hl_slice){.ptr = body.ptr, .len = len}, &read));
    }
    hl_buf_append_u8(&body, 0);
    cr_assert(!hl_hello_decode(hl_buf_view(&body), &read), "nothing may follow");
    hl_buf_fini(&body);
}

Test(wire, a_hello_tells_a_feature_level)
{
    struct hl_hello hello = {.level = 0};
    struct hl_buf body = {0};
    hl_hello_encode(&hello, &body);
    cr_assert(hl_hello_decode(hl_buf_view(&body), &hello));
    cr_assert_eq(hello.level, 1);
    memset(body.ptr + body.len - 12, 0, 4); /* before the index of the members' list */
    cr_assert(!hl_hello_decode(hl_buf_view(&body), &hello), "there is no level 0");
    hl_buf_fini(&body);
}

Test(wire, a_chunk_lies_within_its_file)
{
    struct hl_snap_chunk chunk = {
        .index = 5, .term = 2, .size = 10, .offset = 7, .bytes = hl_slice_of("abc")};
    struct hl_snap_chunk read;
    struct hl_buf body = {0};
    hl_snap_chunk_encode(&chunk, &body);
    cr_assert(hl_snap_chunk_decode(hl_buf_view(&body), &read));
    cr_assert_eq(read.offset, 7);
    cr_assert(hl_slice_equal(read.bytes, chunk.bytes));
    hl_put_le64(body.ptr + 24, 8);
    cr_assert(!hl_snap_chunk_decode(hl_buf_view(&body), &read), "it ends behind the file");
    hl_put_le64(body.ptr + 24, UINT64_MAX);
    cr_assert(!hl_snap_chunk_decode(hl_buf_view(&body), &read), "it overflows");
    hl_buf_fini(&body);
}

Test(wire, an_answer_about_a_snapshot_is_read_as_it_was_written)
{
    struct hl_snap_reply reply = {.index = 5,
                                  .term = 2,
                                  .offset = 99,
                                  .answer = HL_SNAP_REFUSED,
                                  .why = hl_slice_of("no module 'x'")};
    struct hl_snap_reply read;
    struct hl_buf body = {0};
    hl_snap_reply_encode(&reply, &body);
    cr_assert(hl_snap_reply_decode(hl_buf_view(&body), &read));
    cr_assert_eq(read.answer, HL_SNAP_REFUSED);
    cr_assert_eq(read.offset, 99);
    cr_assert(hl_slice_equal(read.why, reply.why));
    body.ptr[24] = 9;
    cr_assert(!hl_snap_reply_decode(hl_buf_view(&body), &read), "an unknown answer");
    hl_buf_fini(&body);
}

/* An APPEND of three entries in two terms, the second of which is a CFG. */
static void make_append(struct hl_raft_msg *msg, struct hl_buf *body)
{
    *msg = (struct hl_raft_msg){.type = HL_RAFT_APPEND,
                                .term = 9,
                                .prev = 4,
                                .prev_term = 2,
                                .last = 7,
                                .commit = 3,
                                .round = 11,
                                .barred = true,
                                .run_count = 2,
                                .runs = {{.from = 5, .term = 2}, {.from = 7, .term = 9}}};
    hl_wire_raft_encode(msg, body);
    for (hl_index i = 5; i <= 7; i++) {
        struct hl_wal_entry entry = {.index = i,
                                     .type = i == 6 ? HL_WAL_CFG : HL_WAL_EFFECTS,
                                     .log_time_us = (int64_t)i * 100,
                                     .feature_level = 1,
                                     .body = hl_slice_of(i == 5 ? "" : "bytes")};
        hl_wire_entry_encode(&entry, body);
    }
}

Test(wire, a_message_and_its_entries_are_read_as_they_were_written)
{
    struct hl_raft_msg msg;
    struct hl_raft_msg read;
    struct hl_buf body = {0};
    make_append(&msg, &body);
    struct hl_wire_frame frame = {.from = 3, .to = 4, .body = hl_buf_view(&body)};
    struct hl_wire_entries entries;
    struct hl_wal_entry entry;
    hl_index cfg = 0;
    cr_assert(hl_wire_raft_decode(&frame, &read, &entries, &cfg));
    cr_assert_eq(cfg, 6);
    cr_assert(read.from == 3 && read.to == 4 && read.term == 9 && read.round == 11 && read.barred);
    const hl_term terms[] = {2, 2, 9};
    for (hl_index i = 5; i <= 7; i++) {
        cr_assert(hl_wire_entry_next(&entries, &entry));
        cr_assert_eq(entry.index, i);
        cr_assert_eq(entry.term, terms[i - 5]);
        cr_assert_eq(entry.log_time_us, (int64_t)i * 100);
        cr_assert_eq(entry.body.len, i == 5 ? 0 : 5);
    }
    cr_assert(!hl_wire_entry_next(&entries, &entry));
    for (size_t len = 0; len < body.len; len++) {
        frame.body.len = len;
        cr_assert(!hl_wire_raft_decode(&frame, &read, &entries, &cfg), "cut at %zu", len);
    }
    hl_buf_fini(&body);
}

Test(wire, runs_that_do_not_cover_the_entries_are_refused)
{
    const struct {
        uint32_t count;
        struct hl_term_run runs[2];
    } bad[] = {
        {0, {{0}}},
        {1, {{.from = 6, .term = 2}}},
        {2, {{.from = 5, .term = 2}, {.from = 5, .term = 9}}},
        {2, {{.from = 5, .term = 9}, {.from = 7, .term = 2}}},
        {2, {{.from = 5, .term = 2}, {.from = 8, .term = 9}}},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
        struct hl_raft_msg msg;
        struct hl_raft_msg read;
        struct hl_buf body = {0};
        make_append(&msg, &body);
        struct hl_buf other = {0};
        msg.run_count = bad[i].count;
        memcpy(msg.runs, bad[i].runs, sizeof bad[i].runs);
        hl_wire_raft_encode(&msg, &other);
        hl_buf_append(&other, body.ptr + 132, body.len - 132);
        struct hl_wire_frame frame = {.from = 3, .to = 4, .body = hl_buf_view(&other)};
        struct hl_wire_entries entries;
        hl_index cfg = 0;
        cr_assert(!hl_wire_raft_decode(&frame, &read, &entries, &cfg), "case %zu", i);
        hl_buf_fini(&body);
        hl_buf_fini(&other);
    }
}

static void put(struct hl_members *members, hl_peer id, bool voter, const char *name)
{
    cr_assert_eq(hl_members_put(members, id, voter, hl_slice_of(name), hl_slice_of("h:1"),
                                hl_slice_of("h:2")),
                 HL_OK);
}

Test(members, are_read_as_they_were_written)
{
    struct hl_members members = {0};
    put(&members, 3, true, "c");
    put(&members, 1, false, "a");
    put(&members, 3, true, "changed");
    struct hl_buf body = {0};
    hl_members_encode(&members, &body);
    struct hl_members read = {0};
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_members_decode(hl_buf_view(&body), &read, &msg), HL_OK, "%s", msg.text);
    cr_assert_eq(read.count, 2);
    cr_assert_eq(hl_members_voters(&read), 1);
    cr_assert_str_eq(hl_members_find(&read, 3)->name, "changed");
    cr_assert_str_eq(hl_members_find(&read, 1)->client_addr, "h:2");
    cr_assert_null(hl_members_find(&read, 2));
    for (size_t len = 0; len < body.len; len++) {
        struct hl_slice cut = {.ptr = body.ptr, .len = len};
        cr_assert_eq(hl_members_decode(cut, &read, NULL), HL_ECORRUPT, "cut at %zu", len);
    }
    hl_put_le32(body.ptr, 2);
    cr_assert_eq(hl_members_decode(hl_buf_view(&body), &read, &msg), HL_EVERSION);
    cr_assert_not_null(strstr(msg.text, "version 2, this build knows 1"), "%s", msg.text);
    cr_assert(hl_members_remove(&read, 3));
    cr_assert(!hl_members_remove(&read, 3));
    cr_assert_eq(read.at[0].id, 1);
    hl_buf_fini(&body);
}

Test(members, what_breaks_a_rule_is_refused_and_changes_nothing)
{
    struct hl_members members = {0};
    struct hl_slice ok = hl_slice_of("x");
    cr_assert_eq(hl_members_put(&members, 0, true, ok, ok, ok), HL_EINVAL, "M1");
    cr_assert_eq(hl_members_put(&members, 1, true, hl_slice_of("a b"), ok, ok), HL_EINVAL, "M2");
    cr_assert_eq(hl_members_put(&members, 1, true, ok, hl_slice_of("a\nb"), ok), HL_EINVAL, "M2");
    for (hl_peer id = 1; id <= HL_RAFT_VOTERS_MAX; id++) {
        put(&members, id, true, "v");
    }
    cr_assert_eq(hl_members_put(&members, 50, true, ok, ok, ok), HL_EINVAL, "M3");
    cr_assert_eq(hl_members_put(&members, 1, true, ok, ok, ok), HL_OK, "a voter may be changed");
    for (hl_peer id = 51; members.count < HL_MEMBERS_MAX; id++) {
        put(&members, id, false, "l");
    }
    cr_assert_eq(hl_members_put(&members, 99, false, ok, ok, ok), HL_EINVAL, "M3");
}
