/* CRC-64 of the Jones polynomial, reflected, starting from 0: what ends a DUMP payload. */
#ifndef HL_BASE_CRC64_H
#define HL_BASE_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* Go on from `crc` (0 at the start) over `len` bytes. */
uint64_t hl_crc64(uint64_t crc, const void *bytes, size_t len);

#endif
