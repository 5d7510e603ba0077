/* Intrusive doubly linked list: a circle through a head node; no allocation. */
#ifndef HL_BASE_LIST_H
#define HL_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* Embed one in each struct that is listed; the head is one too.  Not linked: both NULL. */
struct hl_list_node {
    struct hl_list_node *prev, *next;
};

/* The struct that embeds `node` as `member`. */
#define HL_LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* Walk `it` over the nodes of `head`; `it` may be removed in the body. */
#define HL_LIST_EACH(it, head)                                                                     \
    for (struct hl_list_node *it = (head)->next, *it##_next = it->next; it != (head);              \
         it = it##_next, it##_next = it->next)

static inline void hl_list_init(struct hl_list_node *head)
{
    head->prev = head;
    head->next = head;
}

static inline bool hl_list_empty(const struct hl_list_node *head)
{
    return head->next == head;
}

static inline bool hl_list_linked(const struct hl_list_node *node)
{
    return node->next != NULL;
}

static inline void hl_list_append(struct hl_list_node *head, struct hl_list_node *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Unlink; does nothing when it is not linked. */
static inline void hl_list_remove(struct hl_list_node *node)
{
    if (node->next == NULL) {
        return;
    }
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->prev = NULL;
    node->next = NULL;
}

#endif
