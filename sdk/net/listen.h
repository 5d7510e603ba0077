/* Addresses to listen on, as people write them. */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include "kit/bytes.h"
#include "kit/err.h"

#include <netinet/in.h>

#define NET_LISTENERS_MAX 16

struct net_address {
    struct sockaddr_storage address;
    bool tls;
    bool optional; /* somebody else may have it: then there is a warning and no listener */
};

/*
 * Read a list, separated by blanks or commas: "127.0.0.1:8443", "[::1]:80", ":8080" and "*:8080"
 * (every address, IPv4 and IPv6), "8080" (the same).  Port 0 lets the system choose.  A '-' before
 * one makes it optional.
 *
 * Appends to out[0..*count), at most NET_LISTENERS_MAX.  HL_EINVAL with the reason in `msg`.
 */
HL_MUST_USE hl_err net_listen_parse(struct hl_slice text, bool tls,
                                    struct net_address out[NET_LISTENERS_MAX], size_t *count,
                                    struct hl_errmsg *msg);

#endif
