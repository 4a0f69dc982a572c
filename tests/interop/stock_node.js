// SPDX-License-Identifier: Apache-2.0
//
// A node of the original, seen from a test: the process that stock.js is.
'use strict';
const { spawn } = require('child_process');
const path = require('path');
const readline = require('readline');

class Stock {
    constructor(name) {
        this.name = name;
        this.log = [];
        this.asked = 0;
        this.waiting = new Map();
        this.process = spawn(process.execPath, [path.join(__dirname, 'stock.js')], {
            stdio: ['pipe', 'pipe', 'pipe'],
        });
        readline.createInterface({ input: this.process.stdout }).on('line', (line) => this.take(line));
        readline.createInterface({ input: this.process.stderr }).on('line', (line) => this.log.push(line));
        this.process.stdin.on('error', () => {});
        this.process.on('exit', (code, signal) => {
            this.ended = true;
            for (const { reject } of this.waiting.values())
                reject(new Error(`stock node ${name} ended (${signal || code})`));
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
        if ('error' in answer)
            call.reject(new Error(answer.error));
        else
            call.resolve(answer.ok);
    }

    // One command of stock.js; its answer, or an error with the text of the original.
    ask(command, fields = {}) {
        if (this.ended)
            return Promise.reject(new Error(`stock node ${this.name} has ended`));
        const id = ++this.asked;
        return new Promise((resolve, reject) => {
            this.waiting.set(id, { resolve, reject });
            this.process.stdin.write(JSON.stringify({ id, do: command, ...fields }) + '\n');
        });
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

    // The counter daemon's next events, one for each payload: the outputs as text.
    async send(origin, payloads) {
        const outputs = [];
        for (const payload of payloads) {
            this.sequence = (this.sequence || 0) + 1;
            for (const output of await this.ask('deliver', { origin, sequence: this.sequence, payload }))
                outputs.push(Buffer.from(output, 'hex').toString());
        }
        return outputs;
    }

    async snapshot(origin) {
        return Buffer.from(await this.ask('snapshot', { origin }), 'hex');
    }

    end() {
        this.process.kill('SIGKILL');
    }
}

module.exports = { Stock };
