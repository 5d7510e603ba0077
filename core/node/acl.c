#include "node/acl.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/acl_internal.h"

/* --- memory -------------------------------------------------------------------------------------
 */

struct acl_text acl_text_dup(struct hl_slice bytes)
{
    return (struct acl_text){.ptr = hl_strndup(bytes.len == 0 ? "" : bytes.ptr, bytes.len),
                             .len = bytes.len};
}

struct acl_selector *acl_selector_create(bool all_channels)
{
    struct acl_selector *selector = hl_calloc(1, sizeof *selector);
    selector->all_channels = all_channels;
    return selector;
}

void acl_selector_destroy(struct acl_selector *selector)
{
    if (selector == NULL) {
        return;
    }
    for (size_t i = 0; i < selector->rule_count; i++) {
        hl_free(selector->rules[i].name.ptr);
        hl_free(selector->rules[i].first.ptr);
    }
    for (size_t i = 0; i < selector->pattern_count; i++) {
        hl_free(selector->patterns[i].glob.ptr);
    }
    for (size_t i = 0; i < selector->denied_count; i++) {
        hl_free(selector->denied[i].glob.ptr);
    }
    hl_free(selector->rules);
    hl_free(selector->patterns);
    hl_free(selector->denied);
    acl_texts_clear(&selector->channels);
    acl_texts_clear(&selector->denied_channels);
    hl_free(selector);
}

static struct acl_pattern *copy_patterns(const struct acl_pattern *from, size_t count)
{
    struct acl_pattern *copy = hl_calloc(count, sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i].flags = from[i].flags;
        copy[i].glob = acl_text_dup(acl_view(&from[i].glob));
    }
    return copy;
}

static struct acl_texts copy_texts(const struct acl_texts *from)
{
    struct acl_texts copy = {.count = from->count};
    copy.items = hl_calloc(from->count, sizeof *copy.items);
    for (size_t i = 0; i < from->count; i++) {
        copy.items[i] = acl_text_dup(acl_view(&from->items[i]));
    }
    return copy;
}

struct acl_selector *acl_selector_copy(const struct acl_selector *from)
{
    struct acl_selector *copy = hl_malloc(sizeof *copy);
    *copy = *from;
    copy->rules = hl_calloc(from->rule_count, sizeof *copy->rules);
    for (size_t i = 0; i < from->rule_count; i++) {
        copy->rules[i] = from->rules[i];
        copy->rules[i].name = acl_text_dup(acl_view(&from->rules[i].name));
        if (from->rules[i].first.ptr != NULL) {
            copy->rules[i].first = acl_text_dup(acl_view(&from->rules[i].first));
        }
    }
    copy->patterns = copy_patterns(from->patterns, from->pattern_count);
    copy->denied = copy_patterns(from->denied, from->denied_count);
    copy->channels = copy_texts(&from->channels);
    copy->denied_channels = copy_texts(&from->denied_channels);
    return copy;
}

struct hl_user *acl_user_create(const struct hl_acl *acl, struct hl_slice name)
{
    struct hl_user *user = hl_calloc(1, sizeof *user);
    user->name = acl_text_dup(name);
    user->selectors = hl_calloc(1, sizeof *user->selectors);
    user->selectors[0] = acl_selector_create(acl->new_users_all_channels);
    user->selector_count = 1;
    return user;
}

/* Release what a user holds, but not the user. */
static void user_fini(struct hl_user *user)
{
    for (size_t i = 0; i < user->selector_count; i++) {
        acl_selector_destroy(user->selectors[i]);
    }
    hl_free(user->selectors);
    hl_free(user->passwords);
    hl_free(user->name.ptr);
}

void acl_user_destroy(struct hl_user *user)
{
    if (user != NULL) {
        user_fini(user);
        hl_free(user);
    }
}

