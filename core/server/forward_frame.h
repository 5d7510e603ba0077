/* Bodies of FORWARD and FORWARD_REPLY frames.  Little-endian; texts are u16 length and bytes.
 *
 *   FORWARD        u8 1, u64 client, u64 number of the request, u8 protocol, u16 database,
 *                  texts: user, address; u32 argc, then for each argument u32 length and bytes
 *                  u8 2, u64 client: it is gone
 *   FORWARD_REPLY  u64 client, u64 number, u64 index of what it made or saw, u8 flags (1: later
 * requests must come here too, 2: close the client after this), u16 database, text: user; then the
 * reply as it is sent
 *
 * Pure: decoding looks at nothing beyond the body, and what it returns are views into it.
 */
#ifndef HL_SERVER_FORWARD_FRAME_H
#define HL_SERVER_FORWARD_FRAME_H

#include "kit/bytes.h"

/* A request of a client that is connected elsewhere. */
struct hl_forwarded {
    bool gone; /* the client has ended: nothing but `client` counts */
    uint64_t client, number;
    uint8_t proto; /* 2 or 3 */
    uint16_t db;
    struct hl_slice user, address;
    uint32_t argc;
    const struct hl_slice *argv; /* to encode */
    struct hl_slice args;        /* decoded: hl_forwarded_args() cuts them */
};

struct hl_forward_reply {
    uint64_t client, number;
    uint64_t index; /* of the log: what the request made or saw; later reads are not older */
    bool keeps;     /* the leader holds state for this client: a transaction, or watched keys */
    bool close;
    uint16_t db;
    struct hl_slice user;
    struct hl_slice bytes;
};

/* Append a body. */
void hl_forwarded_encode(const struct hl_forwarded *request, struct hl_buf *out);

/* Read a body; false, leaving *out alone, unless it is well formed to its last byte. */
bool hl_forwarded_decode(struct hl_slice body, struct hl_forwarded *out);

/* Fill argv[request->argc] with views. */
void hl_forwarded_args(const struct hl_forwarded *request, struct hl_slice *argv);

/* Append a body. */
void hl_forward_reply_encode(const struct hl_forward_reply *reply, struct hl_buf *out);

/* As hl_forwarded_decode(). */
bool hl_forward_reply_decode(struct hl_slice body, struct hl_forward_reply *out);

#endif
