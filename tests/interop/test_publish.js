// SPDX-License-Identifier: Apache-2.0
//
// Channels and announcements of the original with class net of Rove alone (bare.c): memberships,
// publishes and announcements as packets, with nothing of a node behind them.
'use strict';
const { is, like, run, seedOf, test, until } = require('./harness');

const MEMBERSHIP = '0xa00';
const CAPABILITY = '0xc00';
const LIDAR = { name: 'sensors/lidar', hash: '0xec20e8ac7fa5e5d8', stream: '0xec21e8ac7fa5e5d8' };
const BARE = 3; // its seed

// ---- membership ----

const request = (type, nonce, name) =>
    Buffer.concat([Buffer.from([type]), nonce, Buffer.from([name.length]), Buffer.from(name)]);
const subscribe = (nonce, name, token = '') => {
    const bytes = Buffer.from(token, 'hex');
    const chain = bytes.length > 0 ? Buffer.concat([Buffer.from([1]), bytes]) : bytes;
    const size = Buffer.alloc(2);
    size.writeUInt16LE(chain.length);
    return Buffer.concat([request(0, nonce, name), size, chain]).toString('hex');
};
const ack = (nonce, reason) =>
    Buffer.concat([Buffer.from([2]), nonce, Buffer.from([reason ? 0 : 1, reason])]).toString('hex');

// Messages that came to `bare` and were not looked at yet.
class Ear {
    constructor(bare) {
        this.bare = bare;
        this.kept = [];
    }

    async all() {
        this.kept.push(...(await this.bare.ask('heard')));
        return this.kept;
    }

    // The next message of a subprotocol.
    next(subprotocol) {
        return until(`a message of ${subprotocol}`, async () => {
            const at = (await this.all()).findIndex((e) => e.subprotocol === subprotocol);
            return at < 0 ? null : this.kept.splice(at, 1)[0];
        });
    }
}

// The events in a packet's frames, as text.
function framed(hex) {
    const bytes = Buffer.from(hex, 'hex');
    const events = [];
    for (let at = 0; at < bytes.length; ) {
        const size = bytes.readUInt32LE(at);
        events.push(bytes.subarray(at + 4, at + 4 + size).toString());
        at += 4 + size;
    }
    return events;
}

// The original, and Rove's end, which dials it; through a relay where `between`.
async function pair(t, between) {
    const stock = await t.stock('stock', { seed: 1, runtime: false });
    const wire = between ? await t.wire(stock.addr) : null;
    const { nodeId, key } = stock;
    const addr = wire ? wire.addr : stock.addr;
    const bare = await t.bare('bare', BARE, [{ nodeId, key, addr }]);
    await until('a session', () => bare.ask('reaches', { nodeId }));
    await until('its other end', async () => (await stock.ask('peers')).sessions === 1);
    return { stock, bare, wire, ear: new Ear(bare) };
}

const say = (bare, stock, subprotocol, message) =>
    bare.ask('say', { nodeId: stock.nodeId, subprotocol, message });

// The original joins a channel of Rove's end, which answers with this reason.
async function join({ stock, bare, ear }, channel, reason = 0) {
    const joined = stock
        .ask('subscribe', { to: bare.nodeId, channel })
        .then(() => null)
        .catch((e) => e.message);
    const asked = Buffer.from((await ear.next(MEMBERSHIP)).bytes, 'hex');
    const nonce = asked.subarray(1, 9);
    is(asked.toString('hex'), subscribe(nonce, channel), 'the request');
    await say(bare, stock, MEMBERSHIP, ack(nonce, reason));
    return joined;
}

// Rove's end asks a channel of the original; the reason of the answer, 0 if it was accepted.
async function ask({ stock, bare, ear }, type, channel, token) {
    const nonce = Buffer.from('8877665544332211', 'hex');
    const message = type
        ? request(1, nonce, channel).toString('hex')
        : subscribe(nonce, channel, token);
    await say(bare, stock, MEMBERSHIP, message);
    const got = Buffer.from((await ear.next(MEMBERSHIP)).bytes, 'hex');
    is([got.length, got[0], got.subarray(1, 9)], [11, 2, nonce], 'an answer');
    is(got[9], got[10] === 0 ? 1 : 0, 'accepted, or with a reason');
    return got[10];
}

