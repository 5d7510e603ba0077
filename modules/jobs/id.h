/* id: how jobs and leases are written down for people.
 *
 *   job    <queue>:<number>-<epoch>    epoch: eight lower-case hexadecimal digits
 *   token  thirty-two lower-case hexadecimal digits
 */
#ifndef JOBS_ID_H
#define JOBS_ID_H

#include "event.h"

#define JOBS_QUEUE_NAME_MAX 512                            /* bytes */
#define JOBS_ID_MAX (JOBS_QUEUE_NAME_MAX + 16 + 1 + 1 + 8) /* bytes of an id, no NUL */
#define JOBS_TOKEN_TEXT_LEN (2 * JOBS_TOKEN_LEN)

/* A job's id, taken apart. */
struct jobs_id {
    struct hl_slice queue; /* borrowed from the text */
    uint64_t seq;
    uint32_t epoch;
};

/* Append the id's text; `queue` may hold any bytes. */
void jobs_id_format(struct hl_buf *out, struct jobs_id id);

/* Read an id; false, leaving *id alone, when the text is none. */
bool jobs_id_parse(struct hl_slice text, struct jobs_id *id);

/* Write JOBS_TOKEN_LEN bytes as JOBS_TOKEN_TEXT_LEN characters, no NUL. */
void jobs_token_format(char *out, const unsigned char *token);

/* Read a token's text into JOBS_TOKEN_LEN bytes; false when it is none. */
bool jobs_token_parse(struct hl_slice text, unsigned char *token);

#endif
