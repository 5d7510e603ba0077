/* What the files acl*.c share and nobody else includes. */
#ifndef HL_NODE_ACL_INTERNAL_H
#define HL_NODE_ACL_INTERNAL_H

#include "node/acl.h"

/* Owned bytes. */
struct acl_text {
    char *ptr; /* NUL-terminated behind len */
    size_t len;
};

struct acl_texts {
    struct acl_text *items;
    size_t count;
};

enum acl_rule_kind {
    ACL_RULE_COMMAND,   /* +get, -config|set */
    ACL_RULE_CATEGORY,  /* +@read */
    ACL_RULE_FIRST_ARG, /* +select|1 of a command without subcommands */
};

struct acl_rule {
    bool allow;
    enum acl_rule_kind kind;
    struct acl_text name;  /* lower case, without sign */
    struct acl_text first; /* FIRST_ARG: as it was given */
};

#define ACL_READ 1u
#define ACL_WRITE 2u

struct acl_pattern {
    uint32_t flags; /* ACL_READ | ACL_WRITE */
    struct acl_text glob;
};

#define ACL_WORDS (HL_COMMANDS_MAX / 64)

struct acl_selector {
    bool all_commands; /* the rules start from +@all instead of -@all */
    bool all_keys, all_channels;
    uint64_t bits[ACL_WORDS]; /* by command id (U3) */
    struct acl_rule *rules;
    size_t rule_count;
    struct acl_pattern *patterns;
    size_t pattern_count;
    struct acl_texts channels;
    struct acl_pattern *denied; /* beat every pattern above */
    size_t denied_count;
    struct acl_texts denied_channels;
};

enum acl_sanitize { ACL_SANITIZE_UNSET, ACL_SANITIZE_YES, ACL_SANITIZE_SKIP };

struct hl_user {
    struct acl_text name;
    bool on, no_password;
    enum acl_sanitize sanitize;
    unsigned char (*passwords)[HL_SHA256_BYTES];
    size_t password_count;
    struct acl_selector **selectors; /* the first is the user's own; 1 or more */
    size_t selector_count;
    bool logged;                           /* the log says what it is, not this node's files */
    unsigned char stated[HL_SHA256_BYTES]; /* of the line in the log; while logged */
};

struct acl_log_entry {
    struct acl_log_entry *older;
    uint64_t count;
    enum hl_acl_log_reason reason;
    enum hl_acl_log_context context;
    struct acl_text object, user, client;
    int64_t created_ms;
};

struct hl_acl {
    const struct hl_command_table *commands;
    uint64_t epoch; /* of the commands the bits were made for */
    bool new_users_all_channels;
    bool lenient;           /* rules may name commands that are not registered */
    struct hl_user **users; /* ordered by name */
    size_t user_count;
    struct hl_user *default_user;
    const struct hl_acl_files *files;
    struct acl_log_entry *log; /* newest first */
    size_t log_count, log_max;
    struct hl_buf seed;      /* the users of this node's files, as lines of an ACL file */
    bool whole;              /* the log names all users: those of the files do not count */
    struct acl_texts hidden; /* users of files that the log removed; empty when `whole` */
};

/* A copy of bytes. */
struct acl_text acl_text_dup(struct hl_slice bytes);

/* Borrow a text. */
static inline struct hl_slice acl_view(const struct acl_text *text)
{
    return (struct hl_slice){.ptr = text->ptr, .len = text->len};
}

/* A selector that allows nothing (all channels when told). */
struct acl_selector *acl_selector_create(bool all_channels);

/* Release a selector. */
void acl_selector_destroy(struct acl_selector *selector);

/* A deep copy. */
struct acl_selector *acl_selector_copy(const struct acl_selector *from);

/* A user that may nothing, off. */
struct hl_user *acl_user_create(const struct hl_acl *acl, struct hl_slice name);

/* Release a user. */
void acl_user_destroy(struct hl_user *user);

/* A deep copy. */
struct hl_user *acl_user_copy(const struct hl_user *from);

/* Insert into the ordered list; the name is not there yet. */
void acl_insert(struct hl_acl *acl, struct hl_user *given_user);

/* Cut a line at each space: two in a row make an empty word, as in Redis, for a name may be empty.
 * Fills *words, to be freed by the caller, with views into `line`; 0 words for a blank line. */
size_t acl_cut_line(struct hl_slice line, struct hl_slice **words);

/* Let two users exchange all but their addresses. */
void acl_user_swap(struct hl_user *a, struct hl_user *b);

/* Put the staged users in the place of the present ones, and what the log says of them; those of
 * the same name keep their address (U2).  `gone` as in hl_acl_load(). */
void acl_take_over(struct hl_acl *acl, struct hl_acl *staged,
                   void (*gone)(void *ctx, struct hl_user *user), void *ctx);

/* Release the texts. */
void acl_texts_clear(struct acl_texts *texts);

/* Change the user by rules; on failure msg holds "ERR Error in ACL SETUSER modifier …" and the user
 * is half changed: work on a copy. */
HL_MUST_USE hl_err acl_apply_rules(struct hl_acl *acl, struct hl_user *user,
                                   const struct hl_slice *rules, size_t count,
                                   struct hl_errmsg *msg);

/* Make the bits from the rules, for the commands registered now; rules that change nothing go. */
void acl_recompute(const struct hl_acl *acl, struct acl_selector *selector);

/* Start the rules anew from +@all or -@all. */
void acl_reset_rules(struct acl_selector *selector, bool all);

/* The bit of a command. */
static inline bool acl_bit(const struct acl_selector *selector, uint32_t id)
{
    return (selector->bits[id / 64] >> (id % 64) & 1) != 0;
}

#endif
