/* Members of a JSON body and parameters of a query, read with their bounds.  Pure.
 *
 *   struct gw_form form = {.object = gw_body(call)};
 *   struct hl_slice name = gw_form_text(&form, "username", 1, 64);
 *   int64_t ttl_s = gw_form_number_or(&form, "ttl", 0, 0, TTL_MAX);
 *   if (form.why[0] != '\0') {
 *       gw_fail(call, 400, "invalid", "%s", form.why);
 *   }
 *
 * The first fault is kept and told; what is read behind it is empty or the fallback.  Members that
 * nobody asks for are ignored.
 */
#ifndef GATEWAY_FORM_H
#define GATEWAY_FORM_H

#include "kit/bytes.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct gw_form {
    const json_t *object; /* borrowed; NULL: as if it had no members */
    char why[160];        /* the first fault; "" so far none */
};

/* A text of `least` to `most` bytes, borrowed from the object. */
struct hl_slice gw_form_text(struct gw_form *form, const char *name, size_t least, size_t most);
/* The same, or missing or null: ptr NULL. */
struct hl_slice gw_form_text_or(struct gw_form *form, const char *name, size_t least, size_t most);

/* A whole number from `least` to `most`. */
int64_t gw_form_number(struct gw_form *form, const char *name, int64_t least, int64_t most);
/* The same, or missing or null: the fallback. */
int64_t gw_form_number_or(struct gw_form *form, const char *name, int64_t fallback, int64_t least,
                          int64_t most);

/* true or false, or missing: the fallback. */
bool gw_form_flag_or(struct gw_form *form, const char *name, bool fallback);

/* Note a fault, unless there is one already. */
void gw_form_fault(struct gw_form *form, const char *fmt, ...) HL_PRINTF(2, 3);

/* A number of a query: `text` as it was found there, ptr NULL: the fallback. */
int64_t gw_form_query_number(struct gw_form *form, const char *name, struct hl_slice text,
                             int64_t fallback, int64_t least, int64_t most);

#endif
