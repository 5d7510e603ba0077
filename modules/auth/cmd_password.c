/* REGISTER, BOOTSTRAP, LOGIN, PASSWD: the commands that compute a password hash.
 *
 *   P1  A hash is computed on a thread of ours while the client is blocked; the queue is bounded.
 *       Where blocking is denied (MULTI, scripts), REGISTER computes on the server's thread, a few
 *       times a second at most, and the others refuse.
 *   P2  What was decided before the hash is decided again after it: the user may have been
 *       changed, locked or created meanwhile.
 *   P3  An unknown user costs a hash too, and gets the same answer as a wrong password.
 *   P4  Only hashes are stored and replicated; a password's memory is wiped when its job ends.
 */
#include "commands.h"

#include "address.h"
#include "audit.h"
#include "bootstrap.h"
#include "keyed.h"
#include "leader.h"
#include "live.h"
#include "pool.h"
#include "settings.h"
#include "stats.h"
#include "store.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/base64.h"

#include <stdio.h>
#include <strings.h>

#define SYNC_PER_SECOND_MAX 4 /* hashes on the server's thread */

enum job_kind { JOB_REGISTER, JOB_BOOTSTRAP, JOB_LOGIN, JOB_PASSWD, JOB_NATIVE };

struct secret {
    size_t len;
    char text[PASSWORD_LEN_MAX];
};

struct job {
    enum job_kind kind;
    RedisModuleBlockedClient *client;
    int64_t give_up_ms; /* nobody waits for the answer after this moment */
    char name[USER_NAME_MAX + 1];
    char address[RECORD_ADDRESS_MAX + 1]; /* where the client is; "" unknown */
    bool counted;                         /* failures count for the address, too */
    char device[RECORD_TEXT_MAX + 1];
    struct secret given; /* LOGIN, PASSWD: to be verified */
    struct secret fresh; /* REGISTER, PASSWD: to be set */
    bool known;          /* whether `hash` is the user's; else the dummy's */
    char hash[PASSWORD_HASH_LEN + 1];
    size_t history_count; /* PASSWD: former hashes, none of which may fit the new password */
    char history[RECORD_HISTORY_MAX][PASSWORD_HASH_LEN + 1];
    int cost;
    unsigned char salt[PASSWORD_SALT_LEN];
    bool late, matches, reused, hashed; /* results */
    hl_err err;
    char new_hash[PASSWORD_HASH_LEN + 1];
};

static struct pool *pool;

/* ---- The hash, on whichever thread ------------------------------------------------------------
 */

static void compute(struct job *job)
{
    struct hl_slice given = {job->given.text, job->given.len};
    struct hl_slice fresh = {job->fresh.text, job->fresh.len};
    bool wants_hash = job->kind == JOB_REGISTER || job->kind == JOB_BOOTSTRAP;
    if (!wants_hash) {
        job->matches = password_matches(job->hash, given) && job->known;
        wants_hash =
            job->matches && (job->kind == JOB_PASSWD || password_hash_cost(job->hash) != job->cost);
        fresh = job->kind == JOB_LOGIN ? given : fresh;
    }
    for (size_t i = 0; wants_hash && i < job->history_count && !job->reused; i++) {
        job->reused = password_matches(job->history[i], fresh);
        wants_hash = !job->reused;
    }
    if (wants_hash) {
        job->err = password_hash(job->new_hash, fresh, job->cost, job->salt);
        job->hashed = job->err == HL_OK;
    }
}

static void work(void *arg)
{
    struct job *job = arg;
    job->late = RedisModule_Milliseconds() > job->give_up_ms;
    if (!job->late) {
        compute(job);
    }
    RedisModule_UnblockClient(job->client, job);
}

static void free_job(RedisModuleCtx *ctx, void *arg)
{
    (void)ctx;
    if (arg != NULL) {
        seal_wipe(arg, sizeof(struct job));
        hl_free(arg);
    }
}

bool password_commands_load(RedisModuleCtx *ctx)
{
    if (pool_create(&pool, (int)settings()->threads, work) != HL_OK) {
        RedisModule_Log(ctx, "warning", "cannot start the password threads");
        return false;
    }
    return true;
}

void password_commands_unload(void)
{
    pool_destroy(pool);
    pool = NULL;
}

/* ---- Lock-out ---------------------------------------------------------------------------------
 */

