// SPDX-License-Identifier: Apache-2.0
//
// One node of the original in a process of its own. Commands come as JSON lines on standard input,
// {"id":N,"do":NAME,...}; the answer is {"id":N,"ok":VALUE} or {"id":N,"error":TEXT}, with the text
// of the original's exception. Ids and counters are strings "0x…", bytes are hex. Ends with its
// input: the addon's threads would keep it alive otherwise.
//
// What the addon lets be seen: identities, addresses and keys, the number of peers and of nodes
// known through pingwaves, events and outputs, bare snapshots, phases and failures of migrations,
// what came on channels, tokens, and which nodes its index finds. It subscribes without queue groups,
// publishes on no channel that asks itself for a token, and picks no target of a move by itself.
// It tells neither of heartbeats nor of single messages (a relay in between sees those, wire.js),
// cannot be made "not ready", cannot allow a foreign orchestrator, and does not take a daemon back
// that it spawned itself. Asked for a phase while a move takes its snapshot it stands still for
// ever: the addon then waits for this thread, which waits for it.
'use strict';
const { createHash } = require('crypto');
const readline = require('readline');
const net = require('@net-mesh/core-linux-x64-gnu');

const big = (text) => BigInt(text);
const hex = (value) => '0x' + BigInt(value).toString(16);

function u64(value) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    return bytes;
}

// ---- kinds ----

// The count as 8 bytes, little-endian, and as output what `answer` makes of it.
function counting(answer) {
    return () => {
        let count = 0n;
        return {
            name: 'counter',
            process() {
                count += 1n;
                return [answer(count)];
            },
            snapshot: () => u64(count),
            restore(state) {
                if (state.length !== 8) throw new Error(`a count has 8 bytes, not ${state.length}`);
                count = state.readBigUInt64LE(0);
            },
        };
    };
}

// Carries any state unchanged. The event `fill N` makes one of N bytes; every event is answered
// with the size and the SHA-256 of the state.
function carrier() {
    let state = Buffer.alloc(0);
    return {
        name: 'carrier',
        process(event) {
            const words = event.payload.toString().split(' ');
            if (words[0] === 'fill') {
                state = Buffer.alloc(Number(words[1]));
                for (let i = 0; i < state.length; i++) state[i] = (i * 2654435761) >>> 24;
            }
            const digest = createHash('sha256').update(state).digest('hex');
            return [Buffer.from(`${state.length} ${digest}`)];
        },
        snapshot: () => state,
        restore(bytes) {
            state = Buffer.from(bytes);
        },
    };
}

// Takes no state at all.
function fussy() {
    return {
        name: 'fussy',
        process: () => [],
        snapshot: () => Buffer.from('anything'),
        restore() {
            throw new Error('this state does not please');
        },
    };
}

const kinds = {
    counter: counting((count) => Buffer.from(count.toString())), // as Rove's example
    counter8: counting(u64),
    carrier,
    fussy,
};

// ---- commands ----

let mesh, runtime;
let begun; // the last move that was only begun

const identityOf = (seed) => net.Identity.fromSeed(Buffer.from(seed, 'hex'));

