/* Arguments and common replies: strict readers with Redis's error texts. */
#ifndef HL_COMMAND_ARGS_H
#define HL_COMMAND_ARGS_H

#include "command/command.h"

/* Error texts shared by many commands; each starts with its code and has no '-' or CRLF. */
#define HL_ERR_WRONGTYPE "WRONGTYPE Operation against a key holding the wrong kind of value"
#define HL_ERR_SYNTAX "ERR syntax error"
#define HL_ERR_NOT_INT "ERR value is not an integer or out of range"
#define HL_ERR_NOT_FLOAT "ERR value is not a valid float"
#define HL_ERR_OUT_OF_RANGE "ERR value is out of range"
#define HL_ERR_NO_KEY "ERR no such key"

/* Reply with an error; `text` starts with its code ("ERR …"). */
void hl_reply_error(struct hl_call *call, const char *text);

/* Reply with a formatted error. */
void hl_reply_errorf(struct hl_call *call, const char *fmt, ...) HL_PRINTF(2, 3);

/* Reply "ERR wrong number of arguments for 'name' command". */
void hl_reply_arity(struct hl_call *call);

/* Read argv[i] as int64_t; on failure replies HL_ERR_NOT_INT and returns false. */
bool hl_arg_i64(struct hl_call *call, int i, int64_t *out);

/* As hl_arg_i64() within min..max; out of range replies HL_ERR_OUT_OF_RANGE's text of Redis. */
bool hl_arg_i64_range(struct hl_call *call, int i, int64_t min, int64_t max, int64_t *out);

/* Read argv[i] as the cursor of a scan, as leniently as Redis: a sign, leading zeros, no digits at
 * all, anything after a NUL; on failure replies "ERR invalid cursor" and returns false. */
bool hl_arg_cursor(struct hl_call *call, int i, uint64_t *out);

/* Read argv[i] as the number of a database; on failure replies as SELECT does and returns false. */
bool hl_arg_db(struct hl_call *call, int i, int *out);

/* Read argv[i] as a double; on failure replies HL_ERR_NOT_FLOAT and returns false. */
bool hl_arg_double(struct hl_call *call, int i, double *out);

/* True when argv[i] is the option word, any case; false past the end. */
bool hl_arg_is(const struct hl_call *call, int i, const char *word);

/*
 * Find argv[i] for reading with the expected type.  NULL when missing (nothing replied) or of
 * another type (HL_ERR_WRONGTYPE replied, *wrong set to true).
 */
struct hl_entry *hl_arg_find(struct hl_call *call, int i, enum hl_type type, unsigned find_flags,
                             bool *wrong);

/* What OBJECT ENCODING answers. */
const char *hl_encoding_name(enum hl_encoding encoding);

/* The options of SCAN and its kin. */
struct hl_scan_options {
    struct hl_slice pattern; /* ptr NULL: everything */
    struct hl_slice type;    /* ptr NULL: every type */
    int64_t count;           /* 1 or more; 10 unless given */
};

/* Read MATCH, COUNT and, `with_type`, TYPE from argv[first] on.  False after replying with an
 * error. */
bool hl_arg_scan_options(struct hl_call *call, int first, bool with_type,
                         struct hl_scan_options *out);

/* How many steps of a walk one call may take to find `count` items. */
int64_t hl_scan_steps(int64_t count);

#endif
