import { spawn } from 'node:child_process';
import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { Secret } from '../lib/secret.ts';
import { readDeliveries } from './delivery-log.ts';
import {
  commit,
  dataFolder,
  done,
  genericSignature,
  hexOf,
  secret,
  startWebhooks,
  tagPush,
} from './test-webhooks.ts';
import { forges, type Push } from './types.ts';

const hourMs = 3_600_000;

describe('webhooks', () => {
  it.each(forges)('accept a tag of %s once, and hand on the push', async (forge) => {
    const { send, pushes, finished, dataDir } = startWebhooks();
    const { headers, body } = tagPush(forge);
    const first = await send(forge, headers, body);
    expect([first.status, first.contentType]).toEqual([202, 'application/json']);
    expect(await send(forge, headers, body)).toMatchObject({ status: 200, body: '{"duplicate":true}\n' });
    await expect.poll(() => finished.length).toBe(1);
    expect(pushes.map(({ refs }) => refs)).toEqual([[{ ref: 'refs/tags/v1.0.0', after: commit }]]);
    const { id } = JSON.parse(first.body) as { id: string };
    expect(await readDeliveries(dataDir)).toMatchObject([
      { id, webhook: forge, forge, from: '192.0.2.1', state: 'done', push: pushes[0] },
    ]);
  });

  it.each(forges)('refuse a forged delivery of %s without telling why, and tell us', async (forge) => {
    const { send, pushes, refused } = startWebhooks();
    const { headers, body } = tagPush(forge);
    for (const name of Object.keys(headers)) {
      if (!/signature|token/.test(name)) continue;
      const answer = await send(forge, { ...headers, [name]: `${headers[name]}0` }, body);
      expect(answer).toEqual({
        status: 401,
        contentType: 'text/plain; charset=utf-8',
        body: 'the signature is not right\n',
      });
    }
    expect(refused).toEqual([{ webhook: forge, from: '192.0.2.1', why: 'signature' }]);
    expect(pushes).toEqual([]);
    // What was forged spoils nothing for the true one.
    expect((await send(forge, headers, body)).status).toBe(202);
  });

  it('answer by cause', async () => {
    const { send, webhooks, pushes } = startWebhooks();
    const signed = (body: string | Buffer, event = 'push') =>
      send('github', { 'x-github-event': event, 'x-hub-signature-256': `sha256=${hexOf(body)}` }, body);
    expect((await webhooks.receive('other', {}, Buffer.alloc(0), '')).status).toBe(404);
    expect((await webhooks.receive('__proto__', {}, Buffer.alloc(0), '')).status).toBe(404);
    expect((await signed(Buffer.alloc(1024 * 1024 + 1, 0x20))).status).toBe(413);
    expect(await signed('{}', 'ping')).toMatchObject({ status: 200, body: '{"ping":true}\n' });
    expect(await signed('{}', 'issues')).toMatchObject({ status: 200, body: '{"ignored":true}\n' });
    expect(await signed('nothing')).toMatchObject({
      status: 400,
      body: expect.stringMatching(/no JSON object/),
    });
    expect(await signed('{}')).toMatchObject({
      status: 400,
      body: expect.stringMatching(/no address of the repository/),
    });
    expect(pushes).toEqual([]);
  });

  it('take deliveries from allowed addresses only', async () => {
    const { webhooks, refused } = startWebhooks({
      webhooks: [
        { name: 'w', forge: 'github', secret: new Secret(secret), allow: ['192.0.2.0/24', '2001:db8::/32'] },
      ],
    });
    const { headers, body } = tagPush('github');
    const from = async (address: string): Promise<number> =>
      (await webhooks.receive('w', headers, Buffer.from(body), address)).status;
    expect(await Promise.all(['192.0.3.1', '::1', '', 'x', '2001:db9::1'].map(from))).toEqual([
      403, 403, 403, 403, 403,
    ]);
    expect(refused.map(({ why }) => why)).toEqual(['address', 'address', 'address', 'address', 'address']);
    expect(await from('::ffff:192.0.2.9')).toBe(202);
    expect(await from('2001:db8::1')).toBe(200);
  });

  it.each(['10.0.0.0/33', '::/129', 'example.com', '10.0.0.0/8/8', '10.0.0.0/x', ''])(
    'refuse to start with the range %j',
    (range) => {
      const webhooks = [{ name: 'w', forge: 'github', secret: new Secret(secret), allow: [range] }] as const;
      expect(() => startWebhooks({ webhooks })).toThrow(/is no address and no range/);
    },
  );

  it('know repeats over restarts, for seven days', async () => {
    const dataDir = dataFolder();
    const clock = new FakeClock();
    const { headers, body } = tagPush('github');
    const send = async (): Promise<number> =>
      (await startWebhooks({ dataDir, clock, instance: `i${clock.now()}` }).send('github', headers, body))
        .status;
    expect(await send()).toBe(202);
    await clock.advance(7 * 24 * hourMs - 1);
    expect(await send()).toBe(200);
    await clock.advance(1);
    expect(await send()).toBe(202);
    await clock.advance(1);
    expect(await send()).toBe(200);
  });

  it('go by the body for a day where there is no id', async () => {
    const { send, clock, pushes } = startWebhooks();
    const { headers: all, body } = tagPush('github');
    const { 'x-github-delivery': _, ...headers } = all;
    const statusOf = async (text = body): Promise<number> =>
      (await send('github', { ...headers, 'x-hub-signature-256': `sha256=${hexOf(text)}` }, text)).status;
    expect(await statusOf()).toBe(202);
    expect(await statusOf()).toBe(200);
    expect(await statusOf(` ${body}`)).toBe(202);
    await clock.advance(24 * hourMs);
    expect(await statusOf()).toBe(202);
    expect(pushes).toHaveLength(3);
  });

  it.each([
    ['github', 'x-github-delivery', 'x-github-event'],
    ['gitea', 'x-gitea-delivery', 'x-gitea-event'],
    ['generic', 'x-modferry-delivery', 'x-modferry-event'],
  ] as const)(
    'know a recorded delivery of %s under another id and event for a day',
    async (forge, idHeader, eventHeader) => {
      const { send, pushes, clock } = startWebhooks();
      const { headers, body } = tagPush(forge);
      const at = (id: string, more: Record<string, string> = {}): Record<string, string> =>
        forge === 'generic'
          ? {
              ...headers,
              'x-modferry-signature': genericSignature(body, clock.now()),
              [idHeader]: id,
              ...more,
            }
          : { ...headers, [idHeader]: id, ...more };
      expect((await send(forge, at('d-1'), body)).status).toBe(202);
      await clock.advance(24 * hourMs - 1);
      const again = { status: 200, body: '{"duplicate":true}\n' };
      expect(await send(forge, at('d-2'), body)).toMatchObject(again);
      expect(await send(forge, at('d-3', { [eventHeader]: 'push' }), body)).toMatchObject(again);
      expect(pushes).toHaveLength(1);
      await clock.advance(1);
      expect((await send(forge, at('d-2'), body)).status).toBe(202);
    },
  );

  it('take a branch that is moved back and forth for what it is', async () => {
    const { send, pushes } = startWebhooks();
    const moves = [
      ['a', 'b'],
      ['b', 'a'],
      ['a', 'c'],
    ].map(([before = '', after = '']) =>
      JSON.stringify({
        ref: 'refs/heads/main',
        before: before.repeat(40),
        after: after.repeat(40),
        repository: { clone_url: 'https://forge.example/team/lib.git' },
      }),
    );
    for (const [index, body] of moves.entries()) {
      const headers = {
        'x-github-event': 'push',
        'x-hub-signature-256': `sha256=${hexOf(body)}`,
        'x-github-delivery': `d-${index}`,
      };
      expect((await send('github', headers, body)).status).toBe(202);
    }
    expect(pushes).toHaveLength(3);
  });

  it('go by the id alone where it is signed, or the secret is sent', async () => {
    const { send } = startWebhooks();
    const { headers, body } = tagPush('gitlab');
    expect((await send('gitlab', headers, body)).status).toBe(202);
    expect((await send('gitlab', { ...headers, 'x-gitlab-event-uuid': 'd-2' }, body)).status).toBe(202);
  });

  it.each(['the same', 'another'])(
    'take what failed again, under %s id and in another process',
    async (id) => {
      const dataDir = dataFolder();
      const clock = new FakeClock();
      const failing = startWebhooks({
        dataDir,
        clock,
        onPush: () => Promise.reject(new Error('forge.example cannot be reached')),
      });
      const { headers, body } = tagPush('github');
      await failing.send('github', headers, body);
      await expect.poll(() => failing.finished.length).toBe(1);
      const next = startWebhooks({ dataDir, clock, instance: 'b' });
      const again = id === 'another' ? { ...headers, 'x-github-delivery': 'd-2' } : headers;
      expect((await next.send('github', again, body)).status).toBe(202);
      await expect.poll(() => next.finished.length).toBe(1);
      // Done: from now on it is a repeat, in the process that released it too.
      expect((await failing.send('github', again, body)).status).toBe(200);
      expect((await next.send('github', { ...headers, 'x-github-delivery': 'd-3' }, body)).status).toBe(200);
    },
  );

  it('take other settings without touching what waits', async () => {
    const gate = Promise.withResolvers<typeof done>();
    const { webhooks, send, finished } = startWebhooks({ onPush: () => gate.promise });
    const { headers, body } = tagPush('github');
    await send('github', headers, body);
    const range = { name: 'new', forge: 'github', secret: new Secret('other') } as const;
    expect(() => webhooks.prepare([{ ...range, allow: ['nonsense'] }])).toThrow(/is no address/);
    const take = webhooks.prepare([range]);
    expect((await webhooks.receive('new', headers, Buffer.from(body), '')).status).toBe(404);
    take();
    expect((await send('github', headers, body)).status).toBe(404);
    expect((await webhooks.receive('new', headers, Buffer.from(body), '')).status).toBe(401);
    const signed = { ...headers, 'x-hub-signature-256': `sha256=${hexOf(body, 'other')}` };
    expect((await webhooks.receive('new', signed, Buffer.from(body), '')).status).toBe(202);
    gate.resolve(done);
    await expect.poll(() => finished.length).toBe(2);
  });

  it('refuse an old recording of a signed time', async () => {
    const { send, clock } = startWebhooks();
    const { body } = tagPush('generic');
    const headers = {
      'x-modferry-signature': genericSignature(body, clock.now()),
      'x-modferry-delivery': 'd',
    };
    await clock.advance(6 * 60_000);
    expect((await send('generic', headers, body)).status).toBe(401);
  });

  it('accept a delivery once, however often and wherever it comes at once', async () => {
    const dataDir = dataFolder();
    const processes = ['a', 'b', 'c'].map((instance) => startWebhooks({ dataDir, instance }));
    const { headers, body } = tagPush('github');
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => processes.map(({ send }) => send('github', headers, body))).flat(),
    );
    expect(answers.filter((answer) => answer.status === 202)).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(29);
  });

  it('accept a delivery once among real processes', async () => {
    const dataDir = dataFolder();
    const script = `
      const load = (name) => import(new URL(name, '${import.meta.url}').href);
      const { SeenDeliveries } = await load('./seen-deliveries.ts');
      const { systemClock } = await load('../lib/clock.ts');
      const [, dataDir, instance] = process.argv;
      const seen = new SeenDeliveries(dataDir, systemClock, instance);
      let won = 0;
      for (let index = 0; index < 100; index += 1) if (await seen.claim([{ key: 'key ' + index, forMs: 1e9 }], 'd')) won += 1;
      console.log(won);`;
    const run = (instance: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const child = spawn(process.execPath, ['--input-type=module', '-e', script, dataDir, instance], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        let out = '';
        child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
        child.once('error', reject);
        child.once('close', () => resolve(Number(out)));
      });
    const won = await Promise.all(['p', 'q', 'r'].map(run));
    expect(won.reduce((sum, each) => sum + each, 0)).toBe(100);
  });

  it('work without a disk: repeats are known in this process', async () => {
    const { send, dataDir, pushes } = startWebhooks();
    rmSync(join(dataDir, 'meta'), { recursive: true });
    const { headers, body } = tagPush('github');
    expect((await send('github', headers, body)).status).toBe(202);
    expect((await send('github', headers, body)).status).toBe(200);
    expect(pushes).toHaveLength(1);
  });

  it('keep no secret in the data folder', async () => {
    const { send, dataDir, finished } = startWebhooks();
    for (const forge of forges) {
      const { headers, body } = tagPush(forge);
      await send(forge, headers, body);
    }
    await expect.poll(() => finished.length).toBe(forges.length);
    for (const name of ['deliveries.jsonl', 'deliveries-seen.jsonl']) {
      expect(readFileSync(join(dataDir, 'meta', name), 'utf8')).not.toContain(secret);
    }
  });

  it('say 503 while too many wait, and take the delivery when it comes again', async () => {
    const gate = Promise.withResolvers<typeof done>();
    const { send, finished, webhooks } = startWebhooks({ maxWaiting: 20, onPush: () => gate.promise });
    const statusOf = async (index: number): Promise<number> => {
      const { headers, body } = tagPush('github', `v1.0.${index}`);
      return (await send('github', { ...headers, 'x-github-delivery': `d-${index}` }, body)).status;
    };
    for (let index = 0; index < 20; index += 1) expect(await statusOf(index)).toBe(202);
    expect(webhooks.waiting).toBe(20);
    expect(await statusOf(20)).toBe(503);
    gate.resolve(done);
    await expect.poll(() => finished.length).toBe(20);
    expect(await statusOf(20)).toBe(202);
  });
});

