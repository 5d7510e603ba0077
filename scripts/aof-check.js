#!/usr/bin/env node
// Is the log good?  `helios check` under the name that the first HELIOS gave it:
//     node scripts/aof-check.js /var/lib/helios/appendonly.aof [--fix]
// The log is a directory of segments, so a file's name stands for the directory that it is in.
'use strict';
const fs = require('fs');
const path = require('path');
const { spawnSync } = require('child_process');

const [place, ...flags] = process.argv.slice(2);
if (place === undefined) {
    console.error('usage: node scripts/aof-check.js DIR [--fix [--accept-loss]]');
    process.exit(2);
}
const isDir = fs.existsSync(place) && fs.statSync(place).isDirectory();
const program = process.env.HELIOS_TOOL || path.join(__dirname, '..', 'bin', 'helios');
const done = spawnSync(program, ['check', isDir ? place : path.dirname(place), ...flags],
                       { stdio: 'inherit' });
if (done.error) {
    console.error(`aof-check: ${program}: ${done.error.message}: run ./dev build`);
}
process.exit(done.status === null ? 2 : done.status);
