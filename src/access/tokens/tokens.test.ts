import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../../../test/kit/temp.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import type { Credentials } from '../types.ts';
import { tokenApi } from './token-api.ts';
import { revokedFileIn, tokensFileIn } from './token-file.ts';
import { createToken } from './token-orders.ts';
import type { NewToken } from './token-record.ts';
import { newTokenText, tokenHash, tokenIn } from './token-text.ts';
import { Tokens } from './tokens.ts';

const dayMs = 24 * 3_600_000;
const asked: NewToken = {
  name: 'ci',
  scopes: { read: ['corp.example'], publish: ['corp.example/team-a'], admin: false },
  groups: ['builders'],
  expiresAtMs: undefined,
};

async function folder(): Promise<string> {
  const dir = await tempDir('tokens');
  onTestFinished(dir.remove);
  return dir.path;
}

async function open(dataDir: string, clock = new FakeClock()) {
  const faults: string[] = [];
  const tokens = await Tokens.open(dataDir, { clock, onFault: (sentence) => faults.push(sentence) });
  onTestFinished(() => tokens.close());
  return { tokens, clock, faults };
}

function bearer(token: string): Credentials {
  return { kind: 'bearer', token };
}

/** Time, and real reading of files between: until `isDone`, at most `maxMs` of fake time. */
async function within(clock: FakeClock, maxMs: number, isDone: () => Promise<boolean>): Promise<void> {
  for (let spentMs = 0; spentMs < maxMs; spentMs += 100) {
    await clock.advance(100);
    // Files are read by real threads, which fake time does not wait for: let others go the same way first.
    for (let count = 0; count < 8; count += 1) await stat('/');
    if (await isDone()) return;
  }
  expect.fail(`not within ${maxMs} ms`);
}

describe('the text of a token', () => {
  it('has a form that scanners know, and a checksum', () => {
    const token = newTokenText();
    expect(token).toMatch(/^mfy_[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}$/);
    expect(newTokenText()).not.toBe(token);
    expect(tokenHash(token)).toMatch(/^[0-9a-f]{64}$/);
    for (let at = 4; at < token.length; at += 1) {
      const other = token[at] === 'a' ? 'b' : 'a';
      expect(tokenHash(token.slice(0, at) + other + token.slice(at + 1))).toBeUndefined();
    }
    for (const text of ['', 'mfy_', `${token}x`, ` ${token}`, token.slice(1), 'mfy_'.repeat(12_500)]) {
      expect(tokenHash(text)).toBeUndefined();
    }
  });

  it('is found in a Bearer and in either field of Basic', () => {
    const basic = (username: string, password: string) => tokenIn({ kind: 'basic', username, password });
    expect(tokenIn(bearer('mfy_x'))).toBe('mfy_x');
    expect(basic('mfy_x', 'anything')).toBe('mfy_x');
    expect(basic('anything', 'mfy_x')).toBe('mfy_x');
    expect(basic('alice', 'secret')).toBeUndefined();
    expect(tokenIn(bearer('ey.a.b'))).toBeUndefined();
  });
});

