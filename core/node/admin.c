#include "node/admin.h"

#include "command/args.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/acl.h"
#include "node/forward.h"
#include "node/node_internal.h"

struct hl_acl *hl_admin_acl(struct hl_node *node)
{
    return node->admin.staged != NULL ? node->admin.staged : node->acl;
}

/* --- sessions ----------------------------------------------------------------------------------
 */

hl_index hl_admin_gate(struct hl_node *node, struct hl_session *session)
{
    hl_index dirty = node->admin.dirty;
    if (dirty <= node->commit) {
        return 0;
    }
    session->told = dirty;
    return dirty;
}

bool hl_admin_holds(const struct hl_node *node, const struct hl_session *session)
{
    return session->doomed != 0 ||
           (node->admin.undone && (session->flags & HL_SESSION_INTERNAL) == 0);
}

void hl_admin_committed(struct hl_node *node)
{
    if (node->admin.doomed == 0) {
        return;
    }
    node->admin.doomed = 0;
    HL_LIST_EACH(it, &node->sessions)
    {
        struct hl_session *session = HL_LIST_ENTRY(it, struct hl_session, all);
        if (session->doomed == 0) {
            continue;
        }
        if (session->doomed <= node->commit) {
            hl_session_close(node, session, false);
        } else {
            node->admin.doomed = session->doomed;
        }
    }
}

void hl_admin_discarded(struct hl_node *node)
{
    node->admin.undone = node->admin.undone || node->admin.dirty > node->commit;
    if (node->admin.dirty > node->commit) {
        node->admin.dirty = node->commit;
    }
    node->admin.doomed = 0;
    HL_LIST_EACH(it, &node->sessions)
    {
        struct hl_session *session = HL_LIST_ENTRY(it, struct hl_session, all);
        if (session->told > node->commit || session->doomed > node->commit) {
            hl_session_close(node, session, false);
        }
    }
}

static void on_gone(void *ctx, struct hl_user *user)
{
    hl_auth_user_gone(ctx, user, NULL, 0);
}

/* Who was let in because anybody was, and would not be now, has to log in. */
static void close_doors(struct hl_node *node, bool was_open)
{
    if (!was_open || hl_node_default_is_open(node)) {
        return;
    }
    HL_LIST_EACH(it, &node->sessions)
    {
        struct hl_session *session = HL_LIST_ENTRY(it, struct hl_session, all);
        if (session->user == hl_acl_default(node->acl)) {
            session->flags &= ~HL_SESSION_AUTHENTICATED;
        }
    }
}

void hl_admin_rebuilt(struct hl_node *node)
{
    bool was_open = hl_node_default_is_open(node);
    struct hl_acl *staged = node->admin.staged;
    node->admin.staged = NULL;
    node->admin.undone = false;
    if (staged != NULL) {
        hl_acl_state_replace(node->acl, staged, on_gone, node);
        close_doors(node, was_open);
    }
    hl_settings_look(node);
}

bool hl_admin_forward(struct hl_call *call)
{
    struct hl_node *node = call->node;
    const uint32_t inside = HL_CALL_MULTI | HL_CALL_NESTED | HL_CALL_DENY_BLOCK;
    struct hl_errmsg msg = {{0}};
    if (!node->cluster.live || node->cluster.leads) {
        return false;
    }
    if ((call->flags & inside) == 0 && call->out == &call->session->writer &&
        (call->session->flags & HL_SESSION_HIDDEN) == 0 && !node->loading &&
        node->config.cluster.follower_writes == HL_FOLLOWER_WRITES_FORWARD) {
        hl_forward_send(node, call->session, call->argc, call->argv);
        return true;
    }
    hl_err err = hl_admin_may_change(node, &msg);
    hl_reply_error(call, err == HL_OK ? "TRYAGAIN leadership is changing" : msg.text);
    return true;
}

/* --- effects -----------------------------------------------------------------------------------
 */

