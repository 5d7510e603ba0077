/* Registers: is there an order of the operations that respects real time and that a register, one
 * by one, could have answered so?
 *
 * The operations' sends and answers form one list in time.  The search walks it from the front: a
 * send may be taken next in the order when the register's answer fits; an answer that is met before
 * its operation was taken means that the last choice was wrong.  A configuration (what was taken,
 * the register's value) that was met before is not tried again.
 */
#include "check.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdlib.h>
#include <string.h>

/* A send or an answer. */
struct event {
    struct event *prev, *next;
    struct event *answer; /* of a send: its answer; NULL when unknown, or in an answer itself */
    const struct history_op *op;
    uint64_t mark[2]; /* of a send: its share of a configuration's hash */
    bool is_answer;
};

/* Set of configurations, by 128 bits of hash: open addressing. */
struct seen {
    uint64_t (*slots)[2]; /* both 0: free */
    size_t count, cap;
};

struct choice {
    struct event *event;
    int64_t state; /* before it */
};

struct search {
    struct event head; /* of the list */
    struct event *events;
    struct choice *choices;
    size_t depth, deepest;
    const struct history_op *stuck; /* the answer that the deepest try could not pass */
    size_t left;                    /* operations with an answer that are not taken yet */
    uint64_t hash[2];
    int64_t state;
    struct seen seen;
    size_t steps;
};

static uint64_t mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static bool put_slot(uint64_t (*slots)[2], size_t cap, const uint64_t key[2])
{
    for (size_t at = key[0] & (cap - 1);; at = (at + 1) & (cap - 1)) {
        if (slots[at][0] == key[0] && slots[at][1] == key[1]) {
            return false;
        }
        if ((slots[at][0] | slots[at][1]) == 0) {
            slots[at][0] = key[0];
            slots[at][1] = key[1];
            return true;
        }
    }
}

/* True when the configuration is new. */
static bool add_seen(struct seen *seen, const uint64_t hash[2], int64_t state)
{
    uint64_t key[2] = {mix(hash[0] ^ mix((uint64_t)state)), mix(hash[1] + (uint64_t)state) | 1};
    if (seen->count * 2 >= seen->cap) {
        size_t cap = seen->cap == 0 ? 1024 : seen->cap * 2;
        uint64_t(*slots)[2] = hl_calloc(cap, sizeof *slots);
        for (size_t i = 0; i < seen->cap; i++) {
            if ((seen->slots[i][0] | seen->slots[i][1]) != 0) {
                (void)put_slot(slots, cap, seen->slots[i]);
            }
        }
        hl_free(seen->slots);
        seen->slots = slots;
        seen->cap = cap;
    }
    bool fresh = put_slot(seen->slots, seen->cap, key);
    seen->count += fresh;
    return fresh;
}

/* What the register does: false when it cannot answer so in `state`. */
static bool apply(const struct history_op *op, int64_t state, int64_t *out)
{
    bool answered = op->outcome == HISTORY_OK;
    int64_t number = state == HISTORY_NIL ? 0 : state;
    *out = state;
    switch (op->kind) {
    case HISTORY_READ:
        return !answered || op->value == state;
    case HISTORY_WRITE:
        *out = op->arg;
        return true;
    case HISTORY_CAS:
        if (op->outcome == HISTORY_MISS) {
            return state != op->arg;
        }
        if (state != op->arg) {
            return !answered; /* unknown: it may have missed */
        }
        *out = op->arg2;
        return true;
    case HISTORY_ADD:
        *out = number + op->arg;
        return !answered || op->value == *out;
    case HISTORY_APPEND:
    case HISTORY_LIST:
    case HISTORY_SESSION_LIST:
    case HISTORY_STALE_LIST:
        break;
    }
    HL_ASSERT(!"an operation of registers");
    return false;
}

static void unlink_event(struct event *event)
{
    event->prev->next = event->next;
    if (event->next != NULL) {
        event->next->prev = event->prev;
    }
}

static void relink_event(struct event *event)
{
    event->prev->next = event;
    if (event->next != NULL) {
        event->next->prev = event;
    }
}

static void take(struct search *s, struct event *event, int64_t state)
{
    s->choices[s->depth++] = (struct choice){.event = event, .state = s->state};
    s->state = state;
    s->hash[0] ^= event->mark[0];
    s->hash[1] ^= event->mark[1];
    unlink_event(event);
    if (event->answer != NULL) {
        unlink_event(event->answer);
        s->left--;
    }
}

static struct event *take_back(struct search *s)
{
    struct choice *choice = &s->choices[--s->depth];
    struct event *event = choice->event;
    s->state = choice->state;
    s->hash[0] ^= event->mark[0];
    s->hash[1] ^= event->mark[1];
    if (event->answer != NULL) {
        relink_event(event->answer);
        s->left++;
    }
    relink_event(event);
    return event;
}

enum verdict {
    LINEAR,
    NOT_LINEAR,
    GAVE_UP,
};

