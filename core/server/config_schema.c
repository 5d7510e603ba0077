/* Leaves of a YAML file to settings: the sections of schema 1, `server` for every other setting,
 * and `modules` for what to load.
 *
 *   server:                      # any setting by its CONFIG name
 *     maxmemory: 100mb
 *     save: [900 1, 300 10]
 *   modules:
 *     - path: jobs               # or name:
 *       args: [a, b]
 *       config: {queue-max: 10}  # jobs.queue-max
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "server/config_internal.h"

/* Sections whose inside is open; `type` checks the leaves that have a known name at their end. */
static const struct {
    const char *prefix;
} open_sections[] = {
    {"plugins.plugins["},
    {"graphql.schema_docs."},
    {"graphql.federation."},
    {"metadata."},
};

/* Types of the known fields of plugins.plugins[]: any name not here is refused. */
static const struct {
    const char *field;
    enum hl_cfg like; /* checked as a value of this setting */
    bool open;        /* anything below is accepted */
} plugin_fields[] = {
    {"name", HL_CFG_WORKER_ID, false},
    {"enabled", HL_CFG_PLUGINS_ENABLED, false},
    {"priority", HL_CFG_LIST_MAX_LISTPACK_SIZE, false},
    {"timeout", HL_CFG_PLUGINS_DEFAULT_TIMEOUT, false},
    {"fail_open", HL_CFG_PLUGINS_DEFAULT_FAIL_OPEN, false},
    {"max_failures", HL_CFG_PROXY_CIRCUIT_BREAKER_FAILURE_THRESHOLD, false},
    {"cooldown", HL_CFG_SNAPSHOT_INTERVAL_TIME, false},
    {"settings", HL_CFG_COUNT, true},
};

/* Where the walk over the leaves is. */
struct schema {
    struct hl_config *cfg;
    const char *name;
    struct hl_errmsg *msg;
    struct config_leaves leaves;
    size_t at;
};

