// SPDX-License-Identifier: Apache-2.0
//
// Moves between Rove and the original that fail, with their codes and texts. What the source has
// then goes on where it was.
//
// The original is never the one that is "not ready": its addon has no way to be. Rove is, in
// test_embedded.js.
'use strict';
const fs = require('fs');
const path = require('path');
const { is, like, run, seedOf, test, until } = require('./harness');
const { connect, isUp, listing, meet } = require('./checks');

const SEED = seedOf(7);

// ---- Rove to the original ----

// A counter of Rove at 2.
async function counter(rove) {
    const { origin } = await rove.spawn('counter');
    await rove.send(origin, ['a', 'b']);
    return origin;
}

// Its move fails for this reason, behind which may stand what the other side said. It goes on at 3.
async function failing(rove, stock, origin, reason, ...more) {
    const end = await rove.migrate(origin, stock.nodeId, '--timeout', '20', ...more);
    is([end.status, end.event], [1, 'failed'], `the end (${end.err})`);
    if (reason instanceof RegExp) like(end.reason, reason, 'reason');
    else is(end.reason, reason, 'reason');
    is((await rove.daemon(origin)).state, 'running', 'state');
    is(await rove.send(origin, ['c']), ['3'], 'it goes on');
}

test('to the original: nothing is expected there', async (t) => {
    const { rove, stock } = await meet(t);
    await failing(rove, stock, await counter(rove), 'target_no_factory');
});

test('to the original: it has no runtime', async (t) => {
    const { rove, stock } = await meet(t, { stock: { runtime: false } });
    await failing(rove, stock, await counter(rove), 'target_no_runtime');
});

test('to the original: its runtime is not started', async (t) => {
    const { rove, stock } = await meet(t, { stock: { runtime: 'registering' } });
    const origin = await counter(rove);
    await failing(rove, stock, origin, 'target_no_runtime');
    await stock.ask('startRuntime');
    await stock.ask('expect', { kind: 'counter', origin });
    is((await rove.migrate(origin, stock.nodeId)).event, 'moved', 'the next attempt');
    is(await stock.send(origin, ['d']), ['4'], 'output');
});

test('to the original: sealed to a wrong key', async (t) => {
    const stock = await t.stock('stock');
    const other = await t.stock('other');
    const rove = await t.rove('rove', { netPeers: [`${stock.nodeId}:${other.key}`] });
    await connect(stock, rove);
    const origin = await counter(rove);
    await stock.ask('expect', { kind: 'counter', origin });
    await failing(
        rove,
        stock,
        origin,
        'identity_transport: identity envelope open failed: identity envelope: ' +
            'seal_open failed (wrong target key or tampered ciphertext)',
    );
    is(await stock.ask('daemons'), 0, 'daemons at the target');
});

test('to the original: unsealed, but it waits for a key', async (t) => {
    const { rove, stock } = await meet(t);
    const origin = await counter(rove);
    await stock.ask('expect', { kind: 'counter', origin });
    await failing(
        rove,
        stock,
        origin,
        'identity_missing: identity envelope open failed: placeholder factory ' +
            'registered but snapshot has no identity envelope (and no local fallback keypair available)',
        '--no-identity',
    );
});

test('to the original: its key is not known', async (t) => {
    const { rove, stock } = await meet(t, { keyless: true });
    const origin = await counter(rove);
    await stock.ask('expect', { kind: 'counter', origin });
    await failing(rove, stock, origin, 'target_key');
    is(await stock.ask('daemons'), 0, 'daemons at the target');
});

test('to the original: the state does not please', async (t) => {
    const { rove, stock } = await meet(t);
    const origin = await counter(rove);
    await stock.ask('expect', { kind: 'fussy', origin });
    await failing(
        rove,
        stock,
        origin,
        /^state_failed: restore_snapshot failed: StateFailed\("restore failed: .*this state does not please"\)$/,
    );
    is(await stock.ask('daemons'), 0, 'daemons at the target');
});

