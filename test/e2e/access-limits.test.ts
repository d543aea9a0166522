/**
 * Where a request comes from and how many there are: address lists behind trusted and other proxies, limits for
 * identities and addresses, and failed log-ins. What the go command repeats counts once.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { goHome, runGo } from '../kit/go.ts';
import type { ModferryProcess } from '../kit/modferry-process.ts';
import { testAuthority } from '../kit/tls.ts';
import {
  type AccessLine,
  accessLines,
  alice,
  basic,
  bearer,
  bob,
  fileOf,
  listenTls,
  makeToken,
  moduleA,
  moduleOpen,
  otherUrl,
  type Sent,
  type Sources,
  send,
  start,
  startSources,
  teamRoutes,
  untilAudited,
} from './access-support.ts';
import { eventually } from './support.ts';

const modA = fileOf(moduleA, 'mod');
const open = fileOf(moduleOpen, 'mod');

let sources: Sources;
let proxy: ModferryProcess;
let tlsUrl: string;
let caFile: string;
let tls: object;

beforeAll(async () => {
  sources = await startSources();
  const authority = await testAuthority(sources.dir.path);
  caFile = authority.certFile;
  const { certFile: cert, keyFile: key } = await authority.issue();
  tls = { cert, key };
  proxy = await start({ config: configOf({}), args: listenTls });
  tlsUrl = await otherUrl(proxy, 'https:');
});
afterAll(async () => {
  await proxy.close();
  await sources[Symbol.asyncDispose]();
});

function configOf(access: object, routes: readonly object[] = teamRoutes): Record<string, unknown> {
  return {
    look_ahead: { enabled: false },
    health: { probe: { enabled: false } },
    ...sources.config,
    routes,
    tls,
    log: { access: 'all' },
    access: { ...sources.config.access, trusted_proxies: '127.0.0.1', ...access },
  };
}

let revision = 1;
/** Puts other rules in force, as an operator does. */
async function reload(config: Record<string, unknown>): Promise<void> {
  revision += 1;
  await writeFile(proxy.configFile ?? '', JSON.stringify(config));
  proxy.signal('SIGHUP');
  await proxy.waitForLine(new RegExp(`"revision":${revision}\\b.*configuration applied`));
}

async function from(address: string | undefined, path = modA, as?: string): Promise<Sent> {
  const headers = address === undefined ? {} : { 'x-forwarded-for': address };
  return await send(proxy.url, path, { headers, as });
}

