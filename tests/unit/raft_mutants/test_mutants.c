/* Proof that the tests of raft see what they are for: this program links a raft whose rules can be
 * switched off one at a time, and each rule's story (../raft/rules.c) must fail without its rule.
 * So must chaos, for the faults that chance finds.
 *
 * Method: the story runs in a child, because a fault may as well trip an assertion of raft's own.
 */
#include "raft/mutant.h"
#include "unit/raft/rules.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct group group;

static bool fails(void (*run)(void *), void *arg)
{
    fflush(stdout);
    fflush(stderr);
    pid_t child = fork();
    cr_assert_neq(child, -1);
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        (void)dup2(null, STDERR_FILENO);
        run(arg);
        _exit(group.failure[0] != '\0');
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void run_story(void *arg)
{
    const struct rule *rule = arg;
    rule->story(&group);
}

Test(raft_mutants, no_story_ends_well_without_its_rule)
{
    for (uint32_t i = 0; i < rule_count; i++) {
        struct rule rule = rules[i];
        hl_raft_mutant = 0;
        cr_assert_not(fails(run_story, &rule), "%s: fails with every rule on", rule.name);
        hl_raft_mutant = rule.mutant;
        cr_expect(fails(run_story, &rule), "mutant %d survives: %s", rule.mutant, rule.name);
    }
}

static void run_chaos(void *arg)
{
    uint64_t seeds = *(uint64_t *)arg;
    for (uint64_t seed = 1; seed <= seeds && group.failure[0] == '\0'; seed++) {
        group_chaos(&group, seed, NULL);
        if (group.failure[0] == '\0') {
            group_fini(&group);
        }
    }
}

/* The rest need a story: they take thousands of seeds. */
Test(raft_mutants, chaos_finds_the_common_faults)
{
    static const int common[] = {HL_MUTANT_EARLY_ACK,      HL_MUTANT_EARLY_VOTE,
                                 HL_MUTANT_RESTART_VOTES,  HL_MUTANT_DURABLE_ABA,
                                 HL_MUTANT_COMMIT_BY_LAST, HL_MUTANT_NO_STICKINESS};
    uint64_t seeds = 1000;
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
        hl_raft_mutant = common[i];
        cr_expect(fails(run_chaos, &seeds), "chaos does not find mutant %d", common[i]);
    }
}
