// SPDX-License-Identifier: Apache-2.0
//
// What the test scripts share: tests that print TAP, nodes that end with their test, waits by
// condition. A script calls test() for each of its tests, and at last run().
'use strict';
const { execFileSync } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { Bare, Embedded, Stock } = require('./driven');
const { Rove } = require('./rove_node');
const { Wire } = require('./wire');

const build = path.resolve(process.argv[2]);
const PSK = '42'.repeat(32);
const TEST_MS = 60000;
const tests = [];
let running = null;

const seedOf = (number) => Buffer.alloc(32, number).toString('hex');
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Waits until the condition gives something true, and gives that.
async function until(what, condition, ms = 20000) {
    const end = Date.now() + ms;
    for (;;) {
        const got = await condition();
        if (got) return got;
        if (Date.now() > end) throw new Error(`did not come: ${what}`);
        await pause(20);
    }
}

function is(got, wanted, what) {
    const [a, b] = [got, wanted].map((value) => JSON.stringify(value));
    if (a !== b) throw new Error(`${what}: got ${a}, wanted ${b}`);
}

function like(got, pattern, what) {
    if (!pattern.test(String(got)))
        throw new Error(`${what}: got ${JSON.stringify(got)}, wanted ${pattern}`);
}

// The hash that the next link carries: of the 32 bytes of a link and the payload that belongs to
// it.
function parentHash(link, payload) {
    const program = path.join(build, 'tests', 'interop', 'forward_hash');
    return execFileSync(program, {
        input: Buffer.concat([link, payload]),
        encoding: 'utf8',
    }).trim();
}

// Of the bare bytes of a snapshot what tests look at.
function parseSnapshot(bytes) {
    const size = bytes.readUInt32LE(85);
    return {
        entity: bytes.subarray(5, 37).toString('hex'),
        through: Number(bytes.readBigUInt64LE(37)),
        link: bytes.subarray(45, 77),
        origin: '0x' + bytes.readBigUInt64LE(45).toString(16),
        sequence: Number(bytes.readBigUInt64LE(61)),
        parent: '0x' + bytes.readBigUInt64LE(69).toString(16),
        state: bytes.subarray(89, 89 + size),
    };
}

class Test {
    constructor(name) {
        this.name = name;
        this.things = [];
        this.work = fs.mkdtempSync(path.join(os.tmpdir(), 'rove-interop-'));
    }

    // A node of the original; `runtime` false: without one, 'registering': with one not yet
    // started.
    async stock(name, { seed, started = true, runtime = true, ...options } = {}) {
        const node = new Stock(name);
        this.things.push(node);
        const seedBytes =
            seed === undefined ? crypto.randomBytes(32).toString('hex') : seedOf(seed);
        Object.assign(node, await node.ask('create', { seed: seedBytes, psk: PSK, ...options }));
        if (runtime) await node.ask('runtime', { started: runtime !== 'registering' });
        if (started) await node.ask('start');
        return node;
    }

    // A node of Rove in a program of its own, that serves these of the original.
    async embedded(name, peers, limits = {}) {
        const node = new Embedded(name, build, PSK, limits);
        this.things.push(node);
        Object.assign(node, await node.ask('info'));
        for (const { nodeId, key } of peers) await node.ask('list', { nodeId, key });
        return node;
    }

    // Class net of Rove alone, that serves these of the original.
    async bare(name, seed, peers) {
        const node = new Bare(name, build, PSK, seedOf(seed));
        this.things.push(node);
        Object.assign(node, await node.ask('info'));
        for (const { nodeId, key, addr } of peers) await node.ask('list', { nodeId, key, addr });
        return node;
    }

    rove(name, options = {}) {
        const node = new Rove(build, this.work, name);
        this.things.push(node);
        return node.start({ psk: PSK, ...options });
    }

    async wire(right) {
        const wire = await new Wire().open(right);
        this.things.push(wire);
        return wire;
    }

    end() {
        for (const thing of this.things.reverse()) thing.end();
        fs.rmSync(this.work, { recursive: true, force: true });
    }

    logs() {
        return this.things
            .filter((thing) => thing.log && thing.log.length > 0)
            .flatMap((thing) => thing.log.slice(-15).map((line) => `${thing.name}: ${line}`));
    }
}

function test(name, body, ms = TEST_MS) {
    tests.push({ name, body, ms });
}

async function run() {
    const only = process.argv[3];
    const chosen = tests.filter((t) => !only || t.name.includes(only));
    let failed = 0;
    console.log(`1..${chosen.length}`);
    for (const [i, { name, body, ms }] of chosen.entries()) {
        running = new Test(name);
        let timer;
        const late = new Promise((_, reject) => {
            timer = setTimeout(() => reject(new Error(`not done after ${ms / 1000} s`)), ms);
        });
        try {
            const work = body(running);
            work.catch(() => {}); // one that fails after it was late is not told again
            await Promise.race([work, late]);
            console.log(`ok ${i + 1} - ${name}`);
        } catch (e) {
            failed++;
            console.log(`not ok ${i + 1} - ${name}`);
            for (const line of [...e.stack.split('\n').slice(0, 6), ...running.logs()])
                console.log(`# ${line}`);
        }
        clearTimeout(timer);
        running.end();
        running = null;
    }
    process.exit(failed > 0 ? 1 : 0);
}

for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
        if (running) running.end();
        process.exit(1);
    });
}

module.exports = {
    PSK,
    Test,
    build,
    is,
    like,
    parentHash,
    parseSnapshot,
    pause,
    run,
    seedOf,
    test,
    until,
};
