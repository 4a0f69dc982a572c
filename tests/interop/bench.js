// SPDX-License-Identifier: Apache-2.0
//
// Moves of an 8-byte counter between Rove and the original, beside two nodes of the original, in
// turns. `total` is from the order to the end as the source sees it; the original looks for the end
// of a move every 50 ms, so its figures are steps of that. `wire` is from the first to the last of
// the messages, as a relay sees them that stands between the two for that, and takes its own share.
//
// Usage: run.sh BUILD bench [--json] [--moves N]
'use strict';
const { Test, pause } = require('./harness');
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
    if (json) console.log(JSON.stringify({ name, value, unit }));
    else console.log(`  ${name.padEnd(44)} ${value.toFixed(3).padStart(10)} ${unit}`);
}

// A relay that tells how long the messages of the last move took.
async function watched(t, addr) {
    const wire = await t.wire(addr);
    let first, last;
    wire.seen = ({ subprotocol }) => {
        if (subprotocol !== 0x500) return;
        last = process.hrtime.bigint();
        first = first || last;
    };
    wire.took = () => {
        const ms = Number(last - first) / 1e6;
        first = undefined;
        return ms;
    };
    return wire;
}

// The moves, with a relay in each session or without: what each case took, by name.
async function measure(t, relayed) {
    const between = async (node) => (relayed ? watched(t, node.addr) : { addr: node.addr });
    const target = await t.stock('target', { started: false });
    const stock = await t.stock('stock');
    const rove = await t.rove('rove', { netPeers: [listing(stock)] });
    const toTarget = await between(target);
    const toRove = await between(rove);
    const accepted = target.ask('accept', { from: stock.nodeId });
    await stock.ask('connect', { addr: toTarget.addr, key: target.key, nodeId: target.nodeId });
    await accepted;
    await target.ask('start');
    await connect(stock, rove, toRove.addr);

    let seeds = 0;
    const seed = () => (++seeds).toString(16).padStart(64, '0');
    const fromStock = async (to, expect) => {
        const { origin } = await stock.ask('spawn', { kind: 'counter', seed: seed() });
        await stock.send(origin, ['a']);
        await expect(origin);
        return (await stock.ask('move', { origin, source: stock.nodeId, target: to.nodeId })).ms;
    };
    const fromRove = async () => {
        const { origin } = await rove.spawn('counter');
        await rove.send(origin, ['a']);
        await stock.ask('expect', { kind: 'counter', origin });
        const end = await rove.migrate(origin, stock.nodeId);
        if (end.event !== 'moved') throw new Error(`a move failed: ${end.reason || end.err}`);
        return end.total_ms;
    };
    const expectedAtTarget = (origin) => target.ask('expect', { kind: 'counter', origin });
    const expectedAtRove = (origin) => rove.ask('expect', 'counter', origin);
    const cases = {
        stock_to_stock: { wire: toTarget, move: () => fromStock(target, expectedAtTarget) },
        stock_to_rove: { wire: toRove, move: () => fromStock(rove, expectedAtRove) },
        rove_to_stock: { wire: toRove, move: fromRove },
    };
    const took = {};
    for (let i = 0; i < MOVES; i++) {
        for (const [name, { wire, move }] of Object.entries(cases)) {
            const total = await move();
            if (relayed) await pause(2); // the last message may be behind the end
            (took[name] = took[name] || []).push(relayed ? wire.took() : total);
        }
    }
    return took;
}

async function main() {
    for (const [what, relayed] of [
        ['total', false],
        ['wire', true],
    ]) {
        const t = new Test('bench');
        const took = await measure(t, relayed).finally(() => t.end());
        const reference = quantile(took.stock_to_stock, 0.5);
        for (const [name, values] of Object.entries(took)) {
            const p50 = quantile(values, 0.5);
            tell(`interop.${name}.${what}.p50`, p50, 'ms');
            tell(`interop.${name}.${what}.p90`, quantile(values, 0.9), 'ms');
            tell(`interop.${name}.${what}.ratio`, p50 / reference, 'of stock_to_stock');
        }
    }
}

main().then(
    () => process.exit(0),
    (e) => {
        console.error(`bench: ${e.message}`);
        process.exit(1);
    },
);
