/* What role.c and policy.c share and nobody else includes. */
#ifndef RBAC_POLICY_INTERNAL_H
#define RBAC_POLICY_INTERNAL_H

#include "policy.h"

/* Make a role, its parents not looked at; NULL, or why not. */
const char *role_make(struct role **out, const struct role_spec *spec);

/* Release a role; NULL is allowed. */
void role_destroy(struct role *role);

/* Put a role in its place, instead of one of its name. */
void role_put(struct policy *policy, struct role *given_role);

/* Put the built-in roles that are missing. */
void role_put_built_ins(struct policy *policy);

/* P1 for all roles, `changed` (may be NULL) standing for the one of its name; NULL, or what is
 * wrong. */
const char *role_check_all(const struct policy *policy, const struct role *changed);

/* Take a role's or a group's name out of all grants. */
void subjects_forget(struct policy *policy, struct hl_slice name);

#endif
