/* Metrics as text: the format 0.0.4 of Prometheus, and OpenMetrics 1.0.
 *
 *   MR1  whatever labels, helps and numbers hold, each sample is one line that a strict reader
 * takes for the same labels and the same number. MR2  a family without series leaves no trace. MR3
 * no more than RENDER_MAX bytes are made; what does not fit is left out whole, series by series,
 * and `left_out` counts it.
 */
#ifndef METRICS_RENDER_H
#define METRICS_RENDER_H

#include "helios/metrics.h"
#include "kit/bytes.h"

#include <stdbool.h>

#define RENDER_MAX ((size_t)64 << 20)
#define RENDER_NUMBER_MAX 40 /* bytes of a number as text, and a NUL */

enum render_form { RENDER_TEXT, RENDER_OPENMETRICS, RENDER_FORMS };

/* All zero but for `form` is an empty one. */
struct render {
    enum render_form form;
    size_t max; /* 0: RENDER_MAX */
    struct hl_buf out;
    size_t left_out;
    bool headed; /* the present family has its HELP and TYPE */
};

/* A family begins. */
void render_family(struct render *render, const HeliosModuleMetricInfo *info);

/* A series of it. */
void render_series(struct render *render, const HeliosModuleMetricInfo *info,
                   const HeliosModuleMetricSample *sample);

/* All families are there. */
void render_end(struct render *render);

/* The media type of a form; static. */
const char *render_type(enum render_form form);

/* The word for a kind (HELIOSMODULE_METRIC_*); static. */
const char *render_kind(int kind);

/* The shortest text that reads as the same number: "0.1", "+Inf", "NaN"; with `point` one that has
 * a point or an exponent.  Returns its length. */
int render_number(char out[RENDER_NUMBER_MAX], double number, bool point);

#endif
