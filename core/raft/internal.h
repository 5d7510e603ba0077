/* What the files of core/raft share and nobody else needs. */
#ifndef HL_RAFT_INTERNAL_H
#define HL_RAFT_INTERNAL_H

#include "raft/mutant.h"
#include "raft/raft.h"

/* ---- raft.c ---- */

/* A message to `to` in the present term, zeroed but for its head; it is on its way. */
struct hl_raft_msg *hl_raft_send(struct hl_raft *raft, enum hl_raft_msg_type type, hl_peer to);

/* Follow `leader` (0: unknown) in `term`, whatever the role was. */
void hl_raft_become_follower(struct hl_raft *raft, hl_term term, hl_peer leader);

/* Is the present (term, vote) on disk? */
bool hl_raft_is_saved(const struct hl_raft *raft);

/* ---- message.c ---- */

/* False for a message that no correct peer sends: its fields contradict each other. */
bool hl_raft_msg_valid(const struct hl_raft *raft, const struct hl_raft_msg *msg);

/* ---- config.c ---- */

/* Is `id` a voter of `config`? */
bool hl_raft_config_has_voter(const struct hl_raft_config *config, hl_peer id);

/* Is `id` a voter of the configuration in force? */
bool hl_raft_has_voter(const struct hl_raft *raft, hl_peer id);

/* How many voters it has. */
uint32_t hl_raft_voter_count(const struct hl_raft *raft);

/* Is this server its only voter? */
bool hl_raft_is_sole_voter(const struct hl_raft *raft);

/* Is this server its only member, and a voter? */
bool hl_raft_is_alone(const struct hl_raft *raft);

/* Put a configuration into force, as entry `index`, newer than all. */
void hl_raft_config_push(struct hl_raft *raft, hl_index index, const struct hl_raft_config *config);

/* A sole voter leads with entry `index`: a configuration that no entry holds is written there. */
void hl_raft_config_found(struct hl_raft *raft, hl_index index);

/* The log was truncated: configurations from `index` on are void. */
void hl_raft_config_truncate(struct hl_raft *raft, hl_index index);

/* The log starts after `index`: older configurations than the one in force there are not needed. */
void hl_raft_config_compact(struct hl_raft *raft, hl_index index);

/* A snapshot replaced the log up to `index`: keep those of later entries behind `config`. */
void hl_raft_config_install(struct hl_raft *raft, hl_index index,
                            const struct hl_raft_config *config, hl_index config_index);

/* ON_CONFIG. */
hl_err hl_raft_on_config(struct hl_raft *raft, const struct hl_raft_config *config);

/* ---- election.c ---- */

/* Silence is counted from now: draw the time at which to campaign. */
void hl_raft_reset_election(struct hl_raft *raft);

/* Is it barred because its log was damaged?  Then it neither votes nor campaigns. */
bool hl_raft_is_damaged(const struct hl_raft *raft);

/* May it campaign: not damaged, and a voter of the configuration in force or the committed one? */
bool hl_raft_is_promotable(const struct hl_raft *raft);

/* Ask for votes in a new term; `transfer`: because the leader told us to. */
void hl_raft_campaign(struct hl_raft *raft, bool transfer);

/* Time passed, and it does not lead. */
void hl_raft_election_tick(struct hl_raft *raft);

/* Hard state is on disk: what waited for it goes on. */
void hl_raft_election_saved(struct hl_raft *raft);

/* PRE_VOTE of any term: would it get our vote? */
void hl_raft_on_pre_vote(struct hl_raft *raft, const struct hl_raft_msg *msg);

/* PRE_VOTE_REPLY of any term. */
void hl_raft_on_pre_vote_reply(struct hl_raft *raft, const struct hl_raft_msg *msg);

/* VOTE of any term. */
void hl_raft_on_vote(struct hl_raft *raft, const struct hl_raft_msg *msg);

/* VOTE_REPLY of the present term. */
void hl_raft_on_vote_reply(struct hl_raft *raft, const struct hl_raft_msg *msg);

/* TIMEOUT_NOW of the present term: the leader wants us to take over. */
void hl_raft_on_timeout_now(struct hl_raft *raft, const struct hl_raft_msg *msg);

/* ---- leader.c ---- */

/* Won: owe the no-op and tell the others. */
void hl_raft_become_leader(struct hl_raft *raft);

