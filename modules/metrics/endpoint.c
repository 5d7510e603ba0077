#include "endpoint.h"

#include "client.h"
#include "settings.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "net/desk.h"

static struct endpoint *endpoint_of_ask(struct net_mail *mail)
{
    return (struct endpoint *)(void *)((char *)mail - offsetof(struct endpoint, ask));
}

static struct endpoint *endpoint_of_round(struct net_mail *mail)
{
    return (struct endpoint *)(void *)((char *)mail - offsetof(struct endpoint, round_over));
}

/* --- rounds of collecting --------------------------------------------------------------------- */

static void begin_round(struct endpoint *endpoint)
{
    endpoint->collecting = true;
    net_desk_post(&endpoint->ask);
}

uint64_t endpoint_want(struct endpoint *endpoint)
{
    if (endpoint->collecting) {
        return endpoint->round + 1; /* ME2 */
    }
    begin_round(endpoint);
    return endpoint->round;
}

/* On the thread: values are up to date. */
static void take_round(struct net_mail *mail)
{
    struct endpoint *endpoint = endpoint_of_round(mail);
    struct hl_buf texts[RENDER_FORMS] = {{0}};
    clients_answer(endpoint, endpoint->round, texts);
    for (size_t i = 0; i < RENDER_FORMS; i++) {
        hl_buf_fini(&texts[i]);
    }
    endpoint->collecting = false;
    endpoint->round++;
    if (clients_wait(endpoint)) {
        begin_round(endpoint);
    }
}

/* On the server's thread. */
static void round_is_over(void *data)
{
    struct endpoint *endpoint = data;
    (void)net_loop_post(&endpoint->net, &endpoint->round_over);
}

static void collect(struct net_mail *mail)
{
    struct endpoint *endpoint = endpoint_of_ask(mail);
    int done = HeliosModule_MetricsCollect(endpoint->reader, round_is_over, endpoint);
    HL_ASSERT(done == REDISMODULE_OK);
}

static void drop_ask(struct net_mail *mail)
{
    (void)mail; /* the module ends */
}

/* --- jobs of the server's thread -------------------------------------------------------------- */

static void run_job(struct net_mail *mail)
{
    struct endpoint_job *job = (struct endpoint_job *)mail; /* its first member */
    job->run(job);
}

static void job_is_due(void *data)
{
    struct endpoint_job *job = data;
    if (!net_loop_post(&job->endpoint->net, &job->mail)) {
        job->run(job); /* the thread has ended: here */
    }
}

bool endpoint_collect(struct endpoint *endpoint, struct endpoint_job *job)
{
    job->endpoint = endpoint;
    job->mail = (struct net_mail){.run = run_job};
    return HeliosModule_MetricsCollect(endpoint->reader, job_is_due, job) == REDISMODULE_OK;
}

/* --- texts ------------------------------------------------------------------------------------ */

static int visit_family(void *data, const HeliosModuleMetricInfo *info)
{
    render_family(data, info);
    return 1;
}

static void visit_series(void *data, const HeliosModuleMetricInfo *info,
                         const HeliosModuleMetricSample *sample)
{
    render_series(data, info, sample);
}

struct hl_buf endpoint_text(struct endpoint *endpoint, enum render_form form)
{
    struct render render = {.form = form};
    HeliosModuleMetricVisitor visitor = {.version = HELIOSMODULE_METRIC_VERSION,
                                         .data = &render,
                                         .family = visit_family,
                                         .series = visit_series};
    uint64_t start_ns = uv_hrtime();
    (void)HeliosModule_MetricsVisit(&visitor);
    render_end(&render);
    HeliosMetric_Observe(endpoint->seconds, (double)(uv_hrtime() - start_ns) / 1e9);
    HeliosMetric_Add(endpoint->left_out, (double)render.left_out);
    return render.out;
}

/* --- life ------------------------------------------------------------------------------------- */

static HeliosModuleMetric *plain(RedisModuleCtx *ctx, const char *name, const char *help)
{
    HeliosModuleMetricInfo info = {.version = HELIOSMODULE_METRIC_VERSION,
                                   .name = name,
                                   .help = help,
                                   .kind = HELIOSMODULE_METRIC_COUNTER};
    return HeliosMetric_Series(HeliosMetric_Define(ctx, &info), NULL);
}

