/* Frames of WebSocket. */
#include "kit/ws.h"

#include "kit/assert.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

/* --- UTF-8 ------------------------------------------------------------------------------------ */

#define UTF8_BAD UINT32_MAX

/* The state is 0 between characters; within one: how many bytes follow, and the range that the
 * next must be in, which is what excludes overlong forms and surrogates. */
static uint32_t utf8_state(uint32_t more, uint32_t low, uint32_t high)
{
    return more | low << 8 | high << 16;
}

static uint32_t utf8_next(uint32_t state, unsigned char c)
{
    if (state != 0) {
        uint32_t more = state & 0xff;
        if (c < (state >> 8 & 0xff) || c > state >> 16) {
            return UTF8_BAD;
        }
        return more == 1 ? 0 : utf8_state(more - 1, 0x80, 0xbf);
    }
    if (c < 0x80) {
        return 0;
    }
    if (c >= 0xc2 && c <= 0xdf) {
        return utf8_state(1, 0x80, 0xbf);
    }
    if (c >= 0xe0 && c <= 0xef) {
        return utf8_state(2, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf);
    }
    if (c >= 0xf0 && c <= 0xf4) {
        return utf8_state(3, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf);
    }
    return UTF8_BAD;
}

/* The state behind `text`, or UTF8_BAD. */
static uint32_t utf8_run(uint32_t state, struct hl_slice text)
{
    for (size_t i = 0; i < text.len && state != UTF8_BAD; i++) {
        state = utf8_next(state, (unsigned char)text.ptr[i]);
    }
    return state;
}

bool hl_utf8_is_valid(struct hl_slice text)
{
    return utf8_run(0, text) == 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

void hl_ws_reader_fini(struct hl_ws_reader *reader)
{
    hl_buf_fini(&reader->message);
}

static hl_err fail(struct hl_ws_reader *reader, int code)
{
    reader->failed = true;
    reader->close_code = code;
    return HL_EINVAL;
}

static bool is_control(enum hl_ws_opcode opcode)
{
    return ((unsigned)opcode & 8u) != 0;
}

/* Bytes of the frame's head, as far as it is known. */
static size_t head_size(const struct hl_ws_reader *reader)
{
    size_t size = 2;
    if (reader->head_len >= 2) {
        unsigned len = reader->head[1] & 0x7f;
        size += len == 126 ? 2 : len == 127 ? 8 : 0;
        size += (reader->head[1] & 0x80) != 0 ? 4 : 0;
    }
    return size;
}

/* The length in a whole head, or UINT64_MAX for one that is not written in its shortest form. */
static uint64_t payload_len(const unsigned char *head)
{
    unsigned len = head[1] & 0x7f;
    if (len < 126) {
        return len;
    }
    uint64_t value = 0;
    size_t bytes = len == 126 ? 2 : 8;
    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | head[2 + i];
    }
    bool shortest = len == 126 ? value > 125 : value > 0xffff && value <= INT64_MAX;
    return shortest ? value : UINT64_MAX;
}

/* The rules that a frame's first two bytes can break: known early, refused early. */
static hl_err check_start(struct hl_ws_reader *reader)
{
    enum hl_ws_opcode opcode = (enum hl_ws_opcode)(reader->head[0] & 0x0f);
    bool final = (reader->head[0] & 0x80) != 0;
    bool masked = (reader->head[1] & 0x80) != 0;
    bool known = opcode <= HL_WS_BINARY || (opcode >= HL_WS_CLOSE && opcode <= HL_WS_PONG);
    if (!known || (reader->head[0] & 0x70) != 0 || masked != reader->from_client) {
        return fail(reader, HL_WS_PROTOCOL);
    }
    if (is_control(opcode)) {
        bool good = final && (reader->head[1] & 0x7f) <= HL_WS_CONTROL_MAX;
        return good ? HL_OK : fail(reader, HL_WS_PROTOCOL);
    }
    bool continues = opcode == HL_WS_CONTINUATION;
    return continues == (reader->gathering != HL_WS_CONTINUATION) ? HL_OK
                                                                  : fail(reader, HL_WS_PROTOCOL);
}

