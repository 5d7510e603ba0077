/* `helios`: finds the subcommand and steps aside. */
#include "kit/assert.h"
#include "tools/tools.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct tool {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *arguments;
    const char *what;
} tools[] = {
    {"check", tool_check, "DIR [--fix [--accept-loss]]", "verify a data directory, repair it"},
    {"dump", tool_dump, "DIR [--json] [--from N] [--to N]", "print what the log holds"},
    {"recover", tool_recover, "--data-dir DIR --force-new-cluster",
     "make a cluster of the last node left"},
    {"cluster", tool_cluster, "start|status|add|stop|...", "run a cluster on this machine"},
};

static void usage(FILE *out)
{
    fputs("usage: helios COMMAND [ARGUMENT]...\n\n", out);
    for (size_t i = 0; i < HL_ARRAY_LEN(tools); i++) {
        fprintf(out, "  %-8s %-34s %s\n", tools[i].name, tools[i].arguments, tools[i].what);
    }
    fputs("\nhelios COMMAND --help says more; helios --version says which version this is.\n", out);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        usage(stdout);
        return TOOL_GOOD;
    }
    if (strcmp(name, "--version") == 0) {
        puts("helios " HELIOS_VERSION);
        return TOOL_GOOD;
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(tools); i++) {
        if (strcmp(name, tools[i].name) == 0) {
            int status = tools[i].run(argc - 1, argv + 1);
            if (fflush(stdout) != 0 || ferror(stdout) != 0) {
                fputs("helios: the output could not be written\n", stderr);
                return TOOL_FAILED;
            }
            return status;
        }
    }
    if (name[0] != '\0') {
        fprintf(stderr, "helios: there is no command '%s'\n\n", name);
    }
    usage(stderr);
    return TOOL_FAILED;
}
