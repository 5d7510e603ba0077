/* Roles of a policy: making, replacing, deleting, and what inherits what. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "policy_internal.h"

static const char *const user_rules[] = {"kv:get", "kv:set", "kv:delete", "job:create", "job:view"};
static const char *const readonly_rules[] = {"kv:get", "job:view"};
static const char *const admin_rules[] = {"admin:*"};

static const struct built_in {
    const char *name, *description;
    const char *const *rules;
    size_t rule_count;
} built_ins[] = {
    {"admin", "May do everything.", admin_rules, HL_ARRAY_LEN(admin_rules)},
    {"readonly", "Reads keys and jobs.", readonly_rules, HL_ARRAY_LEN(readonly_rules)},
    {"user", "Keeps keys and makes jobs.", user_rules, HL_ARRAY_LEN(user_rules)},
};

static const struct built_in *built_in(struct hl_slice name)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(built_ins); i++) {
        if (hl_slice_equal(name, hl_slice_of(built_ins[i].name))) {
            return &built_ins[i];
        }
    }
    return NULL;
}

void role_destroy(struct role *role)
{
    if (role == NULL) {
        return;
    }
    for (size_t i = 0; i < role->rule_count; i++) {
        hl_free(role->rules[i]);
    }
    hl_free(role->rules);
    hl_free(role->parents);
    hl_free(role->description);
    hl_free(role);
}

/* Add a rule unless the role has it; NULL, or why it is none. */
static const char *add_rule(struct role *role, struct hl_slice text)
{
    struct rule *rule = hl_malloc(sizeof *rule);
    const char *error = rule_parse(rule, text);
    for (size_t i = 0; i < role->rule_count && error == NULL; i++) {
        if (strcmp(role->rules[i]->text, rule->text) == 0) {
            hl_free(rule);
            return NULL;
        }
    }
    if (error != NULL) {
        hl_free(rule);
        return error;
    }
    role->rules = hl_realloc(role->rules, (role->rule_count + 1) * sizeof *role->rules);
    role->rules[role->rule_count++] = rule;
    return NULL;
}

static void add_parent(struct role *role, struct hl_slice name)
{
    for (size_t i = 0; i < role->parent_count; i++) {
        if (hl_slice_equal(name, hl_slice_of(role->parents[i]))) {
            return;
        }
    }
    role->parents = hl_realloc(role->parents, (role->parent_count + 1) * sizeof *role->parents);
    memset(role->parents[role->parent_count], 0, sizeof *role->parents);
    memcpy(role->parents[role->parent_count++], name.ptr, name.len);
}

const char *role_make(struct role **out, const struct role_spec *spec)
{
    if (!policy_name_valid(spec->name, false)) {
        return "ERR a name has 1 to 128 printable bytes, no space, comma or parenthesis, and no "
               "sign in front";
    }
    if (spec->rule_count > POLICY_RULES_MAX || spec->parent_count > POLICY_PARENTS_MAX) {
        return "ERR a role has at most 256 rules and inherits at most 16 roles";
    }
    if (spec->description.len > POLICY_TEXT_MAX) {
        return "ERR a description has at most 512 bytes";
    }
    struct role *role = hl_calloc(1, sizeof *role);
    memcpy(role->name, spec->name.ptr, spec->name.len);
    bool described = spec->description.len != 0;
    role->description = hl_strndup(described ? spec->description.ptr : "", spec->description.len);
    const char *error = NULL;
    for (size_t i = 0; i < spec->rule_count && error == NULL; i++) {
        error = add_rule(role, spec->rules[i]);
    }
    for (size_t i = 0; i < spec->parent_count && error == NULL; i++) {
        if (!policy_name_valid(spec->parents[i], false)) {
            error = "an inherited role has no such name";
        } else {
            add_parent(role, spec->parents[i]);
        }
    }
    if (error != NULL) {
        role_destroy(role);
        return error;
    }
    *out = role;
    return NULL;
}

static size_t place_of(const struct policy *policy, struct hl_slice name, bool *found)
{
    size_t low = 0;
    size_t high = policy->role_count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = hl_slice_compare(hl_slice_of(policy->roles[middle]->name), name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct role *policy_role(const struct policy *policy, struct hl_slice name)
{
    bool found = false;
    size_t at = place_of(policy, name, &found);
    return found ? policy->roles[at] : NULL;
}

void role_put(struct policy *policy, struct role *given_role)
{
    bool found = false;
    size_t at = place_of(policy, hl_slice_of(given_role->name), &found);
    if (found) {
        role_destroy(policy->roles[at]);
    } else {
        policy->roles = hl_realloc(policy->roles, (policy->role_count + 1) * sizeof *policy->roles);
        memmove(policy->roles + at + 1, policy->roles + at,
                (policy->role_count - at) * sizeof *policy->roles);
        policy->role_count++;
    }
    policy->roles[at] = given_role;
    policy->epoch++;
}

void role_put_built_ins(struct policy *policy)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(built_ins); i++) {
        const struct built_in *b = &built_ins[i];
        struct hl_slice rules[8];
        struct role *role = NULL;
        if (policy_role(policy, hl_slice_of(b->name)) != NULL) {
            continue;
        }
        for (size_t r = 0; r < b->rule_count; r++) {
            rules[r] = hl_slice_of(b->rules[r]);
        }
        struct role_spec spec = {.name = hl_slice_of(b->name),
                                 .description = hl_slice_of(b->description),
                                 .rules = rules,
                                 .rule_count = b->rule_count};
        const char *error = role_make(&role, &spec);
        HL_ASSERT(error == NULL);
        role->built_in = true;
        role_put(policy, role);
    }
}

