/* The radix tree.
 *
 * Invariants:
 *   X1  slot[d] != NULL exactly when some has[s] has bit d: no empty node exists but none at all.
 *   X2  in a leaf a slot has exactly one state; in an inner node bit d of has[s] is set exactly
 *       when has[s] of child d is not 0.
 */
#include "index.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdbool.h>

#define BITS 6u
#define FAN 64u
#define DEPTH_MAX 9u

HL_STATIC(JOBS_SEQ_MAX >> (BITS * DEPTH_MAX) == 0);

struct jobs_index_node {
    uint64_t has[JOBS_INDEX_STATES];
    void *slot[FAN];
};

static unsigned digit(uint64_t seq, unsigned level)
{
    return (unsigned)(seq >> (BITS * level)) & (FAN - 1);
}

static bool covers(const struct jobs_index *index, uint64_t seq)
{
    return seq >> (BITS * index->depth) == 0;
}

static struct jobs_index_node *new_node(struct jobs_index *index)
{
    index->nodes++;
    return hl_calloc(1, sizeof(struct jobs_index_node));
}

void jobs_index_fini(struct jobs_index *index)
{
    struct jobs_index_node *path[DEPTH_MAX];
    unsigned at[DEPTH_MAX] = {0};
    unsigned level = index->depth;
    if (index->root != NULL) {
        path[--level] = index->root;
    }
    while (level < index->depth) {
        if (level > 0 && at[level] < FAN) {
            struct jobs_index_node *child = path[level]->slot[at[level]++];
            if (child != NULL) {
                path[--level] = child;
                at[level] = 0;
            }
            continue;
        }
        hl_free(path[level++]);
    }
    *index = (struct jobs_index){0};
}

/* Add levels until the tree can hold `seq`. */
static void deepen(struct jobs_index *index, uint64_t seq)
{
    if (index->root == NULL) {
        index->root = new_node(index);
        index->depth = 1;
    }
    while (!covers(index, seq)) {
        struct jobs_index_node *root = new_node(index);
        root->slot[0] = index->root;
        bool empty = true;
        for (unsigned s = 0; s < JOBS_INDEX_STATES; s++) {
            root->has[s] = index->root->has[s] != 0;
            empty = empty && root->has[s] == 0;
        }
        if (empty) { /* a root that was created a moment ago */
            hl_free(index->root);
            index->nodes--;
            root->slot[0] = NULL;
        }
        index->root = root;
        index->depth++;
    }
}

void jobs_index_put(struct jobs_index *index, uint64_t seq, void *item, unsigned state)
{
    HL_ASSERT(seq != 0 && seq <= JOBS_SEQ_MAX);
    HL_ASSERT(item != NULL && state < JOBS_INDEX_STATES);
    deepen(index, seq);
    struct jobs_index_node *node = index->root;
    for (unsigned level = index->depth - 1;; level--) {
        unsigned d = digit(seq, level);
        node->has[state] |= UINT64_C(1) << d;
        if (level == 0) {
            HL_ASSERT(node->slot[d] == NULL);
            node->slot[d] = item;
            return;
        }
        if (node->slot[d] == NULL) {
            node->slot[d] = new_node(index);
        }
        node = node->slot[d];
    }
}

void *jobs_index_get(const struct jobs_index *index, uint64_t seq)
{
    if (index->root == NULL || seq > JOBS_SEQ_MAX || !covers(index, seq)) {
        return NULL;
    }
    void *at = index->root;
    for (unsigned level = index->depth; level > 0 && at != NULL; level--) {
        at = ((struct jobs_index_node *)at)->slot[digit(seq, level - 1)];
    }
    return at;
}

/* Fill path[level] with the nodes above `seq`, which must exist. */
static void walk(const struct jobs_index *index, uint64_t seq,
                 struct jobs_index_node *path[DEPTH_MAX])
{
    HL_ASSERT(index->root != NULL && covers(index, seq));
    struct jobs_index_node *node = index->root;
    for (unsigned level = index->depth - 1;; level--) {
        path[level] = node;
        node = node->slot[digit(seq, level)];
        HL_ASSERT(node != NULL);
        if (level == 0) {
            return;
        }
    }
}

void jobs_index_move(struct jobs_index *index, uint64_t seq, unsigned from, unsigned to)
{
    struct jobs_index_node *path[DEPTH_MAX];
    walk(index, seq, path);
    bool gone = true; /* no job of state `from` remains below */
    for (unsigned level = 0; level < index->depth; level++) {
        uint64_t bit = UINT64_C(1) << digit(seq, level);
        HL_ASSERT((path[level]->has[from] & bit) != 0);
        if (gone) {
            path[level]->has[from] &= ~bit;
            gone = path[level]->has[from] == 0;
        }
        path[level]->has[to] |= bit;
    }
}

static bool is_empty(const struct jobs_index_node *node)
{
    uint64_t any = 0;
    for (unsigned s = 0; s < JOBS_INDEX_STATES; s++) {
        any |= node->has[s];
    }
    return any == 0;
}

void jobs_index_remove(struct jobs_index *index, uint64_t seq, unsigned state)
{
    struct jobs_index_node *path[DEPTH_MAX];
    walk(index, seq, path);
    bool gone = true;  /* no job of this state remains below */
    bool empty = true; /* nothing remains below */
    for (unsigned level = 0; level < index->depth; level++) {
        unsigned d = digit(seq, level);
        if (gone) {
            path[level]->has[state] &= ~(UINT64_C(1) << d);
            gone = path[level]->has[state] == 0;
        }
        if (empty) {
            path[level]->slot[d] = NULL;
            empty = is_empty(path[level]);
            if (empty) {
                hl_free(path[level]);
                index->nodes--;
            }
        }
    }
    if (empty) {
        *index = (struct jobs_index){0};
    }
}

static uint64_t children_in(const struct jobs_index_node *node, unsigned states)
{
    uint64_t bits = 0;
    for (unsigned s = 0; s < JOBS_INDEX_STATES; s++) {
        if ((states & (1u << s)) != 0) {
            bits |= node->has[s];
        }
    }
    return bits;
}

void *jobs_index_next(const struct jobs_index *index, unsigned states, uint64_t from)
{
    if (index->root == NULL || from > JOBS_SEQ_MAX || !covers(index, from)) {
        return NULL;
    }
    const struct jobs_index_node *path[DEPTH_MAX];
    unsigned level = index->depth - 1;
    path[level] = index->root;
    for (;;) {
        unsigned d = digit(from, level);
        uint64_t bits = children_in(path[level], states) & (UINT64_MAX << d);
        if (bits == 0) { /* up, to the next sibling */
            do {
                if (++level == index->depth) {
                    return NULL;
                }
                d = digit(from, level);
            } while (d == FAN - 1);
            from = ((from >> (BITS * level)) + 1) << (BITS * level);
            continue;
        }
        unsigned next = (unsigned)__builtin_ctzll(bits);
        if (next > d) {
            from = ((from >> (BITS * level)) + (next - d)) << (BITS * level);
        }
        if (level == 0) {
            return path[0]->slot[next];
        }
        path[level - 1] = path[level]->slot[next];
        level--;
    }
}

size_t jobs_index_bytes(const struct jobs_index *index)
{
    return (size_t)index->nodes * sizeof(struct jobs_index_node);
}
