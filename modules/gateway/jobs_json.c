#include "jobs_json.h"

#include "kit/assert.h"
#include "kit/json.h"

#define YEAR_S (INT64_C(365) * 86400)
#define SPAN_MAX_S (INT64_C(28) * 86400) /* of leases and back-offs, as jobs has it */
#define SHOWN_DEPTH_MAX 32

bool gw_queue_valid(struct hl_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_' || c == '-' || c == '{' || c == '}';
        if (!good) {
            return false;
        }
    }
    return name.len >= 1 && name.len <= GW_QUEUE_MAX;
}

struct hl_slice gw_queue_of_id(struct hl_slice id)
{
    const char *colon = id.len == 0 || id.len > GW_JOB_ID_MAX ? NULL : memrchr(id.ptr, ':', id.len);
    struct hl_slice queue = {.ptr = id.ptr, .len = colon == NULL ? 0 : (size_t)(colon - id.ptr)};
    return gw_queue_valid(queue) ? queue : (struct hl_slice){0};
}

/* --- status ----------------------------------------------------------------------------------- */

/* The states of jobs, and the words of the API; the first row of a word is what it stands for. */
static const struct state {
    const char *state, *status, *list;
} states[] = {
    {"ready", "PENDING", "pending"},
    {"scheduled", "PENDING", "pending"},
    {"leased", "IN_PROGRESS", "leased"},
    {"done", "DONE", "done"},
    {"dead", "DLQ", "dead"},
    {"failed", "FAILED", "failed"},
    {"cancelled", "CANCELLED", "cancelled"},
};

const char *gw_jobs_state(struct hl_slice status)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(states); i++) {
        if (hl_slice_is(status, states[i].status)) {
            return states[i].list;
        }
        if (hl_slice_is(status, states[i].state)) {
            return states[i].state;
        }
    }
    return NULL;
}

static const char *status_of(struct hl_slice state)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(states); i++) {
        if (hl_slice_is(state, states[i].state)) {
            return states[i].status;
        }
    }
    return "UNKNOWN";
}

/* --- a job shown ------------------------------------------------------------------------------ */

/* What is stored, as JSON when it is, as a text otherwise. */
static json_t *stored(RedisModuleCallReply *reply)
{
    struct hl_slice text = gw_reply_text(reply);
    struct hl_json_limits limits = {.size_max = GW_BODY_MOST, .depth_max = SHOWN_DEPTH_MAX};
    json_t *value = NULL;
    if (text.ptr == NULL) {
        return json_null();
    }
    return hl_json_parse(&value, text, &limits, NULL) == HL_OK ? value : gw_json_text(text);
}

static const struct member {
    const char *name, *field;
    int divisor; /* of a number; 0: as it is */
} members[] = {
    {"id", "id", 0},
    {"queue", "queue", 0},
    {"attempts", "attempts", 0},
    {"attempt", "attempt", 0},
    {"max_attempts", "max_attempts", 0},
    {"priority", "priority", 0},
    {"token", "token", 0},
    {"fence", "fence", 0},
    {"lease_until", "deadline", 0},
    {"lease_until", "lease_until", 0},
    {"created_at", "created_at", 0},
    {"last_updated", "updated_at", 0},
    {"due_at", "due_at", 0},
    {"expires_at", "expires_at", 0},
    {"visibility_timeout", "visibility_ms", 1000},
    {"dedup_id", "dedup_id", 0},
    {"worker", "worker", 0},
    {"error", "error", 0},
    {"progress", "progress", 0},
    {"progress_text", "progress_text", 0},
};

