/* SIGHUP, CONFIG RELOAD: what changed in the file since it was last read; CONFIG DIFF, EXPORT: what
 * is in use, and what the file says. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/config_internal.h"

/* The file as read now, next to what is in use. */
struct reload {
    struct hl_config *cfg;
    struct hl_config *fresh;
    struct hl_config_reload *out;
    struct config_staged *staged;
    size_t staged_count;
    char *seen[HL_CFG_COUNT]; /* the file's new text of each setting, NULL when absent */
    bool refused[HL_CFG_COUNT];
};

static char *format_dup(enum hl_cfg id, const struct config_value *value)
{
    struct hl_buf text = {0};
    config_format_value(&config_rows[id], value, &text);
    char *copy = hl_strndup(text.len == 0 ? "" : text.ptr, text.len);
    hl_buf_fini(&text);
    return copy;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void refuse(struct reload *reload, enum hl_cfg id)
{
    hl_buf_append_text(&reload->out->refused_names, reload->out->refused == 0 ? "" : ", ");
    hl_buf_append_text(&reload->out->refused_names, config_rows[id].name);
    reload->out->refused++;
    reload->refused[id] = true;
}

/* Stage the setting when the file changed it and nothing stronger holds it. */
static void compare(struct reload *reload, enum hl_cfg id)
{
    struct hl_config *cfg = reload->cfg;
    struct config_value *fresh = &reload->fresh->values[id];
    char *fresh_text = format_dup(id, fresh);
    char *now_text = format_dup(id, &cfg->values[id]);
    enum hl_cfg_source source = cfg->values[id].source;
    bool in_file = fresh->source == HL_CFG_FROM_FILE;
    reload->seen[id] = in_file ? hl_strndup(fresh_text, strlen(fresh_text)) : NULL;
    bool changed = !same_text(reload->seen[id], cfg->loaded[id]);
    bool overruled = source == HL_CFG_FROM_ENV || source == HL_CFG_FROM_FLAG;
    if (changed && !overruled && strcmp(fresh_text, now_text) != 0) {
        bool shared = config_flag(&config_rows[id], 'G') && hl_config_bool(cfg, HL_CFG_RAFT);
        if (config_flag(&config_rows[id], 'I') || shared) {
            refuse(reload, id);
        } else {
            struct config_staged *staged = &reload->staged[reload->staged_count++];
            *staged = (struct config_staged){.id = id, .value = *fresh};
            fresh->text = NULL; /* taken */
        }
    }
    hl_free(fresh_text);
    hl_free(now_text);
}

static hl_err apply(struct reload *reload, bool strict, struct hl_errmsg *msg)
{
    struct hl_config *cfg = reload->cfg;
    hl_err err = HL_OK;
    if (strict && reload->out->refused != 0) {
        err = hl_fail(msg, HL_EINVAL, "cannot change while the server runs: %.*s",
                      (int)reload->out->refused_names.len, reload->out->refused_names.ptr);
        for (size_t i = 0; i < reload->staged_count; i++) {
            hl_free(reload->staged[i].value.text);
        }
        return err;
    }
    size_t step = strict ? reload->staged_count : 1; /* all together, or each on its own */
    for (size_t i = 0; i < reload->staged_count; i += step) {
        enum hl_cfg failed = HL_CFG_COUNT;
        struct hl_errmsg reason = {0};
        err = config_commit(cfg, reload->staged + i, step, &failed, &reason);
        if (err != HL_OK && strict) {
            return hl_fail(msg, HL_EINVAL, "%s: %s", config_rows[failed].name, reason.text);
        }
        if (err != HL_OK) {
            refuse(reload, failed);
        } else {
            reload->out->changed += (int)step;
        }
    }
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        if (!reload->refused[id]) { /* a refused change is reported again next time */
            hl_free(cfg->loaded[id]);
            cfg->loaded[id] = reload->seen[id];
            reload->seen[id] = NULL;
        }
    }
    return HL_OK;
}

