/* What clients did and saw: the input of the checkers, in memory and as text.
 *
 * As text, one operation a line, words separated by single spaces, `#` starts a comment:
 *
 *     CLIENT INVOKE RETURN OUTCOME KIND KEY ARGUMENTS
 *
 *     CLIENT    a number; its operations do not overlap, unless an outcome is unknown
 *     INVOKE    when it was sent, RETURN when it was answered: integers of one clock that all
 *               clients share (or `-`); equal times count as overlapping
 *     OUTCOME   ok       answered, with the result in ARGUMENTS
 *               miss     a cas that was answered "the value was another"
 *               fail     answered with an error that promises that nothing was done
 *               unknown  no answer, or an error that promises nothing
 *     KIND      read VALUE                 VALUE is an integer, or `nil`: the key is missing
 *               write VALUE
 *               cas OLD NEW
 *               add BY RESULT              a missing key counts as 0
 *               append ELEMENT LENGTH      LENGTH in elements after it; 0: not known
 *               list ELEMENT...            the whole list, as read with real time order
 *               session-list ELEMENT...    the same, read where only the session's own order holds
 *               stale-list ELEMENT...      the same, read where nothing but the past is promised
 *     KEY       a word without spaces
 *
 * ARGUMENTS of an operation that has no result end before it.  Elements of one key are unique
 * integers, 1 and up.  A key is used as a register (read, write, cas, add) or as a list.
 */
#ifndef SIMULATION_HISTORY_H
#define SIMULATION_HISTORY_H

#include "kit/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define HISTORY_NIL INT64_MIN   /* a register that is missing */
#define HISTORY_NEVER INT64_MAX /* `returned` of what was not answered */
#define HISTORY_KEY_MAX 32      /* bytes of a key with its NUL */

enum history_kind {
    HISTORY_READ,
    HISTORY_WRITE,
    HISTORY_CAS,
    HISTORY_ADD,
    HISTORY_APPEND,
    HISTORY_LIST,
    HISTORY_SESSION_LIST,
    HISTORY_STALE_LIST,
};

enum history_outcome {
    HISTORY_OK,
    HISTORY_MISS,
    HISTORY_FAIL,
    HISTORY_UNKNOWN,
};

struct history_op {
    uint32_t client;
    enum history_kind kind;
    enum history_outcome outcome;
    char key[HISTORY_KEY_MAX];
    int64_t invoked, returned; /* HISTORY_NEVER when unknown */
    int64_t arg, arg2;         /* WRITE value, CAS old and new, ADD by, APPEND element */
    int64_t value;             /* READ and ADD result, APPEND length */
    uint32_t *elements;        /* of lists; owned by the history */
    size_t count;
};

/* All zero is a valid empty one. */
struct history {
    struct history_op *ops;
    size_t count, cap;
};

/* Append a copy of `op`, which gives its elements away.  Returns its position. */
size_t history_add(struct history *history, const struct history_op *op);

/* Release everything. */
void history_fini(struct history *history);

/* Read the text form.  HL_EINVAL with the line's number and what is wrong with it. */
HL_MUST_USE hl_err history_read(struct history *history, FILE *in, struct hl_errmsg *msg);

/* Write one operation in the text form, with the line's end. */
void history_print(const struct history_op *op, FILE *out);

#endif
