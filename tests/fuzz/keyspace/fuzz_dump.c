/* Any bytes as a value, and as a DUMP payload: refused or loaded, and what was loaded dumps to a
 * value that loads to the same digest. */
#include "keyspace/dump.h"
#include "keyspace/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hl_keyspace ks;
    struct hl_rng rng;
    struct hl_entry *entry = NULL;
    struct hl_slice in = {.ptr = (const char *)data, .len = size};
    struct hl_slice value;
    struct hl_errmsg msg;
    size_t used = 0;
    hl_rng_seed(&rng, 1);
    hl_ks_init(&ks, 1, (uint64_t[2]){1, 2}, &rng);
    struct hl_db *db = hl_ks_db(&ks, 0);
    struct hl_slice key = hl_slice_of("k");
    (void)hl_dump_payload_open(in, &value);
    if (hl_dump_load(db, key, in, NULL, &used, &entry, &msg) == HL_OK) {
        unsigned char before[20];
        unsigned char after[20];
        struct hl_buf out = {0};
        HL_ASSERT(used <= size);
        hl_ks_digest(&ks, NULL, before);
        HL_ASSERT(hl_dump_value(entry, 0, NULL, &out) == HL_OK);
        HL_ASSERT(hl_dump_load(db, key, hl_buf_view(&out), NULL, &used, &entry, NULL) == HL_OK);
        HL_ASSERT(used == out.len);
        hl_ks_digest(&ks, NULL, after);
        HL_ASSERT(memcmp(before, after, sizeof before) == 0);
        hl_buf_fini(&out);
    }
    hl_ks_fini(&ks);
    return 0;
}
