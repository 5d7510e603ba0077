/* The thread: sockets, lines, calls.
 *
 *   L1  A client has one call under way at most, so its answers come in order.
 *   L2  A result belongs to the connection whose serial it carries; if that has gone it is dropped.
 *   L3  done() only puts the result into a list and wakes the thread. */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_MAX 8192 /* bytes of an answer; what is longer is cut */

struct client {
    int fd; /* -1: none */
    uint64_t serial;
    uint64_t call; /* under way; 0: none */
    char in[LINES_LINE_MAX];
    size_t in_len;
    char out[OUT_MAX];
    size_t out_len;
};

/* What a call hands to done(), and done() to the thread. */
struct result {
    struct lines *lines;
    size_t slot;
    uint64_t serial;
    int outcome;
    RedisModuleCallReply *reply;
    struct result *next;
};

struct lines {
    HeliosModuleExecutor *executor;
    pthread_t thread;
    int listener, wake, port;
    char *user;
    size_t user_len;
    struct client clients[LINES_CLIENTS_MAX];
    uint64_t serial;

    pthread_mutex_t mutex; /* of what follows */
    struct result *results, **results_end;
    bool stopping;
};

/* ---- Both threads ---- */

static void wake(struct lines *lines)
{
    uint64_t one = 1;
    ssize_t written = write(lines->wake, &one, sizeof one);
    (void)written; /* it fails only when it is full of wakes already */
}

/* On the server's thread, which waits for us: be brief (L3). */
static void done(void *data, const HeliosModuleExecuteResult *ended)
{
    struct result *result = data;
    struct lines *lines = result->lines;
    result->outcome = ended->outcome;
    result->reply = ended->reply; /* ours now */
    pthread_mutex_lock(&lines->mutex);
    *lines->results_end = result;
    lines->results_end = &result->next;
    pthread_mutex_unlock(&lines->mutex);
    wake(lines);
}

static struct result *take_results(struct lines *lines, bool *stopping)
{
    pthread_mutex_lock(&lines->mutex);
    struct result *first = lines->results;
    lines->results = NULL;
    lines->results_end = &lines->results;
    *stopping = lines->stopping;
    pthread_mutex_unlock(&lines->mutex);
    return first;
}

static void result_free(struct result *result)
{
    RedisModule_FreeCallReply(result->reply); /* any thread may */
    RedisModule_Free(result);
}

/* ---- Answers ---- */

static void put(struct client *client, const char *text, size_t len)
{
    size_t room = OUT_MAX - client->out_len;
    len = len < room ? len : room;
    memcpy(client->out + client->out_len, text, len);
    client->out_len += len;
}

static void put_text(struct client *client, const char *text)
{
    put(client, text, strlen(text));
}

/* A reply as words; aggregates as their elements between commas. */
static void put_reply(struct client *client, RedisModuleCallReply *reply, int depth)
{
    size_t len = 0;
    const char *text = RedisModule_CallReplyStringPtr(reply, &len);
    int type = RedisModule_CallReplyType(reply);
    if (text != NULL) {
        put(client, text, len);
    } else if (type == REDISMODULE_REPLY_INTEGER) {
        char number[32];
        put(client, number,
            (size_t)snprintf(number, sizeof number, "%lld", RedisModule_CallReplyInteger(reply)));
    } else if (type == REDISMODULE_REPLY_ARRAY && depth > 0) {
        for (size_t i = 0; i < RedisModule_CallReplyLength(reply); i++) {
            put_text(client, i == 0 ? "" : ", ");
            put_reply(client, RedisModule_CallReplyArrayElement(reply, i), depth - 1);
        }
    } else {
        put_text(client, "(nothing)");
    }
}

static void send_out(struct client *client)
{
    if (client->out_len == OUT_MAX) {
        client->out[OUT_MAX - 1] = '\n';
    }
    ssize_t sent = send(client->fd, client->out, client->out_len, MSG_NOSIGNAL);
    (void)sent; /* a client that does not read loses its answer: this is only an example */
    client->out_len = 0;
}

static void answer(struct lines *lines, struct result *result)
{
    static const char *const words[] = {
        [HELIOSMODULE_EXECUTE_ANSWERED] = "answered ",
        [HELIOSMODULE_EXECUTE_NOT_EXECUTED] = "not-executed ",
        [HELIOSMODULE_EXECUTE_UNKNOWN] = "unknown ",
    };
    struct client *client = &lines->clients[result->slot];
    if (client->serial == result->serial && client->fd >= 0) { /* L2 */
        client->call = 0;
        put_text(client, words[result->outcome]);
        put_reply(client, result->reply, 4);
        put_text(client, "\n");
        send_out(client);
    }
    result_free(result);
}

