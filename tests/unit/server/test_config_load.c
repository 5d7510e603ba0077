#include "unit/server/config_support.h"

#include <sys/stat.h>

static struct hl_config *cfg;
static struct hl_errmsg msg;

static void setup(void)
{
    cfg = hl_config_create(HL_ROLE_SERVER);
}

static void teardown(void)
{
    hl_config_destroy(cfg);
}

TestSuite(config_load, .init = setup, .fini = teardown);

static const char cluster_node1[] = "atlas:\n"
                                    "  data_dir: \"./data/node1\"\n"
                                    "  aof_fsync: \"every\"\n"
                                    "  snapshot_interval_cmds: 10000\n"
                                    "  snapshot_interval_time: \"5m\"\n"
                                    "\n"
                                    "  raft:\n"
                                    "    enabled: true\n"
                                    "    node_id: \"node-1\"\n"
                                    "    bind_addr: \"127.0.0.1:7000\"\n"
                                    "    data_dir: \"./data/node1/raft\"\n"
                                    "    heartbeat_timeout: \"100ms\"\n"
                                    "    election_timeout: \"500ms\"\n"
                                    "    snapshot_threshold: 10000\n"
                                    "\n"
                                    "    peers:\n"
                                    "      - id: \"node-2\"\n"
                                    "        address: \"127.0.0.1:7001\"\n"
                                    "      - id: \"node-3\"\n"
                                    "        address: \"127.0.0.1:7002\"\n"
                                    "\n"
                                    "gateway:\n"
                                    "  listen: \":8443\"\n"
                                    "\n"
                                    "observability:\n"
                                    "  log_level: \"info\"\n"
                                    "  metrics_enabled: true\n"
                                    "  metrics_port: \":9090\"\n";

Test(config_load, a_cluster_file_of_the_first_schema_loads)
{
    cr_assert_eq(load_text(cfg, "cluster-node1.yaml", cluster_node1, &msg), HL_OK, "%s", msg.text);
    cr_assert_str_eq(hl_config_text(cfg, HL_CFG_DIR), "./data/node1");
    cr_assert_eq(hl_config_int(cfg, HL_CFG_APPENDFSYNC), HL_FSYNC_ALWAYS);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_SNAPSHOT_INTERVAL_TIME), 300000);
    cr_assert(hl_config_bool(cfg, HL_CFG_RAFT));
    cr_assert_str_eq(hl_config_text(cfg, HL_CFG_RAFT_ADDR), "127.0.0.1:7000");
    cr_assert_eq(hl_config_int(cfg, HL_CFG_RAFT_HEARTBEAT_TIMEOUT), 100);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_LOGLEVEL), HL_LOGLEVEL_NOTICE);
    struct hl_config_peer peers[HL_CONFIG_PEERS_MAX];
    cr_assert_eq(hl_config_peers(cfg, peers), 2);
    cr_assert_str_eq(peers[1].id, "node-3");
    cr_assert_str_eq(peers[1].host, "127.0.0.1");
    cr_assert_eq(peers[1].port, 7002);
    cr_assert_eq(hl_config_source(cfg, HL_CFG_DIR), HL_CFG_FROM_FILE);
}

