/* CONFIG GET, SET and RESETSTAT, the hooks, and settings that live with modules. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/glob.h"
#include "server/config_internal.h"

#include <strings.h>

/* --- hooks -------------------------------------------------------------------------------------
 */

void hl_config_on_change(struct hl_config *cfg, enum hl_cfg id, hl_config_apply_fn *fn, void *ctx)
{
    HL_ASSERT(fn != NULL);
    HL_ASSERT((unsigned)id < HL_CFG_COUNT);
    if (cfg->hook_count == cfg->hook_cap) {
        cfg->hook_cap = cfg->hook_cap == 0 ? 32 : cfg->hook_cap * 2;
        cfg->hooks = hl_realloc(cfg->hooks, cfg->hook_cap * sizeof *cfg->hooks);
    }
    cfg->hooks[cfg->hook_count++] = (struct config_hook){.id = id, .fn = fn, .ctx = ctx};
}

void hl_config_on_resetstat(struct hl_config *cfg, hl_config_reset_fn *fn, void *ctx)
{
    HL_ASSERT(fn != NULL);
    HL_ASSERT(cfg->reset_count < CONFIG_RESETS_MAX);
    cfg->resets[cfg->reset_count++] = (struct config_reset){.fn = fn, .ctx = ctx};
}

void hl_config_resetstat(struct hl_config *cfg)
{
    for (size_t i = 0; i < cfg->reset_count; i++) {
        cfg->resets[i].fn(cfg->resets[i].ctx);
    }
}

void hl_config_on_rewrite_users(struct hl_config *cfg, hl_config_users_fn *fn, void *ctx)
{
    cfg->users = fn;
    cfg->users_ctx = ctx;
}

void hl_config_on_show(struct hl_config *cfg, enum hl_cfg id, hl_config_show_fn *fn, void *ctx)
{
    HL_ASSERT(cfg->show == NULL && fn != NULL);
    cfg->shown = id;
    cfg->show = fn;
    cfg->show_ctx = ctx;
}

static hl_err run_hooks(struct hl_config *cfg, enum hl_cfg id, struct hl_errmsg *msg)
{
    for (size_t i = 0; i < cfg->hook_count; i++) {
        if (cfg->hooks[i].id != id) {
            continue;
        }
        hl_err err = cfg->hooks[i].fn(cfg->hooks[i].ctx, cfg, id, msg);
        if (err != HL_OK) {
            return err;
        }
    }
    return HL_OK;
}

static bool same_value(const struct config_value *a, const struct config_value *b)
{
    return a->num == b->num && (a->text == NULL || b->text == NULL ? a->text == b->text
                                                                   : strcmp(a->text, b->text) == 0);
}

/* Exchange a staged value with the one in place. */
static void swap_value(struct hl_config *cfg, struct config_staged *staged)
{
    struct config_value old = cfg->values[staged->id];
    cfg->values[staged->id] = staged->value;
    staged->value = old;
}

hl_err config_commit(struct hl_config *cfg, struct config_staged *staged, size_t count,
                     enum hl_cfg *failed, struct hl_errmsg *msg)
{
    hl_err err = HL_OK;
    size_t applied = 0;
    for (size_t i = 0; i < count; i++) {
        swap_value(cfg, &staged[i]);
    }
    while (applied < count && err == HL_OK) {
        enum hl_cfg id = staged[applied].id;
        *failed = id;
        bool changed = !same_value(&cfg->values[id], &staged[applied].value);
        err = changed ? run_hooks(cfg, id, msg) : HL_OK;
        applied++;
    }
    if (err != HL_OK) {
        for (size_t i = 0; i < count; i++) {
            swap_value(cfg, &staged[i]);
        }
        for (size_t i = 0; i < applied; i++) {
            struct hl_errmsg ignored;
            (void)run_hooks(cfg, staged[i].id, &ignored); /* the old values were accepted before */
        }
    }
    for (size_t i = 0; i < count; i++) {
        hl_free(staged[i].value.text);
        staged[i].value.text = NULL;
    }
    return err;
}

/* --- settings of modules -----------------------------------------------------------------------
 */

struct hl_config_external *config_find_external(const struct hl_config *cfg, struct hl_slice name)
{
    for (size_t i = 0; i < cfg->external_count; i++) {
        if (hl_slice_is(name, cfg->externals[i].name)) {
            return &cfg->externals[i];
        }
    }
    return NULL;
}

hl_err hl_config_external_add(struct hl_config *cfg, const struct hl_config_external *external)
{
    HL_ASSERT(external->get != NULL && external->set != NULL);
    struct hl_slice name = hl_slice_of(external->name);
    if (config_find(CONFIG_SPACE_NAME, name) != CONFIG_NONE ||
        config_find_external(cfg, name) != NULL) {
        return HL_EBUSY;
    }
    if (cfg->external_count == CONFIG_EXTERNALS_MAX) {
        return HL_ELIMIT;
    }
    cfg->externals = hl_realloc(cfg->externals, (cfg->external_count + 1) * sizeof *cfg->externals);
    cfg->externals[cfg->external_count++] = *external;
    return HL_OK;
}

