/* Ziplists: what Redis before 7.0 wrote for small hashes and lists.  Read only.
 *
 *   0  u32  length of everything     4  u32  offset of the last element
 *   8  u16  number of elements; 65535: more      10  elements, then 0xff
 *
 *   element   length of the element before (one byte below 254, or 254 and le32), then
 *     00llllll string   01llllll llllllll string   80 be32 string
 *     c0 le16  d0 le32  e0 le64  f0 le24  fe le8    f1..fd the integer 0..12
 */
#ifndef HL_KEYSPACE_ZIPLIST_H
#define HL_KEYSPACE_ZIPLIST_H

#include "kit/bytes.h"

/* Call `each` for every element.  False when the untrusted bytes are not one whole, consistent
 * ziplist, or `each` said false; some elements were then reported already. */
bool hl_ziplist_each(struct hl_slice bytes, bool (*each)(void *ctx, struct hl_slice element),
                     void *ctx);

/* Call `pair` for elements two by two.  False when the untrusted bytes are not one whole,
 * consistent ziplist of at least one pair, or `pair` said false; some pairs were then reported
 * already. */
bool hl_ziplist_pairs(struct hl_slice bytes,
                      bool (*pair)(void *ctx, struct hl_slice field, struct hl_slice value),
                      void *ctx);

#endif