/* The longest wait that the name or the address has to serve. */
static int64_t wait_of(RedisModuleCtx *ctx, const struct job *job, int64_t now_ms)
{
    int64_t longest_ms = 0;
    for (int address = 0; address <= job->counted; address++) {
        struct lockout_policy policy = settings_lockout(address);
        struct failure_record failure;
        const char *who = address ? job->address : job->name;
        if (store_get_failure(ctx, address, who, &failure) == HL_OK) {
            int64_t wait_ms = lockout_wait_ms(&failure, &policy, now_ms);
            longest_ms = wait_ms > longest_ms ? wait_ms : longest_ms;
        }
    }
    return longest_ms;
}

static const char *action_of(enum job_kind kind)
{
    switch (kind) {
    case JOB_REGISTER:
        return "register";
    case JOB_BOOTSTRAP:
        return "bootstrap";
    case JOB_LOGIN:
    case JOB_NATIVE:
        return "login";
    case JOB_PASSWD:
        return "password";
    }
    HL_ASSERT(!"a kind of the enum");
    return "";
}

/* Note in the audit trail that the job's user did it. */
static void note_done(RedisModuleCtx *ctx, const struct job *job, const char *target)
{
    audit_note(ctx, &(struct audit_event){.action = action_of(job->kind),
                                          .actor = job->name,
                                          .target = target,
                                          .result = "ok",
                                          .address = job->address});
}

static void count_failure(RedisModuleCtx *ctx, const struct job *job, int64_t now_ms)
{
    stats()->login_failures++;
    audit_note(ctx, &(struct audit_event){.action = action_of(job->kind),
                                          .actor = job->name,
                                          .target = job->name,
                                          .result = "failed",
                                          .address = job->address});
    for (int address = 0; address <= job->counted; address++) {
        struct lockout_policy policy = settings_lockout(address);
        struct failure_record failure = {0};
        const char *who = address ? job->address : job->name;
        hl_err err = store_get_failure(ctx, address, who, &failure);
        if (err != HL_OK && err != HL_ENOENT) {
            continue;
        }
        lockout_fail(&failure, &policy, now_ms);
        err =
            store_put_failure(ctx, address, who, &failure, lockout_forget_at_ms(&failure, &policy));
        HL_MAYBE(err != HL_OK); /* something else sits in the key: there is nothing to count in */
    }
}

static int reply_locked(RedisModuleCtx *ctx, int64_t wait_ms)
{
    stats()->login_lockouts++;
    char text[96];
    snprintf(text, sizeof text, "too many failed attempts, try again in %lld seconds",
             (long long)((wait_ms + 999) / 1000));
    return reply_error(ctx, "AUTHLOCKED", text);
}

/* ---- After the hash, on the server's thread ---------------------------------------------------
 */

/* Reply who was made. */
static int reply_made(RedisModuleCtx *ctx, const struct user_record *user)
{
    char id[TOKEN_ID_TEXT];
    stats()->registrations++;
    hl_hex_format(id, user->id, sizeof user->id);
    RedisModule_ReplyWithMap(ctx, 3);
    reply_text(ctx, "user_id", id);
    reply_text(ctx, "username", user->name);
    reply_roles(ctx, user);
    return REDISMODULE_OK;
}

static int finish_register(RedisModuleCtx *ctx, struct job *job)
{
    struct user_record user;
    const char *error = job->kind == JOB_BOOTSTRAP
                            ? bootstrap_make(ctx, job->name, job->new_hash, &user)
                            : create_user(ctx, job->name, job->new_hash, false, &user);
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    if (job->kind == JOB_REGISTER) {
        note_done(ctx, job, user.name);
    }
    return reply_made(ctx, &user);
}

/* Judge a verified password against the user as it is now (P2).  True when *user may act; else
 * the error was replied. */
static bool admit(RedisModuleCtx *ctx, const struct job *job, struct user_record *user)
{
    int64_t now_ms = RedisModule_Milliseconds();
    int64_t wait_ms = wait_of(ctx, job, now_ms);
    if (wait_ms > 0) {
        reply_locked(ctx, wait_ms);
        return false;
    }
    hl_err err = store_get_user(ctx, job->name, user);
    if (err == HL_ECORRUPT || err == HL_EVERSION) {
        reply_error(ctx, "ERR", "the user's record is damaged");
        return false;
    }
    if (!job->matches || err != HL_OK || strcmp(user->hash, job->hash) != 0) {
        count_failure(ctx, job, now_ms);
        reply_error(ctx, "AUTHFAILED", "wrong user name or password");
        return false;
    }
    if (user->disabled) {
        reply_error(ctx, "AUTHDISABLED", "the user is disabled");
        return false;
    }
    store_drop_failure(ctx, false, job->name);
    return true;
}

