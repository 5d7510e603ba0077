/* What a disk would hold if the power went now: kept beside a directory, in `.dropdisk/` in it.
 *
 *   data/<inode>  the content that the file had at its last sync
 *   pins/<inode>  a hard link to the file, so that its number is not given to another
 *   names         lines "f <inode> <path>" or "d 0 <path>": as at their directory's last sync
 *   clean         there when the process ended by itself: then nothing is lost
 *   lock          held while the names change
 *   new/          what a restart finds, being made
 *   ready/        the same once it is whole, until it is in place and all of the above is about it
 *   done/         the same after that
 *
 * The files of the directory itself are what a killed process leaves (the kernel keeps them), so
 * nothing needs to be written down between two syncs: what was not synced is the difference.
 */
#ifndef SUPPORT_DROPIMAGE_H
#define SUPPORT_DROPIMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DROP_PATH_MAX 4096
#define DROP_STATE ".dropdisk"

/* Begin with `root` (an absolute path without links, borrowed for ever).  When a former process
 * was killed there, first make its files what the disk would hold: `seed` 0 loses all that was not
 * synced, another one keeps or loses each page and each name by chance.  Ends the process with a
 * message when the directory cannot be used.  True when files were rebuilt.  A process that is
 * killed in here changes nothing of that; `steps` > 0 kills it at the step of that number, for the
 * test. */
bool drop_image_open(const char *root, uint64_t seed, uint64_t steps);

/* As drop_image_open() for a process started by the one that did that: nothing is rebuilt. */
void drop_image_attach(const char *root);

/* The bytes [from, to) of the open file, and its size, are on stable storage. */
void drop_image_sync_file(int fd, uint64_t from, uint64_t to);

/* The names in the directory `path` (relative to the root, "" for the root) are. */
void drop_image_sync_dir(const char *path);

/* The names in all directories are. */
void drop_image_sync_names(void);

/* The process ends by itself: the kernel will write the rest. */
void drop_image_close(void);

#endif
