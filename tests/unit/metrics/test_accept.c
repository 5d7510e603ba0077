/* The form that a client wants, from its header Accept. */
#include "metrics/accept.h"

#include "kit/assert.h"

#include <criterion/criterion.h>

static const struct {
    const char *accept;
    enum render_form form;
} cases[] = {
    {"", RENDER_TEXT},
    {"*/*", RENDER_TEXT},
    {"text/plain", RENDER_TEXT},
    {"text/html, */*;q=0.1", RENDER_TEXT},
    {"application/openmetrics-text", RENDER_OPENMETRICS},
    {"Application/OpenMetrics-Text; VERSION=1.0.0", RENDER_OPENMETRICS},
    {"application/openmetrics-text;version=0.0.1", RENDER_TEXT},
    {"application/openmetrics-text;q=0", RENDER_TEXT},
    {"application/openmetrics-text;q=0.000", RENDER_TEXT},
    {"application/openmetrics-text;q=0.5, text/plain;q=0.5", RENDER_OPENMETRICS},
    {"application/openmetrics-text;q=0.4, text/plain;q=0.5", RENDER_TEXT},
    {"text/plain, application/openmetrics-text;q=0.9", RENDER_TEXT},
    {"application/openmetrics-text; q=0.001", RENDER_OPENMETRICS},
    {"application/openmetrics-text; q=1.001", RENDER_TEXT},
    {"application/openmetrics-text; q=2", RENDER_TEXT},
    {"application/openmetrics-text; q=x", RENDER_TEXT},
    {"application/openmetrics-text; q=", RENDER_TEXT},
    {"application/openmetrics-text; q=0.7777", RENDER_TEXT},
    {"application/openmetrics-text;;;=;q", RENDER_OPENMETRICS},
    {";;,,;q=1", RENDER_TEXT},
    {"application/openmetrics-text;charset=utf-8", RENDER_OPENMETRICS},
    /* Prometheus 2.42 */
    {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
     RENDER_OPENMETRICS},
};

Test(accept, openmetrics_is_given_to_those_who_name_it_and_like_it_no_less)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(cases); i++) {
        cr_assert_eq(accept_form(hl_slice_of(cases[i].accept)), cases[i].form, "%s",
                     cases[i].accept);
    }
    cr_assert_eq(accept_form((struct hl_slice){0}), RENDER_TEXT);
}
