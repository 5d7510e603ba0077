/* What is wished of a module: what a change names is kept as named, false and zero too; what it
 * does not name stays; and what is malformed changes nothing. */
#include "gateway/plugin.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define MS INT64_C(1000000)

static struct gw_plugin plugin;

static void setup(void)
{
    gw_plugin_init(&plugin);
}

static void teardown(void)
{
    gw_plugin_fini(&plugin);
}

TestSuite(plugin, .init = setup, .fini = teardown);

static bool change(const char *text)
{
    char why[200] = "";
    json_t *object = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    cr_assert_not_null(object, "%s", text);
    bool good = gw_plugin_change(&plugin, object, why, sizeof why);
    cr_assert_eq(good, why[0] == '\0', "%s: %s", text, why);
    json_decref(object);
    return good;
}

Test(plugin, an_explicit_false_is_kept_and_what_is_not_named_stays)
{
    cr_assert(plugin.fail_open);
    cr_assert(change("{\"fail_open\":false,\"max_failures\":0,\"priority\":-3}"));
    cr_assert(change("{\"timeout\":\"1m30s\"}"));
    cr_assert(change("{}"));
    cr_assert_not(plugin.fail_open);
    cr_assert_eq(plugin.max_failures, 0);
    cr_assert_eq(plugin.priority, -3);
    cr_assert_eq(plugin.timeout_ns, 90000 * MS);
    cr_assert_eq(plugin.cooldown_ns, 30000 * MS);
}

Test(plugin, what_it_says_of_itself_makes_the_same_again)
{
    cr_assert(change("{\"fail_open\":false,\"timeout\":1500,\"cooldown\":\"250ms\",\"priority\":9,"
                     "\"settings\":{\"a\":\"b\",\"n\":4,\"on\":true}}"));
    json_t *object = gw_plugin_json(&plugin);
    struct gw_plugin again;
    char why[200];
    gw_plugin_init(&again);
    cr_assert(gw_plugin_change(&again, object, why, sizeof why));
    cr_assert_not(again.fail_open);
    cr_assert_eq(again.timeout_ns, 1500);
    cr_assert_eq(again.cooldown_ns, 250 * MS);
    cr_assert_eq(again.priority, 9);
    cr_assert(json_equal(again.settings, plugin.settings));
    gw_plugin_fini(&again);
    json_decref(object);
}

Test(plugin, settings_are_added_or_replaced)
{
    cr_assert(change("{\"settings\":{\"a\":1,\"b\":2}}"));
    cr_assert(change("{\"settings\":{\"b\":3}}"));
    cr_assert_eq(json_object_size(plugin.settings), 2);
    cr_assert_eq(json_integer_value(json_object_get(plugin.settings, "b")), 3);
    cr_assert(change("{\"settings\":{\"c\":\"d\"},\"replace_settings\":true}"));
    cr_assert_eq(json_object_size(plugin.settings), 1);
    cr_assert(change("{\"replace_settings\":true}"));
    cr_assert_eq(json_object_size(plugin.settings), 0);
}

Test(plugin, what_is_malformed_is_refused_whole)
{
    static const char *const bad[] = {
        "{\"priority\":5,\"fail_open\":1}",
        "{\"priority\":5,\"timeout\":\"\"}",
        "{\"priority\":5,\"timeout\":\"5\"}",
        "{\"priority\":5,\"timeout\":\"ms\"}",
        "{\"priority\":5,\"timeout\":\"1x\"}",
        "{\"priority\":5,\"timeout\":-1}",
        "{\"priority\":5,\"timeout\":1.5}",
        "{\"priority\":5,\"timeout\":\"25h\"}",
        "{\"priority\":5,\"timeout\":\"99999999999999999999h\"}",
        "{\"priority\":5,\"timeout\":\"1s\\u0000\"}",
        "{\"priority\":5,\"cooldown\":86400000000001}",
        "{\"priority\":5,\"max_failures\":-1}",
        "{\"priority\":5,\"settings\":3}",
        "{\"priority\":5,\"settings\":{\"a b\":1}}",
        "{\"priority\":5,\"settings\":{\"../a\":1}}",
        "{\"priority\":5,\"settings\":{\"\":1}}",
        "{\"priority\":5,\"settings\":{\"a\":null}}",
        "{\"priority\":5,\"settings\":{\"a\":[1]}}",
        "{\"priority\":5,\"replace_settings\":\"yes\"}",
        "{\"priority\":1000001}",
        "{\"priority\":\"high\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(change(bad[i]), "%s", bad[i]);
        cr_assert_eq(plugin.priority, 0, "%s", bad[i]);
        cr_assert_eq(json_object_size(plugin.settings), 0);
    }
}

Test(plugin, there_is_a_bound_on_settings)
{
    char text[64];
    for (int i = 0; i < GW_PLUGIN_SETTINGS_MAX; i++) {
        (void)snprintf(text, sizeof text, "{\"settings\":{\"s%d\":1}}", i);
        cr_assert(change(text));
    }
    cr_assert_not(change("{\"settings\":{\"more\":1}}"));
    cr_assert(change("{\"settings\":{\"s0\":2}}"));
}

Test(plugin, durations_are_written_exactly)
{
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {
        {0, "0s"}, {1, "1ns"}, {250 * MS, "250ms"}, {90000 * MS, "90s"}, {MS + 1, "1000001ns"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[48];
        int64_t ns = -1;
        gw_duration_text(rows[i].ns, text);
        cr_assert_str_eq(text, rows[i].text);
        json_t *value = json_string(text);
        cr_assert(gw_duration(value, &ns));
        cr_assert_eq(ns, rows[i].ns);
        json_decref(value);
    }
}
