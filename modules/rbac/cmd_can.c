/* CAN, EXPLAIN, WHOCAN: questions about permissions, and about commands with all their arguments.
 */
#include "commands.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "settings.h"

#define WHO_MAX 1000
#define CATEGORIES_AT 6 /* in the description of a command */

/* A question and what its slices point into. */
struct question {
    struct request request;
    struct hl_slice key;
    char command[64], sub[64];
    char categories[REQUEST_CATEGORIES_MAX][32];
};

/* A lower-case copy; false when it does not fit. */
static bool copy_lower(char *out, size_t cap, struct hl_slice text)
{
    if (text.len >= cap) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    out[text.len] = '\0';
    return true;
}

/* Take the categories out of the server's description of a command; false when it has none. */
static bool read_categories(RedisModuleCallReply *reply, struct question *q)
{
    if (RedisModule_CallReplyType(reply) != REDISMODULE_REPLY_ARRAY) {
        return false;
    }
    RedisModuleCallReply *row = RedisModule_CallReplyArrayElement(reply, 0);
    if (row == NULL || RedisModule_CallReplyType(row) != REDISMODULE_REPLY_ARRAY) {
        return false;
    }
    RedisModuleCallReply *list = RedisModule_CallReplyArrayElement(row, CATEGORIES_AT);
    if (list == NULL) {
        return false;
    }
    size_t count = RedisModule_CallReplyLength(list);
    for (size_t i = 0; i < count && q->request.category_count < REQUEST_CATEGORIES_MAX; i++) {
        struct hl_slice text = {0};
        RedisModuleCallReply *item = RedisModule_CallReplyArrayElement(list, i);
        text.ptr = RedisModule_CallReplyStringPtr(item, &text.len);
        char *copy = q->categories[q->request.category_count];
        if (text.ptr == NULL || text.len < 2 || text.ptr[0] != '@' ||
            !copy_lower(copy, sizeof q->categories[0],
                        (struct hl_slice){text.ptr + 1, text.len - 1})) {
            continue;
        }
        q->request.categories[q->request.category_count++] = hl_slice_of(copy);
    }
    return true;
}

/* Ask the server about "name" or "name|sub"; false when it has no such command. */
static bool ask_server(RedisModuleCtx *ctx, const char *name, struct question *q)
{
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "COMMAND", "cc", "INFO", name);
    bool found = reply != NULL && read_categories(reply, q);
    if (reply != NULL) {
        RedisModule_FreeCallReply(reply);
    }
    return found;
}

/* Take what is done with a key out of the server's words for it; false for what is no key. */
static bool read_use(RedisModuleCallReply *words, unsigned *use)
{
    static const struct {
        const char *word;
        unsigned use;
    } known[] = {{"access", RULE_READ},
                 {"insert", RULE_WRITE},
                 {"update", RULE_WRITE},
                 {"delete", RULE_WRITE}};
    bool is_key = true;
    *use = 0;
    for (size_t i = 0; i < RedisModule_CallReplyLength(words); i++) {
        struct hl_slice word = {0};
        RedisModuleCallReply *item = RedisModule_CallReplyArrayElement(words, i);
        word.ptr = RedisModule_CallReplyStringPtr(item, &word.len);
        is_key = is_key && (word.ptr == NULL || !hl_slice_is(word, "not_key"));
        for (size_t k = 0; word.ptr != NULL && k < HL_ARRAY_LEN(known); k++) {
            *use |= hl_slice_is(word, known[k].word) ? known[k].use : 0;
        }
    }
    return is_key;
}

/* Find a key of the reply among the arguments, which outlive it. */
static struct hl_slice borrow_key(struct hl_slice key, RedisModuleString **argv, int argc)
{
    for (int i = 1; i < argc; i++) {
        if (hl_slice_equal(key, arg_slice(argv[i]))) {
            return arg_slice(argv[i]);
        }
    }
    return (struct hl_slice){"", 0};
}

static const char *read_key_list(RedisModuleCallReply *reply, RedisModuleString **argv, int argc,
                                 struct question *q)
{
    size_t count = RedisModule_CallReplyLength(reply);
    if (count > REQUEST_KEYS_MAX) {
        return "ERR a question has at most 64 keys";
    }
    for (size_t i = 0; i < count; i++) {
        RedisModuleCallReply *pair = RedisModule_CallReplyArrayElement(reply, i);
        RedisModuleCallReply *name = RedisModule_CallReplyArrayElement(pair, 0);
        RedisModuleCallReply *words = RedisModule_CallReplyArrayElement(pair, 1);
        struct hl_slice key = {0};
        unsigned use = 0;
        key.ptr = RedisModule_CallReplyStringPtr(name, &key.len);
        if (words != NULL && read_use(words, &use)) {
            q->request.keys[q->request.key_count++] =
                (struct request_key){borrow_key(key, argv, argc), use};
        }
    }
    return NULL;
}

