/* Looking ahead stays inside the bytes, and reads what the parser reads, whatever its limits. */
#include "kit/assert.h"
#include "resp/peek.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    return 0;
}
