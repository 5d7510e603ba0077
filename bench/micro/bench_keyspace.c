/* Memory per key and time per operation of the keyspace alone.
 *
 * Usage: bench_keyspace [keys [operations]]   defaults: 1,000,000 keys, 4,000,000 operations
 * Keys of 16 bytes, values of 64.  Memory is what the allocator says is allocated (jemalloc).
 * Count instructions with `perf stat -e instructions:u` on one phase: bench_keyspace 1000 N
 * get|set.
 */
#include "keyspace/keyspace.h"
#include "keyspace/string.h"
#include "kit/alloc.h"
#include "kit/num.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* jemalloc's, when it is linked */
__attribute__((weak, visibility("default"))) int
mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len);

static struct hl_keyspace ks;
static struct hl_rng rng;
static struct hl_db *db;
static char value[64];

static size_t allocated(void)
{
    uint64_t epoch = 1;
    size_t size = sizeof epoch;
    size_t bytes = 0;
    if (mallctl == NULL || mallctl("epoch", &epoch, &size, &epoch, size) != 0) {
        return 0;
    }
    size = sizeof bytes;
    return mallctl("stats.allocated", &bytes, &size, NULL, 0) == 0 ? bytes : 0;
}

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct hl_slice key_of(uint64_t i, char out[16])
{
    memcpy(out, "key:000000000000", 16);
    for (int at = 15; i != 0; at--, i /= 10) {
        out[at] = (char)('0' + i % 10);
    }
    return (struct hl_slice){.ptr = out, .len = 16};
}

static size_t get_all(size_t keys, size_t operations)
{
    size_t found = 0;
    for (size_t i = 0; i < operations; i++) {
        char name[16];
        char scratch[HL_STRING_SCRATCH];
        struct hl_slice key = key_of(hl_rng_below(&rng, keys), name);
        const struct hl_entry *entry = hl_db_find(db, key, 0);
        found += entry != NULL && hl_string_view(entry, scratch).len == sizeof value;
    }
    return found;
}

/* As get_all(), 16 at a time with hl_db_prefetch() before. */
static size_t get_batches(size_t keys, size_t operations)
{
    size_t found = 0;
    for (size_t i = 0; i < operations; i += HL_PREFETCH_MAX) {
        char names[HL_PREFETCH_MAX][16];
        char scratch[HL_STRING_SCRATCH];
        struct hl_slice batch[HL_PREFETCH_MAX];
        for (size_t j = 0; j < HL_PREFETCH_MAX; j++) {
            batch[j] = key_of(hl_rng_below(&rng, keys), names[j]);
        }
        hl_db_prefetch(db, batch, HL_PREFETCH_MAX);
        for (size_t j = 0; j < HL_PREFETCH_MAX; j++) {
            const struct hl_entry *entry = hl_db_find(db, batch[j], 0);
            found += entry != NULL && hl_string_view(entry, scratch).len == sizeof value;
        }
    }
    return found;
}

static void set_all(size_t keys, size_t operations)
{
    for (size_t i = 0; i < operations; i++) {
        char name[16];
        struct hl_slice key = key_of(hl_rng_below(&rng, keys), name);
        (void)hl_db_set_string(db, key, (struct hl_slice){.ptr = value, .len = sizeof value},
                               false);
    }
}

static void none(size_t keys, size_t operations)
{
    size_t sum = 0;
    for (size_t i = 0; i < operations; i++) {
        char name[16];
        sum += (size_t)key_of(hl_rng_below(&rng, keys), name).ptr[15];
    }
    (void)printf("nothing: %zu\n", sum % 10);
}

static void fill(size_t keys)
{
    double start = now_ns();
    double worst = 0;
    size_t before = allocated();
    for (size_t i = 0; i < keys; i++) {
        char name[16];
        double t = now_ns();
        (void)hl_db_set_string(db, key_of(i, name),
                               (struct hl_slice){.ptr = value, .len = sizeof value}, false);
        t = now_ns() - t;
        worst = t > worst ? t : worst;
    }
    double ns = (now_ns() - start) / (double)keys;
    (void)printf("fill     %8.1f ns per key, worst %.0f us\n", ns, worst / 1000);
    (void)printf("memory   %8.1f bytes per key\n", (double)(allocated() - before) / (double)keys);
}

int main(int argc, char **argv)
{
    size_t keys = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    size_t operations = argc > 2 ? strtoul(argv[2], NULL, 10) : 4000000;
    const char *phase = argc > 3 ? argv[3] : "";
    if (keys == 0 || operations == 0) {
        return 1;
    }
    memset(value, 'v', sizeof value);
    hl_rng_seed(&rng, 1);
    hl_ks_init(&ks, 16, (uint64_t[2]){1, 2}, &rng);
    db = hl_ks_db(&ks, 0);
    fill(keys);
    if (strcmp(phase, "none") == 0) {
        none(keys, operations);
    }
    if (phase[0] == '\0' || strcmp(phase, "get") == 0) {
        double start = now_ns();
        size_t found = get_all(keys, operations);
        (void)printf("get      %8.1f ns, %zu found\n", (now_ns() - start) / (double)operations,
                     found);
    }
    if (phase[0] == '\0' || strcmp(phase, "batch") == 0) {
        double start = now_ns();
        size_t found = get_batches(keys, operations);
        (void)printf("get x16  %8.1f ns, %zu found\n", (now_ns() - start) / (double)operations,
                     found);
    }
    if (phase[0] == '\0' || strcmp(phase, "set") == 0) {
        double start = now_ns();
        set_all(keys, operations);
        (void)printf("set      %8.1f ns\n", (now_ns() - start) / (double)operations);
    }
    if (phase[0] == '\0' || strcmp(phase, "expire") == 0) {
        size_t before = allocated();
        for (size_t i = 0; i < keys; i++) {
            char name[16];
            struct hl_entry *entry = hl_db_find(db, key_of(i, name), HL_FIND_WRITE);
            (void)hl_db_set_expire(db, entry, 1000000);
        }
        (void)printf("deadline %8.1f bytes more per key\n",
                     (double)(allocated() - before) / (double)keys);
    }
    hl_ks_fini(&ks);
    return 0;
}
