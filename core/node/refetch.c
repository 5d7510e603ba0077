#include "node/refetch.h"

#include "kit/assert.h"
#include "node/recover.h"

#include <stdio.h>
#include <string.h>

/* Does another node vote, as far as what is good tells? */
static hl_err find_others(struct hl_wal *wal, const struct hl_disk *disk, const char *dir,
                          struct hl_errmsg *msg)
{
    struct hl_recovery found;
    hl_err err = hl_recovery_look(wal, disk, dir, &found, msg);
    if (err != HL_OK) {
        return err;
    }
    if (found.members_at < hl_wal_meta(wal)->committed) {
        return hl_fail(msg, HL_ECORRUPT, "the newest members it knew of are among what is lost");
    }
    for (uint32_t i = 0; i < found.members.count; i++) {
        const struct hl_member *member = &found.members.at[i];
        if (member->voter && member->id != hl_wal_meta(wal)->node_id) {
            return HL_OK;
        }
    }
    return hl_fail(msg, HL_ECORRUPT, "nobody else has it");
}

static hl_err look(const struct hl_disk *disk, const struct hl_wal_options *options,
                   struct hl_errmsg *msg)
{
    struct hl_wal_options good = *options;
    struct hl_wal_findings ignored;
    struct hl_wal *wal = NULL;
    good.repair = HL_WAL_READ_GOOD;
    hl_err err = hl_wal_open(&wal, disk, &good, &ignored, msg);
    if (err == HL_OK) {
        err = find_others(wal, disk, options->dir, msg);
        hl_wal_close(wal);
    }
    return err;
}

hl_err hl_refetch_open(struct hl_wal **out, const struct hl_disk *disk,
                       const struct hl_wal_options *options, struct hl_wal_findings *findings,
                       struct hl_errmsg *msg)
{
    HL_ASSERT(options->repair == HL_WAL_REPAIR_TORN);
    HL_ASSERT(findings != NULL);
    hl_err err = hl_wal_open(out, disk, options, findings, msg);
    if (err != HL_ECORRUPT || !findings->damaged) {
        return err;
    }
    struct hl_errmsg why = {{0}};
    if (look(disk, options, &why) != HL_OK) {
        size_t len = strlen(msg->text);
        (void)snprintf(msg->text + len, sizeof msg->text - len,
                       "; it cannot be fetched from the cluster: %.200s; 'helios check' shows what "
                       "is left",
                       why.text);
        return HL_ECORRUPT;
    }
    struct hl_wal_options lossy = *options;
    hl_index highest = findings->highest;
    lossy.repair = HL_WAL_REPAIR_LOSSY;
    err = hl_wal_open(out, disk, &lossy, findings, msg);
    if (findings->highest < highest) {
        findings->highest = highest;
    }
    return err;
}

bool hl_refetch_is_due(const struct hl_wal_meta *meta)
{
    return memcmp(meta->boot_id, hl_wal_boot_lost, sizeof meta->boot_id) == 0;
}
