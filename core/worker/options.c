/* See options.h. */
#include "worker/options.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "server/config.h"

#include <errno.h>
#include <stdlib.h>

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define RESULT_LIMIT (INT64_C(64) * 1024 * 1024)
#define PASSWORD_MAX 4096 /* bytes of a password file */
#define QUEUE_NAME_MAX 512
#define SOCKET_PATH_MAX 107
#define DATA_DIR "/var/lib/helios"           /* where none is named */
#define GATEWAY_SOCKET "gateway/helios.sock" /* in the data directory, of `helios-gateway` */

enum kind { SWITCH, TEXT, NUMBER, DURATION, SIZE, SERVERS, QUEUES, HEADER, USER };

/* The walk over argv. */
struct reading {
    struct worker_options *out;
    struct hl_errmsg *msg;
    const char *password_file;
    char dir[128];  /* the data directory, "" when its name is long */
    uint64_t given; /* bits of the flags that the command line has */
};

#define FIELD(name) offsetof(struct worker_options, name)

static const struct flag {
    const char *name;
    const char *value; /* its name in --help; NULL for a switch */
    enum kind kind;
    size_t field;
    int64_t fallback, min, max; /* of numbers: in ms for durations */
    const char *shown;          /* the default in --help */
    const char *what;
} flags[] = {
    {"server", "HOST:PORT,...", SERVERS, 0, 0, 0, 0, "127.0.0.1:6379",
     "nodes; any will do, the next is tried when one fails"},
    {"user", "NAME", USER, 0, 0, 0, 0, "the default user", "whom to authenticate as"},
    {"password-file", "FILE", TEXT, 0, 0, 0, 0, "$HELIOS_PASSWORD",
     "its first line is the password"},
    {"tls", NULL, SWITCH, FIELD(tls), 0, 0, 0, NULL, "speak TLS to the server"},
    {"cacert", "FILE", TEXT, FIELD(cacert), 0, 0, 0, NULL, "who must have signed its certificate"},
    {"cert", "FILE", TEXT, FIELD(cert), 0, 0, 0, NULL, "the worker's own certificate"},
    {"key", "FILE", TEXT, FIELD(key), 0, 0, 0, NULL, "the certificate's key"},
    {"insecure", NULL, SWITCH, FIELD(insecure), 0, 0, 0, NULL,
     "believe any certificate: for tests only"},
    {"queue", "NAME[=WEIGHT],...", QUEUES, 0, 0, 0, 0, "default",
     "where to take jobs from; without weights the first that has some"},
    {"concurrency", "N", NUMBER, FIELD(concurrency), 1, 1, WORKER_CONCURRENCY_MAX, "1",
     "jobs at once"},
    {"exec", "COMMAND", TEXT, FIELD(exec), 0, 0, 0, NULL, "run this by /bin/sh for each job"},
    {"http", "URL", TEXT, FIELD(http), 0, 0, 0, NULL, "POST each job to this address"},
    {"http-header", "'NAME: TEXT'", HEADER, 0, 0, 0, 0, NULL, "send this along; may be repeated"},
    {"http-cacert", "FILE", TEXT, FIELD(http_cacert), 0, 0, 0, "the system's",
     "who must have signed the certificate of an https address"},
    {"job-timeout", "TIME", DURATION, FIELD(job_timeout_ms), 3600000, 0, 28 * DAY_MS, "1h",
     "a handler that takes longer is stopped; 0: never"},
    {"kill-after", "TIME", DURATION, FIELD(kill_after_ms), 5000, 0, DAY_MS, "5s",
     "between SIGTERM and SIGKILL for a handler"},
    {"grace", "TIME", DURATION, FIELD(grace_ms), 30000, 0, DAY_MS, "30s",
     "for running jobs when the worker is told to stop"},
    {"result-max", "SIZE", SIZE, FIELD(result_max), 65536, 0, RESULT_LIMIT, "64kb",
     "bytes of a result that are kept"},
    {"permanent-exit", "N", NUMBER, FIELD(permanent_exit), 65, 1, 255, "65",
     "exit status of a handler that means: do not try again"},
    {"once", NULL, SWITCH, FIELD(once), 0, 0, 0, NULL, "end after one job"},
    {"drain", NULL, SWITCH, FIELD(drain), 0, 0, 0, NULL, "end when no job is ready"},
};

