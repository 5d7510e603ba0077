/* Readers: what a node that does not lead may show, and when (PROTOCOL section 5). */
#include "node/admit.h"
#include "node/node_internal.h"
#include "raft/mutant.h"

#define READ_WAIT_US 5000000 /* that a read waits for the leader to confirm it */

/* Changes when a reader that waits may find that it need not any more. */
static uint64_t readers_due(const struct hl_node *node)
{
    const struct hl_cluster *c = &node->cluster;
    return c->read_done + c->read_failed + node->last + (node->last > node->commit) + c->fresh_us;
}

/* A leader's word says how fresh the state is once it holds all that was committed then: what the
 * message says, and something of the leader's own term, before which it does not know itself. */
static void settle_contact(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    hl_index commit = 0;
    uint64_t at_us = hl_raft_contact_us(&node->raft, &commit);
    bool outdated = c->contact.at_us == 0 || c->contact.term < c->term;
    if (at_us != c->contact_seen_us && outdated && c->leader != 0) {
        c->contact_seen_us = at_us;
        c->contact.at_us = at_us;
        c->contact.commit = commit;
        c->contact.term = c->term;
    }
    hl_term term = 0;
    if (c->contact.at_us != 0 && node->last >= c->contact.commit &&
        hl_replica_term_at(node, node->last, &term) && term == c->contact.term) {
        c->fresh_us = c->contact.at_us;
        c->contact.at_us = 0;
    }
}

enum hl_consistency hl_session_consistency(const struct hl_node *node,
                                           const struct hl_session *session)
{
    return session->own_consistency ? (enum hl_consistency)session->consistency
                                    : node->config.cluster.follower_reads;
}

/* Is what this node has applied fresh enough for the session, without asking the leader? */
static bool is_fresh(const struct hl_node *node, const struct hl_session *session)
{
    hl_index ignored = 0;
    uint64_t fresh_us =
        HL_MUTANT(ANY_CONTACT) ? hl_raft_contact_us(&node->raft, &ignored) : node->cluster.fresh_us;
    uint64_t bound_us =
        session->own_consistency ? session->read_bound_us : node->config.cluster.read_bound_us;
    uint64_t token =
        session->read_token > session->last_gate ? session->read_token : session->last_gate;
    switch (hl_session_consistency(node, session)) {
    case HL_READ_STALE:
        return true;
    case HL_READ_SESSION:
        return node->last >= token || HL_MUTANT(NO_TOKEN);
    case HL_READ_BOUNDED:
        return fresh_us != 0 && node->mark_us - fresh_us <= bound_us;
    case HL_READ_LINEARIZABLE:
        break;
    }
    return false;
}

/* Had the whole of this request arrived when the session last asked for a proof?  Then that one
 * says of it, too, that this node is up to date; but not of what the session did since then
 * elsewhere (hl_replica_forget_reader()). */
static bool is_covered(const struct hl_node *node, const struct hl_session *session)
{
    bool arrived =
        session->net_in - session->behind <= session->read_upto || HL_MUTANT(LONG_PROOF);
    return session->read_upto != 0 && arrived && session->read_shared > node->cluster.read_failed;
}

static void become_reader(struct hl_node *node, struct hl_session *session, bool ask)
{
    uint64_t id = UINT64_MAX;
    if (ask && is_covered(node, session)) {
        id = session->read_shared;
    } else if (ask) {
        id = hl_replica_read(node);
        session->read_shared = id;
        session->read_upto = session->net_in;
    }
    if (session->read_id == 0 && id != 0) {
        session->read_since_us = node->mark_us;
        node->cluster.readers++;
    }
    session->read_id = id;
}

/* It waits no longer; the proof it has may serve what came with the request. */
static void reader_served(struct hl_node *node, struct hl_session *session)
{
    if (session->read_id != 0) {
        session->read_id = 0;
        node->cluster.readers--;
    }
}

bool hl_replica_postpones(struct hl_node *node, struct hl_session *session,
                          const struct hl_command *cmd)
{
    struct hl_cluster *c = &node->cluster;
    bool queued =
        (session->flags & HL_SESSION_MULTI) != 0 && (cmd->flags & HL_CMD_RUNS_IN_MULTI) == 0;
    if (!c->live || node->loading || queued || !hl_reveals(cmd) ||
        (session->flags & HL_SESSION_INTERNAL) != 0 || hl_admit_writes(node, session, cmd)) {
        reader_served(node, session);
        return c->handing && hl_admit_writes(node, session, cmd);
    }
    if (c->stop.told) { /* hl_admit() says so */
        hl_replica_forget_reader(node, session);
        return false;
    }
    bool ask = hl_session_consistency(node, session) == HL_READ_LINEARIZABLE || c->handing;
    if (session->read_id == 0 || session->read_id <= c->read_failed) {
        become_reader(node, session, ask);
    }
    bool reached = node->last >= c->read_index || HL_MUTANT(READ_BEHIND);
    bool confirmed =
        ask ? session->read_id <= c->read_done && reached && !c->inherits : is_fresh(node, session);
    bool clean = node->last <= node->commit || c->handing || HL_MUTANT(SHOWS_TAIL);
    if (!confirmed || !clean) {
        return node->mark_us - session->read_since_us < READ_WAIT_US;
    }
    reader_served(node, session);
    return false;
}

void hl_replica_forget_reader(struct hl_node *node, struct hl_session *session)
{
    reader_served(node, session);
    session->read_upto = 0;
}

void hl_readers_look(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    settle_contact(node);
    if (c->readers != 0 && c->readers_due != readers_due(node)) {
        c->readers_due = readers_due(node);
        hl_resume_postponed(node);
    }
}
