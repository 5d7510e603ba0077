/* Configuration: one table of settings (config.def), filled from flags, environment, a file and
 * defaults, read by enumerator, changed by CONFIG SET and by a reload.
 *
 * Invariants:
 *   G1  every setting holds a value of its type and range, from creation on.
 *   G2  a change of several settings happens wholly or not at all.
 *   G3  at start a value is only replaced by one of the same or a stronger source: default < file <
 *       environment < flag.
 *   G4  a secret's value is in no message of this folder.
 *
 * Not thread-safe: it belongs to the loop.
 */
#ifndef HL_SERVER_CONFIG_H
#define HL_SERVER_CONFIG_H

#include "kit/bytes.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum hl_cfg {
#define HL_CONFIG_GROUP(id, title)
#define HL_CONFIG_ROW(id, ...) HL_CFG_##id,
#include "server/config.def"
#undef HL_CONFIG_GROUP
#undef HL_CONFIG_ROW
    HL_CFG_COUNT
};

/* What a setting holds.  Those up to HL_CFG_TYPE_SIZE_OR_PERCENT are numbers (hl_config_int()), the
 * others texts (hl_config_text()), kept in the form that CONFIG GET shows. */
enum hl_cfg_type {
    HL_CFG_TYPE_BOOL,            /* 0 or 1 */
    HL_CFG_TYPE_INT,             /* in the unit of the row's hint */
    HL_CFG_TYPE_SIZE,            /* bytes */
    HL_CFG_TYPE_OCTAL,           /* permission bits */
    HL_CFG_TYPE_DURATION,        /* in the row's unit: ms or s */
    HL_CFG_TYPE_ENUM,            /* position of the word in the row's hint: the enums below */
    HL_CFG_TYPE_BITS,            /* sum of the words' values in the row's hint */
    HL_CFG_TYPE_SIZE_OR_PERCENT, /* bytes, or a percentage as a negative number */
    HL_CFG_TYPE_STRING,          /* any text without NUL */
    HL_CFG_TYPE_SECRET,          /* the same, never shown */
    HL_CFG_TYPE_PATH,            /* a file or directory; may be relative */
    HL_CFG_TYPE_FILENAME,        /* a name without '/' */
    HL_CFG_TYPE_NAME,            /* letters, digits, '_', '-', '.' */
    HL_CFG_TYPE_ADDRESS,         /* host:port */
    HL_CFG_TYPE_LISTEN,          /* :port, host:port or [v6]:port */
    HL_CFG_TYPE_URL,             /* http:// or https:// … */
    HL_CFG_TYPE_BIND,            /* addresses separated by spaces */
    HL_CFG_TYPE_OUTPUT_LIMIT,    /* hl_config_output_limits() */
    HL_CFG_TYPE_SAVE,            /* hl_config_save_points() */
    HL_CFG_TYPE_PEERS,           /* hl_config_peers() */
    HL_CFG_TYPE_TLS_PROTOCOLS,   /* words among TLSv1.2 TLSv1.3 */
    HL_CFG_TYPE_PERCENTILES,     /* numbers in 0..100 separated by spaces */
    HL_CFG_TYPE_EVENTS,     /* class letters; hl_config_int() gives the HL_NOTIFY bits of the ABI */
    HL_CFG_TYPE_OOM_VALUES, /* three numbers in -2000..2000 */
};

/* Values of ENUM settings. */
enum hl_cfg_loglevel {
    HL_LOGLEVEL_DEBUG,
    HL_LOGLEVEL_VERBOSE,
    HL_LOGLEVEL_NOTICE,
    HL_LOGLEVEL_WARNING
};
enum hl_cfg_log_format { HL_LOG_FORMAT_TEXT, HL_LOG_FORMAT_JSON };
enum hl_cfg_fsync { HL_FSYNC_EVERYSEC, HL_FSYNC_ALWAYS, HL_FSYNC_NO };
enum hl_cfg_allow { HL_ALLOW_NO, HL_ALLOW_YES, HL_ALLOW_LOCAL };
enum hl_cfg_tls_auth { HL_TLS_AUTH_NO, HL_TLS_AUTH_YES, HL_TLS_AUTH_OPTIONAL };
enum hl_cfg_supervised {
    HL_SUPERVISED_NO,
    HL_SUPERVISED_UPSTART,
    HL_SUPERVISED_SYSTEMD,
    HL_SUPERVISED_AUTO
};
enum hl_cfg_policy {
    HL_POLICY_VOLATILE_LRU,
    HL_POLICY_VOLATILE_LFU,
    HL_POLICY_VOLATILE_RANDOM,
    HL_POLICY_VOLATILE_TTL,
    HL_POLICY_ALLKEYS_LRU,
    HL_POLICY_ALLKEYS_LFU,
    HL_POLICY_ALLKEYS_RANDOM,
    HL_POLICY_NOEVICTION
};
enum hl_cfg_follower_writes { HL_WRITES_FORWARD, HL_WRITES_REDIRECT, HL_WRITES_REFUSE };
enum hl_cfg_follower_reads {
    HL_READS_LINEARIZABLE,
    HL_READS_SESSION,
    HL_READS_BOUNDED,
    HL_READS_STALE
};
enum hl_cfg_pubsub_default { HL_PUBSUB_ALLCHANNELS, HL_PUBSUB_RESETCHANNELS };

