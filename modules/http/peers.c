/* Connections by address. */
#include "peers.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <string.h>

/* The place that points to the address's entry, or to NULL at the end of its chain. */
static struct peer **find(struct peers *peers, const unsigned char address[16])
{
    uint32_t hash = peers->seed ^ 2166136261u;
    for (size_t i = 0; i < 16; i++) {
        hash = (hash ^ address[i]) * 16777619u; /* FNV-1a, from a secret beginning */
    }
    struct peer **at = &peers->slots[(hash ^ hash >> 16) % PEERS_SLOTS];
    while (*at != NULL && memcmp((*at)->address, address, 16) != 0) {
        at = &(*at)->next;
    }
    return at;
}

bool peers_enter(struct peers *peers, const unsigned char address[16], uint32_t max)
{
    struct peer **at = find(peers, address);
    if (*at == NULL) {
        struct peer *peer = hl_calloc(1, sizeof *peer);
        memcpy(peer->address, address, 16);
        *at = peer;
    }
    if ((*at)->connections >= max) {
        return false; /* max is at least 1: the entry existed */
    }
    (*at)->connections++;
    return true;
}

void peers_leave(struct peers *peers, const unsigned char address[16])
{
    struct peer **at = find(peers, address);
    HL_ASSERT(*at != NULL);
    HL_ASSERT((*at)->connections > 0);
    if (--(*at)->connections == 0) {
        struct peer *gone = *at;
        *at = gone->next;
        hl_free(gone);
    }
}
