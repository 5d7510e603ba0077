/* Feature levels: what entries and snapshots may hold (PROTOCOL section 10).
 *
 * Every entry carries the level of its group when it was made; a server reads entries up to the
 * level that it was built for, and refuses those above with a message.  A group begins at the
 * lowest level among its founders.  After a rolling upgrade it stays where it is, so that the
 * upgrade can be taken back, until RAFT.FINALIZE raises the level to what the lowest member
 * understands: an entry like any other, which carries the new level itself.  The level never falls,
 * but with entries that are undone.
 *
 *   1  everything but what follows
 *   2  entries of type SCRUB (scrub.h)
 */
#ifndef HL_NODE_LEVEL_H
#define HL_NODE_LEVEL_H

#include "node/members.h"

#include <stdint.h>

#define HL_LEVEL_SCRUB 2
#define HL_FEATURE_LEVEL 2 /* that this build understands */

struct hl_node;

/* Part of struct hl_cluster. */
struct hl_levels {
    uint32_t now; /* of the group, as of what was applied; 0: nothing said so yet */
    struct {
        hl_peer peer;
        uint32_t level; /* that its build understands */
    } peers[32];
    uint32_t next; /* place to forget when all are taken */
};

/* What this server understands: HL_FEATURE_LEVEL, or what a test says. */
uint32_t hl_level_own(const struct hl_node *node);

/* What entries made now carry. */
uint32_t hl_level_now(const struct hl_node *node);

/* An entry or snapshot of this level was taken into the state. */
void hl_level_seen(struct hl_node *node, uint32_t level);

/* A peer said what it understands. */
void hl_node_peer_level(struct hl_node *node, hl_peer peer, uint32_t level);

/* What a peer last said, or 0. */
uint32_t hl_level_of(const struct hl_node *node, hl_peer peer);

#endif