// Limits of a node that soon finds a peer gone.
const BRIEF = { net_heartbeat: 0.1, net_suspect: 0.5, net_fail: 1 };

test('to the original: it is gone', async (t) => {
    const { rove, stock } = await meet(t, { rove: { limits: BRIEF } });
    stock.end();
    await until(
        'it counts as failed',
        async () => (await rove.peer(stock.nodeId)).state === 'failed',
    );
    await failing(rove, stock, await counter(rove), 'target_unavailable');
});

test('to the original: it dies before it has all', async (t) => {
    const stock = await t.stock('stock');
    const wire = await t.wire(stock.addr);
    const rove = await t.rove('rove', {
        netPeers: [listing(stock, { addr: wire.addr })],
        limits: BRIEF,
    });
    await isUp(rove, stock);
    const origin = await counter(rove);
    await stock.ask('expect', { kind: 'counter', origin });
    wire.drop = ({ subprotocol }) => {
        if (subprotocol !== 0x500) return false;
        stock.end();
        return true;
    };
    await failing(rove, stock, origin, 'peer_lost');
});

test('to the original: more than it can take', async (t) => {
    const { rove, stock } = await meet(t);
    const { origin } = await rove.spawn('kv');
    const value = 'v'.repeat(1 << 19);
    const events = [];
    for (let i = 0; i < 130; i++) events.push(`set ${i} ${value}`);
    await rove.send(origin, events);
    await stock.ask('expect', { kind: 'carrier', origin });
    const end = await rove.migrate(origin, stock.nodeId);
    is([end.status, end.reason], [1, 'too_large'], `the end (${end.err})`);
    is(await rove.send(origin, ['get 0']), [value], 'it goes on');
    is(await stock.ask('daemons'), 0, 'daemons at the target');
});

test('to the original: cancelled before the commit', async (t) => {
    const stock = await t.stock('stock');
    const wire = await t.wire(stock.addr);
    const rove = await t.rove('rove', { netPeers: [listing(stock, { addr: wire.addr })] });
    await isUp(rove, stock);
    const origin = await counter(rove);
    await stock.ask('expect', { kind: 'counter', origin });
    // RestoreComplete does not come: the copy is there and waits.
    wire.drop = ({ subprotocol }, way) => subprotocol === 0x500 && way === 'toLeft';
    const moving = rove.migrate(origin, stock.nodeId);
    await until('the copy is there', async () => (await stock.ask('daemons')) === 1);
    is((await rove.ask('cancel', origin))[0].result, 'aborted', 'cancel');
    is((await moving).event, 'failed', 'end');
    await until('the copy is gone', async () => (await stock.ask('daemons')) === 0);
    is(await rove.send(origin, ['c']), ['3'], 'it goes on');
});

// ---- the original to Rove ----

// A counter of the original at 2; its move fails with a text. It goes on at 3.
async function failingThere(rove, stock, text, { kind = 'counter', expect, move = {} } = {}) {
    const { origin } = await stock.ask('spawn', { kind, seed: SEED });
    await stock.send(origin, ['a', 'b']);
    if (expect) await expect(origin);
    const order = { origin, source: stock.nodeId, target: rove.nodeId, timeoutMs: 10000, ...move };
    const got = await stock.failure('move', order);
    if (text instanceof RegExp) like(got, text, 'failure');
    else is(got, text, 'failure');
    if (kind === 'counter') is(await stock.send(origin, ['c']), ['3'], 'it goes on');
    return origin;
}

test('to Rove: nothing is expected there', async (t) => {
    const { rove, stock } = await meet(t);
    await failingThere(rove, stock, 'daemon: migration: factory-not-found');
});

test('to Rove: unsealed, but it waits for a key', async (t) => {
    const { rove, stock } = await meet(t);
    const origin = await failingThere(
        rove,
        stock,
        'daemon: migration: state-failed: identity envelope open failed: placeholder factory registered but ' +
            'snapshot has no identity envelope (and no local fallback keypair available)',
        {
            expect: (id) => rove.ask('expect', 'counter', id),
            move: { sealed: false },
        },
    );
    // The expectation stands: sealed it comes.
    await stock.ask('move', { origin, source: stock.nodeId, target: rove.nodeId });
    await until('it runs', async () => (await rove.daemon(origin)).state === 'running');
    is(await rove.send(origin, ['d']), ['4'], 'output');
});

