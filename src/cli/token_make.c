/* SPDX-License-Identifier: Apache-2.0
 *
 * rove token issue, delegate, show, verify: what needs no node. */
#include "cmd_token.h"

#include <base/alloc.h>
#include <channel/name.h>
#include <crypto/crypto.h>
#include <crypto/slab.h>
#include <errno.h>
#include <identity/token_floors.h>
#include <inttypes.h>
#include <shell/files.h>
#include <shell/token_text.h>
#include <string.h>
#include <time.h>

static uint64_t seconds_now(void)
{
    time_t now = time(NULL);
    return now > 0 ? (uint64_t)now : 0;
}

static uint64_t judged_at(const token_command *t)
{
    return t->at == UINT64_MAX ? seconds_now() : t->at;
}

bool token_entity(const char *option, const char *text, rove_entity *ret)
{
    if (text && cli_parse_entity(text, ret))
        return true;
    if (text)
        (void)cli_usage("%s takes an entity (64 hex digits), not \"%s\"", option, text);
    else
        (void)cli_usage("say whom: %s ENTITY", option);
    return false;
}

int token_load(const token_command *t, rove_token_chain *ret)
{
    char bytes[ROVEI_TOKEN_TEXT_MAX + 64];
    bool standard = strcmp(t->token, "-") == 0;
    FILE *in = standard ? stdin : fopen(t->token, "rbe");
    if (!in)
        return cli_fail("%s cannot be read: %s", t->token, strerror(errno));
    size_t size = fread(bytes, 1, sizeof bytes, in);
    bool failed = ferror(in);
    if (!standard)
        (void)fclose(in);
    if (failed)
        return cli_fail("%s cannot be read", t->token);
    if (size == sizeof bytes || rovei_token_read(ret, (rove_span){bytes, size}))
        return cli_fail("%s is no token: it has 169 bytes, a chain of them at most 8 tokens, and "
                        "hex digits do as well",
                        t->token);
    return CLI_DONE;
}

/* ---- channels ---- */

/* The hash that the options name; zero for --wildcard alone. */
static bool channel_of(const token_command *t, uint64_t *ret)
{
    rove_span channel = {t->channel, t->channel ? strlen(t->channel) : 0};
    rove_span group = {t->group, t->group ? strlen(t->group) : 0};
    if (!t->channel) {
        if (t->group)
            (void)cli_usage("--group needs --channel");
        *ret = 0;
        return !t->group;
    }
    rove_err err = rovei_channel_name_check(channel);
    if (!err && t->group && (!group.size || group.size > ROVEI_CHANNEL_NAME_MAX)) {
        (void)cli_usage("the name of a queue group has 1 to 255 bytes");
        return false;
    }
    if (err) {
        (void)cli_usage("--channel %s: %s", t->channel, rove_strerror(err));
        return false;
    }
    *ret = t->group ? rovei_channel_group_hash(channel, group) : rovei_channel_hash(channel);
    return true;
}

static bool scope_of(const token_command *t, uint32_t *ret)
{
    if (t->scope && rovei_token_scope_parse(t->scope, ret))
        return true;
    (void)cli_usage(t->scope ? "--scope takes names with commas between them, of publish, "
                               "subscribe, admin, delegate, wildcard"
                             : "say what may be done: --scope LIST");
    return false;
}

/* ---- the key that signs ---- */

typedef struct signing {
    rovei_env env;
    rovei_keypair *key;
} signing;

static int signing_init(signing *s, const token_command *t)
{
    uint8_t seed[32];
    *s = (signing){.env = {.alloc = rovei_alloc_libc, .rng = rovei_rng_system}};
    if (!t->identity)
        return cli_usage("say who signs: --identity FILE");
    rove_err err = rovei_files_load_hex32(t->identity, seed);
    if (err)
        return cli_fail_file("identity file", t->identity, err);
    err = rovei_slab_new(&s->env.slab, &s->env.alloc);
    if (!err)
        err = rovei_keypair_from_seed(&s->key, &s->env, seed);
    rovei_wipe(seed, sizeof seed);
    return err ? cli_fail("%s", rove_strerror(err)) : CLI_DONE;
}

