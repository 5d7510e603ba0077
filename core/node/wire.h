/* Wire: what the nodes of a group send each other, as bytes.
 *
 * A frame is a header of 64 bytes and a body.  All numbers are little-endian, all gaps are zero.
 *
 *     0  4  magic "HLPF"
 *     4  2  format version
 *     6  1  class: which of the connections between two nodes carries it
 *     7  1  type of the body
 *     8 16  cluster id; all zero from a node that belongs to none yet
 *    24  8  sender's node id
 *    32  8  receiver's node id; 0 in a HELLO to somebody not met before
 *    40  8  sender's incarnation: how often it has started
 *    48  4  length of the body
 *    52  4  0
 *    56  4  CRC-32C of the body
 *    60  4  CRC-32C of bytes 0..59
 *
 * So a length is trusted only when the header's checksum holds, and a body only when its own does.
 * The header's layout up to byte 5 and its last four bytes are the same in every version to come: a
 * frame of another version is told from damage, and refused with a message that names both.
 *
 * Bodies (texts are u16 length and bytes):
 *
 *   HELLO       u8 flags (1: is a reply, 2: the directory is empty, 4: the receiver is a member),
 *               texts: name, Raft address, client address, why the receiver is refused; u16 count,
 *               then texts: the names of the founders as the sender was told them; u32 the
 *               feature level that the sender understands; u64 the committed entry that names
 *               the sender's members, 0 when it does not know
 *   RAFT        a message of core/raft, see wire_raft.c; an APPEND carries its entries
 *   SNAP_CHUNK  u64 label index, u64 label term, u64 size of the file, u64 offset, then bytes
 *   SNAP_REPLY  u64 label index, u64 label term, u64 next offset wanted, u8 enum hl_snap_answer,
 *               text: why it was refused
 *
 * Pure: decoding looks at nothing beyond the slice it is given, allocates nothing, and what it
 * returns are views into that slice.
 */
#ifndef HL_NODE_WIRE_H
#define HL_NODE_WIRE_H

#include "base/ids.h"
#include "kit/bytes.h"
#include "node/members.h"
#include "wal/format.h"

#define HL_FRAME_VERSION 1
#define HL_FRAME_HEADER 64                         /* bytes */
#define HL_FRAME_BODY_MAX (HL_WAL_BODY_MAX + 4096) /* bytes: one entry of the largest size fits */
#define HL_SNAP_CHUNK_MAX (256u << 10)             /* bytes of a snapshot file in one frame */

/* Connections between two nodes are separate by class, so that nothing large delays heartbeats. */
enum hl_peer_class {
    HL_PEER_RAFT = 1, /* consensus */
    HL_PEER_BULK,     /* snapshots */
    HL_PEER_FORWARD,  /* clients' requests for the leader, and the replies */
};

enum hl_wire_type {
    HL_FRAME_HELLO = 1,
    HL_FRAME_RAFT,
    HL_FRAME_SNAP_CHUNK,
    HL_FRAME_SNAP_REPLY,
    HL_FRAME_FORWARD,       /* the body belongs to forwarding */
    HL_FRAME_FORWARD_REPLY, /* the same */
    HL_FRAME_QUESTION,      /* the body belongs to barrier.h */
    HL_FRAME_ANSWER,        /* the same */
    HL_FRAME_SCRUB,         /* the body belongs to scrub.h */
};

struct hl_wire_frame {
    enum hl_peer_class peer_class;
    enum hl_wire_type type;
    unsigned char cluster_id[16];
    hl_peer from, to;
    uint64_t incarnation; /* sender's */
    struct hl_slice body; /* a view */
};

/* The first words between two nodes, both ways. */
struct hl_hello {
    bool reply;
    bool empty;  /* the sender's log and snapshots hold nothing yet */
    bool member; /* the sender knows the receiver as a member of its group */
    struct hl_slice name, raft_addr, client_addr;
    struct hl_slice refusal; /* why there will be no connection; "" when there will */
    uint32_t level; /* feature level that the sender understands, from 1 on; 0 is sent as 1 */
    hl_index members_index; /* committed entry that tells whether the receiver is one; 0: none */
    uint32_t peer_count;
    struct hl_slice peers[HL_MEMBERS_MAX]; /* names of the founders, the sender's own too */
};

struct hl_snap_chunk {
    hl_index index; /* of the label: which snapshot */
    hl_term term;
    uint64_t size;   /* of the whole file */
    uint64_t offset; /* of `bytes` in it */
    struct hl_slice bytes;
};

enum hl_snap_answer {
    HL_SNAP_MORE = 1,  /* send on from `offset` */
    HL_SNAP_INSTALLED, /* it replaced the state, or the state holds all of it already */
    HL_SNAP_REFUSED,   /* `why` says why; nothing has changed */
};

struct hl_snap_reply {
    hl_index index;
    hl_term term;
    uint64_t offset;
    enum hl_snap_answer answer;
    struct hl_slice why;
};

/* --- frames ----------------------------------------------------------------------------------- */

/* Begin a frame at the end of `out`: everything but length and checksums is taken from `frame`
 * (whose body is ignored).  Append the body, then call hl_wire_end() with the value returned. */
size_t hl_wire_begin(struct hl_buf *out, const struct hl_wire_frame *frame);

/* Seal the frame that begins at `start`; its body is at most HL_FRAME_BODY_MAX bytes (asserted). */
void hl_wire_end(struct hl_buf *out, size_t start);

/* Look at the HL_FRAME_HEADER bytes of a header alone: *body_len is how many bytes follow.
 * HL_ECORRUPT (not a header of ours, or damaged), HL_EVERSION: the connection is of no more use,
 * *msg says why. */
HL_MUST_USE hl_err hl_wire_peek(const char *bytes, struct hl_wire_frame *out, uint32_t *body_len,
                                struct hl_errmsg *msg);

/* Read one whole frame, which takes all of `bytes`.  Errors as hl_wire_peek(). */
HL_MUST_USE hl_err hl_wire_decode(struct hl_slice bytes, struct hl_wire_frame *out,
                                  struct hl_errmsg *msg);

/* --- bodies ----------------------------------------------------------------------------------- */

/* Append a body.  Texts are at most UINT16_MAX bytes. */
void hl_hello_encode(const struct hl_hello *hello, struct hl_buf *out);

/* Append a body; `bytes` is at most HL_SNAP_CHUNK_MAX. */
void hl_snap_chunk_encode(const struct hl_snap_chunk *chunk, struct hl_buf *out);

/* Append a body. */
void hl_snap_reply_encode(const struct hl_snap_reply *reply, struct hl_buf *out);

/* Read a body, of which `out` then holds views.  False, leaving *out alone, unless it is well
 * formed to its last byte. */
HL_MUST_USE bool hl_hello_decode(struct hl_slice body, struct hl_hello *out);

/* The same; also false when offset and length do not lie within the size. */
HL_MUST_USE bool hl_snap_chunk_decode(struct hl_slice body, struct hl_snap_chunk *out);

/* The same. */
HL_MUST_USE bool hl_snap_reply_decode(struct hl_slice body, struct hl_snap_reply *out);

#endif
