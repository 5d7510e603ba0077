#include "kit/alloc.h"
#include "server/config_internal.h"
#include "unit/server/config_support.h"

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

TestSuite(config, .init = setup, .fini = teardown);

static hl_err set1(const char *name, const char *value)
{
    struct hl_slice words[2] = {hl_slice_of(name), hl_slice_of(value)};
    return hl_config_set(cfg, words, 2, false, &msg);
}

static void collect(void *ctx, struct hl_slice name, struct hl_slice value)
{
    hl_buf_printf(ctx, "%.*s=%.*s\n", (int)name.len, name.ptr, (int)value.len,
                  value.len == 0 ? "" : value.ptr);
}

static void assert_get(const char *pattern, const char *expected)
{
    struct hl_buf out = {0};
    struct hl_slice one = hl_slice_of(pattern);
    (void)hl_config_get(cfg, &one, 1, collect, &out);
    hl_buf_append_u8(&out, 0);
    cr_assert_str_eq(out.ptr, expected);
    hl_buf_fini(&out);
}

/* Goal: names are unique over all rows, in every space where they are looked up. */
Test(config, every_name_finds_its_own_row)
{
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        for (int space = CONFIG_SPACE_NAME; space <= CONFIG_SPACE_ENV; space++) {
            struct hl_slice name;
            for (size_t n = 0; config_name_at(&config_rows[id], (enum config_space)space, n, &name);
                 n++) {
                cr_assert_eq(config_find((enum config_space)space, name), id, "%s: '%.*s'",
                             config_rows[id].name, (int)name.len, name.ptr);
            }
        }
        cr_assert_neq(config_rows[id].doc[0], '\0');
        cr_assert_eq(strspn(config_rows[id].flags, "IPSRMCG"), strlen(config_rows[id].flags));
    }
}

/* Goal: what CONFIG GET shows, CONFIG SET and a file accept and mean the same. */
Test(config, every_row_round_trips)
{
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        struct hl_buf first = {0};
        struct hl_buf second = {0};
        struct config_value value = {0};
        hl_config_format(cfg, (enum hl_cfg)id, &first);
        hl_err err = config_parse((enum hl_cfg)id, hl_buf_view(&first), false, &cfg->values[id],
                                  &value, &msg);
        cr_assert_eq(err, HL_OK, "%s: %s", config_rows[id].name, msg.text);
        config_format_value(&config_rows[id], &value, &second);
        cr_assert(hl_slice_equal(hl_buf_view(&first), hl_buf_view(&second)), "%s",
                  config_rows[id].name);
        hl_free(value.text);
        hl_buf_fini(&first);
        hl_buf_fini(&second);
    }
}

Test(config, defaults_are_the_documented_ones)
{
    cr_assert_eq(hl_config_int(cfg, HL_CFG_PORT), 6379);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_DATABASES), 16);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_APPENDFSYNC), HL_FSYNC_ALWAYS);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_SNAPSHOT_INTERVAL_TIME), 300000);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_MAXMEMORY_POLICY), HL_POLICY_NOEVICTION);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_LOGLEVEL), HL_LOGLEVEL_NOTICE);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_ENABLE_MODULE_COMMAND), HL_ALLOW_LOCAL);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_FOLLOWER_WRITES), HL_WRITES_FORWARD);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_FOLLOWER_READS), HL_READS_LINEARIZABLE);
    cr_assert_str_eq(hl_config_text(cfg, HL_CFG_DIR), "/var/lib/helios");
    cr_assert_not(hl_config_bool(cfg, HL_CFG_RAFT));
}

