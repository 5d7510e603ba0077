/* Slots: the numbers by which Redis Cluster spreads keys, and by which clients find nodes. */
#ifndef HL_BASE_SLOT_H
#define HL_BASE_SLOT_H

#include "kit/bytes.h"

#define HL_SLOTS 16384

/* The slot of a key: CRC-16 (XMODEM) of it, or of what stands between its first { and the next } if
 * that is not empty. */
unsigned hl_key_slot(struct hl_slice key);

#endif
