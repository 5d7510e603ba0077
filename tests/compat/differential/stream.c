/* See stream.h. */
#include "stream.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#define ARG_PRINTED_MAX 100 /* bytes of one argument */

struct op *stream_add(struct stream *s, enum op_kind kind, int conn)
{
    HL_ASSERT(conn >= 0 && conn < CONNECTION_COUNT);
    if (s->count == s->cap) {
        s->cap = s->cap == 0 ? 64 : s->cap * 2;
        s->ops = hl_realloc(s->ops, s->cap * sizeof *s->ops);
    }
    s->ops[s->count] = (struct op){.kind = kind, .conn = conn};
    return &s->ops[s->count++];
}

static struct hl_slice dup_slice(struct hl_slice bytes)
{
    return (struct hl_slice){.ptr = hl_strndup(bytes.ptr == NULL ? "" : bytes.ptr, bytes.len),
                             .len = bytes.len};
}

void op_add(struct op *op, struct hl_slice bytes)
{
    op->argv = hl_realloc(op->argv, (size_t)(op->argc + 1) * sizeof *op->argv);
    op->argv[op->argc++] = dup_slice(bytes);
}

void op_remove(struct op *op, int index)
{
    HL_ASSERT(index >= 0 && index < op->argc);
    hl_free((char *)op->argv[index].ptr);
    op->argc--;
    memmove(&op->argv[index], &op->argv[index + 1], (size_t)(op->argc - index) * sizeof *op->argv);
}

void op_replace(struct op *op, int index, struct hl_slice bytes)
{
    HL_ASSERT(index >= 0 && index < op->argc);
    hl_free((char *)op->argv[index].ptr);
    op->argv[index] = dup_slice(bytes);
}

void op_encode(const struct op *op, struct hl_buf *out)
{
    hl_buf_printf(out, "*%d\r\n", op->argc);
    for (int i = 0; i < op->argc; i++) {
        hl_buf_printf(out, "$%zu\r\n", op->argv[i].len);
        hl_buf_append_slice(out, op->argv[i]);
        hl_buf_append_text(out, "\r\n");
    }
}

void stream_clear(struct stream *s)
{
    for (size_t i = 0; i < s->count; i++) {
        while (s->ops[i].argc > 0) {
            op_remove(&s->ops[i], s->ops[i].argc - 1);
        }
        hl_free(s->ops[i].argv);
    }
    hl_free(s->ops);
    *s = (struct stream){0};
}

void print_quoted(FILE *file, struct hl_slice bytes, size_t len_max)
{
    fputc('"', file);
    for (size_t i = 0; i < bytes.len && i < len_max; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (c == '"' || c == '\\') {
            fprintf(file, "\\%c", c);
        } else if (c == '\r') {
            fprintf(file, "\\r");
        } else if (c == '\n') {
            fprintf(file, "\\n");
        } else if (c < ' ' || c > '~') {
            fprintf(file, "\\x%02x", c);
        } else {
            fputc(c, file);
        }
    }
    fputc('"', file);
    if (bytes.len > len_max) {
        fprintf(file, "...(%zu bytes)", bytes.len);
    }
}

static bool is_plain(struct hl_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (c <= ' ' || c > '~' || c == '"' || c == '\'' || c == '\\') {
            return false;
        }
    }
    return bytes.len != 0 && bytes.len <= ARG_PRINTED_MAX;
}

void op_print(FILE *file, const struct op *op)
{
    static const char *const notes[] = {
        [OP_COMMAND] = "",
        [OP_RAW] = "raw bytes ",
        [OP_TRANSFER] = "DUMP and RESTORE across: ",
        [OP_RANDOM] = "drawn from what exists: ",
        [OP_SCAN_ALL] = "to the end: ",
    };
    fprintf(file, "  [%d] %s", op->conn, notes[op->kind]);
    for (int i = 0; i < op->argc; i++) {
        fputs(i == 0 ? "" : " ", file);
        if (is_plain(op->argv[i])) {
            fprintf(file, "%.*s", (int)op->argv[i].len, op->argv[i].ptr);
        } else {
            print_quoted(file, op->argv[i], ARG_PRINTED_MAX);
        }
    }
    fputc('\n', file);
}
