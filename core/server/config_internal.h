/* What the files config*.c share and nobody else includes. */
#ifndef HL_SERVER_CONFIG_INTERNAL_H
#define HL_SERVER_CONFIG_INTERNAL_H

#include "server/config.h"

/* Chapters of the table. */
enum config_group {
#define HL_CONFIG_GROUP(id, title) CONFIG_GROUP_##id,
#define HL_CONFIG_ROW(id, ...)
#include "server/config.def"
#undef HL_CONFIG_GROUP
#undef HL_CONFIG_ROW
    CONFIG_GROUP_COUNT
};

struct config_row {
    const char *name, *also;
    enum hl_cfg_type type;
    int64_t min, max;
    const char *initial, *hint, *flags, *doc;
};

/* The table of config.def. */
extern const struct config_row config_rows[HL_CFG_COUNT];
extern const char *const config_group_titles[CONFIG_GROUP_COUNT];

struct config_value {
    int64_t num;
    char *text; /* owned; NULL for numbers */
    enum hl_cfg_source source;
};

struct config_hook {
    enum hl_cfg id;
    hl_config_apply_fn *fn;
    void *ctx;
};

struct config_reset {
    hl_config_reset_fn *fn;
    void *ctx;
};

#define CONFIG_RESETS_MAX 16
#define CONFIG_EXTERNALS_MAX 1024

enum config_format { CONFIG_FORMAT_NONE, CONFIG_FORMAT_KEY_VALUE, CONFIG_FORMAT_YAML };

struct hl_config {
    enum hl_cfg_role role;
    struct config_value values[HL_CFG_COUNT];
    char *loaded[HL_CFG_COUNT]; /* value in the file when last read, or NULL: what a reload compares
                                 */
    struct hl_config_line *lines;
    size_t line_count, line_cap;
    struct config_hook *hooks;
    size_t hook_count, hook_cap;
    struct config_reset resets[CONFIG_RESETS_MAX];
    size_t reset_count;
    struct hl_config_external *externals;
    size_t external_count;
    char *file; /* absolute path or NULL */
    enum config_format format;
    hl_config_users_fn *users;
    void *users_ctx;
    enum hl_cfg shown; /* what `show` is asked for */
    hl_config_show_fn *show;
    void *show_ctx;
};

/* Which of a row's names a word may be. */
enum config_space { CONFIG_SPACE_NAME, CONFIG_SPACE_FLAG, CONFIG_SPACE_YAML, CONFIG_SPACE_ENV };

#define CONFIG_NONE (-1)

/* The setting of that name in that space, any case, or CONFIG_NONE. */
int config_find(enum config_space space, struct hl_slice name);

/* Append "; did you mean 'x'?" to `out` when a name of the space is close to `name`. */
void config_suggest(enum config_space space, struct hl_slice name, struct hl_buf *out);

/* The row's n-th name in the space; false past the last. */
bool config_name_at(const struct config_row *row, enum config_space space, size_t n,
                    struct hl_slice *word);

/* The chapter a setting stands in. */
enum config_group config_group_of(enum hl_cfg id);

/* True when the row has the flag letter. */
bool config_flag(const struct config_row *row, char letter);

/* True when the row's value is one number, see enum hl_cfg_type. */
bool config_is_number(const struct config_row *row);

/* Append `text` cut to 64 bytes, with control characters and quotes as '?': safe in a message. */
void config_quote(struct hl_slice text, struct hl_buf *out);

/* Report "where: 'name' what; did you mean …" through hl_fail(). */
hl_err config_unknown(enum config_space space, const char *where, struct hl_slice name,
                      struct hl_errmsg *msg);

/*
 * Read `text` as a value of row `id`.  `old` is the present value (OUTPUT_LIMIT changes parts of
 * it). `lenient` takes spellings that files and flags may use but CONFIG SET may not (true, on, 1).
 * On success *out owns its text; on HL_EINVAL msg holds a reason without the value.
 */
HL_MUST_USE hl_err config_parse(enum hl_cfg id, struct hl_slice text, bool lenient,
                                const struct config_value *old, struct config_value *out,
                                struct hl_errmsg *msg);

/* The types that are lists or addresses: part of config_parse(). */
HL_MUST_USE hl_err config_parse_text(const struct config_row *row, struct hl_slice text,
                                     const struct config_value *old, struct config_value *out,
                                     struct hl_errmsg *msg);