static const char every_section[] =
    "atlas: {data_dir: /var/lib/helios, aof_fsync: interval, snapshot_interval_cmds: 50000,\n"
    "  snapshot_interval_time: 15m, raft: {enabled: false, peers: [], tls: {enabled: false,\n"
    "  cert_file: a, key_file: b, ca_file: c, verify_peer: true, server_name: n,\n"
    "  insecure_skip_verify: false}}}\n"
    "gateway:\n"
    "  listen: \":8443\"\n"
    "  tls_enabled: false\n"
    "  tls_cert: \"\"\n"
    "  tls_key:\n"
    "  jwt_secret: s3cret\n"
    "  jwt_expiry: 15m\n"
    "  rate_limit: {default_capacity: 1000, default_rate_num: 10, default_rate_den: 1}\n"
    "proxy:\n"
    "  listen: \":8080\"\n"
    "  health_check_interval: 10s\n"
    "  circuit_breaker: {failure_threshold: 5, cooldown_sec: 30}\n"
    "worker: {poll_interval: 5s, max_attempts: 3, visibility_timeout: 300}\n"
    "observability: {log_level: warn, metrics_enabled: true, metrics_port: \":9090\",\n"
    "  tracing_enabled: false, tracing_endpoint: \"http://localhost:14268/api/traces\"}\n"
    "sharding: {enabled: true, virtual_nodes: 150, replication_factor: 3, migration_rate: 1000,\n"
    "  auto_rebalance: true, rebalance_interval: 1h}\n"
    "graphql: {enabled: true, endpoint: /graphql, playground_enabled: true,\n"
    "  playground_endpoint: /graphql/playground, introspection_enabled: true,\n"
    "  max_query_depth: 10, max_complexity: 1000, allowed_origins: [\"*\"],\n"
    "  schema_docs: {enabled: true}, federation: {enabled: false}}\n"
    "plugins:\n"
    "  enabled: false\n"
    "  default_timeout: 150ms\n"
    "  default_fail_open: true\n"
    "  event_buffer: 1024\n"
    "  plugins:\n"
    "    - name: audit\n"
    "      enabled: true\n"
    "      priority: 10\n"
    "      timeout: 150ms\n"
    "      fail_open: false\n"
    "      max_failures: 5\n"
    "      cooldown: 30s\n"
    "      settings: {max_entries: 500, event_types: [a, b]}\n";

Test(config_load, every_section_of_the_first_schema_is_typed_and_kept)
{
    cr_assert_eq(load_text(cfg, "sharded.yaml", every_section, &msg), HL_OK, "%s", msg.text);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_APPENDFSYNC), HL_FSYNC_EVERYSEC);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_GATEWAY_RATE_LIMIT_DEFAULT_CAPACITY), 1000);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_SHARDING_REBALANCE_INTERVAL), 3600000);
    cr_assert_str_eq(hl_config_text(cfg, HL_CFG_GRAPHQL_ALLOWED_ORIGINS), "*");
    size_t count = 0;
    bool fail_open = false;
    const struct hl_config_line *lines = hl_config_lines(cfg, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(lines[i].argv[0], "plugins.plugins[0].fail_open") == 0) {
            fail_open = strcmp(lines[i].argv[1], "false") == 0;
        }
    }
    cr_assert(fail_open, "an explicit false is kept");
}

Test(config_load, modules_and_any_setting_can_stand_in_yaml)
{
    cr_assert_eq(load_text(cfg, "a.yaml",
                           "server:\n  maxmemory: 64mb\n  save: [900 1, 300 10]\n"
                           "  bind: [127.0.0.1, \"::1\"]\n"
                           "modules:\n  - path: lib/jobs.so\n    args: [a, b c]\n"
                           "    config: {queue-max: 10}\n  - metrics\n",
                           &msg),
                 HL_OK, "%s", msg.text);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_MAXMEMORY), 64 << 20);
    cr_assert_str_eq(hl_config_text(cfg, HL_CFG_SAVE), "900 1 300 10");
    cr_assert_str_eq(hl_config_text(cfg, HL_CFG_BIND), "127.0.0.1 ::1");
    size_t count = 0;
    const struct hl_config_line *lines = hl_config_lines(cfg, &count);
    cr_assert_eq(count, 3);
    cr_assert_eq(lines[0].kind, HL_CFG_LINE_LOADMODULE);
    cr_assert_eq(lines[0].argc, 3);
    cr_assert_str_eq(lines[0].argv[2], "b c");
    cr_assert_str_eq(lines[2].argv[0], "metrics");
    cr_assert_not_null(hl_config_module_setting_left(cfg));
    cr_assert_str_eq(hl_config_take_module_setting(cfg, "jobs.queue-max"), "10");
    cr_assert_null(hl_config_module_setting_left(cfg));
}

