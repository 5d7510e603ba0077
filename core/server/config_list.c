/* Values that are texts: names, addresses and lists, checked and brought into one spelling. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "server/config_internal.h"

#include <math.h>

/* Letters of notify-keyspace-events in the order CONFIG GET prints them, with the ABI's bits. */
static const struct {
    char letter;
    int bit;
} event_classes[] = {
    {'g', 1 << 2},  {'$', 1 << 3}, {'l', 1 << 4}, {'s', 1 << 5},  {'h', 1 << 6},
    {'z', 1 << 7},  {'x', 1 << 8}, {'e', 1 << 9}, {'t', 1 << 10}, {'d', 1 << 13},
    {'n', 1 << 14}, {'K', 1 << 0}, {'E', 1 << 1}, {'m', 1 << 11},
};
#define EVENTS_ALL 10236 /* what 'A' stands for: all but K, E, m and n */

static const char *const output_classes[HL_CONFIG_OUTPUT_CLASSES] = {"normal", "slave", "pubsub"};

static void set_text(struct config_value *out, struct hl_slice text)
{
    out->text = hl_strndup(text.ptr == NULL ? "" : text.ptr, text.len);
}

bool hl_config_split_address(struct hl_slice text, char host[256], int *port)
{
    struct hl_slice name = {.ptr = text.ptr, .len = 0};
    struct hl_slice digits = text;
    if (text.len != 0 && text.ptr[0] == '[') {
        const char *close = memchr(text.ptr, ']', text.len);
        if (close == NULL || close + 1 == text.ptr + text.len || close[1] != ':') {
            return false;
        }
        name = (struct hl_slice){.ptr = text.ptr + 1, .len = (size_t)(close - text.ptr) - 1};
        digits.ptr = close + 2;
        digits.len = text.len - name.len - 3;
    } else {
        for (size_t i = text.len; i > 0; i--) {
            if (text.ptr[i - 1] == ':') {
                name.len = i - 1;
                digits = (struct hl_slice){.ptr = text.ptr + i, .len = text.len - i};
                break;
            }
        }
        if (name.len != 0 && memchr(name.ptr, ':', name.len) != NULL) {
            return false; /* an IPv6 address needs its brackets */
        }
    }
    int64_t number = 0;
    if (name.len > 255 || !hl_parse_i64(digits, &number) || number < 0 || number > 65535) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (c <= ' ' || c >= 127 || c == ',' || c == '/') {
            return false;
        }
    }
    if (name.len != 0) {
        memcpy(host, name.ptr, name.len);
    }
    host[name.len] = '\0';
    *port = (int)number;
    return true;
}

