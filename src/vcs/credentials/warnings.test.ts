import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../lib/secret.ts';
import { secretReference } from '../../lib/secret-reference.ts';
import { entry, tempFolder } from './test-finder.ts';
import { credentialWarnings, netrcWarnings, privateHosts, secretFileWarnings } from './warnings.ts';

const use = { kind: 'token', token: new Secret('hunter2') } as const;

describe('credentialWarnings', () => {
  it('says one sentence for each entry that no private pattern covers', () => {
    const isPrivate = privateHosts(['git.corp.example/team', '*.lab.example', 'ssh.example:2222/x']);
    const warnings = credentialWarnings(
      [
        entry('git.corp.example', use),
        entry('git.corp.example:8443', use),
        entry('a.lab.example/x', use),
        entry('*.lab.example', use),
        entry('ssh.example', use),
        entry(['github.com', 'github.com/team', 'git.corp.example'], use),
        entry('*', use),
      ],
      isPrivate,
    );

    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toMatch(/^there are credentials \(token for github\.com, .*covers github\.com:/);
    expect(warnings[1]).toContain('covers *:');
    expect(warnings.join()).not.toContain('hunter2');
  });
});

describe('secretFileWarnings', () => {
  it('tells of files that are open to others, and of keys that ssh would not use', async () => {
    const dir = tempFolder();
    const [tokenFile, keyFile] = [join(dir, 'token'), join(dir, 'key')];
    writeFileSync(tokenFile, 'hunter2', { mode: 0o644 });
    writeFileSync(keyFile, 'ssh-ed25519 AAAA', { mode: 0o600 });
    const token = secretReference(`file:${tokenFile}`, { env: {}, resolvePath: (path) => path });
    if (token === undefined) throw new Error('no reference');

    const warnings = await secretFileWarnings([
      entry('a.example', { kind: 'token', token }),
      entry('b.example', { kind: 'ssh_key', keyFile, knownHostsFile: undefined }),
      entry('c.example', use),
    ]);
    expect(warnings).toEqual([
      expect.stringContaining('read by everybody') as string,
      expect.stringContaining('is no private key') as string,
    ]);
  });
});

describe('netrcWarnings', () => {
  it('names a few hosts that are not private, and no secret', async () => {
    const file = join(tempFolder(), 'netrc');
    const isPrivate = privateHosts(['git.corp.example/team']);
    expect(await netrcWarnings(file, [], isPrivate)).toEqual([]);
    const hosts = [
      'git.corp.example',
      'named.example',
      ...Array.from({ length: 7 }, (_, at) => `h${at}.example`),
    ];
    const lines = hosts.map((host) => `machine ${host} login me password hunter2\n`);
    writeFileSync(file, [...lines, 'default login any password hunter3\n'].join(''), { mode: 0o600 });
    const [warning, ...others] = await netrcWarnings(file, [entry('named.example', use)], isPrivate);
    expect(others).toEqual([]);
    expect(warning).toContain('h0.example, h1.example, h2.example, h3.example, h4.example and 2 more');
    expect(warning).not.toMatch(/hunter|corp|named/);
    writeFileSync(file, lines[0] ?? '');
    expect(await netrcWarnings(file, [], isPrivate)).toEqual([]);
  });
});
