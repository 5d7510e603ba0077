/* Routes of http's own. */
#include "native.h"

#include "health.h"
#include "request.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdio.h>

/* Alive: this thread answers. */
static void health(struct helios_http_request *request, void *data)
{
    (void)data;
    request_respond(request, 200, "application/json", hl_slice_of("{\"status\":\"ok\"}\n"));
}

/* Ready: the server can serve. */
static void ready(struct helios_http_request *request, void *data)
{
    char body[96];
    const char *why = "";
    (void)data;
    bool good = health_ready(loop_now_ms(request->loop), &why);
    snprintf(body, sizeof body, "{\"ready\":%s,\"reason\":\"%s\"}\n", good ? "true" : "false", why);
    request_respond(request, good ? 200 : 503, "application/json", hl_slice_of(body));
}

void native_departed(struct helios_http_request *request, void *data)
{
    (void)data;
    request_fail(request, 503, "module_gone", "the module that serves this path was unloaded");
}

void native_add(struct loop *loop)
{
    static const struct {
        const char *pattern;
        helios_http_handler handle;
    } routes[] = {{"/health", health}, {"/ready", ready}};
    for (size_t i = 0; i < HL_ARRAY_LEN(routes); i++) {
        struct served *served = hl_calloc(1, sizeof *served);
        *served = (struct served){
            .refs = 1,
            .owner = NATIVE_OWNER,
            .handle = routes[i].handle,
            .flags = HELIOS_HTTP_NO_FILTERS,
            .body_max = 1024,
        };
        snprintf(served->method, sizeof served->method, "GET");
        snprintf(served->pattern, sizeof served->pattern, "%s", routes[i].pattern);
        hl_err err =
            router_add(&loop->router, "GET", routes[i].pattern, NATIVE_OWNER, served, NULL);
        HL_ASSERT(err == HL_OK);
    }
}
