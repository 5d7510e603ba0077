/* How fresh a connection's reads are on a node that follows (PROTOCOL section 5). */
#include "command/args.h"
#include "kit/num.h"
#include "node/node_internal.h"

static const char *const names[] = {
    [HL_READ_LINEARIZABLE] = "linearizable",
    [HL_READ_SESSION] = "session",
    [HL_READ_BOUNDED] = "bounded",
    [HL_READ_STALE] = "stale",
};

static void choose(struct hl_session *session, enum hl_consistency mode)
{
    session->own_consistency = true;
    session->consistency = (int)mode;
}

/* A number of 0 or more as the last argument; false after replying with an error. */
static bool take_number(struct hl_call *call, uint64_t *out)
{
    int64_t number = 0;
    if (call->argc != 4 || !hl_parse_i64(call->argv[3], &number) || number < 0 ||
        number > INT64_MAX / 1000) {
        hl_reply_error(call, HL_ERR_SYNTAX);
        return false;
    }
    *out = (uint64_t)number;
    return true;
}

void hl_cmd_client_consistency(struct hl_call *call)
{
    struct hl_session *session = call->session;
    uint64_t number = 0;
    if (call->argc == 2) {
        hl_write_bulk_text(call->out, names[hl_session_consistency(call->node, session)]);
        return;
    }
    if (hl_arg_is(call, 2, "bounded")) {
        if (!take_number(call, &number)) {
            return;
        }
        session->read_bound_us = number * 1000;
        choose(session, HL_READ_BOUNDED);
    } else if (hl_arg_is(call, 2, "session")) {
        if (call->argc != 3 && !take_number(call, &number)) {
            return;
        }
        session->read_token = number > session->read_token ? number : session->read_token;
        choose(session, HL_READ_SESSION);
    } else if (call->argc == 3 && hl_arg_is(call, 2, "stale")) {
        choose(session, HL_READ_STALE);
    } else if (call->argc == 3 && hl_arg_is(call, 2, "linearizable")) {
        choose(session, HL_READ_LINEARIZABLE);
    } else if (call->argc == 3 && hl_arg_is(call, 2, "default")) {
        session->own_consistency = false;
    } else {
        hl_reply_error(call, HL_ERR_SYNTAX);
        return;
    }
    hl_write_ok(call->out);
}

/* All that it was shown was committed when it left, and all that it wrote is below its last gate.
 */
void hl_cmd_client_token(struct hl_call *call)
{
    const struct hl_node *node = call->node;
    uint64_t token =
        node->commit > call->session->last_gate ? node->commit : call->session->last_gate;
    hl_write_int(call->out, (int64_t)token);
}
