/* Users and what they may do: Redis's access control lists, as pure code.
 *
 * A user has passwords and selectors; the first selector is the user's own, the others stand in
 * parentheses.  A request is allowed when one selector alone allows its command, all its keys and
 * all its channels.
 *
 * Invariants:
 *   U1  the user "default" always exists.
 *   U2  a change of a user happens wholly or not at all; its address never changes.
 *   U3  a selector's bits are what its rules say of the commands registered now: commands that come
 *       or go are noticed by the table's epoch.
 *   U4  passwords are kept as SHA-256 only, and compared without telling where they differ.
 *
 * Rules are kept as they were given, later ones without the earlier ones that they overrule, and
 * are printed in that order.
 */
#ifndef HL_NODE_ACL_H
#define HL_NODE_ACL_H

#include "command/command.h"
#include "kit/bytes.h"
#include "kit/err.h"
#include "kit/sha256.h"

struct hl_acl;
struct hl_user;

#define HL_ACL_USERS_MAX 100000
#define HL_ACL_RULES_MAX 4096 /* rules, patterns, channels, passwords or selectors of one user */
#define HL_ACL_RULE_BYTES_MAX 65536
#define HL_ACL_LOG_MAX 100000      /* entries, whatever acllog-max-len says */
#define HL_ACL_LOG_OBJECT_MAX 1024 /* bytes of a key, channel or user name in an entry */

/* Users of one node: "default" alone, on, without a password, allowed everything.  `commands` is
 * borrowed until hl_acl_destroy(). */
struct hl_acl *hl_acl_create(const struct hl_command_table *commands);

/* Release everything.  NULL is allowed. */
void hl_acl_destroy(struct hl_acl *acl);

/* New users see all channels (acl-pubsub-default allchannels) or none; at first none. */
void hl_acl_set_new_users_channels(struct hl_acl *acl, bool all);

/* --- users --------------------------------------------------------------------------------------
 */

/* The user of that name, or NULL. */
struct hl_user *hl_acl_find(const struct hl_acl *acl, struct hl_slice name);

/* The user "default". */
struct hl_user *hl_acl_default(const struct hl_acl *acl);

/* Number of users. */
size_t hl_acl_count(const struct hl_acl *acl);

/* The i-th user in the order of their names. */
struct hl_user *hl_acl_at(const struct hl_acl *acl, size_t i);

/* The name of a user, valid while it exists. */
struct hl_slice hl_acl_name(const struct hl_user *user);

/* True when a password is needed to be this user, on or off. */
bool hl_acl_needs_password(const struct hl_user *user);

/* True when the user is on. */
bool hl_acl_is_on(const struct hl_user *user);

/* True when the user is on and any password will do. */
bool hl_acl_is_open(const struct hl_user *user);

/*
 * Create or change a user by rules, as ACL SETUSER does.
 *
 * msg  on failure the reason as ACL SETUSER reports it, with "ERR " in front.
 *
 * Returns HL_OK, or with nothing changed HL_EINVAL (a name or rule), HL_ELIMIT.
 */
HL_MUST_USE hl_err hl_acl_set(struct hl_acl *acl, struct hl_slice name,
                              const struct hl_slice *rules, size_t count, struct hl_errmsg *msg);

/* Remove a user; false when there is none of that name, or for "default".  Sessions that have it
 * must have been given another one. */
bool hl_acl_remove(struct hl_acl *acl, struct hl_slice name);

/* requirepass: the only password of "default"; an empty one makes it open. */
void hl_acl_require_password(struct hl_acl *acl, struct hl_slice password);

/* The user, if it is on and has this password (or needs none); else NULL.  Takes about the same
 * time whether the name exists or not. */
struct hl_user *hl_acl_login(const struct hl_acl *acl, struct hl_slice name,
                             struct hl_slice password);

/* --- permission ---------------------------------------------------------------------------------
 */

enum hl_acl_verdict {
    HL_ACL_ALLOWED,
    HL_ACL_NO_COMMAND, /* in the order in which one hides another */
    HL_ACL_NO_KEY,
    HL_ACL_NO_CHANNEL,
};

/* May `user` (NULL: everything) run this request?  On a refusal of a key or channel *index is its
 * place in argv.  `argc` satisfies the command's arity. */
enum hl_acl_verdict hl_acl_check(struct hl_acl *acl, const struct hl_user *user,
                                 const struct hl_command *cmd, const struct hl_slice *argv,
                                 int argc, int *index);

/* May `user` do what `flags` (HL_KEY_*) say with this key, by any selector?  For modules. */
bool hl_acl_check_key(const struct hl_user *user, struct hl_slice key, uint32_t flags);

/* May `user` use this channel, or with `pattern` this pattern of channels? */
bool hl_acl_check_channel(const struct hl_user *user, struct hl_slice channel, bool pattern);

/* --- texts --------------------------------------------------------------------------------------
 */

/* Append the user as ACL LIST shows it: "user name on …". */
void hl_acl_describe(const struct hl_user *user, struct hl_buf *out);

/* Write the reply of ACL GETUSER. */
void hl_acl_write_user(const struct hl_user *user, struct hl_writer *out);

/* The name of category number `bit`, 0..HL_ACL_CATEGORIES-1. */
const char *hl_acl_category_name(int bit);

/* The HL_ACL_* bit of a category's name, any case; 0 when unknown. */
uint32_t hl_acl_category(struct hl_slice name);
#define HL_ACL_CATEGORIES 21

/* Append every user as a line of an ACL file. */
void hl_acl_save(const struct hl_acl *acl, struct hl_buf *out);

