/* JSON texts from strangers, over jansson: bounded, without duplicates, with the place of a fault.
 */
#ifndef KIT_JSON_H
#define KIT_JSON_H

#include "kit/bytes.h"
#include "kit/err.h"

#include <jansson.h>

#define HL_JSON_DEPTH_DEFAULT 32

struct hl_json_limits {
    size_t size_max;  /* bytes of the text */
    size_t depth_max; /* arrays and objects inside one another */
};

/*
 * Read a whole JSON text: any value, nothing behind it.
 *
 * out  set on success to a value that the caller ends with json_decref().
 * msg  on failure the reason with line and column; may be NULL.
 *
 * HL_OK; HL_EINVAL: not JSON, an object with a member twice, a text that is not UTF-8; HL_ELIMIT:
 * larger or deeper than the limits allow.
 */
HL_MUST_USE hl_err hl_json_parse(json_t **out, struct hl_slice text,
                                 const struct hl_json_limits *limits, struct hl_errmsg *msg);

/* The text of a string member, borrowed from `object`; ptr NULL when absent or no string. */
struct hl_slice hl_json_text(const json_t *object, const char *name);

/* Append the value in its shortest form, members in their order. */
void hl_json_append(struct hl_buf *out, const json_t *value);

/* Append `text` as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void hl_json_append_string(struct hl_buf *out, struct hl_slice text);

#endif
