#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/forward.h"
#include "node/node_internal.h"
#include "node/observe.h"

struct hl_session *hl_session_create(struct hl_node *node, uint32_t flags)
{
    struct hl_session *session = hl_calloc(1, sizeof *session);
    session->id = node->next_session_id++;
    session->flags = flags;
    session->writer = (struct hl_writer){.out = &session->out, .proto = 2};
    session->created_ms = node->now_ms;
    session->last_ms = node->now_ms;
    session->fd = -1;
    hl_list_init(&session->watches);
    hl_list_append(&node->sessions, &session->all);
    hl_session_authenticate_default(node, session);
    if ((flags & HL_SESSION_HIDDEN) == 0) {
        node->session_count++;
        node->stats.connections++;
    }
    return session;
}

void hl_session_destroy(struct hl_node *node, struct hl_session *session)
{
    if ((session->flags & HL_SESSION_BLOCKED) != 0) {
        struct hl_blocked blocked = session->blocked;
        if (blocked.end != NULL) {
            blocked.end(node, session, HL_UNBLOCK_CLOSED);
        }
        if ((session->flags & HL_SESSION_BLOCKED) != 0) {
            node->blocked_count--;
        }
    }
    if (node->hooks.session_ended != NULL) {
        node->hooks.session_ended(node->hooks.ctx, session);
    }
    hl_replica_forget_reader(node, session);
    hl_forward_session_ended(node, session);
    hl_txn_discard(node, session);
    hl_monitor_remove(node, session);
    hl_list_remove(&session->waiting);
    hl_list_remove(&session->postponed);
    hl_list_remove(&session->all);
    if ((session->flags & HL_SESSION_HIDDEN) == 0) {
        node->session_count--;
    }
    hl_buf_fini(&session->out);
    hl_free(session->marks);
    hl_free(session->once_id);
    hl_free(session->name);
    hl_free(session->lib_name);
    hl_free(session->lib_ver);
    hl_free(session);
}

void hl_session_tell_output(struct hl_node *node, struct hl_session *session)
{
    if (session->port != NULL) {
        session->port->output(node, session);
        return;
    }
    node->world->output(node->world->ctx, session);
}

void hl_session_tell_resume(struct hl_node *node, struct hl_session *session)
{
    if (session->port != NULL) {
        session->port->resume(node, session);
        return;
    }
    node->world->resume(node->world->ctx, session);
}

void hl_session_close(struct hl_node *node, struct hl_session *session, bool after_output)
{
    session->flags |= after_output ? HL_SESSION_CLOSE_AFTER : HL_SESSION_CLOSE_NOW;
    hl_session_tell_output(node, session);
}

struct hl_session *hl_session_by_id(struct hl_node *node, uint64_t id)
{
    HL_LIST_EACH(it, &node->sessions)
    {
        struct hl_session *session = HL_LIST_ENTRY(it, struct hl_session, all);
        if (session->id == id) {
            return session;
        }
    }
    return NULL;
}

void hl_session_block(struct hl_node *node, struct hl_session *session,
                      const struct hl_blocked *blocked)
{
    HL_ASSERT((session->flags & HL_SESSION_BLOCKED) == 0);
    session->flags |= HL_SESSION_BLOCKED;
    session->blocked = *blocked;
    node->blocked_count++;
}

void hl_session_unblock(struct hl_node *node, struct hl_session *session)
{
    HL_ASSERT((session->flags & HL_SESSION_BLOCKED) != 0);
    session->flags &= ~HL_SESSION_BLOCKED;
    session->blocked = (struct hl_blocked){0};
    node->blocked_count--;
    hl_session_tell_resume(node, session);
}

void hl_session_answered(struct hl_node *node, struct hl_session *session, uint64_t gate)
{
    hl_session_gate(node, session, gate);
    hl_session_tell_output(node, session);
    hl_session_unblock(node, session);
}

static void write_outcome(struct hl_writer *out, const void *arg)
{
    if (arg == NULL) {
        hl_write_ok(out);
    } else {
        hl_write_error(out, arg);
    }
}

void hl_sessions_answer(struct hl_node *node, const void *owner, const char *error)
{
    hl_sessions_answer_with(node, owner, write_outcome, error);
}

