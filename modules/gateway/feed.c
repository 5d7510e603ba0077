#include "feed.h"

#include "door.h"
#include "gateway.h"
#include "sockets.h"

#include "kit/assert.h"
#include "kit/num.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TICK_MS 200    /* between two looks at what happened */
#define UPDATE_MS 5000 /* between two status_update */
#define TIMEOUT_MS 5000
#define ARGS_MAX 3

/* A question that is asked again and again. */
struct question {
    struct gw_work work;
    atomic_bool busy;
    bool only_due; /* of topics: what is fetched goes only to those who have just asked */
    RedisModuleCallReply *reply;
    bool answered;
};

static struct {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t more;
    bool running, stopping, kicked;
    struct gw_work tick;
    atomic_bool tick_posted;
    /* On the gateway's thread alone: */
    struct question topics[GW_TOPICS_ASKED];
    struct question events, watch;
    int64_t newest;     /* event that was told; -1: none was asked for yet */
    int64_t updated_ms; /* last status_update; 0: one is due */
    int64_t ticked_ms;
} feed = {.mutex = PTHREAD_MUTEX_INITIALIZER, .newest = -1};

static const char *const topic_commands[GW_TOPICS_ASKED] = {
    "RAFT.REPORT", "RAFT.LATENCY", "RAFT.UPTIME", "RAFT.SNAPSHOTS", "METRICS.CUSTOM"};

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- asking ----------------------------------------------------------------------------------- */

/* On the server's thread. */
static void on_done(void *data, const HeliosModuleExecuteResult *result)
{
    struct question *question = data;
    question->reply = result->reply;
    question->answered = result->outcome == HELIOSMODULE_EXECUTE_ANSWERED &&
                         RedisModule_CallReplyType(result->reply) != REDISMODULE_REPLY_ERROR;
    bool taken = gw_post(&question->work);
    HL_ASSERT(taken); /* the executor ends before the thread does */
}

/* Of this node; `then` takes the reply on the gateway's thread. */
static void ask(struct question *question, const char *const *words, size_t count,
                void (*then)(struct gw_work *work))
{
    HeliosModuleText argv[ARGS_MAX];
    HL_ASSERT(count <= ARGS_MAX);
    if (atomic_load(&question->busy)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        argv[i] = (HeliosModuleText){words[i], strlen(words[i])};
    }
    HeliosModuleExecuteCommand command = {count, argv};
    HeliosModuleExecuteRequest request = {
        .version = HELIOSMODULE_EXECUTE_VERSION,
        .commands = &command,
        .count = 1,
        .client = HELIOSMODULE_TEXT("gateway:feed"),
        .read = HELIOSMODULE_READ_STALE,
        .timeout_ms = TIMEOUT_MS,
        .done = on_done,
        .data = question,
    };
    question->work.run = then;
    atomic_store(&question->busy, true);
    if (gw_execute(&request) == 0) {
        atomic_store(&question->busy, false); /* the next tick asks again */
    }
}