/* ---- Inheritance ----------------------------------------------------------------------------- */

/* How a walk over all ancestors goes: a stack of roles and the next parent of each, so that no
 * input makes us recurse. */
struct step {
    const struct role *role;
    size_t next;
};

/* P1 of one role, in which `changed` (may be NULL) stands for the role of its name: NULL, or what
 * is wrong.  Work is bounded: each level has at most 16 parents, but a role of which all is well
 * is not looked at twice (`good`, by place). */
static const char *walk(const struct policy *policy, const struct role *from,
                        const struct role *changed, unsigned char *height)
{
    struct step stack[POLICY_DEPTH_MAX + 1];
    size_t depth = 1;
    stack[0] = (struct step){from, 0};
    while (depth != 0) {
        struct step *top = &stack[depth - 1];
        bool found = false;
        size_t at = 0;
        if (top->next == top->role->parent_count) { /* all its parents are well: note how high */
            unsigned char most = 0;
            for (size_t i = 0; i < top->role->parent_count; i++) {
                at = place_of(policy, hl_slice_of(top->role->parents[i]), &found);
                most = found && height[at] > most ? height[at] : most;
            }
            at = place_of(policy, hl_slice_of(top->role->name), &found);
            if (found) {
                height[at] = (unsigned char)(most + 1);
            }
            if ((size_t)most + depth > POLICY_DEPTH_MAX) {
                return "ERR roles inherit at most 16 levels deep";
            }
            depth--;
            continue;
        }
        struct hl_slice name = hl_slice_of(top->role->parents[top->next++]);
        at = place_of(policy, name, &found);
        bool is_changed = changed != NULL && hl_slice_equal(name, hl_slice_of(changed->name));
        if (!found && !is_changed) {
            return "NOROLE an inherited role does not exist";
        }
        const struct role *parent = is_changed ? changed : policy->roles[at];
        for (size_t i = 0; i < depth; i++) {
            if (strcmp(stack[i].role->name, parent->name) == 0) {
                return "ERR roles would inherit one another in a cycle";
            }
        }
        if (found && height[at] != 0) {
            if (height[at] + depth > POLICY_DEPTH_MAX) {
                return "ERR roles inherit at most 16 levels deep";
            }
            continue;
        }
        if (depth == POLICY_DEPTH_MAX) {
            return "ERR roles inherit at most 16 levels deep";
        }
        stack[depth++] = (struct step){parent, 0};
    }
    return NULL;
}

const char *role_check_all(const struct policy *policy, const struct role *changed)
{
    unsigned char *height = hl_calloc(policy->role_count + 1, 1);
    const char *error = changed == NULL ? NULL : walk(policy, changed, changed, height);
    for (size_t i = 0; i < policy->role_count && error == NULL; i++) {
        bool same = changed != NULL && strcmp(policy->roles[i]->name, changed->name) == 0;
        if (!same && height[i] == 0) {
            error = walk(policy, policy->roles[i], changed, height);
        }
    }
    hl_free(height);
    return error;
}

/* ---- Changes --------------------------------------------------------------------------------- */

const char *policy_set_role(struct policy *policy, const struct role_spec *spec)
{
    struct role *role = NULL;
    if (hl_slice_equal(spec->name, hl_slice_of("admin"))) {
        return "ERR the role admin never changes";
    }
    const char *error = role_make(&role, spec);
    if (error == NULL && policy_role(policy, spec->name) == NULL &&
        policy->role_count >= POLICY_ROLES_MAX) {
        error = "ERR there are 1024 roles already";
    }
    if (error == NULL) {
        error = role_check_all(policy, role);
    }
    if (error != NULL) {
        role_destroy(role);
        return error;
    }
    role_put(policy, role);
    return NULL;
}

const char *policy_delete_role(struct policy *policy, struct hl_slice name)
{
    bool found = false;
    size_t at = place_of(policy, name, &found);
    if (!found) {
        return "NOROLE there is no such role";
    }
    if (policy->roles[at]->built_in) {
        return "ERR a built-in role cannot be deleted";
    }
    if (built_in(name) == NULL) {
        for (size_t i = 0; i < policy->role_count; i++) {
            for (size_t p = 0; p < policy->roles[i]->parent_count; p++) {
                if (hl_slice_equal(name, hl_slice_of(policy->roles[i]->parents[p]))) {
                    return "ERR another role inherits it";
                }
            }
        }
        subjects_forget(policy, name);
    }
    role_destroy(policy->roles[at]);
    memmove(policy->roles + at, policy->roles + at + 1,
            (policy->role_count - at - 1) * sizeof *policy->roles);
    policy->role_count--;
    role_put_built_ins(policy);
    policy->epoch++;
    return NULL;
}
