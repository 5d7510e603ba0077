/* May a user run a request? */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/glob.h"
#include "node/acl_internal.h"

#define REFS_ON_STACK 64

/* Where channels stand among the arguments of the commands that have some. */
static const struct channel_spec {
    const char *command;
    bool to_the_end; /* every argument from the first on, else one */
    bool pattern;    /* they are patterns themselves */
} channel_specs[] = {
    {"publish", false, false},   {"spublish", false, false}, {"subscribe", true, false},
    {"ssubscribe", true, false}, {"psubscribe", true, true},
};

/* The place of the first argument that must be checked and may not be used. */
struct refusal {
    enum hl_acl_verdict verdict;
    int index;
};

/* What a use of a key needs: reading, writing, or only that it may be named. */
static uint32_t needs_of(uint32_t flags)
{
    uint32_t needs = (flags & HL_KEY_ACCESS) != 0 ? ACL_READ : 0;
    if ((flags & (HL_KEY_INSERT | HL_KEY_DELETE | HL_KEY_UPDATE)) != 0) {
        needs |= ACL_WRITE;
    }
    if (needs == 0 && (flags & (HL_KEY_RW | HL_KEY_OW | HL_KEY_RM)) != 0) {
        needs = ACL_WRITE; /* a row that does not say how it writes */
    }
    return needs;
}

static bool key_denied(const struct acl_selector *selector, struct hl_slice key, uint32_t needs)
{
    uint32_t uses = needs != 0 ? needs : ACL_READ | ACL_WRITE;
    for (size_t i = 0; i < selector->denied_count; i++) {
        const struct acl_pattern *pattern = &selector->denied[i];
        if ((pattern->flags & uses) != 0 && hl_glob_match(acl_view(&pattern->glob), key, false)) {
            return true;
        }
    }
    return false;
}

static bool key_allowed(const struct acl_selector *selector, struct hl_slice key, uint32_t needs)
{
    if (key_denied(selector, key, needs)) {
        return false;
    }
    if (selector->all_keys) {
        return true;
    }
    for (size_t i = 0; i < selector->pattern_count; i++) {
        const struct acl_pattern *pattern = &selector->patterns[i];
        if ((pattern->flags & needs) == needs &&
            hl_glob_match(acl_view(&pattern->glob), key, false)) {
            return true;
        }
    }
    return false;
}

static bool channel_allowed(const struct acl_selector *selector, struct hl_slice channel,
                            bool pattern)
{
    for (size_t i = 0; i < selector->denied_channels.count; i++) {
        /* Of two patterns nobody can tell whether they share a channel. */
        if (pattern ||
            hl_glob_match(acl_view(&selector->denied_channels.items[i]), channel, false)) {
            return false;
        }
    }
    if (selector->all_channels) {
        return true;
    }
    for (size_t i = 0; i < selector->channels.count; i++) {
        struct hl_slice glob = acl_view(&selector->channels.items[i]);
        if (pattern ? hl_slice_equal(glob, channel) : hl_glob_match(glob, channel, false)) {
            return true;
        }
    }
    return false;
}

static bool equal_any_case(struct hl_slice a, struct hl_slice b)
{
    for (size_t i = 0; i < a.len && a.len == b.len; i++) {
        unsigned char x = (unsigned char)a.ptr[i];
        unsigned char y = (unsigned char)b.ptr[i];
        x = x >= 'A' && x <= 'Z' ? (unsigned char)(x + 32) : x;
        y = y >= 'A' && y <= 'Z' ? (unsigned char)(y + 32) : y;
        if (x != y) {
            return false;
        }
    }
    return a.len == b.len;
}

static bool command_allowed(const struct acl_selector *selector, const struct hl_command *cmd,
                            const struct hl_slice *argv, int argc)
{
    if ((cmd->flags & HL_CMD_NO_AUTH) != 0 || acl_bit(selector, cmd->id)) {
        return true;
    }
    for (size_t i = 0; argc >= 2 && i < selector->rule_count; i++) {
        const struct acl_rule *rule = &selector->rules[i];
        if (rule->kind == ACL_RULE_FIRST_ARG &&
            hl_slice_is(acl_view(&rule->name), cmd->row->name) &&
            equal_any_case(acl_view(&rule->first), argv[1])) {
            return true;
        }
    }
    return false;
}

