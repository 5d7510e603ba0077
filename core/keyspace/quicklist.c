#include "keyspace/quicklist.h"

#include "keyspace/entry.h"
#include "keyspace/listpack.h"

/* L1  no block is empty
 * L2  `count` is the number of elements of all blocks */

HL_STATIC(HL_QL_SCRATCH >= HL_LP_SCRATCH);

struct hl_ql_block {
    struct hl_ql_block *prev, *next;
    unsigned char *lp;
};

struct hl_quicklist {
    struct hl_ql_block *head, *tail;
    size_t count;
    size_t blocks;
};

#define OVERHEAD 8         /* bytes that an element is expected to take beside its own */
#define SAFE_BYTES 8192    /* of a block that is limited by the number of its elements */
#define SMALLEST_KB 4      /* of a block that is limited by its bytes: limit -1 */
#define LAST_BYTES_LIMIT 5 /* limit -5 */

static struct hl_quicklist *list_of(const struct hl_entry *entry)
{
    HL_ASSERT(entry->kind == HL_KIND_LIST);
    return hl_entry_pointer(entry);
}

/* May a block of that many bytes and elements be? */
static bool is_allowed(const struct hl_keyspace *ks, size_t bytes, size_t count)
{
    int64_t limit = ks->limits.list_max_listpack_size;
    if (limit < 0) {
        int64_t step = limit < -LAST_BYTES_LIMIT ? LAST_BYTES_LIMIT : -limit;
        return bytes <= (size_t)SMALLEST_KB * 1024 << (step - 1);
    }
    return bytes <= SAFE_BYTES && count <= (limit == 0 ? 1 : (size_t)limit);
}

static bool has_room(const struct hl_keyspace *ks, const struct hl_ql_block *block,
                     struct hl_slice value)
{
    return is_allowed(ks, hl_lp_bytes(block->lp) + value.len + OVERHEAD,
                      hl_lp_count(block->lp) + 1);
}

/* --- blocks ----------------------------------------------------------------------------------- */

/* A block of its own for a given listpack, behind another; NULL: at the head. */
static struct hl_ql_block *add_block(struct hl_quicklist *list, struct hl_ql_block *behind,
                                     unsigned char *given_lp)
{
    struct hl_ql_block *block = hl_malloc(sizeof *block);
    block->lp = given_lp;
    block->prev = behind;
    block->next = behind != NULL ? behind->next : list->head;
    *(block->prev != NULL ? &block->prev->next : &list->head) = block;
    *(block->next != NULL ? &block->next->prev : &list->tail) = block;
    list->blocks++;
    return block;
}

static void end_block(struct hl_quicklist *list, struct hl_ql_block *block)
{
    *(block->prev != NULL ? &block->prev->next : &list->head) = block->next;
    *(block->next != NULL ? &block->next->prev : &list->tail) = block->prev;
    list->blocks--;
    hl_free(block->lp);
    hl_free(block);
}

static void end_if_empty(struct hl_quicklist *list, struct hl_ql_block *block)
{
    if (hl_lp_first(block->lp) == 0) {
        end_block(list, block); /* L1 */
    }
}

static void add_value_block(struct hl_quicklist *list, struct hl_ql_block *behind,
                            struct hl_slice value)
{
    add_block(list, behind, hl_lp_insert(hl_lp_create(), 0, value));
}

/* Put what stands from `at` on into a block of its own. */
static void split(struct hl_quicklist *list, struct hl_ql_block *block, size_t at)
{
    size_t before = 0;
    for (size_t i = hl_lp_first(block->lp); i != at; i = hl_lp_next(block->lp, i)) {
        before++;
    }
    unsigned char *rest = hl_lp_dup(block->lp);
    add_block(list, block, hl_lp_delete(rest, hl_lp_first(rest), before));
    block->lp = hl_lp_delete(block->lp, at, SIZE_MAX);
}

/* Make one block of two neighbours when it may be. */
static void merge(const struct hl_keyspace *ks, struct hl_quicklist *list, struct hl_ql_block *left,
                  struct hl_ql_block *right)
{
    if (left == NULL || right == NULL ||
        !is_allowed(ks, hl_lp_bytes(left->lp) + hl_lp_bytes(right->lp) - HL_LP_EMPTY,
                    hl_lp_count(left->lp) + hl_lp_count(right->lp))) {
        return;
    }
    for (size_t at = hl_lp_first(right->lp); at != 0; at = hl_lp_next(right->lp, at)) {
        char scratch[HL_LP_SCRATCH];
        left->lp = hl_lp_insert(left->lp, 0, hl_lp_get(right->lp, at, scratch));
    }
    end_block(list, right);
}

/* --- whole lists ------------------------------------------------------------------------------ */

void hl_ql_destroy(struct hl_quicklist *list)
{
    while (list->head != NULL) {
        end_block(list, list->head);
    }
    hl_free(list);
}