/*
 * Replace all users by those of an ACL file's text.  A file without "default" keeps the present
 * one.
 *
 * gone  called for each user that will not exist afterwards, before it is removed; may be NULL.
 * msg   on failure why, with the lines' numbers, and nothing has changed (HL_EINVAL, HL_ELIMIT).
 */
HL_MUST_USE hl_err hl_acl_load(struct hl_acl *acl, const char *file, struct hl_slice text,
                               void (*gone)(void *ctx, struct hl_user *user), void *ctx,
                               struct hl_errmsg *msg);

/* Where the ACL file is; given by the edge.  Both functions return HL_OK or fail with a reason. */
struct hl_acl_files {
    void *ctx;
    const char *name; /* for messages */
    hl_err (*read)(void *ctx, struct hl_buf *out, struct hl_errmsg *msg);
    hl_err (*write)(void *ctx, struct hl_slice text, struct hl_errmsg *msg); /* all or nothing */
};

/* Tell ACL LOAD and SAVE their file; NULL (as at first): there is none.  Borrowed. */
void hl_acl_set_files(struct hl_acl *acl, const struct hl_acl_files *files);

/* The file, or NULL. */
const struct hl_acl_files *hl_acl_files(const struct hl_acl *acl);

/* --- users as part of the state (acl_state.c) ----------------------------------------------------
 */

/* The present users are those of this node's files: what the state starts from. */
void hl_acl_keep_seed(struct hl_acl *acl);

/* A new list as this node's files have it; the caller owns it. */
struct hl_acl *hl_acl_from_seed(const struct hl_acl *acl);

/* True when this node's files have a user of that name. */
bool hl_acl_seed_has(const struct hl_acl *acl, struct hl_slice name);

/* Append the names of the files' users that are not as the files say, separated by spaces; returns
 * their number. */
size_t hl_acl_compare_seed(const struct hl_acl *acl, struct hl_buf *names);

/* True when the log names all users, so that files do not count. */
bool hl_acl_is_whole(const struct hl_acl *acl);

/* True when the log says what this user is. */
bool hl_acl_is_logged(const struct hl_user *user);

/* True when the log says anything of users that overrules the files. */
bool hl_acl_overrules_files(const struct hl_acl *acl);

/* The log will say what the user is now: appends the line that has to stand there. */
void hl_acl_state_note(struct hl_acl *acl, struct hl_user *user, struct hl_buf *line);

/* The log will say that the files' user of this name is gone; it was removed. */
void hl_acl_state_hide(struct hl_acl *acl, struct hl_slice name);

/* The log will name all users as they are now. */
void hl_acl_state_note_all(struct hl_acl *acl);

/* The log will say that the files count again, and they hold what is. */
void hl_acl_state_forget(struct hl_acl *acl);

/* Make one user what a line of the log says.  Commands that are not registered are taken on trust.
 * HL_EINVAL, HL_ECORRUPT. */
HL_MUST_USE hl_err hl_acl_state_put(struct hl_acl *acl, struct hl_slice line,
                                    struct hl_errmsg *msg);

/* The same for all users; `gone` as in hl_acl_load(). */
HL_MUST_USE hl_err hl_acl_state_put_all(struct hl_acl *acl, const struct hl_slice *lines,
                                        size_t count, void (*gone)(void *ctx, struct hl_user *user),
                                        void *ctx, struct hl_errmsg *msg);

/* Put another list's users, and what the log says of them, in the place of the present ones; `gone`
 * as in hl_acl_load(). */
void hl_acl_state_replace(struct hl_acl *acl, struct hl_acl *given_staged,
                          void (*gone)(void *ctx, struct hl_user *user), void *ctx);

/* Append what the log said of users: the table "users" of snapshots.
 *   u32 version, u8 whole, u32 count and for each user: 32 bytes SHA-256 of its line in the log,
 * u32 length and its line; u32 count and for each hidden name: u32 length and bytes */
void hl_acl_state_save(const struct hl_acl *acl, struct hl_buf *out);

/* Bring that into a list that is as the files say.  HL_ECORRUPT, HL_EVERSION, HL_EINVAL, after
 * which the list is of no use. */
HL_MUST_USE hl_err hl_acl_state_load(struct hl_acl *acl, struct hl_slice contents,
                                     struct hl_errmsg *msg);

/* Mix what the log said of users into a digest of the state. */
void hl_acl_state_digest(const struct hl_acl *acl, unsigned char out[20]);

/* --- the log of refusals ------------------------------------------------------------------------
 */

enum hl_acl_log_reason { HL_ACL_LOG_COMMAND, HL_ACL_LOG_KEY, HL_ACL_LOG_CHANNEL, HL_ACL_LOG_AUTH };
enum hl_acl_log_context {
    HL_ACL_LOG_TOPLEVEL,
    HL_ACL_LOG_MULTI,
    HL_ACL_LOG_LUA,
    HL_ACL_LOG_MODULE
};

/* Note a refusal; the same one within a minute is counted in its entry.  All texts are copied, the
 * object cut to HL_ACL_LOG_OBJECT_MAX. */
void hl_acl_log_add(struct hl_acl *acl, enum hl_acl_log_reason reason,
                    enum hl_acl_log_context context, struct hl_slice object,
                    struct hl_slice user_name, struct hl_slice client, int64_t now_ms);

/* Keep at most `max` entries from now on (acllog-max-len). */
void hl_acl_log_set_max(struct hl_acl *acl, int64_t max);

/* Forget all entries. */
void hl_acl_log_reset(struct hl_acl *acl);

/* Write the newest `count` entries (all when negative is not allowed: 0 or more) as ACL LOG does.
 */
void hl_acl_log_write(const struct hl_acl *acl, size_t count, int64_t now_ms,
                      struct hl_writer *out);

#endif
