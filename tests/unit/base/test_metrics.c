/* Metrics: what is counted is read, exactly once and whole, whoever counts meanwhile; bounds hold.
 *
 * Method: a registry whose state is printed as lines "name{values} number". */
#include "base/metrics.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static struct hl_metrics *metrics;
static int owner, stranger;

static void setup(void)
{
    metrics = hl_metrics_create((const uint64_t[2]){3, 4});
}

static void teardown(void)
{
    hl_metrics_destroy(metrics);
}

TestSuite(metrics, .init = setup, .fini = teardown);

/* --- printing --------------------------------------------------------------------------------- */

static bool print_family(void *ctx, const struct hl_metric_info *info)
{
    (void)ctx;
    return strcmp(info->name, HL_METRIC_DROPPED) != 0;
}

static void print_series(void *ctx, const struct hl_metric_info *info,
                         const struct hl_metric_sample *sample)
{
    struct hl_buf *out = ctx;
    hl_buf_printf(out, "%s{", info->name);
    for (size_t i = 0; i < info->label_count; i++) {
        hl_buf_printf(out, "%s%s=%.*s", i == 0 ? "" : ",", info->labels[i],
                      (int)sample->values[i].len, sample->values[i].ptr);
    }
    hl_buf_append_text(out, "}");
    for (size_t i = 0; sample->counts != NULL && i <= info->bound_count; i++) {
        hl_buf_printf(out, " %llu", (unsigned long long)sample->counts[i]);
    }
    hl_buf_printf(out, " %g\n", sample->value);
}

static const char *printed(void)
{
    static char text[8192];
    struct hl_buf out = {0};
    struct hl_metrics_visitor visitor = {
        .ctx = &out, .family = print_family, .series = print_series};
    hl_metrics_visit(metrics, &visitor);
    snprintf(text, sizeof text, "%.*s", (int)out.len, out.len == 0 ? "" : out.ptr);
    hl_buf_fini(&out);
    return text;
}

/* --- making ----------------------------------------------------------------------------------- */

static const char *const one_label[] = {"who"};
static const char *const two_labels[] = {"who", "what"};
static const double bounds[] = {1, 2.5, 10};

static struct hl_metric_info info_of(const char *name, enum hl_metric_kind kind, size_t labels)
{
    struct hl_metric_info info = {.name = name, .help = "Help.", .kind = kind};
    info.labels = labels == 1 ? one_label : two_labels;
    info.label_count = labels;
    if (kind == HL_METRIC_HISTOGRAM) {
        info.bounds = bounds;
        info.bound_count = 3;
    }
    return info;
}

static struct hl_metric_family *define(const char *name, enum hl_metric_kind kind, size_t labels,
                                       size_t series_max)
{
    struct hl_metric_info info = info_of(name, kind, labels);
    struct hl_metric_family *family = NULL;
    struct hl_errmsg msg = {{0}};
    info.series_max = series_max;
    cr_assert_eq(hl_metric_define(metrics, &owner, &info, &family, &msg), HL_OK, "%s", msg.text);
    return family;
}

static struct hl_metric *series(struct hl_metric_family *family, const char *a, const char *b)
{
    struct hl_slice values[2] = {hl_slice_of(a), hl_slice_of(b)};
    return hl_metric_series(family, values);
}

Test(metrics, families_come_by_name_and_series_by_labels)
{
    struct hl_metric_family *z = define("z_total", HL_METRIC_COUNTER, 2, 0);
    (void)define("a", HL_METRIC_GAUGE, 0, 0);
    hl_metric_add(series(z, "b", "x"), 1);
    hl_metric_add(series(z, "a", "y"), 2);
    hl_metric_add(series(z, "a", "x"), 3);
    cr_assert_str_eq(printed(), "a{} 0\n"
                                "z_total{who=a,what=x} 3\n"
                                "z_total{who=a,what=y} 2\n"
                                "z_total{who=b,what=x} 1\n");
}

