/* Reading http_corpus.txt, whose head describes its form. */
#ifndef SUPPORT_HTTP_CORPUS_H
#define SUPPORT_HTTP_CORPUS_H

#include "kit/bytes.h"

#include <stdio.h>
#include <stdlib.h>

#define HTTP_CORPUS_LINE_MAX 65536

struct http_case {
    char name[64];
    int status; /* 0: a good request */
    struct hl_buf bytes;
};

/* Append what `text` stands for, up to the end of its line. */
static void http_corpus_decode(struct hl_buf *out, const char *text)
{
    for (; *text != '\0' && *text != '\n'; text++) {
        char c = *text;
        size_t count = 1;
        if (c == '\\') {
            c = *++text;
            if (c == 'x') {
                char hex[3] = {text[1], text[2], '\0'};
                c = (char)strtol(hex, NULL, 16);
                text += 2;
            } else if (c == '(') {
                c = text[1];
                count = strtoul(text + 3, NULL, 10);
                text = strchr(text, ')');
            } else {
                c = c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c;
            }
        }
        for (size_t i = 0; i < count; i++) {
            hl_buf_append(out, &c, 1);
        }
    }
}

/* The next case of the file in `out`, whose buffer is reused; false at the end. */
static inline bool http_corpus_next(FILE *file, struct http_case *out)
{
    static char line[HTTP_CORPUS_LINE_MAX];
    while (fgets(line, sizeof line, file) != NULL) {
        char *status = strchr(line, '\t');
        char *bytes = status == NULL ? NULL : strchr(status + 1, '\t');
        if (line[0] == '#' || bytes == NULL) {
            continue;
        }
        snprintf(out->name, sizeof out->name, "%.*s", (int)(status - line), line);
        out->status = atoi(status + 1);
        hl_buf_clear(&out->bytes);
        http_corpus_decode(&out->bytes, bytes + 1);
        return true;
    }
    return false;
}

#endif
