#include "bridge.h"

#include "compile.h"
#include "helios/extensions.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "settings.h"

#define WORDS_MAX 1200    /* of one ACL SETUSER: units of all roles that can count, and the rest */
#define SYNC_NOW_MAX 2000 /* users that are renewed at once; about 20 us each */
#define ROOT "resetchannels -@all" /* how the rules of a user of ours begin */

static struct {
    uint64_t changes;                /* of the store, when the round began */
    bool begun;                      /* a round was, or is, for these changes */
    bool runs;                       /* the round is not over */
    char after[POLICY_NAME_MAX + 2]; /* the round did all up to this name */
    RedisModuleUser *asked;          /* to ask whether the server knows a rule */
    RedisModuleUser *model;          /* to see what words make of a user */
    bool denies_keys;
    struct bridge_stats stats;
} bridge;

static bool knows(void *ctx, const char *rule)
{
    (void)ctx;
    return bridge.asked != NULL &&
           RedisModule_SetModuleUserACL(bridge.asked, rule) == REDISMODULE_OK;
}

const struct bridge_stats *bridge_stats(void)
{
    return &bridge.stats;
}

bool bridge_denies_keys(void)
{
    return bridge.denies_keys;
}

/* Run ACL `verb` name words...; false, having logged why, when the server refuses. */
static bool call_acl(RedisModuleCtx *ctx, const char *verb, const char *name,
                     const struct acl_words *words, bool on)
{
    RedisModuleString *argv[WORDS_MAX];
    size_t count = 0;
    const char *at = words == NULL ? NULL : words->bytes.ptr;
    if (on) {
        argv[count++] = RedisModule_CreateString(ctx, "on", 2);
    }
    for (size_t i = 0; words != NULL && i < words->count && count < WORDS_MAX; i++) {
        size_t len = strlen(at);
        argv[count++] = RedisModule_CreateString(ctx, at, len);
        at += len + 1;
    }
    RedisModuleCallReply *reply = RedisModule_Call(
        ctx, "ACL", HeliosModule_IsLeader != NULL ? "!ccv" : "ccv", verb, name, argv, count);
    bool good = reply != NULL && RedisModule_CallReplyType(reply) != REDISMODULE_REPLY_ERROR;
    if (!good) {
        size_t len = 0;
        const char *why = reply == NULL ? NULL : RedisModule_CallReplyStringPtr(reply, &len);
        RedisModule_Log(ctx, "warning", "ACL %s %s was refused: %.*s", verb, name, (int)len,
                        why != NULL ? why : "");
    }
    if (reply != NULL) {
        RedisModule_FreeCallReply(reply);
    }
    for (size_t i = 0; i < count; i++) {
        RedisModule_FreeString(ctx, argv[i]);
    }
    return good;
}

/* The rules of an ACL user as text, which the caller frees; NULL when there is none. */
static RedisModuleString *describe(const char *name)
{
    RedisModuleString *text = RedisModule_CreateString(NULL, name, strlen(name));
    RedisModuleUser *user = RedisModule_GetModuleUserFromUserName(text);
    RedisModuleString *rules = user == NULL ? NULL : RedisModule_GetModuleUserACLString(user);
    if (user != NULL) {
        RedisModule_FreeModuleUser(user);
    }
    RedisModule_FreeString(NULL, text);
    return rules;
}

/* Where the rules begin, behind flags and passwords; empty when they are not as ours are. */
static struct hl_slice rules_of(const RedisModuleString *description)
{
    struct hl_slice all;
    all.ptr = RedisModule_StringPtrLen(description, &all.len);
    const char *root = memmem(all.ptr, all.len, ROOT, sizeof ROOT - 1);
    if (root == NULL) {
        return (struct hl_slice){"", 0};
    }
    return (struct hl_slice){root, all.len - (size_t)(root - all.ptr)};
}

/* Whether a user whose description this is has the rules that the words make. */
static bool is_already(const RedisModuleString *description, const struct acl_words *words)
{
    const char *at = words->bytes.ptr;
    if (RedisModule_SetModuleUserACL(bridge.model, "reset") != REDISMODULE_OK) {
        return false;
    }
    for (size_t i = 0; i < words->count; i++, at += strlen(at) + 1) {
        if (RedisModule_SetModuleUserACL(bridge.model, at) != REDISMODULE_OK) {
            return false;
        }
    }
    RedisModuleString *wanted = RedisModule_GetModuleUserACLString(bridge.model);
    struct hl_slice rules = rules_of(wanted);
    bool same = rules.len != 0 && hl_slice_equal(rules, rules_of(description));
    RedisModule_FreeString(NULL, wanted);
    return same;
}