/* Note a new session in the user's list, ending the oldest ones that do not fit. */
static void list_session(RedisModuleCtx *ctx, struct user_record *user,
                         const unsigned char sid[TOKEN_ID_LEN])
{
    size_t limit = (size_t)settings()->max_sessions;
    size_t excess = user->session_count < limit ? 0 : user->session_count - limit + 1;
    for (size_t i = 0; i < excess; i++) {
        store_drop_session(ctx, user->sessions[i]);
    }
    user->session_count -= excess;
    memmove(user->sessions[0], user->sessions[excess], user->session_count * TOKEN_ID_LEN);
    memcpy(user->sessions[user->session_count++], sid, TOKEN_ID_LEN);
}

/* Open a session for an admitted user and reply its first pair. */
static int open_session(RedisModuleCtx *ctx, const struct job *job, struct user_record *user)
{
    struct session_seed seed;
    struct session_record *session = hl_calloc(1, sizeof *session);
    struct refresh_token refresh;
    struct hl_buf access = {0};
    int64_t now_ms = RedisModule_Milliseconds();
    hl_err err = seal_random(&seed, sizeof seed);
    if (err == HL_OK) {
        session_open(session, &refresh, user, &seed, now_ms, settings()->refresh_ttl_s * 1000);
        memcpy(session->device, job->device, sizeof session->device);
        memcpy(session->address, job->address, sizeof session->address);
        err = access_issue(&access, user, session->sid, now_ms);
    }
    if (err == HL_OK) {
        list_session(ctx, user, session->sid);
        err = store_put_session(ctx, session);
    }
    if (err == HL_OK) {
        err = store_put_user(ctx, user);
    }
    if (err == HL_OK) {
        char sid[TOKEN_ID_TEXT];
        stats()->logins++;
        hl_hex_format(sid, session->sid, sizeof session->sid);
        note_done(ctx, job, sid);
        if (settings()->acl_login) {
            live_login(ctx, user,
                       &(struct live_tie){.sid = session->sid, .until_ms = session->expires_ms});
        }
        reply_pair(ctx, session, &refresh, hl_buf_view(&access), now_ms);
    } else {
        reply_error(ctx, "ERR", "cannot open a session");
    }
    seal_wipe(&seed, sizeof seed);
    seal_wipe(&refresh, sizeof refresh);
    hl_buf_fini(&access);
    hl_free(session);
    return REDISMODULE_OK;
}

static int finish_login(RedisModuleCtx *ctx, struct job *job)
{
    struct user_record user;
    struct hl_errmsg msg = {0};
    if (!admit(ctx, job, &user)) {
        return REDISMODULE_OK;
    }
    if (access_ready(ctx, &msg) != HL_OK) {
        return reply_no_key(ctx, &msg);
    }
    if (job->hashed) {
        memcpy(user.hash, job->new_hash, sizeof user.hash); /* the cost was changed */
    }
    return open_session(ctx, job, &user);
}

/* Make the hash in force the newest former one. */
static void push_history(struct user_record *user)
{
    size_t max = (size_t)settings()->password_history;
    user->history_count = user->history_count < max ? user->history_count + 1 : max;
    if (user->history_count != 0) {
        memmove(user->history[1], user->history[0],
                (user->history_count - 1) * sizeof user->history[0]);
        memcpy(user->history[0], user->hash, sizeof user->hash);
    }
}

