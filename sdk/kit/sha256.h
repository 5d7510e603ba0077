/* SHA-256 (FIPS 180-4), without a library: for the pure parts of the core. */
#ifndef KIT_SHA256_H
#define KIT_SHA256_H

#include "kit/bytes.h"

#define HL_SHA256_BYTES 32

/* The digest of `data` in `out`. */
void hl_sha256(struct hl_slice data, unsigned char out[HL_SHA256_BYTES]);

/* True when `len` bytes are equal; takes the same time wherever they differ. */
bool hl_equal_constant_time(const void *a, const void *b, size_t len);

#endif