describe('deliveries', () => {
  it('of one repository are acted upon one after another, those of others meanwhile', async () => {
    const underWay: string[] = [];
    const gates = new Map<string, PromiseWithResolvers<typeof done>>();
    const { send, finished } = startWebhooks({
      onPush: ({ urls, refs }: Push) => {
        const name = `${urls[0]} ${refs[0]?.ref}`;
        underWay.push(name);
        const gate = Promise.withResolvers<typeof done>();
        gates.set(name, gate);
        return gate.promise;
      },
    });
    const push = async (repository: string, ref: string): Promise<void> => {
      const body = JSON.stringify({
        urls: [`https://forge.example/${repository}`],
        refs: [{ ref, after: commit }],
      });
      const signature = genericSignature(body, Date.UTC(2026, 0, 1));
      await send(
        'generic',
        { 'x-modferry-signature': signature, 'x-modferry-delivery': `${repository} ${ref}` },
        body,
      );
    };
    for (const ref of ['refs/tags/v1.0.0', 'refs/tags/v1.0.1'])
      for (const name of ['a', 'b']) await push(name, ref);
    const first = ['https://forge.example/a refs/tags/v1.0.0', 'https://forge.example/b refs/tags/v1.0.0'];
    expect(underWay).toEqual(first);
    gates.get(first[1] ?? '')?.resolve(done);
    await expect.poll(() => underWay).toEqual([...first, 'https://forge.example/b refs/tags/v1.0.1']);
    for (const name of first) gates.get(name)?.resolve(done);
    await expect.poll(() => underWay.length).toBe(4);
    for (const gate of gates.values()) gate.resolve(done);
    await expect.poll(() => finished.length).toBe(4);
  });

  it('that fail are kept with the reason and can be replayed', async () => {
    let isDown = true;
    const { send, webhooks, dataDir, finished } = startWebhooks({
      onPush: () =>
        isDown
          ? Promise.reject(new Error('forge.example cannot be reached'))
          : Promise.resolve({ ...done, published: ['corp.example/lib@v1.0.0'] }),
    });
    const { headers, body } = tagPush('gitea');
    const { id } = JSON.parse((await send('gitea', headers, body)).body) as { id: string };
    await expect.poll(() => finished.length).toBe(1);
    isDown = false;
    const again = await webhooks.replay(id.slice(0, 6));
    expect(again).toMatchObject({ state: 'done', replayOf: id, from: 'local' });
    expect(await readDeliveries(dataDir)).toMatchObject([
      { id, state: 'failed', result: { refused: [{ why: 'forge.example cannot be reached' }] } },
      { state: 'done', replayOf: id, result: { published: ['corp.example/lib@v1.0.0'] } },
    ]);
    await expect(webhooks.replay('0000')).rejects.toThrow(/there is not one delivery with this id/);
    await expect(webhooks.replay('../../x')).rejects.toThrow(/there is not one delivery with this id/);
  });

  it('that take too long make way', async () => {
    const signals: AbortSignal[] = [];
    const { send, clock, finished } = startWebhooks({
      onPush: (_push, _delivery, signal) => {
        signals.push(signal);
        return new Promise(() => {});
      },
    });
    const { headers, body } = tagPush('github');
    await send('github', headers, body);
    await clock.advance(15 * 60_000);
    await expect.poll(() => finished.length).toBe(1);
    expect(finished[0]).toMatchObject({ state: 'failed', tookMs: 15 * 60_000 });
    expect(finished[0]?.result?.refused[0]?.why).toBe('not done within 15 minutes');
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  /** Two of one repository, the first under way, when the process is stopped. */
  async function interrupted(clock: FakeClock): Promise<string> {
    const dataDir = dataFolder();
    const first = startWebhooks({ dataDir, clock, onPush: () => new Promise(() => {}) });
    for (const tag of ['v1.0.0', 'v1.0.1']) {
      const { headers, body } = tagPush('github', tag);
      await first.send('github', { ...headers, 'x-github-delivery': tag }, body);
    }
    await first.webhooks.close();
    const { headers, body } = tagPush('github', 'v1.0.2');
    expect((await first.send('github', { ...headers, 'x-github-delivery': 'three' }, body)).status).toBe(503);
    expect(first.finished).toEqual([]);
    expect((await readDeliveries(dataDir)).map(({ state }) => state)).toEqual(['waiting', 'waiting']);
    await clock.advance(1);
    return dataDir;
  }

  it('that were interrupted are acted upon at the next start, once among all processes', async () => {
    const clock = new FakeClock();
    const dataDir = await interrupted(clock);
    const next = ['b', 'c'].map((instance) => startWebhooks({ dataDir, clock, instance }));
    await Promise.all(next.map(({ webhooks }) => webhooks.resume()));
    const finished = () => next.flatMap((each) => each.finished);
    await expect.poll(() => finished().length).toBe(2);
    expect(next.flatMap(({ pushes }) => pushes).map(({ refs }) => refs[0]?.ref)).toEqual(
      expect.arrayContaining(['refs/tags/v1.0.0', 'refs/tags/v1.0.1']),
    );
    expect((await readDeliveries(dataDir)).map(({ state, isResumed }) => [state, isResumed])).toEqual([
      ['done', true],
      ['done', true],
    ]);
    await next[0]?.webhooks.resume();
    expect(finished()).toHaveLength(2);
  });

  it('that are interrupted twice have failed, and may be delivered again', async () => {
    const clock = new FakeClock();
    const dataDir = await interrupted(clock);
    const second = startWebhooks({ dataDir, clock, instance: 'b', onPush: () => new Promise(() => {}) });
    await second.webhooks.resume();
    await second.webhooks.close();
    await clock.advance(1);
    const third = startWebhooks({ dataDir, clock, instance: 'c' });
    await third.webhooks.resume();
    expect(third.pushes).toEqual([]);
    expect(third.finished.map(({ state, result }) => [state, result?.refused[0]?.why])).toEqual([
      ['failed', 'modferry ended twice before it was done; deliver it again, or replay it'],
      ['failed', 'modferry ended twice before it was done; deliver it again, or replay it'],
    ]);
    const { headers, body } = tagPush('github');
    expect((await third.send('github', { ...headers, 'x-github-delivery': 'v1.0.0' }, body)).status).toBe(
      202,
    );
  });

  it.each([
    ['a day', 24 * hourMs, undefined, /more than a day ago/],
    ['their webhook', 0, [], /has no webhook github now/],
  ])('that have outlived %s are not resumed', async (_, afterMs, webhooks, why) => {
    const clock = new FakeClock();
    const dataDir = await interrupted(clock);
    await clock.advance(afterMs);
    const changes = webhooks === undefined ? {} : { webhooks };
    const next = startWebhooks({ dataDir, clock, instance: 'b', ...changes });
    await next.webhooks.resume();
    expect(next.pushes).toEqual([]);
    expect(next.finished.map(({ result }) => result?.refused[0]?.why)).toEqual([
      expect.stringMatching(why),
      expect.stringMatching(why),
    ]);
  });

  it('that came since the start are not taken for interrupted', async () => {
    const gate = Promise.withResolvers<typeof done>();
    const { webhooks, send, deliveries, finished } = startWebhooks({
      onPush: (_push, delivery) => {
        deliveries.push(delivery);
        return gate.promise;
      },
    });
    const { headers, body } = tagPush('github');
    await send('github', headers, body);
    await webhooks.resume();
    gate.resolve(done);
    await expect.poll(() => finished.length).toBe(1);
    expect(deliveries).toHaveLength(1);
    expect(webhooks.waiting).toBe(0);
  });

  it('are read past torn and foreign lines, the last 1,000', async () => {
    const dataDir = dataFolder();
    const { send, finished } = startWebhooks({ dataDir });
    const { headers, body } = tagPush('github');
    await send('github', headers, body);
    await expect.poll(() => finished.length).toBe(1);
    const file = join(dataDir, 'meta', 'deliveries.jsonl');
    const line = readFileSync(file, 'utf8').split('\n')[0] ?? '';
    appendFileSync(file, 'null\n{"id":1}\n[[[\n{"id":"x","push":{"refs":[null]}}\n\u0000');
    expect(await readDeliveries(dataDir)).toHaveLength(1);
    const many = Array.from({ length: 1_500 }, (_, index) => {
      const at = new Date(Date.UTC(2026, 1, 1) + index).toISOString();
      return JSON.stringify({ ...(JSON.parse(line) as object), id: `id-${index}`, at });
    });
    appendFileSync(file, `\n${many.join('\n')}\n`);
    const found = await readDeliveries(dataDir);
    expect([found.length, found[0]?.id, found.at(-1)?.id]).toEqual([1_000, 'id-500', 'id-1499']);
    expect(await readDeliveries(dataFolder())).toEqual([]);
    onTestFinished(() => rmSync(file, { force: true }));
  });
});
