// SPDX-License-Identifier: Apache-2.0
//
// What nodes announce: of the original in the index of Rove, and of Rove in that of the original.
'use strict';
const { connect, listing, meet } = require('./checks');
const { is, run, test, until } = require('./harness');

// The node as Rove's index has it; undefined: it has it not.
const known = async (rove, nodeId, ...more) =>
    (await rove.ask('nodes', ...more)).find((node) => node.node_id === nodeId);
const finds = async (stock, filter, nodeId) =>
    (await stock.ask('find', { filter })).includes(nodeId);

test('what the original announces is found in Rove by its tags', async (t) => {
    const { rove, stock } = await meet(t);
    is(await known(rove, stock.nodeId, '--where', 'role:anchor'), undefined, 'before');
    await stock.ask('announce', { capabilities: { tags: ['role:anchor', 'site:lab'] } });
    const node = await until('it is indexed', () =>
        known(rove, stock.nodeId, '--where', 'role:anchor'),
    );
    is(node.hops, 0, 'how far it is');
    is(node.tags.includes('site:lab'), true, 'its other tag');
    is(await known(rove, stock.nodeId, '--where', 'role:chief'), undefined, 'by what it is not');
});

test('what the original announces anew takes the place of what it said', async (t) => {
    const { rove, stock } = await meet(t);
    const says = async (tag) => {
        await stock.ask('announce', { capabilities: { tags: [tag] } });
        return until(tag, () => known(rove, stock.nodeId, '--where', tag));
    };
    await says('role:first');
    await says('role:second');
    is(await known(rove, stock.nodeId, '--where', 'role:first'), undefined, 'what it said first');
});

test('Rove is found by the original: by its subprotocol and by what its machine has', async (t) => {
    const { rove, stock } = await meet(t);
    const subprotocol = { requireTags: ['subprotocol:0x0500'] };
    await until('it is found', () => finds(stock, subprotocol, rove.nodeId));
    const own = await known(rove, rove.nodeId);
    for (const tag of own.tags)
        is(await finds(stock, { requireTags: [tag] }, rove.nodeId), true, tag);
    is(await finds(stock, { requireTags: ['role:chief'] }, rove.nodeId), false, 'what it is not');
    is(await finds(stock, { minMemoryGb: 1 << 20 }, rove.nodeId), false, 'with too little memory');
});

test('an announcement passes through Rove from one of the original to another', async (t) => {
    const [one, two] = [await t.stock('one'), await t.stock('two')];
    const rove = await t.rove('rove', { netPeers: [listing(one), listing(two)] });
    await connect(one, rove);
    await connect(two, rove);
    await one.ask('announce', { capabilities: { tags: ['role:far'] } });
    await until('it is found', () => finds(two, { requireTags: ['role:far'] }, one.nodeId));
});

test('an announcement of the original passes on between nodes of Rove, and back', async (t) => {
    const stock = await t.stock('stock');
    const near = await t.rove('near', { netPeers: [listing(stock)] });
    const far = await t.rove('far', { peers: [`${near.entity}@${near.addr}`] });
    await connect(stock, near);
    await stock.ask('announce', { capabilities: { tags: ['role:far'] } });
    const node = await until('it is indexed', () => known(far, stock.nodeId, '--where', 'role:far'));
    is(node.hops, 1, 'how far it is');
    const filter = { requireTags: ['subprotocol:0x0500'] };
    await until('the far one is found', () => finds(stock, filter, far.nodeId));
});

run();
