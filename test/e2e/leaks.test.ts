/**
 * No private name leaves: over a thousand mixed requests, and through everything that happens behind and beside them,
 * neither a public upstream nor the checksum database hears one, and nobody else is dialled. The tests go on where the
 * one before ended; the last ones show that the same requests do leak where a route is public.
 */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import { type ModferryProcess, startModferry } from '../kit/modferry-process.ts';
import { info } from './checksums-support.ts';
import {
  decoyVersion,
  type LeakGround,
  leakConfig,
  leakGround,
  leaksOf,
  type MixedRequest,
  mixedRequests,
  otherDials,
} from './leaks-support.ts';
import { type Answer, ask, eventually, modferry, runModferry } from './support.ts';
import { askAs, tokenIn } from './upload-support.ts';

const recorder = join(import.meta.dirname, '../kit/dial-recorder.mjs');

let ground: LeakGround;
let proxy: ModferryProcess;
let token: string;
let dials: string;
let next: () => MixedRequest;
/** How often each kind of client got each status. */
const tally = new Map<string, number>();
let asked = 0;

beforeAll(async () => {
  ground = await leakGround();
  const dataDir = join(ground.dir.path, 'data');
  dials = join(ground.dir.path, 'dials');
  token = await tokenIn(dataDir, 'developer', {});
  proxy = await startModferry({ dataDir, config: leakConfig(ground), env: machine({ DIAL_RECORD: dials }) });
  next = mixedRequests(20_261_121, token, ground.log.name);
});

afterAll(async () => {
  await proxy.close();
  await ground[Symbol.asyncDispose]();
});

function machine(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const { verifierKey, url } = ground.log;
  return {
    GOSUMDB: `${verifierKey} ${url}`,
    GOPRIVATE: 'machine.corp.test/*',
    NODE_OPTIONS: `--import=${recorder}`,
    DIAL_RECORD: join(ground.dir.path, 'other-dials'),
    ...more,
  };
}

/** So many of the stream, sixteen at a time. */
async function send(count: number, at = proxy, source = next): Promise<void> {
  let left = count;
  const client = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const mixed = source();
      check(mixed, await ask(at.url, mixed.path, { ...mixed, timeoutMs: 60_000 }), at === proxy);
    }
  };
  await Promise.all(Array.from({ length: 16 }, client));
  if (at === proxy) asked += count;
}

function check(
  { path, isPrivate, isAnonymous, method }: MixedRequest,
  answer: Answer,
  isStrict: boolean,
): void {
  if (!isStrict) return;
  const label = `${method} ${path}: ${answer.status} ${answer.text.slice(0, 300)}`;
  const key = `${isPrivate ? 'private' : 'public'} ${isAnonymous ? 'anonymous' : 'token'} ${answer.status}`;
  tally.set(key, (tally.get(key) ?? 0) + 1);
  expect(answer.status, label).not.toBe(500);
  if (!isPrivate) return;
  if (isAnonymous) expect([400, 401, 403, 404], label).toContain(answer.status);
  // What strangers offer under a private name is nobody's answer.
  if (answer.status === 200) expect(answer.text, label).not.toContain(decoyVersion);
}

function expectNoLeak(): void {
  expect(leaksOf(ground)).toEqual([]);
  const { slow, quick, internal, log, git } = ground;
  for (const { requests } of [slow, quick, internal, log.server, git]) {
    // What a client proves itself with is for modferry alone.
    const withSecrets = requests.filter(({ headers }) => 'authorization' in headers || 'cookie' in headers);
    expect(withSecrets).toEqual([]);
  }
  expect(otherDials(dials, [slow, quick, internal, log.server, git])).toEqual([]);
}

async function setMode(mode: 'normal' | 'direct'): Promise<void> {
  expect(await runModferry(['mode', mode, '--data', proxy.dataDir])).toMatchObject({ code: 0 });
}

