/* Clients' connections: what travels keeps its order, and is lost only with the connection. */
#include "sim.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#define RECONNECT_US (20 * SIM_MS)
#define PATIENCE_US (700 * SIM_MS) /* then the client gives up, sometimes later */
#define PUMP_US (1 * SIM_MS)
#define ROAM_PPM 150000 /* that a client whose reads are its own choice goes elsewhere first */

static void on_next(struct sim *sim, struct sim_event *event);
static void connect_soon(struct sim *sim, struct sim_client *client);

/* A client's side of the connection ends: events of it are lost from now on. */
static void hang_up(struct sim *sim, struct sim_client *client)
{
    client->connection++;
    client->connected = false;
    client->session = NULL;
    client->in_us = client->out_us = 0;
    client->monitor_len = 0;
    hl_buf_clear(&client->replies);
    hl_reader_init(&client->reader);
    client->prelude = 0;
    client->moded = false;
    for (int i = 0; i < client->inbox_count; i++) {
        hl_free(client->inbox[i].argv);
    }
    client->inbox_count = 0;
    client->pumping = false;
    if (client->busy) {
        sim_workload_lost(sim, client);
        client->busy = false;
    }
    connect_soon(sim, client);
}

/* It only looks on from now on. */
static void begin_to_monitor(struct sim_machine *machine, struct sim_client *client)
{
    struct hl_slice word = hl_slice_of("MONITOR");
    if (sim_machine_begin(machine)) {
        (void)hl_node_execute(machine->node, client->session, 1, &word);
        sim_machine_end(machine);
    }
}

static void on_connect(struct sim *sim, struct sim_event *event)
{
    struct sim_client *client = &sim->clients[event->a];
    struct sim_machine *machine = &sim->machines[client->target];
    if (client->connected || client->stopped) {
        return;
    }
    if (!machine->up || sim->now_us < machine->paused_until_us) {
        connect_soon(sim, client);
        return;
    }
    client->connected = true;
    client->session = hl_session_create(machine->node, 0);
    client->monitors = false;
    if (sim->profile.monitor && client->id == 0) {
        begin_to_monitor(machine, client);
        client->monitors = true;
        return;
    }
    struct sim_event *next = sim_after(sim, sim->profile.client_delay_us, -1, on_next);
    next->a = client->id;
    next->b = (int64_t)client->connection;
}

static void connect_soon(struct sim *sim, struct sim_client *client)
{
    client->target =
        client->move_to >= 0 ? client->move_to : (int)sim_below(sim, sim->profile.machines);
    int leader = sim->finishing ? sim_leader(sim) : -1;
    if (leader >= 0 && (sim->profile.stale || client->mode != SIM_MODE_DEFAULT ||
                        (sim_machine_voters(&sim->machines[leader]) >> client->target & 1) == 0)) {
        client->target = leader; /* who was removed answers nobody, who follows may be late */
    }
    client->move_to = -1;
    struct sim_event *event = sim_after(sim, 1 + sim_below(sim, RECONNECT_US), -1, on_connect);
    event->a = client->id;
}

/* It was told to ask somebody else. */
static void move(struct sim *sim, struct sim_client *client)
{
    if (client->session != NULL) {
        hl_session_destroy(sim->machines[client->target].node, client->session);
    }
    hang_up(sim, client);
}

static bool is_current(const struct sim_client *client, const struct sim_event *event)
{
    return client->connected && client->connection == (uint64_t)event->b;
}

static void think(struct sim *sim, struct sim_client *client)
{
    int64_t wait_us = sim_exponential(sim, sim->profile.think_mean_us);
    if (sim->chaos && sim->now_us < sim->idle_until_us) {
        wait_us += sim->idle_until_us - sim->now_us;
    }
    struct sim_event *event = sim_after(sim, wait_us, -1, on_next);
    event->a = client->id;
    event->b = (int64_t)client->connection;
}