Test(config_load, a_wrong_yaml_file_is_refused_with_line_column_and_advice)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"atlas:\n  data_dri: x\n", "a.yaml:2:13: unknown setting 'atlas.data_dri'; did you mean "
                                    "'atlas.data_dir'?"},
        {"atlas:\n  aof_fsync: sometimes\n", ":2:14: atlas.aof_fsync: argument(s) must be one of"},
        {"worker:\n  max_attempts: 0\n", ":2:17: worker.max_attempts: argument must be between"},
        {"worker:\n  poll_interval: [1, 2]\n", "must be one value, not a list"},
        {"atlas: &x\n  data_dir: y\n", "anchors and aliases"},
        {"atlas: {data_dir: a}\ngateway: *x\n", "anchors and aliases"},
        {"atlas:\n  data_dir: a\n  data_dir: b\n", ":3:3: this key is here twice"},
        {"atlas: !!map {data_dir: a}\n", "tags are not accepted"},
        {"a: {b: {c: {d: {e: {f: {g: {h: {i: {j: {k: {l: {m: {n: {o: {p: {q: 1}}}}}}}}}}}}}}}}\n",
         "nested too deep"},
        {"--- {}\n--- {}\n", "only one document"},
        {"- a\n", "the file must be a map"},
        {"atlas: {raft: {peers: [{id: a}]}}\n", "a peer needs 'id' and 'address'"},
        {"atlas: {raft: {peers: [{id: a, address: b}]}}\n", "must be id:host:port"},
        {"plugins: {plugins: [{name: a, enabled: maybe}]}\n", "'yes' or 'no'"},
        {"plugins: {plugins: [{nmae: a}]}\n", "a plugin has name"},
        {"server: {maxmemry: 1}\n", "did you mean 'maxmemory'?"},
        {"atlas: [\n", "a.yaml:"},
        {"atlas: 5\n", "unknown setting 'atlas'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hl_config *fresh = hl_config_create(HL_ROLE_SERVER);
        cr_assert_neq(load_text(fresh, "a.yaml", cases[i].text, &msg), HL_OK, "%s", cases[i].text);
        cr_assert_not_null(strstr(msg.text, cases[i].part), "%s", msg.text);
        hl_config_destroy(fresh);
    }
}

Test(config_load, a_key_value_file_of_redis_loads)
{
    static const char text[] = "# comment\nport 7000\r\n\n  save 900 1\nsave 300 10\n"
                               "requirepass \"a \\x41\\n b\"\nlogfile ''\n"
                               "client-output-buffer-limit normal 1 2 3\n"
                               "client-output-buffer-limit pubsub 4 5 6\n"
                               "loadmodule /x/y.so one 'two three'\nuser alice on >p ~* +@all\n"
                               "y.depth 5\nrename-command FLUSHALL \"\"\nappendonly yes\n"
                               "bind 127.0.0.1 -::1\noom-score-adj-values 0 100 200\n";
    cr_assert_eq(load_text(cfg, "redis.conf", text, &msg), HL_OK, "%s", msg.text);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_PORT), 7000);
    cr_assert_str_eq(hl_config_text(cfg, HL_CFG_SAVE), "900 1 300 10");
    cr_assert_str_eq(hl_config_text(cfg, HL_CFG_REQUIREPASS), "a A\n b");
    struct hl_config_output_limit limits[HL_CONFIG_OUTPUT_CLASSES];
    hl_config_output_limits(cfg, limits);
    cr_assert_eq(limits[0].soft, 2);
    cr_assert_eq(limits[1].hard, 268435456);
    cr_assert_eq(limits[2].soft_s, 6);
    struct hl_config_save_point points[HL_CONFIG_SAVE_POINTS_MAX];
    cr_assert_eq(hl_config_save_points(cfg, points), 2);
    cr_assert_eq(points[1].seconds, 300);
    size_t count = 0;
    const struct hl_config_line *lines = hl_config_lines(cfg, &count);
    cr_assert_eq(count, 4);
    cr_assert_str_eq(lines[0].argv[2], "two three");
    cr_assert_eq(lines[1].kind, HL_CFG_LINE_USER);
    cr_assert_eq(lines[1].argc, 5);
    cr_assert_str_eq(hl_config_take_module_setting(cfg, "Y.Depth"), "5");
}

