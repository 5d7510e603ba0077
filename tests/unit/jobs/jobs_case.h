/* What the tests of the engine share: one queue, its world, and short words for what is done to it.
 * A suite names setup and teardown. */
#ifndef JOBS_CASE_H
#define JOBS_CASE_H

#include "jobs_world.h"

#include <criterion/criterion.h>

static struct world w;
static struct jobs_queue *queue;

static void setup(void)
{
    world_init(&w, 42);
    queue = world_queue(&w);
}

/* Every test ends with a sound queue, and a follower that is equal to it. */
static void teardown(void)
{
    cr_assert_null(jobs_check(queue), "%s", jobs_check(queue));
    struct jobs_queue *follower = world_follower();
    cr_assert_eq(jobs_apply_bytes(follower, hl_buf_view(&w.effects)), HL_OK);
    cr_assert(world_equal(queue, follower), "the follower differs");
    jobs_destroy(follower);
    jobs_destroy(queue);
    world_fini(&w);
}

static inline uint64_t push_with(const char *payload, struct jobs_options options)
{
    uint64_t seq = 0;
    bool duplicate = true;
    cr_assert_eq(jobs_push(queue, &w.env, hl_slice_of(payload), (struct hl_slice){0}, 0, &options,
                           &seq, &duplicate),
                 JOBS_OK);
    cr_assert_not(duplicate);
    return seq;
}

static inline uint64_t push(const char *payload)
{
    return push_with(payload, world_options());
}

static inline uint64_t push_unique(const char *id, int64_t window_ms, bool *duplicate)
{
    uint64_t seq = 0;
    struct jobs_options options = world_options();
    cr_assert_eq(jobs_push(queue, &w.env, hl_slice_of("p"), hl_slice_of(id), window_ms, &options,
                           &seq, duplicate),
                 JOBS_OK);
    return seq;
}

/* Lease one job: its number, 0 for none. */
static inline uint64_t pull(void)
{
    uint64_t seq = 0;
    return jobs_pull(queue, &w.env, hl_slice_of("worker"), &seq, 1) == 1 ? seq : 0;
}

struct token {
    char bytes[JOBS_TOKEN_LEN];
};

static inline struct token token_of(uint64_t seq)
{
    struct token token;
    memcpy(token.bytes, jobs_find(queue, seq)->token, JOBS_TOKEN_LEN);
    return token;
}

static inline struct hl_slice view(const struct token *token)
{
    return (struct hl_slice){.ptr = token->bytes, .len = JOBS_TOKEN_LEN};
}

static inline enum jobs_verdict ack(uint64_t seq, struct token token)
{
    return jobs_ack(queue, &w.env, seq, view(&token), hl_slice_of("result"));
}

static inline enum jobs_verdict nack(uint64_t seq, struct token token)
{
    struct jobs_nack how = {.error = hl_slice_of("boom"), .delay_ms = -1};
    return jobs_nack(queue, &w.env, seq, view(&token), &how);
}

static inline enum jobs_state state_of(uint64_t seq)
{
    return (enum jobs_state)jobs_find(queue, seq)->state;
}

#endif
