/* Reading files: whole, bounded; and the form of one `name value` a line.
 *
 * A line is words separated by spaces; "…" knows \n \r \t \b \a \\ \" \xHH, '…' knows \'; '#'
 * starts a comment only as a line's first byte.  `include path` reads another file there.  Lines of
 * users, modules and renamed commands are kept for those who use them.
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "resp/words.h"
#include "server/config_internal.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <strings.h>

hl_err config_read_file(const char *path, struct hl_buf *out, struct hl_errmsg *msg)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "re");
    if (file == NULL) {
        return hl_fail(msg, HL_EIO, "can't open config file '%.200s': %s", path, strerror(errno));
    }
    hl_err err = HL_OK;
    for (;;) {
        hl_buf_grow(out, 4096);
        size_t got = fread(out->ptr + out->len, 1, 4096, file);
        out->len += got;
        if (out->len > HL_CONFIG_FILE_MAX) {
            err = hl_fail(msg, HL_ELIMIT, "config file '%.200s' is larger than %u bytes", path,
                          HL_CONFIG_FILE_MAX);
            break;
        }
        if (got == 0) {
            break;
        }
    }
    if (err == HL_OK && ferror(file)) {
        err = hl_fail(msg, HL_EIO, "can't read config file '%.200s': %s", path, strerror(errno));
    }
    if (!standard) {
        (void)fclose(file);
    }
    return err;
}

int config_split_line(struct hl_slice line, struct hl_buf *storage, struct hl_slice *words, int max)
{
    size_t at = 0;
    int count = 0;
    hl_buf_clear(storage);
    hl_buf_grow(storage, line.len + 1); /* unquoting never grows: the views below stay valid */
    for (;;) {
        size_t len = 0;
        enum hl_word_result result = hl_word_next(line, &at, storage->ptr + storage->len, &len);
        if (result == HL_WORD_END) {
            return count;
        }
        if (result != HL_WORD || count == max) {
            return -1;
        }
        words[count++] = (struct hl_slice){.ptr = storage->ptr + storage->len, .len = len};
        storage->len += len;
    }
}

/* --- lines -------------------------------------------------------------------------------------
 */

static hl_err include_one(struct hl_config *cfg, const char *path, int depth, struct hl_errmsg *msg)
{
    struct hl_buf text = {0};
    hl_err err = config_read_file(path, &text, msg);
    if (err == HL_OK) {
        err = config_apply_key_value(cfg, path, hl_buf_view(&text), depth + 1, msg);
    }
    hl_buf_fini(&text);
    return err;
}

/* `include path`: a pattern may match several files or none, a plain path must exist. */
static hl_err include_files(struct hl_config *cfg, struct hl_slice path, int depth,
                            struct hl_errmsg *msg)
{
    if (depth + 1 > HL_CONFIG_INCLUDE_DEPTH) {
        return hl_fail(msg, HL_EINVAL, "includes are nested deeper than %d",
                       HL_CONFIG_INCLUDE_DEPTH);
    }
    char *copy = hl_strndup(path.ptr, path.len);
    hl_err err = HL_OK;
    if (strpbrk(copy, "*?[") == NULL) {
        err = include_one(cfg, copy, depth, msg);
    } else {
        glob_t found = {0};
        if (glob(copy, 0, NULL, &found) == 0) {
            for (size_t i = 0; i < found.gl_pathc && err == HL_OK; i++) {
                err = include_one(cfg, found.gl_pathv[i], depth, msg);
            }
        }
        globfree(&found);
    }
    hl_free(copy);
    return err;
}

/* Lines that are kept: their word, kind, and fewest words. */
static const struct {
    const char *word;
    enum hl_cfg_line_kind kind;
    int words_min, words_max;
} kept_lines[] = {
    {"loadmodule", HL_CFG_LINE_LOADMODULE, 2, CONFIG_WORDS_MAX},
    {"user", HL_CFG_LINE_USER, 2, CONFIG_WORDS_MAX},
    {"rename-command", HL_CFG_LINE_RENAME_COMMAND, 3, 3},
};

/* One line's words; errors carry no place yet.  *included is true when an include failed: that
 * message names its own place. */
static hl_err apply_words(struct hl_config *cfg, const char *where, const struct hl_slice *words,
                          int count, int depth, bool *included, struct hl_errmsg *msg)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(kept_lines); i++) {
        if (!hl_slice_is(words[0], kept_lines[i].word)) {
            continue;
        }
        if (count < kept_lines[i].words_min || count > kept_lines[i].words_max) {
            return hl_fail(msg, HL_EINVAL, "wrong number of arguments");
        }
        return config_keep_line(cfg, kept_lines[i].kind, words + 1, (size_t)count - 1, where, msg);
    }
    if (hl_slice_is(words[0], "include")) {
        if (count != 2) {
            return hl_fail(msg, HL_EINVAL, "wrong number of arguments");
        }
        hl_err err = include_files(cfg, words[1], depth, msg);
        *included = err != HL_OK;
        return err;
    }
    if (hl_slice_is(words[0], "listen") && count == 2) {
        return config_assign_listen(cfg, words[1], HL_CFG_FROM_FILE, msg);
    }
    int id = config_find(CONFIG_SPACE_NAME, words[0]);
    if (id != CONFIG_NONE) {
        return config_assign(cfg, (enum hl_cfg)id, words + 1, (size_t)count - 1, HL_CFG_FROM_FILE,
                             msg);
    }
    if (words[0].len != 0 && memchr(words[0].ptr, '.', words[0].len) != NULL && count == 2) {
        return config_keep_line(cfg, HL_CFG_LINE_MODULE_SETTING, words, 2, where, msg);
    }
    return config_unknown(CONFIG_SPACE_NAME, "", words[0], msg);
}