static int finish_passwd(RedisModuleCtx *ctx, struct job *job)
{
    struct user_record user;
    if (!admit(ctx, job, &user)) {
        return REDISMODULE_OK;
    }
    if (job->reused) {
        return reply_error(ctx, "PASSWORDPOLICY", "the password was used before");
    }
    if (!job->hashed) {
        return reply_error(ctx, "ERR", "cannot hash the password");
    }
    push_history(&user);
    memcpy(user.hash, job->new_hash, sizeof user.hash);
    user.password_ms = RedisModule_Milliseconds();
    note_done(ctx, job, user.name);
    end_sessions(ctx, &user);
    live_keep(ctx, &user);
    if (store_put_user(ctx, &user) != HL_OK) {
        return reply_error(ctx, "ERR", "cannot store the user");
    }
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

static int finish(RedisModuleCtx *ctx, struct job *job)
{
    if (job->late) {
        stats()->busy++;
        return reply_error(ctx, "BUSY", "the password queue is slow, try again later");
    }
    switch (job->kind) {
    case JOB_REGISTER:
    case JOB_BOOTSTRAP:
        return job->hashed ? finish_register(ctx, job)
                           : reply_error(ctx, "ERR", "cannot hash the password");
    case JOB_LOGIN:
        return finish_login(ctx, job);
    case JOB_PASSWD:
        return finish_passwd(ctx, job);
    case JOB_NATIVE:
        break; /* has an end of its own */
    }
    HL_ASSERT(!"a kind of the enum");
    return REDISMODULE_ERR;
}

static int on_done(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    struct job *job = RedisModule_GetBlockedClientPrivateData(ctx);
    return finish(ctx, job);
}

static int on_timeout(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    stats()->busy++;
    return reply_error(ctx, "BUSY", "the password queue is slow, try again later");
}

/* ---- Before the hash --------------------------------------------------------------------------
 */

/* Note where the client is, and whether failures count for that address: not for unix sockets and
 * loopback, where gateways are. */
static void note_address(RedisModuleCtx *ctx, struct job *job)
{
    client_address(ctx, job->address);
    job->counted = address_counts(job->address);
}

/* Take a password out of an argument and keep it out of the slow log. */
static const char *take_password(RedisModuleCtx *ctx, RedisModuleString **argv, int pos,
                                 bool to_be_set, struct secret *out)
{
    struct hl_slice text = arg_slice(argv[pos]);
    const char *objection = password_objection(text);
    if (text.len > 0 && text.len <= PASSWORD_LEN_MAX) {
        memcpy(out->text, text.ptr, text.len);
        out->len = text.len;
    }
    if (RedisModule_RedactClientCommandArgument != NULL) {
        RedisModule_RedactClientCommandArgument(ctx, pos);
    }
    /* One that could never have been set needs no hash to be wrong, whoever the user is. */
    return to_be_set || text.len > PASSWORD_LEN_MAX ? objection : NULL;
}

/* Run a job where blocking is denied (P1). */
static int run_here(RedisModuleCtx *ctx, struct job *job)
{
    static int64_t second;
    static int count;
    int64_t now_s = RedisModule_Milliseconds() / 1000;
    if (job->kind != JOB_REGISTER) {
        return reply_error(ctx, "ERR", "this command cannot run in MULTI or a script");
    }
    count = now_s == second ? count + 1 : 1;
    second = now_s;
    if (count > SYNC_PER_SECOND_MAX) {
        return reply_error(ctx, "BUSY", "too many registrations in transactions, try again later");
    }
    compute(job);
    return finish(ctx, job);
}

/* Give the job its salt and a thread.  Takes the job. */
static int start(RedisModuleCtx *ctx, struct job *job)
{
    const int denied = REDISMODULE_CTX_FLAGS_DENY_BLOCKING | REDISMODULE_CTX_FLAGS_MULTI |
                       REDISMODULE_CTX_FLAGS_LUA;
    int64_t timeout_ms = settings()->hash_timeout_s * 1000;
    job->cost = (int)settings()->bcrypt_cost;
    job->give_up_ms = RedisModule_Milliseconds() + timeout_ms;
    if (seal_random(job->salt, sizeof job->salt) != HL_OK) {
        free_job(ctx, job);
        return reply_error(ctx, "ERR", "the system gives no randomness");
    }
    if ((RedisModule_GetContextFlags(ctx) & denied) != 0) {
        int result = run_here(ctx, job);
        free_job(ctx, job);
        return result;
    }
    job->client = RedisModule_BlockClient(ctx, on_done, on_timeout, free_job, timeout_ms);
    if (!pool_submit(pool, job, (size_t)settings()->queue_max)) {
        RedisModule_AbortBlock(job->client);
        free_job(ctx, job);
        stats()->busy++;
        return reply_error(ctx, "BUSY", "too many passwords are being hashed, try again later");
    }
    return REDISMODULE_OK;
}

/* Whether the name may be registered although it would then log in as an ACL user. */
static const char *reserved(RedisModuleCtx *ctx, const char *name)
{
    if (strcasecmp(name, "default") == 0 || bootstrap_keeps(ctx, name)) {
        return "the name is reserved";
    }
    if (settings()->acl_login && RedisModule_GetModuleUserFromUserName != NULL) {
        RedisModuleString *text = RedisModule_CreateString(ctx, name, strlen(name));
        RedisModuleUser *user = RedisModule_GetModuleUserFromUserName(text);
        RedisModule_FreeString(ctx, text);
        if (user != NULL) {
            RedisModule_FreeModuleUser(user);
            return "the name belongs to an ACL user";
        }
    }
    return NULL;
}

/* The rule that the job's new password breaks for its user; NULL when it breaks none. */
static const char *objection_to(const struct job *job)
{
    return policy_objection((struct hl_slice){job->fresh.text, job->fresh.len}, job->name);
}

int cmd_register(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    struct job *job = hl_calloc(1, sizeof *job);
    struct user_record user;
    job->kind = JOB_REGISTER;
    const char *objection = take_password(ctx, argv, 2, true, &job->fresh);
    const char *error = read_name(argv[1], job->name);
    int result = REDISMODULE_OK;
    if (error != NULL) {
        result = RedisModule_ReplyWithError(ctx, error);
    } else if (objection != NULL || (objection = objection_to(job)) != NULL) {
        result = reply_error(ctx, "PASSWORDPOLICY", objection);
    } else if ((objection = reserved(ctx, job->name)) != NULL) {
        result = reply_error(ctx, "USEREXISTS", objection);
    } else if (store_get_user(ctx, job->name, &user) != HL_ENOENT) {
        result = reply_error(ctx, "USEREXISTS", "the name is taken");
    } else {
        note_address(ctx, job);
        return start(ctx, job);
    }
    free_job(ctx, job);
    return result;
}

int cmd_bootstrap(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 4) {
        return RedisModule_WrongArity(ctx);
    }
    struct job *job = hl_calloc(1, sizeof *job);
    struct user_record user;
    int result = REDISMODULE_OK;
    job->kind = JOB_BOOTSTRAP;
    note_address(ctx, job);
    bool matches = bootstrap_matches(arg_slice(argv[1]));
    const char *objection = take_password(ctx, argv, 3, true, &job->fresh);
    const char *error = read_name(argv[2], job->name);
    if (RedisModule_RedactClientCommandArgument != NULL) {
        RedisModule_RedactClientCommandArgument(ctx, 1);
    }
    if (!bootstrap_open(ctx)) {
        result = reply_error(ctx, "BOOTSTRAPCLOSED", "the first administrator was made before");
    } else if (!matches) {
        audit_note(ctx, &(struct audit_event){
                            .action = "bootstrap", .result = "failed", .address = job->address});
        result = reply_error(ctx, "AUTHFAILED", "not the token in the file of the leader");
    } else if (error != NULL) {
        result = RedisModule_ReplyWithError(ctx, error);
    } else if (objection != NULL || (objection = objection_to(job)) != NULL) {
        result = reply_error(ctx, "PASSWORDPOLICY", objection);
    } else if (store_get_user(ctx, job->name, &user) != HL_ENOENT) {
        result = reply_error(ctx, "USEREXISTS", "the name is taken");
    } else {
        return start(ctx, job);
    }
    free_job(ctx, job);
    return result;
}