test('the original subscribes, is published to, and leaves', async (t) => {
    const nodes = await pair(t);
    const { stock, bare, ear } = nodes;
    is(await join(nodes, LIDAR.name), null, 'accepted');
    const events = ['hello', '', 'world'].map((e) => Buffer.from(e).toString('hex'));
    await bare.ask('publish', { nodeId: stock.nodeId, channel: LIDAR.hash, events });
    const got = [];
    await until('the events', async () => {
        got.push(...(await stock.ask('received', {})));
        return got.length >= 3;
    });
    is(
        got,
        [
            { id: '0:0', payload: 'hello' },
            { id: '0:1', payload: '' },
            { id: '0:2', payload: 'world' },
        ],
        'what it got',
    );
    const left = stock.ask('unsubscribe', { from: bare.nodeId, channel: LIDAR.name });
    const asked = Buffer.from((await ear.next(MEMBERSHIP)).bytes, 'hex');
    const nonce = asked.subarray(1, 9);
    is(asked.toString('hex'), request(1, nonce, LIDAR.name).toString('hex'), 'it leaves');
    await say(bare, stock, MEMBERSHIP, ack(nonce, 0));
    await left;
});

test('the original is told why it is refused', async (t) => {
    const nodes = await pair(t);
    is(await join(nodes, 'some/where', 1), 'channel: unauthorized', 'unauthorized');
    is(await join(nodes, 'some/where', 2), 'channel: unknown channel', 'unknown');
    like(await join(nodes, 'some/where', 3), /rate/, 'throttled');
    like(await join(nodes, 'some/where', 4), /too many/, 'too many');
});

// Far more than the credit of a stream, through a relay that loses every seventh large packet.
for (const reliable of [false, true]) {
    const title = reliable
        ? 'a reliable publish of much, through losses: each event arrives'
        : 'a publish of much: each event arrives, in its order';
    test(title, async (t) => {
        const nodes = await pair(t, reliable);
        const { stock, bare, wire } = nodes;
        await join(nodes, LIDAR.name);
        let large = 0;
        if (reliable) wire.drop = (packet) => packet.size > 900 && ++large % 7 === 0;
        const total = 400;
        const seen = new Map();
        for (let i = 0; i < total; ) {
            const event = Buffer.from(`${i} `.padEnd(1000, 'x')).toString('hex');
            const error = await bare.failure('publish', {
                nodeId: stock.nodeId,
                channel: LIDAR.hash,
                reliable,
                events: [event],
            });
            if (error && error !== 'E_FULL') throw new Error(error);
            if (!error) i++;
        }
        const order = [];
        await until('all of them', async () => {
            for (const { id, payload } of await stock.ask('received', {})) {
                const [sequence, index] = id.split(':').map(Number);
                is([index, payload.split(' ')[0]], [0, String(sequence)], 'which one');
                seen.set(sequence, payload.length);
                order.push(sequence);
            }
            return seen.size === total;
        });
        const counts = await bare.ask('streams');
        if (!reliable) is(order, [...order.keys()], 'their order');
        is(counts.sent - counts.resent, total, 'packets sent for the first time');
        is([counts.resent > 0, counts.failed], [reliable, 0], 'what was repaired');
    });
}

