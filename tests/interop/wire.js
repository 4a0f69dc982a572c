// SPDX-License-Identifier: Apache-2.0
//
// A relay of datagrams between two nodes. It counts what it can tell from outside, by direction,
// and loses, changes or holds up what a test wants it to. `left` is who speaks first, and is
// learned from its first datagram; `right` is an address.
'use strict';
const dgram = require('dgram');

const MAGIC = 0x4e45;
const ROUTED = 0x5452;
const ROUTING_HEADER = 18;
const HEADER = 68;
const FLAG_HANDSHAKE = 0x10;
const FLAG_HEARTBEAT = 0x20;
const PINGWAVE_SIZE = 72;

function direct(bytes, framing) {
    if (bytes.length < HEADER || bytes.readUInt16LE(0) !== MAGIC || bytes[2] !== 1)
        return { what: 'other', framing };
    const flags = bytes[3];
    const subprotocol = bytes.readUInt16LE(8);
    if (flags & FLAG_HANDSHAKE) return { what: 'handshake', framing };
    if (flags & FLAG_HEARTBEAT) return { what: 'heartbeat', framing };
    return { what: 'packet', framing, subprotocol, size: bytes.length };
}

// What a datagram is, as far as its header says so.
function classify(bytes) {
    if (bytes.length >= 2 && bytes.readUInt16LE(0) === ROUTED)
        return direct(bytes.subarray(ROUTING_HEADER), 'routed');
    if (bytes.length === PINGWAVE_SIZE && bytes.readUInt16LE(0) !== MAGIC)
        return { what: 'pingwave', framing: 'direct' };
    return direct(bytes, 'direct');
}

class Wire {
    constructor() {
        this.counts = { toRight: {}, toLeft: {} };
        this.seen = () => {}; // (seen, direction): told of each
        this.drop = () => false; // (seen, direction) => whether it is lost
        this.instead = (bytes) => [bytes]; // what is sent in place of a datagram
        this.delay = () => 0; // (seen, direction) => milliseconds by which it comes later
    }

    async open(right) {
        const [host, port] = right.split(':');
        this.right = { host, port: Number(port) };
        this.near = await this.socket((bytes, from) => {
            this.left = { host: from.address, port: from.port };
            this.pass(bytes, 'toRight', this.far, this.right);
        });
        this.far = await this.socket((bytes) => this.pass(bytes, 'toLeft', this.near, this.left));
        this.addr = `127.0.0.1:${this.near.address().port}`;
        return this;
    }

    socket(take) {
        return new Promise((resolve, reject) => {
            const socket = dgram.createSocket('udp4');
            socket.on('message', take);
            socket.on('error', reject);
            socket.bind({ address: '127.0.0.1', port: 0 }, () => {
                socket.setRecvBufferSize(4 << 20);
                resolve(socket);
            });
        });
    }

    pass(bytes, direction, through, to) {
        const seen = classify(bytes);
        const counts = this.counts[direction];
        const name =
            seen.what === 'packet' ? `packet 0x${seen.subprotocol.toString(16)}` : seen.what;
        counts[name] = (counts[name] || 0) + 1;
        counts[seen.framing] = (counts[seen.framing] || 0) + 1;
        this.seen(seen, direction);
        if (!to || this.drop(seen, direction)) return;
        const send = () => {
            for (const datagram of this.ended ? [] : this.instead(bytes))
                through.send(datagram, to.port, to.host, () => {});
        };
        const ms = this.delay(seen, direction);
        if (ms > 0) setTimeout(send, ms);
        else send();
    }

    count(direction, name) {
        return this.counts[direction][name] || 0;
    }

    end() {
        this.ended = true;
        this.near.close();
        this.far.close();
    }
}

module.exports = { Wire };
