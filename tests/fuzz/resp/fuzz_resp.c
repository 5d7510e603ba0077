/* Requests: whatever comes in, the parser must say the same whether it comes at once or in pieces,
 * and touch nothing outside the bytes that it was given.
 *
 * Input: a byte of flags (1 RESP3, 2 unauthenticated), a byte that seeds the cutting, the request.
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "resp/parser.h"

#define FLAG_RESP3 1
#define FLAG_UNAUTH 2

static void describe(const struct hl_parser *p, enum hl_parse_result result, struct hl_buf *out)
{
    if (result == HL_PARSE_ERROR) {
        hl_buf_append_text(out, p->error);
        return;
    }
    HL_ASSERT(p->argc >= 1 && p->argc <= HL_REQUEST_ARGC_MAX);
    for (int i = 0; i < p->argc; i++) {
        hl_buf_append_le64(out, p->argv[i].len);
        hl_buf_append_slice(out, p->argv[i]);
    }
    hl_buf_append_le64(out, UINT64_MAX);
}

/* Feed pieces of at most `step` bytes (varied by `seed`), each in memory of exactly its size. */
static void feed(struct hl_slice input, size_t step, uint8_t seed,
                 const struct hl_parser_limits *limits, struct hl_buf *out)
{
    struct hl_parser p;
    hl_parser_init(&p, limits);
    char *bytes = NULL;
    size_t have = 0;
    size_t fed = 0;
    enum hl_parse_result result = HL_PARSE_MORE;
    while (fed < input.len && result == HL_PARSE_MORE) {
        seed = (uint8_t)(seed * 5 + 3);
        size_t piece = 1 + seed % step;
        piece = piece > input.len - fed ? input.len - fed : piece;
        size_t done = p.pos;
        char *moved = hl_malloc(have - done + piece);
        memcpy(moved, bytes == NULL ? moved : bytes + done, have - done);
        memcpy(moved + have - done, input.ptr + fed, piece);
        hl_free(bytes);
        bytes = moved;
        have += piece - done;
        fed += piece;
        hl_parser_consumed(&p, done);
        while ((result = hl_parser_next(&p, bytes, have)) == HL_PARSE_COMMAND) {
            describe(&p, result, out);
        }
        HL_ASSERT(p.pos <= have);
    }
    if (result == HL_PARSE_ERROR) {
        describe(&p, result, out);
    }
    hl_parser_fini(&p);
    hl_free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct hl_parser_limits limits = {
        .bulk_max = HL_REQUEST_BULK_MAX,
        .resp3 = (data[0] & FLAG_RESP3) != 0,
        .unauthenticated = (data[0] & FLAG_UNAUTH) != 0,
    };
    struct hl_slice input = {.ptr = (const char *)data + 2, .len = size - 2};
    struct hl_buf whole = {0};
    struct hl_buf pieces = {0};
    feed(input, 1, data[1], &limits, &pieces);
    struct hl_parser p;
    hl_parser_init(&p, &limits);
    enum hl_parse_result result = HL_PARSE_MORE;
    while ((result = hl_parser_next(&p, input.ptr, input.len)) == HL_PARSE_COMMAND) {
        describe(&p, result, &whole);
    }
    if (result == HL_PARSE_ERROR) {
        describe(&p, result, &whole);
    }
    hl_parser_fini(&p);
    HL_ASSERT(hl_slice_equal(hl_buf_view(&whole), hl_buf_view(&pieces)));
    hl_buf_clear(&pieces);
    feed(input, 40, data[1], &limits, &pieces);
    HL_ASSERT(hl_slice_equal(hl_buf_view(&whole), hl_buf_view(&pieces)));
    hl_buf_fini(&whole);
    hl_buf_fini(&pieces);
    return 0;
}