describe('address lists', () => {
  const deny = { deny: ['203.0.113.0/24', '2001:db8::/32'] };

  it('go by what a trusted proxy says, from the right', async () => {
    await reload(configOf(deny));
    for (const address of ['203.0.113.9', '198.51.100.1, 203.0.113.9', '::ffff:203.0.113.9', '2001:db8::1']) {
      expect(await from(address, open, alice), address).toMatchObject({
        status: 403,
        text: expect.stringContaining('are not allowed here'),
      });
      // Before anybody is asked who they are.
      expect((await from(address, modA, basic('alice', 'wrong'))).status).toBe(403);
    }
    const log = { method: 'POST', headers: { 'x-forwarded-for': '203.0.113.9' } };
    expect((await send(proxy.url, '/-/v1/login', log)).status, 'a log-in is no way around it').toBe(403);
    // What stands left of an address that is no proxy of ours, anybody may have written.
    for (const address of [undefined, '198.51.100.1', '203.0.113.9, 198.51.100.1', '203.0.113.9, junk']) {
      expect((await from(address, modA, alice)).status, address).toBe(200);
    }
    // What strangers cause is gathered for a second before it is written.
    await untilAudited(proxy.dataDir, (records) =>
      records.some(
        (record) => record.reason === 'access.deny 2001:db8::/32' && record.from === '2001:db8::1',
      ),
    );
  });

  it('take no word of X-Forwarded-For from anybody else', async () => {
    await reload(configOf({ ...deny, trusted_proxies: '192.0.2.1' }));
    expect((await from('203.0.113.9', modA, alice)).status).toBe(200);
    await reload(configOf({ trusted_proxies: '192.0.2.1', allow: '198.51.100.0/24' }));
    expect((await from('198.51.100.1', open, alice)).status).toBe(403);
    expect((await from('198.51.100.1', '/metrics')).status).toBe(403);
    expect((await from(undefined, '/healthz')).status, 'of the load balancer').toBe(200);
    await reload(configOf({ allow: '198.51.100.0/24' }));
    expect((await from('198.51.100.1', open, alice)).status).toBe(200);
    expect((await from('198.51.101.1', open, alice)).status).toBe(403);
  });

  it('of a route hold for it alone, ready answers and hidden ones too', async () => {
    const [a, b] = teamRoutes;
    const routes = [{ ...a, allow: '198.51.100.0/24', deny: '198.51.100.66' }, { ...b }];
    await reload(configOf({}, routes));
    for (const round of [1, 2]) {
      expect((await from('198.51.100.1', modA, alice)).status, String(round)).toBe(200);
      expect((await from('198.51.100.66', modA, alice)).status).toBe(403);
      expect((await from('192.0.2.5', modA, alice)).status).toBe(403);
      expect((await from('192.0.2.5', open, alice)).status).toBe(200);
    }
    await reload(configOf({ hide: true }, routes));
    expect(await from('192.0.2.5', modA, alice)).toMatchObject({ status: 404, text: 'not found\n' });
    expect((await from('198.51.100.1', modA, alice)).status).toBe(200);
  });
});

