/* What a head must be: its lines, and what they say together (RFC 9110, RFC 9112).
 *
 * Where the RFC lets a recipient repair a message we refuse it: a repair is what two recipients do
 * differently.
 */
#include "kit/http1_lines.h"

#include "kit/assert.h"
#include "kit/http1_text.h"
#include "kit/num.h"

hl_err hl_http1_refuse(int *status, int code, struct hl_errmsg *msg, const char *why)
{
    *status = code;
    return hl_fail(msg, HL_EINVAL, "%s", why);
}

/* --- lines ------------------------------------------------------------------------------------ */

/* Cut at the first blank; false when there is none. */
static bool cut_blank(struct hl_slice *rest, struct hl_slice *word)
{
    const char *at = rest->len == 0 ? NULL : memchr(rest->ptr, ' ', rest->len);
    if (at == NULL) {
        return false;
    }
    *word = (struct hl_slice){.ptr = rest->ptr, .len = (size_t)(at - rest->ptr)};
    *rest = (struct hl_slice){.ptr = at + 1, .len = rest->len - word->len - 1};
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* "HTTP/1.0" or "HTTP/1.1", exactly; another version of the same form is 505. */
static hl_err read_version(struct hl_http1_head *head, struct hl_slice text, int *status,
                           struct hl_errmsg *msg)
{
    if (text.len != 8 || memcmp(text.ptr, "HTTP/", 5) != 0 || !is_digit(text.ptr[5]) ||
        text.ptr[6] != '.' || !is_digit(text.ptr[7])) {
        return hl_http1_refuse(status, 400, msg, "malformed HTTP version");
    }
    if (text.ptr[5] != '1' || text.ptr[7] > '1') {
        return hl_http1_refuse(status, 505, msg, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    }
    head->minor = text.ptr[7] - '0';
    return HL_OK;
}

/* Visible ASCII that may stand in a target; controls and blanks may not even be hidden in it. */
static const char *target_fault(struct hl_slice target)
{
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.ptr[i];
        if (c <= ' ' || c >= 0x7f) {
            return "the target has a character that must be percent-encoded";
        }
        if (memchr("#\"<>\\", c, 5) != NULL) {
            return "the target has a character that no target may have";
        }
        if (c == '%') {
            if (target.len - i < 3 || !is_hex(target.ptr[i + 1]) || !is_hex(target.ptr[i + 2])) {
                return "'%' in the target without two hexadecimal digits";
            }
            bool control = target.ptr[i + 1] < '2' ||
                           (target.ptr[i + 1] == '7' && (target.ptr[i + 2] | ' ') == 'f');
            if (control) {
                return "the target hides a control character";
            }
        }
    }
    return NULL;
}

hl_err hl_http1_request_line(struct hl_http1_head *head, struct hl_slice line, int *status,
                             struct hl_errmsg *msg)
{
    struct hl_slice rest = line;
    if (!cut_blank(&rest, &head->method) || !hl_http1_is_token(head->method)) {
        return hl_http1_refuse(status, 400, msg, "malformed method");
    }
    if (!cut_blank(&rest, &head->target) || head->target.len == 0) {
        return hl_http1_refuse(status, 400, msg, "malformed request line");
    }
    hl_err err = read_version(head, rest, status, msg);
    if (err != HL_OK) {
        return err;
    }
    const char *fault = target_fault(head->target);
    return fault == NULL ? HL_OK : hl_http1_refuse(status, 400, msg, fault);
}

hl_err hl_http1_status_line(struct hl_http1_head *head, struct hl_slice line, int *status,
                            struct hl_errmsg *msg)
{
    struct hl_slice rest = line;
    struct hl_slice version;
    if (!cut_blank(&rest, &version) || read_version(head, version, status, msg) != HL_OK) {
        return hl_http1_refuse(status, 502, msg, "malformed version in the response");
    }
    if (rest.len < 3 || !is_digit(rest.ptr[0]) || !is_digit(rest.ptr[1]) ||
        !is_digit(rest.ptr[2]) || (rest.len > 3 && rest.ptr[3] != ' ')) {
        return hl_http1_refuse(status, 502, msg, "malformed status in the response");
    }
    head->status = (rest.ptr[0] - '0') * 100 + (rest.ptr[1] - '0') * 10 + (rest.ptr[2] - '0');
    if (head->status < 100 || head->status > 599) {
        return hl_http1_refuse(status, 502, msg, "the response's status is none");
    }
    size_t skip = rest.len > 3 ? 4 : 3;
    head->reason = (struct hl_slice){.ptr = rest.ptr + skip, .len = rest.len - skip};
    return HL_OK;
}

hl_err hl_http1_header_line(struct hl_http1_header *header, struct hl_slice line, int *status,
                            struct hl_errmsg *msg)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (colon == NULL) {
        return hl_http1_refuse(status, 400, msg, "a header line without ':'");
    }
    struct hl_slice name = {.ptr = line.ptr, .len = (size_t)(colon - line.ptr)};
    if (!hl_http1_is_token(name)) {
        return hl_http1_refuse(status, 400, msg, "malformed header name");
    }
    struct hl_slice value = {.ptr = colon + 1, .len = line.len - name.len - 1};
    if (!hl_http1_is_value(value)) {
        return hl_http1_refuse(status, 400, msg, "a control character in a header");
    }
    *header = (struct hl_http1_header){.name = name, .value = hl_http1_trim(value)};
    return HL_OK;
}

