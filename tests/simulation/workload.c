/* What clients ask, and what they make of the replies.
 *
 * Keys: r0.. registers (SET, GET, WATCH and EXEC), c0.. counters (INCRBY, GET),
 * l0.. lists (APPEND of eight hexadecimal digits, GET), p0a and p0b.. pairs of
 * lists that only transactions touch, hash h with fields that are registers,
 * n0.. noise, which only the digests of the states watch.
 */
#include "sim.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ELEMENT_LEN 8

/* Send a request of words separated by single spaces. */
static void say(struct sim *sim, struct sim_client *client, const char *fmt, ...) HL_PRINTF(3, 4);

static void say(struct sim *sim, struct sim_client *client, const char *fmt, ...)
{
    char text[160];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const char *words[8];
    int count = 0;
    for (char *word = text; word != NULL;) {
        char *space = strchr(word, ' ');
        words[count++] = word;
        if (space != NULL) {
            *space++ = '\0';
        }
        word = space;
    }
    sim_client_send(sim, client, words, count);
}

/* --- asking
 * -----------------------------------------------------------------------------------
 */

static void say_noise(struct sim *sim, struct sim_client *client)
{
    int a = (int)sim_below(sim, 5);
    int b = (int)sim_below(sim, 5);
    int n = (int)sim_below(sim, 2000);
    switch (sim_below(sim, 12)) {
    case 0:
        say(sim, client, "SET n%d v%d PX %d", a, n, 1 + n);
        return;
    case 1:
        say(sim, client, "INCRBYFLOAT nf%d 0.%d", a, n);
        return;
    case 2:
        say(sim, client, "HSET nh%d f%d %d g %d", a, b, n, n);
        return;
    case 3:
        say(sim, client, "HINCRBY nh%d f%d %d", a, b, n);
        return;
    case 4:
        say(sim, client, "DEL n%d nh%d", a, b);
        return;
    case 5:
        say(sim, client, "PEXPIRE nh%d %d", a, 1 + n);
        return;
    case 6:
        say(sim, client, "COPY n%d m%d REPLACE", a, b);
        return;
    case 7:
        say(sim, client, "GETEX n%d PX %d", a, 100 + n);
        return;
    case 8:
        say(sim, client, "SETRANGE n%d %d xyz", a, n % 50);
        return;
    case 9:
        say(sim, client, "MSET n%d 1 m%d 2 o%d 3", a, b, n % 7);
        return;
    case 10:
        say(sim, client, "HDEL nh%d f%d", a, b);
        return;
    default:
        say(sim, client, "GETDEL n%d", a);
        return;
    }
}

/* Its connection has to know how fresh its reads are to be. */
static void say_mode(struct sim *sim, struct sim_client *client)
{
    if (client->mode == SIM_MODE_DEFAULT || client->moded) {
        return;
    }
    client->moded = true;
    client->prelude++;
    if (client->mode == SIM_MODE_SESSION) {
        say(sim, client, "CLIENT CONSISTENCY SESSION %llu", (unsigned long long)client->token);
    } else {
        say(sim, client, "CLIENT CONSISTENCY BOUNDED %d", sim->profile.bound_ms);
    }
}

/* What it was shown so far goes with it. */
static void say_token(struct sim *sim, struct sim_client *client)
{
    if (client->mode == SIM_MODE_SESSION) {
        say(sim, client, "CLIENT TOKEN");
    }
}

/* A read, now and then two, one behind the other: the reply to the last counts. */
static void say_read(struct sim *sim, struct sim_client *client, const char *name)
{
    int count = sim_chance(sim, 200000) ? 2 : 1;
    for (int i = 0; i < count; i++) {
        say(sim, client, "GET %s%d", name, client->key);
    }
}

