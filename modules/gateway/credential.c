#include "credential.h"

#include "kit/num.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define ADDRESS_MAX 46 /* INET6_ADDRSTRLEN */

struct hl_slice gw_credential(struct hl_slice authorization)
{
    static const char scheme[] = "Bearer";
    const size_t len = sizeof scheme - 1;
    struct hl_slice none = {0};
    if (authorization.len <= len || authorization.ptr[len] != ' ' ||
        !hl_slice_is((struct hl_slice){.ptr = authorization.ptr, .len = len}, scheme)) {
        return none;
    }
    size_t at = len;
    while (at < authorization.len && authorization.ptr[at] == ' ') {
        at++;
    }
    struct hl_slice rest = {.ptr = authorization.ptr + at, .len = authorization.len - at};
    return rest.len == 0 || memchr(rest.ptr, ' ', rest.len) != NULL ? none : rest;
}

struct hl_slice gw_protocol_credential(struct hl_slice protocols)
{
    static const char prefix[] = "helios.token.";
    const size_t len = sizeof prefix - 1;
    struct hl_slice none = {0};
    size_t at = 0;
    while (at < protocols.len) {
        while (at < protocols.len && (protocols.ptr[at] == ' ' || protocols.ptr[at] == '\t')) {
            at++;
        }
        const char *comma = memchr(protocols.ptr + at, ',', protocols.len - at);
        size_t end = comma == NULL ? protocols.len : (size_t)(comma - protocols.ptr);
        size_t last = end;
        while (last > at && (protocols.ptr[last - 1] == ' ' || protocols.ptr[last - 1] == '\t')) {
            last--;
        }
        struct hl_slice word = {.ptr = protocols.ptr + at, .len = last - at};
        if (word.len > len && memcmp(word.ptr, prefix, len) == 0) {
            return (struct hl_slice){.ptr = word.ptr + len, .len = word.len - len};
        }
        at = end + 1;
    }
    return none;
}

/* Read an address as IPv6, one of IPv4 mapped into it; false when it is none. */
static bool read_address(struct hl_slice address, struct in6_addr *out)
{
    char text[ADDRESS_MAX + 1];
    struct in_addr v4;
    if (address.len == 0 || address.len > ADDRESS_MAX) {
        return false;
    }
    memcpy(text, address.ptr, address.len);
    text[address.len] = '\0';
    if (inet_pton(AF_INET, text, &v4) == 1) {
        *out = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
        memcpy(out->s6_addr + 12, &v4, sizeof v4);
        return true;
    }
    return inet_pton(AF_INET6, text, out) == 1;
}

bool gw_is_loopback(struct hl_slice address)
{
    struct in6_addr found;
    return read_address(address, &found) &&
           (IN6_IS_ADDR_LOOPBACK(&found) ||
            (IN6_IS_ADDR_V4MAPPED(&found) && found.s6_addr[12] == 127));
}

struct hl_slice gw_forwarded_for(struct hl_slice header)
{
    struct in6_addr found;
    const char *comma = header.len == 0 ? NULL : memrchr(header.ptr, ',', header.len);
    size_t skip = comma == NULL ? 0 : (size_t)(comma - header.ptr) + 1;
    struct hl_slice last = {.ptr = header.ptr + skip, .len = header.len - skip};
    while (last.len != 0 && (last.ptr[0] == ' ' || last.ptr[0] == '\t')) {
        last.ptr++;
        last.len--;
    }
    while (last.len != 0 && (last.ptr[last.len - 1] == ' ' || last.ptr[last.len - 1] == '\t')) {
        last.len--;
    }
    return read_address(last, &found) ? last : (struct hl_slice){0};
}

bool gw_is_listed(struct hl_slice list, struct hl_slice address)
{
    while (list.len != 0) {
        const char *space = memchr(list.ptr, ' ', list.len);
        size_t len = space == NULL ? list.len : (size_t)(space - list.ptr);
        struct hl_slice one = {.ptr = list.ptr, .len = len};
        if (len != 0 && hl_slice_equal(one, address)) {
            return true;
        }
        len += space != NULL;
        list.ptr += len;
        list.len -= len;
    }
    return false;
}

/* Cut ":port" off; false when there is a colon and no port behind it. */
static bool cut_port(struct hl_slice *host, const char *from)
{
    uint64_t port = 0;
    const char *colon = memchr(from, ':', (size_t)(host->ptr + host->len - from));
    if (colon == NULL) {
        return true;
    }
    struct hl_slice digits = {.ptr = colon + 1, .len = (size_t)(host->ptr + host->len - colon) - 1};
    host->len = (size_t)(colon - host->ptr);
    return hl_parse_u64(digits, &port) && port <= 65535;
}

bool gw_is_local_host(struct hl_slice host)
{
    if (host.len == 0) {
        return false;
    }
    if (host.ptr[0] == '[') {
        const char *end = memchr(host.ptr, ']', host.len);
        if (end == NULL || !cut_port(&host, end) || host.ptr + host.len != end + 1) {
            return false;
        }
        struct hl_slice inside = {.ptr = host.ptr + 1, .len = host.len - 2};
        return memchr(inside.ptr, ':', inside.len) != NULL && gw_is_loopback(inside);
    }
    return cut_port(&host, host.ptr) && (hl_slice_is(host, "localhost") || gw_is_loopback(host));
}
