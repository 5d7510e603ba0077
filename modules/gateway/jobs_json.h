/* Jobs as the API shows and takes them.  Pure, but for looking at replies.
 *
 *   J1  A queue of the API has a name without a colon, so it is no key of another module.
 */
#ifndef GATEWAY_JOBS_JSON_H
#define GATEWAY_JOBS_JSON_H

#include "form.h"
#include "gateway.h"

#define GW_QUEUE_MAX 128
#define GW_JOB_ID_MAX (GW_QUEUE_MAX + 32)

/* Letters, digits, and . _ - { }, 1 to GW_QUEUE_MAX of them (J1). */
bool gw_queue_valid(struct hl_slice name);

/* The queue that a job's id names, a part of it; ptr NULL when the id cannot be one. */
struct hl_slice gw_queue_of_id(struct hl_slice id);

/* The STATUS that JOB.LIST understands for one of the API (PENDING, IN_PROGRESS, DONE, DLQ, FAILED,
 * CANCELLED), or for a state of jobs itself; NULL for another word.  Constant. */
const char *gw_jobs_state(struct hl_slice status);

/* A job of JOB.GET, JOB.LIST or JOB.PULL as an object: README.md says which members. */
json_t *gw_job_json(RedisModuleCallReply *job);

/* Append the options of JOB.PUSH that the body asks for; faults go to the form.  Texts are borrowed
 * from the body. */
void gw_push_options(struct gw_form *form, struct gw_command *push);

/* A member of the body as the text that is stored: compact JSON.  False when it is missing. */
bool gw_stored_json(const json_t *body, const char *name, struct hl_buf *out);

#endif
