/* Connections by address. */
#include "net/peers.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <string.h>

/* The place that points to the address's entry, or to NULL at the end of its chain. */
static struct net_peer **find(struct net_peers *peers, const unsigned char address[16])
{
    uint32_t hash = peers->seed ^ 2166136261u;
    for (size_t i = 0; i < 16; i++) {
        hash = (hash ^ address[i]) * 16777619u; /* FNV-1a, from a secret beginning */
    }
    struct net_peer **at = &peers->slots[(hash ^ hash >> 16) % NET_PEERS_SLOTS];
    while (*at != NULL && memcmp((*at)->address, address, 16) != 0) {
        at = &(*at)->next;
    }
    return at;
}

bool net_peers_enter(struct net_peers *peers, const unsigned char address[16], uint32_t max)
{
    struct net_peer **at = find(peers, address);
    if (*at == NULL) {
        struct net_peer *peer = hl_calloc(1, sizeof *peer);
        memcpy(peer->address, address, 16);
        *at = peer;
    }
    if ((*at)->connections >= max) {
        return false; /* max is at least 1: the entry existed */
    }
    (*at)->connections++;
    return true;
}

void net_peers_leave(struct net_peers *peers, const unsigned char address[16])
{
    struct net_peer **at = find(peers, address);
    HL_ASSERT(*at != NULL);
    HL_ASSERT((*at)->connections > 0);
    if (--(*at)->connections == 0) {
        struct net_peer *gone = *at;
        *at = gone->next;
        hl_free(gone);
    }
}