/* Append the value as CONFIG GET shows it. */
void config_format_value(const struct config_row *row, const struct config_value *value,
                         struct hl_buf *out);

/* True when words after the first may be joined with spaces. */
bool config_takes_words(const struct config_row *row);

/* Set a setting at start, obeying G3.  `words` are joined with spaces where the type allows. */
HL_MUST_USE hl_err config_assign(struct hl_config *cfg, enum hl_cfg id,
                                 const struct hl_slice *words, size_t count,
                                 enum hl_cfg_source source, struct hl_errmsg *msg);

/* `listen` of the program's role: sets bind and port, or the role's own address. */
HL_MUST_USE hl_err config_assign_listen(struct hl_config *cfg, struct hl_slice text,
                                        enum hl_cfg_source source, struct hl_errmsg *msg);

/* Keep a line for others; copies everything. */
HL_MUST_USE hl_err config_keep_line(struct hl_config *cfg, enum hl_cfg_line_kind kind,
                                    const struct hl_slice *words, size_t count, const char *origin,
                                    struct hl_errmsg *msg);

/* Split a line into words as Redis does: spaces, "…" with escapes, '…'.  Words are stored in
 * `storage` (views stay valid until it changes); returns their number, or -1 for unbalanced quotes
 * or more than `max`. */
int config_split_line(struct hl_slice line, struct hl_buf *storage, struct hl_slice *words,
                      int max);

#define CONFIG_WORDS_MAX 1024

/* Read a whole file (or standard input for "-") into `out`. */
HL_MUST_USE hl_err config_read_file(const char *path, struct hl_buf *out, struct hl_errmsg *msg);

/* Apply the text of a key-value file named `name` (for messages and relative includes). */
HL_MUST_USE hl_err config_apply_key_value(struct hl_config *cfg, const char *name,
                                          struct hl_slice text, int depth, struct hl_errmsg *msg);

/* Apply the text of a YAML file. */
HL_MUST_USE hl_err config_apply_yaml(struct hl_config *cfg, const char *name, struct hl_slice text,
                                     struct hl_errmsg *msg);

/* Read and apply one file of either form; sets *format. */
HL_MUST_USE hl_err config_apply_file(struct hl_config *cfg, const char *path,
                                     enum config_format *format, struct hl_errmsg *msg);

/* A new value for a setting, not yet in place. */
struct config_staged {
    enum hl_cfg id;
    struct config_value value;
};

/* Put all staged values in place and run their hooks; all or none (G2).  Takes the values' texts in
 * either case.  On failure *failed is the setting whose hook refused, and msg its reason. */
HL_MUST_USE hl_err config_commit(struct hl_config *cfg, struct config_staged *staged, size_t count,
                                 enum hl_cfg *failed, struct hl_errmsg *msg);

/* Take over what `file_only` (the file applied to nothing) has set, where nothing stronger is, and
 * remember it for reloads. */
void config_merge_file(struct hl_config *cfg, struct hl_config *file_only);

/* One scalar of a YAML file. */
struct config_leaf {
    char *path; /* "atlas.raft.peers[0].id" */
    char *value;
    int line, column; /* from 1 */
    bool null;        /* no value, or an empty list or map */
};

struct config_leaves {
    struct config_leaf *items;
    size_t count, cap;
};

#define CONFIG_LEAVES_MAX 16384
#define CONFIG_YAML_DEPTH 16

/* Flatten a YAML text.  On failure nothing is kept and msg says file:line:column. */
HL_MUST_USE hl_err config_yaml_leaves(const char *name, struct hl_slice text,
                                      struct config_leaves *out, struct hl_errmsg *msg);

/* Release the leaves. */
void config_leaves_fini(struct config_leaves *leaves);

/* Refuse settings that contradict each other; `msg` names them. */
HL_MUST_USE hl_err config_check_together(const struct hl_config *cfg, struct hl_errmsg *msg);

/* A module's name for its settings: its file's name without folder and ".so". */
struct hl_slice config_module_name(const char *path);

/* The setting that a module registered under this name, or NULL. */
struct hl_config_external *config_find_external(const struct hl_config *cfg, struct hl_slice name);

/* What a program with a role does unless told otherwise: a gateway and a proxy keep their data in a
 * folder of that name in `dir`, and listen for commands on a Unix socket in it only. */
void config_apply_role(struct hl_config *cfg);

/* Restore a value: frees the present one and takes `value`. */
void config_put(struct hl_config *cfg, enum hl_cfg id, struct config_value value);

#endif