static void define_own(RedisModuleCtx *ctx, struct endpoint *endpoint)
{
    static const char *const labels[] = {"format"};
    static const char *const forms[RENDER_FORMS] = {"text", "openmetrics"};
    static const double bounds[] = HELIOSMODULE_METRIC_SECONDS;
    HeliosModuleMetricInfo info = {.version = HELIOSMODULE_METRIC_VERSION,
                                   .name = "helios_metrics_scrapes_total",
                                   .help = "Texts of metrics that were sent by HTTP.",
                                   .kind = HELIOSMODULE_METRIC_COUNTER,
                                   .labels = labels,
                                   .label_count = 1};
    HeliosModuleMetricFamily *family = HeliosMetric_Define(ctx, &info);
    for (size_t i = 0; i < RENDER_FORMS; i++) {
        HeliosModuleText value = {forms[i], strlen(forms[i])};
        endpoint->scrapes[i] = HeliosMetric_Series(family, &value);
    }
    info = (HeliosModuleMetricInfo){.version = HELIOSMODULE_METRIC_VERSION,
                                    .name = "helios_metrics_render_duration_seconds",
                                    .help = "Time to make a text of metrics, on the module's own "
                                            "thread.",
                                    .kind = HELIOSMODULE_METRIC_HISTOGRAM,
                                    .bounds = bounds,
                                    .bound_count = HL_ARRAY_LEN(bounds)};
    endpoint->seconds = HeliosMetric_Series(HeliosMetric_Define(ctx, &info), NULL);
    endpoint->stale = plain(ctx, "helios_metrics_scrapes_stale_total",
                            "Scrapes for which the server did not bring its values up to date in "
                            "time.");
    endpoint->refused = plain(ctx, "helios_metrics_connections_refused_total",
                              "Connections to the metrics port that were too many or no HTTP.");
    endpoint->left_out =
        plain(ctx, "helios_metrics_series_left_out_total", "Series that did not fit into a text.");
}

static void on_accept_failed(struct net_listener *listener, const char *why)
{
    net_desk_log("warning", "%s cannot accept: %s", listener->name, why);
}

static hl_err listen_all(struct endpoint *endpoint, struct hl_errmsg *msg)
{
    struct net_address addresses[NET_LISTENERS_MAX];
    size_t count = 0;
    hl_err err =
        net_listen_parse(hl_slice_of(setting_text(TEXT_LISTEN)), false, addresses, &count, msg);
    for (size_t i = 0; i < count && err == HL_OK; i++) {
        err = net_loop_listen(&endpoint->net, &addresses[i], client_accept, on_accept_failed, msg);
    }
    return err;
}

struct endpoint *endpoint_start(RedisModuleCtx *ctx, HeliosModuleMetricReader *reader,
                                struct hl_errmsg *msg)
{
    struct endpoint *endpoint = hl_calloc(1, sizeof *endpoint);
    endpoint->reader = reader;
    endpoint->ask = (struct net_mail){.run = collect, .drop = drop_ask};
    endpoint->round_over = (struct net_mail){.run = take_round};
    if (net_loop_init(&endpoint->net, msg) != HL_OK) {
        hl_free(endpoint);
        return NULL;
    }
    define_own(ctx, endpoint);
    hl_err err = listen_all(endpoint, msg);
    if (err == HL_OK) {
        err = net_loop_run(&endpoint->net, msg);
    }
    if (err != HL_OK) {
        net_loop_cancel(&endpoint->net);
        hl_free(endpoint);
        return NULL;
    }
    return endpoint;
}

static void end_all(void *arg)
{
    struct endpoint *endpoint = arg;
    net_loop_deafen(&endpoint->net);
    while (endpoint->clients != NULL) {
        net_stream_close(&endpoint->clients->stream);
    }
    net_loop_end(&endpoint->net);
}

void endpoint_stop(struct endpoint *endpoint)
{
    net_loop_ask(&endpoint->net, end_all, endpoint);
    net_loop_join(&endpoint->net);
    net_loop_fini(&endpoint->net);
}

void endpoint_free(struct endpoint *endpoint)
{
    hl_free(endpoint);
}
