/* What checks say about a backend: `fall` bad ones in a row take it out, `rise` good ones bring it
 * back.  It is well until checks say otherwise. */
#ifndef PROXY_CHECK_H
#define PROXY_CHECK_H

#include <stdbool.h>
#include <stdint.h>

/* All zero is well. */
struct check {
    bool down;
    uint32_t streak;  /* checks in a row that contradict `down` */
    uint32_t fails;   /* bad ones in a row */
    uint64_t checked; /* so many so far */
};

/* Take a verdict; true when it changed whether the backend is well.  `rise` and `fall` are at least
 * 1. */
bool check_take(struct check *check, bool good, uint32_t rise, uint32_t fall);

#endif
