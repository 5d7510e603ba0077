/* Sessions: what one client sees of a list never gets shorter, wherever it reads (PROTOCOL 5, E3),
 * and its own acknowledged appends are in it. */
#include "check.h"

#include "kit/alloc.h"

#include <stdlib.h>
#include <string.h>

static int compare_sessions(const void *a, const void *b)
{
    const struct history_op *x = *(const struct history_op *const *)a;
    const struct history_op *y = *(const struct history_op *const *)b;
    if (x->client != y->client) {
        return x->client < y->client ? -1 : 1;
    }
    int order = strcmp(x->key, y->key);
    if (order != 0) {
        return order;
    }
    return x->invoked != y->invoked ? (x->invoked < y->invoked ? -1 : 1) : x < y ? -1 : x > y;
}

/* The length that the answer proves the client to have seen. */
static int64_t length_of(const struct history_op *op)
{
    return op->kind == HISTORY_APPEND ? op->value : (int64_t)op->count;
}

struct check_result check_sessions(const struct history *history)
{
    struct check_result result = {.ok = true};
    const struct history_op **ops = hl_calloc(history->count + 1, sizeof(struct history_op *));
    size_t n = 0;
    for (size_t i = 0; i < history->count; i++) {
        const struct history_op *op = &history->ops[i];
        if (op->outcome == HISTORY_OK && (op->kind == HISTORY_APPEND || op->kind == HISTORY_LIST ||
                                          op->kind == HISTORY_SESSION_LIST)) {
            ops[n++] = op;
        }
    }
    qsort(ops, n, sizeof(struct history_op *), compare_sessions);
    int64_t reached = 0;
    for (size_t i = 0; result.ok && i < n; i++) {
        bool first = i == 0 || ops[i]->client != ops[i - 1]->client ||
                     strcmp(ops[i]->key, ops[i - 1]->key) != 0;
        reached = first ? 0 : reached;
        result.keys += first;
        int64_t length = length_of(ops[i]);
        if (length < reached && !(ops[i]->kind == HISTORY_APPEND && length == 0)) {
            (void)snprintf(result.why, sizeof result.why,
                           "session of client %u, list %s: saw length %lld at %lld after %lld",
                           ops[i]->client, ops[i]->key, (long long)length,
                           (long long)ops[i]->returned, (long long)reached);
            result.ok = false;
        }
        reached = length > reached ? length : reached;
    }
    hl_free(ops);
    return result;
}

struct check_result check_history(const struct history *history)
{
    struct check_result (*const checks[])(const struct history *) = {check_lists, check_registers,
                                                                     check_sessions};
    struct check_result sum = {.ok = true};
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        struct check_result one = checks[i](history);
        if (!one.ok) {
            return one;
        }
        sum.gave_up += one.gave_up;
        sum.keys += one.keys;
    }
    return sum;
}
