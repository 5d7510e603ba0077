/* The half of the function table that runs on any thread: looking at requests, and answering. */
#ifndef HTTP_ANSWERS_H
#define HTTP_ANSWERS_H

#include "helios/http_service.h"

/* Fill in the functions of looking and answering. */
void answers_fill(struct helios_http_service *table);

/* Fill in those of looking alone.  In views.c. */
void views_fill(struct helios_http_service *table);

#endif
