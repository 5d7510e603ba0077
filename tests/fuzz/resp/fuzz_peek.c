/* Looking ahead stays inside the bytes, and reads what the parser reads, whatever its limits. */
#include "kit/assert.h"
#include "resp/peek.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void describe(const struct hl_slice *argv, int argc, struct hl_buf *out)
{
    for (int i = 0; i < argc; i++) {
        hl_buf_append_le64(out, argv[i].len);
        hl_buf_append_slice(out, argv[i]);
    }
    hl_buf_append_le64(out, UINT64_MAX);
}

/* Take commands from bytes[pos..len) as a connection does; with `ahead` those that are plain are
 * not parsed. */
static void take(struct hl_parser *parser, bool ahead, struct hl_slice bytes, struct hl_buf *out)
{
    static struct hl_peek peek;
    for (;;) {
        if (ahead && !hl_parser_is_partial(parser) &&
            hl_peek_requests(&peek, bytes.ptr + parser->pos, bytes.len - parser->pos) != 0) {
            for (int i = 0; i < peek.count; i++) {
                hl_parser_skip(parser, peek.requests[i].size);
                describe(peek.requests[i].argv, peek.requests[i].argc, out);
            }
            continue;
        }
        enum hl_parse_result result = hl_parser_next(parser, bytes.ptr, bytes.len);
        if (result == HL_PARSE_ERROR) {
            hl_buf_append_text(out, parser->error);
        }
        if (result != HL_PARSE_COMMAND) {
            return;
        }
        describe(parser->argv, parser->argc, out);
    }
}

/* Cut in two anywhere, with and without looking ahead: the same commands. */
static void check_turns(struct hl_slice bytes, size_t cut)
{
    struct hl_buf out[2] = {{0}, {0}};
    for (int ahead = 0; ahead < 2; ahead++) {
        struct hl_parser parser;
        hl_parser_init(&parser, &hl_parser_limits_unauth);
        if (ahead == 1) {
            take(&parser, true, (struct hl_slice){.ptr = bytes.ptr, .len = cut}, &out[1]);
        }
        if (!parser.failed) {
            take(&parser, ahead == 1, bytes, &out[ahead]);
        }
        hl_parser_fini(&parser);
    }
    HL_ASSERT(hl_slice_equal(hl_buf_view(&out[0]), hl_buf_view(&out[1])));
    hl_buf_fini(&out[0]);
    hl_buf_fini(&out[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hl_peek peek;
    const char *bytes = (const char *)data;
    int found = hl_peek_requests(&peek, bytes, size);
    HL_ASSERT(found == peek.count && found >= 0 && found <= HL_PEEK_MAX);
    struct hl_parser parser;
    hl_parser_init(&parser, &hl_parser_limits_unauth);
    size_t end = 0;
    for (int i = 0; i < found; i++) {
        const struct hl_peek_request *request = &peek.requests[i];
        end += request->size;
        HL_ASSERT(end <= size);
        HL_ASSERT(hl_parser_next(&parser, bytes, size) == HL_PARSE_COMMAND);
        HL_ASSERT(parser.pos == end && parser.argc == request->argc);
        for (int j = 0; j < request->argc; j++) {
            HL_ASSERT(parser.argv[j].ptr == request->argv[j].ptr);
            HL_ASSERT(parser.argv[j].len == request->argv[j].len);
        }
    }
    hl_parser_fini(&parser);
    if (size > 0) {
        check_turns((struct hl_slice){.ptr = bytes, .len = size}, data[size / 2] % size);
    }
    return 0;
}
