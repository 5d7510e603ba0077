/* module_names.def lists what the headers declare: read both as text and compare. */
#include "kit/assert.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_LEN 64
#define NAMES_MAX 512
#define INCLUDE HELIOS_SOURCE_DIR "/sdk/include/helios/"

struct names {
    char name[NAMES_MAX][NAME_MAX_LEN];
    size_t count;
};

static bool has(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->name[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Add what follows `mark`, up to `end`, in each line of the file. */
static void collect(struct names *names, const char *path, const char *mark, char end)
{
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    char line[256];
    while (fgets(line, sizeof line, file) != NULL) {
        char *at = strstr(line, mark);
        char *stop = at == NULL ? NULL : strchr(at + strlen(mark), end);
        if (stop == NULL) {
            continue;
        }
        *stop = '\0';
        cr_assert_lt(names->count, (size_t)NAMES_MAX);
        char *slot = names->name[names->count++];
        snprintf(slot, NAME_MAX_LEN, "%.60s", at + strlen(mark));
    }
    fclose(file);
}

Test(names, the_list_holds_exactly_what_the_headers_declare)
{
    static struct names listed;
    static struct names declared;
    collect(&listed, INCLUDE "module_names.def", "X(", ')');
    collect(&declared, INCLUDE "module_calls.h", "(*RedisModule_", ')');
    collect(&declared, INCLUDE "module_data.h", "(*RedisModule_", ')');
    collect(&declared, INCLUDE "module_server.h", "(*RedisModule_", ')');
    cr_assert_gt(declared.count, 300u);
    for (size_t i = 0; i < declared.count; i++) {
        cr_assert(has(&listed, declared.name[i]), "%s is not listed", declared.name[i]);
    }
    for (size_t i = 0; i < listed.count; i++) {
        if (strcmp(listed.name[i], "name") != 0) { /* the comment on top */
            cr_assert(has(&declared, listed.name[i]), "%s is not declared", listed.name[i]);
        }
    }
}
