#include "base/crc64.h"

#include "kit/bytes.h"

#define POLYNOMIAL 0x95ac9329ac4bc9b5u /* 0xad93d23594c935a9 with its bits reversed */

/* steps[k][b]: what byte b contributes when k more bytes follow it in a block of 8. */
static uint64_t steps[8][256];

/* Runs before main(), hence before any thread. */
__attribute__((constructor)) static void fill_steps(void)
{
    for (unsigned b = 0; b < 256; b++) {
        uint64_t crc = b;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
        }
        steps[0][b] = crc;
    }
    for (unsigned k = 1; k < 8; k++) {
        for (unsigned b = 0; b < 256; b++) {
            uint64_t crc = steps[k - 1][b];
            steps[k][b] = crc >> 8 ^ steps[0][crc & 0xff];
        }
    }
}

uint64_t hl_crc64(uint64_t crc, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t block = crc ^ hl_get_le64(p);
        crc = 0;
        for (unsigned k = 0; k < 8; k++) {
            crc ^= steps[7 - k][block >> (8 * k) & 0xff];
        }
    }
    for (; len != 0; len--, p++) {
        crc = crc >> 8 ^ steps[0][(crc ^ *p) & 0xff];
    }
    return crc;
}
