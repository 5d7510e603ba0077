/* Members: who belongs to the group, where they are reached, and who votes.
 *
 * The body of a CFG entry, and a table of every snapshot.  Little-endian:
 *
 *     u32 format version, u32 count, then for each member
 *     u64 node id, u8 1 for a voter, 0 for a learner,
 *     three texts (name, Raft address, client address): u16 length and bytes
 *
 * Invariants (hl_members_decode() refuses what breaks them):
 *   M1  ids are not 0 and differ from one another.
 *   M2  no text holds a control character or a space: they appear in replies and in logs.
 *   M3  at most HL_MEMBERS_MAX members; of them at most HL_RAFT_VOTERS_MAX vote.
 */
#ifndef HL_NODE_MEMBERS_H
#define HL_NODE_MEMBERS_H

#include "kit/bytes.h"
#include "raft/raft.h"

#define HL_MEMBERS_MAX 16
#define HL_MEMBERS_VERSION 1
#define HL_MEMBER_NAME_MAX 63  /* bytes of a name */
#define HL_MEMBER_ADDR_MAX 255 /* bytes of an address: host:port */

/* Texts are NUL-terminated; "" when not known. */
struct hl_member {
    hl_peer id;
    bool voter; /* learner otherwise */
    char name[HL_MEMBER_NAME_MAX + 1];
    char raft_addr[HL_MEMBER_ADDR_MAX + 1];
    char client_addr[HL_MEMBER_ADDR_MAX + 1];
};

struct hl_members {
    uint32_t count;
    struct hl_member at[HL_MEMBERS_MAX];
};

/* The member of this id, or NULL; valid while `members` is. */
const struct hl_member *hl_members_find(const struct hl_members *members, hl_peer id);

/* Add or replace a member.  A text that is too long or malformed (M2), an id of 0 or one member too
 * many is HL_EINVAL, and nothing has changed. */
HL_MUST_USE hl_err hl_members_put(struct hl_members *members, hl_peer id, bool voter,
                                  struct hl_slice name, struct hl_slice raft_addr,
                                  struct hl_slice client_addr);

/* Remove a member; false when there is none of this id. */
bool hl_members_remove(struct hl_members *members, hl_peer id);

/* How many vote. */
uint32_t hl_members_voters(const struct hl_members *members);

/* Append the encoding. */
void hl_members_encode(const struct hl_members *members, struct hl_buf *out);

/* Read an encoding that takes all of `body`.  HL_ECORRUPT or, for another version, HL_EVERSION with
 * the reason in *msg; *out is then untouched. */
HL_MUST_USE hl_err hl_members_decode(struct hl_slice body, struct hl_members *out,
                                     struct hl_errmsg *msg);

#endif
