// Goal: a client that knows Redis Cluster or Sentinel, and nothing of Raft, survives the leader.
//
// Usage: discovery.js CLIENT PORT...   CLIENT is ioredis-cluster, ioredis-sentinel,
// node-redis-cluster or node-redis-sentinel.  Writes one key after the other and prints each number
// that was acknowledged; at the end of its input reads all of them back and prints "kept N".
'use strict';
const [, , kind, ...ports] = process.argv;
const addresses = ports.map((port) => ({ host: '127.0.0.1', port: Number(port) }));

async function open() {
  if (kind === 'ioredis-cluster') {
    const { Cluster } = require('ioredis');
    return new Cluster(addresses, { clusterRetryStrategy: () => 100 });
  }
  if (kind === 'ioredis-sentinel') {
    const { Redis } = require('ioredis');
    return new Redis({ sentinels: addresses, name: 'mymaster', sentinelRetryStrategy: () => 100 });
  }
  const { createCluster, createSentinel } = require('redis');
  const client = kind === 'node-redis-cluster'
    ? createCluster({ rootNodes: addresses.map((a) => ({ socket: a })) })
    : createSentinel({ name: 'mymaster', sentinelRootNodes: addresses, scanInterval: 200 });
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function main() {
  const client = await open();
  client.on('error', () => {});
  let stop = false;
  process.stdin.on('end', () => { stop = true; });
  process.stdin.resume();
  const kept = [];
  for (let n = 0; !stop; n++) {
    try {
      await client.set(`${kind}:${n}`, String(n));
      kept.push(n);
      console.log(n);
    } catch {
      await new Promise((done) => setTimeout(done, 20)); // between two tries, as a program would
    }
  }
  for (const n of kept) {
    const value = await client.get(`${kind}:${n}`);
    if (value !== String(n)) throw new Error(`${n} was acknowledged and is ${value}`);
  }
  console.log(`kept ${kept.length}`);
  process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
