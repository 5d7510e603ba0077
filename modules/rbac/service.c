/* What other modules are offered, and the decisions that are remembered for them.
 *
 * A remembered decision holds as long as the policy does: the number of its changes is part of what
 * is compared.  The table is direct-mapped: whatever falls on a place replaces what is there.
 */
#include "commands.h"

#include "helios/rbac_service.h"
#include "kit/alloc.h"
#include "settings.h"

#define PLACES 1024
#define ASKED_MAX 240 /* bytes of a question that is remembered; longer ones are decided anew */

struct remembered {
    uint64_t changes; /* of the store; 0: nothing is here */
    uint16_t len;
    bool allowed;
    char asked[ASKED_MAX];
};

static struct remembered *table;

/* The question as bytes: each part with its length in front, so that no two are alike. */
static bool spell(struct remembered *out, const HeliosRbacQuestion *q)
{
    struct hl_buf bytes = {0};
    struct hl_slice fallback = settings_default_role();
    hl_buf_append_le32(&bytes, (uint32_t)q->user_len);
    hl_buf_append(&bytes, q->user, q->user_len);
    hl_buf_append_u8(&bytes, q->key != NULL);
    hl_buf_append_le32(&bytes, (uint32_t)q->key_len);
    hl_buf_append(&bytes, q->key, q->key != NULL ? q->key_len : 0);
    hl_buf_append(&bytes, q->permission, strlen(q->permission) + 1);
    hl_buf_append_slice(&bytes, fallback);
    for (size_t i = 0; i < q->role_count; i++) {
        hl_buf_append_u8(&bytes, 0);
        hl_buf_append_text(&bytes, q->roles[i]);
    }
    bool fits = bytes.len <= ASKED_MAX;
    if (fits) {
        out->len = (uint16_t)bytes.len;
        memcpy(out->asked, bytes.ptr, bytes.len);
    }
    hl_buf_fini(&bytes);
    return fits;
}

static struct remembered *place_of(const struct remembered *asked)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < asked->len; i++) {
        hash = (hash ^ (unsigned char)asked->asked[i]) * UINT64_C(1099511628211);
    }
    return &table[(hash ^ hash >> 32) % PLACES];
}

static bool decide_anew(RedisModuleCtx *ctx, const HeliosRbacQuestion *q)
{
    struct hl_slice carried[HELIOS_RBAC_ROLES_MAX];
    struct hl_slice key = {q->key, q->key_len};
    struct request *request = hl_calloc(1, sizeof *request);
    struct effective_list *roles = hl_malloc(sizeof *roles);
    for (size_t i = 0; i < q->role_count; i++) {
        carried[i] = hl_slice_of(q->roles[i]);
    }
    request->permission = hl_slice_of(q->permission);
    request->key = q->key != NULL ? &key : NULL;
    struct hl_slice user = {q->user != NULL ? q->user : "", q->user_len};
    bool allowed = judge(ctx, user, carried, q->role_count, request, roles).allowed;
    hl_free(roles);
    hl_free(request);
    return allowed;
}

static int can(RedisModuleCtx *ctx, const HeliosRbacQuestion *question)
{
    HeliosRbacQuestion q = *question;
    struct remembered asked;
    if (q.permission == NULL || !rule_permission_valid(hl_slice_of(q.permission)) ||
        (q.user == NULL && q.user_len != 0) || (q.roles == NULL && q.role_count != 0)) {
        return -1;
    }
    q.role_count = q.role_count < HELIOS_RBAC_ROLES_MAX ? q.role_count : HELIOS_RBAC_ROLES_MAX;
    uint64_t now = store_changes() + 1;
    if (!spell(&asked, &q)) {
        return decide_anew(ctx, &q);
    }
    struct remembered *place = place_of(&asked);
    if (place->changes == now && place->len == asked.len &&
        memcmp(place->asked, asked.asked, asked.len) == 0) {
        stats()->cache_hits++;
        return place->allowed;
    }
    asked.allowed = decide_anew(ctx, &q);
    asked.changes = now;
    *place = asked;
    return asked.allowed;
}

void service_load(RedisModuleCtx *ctx)
{
    static const HeliosRbacService service = {
        .struct_size = sizeof service, .can = can, .epoch = store_changes};
    table = hl_calloc(PLACES, sizeof *table);
    if (RedisModule_ExportSharedAPI == NULL ||
        RedisModule_ExportSharedAPI(ctx, HELIOS_RBAC_SERVICE, (void *)&service) != REDISMODULE_OK) {
        RedisModule_Log(ctx, "warning", "cannot offer %s to other modules", HELIOS_RBAC_SERVICE);
    }
}

void service_end(void)
{
    hl_free(table);
    table = NULL;
}
