#include "node/snapshot.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/node_internal.h"
#include "node/tables.h"
#include "raft/mutant.h"

#define FLAG_EXPIRE 1
#define FLAG_IDLE 2
#define FLAG_FREQ 4
#define FLUSH_SIZE (1u << 20) /* bytes gathered before they are written */

struct hl_snap_label hl_snapshot_label(const struct hl_node *node)
{
    hl_term term = node->cluster.term;
    term = term > node->snapshot_term ? term : node->snapshot_term;
    hl_index base = node->last > node->snapshot_index ? node->last : node->snapshot_index;
    if (node->wal != NULL && !hl_replica_term_at(node, node->last, &term)) {
        HL_ASSERT(node->last == node->snapshot_index); /* what is older is in the snapshot */
        term = node->snapshot_term;
    }
    struct hl_snap_label label = {
        .index = node->wal != NULL ? node->last : base + 1,
        .term = term,
        .log_time_us = node->log_time_us,
    };
    memcpy(label.cluster_id, node->cluster_id, sizeof label.cluster_id);
    if (HL_MUTANT(WRONG_LABEL) && hl_replica_term_at(node, node->commit, &term)) {
        label.index = node->commit;
        label.term = term;
    }
    return label;
}

struct saver {
    struct hl_node *node;
    struct hl_snap_writer *writer;
    struct hl_buf buf;
    struct hl_buf value;
    struct hl_errmsg *msg;
    hl_err err;
    int db;
    uint64_t keys;
};

static void flush(struct saver *s)
{
    if (s->err == HL_OK && s->buf.len != 0) {
        s->err = hl_snap_write(s->writer, s->buf.ptr, s->buf.len, s->msg);
    }
    hl_buf_clear(&s->buf);
}

/* What could not be read back is not written: the save fails and the log stays. */
static void put_block(struct saver *s, struct hl_slice bytes)
{
    if (bytes.len > HL_SNAPSHOT_RECORD_MAX && s->err == HL_OK) {
        s->err = hl_fail(s->msg, HL_EINVAL,
                         "snapshot: a name, value or table of %zu bytes is too long to be saved",
                         bytes.len);
    }
    hl_buf_append_le32(&s->buf, (uint32_t)bytes.len);
    hl_buf_append_slice(&s->buf, bytes);
}

static void save_entry(void *ctx, struct hl_entry *entry)
{
    struct saver *s = ctx;
    if (s->err != HL_OK) {
        return;
    }
    hl_buf_clear(&s->value);
    s->err = hl_dump_value(entry, s->db, &s->node->modules, &s->value);
    if (s->err != HL_OK) {
        struct hl_slice key = hl_entry_key(entry);
        s->err = hl_fail(s->msg, s->err, "snapshot: the value of '%.*s' cannot be saved",
                         (int)(key.len < 100 ? key.len : 100), key.ptr);
        return;
    }
    int64_t when_ms = hl_entry_expire(entry);
    bool lfu = s->node->ks.lfu;
    hl_buf_append_u8(&s->buf, 'K');
    hl_buf_append_u8(&s->buf, (uint8_t)((when_ms != HL_NO_EXPIRE ? FLAG_EXPIRE : 0) |
                                        (lfu ? FLAG_FREQ : FLAG_IDLE)));
    if (when_ms != HL_NO_EXPIRE) {
        hl_buf_append_le64(&s->buf, (uint64_t)when_ms);
    }
    hl_buf_append_le32(&s->buf, lfu ? hl_entry_freq(&s->node->ks, entry)
                                    : hl_entry_idle(&s->node->ks, entry));
    put_block(s, hl_entry_key(entry));
    put_block(s, hl_buf_view(&s->value));
    s->keys++;
    if (s->buf.len > FLUSH_SIZE) {
        flush(s);
    }
}

static void save_db(struct saver *s, int index)
{
    struct hl_db *db = hl_ks_db(&s->node->ks, index);
    if (hl_db_count(db) == 0) {
        return;
    }
    s->db = index;
    hl_buf_append_u8(&s->buf, 'D');
    hl_buf_append_le32(&s->buf, (uint32_t)index);
    uint64_t cursor = 0;
    do {
        cursor = hl_db_scan(db, cursor, save_entry, s);
    } while (cursor != 0 && s->err == HL_OK);
}

