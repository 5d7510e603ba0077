/* Which modules belong to the state: see durable.c. */
#ifndef HL_ABI_DURABLE_H
#define HL_ABI_DURABLE_H

#include "abi/order.h"

struct hl_abi;
struct hl_module;

/* Let snapshots carry the list of modules. */
void hl_durable_register(struct hl_abi *abi);

/* The loaded module that an order of the log means, or NULL: the one of its NAME, or, when it has
 * none, the one that was loaded under its path. */
struct hl_module *hl_durable_find(struct hl_abi *abi, const struct hl_order *order);

/* The module is part of the state from now on, and these words (order.h) load it again; copied. */
void hl_durable_mark(struct hl_module *module, const struct hl_slice *words, int count);

/* The state was made anew: end the modules that it does without. */
void hl_durable_settle(struct hl_abi *abi);

#endif
