#include "grant.h"

#include "kit/assert.h"

const char *const unit_basics[] = {
    "ping",           "echo",           "quit",           "reset",       "select",
    "hello",          "auth",           "command",        "multi",       "exec",
    "discard",        "unwatch",        "client|id",      "client|info", "client|getname",
    "client|setname", "client|setinfo", "client|session", "seq",         NULL,
};

const char *const unit_system_keys[] = {"auth:*", "rbac:*", "ratelimit:policies", NULL};

#define COMMANDS_MAX 20

/* What a named permission is in commands. */
static const struct meaning {
    const char *permission;
    const char *prefix; /* of its keys */
    unsigned use;
    const char *commands[COMMANDS_MAX + 1];
} meanings[] = {
    {"kv:get",
     "kv:",
     RULE_READ,
     {"get", "mget", "getrange", "substr", "strlen", "exists", "ttl", "pttl", "expiretime",
      "pexpiretime", "type", "watch"}},
    {"kv:set", "kv:", RULE_WRITE, {"set",    "setex",   "psetex",   "setnx",     "mset",
                                   "msetnx", "append",  "incr",     "incrby",    "incrbyfloat",
                                   "decr",   "decrby",  "setrange", "getset",    "getex",
                                   "expire", "pexpire", "expireat", "pexpireat", "persist"}},
    {"kv:delete", "kv:", RULE_WRITE, {"del", "unlink", "getdel"}},
    {"job:create", "", RULE_READ | RULE_WRITE, {"job.push"}},
    {"job:view", "", RULE_READ | RULE_WRITE, {"job.get", "job.list", "job.stats", "job.queues"}},
    {"job:cancel", "", RULE_READ | RULE_WRITE, {"job.cancel", "job.retry", "job.purge"}},
    {"job:work",
     "",
     RULE_READ | RULE_WRITE,
     {"job.pull", "job.ack", "job.nack", "job.extend", "job.get"}},
};

static bool same_namespace(struct hl_slice a, const char *b)
{
    size_t colon = strcspn(b, ":") + 1;
    return a.len > colon && memcmp(a.ptr, b, colon) == 0;
}

/* Whether an earlier rule of the role has the same namespace and scope: its unit covers this. */
static bool seen_before(const struct role *role, size_t at)
{
    const struct rule *rule = role->rules[at];
    for (size_t i = 0; i < at; i++) {
        const struct rule *other = role->rules[i];
        size_t colon = strcspn(rule->what.ptr, ":") + 1;
        if (other->kind == RULE_NAMED && !other->deny &&
            hl_slice_equal(other->scope, rule->scope) && other->what.len >= colon &&
            memcmp(other->what.ptr, rule->what.ptr, colon) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the rule names the meaning, whatever its scope. */
static bool names(const struct rule *rule, const struct meaning *meaning)
{
    struct hl_slice permission = hl_slice_of(meaning->permission);
    bool wild = rule->what.ptr[rule->what.len - 1] == '*';
    size_t fixed = rule->what.len - wild;
    return wild ? permission.len > fixed && memcmp(permission.ptr, rule->what.ptr, fixed) == 0
                : hl_slice_equal(permission, rule->what);
}

/* Call `each` for every meaning that the role's rules of the unit's namespace and scope have. */
static void each_meaning(const struct unit *unit,
                         void (*each)(void *ctx, const struct meaning *meaning), void *ctx)
{
    for (size_t m = 0; m < HL_ARRAY_LEN(meanings); m++) {
        bool meant = false;
        for (size_t i = 0; i < unit->role->rule_count && !meant; i++) {
            const struct rule *rule = unit->role->rules[i];
            meant = rule->kind == RULE_NAMED && !rule->deny && !rule_is_admin(rule) &&
                    same_namespace(unit->first->what, meanings[m].permission) &&
                    hl_slice_equal(rule->scope, unit->first->scope) && names(rule, &meanings[m]);
        }
        if (meant) {
            each(ctx, &meanings[m]);
        }
    }
}

static void note_use(void *ctx, const struct meaning *meaning)
{
    struct unit *unit = ctx;
    struct hl_slice scope = unit->first->scope;
    size_t len = strlen(meaning->prefix);
    HL_ASSERT(len + scope.len + 1 < sizeof unit->glob);
    unit->use |= meaning->use;
    memcpy(unit->glob, meaning->prefix, len);
    memcpy(unit->glob + len, scope.len != 0 ? scope.ptr : "*", scope.len != 0 ? scope.len : 1);
    unit->glob[len + (scope.len != 0 ? scope.len : 1)] = '\0';
}

bool unit_each(const struct role *role, bool (*each)(void *ctx, const struct unit *unit), void *ctx)
{
    bool plain = false;
    for (size_t i = 0; i < role->rule_count; i++) {
        const struct rule *rule = role->rules[i];
        struct unit unit = {.role = role, .first = rule};
        if (rule->deny) {
            continue;
        }
        if (rule->kind != RULE_NAMED) {
            plain = true;
            continue;
        }
        unit.all = rule_is_admin(rule);
        if (!unit.all) {
            if (seen_before(role, i)) {
                continue;
            }
            each_meaning(&unit, note_use, &unit);
        }
        if ((unit.all || unit.use != 0) && each(ctx, &unit)) {
            return true;
        }
    }
    struct unit unit = {.role = role, .plain = true};
    return plain && each(ctx, &unit);
}

struct lister {
    void (*each)(void *ctx, const char *command);
    void *ctx;
};

static void list(void *ctx, const struct meaning *meaning)
{
    const struct lister *lister = ctx;
    for (size_t i = 0; meaning->commands[i] != NULL; i++) {
        lister->each(lister->ctx, meaning->commands[i]);
    }
}

void unit_commands(const struct unit *unit, void (*each)(void *ctx, const char *command), void *ctx)
{
    struct lister lister = {each, ctx};
    HL_ASSERT(!unit->plain && !unit->all);
    each_meaning(unit, list, &lister);
}