static void say_operation(struct sim *sim, struct sim_client *client)
{
    int key = client->key;
    switch (client->op) {
    case SIM_OP_WRITE:
        say(sim, client, "SET r%d %lld", key, (long long)client->value);
        return;
    case SIM_OP_READ:
        say_read(sim, client, "r");
        return;
    case SIM_OP_CAS:
        say(sim, client, "WATCH r%d", key);
        say(sim, client, "GET r%d", key);
        return;
    case SIM_OP_ADD:
        say(sim, client, "INCRBY c%d %lld", key, (long long)client->value);
        return;
    case SIM_OP_COUNT:
        say_read(sim, client, "c");
        return;
    case SIM_OP_APPEND:
        say(sim, client, "APPEND l%d %08x", key, client->element);
        return;
    case SIM_OP_LIST:
        say_read(sim, client, "l");
        return;
    case SIM_OP_PAIR:
        say(sim, client, "MULTI");
        say(sim, client, "APPEND p%da %08x", key, client->element);
        say(sim, client, "APPEND p%db %08x", key, client->element);
        say(sim, client, "EXEC");
        return;
    case SIM_OP_PAIR_LIST:
        say(sim, client, "MULTI");
        say(sim, client, "GET p%da", key);
        say(sim, client, "GET p%db", key);
        say(sim, client, "EXEC");
        return;
    case SIM_OP_FIELD_WRITE:
        say(sim, client, "HSET h f%d %lld", key, (long long)client->value);
        return;
    case SIM_OP_FIELD_READ:
        say(sim, client, "HGET h f%d", key);
        return;
    case SIM_OP_ONCE:
        say(sim, client, "CLIENT SESSION session%d", client->id);
        say(sim, client, "SEQ %llu APPEND l%d %08x", (unsigned long long)client->seq, key,
            client->element);
        return;
    case SIM_OP_NOISE:
        say_noise(sim, client);
        return;
    case SIM_OPS:
        break;
    }
    HL_ASSERT(!"an operation");
}

static enum sim_op draw_operation(struct sim *sim)
{
    static const enum sim_op often[] = {SIM_OP_APPEND, SIM_OP_APPEND, SIM_OP_LIST,
                                        SIM_OP_ADD,    SIM_OP_WRITE,  SIM_OP_READ};
    if (sim_chance(sim, 500000)) {
        return often[sim_below(sim, (int64_t)HL_ARRAY_LEN(often))];
    }
    return (enum sim_op)sim_below(sim, SIM_OPS);
}

static bool knows_sessions(const struct sim *sim, const struct sim_client *client)
{
    const struct sim_machine *machine = &sim->machines[client->target];
    struct hl_slice name = hl_slice_of("seq");
    return machine->up && hl_command_of(machine->node->commands, &name, 1) != NULL;
}

/* The final reads, one after the other; false when all have been handed out. */
static bool draw_final(struct sim *sim, struct sim_client *client)
{
    static const enum sim_op reads[] = {SIM_OP_LIST, SIM_OP_PAIR_LIST, SIM_OP_READ, SIM_OP_COUNT,
                                        SIM_OP_FIELD_READ};
    int kinds = (int)HL_ARRAY_LEN(reads);
    if (client->final) {
        return true; /* the one it has was not answered yet: again */
    }
    if (sim->finals >= kinds * sim->profile.keys) {
        return false;
    }
    client->op = reads[sim->finals % kinds];
    client->key = sim->finals / kinds;
    client->final = true;
    sim->finals++;
    return true;
}

void sim_workload_begin(struct sim *sim, struct sim_client *client)
{
    if (client->again) {
        /* what it is about to send may have been executed already */
    } else if (!sim->finishing) {
        client->op = draw_operation(sim);
        if (client->op == SIM_OP_ONCE && !knows_sessions(sim, client)) {
            client->op = SIM_OP_APPEND;
        }
        client->key = (int)sim_below(sim, sim->profile.keys);
    } else if (!draw_final(sim, client)) {
        client->stopped = true;
        return;
    }
    client->waiting = 0;
    client->prelude = 0;
    client->stage = 0;
    client->refused = client->in_doubt = false;
    client->got.is_nil = false;
    client->got.count = client->got.count2 = 0;
    if (!client->again) {
        client->element = ++sim->next_element;
        client->value = client->op == SIM_OP_ADD ? 1 + sim_below(sim, 9) : ++sim->next_value;
        client->invoked = ++sim->stamp;
        client->asked_us = sim->now_us;
        client->seq += client->op == SIM_OP_ONCE;
    }
    client->again = false;
    sim_trace(sim, "c%lld: asks m%lld, operation %lld of key %lld", client->id, client->target,
              client->op, client->key);
    say_mode(sim, client);
    say_operation(sim, client);
    say_token(sim, client);
}

/* --- the history
 * ------------------------------------------------------------------------------
 */

static struct history_op op_of(struct sim *sim, const struct sim_client *client,
                               enum history_kind kind, enum history_outcome outcome,
                               const char *name)
{
    struct history_op op = {.client = (uint32_t)client->id,
                            .kind = kind,
                            .outcome = outcome,
                            .invoked = client->invoked,
                            .returned = outcome == HISTORY_UNKNOWN ? HISTORY_NEVER : sim->stamp};
    (void)snprintf(op.key, sizeof op.key, "%s%d", name, client->key);
    return op;
}

