/* See cluster_ask.h. */
#include "tools/cluster_ask.h"

#include "kit/assert.h"
#include "kit/num.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

/* Lower-case letters, digits, '_' and '-' of a value: what a terminal may be shown. */
static void copy_word(char *out, size_t size, struct hl_slice value)
{
    size_t len = 0;
    for (size_t i = 0; i < value.len && len < size - 1; i++) {
        char c = value.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '_' || c == '-' || c == '.';
        if (plain) {
            out[len++] = c;
        }
    }
    out[len] = '\0';
}

static void lower(char *text)
{
    for (; *text != '\0'; text++) {
        *text = *text >= 'A' && *text <= 'Z' ? (char)(*text + 32) : *text;
    }
}

static void read_field(struct cluster_answer *answer, struct hl_slice name, struct hl_slice value)
{
    const struct {
        const char *name;
        int64_t *out;
    } numbers[] = {{"raft_term", &answer->term},
                   {"raft_commit_index", &answer->commit},
                   {"raft_last_applied", &answer->applied},
                   {"raft_last_log_index", &answer->last},
                   {"raft_voters", &answer->voters},
                   {"raft_learners", &answer->learners},
                   {"uptime_in_seconds", &answer->uptime_s},
                   {"process_id", &answer->pid}};
    const struct {
        const char *name;
        char *out;
        size_t size;
    } texts[] = {{"raft_node_id", answer->id, sizeof answer->id},
                 {"raft_state", answer->role, sizeof answer->role},
                 {"raft_leader", answer->leader, sizeof answer->leader}};
    for (size_t i = 0; i < HL_ARRAY_LEN(numbers); i++) {
        int64_t n = 0;
        if (hl_slice_is(name, numbers[i].name) && hl_parse_i64(value, &n) && n >= 0) {
            *numbers[i].out = n;
        }
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(texts); i++) {
        if (hl_slice_is(name, texts[i].name)) {
            copy_word(texts[i].out, texts[i].size, value);
        }
    }
}

void cluster_read_info(struct cluster_answer *answer, struct hl_slice text)
{
    *answer = (struct cluster_answer){.reach = CLUSTER_ANSWERS,
                                      .term = -1,
                                      .commit = -1,
                                      .applied = -1,
                                      .last = -1,
                                      .voters = -1,
                                      .learners = -1,
                                      .uptime_s = -1,
                                      .pid = -1};
    while (text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.ptr);
        const char *colon = memchr(text.ptr, ':', len);
        if (colon != NULL) {
            struct hl_slice name = {.ptr = text.ptr, .len = (size_t)(colon - text.ptr)};
            struct hl_slice value = {.ptr = colon + 1, .len = len - name.len - 1};
            while (value.len > 0 && (value.ptr[0] == ' ')) {
                value = (struct hl_slice){.ptr = value.ptr + 1, .len = value.len - 1};
            }
            while (value.len > 0 && value.ptr[value.len - 1] == '\r') {
                value.len--;
            }
            read_field(answer, name, value);
        }
        size_t step = end == NULL ? len : len + 1;
        text = (struct hl_slice){.ptr = text.ptr + step, .len = text.len - step};
    }
    lower(answer->role);
}

static struct timeval time_of(int64_t ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
}

/* A connection that has presented the password, if there is one; NULL with the reason. */
static redisContext *open_node(const struct cluster_node *node, int64_t wait_ms, bool *listens,
                               struct hl_errmsg *msg)
{
    redisContext *conn =
        redisConnectWithTimeout("127.0.0.1", node->client_port, time_of(CLUSTER_ASK_MS));
    *listens = conn != NULL && conn->err == 0;
    if (!*listens || redisSetTimeout(conn, time_of(wait_ms)) != REDIS_OK) {
        (void)hl_fail(msg, HL_EIO, "%s: port %d: %s", node->id, node->client_port,
                      conn == NULL ? "out of memory" : conn->errstr);
        goto fail_free;
    }
    const char *password = getenv("REDISCLI_AUTH");
    if (password == NULL || password[0] == '\0') {
        return conn;
    }
    redisReply *reply = redisCommand(conn, "AUTH %s", password);
    bool ok = reply != NULL && reply->type != REDIS_REPLY_ERROR;
    if (!ok) {
        (void)hl_fail(msg, HL_EIO, "%s: AUTH: %s", node->id,
                      reply == NULL ? conn->errstr : reply->str);
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    if (ok) {
        return conn;
    }
fail_free:
    if (conn != NULL) {
        redisFree(conn);
    }
    return NULL;
}

static void note_refusal(struct cluster_answer *answer, enum cluster_reach reach, const char *why)
{
    cluster_read_info(answer, (struct hl_slice){.ptr = "", .len = 0});
    answer->reach = reach;
    (void)snprintf(answer->why, sizeof answer->why, "%.120s", why);
}

void cluster_ask(const struct cluster_node *node, struct cluster_answer *answer)
{
    struct hl_errmsg msg = {0};
    bool listens = false;
    redisContext *conn = open_node(node, CLUSTER_ASK_MS, &listens, &msg);
    if (conn == NULL) {
        note_refusal(answer, listens ? CLUSTER_REFUSES : CLUSTER_DOWN, msg.text);
        return;
    }
    redisReply *reply = redisCommand(conn, "INFO everything");
    if (reply == NULL) {
        note_refusal(answer, CLUSTER_SILENT, conn->errstr);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        bool loading = strncmp(reply->str, "LOADING", 7) == 0;
        note_refusal(answer, loading ? CLUSTER_LOADING : CLUSTER_REFUSES, reply->str);
    } else if (reply->type != REDIS_REPLY_STRING) {
        note_refusal(answer, CLUSTER_SILENT, "its answer to INFO is no text");
    } else {
        cluster_read_info(answer, (struct hl_slice){.ptr = reply->str, .len = (size_t)reply->len});
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    redisFree(conn);
}

hl_err cluster_command(const struct cluster_node *node, int64_t wait_ms, int argc,
                       const char **argv, struct hl_errmsg *msg)
{
    bool listens = false;
    redisContext *conn = open_node(node, wait_ms, &listens, msg);
    if (conn == NULL) {
        return HL_EIO;
    }
    hl_err err = HL_OK;
    redisReply *reply = redisCommandArgv(conn, argc, argv, NULL);
    if (reply == NULL) {
        err = hl_fail(msg, HL_EIO, "%s: %s: %s", node->id, argv[0], conn->errstr);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        err = hl_fail(msg, HL_EINVAL, "%s: %s: %.200s", node->id, argv[0], reply->str);
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    redisFree(conn);
    return err;
}
