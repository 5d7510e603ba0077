/* Requests and replies between nodes: whatever is accepted is written again as the same bytes, and
 * nothing beyond the body is looked at.  The first byte of the input chooses which of the two. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/forward_frame.h"

#define ARGC_MAX 100000

static void try_request(struct hl_slice body, struct hl_buf *out)
{
    struct hl_forwarded request;
    if (!hl_forwarded_decode(body, &request) || request.argc > ARGC_MAX) {
        return;
    }
    struct hl_slice *argv = hl_calloc(request.argc + 1, sizeof *argv);
    if (!request.gone) {
        hl_forwarded_args(&request, argv);
    }
    request.argv = argv;
    hl_forwarded_encode(&request, out);
    HL_ASSERT(hl_slice_equal(hl_buf_view(out), body));
    hl_free(argv);
}

static void try_reply(struct hl_slice body, struct hl_buf *out)
{
    struct hl_forward_reply reply;
    if (hl_forward_reply_decode(body, &reply)) {
        hl_forward_reply_encode(&reply, out);
        HL_ASSERT(hl_slice_equal(hl_buf_view(out), body));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    char *copy = hl_malloc(size); /* so that a look beyond the end is seen */
    memcpy(copy, data + 1, size - 1);
    struct hl_slice body = {.ptr = copy, .len = size - 1};
    struct hl_buf out = {0};
    if (data[0] % 2 == 0) {
        try_request(body, &out);
    } else {
        try_reply(body, &out);
    }
    hl_buf_fini(&out);
    hl_free(copy);
    return 0;
}
