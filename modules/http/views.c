/* Looking at a request: nothing here changes what another thread sees (R3 of request.h). */
#include "answers.h"

#include "request.h"
#include "socket.h"
#include "stats.h"

#include "kit/alloc.h"
#include "kit/http1_text.h"

static struct helios_http_text text_of(struct hl_slice slice)
{
    return (struct helios_http_text){.ptr = slice.ptr, .len = slice.len};
}

static struct helios_http_text text_view(const char *text)
{
    return (struct helios_http_text){.ptr = text, .len = strlen(text)};
}

static struct helios_http_text method(const struct helios_http_request *r)
{
    return text_of(r->head.method);
}

static struct helios_http_text path(const struct helios_http_request *r)
{
    return text_of(r->head.path);
}

static struct helios_http_text query(const struct helios_http_request *r)
{
    return text_of(r->head.query);
}

static struct helios_http_text query_value(struct helios_http_request *r, const char *name)
{
    struct decoded *decoded = hl_calloc(1, sizeof *decoded);
    hl_buf_grow(&decoded->text, 1); /* an empty value is not NULL */
    if (hl_query_find(r->head.query, name, &decoded->text) != HL_OK) {
        hl_buf_fini(&decoded->text);
        hl_free(decoded);
        return (struct helios_http_text){0};
    }
    decoded->next = r->decoded;
    r->decoded = decoded;
    return text_of(hl_buf_view(&decoded->text));
}

static struct helios_http_text param(const struct helios_http_request *r, const char *name)
{
    for (size_t i = 0; i < r->param_count; i++) {
        if (hl_slice_equal(r->params[i].name, hl_slice_of(name))) {
            struct hl_slice value = hl_buf_view(&r->params[i].value);
            return value.len != 0 ? text_of(value) : text_view("");
        }
    }
    return (struct helios_http_text){0};
}

static struct helios_http_text pattern(const struct helios_http_request *r)
{
    return text_view(r->served->pattern);
}

static struct helios_http_text header(const struct helios_http_request *r, const char *name)
{
    const struct hl_slice *value = hl_http1_find(&r->head, name);
    return value != NULL ? text_of(*value) : (struct helios_http_text){0};
}

static int header_at(const struct helios_http_request *r, size_t index,
                     struct helios_http_text *name, struct helios_http_text *value)
{
    if (index >= r->head.header_count) {
        return HELIOS_HTTP_EINVAL;
    }
    *name = text_of(r->head.headers[index].name);
    *value = text_of(r->head.headers[index].value);
    return HELIOS_HTTP_OK;
}

static struct helios_http_text body(const struct helios_http_request *r)
{
    return text_of(hl_buf_view(&r->body));
}

static struct helios_http_text remote(const struct helios_http_request *r)
{
    return text_view(r->remote);
}

static struct helios_http_text request_id(const struct helios_http_request *r)
{
    return text_view(r->trace.request_id);
}

static struct helios_http_text traceparent(const struct helios_http_request *r)
{
    return text_view(r->trace.parent);
}

static int is_tls(const struct helios_http_request *r)
{
    return r->secure;
}

static int is_gone(const struct helios_http_request *r)
{
    return atomic_load(&r->gone);
}

static int note(struct helios_http_request *r, const char *name, void *value,
                void (*destroy)(void *value))
{
    size_t at = 0;
    while (at < r->note_count && strcmp(r->notes[at].name, name) != 0) {
        at++;
    }
    if (at == HTTP_NOTES_MAX) {
        return HELIOS_HTTP_EFULL;
    }
    if (at == r->note_count) {
        r->note_count++;
    } else if (r->notes[at].destroy != NULL) {
        r->notes[at].destroy(r->notes[at].value);
    }
    r->notes[at] = (struct note){.name = name, .value = value, .destroy = destroy};
    return HELIOS_HTTP_OK;
}

static void *noted(const struct helios_http_request *r, const char *name)
{
    for (size_t i = 0; i < r->note_count; i++) {
        if (strcmp(r->notes[i].name, name) == 0) {
            return r->notes[i].value;
        }
    }
    return NULL;
}

static int set_user(struct helios_http_request *r, const char *name, size_t len)
{
    if (len > HTTP_USER_MAX) {
        return HELIOS_HTTP_EINVAL;
    }
    memcpy(r->user, name, len);
    r->user[len] = '\0';
    return HELIOS_HTTP_OK;
}

static int wants_socket(const struct helios_http_request *r)
{
    return socket_is_wanted(&r->head);
}

static int counter_at(size_t index, const char **name, long long *value)
{
    if (index >= COUNTER_COUNT) {
        return HELIOS_HTTP_EINVAL;
    }
    *name = stats_name((enum counter)index);
    *value = stats_get((enum counter)index);
    return HELIOS_HTTP_OK;
}

void views_fill(struct helios_http_service *table)
{
    table->method = method;
    table->path = path;
    table->query = query;
    table->query_value = query_value;
    table->param = param;
    table->pattern = pattern;
    table->header = header;
    table->header_at = header_at;
    table->body = body;
    table->remote = remote;
    table->request_id = request_id;
    table->traceparent = traceparent;
    table->is_tls = is_tls;
    table->is_gone = is_gone;
    table->note = note;
    table->noted = noted;
    table->set_user = set_user;
    table->wants_socket = wants_socket;
    table->counter_at = counter_at;
}
