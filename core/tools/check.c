/* `helios check`: is this data directory good, and if not, what can be saved?
 *
 * Without --fix nothing is changed, not even a torn tail.
 */
#include "command/effect.h"
#include "kit/assert.h"
#include "server/disk_posix.h"
#include "tools/tools.h"
#include "wal/snapfile.h"
#include "wal/wal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct options {
    const char *dir;
    bool fix;
    bool accept_loss;
};

static const char help[] =
    "usage: helios check DIR [--fix [--accept-loss]]\n"
    "\n"
    "Reads the whole log and the newest snapshot in DIR and verifies every checksum, that entries\n"
    "follow one another, that their contents can be decoded, and that log and snapshot meet.\n"
    "\n"
    "  --fix          cut a torn tail and remove leftovers, as starting the server would, and say\n"
    "                 what was done.  Acknowledged entries are never lost by this.\n"
    "  --accept-loss  with --fix: cut the log where it is damaged.  The entries behind the damage\n"
    "                 were acknowledged to clients and are gone for good: copy DIR first, and on "
    "a\n"
    "                 cluster let the node fetch them from its leader instead.\n"
    "\n"
    "Exit status: 0 the directory is good (now), 1 it is damaged, 2 it could not be checked.\n";

static int parse(struct options *options, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return TOOL_GOOD;
        }
        if (strcmp(argv[i], "--fix") == 0) {
            options->fix = true;
        } else if (strcmp(argv[i], "--accept-loss") == 0) {
            options->accept_loss = true;
        } else if (argv[i][0] == '-' || options->dir != NULL) {
            fprintf(stderr, "helios check: unexpected argument '%s'\n", argv[i]);
            return TOOL_FAILED;
        } else {
            options->dir = argv[i];
        }
    }
    if (options->dir == NULL || (options->accept_loss && !options->fix)) {
        fputs(options->dir == NULL ? "helios check: which directory?\n"
                                   : "helios check: --accept-loss goes with --fix\n",
              stderr);
        return TOOL_FAILED;
    }
    return -1;
}

/* What must hold from entry to entry. */
struct walk {
    hl_term term;
    int64_t log_time_us;
    uint64_t effects;
    struct hl_errmsg wrong; /* the first thing that does not; "" */
};

static bool check_entry(void *arg, const struct hl_wal_entry *entry)
{
    struct walk *walk = arg;
    hl_err err = HL_OK;
    if (entry->term < walk->term || entry->log_time_us < walk->log_time_us) {
        err = hl_fail(&walk->wrong, HL_ECORRUPT,
                      "entry %" PRIu64 ": its term or time is before its predecessor's",
                      entry->index);
    }
    if (err == HL_OK && entry->type == HL_WAL_EFFECTS) {
        struct hl_effect_reader reader = {.body = entry->body};
        while ((err = hl_effect_next(&reader)) == HL_OK) {
            walk->effects++;
        }
        hl_effect_reader_fini(&reader);
        if (err != HL_ENOENT) {
            err = hl_fail(&walk->wrong, HL_ECORRUPT, "entry %" PRIu64 ": its effects are garbled",
                          entry->index);
        }
    }
    walk->term = entry->term;
    walk->log_time_us = entry->log_time_us;
    return err == HL_OK || err == HL_ENOENT;
}

static void print_findings(const struct hl_wal_findings *found, bool fixed)
{
    printf("log: entries %" PRIu64 " to %" PRIu64 " in %" PRIu64
           " files, acknowledged at least to %" PRIu64 "\n",
           found->first, found->last, found->segments, found->watermark);
    if (found->file[0] != '\0' && !found->damaged) {
        printf("log: %s a torn tail of %" PRIu64 " bytes: %s, offset %" PRIu64 "\n",
               fixed ? "cut" : "has", found->cut_size, found->file, found->offset);
    }
    if (found->leftovers > 0) {
        printf("log: removed %" PRIu64 " leftover files\n", found->leftovers);
    }
}

static void print_loss(const struct hl_wal_findings *found, bool done)
{
    printf("log: entries %" PRIu64 " to %" PRIu64 " %s\n", found->last + 1,
           found->highest > found->last ? found->highest : found->last + 1,
           done ? "are lost, as you accepted"
                : "cannot be read; --fix --accept-loss would give them up");
}