/* The answer as JSON, NULL when there is none; the question may be asked again. */
static json_t *take_answer(struct question *question)
{
    json_t *data = question->answered ? gw_reply_json(question->reply) : NULL;
    RedisModule_FreeCallReply(question->reply);
    question->reply = NULL;
    atomic_store(&question->busy, false);
    return data;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void tell_topic(struct gw_work *work)
{
    struct question *question = (struct question *)work;
    enum gw_topic topic = (enum gw_topic)(question - feed.topics);
    bool only_due = question->only_due;
    json_t *data = take_answer(question);
    const char *type = topic == GW_TOPIC_STATUS ? "status_update" : gw_topic_name(topic);
    if (data != NULL) {
        gw_sockets_tell(topic, type, data, only_due);
    } else if (topic == GW_TOPIC_CUSTOM_METRICS) { /* the module metrics is not loaded */
        json_t *none = json_object();
        gw_sockets_tell(topic, type, none, only_due);
        json_decref(none);
    }
    json_decref(data);
}

static void take_watch(struct gw_work *work)
{
    json_decref(take_answer((struct question *)work));
}

/* One event as a message, if clients are told of such. */
static void tell_event(const json_t *event)
{
    static const char peer[] = "peer_";
    const char *type = json_string_value(json_object_get(event, "type"));
    json_t *data = json_object();
    if (type != NULL && strcmp(type, "state_changed") == 0) {
        json_object_set(data, "old_state", json_object_get(event, "old_state"));
        json_object_set(data, "new_state", json_object_get(event, "new_state"));
        json_object_set(data, "term", json_object_get(event, "term"));
        gw_sockets_tell(GW_TOPIC_STATE_CHANGES, "state_change", data, false);
    } else if (type != NULL && strncmp(type, peer, sizeof peer - 1) == 0) {
        json_object_set_new(data, "event", json_string(type + sizeof peer - 1));
        json_object_set(data, "peer_id", json_object_get(event, "peer_id"));
        json_object_set(data, "address", json_object_get(event, "address"));
        gw_sockets_tell(GW_TOPIC_PEER_CHANGES, "peer_change", data, false);
    }
    json_decref(data);
}

static void tell_events(struct gw_work *work)
{
    json_t *answer = take_answer((struct question *)work);
    json_t *events = json_object_get(answer, "events");
    size_t at = 0;
    const json_t *event = NULL;
    if (answer == NULL) {
        return;
    }
    if (feed.newest >= 0 && json_array_size(events) != 0) {
        json_array_foreach(events, at, event)
        {
            tell_event(event);
        }
        feed.updated_ms = 0; /* and the status follows at once */
    }
    feed.newest = json_integer_value(json_object_get(answer, "newest"));
    json_decref(answer);
}

/* --- the tick --------------------------------------------------------------------------------- */

static void ask_topics(void)
{
    unsigned now = 0;
    unsigned wanted = gw_sockets_topics(&now);
    bool all = now_ms() - feed.updated_ms >= UPDATE_MS;
    if (all) {
        feed.updated_ms = now_ms();
    }
    for (unsigned i = 0; i < GW_TOPICS_ASKED; i++) {
        bool due = (now & 1u << i) != 0;
        if ((wanted & 1u << i) != 0 && (all || due) && !atomic_load(&feed.topics[i].busy)) {
            feed.topics[i].only_due = !all;
            ask(&feed.topics[i], &topic_commands[i], 1, tell_topic);
        }
    }
}

static void on_tick(struct gw_work *work)
{
    char since[HL_I64_TEXT_MAX + 1];
    const char *events[] = {"RAFT.EVENTS", "SINCE", since};
    static const char *const watch[] = {"GATEWAY._WATCH"};
    (void)work;
    atomic_store(&feed.tick_posted, false);
    int64_t since_ms = now_ms() - feed.ticked_ms;
    if (since_ms >= TICK_MS) { /* not for those who were only in a hurry */
        feed.ticked_ms = now_ms();
        gw_sockets_tick();
    }
    if (since_ms > UPDATE_MS) {
        feed.newest = -1; /* nobody listened: what happened meanwhile is no news */
    }
    events[1] = feed.newest < 0 ? "COUNT" : "SINCE";
    (void)snprintf(since, sizeof since, "%lld", (long long)(feed.newest < 0 ? 0 : feed.newest));
    ask(&feed.watch, watch, 1, take_watch);
    ask(&feed.events, events, 3, tell_events);
    ask_topics();
}

static void wait_for_tick(void)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (!feed.stopping && !feed.kicked) {
        if (!gw_sockets_any()) {
            (void)pthread_cond_wait(&feed.more, &feed.mutex);
        } else if (pthread_cond_timedwait(&feed.more, &feed.mutex, &until) != 0) {
            break;
        }
    }
    feed.kicked = false;
}

static void *serve(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&feed.mutex);
    while (!feed.stopping) {
        wait_for_tick();
        if (!feed.stopping && gw_sockets_any() && !atomic_exchange(&feed.tick_posted, true)) {
            feed.tick.run = on_tick;
            if (!gw_post(&feed.tick)) {
                atomic_store(&feed.tick_posted, false);
            }
        }
    }
    pthread_mutex_unlock(&feed.mutex);
    return NULL;
}

bool gw_feed_start(void)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&feed.more, &attr);
    (void)pthread_condattr_destroy(&attr);
    feed.stopping = feed.kicked = false;
    feed.newest = -1;
    feed.running = pthread_create(&feed.thread, NULL, serve, NULL) == 0;
    return feed.running;
}

void gw_feed_stop(void)
{
    if (!feed.running) {
        return;
    }
    pthread_mutex_lock(&feed.mutex);
    feed.stopping = true;
    pthread_cond_signal(&feed.more);
    pthread_mutex_unlock(&feed.mutex);
    (void)pthread_join(feed.thread, NULL);
    (void)pthread_cond_destroy(&feed.more);
    feed.running = false;
}

void gw_feed_kick(void)
{
    pthread_mutex_lock(&feed.mutex);
    if (feed.running && !feed.stopping) {
        feed.kicked = true;
        pthread_cond_signal(&feed.more);
    }
    pthread_mutex_unlock(&feed.mutex);
}