/* The keys of the command and what is done with them, as the server sees it: a module is told less
 * by GetCommandKeysWithFlags of Redis 7.0 than the ACL looks at. */
static const char *read_keys(RedisModuleCtx *ctx, RedisModuleString **argv, int argc,
                             struct question *q)
{
    static const char none[] = "The command has no key arguments";
    RedisModuleCallReply *reply =
        RedisModule_Call(ctx, "COMMAND", "cv", "GETKEYSANDFLAGS", argv, (size_t)argc);
    const char *error = "ERR the server does not understand the command's arguments";
    if (reply != NULL && RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_ARRAY) {
        error = read_key_list(reply, argv, argc, q);
    } else if (reply != NULL) {
        size_t len = 0;
        const char *text = RedisModule_CallReplyStringPtr(reply, &len);
        bool keyless = text != NULL && memmem(text, len, none, sizeof none - 1) != NULL;
        error = keyless ? NULL : error;
    }
    if (reply != NULL) {
        RedisModule_FreeCallReply(reply);
    }
    return error;
}

static const char *read_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc,
                                struct question *q)
{
    static const char unknown[] = "ERR the server has no such command";
    char both[sizeof q->command + sizeof q->sub];
    if (argc < 1 || !copy_lower(q->command, sizeof q->command, arg_slice(argv[0])) ||
        q->command[0] == '\0') {
        return unknown;
    }
    q->request.command = hl_slice_of(q->command);
    bool has_sub = argc > 1 && copy_lower(q->sub, sizeof q->sub, arg_slice(argv[1]));
    struct hl_buf name = {0};
    hl_buf_printf(&name, "%s|%s", q->command, has_sub ? q->sub : "");
    memcpy(both, name.ptr, name.len);
    both[name.len] = '\0';
    hl_buf_fini(&name);
    if (has_sub && ask_server(ctx, both, q)) {
        q->request.sub = hl_slice_of(q->sub);
    } else if (!ask_server(ctx, q->command, q)) {
        return unknown;
    }
    if (argc > 1 && (hl_slice_is(q->request.command, "publish") ||
                     hl_slice_is(q->request.command, "spublish") ||
                     hl_slice_is(q->request.command, "subscribe") ||
                     hl_slice_is(q->request.command, "ssubscribe") ||
                     hl_slice_is(q->request.command, "psubscribe"))) {
        q->request.channel = arg_slice(argv[1]);
    }
    return argc > 1 ? read_keys(ctx, argv, argc, q) : NULL;
}

/* Read `permission [key]` or `COMMAND name [argument ...]`.  NULL, or the error. */
static const char *read_question(RedisModuleCtx *ctx, RedisModuleString **argv, int argc,
                                 struct question *q)
{
    memset(q, 0, sizeof *q);
    if (hl_slice_is(arg_slice(argv[0]), "command")) {
        return read_command(ctx, argv + 1, argc - 1, q);
    }
    q->request.permission = arg_slice(argv[0]);
    if (argc == 2) {
        q->key = arg_slice(argv[1]);
        q->request.key = &q->key;
    }
    if (argc > 2 || !rule_permission_valid(q->request.permission)) {
        return "ERR a permission is name:verb in lower case with at most one key; ask for a "
               "command by COMMAND name [argument ...]";
    }
    return NULL;
}

struct decision judge(RedisModuleCtx *ctx, struct hl_slice user, const struct hl_slice *carried,
                      size_t carried_count, const struct request *request,
                      struct effective_list *roles)
{
    const struct policy *policy = store_policy(ctx, false);
    roles->count = 0;
    struct decision decision = {0};
    if (policy != NULL) {
        policy_effective(policy, user, carried, carried_count, settings_default_role(), roles);
        decision = decide(roles, request);
    }
    *(decision.allowed ? &stats()->allowed : &stats()->denied) += 1;
    return decision;
}

int cmd_can(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct question q;
    if (argc < 3) {
        return RedisModule_WrongArity(ctx);
    }
    const char *error = read_question(ctx, argv + 2, argc - 2, &q);
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    struct effective_list *roles = hl_malloc(sizeof *roles);
    bool allowed = judge(ctx, arg_slice(argv[1]), NULL, 0, &q.request, roles).allowed;
    hl_free(roles);
    return RedisModule_ReplyWithLongLong(ctx, allowed);
}

