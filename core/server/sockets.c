#include "server/sockets.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/secure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 1000

ssize_t hl_socket_read(struct hl_conn *conn, char *into, size_t room)
{
    return conn->tls != NULL ? hl_secure_read(conn, into, room) : recv(conn->fd, into, room, 0);
}

ssize_t hl_socket_write(struct hl_conn *conn, const char *bytes, size_t len)
{
    return conn->tls != NULL ? hl_secure_write(conn, bytes, len)
                             : send(conn->fd, bytes, len, MSG_NOSIGNAL);
}

static void spell(const struct sockaddr_storage *address, char *out, size_t size)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        (void)inet_ntop(AF_INET, &in->sin_addr, ip, sizeof ip);
        (void)snprintf(out, size, "%s:%d", ip, ntohs(in->sin_port));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof ip);
        (void)snprintf(out, size, "[%s]:%d", ip, ntohs(in6->sin6_port));
    } else {
        (void)snprintf(out, size, "?:0");
    }
}

void hl_socket_names(int fd, bool local, char *addr, char *laddr, size_t size)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    if (local) {
        struct sockaddr_un *un = (struct sockaddr_un *)(void *)&address;
        (void)getsockname(fd, (struct sockaddr *)&address, &len);
        (void)snprintf(addr, size, "%.50s:0", un->sun_path);
        (void)snprintf(laddr, size, "%.50s:0", un->sun_path);
        return;
    }
    if (getpeername(fd, (struct sockaddr *)&address, &len) == 0) {
        spell(&address, addr, size);
    }
    len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) == 0) {
        spell(&address, laddr, size);
    }
}

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
    }
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == 127);
    }
    return true; /* a Unix socket */
}

/* A client that expects TLS could not read the text. */
static void refuse(int fd, const struct hl_listener *listener, const char *text)
{
    listener->server->node->stats.rejected_connections++;
    if (listener->kind != HL_LISTEN_TLS) {
        (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
    }
    (void)close(fd);
}

static const char protected_text[] =
    "-DENIED Redis is running in protected mode because protected mode is enabled and no password "
    "is set for the default user. In this mode connections are only accepted from the loopback "
    "interface. To connect from elsewhere: set a password (CONFIG SET requirepass), or bind to the "
    "right interface and turn protected mode off (CONFIG SET protected-mode no).\r\n";

/* True when the connection may go on; otherwise it was refused and closed. */
static bool may_connect(const struct hl_listener *listener, int fd,
                        const struct sockaddr_storage *peer)
{
    const struct hl_server *server = listener->server;
    const struct hl_server_options *options = hl_server_options(server);
    if (server->connection_count >= (size_t)options->maxclients) {
        refuse(fd, listener, "-ERR max number of clients reached\r\n");
        return false;
    }
    if (options->protected_mode && !is_loopback(peer) && hl_server_is_open(server)) {
        refuse(fd, listener, protected_text);
        return false;
    }
    return true;
}

static void set_tcp_options(int fd, int keepalive_s)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (keepalive_s > 0) {
        int third = keepalive_s / 3 > 0 ? keepalive_s / 3 : 1;
        int probes = 3;
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_s, sizeof keepalive_s);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &third, sizeof third);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    }
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct hl_listener *listener = poll->data;
    struct hl_server *server = listener->server;
    hl_server_enter(server);
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof peer;
        int fd =
            accept4(listener->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return; /* EAGAIN, or out of descriptors: the next turn tries again */
        }
        if (listener->kind != HL_LISTEN_UNIX) {
            set_tcp_options(fd, hl_server_options(server)->tcp_keepalive_s);
        }
        if (may_connect(listener, fd, &peer)) {
            hl_conn_accept(server, fd, listener);
        }
    }
}

static void add_listener(struct hl_server *server, int fd, enum hl_listener_kind kind)
{
    struct hl_listener *listener = hl_calloc(1, sizeof *listener);
    *listener = (struct hl_listener){.fd = fd, .kind = kind, .server = server};
    server->listeners[server->listener_count++] = listener;
    listener->poll.data = listener;
    int rc = uv_poll_init(&server->loop, &listener->poll, fd);
    HL_ASSERT(rc == 0);
    (void)uv_poll_start(&listener->poll, UV_READABLE, on_connection);
}

