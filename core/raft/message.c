/* What a correct peer can send.  A peer may be broken, hostile or of another version: what
 * contradicts itself is dropped here, and the rest of core/raft only has to bear surprises. */
#include "raft/internal.h"

#include <stddef.h>

static bool is_number(uint64_t value)
{
    return value <= HL_RAFT_NUMBER_MAX;
}

/* An entry has a term, and "no entry" has none. */
static bool is_position(hl_index index, hl_term term)
{
    return is_number(index) && is_number(term) && (index == 0) == (term == 0);
}

static bool runs_valid(const struct hl_raft_msg *msg)
{
    if (msg->last == msg->prev) {
        return msg->run_count == 0;
    }
    if (msg->run_count == 0 || msg->run_count > HL_RAFT_RUNS_MAX ||
        msg->runs[0].from != msg->prev + 1 || msg->runs[0].term < msg->prev_term) {
        return false;
    }
    for (uint32_t i = 0; i < msg->run_count; i++) {
        const struct hl_term_run *run = &msg->runs[i];
        if (run->from > msg->last || run->term == 0 || run->term > msg->term) {
            return false;
        }
        if (i > 0 && (run->from <= run[-1].from || run->term <= run[-1].term)) {
            return false;
        }
    }
    return true;
}

static bool append_valid(const struct hl_raft_msg *msg)
{
    if (!is_position(msg->prev, msg->prev_term) || !is_number(msg->last) ||
        !is_number(msg->commit) || msg->prev_term > msg->term || msg->last < msg->prev) {
        return false;
    }
    if (msg->config_index != 0 &&
        (msg->config == NULL || msg->config_index <= msg->prev || msg->config_index > msg->last ||
         !hl_raft_config_valid(msg->config))) {
        return false;
    }
    return runs_valid(msg);
}

static bool reply_valid(const struct hl_raft_msg *msg)
{
    if (msg->reject) {
        return is_number(msg->prev) && is_number(msg->hint) && is_number(msg->hint_term);
    }
    return is_number(msg->last) && msg->match <= msg->last;
}

bool hl_raft_msg_valid(const struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    if (msg->from == 0 || msg->from == raft->self || msg->to != raft->self ||
        !is_number(msg->term)) {
        return false;
    }
    switch (msg->type) {
    case HL_RAFT_PRE_VOTE:
    case HL_RAFT_VOTE:
        return msg->term != 0 && is_position(msg->last, msg->last_term) &&
               msg->last_term < msg->term;
    case HL_RAFT_PRE_VOTE_REPLY:
        return msg->term != 0 || msg->reject;
    case HL_RAFT_APPEND:
        return msg->term != 0 && append_valid(msg);
    case HL_RAFT_APPEND_REPLY:
        return msg->term != 0 && reply_valid(msg);
    case HL_RAFT_VOTE_REPLY:
    case HL_RAFT_TIMEOUT_NOW:
        return msg->term != 0;
    case HL_RAFT_READ:
        return msg->term != 0 && msg->read_id != 0;
    case HL_RAFT_READ_REPLY:
        return msg->term != 0 && is_number(msg->read_index) &&
               (msg->reject || msg->read_index != 0);
    }
    return false;
}
