/* SPDX-License-Identifier: Apache-2.0
 *
 * Kinds and factory entries. */
#include <base/alloc.h>
#include <host/cell.h>
#include <host/factory.h>
#include <string.h>

struct rovei_kind_entry {
    rovei_made_of made_of;
    char name[ROVE_KIND_NAME_MAX + 1];
    bool accepted;
    struct rovei_kind_entry *next; /* among the forgotten */
};

void rovei_factory_init(rovei_factory *f, const rove_alloc *a, size_t guests_kept, uint64_t seed)
{
    f->alloc = a;
    rovei_list_init(&f->guests);
    f->guest_count = 0;
    f->guests_kept = guests_kept;
    f->forgotten = NULL;
    rovei_map_init(&f->kinds, a, ROVE_KIND_NAME_MAX, seed);
    rovei_map_init(&f->entries, a, sizeof(uint64_t), seed);
}

/* Among the guests that have left, or not any more. */
static void park(rovei_factory *f, rovei_factory_entry *e)
{
    if (!e->guest || !rovei_list_empty(&e->guests))
        return;
    rovei_list_add_tail(&f->guests, &e->guests);
    if (++f->guest_count > f->guests_kept) {
        const rovei_factory_entry *first =
            ROVEI_CONTAINER(f->guests.next, rovei_factory_entry, guests);
        (void)rovei_factory_remove(f, first->origin);
    }
}

static void unpark(rovei_factory *f, rovei_factory_entry *e)
{
    f->guest_count -= !rovei_list_empty(&e->guests);
    rovei_list_remove(&e->guests);
}

void rovei_factory_entry_free(rovei_factory *f, rovei_factory_entry *e)
{
    while (e) {
        unpark(f, e);
        rovei_factory_entry *before = e->before;
        rovei_keypair_unref(e->who);
        if (e->source)
            ROVEI_DELETE(f->alloc, e->source);
        ROVEI_DELETE(f->alloc, e);
        e = before;
    }
}

void rovei_factory_clear(rovei_factory *f)
{
    size_t it = 0;
    for (rovei_factory_entry *e; (e = rovei_map_next(&f->entries, &it));)
        rovei_factory_entry_free(f, e);
    rovei_map_fini(&f->entries);
    it = 0;
    for (struct rovei_kind_entry *k; (k = rovei_map_next(&f->kinds, &it));) {
        k->next = f->forgotten;
        f->forgotten = k;
    }
    rovei_map_fini(&f->kinds);
}

void rovei_factory_fini(rovei_factory *f)
{
    if (!f->alloc)
        return;
    rovei_factory_clear(f);
    while (f->forgotten) {
        struct rovei_kind_entry *k = f->forgotten;
        f->forgotten = k->next;
        ROVEI_DELETE(f->alloc, k);
    }
}

/* The name as a key of fixed size; false when it is too long. */
static bool name_key(char ret[ROVE_KIND_NAME_MAX], const char *name)
{
    size_t size = strnlen(name, ROVE_KIND_NAME_MAX + 1);
    if (size > ROVE_KIND_NAME_MAX)
        return false;
    memset(ret, 0, ROVE_KIND_NAME_MAX);
    memcpy(ret, name, size);
    return true;
}

rove_err rovei_factory_add_kind(rovei_factory *f, const char *name, const rove_kind *kind,
                                void *user)
{
    rove_err err = rovei_kind_check(kind);
    if (err)
        return err;
    if (!name)
        name = kind->name;
    char key[ROVE_KIND_NAME_MAX];
    if (!rovei_kind_name_check(name) || !name_key(key, name))
        return ROVE_E_USAGE;
    if (rovei_map_get(&f->kinds, key))
        return ROVE_E_KIND_EXISTS;
    struct rovei_kind_entry *k = ROVEI_NEW(f->alloc, struct rovei_kind_entry);
    if (!k)
        return ROVE_E_NOMEM;
    memcpy(k->name, key, sizeof key);
    k->made_of = (rovei_made_of){k->name, kind, user};
    err = rovei_map_put(&f->kinds, key, k);
    if (err)
        ROVEI_DELETE(f->alloc, k);
    return err;
}

static struct rovei_kind_entry *kind_entry(const rovei_factory *f, const char *name)
{
    char key[ROVE_KIND_NAME_MAX];
    return name && name_key(key, name) ? rovei_map_get(&f->kinds, key) : NULL;
}

const rovei_made_of *rovei_factory_kind(const rovei_factory *f, const char *name)
{
    const struct rovei_kind_entry *k = kind_entry(f, name);
    return k ? &k->made_of : NULL;
}

const rovei_made_of *rovei_factory_kind_next(const rovei_factory *f, size_t *it)
{
    const struct rovei_kind_entry *k = rovei_map_next(&f->kinds, it);
    return k ? &k->made_of : NULL;
}

rove_err rovei_factory_accept(rovei_factory *f, const char *name, bool accept)
{
    struct rovei_kind_entry *k = kind_entry(f, name);
    if (name && !k)
        return ROVE_E_KIND_UNKNOWN;
    if (name)
        k->accepted = accept;
    for (size_t it = 0; !name && (k = rovei_map_next(&f->kinds, &it));)
        k->accepted = accept;
    return ROVE_OK;
}

bool rovei_factory_accepts(const rovei_factory *f, const char *name)
{
    const struct rovei_kind_entry *k = kind_entry(f, name);
    return k && k->accepted;
}

size_t rovei_factory_kind_count(const rovei_factory *f)
{
    return f->kinds.count;
}