Test(metrics, a_counter_never_falls_and_ignores_what_is_no_number)
{
    struct hl_metric *m = hl_metric_series(define("a_total", HL_METRIC_COUNTER, 0, 0), NULL);
    hl_metric_add(m, 2.5);
    hl_metric_add(m, -1);
    hl_metric_add(m, NAN);
    hl_metric_set(m, -3);
    hl_metric_set(m, NAN);
    hl_metric_observe(m, 7);
    cr_assert_str_eq(printed(), "a_total{} 2.5\n");
    hl_metric_set(m, 9);
    cr_assert_float_eq(hl_metric_value(m), 9, 1e-12);
}

Test(metrics, a_gauge_goes_anywhere)
{
    struct hl_metric *m = hl_metric_series(define("a", HL_METRIC_GAUGE, 0, 0), NULL);
    hl_metric_add(m, 2);
    hl_metric_add(m, -5);
    cr_assert_str_eq(printed(), "a{} -3\n");
    hl_metric_set(m, INFINITY);
    cr_assert_str_eq(printed(), "a{} inf\n");
}

Test(metrics, a_value_falls_into_the_bucket_whose_bound_it_does_not_exceed)
{
    struct hl_metric *m = hl_metric_series(define("a", HL_METRIC_HISTOGRAM, 0, 0), NULL);
    hl_metric_observe(m, 1);
    hl_metric_observe(m, 1.01);
    hl_metric_observe(m, -4);
    hl_metric_observe(m, 10);
    hl_metric_observe(m, 10.5);
    hl_metric_observe(m, INFINITY);
    hl_metric_observe(m, NAN);
    hl_metric_add(m, 1);
    hl_metric_set(m, 1);
    cr_assert_str_eq(printed(), "a{} 2 1 1 2 inf\n");
    hl_metric_set_histogram(m, (const uint64_t[]){5, 6, 7, 8}, 99);
    cr_assert_str_eq(printed(), "a{} 5 6 7 8 99\n");
}

Test(metrics, no_series_moves_nothing)
{
    hl_metric_add(NULL, 1);
    hl_metric_set(NULL, 1);
    hl_metric_observe(NULL, 1);
    hl_metric_set_histogram(NULL, NULL, 1);
    hl_metric_undefine(NULL);
    hl_metrics_destroy(NULL);
    cr_assert_str_eq(printed(), "");
}

Test(metrics, the_same_labels_are_the_same_series)
{
    struct hl_metric_family *f = define("a", HL_METRIC_GAUGE, 2, 0);
    cr_assert_eq(series(f, "x", "y"), series(f, "x", "y"));
    cr_assert_neq(series(f, "xy", ""), series(f, "x", "y"));
    cr_assert_neq(series(f, "", "xy"), series(f, "xy", ""));
}

/* --- bounds ----------------------------------------------------------------------------------- */

Test(metrics, what_finds_no_room_shares_one_series_and_is_counted)
{
    struct hl_metric_family *f = define("a_total", HL_METRIC_COUNTER, 2, 2);
    hl_metric_add(series(f, "1", "x"), 1);
    hl_metric_add(series(f, "2", "x"), 1);
    hl_metric_add(series(f, "3", "x"), 1);
    hl_metric_add(series(f, "4", "x"), 1);
    hl_metric_add(series(f, "1", "x"), 1);
    cr_assert_str_eq(printed(), "a_total{who=1,what=x} 2\n"
                                "a_total{who=2,what=x} 1\n"
                                "a_total{who=other,what=other} 2\n");
    struct hl_metric_family *dropped =
        hl_metric_find(metrics, metrics, hl_slice_of(HL_METRIC_DROPPED));
    struct hl_slice name = hl_slice_of("a_total");
    cr_assert_float_eq(hl_metric_value(hl_metric_series(dropped, &name)), 2, 1e-12);
}

Test(metrics, a_forgotten_series_makes_room)
{
    struct hl_metric_family *f = define("a", HL_METRIC_GAUGE, 1, 2);
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        struct hl_slice value = hl_slice_of(name);
        hl_metric_set(hl_metric_series(f, &value), i);
        if (i >= 1) {
            snprintf(name, sizeof name, "%d", i - 1);
            value = hl_slice_of(name);
            hl_metric_forget(f, &value);
            hl_metric_forget(f, &value); /* not there: nothing happens */
        }
    }
    cr_assert_str_eq(printed(), "a{who=99} 99\n");
    hl_metric_forget_all(f);
    cr_assert_str_eq(printed(), "");
    struct hl_slice value = hl_slice_of("new");
    hl_metric_set(hl_metric_series(f, &value), 5);
    cr_assert_str_eq(printed(), "a{who=new} 5\n");
}

