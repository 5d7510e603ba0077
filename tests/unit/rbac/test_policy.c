/* Goal: roles, inheritance and grants keep their invariants, whatever is done, and their bytes. */
#include "kit/assert.h"
#include "rbac/policy.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct policy *policy;

static void setup(void)
{
    policy = policy_create();
}

static void teardown(void)
{
    policy_destroy(policy);
}

TestSuite(policy, .init = setup, .fini = teardown);

/* Set a role with at most one rule and one parent; the error or NULL. */
static const char *set(const char *name, const char *rule, const char *parent)
{
    struct hl_slice rules = hl_slice_of(rule != NULL ? rule : "");
    struct hl_slice parents = hl_slice_of(parent != NULL ? parent : "");
    struct role_spec spec = {.name = hl_slice_of(name),
                             .description = hl_slice_of("d"),
                             .rules = &rules,
                             .rule_count = rule != NULL,
                             .parents = &parents,
                             .parent_count = parent != NULL};
    return policy_set_role(policy, &spec);
}

static const char *grant(const char *subject, const char *what)
{
    size_t added = 0;
    struct hl_slice slice = hl_slice_of(what);
    return policy_grant(policy, hl_slice_of(subject), &slice, 1, &added);
}

static size_t revoke(const char *subject, const char *what)
{
    size_t removed = 0;
    struct hl_slice slice = hl_slice_of(what);
    policy_revoke(policy, hl_slice_of(subject), &slice, 1, &removed);
    return removed;
}

static bool counts(const char *user, const char *role)
{
    static struct effective_list list;
    policy_effective(policy, hl_slice_of(user), NULL, 0, hl_slice_of(""), &list);
    for (size_t i = 0; i < list.count; i++) {
        if (list.items[i].role != NULL && strcmp(list.items[i].role->name, role) == 0) {
            return true;
        }
    }
    return false;
}

Test(policy, has_the_built_in_roles)
{
    cr_assert(policy_is_empty(policy));
    const struct role *user = policy_role(policy, hl_slice_of("user"));
    cr_assert_eq(user->rule_count, 5);
    cr_assert_str_eq(user->rules[2]->text, "kv:delete");
    cr_assert_not_null(policy_role(policy, hl_slice_of("readonly")));
    cr_assert_not_null(set("admin", "kv:get", NULL), "admin never changes");
    cr_assert_not_null(policy_delete_role(policy, hl_slice_of("user")));
    cr_assert_null(set("user", "kv:get", NULL));
    cr_assert_eq(policy_role(policy, hl_slice_of("user"))->rule_count, 1);
    cr_assert_null(grant("ada", "user"));
    cr_assert_null(policy_delete_role(policy, hl_slice_of("user")), "what it was at first");
    cr_assert_eq(policy_role(policy, hl_slice_of("user"))->rule_count, 5);
    cr_assert(counts("ada", "user"), "the role was never gone");
}

Test(policy, inheritance_has_no_cycle_and_is_bounded)
{
    cr_assert_null(set("a", NULL, NULL));
    cr_assert_null(set("b", NULL, "a"));
    cr_assert_null(set("c", NULL, "b"));
    cr_assert_not_null(set("a", NULL, "a"));
    cr_assert_not_null(set("a", NULL, "c"));
    cr_assert_not_null(set("d", NULL, "nobody"));
    cr_assert_not_null(set("d", NULL, "d"));
    cr_assert_not_null(policy_delete_role(policy, hl_slice_of("b")), "c inherits it");
    cr_assert_null(set("c", NULL, NULL));
    cr_assert_null(policy_delete_role(policy, hl_slice_of("b")));
    cr_assert_null(set("r1", NULL, NULL));
    char name[16];
    char parent[16];
    for (int i = 2; i <= POLICY_DEPTH_MAX; i++) {
        snprintf(name, sizeof name, "r%d", i);
        snprintf(parent, sizeof parent, "r%d", i - 1);
        cr_assert_null(set(name, NULL, parent), "%s", name);
    }
    cr_assert_not_null(set("top", NULL, name), "too deep");
    cr_assert_null(set("base", NULL, NULL));
    cr_assert_not_null(set("r1", NULL, "base"), "too deep for those above");
    cr_assert_null(grant("ada", name));
    cr_assert(counts("ada", "r1"));
}