static void on_impatient(struct sim *sim, struct sim_event *event)
{
    struct sim_client *client = &sim->clients[event->a];
    if (!client->busy || client->attempt != (uint64_t)event->b) {
        return;
    }
    sim_trace(sim, "c%lld: gives up waiting for m%lld", client->id, client->target, 0, 0);
    if (client->connected && client->session != NULL) {
        hl_session_destroy(sim->machines[client->target].node, client->session);
    }
    hang_up(sim, client);
}

static void on_next(struct sim *sim, struct sim_event *event)
{
    struct sim_client *client = &sim->clients[event->a];
    if (!is_current(client, event) || client->busy) {
        return;
    }
    bool roams = client->mode != SIM_MODE_DEFAULT && !client->again;
    bool goes = sim->finishing ? client->target != sim_leader(sim) : sim_chance(sim, ROAM_PPM);
    if (roams && goes) {
        client->move_to = sim->finishing ? -1 : sim->script.back;
        move(sim, client);
        return;
    }
    client->attempt++;
    sim_workload_begin(sim, client);
    if (client->stopped) {
        return;
    }
    HL_ASSERT(client->waiting > 0);
    client->busy = true;
    int64_t patience_us = PATIENCE_US + sim_below(sim, 4 * PATIENCE_US);
    if (client->op == SIM_OP_ONCE && sim->chaos) {
        patience_us = 10 * SIM_MS + sim_below(sim, 200 * SIM_MS); /* asking again does no harm */
    }
    struct sim_event *timeout = sim_after(sim, patience_us, -1, on_impatient);
    timeout->a = client->id;
    timeout->b = (int64_t)client->attempt;
}

/* --- requests --------------------------------------------------------------------------------- */

static void drop_first(struct sim_client *client)
{
    hl_free(client->inbox[0].argv);
    client->inbox_count--;
    memmove(client->inbox, client->inbox + 1, (size_t)client->inbox_count * sizeof *client->inbox);
}

/* Execute what has arrived, as far as the session takes it. */
static void pump(struct sim_machine *machine, struct sim_client *client)
{
    while (client->inbox_count > 0 && (client->session->flags & HL_SESSION_BLOCKED) == 0) {
        struct sim_request *request = &client->inbox[0];
        client->session->behind = (size_t)client->inbox_count - 1; /* a request counts as a byte */
        bool postponed = hl_node_execute(machine->node, client->session, request->argc,
                                         request->argv) == HL_EXEC_POSTPONE;
        if (machine->sim->verbose) {
            fprintf(stderr, "  %10.3f ms  m%d %s c%d: %.*s, X %llu, C %llu\n",
                    (double)machine->sim->now_us / 1000, machine->id,
                    postponed ? "postpones" : "executes", client->id, (int)request->argv[0].len,
                    request->argv[0].ptr, (unsigned long long)machine->node->last,
                    (unsigned long long)machine->node->commit);
        }
        if (postponed) {
            return;
        }
        drop_first(client);
    }
}

static void on_pump(struct sim *sim, struct sim_event *event)
{
    struct sim_client *client = &sim->clients[event->a];
    struct sim_machine *machine = &sim->machines[event->machine];
    if (!is_current(client, event) || client->session == NULL) {
        return;
    }
    client->pumping = false;
    if (sim_machine_begin(machine)) {
        pump(machine, client);
        sim_machine_end(machine);
    }
}

static void on_request(struct sim *sim, struct sim_event *event)
{
    struct sim_client *client = &sim->clients[event->a];
    struct sim_machine *machine = &sim->machines[event->machine];
    if (!is_current(client, event) || client->session == NULL || !sim_machine_begin(machine)) {
        return;
    }
    HL_ASSERT(client->inbox_count < SIM_INBOX_MAX);
    client->inbox[client->inbox_count++] =
        (struct sim_request){.argc = (int)event->c, .argv = event->data};
    event->data = NULL;
    client->session->net_in++;
    pump(machine, client);
    sim_machine_end(machine);
}

