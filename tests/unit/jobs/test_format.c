/* Goal: what an older version wrote is read, whatever later versions add.
 * Method: a queue with a job in every state as the first format saved it, byte for byte. */
#include "jobs_world.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* As the first format wrote it at T0: ready 6 and 7 ("work"), leased 2 ("urgent"), scheduled 3
 * ("later"), done 1, failed 4, cancelled 5; the dedup id "order-1" used by job 1. */
static const char first_format[] =
    "0102b2d1d7fb0c80a0abfef962100880a0abfef96202000e020208020402020602020e020210020f000c0200"
    "0080a0abfef96280a0abfef962000006e0d40302d00fc0cf24000000000004776f726b0f000e02000080a0ab"
    "fef96280a0abfef962000006e0d40302d00fc0cf24000000000004776f726b0f040206c0c9b2fef9620080a0"
    "abfef96280a0abfef962000206e0d40302d00fc0cf240010002da9605d3a31f2dffc8c6bef70bff5076f7264"
    "65722d3102773106726573756c740572656164790f020404e0f4aefef962a09eb6fef96280a0abfef96280a0"
    "abfef962060206e0d40302d00fc0cf2400106acb333d998805284aa30b1a6cda4c5e00027731000675726765"
    "6e740f00060090eeabfef9620080a0abfef96280a0abfef962000006e0d40302d00fc0cf240000000000056c"
    "617465720f06080a000080a0abfef96280a0abfef962000206e0d40302d00fc0cf2400000002773103626164"
    "04776f726b0f080a0cc0c9b2fef9620080a0abfef96280a0abfef962000206e0d40302d00fc0cf2400000002"
    "77310004776f726b1002c0c9b2fef962076f726465722d31";

static struct hl_buf bytes_of(const char *hex)
{
    struct hl_buf out = {0};
    for (; hex[0] != '\0'; hex += 2) {
        const char pair[3] = {hex[0], hex[1], '\0'};
        hl_buf_append_u8(&out, (uint8_t)strtoul(pair, NULL, 16));
    }
    return out;
}

Test(jobs_format, a_snapshot_of_the_first_format_is_read_and_lives_on)
{
    struct world w;
    world_init(&w, 1);
    struct jobs_queue *queue = world_follower();
    struct hl_buf old = bytes_of(first_format);
    cr_assert_eq(jobs_apply_bytes(queue, hl_buf_view(&old)), HL_OK);
    cr_assert_null(jobs_check(queue));
    static const enum jobs_state states[] = {JOBS_DONE,   JOBS_LEASED,    JOBS_SCHEDULED,
                                             JOBS_FAILED, JOBS_CANCELLED, JOBS_READY,
                                             JOBS_READY};
    for (size_t i = 0; i < HL_ARRAY_LEN(states); i++) {
        cr_assert_eq(jobs_find(queue, i + 1)->state, states[i], "job %zu", i + 1);
    }
    cr_assert(hl_slice_equal(jobs_note_text(jobs_find(queue, 1)), hl_slice_of("result")));
    cr_assert(hl_slice_equal(jobs_worker(jobs_find(queue, 2)), hl_slice_of("w1")));
    cr_assert_eq(queue->fence, 4);
    cr_assert(!queue->paused && !queue->draining && queue->keep_ms == JOBS_KEEP_DEFAULT);
    struct jobs_options options = world_options();
    uint64_t seq = 0;
    bool duplicate = false;
    cr_assert_eq(jobs_push(queue, &w.env, hl_slice_of("x"), hl_slice_of("order-1"), 1000, &options,
                           &seq, &duplicate),
                 JOBS_OK);
    cr_assert(duplicate && seq == 1);
    const unsigned char *token = jobs_find(queue, 2)->token;
    unsigned char copy[JOBS_TOKEN_LEN];
    memcpy(copy, token, sizeof copy);
    cr_assert_eq(jobs_ack(queue, &w.env, 2, (struct hl_slice){(char *)copy, sizeof copy},
                          hl_slice_of("late")),
                 JOBS_OK);
    struct hl_buf dump = world_dump(queue);
    struct jobs_queue *again = world_follower();
    cr_assert_eq(jobs_apply_bytes(again, hl_buf_view(&dump)), HL_OK);
    cr_assert(world_same_jobs(queue, again), "saved in the new format it is the same");
    jobs_destroy(again);
    jobs_destroy(queue);
    hl_buf_fini(&dump);
    hl_buf_fini(&old);
    world_fini(&w);
}

Test(jobs_format, a_later_format_or_kind_is_refused_as_such)
{
    struct jobs_queue *queue = world_follower();
    struct hl_buf old = bytes_of(first_format);
    struct jobs_event meta = {0};
    struct hl_slice in = hl_buf_view(&old);
    cr_assert_eq(jobs_event_decode(&in, &meta), HL_OK);
    meta.num[N_VERSION] = JOBS_FORMAT + 1;
    cr_assert_eq(jobs_apply(queue, &meta), HL_EVERSION);
    cr_assert_eq(jobs_apply_bytes(queue, hl_slice_of("\x7f")), HL_EVERSION);
    cr_assert_not(queue->begun);
    jobs_destroy(queue);
    hl_buf_fini(&old);
}
