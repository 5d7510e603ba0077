/* Subjects and their grants, what counts for a user, and bytes. */
#include "policy.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "policy_internal.h"

#define FORMAT 1

struct policy *policy_create(void)
{
    struct policy *policy = hl_calloc(1, sizeof *policy);
    role_put_built_ins(policy);
    return policy;
}

static void subject_destroy(struct subject *subject)
{
    hl_free(subject->grants);
    hl_free(subject);
}

void policy_destroy(struct policy *policy)
{
    if (policy == NULL) {
        return;
    }
    for (size_t i = 0; i < policy->role_count; i++) {
        role_destroy(policy->roles[i]);
    }
    for (size_t i = 0; i < policy->subject_count; i++) {
        subject_destroy(policy->subjects[i]);
    }
    hl_free(policy->roles);
    hl_free(policy->subjects);
    hl_free(policy);
}

bool policy_is_empty(const struct policy *policy)
{
    for (size_t i = 0; i < policy->role_count; i++) {
        if (!policy->roles[i]->built_in) {
            return false;
        }
    }
    return policy->subject_count == 0;
}

bool policy_name_valid(struct hl_slice name, bool group)
{
    if (group) {
        if (name.len == 0 || name.ptr[0] != '@') {
            return false;
        }
        name.ptr++;
        name.len--;
    }
    if (name.len < 1 || name.len > POLICY_NAME_MAX || strchr("+-~%&@", name.ptr[0]) != NULL) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (c <= ' ' || c == 0x7f || c == ',' || c == '(' || c == ')') {
            return false;
        }
    }
    return true;
}

static bool is_group(struct hl_slice name)
{
    return name.len != 0 && name.ptr[0] == '@';
}

/* ---- Grants ---------------------------------------------------------------------------------- */

