/* When and how often a key was used: 24 bits an entry.
 *
 * LRU: seconds of the clock.  LFU: minutes of the last decay (16 bits) and a counter (8 bits) that
 * grows with the logarithm of the accesses and loses one each `lfu_decay_minutes`.
 */
#include "keyspace/entry.h"

#define ACCESS_MASK 0xffffffu
#define LFU_INITIAL 5
#define LFU_MAX 255

static uint32_t minutes_of(const struct hl_keyspace *ks)
{
    return ks->lru_clock / 60 & 0xffffu;
}

static uint32_t lfu_decayed(const struct hl_keyspace *ks, const struct hl_entry *entry)
{
    uint32_t counter = entry->access & 0xffu;
    uint32_t elapsed = (minutes_of(ks) - (entry->access >> 8)) & 0xffffu;
    uint32_t lost = ks->lfu_decay_minutes != 0 ? elapsed / ks->lfu_decay_minutes : 0;
    return lost < counter ? counter - lost : 0;
}

static void put_lfu(const struct hl_keyspace *ks, struct hl_entry *entry, uint32_t counter)
{
    entry->access = (minutes_of(ks) << 8 | counter) & ACCESS_MASK;
}

void hl_entry_touch_lfu(const struct hl_keyspace *ks, struct hl_entry *entry)
{
    uint32_t counter = lfu_decayed(ks, entry);
    if (counter < LFU_MAX) {
        uint64_t base = counter > LFU_INITIAL ? counter - LFU_INITIAL : 0;
        counter += hl_rng_below(ks->rng, base * ks->lfu_log_factor + 1) == 0;
    }
    put_lfu(ks, entry, counter);
}

uint32_t hl_access_fresh_lfu(const struct hl_keyspace *ks)
{
    return minutes_of(ks) << 8 | LFU_INITIAL;
}

uint32_t hl_entry_idle(const struct hl_keyspace *ks, const struct hl_entry *entry)
{
    return ks->lfu ? 0 : (ks->lru_clock - entry->access) & ACCESS_MASK;
}

uint32_t hl_entry_freq(const struct hl_keyspace *ks, const struct hl_entry *entry)
{
    return ks->lfu ? lfu_decayed(ks, entry) : 0;
}

void hl_entry_set_idle(struct hl_keyspace *ks, struct hl_entry *entry, uint32_t seconds)
{
    if (!ks->lfu) {
        uint32_t most = seconds < ks->lru_clock ? seconds : ks->lru_clock;
        entry->access = (ks->lru_clock - most) & ACCESS_MASK;
    }
}

void hl_entry_set_freq(struct hl_keyspace *ks, struct hl_entry *entry, uint32_t freq)
{
    if (ks->lfu) {
        put_lfu(ks, entry, freq < LFU_MAX ? freq : LFU_MAX);
    }
}
