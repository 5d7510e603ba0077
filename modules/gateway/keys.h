/* How keys of the HTTP API are named in the keyspace, and how values travel in JSON.  Pure.
 *
 *   K1  a key of the API is the string key `kv:<key>` of database 0, so it meets no key of another
 *       module (auth:*, rbac:*, rate:* ...), and permissions of rbac are about the part behind it.
 */
#ifndef GATEWAY_KEYS_H
#define GATEWAY_KEYS_H

#include "form.h"
#include "kit/bytes.h"

#include <jansson.h>
#include <stdbool.h>

#define GW_KV_PREFIX "kv:"
#define GW_KEY_MAX 1024                    /* bytes of a key */
#define GW_KV_TTL_MAX_S INT64_C(315360000) /* ten years */

/* Append the name of `key`; false when it has no bytes or more than GW_KEY_MAX. */
bool gw_kv_name(struct hl_buf *out, struct hl_slice key);

/* Append the glob pattern of all names whose keys begin with `prefix`. */
void gw_kv_pattern(struct hl_buf *out, struct hl_slice prefix);

/* The members "value" and "encoding" of a body: the value's bytes, borrowed from the body or from
 * `decoded`; faults go to the form. */
struct hl_slice gw_kv_value(struct gw_form *form, struct hl_buf *decoded, size_t most);

/* Set the members "value" and, when the bytes are no text, "encoding": "base64url". */
void gw_kv_put_value(json_t *object, struct hl_slice value);

#endif
