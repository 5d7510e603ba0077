/* Goal: decisions as the table says; denials beat everything; what is compiled for the server's ACL
 * says the same.  Method: a table of questions; random policies judged by a page of naive code. */
#include "kit/assert.h"
#include "rbac/compile.h"
#include "rbac/decide.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct policy *policy;
static struct effective_list roles;

static void setup(void)
{
    policy = policy_create();
}

static void teardown(void)
{
    policy_destroy(policy);
}

TestSuite(decide, .init = setup, .fini = teardown);

/* Make a role of rules between spaces and grant it to ada. */
static void role(const char *name, const char *rules)
{
    struct hl_slice list[32];
    size_t count = 0;
    size_t added = 0;
    for (const char *at = rules; *at != '\0' && count < 32;) {
        size_t len = strcspn(at, " ");
        list[count++] = (struct hl_slice){at, len};
        at += len;
        at += *at == ' ';
    }
    struct role_spec spec = {.name = hl_slice_of(name), .rules = list, .rule_count = count};
    cr_assert_null(policy_set_role(policy, &spec), "%s", rules);
    struct hl_slice slice = hl_slice_of(name);
    cr_assert_null(policy_grant(policy, hl_slice_of("ada"), &slice, 1, &added));
}

static struct decision ask(const struct request *request)
{
    policy_effective(policy, hl_slice_of("ada"), NULL, 0, hl_slice_of(""), &roles);
    return decide(&roles, request);
}

static bool may(const char *permission, const char *key)
{
    struct hl_slice slice = hl_slice_of(key != NULL ? key : "");
    struct request request = {.permission = hl_slice_of(permission),
                              .key = key != NULL ? &slice : NULL};
    return ask(&request).allowed;
}

/* A command of one category with at most one key. */
static struct request command(const char *name, const char *category, const char *key, unsigned use)
{
    struct request request = {.command = hl_slice_of(name)};
    request.categories[0] = hl_slice_of(category);
    request.category_count = 1;
    request.keys[0] = (struct request_key){hl_slice_of(key != NULL ? key : ""), use};
    request.key_count = key != NULL;
    return request;
}

static bool runs(const char *name, const char *category, const char *key, unsigned use)
{
    struct request request = command(name, category, key, use);
    return ask(&request).allowed;
}

Test(decide, named_permissions)
{
    cr_assert_not(may("kv:get", NULL), "nobody has a role");
    role("r", "kv:get kv:set@team.* -kv:get@team.secret* job:*");
    cr_assert(may("kv:get", NULL));
    cr_assert(may("kv:get", "x"));
    cr_assert_not(may("kv:get", "team.secret1"));
    cr_assert(may("kv:set", "team.a"));
    cr_assert_not(may("kv:set", "other"));
    cr_assert_not(may("kv:set", NULL));
    cr_assert_not(may("kv:delete", "team.a"));
    cr_assert(may("job:anything", NULL));
    cr_assert_not(may("admin:config", NULL));
    role("boss", "admin:*");
    cr_assert(may("admin:config", NULL));
    cr_assert(may("kv:delete", "x"));
    cr_assert_not(may("kv:get", "team.secret1"), "a denial beats even admin:*");
}

Test(decide, commands_of_plain_rules)
{
    role("r", "+get +@write -del ~app:* %R~shared:*");
    cr_assert(runs("get", "read", "app:1", RULE_READ));
    cr_assert(runs("get", "read", "shared:1", RULE_READ));
    cr_assert(runs("set", "write", "app:1", RULE_WRITE));
    cr_assert_not(runs("set", "write", "shared:1", RULE_WRITE));
    cr_assert_not(runs("set", "write", "other", RULE_WRITE));
    cr_assert_not(runs("del", "write", "app:1", RULE_WRITE));
    cr_assert_not(runs("keys", "keyspace", NULL, 0));
    cr_assert(runs("ping", "connection", NULL, 0), "basics");
    role("no", "-ping -@keyspace -%W~app:frozen*");
    cr_assert_not(runs("ping", "connection", NULL, 0));
    cr_assert(runs("get", "read", "app:frozen1", RULE_READ));
    cr_assert_not(runs("set", "write", "app:frozen1", RULE_WRITE));
}