static void save_tables(struct saver *s)
{
    for (size_t i = 0; i < s->node->table_count; i++) {
        const struct hl_state_table *table = &s->node->tables[i];
        hl_buf_clear(&s->value);
        hl_buf_append(&s->value, table->name, strlen(table->name) + 1);
        table->save(table->ctx, &s->value);
        hl_buf_append_u8(&s->buf, 'T');
        put_block(s, hl_buf_view(&s->value));
    }
}

static void save_all(struct saver *s)
{
    hl_buf_append_u8(&s->buf, 'V');
    hl_buf_append_le32(&s->buf, HL_SNAPSHOT_VERSION);
    hl_buf_append_le32(&s->buf, hl_level_now(s->node));
    save_tables(s);
    for (int i = 0; i < s->node->ks.db_count && s->err == HL_OK; i++) {
        save_db(s, i);
    }
    hl_buf_append_u8(&s->buf, 'E');
    flush(s);
}

hl_err hl_snapshot_write(struct hl_node *node, const struct hl_disk *disk, const char *dir,
                         const struct hl_snap_label *label, uint64_t *keys, struct hl_errmsg *msg)
{
    struct saver s = {.node = node, .msg = msg};
    if (node->scrub.differs) {
        return hl_fail(msg, HL_EINVAL, "no snapshot is made of data that is known to be wrong");
    }
    if (node->cluster.stop.begun) {
        return hl_fail(msg, HL_EBUSY,
                       "the state holds a part of entry %llu, which cannot be applied",
                       (unsigned long long)node->cluster.stop.index);
    }
    hl_err err = hl_snap_writer_open(&s.writer, disk, dir, label, msg);
    if (err != HL_OK) {
        return err;
    }
    save_all(&s);
    hl_buf_fini(&s.buf);
    hl_buf_fini(&s.value);
    if (s.err != HL_OK) {
        hl_snap_writer_abort(s.writer);
        return s.err;
    }
    if (keys != NULL) {
        *keys = s.keys;
    }
    return hl_snap_writer_finish(s.writer, msg);
}

