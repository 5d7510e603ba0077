/* Users as part of the replicated state: what the log says of them, beside this node's files.
 *
 * Files seed, the log overrules: a user that an entry named is *logged*, one that an entry removed
 * is *hidden* when a file has it, and once an entry has named all of them (`whole`) the files do
 * not count any more.  Only what the log said is saved and digested, so that nodes with different
 * files agree.
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/acl_internal.h"
#include "node/cursor.h"

#define STATE_VERSION 1

bool hl_acl_is_whole(const struct hl_acl *acl)
{
    return acl->whole;
}

bool hl_acl_is_logged(const struct hl_user *user)
{
    return user->logged;
}

bool hl_acl_overrules_files(const struct hl_acl *acl)
{
    for (size_t i = 0; i < acl->user_count; i++) {
        if (acl->users[i]->logged) {
            return true;
        }
    }
    return acl->whole || acl->hidden.count != 0;
}

static size_t find_hidden(const struct hl_acl *acl, struct hl_slice name)
{
    size_t i = 0;
    while (i < acl->hidden.count && !hl_slice_equal(acl_view(&acl->hidden.items[i]), name)) {
        i++;
    }
    return i;
}

static void hide(struct hl_acl *acl, struct hl_slice name)
{
    if (find_hidden(acl, name) < acl->hidden.count) {
        return;
    }
    acl->hidden.items =
        hl_realloc(acl->hidden.items, (acl->hidden.count + 1) * sizeof *acl->hidden.items);
    acl->hidden.items[acl->hidden.count++] = acl_text_dup(name);
}

static void show(struct hl_acl *acl, struct hl_slice name)
{
    size_t at = find_hidden(acl, name);
    if (at < acl->hidden.count) {
        hl_free(acl->hidden.items[at].ptr);
        acl->hidden.items[at] = acl->hidden.items[--acl->hidden.count];
    }
}

/* --- the files' users --------------------------------------------------------------------------
 */

void hl_acl_keep_seed(struct hl_acl *acl)
{
    hl_buf_clear(&acl->seed);
    hl_acl_save(acl, &acl->seed);
}

/* The next line of `text`, which is cut from it; false at the end. */
static bool next_line(struct hl_slice *text, struct hl_slice *line)
{
    if (text->len == 0) {
        return false;
    }
    const char *newline = memchr(text->ptr, '\n', text->len);
    size_t len = newline == NULL ? text->len : (size_t)(newline - text->ptr);
    *line = (struct hl_slice){.ptr = text->ptr, .len = len};
    size_t used = newline == NULL ? len : len + 1;
    *text = (struct hl_slice){.ptr = text->ptr + used, .len = text->len - used};
    return true;
}

/* Make the user be what the line says, whoever it was. */
static hl_err put_line(struct hl_acl *acl, struct hl_slice line, struct hl_errmsg *msg)
{
    struct hl_slice *words = NULL;
    size_t count = acl_cut_line(line, &words);
    if (count < 2 || !hl_slice_is(words[0], "user")) {
        hl_free(words);
        return hl_fail(msg, HL_ECORRUPT, "a user's line does not begin with 'user'");
    }
    struct hl_user *user = acl_user_create(acl, words[1]);
    acl->lenient = true;
    hl_err err = acl_apply_rules(acl, user, words + 2, count - 2, msg);
    acl->lenient = false;
    if (err == HL_OK) {
        user->logged = true;
        hl_sha256(line, user->stated);
        show(acl, words[1]);
        struct hl_user *old = hl_acl_find(acl, words[1]);
        if (old == NULL) {
            acl_insert(acl, user);
            user = NULL;
        } else {
            acl_user_swap(old, user); /* the address stays (U2) */
        }
    }
    hl_free(words);
    acl_user_destroy(user);
    return err;
}

struct hl_acl *hl_acl_from_seed(const struct hl_acl *acl)
{
    struct hl_acl *fresh = hl_acl_create(acl->commands);
    fresh->new_users_all_channels = acl->new_users_all_channels;
    hl_buf_append_slice(&fresh->seed, hl_buf_view(&acl->seed));
    struct hl_slice text = hl_buf_view(&acl->seed);
    struct hl_slice line;
    while (next_line(&text, &line)) {
        struct hl_errmsg msg = {{0}};
        hl_err err = put_line(fresh, line, &msg);
        HL_ASSERT(err == HL_OK); /* we wrote it */
    }
    for (size_t i = 0; i < fresh->user_count; i++) {
        fresh->users[i]->logged = false;
    }
    return fresh;
}