hl_err hl_admin_may_change(struct hl_node *node, struct hl_errmsg *msg)
{
    if (node->loading) {
        return hl_fail(msg, HL_EBUSY, "LOADING Redis is loading the dataset in memory");
    }
    if (node->log_state != HL_LOG_GOOD) {
        return hl_fail(msg, HL_EBUSY, "MISCONF Errors writing to the log: %s; nothing was changed",
                       node->log_full_why);
    }
    if (!node->cluster.leads) {
        const struct hl_member *leader = hl_node_leader(node);
        if (leader == NULL || leader->id == node->node_id) {
            return hl_fail(msg, HL_EBUSY, "NOQUORUM no leader is known; nothing was changed");
        }
        return hl_fail(msg, HL_EBUSY, "NOTLEADER %s %s",
                       leader->name[0] != '\0' ? leader->name : "?", leader->client_addr);
    }
    return HL_OK;
}

static void record(struct hl_node *node, const char *verb, const struct hl_slice *args,
                   size_t count)
{
    struct hl_slice *effect = hl_calloc(count + 2, sizeof *effect);
    effect[0] = hl_slice_of("HELIOS.USERS");
    effect[1] = hl_slice_of(verb);
    if (count != 0) {
        memcpy(effect + 2, args, count * sizeof *args);
    }
    hl_unit_admin(node);
    hl_unit_effect(node, 0, (int)count + 2, effect);
    hl_free(effect);
}

static void record_user(struct hl_node *node, struct hl_user *user)
{
    struct hl_buf line = {0};
    hl_acl_state_note(node->acl, user, &line);
    struct hl_slice view = hl_buf_view(&line);
    record(node, "SET", &view, 1);
    hl_buf_fini(&line);
}

static void record_all(struct hl_node *node)
{
    size_t count = hl_acl_count(node->acl);
    struct hl_buf *lines = hl_calloc(count, sizeof *lines);
    struct hl_slice *views = hl_calloc(count, sizeof *views);
    hl_acl_state_note_all(node->acl);
    for (size_t i = 0; i < count; i++) {
        hl_acl_describe(hl_acl_at(node->acl, i), &lines[i]);
        views[i] = hl_buf_view(&lines[i]);
    }
    record(node, "ALL", views, count);
    for (size_t i = 0; i < count; i++) {
        hl_buf_fini(&lines[i]);
    }
    hl_free(lines);
    hl_free(views);
}

/* Begin a unit unless one is open; ends with end_unit(). */
static bool begin_unit(struct hl_node *node)
{
    if (node->unit.open) {
        return false;
    }
    hl_unit_begin(node);
    return true;
}

static void end_unit(struct hl_node *node, bool begun)
{
    if (begun) {
        uint64_t gate = hl_unit_end(node);
        HL_MAYBE(gate != 0); /* nobody is answered here */
    }
}

hl_err hl_admin_set_user(struct hl_node *node, struct hl_slice name, const struct hl_slice *rules,
                         size_t count, struct hl_errmsg *msg)
{
    hl_err err = hl_admin_may_change(node, msg);
    if (err == HL_OK) {
        err = hl_acl_set(node->acl, name, rules, count, msg);
    }
    if (err != HL_OK) {
        return err;
    }
    bool begun = begin_unit(node);
    record_user(node, hl_acl_find(node->acl, name));
    end_unit(node, begun);
    return HL_OK;
}

hl_err hl_admin_require_password(struct hl_node *node, struct hl_slice password,
                                 struct hl_errmsg *msg)
{
    hl_err err = hl_admin_may_change(node, msg);
    if (err != HL_OK) {
        return err;
    }
    bool begun = begin_unit(node);
    hl_acl_require_password(node->acl, password);
    record_user(node, hl_acl_default(node->acl));
    end_unit(node, begun);
    return HL_OK;
}

int64_t hl_admin_remove_users(struct hl_node *node, const struct hl_slice *names, size_t count,
                              struct hl_session *current)
{
    HL_ASSERT(node->unit.open);
    int64_t removed = 0;
    for (size_t i = 0; i < count; i++) {
        struct hl_user *user = hl_acl_find(node->acl, names[i]);
        if (user == NULL) {
            continue;
        }
        bool hides = !hl_acl_is_whole(node->acl) && hl_acl_seed_has(node->acl, names[i]);
        record(node, hides ? "HIDE" : "DEL", &names[i], 1);
        if (hides) {
            hl_acl_state_hide(node->acl, names[i]);
        }
        hl_auth_user_gone(node, user, current, node->wal != NULL ? node->last + 1 : 0);
        removed += hl_acl_remove(node->acl, names[i]);
    }
    return removed;
}

