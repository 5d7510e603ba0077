/* Which connection holds which lease.
 *
 *   C1  A client is in `clients` while it is connected and has had a bound lease; then in `gone`
 *       until the timer has ended its leases.  The timer exists exactly while `gone` has one.
 *   C2  An entry is a claim, not the truth: the lease may have ended.  Whoever uses it compares
 *       the token.  Entries that are no leases any more are swept when a client has twice as many
 *       as it had after the last sweep.
 *
 * Leases are ended by a timer, not in the event that tells the end of a connection: that may come
 * in the middle of any command.
 */
#include "bound.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "type.h"

#define SWEEP_FIRST 64   /* entries of a client before the first sweep */
#define FIRE_BUDGET 1000 /* leases that one firing of the timer ends */
#define SOON_MS 1
#define PAUSED_MS 50 /* how often a paused server is asked whether it still is */

struct claim {
    struct claim *next;
    int db;
    uint32_t epoch;
    uint64_t seq;
    unsigned char token[JOBS_TOKEN_LEN];
    size_t name_len;
    char name[];
};

struct client {
    struct client *next; /* in `gone` */
    uint64_t id;
    struct claim *first;
    size_t count;
    size_t sweep_at;
};

static RedisModuleDict *clients; /* by id */
static struct client *gone;
static RedisModuleTimerID timer;
static bool watching; /* the server tells when connections end */

static void free_client(struct client *client)
{
    while (client->first != NULL) {
        struct claim *claim = client->first;
        client->first = claim->next;
        hl_free(claim);
    }
    hl_free(client);
}

static struct client *find(uint64_t id)
{
    return RedisModule_DictGetC(clients, &id, sizeof id, NULL);
}

static struct client *find_or_add(uint64_t id)
{
    struct client *client = find(id);
    if (client == NULL) {
        client = hl_calloc(1, sizeof *client);
        client->id = id;
        client->sweep_at = SWEEP_FIRST;
        RedisModule_DictSetC(clients, &id, sizeof id, client);
    }
    return client;
}

/* The queue's job that the claim is about, when the claim is true. */
static const struct jobs_job *job_of(const struct jobs_queue *queue, const struct claim *claim)
{
    if (queue == NULL || queue->epoch != claim->epoch) {
        return NULL;
    }
    const struct jobs_job *job = jobs_find(queue, claim->seq);
    bool holds = job != NULL && job->state == JOBS_LEASED &&
                 memcmp(job->token, claim->token, JOBS_TOKEN_LEN) == 0;
    return holds ? job : NULL;
}

static bool is_true(RedisModuleCtx *ctx, const struct claim *claim)
{
    bool wrong_type = false;
    RedisModule_SelectDb(ctx, claim->db);
    RedisModuleString *name = RedisModule_CreateString(ctx, claim->name, claim->name_len);
    RedisModuleKey *key = RedisModule_OpenKey(ctx, name, REDISMODULE_READ);
    bool holds = job_of(type_queue_of(key, &wrong_type), claim) != NULL;
    if (key != NULL) {
        RedisModule_CloseKey(key);
    }
    RedisModule_FreeString(ctx, name);
    return holds;
}

/* C2 */
static void sweep(RedisModuleCtx *ctx, struct client *client)
{
    int home = RedisModule_GetSelectedDb(ctx);
    struct claim **link = &client->first;
    while (*link != NULL) {
        struct claim *claim = *link;
        if (is_true(ctx, claim)) {
            link = &claim->next;
        } else {
            *link = claim->next;
            client->count--;
            hl_free(claim);
        }
    }
    RedisModule_SelectDb(ctx, home);
    client->sweep_at = client->count * 2 < SWEEP_FIRST ? SWEEP_FIRST : client->count * 2;
}

static uint64_t client_id(RedisModuleCtx *ctx)
{
    uint64_t id = RedisModule_GetClientId == NULL ? 0 : RedisModule_GetClientId(ctx);
    return id == UINT64_MAX ? 0 : id; /* nobody: the log is being applied */
}

bool bound_is_possible(RedisModuleCtx *ctx)
{
    bool scripted = (RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_LUA) != 0;
    return watching && !scripted && client_id(ctx) != 0;
}

static void claim(RedisModuleCtx *ctx, struct client *client, struct hl_slice name,
                  const struct jobs_queue *queue, const struct jobs_job *job)
{
    struct claim *new_claim = hl_malloc(sizeof *new_claim + name.len);
    *new_claim = (struct claim){.next = client->first,
                                .db = RedisModule_GetSelectedDb(ctx),
                                .epoch = queue->epoch,
                                .seq = job->when.tie,
                                .name_len = name.len};
    memcpy(new_claim->token, job->token, JOBS_TOKEN_LEN);
    memcpy(new_claim->name, name.ptr, name.len);
    client->first = new_claim;
    client->count++;
}