/* ---- Requests ---- */

/* A line of words, commands between semicolons, as a request; false when it is none. */
static bool cut(char *line, HeliosModuleText *words, HeliosModuleExecuteCommand *commands,
                size_t *count)
{
    size_t word_count = 0;
    char *save = NULL;
    *count = 0;
    commands[0] = (HeliosModuleExecuteCommand){.argv = words};
    for (char *word = strtok_r(line, " \r", &save); word != NULL;
         word = strtok_r(NULL, " \r", &save)) {
        if (strcmp(word, ";") == 0) {
            if (commands[*count].argc == 0 || *count + 1 == LINES_COMMANDS_MAX) {
                return false;
            }
            commands[++*count] = (HeliosModuleExecuteCommand){.argv = words + word_count};
            continue;
        }
        if (word_count == LINES_WORDS_MAX) {
            return false;
        }
        words[word_count++] = (HeliosModuleText){word, strlen(word)};
        commands[*count].argc++;
    }
    return commands[(*count)++].argc != 0;
}

static void execute(struct lines *lines, struct client *client, char *line)
{
    HeliosModuleText words[LINES_WORDS_MAX];
    HeliosModuleExecuteCommand commands[LINES_COMMANDS_MAX];
    size_t count = 0;
    if (!cut(line, words, commands, &count)) {
        put_text(client, "error: words, please; commands between semicolons\n");
        send_out(client);
        return;
    }
    struct result *result = RedisModule_Calloc(1, sizeof *result);
    *result = (struct result){
        .lines = lines, .slot = (size_t)(client - lines->clients), .serial = client->serial};
    HeliosModuleExecuteRequest request = {.version = HELIOSMODULE_EXECUTE_VERSION,
                                          .commands = commands,
                                          .count = count,
                                          .user = {lines->user, lines->user_len},
                                          .client = HELIOSMODULE_TEXT("lines:0"),
                                          .done = done,
                                          .data = result};
    client->call = HeliosModule_Execute(lines->executor, &request);
    if (client->call == 0) { /* done() will never see it */
        put_text(client, errno == EAGAIN ? "error: busy, try again\n" : "error: refused\n");
        send_out(client);
        RedisModule_Free(result);
    }
}

/* Execute the first whole line, when none is under way. */
static void next_line(struct lines *lines, struct client *client)
{
    char *end = memchr(client->in, '\n', client->in_len);
    while (client->call == 0 && end != NULL) {
        size_t len = (size_t)(end - client->in) + 1;
        char line[LINES_LINE_MAX];
        memcpy(line, client->in, len);
        line[len - 1] = '\0';
        memmove(client->in, client->in + len, client->in_len - len);
        client->in_len -= len;
        execute(lines, client, line);
        end = memchr(client->in, '\n', client->in_len);
    }
}

/* ---- Connections ---- */

static void drop(struct lines *lines, struct client *client)
{
    if (client->call != 0) {
        HeliosModule_ExecuteCancel(lines->executor, client->call); /* nobody wants it any more */
    }
    close(client->fd);
    client->fd = -1;
}

static void receive(struct lines *lines, struct client *client)
{
    ssize_t got = recv(client->fd, client->in + client->in_len, sizeof client->in - client->in_len,
                       MSG_DONTWAIT);
    if (got > 0) {
        client->in_len += (size_t)got;
        next_line(lines, client);
    }
    bool too_long = client->call == 0 && client->in_len == sizeof client->in;
    if (got == 0 || too_long || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        drop(lines, client);
    }
}

static void take_client(struct lines *lines)
{
    int fd = accept(lines->listener, NULL, NULL);
    for (size_t i = 0; fd >= 0 && i < LINES_CLIENTS_MAX; i++) {
        struct client *client = &lines->clients[i];
        if (client->fd < 0) {
            client->fd = fd;
            client->serial = ++lines->serial;
            client->call = 0;
            client->in_len = 0;
            return;
        }
    }
    close(fd); /* too many */
}

/* Fill what to wait for; clients with a call under way are not read from, unless there is room to
 * see that they leave. */
