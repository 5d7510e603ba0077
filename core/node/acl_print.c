/* Users as text: ACL LIST, ACL GETUSER, files. */
#include "kit/assert.h"
#include "node/acl_internal.h"

static const char *const categories[HL_ACL_CATEGORIES] = {
    "keyspace", "read",   "write",       "set",       "sortedset",  "list",        "hash",
    "string",   "bitmap", "hyperloglog", "geo",       "stream",     "pubsub",      "admin",
    "fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting",
};
HL_STATIC(HL_ACL_SCRIPTING == 1u << (HL_ACL_CATEGORIES - 1));

const char *hl_acl_category_name(int bit)
{
    HL_ASSERT(bit >= 0 && bit < HL_ACL_CATEGORIES);
    return categories[bit];
}

uint32_t hl_acl_category(struct hl_slice name)
{
    for (int bit = 0; bit < HL_ACL_CATEGORIES; bit++) {
        if (hl_slice_is(name, categories[bit])) {
            return 1u << bit;
        }
    }
    return 0;
}

static void append_commands(const struct acl_selector *selector, struct hl_buf *out)
{
    hl_buf_append_text(out, selector->all_commands ? "+@all" : "-@all");
    for (size_t i = 0; i < selector->rule_count; i++) {
        const struct acl_rule *rule = &selector->rules[i];
        hl_buf_append_text(out, rule->allow ? " +" : " -");
        hl_buf_append_text(out, rule->kind == ACL_RULE_CATEGORY ? "@" : "");
        hl_buf_append_slice(out, acl_view(&rule->name));
        if (rule->kind == ACL_RULE_FIRST_ARG) {
            hl_buf_append_text(out, "|");
            hl_buf_append_slice(out, acl_view(&rule->first));
        }
    }
}

/* Patterns of keys, with a space in front but where `start` is. */
static void append_patterns(const struct acl_pattern *patterns, size_t count, const char *sign,
                            size_t start, struct hl_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        hl_buf_append_text(out, out->len == start ? "" : " ");
        hl_buf_append_text(out, sign);
        hl_buf_append_text(out, patterns[i].flags == ACL_READ    ? "%R~"
                                : patterns[i].flags == ACL_WRITE ? "%W~"
                                                                 : "~");
        hl_buf_append_slice(out, acl_view(&patterns[i].glob));
    }
}

static void append_keys(const struct acl_selector *selector, struct hl_buf *out)
{
    size_t start = out->len;
    hl_buf_append_text(out, selector->all_keys ? "~*" : "");
    append_patterns(selector->patterns, selector->pattern_count, "", start, out);
    append_patterns(selector->denied, selector->denied_count, "-", start, out);
}

static void append_channels(const struct acl_selector *selector, struct hl_buf *out)
{
    size_t start = out->len;
    hl_buf_append_text(out, selector->all_channels ? "&*" : "");
    for (size_t i = 0; i < selector->channels.count; i++) {
        hl_buf_append_text(out, i == 0 ? "&" : " &");
        hl_buf_append_slice(out, acl_view(&selector->channels.items[i]));
    }
    for (size_t i = 0; i < selector->denied_channels.count; i++) {
        hl_buf_append_text(out, out->len == start ? "-&" : " -&");
        hl_buf_append_slice(out, acl_view(&selector->denied_channels.items[i]));
    }
}

/* Keys, channels and commands in one line. */
static void append_selector(const struct acl_selector *selector, struct hl_buf *out)
{
    size_t start = out->len;
    append_keys(selector, out);
    hl_buf_append_text(out, out->len == start ? "" : " ");
    if (!selector->all_channels) {
        hl_buf_append_text(out, "resetchannels ");
    }
    start = out->len;
    append_channels(selector, out);
    hl_buf_append_text(out, out->len == start ? "" : " ");
    append_commands(selector, out);
}

static void append_hash(const unsigned char *digest, struct hl_buf *out)
{
    for (size_t i = 0; i < HL_SHA256_BYTES; i++) {
        hl_buf_printf(out, "%02x", digest[i]);
    }
}

static const char *sanitize_word(const struct hl_user *user)
{
    switch (user->sanitize) {
    case ACL_SANITIZE_UNSET:
        return NULL;
    case ACL_SANITIZE_YES:
        return "sanitize-payload";
    case ACL_SANITIZE_SKIP:
        return "skip-sanitize-payload";
    }
    return NULL;
}

void hl_acl_describe(const struct hl_user *user, struct hl_buf *out)
{
    hl_buf_append_text(out, "user ");
    hl_buf_append_slice(out, acl_view(&user->name));
    hl_buf_append_text(out, user->on ? " on " : " off ");
    hl_buf_append_text(out, user->no_password ? "nopass " : "");
    if (sanitize_word(user) != NULL) {
        hl_buf_printf(out, "%s ", sanitize_word(user));
    }
    for (size_t i = 0; i < user->password_count; i++) {
        hl_buf_append_text(out, "#");
        append_hash(user->passwords[i], out);
        hl_buf_append_text(out, " ");
    }
    append_selector(user->selectors[0], out);
    for (size_t i = 1; i < user->selector_count; i++) {
        hl_buf_append_text(out, " (");
        append_selector(user->selectors[i], out);
        hl_buf_append_text(out, ")");
    }
}

/* Write "commands", "keys" and "channels" with their texts. */
static void write_selector(const struct acl_selector *selector, struct hl_writer *out)
{
    static const struct {
        const char *name;
        void (*append)(const struct acl_selector *selector, struct hl_buf *out);
    } parts[] = {
        {"commands", append_commands}, {"keys", append_keys}, {"channels", append_channels}};
    struct hl_buf text = {0};
    for (size_t i = 0; i < HL_ARRAY_LEN(parts); i++) {
        hl_buf_clear(&text);
        parts[i].append(selector, &text);
        hl_write_bulk_text(out, parts[i].name);
        hl_write_bulk(out, hl_buf_view(&text));
    }
    hl_buf_fini(&text);
}

void hl_acl_write_user(const struct hl_user *user, struct hl_writer *out)
{
    const char *sanitize = sanitize_word(user);
    hl_write_map(out, 6);
    hl_write_bulk_text(out, "flags");
    hl_write_set(out, (size_t)(1 + user->no_password + (sanitize != NULL)));
    hl_write_bulk_text(out, user->on ? "on" : "off");
    if (user->no_password) {
        hl_write_bulk_text(out, "nopass");
    }
    if (sanitize != NULL) {
        hl_write_bulk_text(out, sanitize);
    }
    hl_write_bulk_text(out, "passwords");
    hl_write_array(out, user->password_count);
    struct hl_buf hash = {0};
    for (size_t i = 0; i < user->password_count; i++) {
        hl_buf_clear(&hash);
        append_hash(user->passwords[i], &hash);
        hl_write_bulk(out, hl_buf_view(&hash));
    }
    hl_buf_fini(&hash);
    write_selector(user->selectors[0], out);
    hl_write_bulk_text(out, "selectors");
    hl_write_array(out, user->selector_count - 1);
    for (size_t i = 1; i < user->selector_count; i++) {
        hl_write_map(out, 3);
        write_selector(user->selectors[i], out);
    }
}
