/* Users from settings and files: requirepass, user lines, aclfile, and what changes them later. */
#ifndef HL_SERVER_USERS_H
#define HL_SERVER_USERS_H

#include "node/acl.h"
#include "node/node.h"
#include "server/config.h"

/* Ties the settings to the users; the caller keeps it as long as both. */
struct hl_users {
    struct hl_config *config;
    struct hl_node *node;
    struct hl_acl *acl;
    struct hl_acl_files files;
};

/*
 * Give the node the users that the settings name, as those of its files (node/admin.h), and follow
 * CONFIG SET of requirepass, acl-pubsub-default and acllog-max-len from now on.
 *
 * Call once, after modules have registered their commands and before the log is loaded and the
 * first client comes.  `config` and `node` are borrowed until the server ends.
 *
 * HL_EINVAL for a wrong rule or user lines beside an aclfile, HL_EIO when the file cannot be read:
 * do not start; msg says where and why.
 */
HL_MUST_USE hl_err hl_users_start(struct hl_users *users, struct hl_config *config,
                                  struct hl_node *node, struct hl_errmsg *msg);

#endif