Test(decide, rights_of_two_roles_do_not_mix)
{
    role("a", "+get %R~a:*");
    role("b", "+set %W~b:*");
    cr_assert(runs("get", "read", "a:1", RULE_READ));
    cr_assert(runs("set", "write", "b:1", RULE_WRITE));
    cr_assert_not(runs("get", "read", "b:1", RULE_READ));
    cr_assert_not(runs("set", "write", "a:1", RULE_WRITE));
}

Test(decide, named_permissions_are_commands_too)
{
    role("r", "kv:get kv:set@mine* job:create");
    cr_assert(runs("get", "read", "kv:x", RULE_READ));
    cr_assert_not(runs("get", "read", "x", RULE_READ));
    cr_assert_not(runs("get", "read", "auth:user:x", RULE_READ));
    cr_assert(runs("set", "write", "kv:mine1", RULE_WRITE));
    cr_assert_not(runs("set", "write", "kv:other", RULE_WRITE));
    cr_assert_not(runs("incr", "write", "kv:mine1", RULE_READ | RULE_WRITE),
                  "it reads what only kv:get of another scope may");
    cr_assert(runs("job.push", "write", "emails", RULE_READ | RULE_WRITE));
    cr_assert_not(runs("job.push", "write", "auth:user:x", RULE_READ | RULE_WRITE));
    cr_assert_not(runs("job.pull", "write", "emails", RULE_READ | RULE_WRITE));
    role("both", "kv:get@both* kv:set@both*");
    cr_assert(runs("incr", "write", "kv:both1", RULE_READ | RULE_WRITE));
    role("boss", "admin:*");
    cr_assert(runs("flushall", "dangerous", NULL, 0));
    cr_assert(runs("get", "read", "auth:user:x", RULE_READ));
}

Test(decide, subcommands_and_channels)
{
    role("r", "+config|get +publish &news.* -&news.secret*");
    struct request request = command("config", "admin", NULL, 0);
    request.sub = hl_slice_of("get");
    cr_assert(ask(&request).allowed);
    request.sub = hl_slice_of("set");
    cr_assert_not(ask(&request).allowed);
    request = command("publish", "pubsub", NULL, 0);
    request.channel = hl_slice_of("news.sport");
    cr_assert(ask(&request).allowed);
    request.channel = hl_slice_of("news.secret1");
    cr_assert_not(ask(&request).allowed);
    request.channel = hl_slice_of("other");
    cr_assert_not(ask(&request).allowed);
}

Test(decide, says_which_rule_decided)
{
    role("r", "kv:get -kv:get@x*");
    struct hl_slice key = hl_slice_of("y");
    struct request request = {.permission = hl_slice_of("kv:get"), .key = &key};
    struct decision d = ask(&request);
    cr_assert(d.allowed);
    cr_assert_str_eq(d.rule->text, "kv:get");
    cr_assert_str_eq(d.by->role->name, "r");
    cr_assert_str_eq(d.by->subject, "ada");
    key = hl_slice_of("x1");
    d = ask(&request);
    cr_assert_not(d.allowed);
    cr_assert_str_eq(d.rule->text, "-kv:get@x*");
    request.permission = hl_slice_of("kv:set");
    d = ask(&request);
    cr_assert_not(d.allowed);
    cr_assert_null(d.rule);
}

/* ---- The server's ACL ------------------------------------------------------------------------ */

static bool knows_all(void *ctx, const char *rule)
{
    (void)ctx;
    return strstr(rule, "nosuch") == NULL;
}

/* The words joined by spaces. */
static const char *compiled(bool denies_keys)
{
    static char text[8192];
    struct acl_words words = {0};
    struct dialect dialect = {.knows = knows_all, .denies_keys = denies_keys};
    policy_effective(policy, hl_slice_of("ada"), NULL, 0, hl_slice_of(""), &roles);
    bool whole = compile(&roles, &dialect, &words);
    size_t len = words.bytes.len;
    cr_assert_lt(len, sizeof text);
    memcpy(text, words.bytes.ptr, len);
    for (size_t i = 0; i + 1 < len; i++) {
        text[i] = text[i] == '\0' ? ' ' : text[i];
    }
    acl_words_fini(&words);
    return whole ? text : "(withheld)";
}

