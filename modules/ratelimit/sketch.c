#include "sketch.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdlib.h>

struct sketch {
    size_t size, used;
    uint64_t total;
    uint64_t *hashes; /* of the names, in a row, so that a search touches little */
    struct sketch_entry *entries;
};

struct sketch *sketch_create(size_t size)
{
    HL_ASSERT(size >= 1 && size <= SKETCH_SIZE_MAX);
    struct sketch *sketch = hl_calloc(1, sizeof *sketch);
    sketch->size = size;
    sketch->hashes = hl_calloc(size, sizeof *sketch->hashes);
    sketch->entries = hl_calloc(size, sizeof *sketch->entries);
    return sketch;
}

void sketch_destroy(struct sketch *sketch)
{
    if (sketch != NULL) {
        hl_free(sketch->hashes);
        hl_free(sketch->entries);
        hl_free(sketch);
    }
}

/* FNV-1a: names that collide are told apart by their bytes. */
static uint64_t hash_of(struct hl_slice name)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < name.len; i++) {
        hash = (hash ^ (unsigned char)name.ptr[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

static bool is(const struct sketch_entry *entry, struct hl_slice name)
{
    return entry->len == name.len && memcmp(entry->name, name.ptr, name.len) == 0;
}

/* The entry to give up for a new name: the one seen least. */
static size_t least(const struct sketch *sketch)
{
    size_t found = 0;
    for (size_t i = 1; i < sketch->used; i++) {
        if (sketch->entries[i].count < sketch->entries[found].count) {
            found = i;
        }
    }
    return found;
}

void sketch_see(struct sketch *sketch, struct hl_slice name, bool refused)
{
    HL_ASSERT(sketch != NULL);
    if (name.len > SKETCH_NAME_MAX) {
        name.len = SKETCH_NAME_MAX;
    }
    uint64_t hash = hash_of(name);
    size_t at = 0;
    while (at < sketch->used && !(sketch->hashes[at] == hash && is(&sketch->entries[at], name))) {
        at++;
    }
    if (at == sketch->used) {
        bool room = sketch->used < sketch->size;
        at = room ? sketch->used++ : least(sketch);
        uint64_t error = room ? 0 : sketch->entries[at].count;
        struct sketch_entry *entry = &sketch->entries[at];
        *entry = (struct sketch_entry){.count = error, .error = error, .len = name.len};
        memcpy(entry->name, name.ptr, name.len);
        sketch->hashes[at] = hash;
    }
    sketch->entries[at].count++;
    sketch->entries[at].refused += refused;
    sketch->total++;
}

static int larger_first(const void *a, const void *b)
{
    const struct sketch_entry *x = a;
    const struct sketch_entry *y = b;
    if (x->count != y->count) {
        return x->count > y->count ? -1 : 1;
    }
    return hl_slice_compare((struct hl_slice){x->name, x->len}, (struct hl_slice){y->name, y->len});
}

size_t sketch_top(const struct sketch *sketch, struct sketch_entry *out, size_t max)
{
    struct sketch_entry *all = hl_calloc(sketch->used, sizeof *all);
    memcpy(all, sketch->entries, sketch->used * sizeof *all);
    qsort(all, sketch->used, sizeof *all, larger_first);
    size_t count = sketch->used < max ? sketch->used : max;
    memcpy(out, all, count * sizeof *out);
    hl_free(all);
    return count;
}

uint64_t sketch_total(const struct sketch *sketch)
{
    return sketch->total;
}

size_t sketch_bytes(const struct sketch *sketch)
{
    return sizeof *sketch + sketch->size * (sizeof *sketch->entries + sizeof *sketch->hashes);
}