Test(config_load, a_wrong_key_value_file_is_refused_with_its_line)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"\nmaxmemry 5\n", "c.conf:2: unknown setting 'maxmemry'; did you mean 'maxmemory'?"},
        {"maxmemory 5x\n", "c.conf:1: maxmemory: argument must be a memory value"},
        {"maxmemory \"5\n", "c.conf:1: Unbalanced quotes in configuration line"},
        {"maxmemory\n", "c.conf:1: maxmemory: wrong number of arguments"},
        {"hz 1 2\n", "wrong number of arguments"},
        {"loadmodule\n", "wrong number of arguments"},
        {"include /nonexistent/x.conf\n", "can't open config file '/nonexistent/x.conf'"},
        {"save 900\n", "Invalid save parameters"},
        {"gateway-jwt-secret a b\n", "wrong number of arguments"},
        {"raft-node-id ../x\n", "letters, digits"},
        {"raft-peers a:b:7000,a:c:7000\n", "named twice"},
        {"raft-election-timeout 100ms\n", "must be at least twice"},
        {"raft yes\nappendonly no\n", "raft needs the log"},
        {"raft-peers b:h:7000\n", "raft-peers needs raft"},
        {"raft-bootstrap yes\n", "raft-bootstrap needs raft"},
        {"raft yes\nraft-join yes\nraft-bootstrap yes\n", "choose one"},
        {"raft yes\nraft-join yes\nraft-peers b:h:7000\n", "choose one"},
        {"raft yes\nraft-bootstrap yes\nraft-peers b:h:7000\n", "choose one"},
        {"raft yes\nraft-peers a:h:1,b:h:2,c:h:3,d:h:4,e:h:5,f:h:6,g:h:7,h:h:8,i:h:9\n",
         "at most 9"},
        {"raft yes\nraft-peers b:h:7000,c:h:7000\n", "same address"},
        {"raft yes\nraft-peers b:127.0.0.1:7000\n", "this node's own address"},
        {"raft yes\nraft-peers node-1:h:1,b:h:2\n", "lists this node, 'node-1', at h:1"},
        {"raft yes\nraft-addr 0.0.0.0:7000\n", "raft-advertise-addr"},
        {"raft yes\nraft-advertise-addr [::]:7000\n", "raft-advertise-addr"},
        {"raft yes\nraft-tls-enabled yes\n", "raft-tls-cert"},
        {"raft yes\nraft-tls-enabled yes\nraft-tls-cert c\n", "raft-tls-key"},
        {"raft yes\nraft-tls-enabled yes\nraft-tls-cert c\nraft-tls-key k\n", "raft-tls-ca"},
        {"raft-tls-verify-peer yes\nraft-tls-insecure-skip-verify yes\n", "contradict"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hl_config *fresh = hl_config_create(HL_ROLE_SERVER);
        cr_assert_neq(load_text(fresh, "c.conf", cases[i].text, &msg), HL_OK, "%s", cases[i].text);
        cr_assert_not_null(strstr(msg.text, cases[i].part), "%s", msg.text);
        hl_config_destroy(fresh);
    }
}

Test(config_load, a_file_that_includes_itself_is_refused)
{
    struct temp_file file = make_file("self.conf", "");
    FILE *out = fopen(file.path, "w");
    (void)fprintf(out, "include %s\n", file.path);
    (void)fclose(out);
    cr_assert_eq(load(cfg, WORDS(file.path), NULL, &msg), HL_EINVAL);
    cr_assert_not_null(strstr(msg.text, "nested deeper"), "%s", msg.text);
    drop_file(&file);
}

