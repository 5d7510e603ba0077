/* A POST per job, over libcurl's multi interface on the worker's loop.
 *
 * Invariants:
 *   P1  only http and https, and no redirect: the address is the operator's choice, not the
 * server's. P2  result_max bytes of an answer are kept; the rest is read and dropped. P3  `end` is
 * called from the loop, never from within start() or stop().
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "worker/handler.h"

#include <curl/curl.h>
#include <stdio.h>

#define CONNECT_MS 10000L

struct handler {
    const struct worker_options *options;
    handler_end_fn *end;
    void *ctx;
    CURL *easy;
    struct curl_slist *headers;
    struct hl_buf result;
    bool truncated, stopped;
    char error[CURL_ERROR_SIZE];
    struct handler *next_stopped;
};

/* What the handlers of the process share. */
static struct {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer, reap;
    struct handler *stopped; /* to be ended by `reap` */
} shared;

/* One socket of libcurl. */
struct watched {
    uv_poll_t poll;
    curl_socket_t fd;
};

static void finish(struct handler *h, CURLcode code)
{
    long status = 0;
    curl_off_t retry_after = 0;
    (void)curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(h->easy, CURLINFO_RETRY_AFTER, &retry_after);
    char how[CURL_ERROR_SIZE + 64];
    struct outcome outcome = {.how = how, .truncated = h->truncated};
    outcome.verdict = (struct worker_verdict){.end = WORKER_RETRY, .delay_ms = -1};
    if (h->stopped) {
        (void)snprintf(how, sizeof how, "stopped");
    } else if (code != CURLE_OK) {
        (void)snprintf(how, sizeof how, "no answer: %s",
                       h->error[0] != '\0' ? h->error : curl_easy_strerror(code));
    } else {
        (void)snprintf(how, sizeof how, "HTTP status %ld", status);
        outcome.verdict = worker_judge_http(status, (int64_t)retry_after);
    }
    bool answered = code == CURLE_OK && !h->stopped && h->result.len != 0;
    outcome.text = hl_buf_view(&h->result);
    if (outcome.verdict.end != WORKER_DONE && !answered) {
        outcome.text = hl_slice_of(how);
    } else if (outcome.verdict.end != WORKER_DONE && outcome.text.len > WORKER_ERROR_MAX) {
        outcome.text.len = WORKER_ERROR_MAX;
    }
    (void)curl_multi_remove_handle(shared.multi, h->easy);
    curl_easy_cleanup(h->easy);
    curl_slist_free_all(h->headers);
    h->end(h->ctx, &outcome);
    hl_buf_fini(&h->result);
    hl_free(h);
}

