/* Consensus as arithmetic: events in, a list of things to do out.
 *
 * This library never reads a clock, sends, writes or logs.  It never sees the bytes of an entry
 * either: it knows entries by (index, term), and the node keeps the bytes in the log.  So every run
 * is a function of its events, and a failure is reproduced by replaying them.
 *
 * One owner drives it:
 *
 *     err = hl_raft_step(raft, &event, &ready);     then do what `ready` says, in its order
 *
 * and three habits make it go: step ON_FLUSH at the end of a loop iteration while ready.flush is
 * set (entries, heartbeats and read rounds of one iteration leave together), ON_TICK when
 * ready.wake_us has come, ON_SAVED and ON_DURABLE when the disk is done.
 *
 * A standalone server is a group of one voter on this same path: it elects itself, and what is
 * durable on its own disk is committed.
 *
 * Invariants (hl_raft_check(), after every step):
 *   R1  base <= commit <= last, and durable <= last.
 *   R2  term never decreases, and vote changes at most once within a term.
 *   R3  commit never decreases; a leader moves it only to entries of its own term (Raft 5.4.2).
 *   R4  a leader's first entry of a term is its no-op, and its last entry is of its term.
 *   R5  a leader or candidate has saved its term and vote, unless it is alone in the group.
 *   R6  a barred server does not lead; with a damaged log (barred_until) it only follows.
 *   R7  a leader has one peer for each other member, and match < next, match <= last for each.
 *   R8  the configuration in force is the newest of the log; configurations ascend in index.
 *   R9  at most HL_RAFT_WINDOW messages of entries to a peer are unacknowledged.
 */
#ifndef HL_RAFT_RAFT_H
#define HL_RAFT_RAFT_H

#include "base/ids.h"
#include "base/rng.h"
#include "base/terms.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t hl_peer; /* server id, random, never reused; 0 is "none" */

#define HL_RAFT_MEMBERS_MAX 16 /* voters and learners together */
#define HL_RAFT_VOTERS_MAX 9
#define HL_RAFT_RUNS_MAX 4       /* terms in one APPEND: a sender cuts there */
#define HL_RAFT_WINDOW 64        /* unacknowledged messages of entries to one peer */
#define HL_RAFT_BURST 4          /* of these, sent to one peer in one step */
#define HL_RAFT_ROUNDS 16        /* read rounds in flight; later reads share the next */
#define HL_RAFT_MESSAGES_MAX 128 /* of one step */
#define HL_RAFT_NEVER UINT64_MAX /* ready.wake_us: nothing to wait for */
#define HL_RAFT_NUMBER_MAX                                                                         \
    (UINT64_MAX >> 2) /* indexes and terms of peers above it are nonsense                          \
                       */

struct hl_raft_member {
    hl_peer id;
    bool voter; /* learner otherwise */
};

/* Who is in the group.  `count` is 0 on a server that has not been told yet. */
struct hl_raft_config {
    uint32_t count;
    struct hl_raft_member members[HL_RAFT_MEMBERS_MAX];
};

/* A configuration and the entry (or snapshot) that holds it. */
struct hl_raft_config_entry {
    hl_index index;
    struct hl_raft_config config;
};

enum hl_raft_role {
    HL_RAFT_FOLLOWER = 1, /* learners are followers that never campaign */
    HL_RAFT_PRE_CANDIDATE,
    HL_RAFT_CANDIDATE,
    HL_RAFT_LEADER,
};

enum hl_raft_msg_type {
    HL_RAFT_PRE_VOTE = 1,
    HL_RAFT_PRE_VOTE_REPLY,
    HL_RAFT_VOTE,
    HL_RAFT_VOTE_REPLY,
    HL_RAFT_APPEND, /* also the heartbeat: last == prev */
    HL_RAFT_APPEND_REPLY,
    HL_RAFT_TIMEOUT_NOW,
    HL_RAFT_READ,
    HL_RAFT_READ_REPLY,
};

/* One struct for all; unused fields are zero.  A message is a peer's input: hl_raft_step() ignores
 * those whose fields contradict each other or what is known, and never asserts on them.
 *
 *   PRE_VOTE         term (the one it would campaign in), last, last_term
 *   PRE_VOTE_REPLY   granted: term as asked, barred; reject: the voter's own term
 *   VOTE             term, last, last_term, transfer
 *   VOTE_REPLY       term, reject, barred
 *   APPEND           term, prev, prev_term, last, runs, commit, round; prev + 1 .. last follow
 *   APPEND_REPLY     term, round, barred, match (durable), last (verified, perhaps not durable);
 *                    or reject with prev (the one refused), hint, hint_term
 *   TIMEOUT_NOW      term
 *   READ             term, read_id, round (the asker's nonce, echoed), barred
 *   READ_REPLY       term, read_id, round, read_index (0 with reject: ask again)
 */
