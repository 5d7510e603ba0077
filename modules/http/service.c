/* The table's registration half: owners, routes, filters, observers.  Its other half, which runs on
 * any thread, is in answers.c. */
#include "service.h"

#include "answers.h"
#include "native.h"
#include "request.h"
#include "socket.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "net/desk.h"

#include <stdio.h>

struct helios_http_owner {
    struct helios_http_owner *next;
    uint64_t id;
    char name[64];
};

/* On the server's thread alone. */
static struct loop *current;
static struct helios_http_owner *owners;
static uint64_t last_id = NATIVE_OWNER;

const char *service_owner_name(uint64_t owner)
{
    for (const struct helios_http_owner *o = owners; o != NULL; o = o->next) {
        if (o->id == owner) {
            return o->name;
        }
    }
    return owner == NATIVE_OWNER ? "http" : "?";
}

static struct helios_http_owner *join(const char *name)
{
    struct helios_http_owner *owner = hl_calloc(1, sizeof *owner);
    owner->id = ++last_id;
    snprintf(owner->name, sizeof owner->name, "%s", name);
    owner->next = owners;
    owners = owner;
    return owner;
}

/* --- routes ----------------------------------------------------------------------------------- */

struct route_job {
    struct served *served;
    const char *method, *pattern;
    uint64_t owner;
    struct hl_errmsg msg;
    hl_err err;
};

static void add_route(struct loop *loop, void *arg)
{
    struct route_job *job = arg;
    job->err =
        router_add(&loop->router, job->method, job->pattern, job->owner, job->served, &job->msg);
}

static int route(struct helios_http_owner *owner, const struct helios_http_route *wanted, char *why,
                 size_t why_size)
{
    struct route_job job = {
        .owner = owner->id, .method = wanted->method, .pattern = wanted->pattern};
    const char *missing = wanted->method == NULL || wanted->pattern == NULL
                              ? "a route needs a method and a pattern"
                          : wanted->handle == NULL ? "a route needs a handler"
                                                   : NULL;
    if (missing == NULL) {
        struct served *served = hl_calloc(1, sizeof *served);
        *served = (struct served){
            .refs = 1,
            .owner = owner->id,
            .handle = wanted->handle,
            .data = wanted->data,
            .flags = wanted->flags,
            .body_max = wanted->body_max,
        };
        snprintf(served->method, sizeof served->method, "%s", wanted->method);
        snprintf(served->pattern, sizeof served->pattern, "%s", wanted->pattern);
        job.served = served;
        loop_ask(current, add_route, &job);
        if (job.err == HL_OK) {
            return HELIOS_HTTP_OK;
        }
        hl_free(served);
    }
    if (why != NULL && why_size != 0) {
        snprintf(why, why_size, "%s", missing != NULL ? missing : job.msg.text);
    }
    return job.err == HL_EBUSY   ? HELIOS_HTTP_EEXIST
           : job.err == HL_EFULL ? HELIOS_HTTP_EFULL
                                 : HELIOS_HTTP_EINVAL;
}

static void unref(struct served *served)
{
    if (--served->refs == 0) {
        hl_free(served);
    }
}

static void remove_route(struct loop *loop, void *arg)
{
    struct route_job *job = arg;
    job->served = router_take(&loop->router, job->method, job->pattern, job->owner);
    if (job->served != NULL) {
        unref(job->served);
    }
}

static int unroute(struct helios_http_owner *owner, const char *method, const char *pattern)
{
    struct route_job job = {.owner = owner->id, .method = method, .pattern = pattern};
    loop_ask(current, remove_route, &job);
    return job.served != NULL ? HELIOS_HTTP_OK : HELIOS_HTTP_ENOENT;
}

/* --- filters and observers -------------------------------------------------------------------- */

struct filter_job {
    struct filter filter;
    struct observer observer;
    bool full;
};

static void add_filter(struct loop *loop, void *arg)
{
    struct filter_job *job = arg;
    job->full = loop->filter_count == HTTP_FILTERS_MAX;
    if (job->full) {
        return;
    }
    size_t at = loop->filter_count++;
    for (; at > 0 && loop->filters[at - 1].order > job->filter.order; at--) {
        loop->filters[at] = loop->filters[at - 1];
    }
    loop->filters[at] = job->filter;
    for (struct helios_http_request *r = loop->requests; r != NULL; r = r->next) {
        r->filter_at += r->filter_at > at; /* it goes on where it was */
    }
}

