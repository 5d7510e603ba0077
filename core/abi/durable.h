/* Which modules belong to the state: see durable.c. */
#ifndef HL_ABI_DURABLE_H
#define HL_ABI_DURABLE_H

#include "kit/bytes.h"

#include <stdbool.h>

struct hl_abi;

/* Let snapshots carry the list of modules. */
void hl_durable_register(struct hl_abi *abi);

/* True when a module was loaded under this path, as it was given. */
bool hl_durable_has(struct hl_abi *abi, struct hl_slice path);

/* The module loaded under this path is part of the state from now on. */
void hl_durable_mark(struct hl_abi *abi, struct hl_slice path);

#endif
