/* The thread: opening, draining, ending. */
#include "proxy.h"

#include "client.h"
#include "settings.h"
#include "upstream.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "net/desk.h"

#include <sys/random.h>
#include <time.h>

#define TICK_MS 50      /* between two looks at what is due */
#define DRAIN_STEP_MS 2 /* between two looks at who is still there */

void proxy_chance(struct proxy *proxy, unsigned char *out, size_t len)
{
    HL_ASSERT(len <= sizeof proxy->chance);
    if (proxy->chance_left < len) {
        ssize_t got = getrandom(proxy->chance, sizeof proxy->chance, 0);
        HL_ASSERT(got == (ssize_t)sizeof proxy->chance); /* up to 32 MiB come whole, or none */
        proxy->chance_left = sizeof proxy->chance;
    }
    proxy->chance_left -= len;
    memcpy(out, proxy->chance + proxy->chance_left, len);
}

/* --- opening ---------------------------------------------------------------------------------- */

static hl_err open_tls(struct hl_tls_context **out, struct hl_errmsg *msg)
{
    const char *ca_file = setting_text(TEXT_TLS_CA_FILE);
    struct hl_tls_options options = {
        .server = true,
        .cert_file = setting_text(TEXT_TLS_CERT_FILE),
        .key_file = setting_text(TEXT_TLS_KEY_FILE),
        .ca_file = ca_file,
        .peer = ca_file[0] != '\0' ? HL_TLS_PEER_REQUIRED : HL_TLS_PEER_ANY,
        .http1 = true,
    };
    return hl_tls_context_create(out, &options, msg);
}

static void on_accept_failed(struct net_listener *listener, const char *why)
{
    net_desk_log("warning", "%s cannot accept: %s", listener->name, why);
}

static hl_err open_all(struct proxy *proxy, struct hl_errmsg *msg)
{
    struct net_address addresses[NET_LISTENERS_MAX];
    size_t count = 0;
    struct hl_slice plain = hl_slice_of(setting_text(TEXT_LISTEN));
    struct hl_slice secure = hl_slice_of(setting_text(TEXT_TLS_LISTEN));
    hl_err err = net_listen_parse(plain, false, addresses, &count, msg);
    if (err == HL_OK) {
        err = net_listen_parse(secure, true, addresses, &count, msg);
    }
    if (err == HL_OK && secure.len != 0) {
        err = open_tls(&proxy->tls, msg);
    }
    for (size_t i = 0; i < count && err == HL_OK; i++) {
        err = net_loop_listen(&proxy->net, &addresses[i], client_accept, on_accept_failed, msg);
    }
    return err;
}

static void on_tick(uv_timer_t *tick)
{
    struct proxy *proxy = tick->data;
    fleet_tick(proxy, net_loop_now_ms(&proxy->net));
}

static void dispose(struct proxy *proxy)
{
    HL_ASSERT(proxy->clients == NULL);
    HL_ASSERT(proxy->upstream_count == 0);
    hl_tls_context_destroy(proxy->tls);
    hl_free(proxy);
}

struct proxy *proxy_start(struct hl_errmsg *msg)
{
    struct proxy *proxy = hl_calloc(1, sizeof *proxy);
    if (net_loop_init(&proxy->net, msg) != HL_OK) {
        hl_free(proxy);
        return NULL;
    }
    fleet_apply(proxy, config_create());
    uv_timer_init(&proxy->net.uv, &proxy->tick);
    proxy->tick.data = proxy;
    uv_timer_start(&proxy->tick, on_tick, TICK_MS, TICK_MS);
    hl_err err = open_all(proxy, msg);
    if (err == HL_OK) {
        err = net_loop_run(&proxy->net, msg);
    }
    if (err != HL_OK) {
        fleet_end(proxy);
        uv_close((uv_handle_t *)&proxy->tick, NULL);
        net_loop_cancel(&proxy->net);
        dispose(proxy);
        return NULL;
    }
    return proxy;
}

/* --- ways in ---------------------------------------------------------------------------------- */

struct publication {
    struct net_mail mail;
    struct proxy *proxy;
    struct config *config;
};

static void publish(struct net_mail *mail)
{
    struct publication *publication = (struct publication *)mail;
    if (publication->proxy->ending) {
        config_destroy(publication->config);
    } else {
        fleet_apply(publication->proxy, publication->config);
    }
    hl_free(publication);
}

void proxy_publish(struct proxy *proxy, struct config *config)
{
    struct publication *publication = hl_calloc(1, sizeof *publication);
    publication->mail.run = publish;
    publication->proxy = proxy;
    publication->config = config;
    bool posted = net_loop_post(&proxy->net, &publication->mail);
    HL_ASSERT(posted); /* the server's thread is who ends the other */
}

struct ask {
    struct proxy *proxy;
    void (*run)(struct proxy *proxy, void *arg);
    void *arg;
};

static void run_ask(void *arg)
{
    struct ask *ask = arg;
    ask->run(ask->proxy, ask->arg);
}

void proxy_ask(struct proxy *proxy, void (*function)(struct proxy *proxy, void *arg), void *arg)
{
    struct ask ask = {.proxy = proxy, .run = function, .arg = arg};
    net_loop_ask(&proxy->net, run_ask, &ask);
}

struct reload {
    struct hl_errmsg *msg;
    hl_err err;
};

static void reload(struct proxy *proxy, void *arg)
{
    struct reload *job = arg;
    struct hl_tls_context *fresh = NULL;
    if (proxy->tls != NULL) {
        job->err = open_tls(&fresh, job->msg);
    }
    if (fresh != NULL) {
        hl_tls_context_destroy(proxy->tls); /* connections go on with it */
        proxy->tls = fresh;
    }
}

hl_err proxy_reload(struct proxy *proxy, struct hl_errmsg *msg)
{
    struct reload job = {.msg = msg, .err = HL_OK};
    proxy_ask(proxy, reload, &job);
    return job.err;
}

/* --- ending ----------------------------------------------------------------------------------- */

static void drain(struct proxy *proxy, void *arg)
{
    (void)arg;
    proxy->draining = true;
    net_loop_deafen(&proxy->net);
    client_drain_all(proxy);
}

void proxy_drain(struct proxy *proxy)
{
    proxy_ask(proxy, drain, NULL);
}

static void count_clients(struct proxy *proxy, void *count)
{
    *(size_t *)count = proxy->client_count;
}

/* What is left is cut; the thread ends when the last handle is closed. */
static void end_all(struct proxy *proxy, void *arg)
{
    (void)arg;
    proxy->ending = true;
    client_close_all(proxy);
    fleet_end(proxy);
    uv_close((uv_handle_t *)&proxy->tick, NULL);
    net_loop_end(&proxy->net);
}

bool proxy_wait_drained(struct proxy *proxy, int64_t drain_ms)
{
    struct timespec step = {.tv_nsec = DRAIN_STEP_MS * 1000000L};
    int64_t until_ms = (int64_t)(uv_hrtime() / 1000000) + drain_ms;
    size_t left = 0;
    proxy_ask(proxy, count_clients, &left);
    while (left != 0 && (int64_t)(uv_hrtime() / 1000000) < until_ms) {
        nanosleep(&step, NULL);
        proxy_ask(proxy, count_clients, &left);
    }
    return left == 0;
}

void proxy_stop(struct proxy *proxy, int64_t drain_ms)
{
    proxy_drain(proxy);
    (void)proxy_wait_drained(proxy, drain_ms);
    proxy_ask(proxy, end_all, NULL);
    net_loop_join(&proxy->net);
    net_loop_fini(&proxy->net);
    dispose(proxy);
}
