#include "compile.h"

#include "kit/assert.h"

/* A selector that is being written. */
struct writing {
    const struct effective_list *roles;
    const struct dialect *dialect;
    struct acl_words *out;
    struct hl_buf *line;
};

static void word(struct acl_words *out, const char *text, size_t len)
{
    hl_buf_append(&out->bytes, text, len);
    hl_buf_append_u8(&out->bytes, 0);
    out->count++;
}

static void add(struct writing *w, const char *sign, struct hl_slice text)
{
    hl_buf_append_text(w->line, w->line->len > 1 ? " " : "");
    hl_buf_append_text(w->line, sign);
    hl_buf_append_slice(w->line, text);
}

/* Add "+name" when the server has such a command. */
static void add_command(void *ctx, const char *command)
{
    struct writing *w = ctx;
    char rule[RULE_TEXT_MAX + 2] = "+";
    size_t len = strlen(command);
    HL_ASSERT(len < sizeof rule - 1);
    memcpy(rule + 1, command, len + 1);
    if (w->dialect->knows(w->dialect->ctx, rule)) {
        add(w, "", hl_slice_of(rule));
    }
}

/* Whether the role has all keys, or all channels: a pattern beside them is an error to the ACL. */
static bool has_all(const struct role *role, enum rule_kind kind)
{
    const char *all = kind == RULE_KEY ? "~*" : "&*";
    for (size_t i = 0; i < role->rule_count; i++) {
        if (strcmp(role->rules[i]->text, all) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_superfluous(const struct role *role, const struct rule *rule)
{
    bool pattern = rule->kind == RULE_KEY || rule->kind == RULE_CHANNEL;
    return pattern && !rule->deny && has_all(role, rule->kind) && strcmp(rule->text + 1, "*") != 0;
}

/* Add the plain rules of a role, or, with `deny`, its denials.  Commands that the server does not
 * have can neither be allowed nor run. */
static void add_rules(struct writing *w, const struct role *role, bool deny)
{
    for (size_t i = 0; i < role->rule_count; i++) {
        const struct rule *rule = role->rules[i];
        bool command = rule->kind == RULE_COMMAND || rule->kind == RULE_CATEGORY;
        if (rule->deny != deny || rule->kind == RULE_NAMED || is_superfluous(role, rule) ||
            (command && !w->dialect->knows(w->dialect->ctx, rule->text))) {
            continue;
        }
        add(w, "", hl_slice_of(rule->text));
    }
}

static void add_denials(struct writing *w)
{
    for (size_t i = 0; i < w->roles->count; i++) {
        add_rules(w, w->roles->items[i].role, true);
    }
}

/* Keys that are the system's: not for those who may use whatever key they like as a queue. */
static void guard_system_keys(struct writing *w)
{
    for (size_t i = 0; w->dialect->denies_keys && unit_system_keys[i] != NULL; i++) {
        add(w, "-~", hl_slice_of(unit_system_keys[i]));
    }
}

static bool write_unit(void *ctx, const struct unit *unit)
{
    struct writing *w = ctx;
    struct hl_buf line = {0};
    w->line = &line;
    hl_buf_append_text(&line, "(");
    if (unit->all) {
        add(w, "", hl_slice_of("+@all ~* &*"));
    } else if (unit->plain) {
        add_rules(w, unit->role, false);
    } else {
        unit_commands(unit, add_command, w);
        const char *sign = unit->use == RULE_READ ? "%R~" : unit->use == RULE_WRITE ? "%W~" : "~";
        add(w, sign, hl_slice_of(unit->glob));
        guard_system_keys(w);
    }
    add_denials(w);
    hl_buf_append_text(&line, ")");
    word(w->out, line.ptr, line.len);
    hl_buf_fini(&line);
    return false;
}

/* Whether some role denies keys or channels. */
static bool has_pattern_denial(const struct effective_list *roles)
{
    for (size_t i = 0; i < roles->count; i++) {
        const struct role *role = roles->items[i].role;
        for (size_t r = 0; role != NULL && r < role->rule_count; r++) {
            enum rule_kind kind = role->rules[r]->kind;
            if (role->rules[r]->deny && (kind == RULE_KEY || kind == RULE_CHANNEL)) {
                return true;
            }
        }
    }
    return false;
}

bool compile(const struct effective_list *roles, const struct dialect *dialect,
             struct acl_words *out)
{
    static const char *const begin[] = {"resetkeys", "resetchannels", "nocommands",
                                        "clearselectors"};
    HL_STATIC(HL_ARRAY_LEN(begin) == COMPILE_NOTHING);
    for (size_t i = 0; i < HL_ARRAY_LEN(begin); i++) {
        word(out, begin[i], strlen(begin[i]));
    }
    if (roles->count != 0) {
        word(out, "(" COMPILE_MARK ")", sizeof COMPILE_MARK + 1);
    }
    bool cut = roles->count != 0 && roles->items[roles->count - 1].role == NULL;
    if (cut || (!dialect->denies_keys && has_pattern_denial(roles))) {
        return false; /* A2 */
    }
    struct hl_buf line = {0};
    struct writing w = {.roles = roles, .dialect = dialect, .out = out, .line = &line};
    hl_buf_append_text(&line, "(");
    for (size_t i = 0; roles->count != 0 && unit_basics[i] != NULL; i++) {
        add_command(&w, unit_basics[i]);
    }
    if (roles->count != 0) {
        add_denials(&w);
        hl_buf_append_text(&line, ")");
        word(out, line.ptr, line.len);
    }
    hl_buf_fini(&line);
    for (size_t i = 0; i < roles->count; i++) {
        (void)unit_each(roles->items[i].role, write_unit, &w);
    }
    return true;
}

void acl_words_fini(struct acl_words *words)
{
    hl_buf_fini(&words->bytes);
    words->count = 0;
}