static hl_err wrong(struct reading *r, const char *name, const char *why)
{
    return hl_fail(r->msg, HL_EINVAL, "command line: --%s: %s", name, why);
}

/* Whether a text may stand in a header, a log line and a terminal. */
static bool is_plain(struct hl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* The part before the next comma, and past it. */
static struct hl_slice next_part(struct hl_slice *rest)
{
    const char *comma = memchr(rest->ptr, ',', rest->len);
    size_t len = comma == NULL ? rest->len : (size_t)(comma - rest->ptr);
    struct hl_slice part = {.ptr = rest->ptr, .len = len};
    size_t step = comma == NULL ? len : len + 1;
    *rest = (struct hl_slice){.ptr = rest->ptr + step, .len = rest->len - step};
    return part;
}

static bool ends_with_comma(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && text[len - 1] == ',';
}

static hl_err read_servers(struct reading *r, const char *name, const char *text)
{
    struct worker_options *out = r->out;
    if (ends_with_comma(text)) {
        return wrong(r, name, "ends with a comma: expected another host:port");
    }
    struct hl_slice rest = hl_slice_of(text);
    do {
        struct hl_slice part = next_part(&rest);
        if (out->server_count == WORKER_SERVERS_MAX) {
            return wrong(r, name, "more than 16 servers");
        }
        struct worker_server *server = &out->servers[out->server_count];
        if (part.len > 0 && part.ptr[0] == '/') {
            if (part.len > SOCKET_PATH_MAX) {
                return wrong(r, name, "the path of the socket is too long");
            }
            memcpy(server->host, part.ptr, part.len);
            out->server_count++;
            continue;
        }
        if (!hl_config_split_address(part, server->host, &server->port) || server->port < 1) {
            return wrong(r, name, "expected host:port or /path, or several separated by commas");
        }
        if (server->host[0] == '\0') {
            memcpy(server->host, "127.0.0.1", sizeof "127.0.0.1");
        }
        out->server_count++;
    } while (rest.len > 0);
    return HL_OK;
}

/* A server on this machine, or else the one inside a gateway. */
static hl_err default_servers(struct reading *r)
{
    hl_err err = read_servers(r, "server", "127.0.0.1:6379");
    char path[sizeof r->dir + sizeof GATEWAY_SOCKET + 1];
    (void)snprintf(path, sizeof path, "%s/%s", r->dir, GATEWAY_SOCKET);
    if (err == HL_OK && strlen(path) <= SOCKET_PATH_MAX) {
        err = read_servers(r, "server", path);
    }
    return err;
}

static hl_err read_queues(struct reading *r, const char *name, const char *text)
{
    struct worker_options *out = r->out;
    if (ends_with_comma(text)) {
        return wrong(r, name, "ends with a comma: expected another queue");
    }
    struct hl_slice rest = hl_slice_of(text);
    do {
        struct hl_slice part = next_part(&rest);
        const char *equals = part.len == 0 ? NULL : memrchr(part.ptr, '=', part.len);
        int64_t weight = 1;
        if (equals != NULL) {
            struct hl_slice number = {.ptr = equals + 1,
                                      .len = part.len - (size_t)(equals + 1 - part.ptr)};
            if (!hl_parse_i64(number, &weight) || weight < 1 || weight > WORKER_WEIGHT_MAX) {
                return wrong(r, name, "a weight is a number from 1 to 1000");
            }
            part.len = (size_t)(equals - part.ptr);
            out->weighted = true;
        }
        if (part.len == 0 || part.len > QUEUE_NAME_MAX || !is_plain(part)) {
            return wrong(r, name, "a queue's name has 1 to 512 bytes and no control characters");
        }
        if (hl_slice_is(part, "COUNT") || hl_slice_is(part, "BLOCK") ||
            hl_slice_is(part, "WORKER")) {
            return wrong(r, name, "COUNT, BLOCK and WORKER are words of JOB.PULL, not queues");
        }
        if (out->queue_count == WORKER_QUEUES_MAX) {
            return wrong(r, name, "more than 64 queues");
        }
        out->queues[out->queue_count] = hl_strndup(part.ptr, part.len);
        out->weights[out->queue_count++] = (uint32_t)weight;
    } while (rest.len > 0);
    return HL_OK;
}

static hl_err read_header(struct reading *r, const char *name, const char *text)
{
    struct worker_options *out = r->out;
    const char *colon = strchr(text, ':');
    if (colon == NULL || colon == text || !is_plain(hl_slice_of(text))) {
        return wrong(r, name, "expected 'Name: text' without control characters");
    }
    if (out->header_count == WORKER_HEADERS_MAX) {
        return wrong(r, name, "more than 32 headers");
    }
    out->headers[out->header_count++] = text;
    return HL_OK;
}

static hl_err read_number(struct reading *r, const struct flag *flag, const char *text)
{
    int64_t value = 0;
    struct hl_slice slice = hl_slice_of(text);
    bool ok = flag->kind == NUMBER     ? hl_parse_i64(slice, &value)
              : flag->kind == DURATION ? hl_parse_duration(slice, 1000, &value)
                                       : hl_parse_size(slice, &value);
    if (!ok) {
        return wrong(r, flag->name,
                     flag->kind == NUMBER     ? "expected a whole number"
                     : flag->kind == DURATION ? "expected a time such as 500ms, 30s, 5m or 1h"
                                              : "expected a size such as 512, 64kb or 1mb");
    }
    if (value < flag->min || value > flag->max) {
        return wrong(r, flag->name, "is out of range");
    }
    memcpy((char *)r->out + flag->field, &value, sizeof value);
    return HL_OK;
}

/* Switches take =yes and =no too, as the server's do. */
static hl_err read_switch(struct reading *r, const struct flag *flag, const char *text)
{
    struct hl_slice word = hl_slice_of(text == NULL ? "yes" : text);
    bool on = hl_slice_is(word, "yes") || hl_slice_is(word, "true") || hl_slice_is(word, "1");
    bool off = hl_slice_is(word, "no") || hl_slice_is(word, "false") || hl_slice_is(word, "0");
    if (!on && !off) {
        return wrong(r, flag->name, "is yes or no");
    }
    memcpy((char *)r->out + flag->field, &on, sizeof on);
    return HL_OK;
}

static hl_err read_flag(struct reading *r, const struct flag *flag, const char *text)
{
    r->given |= UINT64_C(1) << (flag - flags);
    switch (flag->kind) {
    case SWITCH:
        return read_switch(r, flag, text);
    case NUMBER:
    case DURATION:
    case SIZE:
        return read_number(r, flag, text);
    case SERVERS:
        return read_servers(r, flag->name, text);
    case QUEUES:
        return read_queues(r, flag->name, text);
    case HEADER:
        return read_header(r, flag->name, text);
    case USER:
        hl_free(r->out->user);
        r->out->user = hl_strndup(text, strlen(text));
        return HL_OK;
    case TEXT:
        break;
    }
    if (flag->field == 0) {
        r->password_file = text;
    } else {
        memcpy((char *)r->out + flag->field, &text, sizeof text);
    }
    return HL_OK;
}

HL_STATIC(HL_ARRAY_LEN(flags) <= 64);

static const struct flag *find_flag(struct hl_slice name)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(flags); i++) {
        if (hl_slice_equal(name, hl_slice_of(flags[i].name))) {
            return &flags[i];
        }
    }
    return NULL;
}

