/* Faults planted on purpose, to prove that the tests would see them.
 *
 * HL_MUTANT(n) asks whether rule n of the table below is switched off.  Ordinary builds answer no
 * at compile time, so nothing is left of it; builds with -DHL_MUTANTS=1 ask hl_raft_mutant, which
 * only tests set.
 */
#ifndef HL_RAFT_MUTANT_H
#define HL_RAFT_MUTANT_H

enum hl_raft_mutant {
    HL_MUTANT_PREVIOUS_TERM = 5,   /* an entry of an older term commits by counting */
    HL_MUTANT_LONG_LEASE = 7,      /* the lease outlasts the voters' promise */
    HL_MUTANT_EARLY_ACK = 8,       /* entries are acknowledged before they are durable */
    HL_MUTANT_EARLY_VOTE = 9,      /* votes leave before they are durable */
    HL_MUTANT_RESTART_VOTES = 13,  /* a restarted voter votes at once */
    HL_MUTANT_CONFIG_EARLY = 15,   /* a configuration is changed before the term's no-op commits */
    HL_MUTANT_DURABLE_ABA = 16,    /* a flush of truncated entries counts for what replaced them */
    HL_MUTANT_COMMIT_BY_LAST = 17, /* a follower commits by its last entry, not by what matched */
    HL_MUTANT_UNPROVEN_READ = 19,  /* reads are confirmed with neither round nor lease */
    HL_MUTANT_NO_STICKINESS = 24,  /* voters forget that they have a leader */
    HL_MUTANT_TWO_CONFIGS = 26,    /* a configuration is changed before the previous one commits */
    HL_MUTANT_SILENT_REJECT = 27,  /* a refused pre-vote does not carry the higher term */
    HL_MUTANT_BARRED_VOTE = 40,    /* the vote of a barred server counts like any other */
    HL_MUTANT_FORMER_MATCH = 41,   /* what a barred server held before its start still counts */
    HL_MUTANT_NEWEST_ONLY = 42,    /* all of a configuration that may be taken back are enough */
};

#if defined(HL_MUTANTS) && HL_MUTANTS
extern int hl_raft_mutant; /* 0: none */
#define HL_MUTANT(n) (hl_raft_mutant == (n))
#else
#define HL_MUTANT(n) (0)
#endif

#endif
