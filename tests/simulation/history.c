#include "history.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_SIZE (1 << 20) /* bytes: a list of many elements */

static const char *const kind_names[] = {
    [HISTORY_READ] = "read",
    [HISTORY_WRITE] = "write",
    [HISTORY_CAS] = "cas",
    [HISTORY_ADD] = "add",
    [HISTORY_APPEND] = "append",
    [HISTORY_LIST] = "list",
    [HISTORY_SESSION_LIST] = "session-list",
    [HISTORY_STALE_LIST] = "stale-list",
};

static const char *const outcome_names[] = {
    [HISTORY_OK] = "ok",
    [HISTORY_MISS] = "miss",
    [HISTORY_FAIL] = "fail",
    [HISTORY_UNKNOWN] = "unknown",
};

size_t history_add(struct history *history, const struct history_op *op)
{
    if (history->count == history->cap) {
        history->cap = history->cap == 0 ? 64 : history->cap * 2;
        history->ops = hl_realloc(history->ops, history->cap * sizeof *history->ops);
    }
    history->ops[history->count] = *op;
    return history->count++;
}

void history_fini(struct history *history)
{
    for (size_t i = 0; i < history->count; i++) {
        hl_free(history->ops[i].elements);
    }
    hl_free(history->ops);
    *history = (struct history){0};
}

/* --- text in ---------------------------------------------------------------------------------- */

