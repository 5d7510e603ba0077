/* A disk in memory for tests and the simulator: fails on demand, fills up, and at a crash loses
 * what was not synced.
 *
 * Each file has two contents: what a reader sees, and what a power loss leaves.  So has the
 * directory: names made, renamed and removed survive only after sync_dir (what a file held at its
 * last fdatasync survives under whichever name the directory keeps for it).  One directory per
 * disk; its name is ignored.
 *
 * A failed fdatasync does what kernels do: the pages that it could not store count as clean from
 * then on, so a later sync succeeds without them, and only what is written afterwards reaches the
 * disk.  Every handle that was open is told once, by its own next fdatasync.
 *
 * Not for two threads at a time.
 */
#ifndef SUPPORT_FAKE_DISK_H
#define SUPPORT_FAKE_DISK_H

#include "wal/disk.h"

#define FAKE_FILES_MAX 1024
#define FAKE_HANDLES_MAX 256
#define FAKE_PAGE 512 /* bytes that a crash keeps or loses together */

struct fake_content {
    char *bytes;
    size_t len;
};

/* A file, named or not. */
struct fake_file {
    struct fake_content now;    /* what a reader sees */
    struct fake_content synced; /* what a power loss leaves */
    struct fake_content failed; /* what a reader saw when a sync failed; empty: none did */
    struct fake_content again;  /* a byte for each page: 1 when it was written since then */
    int sync_errors;            /* how many syncs failed */
    int refs;                   /* names, durable names and handles */
};

struct fake_name {
    char text[HL_DISK_NAME_MAX];
    int file; /* index in files */
};

/* What a crash does to bytes that were not synced. */
enum fake_crash {
    FAKE_CRASH_PROCESS, /* nothing: the kernel lives on */
    FAKE_CRASH_LOSE,    /* all are lost */
    FAKE_CRASH_TEAR,    /* each page and each name is kept or lost by the seed */
};

/* All zero is an empty disk after fake_disk_init(). */
struct fake_disk {
    int fail_at;        /* this operation fails with `fail_with`; 0 is never */
    hl_err fail_with;   /* HL_EIO unless set */
    bool fail_for_ever; /* all operations from fail_at on fail, as when the power is gone */
    int ops;            /* operations so far */
    int injected;       /* of them failed on demand, since the last crash */
    int held;           /* locks and handles not yet given back */
    uint64_t size_max;  /* bytes of all files together; 0 is no limit; HL_EFULL beyond */
    bool lies;          /* fdatasync and sync_dir say yes and do nothing */
    int syncs;          /* fdatasyncs that succeeded */
    int fail_syncs;     /* so many of the next fdatasyncs fail; see below */

    struct fake_file files[FAKE_FILES_MAX];
    struct fake_name names[FAKE_FILES_MAX]; /* what a reader sees */
    int names_count;
    struct fake_name synced_names[FAKE_FILES_MAX]; /* what a power loss leaves */
    int synced_names_count;
    int handles[FAKE_HANDLES_MAX]; /* file + 1; 0: free */
    int told[FAKE_HANDLES_MAX];    /* sync_errors of its file that the handle was told of */
    bool locked;
};

/* An empty disk on the heap (it is large), ended with fake_disk_destroy(). */
struct fake_disk *fake_disk_create(void);

/* Release everything. */
void fake_disk_destroy(struct fake_disk *fake);

/* The seam over `fake`, which must outlive it. */
struct hl_disk fake_disk_seam(struct fake_disk *fake);

/* The process or the machine ends here: handles and the lock are gone, faults are switched off,
 * and the files are what a restart would find.  `seed` decides what FAKE_CRASH_TEAR keeps. */
void fake_disk_crash(struct fake_disk *fake, enum fake_crash how, uint64_t seed);

/* A deep copy, to crash the same moment in several ways. */
struct fake_disk *fake_disk_dup(const struct fake_disk *fake);

/* The content of `name` for looking at and for damaging, or NULL; valid until the file changes. */
struct fake_content *fake_disk_file(struct fake_disk *fake, const char *name);

/* Cut `name` to `len` bytes or extend it by zeros, behind everybody's back, durably. */
void fake_disk_resize(struct fake_disk *fake, const char *name, size_t len);

/* Change one byte of `name` behind everybody's back, durably. */
void fake_disk_poke(struct fake_disk *fake, const char *name, size_t offset, char byte);

/* What a power loss would leave of `name`, which exists; valid until the file changes. */
const struct fake_content *fake_disk_synced(struct fake_disk *fake, const char *name);

/* Put `len` bytes into `name` at `offset` behind everybody's back, durably; they lie within it. */
void fake_disk_overwrite(struct fake_disk *fake, const char *name, size_t offset, const void *bytes,
                         size_t len);

#endif