/* When something sent now arrives, in order behind what was sent before. */
static int64_t arrival(struct sim *sim, int64_t *last_us)
{
    int64_t at_us = sim->now_us + 50 + sim_exponential(sim, sim->profile.client_delay_us);
    *last_us = at_us > *last_us ? at_us : *last_us;
    return *last_us - sim->now_us;
}

void sim_client_send(struct sim *sim, struct sim_client *client, const char *const *words,
                     int count)
{
    struct hl_slice argv[8];
    HL_ASSERT(count <= 8);
    for (int i = 0; i < count; i++) {
        argv[i] = hl_slice_of(words[i]);
    }
    client->waiting++;
    if (client->session == NULL) {
        return; /* the machine hung up: nobody will answer */
    }
    int64_t delay_us = arrival(sim, &client->in_us);
    struct sim_event *event = sim_after(sim, delay_us, client->target, on_request);
    event->a = client->id;
    event->b = (int64_t)client->connection;
    event->c = count;
    event->data = hl_slices_dup(argv, (size_t)count);
}

/* --- replies ---------------------------------------------------------------------------------- */

static void read_replies(struct sim *sim, struct sim_client *client)
{
    uint64_t connection = client->connection;
    for (;;) {
        enum hl_read_result result =
            hl_reader_next(&client->reader, client->replies.ptr, client->replies.len);
        if (result == HL_READ_MORE) {
            return;
        }
        if (result == HL_READ_ERROR || !client->busy) {
            sim_fail(sim, "replies", "client %d was sent what it did not ask for: %s", client->id,
                     client->reader.error);
        }
        struct hl_slice raw = {.ptr =
                                   client->replies.ptr + client->reader.pos - client->reader.size,
                               .len = client->reader.size};
        struct hl_reply *reply = hl_reply_build(raw, client->reader.nodes);
        client->waiting--;
        bool over = sim_workload_reply(sim, client, reply);
        hl_free(reply);
        hl_buf_consume(&client->replies, client->reader.pos);
        hl_reader_consumed(&client->reader, client->reader.pos);
        if (over && client->connection == connection) {
            client->busy = false;
            if (client->move_to >= 0) {
                move(sim, client);
                return;
            }
            think(sim, client);
        }
    }
}

static void on_reply(struct sim *sim, struct sim_event *event)
{
    struct sim_client *client = &sim->clients[event->a];
    if (!is_current(client, event) || client->monitors) {
        return;
    }
    hl_buf_append(&client->replies, event->data, (size_t)event->c);
    read_replies(sim, client);
}

static void on_closed(struct sim *sim, struct sim_event *event)
{
    struct sim_client *client = &sim->clients[event->a];
    if (is_current(client, event)) {
        hang_up(sim, client);
    }
}

static void tell(struct sim *sim, struct sim_client *client, sim_event_fn what, const char *bytes,
                 size_t len)
{
    struct sim_event *event = sim_after(sim, arrival(sim, &client->out_us), -1, what);
    event->a = client->id;
    event->b = (int64_t)client->connection;
    event->c = (int64_t)len;
    if (len > 0) {
        event->data = hl_malloc(len);
        memcpy(event->data, bytes, len);
    }
}

/* B1: what leaves depends on nothing that is not committed. */
static void check_gate(struct sim_machine *machine, const struct hl_session *session)
{
    const struct hl_node *node = machine->node;
    bool all = session->open == session->out.len;
    bool error = session->out.len > 0 && memchr(session->out.ptr, '-', session->out.len) != NULL;
    bool leads = node->cluster.leads || node->cluster.handing;
    /* Its node may not know yet that what another leader answered it is committed. */
    bool committed =
        session->last_gate <= node->commit || session->last_gate <= machine->sim->committed;
    if (all && leads && !error && !committed) {
        sim_fail(machine->sim, "B1 gate",
                 "machine %d lets a reply go that waits for entry %llu, and commit is %llu",
                 machine->id, (unsigned long long)session->last_gate,
                 (unsigned long long)node->commit);
    }
}

