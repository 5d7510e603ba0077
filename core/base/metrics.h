/* Metrics: counters, gauges and histograms that any thread may move, and that a reader sees without
 * stopping anybody.
 *
 * A *family* has a name, a help text and label names; a *series* of it has values for these labels
 * and the number itself.  Whoever counts looks a series up once and keeps its address.
 *
 * Invariants:
 *   M1  moving a series takes no lock: one atomic operation, two for a histogram.
 *   M2  readers take no lock that a series' owner waits for: they walk slots, which hold a series
 *       or NULL.  A series leaves its slot before it is retired, and retired memory is released
 *       only when no reader walks, or with its family.
 *   M3  a family ends when it is undefined and the last reader that holds it has gone.
 *   M4  a family has at most series_max series; whatever comes after them shares one, whose labels
 *       all say HL_METRIC_OTHER, and is counted in HL_METRIC_DROPPED.
 *   M5  names, help and label values are valid UTF-8 and bounded, whatever was given.
 */
#ifndef HL_BASE_METRICS_H
#define HL_BASE_METRICS_H

#include "kit/bytes.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stdint.h>

#define HL_METRIC_NAME_MAX 128       /* bytes of a name */
#define HL_METRIC_HELP_MAX 512       /* bytes of a help text */
#define HL_METRIC_LABELS_MAX 8       /* labels of a family */
#define HL_METRIC_VALUE_MAX 128      /* bytes of a label's value; the rest is cut */
#define HL_METRIC_BOUNDS_MAX 64      /* buckets of a histogram, without the last */
#define HL_METRIC_SERIES 256         /* series of a family that does not say */
#define HL_METRIC_SERIES_MAX 10000   /* that a family may ask for */
#define HL_METRIC_FAMILIES_MAX 1024  /* families */
#define HL_METRIC_COLLECTORS_MAX 256 /* collectors */
#define HL_METRIC_OTHER "other"
#define HL_METRIC_DROPPED "helios_metrics_series_dropped_total"

/* Opaque: all families of a server; one of them; one series of a family. */
struct hl_metrics;
struct hl_metric_family;
struct hl_metric;

enum hl_metric_kind { HL_METRIC_COUNTER, HL_METRIC_GAUGE, HL_METRIC_HISTOGRAM };

/* What a family is.  Everything is copied. */
struct hl_metric_info {
    const char *name; /* [a-zA-Z_][a-zA-Z0-9_]*; a counter's ends in "_total", no other does */
    const char *help; /* a sentence */
    enum hl_metric_kind kind;
    const char *const *labels; /* [a-zA-Z_][a-zA-Z0-9_]*, each once, none "le" or with "__" first */
    size_t label_count;
    const double *bounds; /* of a histogram: finite upper bounds of its buckets, rising */
    size_t bound_count;   /* 1 or more for a histogram, 0 for others */
    size_t series_max;    /* 0: HL_METRIC_SERIES */
};

/* No families but HL_METRIC_DROPPED.  `seed` keys the hash of label values. */
struct hl_metrics *hl_metrics_create(const uint64_t seed[2]);

/* End all families and collectors; no other thread uses them any more.  NULL is allowed. */
void hl_metrics_destroy(struct hl_metrics *metrics);

/*
 * Define a family; one without labels has its series, 0, from now on.
 *
 * owner   any address: hl_metrics_drop() ends all that has it.
 * out     set on success.
 *
 * HL_OK, or with nothing defined and the reason in `msg` (may be NULL): HL_EINVAL, a field is out
 * of range; HL_EBUSY, the name is taken, or differs from one that is by
 * "_total" alone; HL_EFULL, there are HL_METRIC_FAMILIES_MAX.
 */
HL_MUST_USE hl_err hl_metric_define(struct hl_metrics *metrics, const void *owner,
                                    const struct hl_metric_info *info,
                                    struct hl_metric_family **out, struct hl_errmsg *msg);