struct hl_raft_msg {
    enum hl_raft_msg_type type;
    hl_peer from, to;
    hl_term term;
    hl_index prev; /* the entry before the first */
    hl_term prev_term;
    hl_index last; /* APPEND: entries prev + 1 .. last; votes: the candidate's last */
    hl_term last_term;
    hl_index commit; /* the leader's; a follower uses min(commit, last) */
    uint64_t round;  /* of check-quorum, ReadIndex and lease */
    hl_index match;
    hl_index hint;     /* the largest index at most prev whose term is at most prev_term ... */
    hl_term hint_term; /* ... and its term */
    uint64_t read_id;
    hl_index read_index;
    bool reject;
    bool transfer; /* VOTE by TIMEOUT_NOW: not subject to stickiness */
    bool barred;   /* the sender may have lost what it acknowledged before its start */
    uint32_t run_count;
    struct hl_term_run runs[HL_RAFT_RUNS_MAX]; /* of prev + 1 .. last; the first from prev + 1 */
    /* Of a received APPEND only: the configuration that its CFG entry holds, and which entry that
     * is (0: none).  The receiving node decodes it, borrowed for the step.  A sender puts at most
     * one CFG entry into a message, so a frame with more is malformed. */
    hl_index config_index;
    const struct hl_raft_config *config;
};

enum hl_raft_event_type {
    HL_RAFT_ON_START = 1, /* the first event: campaign at once when alone */
    HL_RAFT_ON_TICK,      /* time passed; needed when ready.wake_us has come */
    HL_RAFT_ON_FLUSH,     /* the iteration ends: send what waits (ready.flush) */
    HL_RAFT_ON_PROPOSE,   /* the node appended `count` entries of the term at last + 1 .. */
    HL_RAFT_ON_CONFIG,    /* the node is about to append a CFG entry at last + 1 */
    HL_RAFT_ON_DURABLE,   /* everything up to (index, term) is on the local disk */
    HL_RAFT_ON_SAVED,     /* this hard state (term, vote) is on the local disk */
    HL_RAFT_ON_MESSAGE,   /* from a peer whose identity the node has checked */
    HL_RAFT_ON_READ,      /* reads up to `id` wait: confirm leadership, or ask the leader */
    HL_RAFT_ON_TRANSFER,  /* hand leadership to `peer` (0: the most caught-up voter) */
    HL_RAFT_ON_RESIGN,    /* step down now, and do not campaign before `not_before_us` */
    HL_RAFT_ON_COMPACTED, /* the log starts after `index` now: a snapshot holds the rest */
    HL_RAFT_ON_INSTALLED, /* a received snapshot is whole, verified and about to replace the state
                           */
    HL_RAFT_ON_SNAPSHOT_SENT, /* `peer` has installed the snapshot up to `index`, or it failed */
    HL_RAFT_ON_UNREACHABLE,   /* the connection to `peer` broke: probe it again */
};

struct hl_raft_event {
    enum hl_raft_event_type type;
    uint64_t now_us; /* monotonic, counting suspension; 0 or smaller than before: as before */
    union {
        struct {
            /* What a peer that still owes an answer for entries would be sent, but a heartbeat, may
             * wait: for its answer, or for the next flush that does not say so (ready.held). */
            bool may_wait;
        } flush;
        struct {
            uint32_t count;
        } propose;
        struct {
            const struct hl_raft_config *config; /* borrowed for the step */
        } config;
        struct {
            hl_index index;
            /* Of that entry when it was handed to the disk: ignored when the log holds another
             * there by now, so that a flush of truncated entries says nothing. */
            hl_term term;
        } durable;
        struct {
            hl_term term;
            hl_peer vote;
        } saved;
        struct {
            const struct hl_raft_msg *msg; /* borrowed for the step */
        } message;
        struct {
            uint64_t id; /* larger than any before; a node counts its reads from 1 */
        } read;
        struct {
            hl_peer peer;
        } transfer;
        struct {
            uint64_t not_before_us;
        } resign;
        struct {
            hl_index index;
        } compacted;
        struct {
            hl_index index;
            hl_term term;                        /* of the entry `index` */
            const struct hl_raft_config *config; /* in force there; borrowed for the step */
            hl_index config_index;               /* its entry, at most `index` */
        } installed;
        struct {
            hl_peer peer;
            hl_index index;
            bool ok;
        } snapshot_sent;
        struct {
            hl_peer peer;
        } unreachable;
    };
};

