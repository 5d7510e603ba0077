#include "base/metrics.h"

#include "base/list.h"
#include "base/siphash.h"
#include "base/table.h"
#include "kit/alloc.h"
#include "kit/assert.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define TOTAL "_total" /* the end of all counters' names */

struct hl_metric {
    uint32_t hash; /* first: base/table.h */
    size_t slot;
    const struct hl_metric_family *family;
    struct hl_metric *next_retired;
    _Atomic uint64_t value;   /* the bits of a double */
    _Atomic uint64_t *counts; /* of a histogram */
    struct hl_slice values[]; /* of the labels; counts and bytes follow in the same block */
};

struct hl_metric_family {
    struct hl_metrics *metrics;
    const void *owner;
    struct hl_metric_info info; /* its texts and numbers are in `block` */
    void *block;
    atomic_uint refs; /* the registry's, while it is defined, and readers' (M3) */

    pthread_mutex_t mutex; /* all below but what is in the slots */
    struct hl_table table;
    size_t used; /* slots that ever held a series */
    struct hl_metric *retired;
    struct hl_metric *dropped;           /* of HL_METRIC_DROPPED, once it has overflowed */
    _Atomic(struct hl_metric *) slots[]; /* series_max, and one for HL_METRIC_OTHER */
};

struct collector {
    uint64_t serial; /* ever growing */
    const void *owner;
    hl_metric_collector *collect;
    void *data;
};

struct hl_metrics {
    uint64_t seed[2];
    atomic_uint readers; /* who walk slots */
    struct hl_metric_family *dropped;
    struct collector collectors[HL_METRIC_COLLECTORS_MAX]; /* by serial */
    size_t collector_count;
    uint64_t next_serial;

    pthread_mutex_t mutex; /* the families: held for a copy of their addresses at most */
    struct hl_metric_family *families[HL_METRIC_FAMILIES_MAX]; /* by name */
    size_t family_count;
};

/* --- text ------------------------------------------------------------------------------------- */

/* Bytes of the UTF-8 character at `text`, of which `len` (1 or more) are there; 0: it is none. */
static size_t utf8_len(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80) {
        return 1;
    }
    size_t want = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || len < want) {
        return 0;
    }
    for (size_t i = 1; i < want; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] >= 0xa0;
    bool beyond = p[0] == 0xf4 && p[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : want;
}

/* Copy `text` to `out` (`max` bytes) as UTF-8: cut between characters, bad bytes as '?' (M5). */
static size_t copy_text(char *out, struct hl_slice text, size_t max)
{
    size_t at = 0;
    size_t len = 0;
    while (at < text.len && len < max) {
        size_t step = utf8_len(text.ptr + at, text.len - at);
        if (step == 0) {
            out[len++] = '?';
            at++;
            continue;
        }
        if (len + step > max) {
            break;
        }
        memcpy(out + len, text.ptr + at, step);
        len += step;
        at += step;
    }
    return len;
}

static bool is_name(const char *text)
{
    size_t len = strnlen(text, HL_METRIC_NAME_MAX + 1);
    if (len == 0 || len > HL_METRIC_NAME_MAX || (text[0] >= '0' && text[0] <= '9')) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(c >= '0' && c <= '9')) {
            return false;
        }
    }
    return true;
}

static bool ends_in(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* --- definitions ------------------------------------------------------------------------------ */

static const char *fault_of_labels(const struct hl_metric_info *info)
{
    if (info->label_count > HL_METRIC_LABELS_MAX) {
        return "too many labels";
    }
    for (size_t i = 0; i < info->label_count; i++) {
        const char *label = info->labels[i];
        if (label == NULL || !is_name(label) || strcmp(label, "le") == 0 ||
            strncmp(label, "__", 2) == 0) {
            return "a label's name is not allowed";
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(label, info->labels[j]) == 0) {
                return "a label is there twice";
            }
        }
    }
    return NULL;
}

static const char *fault_of_bounds(const struct hl_metric_info *info)
{
    bool histogram = info->kind == HL_METRIC_HISTOGRAM;
    if (info->bound_count > HL_METRIC_BOUNDS_MAX || (info->bound_count != 0) != histogram) {
        return "histograms, and nothing else, have 1 to 64 buckets";
    }
    for (size_t i = 0; i < info->bound_count; i++) {
        if (!isfinite(info->bounds[i]) || (i > 0 && info->bounds[i] <= info->bounds[i - 1])) {
            return "the bounds of the buckets are not finite and rising";
        }
    }
    return NULL;
}

