/* Running commands and asking for permission, on behalf of a call. */
#include "call.h"

#include "once.h"
#include "settings.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/base64.h"
#include "kit/num.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LIST_MAX (1u << 16)
#define ONCE_HEADER "Idempotency-Key"
#define ONCE_ARGS 5 /* GATEWAY.ONCE key field digest ttl */

/* The words in front of a command that runs once. */
struct once {
    char key[64], digest[2 * HL_SHA256_BYTES + 1], ttl_ms[HL_I64_TEXT_MAX];
    HeliosModuleText *argv;
};

/* --- commands --------------------------------------------------------------------------------- */

void gw_arg(struct gw_command *command, struct hl_slice text)
{
    HL_ASSERT(command->argc < GW_ARGS_MAX);
    command->argv[command->argc++] = (HeliosModuleText){text.ptr, text.len};
}

void gw_arg_text(struct gw_command *command, const char *text)
{
    gw_arg(command, hl_slice_of(text));
}

void gw_arg_number(struct gw_command *command, int64_t number)
{
    HL_ASSERT(command->number_count < GW_NUMBERS_MAX);
    char *text = command->numbers[command->number_count++];
    int len = hl_format_i64(text, number);
    gw_arg(command, (struct hl_slice){.ptr = text, .len = (size_t)len});
}

/* The first error in what commands answered: the reply itself, or one of several. */
static RedisModuleCallReply *error_in(RedisModuleCallReply *reply, bool several)
{
    if (RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_ERROR) {
        return reply;
    }
    for (size_t i = 0; several && i < gw_reply_count(reply); i++) {
        RedisModuleCallReply *element = gw_reply_at(reply, i);
        if (RedisModule_CallReplyType(element) == REDISMODULE_REPLY_ERROR) {
            return element;
        }
    }
    return NULL;
}

static enum gw_outcome outcome_of(int outcome)
{
    return outcome == HELIOSMODULE_EXECUTE_ANSWERED       ? GW_RAN
           : outcome == HELIOSMODULE_EXECUTE_NOT_EXECUTED ? GW_RAN_NOT
                                                          : GW_RAN_PERHAPS;
}

/* On the gateway's thread: the commands have ended. */
static void go_on(struct gw_work *work)
{
    struct gw_call *call = (struct gw_call *)work;
    RedisModuleCallReply *reply = call->reply;
    RedisModuleCallReply *error = error_in(reply, call->several);
    RedisModuleCallReply *answer = reply;
    call->reply = NULL;
    if (call->once && gw_reply_count(reply) == 2) {
        if (gw_reply_number(gw_reply_at(reply, 0)) != 0) {
            gw_add_header(call, "Idempotency-Replayed", "true");
        }
        answer = gw_reply_at(reply, 1);
    }
    if (call->outcome != HELIOSMODULE_EXECUTE_ANSWERED ||
        (error != NULL && !call->how.own_errors)) {
        struct gw_problem problem =
            gw_problem_of(outcome_of(call->outcome), gw_reply_text(error != NULL ? error : reply));
        gw_fail_request(call->request, &problem);
        gw_done(call);
    } else {
        call->then(call, answer);
    }
    RedisModule_FreeCallReply(reply);
}

/* Whether what a client wants changed is to happen once. */
static bool wants_once(const struct gw_call *call)
{
    return (call->route->flags & GW_ONCE) != 0 && gw_header(call, ONCE_HEADER).ptr != NULL;
}

/* Put GATEWAY.ONCE and its arguments in front of a command; what they point to is in *once. */
static void put_once(const struct gw_call *call, const HeliosModuleExecuteCommand *command,
                     struct once *once)
{
    unsigned char digest[HL_SHA256_BYTES];
    const struct helios_http_service *http = gw_http();
    struct helios_http_text body = http->body(call->request);
    struct helios_http_text method = http->method(call->request);
    struct helios_http_text path = http->path(call->request);
    struct helios_http_text query = http->query(call->request);
    gw_once_digest((struct hl_slice){.ptr = method.ptr, .len = method.len},
                   (struct hl_slice){.ptr = path.ptr, .len = path.len},
                   (struct hl_slice){.ptr = query.ptr, .len = query.len},
                   (struct hl_slice){.ptr = body.ptr, .len = body.len}, digest);
    hl_hex_format(once->digest, digest, sizeof digest);
    snprintf(once->key, sizeof once->key, "gateway:once:%s",
             call->who != NULL ? call->who->user_id : "local");
    (void)hl_format_i64(once->ttl_ms, gw_setting(GW_SETTING_ONCE_TTL) * 1000);
    struct hl_slice field = gw_header(call, ONCE_HEADER);
    once->argv = hl_calloc(command->argc + ONCE_ARGS, sizeof *once->argv);
    once->argv[0] = HELIOSMODULE_TEXT("GATEWAY.ONCE");
    once->argv[1] = (HeliosModuleText){once->key, strlen(once->key)};
    once->argv[2] = (HeliosModuleText){field.ptr, field.len};
    once->argv[3] = (HeliosModuleText){once->digest, strlen(once->digest)};
    once->argv[4] = (HeliosModuleText){once->ttl_ms, strlen(once->ttl_ms)};
    memcpy(once->argv + ONCE_ARGS, command->argv, command->argc * sizeof *command->argv);
}

