/* The grammar of arguments that rows write, read into the tree that COMMAND DOCS answers.
 *
 *   key value [NX|XX] [EX seconds:integer|PERSIST] [AUTH (username password)] (field value)...
 *
 *   lower-case word   an argument; `name:type` gives its type (string unless the name is key,
 *                     pattern or ends in -key)
 *   UPPER-CASE word   a literal word; followed by an argument, a group or a choice it is that one's
 *                     token, else it stands for itself
 *   [ … ]             optional          ( … )   a group
 *   a | b             a choice          x...    one or more times
 */
#ifndef HL_COMMAND_DOCS_H
#define HL_COMMAND_DOCS_H

#include "command/command.h"

#define HL_DOC_ARGS_MAX 64 /* arguments of one command, nested ones included */

enum hl_doc_type {
    HL_DOC_STRING,
    HL_DOC_INTEGER,
    HL_DOC_DOUBLE,
    HL_DOC_KEY,
    HL_DOC_PATTERN,
    HL_DOC_UNIX_TIME,
    HL_DOC_PURE_TOKEN,
    HL_DOC_ONEOF,
    HL_DOC_BLOCK,
};

/* One argument; texts are views into the grammar.  Children of a node are chained by `next`. */
struct hl_doc_arg {
    struct hl_slice name, token; /* ptr NULL: none */
    enum hl_doc_type type;
    bool optional, multiple;
    int first, next; /* positions in the tree, -1: none */
};

struct hl_doc_tree {
    struct hl_doc_arg args[HL_DOC_ARGS_MAX];
    int count;
    int first; /* of the top level, -1: no arguments */
};

/* Read a grammar (NULL gives no arguments).  False when it is malformed: a mistake in a row. */
bool hl_docs_parse(const char *grammar, struct hl_doc_tree *out);

/* The word of COMMAND DOCS for a type. */
const char *hl_doc_type_name(enum hl_doc_type type);

/* Append docs/commands.md: every command of the table by group. */
void hl_docs_manual(const struct hl_command_table *table, struct hl_buf *out);

#endif
