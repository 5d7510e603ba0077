/* A list of logged-in connections, by client id. */
#include "live.h"

#include "kit/alloc.h"
#include "kit/assert.h"

struct live {
    struct live *next;
    uint64_t client;
    uint64_t cv;
    bool bound; /* to the session below */
    unsigned char sid[TOKEN_ID_LEN];
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

bool live_login(RedisModuleCtx *ctx, const struct user_record *user, const unsigned char *sid)
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
    live->bound = sid != NULL;
    if (sid != NULL) {
        memcpy(live->sid, sid, sizeof live->sid);
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
        live->bound = false;
    }
}

static bool allowed(const struct live *live, const struct user_record *user)
{
    bool listed = !live->bound;
    for (size_t i = 0; i < user->session_count && !listed; i++) {
        listed = memcmp(user->sessions[i], live->sid, TOKEN_ID_LEN) == 0;
    }
    return listed && !user->disabled && live->cv == user->cv;
}

void live_check(RedisModuleCtx *ctx, const struct user_record *user)
{
    struct live **at = &all;
    while (*at != NULL) {
        struct live *live = *at;
        if (strcmp(live->name, user->name) != 0 || allowed(live, user)) {
            at = &live->next;
            continue;
        }
        uint64_t client = live->client;
        *at = live->next; /* first, so that on_changed() finds nothing to do */
        hl_free(live);
        RedisModule_DeauthenticateAndCloseClient(ctx, client);
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
