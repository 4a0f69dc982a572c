/* SPDX-License-Identifier: Apache-2.0
 *
 * A map from keys to values. An event is one of
 *
 *     set KEY VALUE    get KEY    del KEY
 *
 * with single spaces. A key is one byte or more, none of them a space; a value is any bytes, also
 * none. Each has one output: that of `get` is the value, empty when there is none, and that of the
 * others is empty. Anything else is an error and changes nothing.
 *
 * The state: the entries in the order of their keys (as bytes, a shorter one before its
 * continuations), each u32 length of the key, u32 length of the value, both little-endian, the key,
 * the value. So equal maps have equal states, whatever happened before.
 *
 * The map is an AVL tree whose nodes are counted: a stream of the state holds the root, and a node
 * that somebody else holds too is copied before it is changed. So a stream is opened at once, and
 * what it reads stays as it was. A change first makes its own all nodes that it may have to turn,
 * which alters nothing that can be seen; only then it changes them, and can no longer fail. */
#include <rove/kind.h>
#include <string.h>

#define HEAD       8  /* bytes of an entry before its key */
#define HEIGHT_MAX 96 /* above that of any AVL tree that fits into memory */

/* A key and its value. */
struct entry {
    size_t refs;
    uint32_t key_size, value_size;
    char bytes[]; /* key, value */
};

struct node {
    size_t refs;
    struct node *child[2]; /* lower keys, higher keys */
    struct entry *entry;
    int height;
};

struct kv {
    const rove_alloc *alloc;
    struct node *root;
    uint64_t size; /* of the state */
};

/* ---- entries and nodes ---- */

static struct entry *entry_new(const rove_alloc *a, uint32_t key_size, uint32_t value_size)
{
    if ((uint64_t)key_size + value_size > SIZE_MAX / 2)
        return NULL;
    struct entry *e = a->alloc(a->user, sizeof *e + key_size + value_size);
    if (e)
        *e = (struct entry){.refs = 1, .key_size = key_size, .value_size = value_size};
    return e;
}

static void entry_unref(const rove_alloc *a, struct entry *e)
{
    if (--e->refs == 0)
        a->free(a->user, e, sizeof *e + e->key_size + e->value_size);
}

static uint64_t entry_size(const struct entry *e)
{
    return HEAD + (uint64_t)e->key_size + e->value_size;
}

/* Negative, 0 or positive as the key comes before that of `e`, is the same, or comes after it. */
static int compare(const char *key, size_t size, const struct entry *e)
{
    size_t shorter = size < e->key_size ? size : e->key_size;
    int order = memcmp(key, e->bytes, shorter);
    return order ? order : (size > e->key_size) - (size < e->key_size);
}

static void node_unref(const rove_alloc *a, struct node *n)
{
    if (!n || --n->refs)
        return;
    node_unref(a, n->child[0]);
    node_unref(a, n->child[1]);
    entry_unref(a, n->entry);
    a->free(a->user, n, sizeof *n);
}

/* Makes the node in this place one that nobody else holds. False: out of memory. */
static bool own(const rove_alloc *a, struct node **place)
{
    struct node *n = *place;
    if (!n || n->refs == 1)
        return true;
    struct node *copy = a->alloc(a->user, sizeof *copy);
    if (!copy)
        return false;
    *copy = *n;
    copy->refs = 1;
    for (int side = 0; side < 2; side++)
        if (copy->child[side])
            copy->child[side]->refs++;
    copy->entry->refs++;
    n->refs--;
    *place = copy;
    return true;
}

/* ---- balance ---- */

static int height(const struct node *n)
{
    return n ? n->height : 0;
}

static void measure(struct node *n)
{
    int low = height(n->child[0]), high = height(n->child[1]);
    n->height = 1 + (low > high ? low : high);
}

/* The child on the other side, if there is one, takes the place of its parent, which goes down to
 * `side`. */
static void turn(struct node **place, int side)
{
    struct node *down = *place, *up = down->child[!side];
    if (!up)
        return;
    down->child[!side] = up->child[side];
    up->child[side] = down;
    measure(down);
    measure(up);
    *place = up;
}

/* After one side of it has changed by one. All nodes that turn are owned. */
static void balance(struct node **place)
{
    struct node *n = *place;
    int tilt = height(n->child[1]) - height(n->child[0]);
    if (tilt >= -1 && tilt <= 1) {
        measure(n);
        return;
    }
    int high = tilt > 0;
    struct node *child = n->child[high];
    if (height(child->child[!high]) > height(child->child[high]))
        turn(&n->child[high], high);
    turn(place, !high);
}

/* The places from the root to where something changes. */
struct path {
    struct node **at[HEIGHT_MAX];
    int length;
};

