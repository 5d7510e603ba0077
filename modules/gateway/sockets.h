/* The clients of /ws/cluster: who they are, what they want to hear, and telling them.
 *
 * Events of http come on its thread, messages leave from the gateway's, and the server's ends those
 * whose token does not stand any more: one lock guards the list, and nothing waits under it.
 *
 *   K1  at most GW_CLIENTS_MAX of them; one that takes no message when GW_UNTAKEN_MAX were due, or
 *       says more than GW_SAID_MAX between two ticks, is closed.
 *   K2  a client is told nothing after its token was found not to stand.
 */
#ifndef GATEWAY_SOCKETS_H
#define GATEWAY_SOCKETS_H

#include "feed_words.h"
#include "gateway.h"

#define GW_CLIENTS_MAX 64
#define GW_SAID_MAX 64
#define GW_UNTAKEN_MAX 3

/* A handler of http's thread (GW_RAW): take the client, or refuse it. */
void gw_sockets_accept(struct gw_call *call);

/* Whether there are any.  Any thread. */
bool gw_sockets_any(void);

/* Topics that somebody listens to; those of `now` are due to somebody at once. */
unsigned gw_sockets_topics(unsigned *now);

/* Tell everybody who listens to the topic, or only those to whom it is due at once.  The message is
 * {"type","timestamp","data"}; `data` is borrowed.  One who was told nothing yet gets the status
 * with the type "status", the others "status_update". */
void gw_sockets_tell(enum gw_topic topic, const char *type, const json_t *data, bool only_due);

/* A tick is over: they may say as much again. */
void gw_sockets_tick(void);

/* GATEWAY._WATCH, on the server's thread: close those whose token or permission is gone. */
int gw_cmd_watch(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

#endif
