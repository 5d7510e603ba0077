/* Reading credentials, and the verdict on them. */
#include "guard.h"

#include "access.h"
#include "call.h"
#include "credential.h"
#include "routes.h"
#include "settings.h"
#include "throttle.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdio.h>

/* A request that waits for its verdict. */
struct guarded {
    struct gw_access access;
    struct helios_http_request *request;
};

static struct hl_slice header(const struct helios_http_request *request, const char *name)
{
    struct helios_http_text text = gw_http()->header(request, name);
    return (struct hl_slice){.ptr = text.ptr, .len = text.len};
}

static void forget(void *note)
{
    hl_free(note);
}

/* Keep the identity with the request, for its handler and the access log. */
static void admit(struct helios_http_request *request, const struct gw_access *access)
{
    if (access->local) {
        static char yes;
        (void)gw_http()->note(request, GW_NOTE_LOCAL, &yes, NULL);
    } else {
        HeliosAuthIdentity *who = hl_malloc(sizeof *who);
        *who = access->who;
        (void)gw_http()->set_user(request, who->name, strlen(who->name));
        if (gw_http()->note(request, GW_NOTE_WHO, who, forget) != HELIOS_HTTP_OK) {
            hl_free(who);
            gw_http()->fail(request, 500, "internal", "there is no room for a note");
            return;
        }
    }
    gw_http()->next(request);
}

static void refuse_stranger(struct helios_http_request *request, const struct gw_access *access)
{
    char text[sizeof access->refusal.code + sizeof access->refusal.text + 1];
    int len = access->local ? snprintf(text, sizeof text, "NOAUTH a token or an API key is needed")
                            : snprintf(text, sizeof text, "%s %s", access->refusal.code,
                                       access->refusal.text);
    struct gw_problem problem =
        gw_problem_of(GW_RAN, (struct hl_slice){.ptr = text, .len = (size_t)len});
    problem.status = 401; /* whatever it is called */
    if (!access->local) {
        gw_throttle_stranger(request);
    }
    gw_fail_request(request, &problem);
}

/* On the server's thread. */
static void on_verdict(struct gw_access *access)
{
    struct guarded *guarded = access->data;
    struct helios_http_request *request = guarded->request;
    char text[160];
    switch (access->verdict) {
    case GW_ALLOWED:
        admit(request, access);
        break;
    case GW_STRANGER:
        refuse_stranger(request, access);
        break;
    case GW_FORBIDDEN:
        snprintf(text, sizeof text, "this needs the permission %s", access->permission);
        gw_http()->fail(request, 403, "forbidden", text);
        break;
    case GW_UNDECIDED:
        gw_fail_request(request, &access->problem);
        break;
    }
    hl_free(guarded);
}

static struct hl_slice credential_of(struct helios_http_request *request, unsigned flags)
{
    struct hl_slice credential = gw_credential(header(request, "Authorization"));
    if (credential.ptr == NULL) {
        credential = header(request, "X-API-Key");
    }
    if (credential.ptr == NULL && (flags & GW_QUERY_TOKEN) != 0) {
        credential = gw_protocol_credential(header(request, "Sec-WebSocket-Protocol"));
    }
    if (credential.ptr == NULL && (flags & GW_QUERY_TOKEN) != 0) {
        struct helios_http_text token = gw_http()->query_value(request, "token");
        credential = (struct hl_slice){.ptr = token.ptr, .len = token.len};
    }
    return credential;
}

/* A client of this machine, and not somebody behind a proxy or a page in a browser here. */
static bool is_local(const struct helios_http_request *request)
{
    struct helios_http_text remote = gw_http()->remote(request);
    return gw_setting(GW_SETTING_LOCAL_KV) != 0 &&
           gw_is_loopback((struct hl_slice){.ptr = remote.ptr, .len = remote.len}) &&
           gw_is_local_host(header(request, "Host")) && header(request, "Origin").ptr == NULL &&
           header(request, "Forwarded").ptr == NULL &&
           header(request, "X-Forwarded-For").ptr == NULL && header(request, "Via").ptr == NULL;
}

static struct hl_slice key_of(const struct helios_http_request *request,
                              const struct gw_route *route)
{
    struct helios_http_text key = {0};
    if (route->key != NULL) {
        key = gw_http()->param(request, route->key);
    }
    return (struct hl_slice){.ptr = key.ptr, .len = key.len};
}

void gw_guard(struct helios_http_request *request, void *data)
{
    (void)data;
    const struct gw_route *route = gw_route_of(request);
    if (route == NULL || (route->flags & GW_PUBLIC) != 0) {
        gw_http()->next(request); /* another module's, or for everybody */
        return;
    }
    struct hl_slice credential = credential_of(request, route->flags);
    bool local = credential.ptr == NULL && (route->flags & GW_LOCAL_CLIENTS) != 0 &&
                 header(request, "Authorization").ptr == NULL && is_local(request);
    if (credential.ptr == NULL && !local) {
        struct gw_problem problem =
            gw_problem_of(GW_RAN, hl_slice_of("NOAUTH a token or an API key is needed"));
        gw_fail_request(request, &problem);
        return;
    }
    bool by_handler = route->permission != NULL && strcmp(route->permission, GW_IN_HANDLER) == 0;
    struct guarded *guarded = hl_calloc(1, sizeof *guarded);
    guarded->request = request;
    guarded->access = (struct gw_access){
        .credential = credential,
        .local = local,
        .permission = by_handler ? NULL : route->permission,
        .key = key_of(request, route),
        .done = on_verdict,
        .data = guarded,
    };
    if (!gw_access_ask(&guarded->access)) {
        hl_free(guarded);
        struct gw_problem busy =
            gw_problem_of(GW_RAN_NOT, hl_slice_of("BUSY too much is under way"));
        gw_fail_request(request, &busy);
    }
}