static enum verdict run(struct search *s)
{
    struct event *event = s->head.next;
    while (s->left > 0) {
        if (++s->steps > CHECK_STEPS_MAX) {
            return GAVE_UP;
        }
        HL_ASSERT(event != NULL); /* an answer is left, and no walk goes past it */
        if (event->is_answer) {
            if (s->depth >= s->deepest) {
                s->deepest = s->depth;
                s->stuck = event->op;
            }
            if (s->depth == 0) {
                return NOT_LINEAR;
            }
            event = take_back(s)->next;
            continue;
        }
        int64_t state = 0;
        if (apply(event->op, s->state, &state)) {
            uint64_t hash[2] = {s->hash[0] ^ event->mark[0], s->hash[1] ^ event->mark[1]};
            if (add_seen(&s->seen, hash, state)) {
                take(s, event, state);
                event = s->head.next;
                continue;
            }
        }
        event = event->next;
    }
    return LINEAR;
}

static int64_t time_of(const struct event *event)
{
    return event->is_answer ? event->op->returned : event->op->invoked;
}

/* At equal times sends come first: the operations then overlap. */
static int compare_events(const void *a, const void *b)
{
    const struct event *x = *(struct event *const *)a;
    const struct event *y = *(struct event *const *)b;
    if (time_of(x) != time_of(y)) {
        return time_of(x) < time_of(y) ? -1 : 1;
    }
    if (x->is_answer != y->is_answer) {
        return x->is_answer ? 1 : -1;
    }
    return x < y ? -1 : x > y;
}

static void build(struct search *s, const struct history_op *const *ops, size_t count)
{
    s->events = hl_calloc(2 * count, sizeof *s->events);
    s->choices = hl_calloc(count, sizeof *s->choices);
    s->state = HISTORY_NIL;
    struct event **order = hl_calloc(2 * count, sizeof(struct event *));
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct event *send = &s->events[2 * i];
        *send = (struct event){.op = ops[i], .mark = {mix(2 * i + 1), mix(~(2 * i + 1))}};
        order[n++] = send;
        if (ops[i]->outcome != HISTORY_UNKNOWN) {
            send->answer = &s->events[2 * i + 1];
            *send->answer = (struct event){.op = ops[i], .is_answer = true};
            order[n++] = send->answer;
            s->left++;
        }
    }
    qsort(order, n, sizeof(struct event *), compare_events);
    struct event *last = &s->head;
    for (size_t i = 0; i < n; i++) {
        last->next = order[i];
        order[i]->prev = last;
        last = order[i];
    }
    hl_free(order);
}

static void describe(struct check_result *result, const struct search *s)
{
    const struct history_op *op = s->stuck;
    (void)snprintf(result->why, sizeof result->why,
                   "register %s is not linearizable: after %zu operations in order nothing "
                   "explains what client %u was told at %lld (sent at %lld)",
                   op->key, s->deepest, op->client, (long long)op->returned,
                   (long long)op->invoked);
}

static void check_key(const struct history_op *const *ops, size_t count,
                      struct check_result *result)
{
    struct search s = {0};
    build(&s, ops, count);
    enum verdict verdict = run(&s);
    result->keys++;
    if (verdict == GAVE_UP) {
        result->gave_up++;
    } else if (verdict == NOT_LINEAR) {
        result->ok = false;
        describe(result, &s);
    }
    hl_free(s.events);
    hl_free(s.choices);
    hl_free(s.seen.slots);
}

static bool is_register(const struct history_op *op)
{
    if (op->kind == HISTORY_APPEND || op->kind == HISTORY_LIST ||
        op->kind == HISTORY_SESSION_LIST || op->kind == HISTORY_STALE_LIST ||
        op->outcome == HISTORY_FAIL) {
        return false;
    }
    return op->kind != HISTORY_READ || op->outcome == HISTORY_OK;
}

static int compare_keys(const void *a, const void *b)
{
    const struct history_op *x = *(const struct history_op *const *)a;
    const struct history_op *y = *(const struct history_op *const *)b;
    int order = strcmp(x->key, y->key);
    return order != 0 ? order : x < y ? -1 : x > y;
}

struct check_result check_registers(const struct history *history)
{
    struct check_result result = {.ok = true};
    const struct history_op **ops = hl_calloc(history->count + 1, sizeof(struct history_op *));
    size_t n = 0;
    for (size_t i = 0; i < history->count; i++) {
        if (is_register(&history->ops[i])) {
            ops[n++] = &history->ops[i];
        }
    }
    qsort(ops, n, sizeof(struct history_op *), compare_keys);
    for (size_t from = 0, to; result.ok && from < n; from = to) {
        for (to = from + 1; to < n && strcmp(ops[to]->key, ops[from]->key) == 0; to++) {
        }
        check_key(ops + from, to - from, &result);
    }
    hl_free(ops);
    return result;
}
