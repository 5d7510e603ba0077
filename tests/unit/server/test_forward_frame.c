/* Goal: a request of a client elsewhere, and its reply, are read as they were written, and refused
 * when anything is cut or added. */
#include "server/forward_frame.h"

#include <criterion/criterion.h>

Test(forward_frame, a_request_is_read_as_it_was_written_and_refused_when_cut)
{
    const struct hl_slice argv[] = {
        hl_slice_of("SET"), hl_slice_of(""), {.ptr = "a\0b\r\n", .len = 5}};
    const struct hl_forwarded request = {.client = 1ull << 40,
                                         .number = 7,
                                         .proto = 3,
                                         .db = 15,
                                         .user = hl_slice_of("alice"),
                                         .address = hl_slice_of("10.0.0.1:5"),
                                         .argc = 3,
                                         .argv = argv};
    struct hl_buf body = {0};
    struct hl_forwarded read;
    struct hl_slice args[3];
    hl_forwarded_encode(&request, &body);
    cr_assert(hl_forwarded_decode(hl_buf_view(&body), &read));
    cr_assert_eq(read.client, request.client);
    cr_assert_eq(read.number, 7);
    cr_assert_eq(read.proto, 3);
    cr_assert_eq(read.db, 15);
    cr_assert(!read.gone && hl_slice_equal(read.user, request.user));
    cr_assert(hl_slice_equal(read.address, request.address));
    cr_assert_eq(read.argc, 3);
    hl_forwarded_args(&read, args);
    for (int i = 0; i < 3; i++) {
        cr_assert(hl_slice_equal(args[i], argv[i]));
    }
    for (size_t len = 0; len < body.len; len++) {
        cr_assert_not(hl_forwarded_decode((struct hl_slice){.ptr = body.ptr, .len = len}, &read));
    }
    hl_buf_append_u8(&body, 0);
    cr_assert_not(hl_forwarded_decode(hl_buf_view(&body), &read), "nothing may follow");
    hl_buf_fini(&body);
}

Test(forward_frame, what_no_node_sends_is_refused)
{
    const struct hl_slice argv[] = {hl_slice_of("PING")};
    struct hl_forwarded request = {.proto = 4, .argc = 1, .argv = argv};
    struct hl_forwarded read;
    struct hl_buf body = {0};
    hl_forwarded_encode(&request, &body);
    cr_assert_not(hl_forwarded_decode(hl_buf_view(&body), &read), "another protocol");
    body.ptr[0] = 9;
    cr_assert_not(hl_forwarded_decode(hl_buf_view(&body), &read), "another kind");
    hl_buf_clear(&body);
    request.proto = 2;
    request.argc = 0;
    hl_forwarded_encode(&request, &body);
    cr_assert_not(hl_forwarded_decode(hl_buf_view(&body), &read), "no command");
    hl_put_le32(body.ptr + body.len - 4, UINT32_MAX);
    cr_assert_not(hl_forwarded_decode(hl_buf_view(&body), &read), "more arguments than bytes");
    hl_buf_fini(&body);
}

Test(forward_frame, an_end_and_a_reply_are_read_as_they_were_written)
{
    const struct hl_forwarded gone = {.gone = true, .client = 9};
    struct hl_forwarded request;
    struct hl_buf body = {0};
    hl_forwarded_encode(&gone, &body);
    cr_assert(hl_forwarded_decode(hl_buf_view(&body), &request));
    cr_assert(request.gone && request.client == 9);
    hl_buf_append_u8(&body, 0);
    cr_assert_not(hl_forwarded_decode(hl_buf_view(&body), &request));
    hl_buf_clear(&body);
    const struct hl_forward_reply reply = {.client = 9,
                                           .number = 3,
                                           .index = 1ull << 50,
                                           .keeps = true,
                                           .db = 2,
                                           .user = hl_slice_of("default"),
                                           .bytes = hl_slice_of("+OK\r\n")};
    struct hl_forward_reply read;
    hl_forward_reply_encode(&reply, &body);
    cr_assert(hl_forward_reply_decode(hl_buf_view(&body), &read));
    cr_assert(read.client == 9 && read.number == 3 && read.keeps && !read.close && read.db == 2);
    cr_assert_eq(read.index, reply.index);
    cr_assert(hl_slice_equal(read.bytes, reply.bytes));
    cr_assert(hl_slice_equal(read.user, reply.user));
    for (size_t len = 0; len < body.len - reply.bytes.len; len++) {
        cr_assert_not(
            hl_forward_reply_decode((struct hl_slice){.ptr = body.ptr, .len = len}, &read));
    }
    body.ptr[24] = 4;
    cr_assert_not(hl_forward_reply_decode(hl_buf_view(&body), &read), "an unknown flag");
    hl_buf_fini(&body);
}