/* Cut the next word off; NULL at the end. */
static char *next_word(char **rest)
{
    while (**rest == ' ') {
        (*rest)++;
    }
    if (**rest == '\0') {
        return NULL;
    }
    char *word = *rest;
    char *end = word + strcspn(word, " ");
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

static bool parse_int(const char *word, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    long long n = word == NULL ? 0 : strtoll(word, &end, 10);
    if (word == NULL || end == word || *end != '\0' || errno != 0) {
        return false;
    }
    *out = n;
    return true;
}

static bool parse_name(const char *word, const char *const *names, size_t count, int *out)
{
    for (size_t i = 0; word != NULL && i < count; i++) {
        if (strcmp(word, names[i]) == 0) {
            *out = (int)i;
            return true;
        }
    }
    return false;
}

static bool parse_elements(char **rest, struct history_op *op)
{
    size_t cap = 0;
    for (char *word; (word = next_word(rest)) != NULL;) {
        int64_t element = 0;
        if (!parse_int(word, &element) || element < 1 || element > UINT32_MAX) {
            return false;
        }
        if (op->count == cap) {
            cap = cap == 0 ? 16 : cap * 2;
            op->elements = hl_realloc(op->elements, cap * sizeof *op->elements);
        }
        op->elements[op->count++] = (uint32_t)element;
    }
    return true;
}

static bool parse_arguments(char **rest, struct history_op *op)
{
    bool answered = op->outcome == HISTORY_OK;
    char *word = NULL;
    switch (op->kind) {
    case HISTORY_READ:
        word = next_word(rest);
        if (!answered) {
            return word == NULL;
        }
        if (word != NULL && strcmp(word, "nil") == 0) {
            op->value = HISTORY_NIL;
            return true;
        }
        return parse_int(word, &op->value);
    case HISTORY_WRITE:
        return parse_int(next_word(rest), &op->arg);
    case HISTORY_CAS:
        return parse_int(next_word(rest), &op->arg) && parse_int(next_word(rest), &op->arg2);
    case HISTORY_ADD:
    case HISTORY_APPEND:
        return parse_int(next_word(rest), &op->arg) &&
               (!answered || parse_int(next_word(rest), &op->value));
    case HISTORY_LIST:
    case HISTORY_SESSION_LIST:
    case HISTORY_STALE_LIST:
        return parse_elements(rest, op);
    }
    return false;
}

static const char *parse_line(char *line, struct history_op *op)
{
    int64_t client = 0;
    int outcome = 0;
    int kind = 0;
    if (!parse_int(next_word(&line), &client) || client < 0 || client > UINT32_MAX) {
        return "the client is not a number";
    }
    op->client = (uint32_t)client;
    char *returned = NULL;
    if (!parse_int(next_word(&line), &op->invoked) || (returned = next_word(&line)) == NULL) {
        return "a time is missing";
    }
    op->returned = HISTORY_NEVER;
    if (strcmp(returned, "-") != 0 && !parse_int(returned, &op->returned)) {
        return "the time of return is neither a number nor '-'";
    }
    if (!parse_name(next_word(&line), outcome_names, HL_ARRAY_LEN(outcome_names), &outcome)) {
        return "the outcome is none of ok, miss, fail, unknown";
    }
    if (!parse_name(next_word(&line), kind_names, HL_ARRAY_LEN(kind_names), &kind)) {
        return "there is no such kind of operation";
    }
    op->outcome = (enum history_outcome)outcome;
    op->kind = (enum history_kind)kind;
    const char *key = next_word(&line);
    if (key == NULL || strlen(key) >= HISTORY_KEY_MAX) {
        return "the key is missing or too long";
    }
    memcpy(op->key, key, strlen(key) + 1);
    if (!parse_arguments(&line, op)) {
        return "the arguments do not fit the kind";
    }
    if (op->outcome == HISTORY_UNKNOWN) {
        op->returned = HISTORY_NEVER;
    } else if (op->returned == HISTORY_NEVER || op->returned < op->invoked) {
        return "it was answered, but not after it was sent";
    }
    return NULL;
}

hl_err history_read(struct history *history, FILE *in, struct hl_errmsg *msg)
{
    char *line = hl_malloc(LINE_MAX_SIZE);
    hl_err err = HL_OK;
    for (int number = 1; err == HL_OK && fgets(line, LINE_MAX_SIZE, in) != NULL; number++) {
        line[strcspn(line, "#\r\n")] = '\0';
        if (line[strspn(line, " ")] == '\0') {
            continue;
        }
        struct history_op op = {0};
        const char *why = parse_line(line, &op);
        if (why != NULL) {
            hl_free(op.elements);
            err = hl_fail(msg, HL_EINVAL, "line %d: %s", number, why);
            break;
        }
        (void)history_add(history, &op);
    }
    hl_free(line);
    return err;
}

/* --- text out --------------------------------------------------------------------------------- */

static void print_arguments(const struct history_op *op, FILE *out)
{
    bool answered = op->outcome == HISTORY_OK;
    switch (op->kind) {
    case HISTORY_READ:
        if (answered && op->value == HISTORY_NIL) {
            fputs(" nil", out);
        } else if (answered) {
            fprintf(out, " %lld", (long long)op->value);
        }
        return;
    case HISTORY_WRITE:
        fprintf(out, " %lld", (long long)op->arg);
        return;
    case HISTORY_CAS:
        fprintf(out, " %lld %lld", (long long)op->arg, (long long)op->arg2);
        return;
    case HISTORY_ADD:
    case HISTORY_APPEND:
        fprintf(out, " %lld", (long long)op->arg);
        if (answered) {
            fprintf(out, " %lld", (long long)op->value);
        }
        return;
    case HISTORY_LIST:
    case HISTORY_SESSION_LIST:
    case HISTORY_STALE_LIST:
        for (size_t i = 0; i < op->count; i++) {
            fprintf(out, " %u", op->elements[i]);
        }
        return;
    }
}

void history_print(const struct history_op *op, FILE *out)
{
    fprintf(out, "%u %lld ", op->client, (long long)op->invoked);
    if (op->outcome == HISTORY_UNKNOWN || op->returned == HISTORY_NEVER) {
        fputs("-", out);
    } else {
        fprintf(out, "%lld", (long long)op->returned);
    }
    fprintf(out, " %s %s %s", outcome_names[op->outcome], kind_names[op->kind], op->key);
    print_arguments(op, out);
    fputc('\n', out);
}
