/* gateway: what a route of the HTTP API is, and what its handler may do.  For files of this module.
 *
 *   static void get_thing(struct gw_call *call)
 *   {
 *       struct gw_command get = {0};
 *       gw_arg_text(&get, "GET");
 *       gw_arg(&get, gw_param(call, "name"));
 *       gw_run(call, &get, 1, then_answer);                 // go on in then_answer()
 *   }
 *   static void then_answer(struct gw_call *call, RedisModuleCallReply *reply)
 *   {
 *       gw_answer(call, 200, json_pack("{s:o}", "value", gw_json_text(gw_reply_text(reply))));
 *   }
 *   const struct gw_route gw_thing_routes[] = {
 *       {.method = "GET", .pattern = "/things/{name}", .permission = "thing:get", .key = "name",
 *        .handle = get_thing},
 *   };
 *
 * and a row in the table of routes.c.
 *
 *   G1  A handler, and what it hands on to (`then`), runs on the gateway's own thread, one call at
 *       a time: no locks are needed among handlers, and nothing there may block for long.
 *   G2  Every path through a handler ends in exactly one gw_answer*() or gw_fail*(), or goes on by
 *       one gw_run() or gw_check(); from then on, and from the return of the last function, the
 *       call is not the handler's any more.
 *   G3  Before the handler runs, the client is known and has the route's permission.  With
 *       GW_IN_HANDLER the handler asks itself, by gw_check(), before the first gw_run(): that is
 *       asserted.
 *   G4  Commands run with all rights (G3 has decided), on whatever node leads, and `then` is called
 *       when what they did is committed.  Nothing a client sends is ever a command's name.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "form.h"
#include "helios/auth_service.h"
#include "helios/extensions.h"
#include "helios/http_service.h"
#include "helios/module.h"
#include "kit/bytes.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_COMMANDS_MAX 16               /* of one transaction */
#define GW_BODY_MAX (UINT64_C(1) << 20)  /* bytes of a body, unless the route says otherwise */
#define GW_BODY_MOST (UINT64_C(8) << 20) /* no route says more */

/* --- routes ----------------------------------------------------------------------------------- */

struct gw_call;
typedef void (*gw_handler)(struct gw_call *call);

/* Flags of a route, or-ed. */
#define GW_PUBLIC 1u         /* whoever asks: no credential is looked at */
#define GW_BODY 2u           /* a JSON object is the body: gw_body(); 400 without */
#define GW_BODY_MAYBE 4u     /* the same, but there may be none: gw_body() is NULL then */
#define GW_ONCE 8u           /* an Idempotency-Key makes its one gw_run() happen once */
#define GW_QUERY_TOKEN 16u   /* the credential may be ?token=, for browsers' WebSockets */
#define GW_LOCAL_CLIENTS 32u /* clients of this machine need no credential: SPEC 5.2, README.md */
#define GW_RAW 64u           /* the handler runs on http's thread and may upgrade: gw_request() */

/* The permission of a route whose handler calls gw_check() itself. */
#define GW_IN_HANDLER "in handler"

/* All constant, and living as long as the module. */
struct gw_route {
    const char *method, *pattern; /* as http_service.h has them */
    const char *permission;       /* "kv:get"; NULL: any client that is known */
    const char *key;              /* the {capture} that the permission is about; NULL: no key */
    gw_handler handle;
    unsigned flags;
    uint64_t body_max; /* bytes; 0: GW_BODY_MAX */
};

/* --- a call ----------------------------------------------------------------------------------- */

/* The value of a {capture}, decoded; as all these texts it lives as long as the call, and ptr is
 * NULL when there is none. */
struct hl_slice gw_param(const struct gw_call *call, const char *name);
/* The value of a parameter of the query, decoded. */
struct hl_slice gw_query(const struct gw_call *call, const char *name);
/* The first header of that name. */
struct hl_slice gw_header(const struct gw_call *call, const char *name);
/* The client's address, or "unknown". */
struct hl_slice gw_remote(const struct gw_call *call);
/* The body, an object, borrowed; NULL with GW_BODY_MAYBE and none. */
const json_t *gw_body(const struct gw_call *call);
/* Who asks, borrowed; NULL on public routes, and for clients of this machine that showed nothing.
 */
const HeliosAuthIdentity *gw_who(const struct gw_call *call);
/* The request itself, for GW_RAW: its handler answers it, or upgrades it, and then gw_done(). */
struct helios_http_request *gw_request(const struct gw_call *call);
/* The functions of http; NULL before there is http. */
const struct helios_http_service *gw_http(void);
/* The request was answered by other means: the call ends. */
void gw_done(struct gw_call *call);
/* Keep something with the call, ended by `destroy` (may be NULL) with it, or when replaced. */
void gw_keep(struct gw_call *call, void *given, void (*destroy)(void *state));
/* What gw_keep() was given last. */
void *gw_kept(const struct gw_call *call);

