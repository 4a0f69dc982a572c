// SPDX-License-Identifier: Apache-2.0
//
// Two nodes of the original with each other, in two processes: shows that the driver and the checks
// do what the other tests rely on, and how the original itself answers.
'use strict';
const { is, like, parentHash, parseSnapshot, run, seedOf, test, until } = require('./harness');
const { BRISK, heartbeatsBothWays } = require('./checks');

// `one` connects to `two` (which waits for it and is not started until then), through an address of
// its own where one is given.
async function pair(t, options = {}, between) {
    const one = await t.stock('one', { seed: 1, started: false, ...options });
    const two = await t.stock('two', { seed: 2, started: false, ...options });
    const wire = between ? await t.wire(two.addr) : null;
    const accepted = two.ask('accept', { from: one.nodeId });
    await one.ask('connect', {
        addr: wire ? wire.addr : two.addr,
        key: two.key,
        nodeId: two.nodeId,
    });
    await accepted;
    await one.ask('start');
    await two.ask('start');
    return { one, two, wire };
}

const order = (one, two, origin, more) => ({
    origin,
    source: one.nodeId,
    target: two.nodeId,
    ...more,
});

test('a counter moves, and goes on with its state, sequence and links', async (t) => {
    const { one, two } = await pair(t);
    const { origin } = await one.ask('spawn', { kind: 'counter', seed: seedOf(7) });
    is(await one.send(origin, ['a', 'b', 'c']), ['1', '2', '3'], 'outputs before');
    const before = parseSnapshot(await one.snapshot(origin));
    await two.ask('expect', { kind: 'counter', origin });
    await one.ask('move', order(one, two, origin));
    is([await one.ask('daemons'), await two.ask('daemons')], [0, 1], 'daemons');

    is(await two.send(origin, ['d']), ['4'], 'the first output behind the move');
    const first = parseSnapshot(await two.snapshot(origin));
    is([first.sequence, first.origin], [before.sequence + 1, origin], 'sequence and origin');
    is(first.parent, parentHash(before.link, before.state), 'its link covers the state that moved');
    is(await two.send(origin, ['e']), ['5'], 'the second');
    const second = parseSnapshot(await two.snapshot(origin));
    is(
        second.parent,
        parentHash(first.link, Buffer.from('4')),
        'its link covers the output before',
    );
});

test('an output of eight bytes, as in the example of the original', async (t) => {
    const { one, two } = await pair(t);
    const { origin } = await one.ask('spawn', { kind: 'counter8', seed: seedOf(7) });
    await one.send(origin, ['a', 'b']);
    await two.ask('expect', { kind: 'counter8', origin });
    await one.ask('move', order(one, two, origin));
    const outputs = await two.ask('deliver', { origin, sequence: 3, payload: 'c' });
    is(outputs, ['0300000000000000'], 'output');
});

test('unsealed, where the target has the key', async (t) => {
    const { one, two } = await pair(t);
    const { origin } = await one.ask('spawn', { kind: 'counter', seed: seedOf(7) });
    await one.send(origin, ['a']);
    await two.ask('expectIdentity', { kind: 'counter', seed: seedOf(7) });
    await one.ask('move', order(one, two, origin, { sealed: false }));
    is(await two.send(origin, ['b']), ['2'], 'output');
});

test('the session outlives its time by heartbeats alone', async (t) => {
    const { one, two, wire } = await pair(t, BRISK, true);
    await heartbeatsBothWays(wire);
    is([(await one.ask('peers')).sessions, (await two.ask('peers')).sessions], [1, 1], 'sessions');
});

test('a session without heartbeats ends: what the test before relies on', async (t) => {
    const { one, two, wire } = await pair(t, BRISK, true);
    wire.drop = () => true;
    await until(
        'both drop it',
        async () => {
            const [a, b] = [await one.ask('peers'), await two.ask('peers')];
            return a.sessions === 0 && b.sessions === 0;
        },
        30000,
    );
});

test('failures and their texts', async (t) => {
    const { one, two } = await pair(t, { runtime: 'registering' });
    await one.ask('startRuntime');
    const { origin } = await one.ask('spawn', { kind: 'counter', seed: seedOf(7) });
    const failing = (more) => one.failure('move', order(one, two, origin, more));
    is(await failing(), 'daemon: migration: compute-not-supported', 'no runtime');
    await two.ask('startRuntime');
    is(await failing(), 'daemon: migration: factory-not-found', 'nothing expected');
    await two.ask('expect', { kind: 'counter', origin });
    like(
        await failing({ sealed: false }),
        /^daemon: migration: state-failed: identity envelope open failed: placeholder factory/,
        'unsealed',
    );
    like(
        await two.failure('move', order(one, two, origin)),
        new RegExp(
            `^daemon: migration: state-failed: migration refused: node ${two.nodeId} is not an ` +
                'authorized orchestrator for this node$',
        ),
        'ordered by another node',
    );
    like(
        await one.failure('move', { origin, source: one.nodeId, target: '0x77' }),
        /^daemon: migration: state-failed: identity transport requested but peer X25519 static/,
        'unknown peer',
    );
    is(await one.send(origin, ['a']), ['1'], 'it runs on at its source');
});

run();
