#include "node/acl.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* A small table: what the rules speak of, without the whole server. */
static void run_nothing(struct hl_call *call)
{
    (void)call;
}

#define ROW(text, arg_count, bits, cats, key_flags)                                                \
    {                                                                                              \
        .name = (text), .run = run_nothing, .arity = (arg_count), .flags = (bits), .acl = (cats),  \
        .keys = {                                                                                  \
            {.flags = (key_flags), .first = 1, .last = 0, .step = 1}                               \
        }                                                                                          \
    }

static const struct hl_command_row rows[] = {
    ROW("get", 2, HL_CMD_READONLY | HL_CMD_FAST, HL_ACL_STRING, HL_KEY_RO | HL_KEY_ACCESS),
    ROW("exists", -2, HL_CMD_READONLY | HL_CMD_FAST, HL_ACL_KEYSPACE, HL_KEY_RO),
    ROW("append", 3, HL_CMD_WRITE, HL_ACL_STRING, HL_KEY_RW | HL_KEY_INSERT),
    ROW("getset", 3, HL_CMD_WRITE, HL_ACL_STRING, HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_UPDATE),
    ROW("vague", 2, HL_CMD_WRITE, HL_ACL_STRING, HL_KEY_OW),
    ROW("select", 2, HL_CMD_FAST, HL_ACL_CONNECTION, 0),
    ROW("auth", -2, HL_CMD_FAST | HL_CMD_NO_AUTH, HL_ACL_CONNECTION, 0),
    ROW("publish", 3, HL_CMD_PUBSUB | HL_CMD_FAST, HL_ACL_PUBSUB, 0),
    ROW("psubscribe", -2, HL_CMD_PUBSUB, HL_ACL_PUBSUB, 0),
    {.name = "config", .arity = -2},
    ROW("config|get", -3, HL_CMD_ADMIN, 0, 0),
    ROW("config|set", -4, HL_CMD_ADMIN, 0, 0),
};
static const struct hl_command_row later[] = {ROW("mod.put", 2, HL_CMD_WRITE, 0, HL_KEY_RW),
                                              ROW("mod.get", 2, HL_CMD_READONLY, 0, HL_KEY_RO)};

static struct hl_command_table *table;
static struct hl_acl *acl;
static struct hl_errmsg msg;

static void setup(void)
{
    table = hl_command_table_create();
    hl_err err = hl_command_register(table, rows, sizeof rows / sizeof rows[0]);
    cr_assert_eq(err, HL_OK);
    acl = hl_acl_create(table);
}

static void teardown(void)
{
    hl_acl_destroy(acl);
    hl_command_table_destroy(table);
}

TestSuite(acl, .init = setup, .fini = teardown);

/* Cut at spaces and apply; parentheses are joined again by the rules' reader. */
static hl_err set(const char *name, const char *rules)
{
    struct hl_slice words[64];
    size_t count = 0;
    for (const char *p = rules; *p != '\0';) {
        size_t len = strcspn(p, " ");
        words[count++] = (struct hl_slice){.ptr = p, .len = len};
        p += len + (p[len] == ' ');
    }
    return hl_acl_set(acl, hl_slice_of(name), words, count, &msg);
}

static void assert_described(const char *name, const char *expected)
{
    struct hl_buf text = {0};
    hl_acl_describe(hl_acl_find(acl, hl_slice_of(name)), &text);
    hl_buf_append_u8(&text, 0);
    cr_assert_str_eq(text.ptr, expected);
    hl_buf_fini(&text);
}

static enum hl_acl_verdict check(const char *name, const char *request)
{
    struct hl_slice argv[128];
    int argc = 0;
    for (const char *p = request; *p != '\0';) {
        size_t len = strcspn(p, " ");
        argv[argc++] = (struct hl_slice){.ptr = p, .len = len};
        p += len + (p[len] == ' ');
    }
    int index = 0;
    struct hl_command *cmd = hl_command_of(table, argv, argc);
    cr_assert_not_null(cmd);
    return hl_acl_check(acl, hl_acl_find(acl, hl_slice_of(name)), cmd, argv, argc, &index);
}

Test(acl, a_new_user_may_nothing_and_default_may_all)
{
    cr_assert_eq(set("a", ""), HL_OK);
    assert_described("a", "user a off resetchannels -@all");
    assert_described("default", "user default on nopass ~* &* +@all");
    cr_assert_eq(check("a", "get k"), HL_ACL_NO_COMMAND);
    cr_assert_eq(check("a", "auth x"), HL_ACL_ALLOWED, "everybody may log in");
    cr_assert_eq(check("default", "append k v"), HL_ACL_ALLOWED);
}

