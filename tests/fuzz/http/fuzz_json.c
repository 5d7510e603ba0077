/* Goal: no bytes crash the reading of JSON, and what is read is the same after writing and reading
 * again; any bytes as a string are JSON. */
#include "kit/assert.h"
#include "kit/json.h"

static const struct hl_json_limits limits = {.size_max = 65536, .depth_max = HL_JSON_DEPTH_DEFAULT};

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct hl_slice bytes = {(const char *)data, size};
    struct hl_json_limits wide = {.size_max = SIZE_MAX, .depth_max = HL_JSON_DEPTH_DEFAULT};
    struct hl_errmsg msg = {0};
    struct hl_buf out = {0};
    json_t *value = NULL;
    json_t *again = NULL;
    if (hl_json_parse(&value, bytes, &limits, &msg) == HL_OK) {
        hl_json_append(&out, value);
        hl_err err = hl_json_parse(&again, hl_buf_view(&out), &wide, NULL);
        HL_ASSERT(err == HL_OK);
        HL_ASSERT(json_equal(value, again) == 1);
        json_decref(again);
        json_decref(value);
    } else {
        HL_ASSERT(msg.text[0] != '\0');
    }
    hl_buf_clear(&out);
    hl_json_append_string(&out, bytes);
    json_t *text = NULL;
    hl_err err = hl_json_parse(&text, hl_buf_view(&out), &wide, NULL);
    HL_ASSERT(err == HL_OK || memchr(data, 0, size) != NULL); /* jansson takes no NUL */
    json_decref(text);
    hl_buf_fini(&out);
    return 0;
}
