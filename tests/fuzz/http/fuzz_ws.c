/* Goal: no bytes crash the reading of WebSocket frames, what is read does not depend on how it
 * came, texts are UTF-8, messages keep their limit.
 *
 * The first byte chooses: bit 0 which side we are, the rest how long the parts are in the second
 * reading.
 */
#include "kit/assert.h"
#include "kit/ws.h"

#define MESSAGE_MAX 4096

static struct hl_buf run(struct hl_slice bytes, size_t part, bool from_client)
{
    struct hl_ws_reader reader = {.from_client = from_client, .message_max = MESSAGE_MAX};
    struct hl_buf said = {0};
    while (bytes.len != 0 && !reader.failed) {
        struct hl_slice in = {bytes.ptr, bytes.len < part ? bytes.len : part};
        struct hl_ws_event event;
        size_t used = 0;
        hl_err err = hl_ws_read(&reader, in, &used, &event);
        HL_ASSERT(used != 0 || err != HL_ENOENT);
        bytes.ptr += used;
        bytes.len -= used;
        if (err == HL_OK) {
            HL_ASSERT(event.payload.len <= MESSAGE_MAX);
            HL_ASSERT(event.opcode != HL_WS_TEXT || hl_utf8_is_valid(event.payload));
            hl_buf_printf(&said, "%d,%d,%zu:", (int)event.opcode, event.code, event.payload.len);
            hl_buf_append_slice(&said, event.payload);
        }
    }
    HL_ASSERT(!reader.failed || hl_ws_code_is_valid(reader.close_code));
    hl_buf_printf(&said, "%d", reader.close_code);
    hl_ws_reader_fini(&reader);
    return said;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct hl_slice bytes = {(const char *)data + 1, size - 1};
    bool from_client = (data[0] & 1) == 0;
    struct hl_buf whole = run(bytes, bytes.len, from_client);
    struct hl_buf parts = run(bytes, 1 + (data[0] >> 1), from_client);
    HL_ASSERT(hl_slice_equal(hl_buf_view(&whole), hl_buf_view(&parts)));
    hl_buf_fini(&whole);
    hl_buf_fini(&parts);
    return 0;
}
