// SPDX-License-Identifier: Apache-2.0
//
// Channels of the program with the original as their subscriber, and daemons of the program as
// subscribers of the original.
'use strict';
const fs = require('fs');
const path = require('path');
const { connect, listing, meet } = require('./checks');
const { build, is, like, parseSnapshot, run, seedOf, test, until } = require('./harness');

const numbered = (count) => Array.from({ length: count }, (_, i) => `event ${i}`);

// Lines on a channel of Rove: the report.
async function publish(rove, channel, lines, ...more) {
    const input = lines.map((line) => line + '\n').join('');
    const got = await rove.run('pub', [channel, '--json', ...more], input);
    if (got.status !== 0) throw new Error(`rove pub ${channel}: ${got.status}: ${got.err}`);
    return got.lines[got.lines.length - 1];
}

// What the original has got, once it is so many.
async function received(stock, count) {
    const got = [];
    await until(`${count} events`, async () => {
        got.push(...(await stock.ask('received', {})));
        return got.length >= count;
    });
    return got.map((event) => event.payload);
}

const subscribe = (stock, rove, channel, token) =>
    stock.ask('subscribe', { to: rove.nodeId, channel, token });
const refused = (stock, rove, channel, token) =>
    stock.failure('subscribe', { to: rove.nodeId, channel, token });
const members = async (rove, channel) =>
    (await rove.ask('channel', 'ls')).find((c) => c.channel === channel).members.length;

test('the original subscribes to an open channel of Rove, is fed, and leaves', async (t) => {
    const { rove, stock } = await meet(t);
    await rove.ask('channel', 'create', 'sensors/lidar');
    is(await refused(stock, rove, 'sensors/other'), 'channel: unknown channel', 'another one');
    await subscribe(stock, rove, 'sensors/lidar');
    is(await members(rove, 'sensors/lidar'), 1, 'subscribers');
    const report = await publish(rove, 'sensors/lidar', ['hello', 'world', 'a b c']);
    is([report.published, report.subscribers, report.failed], [3, 1, 0], 'the report');
    is(await received(stock, 3), ['hello', 'world', 'a b c'], 'what it got');

    await stock.ask('unsubscribe', { from: rove.nodeId, channel: 'sensors/lidar' });
    is(await members(rove, 'sensors/lidar'), 0, 'subscribers that are left');
    await stock.ask('unsubscribe', { from: rove.nodeId, channel: 'sensors/lidar' });
});

// Many times the credit of a stream: the publisher is held, nothing is lost.
for (const more of [[], ['--reliable']]) {
    test(`five thousand events, each once and in order ${more.join()}`, async (t) => {
        const { rove, stock } = await meet(t, { dial: true });
        await rove.ask('channel', 'create', 'a/b');
        await subscribe(stock, rove, 'a/b');
        const wanted = numbered(5000).map((event) => event.padEnd(100, '.'));
        const report = await publish(rove, 'a/b', wanted, ...more);
        is([report.published, report.failed], [5000, 0], 'the report');
        const got = await received(stock, 5000);
        is(got.length, 5000, 'how many it got');
        got.forEach((event, i) => is(event, wanted[i], 'an event'));
    });
}

// The owner's word that a node may subscribe, as the original writes it.
const OWNER = 9;
const right = (stock, subject, channel) =>
    stock.ask('issueToken', { seed: seedOf(OWNER), subject, scope: ['subscribe'], channel });

test('a channel behind a token: who has said who it is, and has one, is let in', async (t) => {
    const { rove, stock } = await meet(t);
    const owner = await t.stock('owner', { seed: OWNER, runtime: false });
    await rove.ask('channel', 'create', 'gated/x', '--token-root', owner.entity);
    const token = (subject, channel = 'gated/x') => right(stock, subject, channel);
    const refusal = 'channel: unauthorized';
    is(await refused(stock, rove, 'gated/x'), refusal, 'without a token');
    is(await refused(stock, rove, 'gated/x', await token(rove.entity)), refusal, 'of another');
    const own = await token(stock.entity);
    is(await refused(stock, rove, 'gated/x', own), refusal, 'its own, before it said who it is');
    is(await members(rove, 'gated/x'), 0, 'subscribers');
    const denied = await rove.run('pub', ['gated/x'], 'secret\n');
    is([denied.status, /publish denied by channel ACL/.test(denied.err)], [1, true], 'itself');

    await stock.ask('announce', { capabilities: { tags: ['role:reader'] } });
    await until('it is known', async () =>
        (await rove.ask('nodes')).some((node) => node.node_id === stock.nodeId),
    );
    is(await refused(stock, rove, 'gated/x'), refusal, 'still without a token');
    is(await refused(stock, rove, 'gated/x', await token(rove.entity)), refusal, 'still of another');
    const elsewhere = await token(stock.entity, 'gated/y');
    is(await refused(stock, rove, 'gated/x', elsewhere), refusal, 'of another channel');
    await subscribe(stock, rove, 'gated/x', own);
    is(await members(rove, 'gated/x'), 1, 'subscribers, with its own');
});

