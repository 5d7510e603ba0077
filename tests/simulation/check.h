/* Checkers of histories: pure, exact, and fast enough for every run of the simulator.
 *
 * Linearizability is local (Herlihy and Wing), so every key is judged alone.
 *
 * Registers: the search of Wing and Gong with Lowe's cache of configurations, exponential at worst,
 * bounded by CHECK_STEPS_MAX.  An operation of unknown outcome may take effect at any time after it
 * was sent, or never; one that failed has none.
 *
 * Lists: elements are unique, so the longest read fixes the order of everything it holds, and no
 * search is needed: O(n log n) and the bytes of the reads.
 */
#ifndef SIMULATION_CHECK_H
#define SIMULATION_CHECK_H

#include "history.h"

#define CHECK_STEPS_MAX 4000000 /* of one key's search */

/* What a check says. */
struct check_result {
    bool ok;
    size_t gave_up; /* keys whose search was broken off: not judged */
    size_t keys;    /* judged */
    char why[256];  /* when not ok: the key, the property, the operations; NUL-terminated */
};

/* Are all registers linearizable? */
struct check_result check_registers(const struct history *history);

/* Are all lists linearizable: every read a prefix of one order, nothing twice, nothing acknowledged
 * lost, nothing that failed there, and real time respected?  Session and stale lists are judged as
 * prefixes only. */
struct check_result check_lists(const struct history *history);

/* Does every session see its lists only grow, its own acknowledged appends included? */
struct check_result check_sessions(const struct history *history);

/* All of them: the first that is not ok, else sums. */
struct check_result check_history(const struct history *history);

#endif
