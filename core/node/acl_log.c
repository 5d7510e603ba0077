/* The log of refusals: newest first, bounded. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/acl_internal.h"

#define SAME_WITHIN_MS 60000

static void entry_destroy(struct acl_log_entry *entry)
{
    hl_free(entry->object.ptr);
    hl_free(entry->user.ptr);
    hl_free(entry->client.ptr);
    hl_free(entry);
}

/* Drop the oldest entries past the bound. */
static void trim(struct hl_acl *acl)
{
    struct acl_log_entry **at = &acl->log;
    size_t kept = 0;
    while (*at != NULL && kept < acl->log_max) {
        at = &(*at)->older;
        kept++;
    }
    while (*at != NULL) {
        struct acl_log_entry *entry = *at;
        *at = entry->older;
        entry_destroy(entry);
    }
    acl->log_count = kept;
}

void hl_acl_log_set_max(struct hl_acl *acl, int64_t max)
{
    acl->log_max = max < 0 ? 0 : max > HL_ACL_LOG_MAX ? HL_ACL_LOG_MAX : (size_t)max;
    trim(acl);
}

void hl_acl_log_reset(struct hl_acl *acl)
{
    size_t max = acl->log_max;
    acl->log_max = 0;
    trim(acl);
    acl->log_max = max;
    HL_ASSERT(acl->log == NULL);
}

/* Take the entry of the same refusal out of the list, or NULL; only the newest ten are looked at.
 */
static struct acl_log_entry *take_same(struct hl_acl *acl, enum hl_acl_log_reason reason,
                                       enum hl_acl_log_context context, struct hl_slice object,
                                       struct hl_slice user, int64_t now_ms)
{
    int looked_at = 0;
    for (struct acl_log_entry **at = &acl->log; *at != NULL && looked_at < 10; looked_at++) {
        struct acl_log_entry *entry = *at;
        if (entry->reason == reason && entry->context == context &&
            now_ms - entry->created_ms <= SAME_WITHIN_MS &&
            hl_slice_equal(acl_view(&entry->object), object) &&
            hl_slice_equal(acl_view(&entry->user), user)) {
            *at = entry->older;
            return entry;
        }
        at = &entry->older;
    }
    return NULL;
}

static struct hl_slice cut(struct hl_slice text)
{
    text.len = text.len > HL_ACL_LOG_OBJECT_MAX ? HL_ACL_LOG_OBJECT_MAX : text.len;
    return text;
}

void hl_acl_log_add(struct hl_acl *acl, enum hl_acl_log_reason reason,
                    enum hl_acl_log_context context, struct hl_slice object,
                    struct hl_slice user_name, struct hl_slice client, int64_t now_ms)
{
    if (acl->log_max == 0) {
        return;
    }
    object = cut(object);
    user_name = cut(user_name);
    struct acl_log_entry *entry = take_same(acl, reason, context, object, user_name, now_ms);
    if (entry == NULL) {
        entry = hl_calloc(1, sizeof *entry);
        entry->reason = reason;
        entry->context = context;
        entry->object = acl_text_dup(object);
        entry->user = acl_text_dup(user_name);
        acl->log_count++;
    }
    hl_free(entry->client.ptr);
    entry->client = acl_text_dup(client);
    entry->created_ms = now_ms;
    entry->count++;
    entry->older = acl->log;
    acl->log = entry;
    trim(acl);
}

static void write_entry(const struct acl_log_entry *entry, int64_t now_ms, struct hl_writer *out)
{
    static const char *const reasons[] = {"command", "key", "channel", "auth"};
    static const char *const contexts[] = {"toplevel", "multi", "lua", "module"};
    hl_write_map(out, 7);
    hl_write_bulk_text(out, "count");
    hl_write_int(out, (int64_t)entry->count);
    hl_write_bulk_text(out, "reason");
    hl_write_bulk_text(out, reasons[entry->reason]);
    hl_write_bulk_text(out, "context");
    hl_write_bulk_text(out, contexts[entry->context]);
    hl_write_bulk_text(out, "object");
    hl_write_bulk(out, acl_view(&entry->object));
    hl_write_bulk_text(out, "username");
    hl_write_bulk(out, acl_view(&entry->user));
    hl_write_bulk_text(out, "age-seconds");
    int64_t age_ms = now_ms > entry->created_ms ? now_ms - entry->created_ms : 0;
    hl_write_double(out, (double)age_ms / 1000);
    hl_write_bulk_text(out, "client-info");
    hl_write_bulk(out, acl_view(&entry->client));
}

void hl_acl_log_write(const struct hl_acl *acl, size_t count, int64_t now_ms, struct hl_writer *out)
{
    size_t shown = count < acl->log_count ? count : acl->log_count;
    const struct acl_log_entry *entry = acl->log;
    hl_write_array(out, shown);
    for (size_t i = 0; i < shown; i++) {
        HL_ASSERT(entry != NULL);
        write_entry(entry, now_ms, out);
        entry = entry->older;
    }
}
