/* Golden dialogues: what servers say to each other in the situations that matter, word by word.
 *
 * Each is a short script over a group driven by hand; its trace (trace.c) must equal the file of
 * its name in dialogues/.  REWRITE=1 writes the files anew: read the difference before committing
 * it. */
#include "unit/raft/group.h"

#include "kit/assert.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct group group;

#define S(id) (&group.servers[id])

static void begin(uint32_t count, uint32_t voters)
{
    group_init(&group, 1, count, voters);
    for (uint32_t i = 1; i <= count; i++) {
        group_start(&group, S(i), false);
    }
}

/* As begin(), with server 1 leading and everything settled, and nothing of it traced. */
static void begin_led(uint32_t count, uint32_t voters)
{
    FILE *trace = group.trace;
    group.trace = NULL;
    begin(count, voters);
    (void)group_elect(&group, 1);
    group.trace = trace;
}

/* Do something that is not part of the dialogue. */
#define UNTRACED(what)                                                                             \
    do {                                                                                           \
        FILE *trace_ = group.trace;                                                                \
        group.trace = NULL;                                                                        \
        what;                                                                                      \
        group.trace = trace_;                                                                      \
    } while (0)

static void tick(hl_peer id, uint64_t later_us)
{
    group.now_us += later_us;
    (void)group_step(&group, S(id), (struct hl_raft_event){.type = HL_RAFT_ON_TICK});
    group_settle(&group);
}

static void hand_over(hl_peer from, hl_peer to)
{
    (void)group_step(&group, S(from),
                     (struct hl_raft_event){.type = HL_RAFT_ON_TRANSFER, .transfer = {.peer = to}});
    group_settle(&group);
}

static void election(void)
{
    begin(3, 3);
    (void)group_elect(&group, 1);
}

static void alone(void)
{
    begin(1, 1);
    group_settle(&group);
    (void)group_propose(&group, S(1), 2);
    group_read(&group, S(1));
    group_settle(&group);
}

static void replication(void)
{
    begin_led(3, 3);
    (void)group_propose(&group, S(1), 1);
    (void)group_propose(&group, S(1), 2);
    group_settle(&group);
}

/* The leader's flushes as a node makes them whose own disk is busy, or not. */
static void flush(bool may_wait)
{
    S(1)->flush_due = false;
    (void)group_step(&group, S(1),
                     (struct hl_raft_event){.type = HL_RAFT_ON_FLUSH,
                                            .flush = {.may_wait = may_wait}});
}

/* Server 3 answers late: what it would be sent meanwhile waits, but for heartbeats. */
static void patience(void)
{
    begin_led(3, 3);
    S(3)->hold_disk = true;
    (void)group_propose(&group, S(1), 1);
    flush(true);
    (void)group_propose(&group, S(1), 1);
    flush(true);
    group_settle_only(&group, 1u << HL_RAFT_APPEND);
    (void)group_propose(&group, S(1), 1);
    flush(false);
    (void)group_propose(&group, S(1), 1);
    S(1)->flush_due = false;
    tick(1, 2 * (uint64_t)HEARTBEAT_US);
    S(3)->hold_disk = false;
    group_settle(&group);
}

/* Server 3 has 20 entries of a term that died out; the leader has 30 of two later ones. */
static void conflict(void)
{
    FILE *trace = group.trace;
    group.trace = NULL;
    begin(3, 3);
    (void)group_elect(&group, 3);
    group_isolate(&group, 3, true);
    for (int i = 0; i < 5; i++) {
        (void)group_propose(&group, S(3), 4);
    }
    group_settle(&group);
    (void)group_elect(&group, 1);
    (void)group_propose(&group, S(1), 15);
    group_settle(&group);
    hand_over(1, 2);
    (void)group_propose(&group, S(2), 15);
    group_settle(&group);
    group.trace = trace;
    group_isolate(&group, 3, false);
    tick(2, HEARTBEAT_US);
}

static void reads(void)
{
    begin_led(3, 3);
    group_read(&group, S(1));
    group_read(&group, S(1));
    group_read(&group, S(2));
    group_settle(&group);
}

static void deposed(void)
{
    begin_led(3, 3);
    group_isolate(&group, 1, true);
    group_read(&group, S(1));
    (void)group_propose(&group, S(1), 1);
    group_settle(&group);
    UNTRACED(group_run(&group, ELECTION_US - (uint64_t)HEARTBEAT_US));
    tick(1, 2 * (uint64_t)HEARTBEAT_US);
}

static void transfer(void)
{
    begin_led(3, 3);
    (void)group_propose(&group, S(1), 1);
    hand_over(1, 2);
}

