/* Health checks. */
#include "prober.h"

#include "metrics.h"
#include "proxy.h"
#include "settings.h"
#include "stats.h"

#include "kit/alloc.h"
#include "kit/http1.h"
#include "kit/http1_write.h"
#include "net/desk.h"
#include "net/stream.h"

#include <time.h>

struct prober {
    struct net_stream s;
    struct backend *backend;
    struct hl_http1 *http;
    int64_t deadline_ms;
    bool judged;
};

static struct prober *prober_of(const struct net_stream *s)
{
    return (struct prober *)s; /* its first member */
}

/* The verdict; the connection ends. */
static void judge(struct prober *prober, bool good)
{
    struct backend *b = prober->backend;
    if (!prober->judged) {
        prober->judged = true;
        stats_add(COUNT_health_checks, 1);
        stats_add(COUNT_health_checks_failed, good ? 0 : 1);
        b->checked_s = (int64_t)time(NULL);
        if (check_take(&b->check, good, (uint32_t)setting(SETTING_HEALTH_RISE),
                       (uint32_t)setting(SETTING_HEALTH_FALL))) {
            net_desk_log(b->check.down ? "warning" : "notice", "backend %s is %s", b->config.id,
                         b->check.down ? "down" : "up");
        }
        metrics_backend_health(b);
    }
    net_stream_close(&prober->s);
}

void prober_cancel(struct prober *prober)
{
    prober->judged = true;
    net_stream_close(&prober->s);
}

static void ready(struct net_stream *s)
{
    struct prober *prober = prober_of(s);
    struct hl_http1_head head;
    size_t used = 0;
    if (s->in.len == 0) {
        return;
    }
    hl_err err = hl_http1_head(prober->http, hl_buf_view(&s->in), &head, &used, NULL);
    if (err != HL_ENOENT) {
        judge(prober, err == HL_OK && head.status == 200);
    }
}

static void ended(struct net_stream *s)
{
    judge(prober_of(s), false);
}

static int64_t deadline(const struct net_stream *s)
{
    return prober_of(s)->deadline_ms;
}

static void expired(struct net_stream *s)
{
    judge(prober_of(s), false);
}

static void lost(struct net_stream *s)
{
    struct prober *prober = prober_of(s);
    prober->backend->prober = NULL;
    if (!prober->judged) {
        judge(prober, false);
    }
}

static void freed(struct net_stream *s)
{
    struct prober *prober = prober_of(s);
    hl_http1_destroy(prober->http);
    backend_unref(prober->backend);
    hl_free(prober);
}

static const struct net_stream_hooks hooks = {
    .ready = ready,
    .ended = ended,
    .deadline = deadline,
    .expired = expired,
    .lost = lost,
    .freed = freed,
};

static void put_question(struct hl_buf *out, const struct backend *b)
{
    const char *path =
        b->config.health_path[0] != '\0' ? b->config.health_path : setting_text(TEXT_HEALTH_PATH);
    if (hl_http1_put_request(out, hl_slice_of("GET"), hl_slice_of(path)) != HL_OK) {
        hl_err err = hl_http1_put_request(out, hl_slice_of("GET"), hl_slice_of("/"));
        (void)err; /* the setting is no path: "/" is one */
    }
    hl_http1_put(out, "Host", b->config.address);
    hl_http1_put(out, "User-Agent", "helios-proxy");
    hl_http1_put(out, "Connection", "close");
    hl_http1_put_end(out);
}

void prober_start(struct backend *b)
{
    struct net_loop *loop = &b->proxy->net;
    struct prober *prober = hl_calloc(1, sizeof *prober);
    prober->backend = b;
    prober->http = hl_http1_create(false, &hl_http1_limits_default);
    prober->deadline_ms = net_loop_now_ms(loop) + setting(SETTING_HEALTH_TIMEOUT);
    prober->s.in_max = hl_http1_limits_default.head_max;
    prober->s.write_timeout_ms = setting(SETTING_HEALTH_TIMEOUT);
    backend_ref(b);
    b->prober = prober;
    put_question(&prober->s.out, b);
    net_stream_connect(&prober->s, &hooks, loop, (struct sockaddr *)&b->address, NULL, NULL);
}
