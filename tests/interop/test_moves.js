// SPDX-License-Identifier: Apache-2.0
//
// Daemons move between Rove and the original, and go on.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const { is, parseSnapshot, run, seedOf, test, until } = require('./harness');
const { connect, goesOn, listing, meet } = require('./checks');

const SEED = seedOf(7);

// From a node of the original to one of Rove, which expects it.
async function toRove(stock, rove, origin, more = {}) {
    await stock.ask('move', { origin, source: stock.nodeId, target: rove.nodeId, ...more });
    const daemon = await until('it runs', async () => {
        const found = await rove.daemon(origin);
        return found && found.state === 'running' ? found : null;
    });
    is(daemon.node_id, rove.nodeId, 'where it runs');
}

// The other way.
async function toStock(rove, stock, origin, ...more) {
    const end = await rove.migrate(origin, stock.nodeId, ...more);
    is([end.status, end.event, end.from, end.to], [0, 'moved', rove.nodeId, stock.nodeId], `the end (${end.err})`);
    const daemon = await rove.daemon(origin);
    is([daemon.state, daemon.node_id], ['moved', stock.nodeId], 'what rove ps says');
    return end;
}

function identityFile(t) {
    const file = path.join(t.work, 'daemon');
    fs.writeFileSync(file, SEED + '\n', { mode: 0o600 });
    return file;
}

test('the original to Rove, sealed', async (t) => {
    const { rove, stock } = await meet(t);
    const { origin } = await stock.ask('spawn', { kind: 'counter', seed: SEED });
    await stock.send(origin, ['a', 'b', 'c']);
    const before = parseSnapshot(await stock.snapshot(origin));
    await rove.ask('expect', 'counter', origin);
    await toRove(stock, rove, origin);
    is(await stock.ask('daemons'), 0, 'daemons left behind');
    await goesOn(rove, origin, before, 3);
});

test('the original to Rove, unsealed', async (t) => {
    const { rove, stock } = await meet(t);
    const { origin } = await stock.ask('spawn', { kind: 'counter', seed: SEED });
    await stock.send(origin, ['a', 'b', 'c']);
    const before = parseSnapshot(await stock.snapshot(origin));
    await rove.ask('expect', 'counter', origin, '--identity', identityFile(t));
    await toRove(stock, rove, origin, { sealed: false });
    await goesOn(rove, origin, before, 3);
});

for (const dial of [false, true]) {
    test(`Rove to the original, sealed, ${dial ? 'Rove' : 'the original'} began the session`, async (t) => {
        const { rove, stock } = await meet(t, { dial });
        const { origin } = await rove.spawn('counter');
        is(await rove.send(origin, ['a', 'b', 'c']), ['1', '2', '3'], 'outputs before');
        const before = parseSnapshot(await rove.snapshot(origin));
        await stock.ask('expect', { kind: 'counter', origin });
        const end = await toStock(rove, stock, origin);
        is(end.phases.filter((line) => line.event === 'phase').map((line) => line.phase),
            ['snapshot', 'transfer', 'restore', 'replay', 'cutover', 'complete'], 'phases');
        is(await stock.ask('daemons'), 1, 'daemons at the target');
        await goesOn(stock, origin, before, 3);
    });
}

test('Rove to the original, unsealed', async (t) => {
    const { rove, stock } = await meet(t);
    const { origin } = await rove.spawn('counter', '--identity', identityFile(t));
    await rove.send(origin, ['a', 'b', 'c']);
    const before = parseSnapshot(await rove.snapshot(origin));
    await stock.ask('expectIdentity', { kind: 'counter', seed: SEED });
    await toStock(rove, stock, origin, '--no-identity');
    await goesOn(stock, origin, before, 3);
});

test('events to a daemon that went to the original are refused', async (t) => {
    const { rove, stock } = await meet(t);
    const { origin } = await rove.spawn('counter');
    await rove.send(origin, ['a']);
    await stock.ask('expect', { kind: 'counter', origin });
    await toStock(rove, stock, origin);
    const got = await rove.run('send', [origin, '--json', '--timeout', '10'], 'b\n');
    is([got.status, got.lines[got.lines.length - 1].refused], [3, 1], `refused (${got.out} ${got.err})`);
});

