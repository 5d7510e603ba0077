/* Goal: no bytes crash the reading of stored records, and what is read encodes to the same bytes.
 */
#include "auth/record.h"

#include "kit/assert.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static union record read;
    struct hl_slice bytes = {(const char *)data, size};
    struct hl_buf again = {0};
    enum record_kind kind = RECORD_USER;
    bool good = record_decode(&kind, &read, bytes) == HL_OK;
    if (good) {
        record_encode(&again, kind, &read);
    }
    HL_ASSERT(good == (record_check(bytes) == HL_OK));
    bool newest = good && again.ptr[1] == (char)data[1]; /* an old one is written as a new one */
    HL_ASSERT(!good || record_check(hl_buf_view(&again)) == HL_OK);
    HL_ASSERT(!newest || hl_slice_equal(hl_buf_view(&again), bytes));
    hl_buf_fini(&again);
    return 0;
}
