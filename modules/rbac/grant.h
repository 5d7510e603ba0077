/* grant: a role as what it lets one do at once: the commands, keys and channels that go together.
 *
 * Rights do not mix between units: whoever may read ~a:* by one role and write ~b:* by another may
 * not write ~a:*.  A unit is either the plain rules of a role (commands, categories, keys,
 * channels), or its named permissions of one kind and one scope, spelled out as commands and keys:
 *
 *   kv:get kv:set kv:delete                 commands on strings, keys kv:<scope>
 *   job:create job:view job:cancel job:work commands of the module jobs, queues <scope>
 *   admin:*                                 everything
 *
 * Other named permissions mean something to those who ask for them only.
 */
#ifndef RBAC_GRANT_H
#define RBAC_GRANT_H

#include "policy.h"

#define UNIT_GLOB_MAX (RULE_TEXT_MAX + 4) /* "kv:" and a scope */

/* One unit; borrowed from the role but for `glob`. */
struct unit {
    const struct role *role;
    bool all;                 /* admin:* */
    bool plain;               /* the role's plain rules; else: */
    const struct rule *first; /* a named rule of this kind and scope */
    unsigned use;             /* what may be done with keys of `glob` */
    char glob[UNIT_GLOB_MAX + 1];
};

/* Commands everybody may run who was granted anything: NULL-terminated. */
extern const char *const unit_basics[];

/* Globs of keys that are the system's: named permissions never reach them.  NULL-terminated. */
extern const char *const unit_system_keys[];

/* Call `each` for every unit of a role until it returns true; returns whether it did. */
bool unit_each(const struct role *role, bool (*each)(void *ctx, const struct unit *unit),
               void *ctx);

/* Call `each` for every command of a unit of named permissions. */
void unit_commands(const struct unit *unit, void (*each)(void *ctx, const char *command),
                   void *ctx);

#endif
