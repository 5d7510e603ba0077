/* Orders about modules as plugins: what /admin/plugins asks for, carried out one step at a time.
 *
 *   list    which modules run here (MODULE LIST), and what is wished of each (the hash
 *           GW_PLUGIN_KEY: name -> gw_plugin_json())
 *   orders  each is steps: load, look at settings, set them, swap, unload, write down; an order
 *           that fails halfway is taken back, and with `rollback` those before it are, too
 *
 *   O1  only names reach MODULE LOAD, never paths: what the module path does not hold stays out,
 * and enable-module-command decides as for anybody. O2  what serves this very request (gateway,
 * http, auth, rbac) is neither unloaded nor swapped.
 */
#ifndef GATEWAY_PLUGINS_H
#define GATEWAY_PLUGINS_H

#include "gateway.h"
#include "plugin.h"

#define GW_PLUGIN_KEY "gateway:plugins"
#define GW_ORDERS_MAX 64

enum gw_order_kind { GW_ORDER_ENABLE, GW_ORDER_DISABLE, GW_ORDER_RELOAD, GW_ORDER_HEALTH };

enum gw_order_state {
    GW_ORDER_WAITS = 0,
    GW_ORDER_DONE,
    GW_ORDER_FAILED,
    GW_ORDER_SKIPPED,
    GW_ORDER_TAKEN_BACK,
};

enum gw_step {
    GW_STEP_LOAD,
    GW_STEP_PEEK,
    GW_STEP_SET,
    GW_STEP_SWAP,
    GW_STEP_UNLOAD,
    GW_STEP_STORE
};
#define GW_STEPS_MAX 6

struct gw_order {
    enum gw_order_kind kind;
    char name[65];
    const json_t *change; /* of a body; NULL: none */
    bool loaded_before;
    struct gw_plugin before, after;
    enum gw_step steps[GW_STEPS_MAX];
    size_t step_count, at, taken_back; /* steps that are done; of these, undone */
    json_t *old_settings;              /* "module.name" -> text, as they were */
    enum gw_order_state state;
    int status; /* of HTTP, when it failed */
    const char *code;
    char why[200];
};

/* All that one request asks for; kept with its call. */
struct gw_plan {
    struct gw_order orders[GW_ORDERS_MAX];
    size_t count, at;
    bool dry_run, stop_on_error, rollback;
    bool rolling_back, rolled_back;
    json_t *modules; /* of MODULE LIST: name -> its map */
    json_t *wishes;  /* name -> object */
    int64_t begun_ms;
    gw_go_on then;
    json_t *answer; /* of whoever asks, while more is looked up for it; owned */
};

/* Make a plan and keep it with the call. */
struct gw_plan *gw_plan_make(struct gw_call *call);

/* The plan of a call. */
struct gw_plan *gw_plan_of(const struct gw_call *call);

/* Learn what runs and what is wished, then go on. */
void gw_plan_look(struct gw_call *call, gw_go_on then);

/* Prepare orders: what is to be done of each.  After gw_plan_look(). */
void gw_plan_prepare(struct gw_plan *plan);

/* Carry them out (but with dry_run), look again, then go on. */
void gw_plan_run(struct gw_call *call, gw_go_on then);

/* Is a module of that name running? */
bool gw_plan_runs(const struct gw_plan *plan, const char *name);

/* Is the name known: does it run, or was something wished of it? */
bool gw_plan_knows(const struct gw_plan *plan, const char *name);

/* The wishes of a name, the usual ones when there are none; end with gw_plugin_fini(). */
struct gw_plugin gw_plan_wishes(const struct gw_plan *plan, const char *name);

#endif
