/* SPDX-License-Identifier: Apache-2.0
 *
 * Daemons that want to come here: who may, what they are made of, and their entry into the
 * registry; and the other questions of policy. All on the loop thread. */
#include <base/buf.h>
#include <host/host.h>
#include <host/moves.h>
#include <string.h>

static bool preset(rovei_question question)
{
    return question == ROVEI_ASK_SEND || question == ROVEI_ASK_READ;
}

bool rovei_host_allows(const struct rovei_host *h, const rovei_effect *e, const char *kind,
                       bool preset)
{
    rove_policy_request request = {
        .question = (rove_question)(e->kind == ROVEI_EFFECT_ASK ? e->question : ROVEI_ASK_PLACE),
        .peer = e->peer,
        .daemon = e->daemon,
        .kind = kind,
        .preset = preset,
    };
    return h->policy.allow ? h->policy.allow(h->policy.user, &request) : request.preset;
}

/* `text` passes to the core. */
static void answer(struct rovei_host *h, rovei_node *core, rovei_now now, const rovei_effect *e,
                   rove_err err, rove_buf *text)
{
    rovei_completion c = {.kind = ROVEI_DONE_ANSWER,
                          .attempt = e->attempt,
                          .ticket = e->ticket,
                          .err = err,
                          .text = text};
    rovei_node_complete(core, now, &c);
    h->answered = true;
}

/* Peers of class net name a daemon by its origin alone, until its snapshot tells whose it is. */
static bool is_known(const rovei_effect *e)
{
    return !rovei_entity_is_zero(&e->daemon);
}

static uint64_t origin_of(const rovei_effect *e)
{
    return is_known(e) ? rovei_entity_origin(&e->daemon) : e->origin;
}

/* The copy of a daemon that is listed here, with a reference, or NULL. */
static rovei_resident *listed(struct rovei_host *h, const rovei_effect *of)
{
    rovei_entry *e = is_known(of) ? rovei_registry_get_entity(&h->registry, &of->daemon)
                                  : rovei_registry_get(&h->registry, of->origin);
    return e ? ROVEI_CONTAINER(e, rovei_resident, entry) : NULL;
}

void rovei_host_ask(struct rovei_host *h, rovei_node *core, rovei_now now, const rovei_effect *e)
{
    rovei_resident *r = listed(h, e);
    bool yes = rovei_host_allows(h, e, r ? r->made_of.name : NULL, preset(e->question));
    if (r)
        rovei_resident_drop(r);
    answer(h, core, now, e, yes ? ROVE_OK : ROVE_E_REFUSED, NULL);
}

/* A daemon that nobody expects, of a kind that is accepted. A node of class net does not say of
 * what kind one is. */
static rove_err accepted(struct rovei_host *h, const rovei_effect *e, rovei_made_of *ret)
{
    char name[ROVEI_KIND_ROOM + 1] = "";
    rove_span kind = rove_buf_span(e->daemon_kind);
    if (rovei_entity_is_net(&e->peer) || !kind.size || kind.size >= sizeof name)
        return ROVE_E_TARGET_NO_FACTORY;
    memcpy(name, kind.data, kind.size);
    if (!rovei_factory_accepts(&h->factory, name))
        return ROVE_E_TARGET_NO_FACTORY;
    *ret = *rovei_factory_kind(&h->factory, name);
    return ROVE_OK;
}

static bool same_name(const char *name, const rove_buf *daemon_kind)
{
    rove_span span = rove_buf_span(daemon_kind);
    size_t size = span.size;
    while (size && ((const char *)span.data)[size - 1] == '\0') /* with or without its end */
        size--;
    return !daemon_kind || (strlen(name) == size && memcmp(name, span.data, size) == 0);
}

/* Whether what is expected here is what comes; `ret` gets what it is to be made of. */
static rove_err expected(struct rovei_host *h, const rovei_effect *e, rovei_made_of *ret)
{
    const rovei_factory_entry *entry = rovei_factory_find(&h->factory, origin_of(e));
    if (!entry)
        return accepted(h, e, ret);
    if (entry->claimed) /* it is just being spawned here */
        return ROVE_E_EXISTS;
    const rove_entity *whose = rovei_factory_entity(entry);
    if (whose && is_known(e) && !rovei_entity_equal(whose, &e->daemon))
        return ROVE_E_ORIGIN_TAKEN;
    if (!same_name(entry->made_of.name, e->daemon_kind))
        return ROVE_E_TARGET_NO_FACTORY;
    if (entry->source && !rovei_entity_is_zero(&e->peer) &&
        !rovei_entity_equal(entry->source, &e->peer))
        return rovei_entity_is_net(&e->peer) ? ROVE_E_WRONG_PEER : ROVE_E_REFUSED;
    *ret = entry->made_of;
    return ROVE_OK;
}

