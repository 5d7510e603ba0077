/* Where a client is, from what the server calls it. */
#ifndef AUTH_ADDRESS_H
#define AUTH_ADDRESS_H

#include "record.h"

/* Write the address in `text` to `out`: of "10.0.0.7" and "::1" themselves, of "[::1]" what is in
 * the brackets, and of "http:10.0.0.7", a client that a module serves, what follows the word.  ""
 * when nothing is left that can be stored. */
void address_read(char out[RECORD_ADDRESS_MAX + 1], struct hl_slice text);

/* Whether failures count for the address: not for an unknown one, nor for loopback, where gateways
 * are. */
bool address_counts(const char *address);

#endif