/* Name and value of a word such as -x, --x or --x=value; name.len 0 when it is no flag. */
static struct hl_slice split_flag(const char *word, const char **value)
{
    *value = NULL;
    if (word[0] != '-' || word[1] == '\0') {
        return (struct hl_slice){.ptr = "", .len = 0};
    }
    word += word[1] == '-' ? 2 : 1;
    const char *equals = strchr(word, '=');
    *value = equals == NULL ? NULL : equals + 1;
    return (struct hl_slice){.ptr = word,
                             .len = equals == NULL ? strlen(word) : (size_t)(equals - word)};
}

/* Take our own flags; the others go to `rest`, which begins with argv[0] and ends with NULL. */
static hl_err take_flags(struct reading *r, int argc, char *const *argv,
                         struct worker_request *request, char **rest, int *rest_count)
{
    *rest_count = 0;
    rest[(*rest_count)++] = argv[0];
    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        struct hl_slice name = split_flag(argv[i], &value);
        const struct flag *flag = find_flag(name);
        if (hl_slice_is(name, "help") || hl_slice_is(name, "h")) {
            request->help = true;
        } else if (hl_slice_is(name, "version") || hl_slice_is(name, "v")) {
            request->version = true;
        } else if (flag == NULL) {
            rest[(*rest_count)++] = argv[i];
        } else {
            if (value == NULL && flag->kind != SWITCH) {
                if (i + 1 == argc) {
                    return wrong(r, flag->name, "needs a value");
                }
                value = argv[++i];
            }
            hl_err err = read_flag(r, flag, value);
            if (err != HL_OK) {
                return err;
            }
        }
    }
    rest[*rest_count] = NULL;
    return HL_OK;
}

