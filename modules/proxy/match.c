/* Routes: hosts, then prefixes. */
#include "match.h"

#include "kit/assert.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | ' ') : c;
}

/* Without a port, and without the dot at the end of a full name. */
static struct hl_slice bare_host(struct hl_slice host)
{
    size_t len = host.len;
    while (len > 0 && host.ptr[len - 1] >= '0' && host.ptr[len - 1] <= '9') {
        len--;
    }
    if (len > 0 && host.ptr[len - 1] == ':') {
        host.len = len - 1;
    }
    if (host.len > 1 && host.ptr[host.len - 1] == '.') {
        host.len--;
    }
    return host;
}

static bool ends_with(struct hl_slice host, const char *end, size_t len)
{
    if (host.len <= len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (lower(host.ptr[host.len - len + i]) != end[i]) {
            return false;
        }
    }
    return true;
}

/* How well a pattern fits: 0 not at all, 1 any host, then longer domains, at last the name. */
static size_t host_rank(const char *pattern, struct hl_slice host)
{
    size_t len = strlen(pattern);
    if (len == 0) {
        return 1;
    }
    if (pattern[0] == '*') {
        return ends_with(host, pattern + 1, len - 1) ? 1 + len : 0;
    }
    return hl_slice_is(host, pattern) ? SIZE_MAX : 0;
}

static bool has_prefix(struct hl_slice path, const char *prefix, size_t *len)
{
    *len = strlen(prefix);
    if (*len == 1) {
        return true; /* "/", also for the asterisk of OPTIONS */
    }
    return path.len >= *len && memcmp(path.ptr, prefix, *len) == 0 &&
           (path.len == *len || path.ptr[*len] == '/');
}

const struct route_config *match_route(const struct config *config, struct hl_slice host,
                                       struct hl_slice path)
{
    const struct route_config *best = NULL;
    size_t best_rank = 0;
    size_t best_len = 0;
    struct hl_slice bare = bare_host(host);
    for (size_t i = 0; i < config->route_count; i++) {
        const struct route_config *route = &config->routes[i];
        size_t len = 0;
        size_t rank = host_rank(route->host, bare);
        if (rank < best_rank || rank == 0 || !has_prefix(path, route->path, &len)) {
            continue;
        }
        if (rank > best_rank || len > best_len) {
            best = route;
            best_rank = rank;
            best_len = len;
        }
    }
    return best;
}

/* --- paths ------------------------------------------------------------------------------------ */

/* One character of the path, decoded when it is '.', '/' or '\'; *at moves behind it. */
static char next_char(struct hl_slice path, size_t *at)
{
    char c = path.ptr[(*at)++];
    if (c != '%' || path.len - *at < 2) {
        return c;
    }
    char high = path.ptr[*at];
    char low = lower(path.ptr[*at + 1]);
    char decoded = high == '2' && low == 'e'   ? '.'
                   : high == '2' && low == 'f' ? '/'
                   : high == '5' && low == 'c' ? '\\'
                                               : '\0';
    if (decoded == '\0') {
        return c;
    }
    *at += 2;
    return decoded;
}

bool match_path_is_crooked(struct hl_slice path)
{
    size_t dots = 0;
    bool only_dots = true; /* the segment so far */
    for (size_t at = 0; at < path.len;) {
        char c = next_char(path, &at);
        if (c == '/' || c == '\\') {
            if (only_dots && dots != 0 && dots <= 2) {
                return true;
            }
            dots = 0;
            only_dots = true;
        } else if (c == '.') {
            dots++;
        } else if (c == ';') { /* "..;x" is ".." to servers that cut parameters off */
            if (only_dots && dots != 0 && dots <= 2) {
                return true;
            }
            only_dots = false;
        } else {
            only_dots = false;
        }
    }
    return only_dots && dots != 0 && dots <= 2;
}
