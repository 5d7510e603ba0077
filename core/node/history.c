#include "node/history.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdio.h>
#include <string.h>

void hl_history_init(struct hl_history *history)
{
    *history = (struct hl_history){0};
    history->events = hl_calloc(HL_EVENTS_MAX, sizeof *history->events);
    history->snaps = hl_calloc(HL_SNAP_EVENTS_MAX, sizeof *history->snaps);
}

void hl_history_fini(struct hl_history *history)
{
    hl_free(history->events);
    hl_free(history->snaps);
    history->events = NULL;
    history->snaps = NULL;
}

/* --- the group -------------------------------------------------------------------------------- */

void hl_history_add(struct hl_history *history, const struct hl_event *event)
{
    HL_ASSERT(history->events != NULL);
    history->event_count++;
    struct hl_event *slot = &history->events[history->event_count % HL_EVENTS_MAX];
    *slot = *event;
    slot->number = history->event_count;
}

static void add_about(struct hl_history *history, enum hl_event_kind kind,
                      const struct hl_member *about, hl_term term, int64_t at_ms)
{
    struct hl_event event = {.kind = kind, .at_ms = at_ms, .term = term};
    if (about != NULL) {
        memcpy(event.name, about->name, sizeof event.name);
        memcpy(event.address, about->raft_addr, sizeof event.address);
    }
    hl_history_add(history, &event);
}

static void compare(struct hl_history *history, const struct hl_member *before,
                    const struct hl_member *now, hl_term term, int64_t at_ms)
{
    if (before->voter != now->voter) {
        add_about(history, now->voter ? HL_EVENT_PEER_PROMOTED : HL_EVENT_PEER_DEMOTED, now, term,
                  at_ms);
    }
    if (strcmp(before->raft_addr, now->raft_addr) != 0) {
        add_about(history, HL_EVENT_PEER_MOVED, now, term, at_ms);
    }
}

void hl_history_members(struct hl_history *history, const struct hl_members *members, hl_term term,
                        int64_t at_ms)
{
    const struct hl_members old = history->members;
    history->members = *members;
    if (old.count == 0) {
        return; /* this node learns who they are: nothing has happened to them */
    }
    for (uint32_t i = 0; i < old.count; i++) {
        if (hl_members_find(members, old.at[i].id) == NULL) {
            add_about(history, HL_EVENT_PEER_REMOVED, &old.at[i], term, at_ms);
        }
    }
    for (uint32_t i = 0; i < members->count; i++) {
        const struct hl_member *before = hl_members_find(&old, members->at[i].id);
        if (before == NULL) {
            add_about(history, HL_EVENT_PEER_ADDED, &members->at[i], term, at_ms);
        } else {
            compare(history, before, &members->at[i], term, at_ms);
        }
    }
}

void hl_history_leader(struct hl_history *history, hl_peer leader, hl_term term, int64_t at_ms)
{
    if (leader != history->leader) {
        history->leader = leader;
        add_about(history, HL_EVENT_LEADER_CHANGED,
                  leader == 0 ? NULL : hl_members_find(&history->members, leader), term, at_ms);
    }
}

const struct hl_event *hl_history_event(const struct hl_history *history, uint64_t number)
{
    bool held = number != 0 && number <= history->event_count &&
                history->event_count - number < HL_EVENTS_MAX;
    return held ? &history->events[number % HL_EVENTS_MAX] : NULL;
}

/* --- snapshots -------------------------------------------------------------------------------- */

static void sum_up(struct hl_snap_figures *f, const struct hl_snap_event *event)
{
    switch (event->kind) {
    case HL_SNAP_CREATED:
        f->created++;
        f->bytes_written += event->size;
        f->create_us += event->took_us;
        f->create_last_us = event->took_us;
        f->create_max_us = event->took_us > f->create_max_us ? event->took_us : f->create_max_us;
        break;
    case HL_SNAP_RECEIVED:
        f->received++;
        f->bytes_written += event->size;
        break;
    case HL_SNAP_RESTORED:
        f->restored++;
        f->restore_us += event->took_us;
        f->restore_last_us = event->took_us;
        break;
    case HL_SNAP_SENT:
        f->sent++;
        break;
    case HL_SNAP_FAILED:
        f->failed++;
        break;
    }
    f->compacted += event->compacted;
}

void hl_history_snap(struct hl_history *history, const struct hl_snap_event *event)
{
    HL_ASSERT(history->snaps != NULL);
    history->snap_count++;
    struct hl_snap_event *slot = &history->snaps[history->snap_count % HL_SNAP_EVENTS_MAX];
    *slot = *event;
    slot->number = history->snap_count;
    sum_up(&history->figures, event);
}

const struct hl_snap_event *hl_history_snap_event(const struct hl_history *history, uint64_t number)
{
    bool held = number != 0 && number <= history->snap_count &&
                history->snap_count - number < HL_SNAP_EVENTS_MAX;
    return held ? &history->snaps[number % HL_SNAP_EVENTS_MAX] : NULL;
}

void hl_history_reset_snaps(struct hl_history *history)
{
    history->snap_base = history->snap_count;
    history->figures = (struct hl_snap_figures){0};
}

/* --- words ------------------------------------------------------------------------------------ */

const char *hl_event_name(enum hl_event_kind kind)
{
    switch (kind) {
    case HL_EVENT_STARTED:
        return "started";
    case HL_EVENT_STATE_CHANGED:
        return "state_changed";
    case HL_EVENT_LEADER_CHANGED:
        return "leader_changed";
    case HL_EVENT_PEER_ADDED:
        return "peer_added";
    case HL_EVENT_PEER_REMOVED:
        return "peer_removed";
    case HL_EVENT_PEER_PROMOTED:
        return "peer_promoted";
    case HL_EVENT_PEER_DEMOTED:
        return "peer_demoted";
    case HL_EVENT_PEER_MOVED:
        break;
    }
    return "peer_moved";
}

const char *hl_snap_event_name(enum hl_snap_event_kind kind)
{
    switch (kind) {
    case HL_SNAP_CREATED:
        return "created";
    case HL_SNAP_RECEIVED:
        return "received";
    case HL_SNAP_RESTORED:
        return "restored";
    case HL_SNAP_SENT:
        return "sent";
    case HL_SNAP_FAILED:
        break;
    }
    return "failed";
}
