/* Goal: no bytes crash the reading of stored records, and what is read encodes to the same bytes.
 */
#include "auth/record.h"

#include "kit/assert.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static union {
        struct user_record user;
        struct session_record session;
        struct failure_record failure;
        struct keyring_record ring;
    } read;
    struct hl_slice bytes = {(const char *)data, size};
    struct hl_buf again = {0};
    bool good = true;
    if (user_decode(&read.user, bytes) == HL_OK) {
        user_encode(&again, &read.user);
    } else if (session_decode(&read.session, bytes) == HL_OK) {
        session_encode(&again, &read.session);
    } else if (failure_decode(&read.failure, bytes) == HL_OK) {
        failure_encode(&again, &read.failure);
    } else if (keyring_decode(&read.ring, bytes) == HL_OK) {
        keyring_encode(&again, &read.ring);
    } else {
        good = false;
    }
    HL_ASSERT(good == (record_check(bytes) == HL_OK));
    HL_ASSERT(!good || hl_slice_equal(hl_buf_view(&again), bytes));
    hl_buf_fini(&again);
    return 0;
}
