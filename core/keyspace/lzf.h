/* LZF, the compression of long strings in RDB.
 *
 *   000lllll                       l+1 literal bytes follow
 *   lllooooo oooooooo              l+2 bytes (l in 1..6) from o+1 bytes back
 *   111ooooo llllllll oooooooo     l+9 bytes from o+1 bytes back
 */
#ifndef HL_KEYSPACE_LZF_H
#define HL_KEYSPACE_LZF_H

#include "kit/bytes.h"

/* More than this many times its size no input expands: 3 bytes make 264. */
#define HL_LZF_RATIO_MAX 88

/* Compress into `out`, choosing the matches that Redis chooses; 0 when it takes more than `max`
 * bytes. */
size_t hl_lzf_compress(struct hl_slice in, unsigned char *out, size_t max);

/* Expand untrusted bytes into exactly `len` bytes at `out`; false when they are not that. */
bool hl_lzf_expand(struct hl_slice in, unsigned char *out, size_t len);

#endif