static size_t place_of(const struct policy *policy, struct hl_slice name, bool *found)
{
    size_t low = 0;
    size_t high = policy->subject_count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = hl_slice_compare(hl_slice_of(policy->subjects[middle]->name), name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct subject *policy_subject(const struct policy *policy, struct hl_slice name)
{
    bool found = false;
    size_t at = place_of(policy, name, &found);
    return found ? policy->subjects[at] : NULL;
}

size_t policy_after(const struct policy *policy, struct hl_slice after)
{
    bool found = false;
    size_t at = place_of(policy, after, &found);
    return at + found;
}

/* The place of a grant, or grant_count. */
static size_t grant_of(const struct subject *subject, struct hl_slice what)
{
    size_t at = 0;
    while (at < subject->grant_count && !hl_slice_equal(what, hl_slice_of(subject->grants[at]))) {
        at++;
    }
    return at;
}

static void remove_grant(struct subject *subject, size_t at)
{
    memmove(subject->grants + at, subject->grants + at + 1,
            (subject->grant_count - at - 1) * sizeof *subject->grants);
    subject->grant_count--;
}

static void remove_subject(struct policy *policy, size_t at)
{
    subject_destroy(policy->subjects[at]);
    memmove(policy->subjects + at, policy->subjects + at + 1,
            (policy->subject_count - at - 1) * sizeof *policy->subjects);
    policy->subject_count--;
}

void subjects_forget(struct policy *policy, struct hl_slice name)
{
    for (size_t i = policy->subject_count; i-- > 0;) {
        struct subject *subject = policy->subjects[i];
        size_t at = grant_of(subject, name);
        if (at < subject->grant_count) {
            remove_grant(subject, at);
        }
        if (subject->grant_count == 0) {
            remove_subject(policy, i);
        }
    }
}

/* Sorted in, so that equal grants are equal bytes. */
static void add_grant(struct subject *subject, struct hl_slice what)
{
    size_t at = 0;
    while (at < subject->grant_count &&
           hl_slice_compare(hl_slice_of(subject->grants[at]), what) < 0) {
        at++;
    }
    subject->grants =
        hl_realloc(subject->grants, (subject->grant_count + 1) * sizeof *subject->grants);
    memmove(subject->grants + at + 1, subject->grants + at,
            (subject->grant_count - at) * sizeof *subject->grants);
    memset(subject->grants[at], 0, sizeof *subject->grants);
    memcpy(subject->grants[at], what.ptr, what.len);
    subject->grant_count++;
}

/* Whether the subject may be granted `what`; NULL, or why not. */
static const char *objection(const struct policy *policy, struct hl_slice subject,
                             struct hl_slice what)
{
    if (is_group(what)) {
        if (is_group(subject)) {
            return "ERR a group is in no group";
        }
        return policy_name_valid(what, true) ? NULL : "ERR a group's name is @ and a name";
    }
    return policy_role(policy, what) != NULL ? NULL : "NOROLE there is no such role";
}

const char *policy_grant(struct policy *policy, struct hl_slice name, const struct hl_slice *what,
                         size_t count, size_t *added)
{
    bool found = false;
    if (!policy_name_valid(name, is_group(name))) {
        return "ERR a name has 1 to 128 printable bytes, no space, comma or parenthesis, and no "
               "sign in front";
    }
    for (size_t i = 0; i < count; i++) {
        const char *error = objection(policy, name, what[i]);
        if (error != NULL) {
            return error;
        }
    }
    size_t at = place_of(policy, name, &found);
    size_t have = found ? policy->subjects[at]->grant_count : 0;
    if (have + count > POLICY_GRANTS_MAX) {
        return "ERR a user or group has at most 64 roles and groups";
    }
    if (!found) {
        if (policy->subject_count == POLICY_SUBJECTS_MAX) {
            return "ERR there are 100000 users and groups already";
        }
        struct subject *subject = hl_calloc(1, sizeof *subject);
        memcpy(subject->name, name.ptr, name.len);
        policy->subjects =
            hl_realloc(policy->subjects, (policy->subject_count + 1) * sizeof *policy->subjects);
        memmove(policy->subjects + at + 1, policy->subjects + at,
                (policy->subject_count - at) * sizeof *policy->subjects);
        policy->subjects[at] = subject;
        policy->subject_count++;
    }
    *added = 0;
    for (size_t i = 0; i < count; i++) {
        if (grant_of(policy->subjects[at], what[i]) == policy->subjects[at]->grant_count) {
            add_grant(policy->subjects[at], what[i]);
            *added += 1;
        }
    }
    policy->epoch += *added != 0;
    return NULL;
}

void policy_revoke(struct policy *policy, struct hl_slice name, const struct hl_slice *what,
                   size_t count, size_t *removed)
{
    bool found = false;
    size_t at = place_of(policy, name, &found);
    *removed = 0;
    if (!found) {
        return;
    }
    struct subject *subject = policy->subjects[at];
    if (count == 0) {
        *removed = subject->grant_count;
        subject->grant_count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        size_t grant = grant_of(subject, what[i]);
        if (grant < subject->grant_count) {
            remove_grant(subject, grant);
            *removed += 1;
        }
    }
    if (subject->grant_count == 0) {
        remove_subject(policy, at);
    }
    policy->epoch += *removed != 0;
}

/* ---- What counts ----------------------------------------------------------------------------- */

static void add_effective(struct effective_list *out, struct effective item)
{
    for (size_t i = 0; i < out->count; i++) {
        if (out->items[i].role == item.role) {
            return;
        }
    }
    if (out->count == POLICY_EFFECTIVE_MAX) {
        out->items[POLICY_EFFECTIVE_MAX - 1].role = NULL; /* too many: decide against everything */
        return;
    }
    out->items[out->count++] = item;
}

/* Add a role, when it exists, and behind it all that it inherits. */
static void add_role(const struct policy *policy, struct hl_slice name, const char *subject,
                     struct effective_list *out)
{
    const struct role *role = policy_role(policy, name);
    if (role == NULL) {
        return;
    }
    size_t next = out->count;
    add_effective(out, (struct effective){role, role->name, subject});
    for (; next < out->count && out->items[next].role != NULL; next++) {
        struct effective from = out->items[next];
        for (size_t p = 0; p < from.role->parent_count; p++) {
            const struct role *parent = policy_role(policy, hl_slice_of(from.role->parents[p]));
            HL_ASSERT(parent != NULL); /* P1 */
            add_effective(out, (struct effective){parent, from.grant, subject});
        }
    }
}

void policy_effective(const struct policy *policy, struct hl_slice user,
                      const struct hl_slice *carried, size_t carried_count,
                      struct hl_slice fallback, struct effective_list *out)
{
    out->count = 0;
    const struct subject *subject = is_group(user) ? NULL : policy_subject(policy, user);
    for (size_t i = 0; subject != NULL && i < subject->grant_count; i++) {
        struct hl_slice grant = hl_slice_of(subject->grants[i]);
        const struct subject *group = is_group(grant) ? policy_subject(policy, grant) : NULL;
        if (!is_group(grant)) {
            add_role(policy, grant, subject->name, out);
        }
        for (size_t g = 0; group != NULL && g < group->grant_count; g++) {
            add_role(policy, hl_slice_of(group->grants[g]), group->name, out);
        }
    }
    if (subject != NULL) {
        return;
    }
    for (size_t i = 0; i < carried_count; i++) {
        add_role(policy, carried[i], "token", out);
    }
    if (carried_count == 0) {
        add_role(policy, fallback, "default", out);
    }
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static void put_u16(struct hl_buf *out, size_t value)
{
    unsigned char bytes[2];
    HL_ASSERT(value <= UINT16_MAX);
    hl_put_le16(bytes, (uint16_t)value);
    hl_buf_append(out, bytes, sizeof bytes);
}

static void put_text(struct hl_buf *out, const char *text)
{
    size_t len = strlen(text);
    put_u16(out, len);
    hl_buf_append(out, text, len);
}

static void put_role(struct hl_buf *out, const struct role *role)
{
    put_text(out, role->name);
    put_text(out, role->description);
    put_u16(out, role->rule_count);
    for (size_t i = 0; i < role->rule_count; i++) {
        put_text(out, role->rules[i]->text);
    }
    put_u16(out, role->parent_count);
    for (size_t i = 0; i < role->parent_count; i++) {
        put_text(out, role->parents[i]);
    }
}

void policy_encode(const struct policy *policy, struct hl_buf *out)
{
    uint32_t stored = 0;
    for (size_t i = 0; i < policy->role_count; i++) {
        stored += !policy->roles[i]->built_in;
    }
    hl_buf_append_u8(out, FORMAT);
    hl_buf_append_le32(out, stored);
    for (size_t i = 0; i < policy->role_count; i++) {
        if (!policy->roles[i]->built_in) {
            put_role(out, policy->roles[i]);
        }
    }
    hl_buf_append_le32(out, (uint32_t)policy->subject_count);
    for (size_t i = 0; i < policy->subject_count; i++) {
        const struct subject *subject = policy->subjects[i];
        put_text(out, subject->name);
        put_u16(out, subject->grant_count);
        for (size_t g = 0; g < subject->grant_count; g++) {
            put_text(out, subject->grants[g]);
        }
    }
}

/* What is left to read; `bad` once it was too short. */
struct reader {
    struct hl_slice rest;
    bool bad;
};

static struct hl_slice get_bytes(struct reader *reader, size_t len)
{
    struct hl_slice bytes = {reader->rest.ptr, len};
    if (reader->bad || reader->rest.len < len) {
        reader->bad = true;
        return (struct hl_slice){"", 0};
    }
    reader->rest.ptr += len;
    reader->rest.len -= len;
    return bytes;
}

static uint32_t get_number(struct reader *reader, size_t width)
{
    struct hl_slice bytes = get_bytes(reader, width);
    if (bytes.len != width) {
        return 0;
    }
    return width == 2 ? hl_get_le16(bytes.ptr) : hl_get_le32(bytes.ptr);
}

static struct hl_slice get_text(struct reader *reader)
{
    return get_bytes(reader, get_number(reader, 2));
}

/* Up to `max` texts; returns how many. */
static size_t get_texts(struct reader *reader, struct hl_slice *texts, size_t max)
{
    size_t count = get_number(reader, 2);
    if (count > max) {
        reader->bad = true;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        texts[i] = get_text(reader);
    }
    return count;
}

static bool get_role(struct reader *reader, struct policy *policy)
{
    struct hl_slice rules[POLICY_RULES_MAX];
    struct hl_slice parents[POLICY_PARENTS_MAX];
    struct role_spec spec = {0};
    spec.name = get_text(reader);
    spec.description = get_text(reader);
    spec.rule_count = get_texts(reader, rules, POLICY_RULES_MAX);
    spec.parent_count = get_texts(reader, parents, POLICY_PARENTS_MAX);
    spec.rules = rules;
    spec.parents = parents;
    struct role *role = NULL;
    if (reader->bad || policy->role_count == POLICY_ROLES_MAX ||
        hl_slice_equal(spec.name, hl_slice_of("admin")) ||
        memchr(spec.description.ptr, '\0', spec.description.len) != NULL ||
        role_make(&role, &spec) != NULL) {
        return false;
    }
    role_put(policy, role);
    return true;
}

static bool get_subject(struct reader *reader, struct policy *policy)
{
    struct hl_slice grants[POLICY_GRANTS_MAX];
    size_t added = 0;
    struct hl_slice name = get_text(reader);
    size_t count = get_texts(reader, grants, POLICY_GRANTS_MAX);
    return !reader->bad && count != 0 && policy_grant(policy, name, grants, count, &added) == NULL;
}

hl_err policy_decode(struct policy **out, struct hl_slice bytes)
{
    struct reader reader = {.rest = bytes};
    struct hl_slice format = get_bytes(&reader, 1);
    if (format.len == 1 && (unsigned char)format.ptr[0] > FORMAT) {
        return HL_EVERSION;
    }
    reader.bad = format.len != 1 || format.ptr[0] != FORMAT;
    struct policy *policy = hl_calloc(1, sizeof *policy);
    uint32_t roles = get_number(&reader, 4);
    bool good = true;
    for (uint32_t i = 0; i < roles && good; i++) {
        good = get_role(&reader, policy);
    }
    role_put_built_ins(policy);
    good = good && role_check_all(policy, NULL) == NULL;
    uint32_t subjects = get_number(&reader, 4);
    for (uint32_t i = 0; i < subjects && good; i++) {
        good = get_subject(&reader, policy);
    }
    struct hl_buf again = {0};
    if (good && !reader.bad && reader.rest.len == 0) {
        policy_encode(policy, &again); /* P4: only the canonical order is ours */
        good = hl_slice_equal(bytes, hl_buf_view(&again));
    } else {
        good = false;
    }
    hl_buf_fini(&again);
    if (!good) {
        policy_destroy(policy);
        return HL_ECORRUPT;
    }
    *out = policy;
    return HL_OK;
}

size_t policy_bytes(const struct policy *policy)
{
    size_t bytes = sizeof *policy + policy->role_count * sizeof(void *) +
                   policy->subject_count * sizeof(void *);
    for (size_t i = 0; i < policy->role_count; i++) {
        const struct role *role = policy->roles[i];
        bytes += sizeof *role + role->rule_count * (sizeof(struct rule) + sizeof(void *)) +
                 role->parent_count * sizeof *role->parents + strlen(role->description) + 1;
    }
    for (size_t i = 0; i < policy->subject_count; i++) {
        bytes += sizeof(struct subject) +
                 policy->subjects[i]->grant_count * sizeof *policy->subjects[i]->grants;
    }
    return bytes;
}