/* What the node owes after a step, in this order.  Raft holds back itself what must not leave
 * before the disk is done, so messages are never ordered by the node. */
struct hl_raft_ready {
    /* 1. Drop entries from here on (0: none), rolling back state that ran ahead; or drop the whole
     *    log, which starts after the snapshot just installed. */
    hl_index truncate;
    bool log_reset;

    /* 2. Store these entries of the stepped APPEND (0: none). */
    hl_index append_first, append_last;

    /* 3. Make (term, vote) durable, then step ON_SAVED with both. */
    bool save_hard_state;
    hl_term term;
    hl_peer vote;

    /* 4. A new leader applies everything up to the entry before the no-op, and appends the no-op of
     *    `term`, which is hl_raft_last() already.  (The no-op of a sole voter whose configuration
     * has index 0 is a CFG entry: it tells those who join who founded the group.)  One that has
     *    stepped down stops executing, and parks or redirects. */
    bool became_leader, append_noop, stepped_down;
    enum hl_raft_role role;
    hl_peer leader;      /* as now known, 0: unknown */
    bool leader_changed; /* it differs from the step before */
    bool config_changed; /* so does hl_raft_config() */
    bool transfer_failed;

    /* 5. Send, best effort; an APPEND takes its entries from the log.  Borrowed until the next
     *    step. */
    uint32_t message_count;
    const struct hl_raft_msg *messages;

    /* 6. Apply and release up to it. */
    hl_index commit;

    /* 7. Reads up to read_id (0: none) may be served as soon as the commit index has reached
     *    read_index; those up to read_failed (0: none) not confirmed by then never will be. */
    uint64_t read_id;
    hl_index read_index;
    uint64_t read_failed;

    /* 8. The log no longer holds what these peers need: send each a snapshot. */
    uint32_t snapshot_count;
    hl_peer snapshot_to[HL_RAFT_MEMBERS_MAX];

    /* 9. Step ON_FLUSH at the end of the iteration, and ON_TICK at this time at the latest (or
     *    HL_RAFT_NEVER). */
    bool flush;
    bool held; /* a flush that let it wait left something: soon comes one that does not */
    uint64_t wake_us;
};

/* What was recovered from the disk. */
struct hl_raft_start {
    hl_peer self;
    /* Borrowed for the call: the configuration of the snapshot or bootstrap, then those of the
     * log's CFG entries, ascending.  None, or an empty one: this server waits to be told. */
    const struct hl_raft_config_entry *configs;
    uint32_t config_count;
    hl_term term;
    hl_peer vote;
    const struct hl_terms *log; /* borrowed for the call; all of it durable; base is the snapshot */
    hl_index commit;            /* known committed: at least log->base, which is the default */
    /* It may have lost entries that it acknowledged (PROTOCOL 1): until a leader has brought it to
     * its commit index, and at least to barred_until (a damaged log is refetched; 0: no bound), it
     * does not vote as others do.  Without barred_until its vote counts in a unanimous election:
     * see election.c.  Ignored when it is the only voter. */
    bool barred;
    hl_index barred_until;
    uint64_t seed; /* of the election jitter and nonces: random for each start */
    uint64_t now_us;
    uint64_t election_us;  /* minimum election timeout; a random half of it is added */
    uint64_t heartbeat_us; /* less than half of it */
    uint32_t drift_ppm;    /* how much a clock may run fast or slow, for the lease */
    bool lease;            /* confirm reads by lease (PROTOCOL 4b): clocks must keep the bound */
    /* The last entry of first..last whose bytes fit one message together with those before it; at
     * least `first`.  NULL: everything fits. */
    hl_index (*fit)(void *ctx, hl_index first, hl_index last);
    void *ctx;
};

enum hl_raft_progress {
    HL_RAFT_PROBE = 1, /* one message at a time, until one is accepted */
    HL_RAFT_REPLICATE, /* pipelined */
    HL_RAFT_SNAPSHOT,  /* the node is sending it one */
};

