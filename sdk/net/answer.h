/* Errors as HTTP clients get them: {"error":{"code":"not_found","message":"..."}}. */
#ifndef NET_ANSWER_H
#define NET_ANSWER_H

#include "kit/bytes.h"

/* Append that text and the end of the line; code and message may be any text. */
void net_put_error_body(struct hl_buf *out, const char *code, const char *message);

/* The code for a status that answers a message nobody could read; static. */
const char *net_refusal_code(int status);

/* Append a whole response that refuses a message and says that the connection ends.  `date` is
 * net_loop_date(). */
void net_put_refusal(struct hl_buf *out, int status, const char *why, const char *date);

#endif