/* What LOGIN and PASSWD have in common: takes the job. */
static int start_verifying(RedisModuleCtx *ctx, struct job *job)
{
    struct user_record user;
    note_address(ctx, job);
    int64_t wait_ms = wait_of(ctx, job, RedisModule_Milliseconds());
    if (wait_ms > 0) {
        free_job(ctx, job);
        return reply_locked(ctx, wait_ms);
    }
    job->known = store_get_user(ctx, job->name, &user) == HL_OK;
    if (job->known) {
        memcpy(job->hash, user.hash, sizeof job->hash);
        size_t max = job->kind == JOB_PASSWD ? (size_t)settings()->password_history : 0;
        job->history_count = user.history_count < max ? user.history_count : max;
        memcpy(job->history, user.history, sizeof job->history);
    } else { /* nobody's hash, to cost as much (P3) */
        snprintf(job->hash, sizeof job->hash, "$2b$%02d$%s", (int)settings()->bcrypt_cost,
                 "abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDE");
    }
    return start(ctx, job);
}

/* Take the options behind a name and a password; NULL, or the error to reply. */
static const char *take_options(struct job *job, RedisModuleString **argv, int argc)
{
    if (argc == 3) {
        return NULL;
    }
    struct hl_slice device = argc == 5 ? arg_slice(argv[4]) : (struct hl_slice){0};
    if (argc != 5 || !hl_slice_is(arg_slice(argv[3]), "DEVICE")) {
        return "ERR syntax error";
    }
    if (!record_text_ok(device, RECORD_TEXT_MAX)) {
        return "ERR a device is at most 64 characters of printable ASCII";
    }
    memcpy(job->device, device.ptr, device.len);
    return NULL;
}

