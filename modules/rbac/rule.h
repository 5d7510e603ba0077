/* rule: one permission, granted or denied, as text and as data.
 *
 *   +get  +config|set  -flushall     a command, or a subcommand
 *   +@read  -@dangerous              a category of commands
 *   ~app:*  %R~app:*  %W~app:*       keys, for both, to read, to write;   -~secret:*  denies
 *   &news.*                          channels;                            -&secret.*  denies
 *   kv:get  job:*  kv:get@team.*     a named permission, for some keys;   -kv:set@secret*  denies
 *
 * '-' in front denies.  Everything else of a named permission but its scope is in lower case.
 *
 *   U1  A rule's text is canonical: parsing it gives the same rule.
 *   U2  `admin:*` allows everything there is.
 */
#ifndef RBAC_RULE_H
#define RBAC_RULE_H

#include "kit/bytes.h"

#define RULE_TEXT_MAX 256

enum rule_kind {
    RULE_COMMAND,
    RULE_CATEGORY,
    RULE_KEY,
    RULE_CHANNEL,
    RULE_NAMED,
};

#define RULE_READ 1u
#define RULE_WRITE 2u

struct rule {
    enum rule_kind kind;
    bool deny;
    unsigned use;          /* RULE_KEY: RULE_READ | RULE_WRITE */
    struct hl_slice what;  /* command, category, glob of keys or channels, "kv:get", "kv:*" */
    struct hl_slice scope; /* RULE_NAMED: glob of keys; empty: all, or none in question */
    char text[RULE_TEXT_MAX + 1]; /* canonical; `what` and `scope` point into it */
};

/* Read a rule.  NULL, or why it is none; *rule is then undefined.  A rule is not moved: its slices
 * point into itself. */
const char *rule_parse(struct rule *rule, struct hl_slice text);

/* Whether a named permission, "kv:get", is one that `rule` (RULE_NAMED) speaks of, with the key
 * (NULL: none in question).  A scoped rule that allows needs a key; "admin:*" covers all. */
bool rule_covers_named(const struct rule *rule, struct hl_slice permission,
                       const struct hl_slice *key);

/* Whether `permission` is a permission one can ask for: lower case, "a:b", no wildcard. */
bool rule_permission_valid(struct hl_slice permission);

/* Whether the rule allows everything (U2). */
bool rule_is_admin(const struct rule *rule);

#endif
