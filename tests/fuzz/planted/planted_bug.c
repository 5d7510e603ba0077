/* A parser with a bug, which a fuzz run must find: without it, a run that finds nothing would say
 * nothing.  It believes a length byte behind a magic word. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static volatile unsigned sum;
    if (size < 5 || memcmp(data, "BUG!", 4) != 0) {
        return 0;
    }
    for (size_t i = 0; i < data[4]; i++) {
        sum += data[5 + i];
    }
    return 0;
}