static int check_snapshot(const char *dir, bool clean, hl_index base, hl_index *reach)
{
    struct hl_snap_found found;
    struct hl_errmsg msg = {0};
    hl_err err = hl_snap_find(hl_disk_posix(), dir, clean, &found, &msg);
    *reach = 0;
    if (found.damaged > 0) {
        printf("snapshot: damaged: %s (%d of them)\n", found.why.text, found.damaged);
    }
    if (err == HL_OK) {
        *reach = found.label.index;
        printf("snapshot: whole, of entry %" PRIu64 "\n", found.label.index);
    } else if (err == HL_ENOENT) {
        printf("snapshot: none that is whole\n");
    } else {
        fprintf(stderr, "helios check: %s\n", msg.text);
        return TOOL_FAILED;
    }
    if (*reach < base) {
        printf("snapshot: the log begins behind entry %" PRIu64
               ", and no whole snapshot reaches it\n",
               base);
        return TOOL_DAMAGED;
    }
    return found.damaged > 0 ? TOOL_DAMAGED : TOOL_GOOD;
}

/* Walk an open log, and look at the snapshot that it leans on. */
static int check_contents(struct hl_wal *wal, const struct options *options)
{
    struct walk walk = {.log_time_us = INT64_MIN};
    struct hl_errmsg msg = {0};
    hl_err err = hl_wal_read(wal, hl_wal_first(wal), hl_wal_last(wal), check_entry, &walk, &msg);
    if (err != HL_OK) {
        printf("log: %s\n", msg.text);
        return err == HL_ECORRUPT ? TOOL_DAMAGED : TOOL_FAILED;
    }
    int status = TOOL_GOOD;
    if (walk.wrong.text[0] != '\0') {
        printf("log: %s\n", walk.wrong.text);
        status = TOOL_DAMAGED;
    } else {
        printf("log: %" PRIu64 " effects, %" PRIu64 " bytes\n", walk.effects,
               hl_wal_size_used(wal));
    }
    hl_index reach = 0;
    int other = check_snapshot(options->dir, options->fix, hl_wal_meta(wal)->base, &reach);
    return other > status ? other : status;
}

static bool is_used(const char *dir)
{
    const struct hl_disk *disk = hl_disk_posix();
    int lock = -1;
    if (disk->lock(disk->ctx, dir, &lock, NULL) != HL_OK) {
        return true;
    }
    disk->unlock(disk->ctx, lock);
    return false;
}

int tool_check(int argc, char **argv)
{
    struct options options = {0};
    int status = parse(&options, argc, argv);
    if (status >= 0) {
        return status;
    }
    struct hl_wal_options open = {.dir = options.dir, .repair = HL_WAL_READ_ONLY};
    struct hl_wal_findings found;
    struct hl_errmsg msg = {0};
    struct hl_wal *wal = NULL;
    hl_err err = hl_wal_open(&wal, hl_disk_posix(), &open, &found, &msg);
    if (err != HL_OK && err != HL_ECORRUPT) { /* and --fix must not make a new log here */
        fprintf(stderr, "helios check: %s\n", msg.text);
        return TOOL_FAILED;
    }
    if (is_used(options.dir)) {
        fputs("helios check: a server uses this directory: its tail may be in motion\n", stderr);
    }
    bool damaged = err == HL_ECORRUPT;
    if (damaged && found.damaged) {
        printf("log: %s\n", msg.text);
    }
    if (options.fix && (!damaged || options.accept_loss)) {
        hl_wal_close(wal);
        wal = NULL;
        open.repair = damaged ? HL_WAL_REPAIR_LOSSY : HL_WAL_REPAIR_TORN;
        err = hl_wal_open(&wal, hl_disk_posix(), &open, &found, &msg);
        if (err != HL_OK) {
            fprintf(stderr, "helios check: nothing was fixed: %s\n", msg.text);
            return err == HL_ECORRUPT ? TOOL_DAMAGED : TOOL_FAILED;
        }
    }
    if (!found.damaged && damaged) { /* not the log's entries: `meta` itself */
        printf("log: %s\n", msg.text);
        return TOOL_DAMAGED;
    }
    print_findings(&found, options.fix);
    if (damaged) {
        print_loss(&found, wal != NULL);
    }
    status = wal == NULL ? TOOL_DAMAGED : check_contents(wal, &options);
    hl_wal_close(wal);
    puts(status == TOOL_GOOD ? "good" : status == TOOL_DAMAGED ? "DAMAGED" : "not checked");
    return status;
}
