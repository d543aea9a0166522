import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeModule } from '../../../test/kit/fake-module.ts';
import type { ArtifactKey, ModulePath, Version } from '../../gomod/types.ts';
import type { AdminActions } from '../../http/admin.ts';
import { systemClock } from '../../lib/clock.ts';
import { openFsStore } from '../../store/fs/fs-store.ts';
import type { ArtifactRecord, Store, Trust } from '../../store/store.ts';
import { expectAction, fakeCli, jsonLines, playServer, publish, tempFolder } from '../test-kit.ts';

const cobra = 'github.com/spf13/cobra';
const name = `${cobra}@v1.9.0`;

/** A store of modules as `publish` makes them; `sums` is their go.sum. */
async function withStore(...names: readonly string[]) {
  const data = tempFolder();
  await publish(data, ...names);
  const sums = names.map((one) => goSumOf(data, one)).join('');
  return { data, sums, cli: fakeCli({ env: { MODFERRY_DATA: data } }) };
}

function versionFile(data: string, moduleAtVersion: string, ext: string): string {
  const [path = '', version = ''] = moduleAtVersion.split('@');
  return join(data, 'download', path, '@v', `${version}.${ext}`);
}

function recordedH1(data: string, moduleAtVersion: string, ext: string): string {
  const file = `${versionFile(data, moduleAtVersion, ext).replace('/download/', '/meta/records/')}.json`;
  return (JSON.parse(readFileSync(file, 'utf8')) as { h1: string }).h1;
}

function goSumOf(data: string, moduleAtVersion: string): string {
  const [path = '', version = ''] = moduleAtVersion.split('@');
  const [zip, mod] = ['zip', 'mod'].map((ext) => recordedH1(data, moduleAtVersion, ext));
  return `${path} ${version} ${zip}\n${path} ${version}/go.mod ${mod}\n`;
}

function known(data: string, moduleAtVersion: string, lies: { zip?: string; mod?: string } = {}) {
  const [path = '', version = ''] = moduleAtVersion.split('@');
  const { zip = recordedH1(data, moduleAtVersion, 'zip'), mod = recordedH1(data, moduleAtVersion, 'mod') } =
    lies;
  return { ...fakeModule({ path, version }), zipH1: zip, modH1: mod };
}

async function trustOf(data: string, moduleAtVersion: string, ext: 'mod' | 'zip') {
  return (await recordedTrust(data, moduleAtVersion, ext)).proof;
}

async function recordedTrust(data: string, moduleAtVersion: string, ext: 'mod' | 'zip'): Promise<Trust> {
  return await withRecord(data, moduleAtVersion, ext, async (_store, _key, { proof, unproven }) => ({
    proof,
    unproven,
  }));
}

async function setTrust(
  data: string,
  moduleAtVersion: string,
  ext: 'mod' | 'zip',
  trust: Trust,
): Promise<void> {
  const isSet = await withRecord(data, moduleAtVersion, ext, (store, key, { sha256 }) =>
    store.setTrust(key, sha256, trust),
  );
  expect(isSet).toBe(true);
}

async function withRecord<Result>(
  data: string,
  moduleAtVersion: string,
  ext: 'mod' | 'zip',
  work: (store: Store, key: ArtifactKey, record: ArtifactRecord) => Promise<Result>,
): Promise<Result> {
  const [path, version] = moduleAtVersion.split('@');
  const key: ArtifactKey = { path: path as ModulePath, version: version as Version, ext };
  const store = await openFsStore({ folder: data, clock: systemClock });
  try {
    const file = await store.open(key);
    await file?.close();
    if (file === undefined) throw new Error(`${moduleAtVersion} .${ext} is not stored`);
    return await work(store, key, file.record);
  } finally {
    await store.close();
  }
}

/** Other content, which nobody published. */
function harm(file: string): void {
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(bytes.length / 2) ^ 1, bytes.length / 2);
  writeFileSync(file, bytes);
}

const otherH1 = `h1:${'A'.repeat(43)}=`;