/* A flag of the server that means nothing here is a mistake; --data-dir and the like may stand in a
 * line that was written for all programs. */
static hl_err check_foreign(const struct hl_config *cfg, struct hl_errmsg *msg)
{
    static const enum hl_cfg ours[] = {HL_CFG_WORKER_ID,
                                       HL_CFG_WORKER_POLL_INTERVAL,
                                       HL_CFG_WORKER_MAX_ATTEMPTS,
                                       HL_CFG_WORKER_VISIBILITY_TIMEOUT,
                                       HL_CFG_LOGLEVEL,
                                       HL_CFG_LOG_FORMAT,
                                       HL_CFG_DIR};
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        bool known = hl_config_source(cfg, (enum hl_cfg)id) != HL_CFG_FROM_FLAG;
        for (size_t i = 0; i < HL_ARRAY_LEN(ours); i++) {
            known = known || (int)ours[i] == id;
        }
        if (!known) {
            return hl_fail(msg, HL_EINVAL,
                           "command line: --%s is a setting of the server, not of the worker",
                           hl_config_name((enum hl_cfg)id));
        }
    }
    return HL_OK;
}

/* What the server's configuration knows. */
static hl_err read_config(struct reading *r, int argc, char *const *argv, char *const *envp)
{
    struct worker_options *out = r->out;
    struct hl_errmsg *msg = r->msg;
    struct hl_config *cfg = hl_config_create(HL_ROLE_WORKER);
    struct hl_config_request ignored = {0};
    hl_err err = hl_config_load(cfg, argc, argv, envp, &ignored, msg);
    if (err == HL_OK) {
        err = check_foreign(cfg, msg);
    }
    if (err == HL_OK) {
        const char *id = hl_config_text(cfg, HL_CFG_WORKER_ID);
        out->id = hl_strndup(id, strlen(id));
        const char *dir = hl_config_text(cfg, HL_CFG_DIR);
        (void)snprintf(r->dir, sizeof r->dir, "%s",
                       dir[0] == '/' && strlen(dir) < sizeof r->dir ? dir : DATA_DIR);
        out->poll_ms = hl_config_int(cfg, HL_CFG_WORKER_POLL_INTERVAL);
        if (hl_config_source(cfg, HL_CFG_WORKER_VISIBILITY_TIMEOUT) != HL_CFG_FROM_DEFAULT) {
            out->lease_ms = hl_config_int(cfg, HL_CFG_WORKER_VISIBILITY_TIMEOUT) * 1000;
        }
        out->log_level = (enum hl_log_level)hl_config_int(cfg, HL_CFG_LOGLEVEL);
        bool text = hl_config_source(cfg, HL_CFG_LOG_FORMAT) != HL_CFG_FROM_DEFAULT &&
                    hl_config_int(cfg, HL_CFG_LOG_FORMAT) == HL_LOG_FORMAT_TEXT;
        out->log_form = text ? HL_LOG_TEXT : HL_LOG_JSON;
    }
    hl_config_destroy(cfg);
    return err;
}

