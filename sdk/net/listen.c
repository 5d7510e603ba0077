/* Addresses to listen on. */
#include "net/listen.h"

#include "kit/num.h"

#include <arpa/inet.h>
#include <stdio.h>

/* Take the next word off *rest; false at the end. */
static bool next_word(struct hl_slice *rest, struct hl_slice *word)
{
    while (rest->len != 0 && (rest->ptr[0] == ' ' || rest->ptr[0] == ',')) {
        rest->ptr++;
        rest->len--;
    }
    word->ptr = rest->ptr;
    word->len = 0;
    while (rest->len != 0 && rest->ptr[0] != ' ' && rest->ptr[0] != ',') {
        word->len++;
        rest->ptr++;
        rest->len--;
    }
    return word->len != 0;
}

static bool read_word(struct hl_slice word, struct sockaddr_storage *out)
{
    char host[64];
    size_t colon = word.len;
    while (colon > 0 && word.ptr[colon - 1] != ':') {
        colon--;
    }
    struct hl_slice digits = {.ptr = word.ptr + colon, .len = word.len - colon};
    struct hl_slice name = {.ptr = word.ptr, .len = colon == 0 ? 0 : colon - 1};
    int64_t port = 0;
    if (!hl_parse_i64(digits, &port) || port < 0 || port > 65535) {
        return false;
    }
    if (name.len >= 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']') {
        name.ptr++;
        name.len -= 2;
    }
    if (name.len >= sizeof host) {
        return false;
    }
    snprintf(host, sizeof host, "%.*s", (int)name.len, name.ptr);
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    *out = (struct sockaddr_storage){0};
    if (name.len == 0 || strcmp(host, "*") == 0) {
        *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
    } else if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return true;
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
    } else if (strcmp(host, "localhost") == 0) {
        *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return true;
    } else {
        return false;
    }
    v6->sin6_port = htons((uint16_t)port);
    return true;
}

hl_err net_listen_parse(struct hl_slice text, bool tls, struct net_address out[NET_LISTENERS_MAX],
                        size_t *count, struct hl_errmsg *msg)
{
    struct hl_slice word;
    while (next_word(&text, &word)) {
        if (*count == NET_LISTENERS_MAX) {
            return hl_fail(msg, HL_EINVAL, "more than %d addresses", NET_LISTENERS_MAX);
        }
        struct net_address *address = &out[*count];
        address->optional = word.ptr[0] == '-';
        word.ptr += address->optional;
        word.len -= address->optional;
        if (!read_word(word, &address->address)) {
            return hl_fail(msg, HL_EINVAL,
                           "'%.*s' is no address: write 127.0.0.1:8443, [::1]:8443 or :8443",
                           (int)word.len, word.ptr);
        }
        address->tls = tls;
        (*count)++;
    }
    return HL_OK;
}
