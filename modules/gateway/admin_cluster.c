/* /admin/cluster and /admin/metrics: members, and what this node knows of itself and the others.
 *
 * The objects are made by the server (core/server/report.h); here they become JSON.
 */
#include "admin.h"
#include "form.h"
#include "routes.h"

#include "kit/assert.h"
#include "kit/json.h"

#define EVENTS_DEFAULT 100
#define EVENTS_MAX 1000
#define SESSIONS_DEFAULT 50
#define SNAPSHOTS_DEFAULT 10
#define SNAPSHOTS_MAX 100
#define ADDRESS_MAX 255

/* --- members ---------------------------------------------------------------------------------- */

/* One of the report's peers, or the node itself, as GET /admin/cluster/peers shows it. */
static json_t *peer_of(const json_t *from, const char *leader)
{
    const char *id = json_string_value(json_object_get(from, "id"));
    bool voter = json_is_true(json_object_get(from, "voter"));
    json_t *latency = json_object_get(from, "latency");
    json_t *peer = json_object();
    json_object_set(peer, "id", json_object_get(from, "id"));
    json_object_set(peer, "address", json_object_get(from, "address"));
    bool leads = id != NULL && strcmp(id, leader) == 0;
    json_object_set_new(peer, "state",
                        json_string(leads   ? "Leader"
                                    : voter ? "Follower"
                                            : "Learner"));
    if (latency != NULL) {
        json_object_set(peer, "reachable", json_object_get(latency, "reachable"));
    }
    return peer;
}

static void answer_peers(struct gw_call *call, RedisModuleCallReply *reply)
{
    json_t *report = gw_reply_json(reply);
    json_t *self = json_object_get(report, "node");
    const char *leader =
        json_string_value(json_object_get(json_object_get(report, "leader"), "id"));
    json_t *list = json_array();
    size_t at = 0;
    const json_t *peer = NULL;
    leader = leader != NULL ? leader : "";
    if (json_is_true(json_object_get(self, "raft_enabled"))) {
        json_array_append_new(list, peer_of(self, leader));
    }
    json_array_foreach(json_object_get(report, "peers"), at, peer)
    {
        json_array_append_new(list, peer_of(peer, leader));
    }
    json_decref(report);
    gw_answer(call, 200, json_pack("{s:o}", "peers", list));
}

static void get_peers(struct gw_call *call)
{
    struct gw_command report = {0};
    gw_arg_text(&report, "RAFT.REPORT");
    gw_admin_look(call, &report, answer_peers);
}

/* The body's id; false when the client was told that it is none. */
static bool read_id(struct gw_call *call, struct gw_form *form, struct hl_slice *id)
{
    *id = gw_form_text(form, "id", 1, ADMIN_NAME_MAX);
    if (form->why[0] == '\0' && !gw_admin_is_name(*id)) {
        gw_form_fault(form, "id: letters, digits, '_', '-' and '.'");
    }
    if (form->why[0] != '\0') {
        gw_fail(call, 400, "invalid", "%s", form->why);
        return false;
    }
    return true;
}

static void answer_added(struct gw_call *call, RedisModuleCallReply *reply)
{
    (void)reply;
    json_t *peer = json_object();
    json_object_set(peer, "id", json_object_get(gw_body(call), "id"));
    json_object_set(peer, "address", json_object_get(gw_body(call), "address"));
    gw_answer(call, 201,
              json_pack("{s:s, s:o}", "message", "Peer added successfully", "peer", peer));
}

static void add_peer(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct hl_slice address = gw_form_text(&form, "address", 1, ADDRESS_MAX);
    struct hl_slice id;
    if (read_id(call, &form, &id)) {
        struct gw_command add = {0};
        gw_arg_text(&add, "ADDPEER");
        gw_arg(&add, id);
        gw_arg(&add, address);
        gw_admin_change(call, &add, false, answer_added);
    }
}

static void answer_removed(struct gw_call *call, RedisModuleCallReply *reply)
{
    (void)reply;
    struct hl_slice id = gw_param(call, "id");
    json_t *name =
        id.ptr != NULL ? gw_json_text(id) : json_incref(json_object_get(gw_body(call), "id"));
    gw_answer(call, 200,
              json_pack("{s:s, s:o}", "message", "Peer removed successfully", "peer_id", name));
}

static void remove_named(struct gw_call *call, struct hl_slice id)
{
    struct gw_command remove = {0};
    gw_arg_text(&remove, "REMOVEPEER");
    gw_arg(&remove, id);
    gw_admin_change(call, &remove, false, answer_removed);
}

static void remove_peer(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct hl_slice id;
    if (read_id(call, &form, &id)) {
        remove_named(call, id);
    }
}

static void remove_peer_of_path(struct gw_call *call)
{
    struct hl_slice id = gw_param(call, "id");
    if (!gw_admin_is_name(id)) {
        gw_fail(call, 400, "invalid", "id: letters, digits, '_', '-' and '.'");
        return;
    }
    remove_named(call, id);
}

/* --- this node -------------------------------------------------------------------------------- */

/* Custom metrics go into the status when there are any; the module may be missing. */
static void answer_status(struct gw_call *call, RedisModuleCallReply *reply)
{
    json_t *status = json_incref(gw_kept(call));
    bool failed = RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_ERROR;
    json_object_set_new(status, "custom_metrics", failed ? json_null() : gw_reply_json(reply));
    gw_answer(call, 200, status);
}

static void drop_json(void *state)
{
    json_decref(state);
}

static void then_custom_metrics(struct gw_call *call, RedisModuleCallReply *reply)
{
    struct gw_how how = {.read = HELIOSMODULE_READ_STALE, .own_errors = true};
    struct gw_command list = {0};
    gw_keep(call, gw_reply_json(reply), drop_json);
    gw_arg_text(&list, "METRICS.CUSTOM");
    gw_run_how(call, &list, 1, &how, answer_status);
}

