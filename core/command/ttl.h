/* Times that commands give: relative or absolute, seconds or milliseconds, to one absolute time. */
#ifndef HL_COMMAND_TTL_H
#define HL_COMMAND_TTL_H

#include "command/args.h"

/* How a time argument is to be read. */
struct hl_ttl_unit {
    bool seconds;  /* else milliseconds */
    bool absolute; /* else from now on */
};

/*
 * Read argv[i] as a time of a command that needs a positive one (SET EX, SETEX, GETEX): *when_ms is
 * milliseconds since the epoch.  False after replying that it is no integer, or "invalid expire
 * time in 'name' command" for zero, negative and overflowing ones.
 */
bool hl_ttl_positive(struct hl_call *call, int i, struct hl_ttl_unit unit, int64_t *when_ms);

/* Options of SET and GETEX. */
#define HL_OPT_NX (1u << 0)
#define HL_OPT_XX (1u << 1)
#define HL_OPT_GET (1u << 2)
#define HL_OPT_KEEPTTL (1u << 3)
#define HL_OPT_PERSIST (1u << 4)
#define HL_OPT_TTL (1u << 5) /* one of EX PX EXAT PXAT was given */

struct hl_ttl_options {
    unsigned flags; /* HL_OPT_* */
    int at;         /* argv index of the time, with HL_OPT_TTL */
    struct hl_ttl_unit unit;
};

/* Read options from argv[first] on; `allowed` is a set of HL_OPT_*.  False after replying with a
 * syntax error. */
bool hl_ttl_options(struct hl_call *call, int first, unsigned allowed, struct hl_ttl_options *out);

/* Log "SET key value PXAT when": relative times never reach the log. */
void hl_effect_set_at(struct hl_call *call, struct hl_slice key, struct hl_slice value,
                      int64_t when_ms);

/* Log "PEXPIREAT key when". */
void hl_effect_expire_at(struct hl_call *call, struct hl_slice key, int64_t when_ms);

#endif
