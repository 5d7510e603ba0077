/* A counter that knows how often it was changed: the value of the example's data type. */
#ifndef COUNTER_TYPE_COUNTER_H
#define COUNTER_TYPE_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

struct counter {
    int64_t total;
    uint64_t updates; /* how many changes led to it */
};

/* Add `by`; false, changing nothing, when the total would not fit. */
bool counter_add(struct counter *counter, int64_t by);

#endif
