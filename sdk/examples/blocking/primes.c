#include "primes.h"

#include <stdbool.h>

#define LOOK_EVERY 1024 /* numbers between two looks at *stop */

static bool is_prime(int64_t n)
{
    if (n < 2 || (n > 2 && n % 2 == 0)) {
        return false;
    }
    for (int64_t d = 3; d * d <= n; d += 2) {
        if (n % d == 0) {
            return false;
        }
    }
    return true;
}

int64_t primes_below(int64_t below, const atomic_bool *stop)
{
    int64_t count = 0;
    for (int64_t n = 0; n < below; n++) {
        if (n % LOOK_EVERY == 0 && atomic_load(stop)) {
            return -1;
        }
        count += is_prime(n);
    }
    return count;
}
