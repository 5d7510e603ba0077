/* The bricks of RDB: lengths and strings.  Shared by dumps, snapshots and module values.
 *
 *   length  00llllll                 6 bits
 *           01llllll llllllll        14 bits, high first
 *           80 be32, 81 be64
 *           11eeeeee                 an encoded string instead: 0, 1, 2 an integer of 8, 16, 32
 *                                    bits, low byte first; 3 LZF: length packed, length, bytes
 */
#ifndef HL_KEYSPACE_RDB_H
#define HL_KEYSPACE_RDB_H

#include "kit/bytes.h"

/* Append a length. */
void hl_rdb_put_len(struct hl_buf *out, uint64_t len);

/* Append a string, as an integer or compressed where Redis would. */
void hl_rdb_put_string(struct hl_buf *out, struct hl_slice text);

/* Append an integer as Redis writes a string that is kept as one. */
void hl_rdb_put_int(struct hl_buf *out, int64_t v);

/* Untrusted bytes and how far they were read. */
struct hl_rdb_reader {
    struct hl_slice in;
    size_t at;
};

/* What was read: `text` views the input, `scratch` or `owned`, so the struct must not be copied.
 * End it with hl_rdb_text_fini(). */
struct hl_rdb_text {
    struct hl_slice text;
    char *owned;
    char scratch[24];
};

/* The next byte, or -1 at the end. */
int hl_rdb_get_byte(struct hl_rdb_reader *reader);

/* A length; false at the end or for an encoded string. */
bool hl_rdb_get_len(struct hl_rdb_reader *reader, uint64_t *len);

/* A string in any encoding; false, with nothing to end, when malformed.  Allocates at most
 * HL_LZF_RATIO_MAX times what it read. */
bool hl_rdb_get_string(struct hl_rdb_reader *reader, struct hl_rdb_text *out);

/* Release what was read. */
void hl_rdb_text_fini(struct hl_rdb_text *text);

#endif