static void balance_all(struct path *p)
{
    while (p->length)
        balance(p->at[--p->length]);
}

/* Owns what may turn when the side opposite to `side` becomes lower. */
static bool own_sibling(const rove_alloc *a, struct node *n, int side)
{
    struct node **sibling = &n->child[side];
    if (!own(a, sibling))
        return false;
    return !*sibling || (own(a, &(*sibling)->child[0]) && own(a, &(*sibling)->child[1]));
}

/* ---- the map ---- */

static const struct entry *find(const struct kv *kv, const char *key, size_t size)
{
    for (const struct node *n = kv->root; n;) {
        int order = compare(key, size, n->entry);
        if (!order)
            return n->entry;
        n = n->child[order > 0];
    }
    return NULL;
}

/* Puts an entry, in place of one with its key; its reference is taken. False: out of memory, and
 * the reference is still the caller's. */
static bool put(struct kv *kv, struct entry *e)
{
    const rove_alloc *a = kv->alloc;
    struct path path = {.length = 0};
    struct node **place = &kv->root;
    while (*place) {
        if (!own(a, place))
            return false;
        int order = compare(e->bytes, e->key_size, (*place)->entry);
        if (!order) {
            kv->size = kv->size - entry_size((*place)->entry) + entry_size(e);
            entry_unref(a, (*place)->entry);
            (*place)->entry = e;
            return true;
        }
        path.at[path.length++] = place;
        place = &(*place)->child[order > 0];
    }
    struct node *n = a->alloc(a->user, sizeof *n);
    if (!n)
        return false;
    *n = (struct node){.refs = 1, .entry = e, .height = 1};
    *place = n;
    kv->size += entry_size(e);
    balance_all(&path);
    return true;
}

/* Walks from `place` to the lowest node under it, owning all that may turn. */
static struct node **lowest(const rove_alloc *a, struct node **place, struct path *path)
{
    while (own(a, place)) {
        if (!(*place)->child[0])
            return place;
        if (!own_sibling(a, *place, 1))
            return NULL;
        path->at[path->length++] = place;
        place = &(*place)->child[0];
    }
    return NULL;
}

/* Takes the key out, if it is there. False: out of memory. */
static bool cut(struct kv *kv, const char *key, size_t size)
{
    const rove_alloc *a = kv->alloc;
    struct path path = {.length = 0};
    struct node **place = &kv->root;
    while (*place) {
        if (!own(a, place))
            return false;
        int order = compare(key, size, (*place)->entry);
        if (!order)
            break;
        if (!own_sibling(a, *place, order < 0))
            return false;
        path.at[path.length++] = place;
        place = &(*place)->child[order > 0];
    }
    struct node *gone = *place;
    if (!gone)
        return true;
    if (gone->child[0] && gone->child[1]) {
        /* The next higher one gives its entry and goes in its stead. */
        if (!own_sibling(a, gone, 0))
            return false;
        path.at[path.length++] = place;
        place = lowest(a, &gone->child[1], &path);
        if (!place)
            return false;
        struct entry *e = gone->entry;
        gone->entry = (*place)->entry;
        gone = *place;
        gone->entry = e;
    }
    kv->size -= entry_size(gone->entry);
    *place = gone->child[0] ? gone->child[0] : gone->child[1];
    gone->child[0] = gone->child[1] = NULL;
    node_unref(a, gone);
    balance_all(&path);
    return true;
}

/* ---- events ---- */

static rove_err kv_create(void **ret, const rove_alloc *alloc, void *user)
{
    (void)user;
    struct kv *kv = alloc->alloc(alloc->user, sizeof *kv);
    if (!kv)
        return ROVE_E_NOMEM;
    *kv = (struct kv){.alloc = alloc};
    *ret = kv;
    return ROVE_OK;
}

static void kv_destroy(void *self)
{
    struct kv *kv = self;
    node_unref(kv->alloc, kv->root);
    kv->alloc->free(kv->alloc->user, kv, sizeof *kv);
}

static rove_err set(struct kv *kv, const char *key, size_t key_size, const char *value,
                    size_t value_size)
{
    if (key_size > UINT32_MAX || value_size > UINT32_MAX)
        return ROVE_E_TOO_LARGE;
    struct entry *e = entry_new(kv->alloc, (uint32_t)key_size, (uint32_t)value_size);
    if (!e)
        return ROVE_E_NOMEM;
    memcpy(e->bytes, key, key_size);
    if (value_size)
        memcpy(e->bytes + key_size, value, value_size);
    if (put(kv, e))
        return ROVE_OK;
    entry_unref(kv->alloc, e);
    return ROVE_E_NOMEM;
}

