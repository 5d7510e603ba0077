/* The rules of PROTOCOL that live in raft, each with the shortest story that breaks without it. */
#ifndef TESTS_UNIT_RAFT_RULES_H
#define TESTS_UNIT_RAFT_RULES_H

#include "unit/raft/group.h"

struct rule {
    int mutant; /* of raft/mutant.h: what switches it off */
    const char *name;
    void (*story)(struct group *group); /* a failure is noted in the group */
};

extern const struct rule rules[];
extern const uint32_t rule_count;

#endif
