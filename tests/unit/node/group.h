/* A group of nodes in one process: each on its own disk in memory, with an in-memory network
 * between them, driven by hand.  Nothing happens but in group_step(): so a failure repeats itself.
 */
#ifndef TESTS_UNIT_NODE_GROUP_H
#define TESTS_UNIT_NODE_GROUP_H

#include "node/node.h"
#include "node/snapshot.h"
#include "raft/mutant.h"
#include "support/fake_disk.h"

#include "kit/alloc.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define GROUP_MAX 5
#define FRAMES_MAX 4096
#define STEP_US 5000
#define ELECTION_US 200000
#define STEPS_MAX 2000 /* ten seconds of the group's time */

struct member {
    struct group *group;
    int at;
    hl_peer id;
    struct fake_disk *fake;
    struct hl_disk disk;
    struct hl_wal *wal;
    struct hl_node *node; /* NULL: it is down */
    struct hl_world world;
    struct hl_wal_batch *batch;
    struct hl_wal_batch lost;
    uint64_t entropy;
    bool cut;  /* no frame to or from it arrives */
    bool slow; /* its disk does nothing */
    bool joins;
    bool barred; /* it starts so: what it acknowledged may be gone */
    bool moved;  /* its name, which is its address too, is another than the group knows */
    uint32_t members_told;
    char name[8];
};

struct frame_in_flight {
    int from, to;
    struct hl_slice bytes; /* owned */
};

struct group {
    struct member at[GROUP_MAX];
    int count;
    uint64_t mono_us;
    int64_t wall_us;
    struct frame_in_flight frames[FRAMES_MAX];
    size_t frame_count;
    size_t segment_size;
    uint64_t chance;      /* state of the generator below */
    unsigned loss, delay; /* per cent of the frames */
    uint32_t level;       /* at which it is founded; 0: what the build understands */
    uint32_t level_own;   /* that nodes opened from now on understand; 0: the same */
};

static inline hl_peer group_id(int at)
{
    return 0x1000 + (hl_peer)at;
}

static int64_t member_wall(void *ctx)
{
    return ((struct member *)ctx)->group->wall_us;
}

static uint64_t member_mono(void *ctx)
{
    return ((struct member *)ctx)->group->mono_us;
}

static void member_entropy(void *ctx, void *out, size_t len)
{
    struct member *m = ctx;
    unsigned char *p = out;
    for (size_t i = 0; i < len; i++) {
        m->entropy = m->entropy * 6364136223846793005u + 1442695040888963407u;
        p[i] = (unsigned char)(m->entropy >> 56);
    }
}

static void member_log_write(void *ctx, struct hl_wal_batch *batch)
{
    struct member *m = ctx;
    cr_assert_null(m->batch, "one batch at a time");
    m->batch = batch;
}

static void member_session(void *ctx, struct hl_session *session)
{
    (void)ctx;
    (void)session;
}

static size_t member_memory(void *ctx)
{
    (void)ctx;
    return 0;
}

__attribute__((noreturn)) static void member_fatal(void *ctx, const char *why)
{
    cr_log_info("node %d: fatal: %s", ((struct member *)ctx)->at, why);
    abort();
}

static void member_log(void *ctx, int level, const char *line)
{
    struct member *m = ctx;
    if (getenv("GROUP_LOG") != NULL) {
        fprintf(stderr, "[%llu] node %d (%d): %s\n", (unsigned long long)m->group->mono_us, m->at,
                level, line);
    }
}

static void member_send(void *ctx, hl_peer to, enum hl_peer_class peer_class, struct hl_slice frame)
{
    struct member *m = ctx;
    struct group *g = m->group;
    int at = (int)(to - group_id(0));
    (void)peer_class;
    cr_assert(at >= 0 && at < g->count, "a frame to nobody");
    if (m->cut || g->at[at].cut || g->at[at].node == NULL || g->frame_count == FRAMES_MAX) {
        return;
    }
    g->frames[g->frame_count++] = (struct frame_in_flight){
        .from = m->at,
        .to = at,
        .bytes = {.ptr = hl_strndup(frame.ptr, frame.len), .len = frame.len}};
}