static void take_ended(void)
{
    CURLMsg *message = NULL;
    int left = 0;
    while ((message = curl_multi_info_read(shared.multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        CURLcode code = message->data.result;
        char *h = NULL;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &h);
        if (!((struct handler *)(void *)h)->stopped) {
            finish((struct handler *)(void *)h, code);
        }
    }
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct watched *watched = (struct watched *)poll->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    flags |= (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
    flags |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
    int running = 0;
    (void)curl_multi_socket_action(shared.multi, watched->fd, flags, &running);
    take_ended();
}

static void free_watched(uv_handle_t *handle)
{
    hl_free(handle->data);
}

/* libcurl wants to know when a socket is ready. */
static int watch(CURL *easy, curl_socket_t fd, int what, void *ctx, void *assigned)
{
    (void)easy;
    (void)ctx;
    struct watched *watched = assigned;
    if (what == CURL_POLL_REMOVE) {
        if (watched != NULL) {
            (void)uv_poll_stop(&watched->poll);
            (void)curl_multi_assign(shared.multi, fd, NULL);
            uv_close((uv_handle_t *)&watched->poll, free_watched);
        }
        return 0;
    }
    if (watched == NULL) {
        watched = hl_calloc(1, sizeof *watched);
        watched->fd = fd;
        watched->poll.data = watched;
        int rc = uv_poll_init_socket(shared.loop, &watched->poll, fd);
        HL_ASSERT(rc == 0);
        watched->poll.data = watched;
        (void)curl_multi_assign(shared.multi, fd, watched);
    }
    int events =
        (what != CURL_POLL_OUT ? UV_READABLE : 0) | (what != CURL_POLL_IN ? UV_WRITABLE : 0);
    return uv_poll_start(&watched->poll, events, on_socket) == 0 ? 0 : -1;
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
    int running = 0;
    (void)curl_multi_socket_action(shared.multi, CURL_SOCKET_TIMEOUT, 0, &running);
    take_ended();
}

static int set_timer(CURLM *multi, long wait_ms, void *ctx)
{
    (void)multi;
    (void)ctx;
    if (wait_ms < 0) {
        (void)uv_timer_stop(&shared.timer);
    } else {
        uv_timer_start(&shared.timer, on_timer, (uint64_t)(wait_ms == 0 ? 1 : wait_ms), 0);
    }
    return 0;
}

static void on_reap(uv_timer_t *timer)
{
    (void)timer;
    while (shared.stopped != NULL) {
        struct handler *h = shared.stopped;
        shared.stopped = h->next_stopped;
        finish(h, CURLE_ABORTED_BY_CALLBACK);
    }
}

void handler_http_open(uv_loop_t *loop)
{
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    HL_ASSERT(code == CURLE_OK);
    shared.loop = loop;
    shared.multi = curl_multi_init();
    HL_ASSERT(shared.multi != NULL);
    (void)curl_multi_setopt(shared.multi, CURLMOPT_SOCKETFUNCTION, watch);
    (void)curl_multi_setopt(shared.multi, CURLMOPT_TIMERFUNCTION, set_timer);
    (void)uv_timer_init(loop, &shared.timer);
    (void)uv_timer_init(loop, &shared.reap);
}

void handler_http_close(void)
{
    if (shared.multi == NULL) {
        return;
    }
    (void)curl_multi_cleanup(shared.multi);
    shared.multi = NULL;
    uv_close((uv_handle_t *)&shared.timer, NULL);
    uv_close((uv_handle_t *)&shared.reap, NULL);
    curl_global_cleanup();
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct handler *h = ctx;
    size_t len = size * count;
    size_t room = (size_t)h->options->result_max - h->result.len;
    h->truncated = h->truncated || len > room;
    hl_buf_append(&h->result, bytes, len < room ? len : room);
    return len;
}

static void add_header(struct handler *h, const char *name, const char *value)
{
    struct hl_buf line = {0};
    hl_buf_printf(&line, "%s%s", name, value);
    hl_buf_append(&line, "", 1);
    struct curl_slist *more = curl_slist_append(h->headers, line.ptr);
    HL_ASSERT(more != NULL);
    h->headers = more;
    hl_buf_fini(&line);
}

static void add_headers(struct handler *h, const struct job *job)
{
    char attempt[32];
    char fence[32];
    (void)snprintf(attempt, sizeof attempt, "%lld", (long long)job->attempt);
    (void)snprintf(fence, sizeof fence, "%lld", (long long)job->fence);
    bool typed = false;
    for (size_t i = 0; i < h->options->header_count; i++) {
        typed = typed || strncasecmp(h->options->headers[i], "content-type:", 13) == 0;
        add_header(h, h->options->headers[i], "");
    }
    if (!typed) {
        add_header(h, "Content-Type: ", "application/json");
    }
    add_header(h, "Expect:", "");
    add_header(h, "Idempotency-Key: ", job->id);
    add_header(h, "Job-Id: ", job->id);
    add_header(h, "Job-Queue: ", job->queue);
    add_header(h, "Job-Attempt: ", attempt);
    add_header(h, "Job-Fence: ", fence);
}

static struct handler *start(uv_loop_t *loop, const struct worker_options *options,
                             const struct job *job, handler_end_fn *end, void *ctx)
{
    HL_ASSERT(shared.multi != NULL && loop == shared.loop);
    struct handler *h = hl_calloc(1, sizeof *h);
    h->options = options;
    h->end = end;
    h->ctx = ctx;
    h->easy = curl_easy_init();
    HL_ASSERT(h->easy != NULL);
    add_headers(h, job);
    CURL *easy = h->easy;
    (void)curl_easy_setopt(easy, CURLOPT_URL, options->http);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, job->payload);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)job->payload_len);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, h->headers);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "helios-worker/" HELIOS_VERSION);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, h);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, h->error);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)h);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    if (options->http_cacert != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, options->http_cacert);
    }
    CURLMcode code = curl_multi_add_handle(shared.multi, easy);
    HL_ASSERT(code == CURLM_OK);
    return h;
}

/* A call cannot be asked to end: both kinds of stopping close it. */
static void stop(struct handler *handler, bool hard)
{
    (void)hard;
    if (!handler->stopped) {
        handler->stopped = true;
        handler->next_stopped = shared.stopped;
        shared.stopped = handler;
        uv_timer_start(&shared.reap, on_reap, 0, 0);
    }
}

const struct handler_kind handler_http = {start, stop};