/* Where a value came from; a later one is stronger at start. */
enum hl_cfg_source {
    HL_CFG_FROM_DEFAULT,
    HL_CFG_FROM_FILE,
    HL_CFG_FROM_ENV,
    HL_CFG_FROM_FLAG,
    HL_CFG_FROM_CLIENT, /* CONFIG SET */
};

/* Which program reads the settings: decides what `--listen` sets. */
enum hl_cfg_role { HL_ROLE_SERVER, HL_ROLE_GATEWAY, HL_ROLE_PROXY, HL_ROLE_WORKER };

#define HL_CONFIG_FILE_MAX (4u << 20)   /* bytes of one file */
#define HL_CONFIG_VALUE_MAX (64u << 10) /* bytes of one value */
#define HL_CONFIG_INCLUDE_DEPTH 8
#define HL_CONFIG_LINES_MAX 100000 /* lines kept for modules, users and sections */

struct hl_config;

/* All settings at their defaults.  The caller ends it with hl_config_destroy(). */
struct hl_config *hl_config_create(enum hl_cfg_role role);

/* Release everything.  NULL is allowed. */
void hl_config_destroy(struct hl_config *cfg);

/* What the command line asked for besides settings. */
struct hl_config_request {
    bool help;      /* --help, -h */
    bool version;   /* --version, -v */
    bool json;      /* --version --json */
    bool test_only; /* --test-config: check the settings, do not serve */
};

/*
 * Read flags, environment and the configuration file that they name.
 *
 * argv   argv[0] is skipped; borrowed for this call.
 * envp   NAME=value entries ending with NULL, or NULL for none; borrowed for this call.
 * msg    on failure: where (file:line, flag or variable), what, and a suggestion.
 *
 * Returns HL_OK, HL_EINVAL for an unknown or wrong setting, HL_EIO when a file cannot be read,
 * HL_ELIMIT when one is too big; after a failure the settings are partly read: do not start.
 */
HL_MUST_USE hl_err hl_config_load(struct hl_config *cfg, int argc, char *const *argv,
                                  char *const *envp, struct hl_config_request *request,
                                  struct hl_errmsg *msg);

/* The configuration file in use, absolute; NULL when there is none or it was standard input. */
const char *hl_config_file(const struct hl_config *cfg);

/* Print usage: every flag with its default, in chapters, to `out`. */
void hl_config_print_help(const struct hl_config *cfg, const char *program, FILE *out);

/* Write docs/configuration.md into `out`. */
void hl_config_print_manual(struct hl_buf *out);

/* --- reading -----------------------------------------------------------------------------------
 */

/* A number setting's value, see enum hl_cfg_type.  Cheap. */
int64_t hl_config_int(const struct hl_config *cfg, enum hl_cfg id);

/* A BOOL setting's value. */
bool hl_config_bool(const struct hl_config *cfg, enum hl_cfg id);

/* A text setting's value, "" when empty; valid until it next changes. */
const char *hl_config_text(const struct hl_config *cfg, enum hl_cfg id);

/* Append the value as CONFIG GET would show it, secrets included: for the settings' owners. */
void hl_config_format(const struct hl_config *cfg, enum hl_cfg id, struct hl_buf *out);

/* The name of a setting, as CONFIG GET shows it. */
const char *hl_config_name(enum hl_cfg id);

/* Where the present value came from. */
enum hl_cfg_source hl_config_source(const struct hl_config *cfg, enum hl_cfg id);

/* A class's output limits: normal, replica, pubsub in this order. */
struct hl_config_output_limit {
    int64_t hard, soft; /* bytes; 0: none */
    int64_t soft_s;     /* seconds above `soft` that close the client */
};
#define HL_CONFIG_OUTPUT_CLASSES 3

/* Fill `out[HL_CONFIG_OUTPUT_CLASSES]` from client-output-buffer-limit. */
void hl_config_output_limits(const struct hl_config *cfg, struct hl_config_output_limit *out);

/* A snapshot is due after `seconds` with at least `changes`. */
struct hl_config_save_point {
    int64_t seconds, changes;
};
#define HL_CONFIG_SAVE_POINTS_MAX 64

