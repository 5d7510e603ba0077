/* push: adding jobs, for JOB.PUSH and JOB.PUSHM and for whatever else adds some. */
#ifndef JOBS_PUSH_H
#define JOBS_PUSH_H

#include "command.h"

/* What JOB.PUSH asks for beside the payload.  Texts are borrowed from the arguments. */
struct push_args {
    struct hl_slice dedup;
    int64_t window_ms;
    struct jobs_options options;
    bool strict; /* a duplicate is an error */
};

/* The options that the settings say, for a push without any. */
void push_defaults(struct push_args *args);

/* Read one option behind the payload into `args`; false when it is malformed or unknown. */
bool push_parse_option(struct words *words, struct push_args *args);

/* Read the options of JOB.PUSH, all that is left of `words`, over the defaults.  NULL, or the error
 * to reply. */
const char *push_parse(struct words *words, struct push_args *args);

/* Add one job to the open queue, which must exist, within jobs.max-queue-depth.  As jobs_push();
 * the caller has checked the payload's size (command_check_size). */
enum jobs_verdict push_job(struct work *work, struct hl_slice payload, const struct push_args *args,
                           uint64_t *seq, bool *duplicate);

/* NULL when jobs may be pushed to a queue of that name, or the error to reply. */
const char *push_check_name(const RedisModuleString *name);

#endif