hl_err hl_config_reload(struct hl_config *cfg, bool strict, struct hl_config_reload *out,
                        struct hl_errmsg *msg)
{
    *out = (struct hl_config_reload){0};
    if (cfg->file == NULL) {
        return hl_fail(msg, HL_ENOENT, "the server runs without a config file");
    }
    struct reload *reload = hl_calloc(1, sizeof *reload);
    *reload = (struct reload){.cfg = cfg, .out = out};
    reload->fresh = hl_config_create(cfg->role);
    reload->staged = hl_calloc(HL_CFG_COUNT, sizeof *reload->staged);
    enum config_format format = CONFIG_FORMAT_NONE;
    hl_err err = config_apply_file(reload->fresh, cfg->file, &format, msg);
    if (err == HL_OK) {
        for (int id = 0; id < HL_CFG_COUNT; id++) {
            compare(reload, (enum hl_cfg)id);
        }
        err = apply(reload, strict, msg);
    }
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        hl_free(reload->seen[id]);
    }
    hl_config_destroy(reload->fresh);
    hl_free(reload->staged);
    hl_free(reload);
    return err;
}

/* --- looking ---------------------------------------------------------------------------------- */

/* What anybody may be told of a value. */
static void format_public(enum hl_cfg id, const struct config_value *value, struct hl_buf *out)
{
    hl_buf_clear(out);
    if (config_flag(&config_rows[id], 'S')) {
        bool set = value->text != NULL && value->text[0] != '\0';
        hl_buf_append_text(out, set ? "(set)" : "");
        return;
    }
    config_format_value(&config_rows[id], value, out);
}

static bool differs(enum hl_cfg id, const struct config_value *a, const struct config_value *b)
{
    char *a_text = format_dup(id, a);
    char *b_text = format_dup(id, b);
    bool other = strcmp(a_text, b_text) != 0;
    hl_free(a_text);
    hl_free(b_text);
    return other;
}

hl_err hl_config_diff(const struct hl_config *cfg, hl_config_diff_fn *fn, void *ctx,
                      struct hl_errmsg *msg)
{
    if (cfg->file == NULL) {
        return hl_fail(msg, HL_ENOENT, "the server runs without a config file");
    }
    struct hl_config *fresh = hl_config_create(cfg->role);
    enum config_format format = CONFIG_FORMAT_NONE;
    hl_err err = config_apply_file(fresh, cfg->file, &format, msg);
    struct hl_buf file = {0};
    struct hl_buf live = {0};
    for (int id = 0; err == HL_OK && id < HL_CFG_COUNT; id++) {
        const struct config_value *now = &cfg->values[id];
        bool in_file = fresh->values[id].source == HL_CFG_FROM_FILE;
        bool was_in_file = now->source == HL_CFG_FROM_FILE;
        if ((!in_file && !was_in_file) || !differs((enum hl_cfg)id, &fresh->values[id], now)) {
            continue;
        }
        format_public((enum hl_cfg)id, &fresh->values[id], &file);
        format_public((enum hl_cfg)id, now, &live);
        bool shared = config_flag(&config_rows[id], 'G') && hl_config_bool(cfg, HL_CFG_RAFT);
        fn(ctx, &(struct hl_config_difference){
                    .name = config_rows[id].name,
                    .file = hl_buf_view(&file),
                    .live = hl_buf_view(&live),
                    .immutable = shared || config_flag(&config_rows[id], 'I'),
                    .overridden = now->source == HL_CFG_FROM_ENV || now->source == HL_CFG_FROM_FLAG,
                });
    }
    hl_buf_fini(&file);
    hl_buf_fini(&live);
    hl_config_destroy(fresh);
    return err;
}

size_t hl_config_export(const struct hl_config *cfg, hl_config_get_fn *fn, void *ctx)
{
    struct hl_buf value = {0};
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        format_public((enum hl_cfg)id, &cfg->values[id], &value);
        fn(ctx, hl_slice_of(config_rows[id].name), hl_buf_view(&value));
    }
    for (size_t i = 0; i < cfg->external_count; i++) {
        const struct hl_config_external *external = &cfg->externals[i];
        hl_buf_clear(&value);
        external->get(external->ctx, &value);
        if (external->hidden_value && value.len != 0) {
            hl_buf_clear(&value);
            hl_buf_append_text(&value, "(set)");
        }
        fn(ctx, hl_slice_of(external->name), hl_buf_view(&value));
    }
    hl_buf_fini(&value);
    return HL_CFG_COUNT + cfg->external_count;
}