Test(metrics, label_values_are_bounded_utf8)
{
    struct hl_metric_family *f = define("a", HL_METRIC_GAUGE, 1, 0);
    static const struct {
        const char *given, *kept;
    } cases[] = {
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"\xff\xfe", "??"},
        {"a\xc3", "a?"},
        {"\xed\xa0\x80", "???"},
        {"\xc0\xaf", "??"},
        {"\xf4\x90\x80\x80", "????"},
        {"\xe2\x82\xac", "\xe2\x82\xac"},
        {"\xe0\x80\x80", "???"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(cases); i++) {
        struct hl_slice value = hl_slice_of(cases[i].given);
        char want[64];
        hl_metric_set(hl_metric_series(f, &value), 1);
        snprintf(want, sizeof want, "a{who=%s} 1\n", cases[i].kept);
        cr_assert_str_eq(printed(), want);
        hl_metric_forget(f, &value);
    }
    char big[1000];
    memset(big, 'x', sizeof big);
    memcpy(big + HL_METRIC_VALUE_MAX - 1, "\xc3\xa9", 2); /* a character across the end */
    struct hl_slice value = {.ptr = big, .len = sizeof big};
    hl_metric_set(hl_metric_series(f, &value), 1);
    cr_assert_eq(strlen(printed()), strlen("a{who=} 1\n") + HL_METRIC_VALUE_MAX - 1);
}

Test(metrics, what_is_out_of_range_is_refused)
{
    static const char *const bad_names[] = {"",  "9a_total", "a b_total",     "a:b_total",
                                            "a", "a_totals", "\xc3\xa9_total"};
    struct hl_metric_family *family = NULL;
    struct hl_errmsg msg = {{0}};
    for (size_t i = 0; i < HL_ARRAY_LEN(bad_names); i++) {
        struct hl_metric_info info = info_of(bad_names[i], HL_METRIC_COUNTER, 0);
        cr_assert_eq(hl_metric_define(metrics, &owner, &info, &family, &msg), HL_EINVAL, "%s",
                     bad_names[i]);
        cr_assert_neq(msg.text[0], '\0');
    }
    static const char *const bad_gauges[] = {"a_total", "a_bucket", "a_count", "a_sum",
                                             "a_created"};
    for (size_t i = 0; i < HL_ARRAY_LEN(bad_gauges); i++) {
        struct hl_metric_info info = info_of(bad_gauges[i], HL_METRIC_GAUGE, 0);
        cr_assert_eq(hl_metric_define(metrics, &owner, &info, &family, &msg), HL_EINVAL);
    }
    static const char *const bad_labels[][2] = {{"le", "a"}, {"__a", "b"}, {"a", "a"}, {"a b", "c"},
                                                {"", "c"},   {"0", "a"},   {NULL, "a"}};
    for (size_t i = 0; i < HL_ARRAY_LEN(bad_labels); i++) {
        struct hl_metric_info info = info_of("a", HL_METRIC_GAUGE, 2);
        info.labels = bad_labels[i];
        cr_assert_eq(hl_metric_define(metrics, &owner, &info, &family, &msg), HL_EINVAL);
    }
    static const double bad_bounds[][2] = {{1, 1}, {2, 1}, {1, INFINITY}, {NAN, 1}};
    for (size_t i = 0; i < HL_ARRAY_LEN(bad_bounds); i++) {
        struct hl_metric_info info = info_of("a", HL_METRIC_HISTOGRAM, 0);
        info.bounds = bad_bounds[i];
        info.bound_count = 2;
        cr_assert_eq(hl_metric_define(metrics, &owner, &info, &family, &msg), HL_EINVAL);
    }
    struct hl_metric_info info = info_of("a", HL_METRIC_HISTOGRAM, 0);
    info.bound_count = 0;
    cr_assert_eq(hl_metric_define(metrics, &owner, &info, &family, &msg), HL_EINVAL);
    info = info_of("a", HL_METRIC_GAUGE, 0);
    info.help = "";
    cr_assert_eq(hl_metric_define(metrics, &owner, &info, &family, NULL), HL_EINVAL);
    info.help = "Help.";
    info.series_max = HL_METRIC_SERIES_MAX + 1;
    cr_assert_eq(hl_metric_define(metrics, &owner, &info, &family, NULL), HL_EINVAL);
    cr_assert_null(family, "out must be untouched on failure");
}

