/* Every rule's story (rules.c) ends well.  That it would not without the rule is shown in
 * ../raft_mutants. */
#include "unit/raft/rules.h"

#include <criterion/criterion.h>

static struct group group;

Test(raft_rules, every_story_ends_well)
{
    for (uint32_t i = 0; i < rule_count; i++) {
        rules[i].story(&group);
        cr_expect_str_empty(group.failure, "%s: %s", rules[i].name, group.failure);
        group_fini(&group);
    }
}