// The same with one bit changed, of a byte counted from the end. The signature is the last 64 bytes.
function altered(token, fromEnd) {
    const bytes = Buffer.from(token, 'hex');
    bytes[bytes.length - fromEnd] ^= 0x10;
    return bytes.toString('hex');
}
const ALTERED = [1, 32, 33, 64];

test('a token whose signature has one bit changed lets the original not in', async (t) => {
    const { rove, stock } = await meet(t);
    const owner = await t.stock('owner', { seed: OWNER, runtime: false });
    await rove.ask('channel', 'create', 'gated/x', '--token-root', owner.entity);
    await stock.ask('announce', { capabilities: { tags: ['role:reader'] } });
    await until('it is known', async () =>
        (await rove.ask('nodes')).some((node) => node.node_id === stock.nodeId),
    );
    const token = await right(stock, stock.entity, 'gated/x');
    const unauthorized = async () => (await rove.ask('status'))[0].channels.unauthorized;
    for (const [i, at] of ALTERED.entries()) {
        const got = await refused(stock, rove, 'gated/x', altered(token, at));
        is(got, 'channel: unauthorized', `byte ${at} from the end`);
        is(await unauthorized(), i + 1, 'refusals that were counted');
    }
    is(await members(rove, 'gated/x'), 0, 'subscribers');
    await subscribe(stock, rove, 'gated/x', token);
    is(await members(rove, 'gated/x'), 1, 'subscribers, as it was issued');
});

test('a channel for those with a tag: by what the original announces', async (t) => {
    const { rove, stock } = await meet(t);
    await rove.ask('channel', 'create', 'tagged', '--subscribe-tag', 'role:reader');
    is(await refused(stock, rove, 'tagged'), 'channel: unauthorized', 'before');
    await stock.ask('announce', { capabilities: { tags: ['role:reader'] } });
    await until('it may', async () => (await refused(stock, rove, 'tagged')) === null);
    await publish(rove, 'tagged', ['for readers']);
    is(await received(stock, 1), ['for readers'], 'what it got');
});

test('the original hears what a daemon of Rove puts out', async (t) => {
    const { rove, stock } = await meet(t);
    const { origin } = await rove.spawn('counter', '--publish', 'counts');
    await subscribe(stock, rove, 'counts');
    const wanted = await rove.send(origin, numbered(200));
    is(wanted.length, 200, 'what the sender was told');
    is(await received(stock, 200), wanted, 'what it got');
});

// ---- the original publishes ----

const feedOf = async (rove, origin) => (await rove.daemon(origin)).feeds[0];

async function publishAll(stock, channel, count) {
    for (let i = 0; i < count; ) {
        const report = await stock.ask('publish', { channel, payload: `${i}` });
        is(report.attempted, 1, 'subscribers');
        i += report.delivered;
    }
}

test('a daemon of Rove is fed by the original, each event once, until it leaves', async (t) => {
    const { rove, stock } = await meet(t);
    const { origin } = await rove.spawn('counter');
    const unknown = await rove.run('subscribe', [origin, stock.nodeId, 'a/b']);
    is(unknown.status, 1, 'no such channel');
    like(unknown.err, /the publisher has no such channel/, 'what is said of it');
    await stock.ask('registerChannel', { channel: { name: 'a/b' } });
    await rove.ask('subscribe', origin, stock.nodeId, 'a/b');
    await publishAll(stock, 'a/b', 300);
    await until('all', async () => (await feedOf(rove, origin)).position === 300);
    const feed = await feedOf(rove, origin);
    is([feed.publisher, feed.channel, feed.state], [stock.nodeId, 'a/b', 'bound'], 'the feed');
    is(feed.lost, 0, 'lost');
    is(await rove.send(origin, ['x']), ['301'], 'what it has counted');
    await rove.ask('unsubscribe', origin, stock.nodeId, 'a/b');
    is((await stock.ask('publish', { channel: 'a/b', payload: 'y' })).attempted, 0, 'who is left');
});

