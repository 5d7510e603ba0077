/* What the module rbac offers to other modules: may somebody do something?
 *
 *   static const HeliosRbacService *rbac;
 *   ...
 *   rbac = RedisModule_GetSharedAPI(ctx, HELIOS_RBAC_SERVICE);   // NULL: rbac is not loaded
 *   if (rbac != NULL && rbac->can(ctx, &(HeliosRbacQuestion){
 *           .user = "ada", .user_len = 3, .permission = "kv:get", .key = key, .key_len = len}) ==
 * 1)
 *
 * While a module uses it, rbac cannot be unloaded.  Functions are called on the server's thread, or
 * with its lock.
 */
#ifndef HELIOS_RBAC_SERVICE_H
#define HELIOS_RBAC_SERVICE_H

#include "helios/module_types.h"

#include <stddef.h>
#include <stdint.h>

#define HELIOS_RBAC_SERVICE "rbac.v1"
#define HELIOS_RBAC_ROLES_MAX 64 /* that a question may carry; more are ignored */

typedef struct HeliosRbacQuestion {
    const char *user; /* borrowed, as all here; NULL with length 0: nobody in particular */
    size_t user_len;
    const char *const *roles; /* what the caller's token says, NUL-terminated names; may be NULL */
    size_t role_count;        /* they count when the user has no grants of his own */
    const char *permission;   /* "kv:get", NUL-terminated */
    const char *key;          /* NULL: no key is in question */
    size_t key_len;
} HeliosRbacQuestion;

typedef struct HeliosRbacService {
    size_t struct_size; /* of the version that is offered; later ones only add behind */

    /* 1 allowed, 0 denied, -1 the question is malformed.  `ctx` is a context of the caller whose
     * lock it holds.  About a microsecond; less for what was asked since the policy last changed.
     */
    int (*can)(RedisModuleCtx *ctx, const HeliosRbacQuestion *question);

    /* Rises with every change of the policy: what was decided before may be remembered until then.
     */
    uint64_t (*epoch)(void);
} HeliosRbacService;

#endif
