#include "throttle.h"

#include "call.h"
#include "client.h"
#include "routes.h"
#include "services.h"
#include "settings.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define BUCKETS_MAX 100000 /* of this process; the one used longest ago goes first */
#define NAME_MAX_BYTES 320
#define TAKE_TIMEOUT_MS 2000

static atomic_ullong refused;
static struct {
    pthread_mutex_t mutex;
    HeliosRatelimitSet *set;
} local = {.mutex = PTHREAD_MUTEX_INITIALIZER};

unsigned long long gw_throttle_refused(void)
{
    return atomic_load(&refused);
}

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- buckets of this process ------------------------------------------------------------------ */

/* The set, made at its first use; NULL while the module ratelimit is not there. */
static HeliosRatelimitSet *set(void)
{
    const HeliosRatelimitService *service = gw_services()->ratelimit;
    pthread_mutex_lock(&local.mutex);
    if (local.set == NULL && service != NULL) {
        local.set = service->open(BUCKETS_MAX);
    }
    HeliosRatelimitSet *found = local.set;
    pthread_mutex_unlock(&local.mutex);
    return found;
}

void gw_throttle_end(void)
{
    if (local.set != NULL) {
        gw_services()->ratelimit->close(local.set);
        local.set = NULL;
    }
}

/* False when there are no buckets. */
static bool take_here(const char *name, const struct gw_limit *limit, int64_t want,
                      struct gw_limit_state *state)
{
    HeliosRatelimitSet *buckets = set();
    HeliosRatelimitBucket bucket = {limit->capacity, limit->num, limit->den};
    HeliosRatelimitAnswer answer;
    if (buckets == NULL || gw_services()->ratelimit->take(buckets, name, strlen(name), &bucket,
                                                          want, clock_ms(), &answer) != 0) {
        return false;
    }
    *state = (struct gw_limit_state){.allowed = answer.allowed != 0,
                                     .remaining = answer.remaining,
                                     .retry_ms = answer.retry_ms,
                                     .reset_ms = answer.reset_ms};
    return true;
}

/* --- telling ---------------------------------------------------------------------------------- */

static void add_number(struct helios_http_request *request, const char *name, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)number);
    (void)gw_http()->add_header(request, name, text);
}

static void tell(struct helios_http_request *request, const struct gw_limit *limit,
                 const struct gw_limit_state *state)
{
    char text[256];
    add_number(request, "X-RateLimit-Limit", limit->capacity);
    add_number(request, "X-RateLimit-Remaining", state->remaining);
    add_number(request, "X-RateLimit-Reset",
               state->reset_ms / 1000 + (state->reset_ms % 1000 != 0));
    gw_limit_policy_text(limit, text, sizeof text);
    (void)gw_http()->add_header(request, "RateLimit-Policy", text);
    gw_limit_state_text(limit, state, text, sizeof text);
    (void)gw_http()->add_header(request, "RateLimit", text);
}

static void decided(struct helios_http_request *request, const struct gw_limit *limit,
                    const struct gw_limit_state *state)
{
    tell(request, limit, state);
    if (state->allowed) {
        gw_http()->next(request);
        return;
    }
    atomic_fetch_add(&refused, 1);
    struct gw_problem problem = {.status = 429,
                                 .retry_after_s = (int)gw_limit_retry_s(state),
                                 .code = "rate_limited",
                                 .message = hl_slice_of("too many requests: try again later")};
    gw_fail_request(request, &problem);
}

/* T3; `error` as the server would write it. */
static void undecided(struct helios_http_request *request, const struct gw_limit *limit,
                      struct hl_slice error)
{
    if (!limit->closed) {
        gw_http()->next(request);
        return;
    }
    struct gw_problem problem = gw_problem_of(GW_RAN, error);
    if (problem.status != 503) { /* a limit changes nothing that the client could know of */
        problem = gw_problem_of(GW_RAN_NOT, error);
    }
    gw_fail_request(request, &problem);
}

/* --- buckets of the cluster ------------------------------------------------------------------- */

/* A request that waits for the leader's word. */
struct asked {
    struct helios_http_request *request;
    struct gw_limit limit;
};

/* On the server's thread. */
static void on_taken(void *data, const HeliosModuleExecuteResult *result)
{
    struct asked *asked = data;
    if (result->outcome == HELIOSMODULE_EXECUTE_ANSWERED && gw_reply_count(result->reply) >= 4) {
        struct gw_limit_state state = {
            .allowed = gw_reply_number(gw_reply_at(result->reply, 0)) != 0,
            .remaining = gw_reply_number(gw_reply_at(result->reply, 1)),
            .retry_ms = gw_reply_number(gw_reply_at(result->reply, 2)),
            .reset_ms = gw_reply_number(gw_reply_at(result->reply, 3)),
        };
        decided(asked->request, &asked->limit, &state);
    } else {
        undecided(asked->request, &asked->limit, gw_reply_text(result->reply));
    }
    RedisModule_FreeCallReply(result->reply);
    hl_free(asked);
}

