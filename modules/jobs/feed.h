/* feed: what happened to a queue lately, for those who want to follow it.
 *
 * A ring of the latest JOBS_FEED_MAX facts, numbered from 1 without gaps: who asks for what came
 * after a number learns what it has missed.  Part of the queue's state: followers hold the same.
 */
#ifndef JOBS_FEED_H
#define JOBS_FEED_H

#include <stddef.h>
#include <stdint.h>

#define JOBS_FEED_MAX 1000 /* facts that are kept */

/* What can be told.  The numbers are part of the format: never reuse one. */
enum jobs_happening {
    JOBS_H_ENQUEUED = 0,
    JOBS_H_DEQUEUED = 1,
    JOBS_H_ACKED = 2,
    JOBS_H_NACKED = 3,
    JOBS_H_LEASE_EXPIRED = 4,
    JOBS_H_TTL_EXPIRED = 5,
    JOBS_H_LEASE_DROPPED = 6,
    JOBS_H_RELEASED = 7,
    JOBS_H_CANCELLED = 8,
    JOBS_H_RETRIED = 9,
    JOBS_HAPPENINGS = 10,
};

/* One of them. */
struct jobs_fact {
    int64_t at_ms; /* milliseconds since the epoch */
    uint64_t seq;  /* the job's number */
    uint16_t attempts;
    uint8_t what;  /* enum jobs_happening */
    uint8_t state; /* enum jobs_state, afterwards */
};

/* Starts with next = 1 and all else zero; end it with jobs_feed_fini(). */
struct jobs_feed {
    struct jobs_fact *ring; /* fact n is at (n - 1) % cap */
    uint32_t cap;           /* at most JOBS_FEED_MAX: the ring grows until it is whole */
    uint32_t count;
    uint64_t next; /* number of the next fact */
};

/* Release the ring. */
void jobs_feed_fini(struct jobs_feed *feed);

/* Note a fact; the oldest makes room. */
void jobs_feed_add(struct jobs_feed *feed, const struct jobs_fact *fact);

/* The number of the oldest fact kept; feed->next when there is none. */
uint64_t jobs_feed_first(const struct jobs_feed *feed);

/* The fact of that number, which must be kept: jobs_feed_first() <= number < feed->next.  Borrowed
 * until the feed changes. */
const struct jobs_fact *jobs_feed_at(const struct jobs_feed *feed, uint64_t number);

/* Bytes of memory of the ring. */
size_t jobs_feed_bytes(const struct jobs_feed *feed);

/* The happening's name in lower case. */
const char *jobs_happening_name(enum jobs_happening what);

#endif
