/* What a program's name, a section of the settings and the list of plugins ask of modules: which
 * are loaded, and with which settings.
 *
 *   R1  `modules` below is the order of loading: a module comes after those whose service it uses.
 *   R2  a setting of a module that was named itself (jobs.default-visibility) wins over the core's
 *       setting that stands for it (worker-visibility-timeout).
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/config_internal.h"

#include <stdlib.h>
#include <strings.h>

/* Chapters of the settings that are served by modules. */
enum section { SECTION_METRICS = 1, SECTION_GATEWAY = 2, SECTION_PROXY = 4, SECTION_WORKER = 8 };

static const struct {
    enum section section;
    enum config_group group;
    const char *name; /* as people know it */
} sections[] = {
    {SECTION_METRICS, CONFIG_GROUP_WATCHING, "metrics"}, /* only its metrics-... */
    {SECTION_GATEWAY, CONFIG_GROUP_GATEWAY, "gateway"},
    {SECTION_PROXY, CONFIG_GROUP_PROXY, "proxy"},
    {SECTION_WORKER, CONFIG_GROUP_WORKER, "worker"},
};

/* R1 */
static const struct {
    const char *name;
    unsigned sections; /* that need it */
} modules[] = {
    {"metrics", SECTION_METRICS},
    {"http", SECTION_GATEWAY},
    {"auth", SECTION_GATEWAY},
    {"rbac", SECTION_GATEWAY},
    {"ratelimit", SECTION_GATEWAY},
    {"jobs", SECTION_GATEWAY | SECTION_WORKER},
    {"gateway", SECTION_GATEWAY},
    {"proxy", SECTION_PROXY},
};

/* How a core setting becomes a module's. */
enum form {
    FORM_SAME,
    FORM_SECONDS,      /* from milliseconds, rounded up */
    FORM_MILLISECONDS, /* from seconds */
    FORM_LISTEN,       /* while `also` is no, else empty */
    FORM_LISTEN_TLS,   /* while it is yes, else empty */
    FORM_OPTIONAL,     /* an address; one that nobody named may be in use */
    FORM_EITHER,       /* `also` in seconds, when it is not 0 */
};

#define NONE HL_CFG_COUNT

static const struct mapping {
    enum hl_cfg id, also; /* `also` has a say in it, or NONE */
    enum form form;
    enum section section;
    const char *setting; /* of the module */
} mappings[] = {
    {HL_CFG_METRICS_PORT, NONE, FORM_OPTIONAL, SECTION_METRICS, "metrics.listen"},
    {HL_CFG_PROXY_LISTEN, NONE, FORM_SAME, SECTION_PROXY, "proxy.listen"},
    {HL_CFG_PROXY_HEALTH_CHECK_INTERVAL, HL_CFG_PROXY_HEALTH_CHECK_INTERVAL_SEC, FORM_EITHER,
     SECTION_PROXY, "proxy.health-check-interval"},
    {HL_CFG_PROXY_CIRCUIT_BREAKER_FAILURE_THRESHOLD, NONE, FORM_SAME, SECTION_PROXY,
     "proxy.circuit-breaker-failure-threshold"},
    {HL_CFG_PROXY_CIRCUIT_BREAKER_COOLDOWN_SEC, NONE, FORM_MILLISECONDS, SECTION_PROXY,
     "proxy.circuit-breaker-cooldown"},
    {HL_CFG_GATEWAY_LISTEN, HL_CFG_GATEWAY_TLS_ENABLED, FORM_LISTEN, SECTION_GATEWAY,
     "http.listen"},
    {HL_CFG_GATEWAY_LISTEN, HL_CFG_GATEWAY_TLS_ENABLED, FORM_LISTEN_TLS, SECTION_GATEWAY,
     "http.tls-listen"},
    {HL_CFG_GATEWAY_TLS_CERT, NONE, FORM_SAME, SECTION_GATEWAY, "http.tls-cert-file"},
    {HL_CFG_GATEWAY_TLS_KEY, NONE, FORM_SAME, SECTION_GATEWAY, "http.tls-key-file"},
    {HL_CFG_GATEWAY_JWT_EXPIRY, NONE, FORM_SECONDS, SECTION_GATEWAY, "auth.token-ttl"},
    {HL_CFG_GATEWAY_RATE_LIMIT_DEFAULT_CAPACITY, NONE, FORM_SAME, SECTION_GATEWAY,
     "ratelimit.default-capacity"},
    {HL_CFG_GATEWAY_RATE_LIMIT_DEFAULT_RATE_NUM, NONE, FORM_SAME, SECTION_GATEWAY,
     "ratelimit.default-rate-num"},
    {HL_CFG_GATEWAY_RATE_LIMIT_DEFAULT_RATE_DEN, NONE, FORM_SAME, SECTION_GATEWAY,
     "ratelimit.default-rate-den"},
    {HL_CFG_GATEWAY_RATE_LIMIT_DEFAULT_CAPACITY, NONE, FORM_SAME, SECTION_GATEWAY,
     "gateway.limit-capacity"},
    {HL_CFG_GATEWAY_RATE_LIMIT_DEFAULT_RATE_NUM, NONE, FORM_SAME, SECTION_GATEWAY,
     "gateway.limit-rate-num"},
    {HL_CFG_GATEWAY_RATE_LIMIT_DEFAULT_RATE_DEN, NONE, FORM_SAME, SECTION_GATEWAY,
     "gateway.limit-rate-den"},
    {HL_CFG_WORKER_MAX_ATTEMPTS, NONE, FORM_SAME, SECTION_WORKER, "jobs.default-max-attempts"},
    {HL_CFG_WORKER_VISIBILITY_TIMEOUT, NONE, FORM_SAME, SECTION_WORKER, "jobs.default-visibility"},
};

