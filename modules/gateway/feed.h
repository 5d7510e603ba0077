/* What the clients of /ws/cluster are told, and when: the tick.
 *
 * A thread of its own does nothing but post a tick to the gateway's thread while there are clients:
 * each asks the server for what happened, and whether the tokens still stand; every five seconds
 * for the figures that somebody listens to.  One question of a kind is under way at a time.
 */
#ifndef GATEWAY_FEED_H
#define GATEWAY_FEED_H

#include <stdbool.h>

/* Start the thread.  In OnLoad, behind the door; false when there is none. */
bool gw_feed_start(void);

/* End it; what is under way is still answered.  Before the door closes. */
void gw_feed_stop(void);

/* Do not wait for the next tick.  Any thread. */
void gw_feed_kick(void);

#endif