/* On the server's thread, which waits: no more than to hand it over. */
static void on_done(void *data, const HeliosModuleExecuteResult *result)
{
    struct gw_call *call = data;
    call->outcome = result->outcome;
    call->reply = result->reply;
    call->work.run = go_on;
    bool taken = gw_post(&call->work);
    HL_ASSERT(taken); /* the executor ends before the thread does */
}

static void execute(struct gw_call *call, const HeliosModuleExecuteCommand *list, size_t count,
                    const struct gw_how *how, gw_then then)
{
    char client[80];
    struct once once = {0};
    HeliosModuleExecuteCommand wrapped;
    HL_ASSERT(call->checked); /* G3 */
    call->once = wants_once(call);
    if (call->once) {
        HL_ASSERT(count == 1); /* gateway.h: one command changes things */
        put_once(call, &list[0], &once);
        wrapped = (HeliosModuleExecuteCommand){list[0].argc + ONCE_ARGS, once.argv};
        list = &wrapped;
    }
    int len = snprintf(client, sizeof client, "gateway:%s:0", call->remote);
    call->how = *how;
    call->then = then;
    call->several = count > 1;
    HeliosModuleExecuteRequest request = {
        .version = HELIOSMODULE_EXECUTE_VERSION,
        .commands = list,
        .count = count,
        .client = {client, len < (int)sizeof client ? (size_t)len : sizeof client - 1},
        .read = how->read,
        .timeout_ms = how->timeout_ms != 0 ? how->timeout_ms
                                           : (uint64_t)gw_setting(GW_SETTING_COMMAND_TIMEOUT),
        .done = on_done,
        .data = call,
    };
    if (call->local) {
        request.user = HELIOSMODULE_TEXT("default");
    }
    bool taken = gw_execute(&request) != 0;
    int error = errno;
    hl_free(once.argv);
    if (!taken) {
        gw_fail(call, 503, error == EAGAIN ? "busy" : "unavailable",
                error == EAGAIN ? "too much is under way" : "the gateway is leaving");
    }
}

void gw_run_how(struct gw_call *call, const struct gw_command *commands, size_t count,
                const struct gw_how *how, gw_then then)
{
    HeliosModuleExecuteCommand list[GW_COMMANDS_MAX];
    HL_ASSERT(count >= 1);
    HL_ASSERT(count <= GW_COMMANDS_MAX);
    for (size_t i = 0; i < count; i++) {
        list[i] = (HeliosModuleExecuteCommand){commands[i].argc, commands[i].argv};
    }
    execute(call, list, count, how, then);
}

void gw_run_list(struct gw_call *call, const char *name, const struct hl_slice *texts, size_t count,
                 const struct gw_how *how, gw_then then)
{
    HeliosModuleText *argv = hl_calloc(count + 1, sizeof *argv);
    HL_ASSERT(count <= LIST_MAX);
    argv[0] = (HeliosModuleText){name, strlen(name)};
    for (size_t i = 0; i < count; i++) {
        argv[i + 1] = (HeliosModuleText){texts[i].ptr, texts[i].len};
    }
    HeliosModuleExecuteCommand command = {count + 1, argv};
    execute(call, &command, 1, how, then);
    hl_free(argv);
}

void gw_run(struct gw_call *call, const struct gw_command *commands, size_t count, gw_then then)
{
    struct gw_how how = {0};
    gw_run_how(call, commands, count, &how, then);
}

/* --- permissions ------------------------------------------------------------------------------ */

static void on_judged(struct gw_work *work)
{
    struct gw_call *call = (struct gw_call *)work;
    const struct gw_access *access = call->access;
    switch (access->verdict) {
    case GW_ALLOWED:
        call->checked = true;
        call->go_on(call);
        return;
    case GW_UNDECIDED:
        gw_fail_request(call->request, &access->problem);
        gw_done(call);
        return;
    case GW_STRANGER:
    case GW_FORBIDDEN:
        gw_fail(call, 403, "forbidden", "this needs the permission %s", access->permission);
        return;
    }
}

static void on_decided(struct gw_access *access)
{
    struct gw_call *call = access->data;
    call->work.run = on_judged;
    bool taken = gw_post(&call->work);
    HL_ASSERT(taken);
}

void gw_check(struct gw_call *call, const char *permission, struct hl_slice key, gw_go_on then)
{
    if (call->local) {
        then(call);
        return;
    }
    HL_ASSERT(call->who != NULL);
    if (call->access == NULL) {
        call->access = hl_calloc(1, sizeof *call->access);
    }
    hl_free(call->key);
    call->key = key.ptr == NULL ? NULL : hl_strndup(key.ptr, key.len);
    call->go_on = then;
    *call->access = (struct gw_access){
        .known = true,
        .who = *call->who,
        .permission = permission,
        .key = {.ptr = call->key, .len = key.len},
        .done = on_decided,
        .data = call,
    };
    if (!gw_access_ask(call->access)) {
        gw_fail(call, 503, "busy", "too much is under way");
    }
}