/* In the end everything works, and the leader's answers are the truth. */
static bool may_be_stale(const struct sim *sim, const struct sim_client *client)
{
    bool weak = sim->profile.stale || client->mode != SIM_MODE_DEFAULT;
    return weak && !(sim->finishing && client->target == sim_leader(sim));
}

/* What the client's reads of lists promise. */
static enum history_kind list_kind(const struct sim *sim, const struct sim_client *client)
{
    if (!may_be_stale(sim, client)) {
        return HISTORY_LIST;
    }
    return client->mode == SIM_MODE_SESSION && !client->tokenless ? HISTORY_SESSION_LIST
                                                                  : HISTORY_STALE_LIST;
}

static void note_acked(struct sim *sim, const struct sim_client *client)
{
    size_t count = sim->acked[client->key].count;
    if (count == sim->acked[client->key].cap) {
        size_t cap = count == 0 ? 256 : count * 2;
        sim->acked[client->key].at =
            hl_realloc(sim->acked[client->key].at, cap * sizeof(struct sim_acked));
        sim->acked[client->key].cap = cap;
    }
    sim->acked[client->key].at[count] =
        (struct sim_acked){.at_us = sim->now_us, .element = client->element};
    sim->acked[client->key].count++;
}

/* E3, bounded: what was answered longer ago than the bound is there.  The word of a leader counts
 * from when it arrived, and a leader learns within an election timeout that it is none any more. */
static void check_bounded(struct sim *sim, const struct sim_client *client)
{
    int64_t bound_us = sim->profile.bound_ms * (int64_t)SIM_MS + SIM_ELECTION_US;
    bound_us += 2 * bound_us * sim->profile.clock_ppm / 1000000;
    int64_t since_us =
        client->asked_us - bound_us - sim->lateness_us - sim->pause_us - 2 * SIM_HEARTBEAT_US;
    bool *there = hl_calloc(sim->next_element + 1, sizeof *there);
    for (size_t i = 0; i < client->got.count; i++) {
        there[client->got.elements[i]] = true;
    }
    for (size_t i = 0; i < sim->acked[client->key].count; i++) {
        const struct sim_acked *acked = &sim->acked[client->key].at[i];
        if (acked->at_us < since_us && !there[acked->element]) {
            sim_fail(sim, "E3 bounded read",
                     "client %d, list l%d: element %u was answered %lld ms before it was asked "
                     "for, the bound is %d ms",
                     client->id, client->key, acked->element,
                     (long long)(client->asked_us - acked->at_us) / SIM_MS, sim->profile.bound_ms);
        }
    }
    hl_free(there);
    sim->stats.bounded_reads++;
}

static void note_register(struct sim *sim, struct sim_client *client, enum history_kind kind,
                          enum history_outcome outcome, const char *name)
{
    if (kind == HISTORY_READ && may_be_stale(sim, client)) {
        return; /* of registers nothing can be said then */
    }
    struct history_op op = op_of(sim, client, kind, outcome, name);
    op.arg = kind == HISTORY_CAS ? client->expected : client->value;
    op.arg2 = client->value;
    op.value = client->got.is_nil ? HISTORY_NIL : client->got.integer;
    (void)history_add(&sim->history, &op);
}

static void note_append(struct sim *sim, struct sim_client *client, enum history_outcome outcome,
                        const char *name, const char *suffix, int64_t bytes)
{
    struct history_op op = op_of(sim, client, HISTORY_APPEND, outcome, name);
    (void)snprintf(op.key, sizeof op.key, "%s%d%s", name, client->key, suffix);
    op.arg = client->element;
    op.value = bytes / ELEMENT_LEN;
    (void)history_add(&sim->history, &op);
}

static void note_list(struct sim *sim, struct sim_client *client, const char *name,
                      const char *suffix, uint32_t **elements, size_t count)
{
    enum history_kind kind = list_kind(sim, client);
    sim->stats.session_reads += kind == HISTORY_SESSION_LIST;
    struct history_op op = op_of(sim, client, kind, HISTORY_OK, name);
    (void)snprintf(op.key, sizeof op.key, "%s%d%s", name, client->key, suffix);
    op.elements = *elements;
    op.count = count;
    *elements = NULL;
    (void)history_add(&sim->history, &op);
}

static void note_pair_list(struct sim *sim, struct sim_client *client)
{
    size_t count = client->got.count;
    if (count != client->got.count2 ||
        (count > 0 &&
         memcmp(client->got.elements, client->got.elements2, count * sizeof(uint32_t)) != 0)) {
        sim_fail(sim, "N2 transaction",
                 "client %d saw pair %d with %zu and %zu elements, or others", client->id,
                 client->key, count, client->got.count2);
    }
    note_list(sim, client, "p", "a", &client->got.elements, count);
    note_list(sim, client, "p", "b", &client->got.elements2, count);
}

