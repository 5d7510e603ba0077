/* How many connections each address has: a chained table that is as large as what it holds. */
#ifndef NET_PEERS_H
#define NET_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#define NET_PEERS_SLOTS 1024 /* chains; the number of connections is bounded by the caller */

struct net_peer {
    struct net_peer *next;
    unsigned char address[16]; /* IPv6, or IPv4 mapped into it */
    uint32_t connections;
};

/* All zero is an empty table. */
struct net_peers {
    struct net_peer *slots[NET_PEERS_SLOTS];
    uint32_t seed; /* of the hash: strangers choose addresses */
};

/* Count one more connection unless the address has `max`; false then. */
bool net_peers_enter(struct net_peers *peers, const unsigned char address[16], uint32_t max);

/* Count one less. */
void net_peers_leave(struct net_peers *peers, const unsigned char address[16]);

#endif
