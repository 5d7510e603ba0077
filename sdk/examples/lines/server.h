/* A server of lines on a thread of its own: what a client sends is executed, what comes of it is
 * sent back.  Everything but lines_start() and lines_stop() happens on that thread. */
#ifndef LINES_SERVER_H
#define LINES_SERVER_H

#include "helios/extensions.h"
#include "helios/module.h"

#define LINES_CLIENTS_MAX 64
#define LINES_LINE_MAX 4096  /* bytes of a request */
#define LINES_WORDS_MAX 64   /* of one line */
#define LINES_COMMANDS_MAX 8 /* of one line, between semicolons */

struct lines;

/* Listen on 127.0.0.1 (port 0: any) and serve as `user`, a copied name.  The caller ends it with
 * lines_stop().  NULL with errno when there is no socket or thread to be had. */
struct lines *lines_start(RedisModuleCtx *ctx, int port, const char *user, size_t user_len);

/* On the server's thread: end the thread, the clients' connections and the executor. */
void lines_stop(struct lines *lines);

/* The port it listens on. */
int lines_port(const struct lines *lines);

#endif