describe('Tokens', () => {
  it('creates a token, keeps only its hash, and knows who brings it', async () => {
    const dataDir = await folder();
    const { tokens, clock } = await open(dataDir);
    const { info, token } = await tokens.create(asked, 'local');
    expect(info).toMatchObject({ name: 'ci', kind: 'static', createdBy: 'local', createdAtMs: clock.now() });
    expect(await tokens.authenticate(bearer(token))).toEqual({
      kind: 'token',
      name: 'ci',
      groups: ['builders'],
      scopes: asked.scopes,
      expiresAtMs: undefined,
    });
    const text = readFileSync(tokensFileIn(dataDir), 'utf8');
    expect(text).not.toContain(token.slice(4, 40));
    expect(text).toContain(tokenHash(token));
    expect(statSync(tokensFileIn(dataDir)).mode & 0o777).toBe(0o600);
    expect(JSON.stringify(await tokens.list())).not.toContain(tokenHash(token));
    expect(readdirSync(join(dataDir, 'meta'))).toEqual(['tokens.json']);
  });

  it.each([
    ['another token', () => newTokenText(), 'wrong'],
    ['no token', () => 'ey.a.b', 'other'],
    ['a damaged token', () => 'mfy_x', 'wrong'],
    ['a name of Object.prototype', () => 'mfy___proto__', 'wrong'],
  ])('does not know %s', async (_, text, expected) => {
    const { tokens } = await open(await folder());
    await tokens.create(asked, 'local');
    expect(await tokens.authenticate(bearer(text()))).toBe(expected);
  });

  it('knows a login token as the user it was made for', async () => {
    const { tokens, clock } = await open(await folder());
    const expiresAtMs = clock.now() + dayMs;
    const { token } = await tokens.createLogin({ name: 'alice', groups: ['team-a'], expiresAtMs });
    expect(await tokens.authenticate(bearer(token))).toEqual({
      kind: 'user',
      name: 'alice',
      groups: ['team-a'],
      scopes: undefined,
      expiresAtMs,
    });
    const later = [];
    for (let count = 0; count < 20; count += 1) {
      later.push(await tokens.createLogin({ name: 'alice', groups: [], expiresAtMs }));
    }
    expect(await tokens.authenticate(bearer(token))).toBe('wrong');
    expect(await tokens.authenticate(bearer(later[0]?.token ?? ''))).toMatchObject({ name: 'alice' });
  });

  it('ends a login by its token, and no token of a machine', async () => {
    const { tokens, clock } = await open(await folder());
    const expiresAtMs = clock.now() + dayMs;
    const { token, info } = await tokens.createLogin({ name: 'alice', groups: [], expiresAtMs });
    const machine = await tokens.create(asked, 'local');
    expect(await tokens.endLogin(machine.token)).toEqual({ kind: 'static' });
    expect(await tokens.authenticate(bearer(machine.token))).toMatchObject({ name: 'ci' });
    expect(await tokens.endLogin(token)).toEqual({ kind: 'ended', id: info.id, name: 'alice' });
    expect(await tokens.authenticate(bearer(token))).toBe('wrong');
    for (const other of [token, newTokenText(), 'mfy_x', '']) {
      expect(await tokens.endLogin(other)).toEqual({ kind: 'none' });
    }
  });

  it('keeps no login beyond its end, but a token of a machine for a while', async () => {
    const dataDir = await folder();
    const { tokens, clock } = await open(dataDir);
    const expiresAtMs = clock.now() + 1_000;
    for (const name of ['alice', 'bob']) await tokens.createLogin({ name, groups: [], expiresAtMs });
    await tokens.create({ ...asked, expiresAtMs }, 'local');
    await clock.advance(1_000);
    await tokens.create({ ...asked, name: 'next' }, 'local');
    expect((await tokens.list()).map(({ name }) => name)).toEqual(['ci', 'next']);
  });

  it('counts logins apart: however many there are, a token of a machine can be made', async () => {
    const dataDir = await folder();
    const { tokens, clock } = await open(dataDir);
    const expiresAtMs = clock.now() + dayMs;
    await tokens.createLogin({ name: 'alice', groups: [], expiresAtMs });
    const [one] = (JSON.parse(readFileSync(tokensFileIn(dataDir), 'utf8')) as { tokens: object[] }).tokens;
    const many = Array.from({ length: 20_000 }, (_, index) => ({
      ...one,
      id: index.toString(16).padStart(12, '0'),
      hash: index.toString(16).padStart(64, '0'),
    }));
    writeFileSync(tokensFileIn(dataDir), JSON.stringify({ version: 1, tokens: many }));
    await tokens.reread();
    const order = { name: 'bob', groups: [], expiresAtMs };
    await expect(tokens.createLogin(order)).rejects.toMatchObject({ code: 'too_many' });
    expect(await tokens.create(asked, 'local')).toMatchObject({ info: { name: 'ci' } });
    // Those of one user give way to each other.
    await expect(tokens.createLogin({ ...order, name: 'alice' })).resolves.toMatchObject({
      info: { name: 'alice' },
    });
  });

  it('lets no groups make the file larger than can be read again', async () => {
    const dataDir = await folder();
    const { tokens, clock } = await open(dataDir);
    const groups = Array.from({ length: 1_000 }, (_, index) => `${index} ${'g'.repeat(190)}`);
    await tokens.createLogin({ name: 'u', groups, expiresAtMs: clock.now() + dayMs });
    const [one] = (JSON.parse(readFileSync(tokensFileIn(dataDir), 'utf8')) as { tokens: object[] }).tokens;
    const mostBytes = 32 * 1024 * 1024;
    const fitting = Math.floor(mostBytes / (Buffer.byteLength(JSON.stringify(one)) + 6));
    const many = Array.from({ length: fitting }, (_, index) => ({
      ...one,
      id: index.toString(16).padStart(12, '0'),
      hash: index.toString(16).padStart(64, '0'),
      name: `v${index}`,
    }));
    writeFileSync(tokensFileIn(dataDir), JSON.stringify({ version: 1, tokens: many }));
    const order = { name: 'last', groups, expiresAtMs: clock.now() + dayMs };
    await expect(tokens.createLogin(order)).rejects.toMatchObject({ code: 'too_many' });
    await tokens.reread();
    expect(tokens.fault).toBeUndefined();
    expect(await tokens.create(asked, 'local')).toMatchObject({ info: { name: 'ci' } });
  });

  it('refuses an expired token at once', async () => {
    const { tokens, clock } = await open(await folder());
    const { token } = await tokens.create({ ...asked, expiresAtMs: clock.now() + 1_000 }, 'local');
    await clock.advance(999);
    expect(await tokens.authenticate(bearer(token))).toMatchObject({ name: 'ci' });
    await clock.advance(1);
    expect(await tokens.authenticate(bearer(token))).toBe('wrong');
  });

  it.each([
    ['by name', 'ci'],
    ['by id', undefined],
  ])('revokes %s', async (_, name) => {
    const { tokens } = await open(await folder());
    const { info, token } = await tokens.create(asked, 'local');
    expect(await tokens.revoke(name ?? info.id)).toMatchObject({ id: info.id });
    expect(await tokens.authenticate(bearer(token))).toBe('wrong');
    await expect(tokens.revoke('ci')).rejects.toMatchObject({ code: 'absent' });
    await tokens.create(asked, 'local');
  });

  it.each<[string, Partial<NewToken>]>([
    ['no name', { name: '' }],
    ['a name with an escape character', { name: 'a\u001b[2J' }],
    ['a name like an id', { name: '0123456789ab' }],
    ['a pattern with a scheme', { scopes: { read: ['https://x'], publish: [], admin: false } }],
    ['a pattern with a comma', { scopes: { read: ['*'], publish: ['a,b'], admin: false } }],
    ['101 patterns', { scopes: { read: Array.from({ length: 101 }, () => 'a'), publish: [], admin: false } }],
    ['an expiry in the past', { expiresAtMs: 1 }],
    ['an expiry beyond all years', { expiresAtMs: Number.MAX_SAFE_INTEGER }],
    ['a group that cannot be printed', { groups: ['a\n'] }],
  ])('makes no token with %s', async (_, more) => {
    const dataDir = await folder();
    const { tokens } = await open(dataDir);
    await expect(tokens.create({ ...asked, ...more }, 'local')).rejects.toMatchObject({ code: 'bad_token' });
    expect(readdirSync(dataDir)).toEqual([]);
  });

  it('makes no second token of a name, not even of two at once', async () => {
    const { tokens } = await open(await folder());
    await tokens.create(asked, 'local');
    await expect(tokens.create(asked, 'local')).rejects.toMatchObject({ code: 'exists' });
    expect(await tokens.list()).toHaveLength(1);
  });

  it('makes no data folder', async () => {
    const missing = join(await folder(), 'none');
    await expect(createToken(missing, new FakeClock(), asked, 'local')).rejects.toMatchObject({
      code: 'no_folder',
    });
  });

  it('knows within 5 s what another process created and revoked', async () => {
    const dataDir = await folder();
    const clock = new FakeClock();
    const [one, two] = [await open(dataDir, clock), await open(dataDir, clock)];
    const { token } = await one.tokens.create(asked, 'local');
    const isKnown = async () => typeof (await two.tokens.authenticate(bearer(token))) === 'object';
    expect(await isKnown()).toBe(false);
    await within(clock, 5_000, isKnown);
    const { revision } = two.tokens;
    await one.tokens.revoke('ci');
    await within(clock, 5_000, async () => !(await isKnown()));
    expect(two.tokens.revision).toBeGreaterThan(revision);
  });

  it('revives no revoked token when an older file is put back', async () => {
    const dataDir = await folder();
    const { tokens } = await open(dataDir);
    const { token } = await tokens.create(asked, 'local');
    const older = readFileSync(tokensFileIn(dataDir));
    await tokens.revoke('ci');
    writeFileSync(tokensFileIn(dataDir), older);
    await tokens.reread();
    expect(await tokens.authenticate(bearer(token))).toBe('wrong');
    expect(await tokens.list()).toEqual([]);
    const { tokens: started } = await open(dataDir);
    expect(await started.authenticate(bearer(token))).toBe('wrong');
    // Nor does a process that saw it revive it when both files are put back.
    rmSync(revokedFileIn(dataDir));
    await tokens.reread();
    expect(await tokens.authenticate(bearer(token))).toBe('wrong');
  });

  it('writes when a token was used last, once a minute, and that changes nothing for others', async () => {
    const dataDir = await folder();
    const clock = new FakeClock();
    const { tokens } = await open(dataDir, clock);
    const { token } = await tokens.create(asked, 'local');
    const before = statSync(tokensFileIn(dataDir)).ino;
    await clock.advance(1_000);
    for (let count = 0; count < 100; count += 1) await tokens.authenticate(bearer(token));
    expect(statSync(tokensFileIn(dataDir)).ino).toBe(before);
    const { revision } = tokens;
    const usedAtMs = clock.now();
    await within(clock, 65_000, async () => (await tokens.list())[0]?.lastUsedAtMs === usedAtMs);
    await tokens.reread();
    expect(tokens.revision).toBe(revision);
  });

  it('writes it when it closes', async () => {
    const dataDir = await folder();
    const { tokens, clock } = await open(dataDir);
    await tokens.authenticate(bearer((await tokens.create(asked, 'local')).token));
    await tokens.close();
    expect((await tokens.list())[0]?.lastUsedAtMs).toBe(clock.now());
    expect(clock.timers).toBe(0);
  });
});

