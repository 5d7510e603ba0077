/* The ring of facts.
 *
 *   G1  count <= cap <= JOBS_FEED_MAX, count < next; facts next - count .. next - 1 are kept.
 *   G2  fact n is at (n - 1) % cap: a ring that grows places its facts anew.
 */
#include "feed.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#define CAP_FIRST 16u

void jobs_feed_fini(struct jobs_feed *feed)
{
    hl_free(feed->ring);
    *feed = (struct jobs_feed){.next = 1};
}

static struct jobs_fact *slot(const struct jobs_feed *feed, uint64_t number)
{
    return &feed->ring[(number - 1) % feed->cap];
}

/* Make room for one more: facts find their new places by their numbers. */
static void grow(struct jobs_feed *feed)
{
    struct jobs_feed larger = *feed;
    larger.cap = feed->cap == 0 ? CAP_FIRST : feed->cap * 2;
    if (larger.cap > JOBS_FEED_MAX) {
        larger.cap = JOBS_FEED_MAX;
    }
    larger.ring = hl_calloc(larger.cap, sizeof *larger.ring);
    for (uint64_t n = jobs_feed_first(feed); n < feed->next; n++) {
        *slot(&larger, n) = *slot(feed, n);
    }
    hl_free(feed->ring);
    *feed = larger;
}

void jobs_feed_add(struct jobs_feed *feed, const struct jobs_fact *fact)
{
    HL_ASSERT(feed->next != 0 && feed->count <= feed->cap);
    if (feed->count == feed->cap && feed->cap < JOBS_FEED_MAX) {
        grow(feed);
    }
    *slot(feed, feed->next) = *fact;
    feed->next++;
    if (feed->count < feed->cap) {
        feed->count++;
    }
}

uint64_t jobs_feed_first(const struct jobs_feed *feed)
{
    return feed->next - feed->count;
}

const struct jobs_fact *jobs_feed_at(const struct jobs_feed *feed, uint64_t number)
{
    HL_ASSERT(number >= jobs_feed_first(feed) && number < feed->next);
    return slot(feed, number);
}

size_t jobs_feed_bytes(const struct jobs_feed *feed)
{
    return feed->cap * sizeof *feed->ring;
}

const char *jobs_happening_name(enum jobs_happening what)
{
    static const char *const names[JOBS_HAPPENINGS] = {
        "enqueued",    "dequeued",      "acked",    "nacked",    "lease_expired",
        "ttl_expired", "lease_dropped", "released", "cancelled", "retried"};
    HL_ASSERT(what < JOBS_HAPPENINGS);
    return names[what];
}
