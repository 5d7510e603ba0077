#include "call.h"

#include "once.h"
#include "services.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/json.h"

#include <stdarg.h>
#include <stdio.h>

#define MESSAGE_MAX 400

const struct helios_http_service *gw_http(void)
{
    return gw_services()->http;
}

static struct hl_slice slice_of(struct helios_http_text text)
{
    return (struct hl_slice){.ptr = text.ptr, .len = text.len};
}

/* --- life ------------------------------------------------------------------------------------- */

static void call_destroy(struct gw_call *call)
{
    gw_keep(call, NULL, NULL);
    json_decref(call->body);
    hl_free(call->access);
    hl_free(call->key);
    hl_free(call);
}

void gw_done(struct gw_call *call)
{
    call_destroy(call);
}

/* The body as an object; false when the client was told what is wrong with it. */
static bool read_body(struct gw_call *call)
{
    struct hl_slice text = slice_of(gw_http()->body(call->request));
    struct hl_json_limits limits = {.size_max = GW_BODY_MOST, .depth_max = HL_JSON_DEPTH_DEFAULT};
    struct hl_errmsg msg = {0};
    if (text.len == 0 && (call->route->flags & GW_BODY_MAYBE) != 0) {
        return true;
    }
    if (text.len == 0) {
        gw_fail(call, 400, "invalid_json", "a JSON object is expected as the body");
        return false;
    }
    hl_err err = hl_json_parse(&call->body, text, &limits, &msg);
    if (err != HL_OK) {
        gw_fail(call, 400, "invalid_json", "%s", msg.text);
        return false;
    }
    if (!json_is_object(call->body)) {
        gw_fail(call, 400, "invalid_json", "the body is not a JSON object");
        return false;
    }
    return true;
}

static void run_handler(struct gw_work *work)
{
    struct gw_call *call = (struct gw_call *)work;
    struct hl_slice key = gw_header(call, "Idempotency-Key");
    if ((call->route->flags & GW_ONCE) != 0 && key.ptr != NULL && !gw_once_key_valid(key)) {
        gw_fail(call, 400, "invalid", "an Idempotency-Key has 1 to %d printable characters",
                GW_ONCE_KEY_MAX);
        return;
    }
    if ((call->route->flags & (GW_BODY | GW_BODY_MAYBE)) != 0 && !read_body(call)) {
        return;
    }
    call->route->handle(call);
}

void gw_call_begin(struct helios_http_request *request, void *data)
{
    const struct gw_route *route = data;
    struct gw_call *call = hl_calloc(1, sizeof *call);
    call->work.run = run_handler;
    call->request = request;
    call->route = route;
    gw_client_address(request, call->remote);
    call->who = gw_http()->noted(request, GW_NOTE_WHO);
    call->local = gw_http()->noted(request, GW_NOTE_LOCAL) != NULL;
    bool by_handler = route->permission != NULL && strcmp(route->permission, GW_IN_HANDLER) == 0;
    call->checked = !by_handler || call->local;
    if ((route->flags & GW_RAW) != 0) {
        route->handle(call);
    } else if (!gw_post(&call->work)) {
        gw_fail(call, 503, "unavailable", "the gateway is leaving");
    }
}

void gw_keep(struct gw_call *call, void *given, void (*destroy)(void *state))
{
    if (call->kept != NULL && call->kept_destroy != NULL) {
        call->kept_destroy(call->kept);
    }
    call->kept = given;
    call->kept_destroy = destroy;
}

void *gw_kept(const struct gw_call *call)
{
    return call->kept;
}

/* --- looking ---------------------------------------------------------------------------------- */

struct hl_slice gw_param(const struct gw_call *call, const char *name)
{
    return slice_of(gw_http()->param(call->request, name));
}

struct hl_slice gw_query(const struct gw_call *call, const char *name)
{
    return slice_of(gw_http()->query_value(call->request, name));
}

struct hl_slice gw_header(const struct gw_call *call, const char *name)
{
    return slice_of(gw_http()->header(call->request, name));
}

struct hl_slice gw_remote(const struct gw_call *call)
{
    return hl_slice_of(call->remote);
}

const json_t *gw_body(const struct gw_call *call)
{
    return call->body;
}

const HeliosAuthIdentity *gw_who(const struct gw_call *call)
{
    return call->who;
}

struct helios_http_request *gw_request(const struct gw_call *call)
{
    return call->request;
}

/* --- answering -------------------------------------------------------------------------------- */

void gw_add_header(struct gw_call *call, const char *name, const char *value)
{
    (void)gw_http()->add_header(call->request, name, value);
}

void gw_answer_text(struct gw_call *call, int status, const char *type, struct hl_slice body)
{
    gw_http()->respond(call->request, status, type, body.ptr, body.len);
    call_destroy(call);
}

void gw_answer(struct gw_call *call, int status, json_t *given)
{
    struct hl_buf body = {0};
    if (given == NULL) {
        gw_fail(call, 500, "internal", "the answer could not be made");
        return;
    }
    hl_json_append(&body, given);
    json_decref(given);
    hl_buf_append_u8(&body, '\n');
    gw_answer_text(call, status, "application/json", hl_buf_view(&body));
    hl_buf_fini(&body);
}

void gw_fail_request(struct helios_http_request *request, const struct gw_problem *problem)
{
    char message[MESSAGE_MAX];
    snprintf(message, sizeof message, "%.*s", (int)problem->message.len, problem->message.ptr);
    if (problem->retry_after_s != 0) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%d", problem->retry_after_s);
        (void)gw_http()->add_header(request, "Retry-After", seconds);
    }
    if (problem->status == 401) {
        (void)gw_http()->add_header(request, "WWW-Authenticate", "Bearer realm=\"helios\"");
    }
    gw_http()->fail(request, problem->status, problem->code, message);
}

void gw_fail(struct gw_call *call, int status, const char *code, const char *fmt, ...)
{
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    struct gw_problem problem = {.status = status,
                                 .retry_after_s = status == 503,
                                 .code = code,
                                 .message = hl_slice_of(message)};
    gw_fail_request(call->request, &problem);
    call_destroy(call);
}

bool gw_is_bad(struct gw_call *call, const struct gw_form *form)
{
    if (form->why[0] == '\0') {
        return false;
    }
    gw_fail(call, 400, "invalid", "%s", form->why);
    return true;
}

void gw_answer_ok(struct gw_call *call, RedisModuleCallReply *reply)
{
    (void)reply;
    gw_answer(call, 200, json_pack("{s:b}", "ok", 1));
}

void gw_fail_reply(struct gw_call *call, RedisModuleCallReply *reply)
{
    struct gw_problem problem = gw_problem_of(GW_RAN, gw_reply_text(reply));
    gw_fail_request(call->request, &problem);
    call_destroy(call);
}