static void member_peers(void *ctx, const struct hl_members *members)
{
    ((struct member *)ctx)->members_told = members->count;
}

static inline void member_open(struct member *m, const struct hl_members *bootstrap)
{
    struct group *g = m->group;
    struct hl_wal_options options = {
        .dir = "d", .segment_size = (uint32_t)g->segment_size, .salt = 5};
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_wal_open(&m->wal, &m->disk, &options, NULL, &msg), HL_OK, "%s", msg.text);
    static const unsigned char id[16] = "cluster";
    static const unsigned char none[16];
    static const unsigned char boot[16] = "boot";
    const struct hl_wal_meta *meta = hl_wal_meta(m->wal);
    if (meta->node_id == 0) {
        hl_wal_set_identity(m->wal, m->joins ? none : id, m->id, 1, boot);
    }
    struct hl_node_config config = {.databases = 16,
                                    .appendonly = true,
                                    .maxmemory_policy = HL_EVICT_NOEVICTION,
                                    .maxmemory_samples = 5,
                                    .slowlog_slower_than_us = -1,
                                    .hz = 10,
                                    .active_expire = true,
                                    .active_expire_effort = 1,
                                    .speculation_max = 1 << 20,
                                    .multi_queue_max = 1 << 20,
                                    .feature_level = g->level_own,
                                    .cluster = {.enabled = m->moved,
                                                .name = m->name,
                                                .raft_addr = m->name,
                                                .client_addr = m->name,
                                                .election_us = ELECTION_US,
                                                .barred = m->barred}};
    m->node = hl_node_create(&m->world, m->wal, &config);
    hl_node_load_from(m->node, &m->disk, "d");
    if (m->joins) {
        hl_node_join(m->node);
    }
    if (bootstrap != NULL) {
        hl_node_bootstrap(m->node, id, bootstrap, g->level == 0 ? HL_FEATURE_LEVEL : g->level);
    }
    hl_err err = HL_ENOENT;
    while (err == HL_ENOENT) {
        err = hl_node_load_step(m->node, 1000, &msg);
    }
    cr_assert_eq(err, HL_OK, "%s", msg.text);
    hl_node_end(m->node);
}

static inline void member_init(struct group *g, int at)
{
    struct member *m = &g->at[at];
    *m = (struct member){.group = g, .at = at, .id = group_id(at), .entropy = 77 + (uint64_t)at};
    snprintf(m->name, sizeof m->name, "n%d:1", at);
    m->fake = fake_disk_create();
    m->disk = fake_disk_seam(m->fake);
    m->world = (struct hl_world){.ctx = m,
                                 .wall_us = member_wall,
                                 .mono_us = member_mono,
                                 .entropy = member_entropy,
                                 .log_write = member_log_write,
                                 .output = member_session,
                                 .resume = member_session,
                                 .memory_used = member_memory,
                                 .fatal = member_fatal,
                                 .log = member_log,
                                 .send = member_send,
                                 .peers = member_peers};
}

/* `voters` nodes that are founded together at a feature level, and room for more. */
static inline void group_init_at(struct group *g, int voters, uint32_t level)
{
#if defined(HL_MUTANTS) && HL_MUTANTS
    const char *mutant = getenv("MUTANT"); /* of core/raft/mutant.h: what this test must see */
    hl_raft_mutant = mutant == NULL ? 0 : atoi(mutant);
#endif
    memset(g, 0, sizeof *g);
    g->level = level;
    g->count = voters;
    g->mono_us = 1000000;
    g->wall_us = 1700000000000000;
    g->segment_size = 64 * 1024;
    struct hl_members members = {0};
    for (int i = 0; i < voters; i++) {
        member_init(g, i);
        struct hl_slice name = hl_slice_of(g->at[i].name);
        cr_assert_eq(hl_members_put(&members, g->at[i].id, true, name, name, name), HL_OK);
    }
    for (int i = 0; i < voters; i++) {
        member_open(&g->at[i], &members);
    }
}

