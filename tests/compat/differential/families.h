/* What can be generated: grammars of commands, by family. */
#ifndef COMPAT_DIFFERENTIAL_FAMILIES_H
#define COMPAT_DIFFERENTIAL_FAMILIES_H

#include <stddef.h>

/*
 * A grammar is words separated by spaces:
 *   WORD      itself, in odd case now and then        %x       an argument of kind x (generate.c)
 *   [a b|c]   nothing, or one of the alternatives     <a|b c>  exactly one of the alternatives
 *   (a b)     one to four times                       \x       the byte x as it is
 * One that starts with '!' is not mutated: no missing, additional or foreign arguments.
 */
struct family {
    const char *name;
    int weight;                  /* among all families */
    const char *const *grammars; /* ends with NULL; one is drawn, each as likely */
};

extern const struct family families[];
extern const size_t family_count;

/* Byte sequences for connections of their own; ends with NULL. */
extern const char *const raw_requests[];

#endif
