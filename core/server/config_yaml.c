/* YAML (and so JSON) to a flat list of leaves, strictly.
 *
 *   Y1  no anchors, aliases, tags or second document: what is written is what is meant.
 *   Y2  no key twice in one map.
 *   Y3  depth, leaves and the length of a path are bounded.
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/config_internal.h"

#include <yaml.h>

#define PATH_MAX_LEN 512
#define KEYS_MAX_LEN (64u << 10) /* bytes of all keys of one map */

/* One open map or list. */
struct frame {
    bool map;
    bool has_key;       /* map: the key was read, its value comes */
    size_t path_len;    /* of the container's own path */
    size_t index;       /* list: of the next item */
    struct hl_buf keys; /* map: every key so far, each with a NUL */
};

struct reader {
    const char *name;
    struct config_leaves *out;
    struct hl_errmsg *msg;
    struct frame frames[CONFIG_YAML_DEPTH];
    int depth;
    char path[PATH_MAX_LEN];
    size_t path_len;
    int documents;
};

static hl_err refuse(struct reader *reader, const yaml_mark_t *at, const char *what)
{
    return hl_fail(reader->msg, HL_EINVAL, "%.120s:%zu:%zu: %s", reader->name, at->line + 1,
                   at->column + 1, what);
}

/* Append to the path; false when it is too long. */
static bool extend_path(struct reader *reader, const char *text, size_t len)
{
    if (reader->path_len + len >= PATH_MAX_LEN) {
        return false;
    }
    memcpy(reader->path + reader->path_len, text, len);
    reader->path_len += len;
    reader->path[reader->path_len] = '\0';
    return true;
}

static void add_leaf(struct reader *reader, struct hl_slice value, bool null, const yaml_mark_t *at)
{
    struct config_leaves *out = reader->out;
    if (out->count == out->cap) {
        out->cap = out->cap == 0 ? 64 : out->cap * 2;
        out->items = hl_realloc(out->items, out->cap * sizeof *out->items);
    }
    out->items[out->count++] = (struct config_leaf){
        .path = hl_strndup(reader->path, reader->path_len),
        .value = hl_strndup(value.ptr, value.len),
        .line = (int)at->line + 1,
        .column = (int)at->column + 1,
        .null = null,
    };
}

/* The value of a map's key or a list's item begins: give a list's item its place in the path. */
static hl_err value_begins(struct reader *reader, const yaml_mark_t *at)
{
    if (reader->depth == 0) {
        return HL_OK;
    }
    struct frame *top = &reader->frames[reader->depth - 1];
    if (top->map) {
        HL_ASSERT(top->has_key);
        return HL_OK;
    }
    char index[32];
    int len = snprintf(index, sizeof index, "[%zu]", top->index++);
    return extend_path(reader, index, (size_t)len) ? HL_OK : refuse(reader, at, "path too long");
}

/* The value ended: the path is the container's again. */
static void value_ended(struct reader *reader)
{
    if (reader->depth == 0) {
        return;
    }
    struct frame *top = &reader->frames[reader->depth - 1];
    top->has_key = false;
    reader->path_len = top->path_len;
    reader->path[reader->path_len] = '\0';
}

static bool key_is_new(const struct frame *top, struct hl_slice key)
{
    size_t at = 0;
    while (at < top->keys.len) {
        size_t len = strlen(top->keys.ptr + at);
        if (len == key.len && memcmp(top->keys.ptr + at, key.ptr, len) == 0) {
            return false;
        }
        at += len + 1;
    }
    return true;
}

static hl_err read_key(struct reader *reader, struct hl_slice key, const yaml_mark_t *at)
{
    struct frame *top = &reader->frames[reader->depth - 1];
    HL_ASSERT(top->map && !top->has_key);
    if (key.len == 0 || key.len > 128) {
        return refuse(reader, at, "a key must have 1 to 128 bytes");
    }
    for (size_t i = 0; i < key.len; i++) {
        char c = key.ptr[i];
        bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    c == '_' || c == '-' || c == '.';
        if (!fine) {
            return refuse(reader, at, "a key may have letters, digits, '_', '-' and '.' only");
        }
    }
    if (!key_is_new(top, key)) {
        return refuse(reader, at, "this key is here twice");
    }
    if (top->keys.len + key.len + 1 > KEYS_MAX_LEN) {
        return refuse(reader, at, "too many keys");
    }
    hl_buf_append_slice(&top->keys, key);
    hl_buf_append_u8(&top->keys, 0);
    bool room = (reader->path_len == 0 || extend_path(reader, ".", 1)) &&
                extend_path(reader, key.ptr, key.len);
    top->has_key = true;
    return room ? HL_OK : refuse(reader, at, "path too long");
}

static bool is_null(const yaml_event_t *event, struct hl_slice value)
{
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (value.len == 0 || hl_slice_is(value, "~") || hl_slice_is(value, "null"));
}