/* --- asking for permission -------------------------------------------------------------------- */

typedef void (*gw_go_on)(struct gw_call *call);

/* May the client do this, to this key (ptr NULL: none)?  Goes on in `then`, or answers 403.
 * `permission` is a constant, the key is copied. */
void gw_check(struct gw_call *call, const char *permission, struct hl_slice key, gw_go_on then);

/* --- running commands ------------------------------------------------------------------------- */

#define GW_ARGS_MAX 40
#define GW_NUMBERS_MAX 12

/* A command in the making; all zero is an empty one.  Texts are borrowed until gw_run(). */
struct gw_command {
    size_t argc, number_count;
    HeliosModuleText argv[GW_ARGS_MAX];
    char numbers[GW_NUMBERS_MAX][24];
};

/* Append an argument: bytes. */
void gw_arg(struct gw_command *command, struct hl_slice text);
/* Append an argument: a NUL-terminated text. */
void gw_arg_text(struct gw_command *command, const char *text);
/* Append an argument: a number, whose text the command keeps itself. */
void gw_arg_number(struct gw_command *command, int64_t number);

/* What came of commands; the reply is borrowed until it returns. Of several commands: an array. */
typedef void (*gw_then)(struct gw_call *call, RedisModuleCallReply *reply);

/* How commands run, where not as usual; zeros are defaults. */
struct gw_how {
    int read;            /* HELIOSMODULE_READ_* */
    uint64_t timeout_ms; /* default: the setting command-timeout */
    bool own_errors;     /* `then` takes error replies as well: otherwise they are answered as
                          * outcome.h has it, and `then` sees success alone */
};

/* Run a command, or up to GW_COMMANDS_MAX as one transaction, and go on in `then`.  Whatever did
 * not, or perhaps did not, run is answered here: 503, 504.  With several, an error in any of them
 * is answered as if it were the reply. */
void gw_run(struct gw_call *call, const struct gw_command *commands, size_t count, gw_then then);
/* The same, not as usual. */
void gw_run_how(struct gw_call *call, const struct gw_command *commands, size_t count,
                const struct gw_how *how, gw_then then);

/* Run one command of a name and any number of texts, at most 1 << 16. */
void gw_run_list(struct gw_call *call, const char *name, const struct hl_slice *texts, size_t count,
                 const struct gw_how *how, gw_then then);

/* --- looking at replies ----------------------------------------------------------------------- */

/* There is no reply, or it is null. */
bool gw_reply_is_null(RedisModuleCallReply *reply);
/* A text, or ptr NULL when it is none; borrowed from the reply. */
struct hl_slice gw_reply_text(RedisModuleCallReply *reply);
/* A number, also one written as text; 0 when it is none. */
int64_t gw_reply_number(RedisModuleCallReply *reply);
/* Elements of an array; 0 for anything else. */
size_t gw_reply_count(RedisModuleCallReply *reply);
/* Element `at` of an array; NULL behind its end. */
RedisModuleCallReply *gw_reply_at(RedisModuleCallReply *reply, size_t at);
/* The value of `name` in a map; NULL when there is none. */
RedisModuleCallReply *gw_reply_field(RedisModuleCallReply *reply, const char *name);
/* The whole reply as JSON: maps become objects, texts that are no UTF-8 lose their other bytes.  At
 * most 16 deep. */
json_t *gw_reply_json(RedisModuleCallReply *reply);

/* A JSON string of any bytes: what is no UTF-8 becomes U+FFFD. */
json_t *gw_json_text(struct hl_slice text);

/* --- answering -------------------------------------------------------------------------------- */

/* Answer with JSON; `given` is ended.  NULL is an internal error: 500. */
void gw_answer(struct gw_call *call, int status, json_t *given);
/* Answer with a body of another type (copied), or none at all: type NULL. */
void gw_answer_text(struct gw_call *call, int status, const char *type, struct hl_slice body);
/* Answer {"error":{"code","message"}}.  The code is a constant such as "not_found". */
void gw_fail(struct gw_call *call, int status, const char *code, const char *fmt, ...)
    HL_PRINTF(4, 5);
/* Answer what outcome.h makes of an error reply. */
void gw_fail_reply(struct gw_call *call, RedisModuleCallReply *reply);
/* False, and 403, for who came with an API key instead of a session's token. */
bool gw_has_session(struct gw_call *call);
/* Answer 400 and return true when the form (form.h) has a fault. */
bool gw_is_bad(struct gw_call *call, const struct gw_form *form);
/* A `then` that answers 200 {"ok":true}. */
void gw_answer_ok(struct gw_call *call, RedisModuleCallReply *reply);
/* Add a header to the answer to come; what cannot stand in one is left out. */
void gw_add_header(struct gw_call *call, const char *name, const char *value);

#endif
