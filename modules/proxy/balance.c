/* Round robin, smooth weighted round robin, least connections. */
#include "balance.h"

#include "kit/assert.h"

static size_t pick_next(struct balance *b, const struct candidate *c, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = (b->turn + i) % count;
        if (c[at].may) {
            b->turn = at + 1;
            return at;
        }
    }
    return BALANCE_NONE;
}

/* Each gains its weight, the richest is taken and pays what all gained. */
static size_t pick_weighted(struct balance *b, const struct candidate *c, size_t count)
{
    size_t best = BALANCE_NONE;
    int64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (!c[i].may) {
            continue;
        }
        b->current[i] += c[i].weight;
        total += c[i].weight;
        if (best == BALANCE_NONE || b->current[i] > b->current[best]) {
            best = i;
        }
    }
    if (best != BALANCE_NONE) {
        b->current[best] -= total;
    }
    return best;
}

static size_t pick_least(struct balance *b, const struct candidate *c, size_t count)
{
    size_t best = BALANCE_NONE;
    for (size_t i = 0; i < count; i++) {
        size_t at = (b->turn + i) % count;
        if (!c[at].may) {
            continue;
        }
        if (best == BALANCE_NONE ||
            (uint64_t)c[at].active * c[best].weight < (uint64_t)c[best].active * c[at].weight) {
            best = at;
        }
    }
    if (best != BALANCE_NONE) {
        b->turn = best + 1;
    }
    return best;
}

size_t balance_pick(struct balance *balance, enum algorithm algorithm,
                    const struct candidate *candidates, size_t count)
{
    HL_ASSERT(count >= 1);
    HL_ASSERT(count <= CONFIG_POOL_MAX);
    switch (algorithm) {
    case WEIGHTED:
        return pick_weighted(balance, candidates, count);
    case LEAST_CONN:
        return pick_least(balance, candidates, count);
    case ROUND_ROBIN:
    case ALGORITHM_COUNT:
        break;
    }
    return pick_next(balance, candidates, count);
}