/* --- headers that may stand once -------------------------------------------------------------- */

enum single {
    SINGLE_LENGTH,
    SINGLE_CODING,
    SINGLE_HOST,
    SINGLE_AUTHORIZATION,
    SINGLE_TYPE,
    SINGLE_EXPECT,
    SINGLE_UPGRADE,
    SINGLE_COUNT,
    SINGLE_NONE = SINGLE_COUNT,
};

static const char *const single_names[SINGLE_COUNT] = {
    [SINGLE_LENGTH] = "content-length",
    [SINGLE_CODING] = "transfer-encoding",
    [SINGLE_HOST] = "host",
    [SINGLE_AUTHORIZATION] = "authorization",
    [SINGLE_TYPE] = "content-type",
    [SINGLE_EXPECT] = "expect",
    [SINGLE_UPGRADE] = "upgrade",
};

static enum single single_of(struct hl_slice name)
{
    for (int i = 0; i < SINGLE_COUNT; i++) {
        if (hl_slice_is(name, single_names[i])) {
            return (enum single)i;
        }
    }
    return SINGLE_NONE;
}

/* Some servers take '_' for '-': a framing header in disguise. */
static bool is_disguised(struct hl_slice name)
{
    char plain[sizeof "transfer-encoding"];
    if (name.len >= sizeof plain || memchr(name.ptr, '_', name.len) == NULL) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        plain[i] = name.ptr[i] == '_' ? '-' : name.ptr[i];
    }
    enum single single = single_of((struct hl_slice){.ptr = plain, .len = name.len});
    return single == SINGLE_LENGTH || single == SINGLE_CODING || single == SINGLE_HOST;
}

bool hl_http1_trailer_allowed(struct hl_slice name)
{
    static const char *const others[] = {"connection",
                                         "trailer",
                                         "te",
                                         "cookie",
                                         "set-cookie",
                                         "range",
                                         "keep-alive",
                                         "content-range",
                                         "content-encoding",
                                         "cache-control",
                                         "proxy-authorization"};
    for (size_t i = 0; i < HL_ARRAY_LEN(others); i++) {
        if (hl_slice_is(name, others[i])) {
            return false;
        }
    }
    return single_of(name) == SINGLE_NONE && !is_disguised(name);
}

/* --- host and target -------------------------------------------------------------------------- */

/* A name, an IPv4 address or an [IPv6] one, and perhaps a port. */
static bool host_is_good(struct hl_slice host)
{
    size_t i = 0;
    if (host.len != 0 && host.ptr[0] == '[') {
        for (i = 1;
             i < host.len && (is_hex(host.ptr[i]) || host.ptr[i] == ':' || host.ptr[i] == '.');
             i++) {
        }
        if (i < 4 || i >= host.len || host.ptr[i] != ']') { /* "[::]" is the shortest */
            return false;
        }
        i++;
    } else {
        for (; i < host.len && host.ptr[i] != ':'; i++) {
            unsigned char c = (unsigned char)host.ptr[i];
            bool letter = (c | ' ') >= 'a' && (c | ' ') <= 'z';
            if (!letter && !is_digit((char)c) && c != '-' && c != '.' && c != '_') {
                return false;
            }
        }
    }
    if (i == 0 || i == host.len) {
        return i != 0;
    }
    int64_t port = 0;
    struct hl_slice digits = {.ptr = host.ptr + i + 1, .len = host.len - i - 1};
    return host.ptr[i] == ':' && hl_parse_i64(digits, &port) && port >= 0 && port <= 65535;
}