describe('modferry verify --against-sumdb', () => {
  it('proves everything and records it', async () => {
    const { data, cli } = await withStore(name, 'golang.org/x/mod@v0.20.0');
    await playServer(data, expectAction([known(data, name), known(data, 'golang.org/x/mod@v0.20.0')]));
    const { code, stdout } = await cli.run('verify', '--against-sumdb');
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('no faults, 4 proven, 0 unproven'),
    });
    expect(await trustOf(data, name, 'zip')).toEqual({
      by: 'sumdb',
      database: 'sum.test',
      recordId: 7,
      treeSize: 99,
      atMs: 1,
    });
    const info = await cli.run('info', name);
    expect(info.stdout).toContain('    proven by sum.test #7, tree of 99 records, 1970-01-01T00:00:00Z\n');
  });

  it('tells a mismatch with what was expected and found, and changes nothing', async () => {
    const { data, cli } = await withStore(name);
    await playServer(data, expectAction([known(data, name, { zip: otherH1 })]));
    const { code, stdout } = await cli.run('verify', '--against-sumdb', '--json');
    expect(code).toBe(1);
    const [fault, summary] = jsonLines(stdout);
    const found = recordedH1(data, name, 'zip');
    expect(fault).toMatchObject({
      module: cobra,
      artifact: 'zip',
      kind: 'mismatch',
      expected: otherH1,
      found,
      by: 'sum.test #7',
    });
    expect(summary).toMatchObject({ faults: 1, proven: 1, unproven: 0 });
    expect(existsSync(versionFile(data, name, 'zip'))).toBe(true);
    expect(await trustOf(data, name, 'zip')).toBeUndefined();
  });

  it('counts what could not be proven by its cause, and fails unless that is allowed', async () => {
    const { data, cli } = await withStore(name);
    await playServer(data, expectAction([]));
    const { code, stdout, stderr } = await cli.run('verify', '--against-sumdb');
    expect(code).toBe(1);
    expect(stdout).toContain('  2 unproven: sum.test cannot be reached\n');
    expect(stderr).toContain('2 artifacts could not be proven');
    expect((await cli.run('verify', '--against-sumdb', '--allow-unproven')).code).toBe(0);
  });

  it('does not fail for modules of which nobody is asked', async () => {
    const { data, cli } = await withStore(name);
    await playServer(data, expectAction([], { kind: 'unproven', why: 'off', reason: 'private' }));
    const { code, stdout } = await cli.run('verify', '--against-sumdb');
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('2 with checksums off'),
    });
  });
});