static hl_err leaf_failed(const struct schema *schema, const struct config_leaf *leaf,
                          const char *reason)
{
    return hl_fail(schema->msg, HL_EINVAL, "%.120s:%d:%d: %.80s: %s", schema->name, leaf->line,
                   leaf->column, leaf->path, reason);
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Length of the path up to a list index at its end: "a.b[3]" is 3, "a.b" is all. */
static size_t base_len(const char *path)
{
    size_t len = strlen(path);
    if (len == 0 || path[len - 1] != ']') {
        return len;
    }
    const char *bracket = strrchr(path, '[');
    return bracket == NULL ? len : (size_t)(bracket - path);
}

static hl_err assign(struct schema *schema, const struct config_leaf *leaf, int id,
                     struct hl_slice value)
{
    struct hl_errmsg reason = {0};
    hl_err err = config_assign(schema->cfg, (enum hl_cfg)id, &value, 1, HL_CFG_FROM_FILE, &reason);
    return err == HL_OK ? HL_OK : leaf_failed(schema, leaf, reason.text);
}

/* A scalar, or a list of scalars joined by spaces, as the value of a setting.  Moves past it. */
static hl_err assign_leaves(struct schema *schema, int id)
{
    const struct config_leaf *first = &schema->leaves.items[schema->at++];
    size_t len = base_len(first->path);
    if (first->path[len] == '\0') {
        return first->null ? HL_OK : assign(schema, first, id, hl_slice_of(first->value));
    }
    if (!config_takes_words(&config_rows[id]) && id != HL_CFG_GRAPHQL_ALLOWED_ORIGINS) {
        return leaf_failed(schema, first, "must be one value, not a list");
    }
    struct hl_buf joined = {0};
    hl_buf_append_text(&joined, first->value);
    while (schema->at < schema->leaves.count) {
        const struct config_leaf *next = &schema->leaves.items[schema->at];
        if (base_len(next->path) != len || strncmp(next->path, first->path, len) != 0) {
            break;
        }
        hl_buf_append_text(&joined, " ");
        hl_buf_append_text(&joined, next->value);
        schema->at++;
    }
    hl_err err = assign(schema, first, id, hl_buf_view(&joined));
    hl_buf_fini(&joined);
    return err;
}

/* atlas.raft.peers: a list of {id, address}. */
static hl_err assign_peers(struct schema *schema)
{
    static const char prefix[] = "atlas.raft.peers[";
    struct hl_buf list = {0};
    hl_err err = HL_OK;
    const struct config_leaf *first = &schema->leaves.items[schema->at];
    while (err == HL_OK && schema->at < schema->leaves.count &&
           starts_with(schema->leaves.items[schema->at].path, prefix)) {
        const char *id = NULL;
        const char *address = NULL;
        const struct config_leaf *leaf = &schema->leaves.items[schema->at];
        size_t item_len = (size_t)(strchr(leaf->path + strlen(prefix), ']') - leaf->path) + 1;
        const struct config_leaf *item = leaf;
        while (schema->at < schema->leaves.count && err == HL_OK) {
            leaf = &schema->leaves.items[schema->at];
            if (strncmp(leaf->path, item->path, item_len) != 0) {
                break;
            }
            if (strcmp(leaf->path + item_len, ".id") == 0) {
                id = leaf->value;
            } else if (strcmp(leaf->path + item_len, ".address") == 0) {
                address = leaf->value;
            } else {
                err = leaf_failed(schema, leaf, "a peer has 'id' and 'address' only");
            }
            schema->at++;
        }
        if (err == HL_OK && (id == NULL || address == NULL)) {
            err = leaf_failed(schema, item, "a peer needs 'id' and 'address'");
        }
        if (err == HL_OK) {
            hl_buf_printf(&list, "%s%s:%s", list.len == 0 ? "" : ",", id, address);
        }
    }
    if (err == HL_OK) {
        err = assign(schema, first, HL_CFG_RAFT_PEERS, hl_buf_view(&list));
    }
    hl_buf_fini(&list);
    return err;
}

static hl_err keep(struct schema *schema, const struct config_leaf *leaf,
                   enum hl_cfg_line_kind kind, const struct hl_slice *words, size_t count)
{
    char origin[160];
    (void)snprintf(origin, sizeof origin, "%.120s:%d", schema->name, leaf->line);
    struct hl_errmsg reason = {0};
    hl_err err = config_keep_line(schema->cfg, kind, words, count, origin, &reason);
    return err == HL_OK ? HL_OK : leaf_failed(schema, leaf, reason.text);
}

/* Check plugins.plugins[i].field against the kind of value it must have. */
static hl_err check_plugin_field(struct schema *schema, const struct config_leaf *leaf)
{
    const char *dot = strchr(leaf->path, ']');
    if (dot == NULL || dot[1] != '.') {
        return leaf_failed(schema, leaf, "a plugin must be a map with a name");
    }
    const char *field = dot + 2;
    for (size_t i = 0; i < HL_ARRAY_LEN(plugin_fields); i++) {
        size_t len = strlen(plugin_fields[i].field);
        if (strncmp(field, plugin_fields[i].field, len) != 0) {
            continue;
        }
        if (plugin_fields[i].open && (field[len] == '.' || field[len] == '\0')) {
            return HL_OK;
        }
        if (field[len] != '\0' || leaf->null) {
            continue;
        }
        struct config_value value = {0};
        const struct config_value none = {0};
        struct hl_errmsg reason = {0};
        hl_err err = config_parse(plugin_fields[i].like, hl_slice_of(leaf->value), true, &none,
                                  &value, &reason);
        hl_free(value.text);
        return err == HL_OK ? HL_OK : leaf_failed(schema, leaf, reason.text);
    }
    return leaf->null ? HL_OK
                      : leaf_failed(schema, leaf,
                                    "a plugin has name, enabled, priority, timeout, fail_open, "
                                    "max_failures, cooldown and settings");
}

static hl_err keep_section(struct schema *schema)
{
    const struct config_leaf *leaf = &schema->leaves.items[schema->at++];
    if (starts_with(leaf->path, "plugins.plugins[")) {
        hl_err err = check_plugin_field(schema, leaf);
        if (err != HL_OK) {
            return err;
        }
    }
    struct hl_slice words[2] = {hl_slice_of(leaf->path), hl_slice_of(leaf->value)};
    return keep(schema, leaf, HL_CFG_LINE_SECTION, words, 2);
}

/* One item of `modules`: leaves schema->at .. end share its prefix of item_len bytes. */
static hl_err keep_module(struct schema *schema, size_t end, size_t item_len)
{
    struct hl_slice *words = hl_calloc(CONFIG_WORDS_MAX, sizeof *words);
    size_t count = 1;
    hl_err err = HL_OK;
    const struct config_leaf *first = &schema->leaves.items[schema->at];
    for (size_t i = schema->at; i < end && err == HL_OK; i++) {
        const struct config_leaf *leaf = &schema->leaves.items[i];
        const char *field = leaf->path + item_len;
        bool named = strcmp(field, ".path") == 0 || strcmp(field, ".name") == 0 || field[0] == '\0';
        if (named && words[0].len == 0) {
            words[0] = hl_slice_of(leaf->value);
        } else if (starts_with(field, ".args[") && count < CONFIG_WORDS_MAX) {
            words[count++] = hl_slice_of(leaf->value);
        } else if (!starts_with(field, ".config.") && !leaf->null) {
            err = leaf_failed(schema, leaf, "a module has path, args (a list) and config (a map)");
        }
    }
    if (err == HL_OK && words[0].len == 0) {
        err = leaf_failed(schema, first, "a module needs 'path'");
    }
    if (err == HL_OK) {
        err = keep(schema, first, HL_CFG_LINE_LOADMODULE, words, count);
    }
    for (size_t i = schema->at; i < end && err == HL_OK; i++) {
        const struct config_leaf *leaf = &schema->leaves.items[i];
        if (!starts_with(leaf->path + item_len, ".config.")) {
            continue;
        }
        struct hl_buf name = {0};
        hl_buf_append_slice(&name, config_module_name(words[0].ptr));
        hl_buf_printf(&name, ".%s", leaf->path + item_len + strlen(".config."));
        struct hl_slice pair[2] = {hl_buf_view(&name), hl_slice_of(leaf->value)};
        err = keep(schema, leaf, HL_CFG_LINE_MODULE_SETTING, pair, 2);
        hl_buf_fini(&name);
    }
    hl_free(words);
    schema->at = end;
    return err;
}

static hl_err assign_module(struct schema *schema)
{
    const struct config_leaf *first = &schema->leaves.items[schema->at];
    size_t item_len = (size_t)(strchr(first->path, ']') - first->path) + 1;
    size_t end = schema->at;
    while (end < schema->leaves.count &&
           strncmp(schema->leaves.items[end].path, first->path, item_len) == 0) {
        end++;
    }
    return keep_module(schema, end, item_len);
}

/* A leaf nobody knows; an empty container of a known section is fine. */
static hl_err unknown_leaf(struct schema *schema)
{
    const struct config_leaf *leaf = &schema->leaves.items[schema->at++];
    size_t len = strlen(leaf->path);
    for (int id = 0; leaf->null && id < HL_CFG_COUNT; id++) {
        struct hl_slice path;
        for (size_t n = 0; config_name_at(&config_rows[id], CONFIG_SPACE_YAML, n, &path); n++) {
            if (path.len > len && path.ptr[len] == '.' && memcmp(path.ptr, leaf->path, len) == 0) {
                return HL_OK;
            }
        }
    }
    bool known_empty = strcmp(leaf->path, "plugins.plugins") == 0 ||
                       strcmp(leaf->path, "server") == 0 || strcmp(leaf->path, "modules") == 0 ||
                       strcmp(leaf->path, "graphql.schema_docs") == 0 ||
                       strcmp(leaf->path, "graphql.federation") == 0;
    if (leaf->null && known_empty) {
        return HL_OK;
    }
    char where[160];
    (void)snprintf(where, sizeof where, "%.120s:%d:%d", schema->name, leaf->line, leaf->column);
    bool server = starts_with(leaf->path, "server.");
    return config_unknown(server ? CONFIG_SPACE_NAME : CONFIG_SPACE_YAML, where,
                          hl_slice_of(leaf->path + (server ? strlen("server.") : 0)), schema->msg);
}

static hl_err take_leaf(struct schema *schema)
{
    const struct config_leaf *leaf = &schema->leaves.items[schema->at];
    struct hl_slice base = {.ptr = leaf->path, .len = base_len(leaf->path)};
    int id = config_find(CONFIG_SPACE_YAML, base);
    if (id != CONFIG_NONE) {
        return assign_leaves(schema, id);
    }
    if (starts_with(leaf->path, "server.")) {
        size_t skip = strlen("server.");
        id = config_find(CONFIG_SPACE_NAME,
                         (struct hl_slice){.ptr = base.ptr + skip, .len = base.len - skip});
        return id != CONFIG_NONE ? assign_leaves(schema, id) : unknown_leaf(schema);
    }
    if (starts_with(leaf->path, "atlas.raft.peers[")) {
        return assign_peers(schema);
    }
    if (starts_with(leaf->path, "modules[")) {
        return assign_module(schema);
    }
    if (strcmp(leaf->path, "atlas.listen") == 0) {
        schema->at++;
        struct hl_errmsg reason = {0};
        hl_err err =
            config_assign_listen(schema->cfg, hl_slice_of(leaf->value), HL_CFG_FROM_FILE, &reason);
        return err == HL_OK ? HL_OK : leaf_failed(schema, leaf, reason.text);
    }
    if (strcmp(leaf->path, "version") == 0) {
        schema->at++;
        return HL_OK;
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(open_sections); i++) {
        if (starts_with(leaf->path, open_sections[i].prefix)) {
            return keep_section(schema);
        }
    }
    return unknown_leaf(schema);
}

hl_err config_apply_yaml(struct hl_config *cfg, const char *name, struct hl_slice text,
                         struct hl_errmsg *msg)
{
    struct schema schema = {.cfg = cfg, .name = name, .msg = msg};
    hl_err err = config_yaml_leaves(name, text, &schema.leaves, msg);
    while (err == HL_OK && schema.at < schema.leaves.count) {
        size_t before = schema.at;
        err = take_leaf(&schema);
        HL_ASSERT(err != HL_OK || schema.at > before);
    }
    config_leaves_fini(&schema.leaves);
    return err;
}
