/* CRC-32C (Castagnoli): the checksum of everything that we write to a disk or send to a peer.
 *
 * It finds every error burst of up to 32 bits and is one instruction for eight bytes where the
 * processor has SSE4.2; elsewhere a table does the same.  It is no defence against an attacker.
 */
#ifndef HL_BASE_CRC32C_H
#define HL_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of `len` bytes, continuing from `seed`: 0 to begin, the former result to go on, so
 * that crc(crc(0, a), b) equals crc(0, ab).  `bytes` may be NULL when `len` is 0. */
uint32_t hl_crc32c(uint32_t seed, const void *bytes, size_t len);

/* The same number by the table alone.  Only tests call it, to compare the two. */
uint32_t hl_crc32c_portable(uint32_t seed, const void *bytes, size_t len);

#endif
