/* The grammar of arguments: what it reads and what it refuses. */
#include "command/docs.h"

#include <criterion/criterion.h>

static struct hl_doc_tree tree;

static const struct hl_doc_arg *top(int n)
{
    int at = tree.first;
    while (n-- > 0) {
        at = tree.args[at].next;
    }
    return &tree.args[at];
}

Test(docs, plain_names_have_types)
{
    cr_assert(hl_docs_parse("key value count:integer pattern", &tree));
    cr_assert_eq(top(0)->type, HL_DOC_KEY);
    cr_assert_eq(top(1)->type, HL_DOC_STRING);
    cr_assert_eq(top(2)->type, HL_DOC_INTEGER);
    cr_assert_eq(top(3)->type, HL_DOC_PATTERN);
    cr_assert_eq(top(3)->next, -1);
}

Test(docs, a_choice_in_brackets_is_an_optional_oneof)
{
    cr_assert(hl_docs_parse("key [NX|XX] [EX seconds:integer|KEEPTTL]", &tree));
    cr_assert_eq(top(1)->type, HL_DOC_ONEOF);
    cr_assert(top(1)->optional);
    cr_assert_eq(tree.args[top(1)->first].type, HL_DOC_PURE_TOKEN);
    const struct hl_doc_arg *ex = &tree.args[top(2)->first];
    cr_assert_eq(ex->type, HL_DOC_INTEGER);
    cr_assert(hl_slice_is(ex->token, "EX"));
}

Test(docs, a_token_before_a_group_belongs_to_it)
{
    cr_assert(hl_docs_parse("[AUTH (username password)] (field value)...", &tree));
    cr_assert_eq(top(0)->type, HL_DOC_BLOCK);
    cr_assert(top(0)->optional);
    cr_assert(hl_slice_is(top(0)->token, "AUTH"));
    cr_assert_eq(top(1)->type, HL_DOC_BLOCK);
    cr_assert(top(1)->multiple);
}

Test(docs, malformed_grammars_are_refused)
{
    const char *const bad[] = {"[", "(a b", "a]", "x:nosuch", "[a|]", "()", "|"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_not(hl_docs_parse(bad[i], &tree), "%s", bad[i]);
    }
}

Test(docs, no_grammar_is_no_arguments)
{
    cr_assert(hl_docs_parse(NULL, &tree));
    cr_assert_eq(tree.first, -1);
}
