/* The part of criterion that our tests use, for builds in which criterion itself cannot run.
 *
 * ThreadSanitizer leaves no room for the memory that criterion shares with its children, so the
 * thread build compiles the same test files against this header.  Each test runs in a child
 * process, one after another.
 */
#ifndef PLAIN_CRITERION_H
#define PLAIN_CRITERION_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plain_options {
    bool none; /* so that a list of options may be empty */
    void (*init)(void);
    void (*fini)(void);
    int signal;    /* that must end the test, 0 for none */
    int exit_code; /* that it must end with */
    double timeout;
    bool disabled;
    const char *description;
};

struct plain_test {
    const char *suite;
    const char *name; /* NULL: options of the suite */
    void (*run)(void);
    struct plain_options options;
    struct plain_test *next;
};

/* Add a test, or a suite's options, in the order of the source; `test` lives for ever. */
void plain_add(struct plain_test *test);

/* Say what failed and end the test.  Criterion does not check formats either. */
__attribute__((noreturn)) void plain_fail(const char *file, int line, const char *what,
                                          const char *fmt, ...);

#define PLAIN_TEST(tag, suite_text, name_text, body, ...)                                          \
    __attribute__((constructor)) static void tag##_add(void)                                       \
    {                                                                                              \
        static struct plain_test test = {.suite = suite_text,                                      \
                                         .name = name_text,                                        \
                                         .run = body,                                              \
                                         .options = {.none = true, ##__VA_ARGS__}};                \
        plain_add(&test);                                                                          \
    }
#define Test(suite, name, ...)                                                                     \
    static void suite##_##name##_impl(void);                                                       \
    PLAIN_TEST(suite##_##name, #suite, #name, suite##_##name##_impl, ##__VA_ARGS__)                \
    static void suite##_##name##_impl(void)
#define TestSuite(suite, ...) PLAIN_TEST(suite##_suite, #suite, NULL, NULL, ##__VA_ARGS__)

#define cr_assert(c, ...) ((c) ? (void)0 : plain_fail(__FILE__, __LINE__, #c, " " __VA_ARGS__))
#define cr_assert_not(c, ...) cr_assert(!(c), __VA_ARGS__)
#define cr_assert_fail(...) plain_fail(__FILE__, __LINE__, "fail", " " __VA_ARGS__)
#define cr_fail(...) cr_assert_fail(__VA_ARGS__)
#define cr_assert_eq(a, b, ...) cr_assert((a) == (b), __VA_ARGS__)
#define cr_assert_neq(a, b, ...) cr_assert((a) != (b), __VA_ARGS__)
#define cr_assert_lt(a, b, ...) cr_assert((a) < (b), __VA_ARGS__)
#define cr_assert_leq(a, b, ...) cr_assert((a) <= (b), __VA_ARGS__)
#define cr_assert_gt(a, b, ...) cr_assert((a) > (b), __VA_ARGS__)
#define cr_assert_geq(a, b, ...) cr_assert((a) >= (b), __VA_ARGS__)
#define cr_assert_null(a, ...) cr_assert((a) == NULL, __VA_ARGS__)
#define cr_assert_not_null(a, ...) cr_assert((a) != NULL, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) cr_assert(strcmp((a), (b)) == 0, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) cr_assert(strcmp((a), (b)) != 0, __VA_ARGS__)
#define cr_assert_str_empty(a, ...) cr_assert((a)[0] == '\0', __VA_ARGS__)
#define cr_assert_arr_eq(a, b, size, ...) cr_assert(memcmp((a), (b), (size)) == 0, __VA_ARGS__)
#define cr_assert_arr_neq(a, b, size, ...) cr_assert(memcmp((a), (b), (size)) != 0, __VA_ARGS__)
#define cr_assert_str_not_empty(a, ...) cr_assert((a)[0] != '\0', __VA_ARGS__)
#define cr_assert_float_neq(a, b, eps, ...) cr_assert(fabs((a) - (b)) > (eps), __VA_ARGS__)
#define cr_assert_float_eq(a, b, eps, ...) cr_assert(fabs((a) - (b)) <= (eps), __VA_ARGS__)
/* An expectation ends the test as an assertion does. */
#define cr_expect(c, ...) cr_assert(c, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) cr_assert_str_eq(a, b, __VA_ARGS__)
#define cr_expect_str_empty(a, ...) cr_assert_str_empty(a, __VA_ARGS__)
#define cr_expect_not(c, ...) cr_assert_not(c, __VA_ARGS__)
#define cr_expect_eq(a, b, ...) cr_assert_eq(a, b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) cr_assert_neq(a, b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...) cr_assert_lt(a, b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...) cr_assert_leq(a, b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...) cr_assert_gt(a, b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...) cr_assert_geq(a, b, __VA_ARGS__)
#define cr_expect_null(a, ...) cr_assert_null(a, __VA_ARGS__)
#define cr_expect_not_null(a, ...) cr_assert_not_null(a, __VA_ARGS__)
#define cr_expect_str_neq(a, b, ...) cr_assert_str_neq(a, b, __VA_ARGS__)
#define cr_expect_arr_eq(a, b, size, ...) cr_assert_arr_eq(a, b, size, __VA_ARGS__)
#define cr_expect_arr_neq(a, b, size, ...) cr_assert_arr_neq(a, b, size, __VA_ARGS__)
#define cr_expect_str_not_empty(a, ...) cr_assert_str_not_empty(a, __VA_ARGS__)
#define cr_expect_float_neq(a, b, eps, ...) cr_assert_float_neq(a, b, eps, __VA_ARGS__)
#define cr_expect_float_eq(a, b, eps, ...) cr_assert_float_eq(a, b, eps, __VA_ARGS__)
#define cr_log_error(...) ((void)fprintf(stderr, __VA_ARGS__), (void)fputc('\n', stderr))
#define cr_log_info(...) cr_log_error(__VA_ARGS__)
#define cr_log_warn(...) cr_log_error(__VA_ARGS__)

#endif