static rove_err kv_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    struct kv *kv = self;
    const char *line = event->payload.data;
    size_t size = event->payload.size;
    char verb = 0;
    if (size > 4 && line[3] == ' ')
        verb = memcmp(line, "set", 3) == 0   ? 's'
               : memcmp(line, "get", 3) == 0 ? 'g'
               : memcmp(line, "del", 3) == 0 ? 'd'
                                             : 0;
    const char *key = verb ? line + 4 : line;
    const char *space = verb ? memchr(key, ' ', size - 4) : NULL;
    size_t key_size = space ? (size_t)(space - key) : verb ? size - 4 : 0;
    if (!verb || !key_size || (verb == 's') != (space != NULL))
        return rove_fail(ctx, "an event is \"set KEY VALUE\", \"get KEY\" or \"del KEY\"");
    rove_span output = {NULL, 0};
    rove_err err = ROVE_OK;
    if (verb == 'g') {
        const struct entry *e = find(kv, key, key_size);
        if (e)
            output = (rove_span){e->bytes + e->key_size, e->value_size};
    } else if (verb == 's') {
        err = set(kv, key, key_size, space + 1, size - 4 - key_size - 1);
    } else if (!cut(kv, key, key_size)) {
        err = ROVE_E_NOMEM;
    }
    return err ? err : rove_emit(ctx, output);
}

/* ---- the state, going out ---- */

/* Nodes that are still to be read, each before what is above it. */
struct walk {
    const struct node *at[HEIGHT_MAX];
    int length;
};

static void walk_into(struct walk *w, const struct node *n)
{
    for (; n; n = n->child[0])
        w->at[w->length++] = n;
}

static const struct entry *walk_next(struct walk *w)
{
    if (!w->length)
        return NULL;
    const struct node *n = w->at[--w->length];
    walk_into(w, n->child[1]);
    return n->entry;
}

static void encode_head(const struct entry *e, uint8_t ret[HEAD])
{
    for (unsigned i = 0; i < 4; i++) {
        ret[i] = (uint8_t)(e->key_size >> (8 * i));
        ret[4 + i] = (uint8_t)(e->value_size >> (8 * i));
    }
}

static rove_err kv_snapshot(void *self, rove_ctx *ctx)
{
    struct kv *kv = self;
    struct walk walk = {.length = 0};
    rove_err err = rove_reserve(ctx, kv->size);
    walk_into(&walk, kv->root);
    for (const struct entry *e; !err && (e = walk_next(&walk));) {
        uint8_t head[HEAD];
        encode_head(e, head);
        err = rove_write(ctx, (rove_span){head, sizeof head});
        if (!err)
            err = rove_write(ctx, (rove_span){e->bytes, (size_t)e->key_size + e->value_size});
    }
    return err;
}

struct outgoing {
    const rove_alloc *alloc;
    struct node *root;
    struct walk walk;
    const struct entry *entry; /* that is being read; NULL: the next one */
    size_t done;               /* bytes of it, head counted in */
};

static rove_err kv_snapshot_open(void *self, rove_ctx *ctx, uint64_t *ret_size, void **ret_stream)
{
    struct kv *kv = self;
    (void)ctx;
    struct outgoing *o = kv->alloc->alloc(kv->alloc->user, sizeof *o);
    if (!o)
        return ROVE_E_NOMEM;
    *o = (struct outgoing){.alloc = kv->alloc, .root = kv->root};
    if (o->root)
        o->root->refs++;
    walk_into(&o->walk, o->root);
    *ret_size = kv->size;
    *ret_stream = o;
    return ROVE_OK;
}

/* Copies the bytes [done, ...) of an entry, at most `size`: how many. */
static size_t copy_out(const struct entry *e, size_t done, char *to, size_t size)
{
    uint8_t head[HEAD];
    bool in_head = done < HEAD;
    size_t left = in_head ? HEAD - done : (size_t)entry_size(e) - done;
    encode_head(e, head);
    if (size > left)
        size = left;
    if (size)
        memcpy(to, in_head ? (const char *)head + done : e->bytes + (done - HEAD), size);
    return size;
}

static rove_err kv_snapshot_read(void *stream, void *room, size_t size, size_t *ret_size)
{
    struct outgoing *o = stream;
    size_t filled = 0;
    while (filled < size) {
        if (!o->entry) {
            o->entry = walk_next(&o->walk);
            o->done = 0;
        }
        if (!o->entry)
            break;
        size_t n = copy_out(o->entry, o->done, (char *)room + filled, size - filled);
        filled += n;
        o->done += n;
        if (o->done == entry_size(o->entry))
            o->entry = NULL;
    }
    *ret_size = filled;
    return ROVE_OK;
}

