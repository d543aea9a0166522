import { scryptSync } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashSync } from 'bcryptjs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../../../test/kit/temp.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import type { Credentials } from '../types.ts';
import { Htpasswd, type HtpasswdOptions } from './htpasswd.ts';
import { parseGroups, parseHtpasswd } from './htpasswd-lines.ts';
import { PasswordChecker } from './password-checker.ts';
import { dummyHash, type PasswordHash, parsePasswordHash } from './password-hash.ts';

const never = new AbortController().signal;
const alice = `alice:${hashSync('wonder', 4)}`;
const bob = `bob:${hashSync('builder', 4).replace('$2b$', '$2y$')}`;

function scryptLine(name: string, password: string): string {
  const salt = Buffer.from('salt of 16 bytes');
  const key = scryptSync(password, salt, 32, { cost: 1024, blockSize: 8, parallelization: 1 });
  const text = (value: Buffer): string => value.toString('base64').replace(/=+$/, '').replaceAll('+', '.');
  return `${name}:$scrypt$ln=10,r=8,p=1$${text(salt)}$${text(key)}`;
}

async function files(users: string, groups?: string) {
  const dir = await tempDir('htpasswd');
  onTestFinished(dir.remove);
  const file = join(dir.path, 'htpasswd');
  const groupsFile = groups === undefined ? undefined : join(dir.path, 'groups');
  writeFileSync(file, users);
  if (groupsFile !== undefined && groups !== undefined) writeFileSync(groupsFile, groups);
  return { file, groupsFile };
}

async function open(users: string, groups?: string, more: Partial<HtpasswdOptions> = {}) {
  const clock = new FakeClock();
  const faults: string[] = [];
  const { file, groupsFile } = await files(users, groups);
  const htpasswd = await Htpasswd.open({
    file,
    groupsFile,
    clock,
    onFault: (sentence) => faults.push(sentence),
    ...more,
  });
  onTestFinished(() => htpasswd.close());
  const ask = (username: string, password: string) =>
    htpasswd.authenticate({ kind: 'basic', username, password }, never);
  return { htpasswd, clock, faults, file, groupsFile, ask };
}

function hashOf(text: string): PasswordHash {
  const hash = parsePasswordHash(text);
  if (typeof hash === 'string') throw new Error(hash);
  return hash;
}