/* Goal: the enums of config.h name the words of the table in their order. */
Test(config, enums_match_their_words)
{
    static const struct {
        enum hl_cfg id;
        const char *word;
        int value;
    } words[] = {
        {HL_CFG_LOGLEVEL, "warning", HL_LOGLEVEL_WARNING},
        {HL_CFG_LOGLEVEL, "debug", HL_LOGLEVEL_DEBUG},
        {HL_CFG_LOGLEVEL, "verbose", HL_LOGLEVEL_VERBOSE},
        {HL_CFG_LOG_FORMAT, "json", HL_LOG_FORMAT_JSON},
        {HL_CFG_APPENDFSYNC, "everysec", HL_FSYNC_EVERYSEC},
        {HL_CFG_APPENDFSYNC, "no", HL_FSYNC_NO},
        {HL_CFG_TLS_AUTH_CLIENTS, "optional", HL_TLS_AUTH_OPTIONAL},
        {HL_CFG_SUPERVISED, "systemd", HL_SUPERVISED_SYSTEMD},
        {HL_CFG_MAXMEMORY_POLICY, "volatile-lru", HL_POLICY_VOLATILE_LRU},
        {HL_CFG_MAXMEMORY_POLICY, "allkeys-random", HL_POLICY_ALLKEYS_RANDOM},
        {HL_CFG_ENABLE_DEBUG_COMMAND, "yes", HL_ALLOW_YES},
        {HL_CFG_FOLLOWER_WRITES, "refuse", HL_WRITES_REFUSE},
        {HL_CFG_FOLLOWER_READS, "stale", HL_READS_STALE},
        {HL_CFG_ACL_PUBSUB_DEFAULT, "resetchannels", HL_PUBSUB_RESETCHANNELS},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct config_value value = {0};
        const struct config_value none = {0};
        cr_assert_eq(
            config_parse(words[i].id, hl_slice_of(words[i].word), true, &none, &value, &msg),
            HL_OK);
        cr_assert_eq(value.num, words[i].value, "%s", words[i].word);
    }
}

Test(config, set_refuses_with_the_texts_of_redis)
{
    static const struct {
        const char *name, *value, *reply;
    } cases[] = {
        {"maxmemory", "abc",
         "ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a "
         "memory value"},
        {"port", "abc",
         "ERR CONFIG SET failed (possibly related to argument 'port') - argument couldn't be "
         "parsed into an integer"},
        {"port", "99999",
         "ERR CONFIG SET failed (possibly related to argument 'port') - argument must be between "
         "0 and 65535 inclusive"},
        {"appendfsync", "foo",
         "ERR CONFIG SET failed (possibly related to argument 'appendfsync') - argument(s) must "
         "be one of the following: everysec, always, no"},
        {"rdbcompression", "maybe",
         "ERR CONFIG SET failed (possibly related to argument 'rdbcompression') - argument must "
         "be 'yes' or 'no'"},
        {"rdbcompression", "true",
         "ERR CONFIG SET failed (possibly related to argument 'rdbcompression') - argument must "
         "be 'yes' or 'no'"},
        {"databases", "3",
         "ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable "
         "config"},
        {"dir", "/x",
         "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected "
         "config"},
        {"save", "1 2 3",
         "ERR CONFIG SET failed (possibly related to argument 'save') - Invalid save parameters"},
        {"notify-keyspace-events", "Kq",
         "ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid "
         "event class character. Use 'Ag$lshzxeKEtmdn'."},
        {"client-output-buffer-limit", "foo 1 2 3",
         "ERR CONFIG SET failed (possibly related to argument 'client-output-buffer-limit') - "
         "Invalid client class specified in buffer limit configuration."},
        {"maxmemory-clients", "500%",
         "ERR CONFIG SET failed (possibly related to argument 'maxmemory-clients') - percentage "
         "argument must be less or equal to 100"},
        {"nosuch", "1", "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_neq(set1(cases[i].name, cases[i].value), HL_OK);
        cr_assert_str_eq(msg.text, cases[i].reply);
    }
    struct hl_slice odd[3] = {hl_slice_of("maxmemory"), hl_slice_of("1"), hl_slice_of("timeout")};
    cr_assert_neq(hl_config_set(cfg, odd, 3, false, &msg), HL_OK);
    cr_assert_str_eq(msg.text, "ERR syntax error");
}

Test(config, get_shows_values_as_redis_does)
{
    cr_assert_eq(set1("MAXMEMORY", "5MB"), HL_OK);
    assert_get("maxmemory", "maxmemory=5242880\n");
    assert_get("MAXmemory", "MAXmemory=5242880\n");
    cr_assert_eq(set1("maxmemory", "100M"), HL_OK);
    assert_get("maxmemory", "maxmemory=100000000\n");
    cr_assert_eq(set1("notify-keyspace-events", "KEgAm"), HL_OK);
    assert_get("notify-keyspace-events", "notify-keyspace-events=AKEm\n");
    cr_assert_eq(hl_config_int(cfg, HL_CFG_NOTIFY_KEYSPACE_EVENTS), 10236 | 3 | 1 << 11);
    cr_assert_eq(set1("notify-keyspace-events", "KEx"), HL_OK);
    assert_get("notify-keyspace-events", "notify-keyspace-events=xKE\n");
    cr_assert_eq(set1("client-output-buffer-limit", "replica 1mb 2mb 3 pubsub 0 0 0"), HL_OK);
    assert_get("client-output-buffer-limit",
               "client-output-buffer-limit=normal 0 0 0 slave 1048576 2097152 3 pubsub 0 0 0\n");
    cr_assert_eq(set1("hash-max-ziplist-entries", "100"), HL_OK);
    assert_get("hash-max-*-entries",
               "hash-max-listpack-entries=100\nhash-max-ziplist-entries=100\n");
    cr_assert_eq(set1("maxmemory-clients", "5%"), HL_OK);
    assert_get("maxmemory-clients", "maxmemory-clients=5%\n");
    cr_assert_eq(set1("hz", "10000"), HL_OK);
    assert_get("hz", "hz=500\n");
    cr_assert_eq(set1("shutdown-on-sigterm", "force now"), HL_OK);
    assert_get("shutdown-on-sigterm", "shutdown-on-sigterm=now force\n");
    cr_assert_eq(set1("latency-tracking-info-percentiles", "50 99.95555"), HL_OK);
    assert_get("latency-tracking-info-percentiles",
               "latency-tracking-info-percentiles=50 99.95555\n");
    assert_get("nosuch*", "");
}

Test(config, get_names_each_setting_once)
{
    struct hl_slice patterns[3] = {hl_slice_of("hz"), hl_slice_of("HZ"), hl_slice_of("h?")};
    struct hl_buf out = {0};
    cr_assert_eq(hl_config_get(cfg, patterns, 3, collect, &out), 1);
    cr_assert(hl_slice_equal(hl_buf_view(&out), hl_slice_of("hz=10\n")));
    hl_buf_fini(&out);
}

Test(config, several_settings_change_together_or_not_at_all)
{
    struct hl_slice words[4] = {hl_slice_of("maxmemory"), hl_slice_of("1mb"),
                                hl_slice_of("timeout"), hl_slice_of("x")};
    cr_assert_neq(hl_config_set(cfg, words, 4, false, &msg), HL_OK);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_MAXMEMORY), 0);
    words[3] = hl_slice_of("7");
    cr_assert_eq(hl_config_set(cfg, words, 4, false, &msg), HL_OK);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_MAXMEMORY), 1048576);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_TIMEOUT), 7);
    cr_assert_eq(hl_config_source(cfg, HL_CFG_TIMEOUT), HL_CFG_FROM_CLIENT);
    words[2] = hl_slice_of("MaxMemory");
    cr_assert_neq(hl_config_set(cfg, words, 4, false, &msg), HL_OK);
    cr_assert_str_eq(msg.text, "ERR CONFIG SET failed (possibly related to argument 'MaxMemory') "
                               "- duplicate parameter");
}

