#include "rule.h"

#include "kit/assert.h"
#include "kit/glob.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* Whether the bytes are one or more of a word's; no sign in front. */
static bool is_word(struct hl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!word_byte(text.ptr[i])) {
            return false;
        }
    }
    return text.len != 0 && strchr("-_.", text.ptr[0]) == NULL;
}

/* Where the byte is, or the length. */
static size_t find(struct hl_slice text, char c)
{
    size_t at = 0;
    while (at < text.len && text.ptr[at] != c) {
        at++;
    }
    return at;
}

static struct hl_slice part(struct hl_slice text, size_t from, size_t to)
{
    return (struct hl_slice){text.ptr + from, to - from};
}

/* "ns:verb" or "ns:*"; with `wild` false no '*'. */
static bool is_permission(struct hl_slice text, bool wild)
{
    size_t colon = find(text, ':');
    if (colon >= text.len || !is_word(part(text, 0, colon))) {
        return false;
    }
    struct hl_slice verb = part(text, colon + 1, text.len);
    return is_word(verb) || (wild && hl_slice_is(verb, "*"));
}

bool rule_permission_valid(struct hl_slice permission)
{
    return permission.len <= RULE_TEXT_MAX && is_permission(permission, false);
}

static const char *parse_command(struct rule *rule, struct hl_slice text)
{
    bool category = text.len != 0 && text.ptr[0] == '@';
    struct hl_slice name = part(text, category, text.len);
    size_t bar = find(name, '|');
    struct hl_slice sub = part(name, bar < name.len ? bar + 1 : bar, name.len);
    if (!is_word(part(name, 0, bar)) || (bar < name.len && (category || !is_word(sub)))) {
        return "a command is +name, +name|sub or +@category";
    }
    rule->kind = category ? RULE_CATEGORY : RULE_COMMAND;
    rule->what = name;
    return NULL;
}

/* %R~glob, %W~glob, %RW~glob, ~glob. */
static const char *parse_key(struct rule *rule, struct hl_slice text)
{
    size_t tilde = find(text, '~');
    rule->kind = RULE_KEY;
    rule->use = text.ptr[0] == '~' ? RULE_READ | RULE_WRITE : 0;
    for (size_t i = 1; i < tilde; i++) {
        unsigned use = text.ptr[i] == 'R' ? RULE_READ : text.ptr[i] == 'W' ? RULE_WRITE : 0;
        if (use == 0 || (rule->use & use) != 0) {
            return "a key pattern is ~pattern, %R~pattern or %W~pattern";
        }
        rule->use |= use;
    }
    if (tilde + 1 >= text.len || rule->use == 0) {
        return "a key pattern is ~pattern, %R~pattern or %W~pattern";
    }
    rule->what = part(text, tilde + 1, text.len);
    return NULL;
}

static const char *parse_named(struct rule *rule, struct hl_slice text)
{
    size_t at = find(text, '@');
    rule->kind = RULE_NAMED;
    rule->what = part(text, 0, at);
    rule->scope = part(text, at < text.len ? at + 1 : at, text.len);
    if (!is_permission(rule->what, true) || (at < text.len && rule->scope.len == 0)) {
        return "a rule is +command, +@category, ~keys, %R~keys, &channels or name:verb[@keys], "
               "with '-' in front to deny";
    }
    return NULL;
}

/* Copy the text, in lower case up to what is a pattern; false for bytes that no rule has. */
static bool copy_text(struct rule *rule, struct hl_slice text)
{
    size_t sign = text.ptr[0] == '-';
    bool folds = sign < text.len && strchr("~%&", text.ptr[sign]) == NULL;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if ((unsigned char)c <= ' ' || c == 0x7f || c == '(' || c == ')') {
            return false; /* ACL rules are words, and selectors stand in parentheses */
        }
        folds = folds && (c != '@' || i == sign || (i == 1 && text.ptr[0] == '+'));
        rule->text[i] = folds ? lower(c) : c;
    }
    rule->text[text.len] = '\0';
    return true;
}

const char *rule_parse(struct rule *rule, struct hl_slice text)
{
    if (text.len == 0 || text.len > RULE_TEXT_MAX) {
        return "a rule has 1 to 256 bytes";
    }
    *rule = (struct rule){0};
    if (!copy_text(rule, text)) {
        return "a rule has no spaces, control bytes or parentheses";
    }
    struct hl_slice rest = {rule->text, text.len};
    rule->deny = rest.ptr[0] == '-';
    if (rest.ptr[0] == '-' || rest.ptr[0] == '+') {
        rest = part(rest, 1, rest.len);
        if (rest.len == 0) {
            return "a rule needs something behind its sign";
        }
        if (rule->text[0] == '+' || (strchr("~%&", rest.ptr[0]) == NULL &&
                                     (rest.ptr[0] == '@' || find(rest, ':') == rest.len))) {
            return parse_command(rule, rest);
        }
    }
    if (rest.ptr[0] == '~' || rest.ptr[0] == '%') {
        return parse_key(rule, rest);
    }
    if (rest.ptr[0] == '&') {
        rule->kind = RULE_CHANNEL;
        rule->what = part(rest, 1, rest.len);
        return rest.len > 1 ? NULL : "a channel pattern is &pattern";
    }
    return parse_named(rule, rest);
}

bool rule_is_admin(const struct rule *rule)
{
    return rule->kind == RULE_NAMED && !rule->deny && rule->scope.len == 0 &&
           hl_slice_is(rule->what, "admin:*");
}

bool rule_covers_named(const struct rule *rule, struct hl_slice permission,
                       const struct hl_slice *key)
{
    HL_ASSERT(rule->kind == RULE_NAMED);
    if (rule_is_admin(rule)) {
        return true;
    }
    bool wild = rule->what.ptr[rule->what.len - 1] == '*';
    size_t fixed = rule->what.len - wild;
    bool same = wild ? permission.len > fixed && memcmp(permission.ptr, rule->what.ptr, fixed) == 0
                     : hl_slice_equal(permission, rule->what);
    if (!same || rule->scope.len == 0) {
        return same;
    }
    return key != NULL && hl_glob_match(rule->scope, *key, false);
}