void hl_sessions_answer_with(struct hl_node *node, const void *owner,
                             void (*write)(struct hl_writer *out, const void *arg), const void *arg)
{
    HL_LIST_EACH(it, &node->sessions)
    {
        struct hl_session *session = HL_LIST_ENTRY(it, struct hl_session, all);
        if ((session->flags & HL_SESSION_BLOCKED) == 0 || session->blocked.owner != owner) {
            continue;
        }
        write(&session->writer, arg);
        hl_session_answered(node, session, 0);
    }
}

void hl_blocked_cron(struct hl_node *node)
{
    if (node->blocked_count == 0) {
        return;
    }
    HL_LIST_EACH(it, &node->sessions)
    {
        struct hl_session *session = HL_LIST_ENTRY(it, struct hl_session, all);
        if ((session->flags & HL_SESSION_BLOCKED) != 0 && session->blocked.deadline_ms != 0 &&
            session->blocked.deadline_ms <= node->now_ms && session->blocked.end != NULL) {
            session->blocked.end(node, session, HL_UNBLOCK_TIMEOUT);
        }
    }
}

/* The letters of CLIENT LIST's flags field. */
static void flag_letters(const struct hl_session *session, char out[16])
{
    static const struct {
        uint32_t flag;
        char letter;
    } letters[] = {
        {HL_SESSION_MONITOR, 'O'},   {HL_SESSION_PUBSUB, 'P'},    {HL_SESSION_MULTI, 'x'},
        {HL_SESSION_BLOCKED, 'b'},   {HL_SESSION_DIRTY_CAS, 'd'}, {HL_SESSION_CLOSE_AFTER, 'c'},
        {HL_SESSION_CLOSE_NOW, 'A'}, {HL_SESSION_UNIX, 'U'},      {HL_SESSION_NO_EVICT, 'e'},
        {HL_SESSION_NO_TOUCH, 'T'},
    };
    int len = 0;
    for (size_t i = 0; i < HL_ARRAY_LEN(letters); i++) {
        if ((session->flags & letters[i].flag) != 0) {
            out[len++] = letters[i].letter;
        }
    }
    if (len == 0) {
        out[len++] = 'N';
    }
    out[len] = '\0';
}

void hl_session_describe(struct hl_node *node, const struct hl_session *session, struct hl_buf *out)
{
    char flags[16];
    flag_letters(session, flags);
    int64_t age_s = (node->now_ms - session->created_ms) / 1000;
    int64_t idle_s = (node->now_ms - session->last_ms) / 1000;
    int multi = (session->flags & HL_SESSION_MULTI) != 0 ? session->queued_count : -1;
    const char *cmd = session->last_cmd != NULL &&
                              session->last_cmd_epoch == hl_command_table_epoch(node->commands)
                          ? session->last_cmd->row->name
                          : "NULL";
    hl_buf_printf(out, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%lld idle=%lld flags=%s db=%d",
                  (unsigned long long)session->id, session->addr, session->laddr, session->fd,
                  session->name != NULL ? session->name : "", (long long)age_s, (long long)idle_s,
                  flags, session->db);
    hl_buf_printf(out, " sub=0 psub=0 ssub=0 multi=%d qbuf=%zu qbuf-free=%zu argv-mem=%zu", multi,
                  session->qbuf_len, session->qbuf_free, session->argv_len);
    hl_buf_printf(out, " multi-mem=%zu rbs=%zu rbp=%zu obl=%zu oll=0 omem=%zu tot-mem=%zu",
                  session->queued_bytes, session->out.cap, hl_session_held(session),
                  hl_session_held(session), session->out.len - session->open,
                  sizeof *session + session->out.cap + session->queued_bytes + session->qbuf_len +
                      session->qbuf_free);
    hl_buf_printf(out, " events=r cmd=%s user=%s redir=-1 resp=%d lib-name=%s lib-ver=%s", cmd,
                  hl_session_user_name(session), session->writer.proto,
                  session->lib_name != NULL ? session->lib_name : "",
                  session->lib_ver != NULL ? session->lib_ver : "");
}