/* A member of a map: a name and a text, null when there is none. */
static void reply_member(RedisModuleCtx *ctx, const char *name, const char *text)
{
    RedisModule_ReplyWithCString(ctx, name);
    if (text == NULL) {
        RedisModule_ReplyWithNull(ctx);
    } else {
        RedisModule_ReplyWithStringBuffer(ctx, text, strlen(text));
    }
}

static const char *reason_of(const struct decision *decision, const struct effective_list *roles)
{
    if (decision->rule != NULL) {
        return decision->allowed ? "a rule allows it" : "a rule denies it, which beats all others";
    }
    if (decision->allowed) {
        return "whoever has a role may run it";
    }
    bool cut = roles->count != 0 && roles->items[roles->count - 1].role == NULL;
    if (cut) {
        return "more roles than can be looked at";
    }
    return roles->count == 0 ? "no role counts" : "no rule of the roles allows all of it";
}

int cmd_explain(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct question q;
    if (argc < 3) {
        return RedisModule_WrongArity(ctx);
    }
    const char *error = read_question(ctx, argv + 2, argc - 2, &q);
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    struct effective_list *roles = hl_malloc(sizeof *roles);
    struct decision d = judge(ctx, arg_slice(argv[1]), NULL, 0, &q.request, roles);
    RedisModule_ReplyWithMap(ctx, 6);
    RedisModule_ReplyWithCString(ctx, "allowed");
    RedisModule_ReplyWithLongLong(ctx, d.allowed);
    reply_member(ctx, "reason", reason_of(&d, roles));
    reply_member(ctx, "rule", d.rule == NULL ? NULL : d.rule->text);
    reply_member(ctx, "role", d.by == NULL ? NULL : d.by->role->name);
    reply_member(ctx, "granted", d.by == NULL ? NULL : d.by->grant);
    reply_member(ctx, "to", d.by == NULL ? NULL : d.by->subject);
    hl_free(roles);
    return REDISMODULE_OK;
}

/* The names of users who may, up to WHO_MAX; *more when there are others. */
static void reply_users(RedisModuleCtx *ctx, const struct policy *policy,
                        const struct request *request, struct effective_list *roles, bool *more)
{
    long count = 0;
    RedisModule_ReplyWithArray(ctx, REDISMODULE_POSTPONED_LEN);
    for (size_t i = 0; i < policy->subject_count; i++) {
        const char *name = policy->subjects[i]->name;
        if (name[0] == '@') {
            continue;
        }
        policy_effective(policy, hl_slice_of(name), NULL, 0, (struct hl_slice){"", 0}, roles);
        if (decide(roles, request).allowed) {
            *more = count == WHO_MAX;
            if (*more) {
                break;
            }
            RedisModule_ReplyWithStringBuffer(ctx, name, strlen(name));
            count++;
        }
    }
    RedisModule_ReplySetArrayLength(ctx, count);
}

int cmd_whocan(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct question q;
    bool more = false;
    long count = 0;
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    const char *error = read_question(ctx, argv + 1, argc - 1, &q);
    const struct policy *policy = store_policy(ctx, false);
    if (error != NULL || policy == NULL) {
        return RedisModule_ReplyWithError(ctx,
                                          error != NULL ? error : REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    struct effective_list *roles = hl_malloc(sizeof *roles);
    RedisModule_ReplyWithMap(ctx, 3);
    RedisModule_ReplyWithCString(ctx, "users");
    reply_users(ctx, policy, &q.request, roles, &more);
    RedisModule_ReplyWithCString(ctx, "more");
    RedisModule_ReplyWithLongLong(ctx, more);
    RedisModule_ReplyWithCString(ctx, "roles");
    RedisModule_ReplyWithArray(ctx, REDISMODULE_POSTPONED_LEN);
    for (size_t i = 0; i < policy->role_count; i++) {
        struct hl_slice name = hl_slice_of(policy->roles[i]->name);
        policy_effective(policy, (struct hl_slice){"", 0}, &name, 1, (struct hl_slice){"", 0},
                         roles);
        if (decide(roles, &q.request).allowed) {
            RedisModule_ReplyWithStringBuffer(ctx, name.ptr, name.len);
            count++;
        }
    }
    RedisModule_ReplySetArrayLength(ctx, count);
    hl_free(roles);
    return REDISMODULE_OK;
}
