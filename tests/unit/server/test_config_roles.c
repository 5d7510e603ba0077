/* Which modules a program's name, a section or a list of plugins calls for, and with what. */
#include "unit/server/config_support.h"

#include "server/config_internal.h"

#include <string.h>

static struct hl_config *cfg;
static struct hl_errmsg msg;

static void begin(void)
{
    cfg = hl_config_create(HL_ROLE_SERVER);
    msg = (struct hl_errmsg){0};
}

static void end(void)
{
    hl_config_destroy(cfg);
}

TestSuite(config_roles, .init = begin, .fini = end);

/* "http auth jobs": the modules called for. */
static const char *called_for(const struct hl_config *config)
{
    static char text[512];
    struct hl_config_module modules[HL_CONFIG_MODULES_MAX];
    size_t count = hl_config_modules(config, modules);
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i == 0 ? "" : " ",
                                modules[i].name);
    }
    return text;
}

/* What "module.setting" gets, or "(none)". */
static const char *value_of(struct hl_config *config, const char *name)
{
    static char text[256];
    struct hl_buf value = {0};
    bool said = hl_config_module_value(config, name, &value);
    (void)snprintf(text, sizeof text, "%.*s", said ? (int)value.len : 6,
                   said ? (value.len == 0 ? "" : value.ptr) : "(none)");
    hl_buf_fini(&value);
    return text;
}

Test(config_roles, a_plain_server_loads_nothing)
{
    cr_assert_eq(load(cfg, WORDS("-listen=:6379", "-data-dir=/x"), NULL, &msg), HL_OK);
    cr_assert_str_eq(called_for(cfg), "");
    cr_assert_str_eq(value_of(cfg, "http.listen"), "(none)");
    cr_assert_str_eq(hl_config_text(cfg, HL_CFG_DIR), "/x");
    cr_assert_eq(hl_config_int(cfg, HL_CFG_PORT), 6379);
}

Test(config_roles, a_gateway_has_its_modules_its_own_folder_and_no_port_for_commands)
{
    struct hl_config *gateway = hl_config_create(HL_ROLE_GATEWAY);
    cr_assert_eq(load(gateway, WORDS("--listen=:8443", "--data-dir=/var/lib/helios/"), NULL, &msg),
                 HL_OK);
    cr_assert_str_eq(called_for(gateway), "metrics http auth rbac ratelimit jobs gateway");
    cr_assert_str_eq(value_of(gateway, "http.listen"), ":8443");
    cr_assert_str_eq(value_of(gateway, "metrics.listen"), "-:9090", "which may be in use");
    cr_assert_str_eq(value_of(gateway, "http.tls-listen"), "");
    cr_assert_str_eq(value_of(gateway, "ratelimit.default-capacity"), "100");
    cr_assert_str_eq(hl_config_text(gateway, HL_CFG_DIR), "/var/lib/helios/gateway");
    cr_assert_str_eq(hl_config_text(gateway, HL_CFG_UNIXSOCKET),
                     "/var/lib/helios/gateway/helios.sock");
    cr_assert_eq(hl_config_int(gateway, HL_CFG_PORT), 0);
    hl_config_destroy(gateway);
}

Test(config_roles, a_proxy_has_its_module_and_looks_at_no_other_section)
{
    struct hl_config *proxy = hl_config_create(HL_ROLE_PROXY);
    cr_assert_eq(load_text(proxy, "a.yaml",
                           "gateway: {listen: \":1\"}\nobservability: {metrics_enabled: false}\n"
                           "proxy: {listen: \":2\", health_check_interval: 7s, circuit_breaker: "
                           "{failure_threshold: 3, cooldown_sec: 30}}\n",
                           &msg),
                 HL_OK, "%s", msg.text);
    cr_assert_str_eq(called_for(proxy), "proxy");
    cr_assert_str_eq(value_of(proxy, "proxy.listen"), ":2");
    cr_assert_str_eq(value_of(proxy, "proxy.health-check-interval"), "7000");
    cr_assert_str_eq(value_of(proxy, "proxy.circuit-breaker-failure-threshold"), "3");
    cr_assert_str_eq(value_of(proxy, "proxy.circuit-breaker-cooldown"), "30000");
    cr_assert_str_eq(hl_config_text(proxy, HL_CFG_DIR), "/var/lib/helios/proxy");
    hl_config_destroy(proxy);
}

Test(config_roles, an_older_spelling_of_the_health_checks_interval_counts)
{
    cr_assert_eq(load_text(cfg, "a.yaml", "proxy: {health_check_interval_sec: 9}\n", &msg), HL_OK);
    cr_assert_str_eq(called_for(cfg), "proxy");
    cr_assert_str_eq(value_of(cfg, "proxy.health-check-interval"), "9000");
}

