/* Forwarding's messages: what is written is read back; whatever is cut short, grown or nonsense is
 * refused without reading past its end. */
#include "kit/alloc.h"
#include "node/forward.h"

#include <criterion/criterion.h>

static void make_request(struct hl_buf *out)
{
    static const struct hl_slice argv[3] = {{"SET", 3}, {"k\0y", 3}, {"", 0}};
    struct hl_forward_msg msg = {.kind = HL_FORWARD_REQUEST,
                                 .handle = 1ull << 40 | 7,
                                 .seq = 3,
                                 .db = 9,
                                 .proto = 3,
                                 .user = {"default", 7},
                                 .client = {"127.0.0.1:5", 11},
                                 .once = {"abc", 3},
                                 .disturbed = true,
                                 .argc = 3,
                                 .argv = argv};
    hl_forward_msg_encode(&msg, out);
}

Test(forward_msg, a_request_is_read_as_it_was_written)
{
    struct hl_buf body = {0};
    make_request(&body);
    struct hl_forward_msg msg;
    cr_assert(hl_forward_msg_decode(hl_buf_view(&body), &msg));
    cr_assert_eq(msg.kind, HL_FORWARD_REQUEST);
    cr_assert_eq(msg.handle, 1ull << 40 | 7);
    cr_assert_eq(msg.seq, 3);
    cr_assert_eq(msg.db, 9);
    cr_assert_eq(msg.proto, 3);
    cr_assert(msg.disturbed);
    cr_assert(hl_slice_equal(msg.user, hl_slice_of("default")));
    cr_assert(hl_slice_equal(msg.client, hl_slice_of("127.0.0.1:5")));
    cr_assert(hl_slice_equal(msg.once, hl_slice_of("abc")));
    cr_assert_eq(msg.argc, 3);
    cr_assert(hl_slice_equal(msg.argv[1], (struct hl_slice){"k\0y", 3}));
    cr_assert_eq(msg.argv[2].len, 0);
    hl_free((void *)msg.argv);
    hl_buf_fini(&body);
}

Test(forward_msg, an_end_is_read_as_it_was_written)
{
    struct hl_buf body = {0};
    struct hl_forward_msg end = {.kind = HL_FORWARD_END, .handle = 5}, msg;
    hl_forward_msg_encode(&end, &body);
    cr_assert(hl_forward_msg_decode(hl_buf_view(&body), &msg));
    cr_assert_eq(msg.kind, HL_FORWARD_END);
    cr_assert_eq(msg.handle, 5);
    hl_buf_fini(&body);
}

/* `copy` is exactly as long as the slice, so that a sanitizer sees a read beyond it. */
static bool decodes(struct hl_slice bytes, bool request)
{
    char *copy = hl_malloc(bytes.len == 0 ? 1 : bytes.len);
    memcpy(copy, bytes.ptr, bytes.len);
    struct hl_forward_msg msg;
    struct hl_forward_reply reply;
    struct hl_slice body = {copy, bytes.len};
    bool ok = request ? hl_forward_msg_decode(body, &msg) : hl_forward_reply_decode(body, &reply);
    if (ok && request && msg.kind == HL_FORWARD_REQUEST) {
        hl_free((void *)msg.argv);
    }
    hl_free(copy);
    return ok;
}

Test(forward_msg, every_cut_and_every_growth_is_refused)
{
    struct hl_buf body = {0};
    make_request(&body);
    for (size_t len = 0; len < body.len; len++) {
        cr_assert_not(decodes((struct hl_slice){body.ptr, len}, true), "%zu bytes", len);
    }
    hl_buf_append_u8(&body, 0);
    cr_assert_not(decodes(hl_buf_view(&body), true));
    hl_buf_fini(&body);
}

Test(forward_msg, a_count_of_arguments_beyond_the_message_allocates_nothing)
{
    struct hl_buf body = {0};
    make_request(&body);
    size_t argc_at = body.len - 4 - 3 - 4 - 3 - 4 - 4;
    cr_assert_eq(hl_get_le32(body.ptr + argc_at), 3);
    hl_put_le32(body.ptr + argc_at, UINT32_MAX);
    cr_assert_not(decodes(hl_buf_view(&body), true));
    hl_put_le32(body.ptr + argc_at, 0);
    cr_assert_not(decodes(hl_buf_view(&body), true));
    hl_buf_fini(&body);
}

Test(forward_msg, replies_are_read_as_they_were_written)
{
    const struct hl_forward_reply replies[] = {
        {.kind = HL_FORWARD_REPLY,
         .handle = 1,
         .seq = 2,
         .offset = 3,
         .index = 8,
         .db = 4,
         .once = {"0123", 4},
         .flags = HL_FORWARD_CLOSE,
         .bytes = {"+OK\r\n", 5}},
        {.kind = HL_FORWARD_REFUSED, .handle = 1, .seq = 2},
        {.kind = HL_FORWARD_GONE, .handle = 1},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(replies); i++) {
        struct hl_buf body = {0};
        struct hl_forward_reply reply;
        hl_forward_reply_encode(&replies[i], &body);
        cr_assert(hl_forward_reply_decode(hl_buf_view(&body), &reply));
        cr_assert_eq(reply.kind, replies[i].kind);
        cr_assert_eq(reply.handle, 1);
        cr_assert_eq(reply.seq, replies[i].seq);
        cr_assert_eq(reply.offset, replies[i].offset);
        cr_assert_eq(reply.index, replies[i].index);
        cr_assert_eq(reply.db, replies[i].db);
        cr_assert_eq(reply.flags, replies[i].flags);
        cr_assert(hl_slice_equal(reply.once, replies[i].once));
        cr_assert(hl_slice_equal(reply.bytes, replies[i].bytes));
        size_t whole = body.len - replies[i].bytes.len;
        for (size_t len = 0; len < whole; len++) {
            cr_assert_not(decodes((struct hl_slice){body.ptr, len}, false), "%zu of %zu", len, i);
        }
        hl_buf_fini(&body);
    }
}

Test(forward_msg, unknown_kinds_are_refused)
{
    struct hl_buf body = {0};
    hl_buf_append_u8(&body, 9);
    hl_buf_append_le64(&body, 1);
    cr_assert_not(decodes(hl_buf_view(&body), true));
    cr_assert_not(decodes(hl_buf_view(&body), false));
    hl_buf_fini(&body);
}