/* B3: what is pushed waits for what was executed before it. */
static void check_push(struct sim_machine *machine, const struct sim_client *client)
{
    const struct hl_session *session = client->session;
    bool fresh = session->out.len > client->monitor_len && session->open == session->out.len;
    if (client->monitors && fresh && machine->node->cluster.leads &&
        machine->began_at > machine->node->commit) {
        sim_fail(machine->sim, "B3 push",
                 "machine %d tells a monitor what was executed at entry %llu, and commit is %llu",
                 machine->id, (unsigned long long)machine->began_at,
                 (unsigned long long)machine->node->commit);
    }
}

void sim_clients_harvest(struct sim_machine *machine)
{
    struct sim *sim = machine->sim;
    for (int i = 0; i < sim->profile.clients; i++) {
        struct sim_client *client = &sim->clients[i];
        if (client->session == NULL || client->target != machine->id) {
            continue;
        }
        struct hl_session *session = client->session;
        struct hl_slice out = hl_session_output(session);
        check_push(machine, client);
        if (out.len > 0) {
            check_gate(machine, session);
            tell(sim, client, on_reply, out.ptr, out.len);
            hl_session_taken(session, out.len);
        }
        client->monitor_len = session->out.len;
        bool drained = hl_session_held(session) == 0;
        if ((session->flags & HL_SESSION_CLOSE_NOW) != 0 ||
            (drained && (session->flags & HL_SESSION_CLOSE_AFTER) != 0)) {
            hl_session_destroy(machine->node, session);
            client->session = NULL; /* the client hears of it later */
            tell(sim, client, on_closed, NULL, 0);
            continue;
        }
        if (client->inbox_count > 0 && !client->pumping) {
            client->pumping = true;
            struct sim_event *event = sim_after(sim, PUMP_US, machine->id, on_pump);
            event->a = client->id;
            event->b = (int64_t)client->connection;
        }
    }
}

/* --- lives ------------------------------------------------------------------------------------ */

void sim_clients_start(struct sim *sim)
{
    for (int i = 0; i < sim->profile.clients; i++) {
        struct sim_client *client = &sim->clients[i];
        *client = (struct sim_client){.id = i, .move_to = -1};
        if (sim_chance(sim, sim->profile.session_ppm)) {
            client->mode = SIM_MODE_SESSION;
        } else if (sim_chance(sim, sim->profile.bounded_ppm)) {
            client->mode = SIM_MODE_BOUNDED;
        }
        hl_reader_init(&client->reader);
        connect_soon(sim, client);
    }
}

void sim_clients_lost(struct sim_machine *machine, bool abandon)
{
    struct sim *sim = machine->sim;
    for (int i = 0; i < sim->profile.clients; i++) {
        struct sim_client *client = &sim->clients[i];
        if (client->session == NULL || client->target != machine->id) {
            continue;
        }
        if (!abandon) {
            hl_session_destroy(machine->node, client->session);
        }
        client->session = NULL;
        if (sim_chance(sim, 500000)) {
            hang_up(sim, client); /* else it waits until its patience ends */
        }
    }
}

void sim_clients_fini(struct sim *sim)
{
    for (int i = 0; i < SIM_KEYS_MAX; i++) {
        hl_free(sim->acked[i].at);
    }
    for (int i = 0; i < sim->profile.clients; i++) {
        struct sim_client *client = &sim->clients[i];
        hl_buf_fini(&client->replies);
        for (int j = 0; j < client->inbox_count; j++) {
            hl_free(client->inbox[j].argv);
        }
        hl_free(client->got.elements);
        hl_free(client->got.elements2);
    }
}