static bool same_ignoring_case(struct hl_slice a, struct hl_slice b)
{
    for (size_t i = 0; i < a.len && a.len == b.len; i++) {
        unsigned char x = (unsigned char)a.ptr[i];
        unsigned char y = (unsigned char)b.ptr[i];
        bool letter = (x | ' ') >= 'a' && (x | ' ') <= 'z';
        if (x != y && !(letter && (x | ' ') == (y | ' '))) {
            return false;
        }
    }
    return a.len == b.len;
}

/* Length of "http://" or "https://" at the beginning, 0 without. */
static size_t scheme_len(struct hl_slice target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < HL_ARRAY_LEN(schemes); i++) {
        size_t len = strlen(schemes[i]);
        if (target.len > len && same_ignoring_case((struct hl_slice){.ptr = target.ptr, .len = len},
                                                   hl_slice_of(schemes[i]))) {
            return len;
        }
    }
    return 0;
}

/* Split the target into path and query, and compare its authority with Host. */
static hl_err read_target(struct hl_http1_head *head, int *status, struct hl_errmsg *msg)
{
    struct hl_slice rest = head->target;
    size_t scheme = scheme_len(rest);
    if (scheme != 0) {
        rest.ptr += scheme;
        rest.len -= scheme;
        size_t len = 0;
        while (len < rest.len && rest.ptr[len] != '/' && rest.ptr[len] != '?') {
            len++;
        }
        struct hl_slice authority = {.ptr = rest.ptr, .len = len};
        rest.ptr += len;
        rest.len -= len;
        if (!host_is_good(authority)) {
            return hl_http1_refuse(status, 400, msg, "malformed authority in the target");
        }
        if (head->host.ptr != NULL && !same_ignoring_case(authority, head->host)) {
            return hl_http1_refuse(status, 400, msg, "the target and Host name different hosts");
        }
        head->host = authority;
        if (rest.len == 0 || rest.ptr[0] == '?') {
            return hl_http1_refuse(status, 400, msg, "an absolute target without a path");
        }
    }
    bool asterisk = rest.len == 1 && rest.ptr[0] == '*' && hl_slice_is(head->method, "options");
    if (rest.ptr[0] != '/' && !asterisk) {
        return hl_http1_refuse(status, 400, msg, "the target does not begin with '/'");
    }
    const char *mark = memchr(rest.ptr, '?', rest.len);
    head->path = rest;
    if (mark != NULL) {
        head->path.len = (size_t)(mark - rest.ptr);
        head->query = (struct hl_slice){.ptr = mark + 1, .len = rest.len - head->path.len - 1};
    }
    return HL_OK;
}

/* --- connection and framing ------------------------------------------------------------------- */

/* What Connection says; it may not take away what frames and routes the message. */
static hl_err read_connection(struct hl_http1_head *head, struct hl_slice value, int *status,
                              struct hl_errmsg *msg)
{
    struct hl_slice item;
    while (hl_http1_list_next(&value, &item)) {
        enum single named = single_of(item);
        if (!hl_http1_is_token(item) || named == SINGLE_LENGTH || named == SINGLE_CODING ||
            named == SINGLE_HOST) {
            return hl_http1_refuse(status, 400, msg, "malformed Connection");
        }
        if (hl_slice_is(item, "close")) {
            head->keep_alive = false;
        } else if (hl_slice_is(item, "upgrade")) {
            head->wants_upgrade = true;
        }
    }
    return HL_OK;
}

/* Digits only, no superfluous zero, and small enough for signed readers too. */
static bool read_length(struct hl_slice text, uint64_t *length)
{
    return text.len != 0 && is_digit(text.ptr[0]) && hl_parse_u64(text, length) &&
           *length <= INT64_MAX;
}

