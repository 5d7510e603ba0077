/* The table of settings, their values, and who hears of changes. */
#include "server/config.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/config_internal.h"

#include <strings.h>

const struct config_row config_rows[HL_CFG_COUNT] = {
#define HL_CONFIG_GROUP(id, title)
#define HL_CONFIG_ROW(id, name, also, type, min, max, initial, hint, flags, doc)                   \
    {name, also, HL_CFG_TYPE_##type, min, max, initial, hint, flags, doc},
#include "server/config.def"
#undef HL_CONFIG_GROUP
#undef HL_CONFIG_ROW
};

const char *const config_group_titles[CONFIG_GROUP_COUNT] = {
#define HL_CONFIG_GROUP(id, title) title,
#define HL_CONFIG_ROW(id, ...)
#include "server/config.def"
#undef HL_CONFIG_GROUP
#undef HL_CONFIG_ROW
};

enum config_group config_group_of(enum hl_cfg id)
{
    static const int order[] = {
#define HL_CONFIG_GROUP(id, title) -1 - CONFIG_GROUP_##id,
#define HL_CONFIG_ROW(id, ...) HL_CFG_##id,
#include "server/config.def"
#undef HL_CONFIG_GROUP
#undef HL_CONFIG_ROW
    };
    int group = 0;
    for (size_t i = 0; i < HL_ARRAY_LEN(order) && order[i] != (int)id; i++) {
        group = order[i] < 0 ? -1 - order[i] : group;
    }
    return (enum config_group)group;
}

bool config_flag(const struct config_row *row, char letter)
{
    return strchr(row->flags, letter) != NULL;
}

/* --- names -------------------------------------------------------------------------------------
 */

/* Does one "kind:word" of a row's other names belong to the space? */
static bool also_in_space(struct hl_slice item, enum config_space space, struct hl_slice *word)
{
    static const struct {
        const char *kind;
        bool in[4]; /* by enum config_space */
    } kinds[] = {
        {"alias:", {true, true, false, false}},
        {"flag:", {false, true, false, false}},
        {"yaml:", {false, false, true, false}},
        {"env:", {false, false, false, true}},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(kinds); i++) {
        size_t len = strlen(kinds[i].kind);
        if (kinds[i].in[space] && item.len > len && memcmp(item.ptr, kinds[i].kind, len) == 0) {
            *word = (struct hl_slice){.ptr = item.ptr + len, .len = item.len - len};
            return true;
        }
    }
    return false;
}

/* The row's n-th name in the space; false past the last. */
bool config_name_at(const struct config_row *row, enum config_space space, size_t n,
                    struct hl_slice *word)
{
    bool main_name = space == CONFIG_SPACE_NAME || space == CONFIG_SPACE_FLAG;
    if (main_name && n == 0) {
        *word = hl_slice_of(row->name);
        return true;
    }
    n -= main_name ? 1 : 0;
    struct hl_slice rest = hl_slice_of(row->also);
    struct hl_slice item;
    while (hl_config_next_word(&rest, &item)) {
        if (also_in_space(item, space, word) && n-- == 0) {
            return true;
        }
    }
    return false;
}

static bool same_name(enum config_space space, struct hl_slice a, struct hl_slice b)
{
    if (a.len != b.len) {
        return false;
    }
    bool exact = space == CONFIG_SPACE_ENV || space == CONFIG_SPACE_YAML;
    return exact ? memcmp(a.ptr, b.ptr, a.len) == 0 : strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

int config_find(enum config_space space, struct hl_slice name)
{
    struct hl_slice word;
    if (name.len == 0) {
        return CONFIG_NONE;
    }
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        for (size_t n = 0; config_name_at(&config_rows[id], space, n, &word); n++) {
            if (same_name(space, word, name)) {
                return id;
            }
        }
    }
    return CONFIG_NONE;
}

#define SUGGEST_LEN_MAX 96

/* Edits that turn a into b (insert, delete, replace), ignoring case; SIZE_MAX when too long. */
static size_t edit_distance(struct hl_slice a, struct hl_slice b)
{
    size_t row[SUGGEST_LEN_MAX + 1];
    if (a.len > SUGGEST_LEN_MAX || b.len > SUGGEST_LEN_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b.len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t above = row[j];
            bool same = (a.ptr[i - 1] | 0x20) == (b.ptr[j - 1] | 0x20);
            size_t best = diagonal + (same ? 0 : 1);
            best = above + 1 < best ? above + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = above;
        }
    }
    return row[b.len];
}

