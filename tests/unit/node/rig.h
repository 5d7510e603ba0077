/* A whole node on a disk in memory, driven by hand: the test decides when the log becomes durable,
 * what time it is, and when the machine dies. */
#ifndef TESTS_UNIT_NODE_RIG_H
#define TESTS_UNIT_NODE_RIG_H

#include "kit/alloc.h"
#include "node/node.h"
#include "node/snapshot.h"
#include "support/fake_disk.h"

#include <criterion/criterion.h>

struct rig {
    struct fake_disk *fake;
    struct hl_disk disk;
    struct hl_wal *wal;
    struct hl_node *node;
    struct hl_world world;
    struct hl_wal_batch *batch; /* handed to the log thread and not yet written */
    struct hl_wal_batch lost;   /* it, when the node has gone */
    int64_t wall_us;
    uint64_t mono_us;
    uint64_t entropy;
    size_t memory;
    bool no_log; /* open with `appendonly no` */
};

static int64_t rig_wall(void *ctx)
{
    return ((struct rig *)ctx)->wall_us;
}

static uint64_t rig_mono(void *ctx)
{
    return ((struct rig *)ctx)->mono_us += 3;
}

static void rig_entropy(void *ctx, void *out, size_t len)
{
    struct rig *rig = ctx;
    unsigned char *p = out;
    for (size_t i = 0; i < len; i++) {
        rig->entropy = rig->entropy * 6364136223846793005u + 1442695040888963407u;
        p[i] = (unsigned char)(rig->entropy >> 56);
    }
}

static void rig_log_write(void *ctx, struct hl_wal_batch *batch)
{
    struct rig *rig = ctx;
    cr_assert_null(rig->batch, "one batch at a time");
    rig->batch = batch;
}

static void rig_session(void *ctx, struct hl_session *session)
{
    (void)ctx;
    (void)session;
}

static size_t rig_memory(void *ctx)
{
    return ((struct rig *)ctx)->memory;
}

__attribute__((noreturn)) static void rig_fatal(void *ctx, const char *why)
{
    (void)ctx;
    cr_log_error("fatal: %s", why);
    abort();
}

static void rig_log(void *ctx, int level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

/* Write the waiting batch, if any, and tell the node. */
static inline void rig_sync(struct rig *rig)
{
    while (rig->batch != NULL) {
        struct hl_wal_batch *batch = rig->batch;
        struct hl_errmsg msg = {{0}};
        hl_err err = hl_wal_batch_write(rig->wal, batch, &msg);
        rig->batch = NULL;
        hl_node_log_done(rig->node, err, msg.text);
        hl_node_end(rig->node);
        hl_node_begin(rig->node);
    }
}

/* End the iteration and begin the next one a millisecond later. */
static inline void rig_turn(struct rig *rig)
{
    hl_node_end(rig->node);
    rig->wall_us += 1000;
    hl_node_begin(rig->node);
}

static inline void rig_open(struct rig *rig)
{
    struct hl_wal_options options = {.dir = "d", .segment_size = 64 * 1024, .salt = 5};
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_wal_open(&rig->wal, &rig->disk, &options, NULL, &msg), HL_OK, "%s", msg.text);
    static const unsigned char id[16] = "cluster";
    static const unsigned char boot[16] = "boot";
    hl_wal_set_identity(rig->wal, id, 9, 1, boot);
    struct hl_node_config config = {.databases = 16,
                                    .appendonly = !rig->no_log,
                                    .maxmemory_policy = HL_EVICT_NOEVICTION,
                                    .maxmemory_samples = 5,
                                    .slowlog_slower_than_us = -1,
                                    .hz = 10,
                                    .active_expire = true,
                                    .active_expire_effort = 1,
                                    .speculation_max = 1 << 20,
                                    .multi_queue_max = 1 << 20};
    rig->node = hl_node_create(&rig->world, rig->wal, &config);
    hl_node_load_from(rig->node, &rig->disk, "d");
    hl_err err = HL_ENOENT;
    while (err == HL_ENOENT) {
        err = hl_node_load_step(rig->node, 1000, &msg);
    }
    cr_assert_eq(err, HL_OK, "%s", msg.text);
}

static inline void rig_init(struct rig *rig)
{
    *rig = (struct rig){.wall_us = 1700000000000000, .entropy = 11};
    rig->fake = fake_disk_create();
    rig->disk = fake_disk_seam(rig->fake);
    rig->world = (struct hl_world){.ctx = rig,
                                   .wall_us = rig_wall,
                                   .mono_us = rig_mono,
                                   .entropy = rig_entropy,
                                   .log_write = rig_log_write,
                                   .output = rig_session,
                                   .resume = rig_session,
                                   .memory_used = rig_memory,
                                   .fatal = rig_fatal,
                                   .log = rig_log};
    rig_open(rig);
    rig_turn(rig);
    rig_sync(rig);
}

static inline void rig_close(struct rig *rig)
{
    HL_LIST_EACH(it, &rig->node->sessions)
    {
        struct hl_session *session = HL_LIST_ENTRY(it, struct hl_session, all);
        if ((session->flags & HL_SESSION_HIDDEN) == 0) { /* the loader's ends with the node */
            hl_session_destroy(rig->node, session);
        }
    }
    if (rig->batch != NULL) {
        rig->lost = *rig->batch; /* it lives in the node */
    }
    rig->batch = NULL;
    hl_node_destroy(rig->node);
}

/* The power goes: what was not synced is lost, and the node starts again. */
static inline void rig_power_loss(struct rig *rig)
{
    struct hl_wal_batch *lost = rig->batch;
    rig_close(rig);
    if (lost != NULL) {
        hl_wal_batch_done(rig->wal, &rig->lost, HL_EIO);
    }
    hl_wal_close(rig->wal);
    fake_disk_crash(rig->fake, FAKE_CRASH_LOSE, 0);
    rig_open(rig);
    rig_turn(rig);
    rig_sync(rig);
}

static inline void rig_fini(struct rig *rig)
{
    rig_close(rig);
    hl_wal_close(rig->wal);
    fake_disk_destroy(rig->fake);
}

static inline struct hl_session *rig_client(struct rig *rig)
{
    return hl_session_create(rig->node, 0);
}

/* Run a request of words separated by single spaces. */
static inline void rig_run(struct rig *rig, struct hl_session *session, const char *request)
{
    struct hl_slice argv[32];
    int argc = 0;
    while (*request != '\0') {
        const char *space = strchr(request, ' ');
        size_t len = space != NULL ? (size_t)(space - request) : strlen(request);
        argv[argc++] = (struct hl_slice){.ptr = request, .len = len};
        request += len + (space != NULL);
    }
    (void)hl_node_execute(rig->node, session, argc, argv);
}

/* What may leave now must be `want`; it is taken. */
static inline void rig_expect(struct hl_session *session, const char *want)
{
    struct hl_slice out = hl_session_output(session);
    cr_assert_eq(out.len, strlen(want), "got '%.*s', want '%s'", (int)out.len, out.ptr, want);
    cr_assert(out.len == 0 || memcmp(out.ptr, want, out.len) == 0, "got '%.*s', want '%s'",
              (int)out.len, out.ptr, want);
    hl_session_taken(session, out.len);
}

/* Run, make durable, expect. */
static inline void rig_say(struct rig *rig, struct hl_session *session, const char *request,
                           const char *want)
{
    rig_run(rig, session, request);
    rig_turn(rig);
    rig_sync(rig);
    rig_expect(session, want);
}

#endif