static void get_status(struct gw_call *call)
{
    struct gw_command report = {0};
    gw_arg_text(&report, "RAFT.REPORT");
    gw_admin_look(call, &report, then_custom_metrics);
}

static void answer_latency(struct gw_call *call, RedisModuleCallReply *reply)
{
    if (RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_ERROR) {
        gw_fail(call, 404, "no_such_peer", "there is no such member beside this node");
        return;
    }
    gw_admin_answer(call, reply);
}

static void get_latency(struct gw_call *call)
{
    struct gw_command latency = {0};
    struct hl_slice peer = gw_query(call, "peer_id");
    gw_arg_text(&latency, "RAFT.LATENCY");
    if (peer.ptr == NULL) {
        gw_admin_look(call, &latency, gw_admin_answer);
        return;
    }
    if (!gw_admin_is_name(peer)) {
        gw_fail(call, 400, "invalid", "peer_id: letters, digits, '_', '-' and '.'");
        return;
    }
    struct gw_how how = {.read = HELIOSMODULE_READ_STALE, .own_errors = true};
    gw_arg_text(&latency, "PEER");
    gw_arg(&latency, peer);
    gw_run_how(call, &latency, 1, &how, answer_latency);
}

static void get_uptime(struct gw_call *call)
{
    struct gw_command uptime = {0};
    gw_arg_text(&uptime, "RAFT.UPTIME");
    gw_admin_look(call, &uptime, gw_admin_answer);
}

static void get_snapshot(struct gw_call *call)
{
    struct gw_command snapshots = {0};
    gw_arg_text(&snapshots, "RAFT.SNAPSHOTS");
    gw_admin_look(call, &snapshots, gw_admin_answer);
}

/* HISTORY with the two numbers of the query. */
static void get_history(struct gw_call *call, const char *name, const char *first,
                        const char *second, int64_t second_default, int64_t second_max)
{
    struct gw_form form = {0};
    int64_t events =
        gw_form_query_number(&form, first, gw_query(call, first), EVENTS_DEFAULT, 0, EVENTS_MAX);
    int64_t others =
        gw_form_query_number(&form, second, gw_query(call, second), second_default, 0, second_max);
    if (form.why[0] != '\0') {
        gw_fail(call, 400, "invalid", "%s", form.why);
        return;
    }
    struct gw_command history = {0};
    gw_arg_text(&history, name);
    gw_arg_text(&history, "HISTORY");
    gw_arg_number(&history, events);
    gw_arg_number(&history, others);
    gw_admin_look(call, &history, gw_admin_answer);
}

static void get_uptime_history(struct gw_call *call)
{
    get_history(call, "RAFT.UPTIME", "max_events", "max_sessions", SESSIONS_DEFAULT, EVENTS_MAX);
}

static void get_snapshot_history(struct gw_call *call)
{
    get_history(call, "RAFT.SNAPSHOTS", "events", "snapshots", SNAPSHOTS_DEFAULT, SNAPSHOTS_MAX);
}

/* --- resets ----------------------------------------------------------------------------------- */

static void answer_reset(struct gw_call *call, RedisModuleCallReply *reply)
{
    (void)reply;
    gw_admin_say(call, 200, "Statistics reset successfully");
}

static void reset(struct gw_call *call, const char *name)
{
    struct gw_command command = {0};
    gw_arg_text(&command, name);
    gw_arg_text(&command, "RESET");
    gw_admin_look(call, &command, answer_reset);
}

static void reset_latency(struct gw_call *call)
{
    reset(call, "RAFT.LATENCY");
}

static void reset_uptime(struct gw_call *call)
{
    reset(call, "RAFT.UPTIME");
}

static void reset_snapshot(struct gw_call *call)
{
    reset(call, "RAFT.SNAPSHOTS");
}

#define CLUSTER "/admin/cluster"

const struct gw_route gw_admin_cluster_routes[] = {
    {"GET", CLUSTER "/peers", ADMIN_PERMISSION, NULL, get_peers, 0, 0},
    {"POST", CLUSTER "/peers", ADMIN_PERMISSION, NULL, add_peer, GW_BODY, 0},
    {"DELETE", CLUSTER "/peers", ADMIN_PERMISSION, NULL, remove_peer, GW_BODY, 0},
    {"DELETE", CLUSTER "/peers/{id}", ADMIN_PERMISSION, NULL, remove_peer_of_path, 0, 0},
    {"GET", CLUSTER "/status", ADMIN_PERMISSION, NULL, get_status, 0, 0},
    {"GET", CLUSTER "/latency", ADMIN_PERMISSION, NULL, get_latency, 0, 0},
    {"POST", CLUSTER "/latency/reset", ADMIN_PERMISSION, NULL, reset_latency, 0, 0},
    {"GET", CLUSTER "/uptime", ADMIN_PERMISSION, NULL, get_uptime, 0, 0},
    {"GET", CLUSTER "/uptime/history", ADMIN_PERMISSION, NULL, get_uptime_history, 0, 0},
    {"POST", CLUSTER "/uptime/reset", ADMIN_PERMISSION, NULL, reset_uptime, 0, 0},
    {"GET", CLUSTER "/snapshot", ADMIN_PERMISSION, NULL, get_snapshot, 0, 0},
    {"GET", CLUSTER "/snapshot/history", ADMIN_PERMISSION, NULL, get_snapshot_history, 0, 0},
    {"POST", CLUSTER "/snapshot/reset", ADMIN_PERMISSION, NULL, reset_snapshot, 0, 0},
};
const size_t gw_admin_cluster_route_count = HL_ARRAY_LEN(gw_admin_cluster_routes);
