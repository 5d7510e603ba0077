#include "feed_words.h"

#include "kit/json.h"

#include <jansson.h>
#include <stdio.h>
#include <strings.h>

static const char *const names[GW_TOPICS] = {
    "status", "latency", "uptime", "snapshot", "custom_metrics", "state_changes", "peer_changes"};

const char *gw_topic_name(enum gw_topic topic)
{
    return names[topic];
}

/* The topic's bit; 0 when there is none of that name. */
static unsigned bit_of(const char *name)
{
    for (unsigned i = 0; name != NULL && i < GW_TOPICS; i++) {
        if (strcmp(name, names[i]) == 0) {
            return 1u << i;
        }
    }
    return 0;
}

static bool read_topics(const json_t *data, unsigned *topics)
{
    size_t at = 0;
    const char *name = NULL;
    json_t *value = NULL;
    bool good = json_is_object(data) || json_is_array(data);
    if (json_is_array(data)) {
        json_array_foreach(data, at, value)
        {
            unsigned bit = bit_of(json_string_value(value));
            *topics |= bit;
            good = good && bit != 0;
        }
    }
    json_object_foreach((json_t *)data, name, value)
    {
        unsigned bit = bit_of(name);
        *topics |= json_is_true(value) ? bit : 0;
        good = good && bit != 0 && json_is_boolean(value);
    }
    return good;
}

static struct gw_said understand(const json_t *object)
{
    struct gw_said said = {0};
    const char *type = json_string_value(json_object_get(object, "type"));
    bool subscribes = type != NULL && strcmp(type, "subscribe") == 0;
    if (type != NULL && strcmp(type, "ping") == 0) {
        said.saying = GW_SAYS_PING;
    } else if (subscribes || (type != NULL && strcmp(type, "unsubscribe") == 0)) {
        if (read_topics(json_object_get(object, "data"), &said.topics)) {
            said.saying = subscribes ? GW_SAYS_SUBSCRIBE : GW_SAYS_UNSUBSCRIBE;
        } else {
            (void)snprintf(said.why, sizeof said.why,
                           "data: an array of topics, or an object of topic: true or false");
        }
    } else {
        (void)snprintf(said.why, sizeof said.why, "type: ping, subscribe or unsubscribe");
    }
    return said;
}

struct gw_said gw_feed_read(struct hl_slice text)
{
    struct hl_json_limits limits = {.size_max = GW_FEED_MESSAGE_MAX, .depth_max = 4};
    struct hl_errmsg msg = {{0}};
    struct gw_said said = {0};
    json_t *object = NULL;
    if (hl_json_parse(&object, text, &limits, &msg) != HL_OK) {
        (void)snprintf(said.why, sizeof said.why, "%.100s", msg.text);
        return said;
    }
    said = understand(object);
    json_decref(object);
    return said;
}

bool gw_is_same_origin(struct hl_slice origin, struct hl_slice host)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t len = strlen(schemes[i]);
        if (origin.len == len + host.len && host.len != 0 &&
            strncasecmp(origin.ptr, schemes[i], len) == 0 &&
            strncasecmp(origin.ptr + len, host.ptr, host.len) == 0) {
            return true;
        }
    }
    return false;
}
