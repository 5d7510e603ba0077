/* Goal: nodes that are started together found one cluster, and nothing else ever does.
 *
 * Method: decisions of several nodes with questions and answers carried by hand, or in random
 * orders with losses, restarts and emptied directories.
 */
#include "node/bootstrap.h"

#include "base/rng.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define NODES 3

static const char *const names[] = {"node-1", "node-2", "node-3", "node-4"};
static const char *const addresses[] = {"a:7001", "b:7002", "c:7003", "d:7004"};

struct world {
    struct hl_boot boots[NODES];
    hl_peer ids[NODES];
    bool up[NODES];
    uint64_t now_us;
};

static struct hl_boot_options options_of(hl_peer id, int at, int listed)
{
    struct hl_boot_options o = {
        .id = id, .name = names[at], .raft_addr = addresses[at], .client_addr = "x:6379"};
    for (int i = 0; i < listed; i++) {
        if (i != at) {
            o.list[o.list_count].name = names[i];
            o.list[o.list_count++].raft_addr = addresses[i];
        }
    }
    return o;
}

static void start(struct world *w, int at, hl_peer id)
{
    struct hl_boot_options o = options_of(id, at, NODES);
    w->ids[at] = id;
    w->up[at] = true;
    cr_assert_eq(hl_boot_init(&w->boots[at], &o, NULL), HL_OK);
}

/* What a node says of itself when the node of id `to` asks. */
static struct hl_hello hello_of(const struct hl_boot *boot, hl_peer to, struct hl_wire_frame *frame)
{
    bool founded = boot->decision == HL_BOOT_FOUND;
    struct hl_hello hello = {.reply = true,
                             .empty = !founded,
                             .member = founded && hl_members_find(&boot->members, to) != NULL,
                             .name = hl_slice_of(boot->self.name),
                             .raft_addr = hl_slice_of(boot->self.raft_addr),
                             .client_addr = hl_slice_of(boot->self.client_addr),
                             .peer_count = boot->count};
    for (uint32_t i = 0; i < boot->count; i++) {
        hello.peers[i] = hl_slice_of(boot->peers[i].listed);
    }
    *frame = (struct hl_wire_frame){.from = boot->self.id, .to = to};
    if (founded) {
        memcpy(frame->cluster_id, boot->cluster_id, sizeof frame->cluster_id);
    }
    return hello;
}

static int index_of(const char *name)
{
    return name[5] - '1';
}

/* One tick of a node, its questions answered at once by those that are up. */
static void step(struct world *w, int at)
{
    struct hl_boot *boot = &w->boots[at];
    const struct hl_boot_peer *peer;
    (void)hl_boot_tick(boot, w->now_us);
    while ((peer = hl_boot_question(boot)) != NULL) {
        int other = index_of(peer->name);
        if (!w->up[other]) {
            hl_boot_unanswered(boot, peer->name, "connection refused");
            continue;
        }
        struct hl_wire_frame frame;
        struct hl_hello hello = hello_of(&w->boots[other], boot->self.id, &frame);
        hl_boot_answered(boot, peer->name, &frame, &hello);
        struct hl_wire_frame ask;
        struct hl_hello question = hello_of(boot, 0, &ask);
        hl_boot_was_asked(&w->boots[other], &question);
    }
    (void)hl_boot_tick(boot, w->now_us);
}

static void run(struct world *w, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        w->now_us += 50000;
        for (int at = 0; at < NODES; at++) {
            if (w->up[at]) {
                step(w, at);
            }
        }
    }
}

Test(bootstrap, nodes_that_list_each_other_found_one_cluster)
{
    struct world w = {.now_us = 1};
    for (int i = 0; i < NODES; i++) {
        start(&w, i, (hl_peer)(100 - i));
    }
    run(&w, 6);
    for (int i = 0; i < NODES; i++) {
        cr_assert_eq(w.boots[i].decision, HL_BOOT_FOUND);
        cr_assert_eq(memcmp(w.boots[i].cluster_id, w.boots[0].cluster_id, 16), 0);
        cr_assert_eq(memcmp(&w.boots[i].members, &w.boots[0].members, sizeof w.boots[0].members),
                     0);
        cr_assert_null(hl_boot_report(&w.boots[i], w.now_us));
    }
    cr_assert_eq(w.boots[0].members.count, 3);
    cr_assert_eq(w.boots[0].members.at[2].id, 98);
    cr_assert_str_eq(w.boots[0].members.at[2].raft_addr, "c:7003");
    cr_assert_str_eq(w.boots[0].members.at[2].client_addr, "x:6379");
}