test('a channel of the original behind a token: the node of a daemon shows its own', async (t) => {
    const { rove, stock } = await meet(t);
    const owner = await t.stock('owner', { seed: OWNER, runtime: false });
    const { origin } = await rove.spawn('counter');
    const channel = 'gated/z';
    await stock.ask('registerChannel', {
        channel: { name: channel, requireToken: true },
        roots: [owner.entity],
    });
    const show = async (token) => {
        const file = path.join(rove.work, 'token');
        fs.writeFileSync(file, Buffer.from(token, 'hex'));
        const got = await rove.run('subscribe', [origin, stock.nodeId, channel, '--token', file]);
        return [got.status, got.err];
    };
    await until('it knows who Rove is', async () => {
        const filter = { requireTags: ['subprotocol:0x0500'] };
        return (await stock.ask('find', { filter })).includes(rove.nodeId);
    });
    const [status, text] = await show(await right(stock, stock.entity, channel));
    is(status, 1, 'that of another');
    like(text, /the publisher does not authorise this/, 'what is said of it');
    const own = await right(stock, rove.entity, channel);
    for (const at of ALTERED) {
        const [refusal, why] = await show(altered(own, at));
        is(refusal, 1, `its own with a bit changed, byte ${at} from the end`);
        like(why, /the publisher does not authorise this/, 'what is said of it');
    }
    is((await rove.daemon(origin)).feeds, [], 'feeds');
    is(await show(own), [0, ''], 'its own');
    is((await feedOf(rove, origin)).state, 'bound', 'the feed');
});

// ---- the original publishes, and the daemon moves ----

// What a journal has been given, as numbers.
async function journal(rove, origin) {
    const text = parseSnapshot(await rove.snapshot(origin)).state.toString();
    return text.split('\n').slice(0, -1).map(Number);
}

// Publishes 1, 2, 3, ... until it is told to stop; a number is given again until it is taken.
function publishOn(stock, channel) {
    const flow = { published: 0, stopped: false };
    const go = async () => {
        while (!flow.stopped) {
            const payload = `${flow.published + 1}`;
            const report = await stock.ask('publish', { channel, payload });
            // Between two memberships nobody is there, and what is published then has been.
            if (report.delivered === report.attempted) flow.published++;
        }
    };
    flow.done = go();
    flow.done.catch(() => {}); // told where it is waited for
    flow.reaches = (count) => until(`${count} are published`, () => flow.published >= count);
    return flow;
}

test('the original goes on publishing while the daemon moves, twice', async (t) => {
    const stock = await t.stock('stock', {});
    await stock.ask('registerChannel', { channel: { name: 'a/b' } });
    const more = ['--accept', 'all', '--load', path.join(build, 'tests', 'interop', 'journal.so')];
    const start = (name, peers) => t.rove(name, { netPeers: [listing(stock)], peers, more });
    const one = await start('one', []);
    const two = await start('two', [`${one.entity}@${one.addr}`]);
    for (const rove of [one, two]) await connect(stock, rove);
    await until('they meet', async () => (await one.peer(two.nodeId))?.state === 'up');
    const { origin } = await one.spawn('journal');
    await one.ask('subscribe', origin, stock.nodeId, 'a/b');

    const flow = publishOn(stock, 'a/b');
    const windows = []; // [applied before a move began, published once it was fed again]
    for (const [from, to] of [[one, two], [two, one]]) {
        await flow.reaches(flow.published + 100);
        const wanted = flow.published;
        await until('it is fed', async () => (await journal(from, origin)).includes(wanted));
        const before = (await journal(from, origin)).pop();
        const end = await from.migrate(origin, to.nodeId);
        is([end.status, end.unbound], [0, 1], 'the move, and that it may have missed something');
        await until('it is fed there', async () => {
            const feed = await feedOf(to, origin);
            return feed && feed.state === 'bound';
        });
        windows.push([before, flow.published]);
    }
    await flow.reaches(flow.published + 100);
    flow.stopped = true;
    await flow.done;
    const last = flow.published;
    await until('the last', async () => (await journal(one, origin)).includes(last));

    const got = await journal(one, origin);
    got.forEach((number, i) => is(number > (i ? got[i - 1] : 0), true, `${number} in its order`));
    const there = new Set(got);
    // One more may have been under way when it was fed again.
    const missable = (number) => windows.some(([a, b]) => number > a && number <= b + 1);
    for (let number = 1; number <= last; number++)
        if (!there.has(number)) is(missable(number), true, `${number} may be missing`);
});

run();
