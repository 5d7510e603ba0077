/* policy: roles and who has them.
 *
 * A subject is a user, or, with '@' in front, a group.  Users are granted roles and groups; groups
 * are granted roles.  A role has rules and inherits other roles.
 *
 *   P1  Inheritance has no cycle, is at most POLICY_DEPTH_MAX deep, and names existing roles only.
 *   P2  Grants name existing roles only; a group that a user is in need have no grant.
 *   P3  The roles admin, user and readonly always exist; admin never changes.  Deleting a changed
 *       one gives back what it was at first.
 *   P4  Names are unique and sorted; equal policies have equal bytes.
 *   P5  `epoch` rises with every change.
 */
#ifndef RBAC_POLICY_H
#define RBAC_POLICY_H

#include "rule.h"

#define POLICY_NAME_MAX 128 /* bytes of a role's, user's or group's name */
#define POLICY_TEXT_MAX 512 /* bytes of a description */
#define POLICY_ROLES_MAX 1024
#define POLICY_RULES_MAX 256  /* of one role */
#define POLICY_PARENTS_MAX 16 /* of one role */
#define POLICY_DEPTH_MAX 16
#define POLICY_SUBJECTS_MAX 100000
#define POLICY_GRANTS_MAX 64     /* of one subject */
#define POLICY_EFFECTIVE_MAX 256 /* roles that count for one user, inherited ones included */

struct role {
    char name[POLICY_NAME_MAX + 1];
    char *description;
    struct rule **rules;
    size_t rule_count;
    char (*parents)[POLICY_NAME_MAX + 1];
    size_t parent_count;
    bool built_in; /* and unchanged: not stored */
};

struct subject {
    char name[POLICY_NAME_MAX + 2]; /* "@devs" for a group */
    char (*grants)[POLICY_NAME_MAX + 2];
    size_t grant_count;
};

struct policy {
    struct role **roles;
    size_t role_count;
    struct subject **subjects;
    size_t subject_count;
    uint64_t epoch;
};

/* What a role shall be; borrowed. */
struct role_spec {
    struct hl_slice name;
    struct hl_slice description;
    const struct hl_slice *rules;
    size_t rule_count;
    const struct hl_slice *parents;
    size_t parent_count;
};

/* One role that counts for somebody, and through whom. */
struct effective {
    const struct role *role;
    const char *grant;   /* the granted role that leads here by inheritance */
    const char *subject; /* who was granted it: the user, a group, or a word such as "default" */
};

struct effective_list {
    struct effective items[POLICY_EFFECTIVE_MAX];
    size_t count;
};

/* A policy with the built-in roles.  The caller ends it with policy_destroy(). */
struct policy *policy_create(void);

/* End it; NULL is allowed. */
void policy_destroy(struct policy *policy);

/* Whether nothing but the built-in roles is in it. */
bool policy_is_empty(const struct policy *policy);

/* Make or replace a role.  NULL, or why not ("ERR ..."), with nothing changed. */
const char *policy_set_role(struct policy *policy, const struct role_spec *spec);

/* Delete a role and its grants; a changed built-in one becomes what it was.  NULL, or why not. */
const char *policy_delete_role(struct policy *policy, struct hl_slice name);

/* The role of that name, or NULL. */
const struct role *policy_role(const struct policy *policy, struct hl_slice name);

/* Grant roles or "@groups" to a subject; *added is how many were new.  NULL, or why not, with
 * nothing changed. */
const char *policy_grant(struct policy *policy, struct hl_slice subject,
                         const struct hl_slice *what, size_t count, size_t *added);

/* Take grants back (all of them with count 0); *removed is how many there were. */
void policy_revoke(struct policy *policy, struct hl_slice subject, const struct hl_slice *what,
                   size_t count, size_t *removed);

/* The subject of that name, or NULL. */
const struct subject *policy_subject(const struct policy *policy, struct hl_slice name);

/* The place of the first subject whose name is greater than `after`. */
size_t policy_after(const struct policy *policy, struct hl_slice after);

/* All roles that count for a user: of its grants and its groups'; when it has none, those in
 * `carried` that exist (what a token says); when there are none either, `fallback` ("" for none).
 * Each role once; more than POLICY_EFFECTIVE_MAX are cut, the denials of what is cut too: so the
 * last item's role is then NULL, which decides against everything. */
void policy_effective(const struct policy *policy, struct hl_slice user,
                      const struct hl_slice *carried, size_t carried_count,
                      struct hl_slice fallback, struct effective_list *out);

/* Append the stored form: u8 format 1; u32 roles (changed and new ones), each name, description,
 * u16 rules, texts, u16 parents, names; u32 subjects, each name, u16 grants, names.  A text is u16
 * length and bytes; integers are little endian. */
void policy_encode(const struct policy *policy, struct hl_buf *out);

/* Read a stored form, any bytes.  HL_EVERSION a later format, HL_ECORRUPT no policy; *out is the
 * caller's to destroy, and untouched on failure. */
HL_MUST_USE hl_err policy_decode(struct policy **out, struct hl_slice bytes);

/* Whether bytes are a name: 1 to POLICY_NAME_MAX printable ones without spaces, parentheses and
 * commas, no sign in front; with `group` after one '@'. */
bool policy_name_valid(struct hl_slice name, bool group);

/* Bytes it takes, about. */
size_t policy_bytes(const struct policy *policy);

#endif