describe('Htpasswd', () => {
  it('knows users by their passwords, with their groups', async () => {
    const { ask } = await open(
      `# people\n${alice}\r\n\n${bob}\n${scryptLine('carl', 'marx')}\n`,
      'team-a: alice bob\nadmins:alice  alice\n',
    );
    expect(await ask('alice', 'wonder')).toEqual({
      kind: 'user',
      name: 'alice',
      groups: ['team-a', 'admins'],
      scopes: undefined,
      expiresAtMs: undefined,
    });
    expect(await ask('bob', 'builder')).toMatchObject({ groups: ['team-a'] });
    expect(await ask('carl', 'marx')).toMatchObject({ name: 'carl', groups: [] });
    for (const name of ['alice', 'bob', 'carl']) expect(await ask(name, 'x')).toBe('wrong');
    for (const name of ['nobody', '', '__proto__', 'constructor', 'Alice']) {
      expect(await ask(name, 'wonder')).toBe('other');
    }
    expect(await ask('alice', '')).toBe('wrong');
  });

  it('has nothing to say of a Bearer', async () => {
    const { htpasswd } = await open(alice);
    const bearer: Credentials = { kind: 'bearer', token: 'wonder' };
    expect(await htpasswd.authenticate(bearer, never)).toBe('other');
  });

  it('does the same work for a user that is there and for one that is not', async () => {
    const checked: PasswordHash[] = [];
    const { ask } = await open(`${scryptLine('carl', 'x')}\n${alice}\n${bob}\n`, undefined, {
      check: (hash) => {
        checked.push(hash);
        return Promise.resolve(false);
      },
    });
    await ask('alice', 'x');
    await ask('nobody', 'x');
    await ask('', '');
    expect(checked.map((hash) => (hash.kind === 'bcrypt' ? hash.text.slice(4, 7) : hash.kind))).toEqual([
      '04$',
      '04$',
      '04$',
    ]);
  });

  it('knows within 5 s who was removed, and who came', async () => {
    const { htpasswd, clock, file, ask } = await open(`${alice}\n${bob}\n`, 'g: alice\n');
    const { revision } = htpasswd;
    writeFileSync(file, `${alice}\n${scryptLine('carl', 'marx')}\n`);
    await clock.advance(2_000);
    await htpasswd.reread();
    expect(htpasswd.revision).not.toBe(revision);
    expect(await ask('bob', 'builder')).toBe('other');
    expect(await ask('carl', 'marx')).toMatchObject({ name: 'carl' });
  });

  it('looks again by itself', async () => {
    const { htpasswd, clock, file } = await open(alice);
    const { revision } = htpasswd;
    writeFileSync(file, bob);
    for (let spentMs = 0; spentMs < 5_000 && htpasswd.revision === revision; spentMs += 100) {
      await clock.advance(100);
      await new PasswordChecker(clock).check(hashOf(scryptLine('a', 'b').slice(2)), 'b', never);
    }
    expect(htpasswd.revision).not.toBe(revision);
  });

  it('knows the groups of now', async () => {
    const { htpasswd, groupsFile = '', ask } = await open(alice, 'team-a: alice\n');
    writeFileSync(groupsFile, 'team-b: alice\n');
    await htpasswd.reread();
    expect(await ask('alice', 'wonder')).toMatchObject({ groups: ['team-b'] });
  });

  it.each([
    ['MD5', 'line 2: its hash is MD5'],
    ['SHA-1', 'line 2: its hash is SHA-1'],
  ])('does not start with a hash of %s', async (kind, sentence) => {
    const hash =
      kind === 'MD5' ? '$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00' : '{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=';
    const { file, groupsFile } = await files(`${alice}\nbad:${hash}\n`);
    const opening = Htpasswd.open({ file, groupsFile, clock: new FakeClock() });
    await expect(opening).rejects.toMatchObject({
      code: 'htpasswd',
      message: expect.stringContaining(sentence),
    });
    await expect(opening).rejects.not.toMatchObject({ message: expect.stringContaining(hash) });
  });

  it('does not start without its files', async () => {
    const { file } = await files(alice);
    const clock = new FakeClock();
    await expect(Htpasswd.open({ file, groupsFile: `${file}.none`, clock })).rejects.toMatchObject({
      message: expect.stringContaining('htpasswd.none cannot be read: it is not there'),
    });
    expect(clock.timers).toBe(0);
  });

  it('goes on with the good lines of a file that got a bad one, and tells it', async () => {
    const { htpasswd, file, faults, ask } = await open(`${alice}\n${bob}\n`);
    writeFileSync(file, `${alice}\nbob:plain\n`);
    await htpasswd.reread();
    expect(faults).toEqual([expect.stringContaining('line 2: its hash is none that is known here')]);
    expect(await ask('alice', 'wonder')).toMatchObject({ name: 'alice' });
    expect(await ask('bob', 'builder')).toBe('other');
  });

  it('knows nobody 5 s after its file was taken away, and says that it cannot tell', async () => {
    const { htpasswd, clock, file, faults, ask } = await open(alice);
    const { revision } = htpasswd;
    rmSync(file);
    await htpasswd.reread();
    expect(await ask('alice', 'wonder')).toMatchObject({ name: 'alice' });
    await clock.advance(3_000);
    expect(htpasswd.revision).not.toBe(revision);
    await expect(ask('alice', 'wonder')).rejects.toMatchObject({ code: 'htpasswd' });
    expect(faults).toHaveLength(1);
    writeFileSync(file, alice);
    await htpasswd.reread();
    expect(await ask('alice', 'wonder')).toMatchObject({ name: 'alice' });
  });
});