const commands = {
    async create({ seed, psk, listen, heartbeatMs, sessionTimeoutMs }) {
        mesh = await net.NetMesh.create({
            bindAddr: listen || '127.0.0.1:0',
            psk,
            identitySeed: Buffer.from(seed, 'hex'),
            ...(heartbeatMs ? { heartbeatIntervalMs: heartbeatMs } : {}),
            ...(sessionTimeoutMs ? { sessionTimeoutMs } : {}),
        });
        return {
            nodeId: hex(mesh.nodeId()),
            entity: mesh.entityId().toString('hex'),
            key: mesh.publicKey(),
            addr: mesh.localAddr(),
        };
    },
    accept: ({ from }) => mesh.accept(big(from)), // only before `start`
    connect: ({ addr, key, nodeId }) => mesh.connect(addr, key, big(nodeId)),
    start: () => mesh.start(),
    peers: () => ({
        sessions: Number(mesh.peerCount()),
        discovered: Number(mesh.discoveredNodes()),
    }),

    // A runtime that was created but not started answers nothing.
    async runtime({ started }) {
        runtime = net.DaemonRuntime.create(mesh);
        for (const [kind, factory] of Object.entries(kinds)) runtime.registerFactory(kind, factory);
        if (started !== false) await runtime.start();
    },
    startRuntime: () => runtime.start(),
    async spawn({ kind, seed }) {
        const d = kinds[kind]();
        const handle = await runtime.spawn(
            kind,
            identityOf(seed),
            d.process,
            d.snapshot,
            d.restore,
            undefined,
        );
        const origin = hex(handle.originHash);
        return { origin, entity: handle.entityId.toString('hex') };
    },
    async deliver({ origin, sequence, payload, from }) {
        const outputs = await runtime.deliver(big(origin), {
            originHash: big(from || '0x1'),
            sequence: BigInt(sequence),
            payload: Buffer.from(payload),
        });
        return outputs.map((output) => output.toString('hex'));
    },
    async snapshot({ origin }) {
        const bytes = await runtime.snapshot(big(origin));
        return bytes ? bytes.toString('hex') : null;
    },
    daemons: () => Number(runtime.daemonCount()),
    expect: ({ kind, origin }) => runtime.expectMigration(kind, big(origin), undefined),
    expectIdentity: ({ kind, seed }) =>
        runtime.registerMigrationTargetIdentity(kind, identityOf(seed), undefined),

    // Begins a move and waits for its end: { ms } from the order to the end.
    async move({ origin, source, target, sealed, retryMs, timeoutMs }) {
        const start = process.hrtime.bigint();
        const handle = await runtime.startMigrationWith(big(origin), big(source), big(target), {
            ...(sealed === undefined ? {} : { transportIdentity: sealed }),
            ...(retryMs === undefined ? {} : { retryNotReadyMs: BigInt(retryMs) }),
        });
        await handle.waitWithTimeout(BigInt(timeoutMs || 10000));
        return { ms: Number(process.hrtime.bigint() - start) / 1e6 };
    },
    // The same without waiting, and its end by the one who ordered it.
    async beginMove({ origin, source, target }) {
        begun = await runtime.startMigration(big(origin), big(source), big(target));
    },
    cancelMove: () => begun.cancel(),

    // Channels. What came on those that it subscribed to lies in one queue: [{ id, payload }].
    registerChannel: ({ channel, roots = [] }) =>
        mesh.registerChannel({
            ...channel,
            ...(roots.length > 0 ? { tokenRoots: roots.map((r) => Buffer.from(r, 'hex')) } : {}),
        }),
    subscribe: ({ to, channel, token }) =>
        mesh.subscribeChannel(big(to), channel, token ? Buffer.from(token, 'hex') : undefined),
    unsubscribe: ({ from, channel }) => mesh.unsubscribeChannel(big(from), channel),
    publish: ({ channel, payload, options }) =>
        mesh.publish(channel, Buffer.from(payload), options),
    async received({ limit }) {
        const events = await mesh.poll(limit || 1000);
        return events.map((e) => ({ id: e.id, payload: e.rawBytes.toString() }));
    },

    // Tokens and announcements.
    issueToken({ seed, subject, scope, channel, seconds, depth }) {
        const to = Buffer.from(subject, 'hex');
        return identityOf(seed)
            .issueToken(to, scope, channel, seconds || 600, depth || 0)
            .toString('hex');
    },
    sign: ({ seed, text }) => identityOf(seed).sign(Buffer.from(text)).toString('hex'),
    announce: ({ capabilities }) => mesh.announceCapabilities(capabilities),
    find: async ({ filter }) => (await mesh.findNodes(filter)).map(hex),
};

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', async (line) => {
    const request = JSON.parse(line);
    let answer;
    try {
        const value = await commands[request.do](request);
        answer = { id: request.id, ok: value === undefined ? null : value };
    } catch (e) {
        answer = { id: request.id, error: e.message };
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
});
lines.on('close', () => process.exit(0));