static struct refusal check_selector(const struct acl_selector *selector,
                                     const struct hl_command *cmd, const struct hl_slice *argv,
                                     int argc, const struct hl_key_ref *refs, int ref_count)
{
    if (!command_allowed(selector, cmd, argv, argc)) {
        return (struct refusal){HL_ACL_NO_COMMAND, 0};
    }
    for (int i = 0; i < ref_count; i++) {
        uint32_t flags = hl_command_key_use(cmd, argv, argc, refs[i].flags);
        if ((flags & HL_KEY_NOT_KEY) == 0 &&
            !key_allowed(selector, argv[refs[i].index], needs_of(flags))) {
            return (struct refusal){HL_ACL_NO_KEY, refs[i].index};
        }
    }
    bool every_channel = selector->all_channels && selector->denied_channels.count == 0;
    if ((cmd->flags & HL_CMD_PUBSUB) == 0 || every_channel) {
        return (struct refusal){HL_ACL_ALLOWED, 0};
    }
    for (size_t k = 0; k < HL_ARRAY_LEN(channel_specs); k++) {
        const struct channel_spec *spec = &channel_specs[k];
        if (strcmp(spec->command, cmd->row->name) != 0) {
            continue;
        }
        for (int i = 1; i < (spec->to_the_end ? argc : 2); i++) {
            if (!channel_allowed(selector, argv[i], spec->pattern)) {
                return (struct refusal){HL_ACL_NO_CHANNEL, i};
            }
        }
    }
    return (struct refusal){HL_ACL_ALLOWED, 0};
}

/* Renew all bits when commands came or went (U3). */
static void follow_commands(struct hl_acl *acl)
{
    uint64_t epoch = hl_command_table_epoch(acl->commands);
    if (epoch == acl->epoch) {
        return;
    }
    acl->epoch = epoch;
    for (size_t i = 0; i < acl->user_count; i++) {
        for (size_t k = 0; k < acl->users[i]->selector_count; k++) {
            acl_recompute(acl, acl->users[i]->selectors[k]);
        }
    }
}

static bool unrestricted(const struct acl_selector *selector)
{
    return selector->all_commands && selector->rule_count == 0 && selector->all_keys &&
           selector->all_channels && selector->denied_count == 0 &&
           selector->denied_channels.count == 0;
}

enum hl_acl_verdict hl_acl_check(struct hl_acl *acl, const struct hl_user *user,
                                 const struct hl_command *cmd, const struct hl_slice *argv,
                                 int argc, int *index)
{
    if (user == NULL || unrestricted(user->selectors[0])) {
        return HL_ACL_ALLOWED;
    }
    follow_commands(acl);
    struct hl_key_ref few[REFS_ON_STACK];
    struct hl_key_ref *refs = argc <= REFS_ON_STACK ? few : hl_malloc((size_t)argc * sizeof *refs);
    int ref_count = hl_command_keys(cmd, argv, argc, refs);
    struct refusal worst = {HL_ACL_ALLOWED, 0};
    bool allowed = false;
    for (size_t i = 0; i < user->selector_count && !allowed; i++) {
        struct refusal refusal =
            check_selector(user->selectors[i], cmd, argv, argc, refs, ref_count);
        allowed = refusal.verdict == HL_ACL_ALLOWED;
        /* Report the selector that came closest to allowing it. */
        if (refusal.verdict > worst.verdict ||
            (refusal.verdict == worst.verdict && refusal.index > worst.index)) {
            worst = refusal;
        }
    }
    if (refs != few) {
        hl_free(refs);
    }
    if (allowed) {
        return HL_ACL_ALLOWED;
    }
    *index = worst.index;
    return worst.verdict;
}

bool hl_acl_check_key(const struct hl_user *user, struct hl_slice key, uint32_t flags)
{
    for (size_t i = 0; i < user->selector_count; i++) {
        if (key_allowed(user->selectors[i], key, needs_of(flags))) {
            return true;
        }
    }
    return false;
}

bool hl_acl_check_channel(const struct hl_user *user, struct hl_slice channel, bool pattern)
{
    for (size_t i = 0; i < user->selector_count; i++) {
        if (channel_allowed(user->selectors[i], channel, pattern)) {
            return true;
        }
    }
    return false;
}