static rove_err place(struct rovei_host *h, const rovei_effect *e, rove_buf **ret_kind)
{
    int life = atomic_load(&h->life);
    if (life != ROVEI_LIFE_READY)
        return life == ROVEI_LIFE_REGISTERING ? ROVE_E_TARGET_NOT_READY : ROVE_E_TARGET_NO_RUNTIME;
    if (atomic_load(&h->cordoned))
        return ROVE_E_CORDONED;
    rovei_resident *r = listed(h, e);
    bool live = r && !r->committed && !r->aside;
    if (r)
        rovei_resident_drop(r);
    if (live)
        return ROVE_E_EXISTS;
    rovei_made_of made_of;
    pthread_mutex_lock(&h->lock);
    rove_err err = expected(h, e, &made_of);
    pthread_mutex_unlock(&h->lock);
    if (err == ROVE_OK && is_known(e) && !rovei_host_allows(h, e, made_of.name, true))
        err = ROVE_E_REFUSED;
    if (err == ROVE_OK) {
        *ret_kind = rovei_buf_copy(h->alloc, made_of.name, strlen(made_of.name));
        err = *ret_kind ? ROVE_OK : ROVE_E_NOMEM;
    }
    return err;
}

void rovei_host_ask_place(struct rovei_host *h, rovei_node *core, rovei_now now,
                          const rovei_effect *e)
{
    rove_buf *kind = NULL;
    rove_err err = place(h, e, &kind);
    if (err == ROVE_OK && is_known(e))
        rovei_host_watch_move(h, now, &e->attempt);
    answer(h, core, now, e, err, kind);
}

/* The key that the daemon is to have here; *ret_ours when it did not come with the effect. */
static rove_err find_key(struct rovei_host *h, const rovei_effect *e, rovei_keypair **ret,
                         bool *ret_ours)
{
    uint64_t origin = rovei_entity_origin(&e->daemon);
    const rovei_factory_entry *entry = rovei_factory_find(&h->factory, origin);
    *ret_ours = !e->key;
    rovei_keypair *kept = entry ? rovei_factory_key(entry) : NULL;
    if (e->key || kept) {
        *ret = rovei_keypair_ref(e->key ? e->key : kept);
        return ROVE_OK;
    }
    if (!e->public_only_ok && !(entry && entry->public_only_ok))
        return ROVE_E_IDENTITY_MISSING;
    return rovei_keypair_public_only(ret, h->env, &e->daemon);
}

/* What comes is still expected here. */
static rove_err look_up(struct rovei_host *h, const rovei_effect *e, rovei_made_of *ret_made_of,
                        rovei_keypair **ret_key, bool *ret_ours)
{
    if (atomic_load(&h->life) != ROVEI_LIFE_READY)
        return ROVE_E_TARGET_NO_RUNTIME;
    pthread_mutex_lock(&h->lock);
    rove_err err = expected(h, e, ret_made_of);
    if (err == ROVE_OK && ret_key)
        err = find_key(h, e, ret_key, ret_ours);
    pthread_mutex_unlock(&h->lock);
    return err;
}

/* A copy that is to come, with a reference; it takes over the one of `key`. */
static rove_err make_room(struct rovei_host *h, const rovei_effect *e, rovei_keypair *key,
                          const rovei_made_of *made_of, rovei_resident **ret)
{
    rovei_resident *r = NULL;
    rove_err err = rovei_resident_new(&r, h, &e->daemon, key, made_of);
    rovei_keypair_unref(key);
    if (err)
        return err;
    err = rovei_host_admit(h, r);
    if (err)
        rovei_resident_drop(r);
    else
        *ret = r;
    return err;
}