describe('a private name is told to nobody outside', () => {
  it('while all is well, with look-ahead and second questions', async () => {
    await send(500);

    expectNoLeak();
    expect(readFileSync(dials, 'utf8')).toContain(`connect 127.0.0.1:${ground.slow.port}\n`);
    // Both were busy, and some questions went to both.
    const { slow, quick } = ground;
    const atSlow = new Set(slow.requests.map(({ path }) => path));
    expect(quick.requests.filter(({ path }) => atSlow.has(path)).length).toBeGreaterThan(5);
    expect(ground.log.count('/lookup/pub.test/a/lib@v1.0.0')).toBeGreaterThan(0);
    expect(ground.internal.count('up.corp.test/x/mod/@v/list')).toBeGreaterThan(0);
  });

  it('while the Git server fails, is away, and refuses', async () => {
    const { git } = ground;
    git.fault = { kind: 'status', status: 500 };
    await send(100);
    git.fault = { kind: 'cut', afterBytes: 0 };
    await send(100);
    git.fault = undefined;
    git.access = { kind: 'expired' };
    await send(100);
    git.access = { kind: 'open' };

    expectNoLeak();
  });

  it('while the private upstream is away', async () => {
    await ground.internal.refuse();
    await send(100);
    await ground.internal.listenAgain();

    expectNoLeak();
  });

  it('in mode direct', async () => {
    await setMode('direct');
    await send(100);
    await setMode('normal');

    expectNoLeak();
  });

  it('after which a thousand were asked, and got what they should', () => {
    expect(asked).toBe(1_000);
    const figures = Object.fromEntries(tally);
    expect(figures['private token 200'], JSON.stringify(figures)).toBeGreaterThan(60);
    expect(figures['private anonymous 401'], JSON.stringify(figures)).toBeGreaterThan(50);
    expect(figures['public anonymous 200'], JSON.stringify(figures)).toBeGreaterThan(20);
  });

  it('by warm of a go.mod that requires private modules', async () => {
    const file = join(ground.dir.path, 'go.mod');
    await writeFile(
      file,
      `module pub.test/main\n\nrequire (\n${[
        'git.corp.test/team/lib v1.1.0',
        'git.corp.test/team/sekret v1.0.0',
        'up.corp.test/x/mod v1.0.0',
        'machine.corp.test/m v1.0.0',
        'pub.test/a/lure v1.0.0',
      ]
        .map((line) => `\t${line}\n`)
        .join('')})\n`,
    );
    const login = proxy.url.replace('http://', `http://token:${token}@`);

    const { code, stdout, stderr } = await runModferry(['warm', '--url', login, file]);

    expect(code, stdout + stderr).toBe(1);
    expect(stdout + stderr).toContain('git.corp.test/team/sekret');
    for (const stored of ['git.corp.test/team/lib@v1.1.0', 'up.corp.test/x/mod@v1.0.0']) {
      const [path = '', version = ''] = stored.split('@');
      expect((await askAs(token, proxy.url, `/${path}/@v/${version}.zip`)).status, stored).toBe(200);
    }
    expectNoLeak();
  });

  it('by a webhook, whether it names a repository that is known or not', async () => {
    const { git } = ground;
    for (const url of [`${git.url}/git.corp.test/team/lib.git`, 'https://git.corp.test/team/sekret.git']) {
      expect((await deliver(url, 'refs/tags/v1.1.0')).status).toBe(202);
    }
    await eventually(
      () => runModferry(['deliveries', '--json', '--data', proxy.dataDir]),
      ({ stdout }) => stdout.split('"done"').length === 2 && stdout.includes('"unknown"'),
    );

    expectNoLeak();
  });

  it('by the scrub', async () => {
    expect(await runModferry(['scrub', 'start', '--data', proxy.dataDir])).toMatchObject({ code: 0 });
    await eventually(
      () => runModferry(['scrub', 'status', '--json', '--data', proxy.dataDir]),
      ({ stdout }) => /"finishedAt":"\d/.test(stdout),
    );

    expectNoLeak();
  });
});

