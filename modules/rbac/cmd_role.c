/* ROLE, GRANT, REVOKE, ROLES: what changes the policy and what shows it. */
#include "commands.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"

#include <stdio.h>

#define PAGE_DEFAULT 100
#define PAGE_MAX 1000

static struct stats counted;

struct stats *stats(void)
{
    return &counted;
}

/* Behind a change: replicate it, and let it hold at once; for `user` when it is about one alone. */
static void changed(RedisModuleCtx *ctx, const struct hl_slice *user)
{
    stats()->changes++;
    store_changed(ctx);
    RedisModule_ReplicateVerbatim(ctx);
    if (user != NULL && user->ptr[0] != '@') {
        bridge_sync_one(ctx, *user);
    } else {
        bridge_sync(ctx);
    }
}

/* Reply an error of the engine: rules say what is wrong without a code. */
static int reply_refusal(RedisModuleCtx *ctx, const char *why)
{
    char text[256];
    bool coded = strncmp(why, "ERR ", 4) == 0 || strncmp(why, "NOROLE ", 7) == 0;
    snprintf(text, sizeof text, "%s%s", coded ? "" : "ERR ", why);
    return RedisModule_ReplyWithError(ctx, text);
}

static int reply_wrong_type(RedisModuleCtx *ctx)
{
    return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
}

/* Cut the words behind RBAC.ROLE SET name into rules, parents and description. */
static const char *read_spec(RedisModuleString **argv, int argc, struct role_spec *spec,
                             struct hl_slice *rules, struct hl_slice *parents)
{
    int at = 3;
    spec->name = arg_slice(argv[2]);
    spec->description = (struct hl_slice){"", 0};
    spec->rules = rules;
    spec->parents = parents;
    for (; at < argc && !hl_slice_is(arg_slice(argv[at]), "inherits") &&
           !hl_slice_is(arg_slice(argv[at]), "description");
         at++) {
        if (spec->rule_count == POLICY_RULES_MAX) {
            return "a role has at most 256 rules";
        }
        rules[spec->rule_count++] = arg_slice(argv[at]);
    }
    if (at < argc && hl_slice_is(arg_slice(argv[at]), "inherits")) {
        for (at++; at < argc && !hl_slice_is(arg_slice(argv[at]), "description"); at++) {
            if (spec->parent_count == POLICY_PARENTS_MAX) {
                return "a role inherits at most 16 roles";
            }
            parents[spec->parent_count++] = arg_slice(argv[at]);
        }
    }
    if (at + 2 == argc) {
        spec->description = arg_slice(argv[at + 1]);
        if (memchr(spec->description.ptr, '\0', spec->description.len) != NULL) {
            return "a description has no NUL byte";
        }
        return NULL;
    }
    return at == argc ? NULL : "syntax error: ... DESCRIPTION text is last";
}

