/* Goal: a rule is read in one way or refused, and its text reads as itself. */
#include "kit/assert.h"
#include "rbac/rule.h"

#include <criterion/criterion.h>

Test(rule, is_read_as_the_grammar_says)
{
    static const struct {
        const char *text;
        enum rule_kind kind;
        bool deny;
        unsigned use;
        const char *what, *scope;
    } cases[] = {
        {"+get", RULE_COMMAND, false, 0, "get", ""},
        {"+GET", RULE_COMMAND, false, 0, "get", ""},
        {"-flushall", RULE_COMMAND, true, 0, "flushall", ""},
        {"+config|SET", RULE_COMMAND, false, 0, "config|set", ""},
        {"+job.push", RULE_COMMAND, false, 0, "job.push", ""},
        {"+@Read", RULE_CATEGORY, false, 0, "read", ""},
        {"-@dangerous", RULE_CATEGORY, true, 0, "dangerous", ""},
        {"~App:*", RULE_KEY, false, RULE_READ | RULE_WRITE, "App:*", ""},
        {"%R~a", RULE_KEY, false, RULE_READ, "a", ""},
        {"%W~a", RULE_KEY, false, RULE_WRITE, "a", ""},
        {"%RW~a", RULE_KEY, false, RULE_READ | RULE_WRITE, "a", ""},
        {"-~a", RULE_KEY, true, RULE_READ | RULE_WRITE, "a", ""},
        {"-%W~a:b", RULE_KEY, true, RULE_WRITE, "a:b", ""},
        {"&news.*", RULE_CHANNEL, false, 0, "news.*", ""},
        {"-&News:x", RULE_CHANNEL, true, 0, "News:x", ""},
        {"kv:get", RULE_NAMED, false, 0, "kv:get", ""},
        {"KV:Get@Team*", RULE_NAMED, false, 0, "kv:get", "Team*"},
        {"job:*", RULE_NAMED, false, 0, "job:*", ""},
        {"-kv:set@a@b", RULE_NAMED, true, 0, "kv:set", "a@b"},
        {"admin:*", RULE_NAMED, false, 0, "admin:*", ""},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(cases); i++) {
        struct rule rule;
        struct rule again;
        cr_assert_null(rule_parse(&rule, hl_slice_of(cases[i].text)), "%s", cases[i].text);
        cr_assert_eq(rule.kind, cases[i].kind, "%s", cases[i].text);
        cr_assert_eq(rule.deny, cases[i].deny, "%s", cases[i].text);
        cr_assert_eq(rule.use, cases[i].use, "%s", cases[i].text);
        cr_assert(hl_slice_equal(rule.what, hl_slice_of(cases[i].what)), "%s", cases[i].text);
        cr_assert(hl_slice_equal(rule.scope, hl_slice_of(cases[i].scope)), "%s", cases[i].text);
        cr_assert_null(rule_parse(&again, hl_slice_of(rule.text)));
        cr_assert_str_eq(again.text, rule.text);
        cr_assert_eq(again.kind, rule.kind);
    }
}

Test(rule, that_is_none_is_refused)
{
    static const char *const bad[] = {
        "",      "+",       "-",       "get",   "+@",       "+a b",   "+a|",    "+|b", "+@a|b",
        "~",     "%~a",     "%X~a",    "%RR~a", "%R",       "&",      "-&",     "-~",  "kv:",
        ":get",  "kv:get@", "kv:g*t",  "*:get", "kv:get:x", "a\nb:c", "~a(b",   "~a)", "kv:*x",
        "@read", "%r~a",    "+kv:get", "--get", "-+get",    "kv get", "\x7f:a", "*",
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
        struct rule rule;
        cr_assert_not_null(rule_parse(&rule, hl_slice_of(bad[i])), "%s", bad[i]);
    }
    char text[RULE_TEXT_MAX + 2];
    struct rule rule;
    memset(text, 'a', sizeof text);
    text[0] = '~';
    cr_assert_null(rule_parse(&rule, (struct hl_slice){text, RULE_TEXT_MAX}));
    cr_assert_not_null(rule_parse(&rule, (struct hl_slice){text, RULE_TEXT_MAX + 1}));
    cr_assert_not_null(rule_parse(&rule, (struct hl_slice){"~a\0b", 4}));
}

static bool covers(const char *rule_text, const char *permission, const char *key)
{
    struct rule rule;
    struct hl_slice slice = key == NULL ? (struct hl_slice){0} : hl_slice_of(key);
    cr_assert_null(rule_parse(&rule, hl_slice_of(rule_text)));
    return rule_covers_named(&rule, hl_slice_of(permission), key == NULL ? NULL : &slice);
}

Test(rule, named_permissions_cover_by_name_wildcard_and_scope)
{
    cr_assert(covers("kv:get", "kv:get", NULL));
    cr_assert(covers("kv:get", "kv:get", "anything"));
    cr_assert_not(covers("kv:get", "kv:set", NULL));
    cr_assert(covers("kv:*", "kv:set", NULL));
    cr_assert_not(covers("kv:*", "kvx:set", NULL));
    cr_assert_not(covers("kv:*", "job:view", NULL));
    cr_assert(covers("kv:get@team*", "kv:get", "team1"));
    cr_assert_not(covers("kv:get@team*", "kv:get", "other"));
    cr_assert_not(covers("kv:get@team*", "kv:get", NULL), "a part is not the whole");
    cr_assert(covers("admin:*", "kv:get", "x"));
    cr_assert(covers("admin:*", "anything:else", NULL));
    cr_assert_not(covers("admin:*@x*", "kv:get", "x1"), "a part of everything is no admin");
}