/** A signed delivery of a push. */
async function deliver(url: string, ref: string): Promise<{ status: number }> {
  const body = JSON.stringify({ urls: [url], refs: [{ ref, after: '1'.repeat(40) }] });
  const timeS = Math.floor(Date.now() / 1000);
  const hex = createHmac('sha256', 'sekret-of-the-forge').update(`${timeS}.${body}`).digest('hex');
  const headers = { 'x-modferry-signature': `t=${timeS},v1=${hex}`, 'x-modferry-delivery': url };
  return await new Promise((resolve, reject) => {
    const target = `${proxy.url}/-/v1/webhooks/forge`;
    const sent = request(target, { method: 'POST', headers }, (response) => {
      response.resume().on('end', () => resolve({ status: response.statusCode ?? 0 }));
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

describe('what was stored while it was public', () => {
  it('is not proven at the checksum database once it is private', async () => {
    const { log, quick } = ground;
    const dataDir = join(ground.dir.path, 'late');
    const open = fakeModule({ path: 'pub.test/late' });
    const secret = fakeModule({ path: 'later.corp.test/m' });
    quick.add(open, secret);
    log.add(open);
    log.add(secret);
    const config = {
      upstreams: [quick.url],
      direct: { enabled: false },
      checksums: { mode: 'prefer' },
      health: { probe: { enabled: false } },
      look_ahead: { enabled: false },
    };
    const own = await tokenIn(dataDir, 'developer', {});
    await log.server.refuse();
    const before = await modferry({ dataDir, config, env: machine() });
    quick.faults.add({ match: /^\/sumdb\//, fault: { kind: 'reset', after: 'nothing' } });
    for (const { path } of [open, secret]) {
      expect((await ask(before.url, `/${path}/@v/v1.0.0.zip`)).status).toBe(200);
      await eventually(
        () => info(dataDir, { path, version: 'v1.0.0' }),
        ({ zip }) => zip?.unproven === 'unreachable',
      );
    }
    await before.stop();
    quick.reset();
    log.reset();
    await log.server.listenAgain();

    const after = await modferry({
      dataDir,
      config: { ...config, private: ['later.corp.test'] },
      env: machine(),
    });

    await eventually(
      () => info(dataDir, open),
      ({ zip }) => zip?.proof !== null,
      30_000,
    );
    expect((await ask(after.url, `/sumdb/${log.name}/lookup/${secret.path}@v1.0.0`)).status).toBe(404);
    expect((await info(dataDir, secret)).zip?.proof).toBe(null);
    // Nor is what a public upstream brought served as the private module.
    expect((await askAs(own, after.url, `/${secret.path}/@v/v1.0.0.zip`)).status).toBe(404);
    expect((await askAs(own, after.url, `/${open.path}/@v/v1.0.0.zip`)).status).toBe(200);
    expect(leaksOf(ground)).toEqual([]);
  });
});

describe('the same requests where one route is public', () => {
  it('are heard by upstreams and database: of that route, and of no other', async () => {
    const { slow, quick, log } = ground;
    for (const server of [slow, quick, log]) server.reset();
    const { private: _private, ...config } = leakConfig(ground);
    const dataDir = join(ground.dir.path, 'public');
    const own = await tokenIn(dataDir, 'developer', {});
    const leaky = await modferry({ dataDir, config, env: machine() });

    await send(150, leaky, mixedRequests(20_261_121, own, log.name));

    const leaks = leaksOf(ground);
    expect(leaks.filter((text) => /^GET \/git\.corp\.test\/\S+\/@v\/list /.test(text))).not.toEqual([]);
    expect(leaks.filter((text) => text.startsWith('url /lookup/git.corp.test/'))).not.toEqual([]);
    expect(leaks.filter((text) => /(?:up|machine)\.corp\.test/.test(text))).toEqual([]);
  });
});