/* Forget what only a leader knows. */
void hl_raft_leave_leader(struct hl_raft *raft);

/* The configuration changed: keep the progress of those who stay. */
void hl_raft_rebuild_peers(struct hl_raft *raft);

/* What the leader knows of `id`, or NULL. */
struct hl_raft_peer *hl_raft_find_peer(struct hl_raft *raft, hl_peer id);

/* A message says whether its sender is barred: what it held before it said so may be lost. */
void hl_raft_note_barred(struct hl_raft_peer *peer, const struct hl_raft_msg *msg);

/* Send what waits; `may_wait` as in hl_raft_event.flush. */
void hl_raft_leader_flush(struct hl_raft *raft, bool may_wait);

/* Time passed. */
void hl_raft_leader_tick(struct hl_raft *raft);

/* An answer of the present term. */
void hl_raft_on_append_reply(struct hl_raft *raft, const struct hl_raft_msg *msg);

/* ON_SNAPSHOT_SENT. */
void hl_raft_on_snapshot_sent(struct hl_raft *raft, hl_peer id, hl_index index, bool ok);

/* ON_UNREACHABLE. */
void hl_raft_on_unreachable(struct hl_raft *raft, hl_peer id);

/* ---- transfer.c ---- */

/* ON_TRANSFER. */
hl_err hl_raft_on_transfer(struct hl_raft *raft, hl_peer to);

/* Tell the target to campaign as soon as it has everything. */
void hl_raft_transfer_go(struct hl_raft *raft);

/* The message may be lost: tell it again with each heartbeat. */
void hl_raft_transfer_again(struct hl_raft *raft);

/* Time passed: give up when it takes too long. */
void hl_raft_transfer_tick(struct hl_raft *raft);

/* Step down, and tell the most caught-up voter to campaign. */
void hl_raft_hand_over(struct hl_raft *raft);

/* ---- quorum.c ---- */

/* Move the commit index to what a majority holds. */
void hl_raft_advance_commit(struct hl_raft *raft);

/* Has a majority been heard of within an election timeout? */
bool hl_raft_has_quorum_contact(const struct hl_raft *raft);

/* Begin a round: everybody is sent something that carries its number. */
void hl_raft_start_round(struct hl_raft *raft);

/* The newest round that a majority has acknowledged, 0: none. */
uint64_t hl_raft_quorum_round(const struct hl_raft *raft);

/* ---- read.c ---- */

/* ON_READ, on any role. */
void hl_raft_on_read(struct hl_raft *raft, uint64_t id);

/* READ of any role and of an older term too. */
void hl_raft_on_read_msg(struct hl_raft *raft, const struct hl_raft_msg *msg);

/* READ_REPLY of the present term. */
void hl_raft_on_read_reply(struct hl_raft *raft, const struct hl_raft_msg *msg);

/* The iteration ends on a leader: put waiting reads into a round. */
void hl_raft_start_reads(struct hl_raft *raft);

/* The commit index moved: reads that waited for the no-op may go into a round. */
void hl_raft_release_reads(struct hl_raft *raft);

/* Acknowledgements arrived: confirm what a majority's round covers. */
void hl_raft_confirm_reads(struct hl_raft *raft);

/* Leadership is lost: local reads fail. */
void hl_raft_fail_reads(struct hl_raft *raft);

/* On other roles: ask the leader for what local reads need, again when no answer came. */
void hl_raft_ask_reads(struct hl_raft *raft);

/* ---- follower.c ---- */

/* APPEND of the present term. */
void hl_raft_on_append(struct hl_raft *raft, const struct hl_raft_msg *msg);

/* Refuse an APPEND of an older term, so that its sender learns ours. */
void hl_raft_refuse_append(struct hl_raft *raft, const struct hl_raft_msg *msg);

/* The local disk reached further: tell the leader. */
void hl_raft_follower_durable(struct hl_raft *raft);

/* Hard state is saved: answer what waited for it. */
void hl_raft_follower_saved(struct hl_raft *raft);

/* A leader answered a barred server's question where the group stands. */
void hl_raft_barred_goal(struct hl_raft *raft, hl_index goal);

/* ON_INSTALLED. */
hl_err hl_raft_on_installed(struct hl_raft *raft, const struct hl_raft_event *event);

#endif
