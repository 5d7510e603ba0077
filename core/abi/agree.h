/* What the nodes of a group ask each other before they load, unload or swap a module together
 * (node/barrier.h has the rules): can you?
 *
 *   question  u8 enum hl_agree, text16 the module's path (LOAD) or name, text16 path of RELOAD
 *   answer    of LOAD and RELOAD the sha256 of the file, of UNLOAD nothing
 */
#ifndef HL_ABI_AGREE_H
#define HL_ABI_AGREE_H

#include "abi/internal.h"

enum hl_agree {
    HL_AGREE_LOAD = 1,
    HL_AGREE_UNLOAD,
    HL_AGREE_RELOAD,
};

/* True when other nodes have a say. */
bool hl_agree_needed(const struct hl_call *call);

/* Ask everybody (hl_barrier_begin()). */
void hl_agree_begin(struct hl_call *call, enum hl_agree what, struct hl_slice name,
                    struct hl_slice path);

/* node->hooks.asked. */
hl_err hl_agree_asked(void *ctx, struct hl_slice question, struct hl_buf *answer,
                      struct hl_errmsg *why);

/* This node's answer about a file: its sha256.  Errors as hl_object_probe(). */
HL_MUST_USE hl_err hl_agree_probe(struct hl_abi *abi, struct hl_slice path, bool elsewhere,
                                  unsigned char *sum, struct hl_errmsg *msg);

#endif