void config_suggest(enum config_space space, struct hl_slice name, struct hl_buf *out)
{
    struct hl_slice best = {0};
    size_t best_distance = name.len / 3 < 2 ? 3 : name.len / 3 + 1; /* must be closer than this */
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        struct hl_slice word;
        for (size_t n = 0; config_name_at(&config_rows[id], space, n, &word); n++) {
            size_t distance = edit_distance(name, word);
            if (distance < best_distance) {
                best_distance = distance;
                best = word;
            }
        }
    }
    if (best.len != 0) {
        hl_buf_printf(out, "; did you mean '%.*s'?", (int)best.len, best.ptr);
    }
}

void config_quote(struct hl_slice text, struct hl_buf *out)
{
    for (size_t i = 0; i < text.len && i < 64; i++) {
        char c = text.ptr[i];
        hl_buf_append(out, c < ' ' || c > '~' || c == '\'' ? "?" : &c, 1);
    }
    hl_buf_append_text(out, text.len > 64 ? "..." : "");
}

hl_err config_unknown(enum config_space space, const char *where, struct hl_slice name,
                      struct hl_errmsg *msg)
{
    struct hl_buf text = {0};
    hl_buf_append_text(&text, "unknown setting '");
    config_quote(name, &text);
    hl_buf_append_text(&text, "'");
    config_suggest(space, name, &text);
    hl_err err = hl_fail(msg, HL_EINVAL, "%s%s%.*s", where, where[0] != '\0' ? ": " : "",
                         (int)text.len, text.ptr);
    hl_buf_fini(&text);
    return err;
}

/* --- life --------------------------------------------------------------------------------------
 */

void config_put(struct hl_config *cfg, enum hl_cfg id, struct config_value value)
{
    hl_free(cfg->values[id].text);
    cfg->values[id] = value;
}

struct hl_config *hl_config_create(enum hl_cfg_role role)
{
    struct hl_config *cfg = hl_calloc(1, sizeof *cfg);
    cfg->role = role;
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        struct hl_errmsg msg = {0};
        const struct config_value none = {0};
        hl_err err = config_parse((enum hl_cfg)id, hl_slice_of(config_rows[id].initial), true,
                                  &none, &cfg->values[id], &msg);
        HL_ASSERT(err == HL_OK); /* a default must be valid: the unit test names the row */
    }
    return cfg;
}

static void line_fini(struct hl_config_line *line)
{
    for (int i = 0; i < line->argc; i++) {
        hl_free(line->argv[i]);
    }
    hl_free(line->argv);
    hl_free(line->origin);
}

void hl_config_destroy(struct hl_config *cfg)
{
    if (cfg == NULL) {
        return;
    }
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        hl_free(cfg->values[id].text);
        hl_free(cfg->loaded[id]);
    }
    for (size_t i = 0; i < cfg->line_count; i++) {
        line_fini(&cfg->lines[i]);
    }
    hl_free(cfg->lines);
    hl_free(cfg->hooks);
    hl_free(cfg->externals);
    hl_free(cfg->file);
    hl_free(cfg);
}

/* --- setting at start --------------------------------------------------------------------------
 */

/* Lines of these types add to what the same file said before. */
static bool accumulates(const struct config_row *row)
{
    return row->type == HL_CFG_TYPE_SAVE || row->type == HL_CFG_TYPE_PEERS;
}