Test(metrics, a_name_is_taken_until_its_family_ends)
{
    struct hl_metric_family *first = define("a", HL_METRIC_GAUGE, 0, 0);
    struct hl_metric_family *second = NULL;
    struct hl_metric_info info = info_of("a", HL_METRIC_GAUGE, 1);
    cr_assert_eq(hl_metric_define(metrics, &stranger, &info, &second, NULL), HL_EBUSY);
    hl_metric_undefine(first);
    cr_assert_eq(hl_metric_define(metrics, &stranger, &info, &second, NULL), HL_OK);
    cr_assert_null(hl_metric_find(metrics, &owner, hl_slice_of("a")));
    cr_assert_eq(hl_metric_find(metrics, &stranger, hl_slice_of("a")), second);
}

Test(metrics, a_counter_and_another_metric_do_not_differ_by_total_alone)
{
    struct hl_metric_family *family = NULL;
    (void)define("a_total", HL_METRIC_COUNTER, 0, 0);
    (void)define("b", HL_METRIC_GAUGE, 0, 0);
    struct hl_metric_info info = info_of("a", HL_METRIC_GAUGE, 0);
    cr_assert_eq(hl_metric_define(metrics, &owner, &info, &family, NULL), HL_EBUSY);
    info = info_of("b_total", HL_METRIC_COUNTER, 0);
    cr_assert_eq(hl_metric_define(metrics, &owner, &info, &family, NULL), HL_EBUSY);
}

Test(metrics, there_are_so_many_families_and_no_more)
{
    struct hl_metric_family *family = NULL;
    for (int i = 0; i < HL_METRIC_FAMILIES_MAX - 1; i++) { /* one is there already */
        char name[32];
        snprintf(name, sizeof name, "m_%d", i);
        (void)define(name, HL_METRIC_GAUGE, 0, 0);
    }
    struct hl_metric_info info = info_of("z", HL_METRIC_GAUGE, 0);
    cr_assert_eq(hl_metric_define(metrics, &owner, &info, &family, NULL), HL_EFULL);
}

/* --- owners and collectors -------------------------------------------------------------------- */

static int calls[3];

static bool collect(void *data, uint64_t *progress)
{
    int which = (int)(intptr_t)data;
    calls[which]++;
    return which == 1 && ++*progress < 3; /* the second takes three steps */
}

Test(metrics, what_an_owner_has_goes_with_it)
{
    (void)define("a", HL_METRIC_GAUGE, 0, 0);
    (void)define("b", HL_METRIC_GAUGE, 1, 0);
    struct hl_metric_info info = info_of("c", HL_METRIC_GAUGE, 0);
    struct hl_metric_family *family = NULL;
    cr_assert_eq(hl_metric_define(metrics, &stranger, &info, &family, NULL), HL_OK);
    cr_assert(hl_metrics_add_collector(metrics, &owner, collect, (void *)0));
    cr_assert(hl_metrics_add_collector(metrics, &stranger, collect, (void *)2));
    hl_metrics_drop(metrics, &owner);
    cr_assert_str_eq(printed(), "c{} 0\n");
    struct hl_metrics_round round = {0};
    while (hl_metrics_collect(metrics, &round)) {
    }
    cr_assert_eq(calls[0], 0);
    cr_assert_eq(calls[2], 1);
}