void hl_config_external_remove(struct hl_config *cfg, const char *module)
{
    size_t len = strlen(module);
    size_t kept = 0;
    for (size_t i = 0; i < cfg->external_count; i++) {
        const char *name = cfg->externals[i].name;
        if (strncasecmp(name, module, len) != 0 || name[len] != '.') {
            cfg->externals[kept++] = cfg->externals[i];
        }
    }
    cfg->external_count = kept;
}

/* --- GET ---------------------------------------------------------------------------------------
 */

/* Which pattern matches the name first; -1 when none.  An exact name matches without its case. */
static int match_pattern(const struct hl_slice *patterns, size_t count, struct hl_slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (hl_glob_match(patterns[i], name, true)) {
            return (int)i;
        }
    }
    return -1;
}

static void format_shown(const struct hl_config *cfg, enum hl_cfg id, struct hl_buf *out)
{
    const struct config_row *row = &config_rows[id];
    if (cfg->show != NULL && cfg->shown == id) {
        cfg->show(cfg->show_ctx, cfg, id, out);
        return;
    }
    if (config_flag(row, 'S') && !config_flag(row, 'R')) {
        bool set = cfg->values[id].text[0] != '\0';
        hl_buf_append_text(out, set ? "(set)" : "");
        return;
    }
    config_format_value(row, &cfg->values[id], out);
}

size_t hl_config_get(const struct hl_config *cfg, const struct hl_slice *patterns, size_t count,
                     hl_config_get_fn *fn, void *ctx)
{
    size_t found = 0;
    struct hl_buf value = {0};
    for (int id = 0; id < HL_CFG_COUNT; id++) {
        struct hl_slice name;
        for (size_t n = 0; config_name_at(&config_rows[id], CONFIG_SPACE_NAME, n, &name); n++) {
            int pattern = match_pattern(patterns, count, name);
            if (pattern < 0) {
                continue;
            }
            found++;
            hl_buf_clear(&value);
            format_shown(cfg, (enum hl_cfg)id, &value);
            if (!hl_glob_is_pattern(patterns[pattern])) {
                name = patterns[pattern]; /* spelled as asked, as Redis does */
            }
            if (fn != NULL) {
                fn(ctx, name, hl_buf_view(&value));
            }
        }
    }
    for (size_t i = 0; i < cfg->external_count; i++) {
        const struct hl_config_external *external = &cfg->externals[i];
        if (match_pattern(patterns, count, hl_slice_of(external->name)) < 0) {
            continue;
        }
        found++;
        hl_buf_clear(&value);
        if (!external->hidden_value) {
            external->get(external->ctx, &value);
        }
        if (fn != NULL) {
            fn(ctx, hl_slice_of(external->name), hl_buf_view(&value));
        }
    }
    hl_buf_fini(&value);
    return found;
}

/* --- SET ---------------------------------------------------------------------------------------
 */

/* One CONFIG SET on its way. */
struct set_run {
    struct config_staged *staged;         /* resolved; parsed as far as parsed_count */
    const struct hl_slice **staged_pairs; /* name and value of each */
    size_t staged_count, parsed_count;
    struct hl_config_external **externals;
    const struct hl_slice **external_values;
    size_t external_count;
};

/* The pair itself cannot be: the name is repeated as the client typed it. */
static hl_err pair_refused(struct hl_errmsg *msg, struct hl_slice name, const char *reason)
{
    struct hl_buf quoted = {0};
    config_quote(name, &quoted);
    hl_err err =
        hl_fail(msg, HL_EINVAL, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
                (int)quoted.len, quoted.ptr, reason);
    hl_buf_fini(&quoted);
    return err;
}