struct hl_entry *hl_ql_create(struct hl_slice key, uint32_t key_hash, bool timed)
{
    struct hl_entry *entry = hl_entry_create(key_hash, key, timed, HL_KIND_LIST, sizeof(void *));
    hl_entry_put_pointer(entry, hl_calloc(1, sizeof(struct hl_quicklist)));
    return entry;
}

void hl_ql_adopt(struct hl_entry *entry, unsigned char *given_lp)
{
    struct hl_quicklist *list = list_of(entry);
    struct hl_ql_block *block = add_block(list, list->tail, given_lp);
    list->count += hl_lp_count(given_lp);
    end_if_empty(list, block);
}

size_t hl_ql_blocks(const struct hl_entry *entry)
{
    return list_of(entry)->blocks;
}

const unsigned char *hl_ql_next_block(const struct hl_entry *entry,
                                      const struct hl_ql_block **position)
{
    *position = *position == NULL ? list_of(entry)->head : (*position)->next;
    return *position != NULL ? (*position)->lp : NULL;
}

struct hl_entry *hl_ql_dup(const struct hl_entry *entry, struct hl_slice key, uint32_t key_hash,
                           bool timed)
{
    struct hl_entry *copy = hl_ql_create(key, key_hash, timed);
    for (const struct hl_ql_block *b = list_of(entry)->head; b != NULL; b = b->next) {
        hl_ql_adopt(copy, hl_lp_dup(b->lp));
    }
    return copy;
}

size_t hl_ql_memory(const struct hl_entry *entry, size_t samples)
{
    const struct hl_quicklist *list = list_of(entry);
    size_t bytes = 0;
    size_t looked = 0;
    for (const struct hl_ql_block *b = list->head; b != NULL && (samples == 0 || looked < samples);
         b = b->next) {
        bytes += hl_size_class(hl_lp_bytes(b->lp)) + hl_size_class(sizeof *b);
        looked++;
    }
    if (looked != 0) {
        bytes = (size_t)((double)bytes / (double)looked * (double)list->blocks);
    }
    return hl_size_class(sizeof *list) + bytes;
}

/* --- the contract ----------------------------------------------------------------------------- */

size_t hl_ql_len(const struct hl_entry *entry)
{
    return list_of(entry)->count;
}

void hl_ql_push(struct hl_keyspace *ks, struct hl_entry *entry, struct hl_slice value, bool head)
{
    struct hl_quicklist *list = list_of(entry);
    struct hl_ql_block *block = head ? list->head : list->tail;
    if (block == NULL || !has_room(ks, block, value)) {
        add_value_block(list, head ? NULL : list->tail, value);
    } else {
        block->lp = hl_lp_insert(block->lp, head ? hl_lp_first(block->lp) : 0, value);
    }
    list->count++;
}

/* Go to element `index` of a block, from its nearer end. */
static size_t seek_in(const unsigned char *lp, size_t index)
{
    size_t from_end = hl_lp_count(lp) - 1 - index;
    if (index <= from_end) {
        return hl_lp_seek(lp, index);
    }
    size_t at = hl_lp_last(lp);
    while (from_end-- > 0) {
        at = hl_lp_prev(lp, at);
    }
    return at;
}

bool hl_ql_seek(const struct hl_entry *entry, int64_t index, struct hl_ql_cursor *out)
{
    const struct hl_quicklist *list = list_of(entry);
    uint64_t wanted = index >= 0 ? (uint64_t)index : (uint64_t)list->count + (uint64_t)index;
    if (wanted >= list->count) {
        return false; /* a wrapped difference is larger than any list */
    }
    struct hl_ql_block *block = NULL;
    size_t left = (size_t)wanted;
    if (wanted <= list->count / 2) {
        block = list->head;
        for (size_t n; left >= (n = hl_lp_count(block->lp)); block = block->next) {
            left -= n;
        }
    } else {
        size_t behind = list->count - 1 - (size_t)wanted;
        block = list->tail;
        for (size_t n; behind >= (n = hl_lp_count(block->lp)); block = block->prev) {
            behind -= n;
        }
        left = hl_lp_count(block->lp) - 1 - behind;
    }
    *out = (struct hl_ql_cursor){.block = block, .at = seek_in(block->lp, left)};
    return true;
}

/* Go to the first element of the next block, or to the last of the one before. */
static bool step_block(struct hl_ql_cursor *cursor, struct hl_ql_block *to, bool forward)
{
    cursor->block = to;
    if (to == NULL) {
        return false;
    }
    cursor->at = forward ? hl_lp_first(to->lp) : hl_lp_last(to->lp);
    return true;
}