static hl_err read_scalar(struct reader *reader, const yaml_event_t *event)
{
    const yaml_mark_t *at = &event->start_mark;
    struct hl_slice value = {.ptr = (const char *)event->data.scalar.value,
                             .len = event->data.scalar.length};
    if (event->data.scalar.anchor != NULL) {
        return refuse(reader, at, "anchors and aliases are not accepted");
    }
    if (event->data.scalar.tag != NULL) {
        return refuse(reader, at, "tags are not accepted");
    }
    if (reader->depth == 0) {
        return is_null(event, value) ? HL_OK : refuse(reader, at, "the file must be a map");
    }
    struct frame *top = &reader->frames[reader->depth - 1];
    if (top->map && !top->has_key) {
        return read_key(reader, value, at);
    }
    if (value.len > HL_CONFIG_VALUE_MAX) {
        return refuse(reader, at, "value too long");
    }
    if (value.len != 0 && memchr(value.ptr, '\0', value.len) != NULL) {
        return refuse(reader, at, "a NUL byte in a value");
    }
    if (reader->out->count == CONFIG_LEAVES_MAX) {
        return refuse(reader, at, "too many values");
    }
    hl_err err = value_begins(reader, at);
    if (err == HL_OK) {
        add_leaf(reader, value, is_null(event, value), at);
        value_ended(reader);
    }
    return err;
}

static hl_err open_container(struct reader *reader, bool map, const unsigned char *anchor,
                             const unsigned char *tag, const yaml_mark_t *at)
{
    if (anchor != NULL) {
        return refuse(reader, at, "anchors and aliases are not accepted");
    }
    if (tag != NULL) {
        return refuse(reader, at, "tags are not accepted");
    }
    if (reader->depth == CONFIG_YAML_DEPTH) {
        return refuse(reader, at, "nested too deep");
    }
    if (reader->depth == 0 && !map) {
        return refuse(reader, at, "the file must be a map");
    }
    if (reader->depth > 0) {
        const struct frame *top = &reader->frames[reader->depth - 1];
        if (top->map && !top->has_key) {
            return refuse(reader, at, "a key must be a word");
        }
    }
    hl_err err = value_begins(reader, at);
    if (err == HL_OK) {
        reader->frames[reader->depth++] = (struct frame){.map = map, .path_len = reader->path_len};
    }
    return err;
}

static hl_err close_container(struct reader *reader, const yaml_mark_t *at)
{
    HL_ASSERT(reader->depth > 0);
    struct frame *top = &reader->frames[reader->depth - 1];
    bool empty = top->map ? top->keys.len == 0 : top->index == 0;
    if (empty && reader->depth > 1) {
        if (reader->out->count == CONFIG_LEAVES_MAX) {
            return refuse(reader, at, "too many values");
        }
        add_leaf(reader, hl_slice_of(""), true, at);
    }
    hl_buf_fini(&top->keys);
    reader->depth--;
    value_ended(reader);
    return HL_OK;
}

static hl_err take_event(struct reader *reader, const yaml_event_t *event)
{
    const yaml_mark_t *at = &event->start_mark;
    switch (event->type) {
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return HL_OK;
    case YAML_DOCUMENT_START_EVENT:
        reader->documents++;
        return reader->documents == 1 ? HL_OK : refuse(reader, at, "only one document is accepted");
    case YAML_ALIAS_EVENT:
        return refuse(reader, at, "anchors and aliases are not accepted");
    case YAML_SCALAR_EVENT:
        return read_scalar(reader, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_container(reader, false, event->data.sequence_start.anchor,
                              event->data.sequence_start.tag, at);
    case YAML_MAPPING_START_EVENT:
        return open_container(reader, true, event->data.mapping_start.anchor,
                              event->data.mapping_start.tag, at);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_container(reader, at);
    }
    return refuse(reader, at, "unknown event");
}

hl_err config_yaml_leaves(const char *name, struct hl_slice text, struct config_leaves *out,
                          struct hl_errmsg *msg)
{
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0) {
        return hl_fail(msg, HL_ENOMEM, "%.120s: out of memory", name);
    }
    struct config_leaves leaves = {0};
    struct reader *reader = hl_calloc(1, sizeof *reader);
    *reader = (struct reader){.name = name, .out = &leaves, .msg = msg};
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.ptr, text.len);
    hl_err err = HL_OK;
    bool ended = false;
    while (err == HL_OK && !ended) {
        yaml_event_t event;
        if (yaml_parser_parse(&parser, &event) == 0) {
            const char *problem = parser.problem == NULL ? "not YAML" : parser.problem;
            err = refuse(reader, &parser.problem_mark, problem);
            break;
        }
        err = take_event(reader, &event);
        ended = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    for (int i = 0; i < reader->depth; i++) {
        hl_buf_fini(&reader->frames[i].keys);
    }
    hl_free(reader);
    yaml_parser_delete(&parser);
    if (err != HL_OK) {
        config_leaves_fini(&leaves);
        return err;
    }
    *out = leaves;
    return HL_OK;
}

void config_leaves_fini(struct config_leaves *leaves)
{
    for (size_t i = 0; i < leaves->count; i++) {
        hl_free(leaves->items[i].path);
        hl_free(leaves->items[i].value);
    }
    hl_free(leaves->items);
    *leaves = (struct config_leaves){0};
}
