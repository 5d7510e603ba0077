/* Names of snapshot files: shared by snapfile.c and snapdir.c. */
#ifndef HL_WAL_SNAPNAME_H
#define HL_WAL_SNAPNAME_H

#include "base/ids.h"
#include "wal/disk.h"

/* The name of the published snapshot of `index`, NUL-terminated. */
void hl_snap_name(char out[HL_DISK_NAME_MAX], hl_index index);

/* The index of a published snapshot's name; 0 for any other name. */
hl_index hl_snap_name_index(const char *name);

/* The name of it while it is being written. */
void hl_snap_temp_name(char out[HL_DISK_NAME_MAX], hl_index index);

#endif
