/* Sessions that wait for keys: BLPOP and its kin.
 *
 *   K1  who waits for a key is served in the order in which they began to wait.
 *   K2  a wait is served in a unit of its own, after the unit that made the key ready: a
 *       transaction's pushes are all there before anybody takes them.
 *   K3  only where commands execute does anybody wait: waits end when leadership does.
 */
#ifndef HL_NODE_KEYWAIT_H
#define HL_NODE_KEYWAIT_H

#include "base/list.h"
#include "base/table.h"
#include "command/command.h"

struct hl_node;

/* Those who wait.  All zero but the list is none. */
struct hl_key_waits {
    struct hl_table keys;      /* of what is waited for, by database and name */
    struct hl_list_node ready; /* those of them that changed, in order */
    bool serving;
};

/* What a waiting request does. */
struct hl_key_wait_how {
    /* Serve it from `key`, which is ready: true when it replied, false when there is nothing for it
     * and nothing was said or done. */
    bool (*serve)(struct hl_call *call, struct hl_slice key);
    /* Reply that the time is over. */
    void (*lapse)(struct hl_writer *out);
};

/* Start with nobody. */
void hl_key_waits_init(struct hl_key_waits *waits);

/* Release; nobody waits any more (asserted). */
void hl_key_waits_fini(struct hl_key_waits *waits);

/* May the request of this call wait?  Not in transactions, scripts, or calls of modules. */
bool hl_key_wait_may(const struct hl_call *call);

/* The request of this call waits for any of argv[first .. first + count), for `timeout_ms` (0: for
 * ever).  `how` is constant; the arguments are copied. */
void hl_key_wait(struct hl_call *call, int first, int count, int64_t timeout_ms,
                 const struct hl_key_wait_how *how);

/* A key has come to be, or changed what it is. */
void hl_key_wait_ready(struct hl_node *node, int db, struct hl_slice key);

/* Any key of the database may have come to be: it was swapped. */
void hl_key_wait_swapped(struct hl_node *node, int db);

/* Serve who can be served.  Between units. */
void hl_key_wait_serve(struct hl_node *node);

#endif
