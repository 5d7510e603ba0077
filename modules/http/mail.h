/* What one thread hands to another: functions to be run there, in order. */
#ifndef HTTP_MAIL_H
#define HTTP_MAIL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct mail {
    struct mail *next;
    void (*run)(struct mail *mail);  /* there; ends the mail */
    void (*drop)(struct mail *mail); /* instead of run(); NULL: nobody ever drops it */
    uint64_t owner;                  /* on whose behalf; 0: nobody's */
};

struct mailbox {
    pthread_mutex_t lock;
    struct mail *first, **end;
    bool closed;
};

/* An empty one. */
void mailbox_init(struct mailbox *box);

/* Only once it is empty. */
void mailbox_fini(struct mailbox *box);

/* Put mail behind the others, unless the box is closed: false, and the mail is still the caller's.
 * *was_empty says whether somebody must be woken. */
bool mailbox_put(struct mailbox *box, struct mail *mail, bool *was_empty);

/* Take all mail, linked in its order. */
struct mail *mailbox_take(struct mailbox *box);

/* Drop all mail of one owner. */
void mailbox_drop(struct mailbox *box, uint64_t owner);

/* No more mail; what is inside stays. */
void mailbox_close(struct mailbox *box);

/* Run all mail that was taken. */
void mail_run(struct mail *first);

#endif
