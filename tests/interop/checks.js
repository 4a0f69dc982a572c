// SPDX-License-Identifier: Apache-2.0
//
// How the two kinds of node meet, and checks that several scripts share.
'use strict';
const { is, parentHash, parseSnapshot, until } = require('./harness');

// The original drops a session after 30 session timeouts without an authentic packet: here 3 s.
const BRISK = { heartbeatMs: 50, sessionTimeoutMs: 100 };
const HEARTBEATS = 80; // more than 3 s of them, at twenty a second

// Waits until so many have passed the wire each way.
async function heartbeatsBothWays(wire, count = HEARTBEATS) {
    const enough = () =>
        ['toLeft', 'toRight'].every((way) => wire.count(way, 'heartbeat') >= count);
    await until(`${count} heartbeats each way`, enough, 40000);
}

// What Rove is told of a node of the original: with its key unless `keyless`, with an address to
// dial where one is given.
const listing = (stock, { keyless, addr } = {}) =>
    stock.nodeId + (keyless ? '' : `:${stock.key}`) + (addr ? `@${addr}` : '');

async function isUp(rove, stock) {
    await until(`${rove.name} has a session with ${stock.name}`, async () => {
        const peer = await rove.peer(stock.nodeId);
        return peer && peer.class === 'net' && peer.state === 'up';
    });
}

// The original connects, which gives sessions that migrations begun there can use.
async function connect(stock, rove, addr = rove.addr) {
    await stock.ask('connect', { addr, key: rove.key, nodeId: rove.nodeId });
    await isUp(rove, stock);
}

// One of each that have met. `dial`: Rove does, else the original.
async function meet(
    t,
    { dial = false, keyless = false, rove: ours = {}, stock: theirs = {} } = {},
) {
    const stock = await t.stock('stock', theirs);
    const peer = listing(stock, { keyless, addr: dial ? stock.addr : null });
    const rove = await t.rove('rove', { netPeers: [peer], ...ours });
    if (dial) await isUp(rove, stock);
    else await connect(stock, rove);
    return { rove, stock };
}

// From its snapshot before a move, and what is there of it now: it goes on where it was. `send` and
// `snapshot` are those of the node where it is; the counter stood at `count`.
async function goesOn(node, origin, before, count) {
    is(await node.send(origin, ['x']), [`${count + 1}`], 'the first output behind the move');
    const first = parseSnapshot(await node.snapshot(origin));
    is([first.origin, first.entity], [origin, before.entity], 'its identity');
    is(first.sequence, before.sequence + 1, 'its sequence');
    // Heads travel without their payload: the link behind a move covers the state in its place.
    is(first.parent, parentHash(before.link, before.state), 'the link behind the move');
    is(await node.send(origin, ['y']), [`${count + 2}`], 'the second output');
    const second = parseSnapshot(await node.snapshot(origin));
    is(second.sequence, before.sequence + 2, 'the sequence again');
    is(second.parent, parentHash(first.link, Buffer.from(`${count + 1}`)), 'the link behind that');
    return second;
}

module.exports = { BRISK, connect, goesOn, heartbeatsBothWays, isUp, listing, meet };
