/* Which form of metrics a client wants: the header Accept. */
#ifndef METRICS_ACCEPT_H
#define METRICS_ACCEPT_H

#include "render.h"

/* OpenMetrics when it is named, in version 1.0.0 or none, and not less welcome than plain text is
 * where that is named; text for everything else, also for what cannot be read. */
enum render_form accept_form(struct hl_slice accept);

#endif