/* --- the role of the program -------------------------------------------------------------------
 */

#define SOCKET_PATH_MAX 100 /* the system takes 107 bytes */

static const char *role_name(enum hl_cfg_role role)
{
    return role == HL_ROLE_GATEWAY ? "gateway" : role == HL_ROLE_PROXY ? "proxy" : NULL;
}

/* "DIR/name", or DIR itself when it ends so already. */
static void use_own_dir(struct hl_config *cfg, const char *name)
{
    struct config_value *dir = &cfg->values[HL_CFG_DIR];
    size_t len = strlen(dir->text);
    while (len > 1 && dir->text[len - 1] == '/') {
        len--;
    }
    size_t name_len = strlen(name);
    bool own = len > name_len && dir->text[len - name_len - 1] == '/' &&
               memcmp(dir->text + len - name_len, name, name_len) == 0;
    struct hl_buf path = {0};
    hl_buf_append(&path, dir->text, len);
    if (!own) {
        hl_buf_printf(&path, "/%s", name);
    }
    struct config_value value = {.text = hl_strndup(path.ptr, path.len), .source = dir->source};
    config_put(cfg, HL_CFG_DIR, value);
    hl_buf_fini(&path);
}

void config_apply_role(struct hl_config *cfg)
{
    const char *name = role_name(cfg->role);
    if (name == NULL) {
        return;
    }
    use_own_dir(cfg, name);
    if (cfg->values[HL_CFG_PORT].source == HL_CFG_FROM_DEFAULT) {
        config_put(cfg, HL_CFG_PORT, (struct config_value){.num = 0});
    }
    const char *dir = cfg->values[HL_CFG_DIR].text;
    if (cfg->values[HL_CFG_UNIXSOCKET].source == HL_CFG_FROM_DEFAULT &&
        strlen(dir) + sizeof "/helios.sock" < SOCKET_PATH_MAX) {
        struct hl_buf path = {0};
        hl_buf_printf(&path, "%s/helios.sock", dir);
        struct config_value value = {.text = hl_strndup(path.ptr, path.len)};
        config_put(cfg, HL_CFG_UNIXSOCKET, value);
        hl_buf_fini(&path);
    }
}

/* --- sections ----------------------------------------------------------------------------------
 */

/* Somebody wrote the setting into a file or on the command line.  A variable of the environment may
 * be there for other programs. */
static bool is_named(const struct hl_config *cfg, enum hl_cfg id)
{
    enum hl_cfg_source source = cfg->values[id].source;
    return source == HL_CFG_FROM_FILE || source == HL_CFG_FROM_FLAG;
}

