/* A client's connection: its socket, its input, and the session that acts for it. */
#ifndef HL_SERVER_CONN_H
#define HL_SERVER_CONN_H

#include "server/server.h"

/* A request that CLIENT PAUSE holds back: an owned copy. */
struct hl_postponed {
    int argc;
    struct hl_slice *argv; /* one block with the bytes behind it; NULL: none */
};

struct hl_tls;

struct hl_conn {
    uv_poll_t poll;
    int fd;
    int events; /* what `poll` waits for */
    struct hl_server *server;
    struct hl_session *session;
    struct hl_parser parser;
    struct hl_buf in; /* input not yet executed */
    struct hl_postponed postponed;
    struct hl_list_node all, output, resume;
    bool ended; /* the peer will send no more; what it is owed still leaves */
    bool closing;
    bool paused;           /* limits.c: it reads too little of what it is sent */
    int64_t soft_since_ms; /* limits.c: since when it is above its soft limit; 0: it is not */
    struct hl_tls *tls;    /* NULL without TLS */
    bool tls_more;         /* the engine holds plaintext, or its end, that was not read */
};

#endif
