/* A list under a mutex. */
#include "mail.h"

#include "kit/assert.h"

#include <stddef.h>

void mailbox_init(struct mailbox *box)
{
    pthread_mutex_init(&box->lock, NULL);
    box->first = NULL;
    box->end = &box->first;
    box->closed = false;
}

void mailbox_fini(struct mailbox *box)
{
    HL_ASSERT(box->first == NULL);
    pthread_mutex_destroy(&box->lock);
}

bool mailbox_put(struct mailbox *box, struct mail *mail, bool *was_empty)
{
    mail->next = NULL;
    pthread_mutex_lock(&box->lock);
    bool open = !box->closed;
    if (open) {
        *was_empty = box->first == NULL;
        *box->end = mail;
        box->end = &mail->next;
    }
    pthread_mutex_unlock(&box->lock);
    return open;
}

struct mail *mailbox_take(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    struct mail *first = box->first;
    box->first = NULL;
    box->end = &box->first;
    pthread_mutex_unlock(&box->lock);
    return first;
}

void mailbox_drop(struct mailbox *box, uint64_t owner)
{
    struct mail *dropped = NULL;
    pthread_mutex_lock(&box->lock);
    struct mail **at = &box->first;
    while (*at != NULL) {
        struct mail *mail = *at;
        if (mail->owner == owner) {
            *at = mail->next;
            mail->next = dropped;
            dropped = mail;
        } else {
            at = &mail->next;
        }
    }
    box->end = at;
    pthread_mutex_unlock(&box->lock);
    while (dropped != NULL) {
        struct mail *mail = dropped;
        dropped = mail->next;
        mail->drop(mail);
    }
}

void mailbox_close(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    box->closed = true;
    pthread_mutex_unlock(&box->lock);
}

void mail_run(struct mail *first)
{
    while (first != NULL) {
        struct mail *mail = first;
        first = mail->next;
        mail->run(mail);
    }
}
