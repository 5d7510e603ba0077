/* One of the two servers under comparison, and a pipeline that goes to both at once. */
#ifndef COMPAT_DIFFERENTIAL_SIDE_H
#define COMPAT_DIFFERENTIAL_SIDE_H

#include "kit/bytes.h"
#include "resp/reader.h"
#include "stream.h"
#include "support/server.h"

#define REPLY_WAIT_MS_MAX 20000 /* without a byte from a server */

enum wire_state {
    WIRE_OK,      /* every reply arrived */
    WIRE_CLOSED,  /* the server closed the connection before */
    WIRE_GARBAGE, /* what arrived is not RESP */
    WIRE_SILENT,  /* nothing arrived for REPLY_WAIT_MS_MAX */
};

/* One connection and the replies of the pipeline that was last sent on it. */
struct wire {
    int fd;
    enum wire_state state;
    struct hl_buf in;
    struct hl_reader reader;
    size_t *ends; /* of each reply, in `in` */
    size_t count;
    size_t cap;
    size_t sent;
};

struct side {
    const char *program;
    bool logged; /* started with --appendonly yes */
    struct server *server;
    struct wire wires[CONNECTION_COUNT];
};

/* Start `program` (absolute path, borrowed for as long as the side is used), without connections.
 * `logged` asks for a log on disk, so that side_crash() loses nothing. */
void side_start(struct side *side, const char *program, bool logged);

/* Start it afresh when it has ended; prints the end of its log then.  True when it had. */
bool side_revive(struct side *side);

/* Close all connections and open new ones; the server starts each episode from nothing: no key, no
 * user but default, settings as at start. */
void side_reset(struct side *side);

/* Close all connections and open new ones, and nothing else. */
void side_reconnect(struct side *side);

/* Kill the server, start it again on its data, and open new connections. */
void side_crash(struct side *side);

/* End the server and release everything. */
void side_close(struct side *side);

/* Send `bytes`, which hold `count` commands, on connection `conn` of both sides, and wait until
 * each has answered all or failed: see wire_reply() and the wire's state. */
void exchange(struct side *a, struct side *b, int conn, struct hl_slice bytes, size_t count);

/* As exchange() for one command on one side. */
void side_call(struct side *side, int conn, struct hl_slice bytes);

/* Reply `index` of the last pipeline; valid until the next exchange().  Empty when it never came.
 */
struct hl_slice wire_reply(const struct wire *wire, size_t index);

/* Send `bytes` on a new connection, end our half, and append all that is answered to `out`. */
void raw_exchange(struct side *side, struct hl_slice bytes, struct hl_buf *out);

#endif