Test(metrics, a_round_calls_each_collector_until_it_is_done)
{
    for (intptr_t i = 0; i < 3; i++) {
        cr_assert(
            hl_metrics_add_collector(metrics, i == 0 ? &stranger : &owner, collect, (void *)i));
    }
    struct hl_metrics_round round = {0};
    int steps = 0;
    while (hl_metrics_collect(metrics, &round)) {
        steps++;
        cr_assert_leq(steps, 5);
        if (steps == 2) {
            hl_metrics_drop(metrics, &stranger); /* one that was called already */
        }
    }
    cr_assert_eq(steps, 5);
    cr_assert_eq(calls[0], 1);
    cr_assert_eq(calls[1], 3);
    cr_assert_eq(calls[2], 1);
}

Test(metrics, there_are_so_many_collectors_and_no_more)
{
    for (int i = 0; i < HL_METRIC_COLLECTORS_MAX; i++) {
        cr_assert(hl_metrics_add_collector(metrics, &owner, collect, NULL));
    }
    cr_assert_not(hl_metrics_add_collector(metrics, &owner, collect, NULL));
    hl_metrics_drop(metrics, &owner);
    cr_assert(hl_metrics_add_collector(metrics, &owner, collect, NULL));
}

/* --- threads ---------------------------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS 20000

static struct hl_metric_family *shared[2];
static atomic_bool over;

static void *count(void *arg)
{
    struct hl_metric *counter = series(shared[0], "all", "");
    struct hl_metric *histogram = series(shared[1], "all", "");
    char own[8];
    snprintf(own, sizeof own, "%d", (int)(intptr_t)arg);
    for (int i = 0; i < ROUNDS; i++) {
        hl_metric_add(counter, 1);
        hl_metric_observe(histogram, i % 20);
        if (i % 16 == 0) {
            hl_metric_add(series(shared[0], own, ""), 1);
            struct hl_slice value = hl_slice_of(own);
            hl_metric_forget(shared[0], &value);
        }
    }
    return NULL;
}

static void check_series(void *ctx, const struct hl_metric_info *info,
                         const struct hl_metric_sample *sample)
{
    uint64_t *seen = ctx;
    if (strcmp(info->name, "b") == 0) {
        cr_assert_geq(sample->count, *seen);
        *seen = sample->count;
    }
    cr_assert_leq(sample->values[0].len, 3); /* memory of a series that ended would say anything */
}

static void *look(void *arg)
{
    uint64_t seen = 0;
    struct hl_metrics_visitor visitor = {
        .ctx = &seen, .family = print_family, .series = check_series};
    (void)arg;
    while (!atomic_load(&over)) {
        hl_metrics_visit(metrics, &visitor);
    }
    return NULL;
}

/* Method: threads count into the same series, and make and forget some of their own, while others
 * read and one defines and ends families; nothing is lost, and the sanitizers see the memory. */
Test(metrics, nothing_is_lost_and_nothing_is_read_after_its_end)
{
    pthread_t counters[THREADS];
    pthread_t readers[2];
    shared[0] = define("a_total", HL_METRIC_COUNTER, 1, 8);
    shared[1] = define("b", HL_METRIC_HISTOGRAM, 1, 8);
    for (intptr_t i = 0; i < 2; i++) {
        pthread_create(&readers[i], NULL, look, NULL);
    }
    for (intptr_t i = 0; i < THREADS; i++) {
        pthread_create(&counters[i], NULL, count, (void *)i);
    }
    for (int i = 0; i < 500; i++) {
        struct hl_metric_family *f = define("c", HL_METRIC_HISTOGRAM, 1, 4);
        hl_metric_observe(series(f, "x", ""), 1);
        hl_metric_undefine(f);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(counters[i], NULL);
    }
    atomic_store(&over, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(readers[i], NULL);
    }
    uint64_t total = (uint64_t)THREADS * ROUNDS;
    char want[200];
    snprintf(want, sizeof want, "a_total{who=all} %g\nb{who=all} %llu %llu %llu %llu %g\n",
             (double)total, (unsigned long long)total / 10, (unsigned long long)total / 20,
             (unsigned long long)total / 20 * 8, (unsigned long long)total / 20 * 9,
             (double)total * 9.5);
    cr_assert_str_eq(printed(), want);
}