static void kv_snapshot_close(void *stream)
{
    struct outgoing *o = stream;
    node_unref(o->alloc, o->root);
    o->alloc->free(o->alloc->user, o, sizeof *o);
}

/* ---- the state, coming in ---- */

struct incoming {
    struct kv *kv;
    uint64_t left; /* bytes of the state that are to come */
    uint8_t head[HEAD];
    size_t head_size;    /* bytes of the head that are here */
    struct entry *entry; /* that is being filled; NULL: its head is not complete */
    size_t filled;
    const struct entry *last; /* the one before: the map holds it */
};

static struct incoming incoming_of(struct kv *kv, uint64_t size)
{
    return (struct incoming){.kv = kv, .left = size};
}

/* The head is complete: room for what it announces, if that can be. */
static rove_err begin_entry(struct incoming *in)
{
    uint32_t sizes[2] = {0, 0};
    for (unsigned i = 0; i < HEAD; i++)
        sizes[i / 4] |= (uint32_t)in->head[i] << (8 * (i % 4));
    if (!sizes[0] || (uint64_t)sizes[0] + sizes[1] > in->left)
        return ROVE_E_FORMAT;
    in->entry = entry_new(in->kv->alloc, sizes[0], sizes[1]);
    in->filled = 0;
    return in->entry ? ROVE_OK : ROVE_E_NOMEM;
}

/* The entry is complete: it has to follow the one before. */
static rove_err end_entry(struct incoming *in)
{
    struct entry *e = in->entry;
    if (memchr(e->bytes, ' ', e->key_size) ||
        (in->last && compare(e->bytes, e->key_size, in->last) <= 0))
        return ROVE_E_FORMAT;
    if (!put(in->kv, e))
        return ROVE_E_NOMEM;
    in->last = e;
    in->entry = NULL;
    in->head_size = 0;
    return ROVE_OK;
}

static rove_err take_in(struct incoming *in, rove_span bytes)
{
    const char *at = bytes.data;
    rove_err err = bytes.size > in->left ? ROVE_E_FORMAT : ROVE_OK;
    for (size_t left = bytes.size; left && !err;) {
        size_t whole =
            in->entry ? (size_t)in->entry->key_size + in->entry->value_size : (size_t)HEAD;
        size_t have = in->entry ? in->filled : in->head_size;
        size_t n = whole - have < left ? whole - have : left;
        memcpy(in->entry ? in->entry->bytes + have : (char *)in->head + have, at, n);
        *(in->entry ? &in->filled : &in->head_size) += n;
        at += n;
        left -= n;
        in->left -= n;
        if (have + n == whole)
            err = in->entry ? end_entry(in) : begin_entry(in);
    }
    return err;
}

/* Whether all came, and nothing is left half. */
static bool is_whole(const struct incoming *in)
{
    return !in->left && !in->entry && !in->head_size;
}

static rove_err kv_restore(void *self, rove_ctx *ctx, rove_span state)
{
    struct incoming in = incoming_of(self, state.size);
    rove_err err = take_in(&in, state);
    bool whole = is_whole(&in);
    if (in.entry)
        entry_unref(in.kv->alloc, in.entry);
    if (err == ROVE_E_NOMEM)
        return err;
    return !err && whole ? ROVE_OK : rove_fail(ctx, "this is not the state of a kv daemon");
}

static rove_err kv_restore_open(void *self, rove_ctx *ctx, uint64_t size, void **ret_stream)
{
    struct kv *kv = self;
    (void)ctx;
    struct incoming *in = kv->alloc->alloc(kv->alloc->user, sizeof *in);
    if (!in)
        return ROVE_E_NOMEM;
    *in = incoming_of(kv, size);
    *ret_stream = in;
    return ROVE_OK;
}

static rove_err kv_restore_write(void *stream, rove_span bytes)
{
    return take_in(stream, bytes);
}

static rove_err kv_restore_close(void *stream, rove_ctx *ctx, bool complete)
{
    struct incoming *in = stream;
    const rove_alloc *a = in->kv->alloc;
    bool whole = is_whole(in);
    if (in->entry)
        entry_unref(a, in->entry);
    a->free(a->user, in, sizeof *in);
    return !complete || whole ? ROVE_OK : rove_fail(ctx, "this is not the state of a kv daemon");
}

ROVE_KIND("kv", .create = kv_create, .destroy = kv_destroy, .process = kv_process,
          .snapshot = kv_snapshot, .restore = kv_restore, .is_stateful = true,
          .snapshot_open = kv_snapshot_open, .snapshot_read = kv_snapshot_read,
          .snapshot_close = kv_snapshot_close, .restore_open = kv_restore_open,
          .restore_write = kv_restore_write, .restore_close = kv_restore_close)
