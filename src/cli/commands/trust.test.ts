import { appendFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TrustedSums } from '../../checksums/trusted-sums.ts';
import type { ModulePath, Version } from '../../gomod/types.ts';
import { systemClock } from '../../lib/clock.ts';
import { openFsStore } from '../../store/fs/fs-store.ts';
import { makeTestFolder, mount } from '../../store/fs/test-folder.ts';
import { fakeCli, jsonLines, publish, tempFolder } from '../test-kit.ts';

const one = `h1:${'A'.repeat(43)}=`;
const two = `h1:${'B'.repeat(42)}A=`;
const mod = 'golang.org/x/mod';

async function withFolder(goSum: string, stdin = '') {
  const data = tempFolder();
  await publish(data);
  const cwd = tempFolder();
  writeFileSync(join(cwd, 'go.sum'), goSum);
  return { data, cwd, cli: fakeCli({ cwd, stdin, env: { MODFERRY_DATA: data } }) };
}

async function find(data: string) {
  const sums = await TrustedSums.open(data, systemClock);
  const found = sums.find(mod as ModulePath, 'v0.20.0' as Version, 'zip');
  sums.close();
  return found;
}

describe('modferry trust', () => {
  it('imports the go.sum here, lists it and removes it', async () => {
    const { data, cli } = await withFolder(`${mod} v0.20.0 ${one}\n${mod} v0.20.0/go.mod ${two}\n`);
    expect(await cli.run('trust', 'go.sum')).toEqual({
      code: 0,
      stdout: 'go.sum: 2 lines added, 0 known\n',
      stderr: '',
    });
    expect(await find(data)).toEqual({ h1: one, label: 'go.sum' });
    expect((await cli.run('trust', 'go.sum', '--label', 'again', 'go.sum')).stdout).toBe(
      'go.sum: 0 lines added, 2 known\n',
    );
    expect((await cli.run('trust', 'ls')).stdout).toMatch(/^2 lines {2}20\S+ \S+Z {2}go\.sum\n$/);
    expect(jsonLines((await cli.run('trust', 'ls', '--json')).stdout)).toMatchObject([
      { label: 'go.sum', lines: 2 },
    ]);
    expect(await cli.run('trust', 'rm', 'go.sum')).toMatchObject({
      code: 0,
      stdout: 'go.sum: 2 lines no longer trusted\n',
    });
    expect(await find(data)).toBeUndefined();
    expect((await cli.run('trust', 'rm', 'go.sum')).code).toBe(1);
    expect((await cli.run('trust', 'ls')).stdout).toContain('no go.sum lines are trusted');
  });

  it('imports nothing of a file with junk, and tells each junk line', async () => {
    const { data, cwd, cli } = await withFolder(`${mod} v0.20.0 ${one}\n=======\n${mod} v0.21.0 h1:short\n`);
    writeFileSync(join(cwd, 'good.sum'), `${mod} v0.19.0 ${one}\n`);
    const { code, stdout, stderr } = await cli.run('trust', 'go.sum', 'go.sum', 'good.sum');
    expect(code).toBe(1);
    expect(stdout.split('\n').slice(0, 3)).toEqual([
      'go.sum:2: a merge left a conflict marker; resolve it first: =======',
      `go.sum:3: its hash is not h1: and 32 bytes in base64: ${mod} v0.21.0 h1:short`,
      'good.sum: 1 line added, 0 known',
    ]);
    expect(stderr).toContain('1 file not imported');
    expect(await find(data)).toBeUndefined();
    expect(jsonLines((await cli.run('trust', 'go.sum', '--json')).stdout)).toMatchObject([
      { ok: false, junk: [{ lineNumber: 2 }, { lineNumber: 3 }] },
    ]);
  });

  it('imports nothing that contradicts what is trusted, unless told to replace', async () => {
    const { data, cwd, cli } = await withFolder(`${mod} v0.20.0 ${one}\n`);
    await cli.run('trust', 'go.sum', '--label', 'a');
    writeFileSync(join(cwd, 'go.sum'), `${mod} v0.20.0 ${two}\n${mod} v0.21.0 ${one}\n`);
    const { code, stdout } = await cli.run('trust', 'go.sum');
    expect(code).toBe(1);
    expect(stdout).toContain(`go.sum: ${mod} v0.20.0: ${two}, but a says ${one}\n`);
    expect(await find(data)).toEqual({ h1: one, label: 'a' });
    expect((await cli.run('trust', 'go.sum', '--replace')).stdout).toBe(
      'go.sum: 1 line added, 0 known, 1 replaced\n',
    );
    expect(await find(data)).toEqual({ h1: two, label: 'go.sum' });
  });

  it('reads standard input', async () => {
    const { data, cli } = await withFolder('', `${mod} v0.20.0 ${one}\n`);
    expect((await cli.run('trust', 'go.sum', '--label', 'main', '-')).code).toBe(0);
    expect(await find(data)).toEqual({ h1: one, label: 'main' });
  });

  it.each([
    ['a file that is not there', ['none.sum'], 2],
    ['a label that cannot be printed', ['--label', '\u001b[2J', 'go.sum'], 2],
  ])('refuses %s', async (_, args, code) => {
    const { cli } = await withFolder('');
    expect((await cli.run('trust', 'go.sum', ...args)).code).toBe(code);
  });

  it('makes no folder where there is none', async () => {
    const cwd = tempFolder();
    writeFileSync(join(cwd, 'go.sum'), '');
    expect((await fakeCli({ cwd }).run('trust', 'go.sum')).code).toBe(1);
    expect(readdirSync(cwd)).toEqual(['go.sum']);
  });

  it('tells how many lines are damaged', async () => {
    const { data, cli } = await withFolder(`${mod} v0.20.0 ${one}\n`);
    await cli.run('trust', 'go.sum');
    appendFileSync(join(data, 'meta', 'trusted.sum'), 'junk\n');
    const { stdout, stderr } = await cli.run('trust', 'ls');
    expect(stdout).toMatch(/^1 line {2}/);
    expect(stderr).toMatch(/^modferry: 1 line of .*trusted\.sum cannot be understood/);
    expect(jsonLines((await cli.run('trust', 'ls', '--json')).stdout)[1]).toEqual({ damagedLines: 1 });
  });
});

