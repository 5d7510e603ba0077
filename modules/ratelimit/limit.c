#include "limit.h"

#include "kit/assert.h"

static const char *const names[] = {
    [LIMIT_TOKEN] = "token",
    [LIMIT_GCRA] = "gcra",
    [LIMIT_WINDOW] = "window",
};

/* L1, by division, so that nothing overflows: den * 10^9 stays below 2^123. */
static bool fills_in_time(const struct limit *limit)
{
    rl_wide span = (rl_wide)LIMIT_SPAN_MAX_MS * NS_PER_MS * limit->num;
    return limit->capacity <= span / ((rl_wide)limit->den * NS_PER_S);
}

bool limit_valid(const struct limit *limit)
{
    if (limit->capacity < 1 || limit->num < 1 || limit->den < 1) {
        return false;
    }
    switch (limit->algorithm) {
    case LIMIT_TOKEN:
        return limit->capacity <= LIMIT_CAPACITY_MAX && limit->num <= LIMIT_RATE_MAX &&
               limit->den <= LIMIT_RATE_MAX && fills_in_time(limit);
    case LIMIT_GCRA:
        return limit->capacity <= LIMIT_CAPACITY_MAX && limit->num <= LIMIT_RATE_MAX &&
               fills_in_time(limit);
    case LIMIT_WINDOW:
        return limit->capacity <= LIMIT_WINDOW_CAPACITY_MAX && limit->num <= LIMIT_SPAN_MAX_MS &&
               limit->den == 1;
    }
    return false; /* a number that was read */
}

bool limit_equal(const struct limit *a, const struct limit *b)
{
    return a->algorithm == b->algorithm && a->capacity == b->capacity && a->num == b->num &&
           a->den == b->den;
}

const char *limit_algorithm_name(enum limit_algorithm algorithm)
{
    HL_ASSERT(algorithm >= LIMIT_TOKEN && algorithm <= LIMIT_WINDOW);
    return names[algorithm];
}

bool limit_algorithm_parse(struct hl_slice name, enum limit_algorithm *out)
{
    for (size_t i = LIMIT_TOKEN; i < HL_ARRAY_LEN(names); i++) {
        if (hl_slice_is(name, names[i])) {
            *out = (enum limit_algorithm)i;
            return true;
        }
    }
    return false;
}

int64_t rl_divide_up(rl_wide a, rl_wide b)
{
    HL_ASSERT(a >= 0);
    HL_ASSERT(b > 0);
    rl_wide quotient = a / b + (a % b != 0);
    HL_ASSERT(quotient <= INT64_MAX);
    return (int64_t)quotient;
}