/* End a family; nobody moves its series any more.  NULL is allowed. */
void hl_metric_undefine(struct hl_metric_family *family);

/* End all families and collectors of an owner. */
void hl_metrics_drop(struct hl_metrics *metrics, const void *owner);

/* The series with these label values, one for each label, made at 0 when it is new; never NULL
 * (M4).  Lives until it is forgotten or its family ends.  A value is cut at HL_METRIC_VALUE_MAX
 * bytes, and what is not UTF-8 in it becomes '?'.  Any thread; waits for other look-ups in the same
 * family only. */
struct hl_metric *hl_metric_series(struct hl_metric_family *family, const struct hl_slice *values);

/* The series with these values ends, if there is one; nobody moves it any more.  Any thread. */
void hl_metric_forget(struct hl_metric_family *family, const struct hl_slice *values);

/* All series of the family end, but the one of a family without labels; nobody moves them any
 * more. */
void hl_metric_forget_all(struct hl_metric_family *family);

/* Add to a counter or a gauge; what would lower a counter, and NaN, are ignored.  NULL is allowed,
 * as in all that move a series.  Any thread. */
void hl_metric_add(struct hl_metric *metric, double delta);

/* Set a gauge; or a counter, to a total that is kept elsewhere, 0 or more.  Any thread. */
void hl_metric_set(struct hl_metric *metric, double value);

/* Count a value in a histogram; NaN is ignored.  Any thread. */
void hl_metric_observe(struct hl_metric *metric, double value);

/* Set a histogram to counts that are kept elsewhere: bound_count + 1 of them, each of one bucket
 * alone, and the sum of all values. */
void hl_metric_set_histogram(struct hl_metric *metric, const uint64_t *counts, double sum);

/* The present value of a counter or a gauge; the sum of a histogram. */
double hl_metric_value(const struct hl_metric *metric);

/* What the family is; valid while it lives. */
const struct hl_metric_info *hl_metric_family_info(const struct hl_metric_family *family);

/* The family of that name and owner, or NULL.  On the thread that defines and undefines it. */
struct hl_metric_family *hl_metric_find(struct hl_metrics *metrics, const void *owner,
                                        struct hl_slice name);

/* ---- collecting: numbers that are computed only when somebody asks ---- */

/* Bring series up to date before a reader looks.  Called again while it returns true, so that none
 * takes long: `progress` starts at 0 and is the collector's own. */
typedef bool hl_metric_collector(void *data, uint64_t *progress);

/* Have `collect` called before metrics are read; false when there are HL_METRIC_COLLECTORS_MAX.
 * These three on one thread only, the server's. */
bool hl_metrics_add_collector(struct hl_metrics *metrics, const void *owner,
                              hl_metric_collector *collect, void *data);

/* Where a round of collecting is; starts zeroed. */
struct hl_metrics_round {
    uint64_t serial, progress;
};

/* One call of one collector; false when the round is over.  Collectors may come and go between. */
bool hl_metrics_collect(struct hl_metrics *metrics, struct hl_metrics_round *round);

/* ---- reading ---- */

/* A series as it was when it was read. */
struct hl_metric_sample {
    const struct hl_slice *values; /* of the labels */
    double value;                  /* of a counter or a gauge; the sum of a histogram */
    uint64_t count;                /* of a histogram: all values */
    const uint64_t *counts;        /* of a histogram: bound_count + 1, each of one bucket alone */
};

/* What to do with what is read; all is borrowed for the call. */
struct hl_metrics_visitor {
    void *ctx;
    bool (*family)(void *ctx, const struct hl_metric_info *info); /* false: not its series */
    void (*series)(void *ctx, const struct hl_metric_info *info,
                   const struct hl_metric_sample *sample);
};

/* Visit all families by name, their series by label values; families without series too.  Any
 * thread, as many as like; takes as long as it takes and stops nobody (M2). */
void hl_metrics_visit(struct hl_metrics *metrics, const struct hl_metrics_visitor *visitor);

#endif