hl_err config_assign(struct hl_config *cfg, enum hl_cfg id, const struct hl_slice *words,
                     size_t count, enum hl_cfg_source source, struct hl_errmsg *msg)
{
    HL_ASSERT(source != HL_CFG_FROM_DEFAULT && source != HL_CFG_FROM_CLIENT);
    const struct config_row *row = &config_rows[id];
    if (count == 0 || (count > 1 && !config_takes_words(row))) {
        return hl_fail(msg, HL_EINVAL, "wrong number of arguments");
    }
    struct hl_buf joined = {0};
    const struct config_value *old = &cfg->values[id];
    bool more = accumulates(row) && old->source == source && words[0].len != 0;
    if (more) {
        hl_buf_append_text(&joined, old->text);
    }
    for (size_t i = 0; i < count; i++) {
        hl_buf_append_text(&joined, joined.len == 0 ? "" : " ");
        hl_buf_append_slice(&joined, words[i]);
    }
    struct config_value value = {0};
    hl_err err = config_parse(id, hl_buf_view(&joined), true, old, &value, msg);
    hl_buf_fini(&joined);
    if (err != HL_OK) {
        return err;
    }
    if (source < old->source) {
        hl_free(value.text); /* valid, but weaker (G3) */
        return HL_OK;
    }
    value.source = source;
    config_put(cfg, id, value);
    return HL_OK;
}

hl_err config_assign_listen(struct hl_config *cfg, struct hl_slice text, enum hl_cfg_source source,
                            struct hl_errmsg *msg)
{
    if (cfg->role == HL_ROLE_GATEWAY) {
        return config_assign(cfg, HL_CFG_GATEWAY_LISTEN, &text, 1, source, msg);
    }
    if (cfg->role == HL_ROLE_PROXY) {
        return config_assign(cfg, HL_CFG_PROXY_LISTEN, &text, 1, source, msg);
    }
    char host[256];
    char digits[12];
    int port = 0;
    if (!hl_config_split_address(text, host, &port)) {
        return hl_fail(msg, HL_EINVAL, "argument must be :port, host:port or [address]:port");
    }
    (void)snprintf(digits, sizeof digits, "%d", port);
    struct hl_slice port_text = hl_slice_of(digits);
    struct hl_slice bind = hl_slice_of(host[0] == '\0' ? "* -::*" : host);
    hl_err err = config_assign(cfg, HL_CFG_PORT, &port_text, 1, source, msg);
    if (err != HL_OK) {
        return err;
    }
    return config_assign(cfg, HL_CFG_BIND, &bind, 1, source, msg);
}

hl_err config_keep_line(struct hl_config *cfg, enum hl_cfg_line_kind kind,
                        const struct hl_slice *words, size_t count, const char *origin,
                        struct hl_errmsg *msg)
{
    HL_ASSERT(count <= INT32_MAX);
    if (cfg->line_count == HL_CONFIG_LINES_MAX) {
        return hl_fail(msg, HL_ELIMIT, "more than %d lines of modules, users and sections",
                       HL_CONFIG_LINES_MAX);
    }
    if (cfg->line_count == cfg->line_cap) {
        cfg->line_cap = cfg->line_cap == 0 ? 16 : cfg->line_cap * 2;
        cfg->lines = hl_realloc(cfg->lines, cfg->line_cap * sizeof *cfg->lines);
    }
    struct hl_config_line *line = &cfg->lines[cfg->line_count++];
    *line = (struct hl_config_line){.kind = kind, .argc = (int)count};
    line->argv = hl_calloc(count + 1, sizeof *line->argv);
    for (size_t i = 0; i < count; i++) {
        line->argv[i] = hl_strndup(words[i].ptr == NULL ? "" : words[i].ptr, words[i].len);
    }
    line->origin = hl_strndup(origin, strlen(origin));
    return HL_OK;
}

