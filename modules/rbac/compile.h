/* compile: what somebody may do as words for ACL SETUSER.
 *
 *   A1  One selector for each unit (grant.h), every denial behind the rules of each: so that the
 *       server decides as decide.h does.
 *   A2  Where the server knows no denial of keys and channels, whoever has one is given nothing:
 *       less than was granted, never more.
 */
#ifndef RBAC_COMPILE_H
#define RBAC_COMPILE_H

#include "grant.h"

/* What the server's ACL can express. */
struct dialect {
    void *ctx;
    bool (*knows)(void *ctx, const char *rule); /* "+job.push", "-@search": now */
    bool denies_keys;                           /* -~pattern, -&pattern */
};

#define COMPILE_NOTHING 4 /* so many words in front take everything away */

/* A selector that allows nothing: whoever has it was made by us. */
#define COMPILE_MARK "&rbac:managed"

/* Words, each ended by a NUL byte. */
struct acl_words {
    struct hl_buf bytes;
    size_t count;
};

/* Append the rules that make an ACL user may exactly what the roles allow.  False when A2 took it
 * all away, or when there were too many roles. */
bool compile(const struct effective_list *roles, const struct dialect *dialect,
             struct acl_words *out);

/* Release the words. */
void acl_words_fini(struct acl_words *words);

#endif
