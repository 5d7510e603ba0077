/* sketch: who asks most, in bounded memory (the space-saving algorithm).
 *
 *   K1  Every name that was seen more than total / size times is in the sketch.
 *   K2  An entry's true count lies between count - error and count.
 *
 * Names longer than SKETCH_NAME_MAX are cut there.  Costs O(size) for a name, of small numbers in
 * a row.
 */
#ifndef RATELIMIT_SKETCH_H
#define RATELIMIT_SKETCH_H

#include "kit/bytes.h"

#define SKETCH_SIZE_MAX 1024
#define SKETCH_NAME_MAX 128

struct sketch_entry {
    uint64_t count;   /* at most this often seen */
    uint64_t error;   /* of which so many may be others' */
    uint64_t refused; /* at least this often refused */
    size_t len;
    char name[SKETCH_NAME_MAX];
};

/* Opaque. */
struct sketch;

/* An empty sketch of `size` entries, 1..SKETCH_SIZE_MAX.  The caller ends it with
 * sketch_destroy(). */
struct sketch *sketch_create(size_t size);

/* End it; NULL is allowed. */
void sketch_destroy(struct sketch *sketch);

/* Somebody asked, and was refused or not. */
void sketch_see(struct sketch *sketch, struct hl_slice name, bool refused);

/* Copy the entries, the largest count first, to `out` with room for `max`; returns how many. */
size_t sketch_top(const struct sketch *sketch, struct sketch_entry *out, size_t max);

/* How many were seen since the beginning. */
uint64_t sketch_total(const struct sketch *sketch);

/* Bytes it takes. */
size_t sketch_bytes(const struct sketch *sketch);

#endif
