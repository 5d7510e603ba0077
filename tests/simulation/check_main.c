/* helios-check-history FILE...: judge histories in the text form of history.h (`-`: standard
 * input). Prints one line for each file; exit status 1 when one is wrong, 2 when one cannot be
 * read. */
#include "check.h"

#include <string.h>

static int check_file(const char *name)
{
    struct history history = {0};
    struct hl_errmsg msg = {{0}};
    FILE *in = strcmp(name, "-") == 0 ? stdin : fopen(name, "r");
    if (in == NULL || history_read(&history, in, &msg) != HL_OK) {
        printf("%s: %s\n", name, in == NULL ? "cannot be opened" : msg.text);
        history_fini(&history);
        return 2;
    }
    struct check_result result = check_history(&history);
    printf("%s: %zu operations, %s%s", name, history.count,
           result.ok ? "good" : "WRONG: ", result.why);
    if (result.gave_up > 0) {
        printf(", %zu keys were too hard to judge", result.gave_up);
    }
    printf("\n");
    history_fini(&history);
    if (in != stdin) {
        (void)fclose(in);
    }
    return result.ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    int status = 0;
    for (int i = 1; i < argc; i++) {
        int one = check_file(argv[i]);
        status = one > status ? one : status;
    }
    return status;
}
