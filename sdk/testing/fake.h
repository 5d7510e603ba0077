/* A server made for tests: it loads a module's glue into the test program, runs its commands and
 * shows what they answered, replicated, logged and stored.  No socket, no thread, no clock.
 *
 *   F1  Time moves only through fake_advance(), randomness comes from a fixed sequence.
 *   F2  A function that the fake lacks is NULL for the module, as in an old server.
 *   F3  One fake at a time: the module's pointers are shared by the whole program.
 *   F4  A mistake of the module (a second reply, none, a handle used after its end) fails at once
 *       through HL_ASSERT, with the place in the fake that saw it.
 *
 * Replies are shown as one line of text: +OK  -ERR why  :42  "bulk \x00"  (null)  ,1.5  #t
 * [array of replies]  {map of pairs}  ~[set]  =txt:"verbatim"  (big number.
 */
#ifndef TESTING_FAKE_H
#define TESTING_FAKE_H

#include "helios/module_types.h"

#include <stdbool.h>

/* Opaque: one fake server. */
struct fake;

/* A module's OnLoad function. */
typedef int (*fake_onload)(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* A new, empty server whose clock stands at 1,000,000 ms.  The caller ends it with
 * fake_destroy(). */
struct fake *fake_create(void);

/* End it: values are freed through their types, and all that texts returned here point to. */
void fake_destroy(struct fake *fake);

/* Run `onload` with the words of `args` (NULL: none), as MODULE LOAD does; returns its result, or
 * REDISMODULE_ERR when the module registered settings and did not load them. */
int fake_load(struct fake *fake, fake_onload onload, const char *args);

/* Run `onunload` as MODULE UNLOAD does; returns its result.  Values stay until fake_destroy(). */
int fake_unload(struct fake *fake, int (*onunload)(RedisModuleCtx *ctx));

/* Set a setting before fake_load(), as the configuration file does.  `name` without the module. */
void fake_preset(struct fake *fake, const char *name, const char *value);

/* Run a command line: words between spaces, or in double quotes with \xNN and \" inside.  Returns
 * the reply as text, valid until the next call; "(blocked)" when the command blocked its client. */
const char *fake_run(struct fake *fake, const char *line);

/* Run a command given as exact bytes; result as fake_run(). */
const char *fake_run_argv(struct fake *fake, int argc, const char *const *argv, const size_t *lens);

/* The keys that a command line names: "1 3", by its getkeys-api or its key positions. */
const char *fake_keys(struct fake *fake, const char *line);

/* What was replicated since the last call, a line per command ("SET k v\n"); "" for nothing. */
const char *fake_replicated(struct fake *fake);

/* What was logged since the last call: "level: text\n" each. */
const char *fake_logged(struct fake *fake);

/* The answer that a blocked client got since the last call, "" for none so far: the reply callback
 * runs here, for clients unblocked in any way. */
const char *fake_unblocked(struct fake *fake);

/* Let `ms` pass: timers run in order, each at its own time; blocked clients time out. */
void fake_advance(struct fake *fake, long long ms);

/* Run what waits of HeliosModule_Execute(), in order, also what is called meanwhile, and call back:
 * here, on the test's thread.  Returns a line per call that ran, who and what:
 * "ada: SET k v\n", "(module): SET k v ; DEL j\n". */
const char *fake_executed(struct fake *fake);

/* The next call that runs ends with `outcome` (HELIOSMODULE_EXECUTE_*) and this error instead. */
void fake_execute_next(struct fake *fake, int outcome, const char *error);

/* CONFIG SET name value: "+OK" or the error. */
const char *fake_config_set(struct fake *fake, const char *name, const char *value);

/* CONFIG GET name: the value, or "(null)". */
const char *fake_config_get(struct fake *fake, const char *name);

/* The module's sections of INFO. */
const char *fake_info(struct fake *fake);

/* Fire a server event at those who subscribed to it. */
void fake_event(struct fake *fake, RedisModuleEvent event, uint64_t subevent, void *data);

/* What RedisModule_GetContextFlags() answers from now on. */
void fake_set_flags(struct fake *fake, int flags);

/* Save all values of module types and all globals, free them, and load them back: a restart.
 * False when a load failed. */
bool fake_reload(struct fake *fake);

/* How many strings, keys and replies exist that the module has to free: 0 after a command that
 * keeps nothing. */
size_t fake_live(const struct fake *fake);

#endif