static bool group_is_named(const struct hl_config *cfg, enum config_group group)
{
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        if (is_named(cfg, (enum hl_cfg)id) && config_group_of((enum hl_cfg)id) == group) {
            return true;
        }
    }
    return false;
}

/* The sections in force: of a program with a role its own, else those that are named. */
static unsigned sections_asked(const struct hl_config *cfg)
{
    bool metrics = hl_config_bool(cfg, HL_CFG_METRICS_ENABLED);
    unsigned asked = 0;
    switch (cfg->role) {
    case HL_ROLE_GATEWAY:
        return SECTION_GATEWAY | (metrics ? SECTION_METRICS : 0);
    case HL_ROLE_PROXY:
        return SECTION_PROXY | (metrics ? SECTION_METRICS : 0);
    case HL_ROLE_WORKER:
        return 0;
    case HL_ROLE_SERVER:
        break;
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(sections); i++) {
        bool named = sections[i].section == SECTION_METRICS
                         ? metrics && (is_named(cfg, HL_CFG_METRICS_ENABLED) ||
                                       is_named(cfg, HL_CFG_METRICS_PORT))
                         : group_is_named(cfg, sections[i].group);
        asked |= named ? (unsigned)sections[i].section : 0;
    }
    return asked;
}

/* --- plugins -----------------------------------------------------------------------------------
 */

#define PLUGIN_PREFIX "plugins.plugins["

struct plugin {
    const char *name; /* NULL: none of that position */
    bool disabled;
    int64_t priority;
};

/* "plugins.plugins[3].field": its position and field; false for other lines. */
static bool plugin_field(const struct hl_config_line *line, size_t *at, const char **field)
{
    if (line->kind != HL_CFG_LINE_SECTION ||
        strncmp(line->argv[0], PLUGIN_PREFIX, strlen(PLUGIN_PREFIX)) != 0) {
        return false;
    }
    char *end = NULL;
    unsigned long long position = strtoull(line->argv[0] + strlen(PLUGIN_PREFIX), &end, 10);
    if (strncmp(end, "].", 2) != 0 || position >= HL_CONFIG_MODULES_MAX) {
        return false;
    }
    *at = (size_t)position;
    *field = end + 2;
    return true;
}

/* A field was checked when the file was read. */
static int64_t field_number(enum hl_cfg like, const char *text)
{
    struct config_value value = {0};
    const struct config_value none = {0};
    struct hl_errmsg unread = {0};
    return config_parse(like, hl_slice_of(text), true, &none, &value, &unread) == HL_OK ? value.num
                                                                                        : 0;
}

static void read_plugins(const struct hl_config *cfg, struct plugin out[HL_CONFIG_MODULES_MAX])
{
    memset(out, 0, HL_CONFIG_MODULES_MAX * sizeof *out);
    for (size_t i = 0; i < cfg->line_count; i++) {
        const struct hl_config_line *line = &cfg->lines[i];
        size_t at = 0;
        const char *field = NULL;
        if (!plugin_field(line, &at, &field)) {
            continue;
        }
        if (strcmp(field, "name") == 0) {
            out[at].name = line->argv[1];
        } else if (strcmp(field, "enabled") == 0) {
            out[at].disabled = field_number(HL_CFG_PLUGINS_ENABLED, line->argv[1]) == 0;
        } else if (strcmp(field, "priority") == 0) {
            out[at].priority = field_number(HL_CFG_LIST_MAX_LISTPACK_SIZE, line->argv[1]);
        }
    }
}

static bool same_field(const char *yaml, const char *setting)
{
    for (; *yaml != '\0' && (*yaml == *setting || (*yaml == '_' && *setting == '-')); yaml++) {
        setting++;
    }
    return *yaml == *setting;
}

/* The line in which the plugin at `at` gives a setting, marked as taken; NULL for none. */
static const struct hl_config_line *plugin_line(struct hl_config *cfg, size_t at,
                                                const char *setting)
{
    const struct hl_config_line *value = NULL;
    for (size_t i = 0; i < cfg->line_count; i++) {
        size_t position = 0;
        const char *field = NULL;
        if (!plugin_field(&cfg->lines[i], &position, &field) || position != at) {
            continue;
        }
        bool inner = strncmp(field, "settings.", strlen("settings.")) == 0;
        if (same_field(inner ? field + strlen("settings.") : field, setting)) {
            cfg->lines[i].taken = true;
            value = &cfg->lines[i];
        }
    }
    return value;
}

