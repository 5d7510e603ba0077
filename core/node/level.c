#include "node/level.h"

#include "command/args.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "node/node_internal.h"

uint32_t hl_level_own(const struct hl_node *node)
{
    uint32_t told = node->config.feature_level;
    return told != 0 ? told : HL_FEATURE_LEVEL;
}

uint32_t hl_level_now(const struct hl_node *node)
{
    uint32_t now = node->cluster.levels.now;
    return now != 0 ? now : hl_level_own(node); /* nothing was said yet: this entry does */
}

void hl_level_seen(struct hl_node *node, uint32_t level)
{
    struct hl_levels *levels = &node->cluster.levels;
    if (level > levels->now && levels->now != 0) {
        hl_node_log(node, 2, "the feature level is %u from now on", (unsigned)level);
    }
    levels->now = level > levels->now ? level : levels->now;
}

void hl_node_peer_level(struct hl_node *node, hl_peer peer, uint32_t level)
{
    struct hl_levels *levels = &node->cluster.levels;
    size_t at = 0;
    while (at < HL_ARRAY_LEN(levels->peers) && levels->peers[at].peer != peer &&
           levels->peers[at].peer != 0) {
        at++;
    }
    if (at == HL_ARRAY_LEN(levels->peers)) {
        at = levels->next++ % HL_ARRAY_LEN(levels->peers);
    }
    bool news = levels->peers[at].peer != peer || levels->peers[at].level != level;
    levels->peers[at].peer = peer;
    levels->peers[at].level = level;
    if (news && levels->now > level) {
        hl_node_log(node, 3,
                    "node %llx understands feature level %u, the cluster has %u: it will not apply "
                    "the log until it is upgraded",
                    (unsigned long long)peer, (unsigned)level, (unsigned)levels->now);
    }
}

uint32_t hl_level_of(const struct hl_node *node, hl_peer peer)
{
    const struct hl_levels *levels = &node->cluster.levels;
    if (peer == node->node_id) {
        return hl_level_own(node);
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(levels->peers); i++) {
        if (levels->peers[i].peer == peer) {
            return levels->peers[i].level;
        }
    }
    return 0;
}

/* --- RAFT.FINALIZE -----------------------------------------------------------------------------
 */

/* The level that all members understand, or 0 after replying whose is not known.  *who is one that
 * understands no more, although another does; else NULL. */
static uint32_t lowest(struct hl_call *call, const struct hl_member **who)
{
    const struct hl_members *members = hl_node_members(call->node);
    const struct hl_member *least = NULL;
    uint32_t level = UINT32_MAX, highest = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        const struct hl_member *m = &members->at[i];
        uint32_t theirs = hl_level_of(call->node, m->id);
        if (theirs == 0) {
            hl_reply_errorf(call,
                            "ERR it is not known which feature level %s understands: it has not "
                            "been connected since this server started; try again when it is",
                            m->name);
            return 0;
        }
        highest = theirs > highest ? theirs : highest;
        if (theirs < level) {
            level = theirs;
            least = m;
        }
    }
    *who = highest > level ? least : NULL;
    return members->count != 0 ? level : hl_level_own(call->node);
}

static void cmd_finalize(struct hl_call *call)
{
    struct hl_node *node = call->node;
    struct hl_errmsg msg = {{0}};
    const struct hl_member *who = NULL;
    if (hl_admin_may_change(node, &msg) != HL_OK) {
        hl_reply_error(call, msg.text);
        return;
    }
    uint32_t level = lowest(call, &who);
    if (level == 0) {
        return;
    }
    if (level <= hl_level_now(node) && who != NULL) {
        hl_reply_errorf(call,
                        "ERR the feature level stays %u, for %s understands no more: upgrade it, "
                        "then finalize",
                        (unsigned)hl_level_now(node), who->name);
        return;
    }
    if (level > hl_level_now(node)) {
        char number[HL_I64_TEXT_MAX];
        int len = hl_format_i64(number, (int64_t)level);
        struct hl_slice effect[2] = {hl_slice_of("HELIOS.LEVEL"),
                                     {.ptr = number, .len = (size_t)len}};
        hl_level_seen(node, level); /* so the entry carries it */
        hl_unit_admin(node);
        hl_unit_effect(node, 0, 2, effect);
    }
    hl_write_int(call->out, (int64_t)level);
}

/* The effect: the entry that carries it says it all. */
static void cmd_level(struct hl_call *call)
{
    if ((call->flags & HL_CALL_REPLICATED) == 0) {
        hl_reply_error(call, "ERR this is part of the log, not of what clients say");
        return;
    }
    hl_unit_admin(call->node);
    hl_write_ok(call->out);
}

const struct hl_command_row hl_commands_level[] = {
    {.name = "raft.finalize",
     .run = cmd_finalize,
     .arity = 1,
     .flags = HL_CMD_ADMIN | HL_CMD_NOSCRIPT | HL_CMD_NO_MULTI | HL_CMD_LOGGED,
     .group = "cluster",
     .since = "0.1.0",
     .complexity = "O(N) where N is the number of members",
     .summary = "End an upgrade: raise the feature level to what all members understand, for good.",
     .args = NULL},
    {.name = "helios.level",
     .run = cmd_level,
     .arity = 2,
     .flags = HL_CMD_ADMIN | HL_CMD_NOSCRIPT | HL_CMD_LOGGED,
     .acl = HL_ACL_DANGEROUS,
     .group = "cluster",
     .since = "0.1.0",
     .complexity = "O(1)",
     .summary = "The feature level was raised: only in the log.",
     .args = "level:integer"},
};
const size_t hl_commands_level_count = HL_ARRAY_LEN(hl_commands_level);
