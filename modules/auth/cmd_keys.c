/* KEYS, JWKS, ROTATE: the signing keys. */
#include "commands.h"

#include "audit.h"
#include "settings.h"

#include "kit/base64.h"

/* The public half as a JSON Web Key; nothing for HS256, which has none. */
static void format_jwk(struct hl_buf *out, const struct keyring_entry *key)
{
    size_t half = 32;
    if (key->alg == JWS_HS256) {
        return;
    }
    const unsigned char *x = key->public_key + (key->alg == JWS_ES256 ? 1 : 0);
    hl_buf_printf(out, "{\"kty\":\"%s\",\"crv\":\"%s\",\"x\":\"",
                  key->alg == JWS_ES256 ? "EC" : "OKP",
                  key->alg == JWS_ES256 ? "P-256" : "Ed25519");
    hl_base64url_append(out, x, half);
    if (key->alg == JWS_ES256) {
        hl_buf_append_text(out, "\",\"y\":\"");
        hl_base64url_append(out, x + half, half);
    }
    hl_buf_printf(out, "\",\"kid\":\"%s\",\"alg\":\"%s\",\"use\":\"sig\"}", key->kid,
                  jws_alg_name(key->alg));
}

static const char *state_name(const struct keyring_entry *key, int64_t now_ms)
{
    switch (key->state) {
    case KEY_NEXT:
        return "next";
    case KEY_ACTIVE:
        return "active";
    case KEY_RETIRED:
        return key->verify_until_ms > now_ms ? "retired" : "expired";
    }
    return "expired";
}

static void reply_key(RedisModuleCtx *ctx, const struct keyring_entry *key, int64_t now_ms)
{
    struct hl_buf jwk = {0};
    format_jwk(&jwk, key);
    RedisModule_ReplyWithMap(ctx, 8);
    reply_text(ctx, "kid", key->kid);
    reply_text(ctx, "alg", jws_alg_name(key->alg));
    reply_text(ctx, "state", state_name(key, now_ms));
    reply_number(ctx, "created", key->created_ms / 1000);
    reply_number(ctx, "active_from", key->active_ms / 1000);
    reply_number(ctx, "retired", key->retired_ms / 1000);
    reply_number(ctx, "verify_until", key->verify_until_ms / 1000);
    RedisModule_ReplyWithCString(ctx, "jwk");
    RedisModule_ReplyWithStringBuffer(ctx, jwk.len == 0 ? "" : jwk.ptr, jwk.len);
    hl_buf_fini(&jwk);
}

static int list_keys(RedisModuleCtx *ctx)
{
    struct keyring_record ring;
    if (access_ring(ctx, &ring) != HL_OK) {
        return reply_error(ctx, "AUTHKEYS", "the key ring in auth:keys is damaged");
    }
    RedisModule_ReplyWithArray(ctx, (long)ring.count);
    for (size_t i = 0; i < ring.count; i++) {
        reply_key(ctx, &ring.keys[i], RedisModule_Milliseconds());
    }
    return REDISMODULE_OK;
}

int cmd_jwks(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    struct keyring_record ring;
    struct hl_buf out = {0};
    int64_t now_ms = RedisModule_Milliseconds();
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    if (access_ring(ctx, &ring) != HL_OK) {
        return reply_error(ctx, "AUTHKEYS", "the key ring in auth:keys is damaged");
    }
    hl_buf_append_text(&out, "{\"keys\":[");
    bool first = true;
    for (size_t i = 0; i < ring.count; i++) {
        const struct keyring_entry *key = &ring.keys[i];
        if (key->alg == JWS_HS256 ||
            (key->state == KEY_RETIRED && key->verify_until_ms <= now_ms)) {
            continue;
        }
        hl_buf_append_text(&out, first ? "" : ",");
        format_jwk(&out, key);
        first = false;
    }
    hl_buf_append_text(&out, "]}");
    RedisModule_ReplyWithStringBuffer(ctx, out.ptr, out.len);
    hl_buf_fini(&out);
    return REDISMODULE_OK;
}

/* Reply the id of a new key, or why there is none. */
static int reply_new(RedisModuleCtx *ctx, hl_err err, const char *kid, const struct hl_errmsg *msg)
{
    if (err != HL_OK) {
        RedisModule_Log(ctx, "warning", "%s", msg->text);
        return reply_error(ctx, "AUTHKEYS", msg->text);
    }
    audit_note(ctx, &(struct audit_event){.action = "key-rotate", .target = kid, .result = "ok"});
    return RedisModule_ReplyWithCString(ctx, kid);
}

int cmd_keys(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    char kid[JWS_KID_LEN + 1];
    struct hl_errmsg msg = {0};
    enum jws_alg alg = (enum jws_alg)settings()->algorithm;
    if (argc > 3) {
        return RedisModule_WrongArity(ctx);
    }
    if (argc == 1 || (argc == 2 && hl_slice_is(arg_slice(argv[1]), "LIST"))) {
        return list_keys(ctx);
    }
    if (!hl_slice_is(arg_slice(argv[1]), "ROTATE")) {
        return RedisModule_ReplyWithError(ctx, "ERR syntax error");
    }
    if (argc == 3 && !jws_alg_parse(arg_slice(argv[2]), &alg)) {
        return RedisModule_ReplyWithError(ctx, "ERR the algorithm is ES256, EdDSA or HS256");
    }
    hl_err err = access_plan(ctx, alg, kid, &msg);
    return reply_new(ctx, err, kid, &msg);
}

int cmd_rotate(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    char kid[JWS_KID_LEN + 1];
    struct hl_errmsg msg = {0};
    if (argc > 2) {
        return RedisModule_WrongArity(ctx);
    }
    if (argc == 2 && !hl_slice_is(arg_slice(argv[1]), "NOW")) {
        return RedisModule_ReplyWithError(ctx, "ERR syntax error");
    }
    hl_err err = access_rotate(ctx, (enum jws_alg)settings()->algorithm, argc == 2, kid, &msg);
    return reply_new(ctx, err, kid, &msg);
}