/* What the hooks saw, in order. */
struct seen {
    int64_t values[8];
    int count;
    bool refuse_timeout;
};

static hl_err hook(void *ctx, struct hl_config *c, enum hl_cfg id, struct hl_errmsg *why)
{
    struct seen *seen = ctx;
    seen->values[seen->count++] = hl_config_int(c, id);
    if (id == HL_CFG_TIMEOUT && seen->refuse_timeout && hl_config_int(c, id) == 7) {
        return hl_fail(why, HL_EINVAL, "not now");
    }
    return HL_OK;
}

Test(config, a_hook_that_refuses_brings_all_old_values_back)
{
    struct seen seen = {.refuse_timeout = true};
    hl_config_on_change(cfg, HL_CFG_MAXMEMORY, hook, &seen);
    hl_config_on_change(cfg, HL_CFG_TIMEOUT, hook, &seen);
    struct hl_slice words[4] = {hl_slice_of("maxmemory"), hl_slice_of("1mb"),
                                hl_slice_of("timeout"), hl_slice_of("7")};
    cr_assert_neq(hl_config_set(cfg, words, 4, false, &msg), HL_OK);
    cr_assert_str_eq(msg.text,
                     "ERR CONFIG SET failed (possibly related to argument 'timeout') - not now");
    cr_assert_eq(hl_config_int(cfg, HL_CFG_MAXMEMORY), 0);
    cr_assert_eq(hl_config_int(cfg, HL_CFG_TIMEOUT), 0);
    cr_assert_eq(seen.count, 4, "both hooks run again for the old values");
    cr_assert_eq(seen.values[0], 1048576);
    cr_assert_eq(seen.values[2], 0);
}

