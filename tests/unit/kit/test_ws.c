/* Goal: frames are read as RFC 6455 says however they are cut, and rule breakers get their code. */
#include "kit/ws.h"

#include <criterion/criterion.h>

static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};

static struct hl_ws_reader server(void)
{
    return (struct hl_ws_reader){.from_client = true, .message_max = 1000};
}

static bool is(struct hl_slice slice, const char *text)
{
    return hl_slice_equal(slice, hl_slice_of(text));
}

Test(ws, the_handshake_is_that_of_the_rfc)
{
    char accept[HL_WS_ACCEPT_LEN + 1];
    hl_ws_accept(accept, hl_slice_of("dGhlIHNhbXBsZSBub25jZQ=="));
    cr_assert_str_eq(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    static const char *bad[] = {"", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZR==",
                                "dGhlIHNhbXBsZSBub25j!Q==", "dGhlIHNhbXBsZSBub25jZQ==="};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_not(hl_ws_key_is_valid(hl_slice_of(bad[i])), "%s", bad[i]);
    }
}

/* A conversation: a fragmented text with a ping inside, an empty binary, a close with a reason. */
static void conversation(struct hl_buf *out)
{
    hl_ws_put_frame(out, HL_WS_TEXT, hl_slice_of("h\xc3"), mask);
    out->ptr[0] = HL_WS_TEXT; /* not final */
    hl_ws_put_frame(out, HL_WS_PING, hl_slice_of("?"), mask);
    hl_ws_put_frame(out, HL_WS_CONTINUATION, hl_slice_of("\xa9llo"), mask);
    hl_ws_put_frame(out, HL_WS_BINARY, hl_slice_of(""), mask);
    hl_ws_put_frame(out, HL_WS_CLOSE,
                    hl_slice_of("\x03\xe8"
                                "bye"),
                    mask);
}

static void hear(struct hl_buf *said, const struct hl_ws_event *event)
{
    hl_buf_printf(said, "%d:%.*s:%d ", (int)event->opcode, (int)event->payload.len,
                  event->payload.len == 0 ? "" : event->payload.ptr, event->code);
}

Test(ws, a_conversation_is_heard_however_it_is_cut)
{
    struct hl_buf bytes = {0};
    conversation(&bytes);
    for (size_t part = 1; part <= bytes.len; part++) {
        struct hl_ws_reader reader = server();
        struct hl_buf said = {0};
        for (size_t at = 0; at < bytes.len; at += part) {
            struct hl_slice in = {bytes.ptr + at, bytes.len - at < part ? bytes.len - at : part};
            struct hl_ws_event event;
            size_t used = 0;
            while (hl_ws_read(&reader, in, &used, &event) == HL_OK) {
                hear(&said, &event);
                in.ptr += used;
                in.len -= used;
            }
            cr_assert_not(reader.failed, "parts of %zu", part);
        }
        cr_assert(is(hl_buf_view(&said), "9:?:0 1:h\xc3\xa9llo:0 2::0 8:bye:1000 "), "%.*s",
                  (int)said.len, said.ptr);
        hl_buf_fini(&said);
        hl_ws_reader_fini(&reader);
    }
    hl_buf_fini(&bytes);
}

static int code_for(struct hl_slice bytes, size_t part)
{
    struct hl_ws_reader reader = server();
    struct hl_ws_event event;
    hl_err err = HL_ENOENT;
    while (bytes.len != 0 && err != HL_EINVAL) {
        struct hl_slice in = {bytes.ptr, bytes.len < part ? bytes.len : part};
        size_t used = 0;
        err = hl_ws_read(&reader, in, &used, &event);
        bytes.ptr += used;
        bytes.len -= used;
    }
    if (err == HL_EINVAL) {
        size_t used = 0;
        cr_assert_eq(hl_ws_read(&reader, hl_slice_of("x"), &used, &event), HL_EINVAL, "WS1");
    }
    hl_ws_reader_fini(&reader);
    return err == HL_EINVAL ? reader.close_code : 0;
}

#define CASE(text, code)                                                                           \
    {                                                                                              \
        {text, sizeof text - 1}, code                                                              \
    }