Test(policy, grants_reach_through_groups_and_inheritance)
{
    cr_assert_null(set("reader", "%R~a:*", NULL));
    cr_assert_null(set("writer", "%W~a:*", "reader"));
    cr_assert_null(grant("@team", "writer"));
    cr_assert_null(grant("ada", "@team"));
    cr_assert(counts("ada", "writer"));
    cr_assert(counts("ada", "reader"));
    cr_assert_not(counts("bob", "reader"));
    cr_assert_not(counts("@team", "reader"), "a group is no user");
    cr_assert_not_null(grant("@team", "@other"));
    cr_assert_not_null(grant("ada", "nobody"));
    cr_assert_not_null(grant("a b", "user"));
    cr_assert_not_null(grant("", "user"));
    cr_assert_eq(revoke("ada", "@team"), 1);
    cr_assert_eq(revoke("ada", "@team"), 0);
    cr_assert_not(counts("ada", "writer"));
    cr_assert_null(policy_subject(policy, hl_slice_of("ada")));
    cr_assert_null(grant("eve", "writer"));
    cr_assert_null(policy_delete_role(policy, hl_slice_of("writer")));
    cr_assert_null(policy_subject(policy, hl_slice_of("eve")), "its grants went with the role");
}

Test(policy, grants_count_before_what_a_token_carries_and_that_before_the_default)
{
    static struct effective_list list;
    struct hl_slice admin = hl_slice_of("admin");
    policy_effective(policy, hl_slice_of("ada"), &admin, 1, hl_slice_of("user"), &list);
    cr_assert_eq(list.count, 1);
    cr_assert_str_eq(list.items[0].role->name, "admin");
    cr_assert_str_eq(list.items[0].subject, "token");
    policy_effective(policy, hl_slice_of("ada"), NULL, 0, hl_slice_of("user"), &list);
    cr_assert_str_eq(list.items[0].role->name, "user");
    cr_assert_null(grant("ada", "readonly"));
    policy_effective(policy, hl_slice_of("ada"), &admin, 1, hl_slice_of("user"), &list);
    cr_assert_eq(list.count, 1);
    cr_assert_str_eq(list.items[0].role->name, "readonly");
    policy_effective(policy, hl_slice_of("bob"), NULL, 0, hl_slice_of(""), &list);
    cr_assert_eq(list.count, 0);
}

Test(policy, is_bounded)
{
    static struct hl_slice rules[POLICY_RULES_MAX + 1];
    for (size_t i = 0; i < HL_ARRAY_LEN(rules); i++) {
        rules[i] = hl_slice_of("kv:get");
    }
    struct role_spec spec = {
        .name = hl_slice_of("r"), .rules = rules, .rule_count = HL_ARRAY_LEN(rules)};
    cr_assert_not_null(policy_set_role(policy, &spec));
    char name[32];
    for (int i = (int)policy->role_count; i < POLICY_ROLES_MAX; i++) {
        snprintf(name, sizeof name, "role%d", i);
        cr_assert_null(set(name, NULL, NULL));
    }
    cr_assert_not_null(set("more", NULL, NULL));
    for (int i = 10; i < 10 + POLICY_GRANTS_MAX; i++) {
        snprintf(name, sizeof name, "role%d", i);
        cr_assert_null(grant("ada", name));
    }
    cr_assert_not_null(grant("ada", "role900"));
}

/* More roles than can be looked at: a mark at the end says so. */
Test(policy, too_many_effective_roles_are_marked)
{
    static struct effective_list list;
    char name[32];
    static struct hl_slice parents[POLICY_PARENTS_MAX];
    static char names[POLICY_PARENTS_MAX][32];
    for (int g = 0; g < 20; g++) {
        for (int i = 0; i < POLICY_PARENTS_MAX; i++) {
            snprintf(names[i], sizeof names[i], "leaf%d-%d", g, i);
            cr_assert_null(set(names[i], NULL, NULL));
            parents[i] = hl_slice_of(names[i]);
        }
        snprintf(name, sizeof name, "top%d", g);
        struct role_spec spec = {
            .name = hl_slice_of(name), .parents = parents, .parent_count = POLICY_PARENTS_MAX};
        cr_assert_null(policy_set_role(policy, &spec));
        cr_assert_null(grant("ada", name));
    }
    policy_effective(policy, hl_slice_of("ada"), NULL, 0, hl_slice_of(""), &list);
    cr_assert_eq(list.count, POLICY_EFFECTIVE_MAX);
    cr_assert_null(list.items[POLICY_EFFECTIVE_MAX - 1].role);
}

static void encode(struct hl_buf *out)
{
    hl_buf_clear(out);
    policy_encode(policy, out);
}

