/* Rules of ACL SETUSER, with Redis's grammar and reasons. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/acl_internal.h"

static const char bad_syntax[] = "Syntax error";
static const char bad_command[] = "Unknown command or category name in ACL";
static const char bad_first_arg[] = "Allowing first-arg of a subcommand is not supported";
static const char bad_limit[] = "Too many rules for one user";
static const char bad_key[] =
    "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have "
    "any effect. Try 'resetkeys' to start with an empty list of patterns";
static const char bad_channel[] =
    "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not "
    "have any effect. Try 'resetchannels' to start with an empty list of channels";
static const char bad_hash[] = "The password hash must be exactly 64 characters and contain only "
                               "lowercase hexadecimal characters";
static const char bad_password[] =
    "The password you are trying to remove from the user does not exist";

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool has_space(struct hl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (is_space(text.ptr[i]) || text.ptr[i] == '\0') {
            return true;
        }
    }
    return false;
}

static struct hl_slice rest_of(struct hl_slice text, size_t skip)
{
    HL_ASSERT(skip <= text.len);
    return (struct hl_slice){.ptr = text.ptr + skip, .len = text.len - skip};
}

/* --- command rules ------------------------------------------------------------------------------
 */

static void drop_rule(struct acl_selector *selector, size_t i)
{
    hl_free(selector->rules[i].name.ptr);
    hl_free(selector->rules[i].first.ptr);
    selector->rule_count--;
    memmove(selector->rules + i, selector->rules + i + 1,
            (selector->rule_count - i) * sizeof *selector->rules);
}

void acl_reset_rules(struct acl_selector *selector, bool all)
{
    while (selector->rule_count != 0) {
        drop_rule(selector, selector->rule_count - 1);
    }
    selector->all_commands = all;
    memset(selector->bits, all ? 0xff : 0, sizeof selector->bits);
}

/* Is everything that `old` speaks of decided again by `rule`? */
static bool overrules(const struct hl_acl *acl, const struct acl_rule *rule,
                      const struct acl_rule *old)
{
    size_t len = rule->name.len;
    bool same = hl_slice_equal(acl_view(&rule->name), acl_view(&old->name));
    switch (rule->kind) {
    case ACL_RULE_COMMAND:
        return old->kind != ACL_RULE_CATEGORY &&
               (same || (old->name.len > len && old->name.ptr[len] == '|' &&
                         memcmp(old->name.ptr, rule->name.ptr, len) == 0));
    case ACL_RULE_FIRST_ARG:
        return old->kind == ACL_RULE_FIRST_ARG && same &&
               hl_slice_equal(acl_view(&rule->first), acl_view(&old->first));
    case ACL_RULE_CATEGORY:
        break;
    }
    if (old->kind == ACL_RULE_FIRST_ARG) {
        const struct hl_command *cmd = hl_command_find(acl->commands, acl_view(&old->name));
        return cmd != NULL && (cmd->acl & hl_acl_category(acl_view(&rule->name))) != 0;
    }
    return old->kind == ACL_RULE_CATEGORY && same;
}