static int role_set(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct hl_slice rules[POLICY_RULES_MAX];
    struct hl_slice parents[POLICY_PARENTS_MAX];
    struct role_spec spec = {0};
    const char *error = read_spec(argv, argc, &spec, rules, parents);
    if (error != NULL) {
        return reply_refusal(ctx, error);
    }
    struct policy *policy = store_policy(ctx, true);
    if (policy == NULL) {
        return reply_wrong_type(ctx);
    }
    error = policy_set_role(policy, &spec);
    if (error != NULL) {
        store_changed(ctx); /* it may have been made just now, and is empty */
        return reply_refusal(ctx, error);
    }
    changed(ctx, NULL);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

static int role_delete(RedisModuleCtx *ctx, struct hl_slice name)
{
    struct policy *policy = store_policy(ctx, true);
    if (policy == NULL) {
        return reply_wrong_type(ctx);
    }
    const char *error = policy_delete_role(policy, name);
    if (error != NULL) {
        store_changed(ctx);
        return reply_refusal(ctx, error);
    }
    changed(ctx, NULL);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

static void reply_text(RedisModuleCtx *ctx, const char *text)
{
    RedisModule_ReplyWithStringBuffer(ctx, text, strlen(text));
}

static void reply_role(RedisModuleCtx *ctx, const struct role *role)
{
    RedisModule_ReplyWithMap(ctx, 5);
    RedisModule_ReplyWithCString(ctx, "name");
    reply_text(ctx, role->name);
    RedisModule_ReplyWithCString(ctx, "description");
    reply_text(ctx, role->description);
    RedisModule_ReplyWithCString(ctx, "permissions");
    RedisModule_ReplyWithArray(ctx, (long)role->rule_count);
    for (size_t i = 0; i < role->rule_count; i++) {
        reply_text(ctx, role->rules[i]->text);
    }
    RedisModule_ReplyWithCString(ctx, "inherits");
    RedisModule_ReplyWithArray(ctx, (long)role->parent_count);
    for (size_t i = 0; i < role->parent_count; i++) {
        reply_text(ctx, role->parents[i]);
    }
    RedisModule_ReplyWithCString(ctx, "built_in");
    RedisModule_ReplyWithLongLong(ctx, role->built_in);
}

int cmd_role(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct hl_slice verb = arg_slice(argv[1]);
    if (argc >= 3 && hl_slice_is(verb, "set")) {
        return role_set(ctx, argv, argc);
    }
    if (argc == 3 && hl_slice_is(verb, "del")) {
        return role_delete(ctx, arg_slice(argv[2]));
    }
    const struct policy *policy = store_policy(ctx, false);
    if (policy == NULL) {
        return reply_wrong_type(ctx);
    }
    if (argc == 3 && hl_slice_is(verb, "get")) {
        const struct role *role = policy_role(policy, arg_slice(argv[2]));
        if (role == NULL) {
            return RedisModule_ReplyWithNull(ctx);
        }
        reply_role(ctx, role);
        return REDISMODULE_OK;
    }
    if (argc == 2 && hl_slice_is(verb, "list")) {
        RedisModule_ReplyWithArray(ctx, (long)policy->role_count);
        for (size_t i = 0; i < policy->role_count; i++) {
            reply_role(ctx, policy->roles[i]);
        }
        return REDISMODULE_OK;
    }
    return RedisModule_ReplyWithError(
        ctx, "ERR syntax error: RBAC.ROLE SET name [rule ...] [INHERITS role ...] [DESCRIPTION "
             "text] | GET name | DEL name | LIST");
}

/* ---- Grants ---------------------------------------------------------------------------------- */

int cmd_grant(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct hl_slice what[POLICY_GRANTS_MAX];
    size_t added = 0;
    if (argc < 3) {
        return RedisModule_WrongArity(ctx);
    }
    if (argc - 2 > POLICY_GRANTS_MAX) {
        return reply_refusal(ctx, "a user or group has at most 64 roles and groups");
    }
    for (int i = 2; i < argc; i++) {
        what[i - 2] = arg_slice(argv[i]);
    }
    struct policy *policy = store_policy(ctx, true);
    if (policy == NULL) {
        return reply_wrong_type(ctx);
    }
    const char *error = policy_grant(policy, arg_slice(argv[1]), what, (size_t)argc - 2, &added);
    if (error != NULL || added == 0) {
        store_changed(ctx);
        return error != NULL ? reply_refusal(ctx, error) : RedisModule_ReplyWithLongLong(ctx, 0);
    }
    struct hl_slice subject = arg_slice(argv[1]);
    changed(ctx, &subject);
    return RedisModule_ReplyWithLongLong(ctx, (long long)added);
}

int cmd_revoke(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct hl_slice what[POLICY_GRANTS_MAX];
    size_t removed = 0;
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    if (argc - 2 > POLICY_GRANTS_MAX) {
        return reply_refusal(ctx, "a user or group has at most 64 roles and groups");
    }
    for (int i = 2; i < argc; i++) {
        what[i - 2] = arg_slice(argv[i]);
    }
    const struct policy *there = store_policy(ctx, false);
    if (there == NULL) {
        return reply_wrong_type(ctx);
    }
    if (policy_subject(there, arg_slice(argv[1])) == NULL) {
        return RedisModule_ReplyWithLongLong(ctx, 0);
    }
    struct policy *policy = store_policy(ctx, true);
    HL_ASSERT(policy != NULL);
    policy_revoke(policy, arg_slice(argv[1]), what, (size_t)argc - 2, &removed);
    struct hl_slice subject = arg_slice(argv[1]);
    if (removed != 0) {
        changed(ctx, &subject);
    }
    return RedisModule_ReplyWithLongLong(ctx, (long long)removed);
}

static int reply_subject(RedisModuleCtx *ctx, const struct policy *policy, struct hl_slice name)
{
    const struct subject *subject = policy_subject(policy, name);
    struct effective_list *roles = hl_calloc(1, sizeof *roles);
    if (subject != NULL && subject->name[0] != '@') {
        policy_effective(policy, name, NULL, 0, (struct hl_slice){"", 0}, roles);
    }
    RedisModule_ReplyWithMap(ctx, 2);
    RedisModule_ReplyWithCString(ctx, "granted");
    RedisModule_ReplyWithArray(ctx, subject == NULL ? 0 : (long)subject->grant_count);
    for (size_t i = 0; subject != NULL && i < subject->grant_count; i++) {
        reply_text(ctx, subject->grants[i]);
    }
    RedisModule_ReplyWithCString(ctx, "effective");
    RedisModule_ReplyWithArray(ctx, (long)roles->count);
    for (size_t i = 0; i < roles->count; i++) {
        const struct role *role = roles->items[i].role;
        reply_text(ctx, role == NULL ? "(too many)" : role->name);
    }
    hl_free(roles);
    return REDISMODULE_OK;
}

int cmd_roles(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct hl_slice after = {"", 0};
    int64_t max = PAGE_DEFAULT;
    const struct policy *policy = store_policy(ctx, false);
    if (policy == NULL) {
        return reply_wrong_type(ctx);
    }
    if (argc == 2) {
        return reply_subject(ctx, policy, arg_slice(argv[1]));
    }
    for (int i = 1; i < argc; i += 2) {
        bool is_after = hl_slice_is(arg_slice(argv[i]), "after");
        bool is_count = hl_slice_is(arg_slice(argv[i]), "count");
        if (i + 1 == argc || (!is_after && !is_count)) {
            return reply_refusal(ctx,
                                 "syntax error: RBAC.ROLES [subject] or [AFTER name] [COUNT n]");
        }
        if (is_after) {
            after = arg_slice(argv[i + 1]);
        } else if (!hl_parse_i64(arg_slice(argv[i + 1]), &max) || max < 1 || max > PAGE_MAX) {
            return reply_refusal(ctx, "COUNT is 1 to 1000");
        }
    }
    size_t at = policy_after(policy, after);
    size_t left = policy->subject_count - at;
    size_t count = left < (size_t)max ? left : (size_t)max;
    RedisModule_ReplyWithArray(ctx, (long)count);
    for (size_t i = 0; i < count; i++) {
        reply_text(ctx, policy->subjects[at + i]->name);
    }
    return REDISMODULE_OK;
}

/* An append-only file holds the policy as its bytes: read them as RESTORE would. */
int cmd_put(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    int flags = RedisModule_GetContextFlags(ctx);
    if ((flags & (REDISMODULE_CTX_FLAGS_REPLICATED | REDISMODULE_CTX_FLAGS_LOADING)) == 0) {
        return RedisModule_ReplyWithError(
            ctx, "ERR RBAC._PUT applies effects of this module; it is not for clients");
    }
    if (!store_replace(ctx, argv[1], arg_slice(argv[2]))) {
        return RedisModule_ReplyWithError(ctx, "ERR RBAC._PUT got no policy");
    }
    RedisModule_ReplicateVerbatim(ctx);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}
