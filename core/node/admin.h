/* Admin: what an operator changes at run time, as part of the replicated state (PROTOCOL sections
 * 1, 3 and 9): users, and the settings that a group shares.
 *
 * A change is an effect like any other, in the entry of the unit that made it:
 *
 *     HELIOS.USERS SET line          one user is what the line says (a line of an ACL file)
 *     HELIOS.USERS DEL name...       these users are gone
 *     HELIOS.USERS HIDE name...      the same, and files that have them do not count
 *     HELIOS.USERS ALL line...       these are all users; files do not count any more
 *     HELIOS.USERS FILES             the users are those of this node's files: a server alone only
 *     HELIOS.CONFIG name value...    settings that the group shares (admin_settings.c)
 *
 * Files seed and the log overrules.  A server alone keeps to the files for every user that no entry
 * named, and until ACL SAVE or CONFIG REWRITE has put all of them into the files.  In a cluster the
 * first leader puts its users into the log, whole; from then on the files of no node count.
 *
 * Invariants:
 *   M1  while an entry that changed users is not committed, everything that is answered waits for
 *       it: whether somebody may do something is not told on what can be undone (G2).
 *   M2  sessions of a user who was removed take no request from then on, and end when that is
 *       committed.
 *   M3  sessions that were told anything on users which were undone end.
 *   M4  passwords are in the log as SHA-256 only.
 */
#ifndef HL_NODE_ADMIN_H
#define HL_NODE_ADMIN_H

#include "base/ids.h"
#include "kit/bytes.h"
#include "kit/err.h"

#include <stdbool.h>

struct hl_acl;
struct hl_call;
struct hl_node;
struct hl_session;
struct hl_user;

#define HL_SETTINGS_MAX 1024
#define HL_SETTING_NAME_MAX 128    /* bytes */
#define HL_SETTING_VALUE_MAX 65535 /* bytes */

struct hl_setting {
    char *name; /* owned */
    struct hl_buf value;
};

struct hl_settings {
    struct hl_setting *at;
    size_t count;
};

/* Part of struct hl_node. */
struct hl_admin {
    struct hl_settings settings; /* those that an entry named */
    hl_index dirty;              /* the last entry that changed users or shared settings; 0: none */
    hl_index doomed;             /* sessions end when it commits (M2); 0: none does */
    struct hl_acl *staged;       /* the users of a state that is being made anew, else NULL */
    bool undone;                 /* M3: until the state is made anew, nobody is served */
    bool seed_due;               /* this leader has to put its users and settings into the log */
    bool files_counted;          /* users_from_files was obeyed */
};

/* The users as of what was applied: those of the state that is being made, if one is. */
struct hl_acl *hl_admin_acl(struct hl_node *node);

/* The entry that an answer to the session has to wait for because of M1, or 0; notes in the session
 * that it was told something. */
hl_index hl_admin_gate(struct hl_node *node, struct hl_session *session);

/* True when the session's next request has to wait (M2, M3). */
bool hl_admin_holds(const struct hl_node *node, const struct hl_session *session);

/* Entries up to the commit index are committed: what waited for them happens. */
void hl_admin_committed(struct hl_node *node);

/* What was executed after the commit index is undone, and the state is about to be made anew. */
void hl_admin_discarded(struct hl_node *node);

/* The state was made anew. */
void hl_admin_rebuilt(struct hl_node *node);

/* This node leads from now on. */
void hl_admin_lead(struct hl_node *node);

/* Put users and settings into the log when a leader has to; before an iteration proposes. */
void hl_admin_seed(struct hl_node *node);

/* All that was found at the start is applied: tell what this node's files say in vain. */
void hl_admin_compare_files(struct hl_node *node);

/* Release what it holds. */
void hl_admin_fini(struct hl_node *node);

/* May users be changed here and now?  Otherwise says why not; HL_EBUSY. */
HL_MUST_USE hl_err hl_admin_may_change(struct hl_node *node, struct hl_errmsg *msg);

/*
 * Create or change a user by rules, here and in the log; inside a unit, or one is made.
 * HL_EBUSY as hl_admin_may_change(); HL_EINVAL, HL_ELIMIT as hl_acl_set().
 */
HL_MUST_USE hl_err hl_admin_set_user(struct hl_node *node, struct hl_slice name,
                                     const struct hl_slice *rules, size_t count,
                                     struct hl_errmsg *msg);

/* requirepass: the same for the only password of "default"; an empty one makes it open. */
HL_MUST_USE hl_err hl_admin_require_password(struct hl_node *node, struct hl_slice password,
                                             struct hl_errmsg *msg);

/* Remove users inside the open unit; `current` is who asked.  Returns how many there were. */
int64_t hl_admin_remove_users(struct hl_node *node, const struct hl_slice *names, size_t count,
                              struct hl_session *current);

/* ACL LOAD inside the open unit: `text` is the file's.  Errors as hl_acl_load(). */
HL_MUST_USE hl_err hl_admin_load_users(struct hl_node *node, const char *file, struct hl_slice text,
                                       struct hl_session *current, struct hl_errmsg *msg);

/* The files of this node hold the users as they are now (ACL SAVE, CONFIG REWRITE). */
void hl_admin_saved_users(struct hl_node *node);

/* The table "users" of snapshots: `ctx` is the node. */
void hl_admin_save(void *ctx, struct hl_buf *out);

/* The other way.  As hl_acl_state_load(). */
HL_MUST_USE hl_err hl_admin_load(void *ctx, struct hl_slice contents, struct hl_errmsg *msg);

/* The request changes what the group shares, and this node does not lead: it is sent to the leader,
 * whose reply comes in its place, or refused with the reason.  False when this node does lead, or
 * belongs to no group: the caller goes on.  For handlers of commands that only sometimes do. */
bool hl_admin_forward(struct hl_call *call);

/* --- settings (admin_settings.c) ---------------------------------------------------------------
 */

/* The value that an entry gave a shared setting, valid until the next changes; false when none did.
 */
bool hl_settings_value(const struct hl_node *node, struct hl_slice name, struct hl_slice *value);

/* Put `count` words, name and value in turn, into the log and the table; inside the open unit of a
 * leader.  Names and values are within the bounds above (asserted). */
void hl_settings_record(struct hl_node *node, const struct hl_slice *words, size_t count);

/* Tell the edge to look at the values. */
void hl_settings_look(struct hl_node *node);

/* Release them. */
void hl_settings_fini(struct hl_node *node);

/* The table "settings" of snapshots: `ctx` is the node.
 *   u32 version, u32 count and for each: u16 length and name, u16 length and value */
void hl_settings_save(void *ctx, struct hl_buf *out);

/* The other way.  HL_ECORRUPT, HL_EVERSION. */
HL_MUST_USE hl_err hl_settings_load(void *ctx, struct hl_slice contents, struct hl_errmsg *msg);

/* Mix them into a digest of the state. */
void hl_settings_digest(const struct hl_node *node, unsigned char out[20]);

#endif
