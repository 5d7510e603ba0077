/* What is wished of a module beside its being loaded: priority, time-out, fail_open ...  Pure.
 *
 * A loaded module's function runs on the server's thread: it can be neither cut off nor passed over
 * when it fails.  So of these only `settings` do something (they are given by CONFIG SET); the
 * others are kept, told and handed to whoever watches: `enforced` says so.
 *
 * Invariant:
 *   P1  what a change does not name stays as it is; what it names is kept as it is named, false and
 *       zero too.
 */
#ifndef GATEWAY_PLUGIN_H
#define GATEWAY_PLUGIN_H

#include "kit/bytes.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define GW_PLUGIN_SETTINGS_MAX 16                      /* of one module, by REST */
#define GW_PLUGIN_SETTING_MAX 1024                     /* bytes of one setting's value */
#define GW_PLUGIN_DURATION_MAX INT64_C(86400000000000) /* ns: a day */

struct gw_plugin {
    int64_t priority;
    int64_t timeout_ns, cooldown_ns;
    int64_t max_failures;
    bool fail_open;
    json_t *settings; /* name -> text, number or boolean; owned, never NULL */
};

/* What a module has of which nothing was said. */
void gw_plugin_init(struct gw_plugin *plugin);

/* Release the settings. */
void gw_plugin_fini(struct gw_plugin *plugin);

/* Take what the object names (P1): priority, timeout, cooldown, max_failures, fail_open, settings,
 * replace_settings.  False, with the reason in `why` and nothing changed, when a member is
 * malformed. */
bool gw_plugin_change(struct gw_plugin *plugin, const json_t *object, char *why, size_t why_size);

/* As an object that gw_plugin_change() takes; the caller's. */
json_t *gw_plugin_json(const struct gw_plugin *plugin);

/* A duration of a JSON value: "250ms", "1m30s", or a number of nanoseconds.  False when it is none,
 * negative or above GW_PLUGIN_DURATION_MAX. */
bool gw_duration(const json_t *value, int64_t *ns);

/* "250ms" and the like, exact; `out` has 48 bytes. */
void gw_duration_text(int64_t ns, char *out);

#endif