Test(config_load, flags_take_one_dash_or_two_with_and_without_equals)
{
    cr_assert_eq(load(cfg,
                      WORDS("-data-dir=./data/node1", "-listen=:6380", "-raft=true",
                            "--raft-node-id", "node-7", "-raft-addr", "127.0.0.1:7007",
                            "--sync-mode", "interval", "--raft-lease", "--save", "900", "1", "300",
                            "10", "--list-max-listpack-size", "-3", "--join=no"),
                      NULL, &msg),
                 HL_OK, "%s", msg.text);
    cr_assert_str_eq(hl_config_text(cfg, HL_CFG_DIR), "./data/node1");
    cr_assert_eq(hl_config_int(cfg, HL_CFG_PORT), 6380);
    cr_assert_str_eq(hl_config_text(cfg, HL_CFG_BIND), "* -::*");
    cr_assert_eq(hl_config_source(cfg, HL_CFG_BIND), HL_CFG_FROM_FLAG);
    cr_assert(hl_config_bool(cfg, HL_CFG_RAFT));
    cr_assert(hl_config_bool(cfg, HL_CFG_RAFT_LEASE));
    cr_assert_not(hl_config_bool(cfg, HL_CFG_RAFT_JOIN));
    cr_assert_str_eq(hl_config_text(cfg, HL_CFG_RAFT_NODE_ID), "node-7");
    cr_assert_eq(hl_config_int(cfg, HL_CFG_APPENDFSYNC), HL_FSYNC_EVERYSEC);
    cr_assert_str_eq(hl_config_text(cfg, HL_CFG_SAVE), "900 1 300 10");
    cr_assert_eq(hl_config_int(cfg, HL_CFG_LIST_MAX_LISTPACK_SIZE), -3);
}

Test(config_load, wrong_flags_are_refused_with_advice)
{
    cr_assert_eq(load(cfg, WORDS("--maxmemry", "5"), NULL, &msg), HL_EINVAL);
    cr_assert_not_null(strstr(msg.text, "did you mean 'maxmemory'?"), "%s", msg.text);
    cr_assert_eq(load(cfg, WORDS("--port"), NULL, &msg), HL_EINVAL);
    cr_assert_eq(load(cfg, WORDS("--port", "abc"), NULL, &msg), HL_EINVAL);
    cr_assert_not_null(strstr(msg.text, "--port"), "%s", msg.text);
    cr_assert_eq(load(cfg, WORDS("--listen", "a:b:c"), NULL, &msg), HL_EINVAL);
    cr_assert_eq(load(cfg, WORDS("/nonexistent.conf"), NULL, &msg), HL_EIO);
    cr_assert_eq(load(cfg, WORDS("a.conf", "b.conf"), NULL, &msg), HL_EINVAL);
}

Test(config_load, a_stronger_source_wins)
{
    struct temp_file file = make_file("a.conf", "appendfsync no\ndir /file\ntimeout 1\n"
                                                "loadmodule from-file\n");
    const char *const envp[] = {"DATA_DIR=/env", "SYNC_MODE=interval", "HELIOS_PORT=tcp://x",
                                "HELIOS_RAFT_PEERS=node-2:helios-node2:7000", NULL};
    cr_assert_eq(load(cfg,
                      WORDS(file.path, "--data-dir", "/flag", "--loadmodule", "from-flag", "arg"),
                      envp, &msg),
                 HL_OK, "%s", msg.text);
    cr_assert_str_eq(hl_config_text(cfg, HL_CFG_DIR), "/flag");
    cr_assert_eq(hl_config_int(cfg, HL_CFG_APPENDFSYNC), HL_FSYNC_EVERYSEC);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_TIMEOUT), 1);
    struct hl_config_peer peers[HL_CONFIG_PEERS_MAX];
    cr_assert_eq(hl_config_peers(cfg, peers), 1);
    cr_assert_str_eq(peers[0].host, "helios-node2");
    size_t count = 0;
    const struct hl_config_line *lines = hl_config_lines(cfg, &count);
    cr_assert_eq(count, 2);
    cr_assert_str_eq(lines[0].argv[0], "from-file");
    cr_assert_str_eq(lines[1].argv[1], "arg");
    drop_file(&file);
}