static rovei_factory_entry *find(const rovei_factory *f, uint64_t origin)
{
    return rovei_map_get(&f->entries, &origin);
}

/* A fresh entry in a free slot, or in front of `before`. */
static rove_err put(rovei_factory *f, rovei_factory_entry fields)
{
    rovei_factory_entry *e = ROVEI_NEW(f->alloc, rovei_factory_entry);
    if (!e)
        return ROVE_E_NOMEM;
    *e = fields;
    rovei_list_init(&e->guests);
    rove_err err = rovei_map_put(&f->entries, &e->origin, e);
    if (err) {
        ROVEI_DELETE(f->alloc, e);
        return err;
    }
    if (e->who)
        rovei_keypair_ref(e->who);
    return ROVE_OK;
}

/* Why an occupied slot is refused to this entity. */
static rove_err occupied(const rovei_factory_entry *e, const rove_entity *entity)
{
    const rove_entity *whose = rovei_factory_entity(e);
    bool other = whose && !rovei_entity_equal(whose, entity);
    return other ? ROVE_E_ORIGIN_TAKEN : ROVE_E_EXISTS;
}

rove_err rovei_factory_register(rovei_factory *f, rovei_keypair *key, const rovei_made_of *made_of)
{
    const rove_entity *entity = rovei_keypair_entity(key);
    uint64_t origin = rovei_keypair_origin(key);
    const rovei_factory_entry *e = find(f, origin);
    if (e)
        return occupied(e, entity);
    return put(f, (rovei_factory_entry){.origin = origin, .made_of = *made_of, .who = key});
}

rove_err rovei_factory_expect(rovei_factory *f, uint64_t origin, const rovei_made_of *made_of,
                              bool public_only_ok)
{
    if (find(f, origin))
        return ROVE_E_EXISTS;
    return put(f, (rovei_factory_entry){
                      .origin = origin, .made_of = *made_of, .public_only_ok = public_only_ok});
}

rove_err rovei_factory_claim(rovei_factory *f, rovei_keypair *key, const rovei_made_of *made_of)
{
    const rove_entity *entity = rovei_keypair_entity(key);
    uint64_t origin = rovei_keypair_origin(key);
    rovei_factory_entry *e = find(f, origin);
    if (e && (!e->left || !rovei_entity_equal(rovei_factory_entity(e), entity)))
        return occupied(e, entity);
    rove_err err = put(
        f, (rovei_factory_entry){
               .origin = origin, .made_of = *made_of, .who = key, .claimed = true, .before = e});
    if (e && err == ROVE_OK)
        unpark(f, e); /* it is not forgotten while it may be needed again */
    return err;
}

void rovei_factory_settle(rovei_factory *f, uint64_t origin)
{
    rovei_factory_entry *e = find(f, origin);
    if (!e)
        return;
    rovei_factory_entry_free(f, e->before);
    e->before = NULL;
    e->claimed = false;
}

void rovei_factory_rollback(rovei_factory *f, uint64_t origin)
{
    rovei_factory_entry *e = find(f, origin);
    if (!e || !e->claimed) /* the tables may have been cleared meanwhile */
        return;
    rovei_factory_entry *before = e->before;
    e->before = NULL;
    if (before) {
        rove_err err = rovei_map_put(&f->entries, &origin, before);
        (void)err; /* the slot is there: putting takes no memory */
        park(f, before);
    } else {
        (void)rovei_map_remove(&f->entries, &origin);
    }
    rovei_factory_entry_free(f, e);
}

rove_err rovei_factory_arrived(rovei_factory *f, rovei_keypair *key, const rovei_made_of *made_of)
{
    rovei_factory_entry *e = find(f, rovei_keypair_origin(key));
    if (!e)
        return put(f, (rovei_factory_entry){.origin = rovei_keypair_origin(key),
                                            .made_of = *made_of,
                                            .who = key,
                                            .guest = true});
    unpark(f, e);
    rovei_keypair_ref(key);
    rovei_keypair_unref(e->who);
    e->who = key;
    e->key_is_gone = false;
    e->made_of = *made_of;
    e->left = false;
    return ROVE_OK;
}

void rovei_factory_departed(rovei_factory *f, uint64_t origin)
{
    rovei_factory_entry *e = find(f, origin);
    if (!e)
        return;
    e->left = true;
    e->key_is_gone |= e->who && rovei_keypair_is_read_only(e->who);
    park(f, e);
}

rove_err rovei_factory_bind(rovei_factory *f, uint64_t origin, const rove_entity *source)
{
    rovei_factory_entry *e = find(f, origin);
    if (!e)
        return ROVE_E_NOT_FOUND;
    if (e->source)
        return rovei_entity_equal(e->source, source) ? ROVE_OK : ROVE_E_EXISTS;
    e->source = ROVEI_NEW(f->alloc, rove_entity);
    if (!e->source)
        return ROVE_E_NOMEM;
    *e->source = *source;
    return ROVE_OK;
}

const rovei_factory_entry *rovei_factory_find(const rovei_factory *f, uint64_t origin)
{
    return find(f, origin);
}

rovei_factory_entry *rovei_factory_take(rovei_factory *f, uint64_t origin)
{
    return rovei_map_remove(&f->entries, &origin);
}

bool rovei_factory_remove(rovei_factory *f, uint64_t origin)
{
    rovei_factory_entry *e = rovei_factory_take(f, origin);
    rovei_factory_entry_free(f, e);
    return e != NULL;
}

bool rovei_factory_is_empty(const rovei_factory *f)
{
    return f->entries.count == 0;
}