static int filter(struct helios_http_owner *owner, int order, helios_http_handler run, void *data,
                  unsigned flags)
{
    struct filter_job job = {.filter = {owner->id, order, run, data, flags}};
    if (run == NULL) {
        return HELIOS_HTTP_EINVAL;
    }
    loop_ask(current, add_filter, &job);
    return job.full ? HELIOS_HTTP_EFULL : HELIOS_HTTP_OK;
}

static void add_observer(struct loop *loop, void *arg)
{
    struct filter_job *job = arg;
    job->full = loop->observer_count == HTTP_FILTERS_MAX;
    if (!job->full) {
        loop->observers[loop->observer_count++] = job->observer;
    }
}

static int observe(struct helios_http_owner *owner, helios_http_observer run, void *data)
{
    struct filter_job job = {.observer = {owner->id, run, data}};
    if (run == NULL) {
        return HELIOS_HTTP_EINVAL;
    }
    loop_ask(current, add_observer, &job);
    return job.full ? HELIOS_HTTP_EFULL : HELIOS_HTTP_OK;
}

/* --- leaving ---------------------------------------------------------------------------------- */

static void remove_filters(struct loop *loop, uint64_t owner)
{
    for (size_t i = loop->filter_count; i > 0; i--) {
        size_t at = i - 1;
        if (loop->filters[at].owner != owner) {
            continue;
        }
        loop->filter_count--;
        memmove(&loop->filters[at], &loop->filters[at + 1],
                (loop->filter_count - at) * sizeof loop->filters[0]);
        for (struct helios_http_request *r = loop->requests; r != NULL; r = r->next) {
            r->filter_at -= r->filter_at > at;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < loop->observer_count; i++) {
        if (loop->observers[i].owner != owner) {
            loop->observers[kept++] = loop->observers[i];
        }
    }
    loop->observer_count = kept;
}

/* Take a request from the owner that leaves: it is answered for him. */
static void take_request(struct helios_http_request *r)
{
    r->holder = 0;
    r->piece_wanted = false;
    r->writable = NULL;
    if (r->conn == NULL) {
        request_end(r);
    } else if (atomic_load(&r->streaming)) {
        conn_close(r->conn); /* half an answer */
    } else {
        native_departed(r, NULL);
    }
}

/* What he served is served by nobody from here on, whoever holds it now. */
static void disown(struct loop *loop, uint64_t owner)
{
    struct served *served = router_take_any(&loop->router, owner);
    for (; served != NULL; served = router_take_any(&loop->router, owner)) {
        unref(served);
    }
    for (struct helios_http_request *r = loop->requests; r != NULL; r = r->next) {
        if (r->served != NULL && r->served->owner == owner && r->holder != owner) {
            r->served->handle = native_departed;
            r->served->flags &= ~HELIOS_HTTP_ON_SERVER;
        }
    }
}

static struct helios_http_request *held_by(const struct loop *loop, uint64_t owner)
{
    struct helios_http_request *r = loop->requests;
    while (r != NULL && r->holder != owner) {
        r = r->next;
    }
    return r;
}

static void leave_loop(struct loop *loop, void *arg)
{
    uint64_t owner = *(uint64_t *)arg;
    remove_filters(loop, owner);
    disown(loop, owner);
    for (struct helios_http_request *r = held_by(loop, owner); r != NULL;
         r = held_by(loop, owner)) {
        take_request(r);
    }
    struct helios_http_socket *next;
    for (struct helios_http_socket *s = loop->sockets; s != NULL; s = next) {
        next = s->next;
        if (s->owner == owner) {
            s->told = true; /* nobody is there to be told */
            socket_goodbye(s, HL_WS_GOING_AWAY, (struct hl_slice){0});
            if (s->conn != NULL) {
                struct conn *conn = s->conn;
                socket_lose(s, HL_WS_GOING_AWAY);
                conn_finish(conn);
            }
            socket_release(s); /* the module's hold */
        }
    }
}

static void leave(struct helios_http_owner *owner)
{
    struct helios_http_owner **at = &owners;
    loop_ask(current, leave_loop, &owner->id);
    net_desk_drop(owner->id);
    while (*at != owner) {
        HL_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = owner->next;
    hl_free(owner);
}

/* --- the table -------------------------------------------------------------------------------- */

static struct helios_http_service table = {
    .version = HELIOS_HTTP_VERSION,
    .join = join,
    .leave = leave,
    .route = route,
    .unroute = unroute,
    .filter = filter,
    .observe = observe,
};

const struct helios_http_service *service_table(void)
{
    answers_fill(&table);
    return &table;
}

void service_open(struct loop *loop)
{
    current = loop;
}

bool service_in_use(void)
{
    return owners != NULL;
}

void service_close(void)
{
    HL_ASSERT(owners == NULL);
    current = NULL;
}