void bound_note(const struct work *work, uint64_t seq)
{
    uint64_t id = client_id(work->ctx);
    if (clients == NULL || id == 0) {
        return;
    }
    struct client *client = find_or_add(id);
    if (client->count >= client->sweep_at) {
        sweep(work->ctx, client);
    }
    claim(work->ctx, client, world_slice(work->name), work->queue, jobs_find(work->queue, seq));
}

void bound_renew(const struct work *work, uint64_t seq)
{
    const struct jobs_job *job = jobs_find(work->queue, seq);
    const struct jobs_extra *extra = job == NULL ? NULL : jobs_job_extra(job);
    uint64_t id = client_id(work->ctx);
    if (extra == NULL || !extra->bound || clients == NULL || id == 0) {
        return;
    }
    const struct client *client = find(id);
    for (const struct claim *c = client == NULL ? NULL : client->first; c != NULL; c = c->next) {
        if (c->seq == seq && job_of(work->queue, c) == job) {
            return; /* a random token: no other queue has it */
        }
    }
    bound_note(work, seq);
}

/* End the lease that the claim is about, if it still is one. */
static void end_lease(RedisModuleCtx *ctx, const struct claim *claim)
{
    RedisModule_SelectDb(ctx, claim->db);
    RedisModuleString *name = RedisModule_CreateString(ctx, claim->name, claim->name_len);
    struct work work;
    bool dropped = false;
    if (work_begin(&work, ctx, name, WORK_EXISTING)) {
        const struct jobs_job *job = job_of(work.queue, claim);
        const struct jobs_extra *extra = job == NULL ? NULL : jobs_job_extra(job);
        if (extra != NULL && extra->bound) {
            struct hl_slice token = {(const char *)claim->token, JOBS_TOKEN_LEN};
            dropped = jobs_drop(work.queue, &work.env, claim->seq, token) == JOBS_OK;
        }
        work_end(&work);
    }
    if (dropped) {
        world_notify(ctx, name, "job.drop");
    }
    RedisModule_FreeString(ctx, name);
}

static void fire(RedisModuleCtx *ctx, void *data)
{
    (void)data;
    if (world_must_wait()) {
        timer = RedisModule_CreateTimer(ctx, PAUSED_MS, fire, NULL);
        return;
    }
    int home = RedisModule_GetSelectedDb(ctx);
    bool decides = world_may_decide(ctx); /* else whoever leads sees to its own connections */
    for (size_t cost = 0; gone != NULL && cost < FIRE_BUDGET;) {
        struct client *client = gone;
        struct claim *claim = client->first;
        if (claim == NULL) {
            gone = client->next;
            free_client(client);
            continue;
        }
        client->first = claim->next;
        if (decides) {
            end_lease(ctx, claim);
            cost++;
        }
        hl_free(claim);
    }
    RedisModule_SelectDb(ctx, home);
    if (gone != NULL) {
        timer = RedisModule_CreateTimer(ctx, SOON_MS, fire, NULL);
    }
}

static void on_client(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data)
{
    (void)event;
    if (clients == NULL || sub != REDISMODULE_SUBEVENT_CLIENT_CHANGE_DISCONNECTED) {
        return;
    }
    uint64_t id = ((const RedisModuleClientInfo *)data)->id;
    struct client *client = find(id);
    if (client == NULL) {
        return;
    }
    RedisModule_DictDelC(clients, &id, sizeof id, NULL);
    if (gone == NULL) {
        timer = RedisModule_CreateTimer(ctx, SOON_MS, fire, NULL);
    }
    client->next = gone;
    gone = client;
}

void bound_register(RedisModuleCtx *ctx)
{
    clients = RedisModule_CreateDict(NULL);
    RedisModuleEvent event = {.id = REDISMODULE_EVENT_CLIENT_CHANGE, .dataver = 1};
    watching = RedisModule_GetClientId != NULL && RedisModule_SubscribeToServerEvent != NULL &&
               RedisModule_SubscribeToServerEvent(ctx, event, on_client) == REDISMODULE_OK;
    if (!watching) {
        RedisModule_Log(ctx, "warning",
                        "the server does not tell when connections end: "
                        "JOB.PULL takes no BOUND");
    }
}

void bound_fini(RedisModuleCtx *ctx)
{
    if (clients == NULL) {
        return;
    }
    if (gone != NULL) {
        RedisModule_StopTimer(ctx, timer, NULL);
    }
    while (gone != NULL) {
        struct client *client = gone;
        gone = client->next;
        free_client(client);
    }
    RedisModuleDictIter *iter = RedisModule_DictIteratorStartC(clients, "^", NULL, 0);
    void *data = NULL;
    while (RedisModule_DictNextC(iter, NULL, &data) != NULL) {
        free_client(data);
    }
    RedisModule_DictIteratorStop(iter);
    RedisModule_FreeDict(NULL, clients);
    clients = NULL;
}