static const char *variable(char *const *envp, const char *name)
{
    size_t len = strlen(name);
    for (; envp != NULL && *envp != NULL; envp++) {
        if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=' && (*envp)[len + 1] != '\0') {
            return *envp + len + 1;
        }
    }
    return NULL;
}

/* HELIOS_WORKER_JOB_TIMEOUT stands for --job-timeout, where the command line has none. */
static hl_err read_variables(struct reading *r, char *const *envp)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(flags); i++) {
        char name[64];
        int len = snprintf(name, sizeof name, "HELIOS_WORKER_%s", flags[i].name);
        for (int k = 0; k < len; k++) {
            bool lower = name[k] >= 'a' && name[k] <= 'z';
            name[k] = lower ? (char)(name[k] - 32) : name[k] == '-' ? '_' : name[k];
        }
        const char *text = variable(envp, name);
        if (text == NULL || (r->given >> i & 1) != 0) {
            continue;
        }
        hl_err err = read_flag(r, &flags[i], text);
        if (err != HL_OK) {
            return err;
        }
    }
    return HL_OK;
}

static hl_err read_password_file(struct reading *r)
{
    FILE *file = fopen(r->password_file, "re");
    if (file == NULL) {
        return hl_fail(r->msg, HL_EIO, "password-file: cannot open %.200s: %s", r->password_file,
                       strerror(errno));
    }
    char text[PASSWORD_MAX];
    size_t len = fread(text, 1, sizeof text, file);
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    size_t end = 0;
    while (end < len && text[end] != '\n' && text[end] != '\r' && text[end] != '\0') {
        end++;
    }
    hl_err err = HL_OK;
    if (failed || end == 0 || end == sizeof text) {
        err = hl_fail(r->msg, HL_EIO, "password-file: %.200s holds no password in its first line",
                      r->password_file);
    } else {
        r->out->password = hl_strndup(text, end);
    }
    explicit_bzero(text, sizeof text);
    return err;
}

/* The password comes from a file or the environment: a command line is everybody's to read. */
static hl_err read_password(struct reading *r, char *const *envp)
{
    if (r->password_file != NULL) {
        return read_password_file(r);
    }
    const char *password = variable(envp, "HELIOS_PASSWORD");
    password = password != NULL ? password : variable(envp, "REDISCLI_AUTH");
    if (password != NULL) {
        r->out->password = hl_strndup(password, strlen(password));
    } else if (r->out->user != NULL) {
        return hl_fail(r->msg, HL_EINVAL,
                       "--user needs a password: --password-file FILE or HELIOS_PASSWORD");
    }
    return HL_OK;
}

static hl_err check_together(struct worker_options *out, struct hl_errmsg *msg)
{
    if (out->exec != NULL && out->http != NULL) {
        return hl_fail(msg, HL_EINVAL, "--exec and --http exclude each other: choose one");
    }
    if (out->http != NULL && strncmp(out->http, "http://", 7) != 0 &&
        strncmp(out->http, "https://", 8) != 0) {
        return hl_fail(msg, HL_EINVAL, "--http: the address begins with http:// or https://");
    }
    if (out->http_cacert != NULL && out->http == NULL) {
        return hl_fail(msg, HL_EINVAL, "--http-cacert goes with --http");
    }
    if (out->exec != NULL && (out->exec[0] == '\0' || out->header_count != 0)) {
        return hl_fail(msg, HL_EINVAL,
                       out->exec[0] == '\0' ? "--exec: the command is empty"
                                            : "--http-header goes with --http");
    }
    if ((out->cert == NULL) != (out->key == NULL)) {
        return hl_fail(msg, HL_EINVAL, "--cert and --key go together");
    }
    if (!out->tls && (out->cacert != NULL || out->cert != NULL || out->insecure)) {
        return hl_fail(msg, HL_EINVAL, "--cacert, --cert, --key and --insecure need --tls");
    }
    if (out->tls && out->cacert == NULL && !out->insecure) {
        return hl_fail(msg, HL_EINVAL, "--tls needs --cacert FILE");
    }
    return HL_OK;
}

