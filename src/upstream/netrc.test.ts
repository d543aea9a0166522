import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret } from '../lib/secret.ts';
import { authorizationOf } from './credentials.ts';
import { loadNetrc, netrcAuth, netrcPath, parseNetrc } from './netrc.ts';

function found(text: string, host: string): string | undefined {
  const auth = netrcAuth(parseNetrc(text), host);
  return auth?.kind === 'basic' ? `${auth.username}:${auth.password.reveal()}` : undefined;
}

describe('parseNetrc', () => {
  it.each([
    ['one line', 'machine a.example login me password secret', 'a.example', 'me:secret'],
    ['several lines', 'machine a.example\n\tlogin me\r\n\tpassword secret\n', 'a.example', 'me:secret'],
    ['another host', 'machine a.example login me password secret', 'b.example', undefined],
    ['not a part of a name', 'machine example login me password secret', 'a.example', undefined],
    ['upper case', 'machine A.Example login me password secret', 'a.EXAMPLE', 'me:secret'],
    [
      'the first of two',
      'machine a.example login x password 1 machine a.example login y password 2',
      'a.example',
      'x:1',
    ],
    ['default', 'machine a.example login x password 1\ndefault login d password 2', 'b.example', 'd:2'],
    [
      'a macro',
      'macdef init\nmachine a.example login x password 1\n\nmachine a.example login y password 2',
      'a.example',
      'y:2',
    ],
    ['account', 'machine a.example login me account acc password secret', 'a.example', 'me:secret'],
    [
      'a comment',
      '# machine a.example login x password 1\nmachine a.example login y password 2',
      'a.example',
      'y:2',
    ],
    ['a password with #', 'machine a.example login me password #1', 'a.example', 'me:#1'],
    ['no password', 'machine a.example login me', 'a.example', undefined],
    ['cut short', 'machine a.example login me password', 'a.example', undefined],
  ])('reads %s', (_what, text, host, expected) => {
    expect(found(text, host)).toBe(expected);
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => Array.isArray(parseNetrc(text))));
  });
});

describe('netrcPath', () => {
  it.each([
    [{ env: { NETRC: '/x/n' }, homeDir: '/home/u', platform: 'linux' }, '/x/n'],
    [{ env: {}, homeDir: '/home/u', platform: 'linux' }, '/home/u/.netrc'],
    [{ env: {}, homeDir: '/home/u', platform: 'win32' }, '/home/u/_netrc'],
    [{ env: {}, homeDir: undefined, platform: 'linux' }, undefined],
  ] as const)('for %j is %s', (place, expected) => {
    expect(netrcPath(place)).toBe(expected);
  });
});

describe('loadNetrc', () => {
  it('has no entries and no warning without a file, and a warning for a folder', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'modferry-netrc-'));
    try {
      const place = { homeDir: undefined, platform: 'linux' } as const;
      expect(await loadNetrc({ ...place, env: { NETRC: join(folder, 'none') } })).toEqual({
        entries: [],
        warning: undefined,
      });
      expect((await loadNetrc({ ...place, env: { NETRC: folder } })).warning).toContain('could not be read');
      await writeFile(join(folder, 'ok'), 'machine a.example login me password secret');
      expect((await loadNetrc({ ...place, env: { NETRC: join(folder, 'ok') } })).entries).toHaveLength(1);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('credentials', () => {
  it('make the header of each kind', () => {
    const secret = new Secret('p:ß');
    expect(authorizationOf({ kind: 'bearer', token: new Secret('tok') })).toBe('Bearer tok');
    expect(authorizationOf({ kind: 'basic', username: 'u', password: secret })).toBe(
      `Basic ${Buffer.from('u:p:ß').toString('base64')}`,
    );
  });

  it('do not print', () => {
    const token = new Secret('hunter2');
    const auth = { kind: 'bearer', token };
    expect(`${String(token)} ${JSON.stringify(auth)} ${inspect(auth)}`).not.toContain('hunter2');
  });
});