static void watch(const struct lines *lines, struct pollfd *fds)
{
    fds[0] = (struct pollfd){.fd = lines->wake, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = lines->listener, .events = POLLIN};
    for (size_t i = 0; i < LINES_CLIENTS_MAX; i++) {
        const struct client *client = &lines->clients[i];
        bool room = client->in_len < sizeof client->in;
        fds[2 + i] = (struct pollfd){.fd = client->fd, .events = room ? POLLIN : 0};
    }
}

static void *serve(void *arg)
{
    struct lines *lines = arg;
    struct pollfd fds[2 + LINES_CLIENTS_MAX];
    bool stopping = false;
    while (!stopping) {
        watch(lines, fds);
        if (poll(fds, 2 + LINES_CLIENTS_MAX, -1) < 0) {
            continue;
        }
        uint64_t wakes = 0;
        if ((fds[0].revents & POLLIN) != 0 && read(lines->wake, &wakes, sizeof wakes) < 0) {
            continue;
        }
        struct result *result = take_results(lines, &stopping);
        while (result != NULL) {
            struct result *next = result->next;
            size_t slot = result->slot;
            answer(lines, result);
            next_line(lines, &lines->clients[slot]);
            result = next;
        }
        for (size_t i = 0; i < LINES_CLIENTS_MAX; i++) {
            if (lines->clients[i].fd == fds[2 + i].fd && fds[2 + i].revents != 0) {
                receive(lines, &lines->clients[i]);
            }
        }
        if ((fds[1].revents & POLLIN) != 0) {
            take_client(lines);
        }
    }
    for (size_t i = 0; i < LINES_CLIENTS_MAX; i++) {
        if (lines->clients[i].fd >= 0) {
            drop(lines, &lines->clients[i]);
        }
    }
    return NULL;
}

/* ---- Starting and stopping ---- */

static bool listen_on(struct lines *lines, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int on = 1;
    lines->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    lines->wake = eventfd(0, EFD_CLOEXEC);
    if (lines->listener < 0 || lines->wake < 0 ||
        setsockopt(lines->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(lines->listener, (struct sockaddr *)&address, len) != 0 ||
        listen(lines->listener, LINES_CLIENTS_MAX) != 0 ||
        getsockname(lines->listener, (struct sockaddr *)&address, &len) != 0) {
        return false;
    }
    lines->port = ntohs(address.sin_port);
    return true;
}

static void lines_free(struct lines *lines)
{
    if (lines->listener >= 0) {
        close(lines->listener);
    }
    if (lines->wake >= 0) {
        close(lines->wake);
    }
    pthread_mutex_destroy(&lines->mutex);
    RedisModule_Free(lines->user);
    RedisModule_Free(lines);
}

struct lines *lines_start(RedisModuleCtx *ctx, int port, const char *user, size_t user_len)
{
    struct lines *lines = RedisModule_Calloc(1, sizeof *lines);
    lines->results_end = &lines->results;
    pthread_mutex_init(&lines->mutex, NULL);
    lines->listener = lines->wake = -1;
    for (size_t i = 0; i < LINES_CLIENTS_MAX; i++) {
        lines->clients[i].fd = -1;
    }
    lines->user = RedisModule_Calloc(1, user_len + 1);
    memcpy(lines->user, user, user_len);
    lines->user_len = user_len;
    HeliosModuleExecuteLimits limits = {.version = HELIOSMODULE_EXECUTE_VERSION,
                                        .calls = LINES_CLIENTS_MAX};
    lines->executor = HeliosModule_ExecutorOpen(ctx, &limits);
    if (lines->executor == NULL || !listen_on(lines, port) ||
        pthread_create(&lines->thread, NULL, serve, lines) != 0) {
        HeliosModule_ExecutorClose(lines->executor);
        lines_free(lines);
        return NULL;
    }
    return lines;
}

void lines_stop(struct lines *lines)
{
    pthread_mutex_lock(&lines->mutex);
    lines->stopping = true;
    pthread_mutex_unlock(&lines->mutex);
    wake(lines);
    pthread_join(lines->thread, NULL); /* it never waits for the server, so this is soon */
    HeliosModule_ExecutorClose(lines->executor); /* what is under way comes to done() now */
    bool stopping = false;
    for (struct result *result = take_results(lines, &stopping); result != NULL;) {
        struct result *next = result->next;
        result_free(result);
        result = next;
    }
    lines_free(lines);
}

int lines_port(const struct lines *lines)
{
    return lines->port;
}