Test(bootstrap, nobody_goes_on_while_one_is_missing_and_its_name_is_told)
{
    struct world w = {.now_us = 1};
    start(&w, 0, 1);
    start(&w, 1, 2);
    run(&w, 200);
    cr_assert_eq(w.boots[0].decision, HL_BOOT_NONE);
    cr_assert_eq(w.boots[1].decision, HL_BOOT_NONE);
    const char *line = hl_boot_report(&w.boots[0], w.now_us);
    cr_assert_not_null(line);
    cr_assert_str_eq(line, "no cluster yet, waiting for node-3 (c:7003: connection refused)");
    cr_assert_null(hl_boot_report(&w.boots[0], w.now_us + 1), "the same is not told at once");
    cr_assert_not_null(hl_boot_report(&w.boots[0], w.now_us + HL_BOOT_REPORT_US));
    start(&w, 2, 3);
    run(&w, 10);
    cr_assert_eq(w.boots[0].decision, HL_BOOT_FOUND);
    cr_assert_eq(w.boots[2].decision, HL_BOOT_FOUND);
}

/* The third answered, was away when the others went on, and comes back with its id. */
Test(bootstrap, a_founder_that_is_late_founds_the_same)
{
    struct world w = {.now_us = 1};
    for (int i = 0; i < NODES; i++) {
        start(&w, i, (hl_peer)(i + 1));
    }
    for (int i = 0; i < 4; i++) {
        w.now_us += 50000;
        step(&w, 0);
        step(&w, 1);
    }
    cr_assert_eq(w.boots[0].decision, HL_BOOT_FOUND);
    cr_assert_eq(w.boots[2].decision, HL_BOOT_NONE);
    start(&w, 2, 3);
    run(&w, 6);
    cr_assert_eq(w.boots[2].decision, HL_BOOT_FOUND);
    cr_assert_eq(memcmp(w.boots[2].cluster_id, w.boots[0].cluster_id, 16), 0);
}

Test(bootstrap, a_late_founder_joins_when_another_does_not_answer)
{
    struct world w = {.now_us = 1};
    for (int i = 0; i < NODES; i++) {
        start(&w, i, (hl_peer)(i + 1));
    }
    for (int i = 0; i < 4; i++) {
        w.now_us += 50000;
        step(&w, 0);
        step(&w, 1);
    }
    w.up[1] = false;
    start(&w, 2, 3);
    run(&w, 40);
    cr_assert_eq(w.boots[2].decision, HL_BOOT_NONE);
    run(&w, 40);
    cr_assert_eq(w.boots[2].decision, HL_BOOT_JOIN);
}

Test(bootstrap, a_voter_whose_directory_was_emptied_stops)
{
    struct world w = {.now_us = 1};
    for (int i = 0; i < NODES; i++) {
        start(&w, i, (hl_peer)(i + 1));
    }
    run(&w, 6);
    start(&w, 2, 33);
    w.up[1] = false; /* one answer is enough to know */
    run(&w, 4);
    cr_assert_eq(w.boots[2].decision, HL_BOOT_STOP);
    cr_assert_not_null(strstr(w.boots[2].why, "node node-1 at a:7001 belongs to a cluster"), "%s",
                       w.boots[2].why);
    cr_assert_not_null(strstr(w.boots[2].why, "--join"));
}

Test(bootstrap, some_beginnings_need_no_answers)
{
    struct hl_boot boot;
    struct hl_boot_options o = options_of(1, 0, NODES);
    o.has_state = true;
    cr_assert_eq(hl_boot_init(&boot, &o, NULL), HL_OK);
    cr_assert_eq(boot.decision, HL_BOOT_RESUME);
    cr_assert_null(hl_boot_question(&boot));
    o = options_of(1, 0, 0);
    o.alone = true;
    cr_assert_eq(hl_boot_init(&boot, &o, NULL), HL_OK);
    cr_assert_eq(boot.decision, HL_BOOT_FOUND);
    cr_assert_eq(boot.members.count, 1);
    o = options_of(1, 0, 0);
    o.join = true;
    cr_assert_eq(hl_boot_init(&boot, &o, NULL), HL_OK);
    cr_assert_eq(boot.decision, HL_BOOT_JOIN);
    o.has_state = true; /* S1 before everything */
    cr_assert_eq(hl_boot_init(&boot, &o, NULL), HL_OK);
    cr_assert_eq(boot.decision, HL_BOOT_RESUME);
}

