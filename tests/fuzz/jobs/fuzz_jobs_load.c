/* Bytes of a hostile dump, or of a log that was made for another history: whatever they say, the
 * queue stays sound, what it accepted survives a snapshot, and deciding on it trips nothing. */
#include "jobs/cron.h"
#include "jobs/cron_expr.h"
#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdlib.h>

static void append(void *ctx, struct hl_slice piece)
{
    hl_buf_append_slice(ctx, piece);
}

static void same_bytes(void *ctx, void *out, size_t len)
{
    (void)ctx;
    memset(out, 7, len);
}

static int64_t next_time(void *ctx, struct hl_slice cron, struct hl_slice zone, int64_t after_ms)
{
    (void)ctx;
    (void)zone;
    struct cron_expr expr;
    bool good = after_ms / 1000 <= CRON_TIME_MAX && cron_parse(cron, &expr, NULL) == HL_OK;
    return good ? cron_next(&expr, NULL, after_ms / 1000) * 1000 : 0;
}

static void check(const struct jobs_queue *queue)
{
    const char *broken = jobs_check(queue);
    if (broken != NULL) {
        abort();
    }
}

/* A snapshot makes an equal queue. */
static void check_snapshot(const struct jobs_queue *queue)
{
    uint64_t key[2] = {3, 4};
    struct hl_buf first = {0};
    struct hl_buf second = {0};
    struct jobs_queue *copy = jobs_create(key);
    jobs_snapshot(queue, append, &first);
    hl_err err = jobs_apply_bytes(copy, hl_buf_view(&first));
    HL_ASSERT(err == HL_OK);
    jobs_snapshot(copy, append, &second);
    HL_ASSERT(hl_slice_equal(hl_buf_view(&first), hl_buf_view(&second)));
    jobs_destroy(copy);
    hl_buf_fini(&first);
    hl_buf_fini(&second);
}

/* Whoever holds a lease may do with it what holders may. */
static void check_leases(struct jobs_queue *queue, struct jobs_env *env, const uint64_t *seqs,
                         size_t count)
{
    unsigned char token[JOBS_TOKEN_LEN];
    same_bytes(NULL, token, sizeof token);
    struct hl_slice held = {(const char *)token, sizeof token};
    for (size_t i = 0; i < count; i++) {
        jobs_bind(queue, env, seqs[i]);
        enum jobs_verdict verdict =
            jobs_progress(queue, env, seqs[i], held, 50, hl_slice_of("half"));
        HL_ASSERT(verdict == JOBS_OK && jobs_holds(queue, env, seqs[i], held));
        verdict = i % 2 == 0 ? jobs_release(queue, env, seqs[i], held)
                             : jobs_drop(queue, env, seqs[i], held);
        HL_ASSERT(verdict == JOBS_OK && !jobs_holds(queue, env, seqs[i], held));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t key[2] = {1, 2};
    struct jobs_queue *queue = jobs_create(key);
    hl_err err = jobs_apply_bytes(queue, (struct hl_slice){(const char *)data, size});
    HL_MAYBE(err == HL_OK);
    check(queue);
    if (queue->begun) {
        check_snapshot(queue);
        struct hl_buf effects = {0};
        struct jobs_env env = {.now_ms = INT64_C(1700000000000),
                               .random = same_bytes,
                               .done_keep_ms = 0,
                               .dead_keep_ms = -1,
                               .effects = &effects,
                               .cron_next = next_time};
        uint64_t seqs[4];
        (void)jobs_tick(queue, &env, 100);
        size_t count = jobs_pull(queue, &env, hl_slice_of("w"), seqs, 4);
        check_leases(queue, &env, seqs, count);
        struct jobs_redrive which = {.states = JOBS_IN(JOBS_DEAD) | JOBS_IN(JOBS_FAILED),
                                     .max = 3,
                                     .scan_max = 3,
                                     .bytes_max = 100};
        uint64_t cursor = 0;
        size_t moved = 0;
        (void)jobs_redrive(queue, &env, NULL, NULL, &which, &cursor, &moved);
        const struct jobs_schedule *schedule = jobs_cron_after(queue, (struct hl_slice){0});
        if (schedule != NULL) {
            bool duplicate = false;
            (void)jobs_cron_run(queue, &env, schedule->def.name, &cursor, &duplicate);
            (void)jobs_cron_pause(queue, &env, schedule->def.name, !schedule->paused);
        }
        env.now_ms *= 2;
        (void)jobs_tick(queue, &env, 100);
        (void)jobs_purge(queue, &env, JOBS_ANY, 3);
        check(queue);
        hl_buf_fini(&effects);
    }
    jobs_destroy(queue);
    return 0;
}
