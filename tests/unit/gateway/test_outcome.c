/* Goal: every error of the server has one meaning in HTTP, and 503 is said of nothing that may have
 * happened.  Method: a table. */
#include "gateway/outcome.h"
#include "kit/assert.h"

#include <criterion/criterion.h>

static struct gw_problem problem(enum gw_outcome outcome, const char *text)
{
    return gw_problem_of(outcome, hl_slice_of(text));
}

Test(outcome, each_error_has_its_status_and_code)
{
    static const struct {
        const char *text;
        int status;
        const char *code;
    } rows[] = {
        {"NOAUTH Authentication required.", 401, "unauthenticated"},
        {"AUTHFAILED wrong user name or password", 401, "bad_credentials"},
        {"TOKENEXPIRED it has expired", 401, "token_expired"},
        {"TOKENREVOKED its session has ended", 401, "token_revoked"},
        {"NOPERM you may not", 403, "forbidden"},
        {"USEREXISTS it is taken", 400, "user_exists"},
        {"NOJOB no such job", 404, "no_such_job"},
        {"LEASELOST another has it", 409, "lease_lost"},
        {"WRONGTYPE Operation against a key", 409, "wrong_type"},
        {"ONCEDIFFERS it was another", 422, "idempotency_key_reused"},
        {"MISCONF the disk is full", 507, "storage_full"},
        {"OOM command not allowed", 507, "out_of_memory"},
        {"LOADING the dataset", 503, "loading"},
        {"NOQUORUM no majority", 503, "no_quorum"},
        {"MODULEMISSING auth", 503, "module_missing"},
        {"ERR unknown command 'JOB.PUSH', with args", 503, "module_missing"},
        {"ERR value is not an integer", 400, "invalid"},
        {"SOMETHING nobody knows", 500, "internal"},
        {"", 500, "internal"},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        struct gw_problem p = problem(GW_RAN, rows[i].text);
        cr_assert_eq(p.status, rows[i].status, "%s: %d", rows[i].text, p.status);
        cr_assert_str_eq(p.code, rows[i].code, "%s", rows[i].text);
        cr_assert_neq(p.message.len, 0, "%s", rows[i].text);
    }
}

Test(outcome, what_did_not_run_is_503_or_507_whatever_it_says)
{
    static const char *const texts[] = {"NOTEXECUTED nothing was changed",
                                        "NOQUORUM",
                                        "WRONGTYPE x",
                                        "ERR x",
                                        "WHATEVER",
                                        "",
                                        "USEREXISTS x"};
    for (size_t i = 0; i < HL_ARRAY_LEN(texts); i++) {
        struct gw_problem p = problem(GW_RAN_NOT, texts[i]);
        cr_assert_eq(p.status, 503, "%s", texts[i]);
        cr_assert_gt(p.retry_after_s, 0, "%s", texts[i]);
    }
    cr_assert_eq(problem(GW_RAN_NOT, "MISCONF full").status, 507);
}

Test(outcome, what_may_have_run_is_504_whatever_it_says)
{
    static const char *const texts[] = {"UNKNOWN it may have been executed", "NOQUORUM x",
                                        "MISCONF x", "NOTEXECUTED x", ""};
    for (size_t i = 0; i < HL_ARRAY_LEN(texts); i++) {
        struct gw_problem p = problem(GW_RAN_PERHAPS, texts[i]);
        cr_assert_eq(p.status, 504, "%s", texts[i]);
        cr_assert_eq(p.retry_after_s, 0);
        cr_assert_str_eq(p.code, "outcome_unknown");
    }
    cr_assert_eq(problem(GW_RAN, "UNKNOWN it may have been executed").status, 504);
}

Test(outcome, a_lock_says_how_long)
{
    struct gw_problem p = problem(GW_RAN, "AUTHLOCKED too many, try again in 17 seconds");
    cr_assert_eq(p.status, 429);
    cr_assert_eq(p.retry_after_s, 17);
    cr_assert_gt(problem(GW_RAN, "AUTHLOCKED").retry_after_s, 0);
    cr_assert_gt(problem(GW_RAN, "AUTHLOCKED 99999999999999999999 x").retry_after_s, 0);
}
