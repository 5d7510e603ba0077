/* Numbers that several folders exchange and none of them owns. */
#ifndef HL_BASE_IDS_H
#define HL_BASE_IDS_H

#include <stdint.h>

typedef uint64_t hl_index; /* position in the log; the first entry is 1, 0 is "none" */
typedef uint64_t hl_term;  /* of Raft; the first is 1, 0 is "none" */

#endif
