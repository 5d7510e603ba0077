/* A list under a mutex. */
#include "net/mail.h"

#include "kit/assert.h"

#include <stddef.h>

void net_mailbox_init(struct net_mailbox *box)
{
    pthread_mutex_init(&box->lock, NULL);
    box->first = NULL;
    box->end = &box->first;
    box->closed = false;
}

void net_mailbox_fini(struct net_mailbox *box)
{
    HL_ASSERT(box->first == NULL);
    pthread_mutex_destroy(&box->lock);
}

bool net_mailbox_put(struct net_mailbox *box, struct net_mail *mail, bool *was_empty)
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

struct net_mail *net_mailbox_take(struct net_mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    struct net_mail *first = box->first;
    box->first = NULL;
    box->end = &box->first;
    pthread_mutex_unlock(&box->lock);
    return first;
}

void net_mailbox_drop(struct net_mailbox *box, uint64_t owner)
{
    struct net_mail *dropped = NULL;
    pthread_mutex_lock(&box->lock);
    struct net_mail **at = &box->first;
    while (*at != NULL) {
        struct net_mail *mail = *at;
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
        struct net_mail *mail = dropped;
        dropped = mail->next;
        mail->drop(mail);
    }
}

void net_mailbox_close(struct net_mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    box->closed = true;
    pthread_mutex_unlock(&box->lock);
}

void net_mail_run(struct net_mail *first)
{
    while (first != NULL) {
        struct net_mail *mail = first;
        first = mail->next;
        mail->run(mail);
    }
}
