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
    is(
        [end.status, end.event, end.from, end.to],
        [0, 'moved', rove.nodeId, stock.nodeId],
        `the end (${end.err})`,
    );
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
        is(
            end.phases.filter((line) => line.event === 'phase').map((line) => line.phase),
            ['snapshot', 'transfer', 'restore', 'replay', 'cutover', 'complete'],
            'phases',
        );
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
    is(
        [got.status, got.lines[got.lines.length - 1].refused],
        [3, 1],
        `refused (${got.out} ${got.err})`,
    );
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
    for (let i = 0; i < mib; i++) events.push(`set key${i} ${value(i)}`);
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
        is(
            await stock.send(origin, ['what']),
            [`${state.length} ${digest}`],
            'the state that came',
        );
        if (mib > 1) return; // nobody sends the original's own chunks again
        await toRove(stock, rove, origin);
        is(
            (await rove.send(origin, ['get key0']))[0],
            values(0),
            'a value that was there and back',
        );
    });
}

// A node of each with a wire between them, the original on its left.
async function wired(t, limits = {}) {
    const stock = await t.stock('stock');
    const rove = await t.rove('rove', { netPeers: [listing(stock)], limits });
    const wire = await t.wire(rove.addr);
    await connect(stock, rove, wire.addr);
    return { rove, stock, wire };
}

const isMove = ({ subprotocol }) => subprotocol === 0x500;

for (const [what, disturb] of [
    [
        'chunks that are lost are sent again',
        (wire) => {
            let seen = 0;
            wire.drop = (packet) => isMove(packet) && ++seen % 7 === 3;
        },
    ],
    [
        'chunks may come in any order',
        (wire) => {
            let seen = 0;
            wire.delay = (packet) => (isMove(packet) ? (++seen * 7) % 13 : 0);
        },
    ],
]) {
    test(what, async (t) => {
        const { rove, stock, wire } = await wired(t);
        const { origin } = await filled(rove, 1);
        const { state } = parseSnapshot(await rove.snapshot(origin));
        disturb(wire);
        await stock.ask('expect', { kind: 'carrier', origin });
        await toStock(rove, stock, origin, '--timeout', '50');
        const digest = crypto.createHash('sha256').update(state).digest('hex');
        is(
            await stock.send(origin, ['what']),
            [`${state.length} ${digest}`],
            'the state that came',
        );
    });
}

// A move has six messages. The original says each once, so its chunk may not be lost.
test('any one message from Rove to the original, or its answer, may be lost', async (t) => {
    const { rove, stock, wire } = await wired(t, { move_repeat: 0.1 });
    for (let lost = 1; lost <= 6; lost++) {
        const { origin } = await rove.spawn('counter');
        await rove.send(origin, ['a']);
        await stock.ask('expect', { kind: 'counter', origin });
        let seen = 0;
        wire.drop = (packet) => isMove(packet) && ++seen === lost;
        await toStock(rove, stock, origin);
        is(seen > 6, true, `one was said again (${lost})`);
        is(await stock.send(origin, ['b']), ['2'], 'output');
    }
});

test('any one message from the original to Rove but the chunk, or its answer, may be lost', async (t) => {
    const { rove, stock, wire } = await wired(t, { move_repeat: 0.1 });
    for (let lost = 2; lost <= 6; lost++) {
        const { origin } = await stock.ask('spawn', { kind: 'counter', seed: seedOf(lost) });
        await stock.send(origin, ['a']);
        await rove.ask('expect', 'counter', origin);
        let seen = 0;
        wire.drop = (packet) => isMove(packet) && ++seen === lost;
        await toRove(stock, rove, origin);
        is(await rove.send(origin, ['b']), ['2'], 'output');
        is(await stock.ask('daemons'), 0, 'daemons left behind');
    }
});

test('datagrams that come twice, and altered ones before them, change nothing', async (t) => {
    const { rove, stock, wire } = await wired(t);
    let at = 0;
    wire.instead = (bytes) => {
        const altered = Buffer.from(bytes);
        altered[(at += 37) % altered.length] ^= 0x40;
        return [altered, bytes, bytes];
    };
    const { origin } = await rove.spawn('counter');
    let before = parseSnapshot(await rove.snapshot(origin));
    for (let count = 0; count < 12; count += 4) {
        await stock.ask('expect', { kind: 'counter', origin });
        await toStock(rove, stock, origin);
        before = await goesOn(stock, origin, before, count);
        await toRove(stock, rove, origin);
        before = await goesOn(rove, origin, before, count + 2);
    }
    const drops = await rove.drops();
    is(
        drops.net_auth > 0 && drops.net_replay > 0,
        true,
        `they are counted: ${JSON.stringify(drops)}`,
    );
    is((await rove.peer(stock.nodeId)).state, 'up', 'state');
});

// ---- beside lanes and class rove ----

test('a sender whose daemon goes to the original knows of each event what became of it', async (t) => {
    const { rove, stock } = await meet(t);
    const far = await t.rove('far', { peers: [`${rove.entity}@${rove.addr}`] });
    await until('the nodes of Rove meet', async () => {
        const peer = await far.peer(rove.nodeId);
        return peer && peer.state === 'up';
    });
    const { origin, entity } = await rove.spawn('counter');
    await stock.ask('expect', { kind: 'counter', origin });
    const EVENTS = 600000;
    const sending = far.run('send', [entity, '--json', '--timeout', '30'], 'x\n'.repeat(EVENTS));
    await until('events come', async () => (await rove.daemon(origin)).events > 1000);
    await toStock(rove, stock, origin);
    const told = (await sending).lines.pop();
    is(
        [told.sent, told.unknown, told.lost],
        [EVENTS, 0, 0],
        `what the sender was told: ${JSON.stringify(told)}`,
    );
    is(told.applied + told.refused, EVENTS, 'each was applied or refused');
    is(told.refused > 0, true, 'the move fell among them');
    is(
        await stock.send(origin, ['x']),
        [`${told.applied + 1}`],
        'the count is that of those applied',
    );
});

test('from the original over two nodes of Rove to another of the original', async (t) => {
    const first = await t.stock('first');
    const last = await t.stock('last');
    const one = await t.rove('one', { netPeers: [listing(first)] });
    const two = await t.rove('two', {
        netPeers: [listing(last)],
        peers: [`${one.entity}@${one.addr}`],
    });
    await connect(first, one);
    await connect(last, two);
    await until('the nodes of Rove meet', async () => {
        const peer = await one.peer(two.nodeId);
        return peer && peer.state === 'up';
    });
    const { origin } = await first.ask('spawn', { kind: 'counter', seed: SEED });
    await first.send(origin, ['a']);
    const before = parseSnapshot(await first.snapshot(origin));
    await one.ask('expect', 'counter', origin);
    await toRove(first, one, origin);
    await goesOn(one, origin, before, 1);
    await two.ask('expect', 'counter', origin);
    const end = await one.migrate(origin, two.nodeId);
    is([end.status, end.event], [0, 'moved'], `the end (${end.err})`);
    is(await two.send(origin, ['z']), ['4'], 'output');
    const there = parseSnapshot(await two.snapshot(origin));
    await last.ask('expect', { kind: 'counter', origin });
    await toStock(two, last, origin);
    await goesOn(last, origin, there, 4);
});

run();
