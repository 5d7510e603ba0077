/* What modules' threads hand over to the loop: a queue under a mutex. */
#include "abi/internal.h"

#include <pthread.h>

struct mail {
    struct hl_list_node node;
    enum hl_mail kind;
    void *ptr, *argument;
};

struct hl_inbox {
    pthread_mutex_t mutex;
    struct hl_list_node mails;
};

void hl_inbox_init(struct hl_abi *abi)
{
    abi->inbox = hl_calloc(1, sizeof *abi->inbox);
    hl_list_init(&abi->inbox->mails);
    pthread_mutex_init(&abi->inbox->mutex, NULL);
}

void hl_inbox_fini(struct hl_abi *abi)
{
    HL_LIST_EACH(m, &abi->inbox->mails)
    {
        hl_list_remove(m);
        hl_free(HL_LIST_ENTRY(m, struct mail, node));
    }
    pthread_mutex_destroy(&abi->inbox->mutex);
    hl_free(abi->inbox);
    abi->inbox = NULL;
}

void hl_inbox_put(struct hl_abi *abi, enum hl_mail kind, void *ptr, void *argument)
{
    struct mail *mail = hl_calloc(1, sizeof *mail);
    *mail = (struct mail){.kind = kind, .ptr = ptr, .argument = argument};
    pthread_mutex_lock(&abi->inbox->mutex);
    hl_list_append(&abi->inbox->mails, &mail->node);
    /* Inside: once the mail is taken the loop may end everything, and this thread must be through.
     */
    abi->services->wake(abi->services->ctx);
    pthread_mutex_unlock(&abi->inbox->mutex);
}

bool hl_inbox_take(struct hl_abi *abi, enum hl_mail *kind, void **ptr, void **argument)
{
    struct mail *mail = NULL;
    pthread_mutex_lock(&abi->inbox->mutex);
    if (!hl_list_empty(&abi->inbox->mails)) {
        mail = HL_LIST_ENTRY(abi->inbox->mails.next, struct mail, node);
        hl_list_remove(&mail->node);
    }
    pthread_mutex_unlock(&abi->inbox->mutex);
    if (mail == NULL) {
        return false;
    }
    *kind = mail->kind;
    *ptr = mail->ptr;
    *argument = mail->argument;
    hl_free(mail);
    return true;
}
