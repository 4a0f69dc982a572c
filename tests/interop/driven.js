// SPDX-License-Identifier: Apache-2.0
//
// Nodes in processes of their own that take JSON lines: one of the original (stock.js), one of Rove
// in a program (embedded.c), and class net of Rove alone (bare.c).
'use strict';
const { spawn } = require('child_process');
const path = require('path');
const readline = require('readline');

class Driven {
    constructor(name, program, args) {
        this.name = name;
        this.log = [];
        this.asked = 0;
        this.waiting = new Map();
        this.process = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
        readline
            .createInterface({ input: this.process.stdout })
            .on('line', (line) => this.take(line));
        readline
            .createInterface({ input: this.process.stderr })
            .on('line', (line) => this.log.push(line));
        this.process.stdin.on('error', () => {});
        this.process.on('exit', (code, signal) => {
            this.ended = true;
            for (const { reject } of this.waiting.values())
                reject(new Error(`node ${name} ended (${signal || code})`));
            this.waiting.clear();
        });
    }

    take(line) {
        let answer;
        try {
            answer = JSON.parse(line);
        } catch {
            this.log.push(line);
            return;
        }
        const call = this.waiting.get(answer.id);
        this.waiting.delete(answer.id);
        if ('error' in answer) call.reject(new Error(answer.error));
        else call.resolve(answer.ok);
    }

    // One command: its answer, or an error with the text that came.
    ask(command, fields = {}) {
        if (this.ended) return Promise.reject(new Error(`node ${this.name} has ended`));
        const id = ++this.asked;
        const answer = new Promise((resolve, reject) => {
            this.waiting.set(id, { resolve, reject });
            this.process.stdin.write(JSON.stringify({ id, do: command, ...fields }) + '\n');
        });
        answer.catch(() => {}); // one that nobody waits for any more when the test has ended
        return answer;
    }

    // The text with which a command fails; null when it does not.
    async failure(command, fields) {
        try {
            await this.ask(command, fields);
            return null;
        } catch (e) {
            return e.message;
        }
    }

    end() {
        this.process.kill('SIGKILL');
    }
}

class Stock extends Driven {
    constructor(name) {
        super(name, process.execPath, [path.join(__dirname, 'stock.js')]);
        this.sequence = 0;
    }

    // Events to a daemon, one for each payload: the outputs as text.
    async send(origin, payloads) {
        const outputs = [];
        for (const payload of payloads) {
            const got = await this.ask('deliver', { origin, sequence: ++this.sequence, payload });
            outputs.push(...got.map((output) => Buffer.from(output, 'hex').toString()));
        }
        return outputs;
    }

    // The bare snapshot.
    async snapshot(origin) {
        return Buffer.from(await this.ask('snapshot', { origin }), 'hex');
    }
}

class Embedded extends Driven {
    constructor(name, build, psk, limits) {
        const program = path.join(build, 'tests', 'interop', 'embedded');
        super(name, program, [psk, ...Object.entries(limits).flat().map(String)]);
    }
}

class Bare extends Driven {
    constructor(name, build, psk, seed) {
        super(name, path.join(build, 'tests', 'interop', 'bare'), [psk, seed]);
    }
}

module.exports = { Bare, Embedded, Stock };