/* What a leader knows of another member.  Private to core/raft. */
struct hl_raft_peer {
    hl_peer id;
    bool voter, barred, probing, sending_due;
    enum hl_raft_progress state;
    hl_index match, next;
    hl_index sent_commit;
    uint64_t round;               /* newest acknowledged */
    uint64_t heard_us;            /* last reply of this term */
    uint64_t read_id, read_nonce; /* newest READ not yet in a round; 0: none */
    hl_index round_goal;          /* catch-up round: done when match reaches it */
    uint64_t round_start_us, round_took_us;
    uint32_t window_first, window_count;
    hl_index window[HL_RAFT_WINDOW]; /* last entries of unacknowledged messages, ascending */
};

/* Reads that one round of heartbeats will confirm.  Private to core/raft. */
struct hl_raft_read_round {
    uint64_t round;
    hl_index read_index;
    uint64_t local_id;
    uint32_t asker_count;
    struct {
        hl_peer peer;
        uint64_t read_id, nonce;
    } askers[HL_RAFT_MEMBERS_MAX];
};

/* The caller's memory; fields are private to core/raft except where a query below says otherwise.
 */
struct hl_raft {
    hl_peer self;
    enum hl_raft_role role;
    hl_term term;
    hl_peer vote, leader;
    hl_term saved_term; /* hard state known to be on disk */
    hl_peer saved_vote;
    struct hl_terms log;
    hl_index durable, commit;
    hl_index noop; /* of our term when leading, else 0 */

    struct hl_raft_config_entry *configs; /* newest last; the first is the base's */
    uint32_t config_count, config_capacity;

    uint64_t now_us, election_us, heartbeat_us;
    uint64_t election_at_us; /* campaign when silent until then */
    uint64_t heard_us;       /* from a leader, or started: the promise E2 counts from here */
    bool promised;           /* heard_us is set */
    uint64_t contact_us;     /* last APPEND of a leader; 0: none yet */
    hl_index contact_commit; /* and the commit index that it named */
    uint64_t not_before_us;  /* no campaign before: resigned */
    uint32_t drift_ppm;
    bool lease, lease_given_up, started;
    struct hl_rng rng;
    hl_index (*fit)(void *ctx, hl_index first, hl_index last);
    void *fit_ctx;

    /* Candidates */
    uint32_t granted_count;
    struct {
        hl_peer voter;
        bool barred;
    } granted[HL_RAFT_MEMBERS_MAX];
    bool campaign_transfer, campaign_sent;

    /* Followers */
    hl_index matched;                /* verified equal to the leader's log in this term */
    uint64_t seen_round;             /* newest round of this leader */
    uint64_t acked_round;            /* newest round answered */
    hl_index acked;                  /* durable match last told */
    bool ack_due;                    /* an answer waits for ON_SAVED */
    bool vote_due;                   /* the granted vote waits for ON_SAVED */
    uint64_t read_wanted, read_done; /* ids of local reads asked for and answered */
    uint64_t read_nonce, read_retry_us;
    bool barred;
    hl_index barred_until, barred_goal;
    uint64_t barred_id;

    /* Leaders */
    struct hl_raft_peer peers[HL_RAFT_MEMBERS_MAX];
    uint32_t peer_count;
    uint64_t round, heartbeat_at_us;
    uint64_t round_start_us[64]; /* of round r at r % 64 */
    struct hl_raft_read_round reads[HL_RAFT_ROUNDS];
    uint32_t read_first, read_count;
    uint64_t read_waiting; /* local reads not yet in a round */
    hl_peer transfer_to;
    uint64_t transfer_until_us;
    bool transfer_told;
    bool flush_due;
    bool held; /* since the last flush that did not let it wait */

    /* What R2 and R3 compare with. */
    hl_term checked_term;
    hl_peer checked_vote;
    hl_index checked_commit;
    struct hl_raft_ready *ready; /* of the running step */
    uint32_t message_count;
    struct hl_raft_msg messages[HL_RAFT_MESSAGES_MAX];
};

/* Start as a follower with the recovered state.  `raft` is overwritten; end it with
 * hl_raft_fini(). */
void hl_raft_init(struct hl_raft *raft, const struct hl_raft_start *start);

/* Release what it holds.  Zeroed memory is allowed. */
void hl_raft_fini(struct hl_raft *raft);

/*
 * Advance by one event.  `ready` is overwritten whole, on failure too.
 *
 * Returns HL_OK, or with nothing changed:
 *   HL_EBUSY   ON_PROPOSE, ON_CONFIG, ON_TRANSFER: not the leader, or a transfer is running
 *              ON_CONFIG: the term's no-op or the previous configuration is not yet committed (F1)
 *   HL_EINVAL  ON_CONFIG: more than one voter would change, or no voter would be left
 *              ON_TRANSFER: no such voter, or it is this server, or barred
 *              ON_COMPACTED: not committed, or compacted already
 *              ON_INSTALLED: the snapshot is not newer than the commit index, this server leads, or
 *              the label makes no sense
 *
 * So ON_CONFIG and ON_INSTALLED are stepped before the node does what they announce; on HL_OK the
 * CFG entry is hl_raft_last().
 */
