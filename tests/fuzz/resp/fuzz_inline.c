/* Words of a line: no word is longer than what it was read from, and words written back between
 * double quotes with every byte escaped read as themselves. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "resp/words.h"

/* Read all words of `line` as lengths and bytes; false when the quotes are unbalanced. */
static bool read_words(struct hl_slice line, struct hl_buf *out)
{
    char *word = hl_malloc(line.len); /* exactly: ASan sees one byte too many */
    size_t at = 0;
    size_t len = 0;
    enum hl_word_result result = HL_WORD;
    for (;;) {
        size_t from = at;
        result = hl_word_next(line, &at, word, &len);
        if (result != HL_WORD) {
            break;
        }
        HL_ASSERT(at > from && at <= line.len);
        HL_ASSERT(len <= at - from);
        hl_buf_append_le64(out, len);
        hl_buf_append(out, word, len);
    }
    hl_free(word);
    return result == HL_WORD_END;
}

static void quote_words(const struct hl_buf *words, struct hl_buf *line)
{
    size_t at = 0;
    while (at < words->len) {
        size_t len = hl_get_le64(words->ptr + at);
        at += 8;
        hl_buf_append_text(line, " \"");
        for (size_t i = 0; i < len; i++) {
            hl_buf_printf(line, "\\x%02x", (unsigned char)words->ptr[at + i]);
        }
        hl_buf_append_text(line, "\"");
        at += len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hl_buf words = {0};
    struct hl_buf line = {0};
    struct hl_buf again = {0};
    if (read_words((struct hl_slice){.ptr = (const char *)data, .len = size}, &words)) {
        quote_words(&words, &line);
        HL_ASSERT(read_words(hl_buf_view(&line), &again));
        HL_ASSERT(hl_slice_equal(hl_buf_view(&words), hl_buf_view(&again)));
    }
    hl_buf_fini(&words);
    hl_buf_fini(&line);
    hl_buf_fini(&again);
    return 0;
}