/* A whole head: the payload begins. */
static hl_err begin_payload(struct hl_ws_reader *reader)
{
    reader->opcode = (enum hl_ws_opcode)(reader->head[0] & 0x0f);
    reader->final = (reader->head[0] & 0x80) != 0;
    reader->left = payload_len(reader->head);
    reader->at = 0;
    reader->in_payload = true;
    reader->control_len = 0;
    if (reader->left == UINT64_MAX) {
        return fail(reader, HL_WS_PROTOCOL);
    }
    if (is_control(reader->opcode)) {
        return HL_OK;
    }
    if (reader->opcode != HL_WS_CONTINUATION) {
        reader->gathering = reader->opcode;
        reader->utf8 = 0;
    }
    return reader->left > reader->message_max - reader->message.len ? fail(reader, HL_WS_TOO_LARGE)
                                                                    : HL_OK;
}

static hl_err take_payload(struct hl_ws_reader *reader, const char *bytes, size_t len)
{
    const unsigned char *mask = reader->head + head_size(reader) - 4;
    bool control = is_control(reader->opcode);
    char *to = reader->control + reader->control_len;
    if (!control) {
        hl_buf_grow(&reader->message, len);
        to = reader->message.ptr + reader->message.len;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char key = reader->from_client ? mask[(reader->at + i) % 4] : 0;
        to[i] = (char)((unsigned char)bytes[i] ^ key);
    }
    reader->at += len;
    reader->left -= len;
    if (control) {
        reader->control_len += len;
        return HL_OK;
    }
    reader->message.len += len;
    if (reader->gathering == HL_WS_TEXT) {
        reader->utf8 = utf8_run(reader->utf8, (struct hl_slice){.ptr = to, .len = len});
        return reader->utf8 == UTF8_BAD ? fail(reader, HL_WS_NOT_UTF8) : HL_OK;
    }
    return HL_OK;
}

static hl_err end_control(struct hl_ws_reader *reader, struct hl_ws_event *event)
{
    struct hl_slice payload = {.ptr = reader->control, .len = reader->control_len};
    *event = (struct hl_ws_event){.opcode = reader->opcode, .payload = payload};
    if (reader->opcode != HL_WS_CLOSE) {
        return HL_OK;
    }
    event->code = HL_WS_NO_STATUS;
    if (payload.len == 0) {
        return HL_OK;
    }
    if (payload.len == 1) {
        return fail(reader, HL_WS_PROTOCOL);
    }
    event->code = (unsigned char)payload.ptr[0] << 8 | (unsigned char)payload.ptr[1];
    event->payload = (struct hl_slice){.ptr = payload.ptr + 2, .len = payload.len - 2};
    if (!hl_ws_code_is_valid(event->code)) {
        return fail(reader, HL_WS_PROTOCOL);
    }
    return hl_utf8_is_valid(event->payload) ? HL_OK : fail(reader, HL_WS_NOT_UTF8);
}

/* The frame is whole: HL_ENOENT when its message is not. */
static hl_err end_frame(struct hl_ws_reader *reader, struct hl_ws_event *event)
{
    reader->in_payload = false;
    reader->head_len = 0;
    if (is_control(reader->opcode)) {
        return end_control(reader, event);
    }
    if (!reader->final) {
        return HL_ENOENT;
    }
    if (reader->gathering == HL_WS_TEXT && reader->utf8 != 0) {
        return fail(reader, HL_WS_NOT_UTF8);
    }
    *event =
        (struct hl_ws_event){.opcode = reader->gathering, .payload = hl_buf_view(&reader->message)};
    reader->gathering = HL_WS_CONTINUATION;
    reader->ready = true; /* the message is the caller's until the next call */
    return HL_OK;
}