/* The copy that the state was written to: it gets the key that it is to have. */
static rove_err finish_restore(struct rovei_host *h, rovei_node *core, rovei_now now,
                               rovei_effect *e)
{
    rovei_resident *r = rovei_map_get(&h->cells, &e->cell);
    if (!r || r->forgotten)
        return ROVE_E_STALE;
    rovei_made_of made_of;
    rovei_keypair *key = NULL;
    bool ours = false;
    rove_err err = look_up(h, e, &made_of, &key, &ours);
    if (err)
        return err;
    rovei_keypair_unref(r->key);
    r->key = key;
    rovei_work_restore(r, core, now, e, key, ours); /* it may be gone afterwards */
    return ROVE_OK;
}

static rove_err begin_restore(struct rovei_host *h, rovei_node *core, rovei_now now,
                              rovei_effect *e)
{
    rovei_made_of made_of;
    rovei_keypair *key = NULL;
    bool ours = false;
    rovei_resident *r;
    if (e->cell)
        return finish_restore(h, core, now, e);
    rove_err err = look_up(h, e, &made_of, &key, &ours);
    if (err == ROVE_OK)
        err = make_room(h, e, key, &made_of, &r);
    if (err)
        return err;
    rovei_work_restore(r, core, now, e, NULL, ours);
    rovei_resident_drop(r);
    return ROVE_OK;
}

static rove_err open_state(struct rovei_host *h, rovei_node *core, rovei_now now,
                           const rovei_effect *e)
{
    rovei_made_of made_of;
    rovei_keypair *key;
    rovei_resident *r;
    rove_err err = look_up(h, e, &made_of, NULL, NULL);
    if (err == ROVE_OK)
        err = rovei_keypair_public_only(&key, h->env, &e->daemon); /* its key comes at the end */
    if (err == ROVE_OK)
        err = make_room(h, e, key, &made_of, &r);
    if (err)
        return err;
    rovei_work_open_state(r, core, now, e);
    rovei_resident_drop(r);
    return ROVE_OK;
}

void rovei_host_open_state(struct rovei_host *h, rovei_node *core, rovei_now now,
                           const rovei_effect *e)
{
    rove_err err = open_state(h, core, now, e);
    if (err == ROVE_OK)
        return;
    rovei_completion c = {
        .kind = ROVEI_DONE_STATE_OPENED, .attempt = e->attempt, .ticket = e->ticket, .err = err};
    rovei_node_complete(core, now, &c);
    h->answered = true;
}

void rovei_host_restore(struct rovei_host *h, rovei_node *core, rovei_now now, rovei_effect *e)
{
    rove_err err = begin_restore(h, core, now, e);
    if (err == ROVE_OK)
        return;
    rovei_completion c = {.kind = ROVEI_DONE_RESTORED, .attempt = e->attempt, .err = err};
    rovei_node_complete(core, now, &c);
    h->answered = true;
}

/* Lists an activated daemon in the place of a former copy of it. */
static bool list(struct rovei_host *h, rovei_resident *r)
{
    pthread_mutex_lock(&h->lock);
    rove_err known = rovei_factory_arrived(&h->factory, r->key, &r->made_of);
    pthread_mutex_unlock(&h->lock);
    return known == ROVE_OK && rovei_registry_replace(&h->registry, &r->entry) == ROVE_OK;
}

void rovei_host_activated(struct rovei_host *h, rovei_resident *r)
{
    if (r->activated)
        return;
    r->activated = true;
    r->unlisted = !list(h, r);
    h->unlisted += r->unlisted;
}

void rovei_host_list_again(struct rovei_host *h)
{
    size_t it = 0;
    for (rovei_resident *r; h->unlisted && (r = rovei_map_next(&h->cells, &it));)
        if (r->unlisted && list(h, r)) {
            r->unlisted = false;
            h->unlisted--;
        }
}

void rovei_host_unlist(struct rovei_host *h, rovei_resident *r, rove_err err)
{
    if (r->unlisted)
        h->unlisted--;
    r->unlisted = false;
    /* First that it has left: who does not find it any more is to hear why. */
    if (rovei_entry_is_listed(&r->entry) && r->committed && err != ROVE_E_STOPPED) {
        pthread_mutex_lock(&h->lock);
        rovei_factory_departed(&h->factory, r->entry.node.key);
        pthread_mutex_unlock(&h->lock);
    }
    (void)rovei_registry_remove(&h->registry, &r->entry);
}
