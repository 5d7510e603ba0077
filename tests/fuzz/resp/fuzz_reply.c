/* Replies: the end of a reply must not depend on how it arrives, and a tree must hold exactly the
 * values and the bytes of the reply.
 *
 * Input: a byte that seeds the cutting, then replies.
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "resp/reader.h"

/* Count the nodes below `reply`; each must lie inside its parent. */
static size_t count_nodes(const struct hl_reply *reply)
{
    size_t nodes = 1;
    for (size_t i = 0; i < reply->count; i++) {
        const struct hl_reply *child = &reply->children[i];
        HL_ASSERT(child->raw.ptr > reply->raw.ptr);
        HL_ASSERT(child->raw.ptr + child->raw.len <= reply->raw.ptr + reply->raw.len);
        HL_ASSERT(child->raw.len >= 3);
        HL_ASSERT(child->text.len < child->raw.len);
        HL_ASSERT(child->type != HL_REPLY_ATTRIBUTE);
        nodes += count_nodes(child); /* as deep as HL_REPLY_DEPTH_MAX */
    }
    if (reply->attributes != NULL) {
        HL_ASSERT(reply->attributes->type == HL_REPLY_ATTRIBUTE);
        nodes += count_nodes(reply->attributes);
    }
    return nodes;
}

static void check_tree(struct hl_slice bytes, size_t nodes)
{
    struct hl_reply *root = hl_reply_build(bytes, nodes);
    if (root == NULL) {
        return;
    }
    size_t found = count_nodes(root);
    HL_ASSERT(found <= nodes); /* fewer when a value has several attributes: the last one counts */
    HL_ASSERT(root->raw.ptr + root->raw.len == bytes.ptr + bytes.len);
    hl_free(root);
}

/* Ends of the replies in `input`, fed in pieces; the error's text ends the list. */
static void feed(struct hl_slice input, uint8_t seed, struct hl_buf *out)
{
    struct hl_reader r;
    hl_reader_init(&r);
    size_t fed = 0;
    size_t dropped = 0;
    enum hl_read_result result = HL_READ_MORE;
    while (fed < input.len && result == HL_READ_MORE) {
        seed = (uint8_t)(seed * 5 + 3);
        size_t piece = 1 + seed % 16;
        fed += piece > input.len - fed ? input.len - fed : piece;
        size_t done = r.pos;
        hl_reader_consumed(&r, done);
        dropped += done;
        char *copy = hl_malloc(fed - dropped);
        memcpy(copy, input.ptr + dropped, fed - dropped);
        while ((result = hl_reader_next(&r, copy, fed - dropped)) == HL_READ_REPLY) {
            hl_buf_append_le64(out, dropped + r.pos);
            hl_buf_append_le64(out, r.nodes);
        }
        hl_free(copy);
    }
    if (result == HL_READ_ERROR) {
        hl_buf_append_text(out, r.error);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct hl_slice input = {.ptr = (const char *)data + 1, .len = size - 1};
    struct hl_buf whole = {0};
    struct hl_buf pieces = {0};
    struct hl_reader r;
    hl_reader_init(&r);
    enum hl_read_result result = HL_READ_MORE;
    while ((result = hl_reader_next(&r, input.ptr, input.len)) == HL_READ_REPLY) {
        hl_buf_append_le64(&whole, r.pos);
        hl_buf_append_le64(&whole, r.nodes);
        struct hl_slice reply = {.ptr = input.ptr + r.pos - r.size, .len = r.size};
        check_tree(reply, r.nodes);
    }
    if (result == HL_READ_ERROR) {
        hl_buf_append_text(&whole, r.error);
    }
    feed(input, data[0], &pieces);
    HL_ASSERT(hl_slice_equal(hl_buf_view(&whole), hl_buf_view(&pieces)));
    hl_buf_fini(&whole);
    hl_buf_fini(&pieces);
    return 0;
}