struct loading {
    struct hl_node *node;
    struct hl_session *current;
};

static void on_not_in_file(void *ctx, struct hl_user *user)
{
    const struct loading *loading = ctx;
    struct hl_node *node = loading->node;
    hl_auth_user_gone(node, user, loading->current, node->wal != NULL ? node->last + 1 : 0);
}

hl_err hl_admin_load_users(struct hl_node *node, const char *file, struct hl_slice text,
                           struct hl_session *current, struct hl_errmsg *msg)
{
    HL_ASSERT(node->unit.open);
    hl_err err = hl_admin_may_change(node, msg);
    struct loading loading = {.node = node, .current = current};
    if (err == HL_OK) {
        err = hl_acl_load(node->acl, file, text, on_not_in_file, &loading, msg);
    }
    if (err != HL_OK) {
        return err;
    }
    if (node->config.cluster.enabled) {
        record_all(node);
    } else {
        hl_acl_keep_seed(node->acl);
        hl_acl_state_forget(node->acl);
        record(node, "FILES", NULL, 0);
    }
    return HL_OK;
}

void hl_admin_saved_users(struct hl_node *node)
{
    struct hl_errmsg msg = {{0}};
    if (node->config.cluster.enabled || hl_admin_may_change(node, &msg) != HL_OK) {
        return; /* in a cluster files only seed */
    }
    hl_acl_keep_seed(node->acl);
    if (hl_acl_overrules_files(node->acl)) {
        bool begun = begin_unit(node);
        hl_acl_state_forget(node->acl);
        record(node, "FILES", NULL, 0);
        end_unit(node, begun);
    }
}

/* --- leading -----------------------------------------------------------------------------------
 */

void hl_admin_lead(struct hl_node *node)
{
    node->admin.seed_due = node->config.cluster.enabled ||
                           (node->config.users_from_files && !node->admin.files_counted);
}

void hl_admin_seed(struct hl_node *node)
{
    if (!node->admin.seed_due || !node->cluster.leads || node->log_state != HL_LOG_GOOD) {
        return;
    }
    node->admin.seed_due = false;
    hl_unit_begin(node);
    if (node->config.users_from_files && !node->admin.files_counted) {
        node->admin.files_counted = true; /* once in a start */
        hl_node_log(node, 3, "users-from-files: the users of this node's files are in force");
        struct loading loading = {.node = node};
        hl_acl_state_replace(node->acl, hl_acl_from_seed(node->acl), on_not_in_file, &loading);
        if (!node->config.cluster.enabled) {
            record(node, "FILES", NULL, 0);
        }
    }
    if (node->config.cluster.enabled && !hl_acl_is_whole(node->acl)) {
        record_all(node);
    }
    if (node->config.cluster.enabled && node->world->seed_settings != NULL) {
        node->world->seed_settings(node->world->ctx);
    }
    uint64_t gate = hl_unit_end(node);
    HL_MAYBE(gate != 0);
}

void hl_admin_compare_files(struct hl_node *node)
{
    struct hl_buf names = {0};
    if (hl_acl_overrules_files(node->acl) && hl_acl_compare_seed(node->acl, &names) != 0) {
        hl_node_log(node, 3,
                    "users that are not as this node's files say, because they were changed while "
                    "servers ran: %.*s. What was changed is in force; ACL SAVE or CONFIG REWRITE "
                    "brings the files up to date, users-from-files makes them count again.",
                    (int)(names.len < 512 ? names.len : 512), names.ptr);
    }
    hl_buf_fini(&names);
}

/* --- the table ---------------------------------------------------------------------------------
 */

void hl_admin_save(void *ctx, struct hl_buf *out)
{
    const struct hl_node *node = ctx;
    hl_acl_state_save(node->acl, out);
}

