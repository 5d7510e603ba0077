#include "decide.h"

#include "kit/assert.h"
#include "kit/glob.h"

/* Whether a command rule, "get" or "config|set", speaks of the request. */
static bool names_command(struct hl_slice what, const struct request *request)
{
    size_t bar = 0;
    while (bar < what.len && what.ptr[bar] != '|') {
        bar++;
    }
    struct hl_slice name = {what.ptr, bar};
    if (!hl_slice_equal(name, request->command)) {
        return false;
    }
    struct hl_slice sub = {what.ptr + bar + 1, what.len - bar - 1};
    return bar == what.len || hl_slice_equal(sub, request->sub);
}

static bool in_category(struct hl_slice what, const struct request *request)
{
    for (size_t i = 0; i < request->category_count; i++) {
        if (hl_slice_equal(what, request->categories[i])) {
            return true;
        }
    }
    return hl_slice_is(what, "all");
}

static bool covers_command(const struct rule *rule, const struct request *request)
{
    switch (rule->kind) {
    case RULE_COMMAND:
        return names_command(rule->what, request);
    case RULE_CATEGORY:
        return in_category(rule->what, request);
    case RULE_KEY:
    case RULE_CHANNEL:
    case RULE_NAMED:
        return false;
    }
    return false;
}

/* What a use of a key is when the command does not say. */
static unsigned use_of(const struct request_key *key)
{
    return key->use != 0 ? key->use : RULE_READ | RULE_WRITE;
}

static bool denies_key(const struct rule *rule, const struct request *request)
{
    for (size_t i = 0; i < request->key_count; i++) {
        const struct request_key *key = &request->keys[i];
        if ((use_of(key) & rule->use) != 0 && hl_glob_match(rule->what, key->name, false)) {
            return true;
        }
    }
    return false;
}

bool decide_denies(const struct rule *rule, const struct request *request)
{
    bool named = request->permission.len != 0;
    if (!rule->deny) {
        return false;
    }
    switch (rule->kind) {
    case RULE_COMMAND:
    case RULE_CATEGORY:
        return !named && covers_command(rule, request);
    case RULE_KEY:
        return !named && denies_key(rule, request);
    case RULE_CHANNEL:
        return !named && request->channel.len != 0 &&
               hl_glob_match(rule->what, request->channel, false);
    case RULE_NAMED:
        return named && rule_covers_named(rule, request->permission, request->key);
    }
    return false;
}

/* ---- One unit -------------------------------------------------------------------------------- */

struct match {
    const struct request *request;
    const struct rule *rule; /* what allowed it */
    bool found;
};

static void match_command(void *ctx, const char *command)
{
    struct match *match = ctx;
    match->found = match->found || names_command(hl_slice_of(command), match->request);
}

static bool plain_command(const struct role *role, struct match *match)
{
    for (size_t i = 0; i < role->rule_count; i++) {
        if (!role->rules[i]->deny && covers_command(role->rules[i], match->request)) {
            match->rule = role->rules[i];
            return true;
        }
    }
    return false;
}

static bool plain_glob(const struct role *role, enum rule_kind kind, struct hl_slice text,
                       unsigned use)
{
    for (size_t i = 0; i < role->rule_count; i++) {
        const struct rule *rule = role->rules[i];
        if (!rule->deny && rule->kind == kind &&
            (kind == RULE_CHANNEL || (rule->use & use) == use) &&
            hl_glob_match(rule->what, text, false)) {
            return true;
        }
    }
    return false;
}

static bool is_system_key(struct hl_slice name)
{
    for (size_t i = 0; unit_system_keys[i] != NULL; i++) {
        if (hl_glob_match(hl_slice_of(unit_system_keys[i]), name, false)) {
            return true;
        }
    }
    return false;
}

static bool unit_has_keys(const struct unit *unit, const struct request *request)
{
    for (size_t i = 0; i < request->key_count; i++) {
        const struct request_key *key = &request->keys[i];
        bool has = unit->plain ? plain_glob(unit->role, RULE_KEY, key->name, key->use)
                               : (unit->use & key->use) == key->use &&
                                     hl_glob_match(hl_slice_of(unit->glob), key->name, false) &&
                                     !is_system_key(key->name);
        if (!has) {
            return false;
        }
    }
    return true;
}

/* D2 */
static bool try_unit(void *ctx, const struct unit *unit)
{
    struct match *match = ctx;
    const struct request *request = match->request;
    match->rule = unit->first;
    if (unit->all) {
        return true;
    }
    match->found = false;
    if (unit->plain) {
        match->found = plain_command(unit->role, match);
    } else {
        unit_commands(unit, match_command, match);
    }
    bool channel = request->channel.len == 0 ||
                   (unit->plain && plain_glob(unit->role, RULE_CHANNEL, request->channel, 0));
    return match->found && channel && unit_has_keys(unit, request);
}

/* ---- All roles ------------------------------------------------------------------------------- */

static const struct rule *allows_named(const struct role *role, const struct request *request)
{
    for (size_t i = 0; i < role->rule_count; i++) {
        const struct rule *rule = role->rules[i];
        if (!rule->deny && rule->kind == RULE_NAMED &&
            rule_covers_named(rule, request->permission, request->key)) {
            return rule;
        }
    }
    return NULL;
}

static bool is_basic(const struct request *request)
{
    if (request->key_count != 0) {
        return false;
    }
    for (size_t i = 0; unit_basics[i] != NULL; i++) {
        if (names_command(hl_slice_of(unit_basics[i]), request)) {
            return true;
        }
    }
    return false;
}

static struct decision find_denial(const struct effective_list *roles,
                                   const struct request *request)
{
    for (size_t i = 0; i < roles->count; i++) {
        const struct role *role = roles->items[i].role;
        for (size_t r = 0; role != NULL && r < role->rule_count; r++) {
            if (decide_denies(role->rules[r], request)) {
                return (struct decision){.by = &roles->items[i], .rule = role->rules[r]};
            }
        }
    }
    return (struct decision){0};
}

struct decision decide(const struct effective_list *roles, const struct request *request)
{
    HL_ASSERT(request->permission.len != 0 || request->command.len != 0);
    struct decision denial = find_denial(roles, request);
    bool cut = roles->count != 0 && roles->items[roles->count - 1].role == NULL;
    if (denial.rule != NULL || cut) {
        return denial; /* D1; of a list that was cut nobody knows all denials */
    }
    for (size_t i = 0; i < roles->count; i++) {
        const struct role *role = roles->items[i].role;
        struct match match = {.request = request};
        bool allowed = false;
        if (request->permission.len != 0) {
            match.rule = allows_named(role, request);
            allowed = match.rule != NULL;
        } else {
            allowed = unit_each(role, try_unit, &match);
        }
        if (allowed) {
            return (struct decision){true, &roles->items[i], match.rule};
        }
    }
    if (request->permission.len == 0 && roles->count != 0 && is_basic(request)) {
        return (struct decision){true, &roles->items[0], NULL};
    }
    return (struct decision){0}; /* D3 */
}
