/* Metrics that users make by command: one series each, with labels that do not change.
 *
 *   MC1  each has a family in the server's metrics for as long as it exists.
 *   MC2  what it holds here is what the server shows: both change together, on the server's thread.
 *
 * They live in memory, on this node: a restart begins without them.
 */
#ifndef METRICS_CUSTOM_H
#define METRICS_CUSTOM_H

#include "helios/metrics.h"
#include "kit/bytes.h"

#include <stdbool.h>

#define CUSTOM_MAX 256
#define CUSTOM_NAME_MAX 120 /* so that "_total" may be put behind it */
#define CUSTOM_HELP_MAX 512
#define CUSTOM_VALUE_MAX 128 /* bytes of a label's value */

struct custom {
    struct custom *next;
    char *name;  /* as it was given */
    char *shown; /* with "_total" behind it when a counter lacks that */
    char *help;
    int kind; /* HELIOSMODULE_METRIC_* */
    size_t label_count, bound_count;
    char *labels[HELIOSMODULE_METRIC_LABELS_MAX];
    char *values[HELIOSMODULE_METRIC_LABELS_MAX];
    double bounds[HELIOSMODULE_METRIC_BOUNDS_MAX];
    double value; /* of a histogram: the sum */
    uint64_t counts[HELIOSMODULE_METRIC_BOUNDS_MAX + 1], count;
    HeliosModuleMetricFamily *family;
    HeliosModuleMetric *metric;
};

/* What a definition says; slices are borrowed. */
struct custom_order {
    struct hl_slice name, help;
    int kind;
    size_t label_count, bound_count;
    struct hl_slice labels[HELIOSMODULE_METRIC_LABELS_MAX];
    struct hl_slice values[HELIOSMODULE_METRIC_LABELS_MAX];
    double bounds[HELIOSMODULE_METRIC_BOUNDS_MAX]; /* none: HELIOSMODULE_METRIC_SECONDS */
};

/* Make it, on the server's thread; NULL, or why not: a static text. */
const char *custom_define(RedisModuleCtx *ctx, const struct custom_order *order);

/* The one of that name, or NULL. */
struct custom *custom_find(struct hl_slice name);

/* All, by age. */
struct custom *custom_first(void);

/* Add to a counter or a gauge, set a gauge, observe in a histogram: NULL, or why not. */
const char *custom_add(struct custom *custom, double delta);

/* Set a gauge. */
const char *custom_set(struct custom *custom, double value);

/* Observe in a histogram. */
const char *custom_observe(struct custom *custom, double value);

/* Back to zero. */
void custom_reset(RedisModuleCtx *ctx, struct custom *custom);

/* End it, in the server's metrics too. */
void custom_delete(struct custom *custom);

/* Release all; their families go with the module. */
void custom_end(void);

#endif