static inline void group_init(struct group *g, int voters)
{
    group_init_at(g, voters, 0);
}

/* One more node, with nothing on its disk, that waits to be added. */
static inline struct member *group_join(struct group *g)
{
    int at = g->count++;
    member_init(g, at);
    g->at[at].joins = true;
    member_open(&g->at[at], NULL);
    return &g->at[at];
}

static inline void member_close(struct member *m)
{
    HL_LIST_EACH(it, &m->node->sessions)
    {
        struct hl_session *session = HL_LIST_ENTRY(it, struct hl_session, all);
        if ((session->flags & HL_SESSION_HIDDEN) == 0) {
            hl_session_destroy(m->node, session);
        }
    }
    bool flying = m->batch != NULL;
    if (flying) {
        m->lost = *m->batch;
    }
    m->batch = NULL;
    hl_node_destroy(m->node);
    m->node = NULL;
    if (flying) {
        hl_wal_batch_done(m->wal, &m->lost, HL_EIO);
    }
    hl_wal_close(m->wal);
}

static inline void group_fini(struct group *g)
{
    for (int i = 0; i < g->count; i++) {
        if (g->at[i].node != NULL) {
            member_close(&g->at[i]);
        }
        fake_disk_destroy(g->at[i].fake);
    }
    for (size_t i = 0; i < g->frame_count; i++) {
        hl_free((void *)g->frames[i].bytes.ptr);
    }
    g->frame_count = 0;
}

/* The power goes at one node: what was not synced is lost. */
static inline void member_kill(struct member *m)
{
    member_close(m);
    fake_disk_crash(m->fake, FAKE_CRASH_LOSE, 0);
}

static inline void member_restart(struct member *m)
{
    member_open(m, NULL);
}

/* 0..99 */
static inline unsigned group_chance(struct group *g)
{
    g->chance = g->chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(g->chance >> 33) % 100;
}

static inline void deliver(struct group *g)
{
    size_t count = g->frame_count;
    struct frame_in_flight *frames = hl_malloc((count + 1) * sizeof *frames);
    memcpy(frames, g->frames, count * sizeof *frames);
    g->frame_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct member *to = &g->at[frames[i].to];
        if (g->delay != 0 && group_chance(g) < g->delay && g->frame_count < FRAMES_MAX) {
            g->frames[g->frame_count++] = frames[i]; /* later, and out of order */
            continue;
        }
        if (g->loss != 0 && group_chance(g) < g->loss) {
            hl_free((void *)frames[i].bytes.ptr);
            continue;
        }
        if (to->node != NULL && !to->cut && !g->at[frames[i].from].cut) {
            hl_node_begin(to->node);
            hl_node_peer_message(to->node, group_id(frames[i].from), frames[i].bytes);
            hl_node_end(to->node);
        }
        hl_free((void *)frames[i].bytes.ptr);
    }
    hl_free(frames);
}

static inline void write_batch(struct member *m)
{
    if (m->node == NULL || m->batch == NULL || m->slow) {
        return;
    }
    struct hl_wal_batch *batch = m->batch;
    struct hl_errmsg msg = {{0}};
    hl_err err = hl_wal_batch_write(m->wal, batch, &msg);
    m->batch = NULL;
    hl_node_begin(m->node);
    hl_node_log_done(m->node, err, msg.text);
    hl_node_end(m->node);
}

/* Some time passes: disks, network, clocks. */
static inline void group_step(struct group *g)
{
    g->mono_us += STEP_US;
    g->wall_us += STEP_US;
    for (int i = 0; i < g->count; i++) {
        write_batch(&g->at[i]);
    }
    deliver(g);
    for (int i = 0; i < g->count; i++) {
        struct member *m = &g->at[i];
        if (m->node != NULL && hl_node_wake_us(m->node) <= g->mono_us) {
            hl_node_begin(m->node);
            hl_node_tick(m->node);
            hl_node_end(m->node);
        }
        if (m->node != NULL && g->mono_us % 100000 < STEP_US) {
            hl_node_begin(m->node);
            hl_node_cron(m->node);
            hl_node_end(m->node);
        }
    }
}

