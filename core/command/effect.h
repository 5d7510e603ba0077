/* Effects as bytes: the body of a log entry of type EFFECTS.
 *
 * A body is one or more effects, each:
 *
 *   offset  size  field
 *   0       4     db, u32
 *   4       4     argc, u32, 1 or more
 *   8       …     argc times: length u32, then the bytes
 *
 * all little-endian, without padding.  The bodies of one entry are applied together (PROTOCOL
 * section 1: one execution unit, one entry).
 */
#ifndef HL_COMMAND_EFFECT_H
#define HL_COMMAND_EFFECT_H

#include "kit/bytes.h"
#include "kit/err.h"

#define HL_EFFECT_ARGC_MAX (1 << 20)

/* Append one effect to `body`.  argc 1..HL_EFFECT_ARGC_MAX (asserted); arguments are copied. */
void hl_effect_encode(struct hl_buf *body, int db, int argc, const struct hl_slice *argv);

/* A walk over the effects of a body.  All zero but `body` starts it; end with
 * hl_effect_reader_fini(). */
struct hl_effect_reader {
    struct hl_slice body;
    size_t position;
    int db;
    int argc;
    struct hl_slice *argv; /* views into body, valid until the next call */
    int argv_cap;
};

/* Read the next effect: HL_OK, HL_ENOENT at the end, HL_ECORRUPT when the bytes are not effects. */
HL_MUST_USE hl_err hl_effect_next(struct hl_effect_reader *reader);

/* Release the reader's memory. */
void hl_effect_reader_fini(struct hl_effect_reader *reader);

#endif