describe('a damaged token file', () => {
  const broken: readonly [string, (text: string) => string][] = [
    ['cut off', (text) => text.slice(0, -20)],
    ['empty', () => ''],
    ['of another version', (text) => text.replace('"version": 1', '"version": 2')],
    ['with a token without scopes', (text) => text.replace('"scopes"', '"scope"')],
    ['with an expiry that cannot be read', (text) => text.replace('"name"', '"expiresAt":"soon","name"')],
    ['with a polluting key', () => '{"version":1,"tokens":[{"__proto__":{"id":"0123456789ab"}}]}'],
    ['deeply nested', () => '['.repeat(100_000)],
  ];

  it.each(broken)('%s: no token is accepted, and nothing is lost', async (_, damage) => {
    const dataDir = await folder();
    const { tokens, faults } = await open(dataDir);
    const { token } = await tokens.create(asked, 'local');
    const good = readFileSync(tokensFileIn(dataDir), 'utf8');
    const bad = damage(good);
    writeFileSync(tokensFileIn(dataDir), bad);
    await tokens.reread();
    await expect(tokens.authenticate(bearer(token))).rejects.toMatchObject({ code: 'damaged' });
    expect(await tokens.authenticate(bearer('ey.a.b'))).toBe('other');
    expect(faults).toEqual([tokens.fault]);
    await expect(tokens.create({ ...asked, name: 'b' }, 'local')).rejects.toMatchObject({ code: 'damaged' });
    expect(readFileSync(tokensFileIn(dataDir), 'utf8')).toBe(bad);
    const copies = readdirSync(join(dataDir, 'meta')).filter((name) => name.includes('.damaged-'));
    expect(copies.map((name) => readFileSync(join(dataDir, 'meta', name), 'utf8'))).toEqual([bad]);
    expect(Object.hasOwn(Object.prototype, 'id')).toBe(false);

    writeFileSync(tokensFileIn(dataDir), good);
    await tokens.reread();
    expect(await tokens.authenticate(bearer(token))).toMatchObject({ name: 'ci' });
    expect(tokens.fault).toBeUndefined();
  });

  it('is told at the start', async () => {
    const dataDir = await folder();
    await (await open(dataDir)).tokens.create(asked, 'local');
    writeFileSync(tokensFileIn(dataDir), '{}');
    const { tokens, faults } = await open(dataDir);
    expect(faults[0]).toContain('tokens.json cannot be understood');
    await expect(tokens.authenticate(bearer(newTokenText()))).rejects.toMatchObject({ code: 'damaged' });
  });

  it('that the disk does not give holds for a minute as it was, then no token is accepted', async () => {
    const dataDir = await folder();
    const clock = new FakeClock();
    const { tokens } = await open(dataDir, clock);
    const { token } = await tokens.create(asked, 'local');
    const good = readFileSync(tokensFileIn(dataDir));
    rmSync(tokensFileIn(dataDir));
    // A folder in its place: EISDIR.
    mkdirSync(tokensFileIn(dataDir));
    await tokens.reread();
    expect(await tokens.authenticate(bearer(token))).toMatchObject({ name: 'ci' });
    await clock.advance(61_000);
    await tokens.reread();
    await expect(tokens.authenticate(bearer(token))).rejects.toMatchObject({ code: 'damaged' });
    rmdirSync(tokensFileIn(dataDir));
    writeFileSync(tokensFileIn(dataDir), good);
    await tokens.reread();
    expect(await tokens.authenticate(bearer(token))).toMatchObject({ name: 'ci' });
  });
});

