/* decide: may somebody do something, and which rule says so.
 *
 *   D1  A denial that applies in any role that counts beats every permission.
 *   D2  A command with its keys and channels is allowed by one unit of one role (grant.h) wholly or
 *       not at all.
 *   D3  What no rule speaks of is denied.
 */
#ifndef RBAC_DECIDE_H
#define RBAC_DECIDE_H

#include "grant.h"

#define REQUEST_KEYS_MAX 64
#define REQUEST_CATEGORIES_MAX 32

struct request_key {
    struct hl_slice name;
    unsigned use; /* RULE_READ | RULE_WRITE */
};

/* What somebody wants: a named permission, or a command. */
struct request {
    struct hl_slice permission; /* "kv:get"; empty: a command */
    const struct hl_slice *key; /* of the permission; NULL: none in question */
    struct hl_slice command;    /* lower case: "get", "config" */
    struct hl_slice sub;        /* of the command: "set"; empty: none */
    struct hl_slice categories[REQUEST_CATEGORIES_MAX]; /* without '@' */
    size_t category_count;
    struct request_key keys[REQUEST_KEYS_MAX];
    size_t key_count;
    struct hl_slice channel; /* empty: none */
};

struct decision {
    bool allowed;
    const struct effective *by; /* in the list that was given; NULL: no rule speaks of it */
    const struct rule *rule;    /* the rule that decided; NULL with `by`: a command's basics */
};

/* Decide about a request of whoever the roles count for. */
struct decision decide(const struct effective_list *roles, const struct request *request);

/* Whether `rule` denies the request. */
bool decide_denies(const struct rule *rule, const struct request *request);

#endif
