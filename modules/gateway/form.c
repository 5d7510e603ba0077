#include "form.h"

#include "kit/num.h"

#include <stdarg.h>
#include <stdio.h>

void gw_form_fault(struct gw_form *form, const char *fmt, ...)
{
    va_list args;
    if (form->why[0] != '\0') {
        return;
    }
    va_start(args, fmt);
    vsnprintf(form->why, sizeof form->why, fmt, args);
    va_end(args);
}

/* NULL when it is missing, or null. */
static const json_t *member(const struct gw_form *form, const char *name)
{
    const json_t *found = form->object == NULL ? NULL : json_object_get(form->object, name);
    return found == NULL || json_is_null(found) ? NULL : found;
}

static struct hl_slice read_text(struct gw_form *form, const char *name, const json_t *value,
                                 size_t least, size_t most)
{
    if (!json_is_string(value)) {
        gw_form_fault(form, "'%s' must be a string", name);
        return (struct hl_slice){0};
    }
    struct hl_slice text = {.ptr = json_string_value(value), .len = json_string_length(value)};
    if (text.len < least || text.len > most) {
        gw_form_fault(form, "'%s' must have %zu to %zu bytes", name, least, most);
        return (struct hl_slice){0};
    }
    return text;
}

struct hl_slice gw_form_text_or(struct gw_form *form, const char *name, size_t least, size_t most)
{
    const json_t *value = member(form, name);
    return value == NULL ? (struct hl_slice){0} : read_text(form, name, value, least, most);
}

struct hl_slice gw_form_text(struct gw_form *form, const char *name, size_t least, size_t most)
{
    const json_t *value = member(form, name);
    if (value == NULL) {
        gw_form_fault(form, "'%s' is missing", name);
        return (struct hl_slice){0};
    }
    return read_text(form, name, value, least, most);
}

static int64_t in_range(struct gw_form *form, const char *name, int64_t number, int64_t fallback,
                        int64_t least, int64_t most)
{
    if (number < least || number > most) {
        gw_form_fault(form, "'%s' must be from %lld to %lld", name, (long long)least,
                      (long long)most);
        return fallback;
    }
    return number;
}

static int64_t read_number(struct gw_form *form, const char *name, const json_t *value,
                           int64_t fallback, int64_t least, int64_t most)
{
    if (!json_is_integer(value)) {
        gw_form_fault(form, "'%s' must be a whole number", name);
        return fallback;
    }
    return in_range(form, name, json_integer_value(value), fallback, least, most);
}

int64_t gw_form_number_or(struct gw_form *form, const char *name, int64_t fallback, int64_t least,
                          int64_t most)
{
    const json_t *value = member(form, name);
    return value == NULL ? fallback : read_number(form, name, value, fallback, least, most);
}

int64_t gw_form_number(struct gw_form *form, const char *name, int64_t least, int64_t most)
{
    const json_t *value = member(form, name);
    if (value == NULL) {
        gw_form_fault(form, "'%s' is missing", name);
        return least;
    }
    return read_number(form, name, value, least, least, most);
}

bool gw_form_flag_or(struct gw_form *form, const char *name, bool fallback)
{
    const json_t *value = member(form, name);
    if (value == NULL) {
        return fallback;
    }
    if (!json_is_boolean(value)) {
        gw_form_fault(form, "'%s' must be true or false", name);
        return fallback;
    }
    return json_is_true(value);
}

int64_t gw_form_query_number(struct gw_form *form, const char *name, struct hl_slice text,
                             int64_t fallback, int64_t least, int64_t most)
{
    int64_t number = 0;
    if (text.ptr == NULL) {
        return fallback;
    }
    if (!hl_parse_i64(text, &number)) {
        gw_form_fault(form, "'%s' must be a whole number", name);
        return fallback;
    }
    return in_range(form, name, number, fallback, least, most);
}