/* The operation is over with this outcome: reads of other outcomes say nothing.
 */
static void note(struct sim *sim, struct sim_client *client, enum history_outcome outcome)
{
    bool ok = outcome == HISTORY_OK;
    sim->stamp++;
    sim->stats.ops += ok;
    sim->stats.unknown += outcome == HISTORY_UNKNOWN;
    sim->stats.failed += outcome == HISTORY_FAIL;
    switch (client->op) {
    case SIM_OP_WRITE:
        note_register(sim, client, HISTORY_WRITE, outcome, "r");
        return;
    case SIM_OP_READ:
        note_register(sim, client, HISTORY_READ, outcome, "r");
        return;
    case SIM_OP_CAS:
        if (client->stage > 0) {
            note_register(sim, client, HISTORY_CAS, outcome, "r");
        }
        return;
    case SIM_OP_ADD:
        note_register(sim, client, HISTORY_ADD, outcome, "c");
        return;
    case SIM_OP_COUNT:
        note_register(sim, client, HISTORY_READ, outcome, "c");
        return;
    case SIM_OP_FIELD_WRITE:
        note_register(sim, client, HISTORY_WRITE, outcome, "h.f");
        return;
    case SIM_OP_FIELD_READ:
        note_register(sim, client, HISTORY_READ, outcome, "h.f");
        return;
    case SIM_OP_APPEND:
    case SIM_OP_ONCE:
        if (ok) {
            note_acked(sim, client);
        }
        note_append(sim, client, outcome, "l", "", client->got.integer);
        return;
    case SIM_OP_PAIR:
        note_append(sim, client, outcome, "p", "a", client->got.integer);
        note_append(sim, client, outcome, "p", "b", client->got.integer2);
        return;
    case SIM_OP_LIST:
        if (ok && client->mode == SIM_MODE_BOUNDED) {
            check_bounded(sim, client);
        }
        if (ok) {
            note_list(sim, client, "l", "", &client->got.elements, client->got.count);
        }
        return;
    case SIM_OP_PAIR_LIST:
        if (ok) {
            note_pair_list(sim, client);
        }
        return;
    case SIM_OP_NOISE:
    case SIM_OPS:
        return;
    }
}

/* --- replies
 * ----------------------------------------------------------------------------------
 */

static void read_elements(struct sim *sim, struct hl_slice text, uint32_t **out, size_t *count)
{
    if (text.len % ELEMENT_LEN != 0) {
        sim_fail(sim, "C1 determinism", "a list of %zu bytes holds a part of an element", text.len);
    }
    *count = text.len / ELEMENT_LEN;
    hl_free(*out);
    *out = hl_malloc((*count + 1) * sizeof **out);
    for (size_t i = 0; i < *count; i++) {
        char digits[ELEMENT_LEN + 1];
        memcpy(digits, text.ptr + i * ELEMENT_LEN, ELEMENT_LEN);
        digits[ELEMENT_LEN] = '\0';
        (*out)[i] = (uint32_t)strtoul(digits, NULL, 16);
    }
}

static int64_t integer_of(const struct hl_reply *reply)
{
    if (reply->type == HL_REPLY_INTEGER) {
        return reply->integer;
    }
    char digits[24] = "";
    size_t len = reply->text.len < sizeof digits ? reply->text.len : sizeof digits - 1;
    memcpy(digits, reply->text.ptr, len);
    digits[len] = '\0';
    return strtoll(digits, NULL, 10);
}

static bool is_list_read(enum sim_op op)
{
    return op == SIM_OP_LIST || op == SIM_OP_PAIR_LIST;
}

static void take_reply(struct sim *sim, struct sim_client *client, const struct hl_reply *reply)
{
    client->got.is_nil = reply->type == HL_REPLY_NULL;
    if (reply->type == HL_REPLY_ARRAY && reply->count == 2 && client->op == SIM_OP_PAIR_LIST) {
        read_elements(sim, reply->children[0].text, &client->got.elements, &client->got.count);
        read_elements(sim, reply->children[1].text, &client->got.elements2, &client->got.count2);
    } else if (reply->type == HL_REPLY_ARRAY && reply->count == 2) {
        client->got.integer = integer_of(&reply->children[0]);
        client->got.integer2 = integer_of(&reply->children[1]);
    } else if (is_list_read(client->op) &&
               (reply->type == HL_REPLY_STRING || reply->type == HL_REPLY_NULL)) {
        read_elements(sim, reply->text, &client->got.elements, &client->got.count);
    } else if (reply->type == HL_REPLY_STRING || reply->type == HL_REPLY_INTEGER) {
        client->got.integer = integer_of(reply);
    }
}