/* Fill `out[HL_CONFIG_SAVE_POINTS_MAX]` from `save`; returns how many. */
size_t hl_config_save_points(const struct hl_config *cfg, struct hl_config_save_point *out);

/* A first member of a cluster. */
struct hl_config_peer {
    char id[65];
    char host[256];
    int port;
};
#define HL_CONFIG_PEERS_MAX 64

/* Fill `out[HL_CONFIG_PEERS_MAX]` from raft-peers; returns how many. */
size_t hl_config_peers(const struct hl_config *cfg, struct hl_config_peer *out);

/* The address of this node's raft port as other nodes are told it: raft-advertise-addr, or else
 * raft-addr. */
const char *hl_config_raft_address(const struct hl_config *cfg);

/* Split ":6379", "host:6379", "[::1]:6379" or "6379": host is "" when none is named.  False when
 * malformed or host is longer than 255 bytes. */
bool hl_config_split_address(struct hl_slice text, char host[256], int *port);

/* The next word of a list separated by spaces: false at the end.  Start with the whole text. */
bool hl_config_next_word(struct hl_slice *rest, struct hl_slice *word);

/* --- lines kept for others ----------------------------------------------------------------------
 */

enum hl_cfg_line_kind {
    HL_CFG_LINE_LOADMODULE,     /* path args… */
    HL_CFG_LINE_USER,           /* name rules… */
    HL_CFG_LINE_RENAME_COMMAND, /* old new */
    HL_CFG_LINE_MODULE_SETTING, /* module.setting value */
    HL_CFG_LINE_SECTION, /* path value: open sections of a YAML file, e.g. plugins.plugins[0].name
                          */
};

/* A line that another part will use. */
struct hl_config_line {
    enum hl_cfg_line_kind kind;
    int argc;
    char **argv;  /* NUL-terminated words */
    char *origin; /* "helios.conf:12" */
    bool taken;   /* hl_config_take_module_setting() returned it */
};

/* The lines in the order they were read; `*count` of them, valid until the next load. */
const struct hl_config_line *hl_config_lines(const struct hl_config *cfg, size_t *count);

/* The last queued value of "module.setting", marking all of that name taken; NULL when none is
 * left. */
const char *hl_config_take_module_setting(struct hl_config *cfg, const char *name);

/* A queued module setting nobody took, or NULL: after loading the modules that stops the start. */
const struct hl_config_line *hl_config_module_setting_left(const struct hl_config *cfg);

/* --- modules -----------------------------------------------------------------------------------
 */

#define HL_CONFIG_MODULES_MAX 64

/* A module that the settings call for without a `loadmodule` line. */
struct hl_config_module {
    char name[64];
    char because[80]; /* why, as part of a sentence */
};

/* Those that the program's role, the sections of the settings and the list of plugins call for, in
 * the order of loading; returns how many.  What a `loadmodule` line names is not among them. */
size_t hl_config_modules(const struct hl_config *cfg,
                         struct hl_config_module out[HL_CONFIG_MODULES_MAX]);

/* Append the value that a setting of the core, or a plugin's entry, gives "module.setting"; false
 * when none does. */
bool hl_config_module_value(struct hl_config *cfg, const char *name, struct hl_buf *value);

/* A setting of an enabled plugin that no module asked for, or NULL: after loading the modules that
 * stops the start. */
const struct hl_config_line *hl_config_plugin_setting_left(const struct hl_config *cfg);

/* The next setting that has a value, and that no module obeys yet, with what holds instead: start
 * with *at 0; false at the end. */
bool hl_config_unheeded(const struct hl_config *cfg, size_t *at, const char **name,
                        const char **instead);

/* From now on CONFIG SET of a setting that stands for a module's sets that, too, or is refused. */
void hl_config_watch_modules(struct hl_config *cfg);

/* --- CONFIG -------------------------------------------------------------------------------------
 */

typedef void hl_config_get_fn(void *ctx, struct hl_slice name, struct hl_slice value);

/* CONFIG GET: call `fn` (may be NULL) once for each setting that matches a pattern; returns how
 * many. Secrets that Redis does not know show as empty, or "(set)". */
size_t hl_config_get(const struct hl_config *cfg, const struct hl_slice *patterns, size_t count,
                     hl_config_get_fn *fn, void *ctx);

/*
 * CONFIG SET: `words` are name, value, name, value, …
 *
 * local  the client is on this machine: matters for enable-protected-configs local.
 * msg    on failure the whole error reply, starting with "ERR ".
 *
 * Returns HL_OK or HL_EINVAL, HL_ENOENT (unknown name); then nothing has changed.
 */
HL_MUST_USE hl_err hl_config_set(struct hl_config *cfg, const struct hl_slice *words, size_t count,
                                 bool local, struct hl_errmsg *msg);