static void transfer_given_up(void)
{
    begin_led(3, 3);
    group_isolate(&group, 2, true);
    (void)group_propose(&group, S(1), 1);
    (void)group_step(&group, S(1),
                     (struct hl_raft_event){.type = HL_RAFT_ON_TRANSFER, .transfer = {.peer = 2}});
    UNTRACED(group_run(&group, ELECTION_US - (uint64_t)HEARTBEAT_US / 2));
    group.now_us += HEARTBEAT_US;
    (void)group_step(&group, S(1), (struct hl_raft_event){.type = HL_RAFT_ON_TICK});
}

static void resignation(void)
{
    begin_led(3, 3);
    (void)group_step(&group, S(1),
                     (struct hl_raft_event){.type = HL_RAFT_ON_RESIGN,
                                            .resign = {.not_before_us = HL_RAFT_NEVER}});
    group_settle(&group);
}

static struct hl_raft_config members(hl_peer id)
{
    hl_index ignored;
    struct hl_raft_config config = *hl_raft_config(&S(id)->raft, &ignored);
    return config;
}

static void joining(void)
{
    begin_led(4, 3);
    struct hl_raft_config config = members(1);
    config.members[config.count++] = (struct hl_raft_member){.id = 4};
    (void)group_config(&group, S(1), &config);
    group_settle(&group);
    tick(1, HEARTBEAT_US);
    config.members[3].voter = true;
    (void)group_config(&group, S(1), &config);
    group_settle(&group);
}

static void removing_itself(void)
{
    begin_led(3, 3);
    struct hl_raft_config config = members(1);
    config.members[0] = config.members[--config.count];
    (void)group_config(&group, S(1), &config);
    group_settle(&group);
}

static void snapshot(void)
{
    FILE *trace = group.trace;
    group.trace = NULL;
    begin(3, 3);
    (void)group_elect(&group, 1);
    group_isolate(&group, 3, true);
    (void)group_propose(&group, S(1), 6);
    group_settle(&group);
    group.trace = trace;
    group_compact(&group, S(1), 5);
    group_isolate(&group, 3, false);
    tick(1, HEARTBEAT_US);
    tick(1, HEARTBEAT_US);
}

/* Server 3 lost what it acknowledged, and says so. */
static void barred(void)
{
    FILE *trace = group.trace;
    group.trace = NULL;
    begin(3, 3);
    (void)group_elect(&group, 1);
    (void)group_propose(&group, S(1), 3);
    group_settle(&group);
    group_crash(&group, S(3), true);
    S(3)->disk.last = 1;
    group.trace = trace;
    group_start(&group, S(3), true);
    tick(1, HEARTBEAT_US);
    tick(1, HEARTBEAT_US);
}

/* All have lost what was not synced, one of them less than the others: all of them are needed. */
static void blackout(void)
{
    FILE *trace = group.trace;
    group.trace = NULL;
    begin(3, 3);
    (void)group_elect(&group, 1);
    (void)group_propose(&group, S(1), 3);
    group_settle(&group);
    for (hl_peer id = 1; id <= 3; id++) {
        group_crash(&group, S(id), true);
        S(id)->disk.last = id == 2 ? 3 : 2;
    }
    group.committed_last = 3;
    group.trace = trace;
    for (hl_peer id = 1; id <= 3; id++) {
        group_start(&group, S(id), true);
    }
    tick(2, 2 * (uint64_t)ELECTION_US);
    tick(2, HEARTBEAT_US);
}

static const struct {
    const char *name;
    void (*script)(void);
} dialogues[] = {
    {"alone", alone},
    {"election", election},
    {"replication", replication},
    {"patience", patience},
    {"conflict", conflict},
    {"reads", reads},
    {"deposed", deposed},
    {"transfer", transfer},
    {"transfer_given_up", transfer_given_up},
    {"resignation", resignation},
    {"joining", joining},
    {"removing_itself", removing_itself},
    {"snapshot", snapshot},
    {"barred", barred},
    {"blackout", blackout},
};

static char *read_whole(const char *path)
{
    static char text[1 << 16];
    FILE *file = fopen(path, "r");
    size_t len = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    text[len] = '\0';
    if (file != NULL) {
        (void)fclose(file);
    }
    return text;
}

static void compare(const char *name, const char *said)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tests/unit/raft/dialogues/%s.txt", HELIOS_SOURCE_DIR,
                   name);
    if (getenv("REWRITE") != NULL) {
        FILE *file = fopen(path, "w");
        cr_assert_not_null(file, "%s", path);
        (void)fputs(said, file);
        (void)fclose(file);
    }
    cr_expect_str_eq(said, read_whole(path), "%s is not as in %s; it went:\n%s", name, path, said);
}

Test(raft_dialogue, servers_say_what_the_golden_files_hold)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(dialogues); i++) {
        char *said = NULL;
        size_t len = 0;
        group.trace = open_memstream(&said, &len);
        dialogues[i].script();
        (void)fclose(group.trace);
        group.trace = NULL;
        cr_expect_str_empty(group.failure, "%s: %s", dialogues[i].name, group.failure);
        group_fini(&group);
        compare(dialogues[i].name, said);
        free(said);
    }
}
