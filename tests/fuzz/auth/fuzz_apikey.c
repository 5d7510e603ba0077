/* Goal: no bytes crash the reading of API keys and scopes, and a key has one text but for the case
 * of its hexadecimal digits.
 *
 * The first byte chooses: the text of a key, or a scope, a NUL and the permission and key in
 * question.
 */
#include "auth/apikey.h"

#include "kit/assert.h"

#include <strings.h>

static void try_text(struct hl_slice text)
{
    struct apikey_text key;
    struct hl_buf again = {0};
    if (apikey_parse(&key, text)) {
        apikey_format(&again, &key);
        HL_ASSERT(again.len == text.len && strncasecmp(again.ptr, text.ptr, text.len) == 0);
        HL_ASSERT(memcmp(again.ptr + 21, text.ptr + 21, text.len - 21) == 0);
    }
    hl_buf_fini(&again);
}

static void try_scope(struct hl_slice text)
{
    const char *end = text.len == 0 ? NULL : memchr(text.ptr, '\0', text.len);
    struct hl_slice scope = {text.ptr, end == NULL ? text.len : (size_t)(end - text.ptr)};
    size_t used = scope.len + (end != NULL);
    struct hl_slice rest = {text.ptr + used, text.len - used};
    if (record_scope_ok(scope)) {
        bool with = apikey_scope_covers(scope, rest, &rest);
        bool without = apikey_scope_covers(scope, rest, NULL);
        HL_ASSERT(with || !without); /* a key in question never adds what none would not have */
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct hl_slice rest = {(const char *)data + 1, size - 1};
    if (data[0] % 2 == 0) {
        try_text(rest);
    } else {
        try_scope(rest);
    }
    return 0;
}