describe('modferry verify --repair', () => {
  it('withdraws what is rotten and has it fetched again', async () => {
    const { data, cli } = await withStore(name);
    const asked: object[] = [];
    await playServer(data, {
      'POST /heal': (ask) => {
        asked.push(ask);
        return Promise.resolve({ outcome: 'healed', source: 'goproxy.io' });
      },
    });
    harm(versionFile(data, name, 'zip'));
    const { code, stdout } = await cli.run('verify', '--repair');
    expect(stdout).toContain('  healed: fetched again from goproxy.io\n');
    expect(code).toBe(0);
    expect(asked).toEqual([{ path: cobra, version: 'v1.9.0', ext: 'zip' }]);
    expect(existsSync(versionFile(data, name, 'zip'))).toBe(false);
    const [suspect] = jsonLines((await cli.run('quarantine', 'ls', '--json')).stdout);
    expect(suspect).toMatchObject({
      cause: 'rotten',
      source: 'store',
      module: cobra,
      artifact: 'zip',
      hasBytes: true,
    });
  });

  it('withdraws what the checksum database speaks against, also without a server to fetch it again', async () => {
    const { data, cli } = await withStore(name);
    await playServer(data, {
      ...expectAction([known(data, name, { zip: otherH1 })]),
      'POST /heal': () => Promise.reject(new Error('every source has the same bytes')),
    });
    const { code, stdout } = await cli.run('verify', '--against-sumdb', '--repair');
    expect(code).toBe(1);
    expect(stdout).toContain(
      'in quarantine now; not fetched again yet: the running modferry refused: every source',
    );
    const [suspect] = jsonLines((await cli.run('quarantine', 'ls', '--json')).stdout);
    expect(suspect).toMatchObject({
      cause: 'mismatch',
      source: 'store',
      reason: expect.stringMatching(/it came from goproxy\.cn$/),
      expectedH1: otherH1,
      expectedBy: 'sum.test #7',
    });
  });

  it('records anew what is good but wrongly recorded, with nobody running', async () => {
    const { data, cli } = await withStore(name);
    const hash = readFileSync(versionFile(data, name, 'ziphash'));
    rmSync(versionFile(data, name, 'ziphash'));
    const { code, stdout } = await cli.run('verify', '--repair', '--json');
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toMatchObject([
      { kind: 'ziphash', repair: { outcome: 'renewed' } },
      { faults: 1, healed: 0, renewed: 1 },
    ]);
    expect(readFileSync(versionFile(data, name, 'ziphash'))).toEqual(hash);
    expect(jsonLines((await cli.run('quarantine', 'ls', '--json')).stdout)).toEqual([]);
    expect((await cli.run('verify')).code).toBe(0);
  });

  it('leaves what an operator has released, and counts it apart', async () => {
    const { data, cli } = await withStore(name);
    const reason = 'moved tag, reviewed';
    await setTrust(data, name, 'zip', { proof: { by: 'operator', reason, atMs: 1 } });
    await playServer(data, expectAction([known(data, name, { zip: otherH1 })]));
    const { code, stdout } = await cli.run('verify', '--against-sumdb', '--repair');
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1 released by an operator'),
    });
    expect(await trustOf(data, name, 'zip')).toMatchObject({ by: 'operator', reason });
    const [summary] = jsonLines((await cli.run('verify', '--against-sumdb', '--json')).stdout);
    expect(summary).toMatchObject({ faults: 0, proven: 1, unproven: 0, released: 1 });
  });

  it('keeps no proof by a go.sum line that is gone, unless nobody could be asked', async () => {
    const { data, cli } = await withStore(name);
    const proof = { by: 'go.sum', label: 'gone', atMs: 1 } as const;
    await setTrust(data, name, 'zip', { proof });
    await setTrust(data, name, 'mod', { proof });
    const answers: AdminActions = { 'POST /expect': () => Promise.reject(new Error('no time')) };
    await playServer(data, answers);
    expect((await cli.run('verify', '--against-sumdb')).code).toBe(1);
    expect(await trustOf(data, name, 'zip')).toEqual(proof);
    Object.assign(answers, expectAction([]));
    expect((await cli.run('verify', '--against-sumdb')).code).toBe(1);
    expect(await recordedTrust(data, name, 'zip')).toEqual({ proof: undefined, unproven: 'unreachable' });
    expect(await recordedTrust(data, name, 'mod')).toEqual({ proof: undefined, unproven: 'unreachable' });
  });

  it.each([
    [['--quick'], '--go-sum'],
    [['--allow-unproven'], '--against-sumdb'],
    [['--repair', '--go-sum', 'x'], '--go-sum'],
  ])('refuses %s alone', async (flags, said) => {
    const { code, stderr } = await fakeCli().run('verify', ...flags);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining(said) });
  });
});

