#include "command/docs.h"

#include "kit/assert.h"

#define DEPTH_MAX 8

struct reader {
    const char *at;
    struct hl_doc_tree *tree;
    int depth;
};

static void skip_spaces(struct reader *r)
{
    while (*r->at == ' ') {
        r->at++;
    }
}

static int new_arg(struct reader *r)
{
    if (r->tree->count == HL_DOC_ARGS_MAX) {
        return -1;
    }
    r->tree->args[r->tree->count] = (struct hl_doc_arg){.first = -1, .next = -1};
    return r->tree->count++;
}

static bool is_word_byte(char c)
{
    return c != '\0' && strchr(" []()|.:", c) == NULL;
}

static struct hl_slice word(struct reader *r)
{
    const char *start = r->at;
    while (is_word_byte(*r->at)) {
        r->at++;
    }
    return (struct hl_slice){.ptr = start, .len = (size_t)(r->at - start)};
}

static bool is_token(struct hl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] >= 'a' && text.ptr[i] <= 'z') {
            return false;
        }
    }
    return text.len != 0;
}

const char *hl_doc_type_name(enum hl_doc_type type)
{
    static const char *const names[] = {"string",    "integer",    "double", "key",  "pattern",
                                        "unix-time", "pure-token", "oneof",  "block"};
    return names[type];
}

static bool type_of(struct hl_slice name, struct hl_slice text, enum hl_doc_type *out)
{
    if (text.ptr == NULL) {
        bool key = hl_slice_is(name, "key") ||
                   (name.len > 4 && memcmp(name.ptr + name.len - 4, "-key", 4) == 0);
        *out = key ? HL_DOC_KEY : hl_slice_is(name, "pattern") ? HL_DOC_PATTERN : HL_DOC_STRING;
        return true;
    }
    for (int i = HL_DOC_STRING; i <= HL_DOC_UNIX_TIME; i++) {
        if (hl_slice_is(text, hl_doc_type_name((enum hl_doc_type)i))) {
            *out = (enum hl_doc_type)i;
            return true;
        }
    }
    return false;
}

static int alternatives(struct reader *r, char end);

/* A group or choice up to `end`; *at is its node. */
static int bracket(struct reader *r, char end)
{
    if (++r->depth > DEPTH_MAX) {
        return -1;
    }
    r->at++;
    int node = alternatives(r, end);
    if (node < 0 || *r->at != end) {
        return -1;
    }
    r->at++;
    r->depth--;
    return node;
}

static int plain_argument(struct reader *r, struct hl_slice name)
{
    struct hl_slice type = {0};
    if (*r->at == ':') {
        r->at++;
        type = word(r);
    }
    int node = new_arg(r);
    if (node < 0 || !type_of(name, type, &r->tree->args[node].type)) {
        return -1;
    }
    r->tree->args[node].name = name;
    return node;
}

/* A literal word: alone, or the token of what follows it. */
static int token_argument(struct reader *r, struct hl_slice token)
{
    skip_spaces(r);
    int node = -1;
    if (*r->at == '(') {
        node = bracket(r, ')');
    } else if (is_word_byte(*r->at)) {
        const char *before = r->at;
        struct hl_slice name = word(r);
        if (is_token(name)) {
            r->at = before;
        } else {
            node = plain_argument(r, name);
        }
    }
    if (node < 0) {
        node = new_arg(r);
        if (node < 0) {
            return -1;
        }
        r->tree->args[node].type = HL_DOC_PURE_TOKEN;
        r->tree->args[node].name = token;
    }
    r->tree->args[node].token = token;
    return node;
}

static int item(struct reader *r)
{
    int node = -1;
    if (*r->at == '[') {
        node = bracket(r, ']');
        if (node >= 0) {
            r->tree->args[node].optional = true;
        }
    } else if (*r->at == '(') {
        node = bracket(r, ')');
    } else {
        struct hl_slice text = word(r);
        if (text.len != 0) {
            node = is_token(text) ? token_argument(r, text) : plain_argument(r, text);
        }
    }
    if (node >= 0 && strncmp(r->at, "...", 3) == 0) {
        r->at += 3;
        r->tree->args[node].multiple = true;
    }
    return node;
}

