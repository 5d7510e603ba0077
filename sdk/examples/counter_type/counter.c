/* The engine of the example: pure, so that it is tested without a server. */
#include "counter.h"

bool counter_add(struct counter *counter, int64_t by)
{
    int64_t total = 0;
    if (__builtin_add_overflow(counter->total, by, &total)) {
        return false;
    }
    counter->total = total;
    counter->updates++;
    return true;
}