describe('modferry verify --go-sum', () => {
  async function withProject(...names: readonly string[]) {
    const made = await withStore(...names);
    const file = join(tempFolder(), 'go.sum');
    writeFileSync(file, made.sums);
    return { ...made, file };
  }

  it('says in one line that all is there and right', async () => {
    const { cli, file, sums } = await withProject(name, 'golang.org/x/mod@v0.20.0');
    expect(await cli.run('verify', '--go-sum', file)).toEqual({
      code: 0,
      stdout: '2 modules, all present, verified\n',
      stderr: '',
    });
    const piped = fakeCli({ env: { MODFERRY_DATA: (await withStore(name)).data }, stdin: sums });
    expect(await piped.run('verify', '--go-sum', '-')).toMatchObject({ code: 1 });
    expect((await piped.run('verify', '--go-sum', '-', cobra)).stdout).toBe(
      '1 module, all present, verified\n',
    );
  });

  it('needs the go.mod alone for a line that names it', async () => {
    const { cli, file, sums, data } = await withProject(name);
    rmSync(versionFile(data, name, 'zip'));
    rmSync(versionFile(data, name, 'info'));
    writeFileSync(file, sums.split('\n')[1] ?? '');
    expect((await cli.run('verify', '--go-sum', file)).code).toBe(0);
  });

  it('tells what is missing, what differs and what is junk, in text and JSON', async () => {
    const { cli, file, data } = await withProject(name, 'golang.org/x/mod@v0.20.0');
    rmSync(versionFile(data, name, 'mod'));
    const zip = recordedH1(data, 'golang.org/x/mod@v0.20.0', 'zip');
    const text = readFileSync(file, 'utf8').replace(zip, otherH1);
    writeFileSync(file, `${text}<<<<<<< HEAD\n`);
    const { code, stdout } = await cli.run('verify', '--go-sum', file);
    expect(code).toBe(1);
    expect(stdout).toBe(
      [
        `junk     ${file}:5: a merge left a conflict marker; resolve it first: <<<<<<< HEAD`,
        `missing  ${name} .mod (${file}:2)`,
        `MISMATCH golang.org/x/mod@v0.20.0 .zip (${file}:3): stored is ${zip}, go.sum says ${otherH1}`,
        '2 modules, 4 lines: 2 present, 1 missing, 1 mismatched, 1 junk\n',
      ].join('\n'),
    );
    const json = JSON.parse((await cli.run('verify', '--go-sum', file, '--json')).stdout) as object;
    expect(json).toMatchObject({
      ok: false,
      checked: 4,
      present: 2,
      missing: [{ module: cobra, version: 'v1.9.0', artifact: 'mod' }],
      mismatched: [{ module: 'golang.org/x/mod', artifact: 'zip', expected: otherH1, found: zip }],
      junk: [{ lineNumber: 5 }],
    });
  });

  it('hashes the files; only --quick believes the records', async () => {
    const { cli, file, data } = await withProject(name);
    const zip = versionFile(data, name, 'zip');
    const record = `${zip.replace('/download/', '/meta/records/')}.json`;
    const other = fakeModule({ path: cobra, version: 'v1.9.0', files: { 'b.go': 'package cobra\n' } });
    writeFileSync(zip, other.zip);
    // The record fits the file by size and time, as after a fault that no clock saw.
    const { utimesSync, statSync } = await import('node:fs');
    const facts = JSON.parse(readFileSync(record, 'utf8')) as Record<string, unknown>;
    utimesSync(zip, 1_000, 1_000);
    writeFileSync(
      record,
      JSON.stringify({ ...facts, sizeBytes: statSync(zip).size, modifiedAtMs: 1_000_000 }),
    );
    expect((await cli.run('verify', '--go-sum', file, '--quick')).code).toBe(0);
    const { code, stdout } = await cli.run('verify', '--go-sum', file);
    expect(code).toBe(1);
    expect(stdout).toContain(`stored is ${other.zipH1}, go.sum says`);
  });

  it('holds the project against the checksum database too', async () => {
    const { cli, file, data } = await withProject(name);
    await playServer(data, expectAction([known(data, name, { mod: otherH1 })]));
    const { code, stdout } = await cli.run('verify', '--go-sum', file, '--against-sumdb');
    expect(code).toBe(1);
    expect(stdout).toContain(`sum.test #7 says ${otherH1}`);
  });

  it('fails for what nobody can prove only when that was asked for', async () => {
    const { cli, file, data } = await withProject(name);
    await playServer(data, expectAction([]));
    expect((await cli.run('verify', '--go-sum', file)).code).toBe(0);
    expect((await cli.run('verify', '--go-sum', file, '--against-sumdb')).code).toBe(1);
    expect((await cli.run('verify', '--go-sum', file, '--against-sumdb', '--allow-unproven')).code).toBe(0);
  });

  it('refuses a file that is not there with 2', async () => {
    const { cli } = await withProject(name);
    const { code, stderr } = await cli.run('verify', '--go-sum', '/no/such/go.sum');
    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('cannot read /no/such/go.sum'),
    });
  });
});