Test(config_roles, metrics_come_with_their_settings_and_not_with_the_log_level)
{
    cr_assert_eq(load_text(cfg, "a.yaml", "observability: {log_level: info}\n", &msg), HL_OK);
    cr_assert_str_eq(called_for(cfg), "");
    struct hl_config *on = hl_config_create(HL_ROLE_SERVER);
    cr_assert_eq(load_text(on, "a.yaml", "observability: {metrics_port: \":9092\"}\n", &msg),
                 HL_OK);
    cr_assert_str_eq(called_for(on), "metrics");
    cr_assert_str_eq(value_of(on, "metrics.listen"), ":9092");
    hl_config_destroy(on);
    struct hl_config *off = hl_config_create(HL_ROLE_SERVER);
    cr_assert_eq(load_text(off, "a.yaml", "observability: {metrics_enabled: false}\n", &msg),
                 HL_OK);
    cr_assert_str_eq(called_for(off), "");
    hl_config_destroy(off);
}

Test(config_roles, what_no_module_obeys_is_told)
{
    size_t at = 0;
    const char *name = NULL;
    const char *instead = NULL;
    cr_assert_not(hl_config_unheeded(cfg, &at, &name, &instead));
    cr_assert_eq(load_text(cfg, "a.yaml",
                           "gateway: {jwt_secret: 0123456789abcdef0123456789abcdef}\n"
                           "graphql: {enabled: true}\n",
                           &msg),
                 HL_OK);
    at = 0;
    cr_assert(hl_config_unheeded(cfg, &at, &name, &instead));
    cr_assert_str_eq(name, "gateway-jwt-secret");
    cr_assert(hl_config_unheeded(cfg, &at, &name, &instead));
    cr_assert_str_eq(name, "graphql-enabled");
    cr_assert_not(hl_config_unheeded(cfg, &at, &name, &instead));
}

Test(config_roles, what_a_gateway_is_told_about_commands_is_done)
{
    struct hl_config *gateway = hl_config_create(HL_ROLE_GATEWAY);
    cr_assert_eq(load(gateway, WORDS("--data-dir=/d/gateway", "--port=7000", "--unixsocket=/tmp/s"),
                      NULL, &msg),
                 HL_OK);
    cr_assert_str_eq(hl_config_text(gateway, HL_CFG_DIR), "/d/gateway", "it ends so already");
    cr_assert_str_eq(hl_config_text(gateway, HL_CFG_UNIXSOCKET), "/tmp/s");
    cr_assert_eq(hl_config_int(gateway, HL_CFG_PORT), 7000);
    hl_config_destroy(gateway);
}

Test(config_roles, a_section_of_the_file_calls_for_its_modules)
{
    cr_assert_eq(load_text(cfg, "a.yaml", "gateway: {listen: \":9443\"}\n", &msg), HL_OK);
    cr_assert_str_eq(called_for(cfg), "http auth rbac ratelimit jobs gateway");
    cr_assert_str_eq(value_of(cfg, "http.listen"), ":9443");
    cr_assert_eq(hl_config_int(cfg, HL_CFG_PORT), 6379, "it is a server still");
}

Test(config_roles, a_variable_of_the_environment_calls_for_nothing)
{
    const char *const env[] = {"HELIOS_JWT_SECRET=0123456789abcdef0123456789abcdef",
                               "POLL_INTERVAL=5s", NULL};
    cr_assert_eq(load(cfg, WORDS("-listen=:6379"), env, &msg), HL_OK);
    cr_assert_str_eq(called_for(cfg), "");
}

Test(config_roles, a_workers_section_means_jobs_with_its_defaults)
{
    cr_assert_eq(load_text(cfg, "a.yaml",
                           "worker: {poll_interval: 5s, max_attempts: 7, visibility_timeout: 60}\n",
                           &msg),
                 HL_OK, "%s", msg.text);
    cr_assert_str_eq(called_for(cfg), "jobs");
    cr_assert_str_eq(value_of(cfg, "jobs.default-max-attempts"), "7");
    cr_assert_str_eq(value_of(cfg, "jobs.default-visibility"), "60");
}

Test(config_roles, tls_moves_the_gateways_address_and_times_become_seconds)
{
    cr_assert_eq(load_text(cfg, "a.yaml",
                           "gateway: {listen: \":9443\", tls_enabled: true, tls_cert: /c, "
                           "tls_key: /k, jwt_expiry: 1500ms}\n",
                           &msg),
                 HL_OK, "%s", msg.text);
    cr_assert_str_eq(value_of(cfg, "http.listen"), "");
    cr_assert_str_eq(value_of(cfg, "http.tls-listen"), ":9443");
    cr_assert_str_eq(value_of(cfg, "http.tls-cert-file"), "/c");
    cr_assert_str_eq(value_of(cfg, "http.tls-key-file"), "/k");
    cr_assert_str_eq(value_of(cfg, "auth.token-ttl"), "2");
}

Test(config_roles, a_module_that_a_line_loads_is_not_loaded_twice)
{
    cr_assert_eq(
        load(cfg, WORDS("--gateway-listen=:1", "--loadmodule", "/x/http.so", "a"), NULL, &msg),
        HL_OK);
    cr_assert_str_eq(called_for(cfg), "auth rbac ratelimit jobs gateway");
    cr_assert_str_eq(value_of(cfg, "http.listen"), ":1", "but it is told the address");
}

