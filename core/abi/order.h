/* What MODULE LOADEX says: which file, under which conditions, with which settings and arguments.
 *
 *   path [NAME name] [TYPE name/encoding]... [SHA256 sum]... [CONFIG name value]... [ARGS arg...]
 *
 * The log and snapshots hold the same words, so that every node, and every start, loads the module
 * that the leader loaded.  A file is accepted when its sum is among those given.  One with another
 * sum is accepted, too, when NAME is given and it is a module of that name which has every TYPE
 * given, with that encoding or a later one: so an upgraded file goes on with the data.
 */
#ifndef HL_ABI_ORDER_H
#define HL_ABI_ORDER_H

#include "abi/abi.h"
#include "abi/object.h"

struct hl_module;

/* Slices point into the words it was read from. */
struct hl_order {
    struct hl_slice path;
    struct hl_slice name;   /* empty: any */
    struct hl_slice *types; /* "name/encoding" */
    int type_count;
    unsigned char (*sums)[HL_OBJECT_SUM];
    int sum_count;
    struct hl_abi_setting *settings;
    int setting_count;
    const struct hl_slice *argv; /* for OnLoad */
    int argc;
    bool elsewhere; /* the file may be in the module path instead (object.h) */
};

/* Read the words behind LOADEX.  HL_EINVAL, with nothing to end, when they are malformed. */
HL_MUST_USE hl_err hl_order_read(struct hl_order *out, const struct hl_slice *words, int count,
                                 struct hl_errmsg *msg);

/* The words behind LOAD: a path and arguments. */
void hl_order_plain(struct hl_order *out, const struct hl_slice *words, int count);

/* End either. */
void hl_order_fini(struct hl_order *order);

/* Is the module that was loaded the one that is meant?  HL_EINVAL with the reason. */
HL_MUST_USE hl_err hl_order_check(const struct hl_order *order, const struct hl_module *module,
                                  struct hl_errmsg *msg);

/* Is the sum among those that are accepted? */
bool hl_order_accepts(const struct hl_order *order, const unsigned char *sum);

/* Texts of which each is owned. */
struct hl_words {
    struct hl_slice *at;
    int count, cap;
};

/* Append a copy. */
void hl_words_add(struct hl_words *words, struct hl_slice text);

/* Append SHA256 and a sum, unless it is there. */
void hl_words_add_sum(struct hl_words *words, const unsigned char *sum);

/* Release all. */
void hl_words_fini(struct hl_words *words);

/* Append the order to load `module` again, as it was loaded by `order`; `sums` are further ones
 * that are accepted, beside its own. */
void hl_order_write(const struct hl_order *order, const struct hl_module *module,
                    const struct hl_slice *sums, uint32_t sum_count, struct hl_words *out);

/* Append that, but for the path and the sums. */
void hl_order_write_rest(const struct hl_order *order, const struct hl_module *module,
                         struct hl_words *out);

#endif