describe('trust that is taken back', () => {
  const name = `${mod}@v0.20.0`;

  /** A stored module whose files were published by lines of the label `app`. */
  async function withProven() {
    const made = await withFolder('');
    await publish(made.data, name, `${mod}@v0.21.0`);
    const store = await openFsStore({ folder: made.data, clock: systemClock });
    const sums: string[] = [];
    for await (const { path, version, artifacts } of store.versions()) {
      for (const ext of ['mod', 'zip'] as const) {
        const { sha256 = '', h1 = '' } = artifacts[ext] ?? {};
        sums.push(`${path} ${version}${ext === 'mod' ? '/go.mod' : ''} ${h1}\n`);
        const proof = { by: 'go.sum', label: 'app', atMs: 1 } as const;
        expect(await store.setTrust({ path, version, ext }, sha256, { proof })).toBe(true);
      }
    }
    await store.close();
    const text = sums.join('');
    writeFileSync(join(made.cwd, 'go.sum'), text);
    expect((await made.cli.run('trust', 'go.sum', '--label', 'app')).code).toBe(0);
    return { ...made, text };
  }

  async function waiting(data: string): Promise<string[]> {
    const store = await openFsStore({ folder: data, clock: systemClock });
    const keys: string[] = [];
    for await (const { version, ext } of store.awaitingProof()) keys.push(`${version}.${ext}`);
    await store.close();
    return keys.toSorted();
  }

  it('leaves what was published by it waiting for another proof', async () => {
    const { data, cli } = await withProven();
    expect(await waiting(data)).toEqual([]);
    expect((await cli.run('trust', 'rm', 'app')).stdout).toBe(
      'app: 4 lines no longer trusted; 4 stored files wait for another proof\n',
    );
    expect(await waiting(data)).toEqual(['v0.20.0.mod', 'v0.20.0.zip', 'v0.21.0.mod', 'v0.21.0.zip']);
    expect((await cli.run('info', name)).stdout).not.toContain('proven by');
  });

  it('is only what a line says otherwise that took its place', async () => {
    const { data, cwd, cli, text } = await withProven();
    const zip = /v0\.20\.0 (h1:\S+)/.exec(text)?.[1] ?? '';
    writeFileSync(join(cwd, 'go.sum'), text.replace(zip, two));
    expect(jsonLines((await cli.run('trust', 'go.sum', '--replace', '--json')).stdout)).toMatchObject([
      { replaced: 1, known: 3, waiting: 1 },
    ]);
    expect(await waiting(data)).toEqual(['v0.20.0.zip']);
  });
});

describe.runIf(process.getuid?.() === 0)('modferry trust on a folder that takes nothing', () => {
  it('says what to do about it', async () => {
    const data = makeTestFolder({ tmpfs: 'size=2m' }).path;
    await publish(data, `${mod}@v0.20.0`);
    const cwd = tempFolder();
    writeFileSync(join(cwd, 'go.sum'), `${mod} v0.20.0 ${one}\n`);
    const cli = fakeCli({ cwd, env: { MODFERRY_DATA: data } });
    expect((await cli.run('trust', 'go.sum')).code).toBe(0);
    mount(['-o', 'remount,ro', data]);
    for (const args of [
      ['go.sum', '--label', 'b', '--replace'],
      ['rm', 'go.sum'],
    ]) {
      const { code, stderr } = await cli.run('trust', ...args);
      expect({ code, stderr }).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/trusted\.sum: EROFS.*; make the folder writable/),
      });
    }
  });
});