/* Fields that every plugin has, as settings of its module; what is not said has a default. */
static const struct {
    const char *setting;
    enum hl_cfg like;     /* its kind of value */
    enum hl_cfg fallback; /* HL_CFG_COUNT: none */
} plugin_fields[] = {
    {"fail-open", HL_CFG_PLUGINS_DEFAULT_FAIL_OPEN, HL_CFG_PLUGINS_DEFAULT_FAIL_OPEN},
    {"timeout", HL_CFG_PLUGINS_DEFAULT_TIMEOUT, HL_CFG_PLUGINS_DEFAULT_TIMEOUT},
    {"max-failures", HL_CFG_PROXY_CIRCUIT_BREAKER_FAILURE_THRESHOLD, HL_CFG_COUNT},
    {"cooldown", HL_CFG_SNAPSHOT_INTERVAL_TIME, HL_CFG_COUNT},
};

/* The setting of the plugin at `at`: what it says, in the spelling of CONFIG GET, or a default. */
static bool plugin_value(struct hl_config *cfg, size_t at, const char *setting, struct hl_buf *out)
{
    const struct hl_config_line *line = plugin_line(cfg, at, setting);
    for (size_t i = 0; i < HL_ARRAY_LEN(plugin_fields); i++) {
        if (strcmp(plugin_fields[i].setting, setting) != 0) {
            continue;
        }
        if (line != NULL) {
            enum hl_cfg like = plugin_fields[i].like;
            struct config_value value = {.num = field_number(like, line->argv[1])};
            config_format_value(&config_rows[like], &value, out);
        } else if (plugin_fields[i].fallback != HL_CFG_COUNT) {
            hl_config_format(cfg, plugin_fields[i].fallback, out);
        }
        return line != NULL || plugin_fields[i].fallback != HL_CFG_COUNT;
    }
    if (line != NULL) { /* YAML's words for yes and no are not those of settings */
        const char *text = line->argv[1];
        hl_buf_append_text(out, strcmp(text, "true") == 0    ? "yes"
                                : strcmp(text, "false") == 0 ? "no"
                                                             : text);
    }
    return line != NULL;
}

static bool plugin_setting(struct hl_config *cfg, const char *name, struct hl_buf *value)
{
    struct plugin plugins[HL_CONFIG_MODULES_MAX];
    const char *dot = strchr(name, '.');
    read_plugins(cfg, plugins);
    for (size_t i = 0; i < HL_CONFIG_MODULES_MAX && dot != NULL; i++) {
        struct hl_slice module = {.ptr = name, .len = (size_t)(dot - name)};
        if (plugins[i].name != NULL && hl_slice_is(module, plugins[i].name)) {
            return plugin_value(cfg, i, dot + 1, value);
        }
    }
    return false;
}

const struct hl_config_line *hl_config_plugin_setting_left(const struct hl_config *cfg)
{
    struct plugin plugins[HL_CONFIG_MODULES_MAX];
    read_plugins(cfg, plugins);
    for (size_t i = 0; i < cfg->line_count; i++) {
        size_t at = 0;
        const char *field = NULL;
        if (hl_config_bool(cfg, HL_CFG_PLUGINS_ENABLED) && !cfg->lines[i].taken &&
            plugin_field(&cfg->lines[i], &at, &field) && !plugins[at].disabled &&
            strncmp(field, "settings.", strlen("settings.")) == 0) {
            return &cfg->lines[i];
        }
    }
    return NULL;
}

/* --- which modules -----------------------------------------------------------------------------
 */

struct hl_slice config_module_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct hl_slice name = hl_slice_of(slash == NULL ? path : slash + 1);
    if (name.len > 3 && memcmp(name.ptr + name.len - 3, ".so", 3) == 0) {
        name.len -= 3;
    }
    return name;
}

