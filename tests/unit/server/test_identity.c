/* Goal: a node of a cluster never forgets who it is, never takes a cluster id from nobody, and
 * knows when its log may have lost what it promised.
 *
 * Method: logs on a fake disk that loses what was not synced, opened again and again.
 */
#include "config_support.h"
#include "server/identity.h"
#include "support/fake_disk.h"

#include "kit/alloc.h"
#include "node/bootstrap.h"

static struct fake_disk *fake;
static struct hl_disk disk;
static struct hl_server *server;
static struct hl_errmsg msg;

static void start(const char *const *words)
{
    const struct hl_wal_options options = {.dir = "d", .segment_size = 65536, .salt = 3};
    server->config = hl_config_create(HL_ROLE_SERVER);
    cr_assert_eq(load(server->config, words, NULL, &msg), HL_OK, "%s", msg.text);
    cr_assert_eq(hl_wal_open(&server->wal, &disk, &options, NULL, &msg), HL_OK, "%s", msg.text);
    cr_assert_eq(hl_identity_give(server, &msg), HL_OK, "%s", msg.text);
}

/* The power goes. */
static void stop(void)
{
    hl_wal_close(server->wal);
    hl_config_destroy(server->config);
    fake_disk_crash(fake, FAKE_CRASH_LOSE, 0);
}

static void append_one(void)
{
    struct hl_wal_entry entry = {
        .index = hl_wal_last(server->wal) + 1, .term = 1, .type = HL_WAL_NOP, .feature_level = 1};
    hl_wal_append(server->wal, &entry);
    cr_assert_eq(hl_wal_flush(server->wal, &msg), HL_OK, "%s", msg.text);
}

/* As if the log had been written before the machine was booted. */
static void pretend_reboot(void)
{
    const struct hl_wal_meta *meta = hl_wal_meta(server->wal);
    static const unsigned char other[16] = {1, 2, 3};
    unsigned char cluster_id[16];
    memcpy(cluster_id, meta->cluster_id, sizeof cluster_id);
    hl_wal_set_identity(server->wal, cluster_id, meta->node_id, meta->incarnation, other);
    cr_assert_eq(hl_wal_flush(server->wal, &msg), HL_OK);
}

static bool has_cluster(void)
{
    static const unsigned char none[16];
    return memcmp(hl_wal_meta(server->wal)->cluster_id, none, sizeof none) != 0;
}

static void setup(void)
{
    fake = fake_disk_create();
    disk = fake_disk_seam(fake);
    server = hl_calloc(1, sizeof *server);
}

static void teardown(void)
{
    fake_disk_destroy(fake);
    hl_free(server);
}

TestSuite(identity, .init = setup, .fini = teardown);

Test(identity, a_node_of_a_cluster_keeps_its_id_and_counts_its_starts)
{
    start(WORDS("--raft"));
    uint64_t id = hl_wal_meta(server->wal)->node_id;
    cr_assert_neq(id, 0);
    cr_assert_eq(hl_wal_meta(server->wal)->incarnation, 1);
    cr_assert_not(has_cluster(), "that comes from its founding or from a leader");
    stop();
    start(WORDS("--raft"));
    cr_assert_eq(hl_wal_meta(server->wal)->node_id, id, "others were told of it");
    cr_assert_eq(hl_wal_meta(server->wal)->incarnation, 2);
    stop();
}

Test(identity, a_node_alone_draws_a_cluster_id_and_keeps_it_when_it_becomes_one_of_many)
{
    start(NULL);
    cr_assert(has_cluster());
    append_one();
    unsigned char cluster_id[16];
    memcpy(cluster_id, hl_wal_meta(server->wal)->cluster_id, sizeof cluster_id);
    stop();
    start(WORDS("--raft"));
    cr_assert_eq(memcmp(cluster_id, hl_wal_meta(server->wal)->cluster_id, sizeof cluster_id), 0);
    cr_assert_not(hl_boot_is_new(server->wal));
    stop();
}

/* Term 1 without a vote is what a founding leaves that was broken off before its entry was there.
 */
Test(identity, a_founding_that_was_broken_off_is_forgotten_and_a_vote_is_not)
{
    start(WORDS("--raft"));
    const unsigned char cluster_id[16] = {9};
    uint64_t id = hl_wal_meta(server->wal)->node_id;
    hl_wal_set_identity(server->wal, cluster_id, id, 1, cluster_id);
    hl_wal_set_hard_state(server->wal, 1, 0);
    cr_assert_eq(hl_wal_flush(server->wal, &msg), HL_OK);
    stop();
    start(WORDS("--raft"));
    cr_assert(hl_boot_is_new(server->wal));
    cr_assert_not(has_cluster());
    hl_wal_set_identity(server->wal, cluster_id, id, 2, cluster_id);
    hl_wal_set_hard_state(server->wal, 1, 77);
    cr_assert_eq(hl_wal_flush(server->wal, &msg), HL_OK);
    stop();
    start(WORDS("--raft"));
    cr_assert_not(hl_boot_is_new(server->wal), "it has promised something");
    cr_assert(has_cluster());
    stop();
}

Test(identity, a_log_that_is_not_synced_is_not_trusted_after_a_boot)
{
    static const struct {
        const char *sync;
        bool barred;
    } cases[] = {{"always", false}, {"everysec", true}, {"no", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        start(WORDS("--raft", "--appendfsync", cases[i].sync));
        append_one();
        cr_assert_not(server->barred, "it has run since the boot");
        pretend_reboot();
        stop();
        start(WORDS("--raft", "--appendfsync", cases[i].sync));
        cr_assert_eq(server->barred, cases[i].barred, "%s", cases[i].sync);
        stop();
        start(WORDS("--raft", "--appendfsync", cases[i].sync));
        cr_assert_eq(server->barred, cases[i].barred, "%s: until a leader has helped it",
                     cases[i].sync);
        stop();
        teardown();
        setup();
    }
}
