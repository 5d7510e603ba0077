/* Exactly once, for clients: CLIENT SESSION, SEQ; and the effect that records what they did.
 *
 * A request that was refused before it ran is not recorded: it may be sent again under the same
 * number.  One that ran is, whatever it answered.
 */
#include "command/args.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "node/admit.h"
#include "node/node_internal.h"
#include "raft/mutant.h"

#define NO_SESSION                                                                                 \
    "NOSESSION this connection has no session, or it was forgotten; nothing was executed"
#define REPLY_GONE "-TOOLARGE it was executed once, but its reply was too large to be kept\r\n"
#define RUNS (HL_CMD_WRITE | HL_CMD_READONLY | HL_CMD_MODULE | HL_CMD_MAY_REPLICATE)
#define RUNS_NOT (HL_CMD_NO_MULTI | HL_CMD_PUBSUB | HL_CMD_RUNS_IN_MULTI)

/* Record in the unit's entry, and here. */
static void record(struct hl_call *call, struct hl_slice id, uint64_t seq, struct hl_slice reply)
{
    struct hl_node *node = call->node;
    char number[HL_I64_TEXT_MAX];
    int len = hl_format_i64(number, (int64_t)seq);
    struct hl_slice effect[4] = {
        hl_slice_of("HELIOS.ONCE"), id, {.ptr = number, .len = (size_t)len}, reply};
    hl_unit_effect(node, call->session->db, 4, effect);
    hl_once_note(&node->once, id, seq, node->wal == NULL ? 0 : node->last + 1,
                 node->ks.now_ms * 1000, reply);
}

/* What the table says may not be committed yet: whoever is told waits for it. */
static void look(struct hl_call *call, const struct hl_once *once)
{
    if (call->ks->gate_seen < once->index && !HL_MUTANT(EARLY_REPEAT)) {
        call->ks->gate_seen = once->index;
    }
}

void hl_cmd_client_session(struct hl_call *call)
{
    struct hl_node *node = call->node;
    struct hl_session *session = call->session;
    struct hl_slice id = call->argv[2];
    if (id.len == 0 || id.len > HL_ONCE_ID_MAX) {
        hl_reply_error(call, "ERR a session's id has 1 to 128 bytes");
        return;
    }
    struct hl_once *once = hl_once_find(&node->once, id, node->ks.now_ms * 1000);
    if (once == NULL && node->once.count >= HL_ONCE_SESSIONS_MAX) {
        hl_reply_error(call, "ERR there are too many sessions");
        return;
    }
    if (once == NULL) {
        record(call, id, 0, (struct hl_slice){0});
        once = hl_once_find(&node->once, id, node->ks.now_ms * 1000);
    }
    look(call, once);
    hl_free(session->once_id);
    session->once_id = hl_strndup(id.ptr, id.len);
    session->once_id_len = id.len;
    hl_write_int(call->out, (int64_t)once->seq);
}

/* The command inside may run, and is not one that steers the connection. */
static bool may_run(struct hl_call *call, struct hl_command *inner)
{
    if (inner != NULL &&
        ((inner->flags & RUNS) == 0 || (inner->flags & RUNS_NOT) != 0 || inner == call->cmd)) {
        hl_reply_error(call, "ERR this command does not run under SEQ");
        return false;
    }
    if (!hl_admit(call->node, call->session, inner, call->argc - 2, call->argv + 2)) {
        call->failed = true;
        return false;
    }
    return true;
}

static void cmd_seq(struct hl_call *call)
{
    struct hl_node *node = call->node;
    struct hl_session *session = call->session;
    int64_t seq = 0;
    if ((call->flags & (HL_CALL_NESTED | HL_CALL_REPLICATED)) != 0 ||
        call->out != &session->writer) {
        hl_reply_error(call, "ERR SEQ is for clients");
        return;
    }
    if (!hl_parse_i64(call->argv[1], &seq) || seq < 1) {
        hl_reply_error(call, "ERR the number of a request is 1 or more");
        return;
    }
    struct hl_slice id = {.ptr = session->once_id, .len = session->once_id_len};
    struct hl_once *once =
        id.ptr == NULL ? NULL : hl_once_find(&node->once, id, node->ks.now_ms * 1000);
    if (once == NULL) {
        hl_reply_error(call, NO_SESSION);
        return;
    }
    look(call, once);
    if ((uint64_t)seq < once->seq && !HL_MUTANT(NO_ONCE)) {
        hl_reply_error(call, "STALESEQ a later request of this session was executed already");
        return;
    }
    if ((uint64_t)seq == once->seq && !HL_MUTANT(NO_ONCE)) {
        hl_buf_append_slice(call->out->out, hl_buf_view(&once->reply));
        return;
    }
    struct hl_command *inner = hl_command_of(node->commands, call->argv + 2, call->argc - 2);
    if (!may_run(call, inner)) {
        return;
    }
    size_t start = call->out->out->len;
    (void)hl_node_call(node, session, inner, call->argc - 2, call->argv + 2, call->out,
                       HL_CALL_DENY_BLOCK);
    struct hl_slice reply = {.ptr = call->out->out->ptr + start,
                             .len = call->out->out->len - start};
    reply = reply.len > HL_ONCE_REPLY_MAX ? hl_slice_of(REPLY_GONE) : reply;
    record(call, id, (uint64_t)seq, reply);
}

/* The effect: only logs say this. */
static void cmd_once(struct hl_call *call)
{
    struct hl_node *node = call->node;
    int64_t seq = 0;
    if ((call->flags & HL_CALL_REPLICATED) == 0 || !hl_parse_i64(call->argv[2], &seq) || seq < 0 ||
        call->argv[1].len == 0 || call->argv[1].len > HL_ONCE_ID_MAX) {
        hl_reply_error(call, "ERR this is part of the log, not of what clients say");
        return;
    }
    hl_once_note(&node->once, call->argv[1], (uint64_t)seq, node->last + 1, node->ks.now_ms * 1000,
                 call->argv[3]);
    hl_write_ok(call->out);
}

const struct hl_command_row hl_commands_once[] = {
    {.name = "seq",
     .run = cmd_seq,
     .arity = -3,
     .flags = HL_CMD_WRITE | HL_CMD_NO_MULTI | HL_CMD_NOSCRIPT | HL_CMD_NO_MANDATORY_KEYS,
     .acl = HL_ACL_CONNECTION,
     .group = "connection",
     .since = "8.0.0",
     .complexity = "Depends on the command",
     .summary = "Run a command once, however often this request is sent.",
     .args = "number:integer command:string [arg:string...]"},
    {.name = "helios.once",
     .run = cmd_once,
     .arity = 4,
     .flags = HL_CMD_WRITE | HL_CMD_ADMIN | HL_CMD_NOSCRIPT,
     .acl = HL_ACL_DANGEROUS,
     .group = "connection",
     .since = "8.0.0",
     .complexity = "O(1)",
     .summary = "What a session of a client did last: only in the log.",
     .args = "session:string number:integer reply:string"},
};
const size_t hl_commands_once_count = HL_ARRAY_LEN(hl_commands_once);