/* What is wrong with it, or NULL. */
static const char *fault_of(const struct hl_metric_info *info)
{
    static const char *const kept[] = {"_bucket", "_count", "_sum", "_created"};
    if (info->name == NULL || !is_name(info->name)) {
        return "the name is not allowed";
    }
    if (ends_in(info->name, TOTAL) != (info->kind == HL_METRIC_COUNTER)) {
        return "counters, and nothing else, end in _total";
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(kept); i++) {
        if (ends_in(info->name, kept[i])) {
            return "the name ends like a part of a histogram";
        }
    }
    if (info->help == NULL || info->help[0] == '\0' ||
        strnlen(info->help, HL_METRIC_HELP_MAX + 1) > HL_METRIC_HELP_MAX) {
        return "there is no help text of 1 to 512 bytes";
    }
    if (info->series_max > HL_METRIC_SERIES_MAX) {
        return "too many series";
    }
    const char *fault = fault_of_labels(info);
    return fault != NULL ? fault : fault_of_bounds(info);
}

/* Copy what `info` points to into one block. */
static void keep_info(struct hl_metric_family *family, const struct hl_metric_info *info)
{
    size_t size = info->label_count * sizeof(char *) + info->bound_count * sizeof(double) +
                  strlen(info->name) + 1 + strlen(info->help) + 1;
    for (size_t i = 0; i < info->label_count; i++) {
        size += strlen(info->labels[i]) + 1;
    }
    char *block = hl_calloc(1, size);
    const char **labels = (const char **)(void *)block;
    double *bounds = (double *)(void *)(block + info->label_count * sizeof(char *));
    char *text = (char *)(bounds + info->bound_count);
    family->block = block;
    family->info = *info;
    family->info.labels = labels;
    family->info.bounds = bounds;
    family->info.name = memcpy(text, info->name, strlen(info->name) + 1);
    text += strlen(info->name) + 1;
    (void)copy_text(text, hl_slice_of(info->help), strlen(info->help));
    family->info.help = text;
    text += strlen(info->help) + 1;
    for (size_t i = 0; i < info->label_count; i++) {
        labels[i] = memcpy(text, info->labels[i], strlen(info->labels[i]) + 1);
        text += strlen(info->labels[i]) + 1;
    }
    if (info->bound_count != 0) {
        memcpy(bounds, info->bounds, info->bound_count * sizeof *bounds);
    }
    if (info->series_max == 0) {
        family->info.series_max = HL_METRIC_SERIES;
    }
    if (info->label_count == 0) {
        family->info.series_max = 1;
    }
}

