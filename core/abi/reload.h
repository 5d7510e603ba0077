/* Hot swap: a module's object is replaced while its data and its clients stay. */
#ifndef HL_ABI_RELOAD_H
#define HL_ABI_RELOAD_H

#include "abi/internal.h"

/*
 * Could the module be swapped now?  *path, when it is empty, is set to the path that the module was
 * loaded from, valid as long as it is loaded.
 *
 * HL_ENOENT  no such module
 * HL_EBUSY   not at the moment: clients wait in it, or threads of it run
 * HL_EINVAL  never as it is: the reason is in `msg`
 */
HL_MUST_USE hl_err hl_reload_possible(struct hl_abi *abi, struct hl_slice name,
                                      struct hl_slice *path, struct hl_errmsg *msg);

/*
 * Replace the module by what is in the order's file: save values and globals by its own callbacks,
 * end it, load the file, give it settings, values and globals.  *out is the new one.
 *
 * Errors as above, and those of hl_module_load(): then the module is loaded and has its data as
 * before, though perhaps as a fresh copy of the old object.  When even that fails the process ends:
 * the data is on the disk.
 *
 * Holds the saved form of all values of the module in memory meanwhile, and the loop.
 */
HL_MUST_USE hl_err hl_reload(struct hl_abi *abi, struct hl_slice name, const struct hl_order *order,
                             struct hl_module **out, struct hl_errmsg *msg);

#endif