test('Rove to the original and back', async (t) => {
    const { rove, stock } = await meet(t);
    const { origin } = await rove.spawn('counter');
    await rove.send(origin, ['a', 'b', 'c']);
    const before = parseSnapshot(await rove.snapshot(origin));
    await stock.ask('expect', { kind: 'counter', origin });
    await toStock(rove, stock, origin);
    const there = await goesOn(stock, origin, before, 3);
    await toRove(stock, rove, origin);
    is(await stock.ask('daemons'), 0, 'daemons left behind');
    await goesOn(rove, origin, there, 5);
});

test('the original to Rove and on to another of the original', async (t) => {
    const one = await t.stock('one');
    const two = await t.stock('two');
    const rove = await t.rove('rove', { netPeers: [listing(one), listing(two)] });
    await connect(one, rove);
    await connect(two, rove);
    const { origin } = await one.ask('spawn', { kind: 'counter', seed: SEED });
    await one.send(origin, ['a', 'b', 'c']);
    const before = parseSnapshot(await one.snapshot(origin));
    await rove.ask('expect', 'counter', origin);
    await toRove(one, rove, origin);
    const there = await goesOn(rove, origin, before, 3);
    await two.ask('expect', { kind: 'counter', origin });
    await toStock(rove, two, origin);
    await goesOn(two, origin, there, 5);
});

test('through the original from one node of Rove to another', async (t) => {
    const stock = await t.stock('stock');
    const one = await t.rove('one', { netPeers: [listing(stock)] });
    const two = await t.rove('two', { netPeers: [listing(stock)] });
    await connect(stock, one);
    await connect(stock, two);
    const { origin } = await one.spawn('counter');
    await one.send(origin, ['a', 'b']);
    const before = parseSnapshot(await one.snapshot(origin));
    await stock.ask('expect', { kind: 'counter', origin });
    await toStock(one, stock, origin);
    const there = await goesOn(stock, origin, before, 2);
    await two.ask('expect', 'counter', origin);
    await toRove(stock, two, origin);
    await goesOn(two, origin, there, 4);
});

test('five times to and fro', async (t) => {
    const { rove, stock } = await meet(t);
    const { origin } = await rove.spawn('counter');
    let before = parseSnapshot(await rove.snapshot(origin));
    let count = 0;
    for (let i = 0; i < 5; i++) {
        await stock.ask('expect', { kind: 'counter', origin });
        await toStock(rove, stock, origin);
        before = await goesOn(stock, origin, before, count);
        await toRove(stock, rove, origin);
        before = await goesOn(rove, origin, before, count + 2);
        count += 4;
    }
});

// ---- large states ----

// A map of `mib` values of a little less than 1 MiB each.
async function filled(rove, mib) {
    const { origin } = await rove.spawn('kv');
    const value = (i) => crypto.createHash('sha256').update(`${i}`).digest('hex').repeat(16380);
    const events = [];
    for (let i = 0; i < mib; i++)
        events.push(`set key${i} ${value(i)}`);
    await rove.send(origin, events);
    return { origin, values: value };
}

for (const mib of [1, 16]) {
    test(`${mib} MiB from Rove to the original and back`, async (t) => {
        const { rove, stock } = await meet(t);
        const { origin, values } = await filled(rove, mib);
        const { state } = parseSnapshot(await rove.snapshot(origin));
        is(Math.round(state.length / (1 << 20)), mib, 'MiB');
        await stock.ask('expect', { kind: 'carrier', origin });
        await toStock(rove, stock, origin);
        const digest = crypto.createHash('sha256').update(state).digest('hex');
        is(await stock.send(origin, ['what']), [`${state.length} ${digest}`], 'the state that came');
        if (mib > 1)
            return; // nobody sends the original's own chunks again
        await toRove(stock, rove, origin);
        is((await rove.send(origin, ['get key0']))[0], values(0), 'a value that was there and back');
    });
}

test('chunks that are lost are sent again', async (t) => {
    const stock = await t.stock('stock');
    const wire = await t.wire(stock.addr);
    const rove = await t.rove('rove', { netPeers: [listing(stock, { addr: wire.addr })] });
    await until('a session', async () => (await rove.peer(stock.nodeId)).state === 'up');
    const { origin } = await filled(rove, 1);
    const { state } = parseSnapshot(await rove.snapshot(origin));
    let seen = 0;
    wire.drop = ({ subprotocol }) => subprotocol === 0x500 && ++seen % 7 === 3;
    await stock.ask('expect', { kind: 'carrier', origin });
    await toStock(rove, stock, origin, '--timeout', '50');
    const digest = crypto.createHash('sha256').update(state).digest('hex');
    is(await stock.send(origin, ['what']), [`${state.length} ${digest}`], 'the state that came');
});

run();
