// SPDX-License-Identifier: Apache-2.0
//
// Checks that several scripts share.
'use strict';
const { until } = require('./harness');

// The original drops a session after 30 session timeouts without an authentic packet: here 3 s.
const BRISK = { heartbeatMs: 50, sessionTimeoutMs: 100 };
const HEARTBEATS = 80; // more than 3 s of them, at twenty a second

// Waits until so many have passed the wire each way.
async function heartbeatsBothWays(wire, count = HEARTBEATS) {
    const enough = () => ['toLeft', 'toRight'].every((way) => wire.count(way, 'heartbeat') >= count);
    await until(`${count} heartbeats each way`, enough, 40000);
}

module.exports = { BRISK, HEARTBEATS, heartbeatsBothWays };