Test(config_load, listen_belongs_to_the_role)
{
    struct hl_config *gateway = hl_config_create(HL_ROLE_GATEWAY);
    cr_assert_eq(load(gateway, WORDS("--listen", ":8444"), NULL, &msg), HL_OK, "%s", msg.text);
    cr_assert_str_eq(hl_config_text(gateway, HL_CFG_GATEWAY_LISTEN), ":8444");
    cr_assert_eq(hl_config_int(gateway, HL_CFG_PORT), 0, "commands come through a Unix socket");
    hl_config_destroy(gateway);
}

static void rewrite_file(const struct temp_file *file, const char *text)
{
    FILE *out = fopen(file->path, "w");
    cr_assert_not_null(out);
    (void)fputs(text, out);
    (void)fclose(out);
}

Test(config_load, a_reload_applies_what_may_change_and_reports_the_rest)
{
    struct temp_file file = make_file("a.conf", "timeout 1\nport 7000\ndatabases 4\nhz 20\n");
    cr_assert_eq(load(cfg, WORDS(file.path, "--hz", "30"), NULL, &msg), HL_OK);
    struct hl_slice words[2] = {hl_slice_of("maxmemory"), hl_slice_of("5mb")};
    cr_assert_eq(hl_config_set(cfg, words, 2, false, &msg), HL_OK);

    rewrite_file(&file, "timeout 2\nport 7000\ndatabases 8\nhz 40\n");
    struct hl_config_reload report;
    cr_assert_eq(hl_config_reload(cfg, true, &report, &msg), HL_EINVAL);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_TIMEOUT), 1, "strict: nothing changed");
    cr_assert_not_null(strstr(msg.text, "databases"));
    hl_buf_fini(&report.refused_names);

    cr_assert_eq(hl_config_reload(cfg, false, &report, &msg), HL_OK, "%s", msg.text);
    cr_assert_eq(report.changed, 1);
    cr_assert_eq(report.refused, 1);
    hl_buf_fini(&report.refused_names);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_TIMEOUT), 2);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_DATABASES), 4);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_HZ), 30, "the flag is stronger");
    cr_assert_eq(hl_config_int(cfg, HL_CFG_MAXMEMORY), 5 << 20, "the file does not mention it");

    rewrite_file(&file, "timeout x\n");
    cr_assert_eq(hl_config_reload(cfg, false, &report, &msg), HL_EINVAL);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_TIMEOUT), 2);
    rewrite_file(&file, "port 7000\n");
    cr_assert_eq(hl_config_reload(cfg, false, &report, &msg), HL_OK);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_TIMEOUT), 0, "back to the default");
    hl_buf_fini(&report.refused_names);
    drop_file(&file);
}

static hl_err refuse_all(void *ctx, struct hl_config *c, enum hl_cfg id, struct hl_errmsg *why)
{
    (void)ctx;
    (void)c;
    (void)id;
    return hl_fail(why, HL_EINVAL, "never");
}

