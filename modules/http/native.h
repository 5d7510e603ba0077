/* The routes that http answers itself: /health and /ready. */
#ifndef HTTP_NATIVE_H
#define HTTP_NATIVE_H

#include "loop.h"

#define NATIVE_OWNER 0

/* Add them; before the thread begins. */
void native_add(struct loop *loop);

/* Answers requests whose module has left: 503. */
void native_departed(struct helios_http_request *request, void *data);

#endif