Test(bootstrap, other_lists_other_names_and_one_node_twice_are_waited_for)
{
    struct {
        int listed;
        hl_peer id;
        const char *name, *refusal, *part;
    } cases[] = {
        {4, 2, "node-2", "", "lists other founders"},
        {0, 2, "node-2", "", "has no list"},
        {3, 2, "node-9", "", "calls itself node-9"},
        {3, 1, "node-2", "", "this node itself"},
        {3, 2, "node-2", "it is loading its data", "it is loading its data"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w = {.now_us = 1};
        start(&w, 0, 1);
        (void)hl_boot_tick(&w.boots[0], 1);
        cr_assert_not_null(hl_boot_question(&w.boots[0]));
        struct hl_boot other;
        struct hl_boot_options o = options_of(cases[i].id, 1, cases[i].listed);
        cr_assert_eq(hl_boot_init(&other, &o, NULL), HL_OK);
        struct hl_wire_frame frame;
        struct hl_hello hello = hello_of(&other, 1, &frame);
        hello.name = hl_slice_of(cases[i].name);
        hello.refusal = hl_slice_of(cases[i].refusal);
        hl_boot_answered(&w.boots[0], "node-2", &frame, &hello);
        const char *line = hl_boot_report(&w.boots[0], 1);
        cr_assert_not_null(line);
        cr_assert_not_null(strstr(line, cases[i].part), "%s", line);
        cr_assert_eq(w.boots[0].decision, HL_BOOT_NONE);
    }
}

Test(bootstrap, a_node_without_a_list_takes_that_of_who_asks_it)
{
    struct world w = {.now_us = 1};
    struct hl_boot_options o = options_of(1, 0, 0);
    cr_assert_eq(hl_boot_init(&w.boots[0], &o, NULL), HL_OK);
    w.up[0] = true;
    run(&w, 3);
    cr_assert_eq(w.boots[0].decision, HL_BOOT_NONE);
    cr_assert_not_null(hl_boot_report(&w.boots[0], w.now_us));
    start(&w, 1, 2);
    start(&w, 2, 3);
    run(&w, 10);
    for (int i = 0; i < NODES; i++) {
        cr_assert_eq(w.boots[i].decision, HL_BOOT_FOUND);
        cr_assert_eq(memcmp(w.boots[i].cluster_id, w.boots[0].cluster_id, 16), 0);
    }
}

Test(bootstrap, a_node_without_a_list_joins_whoever_calls_it)
{
    struct hl_boot boot;
    struct hl_boot_options o = options_of(1, 0, 0);
    cr_assert_eq(hl_boot_init(&boot, &o, NULL), HL_OK);
    struct hl_slice others[] = {hl_slice_of("node-2=b:1"), hl_slice_of("node-3=c:1")};
    struct hl_hello hello = {.name = hl_slice_of("node-2"), .peer_count = 2};
    memcpy(hello.peers, others, sizeof others);
    hl_boot_was_asked(&boot, &hello);
    cr_assert_eq(boot.count, 0, "a list that does not name it is not its");
    hl_boot_was_called(&boot);
    cr_assert_eq(boot.decision, HL_BOOT_JOIN);
    struct world w = {.now_us = 1};
    start(&w, 0, 1);
    hl_boot_was_called(&w.boots[0]);
    cr_assert_eq(w.boots[0].decision, HL_BOOT_NONE, "a founder is not taken away");
}

Test(bootstrap, a_malformed_list_is_refused)
{
    struct hl_boot boot;
    struct hl_errmsg msg = {0};
    struct hl_boot_options o = options_of(1, 0, 2);
    o.name = "with space";
    cr_assert_eq(hl_boot_init(&boot, &o, &msg), HL_EINVAL);
    o = options_of(1, 0, 0);
    char many[HL_MEMBERS_MAX][16];
    for (uint32_t i = 0; i < 9; i++) {
        (void)snprintf(many[i], sizeof many[i], "other-%u", i);
        o.list[i].name = many[i];
        o.list[i].raft_addr = "x:1";
        o.list_count++;
    }
    cr_assert_eq(hl_boot_init(&boot, &o, &msg), HL_EINVAL);
    cr_assert_not_null(strstr(msg.text, "at most 9"), "%s", msg.text);
}

/* Method: thousands of random starts in which answers get lost and undecided nodes restart, some of
 * them emptied.  Whatever happens, equal cluster ids mean equal members (S3), and at most one
 * cluster has a majority of the nodes that decided. */
Test(bootstrap, random_starts_never_found_two_clusters)
{
    unsigned founded = 0;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct hl_rng rng;
        hl_rng_seed(&rng, seed);
        struct world w = {.now_us = 1};
        hl_peer next_id = 1;
        for (int i = 0; i < 60; i++) {
            int at = (int)hl_rng_below(&rng, NODES);
            w.now_us += 30000;
            bool undecided = w.boots[at].decision == HL_BOOT_NONE;
            uint64_t dice = hl_rng_below(&rng, 10);
            if (!w.up[at] || (dice == 0 && undecided)) {
                bool emptied = w.ids[at] == 0 || hl_rng_below(&rng, 2) == 0;
                if (undecided) {
                    start(&w, at, emptied ? next_id++ : w.ids[at]);
                }
                w.up[at] = true;
            } else if (dice == 1) {
                w.up[at] = false;
            } else {
                step(&w, at);
            }
        }
        for (int a = 0; a < NODES; a++) {
            int same = 0;
            int others = 0;
            for (int b = 0; b < NODES && w.boots[a].decision == HL_BOOT_FOUND; b++) {
                if (w.boots[b].decision != HL_BOOT_FOUND) {
                    continue;
                }
                bool equal = memcmp(w.boots[a].cluster_id, w.boots[b].cluster_id, 16) == 0;
                same += equal;
                others += !equal;
                cr_assert(!equal || memcmp(&w.boots[a].members, &w.boots[b].members,
                                           sizeof w.boots[a].members) == 0);
                cr_assert(!equal || hl_members_find(&w.boots[a].members, w.ids[b]) != NULL);
            }
            cr_assert(same < 2 || others < 2, "seed %llu", (unsigned long long)seed);
            founded += same == NODES;
        }
    }
    cr_assert_gt(founded, 3000, "most starts end in one cluster of all");
}