/* "MOVED slot mN:1" names whom to ask; other errors, sometimes, make it ask
 * anybody. */
static void take_error(struct sim *sim, struct sim_client *client, struct hl_slice text)
{
    if (text.len > 8 && memcmp(text.ptr, "STALESEQ", 8) == 0) {
        sim_fail(sim, "B5 exactly once", "client %d, number %llu: %.*s", client->id,
                 (unsigned long long)client->seq, (int)text.len, text.ptr);
    }
    const char *name = text.len > 6 && memcmp(text.ptr, "MOVED ", 6) == 0
                           ? memchr(text.ptr + 6, 'm', text.len - 6)
                           : NULL;
    if (name != NULL) {
        int to = name[1] - '0';
        HL_ASSERT(to >= 0 && to < sim->profile.machines);
        client->move_to = to;
    } else if (sim_chance(sim, 300000)) {
        client->move_to = (int)sim_below(sim, sim->profile.machines);
    }
}

/* The first half of a CAS is over: what was read is a read of its own. */
static void go_on_with_cas(struct sim *sim, struct sim_client *client)
{
    sim->stamp++;
    note_register(sim, client, HISTORY_READ, HISTORY_OK, "r");
    client->expected = client->got.is_nil ? HISTORY_NIL : client->got.integer;
    client->stage = 1;
    client->invoked = ++sim->stamp;
    say(sim, client, "MULTI");
    say(sim, client, "SET r%d %lld", client->key, (long long)client->value);
    say(sim, client, "EXEC");
    say_token(sim, client);
}

static void finish(struct sim *sim, struct sim_client *client, enum history_outcome outcome)
{
    if (client->op == SIM_OP_ONCE && outcome != HISTORY_OK) {
        client->again = true;
        return;
    }
    note(sim, client, outcome);
    sim_trace(sim, "c%lld: operation %lld ended with %lld, %lld", client->id, client->op, outcome,
              client->got.integer);
    if (client->final && outcome == HISTORY_OK) {
        client->final = false;
        sim->finals_done++;
    }
}

static bool ends_with_exec(enum sim_op op)
{
    return op == SIM_OP_CAS || op == SIM_OP_PAIR || op == SIM_OP_PAIR_LIST;
}

bool sim_workload_reply(struct sim *sim, struct sim_client *client, const struct hl_reply *reply)
{
    if (sim->verbose) {
        fprintf(stderr, "  %10.3f ms  c%d is told: %.*s\n", (double)sim->now_us / 1000, client->id,
                (int)(reply->raw.len < 200 ? reply->raw.len : 200), reply->raw.ptr);
    }
    if (client->prelude > 0) {
        client->prelude--;
        return false; /* a server that refuses it answers with its own mode, which is stricter */
    }
    if (client->mode == SIM_MODE_SESSION && client->waiting == 0) {
        client->tokenless |= reply->type != HL_REPLY_INTEGER;
        uint64_t token = (uint64_t)reply->integer;
        client->token = token > client->token ? token : client->token;
    } else if (reply->type == HL_REPLY_ERROR) {
        client->refused = true;
        take_error(sim, client, reply->text);
    } else {
        take_reply(sim, client, reply);
    }
    if (client->waiting > 0) {
        return false;
    }
    if (client->refused) {
        finish(sim, client, HISTORY_FAIL);
    } else if (client->op == SIM_OP_CAS && client->stage == 0) {
        go_on_with_cas(sim, client);
        return false;
    } else if (client->got.is_nil && ends_with_exec(client->op)) {
        finish(sim, client, HISTORY_FAIL); /* somebody touched a watched key: nothing was done */
    } else {
        finish(sim, client, HISTORY_OK);
    }
    return true;
}

void sim_workload_lost(struct sim *sim, struct sim_client *client)
{
    finish(sim, client, HISTORY_UNKNOWN);
}

void sim_workload_finish(struct sim *sim)
{
    sim->finishing = true;
    for (int i = 0; i < sim->profile.clients; i++) {
        struct sim_client *client = &sim->clients[i];
        client->stopped |= sim->profile.monitor && client->id == 0;
    }
}

bool sim_workload_done(const struct sim *sim)
{
    for (int i = 0; i < sim->profile.clients; i++) {
        if (!sim->clients[i].stopped) {
            return false;
        }
    }
    return true;
}