/* Items up to '|', a closing bracket or the end: one node, a block when there are several. */
static int sequence(struct reader *r)
{
    int first = -1;
    int last = -1;
    int count = 0;
    for (skip_spaces(r); *r->at != '\0' && strchr("|])", *r->at) == NULL; skip_spaces(r)) {
        int node = item(r);
        if (node < 0) {
            return -1;
        }
        if (first < 0) {
            first = node;
        } else {
            r->tree->args[last].next = node;
        }
        last = node;
        count++;
    }
    if (count <= 1) {
        return first;
    }
    int block = new_arg(r);
    if (block >= 0) {
        r->tree->args[block].type = HL_DOC_BLOCK;
        r->tree->args[block].first = first;
        r->tree->args[block].name = r->tree->args[first].name;
    }
    return block;
}

static int alternatives(struct reader *r, char end)
{
    int first = sequence(r);
    int last = first;
    int count = first >= 0;
    while (first >= 0 && *r->at == '|') {
        r->at++;
        int node = sequence(r);
        if (node < 0) {
            return -1;
        }
        r->tree->args[last].next = node;
        last = node;
        count++;
    }
    if (first < 0 || *r->at != end || count == 1) {
        return *r->at == end ? first : -1;
    }
    int choice = new_arg(r);
    if (choice >= 0) {
        r->tree->args[choice].type = HL_DOC_ONEOF;
        r->tree->args[choice].first = first;
        r->tree->args[choice].name = r->tree->args[first].name;
    }
    return choice;
}

bool hl_docs_parse(const char *grammar, struct hl_doc_tree *out)
{
    out->count = 0;
    out->first = -1;
    if (grammar == NULL) {
        return true;
    }
    struct reader r = {.at = grammar, .tree = out};
    int last = -1;
    for (skip_spaces(&r); *r.at != '\0'; skip_spaces(&r)) {
        int node = item(&r);
        if (node < 0) {
            return false;
        }
        if (last < 0) {
            out->first = node;
        } else {
            out->args[last].next = node;
        }
        last = node;
    }
    return true;
}

/* --- the manual ------------------------------------------------------------------------------- */

static const char *const groups[] = {"connection",   "generic", "string", "hash",
                                     "transactions", "server",  "cluster"};

static void manual_command(const struct hl_command *cmd, struct hl_buf *out)
{
    const struct hl_command_row *row = cmd->row;
    char name[HL_COMMAND_NAME_MAX + 1];
    size_t len = strlen(row->name);
    for (size_t i = 0; i <= len; i++) {
        char c = row->name[i];
        name[i] = c == '|' ? ' ' : c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
    }
    hl_buf_printf(out, "\n### %s\n\n`%s%s%s`\n\n%s  \nSince %s. Complexity: %s.\n", name, name,
                  row->args != NULL ? " " : "", row->args != NULL ? row->args : "", row->summary,
                  row->since, row->complexity);
}

static int by_name(const struct hl_command_table *table, const char *group, const char *after,
                   const struct hl_command **best)
{
    *best = NULL;
    for (uint32_t id = 0; id < hl_command_id_end(table); id++) {
        const struct hl_command *cmd = hl_command_by_id(table, id);
        if (cmd == NULL || (cmd->flags & HL_CMD_MODULE) != 0 || cmd->sub_count != 0 ||
            strcmp(cmd->row->group, group) != 0 || strcmp(cmd->row->name, after) <= 0) {
            continue;
        }
        if (*best == NULL || strcmp(cmd->row->name, (*best)->row->name) < 0) {
            *best = cmd;
        }
    }
    return *best != NULL;
}

void hl_docs_manual(const struct hl_command_table *table, struct hl_buf *out)
{
    hl_buf_append_text(out, "# Commands\n\nMade from the command table: do not edit. The grammar: "
                            "UPPER-CASE is literal, [ ] optional, | a choice, ... repeats.\n");
    for (size_t i = 0; i < HL_ARRAY_LEN(groups); i++) {
        hl_buf_printf(out, "\n## %c%s\n", groups[i][0] - ('a' - 'A'), groups[i] + 1);
        const struct hl_command *cmd = NULL;
        const char *after = "";
        while (by_name(table, groups[i], after, &cmd)) {
            manual_command(cmd, out);
            after = cmd->row->name;
        }
    }
}