/* Where the name is among the families, or would be.  Under the mutex. */
static size_t place_of(const struct hl_metrics *metrics, const char *name, bool *there)
{
    size_t low = 0;
    size_t high = metrics->family_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(metrics->families[middle]->info.name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *there = low < metrics->family_count && strcmp(metrics->families[low]->info.name, name) == 0;
    return low;
}

/* Is the name taken, or one that readers take for the same?  OpenMetrics calls "a_total" "a". */
static bool is_taken(const struct hl_metrics *metrics, const char *name)
{
    char other[HL_METRIC_NAME_MAX + sizeof TOTAL];
    size_t len = strlen(name);
    bool there = false;
    (void)place_of(metrics, name, &there);
    if (there) {
        return true;
    }
    memcpy(other, name, len + 1);
    if (ends_in(name, TOTAL)) {
        other[len - strlen(TOTAL)] = '\0';
    } else {
        memcpy(other + len, TOTAL, sizeof TOTAL);
    }
    (void)place_of(metrics, other, &there);
    return there;
}

static hl_err insert_family(struct hl_metrics *metrics, struct hl_metric_family *family,
                            struct hl_errmsg *msg)
{
    bool there = false;
    hl_err err = HL_OK;
    pthread_mutex_lock(&metrics->mutex);
    size_t at = place_of(metrics, family->info.name, &there);
    if (is_taken(metrics, family->info.name)) {
        err = hl_fail(msg, HL_EBUSY, "there is a metric %s", family->info.name);
    } else if (metrics->family_count == HL_METRIC_FAMILIES_MAX) {
        err = hl_fail(msg, HL_EFULL, "there are %d metrics", HL_METRIC_FAMILIES_MAX);
    } else {
        memmove(&metrics->families[at + 1], &metrics->families[at],
                (metrics->family_count - at) * sizeof metrics->families[0]);
        metrics->families[at] = family;
        metrics->family_count++;
    }
    pthread_mutex_unlock(&metrics->mutex);
    return err;
}

static void end_series(void *ctx, void *entry)
{
    (void)ctx;
    hl_free(entry);
}

static void release_retired(struct hl_metric_family *family)
{
    while (family->retired != NULL) {
        struct hl_metric *next = family->retired->next_retired;
        hl_free(family->retired);
        family->retired = next;
    }
}

static void unref_family(struct hl_metric_family *family)
{
    if (atomic_fetch_sub(&family->refs, 1) != 1) {
        return;
    }
    hl_free(atomic_load(&family->slots[family->info.series_max]));
    hl_table_fini(&family->table, end_series, NULL);
    release_retired(family);
    pthread_mutex_destroy(&family->mutex);
    hl_free(family->block);
    hl_free(family);
}

hl_err hl_metric_define(struct hl_metrics *metrics, const void *owner,
                        const struct hl_metric_info *info, struct hl_metric_family **out,
                        struct hl_errmsg *msg)
{
    const char *fault = fault_of(info);
    if (fault != NULL) {
        return hl_fail(msg, HL_EINVAL, "metric %.128s: %s", info->name == NULL ? "" : info->name,
                       fault);
    }
    size_t series_max = info->series_max == 0 ? HL_METRIC_SERIES : info->series_max;
    struct hl_metric_family *family =
        hl_calloc(1, sizeof *family + (series_max + 1) * sizeof family->slots[0]);
    family->metrics = metrics;
    family->owner = owner;
    atomic_init(&family->refs, 1);
    pthread_mutex_init(&family->mutex, NULL);
    hl_table_init(&family->table);
    keep_info(family, info);
    if (info->label_count == 0) {
        (void)hl_metric_series(family, NULL);
    }
    hl_err err = insert_family(metrics, family, msg);
    if (err != HL_OK) {
        unref_family(family);
        return err;
    }
    *out = family;
    return HL_OK;
}

void hl_metric_undefine(struct hl_metric_family *family)
{
    if (family == NULL) {
        return;
    }
    struct hl_metrics *metrics = family->metrics;
    bool there = false;
    pthread_mutex_lock(&metrics->mutex);
    size_t at = place_of(metrics, family->info.name, &there);
    HL_ASSERT(there);
    HL_ASSERT(metrics->families[at] == family);
    metrics->family_count--;
    memmove(&metrics->families[at], &metrics->families[at + 1],
            (metrics->family_count - at) * sizeof metrics->families[0]);
    pthread_mutex_unlock(&metrics->mutex);
    unref_family(family);
}

void hl_metrics_drop(struct hl_metrics *metrics, const void *owner)
{
    size_t at = 0;
    while (at < metrics->family_count) { /* only this thread defines and undefines */
        if (metrics->families[at]->owner == owner) {
            hl_metric_undefine(metrics->families[at]);
        } else {
            at++;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < metrics->collector_count; i++) {
        if (metrics->collectors[i].owner != owner) {
            metrics->collectors[kept++] = metrics->collectors[i];
        }
    }
    metrics->collector_count = kept;
}

struct hl_metric_family *hl_metric_find(struct hl_metrics *metrics, const void *owner,
                                        struct hl_slice name)
{
    for (size_t i = 0; i < metrics->family_count; i++) {
        struct hl_metric_family *family = metrics->families[i];
        if (family->owner == owner && hl_slice_equal(hl_slice_of(family->info.name), name)) {
            return family;
        }
    }
    return NULL;
}

const struct hl_metric_info *hl_metric_family_info(const struct hl_metric_family *family)
{
    return &family->info;
}

struct hl_metrics *hl_metrics_create(const uint64_t seed[2])
{
    static const char *const labels[] = {"family"};
    static const struct hl_metric_info dropped = {
        .name = HL_METRIC_DROPPED,
        .help = "Times that a metric had no room for another series and counted under \"other\".",
        .kind = HL_METRIC_COUNTER,
        .labels = labels,
        .label_count = 1,
        .series_max = HL_METRIC_FAMILIES_MAX};
    struct hl_metrics *metrics = hl_calloc(1, sizeof *metrics);
    memcpy(metrics->seed, seed, sizeof metrics->seed);
    pthread_mutex_init(&metrics->mutex, NULL);
    hl_err err = hl_metric_define(metrics, metrics, &dropped, &metrics->dropped, NULL);
    HL_ASSERT(err == HL_OK);
    return metrics;
}

void hl_metrics_destroy(struct hl_metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    HL_ASSERT(atomic_load(&metrics->readers) == 0);
    while (metrics->family_count != 0) {
        hl_metric_undefine(metrics->families[metrics->family_count - 1]);
    }
    pthread_mutex_destroy(&metrics->mutex);
    hl_free(metrics);
}

/* --- series ----------------------------------------------------------------------------------- */

/* The labels of a series as bytes, bounded and clean, for comparing and keeping. */
struct label_set {
    struct hl_slice values[HL_METRIC_LABELS_MAX];
    char bytes[HL_METRIC_LABELS_MAX * HL_METRIC_VALUE_MAX];
    size_t count, len;
};

static void clean_labels(struct label_set *out, const struct hl_slice *values, size_t count)
{
    out->count = count;
    out->len = 0;
    for (size_t i = 0; i < count; i++) {
        size_t len = copy_text(out->bytes + out->len, values[i], HL_METRIC_VALUE_MAX);
        out->values[i] = (struct hl_slice){.ptr = out->bytes + out->len, .len = len};
        out->len += len;
    }
}

static uint64_t hash_of(const struct hl_metrics *metrics, const struct label_set *set)
{
    uint64_t hash = hl_hash(metrics->seed, set->bytes, set->len);
    for (size_t i = 0; i < set->count; i++) {
        hash = hash * 31 + set->values[i].len; /* "ab","c" is not "a","bc" */
    }
    return hash;
}

static bool has_labels(const void *entry, const void *key)
{
    const struct hl_metric *metric = entry;
    const struct label_set *set = key;
    for (size_t i = 0; i < set->count; i++) {
        if (!hl_slice_equal(metric->values[i], set->values[i])) {
            return false;
        }
    }
    return true;
}

static struct hl_metric *find_series(const struct hl_metric_family *family, uint64_t hash,
                                     const struct label_set *set)
{
    if (family->table.count == 0) {
        return NULL;
    }
    void **slot = hl_table_find(&family->table, hash, has_labels, set);
    return slot == NULL ? NULL : *slot;
}

static struct hl_metric *new_series(struct hl_metric_family *family, uint64_t hash,
                                    const struct label_set *set, size_t slot)
{
    const struct hl_metric_info *info = &family->info;
    size_t buckets = info->kind == HL_METRIC_HISTOGRAM ? info->bound_count + 1 : 0;
    struct hl_metric *metric = hl_calloc(1, sizeof *metric + set->count * sizeof metric->values[0] +
                                                buckets * sizeof metric->counts[0] + set->len);
    metric->counts = (_Atomic uint64_t *)(void *)(metric->values + set->count);
    char *bytes = (char *)(metric->counts + buckets);
    metric->hash = (uint32_t)hash;
    metric->slot = slot;
    metric->family = family;
    for (size_t i = 0; i < set->count; i++) {
        struct hl_slice value = set->values[i];
        metric->values[i] = (struct hl_slice){.ptr = bytes, .len = value.len};
        memcpy(bytes, value.ptr, value.len);
        bytes += value.len;
    }
    atomic_store(&family->slots[slot], metric); /* readers see it whole */
    return metric;
}

static size_t free_slot(struct hl_metric_family *family)
{
    if (family->table.count < family->used) {
        for (size_t i = 0; i < family->used; i++) {
            if (atomic_load(&family->slots[i]) == NULL) {
                return i;
            }
        }
    }
    return family->used++;
}

/* The series that is shared by what finds no room (M4). */
static struct hl_metric *other_series(struct hl_metric_family *family)
{
    struct hl_metric *other = atomic_load(&family->slots[family->info.series_max]);
    if (other == NULL) {
        struct hl_slice values[HL_METRIC_LABELS_MAX];
        struct label_set set;
        for (size_t i = 0; i < family->info.label_count; i++) {
            values[i] = hl_slice_of(HL_METRIC_OTHER);
        }
        clean_labels(&set, values, family->info.label_count);
        other = new_series(family, 0, &set, family->info.series_max);
    }
    struct hl_metric_family *dropped = family->metrics->dropped;
    if (family->dropped == NULL && dropped != family) {
        struct hl_slice name = hl_slice_of(family->info.name);
        family->dropped = hl_metric_series(dropped, &name);
    }
    hl_metric_add(family->dropped, 1);
    return other;
}

struct hl_metric *hl_metric_series(struct hl_metric_family *family, const struct hl_slice *values)
{
    struct label_set set;
    clean_labels(&set, values, family->info.label_count);
    uint64_t hash = hash_of(family->metrics, &set);
    pthread_mutex_lock(&family->mutex);
    struct hl_metric *metric = find_series(family, hash, &set);
    if (metric == NULL && family->table.count < family->info.series_max) {
        metric = new_series(family, hash, &set, free_slot(family));
        hl_table_insert(&family->table, hash, metric);
    } else if (metric == NULL) {
        metric = other_series(family);
    }
    pthread_mutex_unlock(&family->mutex);
    return metric;
}

/* Take it out of its slot; it is in no table.  Under the family's mutex. */
static void retire(struct hl_metric_family *family, struct hl_metric *metric)
{
    atomic_store(&family->slots[metric->slot], NULL);
    metric->next_retired = family->retired;
    family->retired = metric;
    /* Both of these and what a reader does are in one order for all threads: whoever begins to read
     * after this load finds the slot empty (M2). */
    if (atomic_load(&family->metrics->readers) == 0) {
        release_retired(family);
    }
}

void hl_metric_forget(struct hl_metric_family *family, const struct hl_slice *values)
{
    struct label_set set;
    clean_labels(&set, values, family->info.label_count);
    uint64_t hash = hash_of(family->metrics, &set);
    pthread_mutex_lock(&family->mutex);
    void **slot =
        family->table.count == 0 ? NULL : hl_table_find(&family->table, hash, has_labels, &set);
    if (slot != NULL) {
        struct hl_metric *metric = *slot;
        hl_table_remove(&family->table, slot);
        retire(family, metric);
    }
    pthread_mutex_unlock(&family->mutex);
}

void hl_metric_forget_all(struct hl_metric_family *family)
{
    if (family->info.label_count == 0) {
        return;
    }
    pthread_mutex_lock(&family->mutex);
    hl_table_fini(&family->table, NULL, NULL);
    for (size_t i = 0; i <= family->info.series_max; i++) {
        struct hl_metric *metric = atomic_load(&family->slots[i]);
        if (metric != NULL) {
            retire(family, metric);
        }
    }
    family->used = 0;
    pthread_mutex_unlock(&family->mutex);
}

/* --- moving (M1) ------------------------------------------------------------------------------ */

static double number_of(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static uint64_t bits_of(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static void add_to(_Atomic uint64_t *value, double delta)
{
    uint64_t old = atomic_load_explicit(value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(value, &old, bits_of(number_of(old) + delta),
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

void hl_metric_add(struct hl_metric *metric, double delta)
{
    if (metric == NULL || isnan(delta)) {
        return;
    }
    enum hl_metric_kind kind = metric->family->info.kind;
    if (kind == HL_METRIC_GAUGE || (kind == HL_METRIC_COUNTER && delta > 0)) {
        add_to(&metric->value, delta);
    }
}

void hl_metric_set(struct hl_metric *metric, double value)
{
    if (metric == NULL) {
        return;
    }
    enum hl_metric_kind kind = metric->family->info.kind;
    if (kind == HL_METRIC_GAUGE || (kind == HL_METRIC_COUNTER && value >= 0)) {
        atomic_store_explicit(&metric->value, bits_of(value), memory_order_relaxed);
    }
}

void hl_metric_observe(struct hl_metric *metric, double value)
{
    if (metric == NULL || metric->family->info.kind != HL_METRIC_HISTOGRAM || isnan(value)) {
        return;
    }
    const struct hl_metric_info *info = &metric->family->info;
    size_t low = 0;
    size_t high = info->bound_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (info->bounds[middle] < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    atomic_fetch_add_explicit(&metric->counts[low], 1, memory_order_relaxed);
    add_to(&metric->value, value);
}

void hl_metric_set_histogram(struct hl_metric *metric, const uint64_t *counts, double sum)
{
    if (metric == NULL || metric->family->info.kind != HL_METRIC_HISTOGRAM) {
        return;
    }
    for (size_t i = 0; i <= metric->family->info.bound_count; i++) {
        atomic_store_explicit(&metric->counts[i], counts[i], memory_order_relaxed);
    }
    atomic_store_explicit(&metric->value, bits_of(sum), memory_order_relaxed);
}

double hl_metric_value(const struct hl_metric *metric)
{
    return number_of(atomic_load_explicit(&metric->value, memory_order_relaxed));
}

/* --- collecting ------------------------------------------------------------------------------- */

bool hl_metrics_add_collector(struct hl_metrics *metrics, const void *owner,
                              hl_metric_collector *collect, void *data)
{
    if (metrics->collector_count == HL_METRIC_COLLECTORS_MAX) {
        return false;
    }
    metrics->collectors[metrics->collector_count++] = (struct collector){
        .serial = ++metrics->next_serial, .owner = owner, .collect = collect, .data = data};
    return true;
}

bool hl_metrics_collect(struct hl_metrics *metrics, struct hl_metrics_round *round)
{
    for (size_t i = 0; i < metrics->collector_count; i++) {
        struct collector at = metrics->collectors[i];
        if (at.serial < round->serial) {
            continue;
        }
        round->progress = at.serial == round->serial ? round->progress : 0;
        bool more = at.collect(at.data, &round->progress);
        round->serial = at.serial + (more ? 0 : 1);
        round->progress = more ? round->progress : 0;
        return true;
    }
    return false;
}

/* --- reading ---------------------------------------------------------------------------------- */

static int by_labels(const void *a, const void *b)
{
    const struct hl_metric *left = *(struct hl_metric *const *)a;
    const struct hl_metric *right = *(struct hl_metric *const *)b;
    for (size_t i = 0; i < left->family->info.label_count; i++) {
        int order = hl_slice_compare(left->values[i], right->values[i]);
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

static void visit_series(const struct hl_metrics_visitor *visitor, const struct hl_metric *metric)
{
    const struct hl_metric_info *info = &metric->family->info;
    uint64_t counts[HL_METRIC_BOUNDS_MAX + 1];
    struct hl_metric_sample sample = {.values = metric->values, .value = hl_metric_value(metric)};
    if (info->kind == HL_METRIC_HISTOGRAM) {
        sample.counts = counts;
        for (size_t i = 0; i <= info->bound_count; i++) {
            counts[i] = atomic_load_explicit(&metric->counts[i], memory_order_relaxed);
            sample.count += counts[i];
        }
    }
    visitor->series(visitor->ctx, info, &sample);
}

static void visit_family(const struct hl_metrics_visitor *visitor,
                         const struct hl_metric_family *family)
{
    if (!visitor->family(visitor->ctx, &family->info)) {
        return;
    }
    struct hl_metric **found = hl_calloc(family->info.series_max + 1, sizeof(struct hl_metric *));
    size_t count = 0;
    for (size_t i = 0; i <= family->info.series_max; i++) {
        struct hl_metric *metric = atomic_load(&family->slots[i]);
        if (metric != NULL) {
            found[count++] = metric;
        }
    }
    qsort(found, count, sizeof(struct hl_metric *), by_labels);
    for (size_t i = 0; i < count; i++) {
        visit_series(visitor, found[i]);
    }
    hl_free(found);
}

void hl_metrics_visit(struct hl_metrics *metrics, const struct hl_metrics_visitor *visitor)
{
    struct hl_metric_family **families =
        hl_calloc(HL_METRIC_FAMILIES_MAX, sizeof(struct hl_metric_family *));
    atomic_fetch_add(&metrics->readers, 1);
    pthread_mutex_lock(&metrics->mutex);
    size_t count = metrics->family_count;
    for (size_t i = 0; i < count; i++) {
        families[i] = metrics->families[i];
        atomic_fetch_add(&families[i]->refs, 1);
    }
    pthread_mutex_unlock(&metrics->mutex);
    for (size_t i = 0; i < count; i++) {
        visit_family(visitor, families[i]);
    }
    atomic_fetch_sub(&metrics->readers, 1);
    for (size_t i = 0; i < count; i++) {
        unref_family(families[i]);
    }
    hl_free(families);
}
