/* Goal: no malformed request is taken for a good one, and nothing behind it for a request.
 *
 * Method: every case of tests/support/http_corpus.txt, followed by a good request, is fed whole,
 * byte by byte, and cut in two at every position.  A good case must be read, and the request behind
 * it too; a bad one must be refused with its status (H2), and the request behind it never be seen.
 */
#include "kit/http1.h"

#include "support/http_corpus.h"

#include <criterion/criterion.h>

#define BEHIND "GET /behind HTTP/1.1\r\nHost: behind\r\n\r\n"
#define CASES_MIN 150
#define SHORT 400 /* cases up to this length are cut at every position */

struct result {
    int requests; /* read whole */
    int status;   /* of the refusal, 0 without */
    bool saw_behind;
};

struct feeder {
    struct hl_http1 *http;
    struct hl_buf in;
    struct hl_http1_head head;
    bool in_body;
    struct result result;
};

static void refused(struct feeder *f)
{
    f->result.status = hl_http1_status(f->http);
}

/* Read as much as there is; false when nothing moves without more bytes. */
static bool step(struct feeder *f)
{
    size_t used = 0;
    if (!f->in_body) {
        hl_err err = hl_http1_head(f->http, hl_buf_view(&f->in), &f->head, &used, NULL);
        if (err != HL_OK) {
            if (err == HL_EINVAL) {
                refused(f);
            }
            return false;
        }
        f->result.saw_behind |= hl_slice_equal(f->head.path, hl_slice_of("/behind"));
        f->in_body = true;
    } else {
        struct hl_slice piece;
        bool done = false;
        if (hl_http1_body(f->http, hl_buf_view(&f->in), &used, &piece, &done, NULL) != HL_OK) {
            refused(f);
            return false;
        }
        if (done) {
            f->in_body = false;
            f->result.requests++;
            hl_http1_next(f->http);
        } else if (used == 0) {
            return false;
        }
    }
    hl_buf_consume(&f->in, used);
    return true;
}

static void feed(struct feeder *f, const char *bytes, size_t len)
{
    if (f->result.status == 0) {
        hl_buf_append(&f->in, bytes, len);
        while (step(f)) {
        }
    }
}

/* Feed in three parts: up to `a`, up to `b`, the rest; a part of 1 byte each when `bytewise`. */
static struct result run(struct hl_slice bytes, size_t cut, bool bytewise)
{
    struct feeder f = {.http = hl_http1_create(true, &hl_http1_limits_default)};
    if (bytewise) {
        for (size_t i = 0; i < bytes.len; i++) {
            feed(&f, bytes.ptr + i, 1);
        }
    } else {
        feed(&f, bytes.ptr, cut);
        feed(&f, bytes.ptr + cut, bytes.len - cut);
    }
    if (f.result.status != 0) { /* H2 */
        size_t used = 0;
        hl_err err = f.in_body ? HL_EINVAL
                               : hl_http1_head(f.http, hl_slice_of(BEHIND), &f.head, &used, NULL);
        cr_assert_eq(err, HL_EINVAL);
    }
    hl_http1_destroy(f.http);
    hl_buf_fini(&f.in);
    return f.result;
}

static void check(const struct http_case *c, struct result r, size_t cut)
{
    if (c->status == 0) {
        cr_assert_eq(r.status, 0, "%s cut at %zu: refused with %d", c->name, cut, r.status);
        cr_assert_eq(r.requests, 2, "%s cut at %zu: %d requests", c->name, cut, r.requests);
        cr_assert(r.saw_behind, "%s", c->name);
    } else {
        cr_assert_eq(r.status, c->status, "%s cut at %zu: %d instead of %d", c->name, cut, r.status,
                     c->status);
        cr_assert_eq(r.requests, 0, "%s cut at %zu: read as a request", c->name, cut);
        cr_assert_not(r.saw_behind, "%s cut at %zu: smuggled", c->name, cut);
    }
}

Test(http1_corpus, every_case_has_its_answer_however_it_is_cut)
{
    FILE *file = fopen(HELIOS_SOURCE_DIR "/tests/support/http_corpus.txt", "r");
    struct http_case c = {0};
    int count = 0;
    cr_assert_not_null(file);
    while (http_corpus_next(file, &c)) {
        hl_buf_append_text(&c.bytes, BEHIND);
        struct hl_slice bytes = hl_buf_view(&c.bytes);
        check(&c, run(bytes, bytes.len, false), bytes.len);
        check(&c, run(bytes, 0, true), 1);
        for (size_t cut = 1; cut < bytes.len && bytes.len <= SHORT; cut++) {
            check(&c, run(bytes, cut, false), cut);
        }
        count++;
    }
    cr_assert_geq(count, CASES_MIN);
    hl_buf_fini(&c.bytes);
    fclose(file);
}
