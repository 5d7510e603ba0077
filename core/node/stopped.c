/* A node that cannot apply an entry stops there, and goes on when it can.
 *
 * It never skips the entry, and never leads, for it could not execute on a state that lacks it.  It
 * goes on storing and acknowledging the log: so a group does not lose a vote because one machine
 * lacks a file.  Clients that read here are told; what writes is forwarded as ever.
 *
 * The entry is tried again and again, less and less often, until it can be applied (a missing
 * module is there), or the operator starts a version that can.
 */
#include "kit/assert.h"
#include "node/node_internal.h"

#define WAIT_US_MIN 20000 /* to the first time that it is tried again; each wait is doubled ... */
#define WAIT_US_MAX 15000000 /* ... up to this */
#define BUSY_US 3000000 /* that what an entry needs may be busy before that is called stopped */

static uint64_t now_us(const struct hl_node *node)
{
    return node->world->mono_us(node->world->ctx);
}

const struct hl_stop *hl_node_stopped(const struct hl_node *node)
{
    const struct hl_stop *stop = &node->cluster.stop;
    return stop->told ? stop : NULL;
}

bool hl_stop_may_try(const struct hl_node *node)
{
    const struct hl_stop *stop = &node->cluster.stop;
    return stop->index == 0 || now_us(node) >= stop->retry_us;
}

uint64_t hl_stop_wake_us(const struct hl_node *node)
{
    return node->cluster.stop.index == 0 ? 0 : node->cluster.stop.retry_us;
}

/* One line: it is shown in INFO. */
static void set_why(struct hl_stop *stop, const char *why)
{
    size_t len = strlen(why);
    len = len < sizeof stop->why - 1 ? len : sizeof stop->why - 1;
    for (size_t i = 0; i < len; i++) {
        stop->why[i] = why[i] == '\r' || why[i] == '\n' ? ' ' : why[i];
    }
    stop->why[len] = '\0';
}

void hl_stop_note(struct hl_node *node, hl_err err, bool begun, const char *why)
{
    struct hl_stop *stop = &node->cluster.stop;
    hl_index index = node->last + 1;
    bool was_told = stop->told && stop->index == index;
    if (stop->index != index) {
        *stop = (struct hl_stop){.index = index, .since_us = now_us(node)};
    }
    stop->wait_us = stop->wait_us == 0 ? WAIT_US_MIN : stop->wait_us * 2;
    stop->wait_us = stop->wait_us < WAIT_US_MAX ? stop->wait_us : WAIT_US_MAX;
    stop->retry_us = now_us(node) + stop->wait_us;
    stop->begun = begun;
    if (err == HL_EBUSY && now_us(node) - stop->since_us < BUSY_US) {
        return;
    }
    bool news = !was_told || strcmp(stop->why, why) != 0;
    set_why(stop, why);
    stop->told = true;
    if (news) {
        hl_node_log(node, 3,
                    "STOPPED applying the log at entry %llu: %s.  This server stores the log "
                    "further on but neither leads nor answers reads.  Remedy: put right what the "
                    "reason names; the entry is tried again at least every %d seconds, and at the "
                    "next start",
                    (unsigned long long)index, stop->why, WAIT_US_MAX / 1000000);
    }
    if (!was_told) {
        node->cluster.resign_due = true;
        hl_resume_postponed(node); /* those who wait to read are told */
    }
}

void hl_stop_passed(struct hl_node *node)
{
    struct hl_stop *stop = &node->cluster.stop;
    if (stop->index == 0) {
        return;
    }
    if (stop->told) {
        hl_node_log(node, 2, "applies the log again, from entry %llu on",
                    (unsigned long long)stop->index);
        node->cluster.resign_due = true;
    }
    *stop = (struct hl_stop){0};
}

void hl_stop_resign(struct hl_node *node)
{
    if (!node->cluster.resign_due) {
        return;
    }
    node->cluster.resign_due = false;
    bool stays = node->cluster.stop.told || node->scrub.differs;
    struct hl_raft_event event = {.type = HL_RAFT_ON_RESIGN,
                                  .resign = {.not_before_us = stays ? HL_RAFT_NEVER : 0}};
    hl_err err = hl_replica_step(node, &event, NULL);
    HL_ASSERT(err == HL_OK);
}