static void signing_fini(signing *s)
{
    rovei_keypair_unref(s->key);
    if (s->env.slab)
        rovei_slab_free(s->env.slab);
}

/* ---- out ---- */

static int keep(const char *file, const char *text)
{
    rovei_fresh_file f;
    rove_err err = rovei_fresh_file_open(&f, file);
    if (!err) {
        err = rovei_fresh_file_write(&f, (rove_span){text, strlen(text)});
        if (!err)
            err = rovei_fresh_file_write(&f, (rove_span){"\n", 1});
        if (!err)
            err = rovei_fresh_file_keep(&f);
        rovei_fresh_file_drop(&f);
    }
    if (err == ROVE_E_EXISTS)
        return cli_fail("%s is there already and is not overwritten: name another file", file);
    return err ? cli_fail("%s cannot be written: %s", file, rove_strerror(err)) : CLI_DONE;
}

static int give(const token_command *t, const rove_token_chain *c)
{
    char text[ROVEI_TOKEN_TEXT_MAX];
    rovei_token_write(c, text);
    int status = t->output ? keep(t->output, text) : CLI_DONE;
    if (status == CLI_DONE && t->json)
        cli_json(rovei_token_chain_json(c));
    else if (status == CLI_DONE && !t->output)
        printf("%s\n", text);
    return status;
}

static void print_time(const char *name, uint64_t at)
{
    time_t seconds = (time_t)at;
    struct tm parts = {0};
    char text[64] = "far away";
    if (at < UINT64_C(253402300800) && gmtime_r(&seconds, &parts))
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    printf("%s%" PRIu64 " (%s)\n", name, at, text);
}

void token_print(const rove_token_chain *c)
{
    char entity[65], scope[ROVEI_TOKEN_SCOPE_TEXT];
    for (size_t i = 0; i < c->count; i++) {
        const rove_token *l = &c->links[i];
        if (i)
            printf("\n");
        rovei_hex_encode(l->issuer.bytes, sizeof l->issuer.bytes, entity);
        printf("issuer      %s\n", entity);
        rovei_hex_encode(l->subject.bytes, sizeof l->subject.bytes, entity);
        printf("subject     %s\n", entity);
        rovei_token_scope_text(l->scope, scope);
        printf("scope       %s\n", scope);
        if (l->scope & ROVE_SCOPE_WILDCARD)
            printf("channel     every\n");
        else
            printf("channel     0x%" PRIx64 "\n", l->channel);
        print_time("not before  ", l->not_before);
        print_time("not after   ", l->not_after);
        printf("depth       %u\n", l->depth);
        printf("generation  %" PRIu32 "\n", l->generation);
    }
}

/* ---- the commands ---- */

int token_issue(const token_command *t)
{
    rovei_token_grant g = {.not_before = t->not_before ? t->not_before : seconds_now(),
                           .life = t->life / ROVE_SECOND,
                           .generation = t->generation == UINT64_MAX ? 0 : (uint32_t)t->generation,
                           .depth = (uint8_t)t->depth};
    if (!token_entity("--subject", t->subject, &g.subject) || !scope_of(t, &g.scope) ||
        !channel_of(t, &g.channel))
        return CLI_USAGE;
    g.scope |= t->wildcard ? ROVE_SCOPE_WILDCARD : 0;
    if (!t->channel && !(g.scope & ROVE_SCOPE_WILDCARD))
        return cli_usage("say where: --channel NAME or --wildcard");
    if (t->depth > UINT8_MAX)
        return cli_usage("--depth is at most 255");
    if (t->generation != UINT64_MAX && t->generation > UINT32_MAX)
        return cli_usage("--generation is at most 4294967295");
    signing s;
    rove_token_chain c = {.count = 1};
    int status = signing_init(&s, t);
    rove_err err = ROVE_OK;
    if (status == CLI_DONE)
        err = rovei_token_issue(&c.links[0], &s.env.rng, s.key, &g);
    signing_fini(&s);
    if (err)
        return cli_usage("--ttl: %s", rove_strerror(err));
    return status == CLI_DONE ? give(t, &c) : status;
}