static hl_err listen_tcp(struct hl_server *server, const char *address, int port,
                         enum hl_listener_kind kind, struct hl_errmsg *msg)
{
    char service[16];
    (void)snprintf(service, sizeof service, "%d", port);
    const char *host = strcmp(address, "*") == 0 ? "0.0.0.0" : address;
    host = strcmp(address, "::*") == 0 ? "::" : host;
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        return hl_fail(msg, HL_EIO, "cannot bind to '%s': %s", address, gai_strerror(rc));
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (found->ai_family == AF_INET6) {
            (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        }
    }
    hl_err err = HL_OK;
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 ||
        listen(fd, server->options.backlog) != 0) {
        err =
            hl_fail(msg, HL_EIO, "cannot listen on %s port %d: %s", address, port, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
    } else {
        add_listener(server, fd, kind);
    }
    freeaddrinfo(found);
    return err;
}

static hl_err listen_unix(struct hl_server *server, const struct hl_server_options *options,
                          struct hl_errmsg *msg)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(options->unixsocket) >= sizeof address.sun_path) {
        return hl_fail(msg, HL_EINVAL, "unixsocket: the path is longer than %zu bytes",
                       sizeof address.sun_path - 1);
    }
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", options->unixsocket);
    (void)unlink(options->unixsocket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, options->backlog) != 0) {
        hl_err err =
            hl_fail(msg, HL_EIO, "cannot listen on %s: %s", options->unixsocket, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return err;
    }
    if (options->unixsocket_perm != 0) {
        (void)chmod(options->unixsocket, (mode_t)options->unixsocket_perm);
    }
    add_listener(server, fd, HL_LISTEN_UNIX);
    return HL_OK;
}

/* Listen on all addresses at the port of one kind; 0 is none. */
static hl_err listen_all(struct hl_server *server, enum hl_listener_kind kind,
                         struct hl_errmsg *msg)
{
    const struct hl_server_options *options = &server->options;
    int port = kind == HL_LISTEN_TLS ? options->tls_port : options->port;
    for (int i = 0; port != 0 && i < options->bind_count; i++) {
        const char *address = options->bind[i];
        bool optional = address[0] == '-';
        if (server->listener_count == HL_LISTENERS_MAX - 1) {
            return hl_fail(msg, HL_ELIMIT, "more than %d addresses to bind", HL_LISTENERS_MAX - 1);
        }
        hl_err err = listen_tcp(server, address + optional, port, kind, msg);
        if (err != HL_OK && !optional) {
            return err;
        }
    }
    return HL_OK;
}

hl_err hl_listen(struct hl_server *server, struct hl_errmsg *msg)
{
    hl_err err = listen_all(server, HL_LISTEN_TCP, msg);
    if (err == HL_OK) {
        err = listen_all(server, HL_LISTEN_TLS, msg);
    }
    if (err == HL_OK && server->options.unixsocket != NULL) {
        err = listen_unix(server, &server->options, msg);
    }
    if (err == HL_OK && server->listener_count == 0) {
        err = hl_fail(msg, HL_EIO,
                      "nothing to listen on: no address could be bound and no Unix "
                      "socket is set");
    }
    return err;
}

static void free_listener(uv_handle_t *handle)
{
    hl_free(handle->data);
}

static void close_listener(struct hl_listener *listener)
{
    uv_close((uv_handle_t *)&listener->poll, free_listener); /* first: it still uses the fd */
    (void)close(listener->fd);
}

/* Close those of one kind. */
static void close_kind(struct hl_server *server, enum hl_listener_kind kind)
{
    int kept = 0;
    for (int i = 0; i < server->listener_count; i++) {
        struct hl_listener *listener = server->listeners[i];
        if (listener->kind == kind) {
            close_listener(listener);
        } else {
            server->listeners[kept++] = listener;
        }
    }
    server->listener_count = kept;
}

hl_err hl_listen_again(struct hl_server *server, enum hl_listener_kind kind, struct hl_errmsg *msg)
{
    close_kind(server, kind);
    return listen_all(server, kind, msg);
}

void hl_listen_stop(struct hl_server *server)
{
    close_kind(server, HL_LISTEN_TCP);
    close_kind(server, HL_LISTEN_TLS);
    close_kind(server, HL_LISTEN_UNIX);
}
