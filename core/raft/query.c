/* What others may ask: nothing here changes anything. */
#include "kit/assert.h"
#include "raft/internal.h"

enum hl_raft_role hl_raft_role(const struct hl_raft *raft)
{
    return raft->role;
}

hl_term hl_raft_term(const struct hl_raft *raft)
{
    return raft->term;
}

hl_peer hl_raft_leader(const struct hl_raft *raft)
{
    return raft->leader;
}

hl_index hl_raft_last(const struct hl_raft *raft)
{
    return raft->log.last;
}

hl_index hl_raft_durable(const struct hl_raft *raft)
{
    return raft->durable;
}

hl_index hl_raft_commit(const struct hl_raft *raft)
{
    return raft->commit;
}

bool hl_raft_term_at(const struct hl_raft *raft, hl_index index, hl_term *term)
{
    return hl_terms_at(&raft->log, index, term);
}

bool hl_raft_may_propose(const struct hl_raft *raft)
{
    return raft->role == HL_RAFT_LEADER && raft->transfer_to == 0;
}

bool hl_raft_is_voter(const struct hl_raft *raft)
{
    return hl_raft_has_voter(raft, raft->self);
}

hl_peer hl_raft_transfer_to(const struct hl_raft *raft)
{
    return raft->transfer_to;
}

bool hl_raft_barred(const struct hl_raft *raft)
{
    return raft->barred;
}

uint64_t hl_raft_contact_us(const struct hl_raft *raft, hl_index *commit)
{
    *commit = raft->contact_commit;
    return raft->contact_us;
}

bool hl_raft_peer_status(const struct hl_raft *raft, hl_peer id, struct hl_raft_peer_status *out)
{
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        const struct hl_raft_peer *peer = &raft->peers[i];
        if (peer->id != id) {
            continue;
        }
        *out = (struct hl_raft_peer_status){
            .voter = peer->voter,
            .barred = peer->barred,
            .state = peer->state,
            .match = peer->match,
            .next = peer->next,
            .in_flight = peer->window_count,
            .heard_us = peer->heard_us,
            .caught_up = peer->state == HL_RAFT_REPLICATE && !peer->barred &&
                         peer->round_took_us <= raft->election_us,
        };
        return true;
    }
    return false;
}