size_t hl_acl_compare_seed(const struct hl_acl *acl, struct hl_buf *names)
{
    struct hl_acl *seed = hl_acl_from_seed(acl);
    size_t count = 0;
    struct hl_buf now = {0};
    struct hl_buf then = {0};
    for (size_t i = 0; i < seed->user_count; i++) {
        struct hl_slice name = acl_view(&seed->users[i]->name);
        const struct hl_user *user = hl_acl_find(acl, name);
        hl_buf_clear(&now);
        hl_buf_clear(&then);
        hl_acl_describe(seed->users[i], &then);
        if (user != NULL) {
            hl_acl_describe(user, &now);
        }
        if (!hl_slice_equal(hl_buf_view(&now), hl_buf_view(&then))) {
            hl_buf_printf(names, "%s%.*s", count == 0 ? "" : " ",
                          (int)(name.len < 64 ? name.len : 64), name.ptr);
            count++;
        }
    }
    hl_buf_fini(&now);
    hl_buf_fini(&then);
    hl_acl_destroy(seed);
    return count;
}

bool hl_acl_seed_has(const struct hl_acl *acl, struct hl_slice name)
{
    struct hl_slice text = hl_buf_view(&acl->seed);
    struct hl_slice line;
    bool found = false;
    while (!found && next_line(&text, &line)) {
        struct hl_slice *words = NULL;
        size_t count = acl_cut_line(line, &words);
        found = count >= 2 && hl_slice_equal(words[1], name);
        hl_free(words);
    }
    return found;
}

/* --- what the log says --------------------------------------------------------------------------
 */

void hl_acl_state_note(struct hl_acl *acl, struct hl_user *user, struct hl_buf *line)
{
    hl_acl_describe(user, line);
    user->logged = true;
    hl_sha256(hl_buf_view(line), user->stated);
    show(acl, acl_view(&user->name));
}

void hl_acl_state_hide(struct hl_acl *acl, struct hl_slice name)
{
    hide(acl, name);
}

void hl_acl_state_note_all(struct hl_acl *acl)
{
    struct hl_buf line = {0};
    for (size_t i = 0; i < acl->user_count; i++) {
        hl_buf_clear(&line);
        hl_acl_state_note(acl, acl->users[i], &line);
    }
    hl_buf_fini(&line);
    acl_texts_clear(&acl->hidden);
    acl->whole = true;
}

void hl_acl_state_forget(struct hl_acl *acl)
{
    for (size_t i = 0; i < acl->user_count; i++) {
        acl->users[i]->logged = false;
    }
    acl_texts_clear(&acl->hidden);
    acl->whole = false;
}

hl_err hl_acl_state_put(struct hl_acl *acl, struct hl_slice line, struct hl_errmsg *msg)
{
    return put_line(acl, line, msg);
}

hl_err hl_acl_state_put_all(struct hl_acl *acl, const struct hl_slice *lines, size_t count,
                            void (*gone)(void *ctx, struct hl_user *user), void *ctx,
                            struct hl_errmsg *msg)
{
    struct hl_acl *staged = hl_acl_create(acl->commands);
    staged->new_users_all_channels = acl->new_users_all_channels;
    staged->whole = true;
    hl_err err = HL_OK;
    for (size_t i = 0; i < count && err == HL_OK; i++) {
        err = put_line(staged, lines[i], msg);
    }
    if (err == HL_OK && !staged->default_user->logged) {
        err = hl_fail(msg, HL_ECORRUPT, "a list of all users has no user 'default'"); /* U1 */
    }
    if (err == HL_OK) {
        acl_take_over(acl, staged, gone, ctx);
    }
    hl_acl_destroy(staged);
    return err;
}

void hl_acl_state_replace(struct hl_acl *acl, struct hl_acl *given_staged,
                          void (*gone)(void *ctx, struct hl_user *user), void *ctx)
{
    acl_take_over(acl, given_staged, gone, ctx);
    hl_acl_destroy(given_staged);
}

void hl_acl_state_save(const struct hl_acl *acl, struct hl_buf *out)
{
    uint32_t count = 0;
    for (size_t i = 0; i < acl->user_count; i++) {
        count += acl->users[i]->logged;
    }
    hl_buf_append_le32(out, STATE_VERSION);
    hl_buf_append_u8(out, acl->whole);
    hl_buf_append_le32(out, count);
    struct hl_buf line = {0};
    for (size_t i = 0; i < acl->user_count; i++) {
        const struct hl_user *user = acl->users[i];
        if (!user->logged) {
            continue;
        }
        hl_buf_clear(&line);
        hl_acl_describe(user, &line);
        hl_buf_append(out, user->stated, sizeof user->stated);
        hl_buf_append_le32(out, (uint32_t)line.len);
        hl_buf_append_slice(out, hl_buf_view(&line));
    }
    hl_buf_fini(&line);
    hl_buf_append_le32(out, (uint32_t)acl->hidden.count);
    for (size_t i = 0; i < acl->hidden.count; i++) {
        hl_buf_append_le32(out, (uint32_t)acl->hidden.items[i].len);
        hl_buf_append_slice(out, acl_view(&acl->hidden.items[i]));
    }
}