static const char plugins[] = "plugins:\n"
                              "  enabled: true\n"
                              "  default_fail_open: true\n"
                              "  plugins:\n"
                              "    - {name: audit, enabled: true, priority: 5, fail_open: false,\n"
                              "       settings: {max_entries: 500, include_values: false}}\n"
                              "    - {name: keyguard, priority: 10, timeout: 250ms}\n"
                              "    - {name: traffic_guard, enabled: false}\n";

Test(config_roles, plugins_are_modules_in_the_order_of_their_priority)
{
    cr_assert_eq(load_text(cfg, "a.yaml", plugins, &msg), HL_OK, "%s", msg.text);
    cr_assert_str_eq(called_for(cfg), "keyguard audit");
    cr_assert_str_eq(value_of(cfg, "audit.max-entries"), "500");
    cr_assert_str_eq(value_of(cfg, "audit.include-values"), "no");
    cr_assert_str_eq(value_of(cfg, "keyguard.timeout"), "250");
    cr_assert_str_eq(value_of(cfg, "audit.timeout"), "150", "the default of all plugins");
    cr_assert_str_eq(value_of(cfg, "audit.unknown"), "(none)");
}

/* The first HELIOS turned an explicit `fail_open: false` into the default. */
Test(config_roles, an_explicit_fail_open_false_is_kept)
{
    cr_assert_eq(load_text(cfg, "a.yaml", plugins, &msg), HL_OK, "%s", msg.text);
    cr_assert_str_eq(value_of(cfg, "audit.fail-open"), "no");
    cr_assert_str_eq(value_of(cfg, "keyguard.fail-open"), "yes");
}

Test(config_roles, a_plugins_setting_that_no_module_asked_for_is_found)
{
    cr_assert_eq(load_text(cfg, "a.yaml", plugins, &msg), HL_OK, "%s", msg.text);
    cr_assert_str_eq(value_of(cfg, "audit.max-entries"), "500");
    const struct hl_config_line *left = hl_config_plugin_setting_left(cfg);
    cr_assert_not_null(left);
    cr_assert_str_eq(left->argv[0], "plugins.plugins[0].settings.include_values");
    cr_assert_str_eq(value_of(cfg, "audit.include-values"), "no");
    cr_assert_null(hl_config_plugin_setting_left(cfg));
}

Test(config_roles, plugins_stay_off_until_they_are_enabled_and_names_turn_modules_on)
{
    const char *const env[] = {"HELIOS_PLUGINS=audit, jobs,audit", NULL};
    cr_assert_eq(load_text(cfg, "a.yaml", "plugins: {plugins: [{name: keyguard}]}\n", &msg), HL_OK,
                 "%s", msg.text);
    cr_assert_str_eq(called_for(cfg), "");
    struct hl_config *named = hl_config_create(HL_ROLE_SERVER);
    cr_assert_eq(load(named, NULL, env, &msg), HL_OK);
    cr_assert_str_eq(called_for(named), "audit jobs");
    hl_config_destroy(named);
}

/* --- CONFIG SET --------------------------------------------------------------------------------
 */

static char ttl[32] = "900";

static void get_ttl(void *ctx, struct hl_buf *out)
{
    (void)ctx;
    hl_buf_append_text(out, ttl);
}

static hl_err set_ttl(void *ctx, struct hl_slice value, struct hl_errmsg *why)
{
    (void)ctx;
    if (value.len > 4) {
        return hl_fail(why, HL_EINVAL, "too long a life");
    }
    (void)snprintf(ttl, sizeof ttl, "%.*s", (int)value.len, value.ptr);
    return HL_OK;
}

static hl_err config_set(const char *name, const char *value)
{
    struct hl_slice words[2] = {hl_slice_of(name), hl_slice_of(value)};
    return hl_config_set(cfg, words, 2, true, &msg);
}

Test(config_roles, config_set_reaches_the_module_or_is_refused_wholly)
{
    struct hl_config_external token = {.name = "auth.token-ttl", .get = get_ttl, .set = set_ttl};
    struct hl_config_external listen = {
        .name = "http.listen", .immutable = true, .get = get_ttl, .set = set_ttl};
    hl_config_watch_modules(cfg);
    cr_assert_eq(config_set("gateway-jwt-expiry", "1800000"), HL_OK, "no module yet");
    cr_assert_eq(hl_config_external_add(cfg, &token), HL_OK);
    cr_assert_eq(hl_config_external_add(cfg, &listen), HL_OK);
    cr_assert_eq(config_set("gateway-jwt-expiry", "60000"), HL_OK, "%s", msg.text);
    cr_assert_str_eq(ttl, "60");
    cr_assert_eq(config_set("gateway-jwt-expiry", "86400000"), HL_EINVAL);
    cr_assert_not_null(strstr(msg.text, "too long a life"));
    cr_assert_eq(hl_config_int(cfg, HL_CFG_GATEWAY_JWT_EXPIRY), 60000, "as it was");
    cr_assert_str_eq(ttl, "60");
    cr_assert_eq(config_set("gateway-listen", ":1"), HL_EINVAL);
    cr_assert_not_null(strstr(msg.text, "http.listen is read when the module is loaded"));
    cr_assert_eq(config_set("gateway-tls-enabled", "yes"), HL_EINVAL);
}