bool hl_ql_step(struct hl_ql_cursor *cursor, bool forward)
{
    struct hl_ql_block *block = cursor->block;
    size_t at = forward ? hl_lp_next(block->lp, cursor->at) : hl_lp_prev(block->lp, cursor->at);
    if (at != 0) {
        cursor->at = at;
        return true;
    }
    return step_block(cursor, forward ? block->next : block->prev, forward);
}

struct hl_slice hl_ql_value(const struct hl_ql_cursor *cursor, char scratch[HL_QL_SCRATCH])
{
    return hl_lp_get(cursor->block->lp, cursor->at, scratch);
}

bool hl_ql_value_is(const struct hl_ql_cursor *cursor, struct hl_slice value)
{
    char scratch[HL_QL_SCRATCH];
    return hl_slice_equal(hl_ql_value(cursor, scratch), value);
}

/* Where a block is full: between two blocks, or two halves of one. */
static void insert_beside(struct hl_keyspace *ks, struct hl_quicklist *list,
                          struct hl_ql_block *block, size_t at, struct hl_slice value)
{
    struct hl_ql_block *prev = block->prev;
    struct hl_ql_block *next = block->next;
    if (at == 0 && next != NULL && has_room(ks, next, value)) {
        next->lp = hl_lp_insert(next->lp, hl_lp_first(next->lp), value);
    } else if (at == 0) {
        add_value_block(list, block, value);
    } else if (at != hl_lp_first(block->lp)) {
        split(list, block, at);
        if (has_room(ks, block, value)) {
            block->lp = hl_lp_insert(block->lp, 0, value);
        } else {
            add_value_block(list, block, value);
        }
        merge(ks, list, next != NULL ? next->prev : list->tail, next);
        merge(ks, list, prev, block);
    } else if (prev != NULL && has_room(ks, prev, value)) {
        prev->lp = hl_lp_insert(prev->lp, 0, value);
    } else {
        add_value_block(list, prev, value);
    }
}

void hl_ql_insert(struct hl_keyspace *ks, struct hl_entry *entry, struct hl_ql_cursor *cursor,
                  bool after, struct hl_slice value)
{
    struct hl_quicklist *list = list_of(entry);
    struct hl_ql_block *block = cursor->block;
    size_t at = after ? hl_lp_next(block->lp, cursor->at) : cursor->at; /* 0: at its end */
    if (has_room(ks, block, value)) {
        block->lp = hl_lp_insert(block->lp, at, value);
    } else {
        insert_beside(ks, list, block, at, value);
    }
    list->count++;
}

void hl_ql_replace(struct hl_keyspace *ks, struct hl_entry *entry, struct hl_ql_cursor *cursor,
                   struct hl_slice value)
{
    struct hl_ql_block *block = cursor->block;
    if (is_allowed(ks, hl_lp_bytes(block->lp) + value.len + OVERHEAD, hl_lp_count(block->lp))) {
        block->lp = hl_lp_replace(block->lp, cursor->at, value);
    } else if (hl_ql_remove(entry, cursor, true)) {
        hl_ql_insert(ks, entry, cursor, false, value);
    } else {
        hl_ql_push(ks, entry, value, false);
    }
}

bool hl_ql_remove(struct hl_entry *entry, struct hl_ql_cursor *cursor, bool forward)
{
    struct hl_quicklist *list = list_of(entry);
    struct hl_ql_block *block = cursor->block;
    size_t before = hl_lp_prev(block->lp, cursor->at);
    block->lp = hl_lp_delete(block->lp, cursor->at, 1);
    list->count--;
    bool stays = forward ? cursor->at + 1 < hl_lp_bytes(block->lp) : before != 0;
    if (stays) {
        cursor->at = forward ? cursor->at : before;
        return true;
    }
    bool more = step_block(cursor, forward ? block->next : block->prev, forward);
    end_if_empty(list, block);
    return more;
}

void hl_ql_delete(struct hl_entry *entry, size_t index, size_t count)
{
    struct hl_quicklist *list = list_of(entry);
    struct hl_ql_cursor cursor;
    HL_ASSERT(index <= list->count);
    count = count < list->count - index ? count : list->count - index;
    if (count == 0 || !hl_ql_seek(entry, (int64_t)index, &cursor)) {
        return;
    }
    struct hl_ql_block *block = cursor.block;
    size_t at = cursor.at;
    list->count -= count;
    while (count > 0) {
        struct hl_ql_block *next = block->next;
        size_t had = hl_lp_count(block->lp);
        if (at == hl_lp_first(block->lp) && had <= count) {
            count -= had;
            end_block(list, block);
        } else {
            block->lp = hl_lp_delete(block->lp, at, count);
            count -= had - hl_lp_count(block->lp);
        }
        block = next;
        at = block != NULL ? hl_lp_first(block->lp) : 0;
        HL_ASSERT(count == 0 || block != NULL); /* L2 */
    }
}
