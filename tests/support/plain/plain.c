/* Runs the tests of a program one after another, each in a child: see criterion/criterion.h. */
#include <criterion/criterion.h>

#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static struct plain_test *first;
static struct plain_test **last = &first;

void plain_add(struct plain_test *test)
{
    *last = test;
    last = &test->next;
}

void plain_fail(const char *file, int line, const char *what, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "%s:%d: %s:", file, line, what);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    _exit(1);
}

static const struct plain_options *suite_of(const struct plain_test *test)
{
    static const struct plain_options none;
    for (const struct plain_test *t = first; t != NULL; t = t->next) {
        if (t->name == NULL && strcmp(t->suite, test->suite) == 0) {
            return &t->options;
        }
    }
    return &none;
}

static void run_hook(void (*hook)(void))
{
    if (hook != NULL) {
        hook();
    }
}

/* In the child: the test between the hooks of its suite and its own. */
static void run_here(const struct plain_test *test)
{
    const struct plain_options *suite = suite_of(test);
    run_hook(suite->init);
    run_hook(test->options.init);
    test->run();
    run_hook(test->options.fini);
    run_hook(suite->fini);
    exit(0);
}

static bool passes(const struct plain_test *test)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        run_here(test);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        return false;
    }
    const struct plain_options *suite = suite_of(test);
    int signal = test->options.signal != 0 ? test->options.signal : suite->signal;
    if (signal != 0) {
        return WIFSIGNALED(status) && WTERMSIG(status) == signal;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == test->options.exit_code;
}

int main(void)
{
    int tested = 0;
    int passing = 0;
    for (const struct plain_test *test = first; test != NULL; test = test->next) {
        if (test->name == NULL || test->options.disabled || suite_of(test)->disabled) {
            continue;
        }
        tested++;
        if (passes(test)) {
            passing++;
        } else {
            fprintf(stderr, "[FAIL] %s::%s\n", test->suite, test->name);
        }
    }
    printf("[====] Synthesis: Tested: %d | Passing: %d | Failing: %d | Crashing: 0\n", tested,
           passing, tested - passing);
    return passing == tested ? 0 : 1;
}
