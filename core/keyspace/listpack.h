/* Listpack: a sequence of strings and integers in one allocation, byte for byte Redis's format.
 *
 *   listpack  0  u32  length of everything, header and end included
 *             4  u16  number of elements; 65535: more, count them
 *             6  elements, then 0xff
 *
 *   element   encoding and data, then the length of those two in 7-bit groups, readable backwards
 *             (all but the first byte of it have the high bit set)
 *     0xxxxxxx                 0..127
 *     10xxxxxx                 string of that many bytes
 *     110xxxxx yy              13-bit signed integer, high bits first
 *     1110xxxx yy              string of up to 4095 bytes, high bits first
 *     f0 le32                  string
 *     f1 f2 f3 f4              signed integer of 2, 3, 4, 8 bytes, low bytes first
 *
 * The allocation is always hl_size_class() of the length.  A canonical decimal integer is always
 * kept as an integer in the shortest form; bytes from elsewhere may be less strict and still valid.
 */
#ifndef HL_KEYSPACE_LISTPACK_H
#define HL_KEYSPACE_LISTPACK_H

#include "kit/bytes.h"

#define HL_LP_HEADER 6
#define HL_LP_EMPTY 7               /* bytes of an empty one */
#define HL_LP_MAX ((size_t)1 << 30) /* longest one we make: convert before */
#define HL_LP_SCRATCH 24            /* text of an integer element */

/* An empty listpack, which the caller owns and ends with hl_free(). */
unsigned char *hl_lp_create(void);

/* A copy. */
unsigned char *hl_lp_dup(const unsigned char *lp);

/* A copy of `bytes`, which hl_lp_validate() accepted. */
unsigned char *hl_lp_adopt(struct hl_slice bytes);

/* Length in bytes. */
size_t hl_lp_bytes(const unsigned char *lp);

/* Number of elements; O(n) beyond 65534. */
size_t hl_lp_count(const unsigned char *lp);

/* The offset of the first element; 0 when there is none. */
size_t hl_lp_first(const unsigned char *lp);

/* The offset of the last element; 0 when there is none. */
size_t hl_lp_last(const unsigned char *lp);

/* The offset of the element after the one at `at` (not 0); 0 at the end. */
size_t hl_lp_next(const unsigned char *lp, size_t at);

/* The offset of the element before the one at `at` (not 0); 0 at the front. */
size_t hl_lp_prev(const unsigned char *lp, size_t at);

/* The element `index` from the front, or 0. O(index). */
size_t hl_lp_seek(const unsigned char *lp, size_t index);

/* The bytes of an element: a view, or the text of an integer in `scratch`. */
struct hl_slice hl_lp_get(const unsigned char *lp, size_t at, char scratch[HL_LP_SCRATCH]);

/* The first element from `at` on that equals `value`, looking at one and skipping `skip`; 0 when
 * there is none.  `at` may be 0. */
size_t hl_lp_find(const unsigned char *lp, size_t at, struct hl_slice value, unsigned skip);

/* Insert before the element at `at`, or at the end when that is 0.  `value` must not be a view of
 * the listpack.  Returns it, perhaps moved; offsets before `at` stay valid. */
unsigned char *hl_lp_insert(unsigned char *lp, size_t at, struct hl_slice value);

/* Replace the element at `at`, which keeps its offset; as hl_lp_insert() otherwise. */
unsigned char *hl_lp_replace(unsigned char *lp, size_t at, struct hl_slice value);

/* Delete up to `count` elements from `at` on; what followed is then at `at`. */
unsigned char *hl_lp_delete(unsigned char *lp, size_t at, size_t count);

/* Whether untrusted bytes are one whole, consistent listpack; *count (may be NULL) is then its
 * number of elements. Reads nothing outside `bytes`. */
bool hl_lp_validate(struct hl_slice bytes, size_t *count);

#endif