describe('the lines', () => {
  it.each([
    ['alice', 'line 1: it is not name:hash'],
    [`:${alice.slice(6)}`, 'line 1: its name is empty'],
    [`a\u001b:${alice.slice(6)}`, 'line 1: its name is empty, too long or cannot be printed'],
    [`${alice}\n\n${alice}`, 'line 3: "alice" stands on a line before'],
    [`a:$2b$16$${'a'.repeat(53)}`, 'line 1: its bcrypt cost is not 4 to 15'],
    [`a:$2x$05$${'a'.repeat(53)}`, 'line 1: its hash is none'],
    [
      'a:$scrypt$ln=30,r=8,p=1$c2FsdHNhbHQ$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD',
      'line 1: its scrypt has other',
    ],
    ['a:', 'line 1: its hash is none'],
  ])('%j is a fault', (text, fault) => {
    expect(parseHtpasswd(text).faults).toEqual([expect.stringContaining(fault)]);
  });

  it('tells at most 20 faults, and reads 4 MB of anything quickly', () => {
    const startedAtMs = performance.now();
    expect(parseHtpasswd('x\n'.repeat(2_000_000)).faults).toHaveLength(20);
    expect(parseGroups(`g: ${'a '.repeat(500_000)}`).entries.size).toBe(1);
    expect(parseHtpasswd('a:$scrypt$'.repeat(5_000)).faults).toHaveLength(1);
    expect(performance.now() - startedAtMs).toBeLessThan(3_000);
  });
});

describe('PasswordChecker', () => {
  it('compares by the vectors of others', async () => {
    const checker = new PasswordChecker(new FakeClock());
    onTestFinished(() => checker.close());
    // passlib.hash.scrypt, and the test vectors of bcrypt by Openwall.
    const vectors: [string, string][] = [
      [
        '$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E',
        'password',
      ],
      ['$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'U*U'],
      ['$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a', 'U*U*U'],
    ];
    for (const [hash, password] of vectors) {
      expect(await checker.check(hashOf(hash), password, never)).toBe(true);
      expect(await checker.check(hashOf(hash), `${password}x`, never)).toBe(false);
    }
  });

  it('leaves the event loop free', async () => {
    const checker = new PasswordChecker(new FakeClock());
    onTestFinished(() => checker.close());
    const hash = hashOf(hashSync('x', 4).replace('$04$', '$12$'));
    await checker.check(hashOf(hashSync('x', 4)), 'x', never);
    let turns = 0;
    let isDone = false;
    const work = checker.check(hash, 'x', never).finally(() => {
      isDone = true;
    });
    while (!isDone) {
      await new Promise((resolve) => setImmediate(resolve));
      turns += 1;
    }
    await work;
    // In this thread it would be some three turns: bcryptjs takes 100 ms each.
    expect(turns).toBeGreaterThan(100);
  });

  it('lets few wait, and ends its thread when nobody logs in', async () => {
    const clock = new FakeClock();
    const checker = new PasswordChecker(clock);
    onTestFinished(() => checker.close());
    const hash = hashOf(hashSync('x', 4));
    const answers = await Promise.allSettled(
      Array.from({ length: 300 }, () => checker.check(hash, 'x', never)),
    );
    const refused = answers.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(300 - 258);
    expect(refused[0]).toMatchObject({ reason: { code: 'busy' } });
    expect(clock.timers).toBe(1);
    await clock.advance(60_000);
    expect(clock.timers).toBe(0);
    expect(await checker.check(hash, 'x', never)).toBe(true);
    await checker.close();
    await expect(checker.check(hash, 'x', never)).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('dummyHash', () => {
  it('costs what most of them cost, and is the hash of nothing', async () => {
    const hashes = [hashSync('', 5), hashSync('', 5), hashSync('', 4)].map(hashOf);
    expect(dummyHash(hashes)).toMatchObject({
      kind: 'bcrypt',
      text: expect.stringMatching(/^\$2[aby]\$05\$/),
    });
    expect(dummyHash([])).toMatchObject({ text: expect.stringMatching(/^\$2b\$10\$\.{53}$/) });
    const checker = new PasswordChecker(new FakeClock());
    onTestFinished(() => checker.close());
    const dummy = dummyHash(hashes);
    expect(typeof parsePasswordHash(dummy.kind === 'bcrypt' ? dummy.text : '')).toBe('object');
    for (const password of ['', 'x']) expect(await checker.check(dummy, password, never)).toBe(false);
    const scrypt = dummyHash([hashOf(scryptLine('a', 'x').slice(2))]);
    expect(await checker.check(scrypt, '', never)).toBe(false);
  });
});
