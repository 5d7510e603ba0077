#include "access.h"

#include "door.h"
#include "services.h"

#include "kit/assert.h"
#include "kit/num.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define BUCKETS 1024

/* Questions that wait, by number. */
static struct {
    pthread_mutex_t mutex;
    uint64_t last;
    struct gw_access *buckets[BUCKETS];
} waiting = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void put(struct gw_access *access)
{
    pthread_mutex_lock(&waiting.mutex);
    access->id = ++waiting.last;
    access->next = waiting.buckets[access->id % BUCKETS];
    waiting.buckets[access->id % BUCKETS] = access;
    pthread_mutex_unlock(&waiting.mutex);
}

static void drop(struct gw_access *access)
{
    pthread_mutex_lock(&waiting.mutex);
    struct gw_access **at = &waiting.buckets[access->id % BUCKETS];
    while (*at != access) {
        HL_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = access->next;
    pthread_mutex_unlock(&waiting.mutex);
}

static struct gw_access *find(uint64_t id)
{
    pthread_mutex_lock(&waiting.mutex);
    struct gw_access *found = waiting.buckets[id % BUCKETS];
    while (found != NULL && found->id != id) {
        found = found->next;
    }
    pthread_mutex_unlock(&waiting.mutex);
    return found;
}

/* --- deciding: on the server's thread --------------------------------------------------------- */

static void say_missing(struct gw_access *access, const char *module)
{
    int len = snprintf(access->text, sizeof access->text,
                       "MODULEMISSING the module %s is not loaded", module);
    access->verdict = GW_UNDECIDED;
    access->problem =
        gw_problem_of(GW_RAN, (struct hl_slice){.ptr = access->text, .len = (size_t)len});
}

static bool identify(RedisModuleCtx *ctx, struct gw_access *access)
{
    const HeliosAuthService *auth = gw_services()->auth;
    if (auth == NULL) {
        say_missing(access, "auth");
        return false;
    }
    int result = auth->identify(ctx, access->credential.ptr, access->credential.len, &access->who,
                                &access->refusal);
    access->verdict = result == HELIOS_AUTH_GOOD ? GW_ALLOWED : GW_STRANGER;
    access->newest = access->newest || result == HELIOS_AUTH_EXPIRED; /* no state changes that */
    return result == HELIOS_AUTH_GOOD;
}

static bool permits(RedisModuleCtx *ctx, const HeliosAuthIdentity *who, const char *permission,
                    struct hl_slice key)
{
    const char *roles[HELIOS_AUTH_ROLES_MAX];
    for (size_t i = 0; i < who->role_count; i++) {
        roles[i] = who->roles[i];
    }
    HeliosRbacQuestion question = {
        .user = who->name,
        .user_len = strlen(who->name),
        .roles = roles,
        .role_count = who->role_count,
        .permission = permission,
        .key = key.ptr,
        .key_len = key.len,
    };
    return gw_services()->rbac->can(ctx, &question) == 1 &&
           gw_services()->auth->scope_allows(who, permission, key.ptr, key.len) == 1;
}

bool gw_access_permits(RedisModuleCtx *ctx, const HeliosAuthIdentity *who, const char *permission)
{
    return gw_services()->auth != NULL && gw_services()->rbac != NULL &&
           permits(ctx, who, permission, (struct hl_slice){0});
}

/* A client of this machine that shows nothing is what it would be by RESP: the user default, when
 * that one needs no password. */
static bool default_is_open(RedisModuleCtx *ctx)
{
    bool on = false;
    bool open = false;
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "ACL", "cc", "GETUSER", "default");
    RedisModuleCallReply *flags =
        reply == NULL ? NULL : RedisModule_CallReplyArrayElement(reply, 1);
    size_t count = flags == NULL ? 0 : RedisModule_CallReplyLength(flags);
    for (size_t i = 0; i < count; i++) {
        struct hl_slice flag = {0};
        RedisModuleCallReply *element = RedisModule_CallReplyArrayElement(flags, i);
        flag.ptr = RedisModule_CallReplyStringPtr(element, &flag.len);
        on = on || hl_slice_is(flag, "on");
        open = open || hl_slice_is(flag, "nopass");
    }
    if (reply != NULL) {
        RedisModule_FreeCallReply(reply);
    }
    return on && open;
}