Test(ws, who_breaks_the_rules_gets_the_code_for_it)
{
    static const struct {
        struct hl_slice bytes;
        int code;
    } cases[] = {
        CASE("\x81\x05hello", HL_WS_PROTOCOL),                    /* not masked */
        CASE("\xc1\x80\0\0\0\0", HL_WS_PROTOCOL),                 /* a reserved bit */
        CASE("\x83\x80\0\0\0\0", HL_WS_PROTOCOL),                 /* an unknown opcode */
        CASE("\x8b\x80\0\0\0\0", HL_WS_PROTOCOL),                 /* an unknown control opcode */
        CASE("\x80\x80\0\0\0\0", HL_WS_PROTOCOL),                 /* nothing to continue */
        CASE("\x01\x80\0\0\0\0\x81\x80\0\0\0\0", HL_WS_PROTOCOL), /* a message within another */
        CASE("\x09\x80\0\0\0\0", HL_WS_PROTOCOL),                 /* a fragmented ping */
        CASE("\x89\xfe\0\x7e\0\0\0\0", HL_WS_PROTOCOL),           /* a long ping */
        CASE("\x81\xfe\0\x7d\0\0\0\0", HL_WS_PROTOCOL),           /* a length not in short form */
        CASE("\x81\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", HL_WS_PROTOCOL),
        CASE("\x81\xff\xff\0\0\0\0\0\0\0\0\0\0\0", HL_WS_PROTOCOL), /* a negative length */
        CASE("\x82\xfe\x03\xe9\0\0\0\0", HL_WS_TOO_LARGE),          /* announced: 1001 bytes */
        CASE("\x82\xff\0\0\0\x7f\xff\xff\xff\xff\0\0\0\0", HL_WS_TOO_LARGE),
        CASE("\x81\x81\0\0\0\0\xff", HL_WS_NOT_UTF8),
        CASE("\x81\x82\0\0\0\0\xc0\x80", HL_WS_NOT_UTF8),     /* overlong */
        CASE("\x81\x83\0\0\0\0\xed\xa0\x80", HL_WS_NOT_UTF8), /* a surrogate */
        CASE("\x81\x81\0\0\0\0\xc3", HL_WS_NOT_UTF8),         /* half a character */
        CASE("\x88\x81\0\0\0\0\x03", HL_WS_PROTOCOL),         /* half a code */
        CASE("\x88\x82\0\0\0\0\x03\xed", HL_WS_PROTOCOL),     /* 1005 is not for the wire */
        CASE("\x88\x83\0\0\0\0\x03\xe8\xff", HL_WS_NOT_UTF8),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t part = 1; part <= cases[i].bytes.len; part++) {
            cr_assert_eq(code_for(cases[i].bytes, part), cases[i].code, "case %zu by %zu", i, part);
        }
    }
}

Test(ws, fragments_together_meet_the_limit)
{
    struct hl_buf bytes = {0};
    char half[600] = {0};
    for (int i = 0; i < 2; i++) {
        hl_ws_put_frame(&bytes, i == 0 ? HL_WS_BINARY : HL_WS_CONTINUATION,
                        (struct hl_slice){half, sizeof half}, mask);
    }
    bytes.ptr[0] = HL_WS_BINARY;
    cr_assert_eq(code_for(hl_buf_view(&bytes), 64), HL_WS_TOO_LARGE);
    hl_buf_fini(&bytes);
}

Test(ws, every_length_is_written_and_read)
{
    static const size_t lengths[] = {0, 1, 125, 126, 65535, 65536};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct hl_ws_reader reader = {.from_client = false, .message_max = 70000};
        struct hl_ws_event event;
        struct hl_buf bytes = {0};
        struct hl_buf payload = {0};
        size_t used = 0;
        hl_buf_grow(&payload, 70000);
        memset(payload.ptr, 'x', lengths[i]);
        payload.len = lengths[i];
        hl_ws_put_frame(&bytes, HL_WS_BINARY, hl_buf_view(&payload), NULL);
        cr_assert_eq(hl_ws_read(&reader, hl_buf_view(&bytes), &used, &event), HL_OK);
        cr_assert_eq(used, bytes.len);
        cr_assert(hl_slice_equal(event.payload, hl_buf_view(&payload)));
        hl_buf_fini(&bytes);
        hl_buf_fini(&payload);
        hl_ws_reader_fini(&reader);
    }
}

Test(ws, a_reason_is_cut_between_characters)
{
    struct hl_ws_reader reader = {.message_max = 1};
    struct hl_ws_event event;
    struct hl_buf reason = {0};
    struct hl_buf bytes = {0};
    size_t used = 0;
    for (int i = 0; i < 100; i++) {
        hl_buf_append_text(&reason, "\xc3\xa9");
    }
    hl_ws_put_close(&bytes, 4000, hl_buf_view(&reason));
    cr_assert_eq(hl_ws_read(&reader, hl_buf_view(&bytes), &used, &event), HL_OK);
    cr_assert_eq(event.code, 4000);
    cr_assert_eq(event.payload.len, 122);
    hl_buf_fini(&reason);
    hl_buf_fini(&bytes);
    hl_ws_reader_fini(&reader);
}
