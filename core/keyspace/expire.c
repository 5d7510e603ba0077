/* The entries with a deadline, and the cycle that looks for dead ones.
 *
 * The list is an array in chunks: an entry knows its index, the last entry fills the hole of a
 * removed one, a sample is one random index.  Twelve bytes per deadline beside the deadline itself
 * would be a table's price; this costs twelve with it: 8 here, 4 in the entry.
 */
#include "keyspace/entry.h"

void hl_expires_add(struct hl_expires *expires, struct hl_entry *entry)
{
    HL_ASSERT(entry->timed);
    HL_ASSERT(expires->count < UINT32_MAX);
    if (expires->count == expires->chunk_count * HL_EXPIRES_CHUNK) {
        if (expires->chunk_count == expires->chunk_cap) {
            expires->chunk_cap = expires->chunk_cap != 0 ? 2 * expires->chunk_cap : 4;
            expires->chunks =
                hl_realloc(expires->chunks, expires->chunk_cap * sizeof *expires->chunks);
        }
        expires->chunks[expires->chunk_count++] =
            hl_malloc(HL_EXPIRES_CHUNK * sizeof **expires->chunks);
    }
    size_t index = expires->count++;
    *hl_expires_at(expires, index) = entry;
    hl_entry_put_index(entry, index);
}

void hl_expires_remove(struct hl_expires *expires, size_t index)
{
    HL_ASSERT(index < expires->count);
    size_t last = expires->count - 1;
    if (index != last) {
        struct hl_entry *filler = *hl_expires_at(expires, last);
        *hl_expires_at(expires, index) = filler;
        hl_entry_put_index(filler, index);
    }
    expires->count = last;
    if (expires->cursor > last) {
        expires->cursor = last;
    }
    /* One spare chunk stays, so that a key at the edge does not cost an allocation each time. */
    if (expires->chunk_count * HL_EXPIRES_CHUNK >= last + 2 * HL_EXPIRES_CHUNK) {
        hl_free(expires->chunks[--expires->chunk_count]);
    }
}

void hl_expires_fini(struct hl_expires *expires)
{
    for (size_t i = 0; i < expires->chunk_count; i++) {
        hl_free(expires->chunks[i]);
    }
    hl_free(expires->chunks);
    *expires = (struct hl_expires){0};
}

/* Look at up to `effort` entries of one database, from the cursor down: what a removal moves into
 * the hole was looked at already. */
static size_t cycle_db(struct hl_db *db, size_t effort,
                       void (*dead)(void *ctx, int db, struct hl_slice key), void *ctx,
                       size_t *dead_count)
{
    struct hl_expires *expires = &db->expires;
    size_t looked = 0;
    size_t limit = effort < expires->count ? effort : expires->count;
    while (looked < limit && expires->count != 0) {
        if (expires->cursor == 0 || expires->cursor > expires->count) {
            expires->cursor = expires->count;
        }
        expires->cursor--;
        looked++;
        const struct hl_entry *entry = *hl_expires_at(expires, expires->cursor);
        if (expires->cursor >= 4) {
            __builtin_prefetch(*hl_expires_at(expires, expires->cursor - 4));
        }
        if (hl_entry_is_dead(db->ks, entry)) {
            (*dead_count)++;
            dead(ctx, db->index, hl_entry_key(entry));
        }
    }
    return looked;
}

size_t hl_ks_expire_cycle(struct hl_keyspace *ks, size_t effort,
                          void (*dead)(void *ctx, int db, struct hl_slice key), void *ctx,
                          unsigned *stale_percent)
{
    size_t looked = 0;
    size_t dead_count = 0;
    int used = 0;
    for (int i = 0; i < ks->db_count; i++) {
        used += ks->dbs[i].expires.count != 0;
    }
    for (int i = 0; i < ks->db_count && used != 0 && looked < effort; i++) {
        if (ks->dbs[i].expires.count != 0) {
            size_t share = (effort - looked) / (size_t)used;
            used--;
            looked += cycle_db(&ks->dbs[i], share != 0 ? share : 1, dead, ctx, &dead_count);
        }
    }
    if (stale_percent != NULL) {
        *stale_percent = looked != 0 ? (unsigned)(100 * dead_count / looked) : 0;
    }
    return looked;
}
