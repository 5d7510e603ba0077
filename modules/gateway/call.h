/* A call: a request from the moment its handler may run to its answer.
 *
 *   C1  a call belongs to one thread at a time: http's until it is posted, the gateway's while its
 *       code runs, the server's while a command or a question is under way.
 *   C2  it is ended by its answer, once.
 */
#ifndef GATEWAY_CALL_H
#define GATEWAY_CALL_H

#include "access.h"
#include "client.h"
#include "door.h"
#include "gateway.h"

#define GW_NOTE_WHO "gateway.who"     /* HeliosAuthIdentity of the request, by the filter */
#define GW_NOTE_LOCAL "gateway.local" /* anything: a client of this machine that showed nothing */

struct gw_call {
    struct gw_work work;
    struct helios_http_request *request;
    const struct gw_route *route;
    json_t *body;
    const HeliosAuthIdentity *who; /* borrowed from the request's notes */
    char remote[GW_ADDRESS_SIZE];
    bool local;   /* it has the rights of the user default */
    bool checked; /* its permission was asked for (G3) */

    /* A command under way, and its result. */
    gw_then then;
    struct gw_how how;
    int outcome;
    RedisModuleCallReply *reply;
    bool several;
    bool once; /* it runs by GATEWAY.ONCE */

    /* A question under way. */
    gw_go_on go_on;
    struct gw_access *access;
    char *key; /* that it is about; owned */

    void *kept;
    void (*kept_destroy)(void *state);
};

/* A handler of http: begin a call. `data` is its route. */
void gw_call_begin(struct helios_http_request *request, void *data);

/* Answer a problem, on any thread, without a call. */
void gw_fail_request(struct helios_http_request *request, const struct gw_problem *problem);

#endif