static inline void group_run(struct group *g, int steps)
{
    for (int i = 0; i < steps; i++) {
        group_step(g);
    }
}

/* The one that leads among those that can be reached; -1: none. */
static inline int leader_of(struct group *g)
{
    int leader = -1;
    for (int i = 0; i < g->count; i++) {
        if (g->at[i].node != NULL && !g->at[i].cut && hl_node_leads(g->at[i].node)) {
            cr_assert(leader < 0 || g->at[leader].node->cluster.term != g->at[i].node->cluster.term,
                      "two leaders in one term");
            leader = leader < 0 || g->at[i].node->cluster.term > g->at[leader].node->cluster.term
                         ? i
                         : leader;
        }
    }
    return leader;
}

/* Until somebody leads whose no-op is committed. */
static inline struct member *group_lead(struct group *g)
{
    for (int i = 0; i < STEPS_MAX; i++) {
        int at = leader_of(g);
        if (at >= 0 && g->at[at].node->commit >= g->at[at].node->mingate) {
            return &g->at[at];
        }
        group_step(g);
    }
    cr_assert_fail("nobody leads");
    return NULL;
}

static inline struct hl_session *member_client(struct member *m)
{
    return hl_session_create(m->node, 0);
}

/* Run a request of words separated by single spaces; true unless it was postponed. */
static inline bool member_run(struct member *m, struct hl_session *session, const char *request)
{
    struct hl_slice argv[32];
    int argc = 0;
    while (*request != '\0') {
        const char *space = strchr(request, ' ');
        size_t len = space != NULL ? (size_t)(space - request) : strlen(request);
        argv[argc++] = (struct hl_slice){.ptr = request, .len = len};
        request += len + (space != NULL);
    }
    hl_node_begin(m->node);
    bool done = hl_node_execute(m->node, session, argc, argv) == HL_EXEC_DONE;
    hl_node_end(m->node);
    return done;
}

static inline bool has_output(const struct hl_session *session)
{
    return hl_session_output(session).len != 0;
}

/* Run, and let time pass until there is an answer; it is copied to `out` and taken. */
static inline const char *member_ask(struct member *m, struct hl_session *session,
                                     const char *request)
{
    static char out[4096];
    bool ran = member_run(m, session, request);
    for (int i = 0; i < STEPS_MAX && !(ran && has_output(session)); i++) {
        group_step(m->group);
        if (!ran && (session->flags & HL_SESSION_POSTPONED) != 0) {
            ran = member_run(m, session, request);
        }
    }
    struct hl_slice got = hl_session_output(session);
    cr_assert_lt(got.len, sizeof out);
    memcpy(out, got.ptr == NULL ? "" : got.ptr, got.len);
    out[got.len] = '\0';
    hl_session_taken(session, got.len);
    return out;
}

#define member_say(m, session, request, want)                                                      \
    do {                                                                                           \
        const char *got_ = member_ask((m), (session), (request));                                  \
        cr_assert_str_eq(got_, (want), "%s: got '%s'", (request), got_);                           \
    } while (0)

static inline void member_digest(struct member *m, unsigned char out[20])
{
    hl_node_digest(m->node, out);
}

/* All that run have applied all that is committed, and hold the same. */
static inline void group_expect_equal(struct group *g)
{
    group_run(g, 60);
    unsigned char first[20];
    int seen = -1;
    for (int i = 0; i < g->count; i++) {
        if (g->at[i].node == NULL || g->at[i].cut) {
            continue;
        }
        unsigned char digest[20];
        member_digest(&g->at[i], digest);
        if (seen >= 0) {
            cr_assert_eq(memcmp(first, digest, 20), 0, "nodes %d and %d differ", seen, i);
        } else {
            memcpy(first, digest, 20);
            seen = i;
        }
    }
}

#endif