int cmd_login(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc < 3) {
        return RedisModule_WrongArity(ctx);
    }
    struct job *job = hl_calloc(1, sizeof *job);
    job->kind = JOB_LOGIN;
    const char *objection = take_password(ctx, argv, 2, false, &job->given);
    const char *error = read_name(argv[1], job->name);
    const char *syntax = take_options(job, argv, argc);
    if (syntax == NULL && error == NULL && objection == NULL) {
        return start_verifying(ctx, job);
    }
    free_job(ctx, job);
    return syntax != NULL ? RedisModule_ReplyWithError(ctx, syntax)
                          : reply_error(ctx, "AUTHFAILED", "wrong user name or password");
}

int cmd_passwd(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 4) {
        return RedisModule_WrongArity(ctx);
    }
    struct job *job = hl_calloc(1, sizeof *job);
    job->kind = JOB_PASSWD;
    const char *wrong = take_password(ctx, argv, 2, false, &job->given);
    const char *objection = take_password(ctx, argv, 3, true, &job->fresh);
    const char *error = read_name(argv[1], job->name);
    bool same = job->given.len == job->fresh.len &&
                memcmp(job->given.text, job->fresh.text, job->given.len) == 0;
    int result = REDISMODULE_OK;
    if (objection != NULL || (error == NULL && (objection = objection_to(job)) != NULL)) {
        result = reply_error(ctx, "PASSWORDPOLICY", objection);
    } else if (error != NULL || wrong != NULL) {
        result = reply_error(ctx, "AUTHFAILED", "wrong user name or password");
    } else if (same) {
        result = reply_error(ctx, "PASSWORDPOLICY", "the new password must be another one");
    } else {
        return start_verifying(ctx, job);
    }
    free_job(ctx, job);
    return result;
}

/* ---- AUTH and HELLO AUTH of the server itself --------------------------------------------------
 */

/* Count a failure, here or where it can be written, so that no node is worth more guesses. */
static void report_failure(RedisModuleCtx *ctx, const struct job *job, bool leads)
{
    if (leads) {
        count_failure(ctx, job, RedisModule_Milliseconds());
        return;
    }
    const char *address = job->counted ? job->address : "";
    leader_run(ctx, (const char *const[]){"AUTH.FAILED", job->name, address}, 3);
}