/* One saved user, with the digest of the line that the log had. */
static hl_err load_user(struct hl_acl *acl, struct hl_cursor *in, struct hl_errmsg *msg)
{
    struct hl_slice stated = hl_cursor_bytes(in, HL_SHA256_BYTES);
    struct hl_slice line = hl_cursor_bytes(in, hl_cursor_u32(in));
    if (!in->ok) {
        return HL_ECORRUPT;
    }
    hl_err err = put_line(acl, line, msg);
    if (err != HL_OK) {
        return err;
    }
    struct hl_slice *words = NULL;
    size_t count = acl_cut_line(line, &words);
    struct hl_user *user = count >= 2 ? hl_acl_find(acl, words[1]) : NULL;
    hl_free(words);
    HL_ASSERT(user != NULL);
    memcpy(user->stated, stated.ptr, sizeof user->stated);
    return HL_OK;
}

/* After a whole list: what only the files had goes. */
static void drop_unlogged(struct hl_acl *acl)
{
    for (size_t i = acl->user_count; i > 0; i--) {
        struct hl_user *user = acl->users[i - 1];
        if (!user->logged && user != acl->default_user) {
            bool removed = hl_acl_remove(acl, acl_view(&user->name));
            HL_ASSERT(removed);
        }
    }
}

hl_err hl_acl_state_load(struct hl_acl *acl, struct hl_slice contents, struct hl_errmsg *msg)
{
    struct hl_cursor in = hl_cursor_over(contents);
    uint32_t version = hl_cursor_u32(&in);
    if (in.ok && version != STATE_VERSION) {
        return hl_fail(msg, HL_EVERSION, "users: format version %u, this build knows %u", version,
                       (unsigned)STATE_VERSION);
    }
    acl->whole = hl_cursor_u8(&in) != 0;
    uint32_t count = hl_cursor_u32(&in);
    hl_err err = HL_OK;
    for (uint32_t i = 0; i < count && in.ok && err == HL_OK; i++) {
        err = load_user(acl, &in, msg);
    }
    uint32_t hidden = hl_cursor_u32(&in);
    for (uint32_t i = 0; i < hidden && in.ok && err == HL_OK; i++) {
        struct hl_slice name = hl_cursor_bytes(&in, hl_cursor_u32(&in));
        if (in.ok) {
            hide(acl, name);
            bool removed = hl_acl_remove(acl, name);
            HL_MAYBE(!removed); /* this node's files never had it */
        }
    }
    if (acl->whole) {
        drop_unlogged(acl);
    }
    if (!in.ok || (err == HL_OK && in.left != 0)) {
        return hl_fail(msg, HL_ECORRUPT, "the snapshot's users are malformed");
    }
    return err;
}

static void mix(struct hl_buf *bytes, unsigned char out[20])
{
    unsigned char one[HL_SHA256_BYTES];
    hl_sha256(hl_buf_view(bytes), one);
    for (size_t i = 0; i < 20; i++) {
        out[i] ^= one[i];
    }
    hl_buf_clear(bytes);
}

void hl_acl_state_digest(const struct hl_acl *acl, unsigned char out[20])
{
    struct hl_buf bytes = {0};
    for (size_t i = 0; i < acl->user_count; i++) {
        const struct hl_user *user = acl->users[i];
        if (user->logged) {
            hl_buf_append_text(&bytes, "user ");
            hl_buf_append(&bytes, user->stated, sizeof user->stated);
            hl_buf_append_slice(&bytes, acl_view(&user->name));
            mix(&bytes, out);
        }
    }
    for (size_t i = 0; i < acl->hidden.count; i++) {
        hl_buf_append_text(&bytes, "hidden ");
        hl_buf_append_slice(&bytes, acl_view(&acl->hidden.items[i]));
        mix(&bytes, out);
    }
    if (acl->whole) {
        hl_buf_append_text(&bytes, "whole");
        mix(&bytes, out);
    }
    hl_buf_fini(&bytes);
}