Test(config_load, a_hook_that_refuses_a_reload_keeps_only_its_own_setting)
{
    struct temp_file file = make_file("a.conf", "timeout 1\nmaxmemory 1mb\n");
    cr_assert_eq(load(cfg, WORDS(file.path), NULL, &msg), HL_OK);
    hl_config_on_change(cfg, HL_CFG_TIMEOUT, refuse_all, NULL);
    rewrite_file(&file, "timeout 2\nmaxmemory 2mb\n");
    struct hl_config_reload report;
    cr_assert_eq(hl_config_reload(cfg, true, &report, &msg), HL_EINVAL);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_MAXMEMORY), 1 << 20);
    hl_buf_fini(&report.refused_names);
    cr_assert_eq(hl_config_reload(cfg, false, &report, &msg), HL_OK);
    cr_assert_eq(report.changed, 1);
    cr_assert_eq(report.refused, 1);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_MAXMEMORY), 2 << 20);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_TIMEOUT), 1);
    hl_buf_fini(&report.refused_names);
    drop_file(&file);
}

Test(config_load, rewrite_keeps_comments_and_order)
{
    struct temp_file file =
        make_file("a.conf", "# hello\nport 7393\n\nsave 900 1\nsave 300 10\n# mem\n"
                            "maxmemory 100mb\nrequirepass \"foo bar\"\nuser alice on\n"
                            "x.y 1\n");
    cr_assert_eq(chmod(file.path, 0600), 0);
    cr_assert_eq(load(cfg, WORDS(file.path), NULL, &msg), HL_OK);
    struct hl_slice words[4] = {hl_slice_of("maxmemory"), hl_slice_of("200mb"), hl_slice_of("hz"),
                                hl_slice_of("20")};
    cr_assert_eq(hl_config_set(cfg, words, 4, false, &msg), HL_OK);
    cr_assert_eq(hl_config_rewrite(cfg, &msg), HL_OK, "%s", msg.text);
    char text[1024] = {0};
    FILE *in = fopen(file.path, "r");
    (void)fread(text, 1, sizeof text - 1, in);
    (void)fclose(in);
    cr_assert_str_eq(text, "# hello\nport 7393\n\nsave 900 1 300 10\n# mem\n"
                           "maxmemory 209715200\nrequirepass \"foo bar\"\nuser alice on\n"
                           "x.y 1\n\n# Generated by CONFIG REWRITE\nhz 20\n");
    struct stat info;
    cr_assert_eq(stat(file.path, &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0600);
    struct hl_config *again = hl_config_create(HL_ROLE_SERVER);
    cr_assert_eq(load(again, WORDS(file.path), NULL, &msg), HL_OK, "%s", msg.text);
    cr_assert_eq(hl_config_int(again, HL_CFG_HZ), 20);
    hl_config_destroy(again);
    drop_file(&file);
}

Test(config_load, rewrite_is_refused_without_a_file_and_for_yaml)
{
    cr_assert_neq(hl_config_rewrite(cfg, &msg), HL_OK);
    cr_assert_str_eq(msg.text, "ERR The server is running without a config file");
    struct temp_file file = make_file("a.yaml", "atlas: {data_dir: x}\n");
    cr_assert_eq(load(cfg, WORDS(file.path), NULL, &msg), HL_OK);
    cr_assert_neq(hl_config_rewrite(cfg, &msg), HL_OK);
    cr_assert_not_null(strstr(msg.text, "YAML"));
    drop_file(&file);
}

Test(config_load, questions_are_answered_before_settings_are_read)
{
    const char *const argv[] = {"helios", "--version", "--json", NULL};
    struct hl_config_request request;
    cr_assert_eq(hl_config_load(cfg, 3, (char *const *)(uintptr_t)argv, NULL, &request, &msg),
                 HL_OK);
    cr_assert(request.version && request.json && !request.help);
}

/* Goal: the examples that ship are files that load. */
Test(config_load, the_example_files_load)
{
    static const char *const names[] = {"default.yaml", "cluster-node1.yaml", "cluster-node2.yaml",
                                        "cluster-node3.yaml", "helios.conf"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/configs/%s", HELIOS_SOURCE_DIR, names[i]);
        struct hl_config *fresh = hl_config_create(HL_ROLE_SERVER);
        cr_assert_eq(load(fresh, WORDS(path), NULL, &msg), HL_OK, "%s", msg.text);
        hl_config_destroy(fresh);
    }
}
