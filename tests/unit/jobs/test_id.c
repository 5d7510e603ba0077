/* Ids and tokens: what is written is read, and nothing else is. */
#include "jobs/id.h"

#include <criterion/criterion.h>

static void expect(const char *queue, uint64_t seq, uint32_t epoch, const char *text)
{
    struct hl_buf out = {0};
    struct jobs_id id = {.queue = hl_slice_of(queue), .seq = seq, .epoch = epoch};
    jobs_id_format(&out, id);
    cr_assert(hl_slice_equal(hl_buf_view(&out), hl_slice_of(text)), "%s", text);
    struct jobs_id back = {0};
    cr_assert(jobs_id_parse(hl_buf_view(&out), &back));
    cr_assert(hl_slice_equal(back.queue, id.queue));
    cr_assert_eq(back.seq, seq);
    cr_assert_eq(back.epoch, epoch);
    hl_buf_fini(&out);
}

Test(jobs_id, is_read_as_it_was_written)
{
    expect("emails", 1, 0, "emails:1-00000000");
    expect("a:b", 17, 0x9f3ac2d1, "a:b:17-9f3ac2d1");
    expect("{x}:1-00000000", 9007199254740991, UINT32_MAX,
           "{x}:1-00000000:9007199254740991-ffffffff");
}

Test(jobs_id, of_any_other_shape_is_refused)
{
    static const char *const wrong[] = {"",
                                        "emails",
                                        "emails:1",
                                        "emails:1-",
                                        "emails:1-0000000",
                                        "emails:1-000000000",
                                        "emails:01-00000000",
                                        "emails:0-00000000",
                                        "emails:-1-00000000",
                                        "emails:+1-00000000",
                                        "emails:1-0000000G",
                                        "emails:1-ABCDEF00",
                                        ":1-00000000",
                                        "1-00000000",
                                        "emails:9007199254740992-00000000",
                                        "emails:99999999999999999999-00000000",
                                        "emails:1 -00000000",
                                        "emails:1_00000000"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct jobs_id id = {0};
        cr_assert_not(jobs_id_parse(hl_slice_of(wrong[i]), &id), "'%s'", wrong[i]);
    }
}

Test(jobs_token, is_read_as_it_was_written_and_nothing_else_is)
{
    unsigned char token[JOBS_TOKEN_LEN];
    unsigned char back[JOBS_TOKEN_LEN];
    char text[JOBS_TOKEN_TEXT_LEN];
    for (size_t i = 0; i < sizeof token; i++) {
        token[i] = (unsigned char)(i * 17);
    }
    jobs_token_format(text, token);
    cr_assert(jobs_token_parse((struct hl_slice){text, sizeof text}, back));
    cr_assert_arr_eq(token, back, sizeof token);
    cr_assert_not(jobs_token_parse((struct hl_slice){text, sizeof text - 1}, back));
    text[5] = 'F';
    cr_assert_not(jobs_token_parse((struct hl_slice){text, sizeof text}, back));
}
