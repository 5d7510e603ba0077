/* State tables: state beside the keys (users, modules' globals) that snapshots carry. */
#ifndef HL_NODE_TABLES_H
#define HL_NODE_TABLES_H

#include "kit/bytes.h"
#include "kit/err.h"

#define HL_STATE_TABLES_MAX 16

/* One table.  `name` is part of the format: never change it. */
struct hl_state_table {
    const char *name;
    void *ctx;
    /* Append the contents to `out`. */
    void (*save)(void *ctx, struct hl_buf *out);
    /* Replace the contents by what was saved; HL_ECORRUPT with a message when malformed. */
    hl_err (*load)(void *ctx, struct hl_slice contents, struct hl_errmsg *msg);
    /* Could load() take these contents now?  Changes nothing; any error and the reason when not.
     * NULL: whenever they are well formed. */
    hl_err (*check)(void *ctx, struct hl_slice contents, struct hl_errmsg *msg);
};

#endif