test('to Rove: the state does not fit the kind', async (t) => {
    const { rove, stock } = await meet(t);
    await failingThere(
        rove,
        stock,
        'daemon: migration: state-failed: restore_snapshot failed: ' +
            'StateFailed("restore failed: a count has 8 bytes, not 0")',
        {
            kind: 'carrier',
            expect: (id) => rove.ask('expect', 'counter', id),
        },
    );
    is((await rove.ask('status'))[0].daemons, 0, 'daemons at the target');
});

test('to Rove: another daemon under that key is here', async (t) => {
    const { rove, stock } = await meet(t);
    const file = path.join(t.work, 'daemon');
    fs.writeFileSync(file, SEED + '\n', { mode: 0o600 });
    const { origin } = await rove.spawn('counter', '--identity', file);
    await failingThere(
        rove,
        stock,
        'daemon: migration: state-failed: restore_snapshot failed: StateFailed(' +
            `"daemon process failed: daemon ${origin} already registered")`,
    );
    is(await rove.send(origin, ['a']), ['1'], 'the incumbent');
});

test('to Rove: over a session that Rove began the original cannot start', async (t) => {
    const { rove, stock } = await meet(t, { dial: true });
    const expect = (id) => rove.ask('expect', 'counter', id);
    const origin = await failingThere(
        rove,
        stock,
        'daemon: migration: state-failed: send_subprotocol failed: connection error: unknown peer',
        { expect, move: { sealed: false } },
    );
    like(
        await stock.failure('move', { origin, source: stock.nodeId, target: rove.nodeId }),
        /^daemon: migration: state-failed: identity transport requested but peer X25519 static/,
        'sealed',
    );
});

test('to Rove: cancelled before the commit', async (t) => {
    const stock = await t.stock('stock');
    const rove = await t.rove('rove', { netPeers: [listing(stock)] });
    const wire = await t.wire(rove.addr);
    await connect(stock, rove, wire.addr);
    const { origin } = await stock.ask('spawn', { kind: 'counter', seed: SEED });
    await stock.send(origin, ['a', 'b']);
    await rove.ask('expect', 'counter', origin);
    // RestoreComplete does not come: the copy is there and waits.
    wire.drop = ({ subprotocol }, way) => subprotocol === 0x500 && way === 'toLeft';
    await stock.ask('beginMove', { origin, source: stock.nodeId, target: rove.nodeId });
    await until(
        'the copy is there',
        async () => ((await rove.daemon(origin)) || {}).state === 'prepared',
    );
    await stock.ask('cancelMove');
    await until('the copy is gone', async () => (await rove.ask('status'))[0].daemons === 0);
    is(await stock.send(origin, ['c']), ['3'], 'it goes on');
    wire.drop = () => false;
    await stock.ask('move', { origin, source: stock.nodeId, target: rove.nodeId });
    await until('it runs', async () => (await rove.daemon(origin)).state === 'running');
    is(await rove.send(origin, ['d']), ['4'], 'output');
});

// ---- orders from elsewhere ----

test('the original orders a daemon of Rove away: refused, with its text', async (t) => {
    const { rove, stock } = await meet(t);
    const { origin } = await rove.spawn('counter');
    await stock.ask('expect', { kind: 'counter', origin });
    const text =
        `daemon: migration: state-failed: migration refused: node ${stock.nodeId} is not an authorized ` +
        'orchestrator for this node';
    const order = { source: rove.nodeId, target: stock.nodeId, timeoutMs: 10000 };
    is(await stock.failure('move', { origin, ...order }), text, 'one that is here');
    is(await stock.failure('move', { origin: '0x1234', ...order }), text, 'one that is not');
    is((await rove.daemon(origin)).state, 'running', 'state');
});

run();
