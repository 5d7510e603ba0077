/* Faults planted on purpose, to prove that the tests would see them.
 *
 * HL_MUTANT(NAME) asks whether that fault of the table below is planted.  Ordinary builds answer
 * no at compile time, so nothing is left of it; builds with -DHL_MUTANTS=1 ask hl_raft_mutant,
 * which only tests set.
 */
#ifndef HL_RAFT_MUTANT_H
#define HL_RAFT_MUTANT_H

enum hl_mutant {
    HL_MUTANT_EARLY_REPLY = 1,      /* a reply leaves before its entry commits */
    HL_MUTANT_DIRTY_READ = 2,       /* a name that is not committed is not waited for */
    HL_MUTANT_NO_ROLLBACK = 3,      /* truncated entries stay executed */
    HL_MUTANT_NO_MINGATE = 4,       /* inherited entries are not gated */
    HL_MUTANT_PREVIOUS_TERM = 5,    /* an entry of an older term commits by counting */
    HL_MUTANT_NO_ONCE = 6,          /* a request that is sent again runs again */
    HL_MUTANT_LONG_LEASE = 7,       /* the lease outlasts the voters' promise */
    HL_MUTANT_EARLY_ACK = 8,        /* entries are acknowledged before they are durable */
    HL_MUTANT_EARLY_VOTE = 9,       /* votes leave before they are durable */
    HL_MUTANT_UNSAVED_ONCE = 10,    /* snapshots lack the table of sessions */
    HL_MUTANT_EARLY_SNAPSHOT = 11,  /* a snapshot of what is not committed is published */
    HL_MUTANT_SYNC_IGNORED = 12,    /* a failed sync is ignored */
    HL_MUTANT_RESTART_VOTES = 13,   /* a restarted voter votes at once */
    HL_MUTANT_VERBATIM = 14,        /* a command is logged instead of its effect */
    HL_MUTANT_CONFIG_EARLY = 15,    /* a configuration changes before the term's no-op commits */
    HL_MUTANT_DURABLE_ABA = 16,     /* a flush of truncated entries counts for what replaced them */
    HL_MUTANT_COMMIT_BY_LAST = 17,  /* a follower commits by its last entry, not by what matched */
    HL_MUTANT_SHOWS_TAIL = 18,      /* a deposed leader shows what may be undone */
    HL_MUTANT_UNPROVEN_READ = 19,   /* reads are confirmed with neither round nor lease */
    HL_MUTANT_LEADS_UNAPPLIED = 20, /* a new leader executes before it has applied its log */
    HL_MUTANT_EARLY_PUSH = 21,      /* a push leaves before what it tells commits */
    HL_MUTANT_EARLY_REPEAT = 22,  /* a repeated request is answered before the first one commits */
    HL_MUTANT_NO_TOKEN = 23,      /* a session's token is ignored */
    HL_MUTANT_NO_STICKINESS = 24, /* voters forget that they have a leader */
    HL_MUTANT_FALSE_UNDONE = 25, /* an error that promises nothing was done, for what may be done */
    HL_MUTANT_TWO_CONFIGS = 26,  /* a configuration changes before the previous one commits */
    HL_MUTANT_SILENT_REJECT = 27,  /* a refused pre-vote does not carry the higher term */
    HL_MUTANT_ANY_CONTACT = 28,    /* any word of a leader makes a node fresh for bounded reads */
    HL_MUTANT_RUN_TWICE = 29,      /* a forwarded request that arrives twice runs twice */
    HL_MUTANT_RESENT = 30,         /* what was sent to one leader is sent to the next as well */
    HL_MUTANT_PARKED_BLINDLY = 31, /* a parked reply leaves at its index, whatever the term there */
    HL_MUTANT_READS_STAY = 32,     /* reads that wait on a deposed leader are answered */
    HL_MUTANT_READ_BEHIND = 33,    /* a follower reads before it has what the leader named */
    HL_MUTANT_REBUILD_KEEPS = 34,  /* tables outlive the state that is made anew */
    HL_MUTANT_WRONG_LABEL = 35,    /* a snapshot is labelled with the commit index */
    HL_MUTANT_LONG_PROOF = 36,     /* a proof serves reads that came after it was asked for */
    HL_MUTANT_BARRED_VOTE = 40,    /* the vote of a barred server counts like any other */
    HL_MUTANT_FORMER_MATCH = 41,   /* what a barred server held before its start still counts */
    HL_MUTANT_NEWEST_ONLY = 42,    /* all of a configuration that may be taken back are enough */
};

#if defined(HL_MUTANTS) && HL_MUTANTS
extern int hl_raft_mutant; /* enum hl_mutant; 0: none */
#define HL_MUTANT(name) (hl_raft_mutant == HL_MUTANT_##name)
#else
#define HL_MUTANT(name) (0)
#endif

#endif
