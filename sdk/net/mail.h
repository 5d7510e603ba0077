/* What one thread hands to another: functions to be run there, in order. */
#ifndef NET_MAIL_H
#define NET_MAIL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct net_mail {
    struct net_mail *next;
    void (*run)(struct net_mail *mail);  /* there; ends the mail */
    void (*drop)(struct net_mail *mail); /* instead of run(); NULL: nobody ever drops it */
    uint64_t owner;                      /* on whose behalf; 0: nobody's */
};

struct net_mailbox {
    pthread_mutex_t lock;
    struct net_mail *first, **end;
    bool closed;
};

/* An empty one. */
void net_mailbox_init(struct net_mailbox *box);

/* Only once it is empty. */
void net_mailbox_fini(struct net_mailbox *box);

/* Put mail behind the others, unless the box is closed: false, and the mail is still the caller's.
 * *was_empty says whether somebody must be woken. */
bool net_mailbox_put(struct net_mailbox *box, struct net_mail *mail, bool *was_empty);

/* Take all mail, linked in its order. */
struct net_mail *net_mailbox_take(struct net_mailbox *box);

/* Drop all mail of one owner. */
void net_mailbox_drop(struct net_mailbox *box, uint64_t owner);

/* No more mail; what is inside stays. */
void net_mailbox_close(struct net_mailbox *box);

/* Run all mail that was taken. */
void net_mail_run(struct net_mail *first);

#endif
