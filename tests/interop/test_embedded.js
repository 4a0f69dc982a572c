// SPDX-License-Identifier: Apache-2.0
//
// The original and Rove in a program of its own: a runtime that is missing or not ready, a policy
// that lets others order, and orders from here to the original.
'use strict';
const { is, like, run, seedOf, test, until } = require('./harness');

const SEED = seedOf(7);

// Both, with a session that the original began.
async function meet(t) {
    const stock = await t.stock('stock');
    const rove = await t.embedded('rove', [stock]);
    await connect(stock, rove);
    return { rove, stock };
}

async function connect(stock, rove, addr = rove.addr) {
    await stock.ask('connect', { addr, key: rove.key, nodeId: rove.nodeId });
    await rove.ask('waitPeer', { peer: stock.nodeId });
}

async function spawned(stock) {
    const { origin } = await stock.ask('spawn', { kind: 'counter', seed: SEED });
    await stock.send(origin, ['a', 'b']);
    return origin;
}

const order = (origin, from, to, more) => ({
    origin,
    source: from.nodeId,
    target: to.nodeId,
    ...more,
});

test('to Rove: it runs no runtime', async (t) => {
    const { rove, stock } = await meet(t);
    const origin = await spawned(stock);
    is(
        await stock.failure('move', order(origin, stock, rove)),
        'daemon: migration: compute-not-supported',
        'failure',
    );
    is(await stock.send(origin, ['c']), ['3'], 'it goes on');
});

test('to Rove: its runtime is not ready, and the original gives up', async (t) => {
    const { rove, stock } = await meet(t);
    await rove.ask('runtime');
    const origin = await spawned(stock);
    await rove.ask('expect', { origin });
    like(
        await stock.failure('move', order(origin, stock, rove, { retryMs: 1200 })),
        /^daemon: migration: not-ready-timeout/,
        'failure',
    );
    is(await stock.send(origin, ['c']), ['3'], 'it goes on');
});

test('to Rove: its runtime becomes ready, and the next attempt of the original comes', async (t) => {
    const stock = await t.stock('stock');
    const rove = await t.embedded('rove', [stock]);
    const wire = await t.wire(rove.addr);
    await connect(stock, rove, wire.addr);
    await rove.ask('runtime');
    const origin = await spawned(stock);
    await rove.ask('expect', { origin });
    const moving = stock.ask('move', order(origin, stock, rove, { retryMs: 15000 }));
    await until('it was refused once', () => wire.count('toLeft', 'packet 0x500') > 0);
    await rove.ask('startRuntime');
    await moving;
    await until('it runs', async () => (await rove.ask('daemons')) === 1);
    is(await rove.ask('deliver', { origin }), '3', 'output');
});

test('Rove orders a daemon of the original: refused, with its text', async (t) => {
    const { rove, stock } = await meet(t);
    await rove.ask('runtime');
    await rove.ask('startRuntime');
    const origin = await spawned(stock);
    await rove.ask('expect', { origin });
    const end = await rove.ask('order', { origin, source: stock.nodeId, target: rove.entity });
    is(
        end.text,
        `migration refused: node ${rove.nodeId} is not an authorized orchestrator for this node`,
        'text',
    );
    is(end.end === 'OK', false, 'end');
    is(await stock.send(origin, ['c']), ['3'], 'it goes on');
});

// A target of the original that has ordered the move itself answers the source instead of itself,
// so such a move never ends there. What matters is that the daemon goes on.
test('the original pulls a daemon of Rove that lets it: it comes to nothing', async (t) => {
    const stock = await t.stock('stock', { heartbeatMs: 200 });
    const limits = { net_heartbeat: 0.5, net_suspect: 1, net_fail: 2, net_move_stall: 4 };
    const rove = await t.embedded('rove', [stock], limits);
    await connect(stock, rove);
    await rove.ask('runtime');
    await rove.ask('startRuntime');
    await rove.ask('allowOrders');
    const origin = await rove.ask('spawn', { seed: SEED });
    is(await rove.ask('deliver', { origin }), '1', 'output');
    await stock.ask('expect', { kind: 'counter', origin });
    like(
        await stock.failure('move', order(origin, rove, stock, { timeoutMs: 2000 })),
        /^daemon: migration: state-failed: migration timed out in phase/,
        'failure',
    );
    await until('it goes on', async () => (await rove.failure('deliver', { origin })) === null);
    is(await rove.ask('deliver', { origin }), '3', 'output');
    await until('the copy there is gone', async () => (await stock.ask('daemons')) === 0);
});

test('the original orders a daemon of Rove that lets it to another of the original', async (t) => {
    const stock = await t.stock('stock');
    const target = await t.stock('target', { started: false });
    const accepted = target.ask('accept', { from: stock.nodeId });
    await stock.ask('connect', { addr: target.addr, key: target.key, nodeId: target.nodeId });
    await accepted;
    await target.ask('start');
    const rove = await t.embedded('rove', [stock, target]);
    await connect(stock, rove);
    await connect(target, rove);
    await rove.ask('runtime');
    await rove.ask('startRuntime');
    await rove.ask('allowOrders');
    const origin = await rove.ask('spawn', { seed: SEED });
    is(await rove.ask('deliver', { origin }), '1', 'output');
    await target.ask('expect', { kind: 'counter', origin });
    await stock.ask('move', order(origin, rove, target));
    await until('it is there', async () => (await target.ask('daemons')) === 1);
    await until('it is gone', async () => (await rove.ask('daemons')) === 0);
    is(await target.send(origin, ['x']), ['2'], 'output');
});

test('a node of Rove orders a daemon of another to the original', async (t) => {
    const stock = await t.stock('stock');
    const source = await t.embedded('source', [stock]);
    const orderer = await t.embedded('orderer', []);
    await connect(stock, source);
    await orderer.ask('connect', { peer: source.entity, addr: source.addr });
    for (const rove of [source, orderer]) {
        await rove.ask('runtime');
        await rove.ask('startRuntime');
    }
    const origin = await source.ask('spawn', { seed: SEED });
    is(await source.ask('deliver', { origin }), '1', 'output');
    await stock.ask('expect', { kind: 'counter', origin });
    const wanted = { origin, source: source.entity, target: stock.nodeId };
    is((await orderer.ask('order', wanted)).end, 'E_REFUSED', 'what its policy says first');
    await source.ask('allowOrders');
    is((await orderer.ask('order', wanted)).end, 'OK', 'and then');
    is(await source.ask('daemons'), 0, 'daemons left behind');
    is(await stock.send(origin, ['x']), ['2'], 'output');
});

run();
