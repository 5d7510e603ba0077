/* Chaos: whatever is cut, killed and slow, each numbered request takes effect once, and nobody
 * reads a value that is older than one already answered.
 *
 * Method: clients that each count up a key of their own, one request at a time, repeating it under
 * its number until it is answered, anywhere; so each answer is known beforehand.  Between, single
 * reads on any node.  In the end everything heals, and all nodes hold the same. */
#include "unit/node/group.h"

#define CLIENTS 4
#define STEPS 1500
#define SEEDS 12 /* of each run; CHAOS_SEEDS for more */
#define GIVE_UP_STEPS 120

struct client {
    struct hl_session *session; /* NULL: not connected */
    int at;
    int64_t done; /* requests answered */
    bool bound;   /* CLIENT SESSION was answered */
    bool asked;   /* a request is out */
    bool postponed;
    int waited;
    char request[64];
};

static struct group g;
static struct client clients[CLIENTS];
static uint64_t answered;

static void disconnect(struct client *client)
{
    if (client->session != NULL && g.at[client->at].node != NULL) {
        hl_session_destroy(g.at[client->at].node, client->session);
    }
    client->session = NULL;
    client->asked = client->bound = client->postponed = false;
}

static void forget_clients_of(int at)
{
    for (int i = 0; i < CLIENTS; i++) {
        if (clients[i].at == at) {
            clients[i].session = NULL; /* member_close() ends it */
            clients[i].asked = clients[i].bound = clients[i].postponed = false;
        }
    }
}

static void connect_somewhere(struct client *client)
{
    int at = (int)(group_chance(&g) % (unsigned)g.count);
    if (g.at[at].node != NULL) {
        client->at = at;
        client->session = member_client(&g.at[at]);
        client->waited = 0;
    }
}

static void ask(struct client *client, int number)
{
    if (!client->postponed) {
        if (client->bound) {
            snprintf(client->request, sizeof client->request, "SEQ %lld INCR key%d",
                     (long long)client->done + 1, number);
        } else {
            snprintf(client->request, sizeof client->request, "CLIENT SESSION s%d", number);
        }
        client->waited = 0;
    }
    client->asked = true;
    client->postponed = !member_run(&g.at[client->at], client->session, client->request);
}

/* The answer must be the one that is due, or an error after which the same may be asked again. */
static void take_answer(struct client *client)
{
    struct hl_slice out = hl_session_output(client->session);
    char text[256];
    cr_assert_lt(out.len, sizeof text);
    memcpy(text, out.ptr, out.len);
    text[out.len] = '\0';
    hl_session_taken(client->session, out.len);
    client->asked = false;
    if (text[0] == '-') {
        bool retry = strncmp(text, "-NOTLEADER", 10) == 0 || strncmp(text, "-NOQUORUM", 9) == 0 ||
                     strncmp(text, "-LOADING", 8) == 0 || strncmp(text, "-ROLLEDBACK", 11) == 0;
        cr_assert(retry, "%s answered %s", client->request, text);
        disconnect(client);
        return;
    }
    char want[64];
    if (client->bound) {
        client->done++;
        answered++;
    }
    snprintf(want, sizeof want, ":%lld\r\n", (long long)client->done);
    bool ahead = !client->bound && atoll(text + 1) == client->done + 1; /* done, answer lost */
    cr_assert(ahead || strcmp(text, want) == 0, "%s answered %s, not %s", client->request, text,
              want);
    client->bound = true;
}

static void step_client(struct client *client, int number)
{
    if (client->session == NULL) {
        connect_somewhere(client);
        return;
    }
    if ((client->session->flags & HL_SESSION_CLOSE_NOW) != 0 || client->waited++ > GIVE_UP_STEPS) {
        disconnect(client);
        return;
    }
    if (has_output(client->session)) {
        take_answer(client);
        return;
    }
    if (!client->asked ||
        (client->postponed && (client->session->flags & HL_SESSION_POSTPONED) != 0)) {
        ask(client, number);
    }
}

/* One read at one node, if it answers at once or within a few steps; nothing else happens
 * meanwhile, so the value is known but for one request that may be under way. */
static void read_somewhere(void)
{
    int number = (int)(group_chance(&g) % CLIENTS);
    struct member *m = &g.at[group_chance(&g) % (unsigned)g.count];
    if (m->node == NULL) {
        return;
    }
    struct hl_session *session = member_client(m);
    char request[32];
    snprintf(request, sizeof request, "GET key%d", number);
    bool ran = member_run(m, session, request);
    for (int i = 0; i < 20 && m->node != NULL && !(ran && has_output(session)); i++) {
        group_step(&g);
        if (!ran) {
            ran = member_run(m, session, request);
        }
    }
    struct hl_slice out = hl_session_output(session);
    if (out.len > 0 && out.ptr[0] == '$') {
        int64_t value = out.ptr[1] == '-' ? 0 : atoll(memchr(out.ptr, '\n', out.len));
        cr_assert(value == clients[number].done || value == clients[number].done + 1,
                  "node %d reads %lld of key%d, but %lld is answered", m->at, (long long)value,
                  number, (long long)clients[number].done);
    }
    hl_session_destroy(m->node, session);
}

