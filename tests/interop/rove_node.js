// SPDX-License-Identifier: Apache-2.0
//
// A node of Rove, seen from a test: the program `rove`, and its commands.
'use strict';
const { execFile, spawn } = require('child_process');
const fs = require('fs');
const path = require('path');
const readline = require('readline');

class Rove {
    // `build` is the build folder, `work` a folder of the test's own.
    constructor(build, work, name) {
        this.program = path.join(build, 'rove');
        this.kinds = path.join(build, 'examples');
        this.name = name;
        this.work = work;
        this.socket = path.join(work, `${name}.sock`);
        this.log = [];
    }

    // netPeers: "NODE_ID[:X25519[@HOST:PORT]]"; limits: { name: value }.
    start({ psk, netPeers = [], limits = {}, kinds = ['counter', 'kv'], peers = [], more = [] }) {
        const key = path.join(this.work, 'psk');
        fs.writeFileSync(key, psk + '\n', { mode: 0o600 });
        const args = [
            'node',
            '--listen',
            '127.0.0.1:0',
            '--psk-file',
            key,
            '--control',
            this.socket,
        ];
        args.push('--json');
        if (netPeers.length > 0) args.push('--compat', 'net');
        for (const peer of netPeers) args.push('--net-peer', peer);
        for (const peer of peers) args.push('--peer', peer);
        for (const kind of kinds) args.push('--load', path.join(this.kinds, `${kind}.so`));
        for (const [name, value] of Object.entries(limits)) args.push('--set', `${name}=${value}`);
        this.process = spawn(this.program, [...args, ...more], {
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        readline
            .createInterface({ input: this.process.stderr })
            .on('line', (line) => this.log.push(line));
        return new Promise((resolve, reject) => {
            this.process.on('exit', (code, signal) => {
                this.ended = true;
                reject(
                    new Error(
                        `rove node ${this.name} ended (${signal || code}): ${this.log.join(' ')}`,
                    ),
                );
            });
            readline.createInterface({ input: this.process.stdout }).on('line', (line) => {
                const event = JSON.parse(line);
                if (event.event !== 'ready') return;
                this.nodeId = event.node_id;
                this.entity = event.entity;
                this.key = event.x25519;
                this.addr = event.addr;
                resolve(this);
            });
        });
    }

    // Runs a command: { status, out: text, lines: JSON objects, err }.
    run(command, args = [], input = '') {
        return new Promise((resolve) => {
            const child = execFile(
                this.program,
                [command, '--control', this.socket, ...args],
                { maxBuffer: 1 << 28, encoding: 'utf8' },
                (error, out, err) => {
                    const objects = args.includes('--json')
                        ? out.split('\n').filter((l) => l !== '')
                        : [];
                    const status = error ? error.code : 0;
                    resolve({
                        status,
                        out,
                        err: err.trim(),
                        lines: objects.map((l) => JSON.parse(l)),
                    });
                },
            );
            child.stdin.on('error', () => {});
            child.stdin.end(input);
        });
    }

    // The same where it must succeed: the JSON objects.
    async ask(command, ...args) {
        const got = await this.run(command, [...args, '--json']);
        if (got.status !== 0)
            throw new Error(
                `rove ${command} ${args.join(' ')}: exit status ${got.status}: ${got.err}`,
            );
        return got.lines;
    }

    async spawn(kind, ...args) {
        return (await this.ask('spawn', kind, ...args))[0];
    }

    // Events to a daemon: its outputs as text.
    async send(origin, events) {
        const got = await this.run(
            'send',
            [origin, '--outputs', '--json'],
            events.map((e) => e + '\n').join(''),
        );
        if (got.status !== 0)
            throw new Error(
                `rove send ${origin}: exit status ${got.status}: ${got.err} ${got.out.slice(0, 500)}`,
            );
        return got.lines
            .filter((line) => line.event === 'output')
            .map((line) => Buffer.from(line.output, 'hex').toString());
    }

    // The bare snapshot.
    async snapshot(origin) {
        const file = path.join(this.work, `${this.name}.snapshot`);
        await this.ask('snapshot', origin, '-o', file, '--raw');
        const bytes = fs.readFileSync(file);
        fs.unlinkSync(file);
        return bytes;
    }

    // A move to another node: the last line of its story.
    async migrate(origin, to, ...args) {
        const got = await this.run('migrate', [origin, '--to', to, '--json', ...args]);
        return {
            status: got.status,
            err: got.err,
            phases: got.lines,
            ...got.lines[got.lines.length - 1],
        };
    }

    async peer(nodeId) {
        return (await this.ask('peers')).find((peer) => peer.node_id === nodeId);
    }

    async daemon(origin) {
        return (await this.ask('ps')).find((daemon) => daemon.origin === origin);
    }

    async drops() {
        return (await this.ask('status'))[0].drops;
    }

    end() {
        if (this.process) this.process.kill('SIGKILL');
    }
}

module.exports = { Rove };
