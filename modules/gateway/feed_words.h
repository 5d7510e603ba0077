/* What clients of /ws/cluster say, and who may connect from a browser.  Pure. */
#ifndef GATEWAY_FEED_WORDS_H
#define GATEWAY_FEED_WORDS_H

#include "kit/bytes.h"

#include <stdbool.h>

#define GW_FEED_MESSAGE_MAX 4096 /* bytes of a message that is read */

/* What a client may be told of; a mask has 1u << topic. */
enum gw_topic {
    GW_TOPIC_STATUS = 0,
    GW_TOPIC_LATENCY,
    GW_TOPIC_UPTIME,
    GW_TOPIC_SNAPSHOT,
    GW_TOPIC_CUSTOM_METRICS,
    GW_TOPIC_STATE_CHANGES,
    GW_TOPIC_PEER_CHANGES,
};
#define GW_TOPICS 7
#define GW_TOPICS_ASKED 5 /* the first ones are fetched, the others happen */

/* "status" ... "peer_changes". */
const char *gw_topic_name(enum gw_topic topic);

enum gw_saying { GW_SAYS_NONSENSE = 0, GW_SAYS_PING, GW_SAYS_SUBSCRIBE, GW_SAYS_UNSUBSCRIBE };

struct gw_said {
    enum gw_saying saying;
    unsigned topics; /* of SUBSCRIBE and UNSUBSCRIBE */
    char why[120];   /* of NONSENSE */
};

/* Read {"type":"ping"}, or "subscribe" and "unsubscribe" with "data": an array of topics, or an
 * object of topic: true. */
struct gw_said gw_feed_read(struct hl_slice text);

/* Is `origin` ("https://host:port") the host that the request went to?  A page of another site may
 * not use a browser's rights here. */
bool gw_is_same_origin(struct hl_slice origin, struct hl_slice host);

#endif