HL_MUST_USE hl_err hl_raft_step(struct hl_raft *raft, const struct hl_raft_event *event,
                                struct hl_raft_ready *ready);

/* Change the timeouts, as hl_raft_start has them.  With the lease on, every server must use the
 * same election timeout, or a longer one on voters than on the leader. */
void hl_raft_set_timeouts(struct hl_raft *raft, uint64_t election_us, uint64_t heartbeat_us);

/* Abort unless every numbered invariant holds. */
void hl_raft_check(struct hl_raft *raft);

/* The highest index that a majority of `count` voters (1..HL_RAFT_VOTERS_MAX) holds, given what
 * each holds. */
hl_index hl_raft_quorum_match(const hl_index *match, uint32_t count);

/* Is `b` a legal successor of configuration `a`: at most one voter joins, leaves or changes kind,
 * ids are distinct, 1 to HL_RAFT_VOTERS_MAX voters remain? */
bool hl_raft_config_follows(const struct hl_raft_config *a, const struct hl_raft_config *b);

/* Can `config` be one at all: bounds, distinct ids, at least one voter? */
bool hl_raft_config_valid(const struct hl_raft_config *config);

/* ---- Queries: cheap, valid at any time ---- */

/* What this server is now. */
enum hl_raft_role hl_raft_role(const struct hl_raft *raft);

/* The current term. */
hl_term hl_raft_term(const struct hl_raft *raft);

/* Who leads it, as far as known; 0: nobody. */
hl_peer hl_raft_leader(const struct hl_raft *raft);

/* Last entry of the log, including those that ON_PROPOSE just announced. */
hl_index hl_raft_last(const struct hl_raft *raft);

/* Last entry that the local disk is known to hold. */
hl_index hl_raft_durable(const struct hl_raft *raft);

/* Last committed entry. */
hl_index hl_raft_commit(const struct hl_raft *raft);

/* The term of entry `index`, or of the base; false when the log does not hold it. */
bool hl_raft_term_at(const struct hl_raft *raft, hl_index index, hl_term *term);

/* Would ON_PROPOSE be accepted: leading, and no transfer is running? */
bool hl_raft_may_propose(const struct hl_raft *raft);

/* HL_OK when ON_CONFIG with `config` would be accepted, else the error it would return. */
HL_MUST_USE hl_err hl_raft_may_config(const struct hl_raft *raft,
                                      const struct hl_raft_config *config);

/* The configuration in force, and the index of the entry that holds it; valid until the next step.
 */
const struct hl_raft_config *hl_raft_config(const struct hl_raft *raft, hl_index *index);

/* The configuration in force at entry `index` (a snapshot's label), at least the base; valid until
 * the next step. */
const struct hl_raft_config *hl_raft_config_at(const struct hl_raft *raft, hl_index index,
                                               hl_index *config_index);

/* Does this server count in the newest configuration? */
bool hl_raft_is_voter(const struct hl_raft *raft);

/* Whom leadership is being handed to, 0: nobody. */
hl_peer hl_raft_transfer_to(const struct hl_raft *raft);

/* Has the leader a valid lease at `now_us` (PROTOCOL 4b)?  False without the option. */
bool hl_raft_lease_valid(const struct hl_raft *raft, uint64_t now_us);

/* Is this server still barred from voting and acknowledging? */
bool hl_raft_barred(const struct hl_raft *raft);

/* When the last message of a leader arrived, or 0, and the commit index that it named: a follower
 * that has applied so much is as fresh as that message. */
uint64_t hl_raft_contact_us(const struct hl_raft *raft, hl_index *commit);

/* A leader's view of another member. */
struct hl_raft_peer_status {
    bool voter, barred;
    enum hl_raft_progress state;
    hl_index match, next;
    uint32_t in_flight; /* messages of entries not yet acknowledged */
    uint64_t heard_us;  /* last reply */
    bool caught_up;     /* fit for promotion: its last round of catching up took less than an
                           election timeout */
};

/* Write it to `out`; false when this server does not lead or `peer` is no other member. */
bool hl_raft_peer_status(const struct hl_raft *raft, hl_peer peer, struct hl_raft_peer_status *out);

#endif
