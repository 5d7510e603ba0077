/* The module's settings, `auth.<name>` for CONFIG GET and SET. */
#ifndef AUTH_SETTINGS_H
#define AUTH_SETTINGS_H

#include "lockout.h"
#include "token.h"

#include "helios/module.h"

#define SETTINGS_PATH_MAX 1024

struct settings {
    long long token_ttl_s;
    long long refresh_ttl_s;
    long long refresh_leeway_s;
    long long clock_skew_s;
    long long bcrypt_cost;
    long long max_sessions;
    long long max_api_keys;
    long long key_publish_s;    /* how long a key is published before it signs */
    long long key_lifetime_s;   /* after which a key makes room for a new one; 0: never */
    long long audit_max;        /* entries of the audit trail that are kept; 0: there is none */
    long long password_min;     /* bytes */
    long long password_history; /* former passwords that may not come again */
    long long threads;
    long long queue_max;
    long long hash_timeout_s;
    long long lockout_threshold; /* a client address has ten times as many attempts */
    long long lockout_base_s;
    long long lockout_max_s;
    long long lockout_forget_s;
    int acl_login;                     /* whether a login makes the connection an ACL user */
    int algorithm;                     /* enum jws_alg of keys to come */
    char issuer[TOKEN_ISSUER_MAX + 1]; /* printable ASCII, as the audience */
    char audience[TOKEN_ISSUER_MAX + 1];
    char kek_file[SETTINGS_PATH_MAX + 1];
    char bootstrap_file[SETTINGS_PATH_MAX + 1];
    char admin_password_file[SETTINGS_PATH_MAX + 1]; /* "": none, as below */
    char password_deny_file[SETTINGS_PATH_MAX + 1];
};

/* The settings in force; the fields change only on the server's thread. */
const struct settings *settings(void);

/* Register all settings, where the server has settings of modules, and take the values given at
 * load time; then take pairs of a name and a value from the module's arguments.  In OnLoad only.
 * False, after logging why, when a value or an argument is refused. */
bool settings_load(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* Give back what settings_load() took. */
void settings_unload(RedisModuleCtx *ctx);

/* The token policy of the settings, which borrows their strings. */
struct token_policy settings_policy(void);

/* The lock-out policy for users, or for client addresses. */
struct lockout_policy settings_lockout(bool address);

#endif
