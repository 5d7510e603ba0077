// Goal: node-redis works against the server, in RESP2 and in RESP3.
'use strict';
const assert = require('node:assert');
const { test, before, after, describe } = require('node:test');
const { createClient, WatchError } = require('redis');

const port = Number(process.env.HELIOS_PORT);

// Skip a test, and say so, while the server has not all these commands.
async function lacks(t, client, ...commands) {
  const info = await client.sendCommand(['COMMAND', 'INFO', ...commands]);
  const missing = commands.filter((_, i) => info[i] === null);
  if (missing.length > 0) t.skip(`the server has no ${missing}`);
  return missing.length > 0;
}

async function connected(options) {
  const client = createClient({ socket: { port, host: '127.0.0.1', reconnectStrategy: false }, ...options });
  client.on('error', () => {});
  await client.connect();
  return client;
}

for (const RESP of [2, 3]) {
  describe(`RESP${RESP}`, () => {
    let redis;
    before(async () => {
      redis = await connected({ RESP });
      await redis.flushAll();
    });
    after(() => redis.destroy());

    test('strings and expiry', async () => {
      assert.strictEqual(await redis.set('s', 'v', { expiration: { type: 'EX', value: 60 } }),
        'OK');
      assert.strictEqual(await redis.get('s'), 'v');
      assert.ok((await redis.ttl('s')) > 50);
      assert.strictEqual(await redis.get('absent'), null);
      assert.strictEqual(await redis.set('s', 'w', { condition: 'NX' }), null);
    });

    test('a hash is an object', async () => {
      assert.strictEqual(await redis.hSet('h', { a: '1', b: '2' }), 2);
      assert.deepEqual({ ...(await redis.hGetAll('h')) }, { a: '1', b: '2' });
    });

    test('a score is a number', async (t) => {
      if (await lacks(t, redis, 'zadd', 'zrange', 'zscore')) return;
      await redis.zAdd('z', [{ score: 1.5, value: 'a' }, { score: 2, value: 'b' }]);
      assert.deepEqual(await redis.zRangeWithScores('z', 0, -1),
        [{ value: 'a', score: 1.5 }, { value: 'b', score: 2 }]);
      assert.strictEqual(await redis.zScore('z', 'a'), 1.5);
    });

    test('sets and lists', async (t) => {
      if (await lacks(t, redis, 'sadd', 'smembers', 'sismember', 'rpush', 'lrange')) return;
      await redis.sAdd('set', ['x', 'y', 'x']);
      assert.deepEqual([...(await redis.sMembers('set'))].sort(), ['x', 'y']);
      assert.strictEqual(await redis.sIsMember('set', 'x'), 1);
      await redis.rPush('l', ['1', '2', '3']);
      assert.deepEqual(await redis.lRange('l', 0, -1), ['1', '2', '3']);
    });

    test('commands of one turn travel as one pipeline', async () => {
      const replies = await Promise.all([...Array(1000).keys()].map((i) => redis.incr('n')));
      assert.deepEqual(replies, [...Array(1000).keys()].map((i) => i + 1));
    });

    test('MULTI answers an array', async () => {
      assert.deepEqual(await redis.multi().set('m', '1').incr('m').get('m').exec(),
        ['OK', 2, '2']);
    });

    test('an error within MULTI names its command', async () => {
      await redis.set('str', 'x');
      await assert.rejects(redis.multi().hSet('str', 'y', 'z').set('after', '1').exec(),
        (e) => /failed|WRONGTYPE/.test(e.message));
      assert.strictEqual(await redis.get('after'), '1');
    });

    test('WATCH refuses when the key changed', async () => {
      const other = await connected({ RESP });
      await other.watch('w');
      await redis.set('w', 'theirs');
      await assert.rejects(other.multi().set('w', 'mine').exec(), WatchError);
      assert.strictEqual(await redis.get('w'), 'theirs');
      other.destroy();
    });

    test('errors are rejected promises', async () => {
      await redis.set('str', 'x');
      await assert.rejects(redis.hSet('str', 'y', 'z'), /WRONGTYPE/);
      await assert.rejects(redis.sendCommand(['NO.SUCH']), /unknown command/);
      await assert.rejects(redis.sendCommand(['GET']), /wrong number of arguments/);
    });

    test('publish and subscribe', async (t) => {
      if (await lacks(t, redis, 'subscribe', 'publish', 'unsubscribe')) return;
      const sub = await connected({ RESP });
      let heard;
      const got = new Promise((resolve) => { heard = resolve; });
      await sub.subscribe('news', (message, channel) => heard([channel, message]));
      assert.strictEqual(await redis.publish('news', 'hello'), 1);
      assert.deepEqual(await got, ['news', 'hello']);
      await sub.unsubscribe('news');
      sub.destroy();
    });

    test('a blocked client is served by a push', async (t) => {
      if (await lacks(t, redis, 'blpop', 'rpush')) return;
      const waiter = await connected({ RESP });
      const popped = waiter.blPop('queue', 10);
      await redis.rPush('queue', 'job');
      assert.deepEqual({ ...(await popped) }, { key: 'queue', element: 'job' });
      waiter.destroy();
    });

    test('a scan finds every key', async () => {
      await redis.mSet(Object.fromEntries([...Array(1000).keys()].map((i) => [`k:${i}`, 'v'])));
      const keys = new Set();
      for await (const batch of redis.scanIterator({ MATCH: 'k:*', COUNT: 100 })) {
        for (const key of [batch].flat()) keys.add(key);
      }
      assert.strictEqual(keys.size, 1000);
    });

    test('another database is another world', async () => {
      const two = await connected({ RESP, database: 2 });
      await two.set('only', 'here');
      assert.strictEqual(await redis.exists('only'), 0);
      two.destroy();
    });
  });
}

test('a wrong password is refused at connect', async () => {
  await assert.rejects(connected({ username: 'nobody', password: 'wrong' }), /WRONGPASS/);
});
