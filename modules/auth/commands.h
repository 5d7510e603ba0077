/* The commands, one function each, and what they share. */
#ifndef AUTH_COMMANDS_H
#define AUTH_COMMANDS_H

#include "access.h"

#include "helios/module.h"

/* The bytes of an argument, borrowed from it. */
static inline struct hl_slice arg_slice(RedisModuleString *arg)
{
    struct hl_slice slice = {0};
    slice.ptr = RedisModule_StringPtrLen(arg, &slice.len);
    return slice;
}

/* Start the threads of the password commands.  In OnLoad only; false, after logging why. */
bool password_commands_load(RedisModuleCtx *ctx);

/* Take part in AUTH and HELLO AUTH, where the server offers it (7.2).  In OnLoad only. */
void native_auth_load(RedisModuleCtx *ctx);

/* Wait for the threads and end them. */
void password_commands_unload(void);

/* Copy a user name argument to `out`; NULL, or the error to reply. */
const char *read_name(RedisModuleString *arg, char out[USER_NAME_MAX + 1]);

/* The ACL user of the context's client, which the caller frees; NULL when there is no client or no
 * user, as in timers and in calls of other modules. */
RedisModuleString *current_user(RedisModuleCtx *ctx);

/* Where the client of the context is, as text; "" when it is not known, or on a unix socket.  A
 * module that serves clients of its own names theirs, "http:10.0.0.7:4711". */
void client_address(RedisModuleCtx *ctx, char out[RECORD_ADDRESS_MAX + 1]);

/* Load the list of passwords that everybody tries.  In OnLoad, behind the settings; false, after
 * logging why, when its file cannot be read. */
bool policy_load(RedisModuleCtx *ctx);

/* Release it. */
void policy_unload(void);

/* NULL when `password` may be set for the user `name`, else the rule that it breaks, valid until
 * the next call. */
const char *policy_objection(struct hl_slice password, const char *name);

/* Make a user `name`, whose password has the bcrypt hash `hash`, with the role user and perhaps
 * admin.  NULL and *user filled, or the error to reply. */
const char *create_user(RedisModuleCtx *ctx, const char *name, const char *hash, bool admin,
                        struct user_record *user);

/* Reply `text`, an error that begins with its code. */
int reply_error(RedisModuleCtx *ctx, const char *code, const char *text);

/* One member of a map: a name and a text, a number. */
void reply_text(RedisModuleCtx *ctx, const char *name, const char *text);

/* As reply_text(). */
void reply_number(RedisModuleCtx *ctx, const char *name, long long number);

/* The member `roles`, an array. */
void reply_roles(RedisModuleCtx *ctx, const struct user_record *user);

/* The reply to a login or a refresh: a map of the pair of tokens. */
int reply_pair(RedisModuleCtx *ctx, const struct session_record *session,
               const struct refresh_token *refresh, struct hl_slice access, int64_t issued_ms);

/* End all sessions of `user` at once: drop their records and raise the credential version.  The
 * caller writes the user's record afterwards.  Returns how many were listed. */
size_t end_sessions(RedisModuleCtx *ctx, struct user_record *user);

/* End one session of `user`, or (`others`) all but that one, write the user's record, and say how
 * many were ended. */
HL_MUST_USE hl_err end_session(RedisModuleCtx *ctx, struct user_record *user,
                               const unsigned char sid[TOKEN_ID_LEN], bool others, size_t *ended);

/* Read the user that an argument names, or whose id it is in hexadecimal; NULL, or the error to
 * reply. */
const char *read_user(RedisModuleCtx *ctx, RedisModuleString *arg, struct user_record *user);

/* Reply that there is no key to sign with, and log `msg`, which is not for everybody's eyes. */
int reply_no_key(RedisModuleCtx *ctx, const struct hl_errmsg *msg);

/* AUTH.FAILED user address: a node that may not write saw a wrong password. */
int cmd_failed(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.REGISTER user password */
int cmd_register(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.BOOTSTRAP token user password */
int cmd_bootstrap(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.LOGIN user password [DEVICE device] */
int cmd_login(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.PASSWD user old new */
int cmd_passwd(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.VERIFY token */
int cmd_verify(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.REFRESH refresh-token */
int cmd_refresh(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.LOGOUT token|session [ALL|OTHERS] */
int cmd_logout(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.SESSIONS [user] */
int cmd_sessions(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.SESSION REVOKE session | REVOKE OTHERS session | REVOKE ALL user */
int cmd_session(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.WHOAMI [token] */
int cmd_whoami(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.USERS [AFTER name] [COUNT count] */
int cmd_users(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.USER user */
int cmd_user(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.DELUSER user */
int cmd_deluser(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.DISABLE user */
int cmd_disable(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.ENABLE user */
int cmd_enable(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.ROLES user [role ...] */
int cmd_roles(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.APIKEY CREATE name [USER user] [TTL seconds] [SCOPES count scope ...] | LIST [USER user] |
 * REVOKE id | USED id ms */
int cmd_apikey(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.JWKS */
int cmd_jwks(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.KEYS [LIST | ROTATE [algorithm]] */
int cmd_keys(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.ROTATE [NOW] */
int cmd_rotate(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* AUTH.HELP */
int cmd_help(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

#endif