Test(acl, a_user_is_described_as_redis_does)
{
    cr_assert_eq(set("a", "on >p ~x* %R~r* %W~w* %RW~rw* &c* +get +config|get +select|1 "
                          "(+@read ~y) (%R~z* +append &q resetchannels &s)"),
                 HL_OK);
    assert_described("a",
                     "user a on "
                     "#148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940 ~x* %R~r* "
                     "%W~w* ~rw* resetchannels &c* -@all +get +config|get +select|1 (~y "
                     "resetchannels -@all +@read) (%R~z* resetchannels &s -@all +append)");
}

Test(acl, rules_that_are_overruled_or_change_nothing_go)
{
    static const struct {
        const char *rules, *commands;
    } cases[] = {
        {"+@all -get +get", "+@all"},
        {"+@all -get", "+@all -get"},
        {"-@all -get", "-@all"},
        {"+@read +get", "-@all +@read"},
        {"+@string -get", "-@all +@string -get"},
        {"+config -config|get", "-@all +config -config|get"},
        {"+config|get +config", "-@all +config"},
        {"+select|1 +select", "-@all +select"},
        {"+select +select|1", "-@all +select"},
        {"+select|1 +select|2 +select|1", "-@all +select|2 +select|1"},
        {"+select|1 -select", "-@all"},
        {"+select|1 -@connection", "-@all"},
        {"-@all -@dangerous", "-@all"},
        {"+@all +@dangerous", "+@all"},
        {"+@Read +@ALL", "+@all"},
        {"+GET +Config|Get +SELECT|AbC", "-@all +get +config|get +select|AbC"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[160];
        (void)snprintf(expected, sizeof expected, "user a off sanitize-payload resetchannels %s",
                       cases[i].commands);
        cr_assert_eq(set("a", "reset"), HL_OK);
        cr_assert_eq(set("a", cases[i].rules), HL_OK, "%s", msg.text);
        assert_described("a", expected);
    }
}

Test(acl, wrong_rules_are_refused_with_redis_reasons_and_change_nothing)
{
    static const struct {
        const char *rules, *reason;
    } cases[] = {
        {"on foo", "ERR Error in ACL SETUSER modifier 'foo': Syntax error"},
        {"on +nosuch",
         "ERR Error in ACL SETUSER modifier '+nosuch': Unknown command or category name in ACL"},
        {"on -get|x",
         "ERR Error in ACL SETUSER modifier '-get|x': Unknown command or category name in ACL"},
        {"on +config|get|x", "ERR Error in ACL SETUSER modifier '+config|get|x': Allowing "
                             "first-arg of a subcommand is not supported"},
        {"on +select|", "ERR Error in ACL SETUSER modifier '+select|': Syntax error"},
        {"on %~x", "ERR Error in ACL SETUSER modifier '%~x': Syntax error"},
        {"on %RR~x", "ERR Error in ACL SETUSER modifier '%RR~x': Syntax error"},
        {"on (+get", "ERR Unmatched parenthesis in acl selector starting at '(+get'."},
        {"on (on)", "ERR Error in ACL SETUSER modifier '(on)': Syntax error"},
        {"on <p", "ERR Error in ACL SETUSER modifier '<p': The password you are trying to remove "
                  "from the user does not exist"},
        {"on #zz", "ERR Error in ACL SETUSER modifier '#zz': The password hash must be exactly 64 "
                   "characters and contain only lowercase hexadecimal characters"},
        {"on ~* ~x",
         "ERR Error in ACL SETUSER modifier '~x': Adding a pattern after the * pattern (or the "
         "'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start "
         "with an empty list of patterns"},
    };
    cr_assert_eq(set("a", "~k"), HL_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(set("a", cases[i].rules), HL_EINVAL, "%s", cases[i].rules);
        cr_assert_str_eq(msg.text, cases[i].reason);
        assert_described("a", "user a off ~k resetchannels -@all");
    }
    cr_assert_eq(hl_acl_set(acl, hl_slice_of("a b"), NULL, 0, &msg), HL_EINVAL);
    cr_assert_str_eq(msg.text, "ERR Usernames can't contain spaces or null characters");
    cr_assert_eq(set("new", "foo"), HL_EINVAL);
    cr_assert_null(hl_acl_find(acl, hl_slice_of("new")));
}

Test(acl, a_key_needs_the_right_its_use_asks_for)
{
    cr_assert_eq(set("a", "+@all %R~r* %W~w* ~x*"), HL_OK);
    cr_assert_eq(check("a", "get r1"), HL_ACL_ALLOWED);
    cr_assert_eq(check("a", "get w1"), HL_ACL_NO_KEY);
    cr_assert_eq(check("a", "append w1 v"), HL_ACL_ALLOWED);
    cr_assert_eq(check("a", "append r1 v"), HL_ACL_NO_KEY);
    cr_assert_eq(check("a", "getset w1 v"), HL_ACL_NO_KEY);
    cr_assert_eq(check("a", "getset x1 v"), HL_ACL_ALLOWED);
    cr_assert_eq(check("a", "exists w1"), HL_ACL_ALLOWED, "naming a key needs either right");
    cr_assert_eq(check("a", "exists q"), HL_ACL_NO_KEY);
    cr_assert_eq(check("a", "vague r1"), HL_ACL_NO_KEY, "a row that is vague writes");
    struct hl_user *user = hl_acl_find(acl, hl_slice_of("a"));
    cr_assert(hl_acl_check_key(user, hl_slice_of("r1"), HL_KEY_RO | HL_KEY_ACCESS));
    cr_assert_not(hl_acl_check_key(user, hl_slice_of("r1"), HL_KEY_RW | HL_KEY_UPDATE));
}

Test(acl, one_selector_must_allow_everything)
{
    cr_assert_eq(set("a", "+get ~x* (+append ~y*)"), HL_OK);
    cr_assert_eq(check("a", "get x"), HL_ACL_ALLOWED);
    cr_assert_eq(check("a", "append y v"), HL_ACL_ALLOWED);
    cr_assert_eq(check("a", "append x v"), HL_ACL_NO_KEY, "the closest selector is reported");
    cr_assert_eq(check("a", "get y"), HL_ACL_NO_KEY);
    cr_assert_eq(check("a", "select 1"), HL_ACL_NO_COMMAND);
}

Test(acl, channels_match_and_patterns_must_be_equal)
{
    cr_assert_eq(set("a", "+@pubsub &a*"), HL_OK);
    cr_assert_eq(check("a", "publish a1 m"), HL_ACL_ALLOWED);
    cr_assert_eq(check("a", "publish b1 m"), HL_ACL_NO_CHANNEL);
    cr_assert_eq(check("a", "psubscribe a*"), HL_ACL_ALLOWED);
    cr_assert_eq(check("a", "psubscribe a1"), HL_ACL_NO_CHANNEL);
    cr_assert_eq(check("a", "psubscribe a* b*"), HL_ACL_NO_CHANNEL);
}

Test(acl, a_denied_pattern_beats_every_other)
{
    cr_assert_eq(set("a", "+@all -~secret* ~* -%W~fixed* &* -&hidden*"), HL_OK);
    cr_assert_eq(check("a", "get x"), HL_ACL_ALLOWED);
    cr_assert_eq(check("a", "get secret1"), HL_ACL_NO_KEY);
    cr_assert_eq(check("a", "exists secret1"), HL_ACL_NO_KEY);
    cr_assert_eq(check("a", "get fixed1"), HL_ACL_ALLOWED);
    cr_assert_eq(check("a", "append fixed1 v"), HL_ACL_NO_KEY);
    cr_assert_eq(check("a", "publish seen m"), HL_ACL_ALLOWED);
    cr_assert_eq(check("a", "publish hidden1 m"), HL_ACL_NO_CHANNEL);
    cr_assert_eq(check("a", "psubscribe *"), HL_ACL_NO_CHANNEL, "it may hear what is hidden");
    assert_described("a", "user a off ~* -~secret* -%W~fixed* &* -&hidden* +@all");
    cr_assert_eq(set("b", "+get (+append ~y* -~y1*) ~* -~z*"), HL_OK);
    cr_assert_eq(check("b", "append y2 v"), HL_ACL_ALLOWED);
    cr_assert_eq(check("b", "append y1 v"), HL_ACL_NO_KEY);
    cr_assert_eq(check("b", "get y1"), HL_ACL_ALLOWED, "each selector has its own");
    cr_assert_eq(set("a", "resetkeys resetchannels ~* &*"), HL_OK);
    cr_assert_eq(check("a", "get secret1"), HL_ACL_ALLOWED);
    cr_assert_eq(check("a", "publish hidden1 m"), HL_ACL_ALLOWED);
    cr_assert_eq(set("a", "-~"), HL_OK, "an empty pattern, as ~ is");
    cr_assert_eq(set("a", "-%~x"), HL_EINVAL);
}

Test(acl, first_arguments_and_subcommands_are_told_apart)
{
    cr_assert_eq(set("a", "+select|1 +config|get"), HL_OK);
    cr_assert_eq(check("a", "select 1"), HL_ACL_ALLOWED);
    cr_assert_eq(check("a", "select 2"), HL_ACL_NO_COMMAND);
    cr_assert_eq(check("a", "config get x"), HL_ACL_ALLOWED);
    cr_assert_eq(check("a", "config set x y"), HL_ACL_NO_COMMAND);
}

/* Goal: U3, a command that comes later is covered by the rules that stand. */
Test(acl, commands_that_come_and_go_are_followed)
{
    cr_assert_eq(set("all", "+@all -@write allkeys"), HL_OK);
    cr_assert_eq(set("reader", "+@read allkeys"), HL_OK);
    cr_assert_eq(hl_command_register(table, later, 2), HL_OK);
    cr_assert_eq(check("all", "mod.get k"), HL_ACL_ALLOWED);
    cr_assert_eq(check("all", "mod.put k"), HL_ACL_NO_COMMAND);
    cr_assert_eq(check("reader", "mod.get k"), HL_ACL_ALLOWED);
    cr_assert_eq(check("reader", "mod.put k"), HL_ACL_NO_COMMAND);
    cr_assert_eq(set("one", "+mod.put allkeys"), HL_OK);
    cr_assert(hl_command_unregister(table, "mod.put"));
    cr_assert(hl_command_unregister(table, "mod.get"));
    cr_assert_eq(check("one", "get k"), HL_ACL_NO_COMMAND);
    cr_assert_eq(hl_command_register(table, later + 1, 1), HL_OK); /* may reuse mod.put's id */
    cr_assert_eq(check("one", "mod.get k"), HL_ACL_NO_COMMAND);
    assert_described("one", "user one off ~* resetchannels -@all +mod.put");
}

Test(acl, login_needs_a_user_that_is_on_and_its_password)
{
    cr_assert_eq(set("a", "on >p >q"), HL_OK);
    struct hl_slice a = hl_slice_of("a");
    cr_assert_not_null(hl_acl_login(acl, a, hl_slice_of("p")));
    cr_assert_not_null(hl_acl_login(acl, a, hl_slice_of("q")));
    cr_assert_null(hl_acl_login(acl, a, hl_slice_of("")));
    cr_assert_null(hl_acl_login(acl, a, hl_slice_of("pq")));
    cr_assert_null(hl_acl_login(acl, hl_slice_of("nobody"), hl_slice_of("p")));
    cr_assert_eq(set("a", "<p off"), HL_OK);
    cr_assert_null(hl_acl_login(acl, a, hl_slice_of("q")));
    cr_assert_eq(set("a", "on"), HL_OK);
    cr_assert_null(hl_acl_login(acl, a, hl_slice_of("p")));
    cr_assert_not_null(hl_acl_login(acl, a, hl_slice_of("q")));
    hl_acl_require_password(acl, hl_slice_of("secret"));
    cr_assert_not(hl_acl_is_open(hl_acl_default(acl)));
    cr_assert_not_null(hl_acl_login(acl, hl_slice_of("default"), hl_slice_of("secret")));
    hl_acl_require_password(acl, hl_slice_of(""));
    cr_assert(hl_acl_is_open(hl_acl_default(acl)));
}

static void note_gone(void *ctx, struct hl_user *user)
{
    struct hl_slice name = hl_acl_name(user);
    hl_buf_append_slice(ctx, name);
}

Test(acl, a_file_replaces_all_users_or_none)
{
    cr_assert_eq(set("old", "on"), HL_OK);
    cr_assert_eq(set("both", "on"), HL_OK);
    struct hl_user *both = hl_acl_find(acl, hl_slice_of("both"));
    struct hl_buf gone = {0};
    const char *bad = "user both off\nuser x +nosuch\n";
    cr_assert_eq(hl_acl_load(acl, "f.acl", hl_slice_of(bad), note_gone, &gone, &msg), HL_EINVAL);
    cr_assert_not_null(strstr(msg.text, "f.acl:2: "), "%s", msg.text);
    assert_described("both", "user both on resetchannels -@all");
    cr_assert_eq(gone.len, 0);
    cr_assert_eq(hl_acl_load(acl, "f", hl_slice_of("user a on\nuser a on\n"), NULL, NULL, &msg),
                 HL_EINVAL);
    cr_assert_eq(hl_acl_load(acl, "f", hl_slice_of("nonsense\n"), NULL, NULL, &msg), HL_EINVAL);

    const char *good = "# users\nuser both off ~k (+get ~y)\r\n\nuser new on >p\n"
                       "user default on >z ~* &* +@all";
    cr_assert_eq(hl_acl_load(acl, "f", hl_slice_of(good), note_gone, &gone, &msg), HL_OK, "%s",
                 msg.text);
    cr_assert(hl_slice_equal(hl_buf_view(&gone), hl_slice_of("old")));
    cr_assert_eq(hl_acl_find(acl, hl_slice_of("both")), both, "its sessions stay valid");
    cr_assert_eq(hl_acl_count(acl), 3);
    cr_assert_not(hl_acl_is_open(hl_acl_default(acl)));

    struct hl_buf saved = {0};
    struct hl_buf again = {0};
    cr_assert_eq(set("", "on"), HL_OK, "a name may be empty, and a file keeps it");
    hl_acl_save(acl, &saved);
    cr_assert_eq(hl_acl_load(acl, "f", hl_buf_view(&saved), note_gone, &gone, &msg), HL_OK, "%s",
                 msg.text);
    hl_acl_save(acl, &again);
    cr_assert(hl_slice_equal(hl_buf_view(&saved), hl_buf_view(&again)));
    hl_buf_fini(&gone);
    hl_buf_fini(&saved);
    hl_buf_fini(&again);
}

/* Goal: whatever SETUSER takes, a file can hold. */
Test(acl, rules_that_no_file_could_hold_are_refused)
{
    struct hl_slice rules[] = {hl_slice_of("(~a) +get)"), hl_slice_of("+select|1 2")};
    cr_assert_eq(hl_acl_set(acl, hl_slice_of("a"), &rules[0], 1, &msg), HL_EINVAL);
    cr_assert_eq(hl_acl_set(acl, hl_slice_of("a"), &rules[1], 1, &msg), HL_EINVAL);
    cr_assert_eq(set("a", "on"), HL_OK);
    cr_assert_eq(
        hl_acl_load(acl, "f", hl_slice_of("user default on nopass ~* &* +@all"), NULL, NULL, &msg),
        HL_OK);
    assert_described("default", "user default on nopass ~* &* +@all");
}

Test(acl, default_cannot_be_removed)
{
    cr_assert_eq(set("a", ""), HL_OK);
    cr_assert(hl_acl_remove(acl, hl_slice_of("a")));
    cr_assert_not(hl_acl_remove(acl, hl_slice_of("a")));
    cr_assert_not(hl_acl_remove(acl, hl_slice_of("default")));
}

static size_t log_entries(size_t count)
{
    struct hl_buf out = {0};
    struct hl_writer writer = {.out = &out, .proto = 2};
    hl_acl_log_write(acl, count, 5000, &writer);
    size_t entries = (size_t)strtol(out.ptr + 1, NULL, 10);
    hl_buf_fini(&out);
    return entries;
}

Test(acl, the_log_counts_repeats_and_stays_bounded)
{
    struct hl_slice client = hl_slice_of("id=1");
    for (int i = 0; i < 5; i++) {
        hl_acl_log_add(acl, HL_ACL_LOG_KEY, HL_ACL_LOG_TOPLEVEL, hl_slice_of("k"), hl_slice_of("a"),
                       client, 1000 + i);
    }
    cr_assert_eq(log_entries(10), 1);
    hl_acl_log_add(acl, HL_ACL_LOG_KEY, HL_ACL_LOG_TOPLEVEL, hl_slice_of("k"), hl_slice_of("a"),
                   client, 70000);
    cr_assert_eq(log_entries(10), 2, "after a minute it is news again");
    for (int i = 0; i < 300; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        hl_acl_log_add(acl, HL_ACL_LOG_KEY, HL_ACL_LOG_MULTI, hl_slice_of(key), hl_slice_of("a"),
                       client, 1000);
    }
    cr_assert_eq(log_entries(1000), 128);
    cr_assert_eq(log_entries(7), 7);
    hl_acl_log_set_max(acl, 3);
    cr_assert_eq(log_entries(1000), 3);
    hl_acl_log_set_max(acl, 0);
    hl_acl_log_add(acl, HL_ACL_LOG_AUTH, HL_ACL_LOG_TOPLEVEL, hl_slice_of("auth"), hl_slice_of("a"),
                   client, 1);
    cr_assert_eq(log_entries(1000), 0);
}
