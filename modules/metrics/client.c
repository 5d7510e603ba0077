#include "client.h"

#include "accept.h"
#include "settings.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/http1_write.h"
#include "net/answer.h"
#include "net/desk.h"

#include <stdio.h>

#define REQUEST_MAX (16 * 1024) /* bytes of a head */

static struct client *client_of(const struct net_stream *stream)
{
    return (struct client *)(uintptr_t)stream;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void put_head(struct client *client, int status, const char *type, size_t len)
{
    struct hl_buf *out = &client->stream.out;
    hl_http1_put_status(out, status);
    hl_http1_put(out, "Date", net_loop_date(&client->endpoint->net));
    hl_http1_put(out, "Content-Type", type);
    hl_http1_put_length(out, len);
    hl_http1_put(out, "Cache-Control", "no-store");
    hl_http1_put(out, "X-Content-Type-Options", "nosniff");
    if (status == 200) {
        hl_http1_put(out, "Vary", "Accept");
    }
    if (status == 405) {
        hl_http1_put(out, "Allow", "GET, HEAD");
    }
    if (client->last) {
        hl_http1_put(out, "Connection", "close");
    }
    hl_http1_put_end(out);
}

/* The request is answered: what now? */
static void end_request(struct client *client)
{
    client->waits = false;
    client->since_ms = net_loop_now_ms(&client->endpoint->net);
    if (client->last) {
        net_stream_finish(&client->stream);
        return;
    }
    hl_http1_next(client->http);
    net_stream_flush(&client->stream);
}

static void answer_error(struct client *client, int status, const char *code, const char *message)
{
    struct hl_buf body = {0};
    net_put_error_body(&body, code, message);
    put_head(client, status, "application/json", body.len);
    if (!client->head_only) {
        hl_buf_append_slice(&client->stream.out, hl_buf_view(&body));
    }
    hl_buf_fini(&body);
    end_request(client);
}

static void answer_text(struct client *client, struct hl_buf texts[RENDER_FORMS])
{
    struct endpoint *endpoint = client->endpoint;
    struct hl_buf *text = &texts[client->form];
    if (text->ptr == NULL) {
        *text = endpoint_text(endpoint, client->form);
    }
    put_head(client, 200, render_type(client->form), text->len);
    if (!client->head_only) {
        hl_buf_append_slice(&client->stream.out, hl_buf_view(text));
    }
    HeliosMetric_Add(endpoint->scrapes[client->form], 1);
    end_request(client);
}

void clients_answer(struct endpoint *endpoint, uint64_t round, struct hl_buf texts[RENDER_FORMS])
{
    struct client *next;
    for (struct client *client = endpoint->clients; client != NULL; client = next) {
        next = client->next;
        if (client->waits && client->round <= round && !client->stream.closed) {
            answer_text(client, texts);
            net_stream_advance(&client->stream);
        }
    }
}

bool clients_wait(const struct endpoint *endpoint)
{
    for (const struct client *client = endpoint->clients; client != NULL; client = client->next) {
        if (client->waits && !client->stream.closed) {
            return true;
        }
    }
    return false;
}

/* --- requests --------------------------------------------------------------------------------- */

static void take_request(struct client *client, const struct hl_http1_head *head)
{
    bool get = hl_slice_equal(head->method, hl_slice_of("GET"));
    client->head_only = hl_slice_equal(head->method, hl_slice_of("HEAD"));
    client->last = !head->keep_alive || client->stream.eof;
    if (head->chunked || head->length != 0) {
        client->last = true; /* what follows is not a request */
        answer_error(client, 413, "body_too_large", "a request here has no body");
    } else if (!hl_slice_equal(head->path, hl_slice_of("/metrics"))) {
        answer_error(client, 404, "not_found", "metrics are at /metrics");
    } else if (!get && !client->head_only) {
        answer_error(client, 405, "method_not_allowed", "metrics are read with GET");
    } else {
        const struct hl_slice *accept = hl_http1_find(head, "accept");
        client->form = accept == NULL ? RENDER_TEXT : accept_form(*accept);
        client->waits = true;
        client->since_ms = net_loop_now_ms(&client->endpoint->net);
        client->round = endpoint_want(client->endpoint);
    }
}

static void ready(struct net_stream *stream)
{
    struct client *client = client_of(stream);
    while (!client->waits && !stream->finishing && !stream->closed && stream->in.len != 0 &&
           net_stream_backlog(stream) == 0) {
        struct hl_http1_head head;
        struct hl_errmsg msg = {{0}};
        size_t used = 0;
        hl_err err = hl_http1_head(client->http, hl_buf_view(&stream->in), &head, &used, &msg);
        if (err == HL_ENOENT) {
            return;
        }
        if (err != HL_OK) {
            HeliosMetric_Add(client->endpoint->refused, 1);
            net_put_refusal(&stream->out, hl_http1_status(client->http), msg.text,
                            net_loop_date(&client->endpoint->net));
            net_stream_finish(stream);
            return;
        }
        take_request(client, &head);
        hl_buf_consume(&stream->in, used);
    }
}

/* --- the stream's hooks ----------------------------------------------------------------------- */

static void ended(struct net_stream *stream)
{
    struct client *client = client_of(stream);
    client->last = true;
    if (!client->waits && net_stream_backlog(stream) == 0) {
        net_stream_finish(stream);
    }
}

static int64_t deadline(const struct net_stream *stream)
{
    const struct client *client = client_of(stream);
    enum setting limit = client->waits                ? SETTING_COLLECT_TIMEOUT
                         : client->stream.in.len != 0 ? SETTING_HEAD_TIMEOUT
                                                      : SETTING_IDLE_TIMEOUT;
    return client->since_ms + setting(limit);
}

static void expired(struct net_stream *stream)
{
    struct client *client = client_of(stream);
    if (!client->waits) {
        net_stream_finish(stream);
        return;
    }
    /* The server is busy or stuck: what it counted last, and what other threads count, is there. */
    struct hl_buf texts[RENDER_FORMS] = {{0}};
    HeliosMetric_Add(client->endpoint->stale, 1);
    answer_text(client, texts);
    for (size_t i = 0; i < RENDER_FORMS; i++) {
        hl_buf_fini(&texts[i]);
    }
    net_stream_advance(stream);
}

static void lost(struct net_stream *stream)
{
    struct client *client = client_of(stream);
    struct endpoint *endpoint = client->endpoint;
    if (!client->listed) {
        return;
    }
    client->listed = false;
    if (client->prev != NULL) {
        client->prev->next = client->next;
    } else {
        endpoint->clients = client->next;
    }
    if (client->next != NULL) {
        client->next->prev = client->prev;
    }
    endpoint->client_count--;
}

static void freed(struct net_stream *stream)
{
    struct client *client = client_of(stream);
    hl_http1_destroy(client->http);
    hl_free(client);
}

static const struct net_stream_hooks hooks = {
    .ready = ready,
    .ended = ended,
    .deadline = deadline,
    .expired = expired,
    .lost = lost,
    .freed = freed,
};

void client_accept(struct net_listener *listener)
{
    struct endpoint *endpoint = (struct endpoint *)listener->loop; /* its first member */
    struct client *client = hl_calloc(1, sizeof *client);
    struct hl_http1_limits limits = hl_http1_limits_default;
    limits.head_max = REQUEST_MAX;
    limits.body_max = 0;
    client->endpoint = endpoint;
    client->stream.in_max = REQUEST_MAX;
    client->stream.write_timeout_ms = setting(SETTING_WRITE_TIMEOUT);
    client->http = hl_http1_create(true, &limits);
    if (net_stream_accept(&client->stream, &hooks, listener, NULL) != HL_OK) {
        return; /* freed() comes */
    }
    client->next = endpoint->clients;
    if (client->next != NULL) {
        client->next->prev = client;
    }
    endpoint->clients = client;
    client->listed = true;
    endpoint->client_count++;
    client->since_ms = net_loop_now_ms(&endpoint->net);
    if (endpoint->client_count > (size_t)setting(SETTING_CONNECTIONS_MAX)) {
        HeliosMetric_Add(endpoint->refused, 1);
        net_stream_close(&client->stream);
        return;
    }
    net_stream_start(&client->stream);
}
