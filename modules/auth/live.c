/* A list of logged-in connections, by client id. */
#include "live.h"

#include "apikey.h"
#include "session.h"
#include "store.h"

#include "kit/alloc.h"
#include "kit/assert.h"

struct live {
    struct live *next;
    uint64_t client;
    uint64_t cv;
    bool by_session, by_key; /* whether it hangs on the one or the other below */
    unsigned char sid[TOKEN_ID_LEN];
    unsigned char apikey[RECORD_APIKEY_LEN];
    int64_t until_ms; /* when to look whether that has ended; 0: never */
    char name[USER_NAME_MAX + 1];
};

static struct live *all;

/* The place that points to the client's entry, or to NULL at the end. */
static struct live **find(uint64_t client)
{
    struct live **at = &all;
    while (*at != NULL && (*at)->client != client) {
        at = &(*at)->next;
    }
    return at;
}

/* The server says that the client left, or became somebody else. */
static void on_changed(uint64_t client, void *data)
{
    (void)data; /* a pointer could outlive the entry: the id cannot */
    struct live **at = find(client);
    struct live *gone = *at;
    if (gone != NULL) {
        *at = gone->next;
        hl_free(gone);
    }
}

bool live_login(RedisModuleCtx *ctx, const struct user_record *user, const struct live_tie *tie)
{
    uint64_t client = 0;
    if (RedisModule_AuthenticateClientWithACLUser == NULL ||
        RedisModule_AuthenticateClientWithACLUser(ctx, user->name, strlen(user->name), on_changed,
                                                  NULL, &client) != REDISMODULE_OK) {
        return false;
    }
    on_changed(client, NULL); /* an earlier login of the same connection */
    struct live *live = hl_calloc(1, sizeof *live);
    live->client = client;
    live->cv = user->cv;
    live->by_session = tie->sid != NULL;
    live->by_key = tie->apikey != NULL;
    live->until_ms = tie->until_ms;
    if (tie->sid != NULL) {
        memcpy(live->sid, tie->sid, sizeof live->sid);
    }
    if (tie->apikey != NULL) {
        memcpy(live->apikey, tie->apikey, sizeof live->apikey);
    }
    memcpy(live->name, user->name, sizeof live->name);
    live->next = all;
    all = live;
    return true;
}

void live_keep(RedisModuleCtx *ctx, const struct user_record *user)
{
    struct live *live = *find(RedisModule_GetClientId(ctx));
    if (live != NULL && strcmp(live->name, user->name) == 0) {
        live->cv = user->cv;
        live->by_session = false;
        live->by_key = false;
        live->until_ms = 0;
    }
}

const char *live_name(RedisModuleCtx *ctx)
{
    const struct live *live = *find(RedisModule_GetClientId(ctx));
    return live == NULL ? NULL : live->name;
}

/* Whether a key still lets its user in, and until when. */
static bool key_alive(RedisModuleCtx *ctx, struct live *live, const struct user_record *user,
                      int64_t now_ms)
{
    struct apikey_record key;
    if (store_get_apikey(ctx, live->apikey, &key) != HL_OK ||
        apikey_objection(&key, user, now_ms) != NULL) {
        return false;
    }
    live->until_ms = key.expires_ms;
    return true;
}

static bool allowed(RedisModuleCtx *ctx, struct live *live, const struct user_record *user)
{
    if (live->by_key) { /* a new password does not end keys */
        return key_alive(ctx, live, user, RedisModule_Milliseconds());
    }
    bool listed = !live->by_session;
    for (size_t i = 0; i < user->session_count && !listed; i++) {
        listed = memcmp(user->sessions[i], live->sid, TOKEN_ID_LEN) == 0;
    }
    return listed && !user->disabled && live->cv == user->cv;
}

/* Take the entry at `at` out and close its connection. */
static void end(RedisModuleCtx *ctx, struct live **at)
{
    struct live *gone = *at;
    uint64_t client = gone->client;
    *at = gone->next; /* first, so that on_changed() finds nothing to do */
    hl_free(gone);
    RedisModule_DeauthenticateAndCloseClient(ctx, client);
}

void live_check(RedisModuleCtx *ctx, const struct user_record *user)
{
    struct live **at = &all;
    while (*at != NULL) {
        struct live *live = *at;
        if (strcmp(live->name, user->name) != 0 || allowed(ctx, live, user)) {
            at = &live->next;
        } else {
            end(ctx, at);
        }
    }
}

/* Whether what should have ended was prolonged; then it is looked at again when that ends. */
static bool prolonged(RedisModuleCtx *ctx, struct live *live, int64_t now_ms)
{
    bool alive = false;
    struct user_record *user = hl_calloc(1, sizeof *user);
    struct session_record *session = hl_calloc(1, sizeof *session);
    if (store_get_user(ctx, live->name, user) != HL_OK) {
        alive = false;
    } else if (live->by_key) {
        alive = key_alive(ctx, live, user, now_ms);
    } else if (store_get_session(ctx, live->sid, session) == HL_OK &&
               session_alive(session, user, now_ms)) {
        live->until_ms = session->expires_ms;
        alive = true;
    }
    hl_free(session);
    hl_free(user);
    return alive;
}

void live_expire(RedisModuleCtx *ctx, int64_t now_ms)
{
    struct live **at = &all;
    while (*at != NULL) {
        struct live *live = *at;
        if (live->until_ms == 0 || now_ms < live->until_ms || prolonged(ctx, live, now_ms)) {
            at = &live->next;
        } else {
            end(ctx, at);
        }
    }
}

void live_unload(void)
{
    while (all != NULL) {
        struct live *gone = all;
        all = gone->next;
        hl_free(gone);
    }
}