static void snapshot(struct member *m)
{
    struct hl_errmsg msg = {{0}};
    if (m->node == NULL || m->node->loading || m->node->last == 0 ||
        m->node->last > m->node->commit || m->node->last <= m->node->snapshot_index) {
        return;
    }
    struct hl_snap_label label = hl_snapshot_label(m->node);
    cr_assert_eq(hl_snapshot_write(m->node, &m->disk, "d", &label, NULL, &msg), HL_OK, "%s",
                 msg.text);
    hl_node_begin(m->node);
    cr_assert_eq(hl_snapshot_publish(m->node, &m->disk, "d", &label, &msg), HL_OK, "%s", msg.text);
    hl_node_end(m->node);
}

/* A voter becomes a learner, or the other way round. */
static void change_members(struct member *leader)
{
    struct hl_members members = *hl_node_members(leader->node);
    struct hl_member *m = &members.at[group_chance(&g) % members.count];
    struct hl_errmsg msg = {{0}};
    m->voter = !m->voter;
    if (hl_members_voters(&members) < 3) {
        return; /* or those who are down for long could not be missed */
    }
    hl_node_begin(leader->node);
    hl_err err = hl_replica_configure(leader->node, &members, &msg);
    HL_MAYBE(err != HL_OK); /* another change is under way */
    hl_node_end(leader->node);
}

static void trouble(void)
{
    struct member *m = &g.at[group_chance(&g) % (unsigned)g.count];
    unsigned what = group_chance(&g);
    if (what < 25) {
        m->cut = !m->cut;
    } else if (what < 40) {
        m->slow = !m->slow;
    } else if (what < 60 && m->node != NULL) {
        forget_clients_of(m->at);
        member_close(m);
        fake_disk_crash(m->fake, what < 50 ? FAKE_CRASH_LOSE : FAKE_CRASH_TEAR, g.chance);
    } else if (what < 75 && m->node == NULL) {
        member_restart(m);
    } else if (what < 85) {
        snapshot(m);
    } else if (what < 92) {
        g.loss = group_chance(&g) % 20;
        g.delay = group_chance(&g) % 40;
    } else if (m->node != NULL && hl_node_leads(m->node) && what < 95) {
        change_members(m);
    } else if (m->node != NULL && hl_node_leads(m->node)) {
        hl_node_begin(m->node);
        hl_err err = hl_replica_hand_over(m->node, 0);
        HL_MAYBE(err != HL_OK);
        hl_node_end(m->node);
    }
}

static void heal(void)
{
    g.loss = g.delay = 0;
    for (int i = 0; i < g.count; i++) {
        g.at[i].cut = g.at[i].slow = false;
        if (g.at[i].node == NULL) {
            member_restart(&g.at[i]);
        }
    }
    int64_t before = clients[0].done;
    for (int i = 0; i < STEPS_MAX && clients[0].done < before + 3; i++) {
        group_step(&g);
        for (int c = 0; c < CLIENTS; c++) {
            step_client(&clients[c], c);
        }
    }
    cr_assert_geq(clients[0].done, before + 3, "H1: it goes on once all is well");
    for (int c = 0; c < CLIENTS; c++) {
        disconnect(&clients[c]);
    }
    group_run(&g, 200);
    group_expect_equal(&g);
}

static void run_seed(uint64_t seed)
{
    group_init(&g, seed % 4 == 0 ? 5 : 3);
    memset(clients, 0, sizeof clients);
    g.chance = seed * 7919 + 1;
    g.segment_size = 4096;
    for (int i = 0; i < STEPS; i++) {
        group_step(&g);
        if (group_chance(&g) < 4) {
            trouble();
        }
        for (int c = 0; c < CLIENTS; c++) {
            step_client(&clients[c], c);
        }
        if (group_chance(&g) < 3) {
            read_somewhere();
        }
    }
    heal();
    group_fini(&g);
}

Test(chaos, each_request_takes_effect_once)
{
    const char *more = getenv("CHAOS_SEEDS");
    const char *first = getenv("CHAOS_FIRST");
    uint64_t from = first == NULL ? 1 : (uint64_t)atoll(first);
    uint64_t count = more == NULL ? SEEDS : (uint64_t)atoll(more);
    for (uint64_t seed = from; seed < from + count; seed++) {
        cr_log_info("seed %llu", (unsigned long long)seed);
        if (more != NULL) {
            fprintf(stderr, "seed %llu answered %llu\n", (unsigned long long)seed,
                    (unsigned long long)answered);
        }
        run_seed(seed);
    }
    cr_assert_gt(answered, count * 20, "it must have come to something");
}