static void decide(RedisModuleCtx *ctx, struct gw_access *access)
{
    gw_services_look(ctx);
    access->verdict = GW_ALLOWED;
    if (access->local) {
        access->verdict = default_is_open(ctx) ? GW_ALLOWED : GW_STRANGER;
        return;
    }
    if (!access->known && !identify(ctx, access)) {
        return;
    }
    if (access->permission == NULL) {
        return;
    }
    if (gw_services()->rbac == NULL || gw_services()->auth == NULL) {
        say_missing(access, gw_services()->rbac == NULL ? "rbac" : "auth");
        return;
    }
    bool may = permits(ctx, &access->who, access->permission, access->key);
    access->verdict = may ? GW_ALLOWED : GW_FORBIDDEN;
}

int gw_cmd_access(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long id = 0;
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct gw_access *access =
        RedisModule_StringToLongLong(argv[1], &id) == REDISMODULE_OK ? find((uint64_t)id) : NULL;
    if (access == NULL) {
        return RedisModule_ReplyWithError(ctx, "ERR this is for the gateway itself");
    }
    decide(ctx, access);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

/* --- asking ----------------------------------------------------------------------------------- */

static bool execute(struct gw_access *access);

/* The command did not answer: what it wrote, if anything, does not count. */
static void say_undecided(struct gw_access *access, int outcome, RedisModuleCallReply *reply)
{
    size_t len = 0;
    const char *text = RedisModule_CallReplyStringPtr(reply, &len);
    len = text == NULL ? 0 : len < sizeof access->text ? len : sizeof access->text;
    memcpy(access->text, text != NULL ? text : "", len);
    access->verdict = GW_UNDECIDED;
    /* A question changes nothing: it may be asked again, whatever became of it. */
    access->problem = gw_problem_of(outcome == HELIOSMODULE_EXECUTE_ANSWERED ? GW_RAN : GW_RAN_NOT,
                                    (struct hl_slice){.ptr = access->text, .len = len});
}

static void on_done(void *data, const HeliosModuleExecuteResult *result)
{
    struct gw_access *access = data;
    drop(access);
    if (result->outcome != HELIOSMODULE_EXECUTE_ANSWERED ||
        RedisModule_CallReplyType(result->reply) == REDISMODULE_REPLY_ERROR) {
        say_undecided(access, result->outcome, result->reply);
    }
    RedisModule_FreeCallReply(result->reply);
    bool no = access->verdict == GW_STRANGER || access->verdict == GW_FORBIDDEN;
    if (no && !access->newest) {
        access->newest = true; /* A1 */
        if (execute(access)) {
            return;
        }
        access->verdict = GW_UNDECIDED;
        access->problem = gw_problem_of(GW_RAN_NOT, hl_slice_of("BUSY too much is under way"));
    }
    access->done(access);
}

static bool execute(struct gw_access *access)
{
    char number[HL_I64_TEXT_MAX];
    put(access);
    size_t len = (size_t)hl_format_i64(number, (int64_t)access->id);
    HeliosModuleText argv[] = {HELIOSMODULE_TEXT("GATEWAY._ACCESS"), {number, len}};
    HeliosModuleExecuteCommand command = {2, argv};
    HeliosModuleExecuteRequest request = {
        .version = HELIOSMODULE_EXECUTE_VERSION,
        .commands = &command,
        .count = 1,
        .client = HELIOSMODULE_TEXT("gateway"),
        .read = access->newest ? HELIOSMODULE_READ_LINEARIZABLE : HELIOSMODULE_READ_STALE,
        .done = on_done,
        .data = access,
    };
    if (gw_execute(&request) != 0) {
        return true; /* it may be done and gone already */
    }
    drop(access);
    return false;
}

bool gw_access_ask(struct gw_access *access)
{
    access->newest = false;
    return execute(access);
}