Test(config, the_same_value_again_bothers_nobody)
{
    struct seen seen = {0};
    hl_config_on_change(cfg, HL_CFG_TIMEOUT, hook, &seen);
    cr_assert_eq(set1("timeout", "0"), HL_OK);
    cr_assert_eq(seen.count, 0);
    cr_assert_eq(set1("timeout", "1"), HL_OK);
    cr_assert_eq(seen.count, 1);
}

Test(config, protected_settings_obey_their_switch)
{
    struct hl_slice words[2] = {hl_slice_of("dbfilename"), hl_slice_of("other.rdb")};
    cr_assert_neq(hl_config_set(cfg, words, 2, true, &msg), HL_OK);
    cr_assert_eq(load(cfg, WORDS("--enable-protected-configs", "local"), NULL, &msg), HL_OK);
    cr_assert_neq(hl_config_set(cfg, words, 2, false, &msg), HL_OK);
    cr_assert_eq(hl_config_set(cfg, words, 2, true, &msg), HL_OK);
    words[1] = hl_slice_of("a/b");
    cr_assert_neq(hl_config_set(cfg, words, 2, true, &msg), HL_OK);
}

Test(config, a_secret_is_neither_shown_nor_quoted)
{
    cr_assert_eq(set1("gateway-jwt-secret", "hunter2"), HL_OK);
    assert_get("gateway-jwt-secret", "gateway-jwt-secret=(set)\n");
    cr_assert_str_eq(hl_config_text(cfg, HL_CFG_GATEWAY_JWT_SECRET), "hunter2");
    struct hl_slice words[2] = {hl_slice_of("requirepass"), {.ptr = "hun\0ter2", .len = 8}};
    cr_assert_neq(hl_config_set(cfg, words, 2, false, &msg), HL_OK);
    cr_assert_null(strstr(msg.text, "hun"));
}

static void external_get(void *ctx, struct hl_buf *out)
{
    hl_buf_printf(out, "%d", *(int *)ctx);
}

static hl_err external_set(void *ctx, struct hl_slice value, struct hl_errmsg *why)
{
    if (value.len != 1) {
        return hl_fail(why, HL_EINVAL, "one digit");
    }
    *(int *)ctx = value.ptr[0] - '0';
    return HL_OK;
}

Test(config, a_modules_setting_changes_with_the_others)
{
    int value = 3;
    struct hl_config_external external = {
        .name = "jobs.depth", .ctx = &value, .get = external_get, .set = external_set};
    cr_assert_eq(hl_config_external_add(cfg, &external), HL_OK);
    cr_assert_eq(hl_config_external_add(cfg, &external), HL_EBUSY);
    assert_get("jobs.*", "jobs.depth=3\n");
    cr_assert_eq(set1("jobs.depth", "5"), HL_OK);
    cr_assert_eq(value, 5);
    cr_assert_neq(set1("jobs.depth", "50"), HL_OK);
    cr_assert_str_eq(msg.text, "ERR CONFIG SET failed (possibly related to argument 'jobs.depth') "
                               "- one digit");
    cr_assert_eq(value, 5);
    hl_config_external_remove(cfg, "jobs");
    assert_get("jobs.*", "");
}

/* Goal: docs/configuration.md is what the table says.  Renew it by running this test with
 * REWRITE=1. */
Test(config, the_manual_is_current)
{
    struct hl_buf manual = {0};
    hl_config_print_manual(&manual);
    const char *path = HELIOS_SOURCE_DIR "/docs/configuration.md";
    if (getenv("REWRITE") != NULL) {
        FILE *out = fopen(path, "w");
        cr_assert_not_null(out);
        (void)fwrite(manual.ptr, 1, manual.len, out);
        (void)fclose(out);
    }
    struct hl_buf committed = {0};
    cr_assert_eq(config_read_file(path, &committed, &msg), HL_OK, "%s", msg.text);
    cr_assert(hl_slice_equal(hl_buf_view(&manual), hl_buf_view(&committed)),
              "docs/configuration.md is out of date: run this test with REWRITE=1");
    hl_buf_fini(&manual);
    hl_buf_fini(&committed);
}
