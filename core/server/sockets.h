/* Sockets: the system calls of connections and listeners, TLS or not. */
#ifndef HL_SERVER_SOCKETS_H
#define HL_SERVER_SOCKETS_H

#include "server/conn.h"

#include <sys/types.h>

/* As read(2) of the connection's plain bytes: -1 and errno on failure, EAGAIN when nothing waits.
 */
ssize_t hl_socket_read(struct hl_conn *conn, char *into, size_t room);

/* As write(2) of the connection's plain bytes. */
ssize_t hl_socket_write(struct hl_conn *conn, const char *bytes, size_t len);

/* Spell the peer's and our address as "ip:port" ("path:0" for a Unix socket) into two buffers of
 * `size` bytes. */
void hl_socket_names(int fd, bool local, char *addr, char *laddr, size_t size);

#endif