/* Whether a description is of a user that we made rules for. */
static bool is_ours(struct hl_slice description)
{
    static const char mark[] = COMPILE_MARK " ";
    return memmem(description.ptr, description.len, mark, sizeof mark - 1) != NULL;
}

/* Whether anybody can be this user by a password. */
static bool has_password(const RedisModuleString *description)
{
    struct hl_slice all;
    all.ptr = RedisModule_StringPtrLen(description, &all.len);
    return memmem(all.ptr, all.len, " #", 2) != NULL ||
           memmem(all.ptr, all.len, " nopass", 7) != NULL;
}

/* E1 of one user. */
static void renew(RedisModuleCtx *ctx, const struct policy *policy, const char *name)
{
    struct effective_list *roles = hl_malloc(sizeof *roles);
    struct dialect dialect = {.knows = knows, .denies_keys = bridge.denies_keys};
    struct acl_words words = {0};
    policy_effective(policy, hl_slice_of(name), NULL, 0, (struct hl_slice){"", 0}, roles);
    bool whole = compile(roles, &dialect, &words);
    hl_free(roles);
    if (words.count >= WORDS_MAX) {
        words.count = COMPILE_NOTHING + 1; /* and the mark */
        whole = false;
    }
    RedisModuleString *now = describe(name);
    if (now == NULL || !is_already(now, &words)) {
        if (!whole) {
            RedisModule_Log(ctx, "warning",
                            "%s may nothing by RESP: its roles deny keys or channels, which the "
                            "ACL of this server cannot, or are too many",
                            name);
        }
        bridge.stats.withheld += !whole;
        bridge.stats.renewed += call_acl(ctx, "SETUSER", name, &words, now == NULL);
    }
    if (now != NULL) {
        RedisModule_FreeString(NULL, now);
    }
    acl_words_fini(&words);
}

/* E2 of one user, unless the rules are somebody else's. */
static void drop(RedisModuleCtx *ctx, const char *name)
{
    struct hl_slice text;
    RedisModuleString *now = describe(name);
    if (now == NULL) {
        return;
    }
    text.ptr = RedisModule_StringPtrLen(now, &text.len);
    if (is_ours(text) && !has_password(now)) {
        bridge.stats.dropped += call_acl(ctx, "DELUSER", name, NULL, false);
    } else if (is_ours(text)) {
        struct effective_list *none = hl_calloc(1, sizeof *none);
        struct dialect dialect = {.knows = knows, .denies_keys = bridge.denies_keys};
        struct acl_words words = {0};
        (void)compile(none, &dialect, &words);
        bridge.stats.dropped += call_acl(ctx, "SETUSER", name, &words, false);
        acl_words_fini(&words);
        hl_free(none);
    }
    RedisModule_FreeString(NULL, now);
}

/* E2 of the user that a line of ACL LIST describes, when it is ours and has no grants. */
static void drop_line(RedisModuleCtx *ctx, const struct policy *policy, struct hl_slice line)
{
    static const char begin[] = "user ";
    char name[POLICY_NAME_MAX + 1];
    if (line.ptr == NULL || line.len < sizeof begin || !is_ours(line)) {
        return;
    }
    struct hl_slice text = {line.ptr + sizeof begin - 1, 0};
    while (sizeof begin - 1 + text.len < line.len && text.ptr[text.len] != ' ') {
        text.len++;
    }
    if (text.len < sizeof name && (policy == NULL || policy_subject(policy, text) == NULL)) {
        memcpy(name, text.ptr, text.len);
        name[text.len] = '\0';
        drop(ctx, name);
    }
}

/* E2 of all users that the policy does not know. */
static void drop_others(RedisModuleCtx *ctx, const struct policy *policy)
{
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "ACL", "c", "LIST");
    bool list = reply != NULL && RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_ARRAY;
    size_t count = list ? RedisModule_CallReplyLength(reply) : 0;
    for (size_t i = 0; i < count; i++) {
        struct hl_slice line;
        line.ptr =
            RedisModule_CallReplyStringPtr(RedisModule_CallReplyArrayElement(reply, i), &line.len);
        drop_line(ctx, policy, line);
    }
    if (reply != NULL) {
        RedisModule_FreeCallReply(reply);
    }
}

