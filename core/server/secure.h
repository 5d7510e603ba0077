/* TLS on the client port: the context that the settings describe, and the bytes of connections. */
#ifndef HL_SERVER_SECURE_H
#define HL_SERVER_SECURE_H

#include "server/conn.h"

#include <sys/types.h>

#define HL_SECURE_HANDSHAKE_MS_MAX 10000 /* to prove who one is */
#define HL_SECURE_TURN_US_MAX 10000      /* of handshakes in one iteration of the loop */

/* Read certificate, key and rules again, when there is a TLS port.  New connections use them; on
 * failure the old ones stay in use and `msg` says what is wrong.  HL_EINVAL or HL_EIO. */
HL_MUST_USE hl_err hl_secure_load(struct hl_server *server, struct hl_errmsg *msg);

/* Forget the context.  Connections go on. */
void hl_secure_unload(struct hl_server *server);

/* As hl_socket_read(): shakes hands first.  EPROTO when the peer broke the rules, EAGAIN also when
 * this iteration has spent enough on handshakes. */
ssize_t hl_secure_read(struct hl_conn *conn, char *into, size_t room);

/* As hl_socket_write(): what it took may wait in the engine, see hl_secure_waits(). */
ssize_t hl_secure_write(struct hl_conn *conn, const char *bytes, size_t len);

/* Send what waits.  False when the connection broke. */
bool hl_secure_flush(struct hl_conn *conn);

/* True while ciphertext waits to be sent. */
bool hl_secure_waits(const struct hl_conn *conn);

/* Say goodbye, as far as the socket takes it, and release the engine.  Without one, nothing. */
void hl_secure_end(struct hl_conn *conn);

#endif
