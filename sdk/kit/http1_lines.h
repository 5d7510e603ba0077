/* The lines of a head, read strictly: between http1.c and http1_rules.c only. */
#ifndef KIT_HTTP1_LINES_H
#define KIT_HTTP1_LINES_H

#include "kit/http1.h"

/* Refuse with a status and a reason; HL_EINVAL. */
hl_err hl_http1_refuse(int *status, int code, struct hl_errmsg *msg, const char *why);

/* Split "METHOD target HTTP/1.1" (without CRLF) into `head`, or refuse. */
HL_MUST_USE hl_err hl_http1_request_line(struct hl_http1_head *head, struct hl_slice line,
                                         int *status, struct hl_errmsg *msg);

/* Split "HTTP/1.1 200 OK" into `head`, or refuse. */
HL_MUST_USE hl_err hl_http1_status_line(struct hl_http1_head *head, struct hl_slice line,
                                        int *status, struct hl_errmsg *msg);

/* Split "Name: value"; a name is a token, and the colon follows at once. */
HL_MUST_USE hl_err hl_http1_header_line(struct hl_http1_header *header, struct hl_slice line,
                                        int *status, struct hl_errmsg *msg);

/* Derive framing, host, connection and expectation of a head whose lines were read, or refuse. */
HL_MUST_USE hl_err hl_http1_rules(struct hl_http1_head *head, bool requests, bool answers_head,
                                  int *status, struct hl_errmsg *msg);

/* Whether a header of this name may stand behind a chunked body. */
bool hl_http1_trailer_allowed(struct hl_slice name);

#endif
