/* Lists: the longest read fixes the order, then every other operation has one place in it.
 *
 * An operation's *version* is the list's length just after it took place.  Real time is respected
 * when no operation has a lower version than one that was answered before it was sent (an append
 * must have a higher one): a sweep over sends and answers in time order.
 */
#include "check.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* One key's operations. */
struct list {
    const struct history_op **ops;
    size_t count;
    const struct history_op *longest; /* read; NULL when nobody read */
    struct place *places;             /* of the longest read's elements, by element */
    struct check_result *result;
};

struct place {
    uint32_t element;
    size_t index; /* from 0 */
};

struct timed {
    int64_t at;
    const struct history_op *op;
    bool is_answer;
};

static bool wrong(struct list *list, const struct history_op *op, const char *fmt, ...)
    HL_PRINTF(3, 4);

static bool wrong(struct list *list, const struct history_op *op, const char *fmt, ...)
{
    struct check_result *result = list->result;
    int n = snprintf(result->why, sizeof result->why, "list %s, client %u, sent at %lld: ", op->key,
                     op->client, (long long)op->invoked);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(result->why + n, sizeof result->why - (size_t)n, fmt, args);
    va_end(args);
    result->ok = false;
    return false;
}

static bool is_read(const struct history_op *op)
{
    return (op->kind == HISTORY_LIST || op->kind == HISTORY_SESSION_LIST ||
            op->kind == HISTORY_STALE_LIST) &&
           op->outcome == HISTORY_OK;
}

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a;
    const struct place *y = b;
    return x->element != y->element ? (x->element < y->element ? -1 : 1)
                                    : (x->index < y->index ? -1 : x->index > y->index);
}

/* Index of an element in the longest read, or -1. */
static int64_t find(const struct list *list, int64_t element)
{
    size_t low = 0;
    size_t high = list->longest == NULL ? 0 : list->longest->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (list->places[mid].element < element) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    bool found =
        list->longest != NULL && low < list->longest->count && list->places[low].element == element;
    return found ? (int64_t)list->places[low].index : -1;
}

static bool check_order(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct history_op *op = list->ops[i];
        if (is_read(op) && (list->longest == NULL || op->count > list->longest->count)) {
            list->longest = op;
        }
    }
    const struct history_op *longest = list->longest;
    if (longest == NULL) {
        return true;
    }
    for (size_t i = 0; i < longest->count; i++) {
        list->places[i] = (struct place){.element = longest->elements[i], .index = i};
    }
    qsort(list->places, longest->count, sizeof *list->places, compare_places);
    for (size_t i = 1; i < longest->count; i++) {
        if (list->places[i].element == list->places[i - 1].element) {
            return wrong(list, longest, "element %u is there twice", list->places[i].element);
        }
    }
    return true;
}

static bool check_prefixes(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct history_op *op = list->ops[i];
        if (is_read(op) && op->count > 0 &&
            memcmp(op->elements, list->longest->elements, op->count * sizeof *op->elements) != 0) {
            return wrong(list, op, "read %zu elements that are no prefix of the longest read",
                         op->count);
        }
    }
    return true;
}

/* Every element read was appended by somebody, once, and what failed is not there. */
static bool check_elements(struct list *list)
{
    size_t longest = list->longest == NULL ? 0 : list->longest->count;
    bool *appended = hl_calloc(longest + 1, sizeof *appended);
    bool good = true;
    for (size_t i = 0; good && i < list->count; i++) {
        const struct history_op *op = list->ops[i];
        int64_t at = op->kind == HISTORY_APPEND ? find(list, op->arg) : -1;
        bool answered = op->kind == HISTORY_APPEND && op->outcome == HISTORY_OK && op->value != 0;
        if (at >= 0 && op->outcome == HISTORY_FAIL) {
            good = wrong(list, op, "element %lld failed for certain, and is there",
                         (long long)op->arg);
        } else if (at >= 0 && answered && op->value != at + 1) {
            good = wrong(list, op, "element %lld was told length %lld, and is number %lld",
                         (long long)op->arg, (long long)op->value, (long long)at + 1);
        } else if (at < 0 && answered && op->value <= (int64_t)longest) {
            good = wrong(list, op, "element %lld was told length %lld, and is not there",
                         (long long)op->arg, (long long)op->value);
        }
        if (at >= 0) {
            appended[at] = true;
        }
    }
    for (size_t i = 0; good && i < longest; i++) {
        if (!appended[i]) {
            good = wrong(list, list->longest, "element %u was never appended",
                         list->longest->elements[i]);
        }
    }
    hl_free(appended);
    return good;
}