static hl_err read_framing(struct hl_http1_head *head, const struct hl_slice *const *singles,
                           int *status, struct hl_errmsg *msg)
{
    const struct hl_slice *length = singles[SINGLE_LENGTH];
    const struct hl_slice *coding = singles[SINGLE_CODING];
    if (length != NULL && coding != NULL) {
        return hl_http1_refuse(status, 400, msg, "Content-Length and Transfer-Encoding together");
    }
    if (length != NULL) {
        if (!read_length(*length, &head->length)) {
            head->length = 0;
            return hl_http1_refuse(status, 400, msg, "malformed Content-Length");
        }
        head->has_length = true;
    }
    if (coding != NULL) {
        if (head->minor == 0) {
            return hl_http1_refuse(status, 400, msg, "Transfer-Encoding in HTTP/1.0");
        }
        if (!hl_slice_is(*coding, "chunked")) {
            return hl_http1_refuse(status, 400, msg, "Transfer-Encoding is not just 'chunked'");
        }
        head->chunked = true;
    }
    return HL_OK;
}

/* A response that has no body by its status, or because it answers HEAD. */
static hl_err read_response_body(struct hl_http1_head *head, bool answers_head, int *status,
                                 struct hl_errmsg *msg)
{
    bool never = head->status / 100 == 1 || head->status == 204;
    if (never && (head->chunked || head->length != 0)) {
        return hl_http1_refuse(status, 502, msg, "a body behind a status that has none");
    }
    if (never || head->status == 304 || answers_head) {
        head->chunked = false;
        head->length = 0;
        return HL_OK;
    }
    head->until_close = !head->chunked && !head->has_length;
    head->keep_alive = head->keep_alive && !head->until_close;
    return HL_OK;
}

static hl_err read_request_rest(struct hl_http1_head *head, const struct hl_slice *const *singles,
                                int *status, struct hl_errmsg *msg)
{
    if (hl_slice_equal(head->method, hl_slice_of("CONNECT")) ||
        hl_slice_equal(head->method, hl_slice_of("TRACE"))) {
        return hl_http1_refuse(status, 405, msg, "CONNECT and TRACE are not served");
    }
    if (singles[SINGLE_HOST] == NULL && head->minor == 1) {
        return hl_http1_refuse(status, 400, msg, "no Host");
    }
    if (singles[SINGLE_HOST] != NULL) {
        head->host = *singles[SINGLE_HOST];
        if (!host_is_good(head->host)) {
            return hl_http1_refuse(status, 400, msg, "malformed Host");
        }
    }
    if (singles[SINGLE_EXPECT] != NULL) {
        if (!hl_slice_is(*singles[SINGLE_EXPECT], "100-continue")) {
            return hl_http1_refuse(status, 417, msg, "Expect is not 100-continue");
        }
        head->expects_continue =
            head->minor == 1 && (head->chunked || head->length != 0); /* else there is no wait */
    }
    return read_target(head, status, msg);
}

hl_err hl_http1_rules(struct hl_http1_head *head, bool requests, bool answers_head, int *status,
                      struct hl_errmsg *msg)
{
    const struct hl_slice *singles[SINGLE_COUNT] = {0};
    bool asks_keep = false;
    head->keep_alive = true;
    for (size_t i = 0; i < head->header_count; i++) {
        const struct hl_http1_header *h = &head->headers[i];
        enum single single = single_of(h->name);
        if (is_disguised(h->name)) {
            return hl_http1_refuse(status, 400, msg, "a framing header in disguise");
        }
        if (single != SINGLE_NONE) {
            if (singles[single] != NULL && (requests || single < SINGLE_HOST)) {
                return hl_http1_refuse(status, 400, msg, "a header twice that may stand once");
            }
            singles[single] = &h->value;
        } else if (hl_slice_is(h->name, "connection")) {
            asks_keep = asks_keep || hl_http1_list_has(h->value, "keep-alive");
            hl_err err = read_connection(head, h->value, status, msg);
            if (err != HL_OK) {
                return err;
            }
        }
    }
    head->keep_alive = head->keep_alive && (head->minor == 1 || asks_keep);
    head->wants_upgrade = head->wants_upgrade && singles[SINGLE_UPGRADE] != NULL;
    if (head->wants_upgrade) {
        head->upgrade = *singles[SINGLE_UPGRADE];
    }
    hl_err err = read_framing(head, singles, status, msg);
    if (err != HL_OK) {
        return err;
    }
    return requests ? read_request_rest(head, singles, status, msg)
                    : read_response_body(head, answers_head, status, msg);
}
