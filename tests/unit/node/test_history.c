/* What happened: events of a group that are told apart, bounded lists, and real nodes that note
 * them.
 *
 * Method: the lists alone; then a group in one process, whose leader is lost and whose log goes.
 */
#include "node/history.h"
#include "node/node_internal.h"
#include "unit/node/group.h"

static struct hl_history history;

static void setup(void)
{
    hl_history_init(&history);
}

static void teardown(void)
{
    hl_history_fini(&history);
}

TestSuite(history, .init = setup, .fini = teardown);

static void put(struct hl_members *members, hl_peer id, bool voter, const char *name,
                const char *address)
{
    cr_assert_eq(hl_members_put(members, id, voter, hl_slice_of(name), hl_slice_of(address),
                                hl_slice_of("c:1")),
                 HL_OK);
}

static void expect(uint64_t number, enum hl_event_kind kind, const char *name)
{
    const struct hl_event *event = hl_history_event(&history, number);
    cr_assert_not_null(event);
    cr_assert_eq(event->number, number);
    cr_assert_str_eq(hl_event_name(event->kind), hl_event_name(kind));
    cr_assert_str_eq(event->name, name);
}

Test(history, each_difference_between_members_is_an_event)
{
    struct hl_members members = {0};
    put(&members, 1, true, "one", "a:1");
    put(&members, 2, true, "two", "a:2");
    hl_history_members(&history, &members, 1, 100);
    cr_assert_eq(history.event_count, 0, "nothing happened to members that were met first");
    put(&members, 3, false, "three", "a:3");
    hl_history_members(&history, &members, 1, 101);
    expect(1, HL_EVENT_PEER_ADDED, "three");
    cr_assert_str_eq(hl_history_event(&history, 1)->address, "a:3");
    put(&members, 3, true, "three", "b:3");
    hl_history_members(&history, &members, 1, 102);
    expect(2, HL_EVENT_PEER_PROMOTED, "three");
    expect(3, HL_EVENT_PEER_MOVED, "three");
    cr_assert(hl_members_remove(&members, 2));
    hl_history_members(&history, &members, 1, 103);
    expect(4, HL_EVENT_PEER_REMOVED, "two");
    hl_history_members(&history, &members, 1, 104);
    cr_assert_eq(history.event_count, 4, "nothing has changed");
    hl_history_leader(&history, 3, 2, 105);
    hl_history_leader(&history, 3, 2, 106);
    expect(5, HL_EVENT_LEADER_CHANGED, "three");
    hl_history_leader(&history, 0, 3, 107);
    expect(6, HL_EVENT_LEADER_CHANGED, "");
}

Test(history, the_oldest_events_go_and_numbers_stay)
{
    for (int i = 0; i < HL_EVENTS_MAX + 3; i++) {
        hl_history_add(&history, &(struct hl_event){.kind = HL_EVENT_STARTED});
    }
    cr_assert_null(hl_history_event(&history, 0));
    cr_assert_null(hl_history_event(&history, 3));
    cr_assert_not_null(hl_history_event(&history, 4));
    cr_assert_not_null(hl_history_event(&history, HL_EVENTS_MAX + 3));
    cr_assert_null(hl_history_event(&history, HL_EVENTS_MAX + 4));
}

Test(history, snapshots_are_summed_up_by_kind)
{
    struct hl_snap_event event = {
        .kind = HL_SNAP_CREATED, .size = 1000, .took_us = 300, .compacted = 7};
    hl_history_snap(&history, &event);
    event.took_us = 100;
    hl_history_snap(&history, &event);
    hl_history_snap(&history, &(struct hl_snap_event){.kind = HL_SNAP_RECEIVED, .size = 10});
    hl_history_snap(&history, &(struct hl_snap_event){.kind = HL_SNAP_RESTORED, .took_us = 50});
    hl_history_snap(&history, &(struct hl_snap_event){.kind = HL_SNAP_SENT});
    hl_history_snap(&history, &(struct hl_snap_event){.kind = HL_SNAP_FAILED});
    const struct hl_snap_figures *f = &history.figures;
    cr_assert_eq(f->created, 2);
    cr_assert_eq(f->create_us, 400);
    cr_assert_eq(f->create_max_us, 300);
    cr_assert_eq(f->create_last_us, 100);
    cr_assert_eq(f->compacted, 14);
    cr_assert_eq(f->bytes_written, 2010);
    cr_assert_eq(f->received, 1);
    cr_assert_eq(f->restored, 1);
    cr_assert_eq(f->restore_us, 50);
    cr_assert_eq(f->sent, 1);
    cr_assert_eq(f->failed, 1);
    cr_assert_eq(hl_history_snap_event(&history, 6)->kind, HL_SNAP_FAILED);
    hl_history_reset_snaps(&history);
    cr_assert_eq(history.snap_base, 6, "whoever counts events has not lost any");
    cr_assert_eq(history.figures.created, 0);
}

/* The newest event of that kind a node has noted, or NULL. */
static const struct hl_event *newest(const struct hl_node *node, enum hl_event_kind kind)
{
    for (uint64_t n = node->history.event_count; n != 0; n--) {
        const struct hl_event *event = hl_history_event(&node->history, n);
        if (event == NULL || event->kind == kind) {
            return event;
        }
    }
    return NULL;
}

Test(history, nodes_of_a_group_note_offices_latencies_and_who_is_silent)
{
    static struct group g;
    group_init(&g, 3);
    struct member *leader = group_lead(&g);
    const struct hl_event *event = newest(leader->node, HL_EVENT_STATE_CHANGED);
    cr_assert_not_null(event);
    cr_assert_eq(event->new_state, HL_OFFICE_LEADER);
    cr_assert_eq(leader->node->uptime.terms_as_leader, 1);
    cr_assert_geq(leader->node->uptime.elections, 1);
    struct hl_session *a = member_client(leader);
    member_say(leader, a, "SET k v", "+OK\r\n");
    for (int i = 0; i < g.count; i++) {
        if (i == leader->at) {
            continue;
        }
        const struct hl_rpc_peer *peer = hl_rpc_peer(&leader->node->rpc, g.at[i].id);
        cr_assert_gt(peer->series[HL_RPC_APPEND_ENTRIES].count, 0);
        cr_assert_eq(peer->series[HL_RPC_APPEND_ENTRIES].errors, 0);
        cr_assert_neq(peer->contact_us, 0);
        cr_assert_eq(g.at[i].node->uptime.office, HL_OFFICE_FOLLOWER);
    }
    int silent = leader->at == 0 ? 1 : 0;
    g.at[silent].cut = true;
    const struct hl_rpc_peer *peer = hl_rpc_peer(&leader->node->rpc, g.at[silent].id);
    for (int i = 0; i < STEPS_MAX && peer->consecutive_errors < 3; i++) {
        group_step(&g);
        hl_node_cron(leader->node);
    }
    cr_assert_geq(peer->consecutive_errors, 3);
    leader->cut = true;
    g.at[silent].cut = false;
    for (int i = 0; i < STEPS_MAX && leader->node->uptime.office != HL_OFFICE_FOLLOWER; i++) {
        group_step(&g);
    }
    event = newest(leader->node, HL_EVENT_STATE_CHANGED);
    cr_assert_eq(event->old_state, HL_OFFICE_LEADER);
    cr_assert_eq(event->new_state, HL_OFFICE_FOLLOWER);
    group_fini(&g);
}
