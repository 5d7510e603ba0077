/* Disks that rot: sectors whose bytes change by themselves, and writes that went to a wrong place.
 *
 * The atlas: a machine's disk may rot only when the group can do without what it holds (as when it
 * is lost altogether: operator.c), and only where that can be told from a torn write.  So what was
 * done is looked at first on a copy of the disk, as a crash would leave it: damage that would be
 * taken for a torn tail, with entries in it that were promised, is undone.  (A record at the very
 * end that nothing behind it vouches for is such: no log can tell.)
 *
 * What is read later finds it: at the restart that comes soon, or when a follower asks for it.
 */
#include "sim.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/refetch.h"

#include <string.h>

/* Whole sectors of it that are on the disk for good: nothing will be written into them. */
static size_t sectors_of(struct fake_disk *fake, const char *name)
{
    const struct fake_content *synced = fake_disk_synced(fake, name);
    size_t used = synced->len;
    while (used > 0 && synced->bytes[used - 1] == '\0') {
        used--;
    }
    return used / FAKE_PAGE;
}

/* A file of the log or a snapshot, at random; NULL: there is none. */
static const char *any_file(struct sim_machine *machine)
{
    struct fake_disk *fake = machine->fake;
    int count = 0;
    const char *chosen = NULL;
    for (int i = 0; i < fake->names_count; i++) {
        const char *name = fake->names[i].text;
        bool ours = strstr(name, ".wal") != NULL ||
                    (strstr(name, ".snap") != NULL && strstr(name, ".new") == NULL);
        if (ours && sectors_of(fake, name) > 0 && sim_below(machine->sim, ++count) == 0) {
            chosen = name;
        }
    }
    return chosen;
}

static void damage(struct sim_machine *machine, struct fake_disk *fake, const char *name)
{
    struct sim *sim = machine->sim;
    const struct fake_content *content = fake_disk_file(fake, name);
    size_t pages = sectors_of(fake, name);
    size_t at = (size_t)sim_below(sim, (int64_t)pages) * FAKE_PAGE;
    char sector[FAKE_PAGE];
    if (sim_chance(sim, 500000)) { /* what belongs elsewhere */
        memcpy(sector, content->bytes + (size_t)sim_below(sim, (int64_t)pages) * FAKE_PAGE,
               sizeof sector);
    } else {
        memcpy(sector, content->bytes + at, sizeof sector);
        int bytes = 1 + (int)sim_below(sim, 64);
        for (int i = 0; i < bytes; i++) {
            sector[sim_below(sim, FAKE_PAGE)] ^= (char)(1 + sim_below(sim, 255));
        }
    }
    fake_disk_overwrite(fake, name, at, sector, sizeof sector);
}

/* Would a start after the worst crash notice, or find all that was promised? */
static bool is_told(const struct sim_machine *machine, const struct fake_disk *damaged)
{
    struct fake_disk *copy = fake_disk_dup(damaged);
    fake_disk_crash(copy, FAKE_CRASH_LOSE, 0);
    struct hl_disk disk = fake_disk_seam(copy);
    struct hl_wal_options options = {.dir = "d", .repair = HL_WAL_READ_GOOD};
    struct hl_wal_findings findings = {0};
    struct hl_wal *wal = NULL;
    hl_err err = hl_wal_open(&wal, &disk, &options, &findings, NULL);
    bool told = err != HL_OK || findings.damaged || findings.last >= machine->promised;
    if (err == HL_OK) {
        hl_wal_close(wal);
    }
    fake_disk_destroy(copy);
    return told;
}

bool sim_rot(struct sim_machine *machine)
{
    const char *name = machine->fake == NULL ? NULL : any_file(machine);
    if (name == NULL) {
        return false;
    }
    struct fake_disk *trial = fake_disk_dup(machine->fake);
    damage(machine, trial, name);
    bool told = is_told(machine, trial);
    if (told) {
        const struct fake_content *content = fake_disk_file(trial, name);
        fake_disk_overwrite(machine->fake, name, 0, content->bytes, content->len);
        sim_trace(machine->sim, "m%lld: its disk rots", machine->id, 0, 0, 0);
    }
    fake_disk_destroy(trial);
    return told;
}
