// SPDX-License-Identifier: Apache-2.0
//
// Sessions between Rove and the original: who begins them, what keeps them up, what ends them.
'use strict';
const { execFileSync } = require('child_process');
const path = require('path');
const { build, is, like, run, test, until } = require('./harness');
const { BRISK, connect, heartbeatsBothWays, isUp, listing, meet } = require('./checks');

// Limits as brisk as the original's.
const LIMITS = { net_heartbeat: 0.05, net_suspect: 1, net_fail: 2 };
const sessions = async (stock) => (await stock.ask('peers')).sessions;

// An identity file: what `rove id show` says of it.
function identity(t) {
    const file = path.join(t.work, 'identity');
    const rove = path.join(build, 'rove');
    execFileSync(rove, ['id', 'new', '-o', file]);
    const shown = JSON.parse(
        execFileSync(rove, ['id', 'show', file, '--json'], { encoding: 'utf8' }),
    );
    return { file, nodeId: shown.node_id, key: shown.x25519 };
}

test('the original connects before its start', async (t) => {
    const stock = await t.stock('stock', { started: false });
    const rove = await t.rove('rove', { netPeers: [stock.nodeId] });
    await stock.ask('connect', { addr: rove.addr, key: rove.key, nodeId: rove.nodeId });
    await stock.ask('start');
    await isUp(rove, stock);
    is(await sessions(stock), 1, 'sessions of the original');
    const peer = await rove.peer(stock.nodeId);
    is(
        [peer.class, peer.addr, peer.node_id],
        ['net', stock.addr, stock.nodeId],
        'as rove peers shows it',
    );
});

test('the original connects after its start', async (t) => {
    const { stock } = await meet(t);
    is(await sessions(stock), 1, 'sessions of the original');
});

test('Rove dials the original that is started', async (t) => {
    const stock = await t.stock('stock');
    const wire = await t.wire(stock.addr);
    const rove = await t.rove('rove', { netPeers: [listing(stock, { addr: wire.addr })] });
    await isUp(rove, stock);
    is(await sessions(stock), 1, 'sessions of the original');
    is(wire.count('toLeft', 'routed') > 0, true, 'it was answered in the routed framing');
});

test('Rove dials the original that waits in accept', async (t) => {
    const stock = await t.stock('stock', { started: false });
    const id = identity(t);
    const accepted = stock.ask('accept', { from: id.nodeId });
    const rove = await t.rove('rove', {
        netPeers: [listing(stock, { addr: stock.addr })],
        more: ['--identity', id.file],
    });
    is(await accepted, rove.addr, 'whom it accepted');
    await stock.ask('start');
    await isUp(rove, stock);
    is(await sessions(stock), 1, 'sessions of the original');
});

test('a session that the original began outlives its time by heartbeats alone', async (t) => {
    const stock = await t.stock('stock', BRISK);
    const rove = await t.rove('rove', { netPeers: [stock.nodeId], limits: LIMITS });
    const wire = await t.wire(rove.addr);
    await connect(stock, rove, wire.addr);
    await heartbeatsBothWays(wire);
    is(await sessions(stock), 1, 'sessions of the original');
    is((await rove.peer(stock.nodeId)).state, 'up', 'state');
    is(wire.count('toLeft', 'handshake'), 1, 'answers to handshakes');
    is((await stock.ask('peers')).discovered >= 1, true, 'it takes the pingwaves');
});

test('a session that Rove began outlives its time by heartbeats alone', async (t) => {
    const stock = await t.stock('stock', BRISK);
    const wire = await t.wire(stock.addr);
    const rove = await t.rove('rove', {
        netPeers: [listing(stock, { addr: wire.addr })],
        limits: LIMITS,
    });
    await isUp(rove, stock);
    await heartbeatsBothWays(wire);
    is(await sessions(stock), 1, 'sessions of the original');
    is((await rove.peer(stock.nodeId)).state, 'up', 'state');
    is(wire.count('toLeft', 'handshake'), 1, 'answers to handshakes');
});

