/* Looking ahead stays inside the bytes, and every word it finds lies in them, in order. */
#include "kit/assert.h"
#include "resp/peek.h"

#define MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hl_slice words[MAX];
    const char *bytes = (const char *)data;
    const char *after = bytes;
    int found = hl_peek_words(bytes, size, words, MAX);
    HL_ASSERT(found >= 0 && found <= MAX);
    for (int i = 0; i < found; i++) {
        HL_ASSERT(words[i].ptr >= after);
        HL_ASSERT(words[i].len <= (size_t)(bytes + size - words[i].ptr));
        after = words[i].ptr + words[i].len;
    }
    return 0;
}
