/* Reading addresses of clients. */
#include "address.h"

/* The length of a word and its colon in front of an address; 0 when there is none.  A group of an
 * IPv6 address has no letter beyond f. */
static size_t word_of(struct hl_slice text)
{
    bool word = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == ':') {
            return word ? i + 1 : 0;
        }
        if (c < 'a' || c > 'z') {
            return 0;
        }
        word = word || c > 'f';
    }
    return 0;
}

void address_read(char out[RECORD_ADDRESS_MAX + 1], struct hl_slice text)
{
    size_t word = word_of(text);
    text = (struct hl_slice){text.ptr + word, text.len - word};
    if (text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']') {
        text = (struct hl_slice){text.ptr + 1, text.len - 2};
    }
    bool good = text.len != 0 && record_text_ok(text, RECORD_ADDRESS_MAX);
    if (good) {
        memcpy(out, text.ptr, text.len);
    }
    out[good ? text.len : 0] = '\0';
}

bool address_counts(const char *address)
{
    return address[0] != '\0' && strncmp(address, "127.", 4) != 0 && strcmp(address, "::1") != 0 &&
           strncmp(address, "::ffff:127.", 11) != 0;
}