static int compare_times(const void *a, const void *b)
{
    const struct timed *x = a;
    const struct timed *y = b;
    if (x->at != y->at) {
        return x->at < y->at ? -1 : 1;
    }
    return x->is_answer == y->is_answer ? 0 : x->is_answer ? 1 : -1;
}

/* The version of an operation that took place, or -1: not known to have. */
static int64_t version_of(const struct list *list, const struct history_op *op)
{
    if (op->kind == HISTORY_LIST) {
        return op->outcome == HISTORY_OK ? (int64_t)op->count : -1;
    }
    if (op->kind != HISTORY_APPEND || op->outcome == HISTORY_FAIL) {
        return -1;
    }
    int64_t at = find(list, op->arg);
    if (at >= 0) {
        return at + 1;
    }
    if (op->outcome != HISTORY_OK) {
        return -1;
    }
    int64_t longest = list->longest == NULL ? 0 : (int64_t)list->longest->count;
    return op->value != 0 ? op->value : longest + 1;
}

static bool check_real_time(struct list *list)
{
    struct timed *times = hl_calloc(2 * list->count, sizeof *times);
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct history_op *op = list->ops[i];
        if (version_of(list, op) >= 0) {
            times[n++] = (struct timed){.at = op->invoked, .op = op};
            if (op->outcome == HISTORY_OK) {
                times[n++] = (struct timed){.at = op->returned, .op = op, .is_answer = true};
            }
        }
    }
    qsort(times, n, sizeof *times, compare_times);
    int64_t reached = 0;
    bool good = true;
    for (size_t i = 0; good && i < n; i++) {
        const struct history_op *op = times[i].op;
        int64_t version = version_of(list, op);
        bool append = op->kind == HISTORY_APPEND;
        bool placed = !append || find(list, op->arg) >= 0 || op->value != 0;
        if (times[i].is_answer) {
            reached = version > reached ? version : reached;
        } else if (placed && version < reached + append) {
            good =
                wrong(list, op, "%s version %lld, and version %lld had been answered before",
                      append ? "append of" : "stale: read", (long long)version, (long long)reached);
        }
    }
    hl_free(times);
    return good;
}

static void check_key(const struct history_op **ops, size_t count, struct check_result *result)
{
    struct list list = {.ops = ops, .count = count, .result = result};
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        longest = ops[i]->count > longest ? ops[i]->count : longest;
    }
    list.places = hl_calloc(longest + 1, sizeof *list.places);
    result->keys++;
    (void)(check_order(&list) && check_prefixes(&list) && check_elements(&list) &&
           check_real_time(&list));
    hl_free(list.places);
}

static int compare_keys(const void *a, const void *b)
{
    const struct history_op *x = *(const struct history_op *const *)a;
    const struct history_op *y = *(const struct history_op *const *)b;
    int order = strcmp(x->key, y->key);
    return order != 0 ? order : x < y ? -1 : x > y;
}

static bool is_list(const struct history_op *op)
{
    return op->kind == HISTORY_APPEND || op->kind == HISTORY_LIST ||
           op->kind == HISTORY_SESSION_LIST || op->kind == HISTORY_STALE_LIST;
}

struct check_result check_lists(const struct history *history)
{
    struct check_result result = {.ok = true};
    const struct history_op **ops = hl_calloc(history->count + 1, sizeof(struct history_op *));
    size_t n = 0;
    for (size_t i = 0; i < history->count; i++) {
        if (is_list(&history->ops[i])) {
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