int token_delegate(const token_command *t)
{
    rove_token_chain c = {0};
    rove_entity subject;
    uint32_t scope;
    signing s;
    if (!token_entity("--subject", t->subject, &subject) || !scope_of(t, &scope))
        return CLI_USAGE;
    if (t->wildcard)
        scope |= ROVE_SCOPE_WILDCARD;
    int status = token_load(t, &c);
    if (status != CLI_DONE)
        return status;
    status = signing_init(&s, t);
    rove_err err = ROVE_OK;
    if (status == CLI_DONE)
        err = rovei_token_chain_extend(&c, &s.env.rng, s.key, &subject, scope, judged_at(t));
    signing_fini(&s);
    if (err == ROVE_E_TOKEN_NOT_AUTHORIZED)
        return cli_fail("not handed on: %s is not the identity that the token is for", t->identity);
    if (err)
        return cli_fail("not handed on: %s", rove_strerror(err));
    return status == CLI_DONE ? give(t, &c) : status;
}

int token_show(const token_command *t)
{
    rove_token_chain c = {0};
    int status = token_load(t, &c);
    if (status != CLI_DONE)
        return status;
    if (t->json)
        cli_json(rovei_token_chain_json(&c));
    else
        token_print(&c);
    return CLI_DONE;
}

static int load_floors(const token_command *t, rovei_token_floors *floors)
{
    for (size_t i = 0; i < t->floors.count; i++) {
        const char *text = t->floors.items[i];
        char entity[65] = "";
        uint64_t generation;
        rove_entity issuer;
        if (strlen(text) > 65 && text[64] == '=')
            memcpy(entity, text, 64);
        if (!cli_parse_entity(entity, &issuer) || !cli_parse_u64(text + 65, &generation) ||
            generation > UINT32_MAX)
            return cli_usage("--floor takes ENTITY=N, not \"%s\"", text);
        if (rovei_token_floors_raise(floors, &issuer, (uint32_t)generation))
            return cli_fail("out of memory");
    }
    return CLI_DONE;
}

static int judge(const token_command *t, const rove_token_chain *c, rovei_token_demand *d)
{
    rovei_env env = {.alloc = rovei_alloc_libc, .rng = rovei_rng_system};
    rovei_token_floors floors;
    rovei_token_floors_init(&floors, &env, SIZE_MAX);
    int status = load_floors(t, &floors);
    rove_err err = ROVE_OK;
    d->floors = &floors;
    if (status == CLI_DONE)
        err = rovei_token_chain_verify(c, d);
    rovei_token_floors_fini(&floors);
    d->floors = NULL;
    if (t->json && status == CLI_DONE) {
        json_object *o = json_object_new_object();
        json_object_object_add(o, "authorized", json_object_new_boolean(!err));
        json_object_object_add(o, "error", err ? json_object_new_string(rove_err_name(err)) : NULL);
        cli_json(o);
    }
    return err ? cli_fail("not authorized: %s", rove_strerror(err)) : status;
}

int token_verify(const token_command *t)
{
    rove_token_chain c = {0};
    rove_entity presenter = {{0}}, roots[16];
    rovei_token_demand d = {.presenter = &presenter,
                            .roots = roots,
                            .root_count = t->roots.count,
                            .now = judged_at(t),
                            .skew = t->skew / ROVE_SECOND};
    if (!scope_of(t, &d.action) || !channel_of(t, &d.channel))
        return CLI_USAGE;
    if (!t->channel)
        return cli_usage("say where: --channel NAME");
    if (!d.root_count || d.root_count > sizeof roots / sizeof roots[0])
        return cli_usage("say who may give the right: --root ENTITY, up to 16 times");
    for (size_t i = 0; i < d.root_count; i++)
        if (!token_entity("--root", t->roots.items[i], &roots[i]))
            return CLI_USAGE;
    if (t->subject && !token_entity("--subject", t->subject, &presenter))
        return CLI_USAGE;
    int status = token_load(t, &c);
    if (status != CLI_DONE)
        return status;
    if (!t->subject)
        presenter = c.links[c.count - 1].subject;
    return judge(t, &c, &d);
}