/* E3: whether this node changes users now. */
static bool decides(RedisModuleCtx *ctx)
{
    int flags = RedisModule_GetContextFlags(ctx);
    bool leads = HeliosModule_IsLeader == NULL || HeliosModule_IsLeader() != 0;
    bool applies = HeliosModule_IsLeader != NULL && (flags & REDISMODULE_CTX_FLAGS_REPLICATED) != 0;
    return bridge.asked != NULL && (flags & REDISMODULE_CTX_FLAGS_LOADING) == 0 && leads &&
           !applies;
}

static bool is_bridged(const char *name)
{
    return name[0] != '@' && strcmp(name, "default") != 0;
}

void bridge_sync(RedisModuleCtx *ctx)
{
    uint64_t now = store_changes();
    if (!decides(ctx)) {
        bridge.begun = false; /* whoever decides later looks at all of it */
        return;
    }
    if (!bridge.begun || bridge.changes != now) {
        bridge.begun = true;
        bridge.runs = true;
        bridge.changes = now;
        memset(bridge.after, 0, sizeof bridge.after);
    }
    if (!bridge.runs) {
        return;
    }
    const struct policy *policy = store_policy(ctx, false);
    size_t count = policy == NULL ? 0 : policy->subject_count;
    size_t at = count == 0 ? 0 : policy_after(policy, hl_slice_of(bridge.after));
    size_t end = count - at > SYNC_NOW_MAX ? at + SYNC_NOW_MAX : count;
    for (; at < end; at++) {
        const char *name = policy->subjects[at]->name;
        memcpy(bridge.after, name, strlen(name) + 1);
        if (is_bridged(name)) {
            renew(ctx, policy, name);
        }
    }
    if (at == count) {
        bridge.runs = false;
        drop_others(ctx, policy);
    }
}

void bridge_sync_one(RedisModuleCtx *ctx, struct hl_slice user)
{
    uint64_t now = store_changes();
    bool only_this = bridge.begun && !bridge.runs && bridge.changes + 1 == now;
    if (!decides(ctx) || !only_this) {
        bridge_sync(ctx);
        return;
    }
    const struct policy *policy = store_policy(ctx, false);
    const struct subject *subject = policy == NULL ? NULL : policy_subject(policy, user);
    bridge.changes = now;
    if (subject != NULL && is_bridged(subject->name)) {
        renew(ctx, policy, subject->name);
    } else if (subject == NULL && user.len <= POLICY_NAME_MAX) {
        char name[POLICY_NAME_MAX + 1];
        memcpy(name, user.ptr, user.len);
        name[user.len] = '\0';
        drop(ctx, name);
    }
}

static void on_cron(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data)
{
    (void)event;
    (void)sub;
    (void)data;
    bridge_sync(ctx);
}

/* Commands came or went: what the roles say of them counts now. */
static void on_modules(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data)
{
    (void)ctx;
    (void)event;
    (void)sub;
    (void)data;
    bridge.begun = false;
}

void bridge_load(RedisModuleCtx *ctx)
{
    bool able =
        RedisModule_GetModuleUserACLString != NULL && RedisModule_CreateModuleUser != NULL &&
        RedisModule_FreeModuleUser != NULL && RedisModule_SetModuleUserACL != NULL &&
        RedisModule_GetModuleUserFromUserName != NULL && RedisModule_SubscribeToServerEvent != NULL;
    if (!settings_bridge() || !able) {
        RedisModule_Log(ctx, "notice", "ACL users are not kept: %s",
                        able ? "rbac.acl-bridge is no" : "the server lacks what it takes");
        return;
    }
    bridge.asked = RedisModule_CreateModuleUser("rbac:asked");
    bridge.model = RedisModule_CreateModuleUser("rbac:model");
    bridge.denies_keys = knows(NULL, "-~x");
    RedisModule_SubscribeToServerEvent(ctx, RedisModuleEvent_CronLoop, on_cron);
    RedisModule_SubscribeToServerEvent(ctx, RedisModuleEvent_ModuleChange, on_modules);
}

void bridge_end(void)
{
    if (bridge.asked != NULL) {
        RedisModule_FreeModuleUser(bridge.asked);
    }
    if (bridge.model != NULL) {
        RedisModule_FreeModuleUser(bridge.model);
    }
    memset(&bridge, 0, sizeof bridge);
}
