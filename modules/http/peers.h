/* How many connections each address has: a chained table that is as large as what it holds. */
#ifndef HTTP_PEERS_H
#define HTTP_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#define PEERS_SLOTS 1024 /* chains; the number of connections is bounded by the caller */

struct peer {
    struct peer *next;
    unsigned char address[16]; /* IPv6, or IPv4 mapped into it */
    uint32_t connections;
};

/* All zero is an empty table. */
struct peers {
    struct peer *slots[PEERS_SLOTS];
    uint32_t seed; /* of the hash: strangers choose addresses */
};

/* Count one more connection unless the address has `max`; false then. */
bool peers_enter(struct peers *peers, const unsigned char address[16], uint32_t max);

/* Count one less. */
void peers_leave(struct peers *peers, const unsigned char address[16]);

#endif