struct hl_user *acl_user_copy(const struct hl_user *from)
{
    struct hl_user *copy = hl_malloc(sizeof *copy);
    *copy = *from;
    copy->name = acl_text_dup(acl_view(&from->name));
    copy->passwords = hl_calloc(from->password_count, sizeof *copy->passwords);
    if (from->password_count != 0) {
        memcpy(copy->passwords, from->passwords, from->password_count * sizeof *copy->passwords);
    }
    copy->selectors = hl_calloc(from->selector_count, sizeof *copy->selectors);
    for (size_t i = 0; i < from->selector_count; i++) {
        copy->selectors[i] = acl_selector_copy(from->selectors[i]);
    }
    return copy;
}

void acl_user_swap(struct hl_user *a, struct hl_user *b)
{
    struct hl_user kept = *a;
    *a = *b;
    *b = kept;
}

void acl_texts_clear(struct acl_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        hl_free(texts->items[i].ptr);
    }
    hl_free(texts->items);
    *texts = (struct acl_texts){0};
}

/* --- the list -----------------------------------------------------------------------------------
 */

/* Where the name is or belongs; *found says which. */
static size_t position_of(const struct hl_acl *acl, struct hl_slice name, bool *found)
{
    size_t low = 0;
    size_t high = acl->user_count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = hl_slice_compare(acl_view(&acl->users[middle]->name), name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void acl_insert(struct hl_acl *acl, struct hl_user *given_user)
{
    bool found = false;
    size_t at = position_of(acl, acl_view(&given_user->name), &found);
    HL_ASSERT(!found);
    acl->users = hl_realloc(acl->users, (acl->user_count + 1) * sizeof(struct hl_user *));
    memmove(acl->users + at + 1, acl->users + at,
            (acl->user_count - at) * sizeof(struct hl_user *));
    acl->users[at] = given_user;
    acl->user_count++;
}

struct hl_acl *hl_acl_create(const struct hl_command_table *commands)
{
    HL_ASSERT(commands != NULL);
    struct hl_acl *acl = hl_calloc(1, sizeof *acl);
    acl->commands = commands;
    acl->epoch = hl_command_table_epoch(commands);
    acl->log_max = 128;
    struct hl_user *user = acl_user_create(acl, hl_slice_of("default"));
    user->on = true;
    user->no_password = true;
    acl_reset_rules(user->selectors[0], true);
    user->selectors[0]->all_keys = true;
    user->selectors[0]->all_channels = true;
    acl_insert(acl, user);
    acl->default_user = user;
    return acl;
}

void hl_acl_destroy(struct hl_acl *acl)
{
    if (acl == NULL) {
        return;
    }
    hl_acl_log_reset(acl);
    for (size_t i = 0; i < acl->user_count; i++) {
        acl_user_destroy(acl->users[i]);
    }
    hl_free(acl->users);
    acl_texts_clear(&acl->hidden);
    hl_buf_fini(&acl->seed);
    hl_free(acl);
}

void hl_acl_set_new_users_channels(struct hl_acl *acl, bool all)
{
    acl->new_users_all_channels = all;
}

struct hl_user *hl_acl_find(const struct hl_acl *acl, struct hl_slice name)
{
    bool found = false;
    size_t at = position_of(acl, name, &found);
    return found ? acl->users[at] : NULL;
}

struct hl_user *hl_acl_default(const struct hl_acl *acl)
{
    return acl->default_user;
}

size_t hl_acl_count(const struct hl_acl *acl)
{
    return acl->user_count;
}

struct hl_user *hl_acl_at(const struct hl_acl *acl, size_t i)
{
    HL_ASSERT(i < acl->user_count);
    return acl->users[i];
}

struct hl_slice hl_acl_name(const struct hl_user *user)
{
    return acl_view(&user->name);
}

bool hl_acl_needs_password(const struct hl_user *user)
{
    return !user->no_password;
}

bool hl_acl_is_on(const struct hl_user *user)
{
    return user->on;
}

bool hl_acl_is_open(const struct hl_user *user)
{
    return user->on && user->no_password;
}

static bool name_ok(struct hl_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (c == ' ' || (c >= '\t' && c <= '\r') || c == '\0') {
            return false;
        }
    }
    return name.len <= HL_ACL_RULE_BYTES_MAX;
}

hl_err hl_acl_set(struct hl_acl *acl, struct hl_slice name, const struct hl_slice *rules,
                  size_t count, struct hl_errmsg *msg)
{
    if (!name_ok(name)) {
        return hl_fail(msg, HL_EINVAL, "ERR Usernames can't contain spaces or null characters");
    }
    struct hl_user *user = hl_acl_find(acl, name);
    if (user == NULL && acl->user_count == HL_ACL_USERS_MAX) {
        return hl_fail(msg, HL_ELIMIT, "ERR there are %d users already", HL_ACL_USERS_MAX);
    }
    struct hl_user *changed = user != NULL ? acl_user_copy(user) : acl_user_create(acl, name);
    hl_err err = acl_apply_rules(acl, changed, rules, count, msg);
    if (err != HL_OK) {
        acl_user_destroy(changed);
        return err;
    }
    if (user == NULL) {
        acl_insert(acl, changed);
        return HL_OK;
    }
    acl_user_swap(user, changed); /* the address stays (U2) */
    acl_user_destroy(changed);
    return HL_OK;
}

bool hl_acl_remove(struct hl_acl *acl, struct hl_slice name)
{
    bool found = false;
    size_t at = position_of(acl, name, &found);
    if (!found || acl->users[at] == acl->default_user) {
        return false;
    }
    acl_user_destroy(acl->users[at]);
    acl->user_count--;
    memmove(acl->users + at, acl->users + at + 1,
            (acl->user_count - at) * sizeof(struct hl_user *));
    return true;
}

void hl_acl_require_password(struct hl_acl *acl, struct hl_slice password)
{
    struct hl_user *user = acl->default_user;
    user->no_password = password.len == 0;
    user->password_count = 0;
    if (password.len != 0) {
        user->passwords = hl_realloc(user->passwords, sizeof *user->passwords);
        hl_sha256(password, user->passwords[0]);
        user->password_count = 1;
    }
}

struct hl_user *hl_acl_login(const struct hl_acl *acl, struct hl_slice name,
                             struct hl_slice password)
{
    struct hl_user *user = hl_acl_find(acl, name);
    unsigned char digest[HL_SHA256_BYTES];
    hl_sha256(password, digest); /* of an unknown user too: the work must not tell */
    if (user == NULL || !user->on) {
        return NULL;
    }
    bool good = user->no_password;
    for (size_t i = 0; i < user->password_count; i++) {
        good |= hl_equal_constant_time(digest, user->passwords[i], sizeof digest);
    }
    return good ? user : NULL;
}

void hl_acl_set_files(struct hl_acl *acl, const struct hl_acl_files *files)
{
    acl->files = files;
}

const struct hl_acl_files *hl_acl_files(const struct hl_acl *acl)
{
    return acl->files;
}

/* --- files --------------------------------------------------------------------------------------
 */

void hl_acl_save(const struct hl_acl *acl, struct hl_buf *out)
{
    for (size_t i = 0; i < acl->user_count; i++) {
        hl_acl_describe(acl->users[i], out);
        hl_buf_append_text(out, "\n");
    }
}

size_t acl_cut_line(struct hl_slice line, struct hl_slice **words)
{
    while (line.len != 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t')) {
        line.ptr++;
        line.len--;
    }
    while (line.len != 0 && strchr(" \t\r", line.ptr[line.len - 1]) != NULL) {
        line.len--; /* a NUL goes too: no rule may end with one */
    }
    size_t most = 1;
    for (size_t i = 0; i < line.len; i++) {
        most += line.ptr[i] == ' ';
    }
    *words = hl_calloc(most, sizeof **words);
    size_t count = 0;
    while (line.len != 0) {
        const char *space = memchr(line.ptr, ' ', line.len);
        size_t len = space == NULL ? line.len : (size_t)(space - line.ptr);
        (*words)[count++] = (struct hl_slice){.ptr = line.ptr, .len = len};
        line.ptr += space == NULL ? len : len + 1;
        line.len -= space == NULL ? len : len + 1;
    }
    return count;
}

/* Apply one line, cut into words, to the staged list. */
static hl_err load_words(struct hl_acl *staged, const struct hl_slice *words, size_t count,
                         struct hl_errmsg *msg)
{
    if (count == 0) {
        return HL_OK;
    }
    if (count < 2 || !hl_slice_is(words[0], "user")) {
        return hl_fail(msg, HL_EINVAL, "line should start with user keyword.");
    }
    struct hl_user *old = hl_acl_find(staged, words[1]);
    bool is_default = old == staged->default_user;
    if (old != NULL && !is_default) {
        return hl_fail(msg, HL_EINVAL, "duplicate user '%.*s' found.",
                       (int)(words[1].len < 64 ? words[1].len : 64), words[1].ptr);
    }
    if (is_default) {
        struct hl_user *fresh = acl_user_create(staged, words[1]);
        acl_user_swap(old, fresh);
        acl_user_destroy(fresh);
    }
    return hl_acl_set(staged, words[1], words + 2, count - 2, msg);
}

static hl_err load_line(struct hl_acl *staged, struct hl_slice line, struct hl_errmsg *msg)
{
    struct hl_slice *words = NULL;
    size_t count = acl_cut_line(line, &words);
    hl_err err = load_words(staged, words, count, msg);
    hl_free(words);
    return err;
}

void acl_take_over(struct hl_acl *acl, struct hl_acl *staged,
                   void (*gone)(void *ctx, struct hl_user *user), void *ctx)
{
    for (size_t i = acl->user_count; i > 0; i--) {
        struct hl_user *user = acl->users[i - 1];
        if (hl_acl_find(staged, acl_view(&user->name)) != NULL) {
            continue;
        }
        if (gone != NULL) {
            gone(ctx, user);
        }
        bool removed = hl_acl_remove(acl, acl_view(&user->name));
        HL_ASSERT(removed);
    }
    for (size_t i = 0; i < staged->user_count; i++) {
        struct hl_user *user = staged->users[i];
        struct hl_user *old = hl_acl_find(acl, acl_view(&user->name));
        if (old == NULL) {
            acl_insert(acl, user);
            continue;
        }
        acl_user_swap(old, user);
        acl_user_destroy(user);
    }
    staged->user_count = 0;
    acl->whole = staged->whole;
    struct acl_texts hidden = acl->hidden;
    acl->hidden = staged->hidden;
    staged->hidden = hidden;
}

hl_err hl_acl_load(struct hl_acl *acl, const char *file, struct hl_slice text,
                   void (*gone)(void *ctx, struct hl_user *user), void *ctx, struct hl_errmsg *msg)
{
    struct hl_acl *staged = hl_acl_create(acl->commands);
    staged->new_users_all_channels = acl->new_users_all_channels;
    struct hl_user *kept = acl_user_copy(acl->default_user);
    acl_user_swap(staged->default_user, kept);
    acl_user_destroy(kept);
    hl_err err = HL_OK;
    for (int number = 1; text.len != 0 && err == HL_OK; number++) {
        const char *newline = memchr(text.ptr, '\n', text.len);
        size_t len = newline == NULL ? text.len : (size_t)(newline - text.ptr);
        struct hl_slice line = {.ptr = text.ptr, .len = len};
        struct hl_errmsg reason = {0};
        bool comment = line.len != 0 && line.ptr[0] == '#';
        err = comment ? HL_OK : load_line(staged, line, &reason);
        if (err != HL_OK) {
            const char *what = strncmp(reason.text, "ERR ", 4) == 0 ? reason.text + 4 : reason.text;
            (void)hl_fail(msg, err, "%.100s:%d: %s", file, number, what);
        }
        text.ptr += newline == NULL ? len : len + 1;
        text.len -= newline == NULL ? len : len + 1;
    }
    if (err == HL_OK) {
        acl_take_over(acl, staged, gone, ctx);
    }
    hl_acl_destroy(staged);
    return err;
}
