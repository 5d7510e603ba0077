// Goal: ioredis works against the server as it does against Redis.
'use strict';
const assert = require('node:assert');
const { test, before, after } = require('node:test');
const { Redis } = require('ioredis');

const port = Number(process.env.HELIOS_PORT);
let redis;

// Skip a test, and say so, while the server has not all these commands.
async function lacks(t, ...commands) {
  const info = await redis.call('COMMAND', 'INFO', ...commands);
  const missing = commands.filter((_, i) => info[i] === null);
  if (missing.length > 0) t.skip(`the server has no ${missing}`);
  return missing.length > 0;
}

before(async () => {
  redis = new Redis({ port, host: '127.0.0.1', maxRetriesPerRequest: 1 });
  await redis.flushall();
});
after(() => redis.disconnect());

test('it becomes ready, which reads INFO', async () => {
  const c = new Redis({ port, lazyConnect: true, enableReadyCheck: true });
  await c.connect();
  assert.strictEqual(c.status, 'ready');
  assert.match(await c.info(), /redis_version:/);
  await c.quit();
});

test('strings, buffers and expiry', async () => {
  assert.strictEqual(await redis.set('s', 'v', 'PX', 60000), 'OK');
  assert.strictEqual(await redis.get('s'), 'v');
  assert.ok((await redis.pttl('s')) > 50000);
  const bytes = Buffer.from([0, 255, 13, 10, 0]);
  await redis.set(bytes, bytes);
  assert.deepStrictEqual(await redis.getBuffer(bytes), bytes);
  assert.strictEqual(await redis.get('absent'), null);
  assert.strictEqual(await redis.incr('n'), 1);
  assert.strictEqual(await redis.incrbyfloat('f', 0.5), '0.5');
});

test('hashes, lists, sets and sorted sets', async (t) => {
  if (await lacks(t, 'rpush', 'sadd', 'zadd', 'zrange')) return;
  await redis.hset('h', { a: '1', b: '2' });
  assert.deepStrictEqual(await redis.hgetall('h'), { a: '1', b: '2' });
  await redis.rpush('l', 'x', 'y', 'z');
  assert.deepStrictEqual(await redis.lrange('l', 0, -1), ['x', 'y', 'z']);
  await redis.sadd('set', 'm', 'n', 'm');
  assert.strictEqual(await redis.scard('set'), 2);
  await redis.zadd('z', 1, 'one', 2, 'two', 3, 'three');
  assert.deepStrictEqual(await redis.zrange('z', 0, -1, 'WITHSCORES'),
    ['one', '1', 'two', '2', 'three', '3']);
  assert.deepStrictEqual(await redis.zrangebyscore('z', '(1', '+inf'), ['two', 'three']);
});

test('a pipeline answers in order, errors in their place', async () => {
  const replies = await redis.pipeline().set('p', '1').hset('p', 'x', 'y').get('p').exec();
  assert.deepStrictEqual(replies[0], [null, 'OK']);
  assert.match(replies[1][0].message, /^WRONGTYPE/);
  assert.deepStrictEqual(replies[2], [null, '1']);
});

test('a pipeline of ten thousand', async () => {
  const pipeline = redis.pipeline();
  for (let i = 0; i < 10000; i++) pipeline.incr('many');
  const replies = await pipeline.exec();
  assert.strictEqual(replies[9999][1], 10000);
});

test('automatic pipelining', async () => {
  const c = new Redis({ port, enableAutoPipelining: true });
  const replies = await Promise.all([...Array(500).keys()].map((i) => c.set(`auto:${i}`, i)));
  assert.ok(replies.every((r) => r === 'OK'));
  await c.quit();
});

test('MULTI is atomic and DISCARD forgets', async () => {
  assert.deepStrictEqual(await redis.multi().set('m', 1).incr('m').exec(),
    [[null, 'OK'], [null, 2]]);
  await redis.multi({ pipeline: false });
  await redis.set('m', 9);
  assert.strictEqual(await redis.discard(), 'OK');
  assert.strictEqual(await redis.get('m'), '2');
});

test('WATCH refuses when the key changed', async () => {
  const other = new Redis({ port });
  await redis.watch('w');
  await other.set('w', 'theirs');
  assert.strictEqual(await redis.multi().set('w', 'mine').exec(), null);
  assert.strictEqual(await redis.get('w'), 'theirs');
  await other.quit();
});

test('errors are rejected promises', async () => {
  await redis.set('str', 'x');
  await assert.rejects(redis.hset('str', 'y', 'z'), /WRONGTYPE/);
  await assert.rejects(redis.call('NO.SUCH.COMMAND'), /unknown command/);
  await assert.rejects(redis.call('GET'), /wrong number of arguments/);
  await assert.rejects(redis.incr('str'), /not an integer/);
});

test('publish and subscribe', async (t) => {
  if (await lacks(t, 'psubscribe', 'publish')) return;
  const sub = new Redis({ port });
  const got = new Promise((resolve) => sub.on('pmessage', (...m) => resolve(m)));
  await sub.psubscribe('news.*');
  assert.strictEqual(await redis.publish('news.tech', 'hello'), 1);
  assert.deepStrictEqual(await got, ['news.*', 'news.tech', 'hello']);
  await sub.quit();
});

test('a blocked client is served by a push', async (t) => {
  if (await lacks(t, 'blpop', 'rpush')) return;
  const waiter = new Redis({ port });
  const popped = waiter.blpop('queue', 10);
  await redis.rpush('queue', 'job');
  assert.deepStrictEqual(await popped, ['queue', 'job']);
  await waiter.quit();
});

test('a scan stream finds every key', async () => {
  const pipeline = redis.pipeline();
  for (let i = 0; i < 1000; i++) pipeline.set(`scan:${i}`, i);
  await pipeline.exec();
  const keys = new Set();
  for await (const batch of redis.scanStream({ match: 'scan:*', count: 100 })) {
    batch.forEach((k) => keys.add(k));
  }
  assert.strictEqual(keys.size, 1000);
});

test('it reconnects after the server drops it', async () => {
  const c = new Redis({ port, retryStrategy: () => 1, connectionName: 'dropme' });
  await c.ping();
  const list = await redis.client('LIST');
  const id = list.split('\n').find((l) => l.includes('name=dropme')).match(/id=(\d+)/)[1];
  const again = new Promise((resolve) => c.once('ready', resolve));
  assert.strictEqual(await redis.client('KILL', 'ID', id), 1);
  await again;
  assert.strictEqual(await c.ping(), 'PONG');
  await c.quit();
});