static hl_err apply_line(struct hl_config *cfg, const char *where, struct hl_slice line, int depth,
                         struct hl_errmsg *msg)
{
    struct hl_slice *words = hl_calloc(CONFIG_WORDS_MAX, sizeof *words);
    struct hl_buf storage = {0};
    struct hl_errmsg reason = {0};
    bool included = false;
    hl_err err = HL_OK;
    int count = config_split_line(line, &storage, words, CONFIG_WORDS_MAX);
    if (count < 0) {
        err = hl_fail(&reason, HL_EINVAL, "Unbalanced quotes in configuration line");
    } else if (count > 0) {
        err = apply_words(cfg, where, words, count, depth, &included, &reason);
    }
    if (err != HL_OK && included) {
        (void)hl_fail(msg, err, "%s (included at %.100s)", reason.text, where);
    } else if (err != HL_OK && count > 0 && strncmp(reason.text, "unknown", 7) != 0) {
        struct hl_buf name = {0};
        config_quote(words[0], &name);
        (void)hl_fail(msg, err, "%s: %.*s: %s", where, (int)name.len, name.ptr, reason.text);
        hl_buf_fini(&name);
    } else if (err != HL_OK) {
        (void)hl_fail(msg, err, "%s: %s", where, reason.text);
    }
    hl_buf_fini(&storage);
    hl_free(words);
    return err;
}

hl_err config_apply_key_value(struct hl_config *cfg, const char *name, struct hl_slice text,
                              int depth, struct hl_errmsg *msg)
{
    int number = 0;
    hl_err err = HL_OK;
    while (text.len != 0 && err == HL_OK) {
        const char *newline = memchr(text.ptr, '\n', text.len);
        size_t len = newline == NULL ? text.len : (size_t)(newline - text.ptr);
        struct hl_slice line = {.ptr = text.ptr, .len = len};
        text.ptr += newline == NULL ? len : len + 1;
        text.len -= newline == NULL ? len : len + 1;
        number++;
        while (line.len != 0 && strchr(" \t\r", line.ptr[line.len - 1]) != NULL &&
               line.ptr[line.len - 1] != '\0') {
            line.len--;
        }
        while (line.len != 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t')) {
            line.ptr++;
            line.len--;
        }
        if (line.len == 0 || line.ptr[0] == '#') {
            continue;
        }
        char where[160];
        (void)snprintf(where, sizeof where, "%.120s:%d", name, number);
        if (memchr(line.ptr, '\0', line.len) != NULL) {
            return hl_fail(msg, HL_EINVAL, "%s: a NUL byte: is this a text file?", where);
        }
        err = apply_line(cfg, where, line, depth, msg);
    }
    return err;
}

/* --- either form -------------------------------------------------------------------------------
 */

static bool ends_with(const char *text, const char *suffix)
{
    size_t len = strlen(text);
    size_t suffix_len = strlen(suffix);
    return len >= suffix_len && strcasecmp(text + len - suffix_len, suffix) == 0;
}

/* Does the first line that says something start like `name:`?  No directive ends with a colon. */
static bool looks_like_yaml(struct hl_slice text)
{
    size_t at = 0;
    while (at < text.len) {
        size_t end = at;
        while (end < text.len && text.ptr[end] != '\n') {
            end++;
        }
        while (at < end && strchr(" \t\r", text.ptr[at]) != NULL) {
            at++;
        }
        if (at < end && text.ptr[at] != '#') {
            size_t word = at;
            while (word < end && strchr(" \t\r", text.ptr[word]) == NULL) {
                word++;
            }
            struct hl_slice first = {.ptr = text.ptr + at, .len = word - at};
            return text.ptr[word - 1] == ':' || hl_slice_is(first, "---") || first.ptr[0] == '{';
        }
        at = end + 1;
    }
    return false;
}

hl_err config_apply_file(struct hl_config *cfg, const char *path, enum config_format *format,
                         struct hl_errmsg *msg)
{
    struct hl_buf text = {0};
    hl_err err = config_read_file(path, &text, msg);
    if (err == HL_OK) {
        bool yaml = ends_with(path, ".yaml") || ends_with(path, ".yml") ||
                    ends_with(path, ".json") ||
                    (!ends_with(path, ".conf") && looks_like_yaml(hl_buf_view(&text)));
        *format = yaml ? CONFIG_FORMAT_YAML : CONFIG_FORMAT_KEY_VALUE;
        const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
        err = yaml ? config_apply_yaml(cfg, name, hl_buf_view(&text), msg)
                   : config_apply_key_value(cfg, name, hl_buf_view(&text), 0, msg);
    }
    hl_buf_fini(&text);
    return err;
}