#define NOTHING "resetkeys resetchannels nocommands clearselectors"

Test(decide, is_compiled_into_one_selector_a_unit)
{
    cr_assert_str_eq(compiled(true), NOTHING);
    role("r", "+get ~a:* +nosuch -@dangerous kv:delete@x*");
    const char *text = compiled(false);
    cr_assert_not_null(strstr(text, " (+get ~a:* -@dangerous)"), "%s", text);
    cr_assert_not_null(strstr(text, " (+del +unlink +getdel %W~kv:x* -@dangerous)"), "%s", text);
    cr_assert_not_null(strstr(text, "(+ping +echo "), "%s", text);
    cr_assert_null(strstr(text, "nosuch"));
    role("no", "-~a:secret*");
    cr_assert_str_eq(compiled(false), "(withheld)", "what cannot be denied is not given");
    text = compiled(true);
    cr_assert_not_null(strstr(text, " (+get ~a:* -~a:secret* -@dangerous)"), "%s", text);
    role("boss", "admin:*");
    text = compiled(true);
    cr_assert_not_null(strstr(text, " (+@all ~* &* "), "%s", text);
}

/* ---- Denials beat everything ----------------------------------------------------------------- */

static uint64_t seed = 11;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* Method: random roles, random questions; whenever any rule that counts denies, the answer is no,
 * and when a rule is added that denies, no answer becomes yes. */
Test(decide, a_denial_beats_every_permission_whatever_else_is_granted)
{
    static const char *const pool[] = {
        "kv:get", "kv:*",   "-kv:get", "kv:set@a*", "-kv:set@ab*", "admin:*", "-kv:*@b*",
        "+get",   "+@read", "-get",    "-@read",    "~*",          "%R~a*",   "%W~b*",
        "-~ab*",  "-%W~b*", "-%R~a*",  "+@all",     "-@all",       "+set",    "-set"};
    static const char *const keys[] = {"a", "ab", "abc", "b", "kv:a", "kv:ab", "c"};
    int denied = 0;
    int allowed = 0;
    for (int round = 0; round < 5000; round++) {
        char text[128] = "";
        char name[16];
        size_t len = 0;
        policy_destroy(policy);
        policy = policy_create();
        for (int r = 0; r < 3; r++) {
            len = 0;
            for (uint64_t i = 0; i < 1 + draw(3); i++) {
                len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i == 0 ? "" : " ",
                                        pool[draw(HL_ARRAY_LEN(pool))]);
            }
            snprintf(name, sizeof name, "r%d", r);
            role(name, text);
        }
        for (size_t k = 0; k < HL_ARRAY_LEN(keys); k++) {
            struct hl_slice key = hl_slice_of(keys[k]);
            struct request questions[] = {
                {.permission = hl_slice_of("kv:get"), .key = &key},
                {.permission = hl_slice_of("kv:set"), .key = &key},
                command("get", "read", keys[k], RULE_READ),
                command("set", "write", keys[k], RULE_WRITE),
            };
            for (size_t q = 0; q < HL_ARRAY_LEN(questions); q++) {
                struct decision d = ask(&questions[q]);
                bool some_denies = false;
                for (size_t i = 0; i < roles.count; i++) {
                    for (size_t r = 0; r < roles.items[i].role->rule_count; r++) {
                        some_denies = some_denies ||
                                      decide_denies(roles.items[i].role->rules[r], &questions[q]);
                    }
                }
                cr_assert(!(some_denies && d.allowed), "round %d, question %zu", round, q);
                cr_assert(!some_denies || d.rule->deny, "round %d: the denial is named", round);
                denied += some_denies;
                allowed += d.allowed;
            }
        }
    }
    cr_assert_gt(denied, 1000);
    cr_assert_gt(allowed, 1000);
}
