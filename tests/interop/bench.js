// SPDX-License-Identifier: Apache-2.0
//
// Moves of an 8-byte counter between Rove and the original, beside two nodes of the original, in turns:
// from the order to the end as the source sees it. The original looks for the end of a move every
// 50 ms, so its own figures are steps of that.
//
// Usage: run.sh BUILD bench [--json] [--moves N]
'use strict';
const { Test, until } = require('./harness');
const { connect, listing } = require('./checks');

const json = process.argv.includes('--json');
const at = process.argv.indexOf('--moves');
const MOVES = at > 0 ? Number(process.argv[at + 1]) : 50;

function quantile(values, q) {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

function tell(name, figure, unit) {
    const value = Math.round(figure * 1000) / 1000;
    if (json)
        console.log(JSON.stringify({ name, value, unit }));
    else
        console.log(`  ${name.padEnd(44)} ${value.toFixed(3).padStart(10)} ${unit}`);
}

async function main(t) {
    const target = await t.stock('target', { started: false });
    const stock = await t.stock('stock');
    const accepted = target.ask('accept', { from: stock.nodeId });
    await stock.ask('connect', { addr: target.addr, key: target.key, nodeId: target.nodeId });
    await accepted;
    await target.ask('start');
    const rove = await t.rove('rove', { netPeers: [listing(stock)] });
    const other = await t.rove('other', { peers: [`${rove.entity}@${rove.addr}`] });
    await connect(stock, rove);
    await until('the nodes of Rove meet', async () => {
        const peer = await rove.peer(other.nodeId);
        return peer && peer.state === 'up';
    });

    let seeds = 0;
    const seed = () => (++seeds).toString(16).padStart(64, '0');
    const fromStock = async (to, expect) => {
        const { origin } = await stock.ask('spawn', { kind: 'counter', seed: seed() });
        await stock.send(origin, ['a']);
        await expect(origin);
        return stock.ask('move', { origin, source: stock.nodeId, target: to.nodeId });
    };
    const fromRove = async (to, expect) => {
        const { origin } = await rove.spawn('counter');
        await rove.send(origin, ['a']);
        await expect(origin);
        const end = await rove.migrate(origin, to.nodeId);
        if (end.event !== 'moved')
            throw new Error(`a move failed: ${end.reason || end.err}`);
        return { ms: end.total_ms, blackout: end.blackout_ms };
    };
    const by = (node) => (origin) => node.ask('expect', { kind: 'counter', origin });
    const cases = [
        { from: 'stock', to: 'stock', move: () => fromStock(target, by(target)) },
        { from: 'stock', to: 'rove', move: () => fromStock(rove, (o) => rove.ask('expect', 'counter', o)) },
        { from: 'rove', to: 'stock', move: () => fromRove(stock, by(stock)) },
        { from: 'rove', to: 'rove', move: () => fromRove(other, (o) => other.ask('expect', 'counter', o)) },
    ].map((each) => ({ ...each, total: [], blackout: [] }));
    for (let i = 0; i < MOVES; i++) {
        for (const each of cases) {
            const { ms, blackout } = await each.move();
            each.total.push(ms);
            if (blackout !== undefined && blackout !== null)
                each.blackout.push(blackout);
        }
    }

    let reference;
    for (const { from, to, total, blackout } of cases) {
        const name = `interop.${from}_to_${to}`;
        const p50 = quantile(total, 0.5);
        reference = reference || p50;
        tell(`${name}.total.p50`, p50, 'ms');
        tell(`${name}.total.p90`, quantile(total, 0.9), 'ms');
        if (blackout.length > 0)
            tell(`${name}.blackout.p50`, quantile(blackout, 0.5), 'ms');
        tell(`${name}.total.ratio`, p50 / reference, 'of stock_to_stock');
    }
}

const t = new Test('bench');
main(t).then(
    () => {
        t.end();
        process.exit(0);
    },
    (e) => {
        console.error(e.message);
        t.end();
        process.exit(1);
    },
);
