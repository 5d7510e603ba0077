#include "outcome.h"

#include "kit/assert.h"
#include "kit/num.h"

#define RETRY_S 1
#define LOCKED_S 60 /* when the error does not say how long */

/* The first word of an error, and what it is; a NULL message: the rest of the error itself. */
static const struct row {
    const char *word;
    int status, retry_after_s;
    const char *code, *message;
} rows[] = {
    /* who asks */
    {"NOAUTH", 401, 0, "unauthenticated", NULL},
    {"WRONGPASS", 401, 0, "bad_credentials", "wrong user name or password"},
    {"AUTHFAILED", 401, 0, "bad_credentials", "wrong user name or password"},
    {"TOKENINVALID", 401, 0, "token_invalid", NULL},
    {"TOKENEXPIRED", 401, 0, "token_expired", NULL},
    {"TOKENREVOKED", 401, 0, "token_revoked", NULL},
    {"TOKENREUSED", 401, 0, "token_reused", NULL},
    {"NOPERM", 403, 0, "forbidden", NULL},
    {"AUTHDISABLED", 403, 0, "user_disabled", NULL},
    {"AUTHLOCKED", 429, LOCKED_S, "locked", NULL},
    /* what is asked */
    {"USEREXISTS", 400, 0, "user_exists", NULL},
    {"PASSWORDPOLICY", 400, 0, "password_policy", NULL},
    {"NOSUCHUSER", 404, 0, "no_such_user", NULL},
    {"NOSUCHSESSION", 404, 0, "no_such_session", NULL},
    {"NOSUCHKEY", 404, 0, "no_such_key", NULL},
    {"BOOTSTRAPCLOSED", 403, 0, "bootstrap_closed", NULL},
    {"NOROLE", 404, 0, "no_such_role", NULL},
    {"NOJOB", 404, 0, "no_such_job", NULL},
    {"NOMETRIC", 404, 0, "no_such_metric", NULL},
    {"METRICEXISTS", 409, 0, "metric_exists", NULL},
    {"METRICSFULL", 507, 0, "too_many_metrics", NULL},
    {"WRONGKIND", 400, 0, "wrong_kind", NULL},
    {"NOSCHEDULE", 404, 0, "no_such_schedule", NULL},
    {"LEASELOST", 409, 0, "lease_lost", NULL},
    {"CONFLICT", 409, 0, "conflict", NULL},
    {"WRONGTYPE", 409, 0, "wrong_type", "the key holds another kind of value"},
    {"BUSYKEY", 409, 0, "conflict", NULL},
    /* whether it can be done */
    {"MISCONF", 507, 0, "storage_full", NULL},
    {"OOM", 507, 0, "out_of_memory", NULL},
    {"MODULEMISSING", 503, 0, "module_missing", NULL},
    {"AUTHKEYS", 503, 0, "no_signing_key", NULL},
    {"ONCEDIFFERS", 422, 0, "idempotency_key_reused", NULL},
    {"ONCEFULL", 429, LOCKED_S, "too_many_idempotency_keys", NULL},
    {"DRAINING", 503, RETRY_S, "draining", NULL},
    {"BUSY", 503, RETRY_S, "busy", NULL},
    {"LOADING", 503, RETRY_S, "loading", NULL},
    {"NOQUORUM", 503, RETRY_S, "no_quorum", NULL},
    {"NOLEADER", 503, RETRY_S, "no_leader", NULL},
    {"NOTLEADER", 503, RETRY_S, "no_leader", NULL},
    {"MASTERDOWN", 503, RETRY_S, "no_leader", NULL},
    {"CLUSTERDOWN", 503, RETRY_S, "no_leader", NULL},
    {"TRYAGAIN", 503, RETRY_S, "try_again", NULL},
    {"ROLLEDBACK", 503, RETRY_S, "try_again", NULL},
    {"NOTEXECUTED", 503, RETRY_S, "unavailable", NULL},
    {"READONLY", 503, RETRY_S, "read_only", NULL},
    {"ERR", 400, 0, "invalid", NULL},
};

static const struct row unknown_command = {"ERR", 503, 0, "module_missing",
                                           "the module that does this is not loaded"};
static const struct row perhaps = {"", 504, 0, "outcome_unknown",
                                   "it may have been done, or may be yet"};
static const struct row otherwise = {"", 500, 0, "internal", NULL};
static const struct row unavailable = {"", 503, RETRY_S, "unavailable", NULL};

/* Cut the first word off. */
static struct hl_slice first_word(struct hl_slice *text)
{
    const char *space = text->len == 0 ? NULL : memchr(text->ptr, ' ', text->len);
    size_t len = space == NULL ? text->len : (size_t)(space - text->ptr);
    struct hl_slice word = {.ptr = text->ptr, .len = len};
    size_t skip = space == NULL ? len : len + 1;
    text->ptr += skip;
    text->len -= skip;
    return word;
}

static bool begins(struct hl_slice text, const char *with)
{
    size_t len = strlen(with);
    return text.len >= len && memcmp(text.ptr, with, len) == 0;
}

static const struct row *find(enum gw_outcome outcome, struct hl_slice word, struct hl_slice rest)
{
    if (outcome == GW_RAN_PERHAPS || hl_slice_equal(word, hl_slice_of("UNKNOWN"))) {
        return &perhaps;
    }
    if (hl_slice_equal(word, hl_slice_of("ERR")) && begins(rest, "unknown command")) {
        return &unknown_command;
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        if (hl_slice_equal(word, hl_slice_of(rows[i].word))) {
            bool safe = outcome == GW_RAN || rows[i].status >= 500; /* O1 */
            return safe ? &rows[i] : &unavailable;
        }
    }
    return outcome == GW_RAN_NOT ? &unavailable : &otherwise;
}

/* The first number of a text: how long a lock lasts. */
static int seconds_in(struct hl_slice text)
{
    size_t at = 0;
    while (at < text.len && (text.ptr[at] < '0' || text.ptr[at] > '9')) {
        at++;
    }
    size_t end = at;
    while (end < text.len && text.ptr[end] >= '0' && text.ptr[end] <= '9') {
        end++;
    }
    int64_t seconds = 0;
    struct hl_slice digits = {.ptr = text.ptr + at, .len = end - at};
    bool good = hl_parse_i64(digits, &seconds) && seconds > 0 && seconds < 86400;
    return good ? (int)seconds : LOCKED_S;
}

struct gw_problem gw_problem_of(enum gw_outcome outcome, struct hl_slice text)
{
    struct hl_slice rest = text;
    struct hl_slice word = first_word(&rest);
    const struct row *row = find(outcome, word, rest);
    struct gw_problem problem = {
        .status = row->status,
        .retry_after_s = row->status == 429 ? seconds_in(rest) : row->retry_after_s,
        .code = row->code,
        .message = row->message != NULL ? hl_slice_of(row->message)
                   : rest.len != 0      ? rest
                                        : hl_slice_of(row->code),
    };
    return problem;
}