int cmd_failed(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct job job = {.kind = JOB_NATIVE};
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    struct hl_slice address = arg_slice(argv[2]);
    const char *error = read_name(argv[1], job.name);
    if (error == NULL && !record_text_ok(address, RECORD_ADDRESS_MAX)) {
        error = "ERR not an address";
    }
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    memcpy(job.address, address.ptr, address.len);
    job.counted = address.len != 0;
    count_failure(ctx, &job, RedisModule_Milliseconds());
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

/* Judge the verified password of a job.  A wrong one is left to the server, whose ACL user may
 * have a password of its own. */
static int end_native(RedisModuleCtx *ctx, RedisModuleString *name, RedisModuleString *password,
                      RedisModuleString **err)
{
    (void)name;
    (void)password;
    (void)err;
    const struct job *job = RedisModule_GetBlockedClientPrivateData(ctx);
    int64_t now_ms = RedisModule_Milliseconds();
    bool leads = (RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_MASTER) != 0;
    struct user_record user;
    if (job == NULL || job->late || wait_of(ctx, job, now_ms) > 0) {
        return REDISMODULE_AUTH_NOT_HANDLED;
    }
    if (!job->matches || store_get_user(ctx, job->name, &user) != HL_OK ||
        strcmp(user.hash, job->hash) != 0) {
        report_failure(ctx, job, leads);
        return REDISMODULE_AUTH_NOT_HANDLED;
    }
    if (leads) {
        store_drop_failure(ctx, false, job->name);
    }
    return !user.disabled && live_login(ctx, &user, &(struct live_tie){0})
               ? REDISMODULE_AUTH_HANDLED
               : REDISMODULE_AUTH_NOT_HANDLED;
}

/* An access token as the password: no hash, no thread. */
static int native_token(RedisModuleCtx *ctx, const char *name, struct hl_slice token)
{
    struct access *access = hl_calloc(1, sizeof *access);
    bool good = access_check(ctx, token, access) == NULL && strcmp(access->user.name, name) == 0 &&
                live_login(ctx, &access->user,
                           &(struct live_tie){.sid = access->session.sid,
                                              .until_ms = access->session.expires_ms});
    hl_free(access);
    return good ? REDISMODULE_AUTH_HANDLED : REDISMODULE_AUTH_NOT_HANDLED;
}

/* An API key as the password, with its user's name or none: the connection then has all of the
 * user's rights, so a key with scopes is refused. */
static int native_key(RedisModuleCtx *ctx, const char *name, struct hl_slice text)
{
    struct keyed *keyed = hl_calloc(1, sizeof *keyed);
    bool good =
        keyed_check(ctx, text, keyed) == NULL && keyed->key.scope_count == 0 &&
        (strcmp(name, "default") == 0 || strcmp(name, keyed->user.name) == 0) &&
        live_login(ctx, &keyed->user,
                   &(struct live_tie){.apikey = keyed->key.id, .until_ms = keyed->key.expires_ms});
    hl_free(keyed);
    return good ? REDISMODULE_AUTH_HANDLED : REDISMODULE_AUTH_NOT_HANDLED;
}

/* A password: verified on a thread while the client is blocked. */
static int native_password(RedisModuleCtx *ctx, const struct user_record *user,
                           struct hl_slice text)
{
    struct job *job = hl_calloc(1, sizeof *job);
    job->kind = JOB_NATIVE;
    job->known = true;
    job->cost = password_hash_cost(user->hash); /* verify only */
    job->give_up_ms = RedisModule_Milliseconds() + settings()->hash_timeout_s * 1000;
    memcpy(job->name, user->name, sizeof job->name);
    memcpy(job->hash, user->hash, sizeof job->hash);
    memcpy(job->given.text, text.ptr, text.len);
    job->given.len = text.len;
    note_address(ctx, job);
    if (wait_of(ctx, job, RedisModule_Milliseconds()) > 0) {
        free_job(ctx, job);
        return REDISMODULE_AUTH_NOT_HANDLED;
    }
    job->client = RedisModule_BlockClientOnAuth(ctx, end_native, free_job);
    if (!pool_submit(pool, job, (size_t)settings()->queue_max)) {
        RedisModule_AbortBlock(job->client);
        free_job(ctx, job);
        return REDISMODULE_AUTH_NOT_HANDLED;
    }
    return REDISMODULE_AUTH_HANDLED;
}

static int on_native(RedisModuleCtx *ctx, RedisModuleString *name, RedisModuleString *password,
                     RedisModuleString **err)
{
    const int denied = REDISMODULE_CTX_FLAGS_DENY_BLOCKING | REDISMODULE_CTX_FLAGS_MULTI |
                       REDISMODULE_CTX_FLAGS_LUA;
    char user_name[USER_NAME_MAX + 1];
    struct hl_slice text = arg_slice(password);
    struct user_record user;
    (void)err;
    if (!settings()->acl_login || read_name(name, user_name) != NULL) {
        return REDISMODULE_AUTH_NOT_HANDLED;
    }
    if (apikey_looks_so(text) && text.len == APIKEY_TEXT_LEN) {
        return native_key(ctx, user_name, text);
    }
    if (text.len > PASSWORD_LEN_MAX) {
        return native_token(ctx, user_name, text);
    }
    if ((RedisModule_GetContextFlags(ctx) & denied) != 0 ||
        store_get_user(ctx, user_name, &user) != HL_OK) {
        return REDISMODULE_AUTH_NOT_HANDLED;
    }
    return native_password(ctx, &user, text);
}

void native_auth_load(RedisModuleCtx *ctx)
{
    if (RedisModule_RegisterAuthCallback != NULL && RedisModule_BlockClientOnAuth != NULL) {
        RedisModule_RegisterAuthCallback(ctx, on_native);
    }
}
