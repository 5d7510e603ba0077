/* `helios recover`: the way back when a majority of a cluster is lost for good.
 *
 * Loud on purpose: whoever uses it while the others are only unreachable gets two clusters with
 * different data.  So nothing happens before it is said what will be, and confirmed.
 */
#include "node/recover.h"
#include "kit/assert.h"
#include "server/disk_posix.h"
#include "tools/tools.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

struct options {
    const char *dir;
    bool force, yes;
};

static const char help[] =
    "usage: helios recover --data-dir DIR --force-new-cluster [--yes]\n"
    "\n"
    "Makes the data of one node a new cluster of one voter, with a new cluster id.  Only for when "
    "a\n"
    "majority of the former cluster is lost for good: as long as a majority of its nodes can be\n"
    "started again, start them, and nothing is lost.\n"
    "\n"
    "What only other nodes hold is lost, writes that were acknowledged among it.  Use the node "
    "whose\n"
    "log is the longest (this command prints it without changing anything until you confirm).\n"
    "\n"
    "  --data-dir DIR       the directory of that node; no server may be running in it\n"
    "  --force-new-cluster  say that this is what you want\n"
    "  --yes                do not ask for the node's name as a confirmation\n"
    "\n"
    "Copy DIR before.  Exit status: 0 it is done, 2 nothing was changed, or it failed on the way\n"
    "(then run it again).\n";

static int parse(struct options *options, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return TOOL_GOOD;
        }
        if (strcmp(argv[i], "--force-new-cluster") == 0) {
            options->force = true;
        } else if (strcmp(argv[i], "--yes") == 0) {
            options->yes = true;
        } else if (strcmp(argv[i], "--data-dir") == 0 && i + 1 < argc) {
            options->dir = argv[++i];
        } else if (strncmp(argv[i], "--data-dir=", 11) == 0) {
            options->dir = argv[i] + 11;
        } else {
            fprintf(stderr, "helios recover: unexpected argument '%s'\n", argv[i]);
            return TOOL_FAILED;
        }
    }
    if (options->dir == NULL || options->dir[0] == '\0' || !options->force) {
        fputs(options->force ? "helios recover: which directory?  Give --data-dir\n"
                             : "helios recover: the only recovery there is must be asked for with "
                               "--force-new-cluster; read --help first\n",
              stderr);
        return TOOL_FAILED;
    }
    return -1;
}

static void print_id(const char *before, const unsigned char *id)
{
    fputs(before, stdout);
    for (int i = 0; i < 16; i++) {
        printf("%02x", id[i]);
    }
    putchar('\n');
}

static void print_found(const struct hl_recovery *found)
{
    print_id("cluster id: ", found->cluster_id);
    printf("this node: %s, raft address %s\n", found->self->name, found->self->raft_addr);
    printf("its log: up to entry %" PRIu64 " of term %" PRIu64 ", snapshot at %" PRIu64 "\n",
           found->last, found->term, found->snapshot);
    if (found->removed) {
        puts("It was removed from its cluster, which went on without it: is there no other node?");
    }
    puts("\nWhat will be:");
    puts("- This node is a cluster of its own, with a new cluster id.  The old id is discarded.");
    for (uint32_t i = 0; i < found->members.count; i++) {
        const struct hl_member *m = &found->members.at[i];
        if (m != found->self) {
            printf("- %s at %s is no member any more%s.\n", m->name, m->raft_addr,
                   m->voter ? "" : " (it had no vote)");
        }
    }
    if (found->last > found->committed) {
        printf("- Entries %" PRIu64 " to %" PRIu64 " count from now on, whether they were "
               "acknowledged or not.\n",
               found->committed + 1, found->last);
    }
    printf("- Whatever other nodes hold beyond entry %" PRIu64
           " is lost, also what clients were told "
           "is stored.\n",
           found->last);
}

static bool is_confirmed(const struct options *options, const struct hl_recovery *found)
{
    char line[HL_MEMBER_NAME_MAX + 3];
    if (options->yes) {
        return true;
    }
    printf("\nType the name of this node to go on (%s): ", found->self->name);
    (void)fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL) {
        line[0] = '\0';
    }
    line[strcspn(line, "\r\n")] = '\0';
    return strcmp(line, found->self->name) == 0;
}

static void print_remedy(const struct options *options, const struct hl_recovery *found)
{
    printf(
        "\nDone.  Now:\n"
        "1. Start this node as before, on %s; it leads at once.  Its list of peers is not read.\n"
        "2. Empty the directories of the other nodes before they are started again: with their "
        "old\n"
        "   data they are refused, and could only be another cluster.\n"
        "3. Start each with --join instead of a list of peers, and add it:\n",
        options->dir);
    for (uint32_t i = 0; i < found->members.count; i++) {
        const struct hl_member *m = &found->members.at[i];
        if (m != found->self) {
            printf("     redis-cli RAFT.ADD %s %s\n", m->name, m->raft_addr);
        }
    }
}

static int recover(struct hl_wal *wal, const struct options *options, struct hl_errmsg *msg)
{
    const struct hl_disk *disk = hl_disk_posix();
    struct hl_recovery found;
    unsigned char id[16];
    if (hl_recovery_look(wal, disk, options->dir, &found, msg) != HL_OK) {
        return TOOL_FAILED;
    }
    print_found(&found);
    if (!is_confirmed(options, &found)) {
        (void)hl_fail(msg, HL_EINVAL,
                      "not confirmed, nothing was changed; --yes confirms without asking");
        return TOOL_FAILED;
    }
    ssize_t got = getrandom(id, sizeof id, 0);
    HL_ASSERT(got == (ssize_t)sizeof id);
    if (hl_recovery_force(wal, disk, options->dir, &found, id, msg) != HL_OK) {
        return TOOL_FAILED;
    }
    print_id("new cluster id: ", id);
    print_remedy(options, &found);
    return TOOL_GOOD;
}

static const char *remedy_of(hl_err err)
{
    if (err == HL_EBUSY) {
        return "; a server runs in this directory: stop it first";
    }
    return err == HL_ECORRUPT ? "; see `helios check` for what can be saved, on a copy" : "";
}

int tool_recover(int argc, char **argv)
{
    struct options options = {0};
    int status = parse(&options, argc, argv);
    if (status >= 0) {
        return status;
    }
    /* Looking first: opening for writing would make a log where there is none. */
    struct hl_wal_options open = {.dir = options.dir, .repair = HL_WAL_READ_ONLY};
    struct hl_errmsg msg = {0};
    struct hl_wal *wal = NULL;
    hl_err err = hl_wal_open(&wal, hl_disk_posix(), &open, NULL, &msg);
    if (err == HL_OK) {
        hl_wal_close(wal);
        wal = NULL;
        open.repair = HL_WAL_REPAIR_TORN;
        err = hl_wal_open(&wal, hl_disk_posix(), &open, NULL, &msg);
    }
    status = TOOL_FAILED;
    if (err == HL_OK) {
        status = recover(wal, &options, &msg);
        hl_wal_close(wal);
    }
    if (status != TOOL_GOOD) {
        (void)fflush(stdout);
        fprintf(stderr, "helios recover: %s%s\n", msg.text, remedy_of(err));
    }
    return status;
}