static bool is_name(struct hl_slice text)
{
    if (text.len == 0 || text.ptr[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    c == '_' || c == '-' || c == '.';
        if (!fine) {
            return false;
        }
    }
    return true;
}

/* The next "id:host:port" of a list separated by commas or spaces.  1 found, 0 end, -1 malformed.
 */
static int next_peer(struct hl_slice *rest, struct hl_config_peer *peer)
{
    while (rest->len != 0 && (rest->ptr[0] == ',' || rest->ptr[0] == ' ')) {
        rest->ptr++;
        rest->len--;
    }
    if (rest->len == 0) {
        return 0;
    }
    size_t end = 0;
    while (end < rest->len && rest->ptr[end] != ',' && rest->ptr[end] != ' ') {
        end++;
    }
    struct hl_slice item = {.ptr = rest->ptr, .len = end};
    *rest = (struct hl_slice){.ptr = rest->ptr + end, .len = rest->len - end};
    const char *colon = memchr(item.ptr, ':', item.len);
    size_t id_len = colon == NULL ? item.len : (size_t)(colon - item.ptr);
    if (colon == NULL || id_len > 64 ||
        !is_name((struct hl_slice){.ptr = item.ptr, .len = id_len})) {
        return -1;
    }
    memcpy(peer->id, item.ptr, id_len);
    peer->id[id_len] = '\0';
    struct hl_slice address = {.ptr = colon + 1, .len = item.len - id_len - 1};
    if (!hl_config_split_address(address, peer->host, &peer->port) || peer->host[0] == '\0' ||
        peer->port == 0) {
        return -1;
    }
    return 1;
}

static hl_err parse_peers(struct hl_slice text, struct config_value *out, struct hl_errmsg *msg)
{
    struct hl_config_peer peers[HL_CONFIG_PEERS_MAX];
    struct hl_buf list = {0};
    hl_err err = HL_OK;
    size_t count = 0;
    for (;;) {
        struct hl_config_peer peer;
        int found = next_peer(&text, &peer);
        if (found == 0) {
            break;
        }
        if (found < 0) {
            err = hl_fail(msg, HL_EINVAL, "a peer must be id:host:port, as node-2:127.0.0.1:7001");
            break;
        }
        if (count == HL_CONFIG_PEERS_MAX) {
            err = hl_fail(msg, HL_EINVAL, "more than %d peers", HL_CONFIG_PEERS_MAX);
            break;
        }
        for (size_t i = 0; i < count && err == HL_OK; i++) {
            if (strcmp(peers[i].id, peer.id) == 0) {
                err = hl_fail(msg, HL_EINVAL, "peer '%s' is named twice", peer.id);
            }
        }
        if (err != HL_OK) {
            break;
        }
        peers[count++] = peer;
        bool v6 = strchr(peer.host, ':') != NULL;
        hl_buf_printf(&list, v6 ? "%s%s:[%s]:%d" : "%s%s:%s:%d", count == 1 ? "" : ",", peer.id,
                      peer.host, peer.port);
    }
    if (err == HL_OK) {
        set_text(out, hl_buf_view(&list));
    }
    hl_buf_fini(&list);
    return err;
}

static hl_err parse_save(struct hl_slice text, struct config_value *out, struct hl_errmsg *msg)
{
    struct hl_buf list = {0};
    struct hl_slice word;
    size_t count = 0;
    bool good = true;
    while (good && hl_config_next_word(&text, &word)) {
        int64_t v = 0;
        good = hl_parse_i64(word, &v) && v >= (count % 2 == 0 ? 1 : 0) && v <= INT32_MAX &&
               count < (size_t)HL_CONFIG_SAVE_POINTS_MAX * 2;
        hl_buf_printf(&list, "%s%lld", count == 0 ? "" : " ", (long long)v);
        count++;
    }
    if (good && count % 2 == 0) {
        set_text(out, hl_buf_view(&list));
    }
    hl_buf_fini(&list);
    return good && count % 2 == 0 ? HL_OK : hl_fail(msg, HL_EINVAL, "Invalid save parameters");
}

/* Read the stored form, which is well-formed. */
static void read_limits(const char *text, struct hl_config_output_limit *out)
{
    struct hl_slice rest = hl_slice_of(text);
    struct hl_slice word;
    for (int class = 0; class < HL_CONFIG_OUTPUT_CLASSES; class ++) {
        int64_t numbers[3] = {0};
        HL_ASSERT(hl_config_next_word(&rest, &word));
        for (int i = 0; i < 3; i++) {
            HL_ASSERT(hl_config_next_word(&rest, &word) && hl_parse_i64(word, &numbers[i]));
        }
        out[class] = (struct hl_config_output_limit){numbers[0], numbers[1], numbers[2]};
    }
}

static hl_err parse_output_limit(struct hl_slice text, const struct config_value *old,
                                 struct config_value *out, struct hl_errmsg *msg)
{
    struct hl_config_output_limit limits[HL_CONFIG_OUTPUT_CLASSES] = {0};
    if (old->text != NULL) {
        read_limits(old->text, limits);
    }
    struct hl_slice word;
    while (hl_config_next_word(&text, &word)) {
        int class = 0;
        while (class < HL_CONFIG_OUTPUT_CLASSES && !hl_slice_is(word, output_classes[class])) {
            class ++;
        }
        class = hl_slice_is(word, "replica") ? 1 : class;
        struct hl_slice hard, soft, seconds;
        if (!hl_config_next_word(&text, &hard) || !hl_config_next_word(&text, &soft) ||
            !hl_config_next_word(&text, &seconds)) {
            return hl_fail(msg, HL_EINVAL,
                           "Wrong number of arguments in buffer limit configuration.");
        }
        if (class == HL_CONFIG_OUTPUT_CLASSES) {
            return hl_fail(msg, HL_EINVAL,
                           "Invalid client class specified in buffer limit configuration.");
        }
        struct hl_config_output_limit limit = {0};
        if (!hl_parse_size(hard, &limit.hard) || !hl_parse_size(soft, &limit.soft) ||
            !hl_parse_i64(seconds, &limit.soft_s) || limit.hard < 0 || limit.soft < 0 ||
            limit.soft_s < 0 || limit.soft_s > INT32_MAX) {
            return hl_fail(msg, HL_EINVAL,
                           "Error in hard, soft or soft_seconds setting in buffer limit "
                           "configuration.");
        }
        limits[class] = limit;
    }
    struct hl_buf list = {0};
    for (int class = 0; class < HL_CONFIG_OUTPUT_CLASSES; class ++) {
        hl_buf_printf(&list, "%s%s %lld %lld %lld", class == 0 ? "" : " ", output_classes[class],
                      (long long)limits[class].hard, (long long)limits[class].soft,
                      (long long)limits[class].soft_s);
    }
    set_text(out, hl_buf_view(&list));
    hl_buf_fini(&list);
    return HL_OK;
}

static hl_err parse_percentiles(struct hl_slice text, struct config_value *out,
                                struct hl_errmsg *msg)
{
    struct hl_buf list = {0};
    struct hl_slice word;
    while (hl_config_next_word(&text, &word)) {
        double v = 0;
        bool number = hl_parse_double(word, &v);
        if (!number || v < 0 || v > 100) {
            hl_buf_fini(&list);
            return number ? hl_fail(msg, HL_EINVAL,
                                    "latency-tracking-info-percentiles parameters should sit "
                                    "between [0.0,100.0]")
                          : hl_fail(msg, HL_EINVAL,
                                    "Invalid latency-tracking-info-percentiles parameters");
        }
        char digits[HL_DOUBLE_TEXT_MAX];
        (void)snprintf(digits, sizeof digits, "%.10g", v);
        hl_buf_printf(&list, "%s%s", list.len == 0 ? "" : " ", digits);
    }
    set_text(out, hl_buf_view(&list));
    hl_buf_fini(&list);
    return HL_OK;
}

static hl_err parse_events(struct hl_slice text, struct config_value *out, struct hl_errmsg *msg)
{
    int bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        int bit = text.ptr[i] == 'A' ? EVENTS_ALL : 0;
        for (size_t k = 0; k < HL_ARRAY_LEN(event_classes) && bit == 0; k++) {
            bit = event_classes[k].letter == text.ptr[i] ? event_classes[k].bit : 0;
        }
        if (bit == 0) {
            return hl_fail(msg, HL_EINVAL, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        }
        bits |= bit;
    }
    struct hl_buf letters = {0};
    bool all = (bits & EVENTS_ALL) == EVENTS_ALL;
    hl_buf_append_text(&letters, all ? "A" : "");
    for (size_t k = 0; k < HL_ARRAY_LEN(event_classes); k++) {
        bool covered = all && (event_classes[k].bit & EVENTS_ALL) != 0;
        if ((bits & event_classes[k].bit) != 0 && !covered) {
            hl_buf_append(&letters, &event_classes[k].letter, 1);
        }
    }
    set_text(out, hl_buf_view(&letters));
    hl_buf_fini(&letters);
    out->num = bits;
    return HL_OK;
}

static hl_err parse_oom_values(struct hl_slice text, struct config_value *out,
                               struct hl_errmsg *msg)
{
    struct hl_buf list = {0};
    struct hl_slice word;
    int count = 0;
    bool good = true;
    while (hl_config_next_word(&text, &word)) {
        int64_t v = 0;
        good = good && hl_parse_i64(word, &v) && v >= -2000 && v <= 2000;
        hl_buf_printf(&list, "%s%lld", count == 0 ? "" : " ", (long long)v);
        count++;
    }
    if (good && count == 3) {
        set_text(out, hl_buf_view(&list));
    }
    hl_buf_fini(&list);
    if (count != 3) {
        return hl_fail(msg, HL_EINVAL, "wrong number of arguments");
    }
    return good ? HL_OK
                : hl_fail(msg, HL_EINVAL,
                          "Invalid oom-score-adj-values, elements must be between -2000 and 2000.");
}

/* Words separated by spaces, brought to single spaces; each must satisfy the type. */
static hl_err parse_words(const struct config_row *row, struct hl_slice text,
                          struct config_value *out, struct hl_errmsg *msg)
{
    struct hl_buf list = {0};
    struct hl_slice word;
    hl_err err = HL_OK;
    int count = 0;
    while (err == HL_OK && hl_config_next_word(&text, &word)) {
        if (row->type == HL_CFG_TYPE_TLS_PROTOCOLS) {
            bool known = hl_slice_is(word, "TLSv1.2") || hl_slice_is(word, "TLSv1.3");
            err = known ? HL_OK : hl_fail(msg, HL_EINVAL, "protocols must be TLSv1.2 or TLSv1.3");
        } else if (++count > 16) {
            err = hl_fail(msg, HL_EINVAL, "Too many bind addresses specified.");
        }
        hl_buf_append_text(&list, list.len == 0 ? "" : " ");
        hl_buf_append_slice(&list, word);
    }
    if (err == HL_OK) {
        set_text(out, hl_buf_view(&list));
    }
    hl_buf_fini(&list);
    return err;
}

static hl_err parse_address(const struct config_row *row, struct hl_slice text,
                            struct hl_errmsg *msg)
{
    char host[256];
    int port = 0;
    bool good = text.len == 0 && row->min == 0;
    if (!good && hl_config_split_address(text, host, &port)) {
        good = row->type == HL_CFG_TYPE_LISTEN || (host[0] != '\0' && port != 0);
    }
    if (good) {
        return HL_OK;
    }
    return row->type == HL_CFG_TYPE_LISTEN
               ? hl_fail(msg, HL_EINVAL, "argument must be :port, host:port or [address]:port")
               : hl_fail(msg, HL_EINVAL, "argument must be host:port or [address]:port");
}

static bool starts_with(struct hl_slice text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && memcmp(text.ptr, prefix, len) == 0;
}

/* The types that keep their spelling. */
static hl_err check_text(const struct config_row *row, struct hl_slice text, struct hl_errmsg *msg)
{
    if (text.len == 0 && row->min > 0) {
        return hl_fail(msg, HL_EINVAL, "argument must not be empty");
    }
    if (row->max > 0 && text.len > (size_t)row->max) {
        return hl_fail(msg, HL_EINVAL, "argument is longer than %lld bytes", (long long)row->max);
    }
    bool control = false;
    for (size_t i = 0; i < text.len; i++) {
        control |= (unsigned char)text.ptr[i] < ' ' && text.ptr[i] != '\t';
    }
    if (control && row->type != HL_CFG_TYPE_SECRET) {
        return hl_fail(msg, HL_EINVAL, "argument has a control character");
    }
    if (row->type == HL_CFG_TYPE_NAME && !is_name(text)) {
        return hl_fail(msg, HL_EINVAL, "argument may have letters, digits, '_', '-' and '.' only");
    }
    if (row->type == HL_CFG_TYPE_FILENAME && text.len != 0 &&
        (memchr(text.ptr, '/', text.len) != NULL || hl_slice_is(text, ".") ||
         hl_slice_is(text, ".."))) {
        return hl_fail(msg, HL_EINVAL, "%s can't be a path, just a filename", row->name);
    }
    if (row->type == HL_CFG_TYPE_URL && text.len != 0 && !starts_with(text, "http://") &&
        !starts_with(text, "https://")) {
        return hl_fail(msg, HL_EINVAL, "argument must start with http:// or https://");
    }
    if (row->type == HL_CFG_TYPE_ADDRESS || row->type == HL_CFG_TYPE_LISTEN) {
        return parse_address(row, text, msg);
    }
    return HL_OK;
}

hl_err config_parse_text(const struct config_row *row, struct hl_slice text,
                         const struct config_value *old, struct config_value *out,
                         struct hl_errmsg *msg)
{
    HL_ASSERT(!config_is_number(row));
    hl_err err = check_text(row, text, msg);
    if (err != HL_OK) {
        return err;
    }
    if (row->type == HL_CFG_TYPE_OUTPUT_LIMIT) {
        return parse_output_limit(text, old, out, msg);
    }
    if (row->type == HL_CFG_TYPE_SAVE) {
        return parse_save(text, out, msg);
    }
    if (row->type == HL_CFG_TYPE_PEERS) {
        return parse_peers(text, out, msg);
    }
    if (row->type == HL_CFG_TYPE_PERCENTILES) {
        return parse_percentiles(text, out, msg);
    }
    if (row->type == HL_CFG_TYPE_EVENTS) {
        return parse_events(text, out, msg);
    }
    if (row->type == HL_CFG_TYPE_OOM_VALUES) {
        return parse_oom_values(text, out, msg);
    }
    if (row->type == HL_CFG_TYPE_BIND || row->type == HL_CFG_TYPE_TLS_PROTOCOLS) {
        return parse_words(row, text, out, msg);
    }
    set_text(out, text);
    return HL_OK;
}

bool config_takes_words(const struct config_row *row)
{
    return row->type >= HL_CFG_TYPE_BIND || row->type == HL_CFG_TYPE_BITS ||
           strcmp(row->name, "replicaof") == 0;
}

void hl_config_output_limits(const struct hl_config *cfg, struct hl_config_output_limit *out)
{
    read_limits(hl_config_text(cfg, HL_CFG_CLIENT_OUTPUT_BUFFER_LIMIT), out);
}

size_t hl_config_save_points(const struct hl_config *cfg, struct hl_config_save_point *out)
{
    struct hl_slice rest = hl_slice_of(hl_config_text(cfg, HL_CFG_SAVE));
    struct hl_slice word;
    size_t count = 0;
    while (count < HL_CONFIG_SAVE_POINTS_MAX && hl_config_next_word(&rest, &word)) {
        HL_ASSERT(hl_parse_i64(word, &out[count].seconds));
        HL_ASSERT(hl_config_next_word(&rest, &word) && hl_parse_i64(word, &out[count].changes));
        count++;
    }
    return count;
}

size_t hl_config_peers(const struct hl_config *cfg, struct hl_config_peer *out)
{
    struct hl_slice rest = hl_slice_of(hl_config_text(cfg, HL_CFG_RAFT_PEERS));
    size_t count = 0;
    while (count < HL_CONFIG_PEERS_MAX && next_peer(&rest, &out[count]) == 1) {
        count++;
    }
    return count;
}