/* The value does not fit the setting, which is named by its own name, in small letters. */
static hl_err set_failed(struct hl_errmsg *msg, struct hl_slice name, const char *reason)
{
    struct hl_buf small = {0};
    hl_buf_append_slice(&small, name);
    for (size_t i = 0; i < small.len; i++) {
        char c = small.ptr[i];
        small.ptr[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    hl_err err = pair_refused(msg, hl_buf_view(&small), reason);
    hl_buf_fini(&small);
    return err;
}

/* May this client change the setting at all?  NULL, or why not. */
static const char *why_not(const struct hl_config *cfg, const struct config_row *row, bool local)
{
    int64_t allow = cfg->values[HL_CFG_ENABLE_PROTECTED_CONFIGS].num;
    bool allowed = allow == HL_ALLOW_YES || (allow == HL_ALLOW_LOCAL && local);
    if (config_flag(row, 'P') && !allowed) {
        return "can't set protected config";
    }
    return config_flag(row, 'I') ? "can't set immutable config" : NULL;
}

/* Find the setting that a pair names.  Every pair is found before any value is looked at. */
static hl_err resolve_pair(struct hl_config *cfg, struct set_run *run, const struct hl_slice *pair,
                           bool local, struct hl_errmsg *msg)
{
    int id = config_find(CONFIG_SPACE_NAME, pair[0]);
    struct hl_config_external *external =
        id == CONFIG_NONE ? config_find_external(cfg, pair[0]) : NULL;
    if (id == CONFIG_NONE && external == NULL) {
        struct hl_buf quoted = {0};
        config_quote(pair[0], &quoted);
        hl_err err = hl_fail(msg, HL_ENOENT,
                             "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                             (int)quoted.len, quoted.ptr);
        hl_buf_fini(&quoted);
        return err;
    }
    if (external != NULL) {
        for (size_t i = 0; i < run->external_count; i++) {
            if (run->externals[i] == external) {
                return pair_refused(msg, pair[0], "duplicate parameter");
            }
        }
        if (external->immutable) {
            return pair_refused(msg, pair[0], "can't set immutable config");
        }
        run->externals[run->external_count] = external;
        run->external_values[run->external_count++] = &pair[1];
        return HL_OK;
    }
    const char *refusal = why_not(cfg, &config_rows[id], local);
    if (refusal != NULL) {
        return pair_refused(msg, pair[0], refusal);
    }
    for (size_t i = 0; i < run->staged_count; i++) {
        if ((int)run->staged[i].id == id) {
            return pair_refused(msg, pair[0], "duplicate parameter");
        }
    }
    run->staged_pairs[run->staged_count] = pair;
    run->staged[run->staged_count++].id = (enum hl_cfg)id;
    return HL_OK;
}

static hl_err parse_staged(struct hl_config *cfg, struct set_run *run, struct hl_errmsg *msg)
{
    for (size_t i = 0; i < run->staged_count; i++) {
        struct config_staged *staged = &run->staged[i];
        const struct hl_slice *pair = run->staged_pairs[i];
        struct hl_errmsg reason = {0};
        hl_err err = config_parse(staged->id, pair[1], false, &cfg->values[staged->id],
                                  &staged->value, &reason);
        if (err != HL_OK) {
            return set_failed(msg, pair[0], reason.text);
        }
        staged->value.source = HL_CFG_FROM_CLIENT;
        run->parsed_count++;
    }
    return HL_OK;
}

/* Set the modules' settings; on failure those already set get their old values back. */
static hl_err set_externals(struct set_run *run, struct hl_errmsg *msg)
{
    struct hl_buf *old = hl_calloc(run->external_count, sizeof *old);
    hl_err err = HL_OK;
    size_t done = 0;
    while (done < run->external_count && err == HL_OK) {
        struct hl_config_external *external = run->externals[done];
        struct hl_errmsg reason = {0};
        external->get(external->ctx, &old[done]);
        err = external->set(external->ctx, *run->external_values[done], &reason);
        if (err == HL_OK && external->apply != NULL) {
            err = external->apply(external->ctx, &reason);
        }
        done++;
        if (err != HL_OK) {
            err = set_failed(msg, hl_slice_of(external->name), reason.text);
        }
    }
    for (size_t i = 0; i < done; i++) {
        struct hl_config_external *external = run->externals[i];
        struct hl_errmsg ignored;
        if (err != HL_OK) {
            (void)external->set(external->ctx, hl_buf_view(&old[i]), &ignored);
            if (external->apply != NULL) {
                (void)external->apply(external->ctx, &ignored);
            }
        }
        hl_buf_fini(&old[i]);
    }
    hl_free(old);
    return err;
}

hl_err hl_config_set(struct hl_config *cfg, const struct hl_slice *words, size_t count, bool local,
                     struct hl_errmsg *msg)
{
    if (count % 2 != 0 || count == 0) {
        return hl_fail(msg, HL_EINVAL, "ERR syntax error");
    }
    if (count / 2 > HL_CFG_COUNT + cfg->external_count) { /* more names than there are */
        return hl_fail(msg, HL_EINVAL, "ERR CONFIG SET failed - duplicate parameter");
    }
    struct set_run run = {
        .staged = hl_calloc(count / 2, sizeof *run.staged),
        .staged_pairs = hl_calloc(count / 2, sizeof(struct hl_slice *)),
        .externals = hl_calloc(count / 2, sizeof *run.externals),
        .external_values = hl_calloc(count / 2, sizeof *run.external_values),
    };
    hl_err err = HL_OK;
    for (size_t i = 0; i < count && err == HL_OK; i += 2) {
        err = resolve_pair(cfg, &run, &words[i], local, msg);
    }
    if (err == HL_OK) {
        err = parse_staged(cfg, &run, msg);
    }
    if (err == HL_OK && run.external_count != 0) {
        err = set_externals(&run, msg);
    }
    if (err == HL_OK) {
        enum hl_cfg failed = HL_CFG_COUNT;
        struct hl_errmsg reason = {0};
        err = config_commit(cfg, run.staged, run.staged_count, &failed, &reason);
        if (err != HL_OK) {
            err = set_failed(msg, hl_slice_of(config_rows[failed].name), reason.text);
        }
    } else {
        for (size_t i = 0; i < run.parsed_count; i++) {
            hl_free(run.staged[i].value.text);
        }
    }
    hl_free(run.staged);
    hl_free(run.staged_pairs);
    hl_free(run.externals);
    hl_free(run.external_values);
    return err;
}