/* Add a rule at the end; those it overrules go.  NULL, or why not. */
static const char *add_rule(const struct hl_acl *acl, struct acl_selector *selector, bool allow,
                            enum acl_rule_kind kind, struct hl_slice name, struct hl_slice first)
{
    if (selector->rule_count == HL_ACL_RULES_MAX) {
        return bad_limit;
    }
    struct acl_rule rule = {.allow = allow, .kind = kind, .name = acl_text_dup(name)};
    for (size_t i = 0; i < name.len; i++) {
        char c = rule.name.ptr[i];
        rule.name.ptr[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    if (kind == ACL_RULE_FIRST_ARG) {
        rule.first = acl_text_dup(first);
    }
    for (size_t i = selector->rule_count; i > 0; i--) {
        if (overrules(acl, &rule, &selector->rules[i - 1])) {
            drop_rule(selector, i - 1);
        }
    }
    selector->rules =
        hl_realloc(selector->rules, (selector->rule_count + 1) * sizeof *selector->rules);
    selector->rules[selector->rule_count++] = rule;
    return NULL;
}

/* Set the bits of a command and its subcommands; true when one changed. */
static bool set_command(struct acl_selector *selector, const struct hl_command *cmd, bool allow)
{
    bool changed = acl_bit(selector, cmd->id) != allow;
    uint64_t mask = UINT64_C(1) << (cmd->id % 64);
    selector->bits[cmd->id / 64] =
        allow ? selector->bits[cmd->id / 64] | mask : selector->bits[cmd->id / 64] & ~mask;
    for (uint32_t i = 0; i < cmd->sub_count; i++) {
        changed |= set_command(selector, cmd->subs[i], allow); /* subcommands have none */
    }
    return changed;
}

static bool set_category(const struct hl_acl *acl, struct acl_selector *selector, uint32_t category,
                         bool allow)
{
    bool changed = false;
    uint32_t end = hl_command_id_end(acl->commands);
    for (uint32_t id = 0; id < end; id++) {
        const struct hl_command *cmd = hl_command_by_id(acl->commands, id);
        if (cmd != NULL && (cmd->acl & category) != 0) {
            changed |= set_command(selector, cmd, allow);
        }
    }
    return changed;
}

/* Apply a rule to the bits; false when it is not worth keeping. */
static bool apply_rule(const struct hl_acl *acl, struct acl_selector *selector,
                       const struct acl_rule *rule, size_t kept_before)
{
    if (rule->kind == ACL_RULE_CATEGORY) {
        bool changed =
            set_category(acl, selector, hl_acl_category(acl_view(&rule->name)), rule->allow);
        bool obvious = kept_before == 0 && rule->allow == selector->all_commands;
        return changed || !obvious;
    }
    const struct hl_command *cmd = hl_command_find(acl->commands, acl_view(&rule->name));
    if (cmd == NULL) {
        return true; /* of a module that is not loaded now */
    }
    if (rule->kind == ACL_RULE_FIRST_ARG) {
        return !acl_bit(selector, cmd->id);
    }
    return set_command(selector, cmd, rule->allow);
}

void acl_recompute(const struct hl_acl *acl, struct acl_selector *selector)
{
    memset(selector->bits, selector->all_commands ? 0xff : 0, sizeof selector->bits);
    size_t kept = 0;
    while (kept < selector->rule_count) {
        if (apply_rule(acl, selector, &selector->rules[kept], kept)) {
            kept++;
        } else {
            drop_rule(selector, kept);
        }
    }
}

static const char *apply_known_command(const struct hl_acl *acl, struct acl_selector *selector,
                                       struct hl_slice rule)
{
    bool allow = rule.ptr[0] == '+';
    struct hl_slice name = rest_of(rule, 1);
    struct hl_slice none = {0};
    if (name.len != 0 && name.ptr[0] == '@') {
        name = rest_of(name, 1);
        if (hl_slice_is(name, "all")) {
            acl_reset_rules(selector, allow);
            return NULL;
        }
        return hl_acl_category(name) == 0
                   ? bad_command
                   : add_rule(acl, selector, allow, ACL_RULE_CATEGORY, name, none);
    }
    if (name.len != 0 && hl_command_find(acl->commands, name) != NULL) {
        return add_rule(acl, selector, allow, ACL_RULE_COMMAND, name, none);
    }
    size_t bar = name.len;
    while (bar > 0 && name.ptr[bar - 1] != '|') {
        bar--;
    }
    if (bar == 0 || !allow) {
        return bad_command;
    }
    struct hl_slice first = rest_of(name, bar);
    name.len = bar - 1;
    const struct hl_command *cmd = hl_command_find(acl->commands, name);
    if (cmd == NULL) {
        return bad_command;
    }
    if (cmd->parent != NULL) {
        return bad_first_arg;
    }
    if (first.len == 0 || has_space(first)) {
        return bad_syntax;
    }
    if (cmd->sub_count != 0) {
        return bad_command;
    }
    return add_rule(acl, selector, true, ACL_RULE_FIRST_ARG, name, first);
}

/* What the log says was right where it was said, by a module that may not be here now. */
static const char *apply_command(const struct hl_acl *acl, struct acl_selector *selector,
                                 struct hl_slice rule)
{
    const char *wrong = apply_known_command(acl, selector, rule);
    if (wrong == bad_command && acl->lenient && rule.len > 1 && rule.ptr[1] != '@') {
        return add_rule(acl, selector, rule.ptr[0] == '+', ACL_RULE_COMMAND, rest_of(rule, 1),
                        (struct hl_slice){0});
    }
    return wrong;
}

/* --- patterns -----------------------------------------------------------------------------------
 */

static void clear_patterns(struct acl_selector *selector, bool all)
{
    for (size_t i = 0; i < selector->pattern_count; i++) {
        hl_free(selector->patterns[i].glob.ptr);
    }
    selector->pattern_count = 0;
    selector->all_keys = all;
    for (size_t i = 0; i < selector->denied_count && !all; i++) {
        hl_free(selector->denied[i].glob.ptr);
    }
    selector->denied_count = all ? selector->denied_count : 0;
}

static void clear_channels(struct acl_selector *selector, bool all)
{
    for (size_t i = 0; i < selector->channels.count; i++) {
        hl_free(selector->channels.items[i].ptr);
    }
    selector->channels.count = 0;
    selector->all_channels = all;
    if (!all) {
        acl_texts_clear(&selector->denied_channels);
    }
}

/* ~pattern, %R~pattern, %W~pattern, %RW~pattern; a missing '~' leaves an empty pattern.  With
 * `deny`, what stood behind a '-'. */
static const char *apply_key(struct acl_selector *selector, struct hl_slice rule, bool deny)
{
    struct acl_pattern **list = deny ? &selector->denied : &selector->patterns;
    size_t *count = deny ? &selector->denied_count : &selector->pattern_count;
    uint32_t flags = rule.ptr[0] == '~' ? ACL_READ | ACL_WRITE : 0;
    size_t at = 1;
    while (rule.ptr[0] == '%' && at < rule.len) {
        char c = rule.ptr[at++];
        uint32_t flag = c == 'R' || c == 'r' ? ACL_READ : c == 'W' || c == 'w' ? ACL_WRITE : 0;
        if (c == '~') {
            break;
        }
        if (flag == 0 || (flags & flag) != 0) {
            return bad_syntax;
        }
        flags |= flag;
    }
    struct hl_slice glob = rest_of(rule, at);
    if (flags == 0 || has_space(glob)) {
        return bad_syntax;
    }
    if (selector->all_keys && !deny) {
        return bad_key;
    }
    for (size_t i = 0; i < *count; i++) {
        if (hl_slice_equal(acl_view(&(*list)[i].glob), glob)) {
            (*list)[i].flags |= flags;
            return NULL;
        }
    }
    if (*count == HL_ACL_RULES_MAX) {
        return bad_limit;
    }
    *list = hl_realloc(*list, (*count + 1) * sizeof **list);
    (*list)[(*count)++] = (struct acl_pattern){.flags = flags, .glob = acl_text_dup(glob)};
    return NULL;
}

static const char *apply_channel(struct acl_selector *selector, struct hl_slice rule, bool deny)
{
    struct hl_slice glob = rest_of(rule, 1);
    if (has_space(glob)) {
        return bad_syntax;
    }
    if (selector->all_channels && !deny) {
        return bad_channel;
    }
    struct acl_texts *channels = deny ? &selector->denied_channels : &selector->channels;
    for (size_t i = 0; i < channels->count; i++) {
        if (hl_slice_equal(acl_view(&channels->items[i]), glob)) {
            return NULL;
        }
    }
    if (channels->count == HL_ACL_RULES_MAX) {
        return bad_limit;
    }
    channels->items = hl_realloc(channels->items, (channels->count + 1) * sizeof *channels->items);
    channels->items[channels->count++] = acl_text_dup(glob);
    return NULL;
}

/* -~pattern, -%R~pattern, -&pattern: ours, Redis has no such rules. */
static bool denies_pattern(struct hl_slice rule)
{
    return rule.len > 1 && rule.ptr[0] == '-' && strchr("~%&", rule.ptr[1]) != NULL;
}

/* A rule that a selector may have.  NULL, or why not. */
static const char *apply_to_selector(const struct hl_acl *acl, struct acl_selector *selector,
                                     struct hl_slice rule)
{
    if (hl_slice_is(rule, "allkeys") || hl_slice_is(rule, "~*")) {
        clear_patterns(selector, true);
    } else if (hl_slice_is(rule, "resetkeys")) {
        clear_patterns(selector, false);
    } else if (hl_slice_is(rule, "allchannels") || hl_slice_is(rule, "&*")) {
        clear_channels(selector, true);
    } else if (hl_slice_is(rule, "resetchannels")) {
        clear_channels(selector, false);
    } else if (hl_slice_is(rule, "allcommands")) {
        acl_reset_rules(selector, true);
    } else if (hl_slice_is(rule, "nocommands")) {
        acl_reset_rules(selector, false);
    } else if (rule.len != 0 && (rule.ptr[0] == '~' || rule.ptr[0] == '%')) {
        return apply_key(selector, rule, false);
    } else if (rule.len != 0 && rule.ptr[0] == '&') {
        return apply_channel(selector, rule, false);
    } else if (denies_pattern(rule)) {
        struct hl_slice rest = rest_of(rule, 1);
        return rest.ptr[0] == '&' ? apply_channel(selector, rest, true)
                                  : apply_key(selector, rest, true);
    } else if (rule.len != 0 && (rule.ptr[0] == '+' || rule.ptr[0] == '-')) {
        return apply_command(acl, selector, rule);
    } else {
        return bad_syntax;
    }
    return NULL;
}

/* --- users --------------------------------------------------------------------------------------
 */

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hash(struct hl_slice text, unsigned char digest[HL_SHA256_BYTES])
{
    if (text.len != HL_SHA256_BYTES * 2) {
        return false;
    }
    for (size_t i = 0; i < HL_SHA256_BYTES; i++) {
        int high = hex_value(text.ptr[i * 2]);
        int low = hex_value(text.ptr[i * 2 + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        digest[i] = (unsigned char)(high * 16 + low);
    }
    return true;
}

static size_t find_password(const struct hl_user *user, const unsigned char *digest)
{
    size_t i = 0;
    while (i < user->password_count &&
           !hl_equal_constant_time(user->passwords[i], digest, HL_SHA256_BYTES)) {
        i++;
    }
    return i;
}

/* >password #hash <password !hash */
static const char *apply_password(struct hl_user *user, struct hl_slice rule)
{
    unsigned char digest[HL_SHA256_BYTES];
    char kind = rule.ptr[0];
    if (kind == '>' || kind == '<') {
        hl_sha256(rest_of(rule, 1), digest);
    } else if (!read_hash(rest_of(rule, 1), digest)) {
        return bad_hash;
    }
    size_t at = find_password(user, digest);
    if (kind == '<' || kind == '!') {
        if (at == user->password_count) {
            return bad_password;
        }
        user->password_count--;
        memmove(user->passwords + at, user->passwords + at + 1,
                (user->password_count - at) * sizeof *user->passwords);
        return NULL;
    }
    if (at == user->password_count) {
        if (at == HL_ACL_RULES_MAX) {
            return bad_limit;
        }
        user->passwords = hl_realloc(user->passwords, (at + 1) * sizeof *user->passwords);
        memcpy(user->passwords[at], digest, sizeof digest);
        user->password_count++;
    }
    user->no_password = false;
    return NULL;
}

static void clear_selectors(struct hl_user *user)
{
    while (user->selector_count > 1) {
        acl_selector_destroy(user->selectors[--user->selector_count]);
    }
}

/* (rule rule …) */
static const char *apply_parentheses(const struct hl_acl *acl, struct hl_user *user,
                                     struct hl_slice rule)
{
    if (rule.len < 2 || rule.ptr[rule.len - 1] != ')') {
        return bad_syntax;
    }
    if (user->selector_count == HL_ACL_RULES_MAX) {
        return bad_limit;
    }
    struct acl_selector *selector = acl_selector_create(acl->new_users_all_channels);
    struct hl_slice inner = {.ptr = rule.ptr + 1, .len = rule.len - 2};
    const char *wrong = NULL;
    while (wrong == NULL) {
        while (inner.len != 0 && is_space(inner.ptr[0])) {
            inner = rest_of(inner, 1);
        }
        size_t len = 0;
        while (len < inner.len && !is_space(inner.ptr[len])) {
            len++;
        }
        if (len == 0) {
            break;
        }
        /* A word that closes the parenthesis would end it early when read back from a file. */
        struct hl_slice word = {.ptr = inner.ptr, .len = len};
        wrong = word.ptr[len - 1] == ')' ? bad_syntax : apply_to_selector(acl, selector, word);
        inner = rest_of(inner, len);
    }
    if (wrong != NULL) {
        acl_selector_destroy(selector);
        return wrong;
    }
    user->selectors =
        hl_realloc(user->selectors, (user->selector_count + 1) * sizeof(struct acl_selector *));
    user->selectors[user->selector_count++] = selector;
    return NULL;
}

static void reset_user(const struct hl_acl *acl, struct hl_user *user)
{
    user->on = false;
    user->no_password = false;
    user->password_count = 0;
    user->sanitize = ACL_SANITIZE_YES;
    clear_selectors(user);
    clear_patterns(user->selectors[0], false);
    clear_channels(user->selectors[0], acl->new_users_all_channels);
    acl_reset_rules(user->selectors[0], false);
}

static const char *apply_to_user(const struct hl_acl *acl, struct hl_user *user,
                                 struct hl_slice rule)
{
    if (rule.len == 0) {
        return NULL; /* says nothing, as in Redis */
    }
    if (hl_slice_is(rule, "on")) {
        user->on = true;
    } else if (hl_slice_is(rule, "off")) {
        user->on = false;
    } else if (hl_slice_is(rule, "nopass")) {
        user->no_password = true;
        user->password_count = 0;
    } else if (hl_slice_is(rule, "resetpass")) {
        user->no_password = false;
        user->password_count = 0;
    } else if (hl_slice_is(rule, "sanitize-payload")) {
        user->sanitize = ACL_SANITIZE_YES;
    } else if (hl_slice_is(rule, "skip-sanitize-payload")) {
        user->sanitize = ACL_SANITIZE_SKIP;
    } else if (hl_slice_is(rule, "clearselectors")) {
        clear_selectors(user);
    } else if (hl_slice_is(rule, "reset")) {
        reset_user(acl, user);
    } else if (memchr("><#!", rule.ptr[0], 4) != NULL) {
        return apply_password(user, rule);
    } else if (rule.ptr[0] == '(') {
        return apply_parentheses(acl, user, rule);
    } else {
        return apply_to_selector(acl, user->selectors[0], rule);
    }
    return NULL;
}

/* How many of the arguments make one rule: more than one when parentheses were cut at spaces; 0
 * when they are never closed. */
static size_t arguments_of_rule(const struct hl_slice *rules, size_t count)
{
    if (rules[0].len == 0 || rules[0].ptr[0] != '(') {
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        if (rules[i].len != 0 && rules[i].ptr[rules[i].len - 1] == ')') {
            return i + 1;
        }
    }
    return 0;
}

static int shown(struct hl_slice text)
{
    return text.len < 200 ? (int)text.len : 200;
}

static hl_err check_parentheses(const struct hl_slice *rules, size_t count, struct hl_errmsg *msg)
{
    for (size_t i = 0; i < count;) {
        size_t used = arguments_of_rule(rules + i, count - i);
        if (used == 0) {
            return hl_fail(msg, HL_EINVAL,
                           "ERR Unmatched parenthesis in acl selector starting at '%.*s'.",
                           shown(rules[i]), rules[i].ptr);
        }
        i += used;
    }
    return HL_OK;
}

hl_err acl_apply_rules(struct hl_acl *acl, struct hl_user *user, const struct hl_slice *rules,
                       size_t count, struct hl_errmsg *msg)
{
    hl_err err = check_parentheses(rules, count, msg);
    struct hl_buf joined = {0};
    for (size_t i = 0; i < count && err == HL_OK;) {
        size_t used = arguments_of_rule(rules + i, count - i);
        HL_ASSERT(used > 0);
        hl_buf_clear(&joined);
        for (size_t k = 0; k < used; k++) {
            hl_buf_append_text(&joined, k == 0 ? "" : " ");
            hl_buf_append_slice(&joined, rules[i + k]);
        }
        struct hl_slice rule = hl_buf_view(&joined);
        const char *wrong =
            rule.len > HL_ACL_RULE_BYTES_MAX ? bad_limit : apply_to_user(acl, user, rule);
        if (wrong != NULL) {
            err = hl_fail(msg, HL_EINVAL, "ERR Error in ACL SETUSER modifier '%.*s': %s",
                          shown(rule), rule.len == 0 ? "" : rule.ptr, wrong);
        }
        i += used;
    }
    hl_buf_fini(&joined);
    for (size_t i = 0; i < user->selector_count; i++) {
        acl_recompute(acl, user->selectors[i]);
    }
    return err;
}