void config_merge_file(struct hl_config *cfg, struct hl_config *file_only)
{
    struct hl_buf text = {0};
    for (int i = 0; i < HL_CFG_COUNT; i++) {
        enum hl_cfg id = (enum hl_cfg)i;
        struct config_value *value = &file_only->values[id];
        if (value->source != HL_CFG_FROM_FILE) {
            continue;
        }
        hl_buf_clear(&text);
        config_format_value(&config_rows[id], value, &text);
        hl_free(cfg->loaded[id]);
        cfg->loaded[id] = hl_strndup(text.len == 0 ? "" : text.ptr, text.len);
        if (cfg->values[id].source <= HL_CFG_FROM_FILE) {
            config_put(cfg, id, *value);
            *value = (struct config_value){.source = HL_CFG_FROM_FILE};
        }
    }
    hl_buf_fini(&text);
    /* The file's lines come first, then those of the flags. */
    size_t count = file_only->line_count + cfg->line_count;
    if (file_only->line_count != 0) {
        cfg->lines = hl_realloc(cfg->lines, count * sizeof *cfg->lines);
        memmove(cfg->lines + file_only->line_count, cfg->lines,
                cfg->line_count * sizeof *cfg->lines);
        memcpy(cfg->lines, file_only->lines, file_only->line_count * sizeof *cfg->lines);
        cfg->line_count = count;
        cfg->line_cap = count;
        file_only->line_count = 0;
    }
}

/* --- reading -----------------------------------------------------------------------------------
 */

int64_t hl_config_int(const struct hl_config *cfg, enum hl_cfg id)
{
    HL_ASSERT((unsigned)id < HL_CFG_COUNT);
    return cfg->values[id].num;
}

bool hl_config_bool(const struct hl_config *cfg, enum hl_cfg id)
{
    HL_ASSERT((unsigned)id < HL_CFG_COUNT);
    HL_ASSERT(config_rows[id].type == HL_CFG_TYPE_BOOL);
    return cfg->values[id].num != 0;
}

const char *hl_config_text(const struct hl_config *cfg, enum hl_cfg id)
{
    HL_ASSERT((unsigned)id < HL_CFG_COUNT);
    HL_ASSERT(cfg->values[id].text != NULL);
    return cfg->values[id].text;
}

void hl_config_format(const struct hl_config *cfg, enum hl_cfg id, struct hl_buf *out)
{
    HL_ASSERT((unsigned)id < HL_CFG_COUNT);
    config_format_value(&config_rows[id], &cfg->values[id], out);
}

const char *hl_config_name(enum hl_cfg id)
{
    HL_ASSERT((unsigned)id < HL_CFG_COUNT);
    return config_rows[id].name;
}

enum hl_cfg_source hl_config_source(const struct hl_config *cfg, enum hl_cfg id)
{
    HL_ASSERT((unsigned)id < HL_CFG_COUNT);
    return cfg->values[id].source;
}

const char *hl_config_file(const struct hl_config *cfg)
{
    return cfg->file;
}

const struct hl_config_line *hl_config_lines(const struct hl_config *cfg, size_t *count)
{
    *count = cfg->line_count;
    return cfg->lines;
}

const char *hl_config_take_module_setting(struct hl_config *cfg, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < cfg->line_count; i++) {
        struct hl_config_line *line = &cfg->lines[i];
        if (line->kind == HL_CFG_LINE_MODULE_SETTING && !line->taken &&
            strcasecmp(line->argv[0], name) == 0) {
            line->taken = true;
            value = line->argv[1];
        }
    }
    return value;
}

const struct hl_config_line *hl_config_module_setting_left(const struct hl_config *cfg)
{
    for (size_t i = 0; i < cfg->line_count; i++) {
        if (cfg->lines[i].kind == HL_CFG_LINE_MODULE_SETTING && !cfg->lines[i].taken) {
            return &cfg->lines[i];
        }
    }
    return NULL;
}