static void take_there(struct helios_http_request *request, const char *name,
                       const struct gw_limit *limit)
{
    struct gw_command command = {0};
    struct asked *asked = hl_malloc(sizeof *asked);
    *asked = (struct asked){.request = request, .limit = *limit};
    gw_arg_text(&command, "RATELIMIT.TAKE");
    gw_arg_text(&command, name);
    gw_arg_number(&command, limit->capacity);
    gw_arg_number(&command, limit->num);
    gw_arg_number(&command, limit->den);
    HeliosModuleExecuteCommand list = {command.argc, command.argv};
    HeliosModuleExecuteRequest execute = {
        .version = HELIOSMODULE_EXECUTE_VERSION,
        .commands = &list,
        .count = 1,
        .client = HELIOSMODULE_TEXT("gateway"),
        .timeout_ms = TAKE_TIMEOUT_MS,
        .done = on_taken,
        .data = asked,
    };
    if (gw_execute(&execute) == 0) {
        hl_free(asked);
        undecided(request, limit, hl_slice_of("BUSY too much is under way"));
    }
}

/* --- the filters ------------------------------------------------------------------------------ */

/* The limit of a route; false when it has none. */
static bool limit_of(const struct gw_route *route, struct gw_limit *limit)
{
    const struct gw_limit *own =
        route == NULL ? NULL : gw_setting_limit(route->method, route->pattern);
    if (own != NULL) {
        *limit = *own;
        return true;
    }
    *limit = (struct gw_limit){
        .capacity = gw_setting(GW_SETTING_LIMIT_CAPACITY),
        .num = gw_setting(GW_SETTING_LIMIT_RATE_NUM),
        .den = gw_setting(GW_SETTING_LIMIT_RATE_DEN),
        .replicated = gw_setting(GW_SETTING_LIMIT_REPLICATED) != 0,
        .closed = gw_setting(GW_SETTING_LIMIT_CLOSED) != 0,
    };
    return gw_limit_valid(limit->capacity, limit->num, limit->den); /* a capacity of 0: none */
}

/* Take one of the client's bucket (T1). */
static void take(struct helios_http_request *request, const struct gw_route *route,
                 const char *kind, const char *client)
{
    struct gw_limit limit;
    struct gw_limit_state state;
    char name[NAME_MAX_BYTES];
    if (!limit_of(route, &limit)) {
        gw_http()->next(request);
        return;
    }
    snprintf(name, sizeof name, "rate:%s%s%s%s%s%s", kind, client, limit.path[0] != '\0' ? ":" : "",
             limit.method, limit.path[0] != '\0' ? ":" : "", limit.path);
    if (limit.replicated) {
        take_there(request, name, &limit);
    } else if (take_here(name, &limit, 1, &state)) {
        decided(request, &limit, &state);
    } else {
        undecided(request, &limit, hl_slice_of("MODULEMISSING the module ratelimit is not loaded"));
    }
}

/* The bucket that failed credentials cost (T2); false when there is no limit. */
static bool take_failure(const struct helios_http_request *request, int64_t want,
                         struct gw_limit *limit, struct gw_limit_state *state)
{
    char address[GW_ADDRESS_SIZE];
    char name[NAME_MAX_BYTES];
    if (!limit_of(NULL, limit)) {
        return false;
    }
    gw_client_address(request, address);
    snprintf(name, sizeof name, "fail:%s", address);
    return take_here(name, limit, want, state);
}

void gw_throttle_stranger(const struct helios_http_request *request)
{
    struct gw_limit limit;
    struct gw_limit_state state;
    (void)take_failure(request, 1, &limit, &state);
}

void gw_throttle(struct helios_http_request *request, void *data)
{
    (void)data;
    const struct gw_route *route = gw_route_of(request);
    struct gw_limit limit;
    struct gw_limit_state state;
    char address[GW_ADDRESS_SIZE];
    if (route == NULL) {
        gw_http()->next(request); /* another module's */
        return;
    }
    bool shows = gw_http()->header(request, "Authorization").ptr != NULL ||
                 gw_http()->header(request, "X-API-Key").ptr != NULL;
    if ((route->flags & GW_PUBLIC) == 0 && shows) {
        if (take_failure(request, 0, &limit, &state) && state.remaining == 0) {
            state.allowed = false;
            state.retry_ms = 1000 * limit.den / limit.num;
            decided(request, &limit, &state);
        } else {
            gw_http()->next(request); /* the user is asked behind the guard */
        }
        return;
    }
    gw_client_address(request, address);
    take(request, route, "ip:", address);
}

void gw_throttle_user(struct helios_http_request *request, void *data)
{
    (void)data;
    const struct gw_route *route = gw_route_of(request);
    const HeliosAuthIdentity *who = gw_http()->noted(request, GW_NOTE_WHO);
    if (route == NULL || who == NULL) {
        gw_http()->next(request); /* its address was asked */
    } else {
        take(request, route, "", who->user_id);
    }
}