test('Rove finds a silent peer out, and finds it again', async (t) => {
    const stock = await t.stock('stock', { heartbeatMs: 50, sessionTimeoutMs: 60000 });
    const rove = await t.rove('rove', { netPeers: [stock.nodeId], limits: LIMITS });
    const wire = await t.wire(rove.addr);
    await connect(stock, rove, wire.addr);
    wire.drop = () => true;
    await until('it is not up', async () => (await rove.peer(stock.nodeId)).state !== 'up');
    wire.drop = () => false;
    await isUp(rove, stock);
});

test('a node that was killed comes back under the same id', async (t) => {
    const rove = await t.rove('rove', { netPeers: [(await t.stock('first', { seed: 9 })).nodeId] });
    const first = t.things.find((thing) => thing.name === 'first');
    await connect(first, rove);
    first.end();
    const second = await t.stock('second', { seed: 9 });
    is(second.nodeId, first.nodeId, 'node id');
    await second.ask('connect', { addr: rove.addr, key: rove.key, nodeId: rove.nodeId });
    await until(
        'its new address',
        async () => (await rove.peer(second.nodeId)).addr === second.addr,
    );
    await isUp(rove, second);
});

test('Rove comes back under the same key, and dials until it is taken', async (t) => {
    const stock = await t.stock('stock', { heartbeatMs: 50, sessionTimeoutMs: 500 });
    const id = identity(t);
    const options = {
        netPeers: [listing(stock, { addr: stock.addr })],
        limits: LIMITS,
        more: ['--identity', id.file],
    };
    const first = await t.rove('first', options);
    await isUp(first, stock);
    first.end();
    await until('it has ended', () => first.ended);
    const second = await t.rove('second', options);
    await isUp(second, stock);
    is(await sessions(stock), 1, 'sessions of the original');
}, 90000);

test('what does not fit is met with silence, and counted', async (t) => {
    const listed = await t.stock('listed');
    const stranger = await t.stock('stranger');
    const outsider = await t.stock('outsider', { psk: '43'.repeat(32) });
    const rove = await t.rove('rove', { netPeers: [listed.nodeId, outsider.nodeId] });
    const wanted = { addr: rove.addr, nodeId: rove.nodeId };
    const failures = await Promise.all([
        stranger.failure('connect', { ...wanted, key: rove.key }),
        outsider.failure('connect', { ...wanted, key: rove.key }),
        listed.failure('connect', { ...wanted, key: stranger.key }),
    ]);
    for (const [i, who] of ['not listed', 'of another psk', 'with the wrong key'].entries())
        like(failures[i], /timeout/, who);
    const drops = await rove.drops();
    like(JSON.stringify(drops), /"net_handshake":[1-9]/, 'drops');
    is((await rove.ask('peers')).filter((peer) => peer.state === 'up').length, 0, 'sessions');
});

test('without --compat net nobody is answered', async (t) => {
    const stock = await t.stock('stock');
    const rove = await t.rove('rove');
    like(
        await stock.failure('connect', { addr: rove.addr, key: rove.key, nodeId: rove.nodeId }),
        /timeout/,
        'connect',
    );
    is(await rove.peer(stock.nodeId), undefined, 'peer');
});

test('a node of Rove beside one of the original', async (t) => {
    const { rove, stock } = await meet(t);
    const other = await t.rove('other', { peers: [`${rove.entity}@${rove.addr}`] });
    await until('the nodes of Rove meet', async () => {
        const peer = await other.peer(rove.nodeId);
        return peer && peer.state === 'up';
    });
    const classes = (await rove.ask('peers')).map((peer) => [peer.node_id, peer.class, peer.state]);
    is(
        classes.sort(),
        [
            [other.nodeId, 'rove', 'up'],
            [stock.nodeId, 'net', 'up'],
        ].sort(),
        'peers',
    );
});

run();