describe('tokenApi', () => {
  async function openApi() {
    const { tokens, clock } = await open(await folder());
    return { tokens, clock, api: tokenApi(tokens, () => clock.now()) };
  }

  it('creates, lists and revokes', async () => {
    const { api, tokens } = await openApi();
    const created = await api.create(
      { name: 'ci', read: ['corp.example'], admin: true, groups: ['g'], expiresIn: '90d' },
      'token:root',
    );
    expect(created).toMatchObject({
      status: 201,
      body: {
        name: 'ci',
        kind: 'static',
        scopes: { read: ['corp.example'], publish: [], admin: true },
        groups: ['g'],
        createdBy: 'token:root',
        createdAt: '2026-01-01T00:00:00.000Z',
        expiresAt: '2026-04-01T00:00:00.000Z',
        token: expect.stringMatching(/^mfy_/),
      },
    });
    expect(created.body).not.toHaveProperty('hash');
    const { token, ...info } = created.body as { token: string; id: string };
    expect(await api.list()).toEqual({ status: 200, body: { tokens: [info] } });
    expect(await tokens.authenticate(bearer(token))).toMatchObject({ name: 'ci' });
    expect(await api.create({ name: 'ci' }, 'x')).toMatchObject({ status: 409 });
    expect(await api.revoke(info.id)).toEqual({ status: 200, body: { revoked: info } });
    expect(await api.revoke(info.id)).toMatchObject({ status: 404, body: { error: { code: 'absent' } } });
    expect(await tokens.authenticate(bearer(token))).toBe('wrong');
  });

  it('says 503 and why when the folder does not do what it should, and never how it is called', async () => {
    const dataDir = await folder();
    const { tokens, clock } = await open(dataDir);
    const api = tokenApi(tokens, () => clock.now());
    mkdirSync(tokensFileIn(dataDir), { recursive: true });
    const replies = [await api.list(), await api.create({ name: 'a' }, 'x'), await api.revoke('a')];
    for (const reply of replies) {
      expect(reply).toMatchObject({
        status: 503,
        body: { error: { message: expect.stringContaining('EISDIR') } },
      });
      expect(JSON.stringify(reply)).not.toContain(dataDir);
    }
  });

  it('gives all that the rules allow to read, and nothing else, when nothing is said', async () => {
    const { api } = await openApi();
    expect((await api.create({ name: 'a' }, 'x')).body).toMatchObject({
      scopes: { read: ['*'], publish: [], admin: false },
    });
  });

  it.each<[string, unknown]>([
    ['null', null],
    ['a list', []],
    ['no name', {}],
    ['an unknown field', { name: 'a', admins: true }],
    ['a polluting field', JSON.parse('{"name":"a","__proto__":{"admin":true}}')],
    ['a flag that is a text', { name: 'a', admin: 'true' }],
    ['patterns that are a text', { name: 'a', read: '*' }],
    ['two ends', { name: 'a', expiresIn: '1d', expiresAt: '2030-01-01T00:00:00Z' }],
    ['an end that is no time', { name: 'a', expiresAt: 'tomorrow' }],
    ['an end that is no duration', { name: 'a', expiresIn: '1 year' }],
    ['an end that is now', { name: 'a', expiresIn: '0s' }],
  ])('refuses %s', async (_, json) => {
    const { api, tokens } = await openApi();
    expect(await api.create(json, 'x')).toMatchObject({
      status: 400,
      body: { error: { code: 'bad_token' } },
    });
    expect(await tokens.list()).toEqual([]);
  });
});
