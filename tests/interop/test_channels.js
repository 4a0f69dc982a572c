// SPDX-License-Identifier: Apache-2.0
//
// Channels of the program, and the original as their subscriber.
'use strict';
const { meet } = require('./checks');
const { is, run, seedOf, test, until } = require('./harness');

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

test('a channel behind a token is closed to those who have none', async (t) => {
    const { rove, stock } = await meet(t);
    const owner = await t.stock('owner', { seed: 9, runtime: false });
    await rove.ask('channel', 'create', 'gated/x', '--token-root', owner.entity);
    const token = (subject) =>
        stock.ask('issueToken', {
            seed: seedOf(9),
            subject,
            scope: ['subscribe'],
            channel: 'gated/x',
        });
    const refusal = 'channel: unauthorized';
    is(await refused(stock, rove, 'gated/x'), refusal, 'without a token');
    is(await refused(stock, rove, 'gated/x', await token(rove.entity)), refusal, 'of another');
    const own = await token(stock.entity);
    is(await refused(stock, rove, 'gated/x', own), refusal, 'its own, before it said who it is');
    is(await members(rove, 'gated/x'), 0, 'subscribers');
    const denied = await rove.run('pub', ['gated/x'], 'secret\n');
    is([denied.status, /publish denied by channel ACL/.test(denied.err)], [1, true], 'itself');
});

run();
