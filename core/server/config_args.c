/* Flags, environment, and the order in which everything is read.
 *
 *   -flag, --flag            a switch is turned on; anything else needs a value
 *   --flag=value, --flag value, --save 900 1 300 10
 *   first other word         the configuration file; "-" is standard input
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/config_internal.h"

#include <limits.h>
#include <stdlib.h>

/* The walk over argv. */
struct args {
    struct hl_config *cfg;
    struct hl_config_request *request;
    struct hl_errmsg *msg;
    char *const *argv;
    int argc, at;
    const char *file; /* borrowed from argv or envp */
};

/* One or two dashes and a letter: "-2" and "-::1" are values. */
static bool is_flag(const char *word)
{
    const char *p = word;
    p += *p == '-';
    if (p == word) {
        return false;
    }
    p += *p == '-';
    return (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');
}

static hl_err flag_failed(struct args *args, struct hl_slice name, const char *reason)
{
    struct hl_buf quoted = {0};
    config_quote(name, &quoted);
    hl_err err = hl_fail(args->msg, HL_EINVAL, "command line: --%.*s: %s", (int)quoted.len,
                         quoted.ptr, reason);
    hl_buf_fini(&quoted);
    return err;
}

static bool is_switch_word(const char *word)
{
    static const char *const words[] = {"yes", "no", "true", "false", "on", "off", "1", "0"};
    for (size_t i = 0; i < HL_ARRAY_LEN(words); i++) {
        if (hl_slice_is(hl_slice_of(word), words[i])) {
            return true;
        }
    }
    return false;
}

/* The words that belong to a flag: the one after '=' if there is one, else the next of argv. */
static size_t take_words(struct args *args, const char *equals, size_t max, struct hl_slice *words)
{
    if (equals != NULL) {
        words[0] = hl_slice_of(equals + 1);
        return 1;
    }
    size_t count = 0;
    while (count < max && args->at < args->argc && !is_flag(args->argv[args->at])) {
        words[count++] = hl_slice_of(args->argv[args->at++]);
    }
    return count;
}

/* Flags that are no setting.  True when `name` was one. */
static bool take_request(struct args *args, struct hl_slice name)
{
    struct hl_config_request *request = args->request;
    if (hl_slice_is(name, "help") || hl_slice_is(name, "h")) {
        request->help = true;
    } else if (hl_slice_is(name, "version") || hl_slice_is(name, "v")) {
        request->version = true;
    } else if (hl_slice_is(name, "json")) {
        request->json = true;
    } else if (hl_slice_is(name, "test-config")) {
        request->test_only = true;
    } else {
        return false;
    }
    return true;
}

static hl_err take_file(struct args *args, const char *file)
{
    if (args->file != NULL) {
        return flag_failed(args, hl_slice_of("config"), "more than one configuration file");
    }
    args->file = file;
    return HL_OK;
}

/* Flags that are kept as lines: --loadmodule path args, --module.setting value. */
static hl_err take_line(struct args *args, struct hl_slice name, const char *equals,
                        struct hl_slice *words)
{
    bool module = hl_slice_is(name, "loadmodule");
    bool user = hl_slice_is(name, "user");
    words[0] = name;
    size_t count = take_words(args, equals, CONFIG_WORDS_MAX - 1, words + 1);
    if (count == 0 || (!module && !user && count != 1)) {
        return flag_failed(args, name, "wrong number of arguments");
    }
    enum hl_cfg_line_kind kind = module ? HL_CFG_LINE_LOADMODULE
                                 : user ? HL_CFG_LINE_USER
                                        : HL_CFG_LINE_MODULE_SETTING;
    size_t skip = module || user ? 1 : 0;
    struct hl_errmsg reason = {0};
    hl_err err =
        config_keep_line(args->cfg, kind, words + skip, count + 1 - skip, "command line", &reason);
    return err == HL_OK ? HL_OK : flag_failed(args, name, reason.text);
}

static hl_err take_setting(struct args *args, struct hl_slice name, const char *equals,
                           struct hl_slice *words)
{
    int id = config_find(CONFIG_SPACE_FLAG, name);
    bool listen = hl_slice_is(name, "listen");
    if (id == CONFIG_NONE && !listen) {
        bool line = hl_slice_is(name, "loadmodule") || hl_slice_is(name, "user") ||
                    memchr(name.ptr, '.', name.len) != NULL;
        return line ? take_line(args, name, equals, words)
                    : config_unknown(CONFIG_SPACE_FLAG, "command line", name, args->msg);
    }
    bool is_switch = !listen && config_rows[id].type == HL_CFG_TYPE_BOOL;
    size_t max = !listen && config_takes_words(&config_rows[id]) ? CONFIG_WORDS_MAX : 1;
    if (is_switch && equals == NULL &&
        (args->at == args->argc || !is_switch_word(args->argv[args->at]))) {
        max = 0;
    }
    size_t count = take_words(args, equals, max, words);
    if (count == 0 && is_switch) {
        words[count++] = hl_slice_of("yes");
    }
    if (count == 0) {
        return flag_failed(args, name,
                           "needs a value (write --flag=value if it starts with a dash)");
    }
    struct hl_errmsg reason = {0};
    hl_err err =
        listen ? config_assign_listen(args->cfg, words[0], HL_CFG_FROM_FLAG, &reason)
               : config_assign(args->cfg, (enum hl_cfg)id, words, count, HL_CFG_FROM_FLAG, &reason);
    return err == HL_OK ? HL_OK : flag_failed(args, name, reason.text);
}

static hl_err take_flag(struct args *args, struct hl_slice *words)
{
    const char *word = args->argv[args->at++];
    if (strcmp(word, "-") == 0 || !is_flag(word)) {
        return take_file(args, word);
    }
    word += word[1] == '-' ? 2 : 1;
    const char *equals = strchr(word, '=');
    struct hl_slice name = {.ptr = word,
                            .len = equals == NULL ? strlen(word) : (size_t)(equals - word)};
    if (equals == NULL && take_request(args, name)) {
        return HL_OK;
    }
    if (hl_slice_is(name, "config") || hl_slice_is(name, "c")) {
        if (equals == NULL && args->at == args->argc) {
            return flag_failed(args, name, "needs a value");
        }
        return take_file(args, equals != NULL ? equals + 1 : args->argv[args->at++]);
    }
    return take_setting(args, name, equals, words);
}

static hl_err read_flags(struct args *args)
{
    struct hl_slice *words = hl_calloc(CONFIG_WORDS_MAX, sizeof *words);
    hl_err err = HL_OK;
    args->at = 1;
    while (args->at < args->argc && err == HL_OK) {
        err = take_flag(args, words);
    }
    hl_free(words);
    return err;
}

/* Only the names that rows list: a platform that injects HELIOS_PORT=tcp://… must not stop us. */
static hl_err read_environment(struct args *args, char *const *envp)
{
    const char *file = NULL;
    for (; envp != NULL && *envp != NULL; envp++) {
        const char *equals = strchr(*envp, '=');
        if (equals == NULL || equals[1] == '\0') {
            continue; /* an empty variable is as good as none */
        }
        struct hl_slice name = {.ptr = *envp, .len = (size_t)(equals - *envp)};
        struct hl_slice value = hl_slice_of(equals + 1);
        struct hl_errmsg reason = {0};
        hl_err err = HL_OK;
        int id = config_find(CONFIG_SPACE_ENV, name);
        if (hl_slice_equal(name, hl_slice_of("HELIOS_CONFIG"))) {
            file = equals + 1;
        } else if (id != CONFIG_NONE) {
            err = config_assign(args->cfg, (enum hl_cfg)id, &value, 1, HL_CFG_FROM_ENV, &reason);
        } else if (hl_slice_equal(name, hl_slice_of("LISTEN")) ||
                   hl_slice_equal(name, hl_slice_of("HELIOS_LISTEN"))) {
            err = config_assign_listen(args->cfg, value, HL_CFG_FROM_ENV, &reason);
        }
        if (err != HL_OK) {
            return hl_fail(args->msg, err, "environment: %.*s: %s", (int)name.len, name.ptr,
                           reason.text);
        }
    }
    args->file = args->file == NULL ? file : args->file;
    return HL_OK;
}

static hl_err read_file(struct args *args)
{
    if (args->file == NULL) {
        return HL_OK;
    }
    struct hl_config *file_only = hl_config_create(args->cfg->role);
    hl_err err = config_apply_file(file_only, args->file, &args->cfg->format, args->msg);
    if (err == HL_OK) {
        config_merge_file(args->cfg, file_only);
    }
    if (err == HL_OK && strcmp(args->file, "-") != 0) {
        char absolute[PATH_MAX];
        const char *path = realpath(args->file, absolute) == NULL ? args->file : absolute;
        hl_free(args->cfg->file);
        args->cfg->file = hl_strndup(path, strlen(path));
    }
    hl_config_destroy(file_only);
    return err;
}

hl_err hl_config_load(struct hl_config *cfg, int argc, char *const *argv, char *const *envp,
                      struct hl_config_request *request, struct hl_errmsg *msg)
{
    HL_ASSERT(cfg != NULL && request != NULL);
    struct hl_errmsg unread;
    struct args args = {.cfg = cfg,
                        .request = request,
                        .msg = msg == NULL ? &unread : msg,
                        .argv = argv,
                        .argc = argc};
    *request = (struct hl_config_request){0};
    hl_err err = read_flags(&args);
    if (err != HL_OK || request->help || request->version) {
        return err;
    }
    err = read_environment(&args, envp);
    if (err == HL_OK) {
        err = read_file(&args);
    }
    if (err == HL_OK) {
        config_apply_role(cfg);
    }
    return err == HL_OK ? config_check_together(cfg, args.msg) : err;
}