Test(policy, bytes_come_back_the_same_or_are_refused)
{
    struct hl_buf bytes = {0};
    struct policy *copy = NULL;
    cr_assert_null(set("z", "+get", NULL));
    cr_assert_null(set("a", "-~x*", "z")); /* its parent stands behind it */
    cr_assert_null(set("user", "kv:*", "a"));
    cr_assert_null(grant("ada", "z"));
    cr_assert_null(grant("@g", "a"));
    cr_assert_null(grant("ada", "@g"));
    encode(&bytes);
    cr_assert_eq(policy_decode(&copy, hl_buf_view(&bytes)), HL_OK);
    cr_assert_eq(copy->subject_count, 2);
    policy_destroy(copy);
    for (size_t cut = 0; cut < bytes.len; cut++) {
        cr_assert_eq(policy_decode(&copy, (struct hl_slice){bytes.ptr, cut}), HL_ECORRUPT);
    }
    for (size_t at = 0; at < bytes.len; at++) {
        char was = bytes.ptr[at];
        for (unsigned value = 0; value < 256; value += 7) {
            bytes.ptr[at] = (char)value;
            if (policy_decode(&copy, hl_buf_view(&bytes)) == HL_OK) {
                struct hl_buf again = {0};
                policy_encode(copy, &again);
                cr_assert(hl_slice_equal(hl_buf_view(&bytes), hl_buf_view(&again)));
                hl_buf_fini(&again);
                policy_destroy(copy);
            }
        }
        bytes.ptr[at] = was;
    }
    bytes.ptr[0] = 2;
    cr_assert_eq(policy_decode(&copy, hl_buf_view(&bytes)), HL_EVERSION);
    hl_buf_fini(&bytes);
}

/* ---- Any order of anything ------------------------------------------------------------------- */

enum { STEPS = 20000, NAMES = 12 };

static uint64_t seed = 3;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* The closure by the plainest means: add parents until nothing is new. */
static void naive_closure(const char *user, bool found[NAMES])
{
    char name[8];
    memset(found, 0, NAMES * sizeof found[0]);
    const struct subject *subject = policy_subject(policy, hl_slice_of(user));
    for (size_t i = 0; subject != NULL && i < subject->grant_count; i++) {
        const struct subject *group = policy_subject(policy, hl_slice_of(subject->grants[i]));
        for (int r = 0; r < NAMES; r++) {
            snprintf(name, sizeof name, "r%d", r);
            found[r] = found[r] || strcmp(subject->grants[i], name) == 0;
            for (size_t g = 0; group != NULL && g < group->grant_count; g++) {
                found[r] = found[r] || strcmp(group->grants[g], name) == 0;
            }
        }
    }
    for (bool more = true; more;) {
        more = false;
        for (int r = 0; r < NAMES; r++) {
            snprintf(name, sizeof name, "r%d", r);
            const struct role *role = policy_role(policy, hl_slice_of(name));
            for (size_t p = 0; found[r] && role != NULL && p < role->parent_count; p++) {
                int parent = 0;
                cr_assert_eq(sscanf(role->parents[p], "r%d", &parent), 1);
                more = more || !found[parent];
                found[parent] = true;
            }
        }
    }
}

Test(policy, what_counts_is_the_closure_after_any_changes)
{
    char role[8];
    char other[8];
    char user[8];
    struct hl_buf bytes = {0};
    int cycles = 0;
    for (int i = 0; i < STEPS; i++) {
        snprintf(role, sizeof role, "r%d", (int)draw(NAMES));
        snprintf(other, sizeof other, "r%d", (int)draw(NAMES));
        snprintf(user, sizeof user, "%su%d", draw(3) == 0 ? "@" : "", (int)draw(3));
        switch (draw(6)) {
        case 0:
        case 1: {
            const char *error = set(role, "kv:get", draw(3) == 0 ? NULL : other);
            cycles += error != NULL && strstr(error, "cycle") != NULL;
            break;
        }
        case 2:
            (void)policy_delete_role(policy, hl_slice_of(role));
            break;
        case 3:
            (void)revoke(user, role);
            break;
        case 4:
            (void)grant(user, role);
            break;
        default:
            (void)grant("u1", user[0] == '@' ? user : role);
            break;
        }
        bool want[NAMES];
        naive_closure("u1", want);
        for (int r = 0; r < NAMES; r++) {
            snprintf(role, sizeof role, "r%d", r);
            cr_assert_eq(counts("u1", role), want[r], "step %d, %s", i, role);
        }
        if (i % 100 == 0) {
            struct policy *copy = NULL;
            encode(&bytes);
            cr_assert_eq(policy_decode(&copy, hl_buf_view(&bytes)), HL_OK, "step %d", i);
            policy_destroy(policy);
            policy = copy;
        }
    }
    cr_assert_gt(cycles, 100);
    hl_buf_fini(&bytes);
}
