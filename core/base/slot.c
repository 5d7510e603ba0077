#include "base/slot.h"

#define CRC16_POLY 0x1021 /* XMODEM */

static unsigned crc16(const char *bytes, size_t len)
{
    unsigned crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned)(unsigned char)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 0x8000) != 0 ? (crc << 1 ^ CRC16_POLY) & 0xFFFF : crc << 1 & 0xFFFF;
        }
    }
    return crc;
}

unsigned hl_key_slot(struct hl_slice key)
{
    const char *open = key.len == 0 ? NULL : memchr(key.ptr, '{', key.len);
    if (open != NULL) {
        const char *inside = open + 1;
        size_t left = key.len - (size_t)(inside - key.ptr);
        const char *close = left == 0 ? NULL : memchr(inside, '}', left);
        if (close != NULL && close != inside) {
            return crc16(inside, (size_t)(close - inside)) % HL_SLOTS;
        }
    }
    return crc16(key.ptr, key.len) % HL_SLOTS;
}