/* A line loads it, or it is on the list already. */
static bool is_listed(const struct hl_config *cfg, const struct hl_config_module *out, size_t count,
                      const char *name)
{
    for (size_t i = 0; i < cfg->line_count; i++) {
        if (cfg->lines[i].kind == HL_CFG_LINE_LOADMODULE &&
            hl_slice_is(config_module_name(cfg->lines[i].argv[0]), name)) {
            return true;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(out[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* `before` and `what` together say why. */
static void add_module(const struct hl_config *cfg, struct hl_config_module *out, size_t *count,
                       struct hl_slice name, const char *before, const char *what)
{
    struct hl_config_module *module = &out[*count];
    if (*count == HL_CONFIG_MODULES_MAX || name.len == 0 || name.len >= sizeof module->name) {
        return;
    }
    memcpy(module->name, name.ptr, name.len);
    module->name[name.len] = '\0';
    (void)snprintf(module->because, sizeof module->because, "%s%s", before, what);
    *count += is_listed(cfg, out, *count, module->name) ? 0 : 1;
}

static void add_sections(const struct hl_config *cfg, struct hl_config_module *out, size_t *count)
{
    unsigned asked = sections_asked(cfg);
    const char *role = role_name(cfg->role);
    for (size_t i = 0; i < HL_ARRAY_LEN(modules); i++) {
        for (size_t s = 0; s < HL_ARRAY_LEN(sections); s++) {
            if ((asked & modules[i].sections & (unsigned)sections[s].section) != 0) {
                add_module(cfg, out, count, hl_slice_of(modules[i].name),
                           role != NULL ? "this program is a " : "the settings have a section ",
                           sections[s].name);
            }
        }
    }
}

/* Those of the plugins section, the highest priority first; equals as they stand. */
static void add_plugins(const struct hl_config *cfg, struct hl_config_module *out, size_t *count)
{
    struct plugin plugins[HL_CONFIG_MODULES_MAX];
    read_plugins(cfg, plugins);
    while (hl_config_bool(cfg, HL_CFG_PLUGINS_ENABLED)) {
        struct plugin *best = NULL;
        for (size_t i = 0; i < HL_CONFIG_MODULES_MAX; i++) {
            struct plugin *plugin = &plugins[i];
            if (plugin->name != NULL && !plugin->disabled &&
                (best == NULL || plugin->priority > best->priority)) {
                best = plugin;
            }
        }
        if (best == NULL) {
            break;
        }
        add_module(cfg, out, count, hl_slice_of(best->name), "it is among ", "plugins.plugins");
        best->name = NULL;
    }
}

size_t hl_config_modules(const struct hl_config *cfg,
                         struct hl_config_module out[HL_CONFIG_MODULES_MAX])
{
    size_t count = 0;
    add_sections(cfg, out, &count);
    add_plugins(cfg, out, &count);
    const char *at = hl_config_text(cfg, HL_CFG_PLUGINS_NAMES);
    while (*at != '\0') {
        size_t len = strcspn(at, ", ");
        add_module(cfg, out, &count, (struct hl_slice){.ptr = at, .len = len}, "it is among ",
                   "plugins-names");
        at += len + (at[len] != '\0' ? 1 : 0);
    }
    return count;
}

/* --- their settings ----------------------------------------------------------------------------
 */

/* What the mapping says now. */
static void format_mapping(const struct hl_config *cfg, const struct mapping *mapping,
                           struct hl_buf *out)
{
    int64_t also = mapping->also == NONE ? 0 : hl_config_int(cfg, mapping->also);
    switch (mapping->form) {
    case FORM_SECONDS:
        hl_buf_printf(out, "%lld", (long long)((hl_config_int(cfg, mapping->id) + 999) / 1000));
        return;
    case FORM_MILLISECONDS:
        hl_buf_printf(out, "%lld", (long long)hl_config_int(cfg, mapping->id) * 1000);
        return;
    case FORM_EITHER:
        if (also != 0) {
            hl_buf_printf(out, "%lld", (long long)also * 1000);
            return;
        }
        break;
    case FORM_LISTEN:
    case FORM_LISTEN_TLS:
        if ((also != 0) != (mapping->form == FORM_LISTEN_TLS)) {
            return;
        }
        break;
    case FORM_OPTIONAL:
        hl_buf_append_text(out, cfg->values[mapping->id].source == HL_CFG_FROM_DEFAULT ? "-" : "");
        break;
    case FORM_SAME:
        break;
    }
    hl_config_format(cfg, mapping->id, out);
}

bool hl_config_module_value(struct hl_config *cfg, const char *name, struct hl_buf *value)
{
    if (plugin_setting(cfg, name, value)) {
        return true;
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(mappings); i++) {
        const struct mapping *mapping = &mappings[i];
        bool said =
            cfg->values[mapping->id].source != HL_CFG_FROM_DEFAULT ||
            (mapping->also != NONE && cfg->values[mapping->also].source != HL_CFG_FROM_DEFAULT);
        if (strcasecmp(mapping->setting, name) == 0 &&
            (said || (sections_asked(cfg) & (unsigned)mapping->section) != 0)) {
            format_mapping(cfg, mapping, value);
            return true;
        }
    }
    return false;
}

static hl_err pass_on(struct hl_config *cfg, const struct mapping *mapping, struct hl_errmsg *msg)
{
    struct hl_config_external *external = config_find_external(cfg, hl_slice_of(mapping->setting));
    if (external == NULL) {
        return HL_OK; /* the module is not loaded; it gets the value when it is */
    }
    struct hl_buf now = {0};
    struct hl_buf wanted = {0};
    hl_err err = HL_OK;
    external->get(external->ctx, &now);
    format_mapping(cfg, mapping, &wanted);
    if (hl_slice_equal(hl_buf_view(&now), hl_buf_view(&wanted))) {
        err = HL_OK;
    } else if (external->immutable) {
        err = hl_fail(msg, HL_EINVAL,
                      "%s is read when the module is loaded: write it into the configuration file "
                      "and start anew",
                      mapping->setting);
    } else {
        err = external->set(external->ctx, hl_buf_view(&wanted), msg);
        if (err == HL_OK && external->apply != NULL) {
            err = external->apply(external->ctx, msg);
        }
    }
    hl_buf_fini(&now);
    hl_buf_fini(&wanted);
    return err;
}

static hl_err on_change(void *ctx, struct hl_config *cfg, enum hl_cfg id, struct hl_errmsg *msg)
{
    (void)ctx;
    hl_err err = HL_OK;
    for (size_t i = 0; i < HL_ARRAY_LEN(mappings) && err == HL_OK; i++) {
        bool concerns = mappings[i].id == id || mappings[i].also == id;
        err = concerns ? pass_on(cfg, &mappings[i], msg) : HL_OK;
    }
    return err;
}

void hl_config_watch_modules(struct hl_config *cfg)
{
    bool watched[HL_CFG_COUNT + 1] = {[NONE] = true};
    for (size_t i = 0; i < HL_ARRAY_LEN(mappings); i++) {
        const enum hl_cfg ids[] = {mappings[i].id, mappings[i].also};
        for (size_t k = 0; k < HL_ARRAY_LEN(ids); k++) {
            if (!watched[ids[k]]) {
                hl_config_on_change(cfg, ids[k], on_change, NULL);
            }
            watched[ids[k]] = true;
        }
    }
}

/* --- settings that nobody obeys ----------------------------------------------------------------
 */

static const struct {
    enum hl_cfg id;
    const char *instead;
} unheeded[] = {
    {HL_CFG_GATEWAY_JWT_SECRET, "tokens are signed with keys that the module auth makes and keeps"},
    {HL_CFG_GATEWAY_JWT_PUBLIC_KEY, "only tokens of the module auth are good"},
    {HL_CFG_TRACING_ENABLED, "no spans are sent"},
    {HL_CFG_SHARDING_ENABLED, "a group of nodes holds all keys"},
    {HL_CFG_GRAPHQL_ENABLED, "there is no GraphQL"},
};

bool hl_config_unheeded(const struct hl_config *cfg, size_t *at, const char **name,
                        const char **instead)
{
    for (; *at < HL_ARRAY_LEN(unheeded); (*at)++) {
        enum hl_cfg id = unheeded[*at].id;
        const struct config_value *value = &cfg->values[id];
        if (config_is_number(&config_rows[id]) ? value->num != 0 : value->text[0] != '\0') {
            *name = config_rows[id].name;
            *instead = unheeded[(*at)++].instead;
            return true;
        }
    }
    return false;
}