/* CONFIG REWRITE: update the file in place, keeping its comments and order.  On failure msg holds
 * the whole error reply and the file is as it was.  A YAML file is refused: its structure is its
 * owner's. */
HL_MUST_USE hl_err hl_config_rewrite(struct hl_config *cfg, struct hl_errmsg *msg);

/* Append what CONFIG GET shows of a setting. */
typedef void hl_config_show_fn(void *ctx, const struct hl_config *cfg, enum hl_cfg id,
                               struct hl_buf *out);

/* Let `fn` say what CONFIG GET shows of `id`, for one setting only (asserted). */
void hl_config_on_show(struct hl_config *cfg, enum hl_cfg id, hl_config_show_fn *fn, void *ctx);

/* `user` lines that CONFIG REWRITE writes instead of those in the file: appends whole lines. */
typedef void hl_config_users_fn(void *ctx, struct hl_buf *lines);

/* Tell where CONFIG REWRITE gets its `user` lines; without it they stay as they are. */
void hl_config_on_rewrite_users(struct hl_config *cfg, hl_config_users_fn *fn, void *ctx);

/*
 * Apply a changed setting: the accessors show the new value already.  An error refuses the whole
 * change with `msg` as reason: the old values come back and the hooks run again for them, when they
 * must succeed.
 */
typedef hl_err hl_config_apply_fn(void *ctx, struct hl_config *cfg, enum hl_cfg id,
                                  struct hl_errmsg *msg);

/* Call `fn` when `id` gets another value; several may register, the oldest first. */
void hl_config_on_change(struct hl_config *cfg, enum hl_cfg id, hl_config_apply_fn *fn, void *ctx);

typedef void hl_config_reset_fn(void *ctx);

/* Call `fn` at CONFIG RESETSTAT. */
void hl_config_on_resetstat(struct hl_config *cfg, hl_config_reset_fn *fn, void *ctx);

/* CONFIG RESETSTAT: run its hooks. */
void hl_config_resetstat(struct hl_config *cfg);

/* What a reload did. */
struct hl_config_reload {
    int changed; /* settings that have a new value */
    int refused; /* settings that changed in the file and cannot while the server runs */
    struct hl_buf refused_names; /* separated by ", "; the caller ends it with hl_buf_fini() */
};

/*
 * SIGHUP: read the file again and apply what changed in it since it was last read.  A setting that
 * cannot change, or whose hook refuses, is reported and keeps its value; with `strict` it refuses
 * the whole reload.
 *
 * Returns HL_OK, or with nothing changed HL_EINVAL, HL_EIO, HL_ELIMIT, HL_ENOENT (no file in use).
 */
HL_MUST_USE hl_err hl_config_reload(struct hl_config *cfg, bool strict,
                                    struct hl_config_reload *out, struct hl_errmsg *msg);

/* One setting that the file gives another value than is in use. */
struct hl_config_difference {
    const char *name;
    struct hl_slice file, live; /* as CONFIG GET shows them; a secret is "(set)" or empty */
    bool immutable;             /* a reload would refuse it */
    bool overridden;            /* the environment or a flag has the last word */
};
typedef void hl_config_diff_fn(void *ctx, const struct hl_config_difference *difference);

/* Read the file and tell what differs from what is in use; changes nothing.  Returns HL_OK, or with
 * nothing told HL_EINVAL, HL_EIO, HL_ELIMIT, HL_ENOENT (no file in use). */
HL_MUST_USE hl_err hl_config_diff(const struct hl_config *cfg, hl_config_diff_fn *fn, void *ctx,
                                  struct hl_errmsg *msg);

/* Tell every setting once, by its own name, and those of modules; a secret is "(set)" or empty,
 * whoever asks.  Returns how many. */
size_t hl_config_export(const struct hl_config *cfg, hl_config_get_fn *fn, void *ctx);

/* A setting that a module registered: its value lives with the module.  `name` is "module.setting".
 */
struct hl_config_external {
    const char *name; /* borrowed until removed */
    bool immutable, hidden_value;
    void *ctx;
    void (*get)(void *ctx, struct hl_buf *out);
    hl_err (*set)(void *ctx, struct hl_slice value, struct hl_errmsg *msg);
    hl_err (*apply)(void *ctx, struct hl_errmsg *msg); /* may be NULL; once per CONFIG SET */
};

/* Add one to CONFIG GET and SET; copied.  HL_EBUSY when the name is taken, HL_ELIMIT past 1024. */
HL_MUST_USE hl_err hl_config_external_add(struct hl_config *cfg,
                                          const struct hl_config_external *external);

/* Remove all whose name starts with "module.". */
void hl_config_external_remove(struct hl_config *cfg, const char *module);

#endif
