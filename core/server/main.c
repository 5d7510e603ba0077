/* helios-atlasd, and by other names its presets. */
#include "server/run.h"

extern char **environ;

int main(int argc, char **argv)
{
    return hl_run(argc, argv, environ);
}
