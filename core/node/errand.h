/* Errands: commands that run for somebody who is not connected, such as a client of a module that
 * serves HTTP.
 *
 * An errand has a session of its own, which goes the way of every other: admission, forwarding to
 * the leader, execution, the gate.  So its answer is one that a connected client could have got at
 * that moment, and like that client it may be left without one.
 *
 * Invariants:
 *   N1  an errand ends once, and says whether its commands ran (ANSWERED), did not and will not
 *       (NOT_EXECUTED), or that nobody knows (UNKNOWN).  The first two are never a guess.
 *   N2  the last request decides: nothing of a transaction happens before its EXEC.  So whoever
 *       gives up before that was begun, or sent, knows that nothing happened.
 *   N3  the commands of a transaction wait until MULTI is answered: if it is refused they would run
 *       one by one.
 */
#ifndef HL_NODE_ERRAND_H
#define HL_NODE_ERRAND_H

#include "base/list.h"
#include "node/cluster.h"
#include "node/session.h"
#include "resp/reader.h"

#define HL_ERRAND_COMMANDS_MAX 1024

struct hl_errand_command {
    int argc; /* 1 or more */
    const struct hl_slice *argv;
};

/* What to do.  All is borrowed until the errand has ended. */
struct hl_errand_order {
    const struct hl_errand_command *commands;
    int count;              /* 1 to HL_ERRAND_COMMANDS_MAX; several are one transaction */
    bool trusted;           /* whoever gave it answers for it: no user, all rights */
    struct hl_slice user;   /* otherwise: a user's name */
    struct hl_slice client; /* who asks, for logs; cut to what fits */
    struct hl_slice once;   /* id of a client session (once.h), or empty; with one command only */
    uint64_t once_seq;
    int db;
    int proto;             /* 2 or 3 */
    bool own_consistency;  /* of reads: not the setting's */
    int consistency;       /* enum hl_consistency */
    uint64_t read_value;   /* of HL_READ_SESSION: an index; of HL_READ_BOUNDED: microseconds */
    size_t reply_size_max; /* bytes of the answer */
};

enum hl_errand_outcome {
    HL_ERRAND_ANSWERED,
    HL_ERRAND_NOT_EXECUTED,
    HL_ERRAND_UNKNOWN,
};

/* Caller's memory; from hl_errand_begin() until it has ended it must not move. */
struct hl_errand {
    struct hl_session *session; /* NULL: it has ended */
    const struct hl_errand_order *order;
    /* Called when hl_errand_step() has something to do, from wherever: only note it. */
    void (*told)(struct hl_errand *errand);
    struct hl_reader reader;
    int made, answered; /* requests of hl_errand_requests() */
    bool reads_only;    /* its commands change nothing */
    bool strict;        /* an error code may be a module command's own (outcome_of()) */

    /* Once it has ended. */
    enum hl_errand_outcome outcome;
    struct hl_buf reply; /* one RESP reply, never empty; given: the caller ends it */
    uint64_t token;      /* an index: the state that its answer shows, for HL_READ_SESSION */
};

/* Begin, and run what can run at once.  In an iteration, outside any unit.  True when the errand
 * has ended. */
HL_MUST_USE bool hl_errand_begin(struct hl_node *node, struct hl_errand *errand,
                                 const struct hl_errand_order *order,
                                 void (*told)(struct hl_errand *errand));

/* Go on after `told`, as hl_errand_begin(). */
HL_MUST_USE bool hl_errand_step(struct hl_node *node, struct hl_errand *errand);

/* End an errand that has not ended, answered by an error made of `why`: its time is over, or nobody
 * wants it any more.  At any time but from `told`. */
void hl_errand_give_up(struct hl_node *node, struct hl_errand *errand, const char *why);

#endif