hl_err hl_ws_read(struct hl_ws_reader *reader, struct hl_slice in, size_t *used,
                  struct hl_ws_event *event)
{
    *used = 0;
    if (reader->failed) {
        return HL_EINVAL;
    }
    if (reader->ready) {
        reader->ready = false;
        hl_buf_fini(&reader->message); /* a connection that is silent holds no memory */
    }
    for (;;) {
        hl_err err = HL_OK;
        if (!reader->in_payload) {
            if (*used == in.len) {
                return HL_ENOENT;
            }
            reader->head[reader->head_len++] = (unsigned char)in.ptr[(*used)++];
            err = reader->head_len == 2 ? check_start(reader) : HL_OK;
            if (err == HL_OK && reader->head_len >= 2 && reader->head_len == head_size(reader)) {
                err = begin_payload(reader);
            }
        } else if (reader->left != 0) {
            size_t len = in.len - *used;
            if (len == 0) {
                return HL_ENOENT;
            }
            len = len < reader->left ? len : (size_t)reader->left;
            err = take_payload(reader, in.ptr + *used, len);
            *used += len;
        }
        if (err == HL_OK && reader->in_payload && reader->left == 0) {
            err = end_frame(reader, event);
            if (err != HL_ENOENT) {
                return err;
            }
        } else if (err != HL_OK) {
            return err;
        }
    }
}

/* --- writing ---------------------------------------------------------------------------------- */

void hl_ws_put_frame(struct hl_buf *out, enum hl_ws_opcode opcode, struct hl_slice payload,
                     const unsigned char *mask)
{
    unsigned char head[14];
    size_t len = 2;
    size_t lengths = payload.len < 126 ? 0 : payload.len <= 0xffff ? 2 : 8;
    HL_ASSERT(!is_control(opcode) || payload.len <= HL_WS_CONTROL_MAX);
    head[0] = (unsigned char)(0x80 | (unsigned)opcode);
    head[1] = (unsigned char)((mask != NULL ? 0x80 : 0) | (lengths == 0   ? payload.len
                                                           : lengths == 2 ? 126
                                                                          : 127));
    for (size_t i = lengths; i > 0; i--) {
        head[len++] = (unsigned char)((uint64_t)payload.len >> (8 * (i - 1)));
    }
    if (mask != NULL) {
        memcpy(head + len, mask, 4);
        len += 4;
    }
    hl_buf_append(out, head, len);
    size_t at = out->len;
    hl_buf_append_slice(out, payload);
    for (size_t i = 0; mask != NULL && i < payload.len; i++) {
        out->ptr[at + i] = (char)((unsigned char)out->ptr[at + i] ^ mask[i % 4]);
    }
}

void hl_ws_put_close(struct hl_buf *out, int code, struct hl_slice reason)
{
    char payload[HL_WS_CONTROL_MAX];
    HL_ASSERT(hl_ws_code_is_valid(code));
    size_t len = reason.len < HL_WS_REASON_MAX ? reason.len : HL_WS_REASON_MAX;
    while (len > 0 && !hl_utf8_is_valid((struct hl_slice){.ptr = reason.ptr, .len = len})) {
        len--;
    }
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xff);
    if (len != 0) {
        memcpy(payload + 2, reason.ptr, len);
    }
    hl_ws_put_frame(out, HL_WS_CLOSE, (struct hl_slice){.ptr = payload, .len = len + 2}, NULL);
}

bool hl_ws_code_is_valid(int code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

/* --- handshake -------------------------------------------------------------------------------- */

bool hl_ws_key_is_valid(struct hl_slice key)
{
    if (key.len != 24 || memcmp(key.ptr + 22, "==", 2) != 0) {
        return false;
    }
    for (size_t i = 0; i < 22; i++) {
        char c = key.ptr[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '+' || c == '/';
        if (!good) {
            return false;
        }
    }
    return memchr("AQgw", key.ptr[21], 4) != NULL; /* the bits that no byte has are zero */
}

void hl_ws_accept(char out[HL_WS_ACCEPT_LEN + 1], struct hl_slice key)
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, 1.3 */
    unsigned char text[24 + sizeof magic - 1];
    unsigned char digest[SHA_DIGEST_LENGTH];
    HL_ASSERT(hl_ws_key_is_valid(key));
    memcpy(text, key.ptr, 24);
    memcpy(text + 24, magic, sizeof magic - 1);
    SHA1(text, sizeof text, digest);
    int len = EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
    HL_ASSERT(len == HL_WS_ACCEPT_LEN);
}
