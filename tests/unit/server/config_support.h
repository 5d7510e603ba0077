/* Loading settings from argv, environment and a temporary file, in one call. */
#ifndef TESTS_UNIT_SERVER_CONFIG_SUPPORT_H
#define TESTS_UNIT_SERVER_CONFIG_SUPPORT_H

#include "server/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

/* A file in a fresh directory below /tmp; ended by drop_file(). */
struct temp_file {
    char dir[64];
    char path[128];
};

static inline struct temp_file make_file(const char *name, const char *text)
{
    struct temp_file file = {.dir = "/tmp/helios-config-XXXXXX"};
    cr_assert_not_null(mkdtemp(file.dir));
    (void)snprintf(file.path, sizeof file.path, "%s/%s", file.dir, name);
    FILE *out = fopen(file.path, "w");
    cr_assert_not_null(out);
    (void)fputs(text, out);
    (void)fclose(out);
    return file;
}

static inline void drop_file(struct temp_file *file)
{
    (void)unlink(file->path);
    (void)rmdir(file->dir);
}

/* Load words (argv[1..], ended by NULL) and envp. */
static inline hl_err load(struct hl_config *cfg, const char *const *words, const char *const *envp,
                          struct hl_errmsg *msg)
{
    const char *argv[64] = {"helios"};
    int argc = 1;
    for (; words != NULL && words[argc - 1] != NULL; argc++) {
        argv[argc] = words[argc - 1];
    }
    struct hl_config_request request;
    return hl_config_load(cfg, argc, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)envp,
                          &request, msg);
}

#define WORDS(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

/* Load a file's text under this name. */
static inline hl_err load_text(struct hl_config *cfg, const char *name, const char *text,
                               struct hl_errmsg *msg)
{
    struct temp_file file = make_file(name, text);
    hl_err err = load(cfg, WORDS(file.path), NULL, msg);
    drop_file(&file);
    return err;
}

#endif