test('the original publishes to a subscriber, far beyond the credit', async (t) => {
    const nodes = await pair(t);
    const { stock, bare, ear } = nodes;
    is(await ask(nodes, 0, 'no/such'), 2, 'a channel that there is not');
    await stock.ask('registerChannel', { channel: { name: LIDAR.name } });
    is(await ask(nodes, 0, LIDAR.name), 0, 'accepted');
    const total = 300;
    for (let i = 0; i < total; ) {
        const report = await stock.ask('publish', {
            channel: LIDAR.name,
            payload: `${i} `.padEnd(1000, 'x'),
        });
        is(report.attempted, 1, 'subscribers');
        if (report.delivered === 1) i++;
        else like(report.errors[0].message, /backpressured/, 'the error');
    }
    await until('all', async () => (await ear.all()).length === total);
    const packets = ear.kept.sort((a, b) => a.sequence - b.sequence);
    packets.forEach((packet, i) => {
        is([packet.stream, packet.sequence, packet.events], [LIDAR.stream, i, 1], 'header');
        is(framed(packet.bytes)[0].split(' ')[0], String(i), 'payload');
    });
    ear.kept = [];
    is(await ask(nodes, 1, LIDAR.name), 0, 'left');
    const report = await stock.ask('publish', { channel: LIDAR.name, payload: 'to nobody' });
    is(report.attempted, 0, 'subscribers');
});

// ---- announcements ----

// What `bare` says of itself, with its key, in the canonical form.
async function announcement(stock, bare, version, tags, forge = (text) => text) {
    const text =
        `{"node_id":${BigInt(bare.nodeId)},"entity_id":"${bare.entity}","version":${version},` +
        `"timestamp_ns":${BigInt(Date.now()) * 1000000n},"ttl_secs":300,` +
        `"capabilities":{"tags":${JSON.stringify(tags)},"metadata":{}}}`;
    const signature = await stock.ask('sign', { seed: seedOf(BARE), text });
    const signed = forge(text).replace(/}$/, `,"signature":"${signature}"}`);
    return Buffer.from(signed).toString('hex');
}

test('announcements: found by what they say, and not when they are forged', async (t) => {
    const { stock, bare, ear } = await pair(t);
    const find = (tag) => stock.ask('find', { filter: { requireTags: [tag] } });
    const tags = ['role:probe', 'subprotocol:0x0500'];
    const forged = (text) => text.replace('probe', 'chief');
    await say(bare, stock, CAPABILITY, await announcement(stock, bare, 10, tags, forged));
    await say(bare, stock, CAPABILITY, await announcement(stock, bare, 11, tags));
    await until('it is found', async () => (await find('role:probe')).includes(bare.nodeId));
    is((await find('subprotocol:0x0500')).includes(bare.nodeId), true, 'by its subprotocol');
    is((await find('role:chief')).includes(bare.nodeId), false, 'by what was forged');

    await stock.ask('announce', { capabilities: { tags: ['role:anchor'] } });
    const told = await until('what the original says of itself', async () => {
        const got = JSON.parse(Buffer.from((await ear.next(CAPABILITY)).bytes, 'hex').toString());
        return got.capabilities.tags.includes('role:anchor') ? got : null;
    });
    is(told.entity_id, stock.entity, 'whose it is');
});

test('a channel behind a token: refused without one, and before the announcement', async (t) => {
    const nodes = await pair(t);
    const { stock, bare } = nodes;
    const channel = 'gated/x';
    const token = (subject, name = channel) =>
        stock.ask('issueToken', { seed: seedOf(1), subject, scope: ['subscribe'], channel: name });
    await stock.ask('registerChannel', {
        channel: { name: channel, requireToken: true },
        roots: [stock.entity],
    });
    const good = await token(bare.entity);
    is(await ask(nodes, 0, channel, good), 1, 'before it has announced itself');
    await say(bare, stock, CAPABILITY, await announcement(stock, bare, 10, ['role:probe']));
    const filter = { requireTags: ['role:probe'] };
    await until('it is known', async () => (await stock.ask('find', { filter })).length > 0);
    is(await ask(nodes, 0, channel), 1, 'without a token');
    is(await ask(nodes, 0, channel, await token(stock.entity)), 1, 'with that of another');
    is(await ask(nodes, 0, channel, await token(bare.entity, 'gated/y')), 1, 'of another channel');
    is(await ask(nodes, 0, channel, good), 0, 'with its own');
});

run();
