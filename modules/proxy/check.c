/* Verdicts in a row. */
#include "check.h"

#include "kit/assert.h"

bool check_take(struct check *check, bool good, uint32_t rise, uint32_t fall)
{
    HL_ASSERT(rise >= 1);
    HL_ASSERT(fall >= 1);
    check->checked++;
    check->fails = good ? 0 : check->fails + 1;
    if (good != check->down) {
        check->streak = 0; /* as we know it */
        return false;
    }
    check->streak++;
    if (check->streak < (check->down ? rise : fall)) {
        return false;
    }
    check->down = !check->down;
    check->streak = 0;
    return true;
}
