#include "plugin.h"

#include <stdio.h>
#include <string.h>

#define MS INT64_C(1000000) /* ns */
#define PRIORITY_MAX 1000000
#define FAILURES_MAX 1000000
#define SETTING_NAME_MAX 64

static const struct unit {
    const char *name;
    int64_t ns;
} units[] = {
    {"h", 3600 * 1000 * MS}, {"ms", MS},   {"m", 60 * 1000 * MS},
    {"s", 1000 * MS},        {"us", 1000}, {"ns", 1},
};

/* --- durations -------------------------------------------------------------------------------- */

static const struct unit *unit_at(const char *text)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strncmp(text, units[i].name, strlen(units[i].name)) == 0) {
            return &units[i];
        }
    }
    return NULL;
}

/* "1m30s": whole numbers, each with its unit. */
static bool parse_duration(const char *text, int64_t *ns)
{
    int64_t sum = 0;
    if (*text == '\0') {
        return false;
    }
    while (*text != '\0') {
        int64_t number = 0;
        const char *digits = text;
        for (; *text >= '0' && *text <= '9'; text++) {
            number = number * 10 + (*text - '0');
            if (number > GW_PLUGIN_DURATION_MAX) {
                return false;
            }
        }
        const struct unit *unit = unit_at(text);
        if (text == digits || unit == NULL || number > GW_PLUGIN_DURATION_MAX / unit->ns) {
            return false;
        }
        sum += number * unit->ns;
        if (sum > GW_PLUGIN_DURATION_MAX) {
            return false;
        }
        text += strlen(unit->name);
    }
    *ns = sum;
    return true;
}

bool gw_duration(const json_t *value, int64_t *ns)
{
    if (json_is_string(value)) {
        return strlen(json_string_value(value)) == json_string_length(value) &&
               parse_duration(json_string_value(value), ns);
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > GW_PLUGIN_DURATION_MAX) {
        return false;
    }
    *ns = json_integer_value(value);
    return true;
}

void gw_duration_text(int64_t ns, char *out)
{
    if (ns % MS != 0) {
        snprintf(out, 48, "%lldns", (long long)ns);
    } else if (ns % (1000 * MS) != 0) {
        snprintf(out, 48, "%lldms", (long long)(ns / MS));
    } else {
        snprintf(out, 48, "%llds", (long long)(ns / (1000 * MS)));
    }
}

/* --- wishes ----------------------------------------------------------------------------------- */

void gw_plugin_init(struct gw_plugin *plugin)
{
    *plugin = (struct gw_plugin){.timeout_ns = 150 * MS,
                                 .cooldown_ns = 30 * 1000 * MS,
                                 .max_failures = 5,
                                 .fail_open = true,
                                 .settings = json_object()};
}

void gw_plugin_fini(struct gw_plugin *plugin)
{
    json_decref(plugin->settings);
    plugin->settings = NULL;
}

static bool take_duration(const json_t *object, const char *name, int64_t *out, char *why,
                          size_t size)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL || gw_duration(value, out)) {
        return true;
    }
    snprintf(why, size, "%s: a duration such as \"250ms\", or nanoseconds", name);
    return false;
}

static bool take_number(const json_t *object, const char *name, int64_t least, int64_t most,
                        int64_t *out, char *why, size_t size)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL) {
        return true;
    }
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > most) {
        snprintf(why, size, "%s: a whole number from %lld to %lld", name, (long long)least,
                 (long long)most);
        return false;
    }
    *out = json_integer_value(value);
    return true;
}

static bool take_flag(const json_t *object, const char *name, bool *out, char *why, size_t size)
{
    const json_t *value = json_object_get(object, name);
    if (value != NULL && !json_is_boolean(value)) {
        snprintf(why, size, "%s: true or false", name);
        return false;
    }
    *out = value != NULL ? json_is_true(value) : *out;
    return true;
}

/* A module's setting has letters, digits, '-' and '_'. */
static bool is_setting(const char *name, const json_t *value)
{
    size_t len = strlen(name);
    bool good = len != 0 && len <= SETTING_NAME_MAX;
    for (size_t i = 0; good && i < len; i++) {
        char c = name[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_';
    }
    return good && ((json_is_string(value) && json_string_length(value) <= GW_PLUGIN_SETTING_MAX) ||
                    json_is_integer(value) || json_is_boolean(value));
}

/* The settings as they will be: a new object, or NULL. */
static json_t *take_settings(const struct gw_plugin *plugin, const json_t *object, char *why,
                             size_t size)
{
    const json_t *given = json_object_get(object, "settings");
    bool replace = false;
    const char *name = NULL;
    json_t *value = NULL;
    if (!take_flag(object, "replace_settings", &replace, why, size)) {
        return NULL;
    }
    if (given != NULL && !json_is_object(given)) {
        snprintf(why, size, "settings: an object");
        return NULL;
    }
    json_t *fresh = replace ? json_object() : json_copy(plugin->settings);
    json_object_foreach((json_t *)given, name, value)
    {
        if (!is_setting(name, value)) {
            snprintf(why, size, "settings: a name, and a text, a whole number, true or false");
            json_decref(fresh);
            return NULL;
        }
        json_object_set(fresh, name, value);
    }
    if (json_object_size(fresh) > GW_PLUGIN_SETTINGS_MAX) {
        snprintf(why, size, "settings: at most %d", GW_PLUGIN_SETTINGS_MAX);
        json_decref(fresh);
        return NULL;
    }
    return fresh;
}

bool gw_plugin_change(struct gw_plugin *plugin, const json_t *object, char *why, size_t why_size)
{
    struct gw_plugin fresh = *plugin;
    bool good =
        take_number(object, "priority", -PRIORITY_MAX, PRIORITY_MAX, &fresh.priority, why,
                    why_size) &&
        take_duration(object, "timeout", &fresh.timeout_ns, why, why_size) &&
        take_duration(object, "cooldown", &fresh.cooldown_ns, why, why_size) &&
        take_number(object, "max_failures", 0, FAILURES_MAX, &fresh.max_failures, why, why_size) &&
        take_flag(object, "fail_open", &fresh.fail_open, why, why_size);
    fresh.settings = good ? take_settings(plugin, object, why, why_size) : NULL;
    if (fresh.settings == NULL) {
        return false;
    }
    json_decref(plugin->settings);
    *plugin = fresh;
    return true;
}

json_t *gw_plugin_json(const struct gw_plugin *plugin)
{
    char timeout[48];
    char cooldown[48];
    gw_duration_text(plugin->timeout_ns, timeout);
    gw_duration_text(plugin->cooldown_ns, cooldown);
    return json_pack("{s:I, s:s, s:b, s:I, s:s, s:O}", "priority", (json_int_t)plugin->priority,
                     "timeout", timeout, "fail_open", (int)plugin->fail_open, "max_failures",
                     (json_int_t)plugin->max_failures, "cooldown", cooldown, "settings",
                     plugin->settings);
}