hl_err hl_admin_load(void *ctx, struct hl_slice contents, struct hl_errmsg *msg)
{
    struct hl_node *node = ctx;
    struct hl_acl *staged = hl_acl_from_seed(node->acl);
    hl_err err = hl_acl_state_load(staged, contents, msg);
    if (err != HL_OK) {
        hl_acl_destroy(staged);
        return err;
    }
    if (node->cluster.rebuilding) {
        hl_acl_destroy(node->admin.staged);
        node->admin.staged = staged;
        return HL_OK;
    }
    bool was_open = hl_node_default_is_open(node);
    hl_acl_state_replace(node->acl, staged, on_gone, node);
    close_doors(node, was_open);
    return HL_OK;
}

void hl_admin_fini(struct hl_node *node)
{
    hl_acl_destroy(node->admin.staged);
    node->admin.staged = NULL;
    hl_settings_fini(node);
}

/* --- the log's side ----------------------------------------------------------------------------
 */

static hl_err apply_all(struct hl_call *call, struct hl_acl *acl, struct hl_errmsg *msg)
{
    struct hl_node *node = call->node;
    bool was_open = hl_node_default_is_open(node);
    bool staged = acl != node->acl;
    bool first = !hl_acl_is_whole(acl);
    hl_err err = hl_acl_state_put_all(acl, call->argv + 2, (size_t)call->argc - 2,
                                      staged ? NULL : on_gone, node, msg);
    if (err == HL_OK && !staged) {
        close_doors(node, was_open);
    }
    if (err == HL_OK && !staged && first && node->cluster.live) {
        hl_admin_compare_files(node);
    }
    return err;
}

static void apply_gone(struct hl_call *call, struct hl_acl *acl, bool hides)
{
    for (int i = 2; i < call->argc; i++) {
        struct hl_user *user = hl_acl_find(acl, call->argv[i]);
        if (user != NULL && acl == call->node->acl && user != hl_acl_default(acl)) {
            hl_auth_user_gone(call->node, user, NULL, 0);
        }
        bool removed = hl_acl_remove(acl, call->argv[i]);
        HL_MAYBE(!removed); /* only some node's files had it */
        if (hides) {
            hl_acl_state_hide(acl, call->argv[i]);
        }
    }
}

/* The effect: only logs say this. */
static void cmd_users(struct hl_call *call)
{
    struct hl_node *node = call->node;
    struct hl_errmsg msg = {{0}};
    hl_err err = HL_OK;
    if ((call->flags & HL_CALL_REPLICATED) == 0) {
        hl_reply_error(call, "ERR this is part of the log, not of what clients say");
        return;
    }
    struct hl_acl *acl = hl_admin_acl(node);
    hl_unit_admin(node);
    if (hl_arg_is(call, 1, "set") && call->argc == 3) {
        err = hl_acl_state_put(acl, call->argv[2], &msg);
    } else if (hl_arg_is(call, 1, "all") && call->argc > 2) {
        err = apply_all(call, acl, &msg);
    } else if (hl_arg_is(call, 1, "del") || hl_arg_is(call, 1, "hide")) {
        apply_gone(call, acl, hl_arg_is(call, 1, "hide"));
    } else if (hl_arg_is(call, 1, "files") && call->argc == 2) {
        bool staged = acl != node->acl;
        hl_acl_state_replace(acl, hl_acl_from_seed(acl), staged ? NULL : on_gone, node);
    } else {
        err = hl_fail(&msg, HL_ECORRUPT, "unknown words");
    }
    if (err != HL_OK) {
        hl_reply_errorf(call, "ERR %s", msg.text);
        return;
    }
    hl_write_ok(call->out);
}

const struct hl_command_row hl_commands_admin[] = {
    {.name = "helios.users",
     .run = cmd_users,
     .arity = -2,
     .flags = HL_CMD_ADMIN | HL_CMD_NOSCRIPT | HL_CMD_LOGGED | HL_CMD_SENSITIVE,
     .acl = HL_ACL_DANGEROUS,
     .group = "server",
     .since = "8.0.0",
     .complexity = "O(N) where N is the number of users it names",
     .summary = "What was done to users: only in the log.",
     .args = "change:string [line:string...]"},
};
const size_t hl_commands_admin_count = HL_ARRAY_LEN(hl_commands_admin);