describe('limits', () => {
  /** So many at once, each another question unless they are told to be the same. */
  async function many(count: number, ask: (index: number) => Promise<Sent>): Promise<Map<number, Sent[]>> {
    const answers = await Promise.all(Array.from({ length: count }, (_, index) => ask(index)));
    return Map.groupBy(answers, ({ status }) => status);
  }
  const other = (index: number): string => `/${moduleOpen.path}/@v/list?${index}`;

  it('for an address: 429 with when to come again, and nobody else pays', async () => {
    await reload(configOf({ rate: { address: { per_second: 1, burst: 5 } } }));
    const got = await many(30, (index) => from('198.51.100.7', other(index)));
    expect(got.get(200)?.length).toBeGreaterThanOrEqual(5);
    const [refused] = got.get(429) ?? [];
    expect(got.get(429)?.length).toBeGreaterThanOrEqual(15);
    expect(refused?.text).toMatch(/^too many requests; try again in \d+ s\n$/);
    expect(Number(refused?.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(refused?.headers['cache-control']).toBe('no-store');
    expect((await from('198.51.100.8', other(0))).status).toBe(200);
    // With a whole network one is still one.
    const six = await many(30, (index) => from(`2001:db8:1:2::${index + 1}`, other(index)));
    expect(six.get(429)?.length).toBeGreaterThanOrEqual(15);
    expect((await from('198.51.100.7', '/healthz')).status).toBe(200);
    await eventually(
      () => from('198.51.100.7', other(99)),
      ({ status }) => status === 200,
      5_000,
    );
  });

  it('for an identity, wherever it comes from', async () => {
    await reload(configOf({ rate: { identity: { per_second: 1, burst: 5 } } }));
    const token = bearer((await makeToken(proxy.dataDir, 'busy')).token);
    for (const as of [alice, token]) {
      const got = await many(30, (index) => from(`198.51.100.${index}`, `${modA}?${index}`, as));
      expect(got.get(200)?.length).toBeGreaterThanOrEqual(5);
      expect(got.get(429)?.length).toBeGreaterThanOrEqual(15);
      expect(new Set(got.keys())).toEqual(new Set([200, 429]));
    }
    expect(
      (await from('198.51.100.1', fileOf({ ...moduleA, path: 'corp.example/team-b/lib' }, 'mod'), bob))
        .status,
    ).toBe(200);
  });

  it('count a question and its repeat within a second once, as go asks', async () => {
    await reload(configOf({ rate: { address: { per_second: 1, burst: 3 } } }));
    for (const [address, path, as] of [
      ['198.51.100.20', open, undefined],
      ['198.51.100.21', modA, alice],
    ] as const) {
      const twice = await many(6, () => from(address, path, as));
      expect([...twice.keys()], 'three that were counted, each with its repeat').toEqual([200]);
      expect((await many(30, () => from(address, path, as))).get(429)?.length).toBeGreaterThanOrEqual(15);
    }
  });

  it('failed log-ins: after so many wrong passwords one waits, and who is known is not kept out', async () => {
    await reload(configOf({ failures_per_minute: 5 }));
    const { token } = await makeToken(proxy.dataDir, 'steady');
    const [guesser, desk] = ['198.51.100.30', '198.51.100.31'];
    expect((await from(desk, modA, alice)).status).toBe(200);
    const statuses: number[] = [];
    for (let guess = 0; guess < 8; guess += 1) {
      statuses.push((await from(guesser, modA, basic('alice', `guess ${guess}`))).status);
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429, 429]);
    const locked = await from(guesser, modA, alice);
    expect(locked, 'a right guess is not told either').toMatchObject({
      status: 429,
      text: expect.stringMatching(/^too many failed logins; try again in \d+ s\n$/),
    });
    expect(Number(locked.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect((await from(guesser, modA, bearer(token))).status, 'a token is no guess').toBe(200);
    expect((await from(desk, modA, alice)).status, 'known there before').toBe(200);
    expect((await from(guesser, open)).status).toBe(200);
  });

  it('the same wrong password, as a job with an old one sends it, is one failure', async () => {
    await reload(configOf({ failures_per_minute: 5 }));
    for (let again = 0; again < 20; again += 1) {
      expect((await from('198.51.100.40', modA, basic('bob', 'old secret'))).status).toBe(401);
    }
    expect(
      (await from('198.51.100.40', fileOf({ ...moduleA, path: 'corp.example/team-b/lib' }, 'mod'), bob))
        .status,
    ).toBe(200);
  });

  it('the real go command: what it asks twice is one request, one failure and one line of audit', async () => {
    await reload(
      configOf({
        failures_per_minute: 3,
        trusted_proxies: [],
        rate: { address: { per_second: 1, burst: 3 } },
      }),
    );
    const env = { GOPROXY: tlsUrl, GONOPROXY: 'none', GOPRIVATE: 'corp.example', SSL_CERT_FILE: caFile };
    await using home = await goHome();
    onTestFinished(() => reload(configOf({})));
    const netrc = `machine ${new URL(tlsUrl).host} login bob password old\n`;
    await writeFile(join(home.path, '.netrc'), netrc, { mode: 0o600 });
    const download = () => runGo(['mod', 'download', `${moduleA.path}@v1.0.0`], { home, env });
    const refused = await download();
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('401 Unauthorized') });
    // Nothing else in this file asks for .info.
    const infos = (lines: readonly AccessLine[]) => lines.filter(({ artifact }) => artifact === 'info');
    const asked = infos(await accessLines(proxy, (lines) => infos(lines).length >= 2));
    expect(asked.map(({ status }) => status)).toEqual([401, 401]);
    const denials = await untilAudited(proxy.dataDir, (records) => records.at(-1)?.from === '127.0.0.1');
    expect(denials.at(-1)).toMatchObject({ module: moduleA.path, reason: 'wrong credentials', count: 2 });
    // Neither limit was reached by what go repeats.
    expect((await download()).stderr).toContain('401 Unauthorized');
    await writeFile(
      join(home.path, '.netrc'),
      netrc.replace('bob password old', 'alice password alice-secret'),
    );
    const good = await eventually(download, ({ code }) => code === 0);
    expect(good.stderr).not.toContain('alice-secret');
  });
});