json_t *gw_job_json(RedisModuleCallReply *job)
{
    json_t *object = json_object();
    for (size_t i = 0; i < HL_ARRAY_LEN(members); i++) {
        RedisModuleCallReply *value = gw_reply_field(job, members[i].field);
        if (value != NULL && members[i].divisor != 0) {
            int64_t whole = gw_reply_number(value) / members[i].divisor;
            json_object_set_new(object, members[i].name, json_integer(whole));
        } else if (value != NULL) {
            json_object_set_new(object, members[i].name, gw_reply_json(value));
        }
    }
    json_object_set_new(object, "payload", stored(gw_reply_field(job, "payload")));
    RedisModuleCallReply *state = gw_reply_field(job, "status");
    if (state != NULL) { /* of JOB.PULL there is none */
        json_object_set_new(object, "status", json_string(status_of(gw_reply_text(state))));
        json_object_set_new(object, "state", gw_reply_json(state));
        json_object_set_new(object, "result", stored(gw_reply_field(job, "result")));
    }
    return object;
}

/* --- a job asked for -------------------------------------------------------------------------- */

static void text_option(struct gw_form *form, const char *name, struct gw_command *push,
                        const char *option, size_t most)
{
    struct hl_slice text = gw_form_text_or(form, name, 1, most);
    if (text.ptr != NULL) {
        gw_arg_text(push, option);
        gw_arg(push, text);
    }
}

static void number_option(struct gw_form *form, const char *name, struct gw_command *push,
                          const char *option, int64_t least, int64_t most, int64_t factor)
{
    const int64_t absent = INT64_MIN;
    int64_t number = gw_form_number_or(form, name, absent, least, most);
    if (number != absent) {
        gw_arg_text(push, option);
        gw_arg_number(push, number * factor);
    }
}

/* {"type":"exp","base_ms":1000,"max_ms":60000,"jitter":20} */
static void backoff_option(struct gw_form *form, struct gw_command *push)
{
    const json_t *value = form->object == NULL ? NULL : json_object_get(form->object, "backoff");
    if (value == NULL || json_is_null(value)) {
        return;
    }
    if (!json_is_object(value)) {
        gw_form_fault(form, "'backoff' must be an object");
        return;
    }
    struct gw_form inner = {.object = value};
    struct hl_slice type = gw_form_text(&inner, "type", 1, 16);
    int64_t base_ms = gw_form_number(&inner, "base_ms", 0, SPAN_MAX_S * 1000);
    int64_t max_ms = gw_form_number_or(&inner, "max_ms", base_ms, 0, SPAN_MAX_S * 1000);
    int64_t jitter = gw_form_number_or(&inner, "jitter", 0, 0, 100);
    if (inner.why[0] == '\0' && !hl_slice_is(type, "fixed") && !hl_slice_is(type, "exp")) {
        gw_form_fault(&inner, "'type' must be fixed or exp");
    }
    if (inner.why[0] != '\0') {
        gw_form_fault(form, "backoff: %s", inner.why);
        return;
    }
    gw_arg_text(push, "BACKOFF");
    gw_arg(push, type);
    gw_arg_number(push, base_ms);
    gw_arg_number(push, max_ms);
    gw_arg_number(push, jitter);
}

void gw_push_options(struct gw_form *form, struct gw_command *push)
{
    text_option(form, "dedup_id", push, "ID", 512);
    number_option(form, "dedup_window", push, "WINDOW", 1, 10 * YEAR_S, 1);
    number_option(form, "delay", push, "DELAY", 0, 10 * YEAR_S, 1000);
    number_option(form, "priority", push, "PRI", INT8_MIN, INT8_MAX, 1);
    number_option(form, "max_attempts", push, "MAXTRY", 1, 10000, 1);
    number_option(form, "visibility_timeout", push, "VIS", 1, SPAN_MAX_S, 1);
    number_option(form, "ttl", push, "TTL", 1, 10 * YEAR_S, 1);
    backoff_option(form, push);
}

bool gw_stored_json(const json_t *body, const char *name, struct hl_buf *out)
{
    const json_t *value = body == NULL ? NULL : json_object_get(body, name);
    if (value == NULL || json_is_null(value)) {
        return false;
    }
    hl_json_append(out, value);
    return true;
}
