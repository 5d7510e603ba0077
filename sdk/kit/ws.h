/* WebSocket (RFC 6455) without a socket: the handshake and the frames, no extensions.
 *
 *   WS1  a reader that failed stays failed; `close_code` says what to tell the peer.
 *   WS2  a text that is given is valid UTF-8, control frames inside a message notwithstanding.
 *   WS3  a message never exceeds the reader's limit, however it is cut into frames, and memory
 *        grows with the bytes that came, not with lengths that were announced.
 */
#ifndef KIT_WS_H
#define KIT_WS_H

#include "kit/bytes.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stdint.h>

#define HL_WS_ACCEPT_LEN 28   /* characters of Sec-WebSocket-Accept */
#define HL_WS_CONTROL_MAX 125 /* bytes of a control frame */
#define HL_WS_REASON_MAX 123  /* bytes of a close frame's reason */
#define HL_WS_VERSION "13"

enum hl_ws_opcode {
    HL_WS_CONTINUATION = 0,
    HL_WS_TEXT = 1,
    HL_WS_BINARY = 2,
    HL_WS_CLOSE = 8,
    HL_WS_PING = 9,
    HL_WS_PONG = 10,
};

/* Close codes that are sent or shown. */
enum {
    HL_WS_NORMAL = 1000,
    HL_WS_GOING_AWAY = 1001,
    HL_WS_PROTOCOL = 1002,
    HL_WS_NO_STATUS = 1005, /* never sent: a close frame without a code came */
    HL_WS_ABNORMAL = 1006,  /* never sent: no close frame came */
    HL_WS_NOT_UTF8 = 1007,
    HL_WS_TOO_LARGE = 1009,
    HL_WS_INTERNAL = 1011,
};

/* What the reader found. */
struct hl_ws_event {
    enum hl_ws_opcode opcode; /* TEXT or BINARY: a whole message; CLOSE, PING, PONG */
    struct hl_slice payload;  /* valid until the next call; of CLOSE: the reason */
    int code;                 /* of CLOSE, HL_WS_NO_STATUS without one */
};

/* All zero but the first two is a reader at the beginning; the rest is its own. */
struct hl_ws_reader {
    bool from_client;   /* frames must be masked, else they must not */
    size_t message_max; /* bytes of a message */
    struct hl_buf message;
    char control[HL_WS_CONTROL_MAX];
    size_t control_len;
    unsigned char head[14]; /* of the frame being read */
    size_t head_len;
    bool in_payload;
    uint64_t left, at;           /* of its payload */
    enum hl_ws_opcode opcode;    /* of the frame */
    enum hl_ws_opcode gathering; /* TEXT or BINARY while a message is incomplete, else 0 */
    bool final, ready, failed;
    uint32_t utf8; /* state of the check, 0 between characters */
    int close_code;
};

/* Release the reader's memory. */
void hl_ws_reader_fini(struct hl_ws_reader *reader);

/*
 * Take bytes until something is complete.
 *
 * used   how many of `in` were taken; call again with the rest.
 * event  filled on HL_OK.
 *
 * HL_OK; HL_ENOENT: all of `in` was taken, nothing is complete; HL_EINVAL: the peer broke the
 * rules, and reader->close_code is what to close with (WS1).
 */
HL_MUST_USE hl_err hl_ws_read(struct hl_ws_reader *reader, struct hl_slice in, size_t *used,
                              struct hl_ws_event *event);

/* Append a frame; `mask` is four bytes of chance, for a client, or NULL.  A control frame has at
 * most HL_WS_CONTROL_MAX bytes. */
void hl_ws_put_frame(struct hl_buf *out, enum hl_ws_opcode opcode, struct hl_slice payload,
                     const unsigned char *mask);

/* Append a close frame of a server; the reason is cut, between characters, to what fits. */
void hl_ws_put_close(struct hl_buf *out, int code, struct hl_slice reason);

/* True for a code that may stand in a close frame. */
bool hl_ws_code_is_valid(int code);

/* True when the bytes are whole UTF-8 characters, none overlong, no surrogates. */
bool hl_utf8_is_valid(struct hl_slice text);

/* True for a Sec-WebSocket-Key: 16 bytes in base64. */
bool hl_ws_key_is_valid(struct hl_slice key);

/* Sec-WebSocket-Accept for a valid key, and a NUL. */
void hl_ws_accept(char out[HL_WS_ACCEPT_LEN + 1], struct hl_slice key);

#endif
