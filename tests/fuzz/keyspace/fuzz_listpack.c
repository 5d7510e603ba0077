/* Any bytes as a listpack: what the validator accepts can be walked both ways, searched and edited.
 */
#include "keyspace/listpack.h"
#include "kit/alloc.h"
#include "kit/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const unsigned char *lp)
{
    char scratch[HL_LP_SCRATCH];
    size_t forth = 0;
    size_t back = 0;
    for (size_t at = hl_lp_first(lp); at != 0; at = hl_lp_next(lp, at)) {
        HL_ASSERT(hl_lp_get(lp, at, scratch).len <= hl_lp_bytes(lp) + HL_LP_SCRATCH);
        forth++;
    }
    for (size_t at = hl_lp_last(lp); at != 0; at = hl_lp_prev(lp, at)) {
        back++;
    }
    HL_ASSERT(forth == back);
    return forth;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t count = 0;
    struct hl_slice in = {.ptr = (const char *)data, .len = size};
    if (!hl_lp_validate(in, &count)) {
        return 0;
    }
    unsigned char *lp = hl_lp_adopt(in);
    HL_ASSERT(walk(lp) == count);
    lp = hl_lp_insert(lp, hl_lp_seek(lp, count / 2), hl_slice_of("needle in a haystack"));
    size_t at = hl_lp_find(lp, hl_lp_first(lp), hl_slice_of("needle in a haystack"), 0);
    HL_ASSERT(at != 0);
    lp = hl_lp_replace(lp, at, hl_slice_of("-77777"));
    lp = hl_lp_delete(lp, at, 2);
    size_t left = walk(lp);
    struct hl_slice bytes = {.ptr = (const char *)lp, .len = hl_lp_bytes(lp)};
    HL_ASSERT(hl_lp_validate(bytes, &count) && count == left);
    hl_free(lp);
    return 0;
}