hl_err hl_snapshot_publish(struct hl_node *node, const struct hl_disk *disk, const char *dir,
                           const struct hl_snap_label *label, struct hl_errmsg *msg)
{
    if (node->wal != NULL && !HL_MUTANT(EARLY_SNAPSHOT)) {
        HL_ASSERT(label->index <= node->commit); /* P2 */
        hl_term term = 0;
        if (label->index < node->snapshot_index || !hl_replica_term_at(node, label->index, &term) ||
            term != label->term) {
            return hl_fail(msg, HL_EINVAL, "the snapshot at %llu holds entries that were undone",
                           (unsigned long long)label->index);
        }
    }
    hl_index tainted = node->scrub.tainted;
    if (node->scrub.differs || (tainted != 0 && label->index <= tainted)) {
        return hl_fail(msg, HL_EINVAL, "the snapshot at %llu may hold data that was wrong",
                       (unsigned long long)label->index);
    }
    hl_err err = hl_snap_publish(disk, dir, label->index, msg);
    if (err != HL_OK) {
        return err;
    }
    node->snapshot_index = label->index;
    node->snapshot_term = label->term;
    if (node->wal != NULL) {
        hl_wal_drop_before(node->wal, label->index + 1, label->term);
        hl_replica_compacted(node);
    }
    return hl_snap_drop_before(disk, dir, label->index, msg);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct hl_snapshot_loader {
    const struct hl_disk *disk;
    const char *dir;
    struct hl_snap_reader *reader;
    struct hl_snap_label label;
    struct hl_buf buf;
    size_t at; /* in buf */
    bool begun, ended, at_end_of_file;
    int db;
    uint64_t keys;
};

void hl_node_load_from(struct hl_node *node, const struct hl_disk *disk, const char *dir)
{
    node->snapshot_loader = hl_calloc(1, sizeof *node->snapshot_loader);
    node->snapshot_loader->disk = disk;
    node->snapshot_loader->dir = dir;
    node->snapshot_disk = disk;
    node->snapshot_dir = dir;
}

void hl_snapshot_load_fini(struct hl_node *node)
{
    struct hl_snapshot_loader *l = node->snapshot_loader;
    if (l == NULL) {
        return;
    }
    hl_snap_reader_close(l->reader);
    hl_buf_fini(&l->buf);
    hl_free(l);
    node->snapshot_loader = NULL;
}

static hl_err begin(struct hl_node *node, struct hl_snapshot_loader *l, struct hl_errmsg *msg)
{
    if (node->cluster.live) { /* it is known which, and a child may be writing the next */
        return hl_snap_reader_open(&l->reader, l->disk, l->dir, node->snapshot_index, &l->label,
                                   msg);
    }
    struct hl_snap_found found = {0};
    hl_err err = hl_snap_find(l->disk, l->dir, true, &found, msg);
    if (found.damaged != 0) {
        hl_node_log(node, 3, "passed over %d damaged snapshots: %s", found.damaged, found.why.text);
    }
    if (err == HL_ENOENT) {
        l->ended = true;
        bool log_holds_all = node->wal != NULL && hl_wal_last(node->wal) != 0;
        return found.damaged != 0 && !log_holds_all
                   ? hl_fail(msg, HL_ECORRUPT, "no snapshot is whole: %s", found.why.text)
                   : HL_OK;
    }
    if (err != HL_OK) {
        return err;
    }
    return hl_snap_reader_open(&l->reader, l->disk, l->dir, found.label.index, &l->label, msg);
}

/* Have at least `need` bytes at `at`; false at the end of the file or on failure (*err). */
static bool have(struct hl_snapshot_loader *l, size_t need, hl_err *err, struct hl_errmsg *msg)
{
    while (l->buf.len - l->at < need && !l->at_end_of_file) {
        if (l->at != 0 && l->at == l->buf.len) {
            hl_buf_clear(&l->buf);
            l->at = 0;
        } else if (l->at > FLUSH_SIZE) {
            hl_buf_consume(&l->buf, l->at);
            l->at = 0;
        }
        size_t want = need > HL_SNAP_BLOCK_MAX ? need : HL_SNAP_BLOCK_MAX;
        size_t got = 0;
        want = want < FLUSH_SIZE ? want : FLUSH_SIZE; /* grow with what the file really has */
        hl_buf_grow(&l->buf, want);
        *err = hl_snap_read(l->reader, l->buf.ptr + l->buf.len, want, &got, msg);
        if (*err != HL_OK) {
            return false;
        }
        l->at_end_of_file = got == 0;
        l->buf.len += got;
    }
    return l->buf.len - l->at >= need;
}

static bool take(struct hl_snapshot_loader *l, size_t need, const char **out, hl_err *err,
                 struct hl_errmsg *msg)
{
    if (!have(l, need, err, msg)) {
        return false;
    }
    *out = l->buf.ptr + l->at;
    l->at += need;
    return true;
}

/* A length and that many bytes.  `offset` is where they start, since the buffer may move. */
static bool take_block(struct hl_snapshot_loader *l, size_t *offset, uint32_t *len, hl_err *err,
                       struct hl_errmsg *msg)
{
    const char *p = NULL;
    if (!take(l, 4, &p, err, msg)) {
        return false;
    }
    *len = hl_get_le32(p);
    if (*len > HL_SNAPSHOT_RECORD_MAX || !take(l, *len, &p, err, msg)) {
        return false;
    }
    *offset = (size_t)(p - l->buf.ptr);
    return true;
}

static hl_err load_key(struct hl_node *node, struct hl_snapshot_loader *l, struct hl_errmsg *msg)
{
    hl_err err = HL_ECORRUPT;
    const char *p = NULL;
    if (!take(l, 1, &p, &err, msg)) {
        return err;
    }
    uint8_t flags = (uint8_t)*p;
    int64_t when_ms = HL_NO_EXPIRE;
    if ((flags & FLAG_EXPIRE) != 0) {
        if (!take(l, 8, &p, &err, msg)) {
            return err;
        }
        when_ms = (int64_t)hl_get_le64(p);
    }
    if (!take(l, 4, &p, &err, msg)) {
        return err;
    }
    uint32_t use = hl_get_le32(p);
    size_t name_at = 0;
    size_t value_at = 0;
    uint32_t name_len = 0;
    uint32_t value_len = 0;
    if (!take_block(l, &name_at, &name_len, &err, msg)) {
        return err;
    }
    struct hl_buf name = {0};
    hl_buf_append(&name, l->buf.ptr + name_at, name_len);
    if (!take_block(l, &value_at, &value_len, &err, msg)) {
        hl_buf_fini(&name);
        return err;
    }
    struct hl_db *db = hl_ks_db(&node->ks, l->db);
    struct hl_slice value = {.ptr = l->buf.ptr + value_at, .len = value_len};
    struct hl_entry *entry = NULL;
    size_t used = 0;
    err = hl_dump_load(db, hl_buf_view(&name), value, &node->modules, &used, &entry, msg);
    if (err == HL_OK) {
        if (when_ms != HL_NO_EXPIRE) {
            entry = hl_db_set_expire(db, entry, when_ms);
        }
        if ((flags & FLAG_IDLE) != 0) {
            hl_entry_set_idle(&node->ks, entry, use);
        } else if ((flags & FLAG_FREQ) != 0) {
            hl_entry_set_freq(&node->ks, entry, use);
        }
        l->keys++;
    }
    hl_buf_fini(&name);
    return err;
}

static hl_err load_table(struct hl_node *node, struct hl_snapshot_loader *l, struct hl_errmsg *msg)
{
    hl_err err = HL_ECORRUPT;
    size_t at = 0;
    uint32_t len = 0;
    if (!take_block(l, &at, &len, &err, msg)) {
        return err;
    }
    const char *bytes = l->buf.ptr + at;
    const char *end = memchr(bytes, '\0', len);
    if (end == NULL) {
        return HL_ECORRUPT;
    }
    struct hl_slice contents = {.ptr = end + 1, .len = len - (size_t)(end + 1 - bytes)};
    for (size_t i = 0; i < node->table_count; i++) {
        if (strcmp(node->tables[i].name, bytes) == 0) {
            return node->tables[i].load(node->tables[i].ctx, contents, msg);
        }
    }
    return hl_fail(msg, HL_EINVAL,
                   "the snapshot holds a table '%.60s' that this server does not "
                   "know: is a module missing?",
                   bytes);
}

/* Can this server read it?  *level is that of the group when it was made. */
static hl_err take_version(const struct hl_node *node, struct hl_snapshot_loader *l,
                           uint32_t *level, struct hl_errmsg *msg)
{
    hl_err err = HL_ECORRUPT;
    const char *p = NULL;
    if (!take(l, 8, &p, &err, msg)) {
        return err;
    }
    *level = hl_get_le32(p + 4);
    uint32_t own = node == NULL ? HL_FEATURE_LEVEL : hl_level_own(node);
    if (hl_get_le32(p) != HL_SNAPSHOT_VERSION || *level > own) {
        return hl_fail(msg, HL_EVERSION,
                       "the snapshot is of version %u, feature level %u; this server reads %u, %u: "
                       "upgrade it",
                       hl_get_le32(p), (unsigned)*level, (unsigned)HL_SNAPSHOT_VERSION,
                       (unsigned)own);
    }
    return HL_OK;
}

static hl_err load_version(struct hl_node *node, struct hl_snapshot_loader *l,
                           struct hl_errmsg *msg)
{
    uint32_t level = 0;
    hl_err err = take_version(node, l, &level, msg);
    if (err == HL_OK) {
        hl_level_seen(node, level);
    }
    return err;
}

static hl_err load_db(struct hl_node *node, struct hl_snapshot_loader *l, struct hl_errmsg *msg)
{
    hl_err err = HL_ECORRUPT;
    const char *p = NULL;
    if (!take(l, 4, &p, &err, msg)) {
        return err;
    }
    uint32_t index = hl_get_le32(p);
    if (index >= (uint32_t)node->ks.db_count) {
        return hl_fail(msg, HL_EINVAL, "the snapshot holds database %u, but `databases` is %d",
                       index, node->ks.db_count);
    }
    l->db = (int)index;
    return HL_OK;
}

static hl_err load_record(struct hl_node *node, struct hl_snapshot_loader *l, struct hl_errmsg *msg)
{
    hl_err err = HL_ECORRUPT;
    const char *p = NULL;
    if (!take(l, 1, &p, &err, msg)) {
        return err;
    }
    switch (*p) {
    case 'V':
        return load_version(node, l, msg);
    case 'T':
        return load_table(node, l, msg);
    case 'D':
        return load_db(node, l, msg);
    case 'K':
        return load_key(node, l, msg);
    case 'E':
        l->ended = true;
        return HL_OK;
    default:
        return HL_ECORRUPT;
    }
}

/* The log goes on where the snapshot ends, or starts there. */
static hl_err fit_log(struct hl_node *node, const struct hl_snap_label *label,
                      struct hl_errmsg *msg)
{
    hl_term term = label->term;
    bool holds = hl_wal_last(node->wal) >= label->index;
    if (holds && hl_replica_term_at(node, label->index, &term) && term != label->term) {
        holds = false; /* what is committed is in the snapshot, so this is not */
    }
    if (!holds) {
        return hl_wal_reset(node->wal, label->index, label->term, msg);
    }
    hl_wal_drop_before(node->wal, label->index + 1, label->term);
    return HL_OK;
}

/* The file must end here, and hl_snap_read() verifies the whole of it when it says so. */
static hl_err finish(struct hl_node *node, struct hl_snapshot_loader *l, struct hl_errmsg *msg)
{
    hl_err err = HL_OK;
    if (have(l, 1, &err, msg)) {
        err = hl_fail(msg, HL_ECORRUPT, "bytes follow the end of the snapshot");
    }
    if (err != HL_OK) {
        return err;
    }
    node->snapshot_index = l->label.index;
    node->snapshot_term = l->label.term;
    if (l->label.log_time_us > node->log_time_us) {
        node->log_time_us = l->label.log_time_us;
    }
    if (node->wal != NULL && !node->cluster.live) {
        err = fit_log(node, &l->label, msg);
    }
    if (err == HL_OK && node->hooks.snapshot_loaded != NULL) {
        node->hooks.snapshot_loaded(node->hooks.ctx);
    }
    return err;
}

/* A table: is it known, and is it the members? */
static hl_err inspect_table(struct hl_node *node, struct hl_snapshot_loader *l,
                            struct hl_config_at *config, struct hl_errmsg *msg)
{
    hl_err err = HL_ECORRUPT;
    size_t at = 0;
    uint32_t len = 0;
    if (!take_block(l, &at, &len, &err, msg)) {
        return err;
    }
    const char *name = l->buf.ptr + at;
    const char *end = memchr(name, '\0', len);
    if (end == NULL) {
        return HL_ECORRUPT;
    }
    struct hl_slice contents = {.ptr = end + 1, .len = len - (size_t)(end + 1 - name)};
    if (strcmp(name, "cluster") == 0) {
        return hl_replica_config_parse(contents, config, msg);
    }
    for (size_t i = 0; node != NULL && i < node->table_count; i++) {
        const struct hl_state_table *table = &node->tables[i];
        if (strcmp(table->name, name) == 0) {
            return table->check == NULL ? HL_OK : table->check(table->ctx, contents, msg);
        }
    }
    if (node == NULL) {
        return HL_OK;
    }
    return hl_fail(msg, HL_EINVAL, "it holds a table '%.60s' that this server does not know", name);
}

hl_err hl_snapshot_inspect(struct hl_node *node, struct hl_snap_reader *reader,
                           struct hl_config_at *config, struct hl_errmsg *msg)
{
    struct hl_snapshot_loader l = {.reader = reader};
    *config = (struct hl_config_at){0};
    const char *p = NULL;
    hl_err err = HL_ECORRUPT;
    bool begun = take(&l, 1, &p, &err, msg) && *p == 'V';
    uint32_t level = 0;
    err = begun ? take_version(node, &l, &level, msg) : err;
    while (err == HL_OK && have(&l, 1, &err, msg) && l.buf.ptr[l.at] == 'T') {
        l.at++;
        err = inspect_table(node, &l, config, msg);
    }
    hl_buf_fini(&l.buf);
    if (err == HL_OK && config->members.count == 0) {
        err = hl_fail(msg, HL_EINVAL, "it names no members");
    }
    if (err == HL_ECORRUPT && msg != NULL && msg->text[0] == '\0') {
        err = hl_fail(msg, err, "it is malformed");
    }
    return err;
}

hl_err hl_snapshot_load_step(struct hl_node *node, int64_t budget_us, struct hl_errmsg *msg)
{
    struct hl_snapshot_loader *l = node->snapshot_loader;
    if (l == NULL) {
        return HL_OK;
    }
    hl_err err = HL_OK;
    if (!l->begun) {
        l->begun = true;
        err = begin(node, l, msg);
    }
    uint64_t start_us = node->world->mono_us(node->world->ctx);
    for (int i = 0; err == HL_OK && !l->ended; i++) {
        err = load_record(node, l, msg);
        node->load_done = l->keys;
        if (i % 64 == 63 &&
            node->world->mono_us(node->world->ctx) - start_us > (uint64_t)budget_us) {
            return err == HL_OK ? HL_ENOENT : err;
        }
    }
    if (err == HL_OK && l->reader != NULL) {
        err = finish(node, l, msg);
    }
    if (err == HL_ECORRUPT && msg != NULL && msg->text[0] == '\0') {
        err = hl_fail(msg, HL_ECORRUPT, "the snapshot at %llu is malformed",
                      (unsigned long long)l->label.index);
    }
    hl_snapshot_load_fini(node);
    return err == HL_ENOENT ? HL_ECORRUPT : err;
}
