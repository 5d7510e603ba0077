/* Calling the modules that use http: at once on http's thread, or by mail on the server's (S3 of
 * http_service.h). */
#ifndef HTTP_CALL_H
#define HTTP_CALL_H

#include "request.h"

#define HTTP_EVENTS_MAX 64 /* messages of a WebSocket on their way to the server's thread */

/* Call a handler or a filter with a request. */
void call_handler(struct helios_http_request *request, helios_http_handler run, void *data,
                  unsigned flags, uint64_t owner);

/* Give a piece of a streamed body, or tell of its end (last as in helios_http_piece). */
void call_piece(struct helios_http_request *request, struct hl_slice bytes, int last);

/* Tell that there is room for more of the answer. */
void call_writable(struct helios_http_request *request);

enum socket_event { SOCKET_MESSAGE, SOCKET_WRITABLE, SOCKET_CLOSED };

/* Tell of an event of a WebSocket. `text` and `bytes`: of a message; `code`: of the end. */
void call_socket(struct helios_http_socket *socket, enum socket_event event, bool text,
                 struct hl_slice bytes, int code);

#endif