static void fill_defaults(struct worker_options *out)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(flags); i++) {
        const struct flag *flag = &flags[i];
        if (flag->kind == NUMBER || flag->kind == DURATION || flag->kind == SIZE) {
            memcpy((char *)out + flag->field, &flag->fallback, sizeof flag->fallback);
        }
    }
}

hl_err worker_options_read(struct worker_options *out, int argc, char *const *argv,
                           char *const *envp, struct worker_request *request, struct hl_errmsg *msg)
{
    HL_ASSERT(argc >= 1);
    *out = (struct worker_options){0};
    *request = (struct worker_request){0};
    fill_defaults(out);
    struct reading r = {.out = out, .msg = msg};
    char **rest = hl_calloc((size_t)argc + 1, sizeof *rest);
    int rest_count = 0;
    hl_err err = take_flags(&r, argc, argv, request, rest, &rest_count);
    if (err == HL_OK && !request->help && !request->version) {
        err = read_config(&r, rest_count, rest, envp);
        if (err == HL_OK) {
            err = read_variables(&r, envp);
        }
        if (err == HL_OK && out->server_count == 0) {
            err = default_servers(&r);
        }
        if (err == HL_OK && out->queue_count == 0) {
            err = read_queues(&r, "queue", "default");
        }
        if (err == HL_OK) {
            err = check_together(out, msg);
        }
        if (err == HL_OK) {
            err = read_password(&r, envp);
        }
    }
    hl_free(rest);
    return err;
}

void worker_options_fini(struct worker_options *options)
{
    if (options->password != NULL) {
        explicit_bzero(options->password, strlen(options->password));
    }
    hl_free(options->password);
    hl_free(options->user);
    hl_free(options->id);
    for (size_t i = 0; i < options->queue_count; i++) {
        hl_free(options->queues[i]);
    }
    *options = (struct worker_options){0};
}

void worker_options_print_help(FILE *out)
{
    fputs(
        "usage: helios-worker [--exec COMMAND | --http URL] [FLAG]...\n\n"
        "Leases jobs and runs a command or an HTTP call for each; without either it only watches\n"
        "its queues.  One dash or two, --flag=value or --flag value; a variable such as\n"
        "HELIOS_WORKER_JOB_TIMEOUT stands for --job-timeout.\n\n",
        out);
    for (size_t i = 0; i < HL_ARRAY_LEN(flags); i++) {
        char left[64];
        (void)snprintf(left, sizeof left, "--%s %s", flags[i].name,
                       flags[i].value == NULL ? "" : flags[i].value);
        fprintf(out, "  %-30s %s%s%s%s\n", left, flags[i].what, flags[i].shown == NULL ? "" : " [",
                flags[i].shown == NULL ? "" : flags[i].shown, flags[i].shown == NULL ? "" : "]");
    }
    fputs(
        "  --worker-id NAME               name of the leases' owner [$WORKER_ID or worker-1]\n"
        "  --poll-interval TIME           how long one JOB.PULL waits [$POLL_INTERVAL or 5s]\n"
        "  --worker-visibility-timeout T  what a heartbeat extends a lease to [the job's own]\n"
        "  --config FILE                  settings, of which the section `worker` is read\n"
        "  --log-level LEVEL, --log-format json|text, --help, --version\n\n"
        "A command gets the payload on its standard input and JOB_ID, JOB_QUEUE, JOB_ATTEMPT,\n"
        "JOB_TOKEN, JOB_FENCE, JOB_DEADLINE and WORKER_ID in its environment.  Status 0: done,\n"
        "standard output is the result; 65: failed for good; else: tried again, and the end of\n"
        "standard error is the error.  When it ends, what is left of its process group is killed.\n"
        "An HTTP answer 2xx: done, the body is the result; 408, 425, 429, 5xx and no answer: "
        "tried\n"
        "again, after Retry-After when it says so; other 4xx: failed for good.\n\n"
        "SIGTERM, SIGINT, SIGHUP: takes no more jobs, lets those that run end within --grace, "
        "gives the\n"
        "others back.  A second one: ends at once.\n"
        "Status: 0 ended in order, 1 ended with jobs unfinished, 2 wrong use, 3 the server "
        "refused.\n",
        out);
}
