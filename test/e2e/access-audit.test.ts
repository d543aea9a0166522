/**
 * `modferry audit` on real processes: whatever changes something is there with who, from where and about what, also when
 * two processes write to one folder, when files rotate, and when a command works on the folder by itself.
 */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import type { ModferryProcess } from '../kit/modferry-process.ts';
import {
  alice,
  auditOf,
  bearer,
  bob,
  fileOf,
  makeToken,
  moduleA,
  moduleB,
  type Sources,
  send,
  start,
  startSources,
  untilAudited,
} from './access-support.ts';
import { folder, runModferry } from './support.ts';

const upload = fakeModule({ path: moduleA.path, version: 'v1.4.0' });

let sources: Sources;
let first: ModferryProcess;
let second: ModferryProcess;

beforeAll(async () => {
  sources = await startSources();
  const access = { ...sources.config.access, trusted_proxies: '127.0.0.1' };
  const config = { ...sources.config, access, audit: { max_size: '64KiB', keep: 3 } };
  first = await start({ config });
  second = await start({ config, dataDir: first.dataDir });
});
afterAll(async () => {
  await second.close();
  await first.close();
  await sources[Symbol.asyncDispose]();
});

const at = { 'x-forwarded-for': '198.51.100.7' };

function run(...args: readonly string[]) {
  return runModferry([...args, '--data', first.dataDir]);
}

describe('modferry audit', () => {
  it('tells what was done, by whom, from where and about what', async () => {
    const ops = await makeToken(first.dataDir, 'ops', ['--admin', '--publish', '*']);
    const as = bearer(ops.token);
    const zip = fileOf(upload, 'zip');
    const put = { method: 'PUT', headers: at, body: upload.zip };
    expect((await send(first.url, zip, { ...put, as: alice })).status).toBe(201);
    expect((await send(first.url, zip, { ...put, as: bob })).status).toBe(403);
    const other = fakeModule({
      path: upload.path,
      version: upload.version,
      files: { 'b.go': 'package lib\n' },
    });
    expect((await send(first.url, zip, { ...put, as, body: other.zip })).status).toBe(409);
    const remove = { method: 'DELETE', headers: { ...at, 'x-modferry-reason': 'leaked a key' }, as };
    expect((await send(first.url, zip, remove)).status).toBe(200);
    expect((await send(first.url, fileOf(moduleB, 'mod'), { headers: at, as: alice })).status).toBe(403);
    const made = await send(first.url, '/-/v1/tokens', {
      method: 'POST',
      headers: at,
      as,
      body: '{"name":"brief"}',
    });
    expect(made.status).toBe(201);
    const revoked = await send(first.url, '/-/v1/tokens/brief', { method: 'DELETE', headers: at, as });
    expect(revoked.status).toBe(200);
    expect((await send(first.url, '/-/v1/whoami', { headers: at, as: bearer('mfy_wrong') })).status).toBe(
      401,
    );
    expect(await run('purge', `${moduleB.path}@v1.0.0`)).toMatchObject({ code: 0 });
    expect(await run('mode', 'offline')).toMatchObject({ code: 0 });
    expect(await run('mode', 'normal')).toMatchObject({ code: 0 });
    expect(await run('token', 'revoke', 'ops')).toMatchObject({ code: 0 });
    first.signal('SIGHUP');
    await first.waitForLine(/configuration applied/);

    await untilAudited(first.dataDir, (records) =>
      ['rules', 'denied'].every((action) => records.some((record) => record.action === action)),
    );
    const lines = await auditOf(first.dataDir);
    const shown = lines.map(
      ({ action, result, who, from, module, version, reason }) =>
        `${action} ${result} ${who} ${from} ${module ?? '-'}@${version ?? '-'} ${reason ?? ''}`,
    );
    const there = '198.51.100.7';
    for (const wanted of [
      'token_create ok local local -@- ',
      `publish ok user:alice ${there} corp.example/team-a/lib@v1.4.0 `,
      `unpublish ok token:ops ${there} corp.example/team-a/lib@v1.4.0 leaked a key`,
      `denied refused user:bob ${there} corp.example/team-a/lib@- route team-a: publish`,
      `denied refused user:alice ${there} corp.example/team-b/lib@- route team-b: read`,
      `denied refused anonymous ${there} -@- wrong credentials`,
      `token_create ok token:ops ${there} -@- `,
      `token_revoke ok token:ops ${there} -@- `,
      'purge ok local local corp.example/team-b/lib@v1.0.0 ',
      'mode ok local local -@- ',
      'token_revoke ok local local -@- ',
      'rules ok local local -@- ',
    ]) {
      expect(shown).toContain(wanted);
    }
    expect(shown.filter((line) => line.startsWith('mode '))).toHaveLength(2);
    expect(shown).toContainEqual(
      expect.stringMatching(/^publish refused token:ops .*@v1\.4\.0 .*(?:differ|other|already)/),
    );
    const created = lines.find(({ action, who }) => action === 'token_create' && who === 'token:ops');
    expect(created?.data).toMatchObject({ name: 'brief', id: expect.stringMatching(/^[0-9a-f]{12}$/) });
    expect(JSON.stringify(lines)).not.toMatch(/mfy_|alice-secret/);
  });

  it('shows people a line each, and filters', async () => {
    const told = await run('audit', '--action', 'unpublish');
    expect(told.stdout).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +unpublish +token:ops +from 198\.51\.100\.7 +corp\.example\/team-a\/lib@v1\.4\.0 +leaked a key\n$/,
    );
    const ofBob = await auditOf(first.dataDir, ['--who', 'bob', '--result', 'refused']);
    expect(ofBob.map(({ who }) => who)).toEqual(['user:bob']);
    const ofModule = await auditOf(first.dataDir, ['--module', 'corp.example/team-b']);
    expect(new Set(ofModule.map(({ module }) => module))).toEqual(new Set([moduleB.path]));
    expect(await auditOf(first.dataDir, ['--since', '1ms'])).toEqual([]);
  });

  it('is readable by its owner alone', async () => {
    for (const name of ['audit.jsonl', 'denied.jsonl']) {
      expect((await stat(join(first.dataDir, 'audit', name))).mode & 0o777, name).toBe(0o600);
    }
  });

  it('tells of a configuration that was refused', async () => {
    await writeFile(first.configFile ?? '', 'nonsense: true\n');
    first.signal('SIGHUP');
    await first.waitForLine(/configuration refused/);
    await untilAudited(first.dataDir, (records) =>
      records.some(
        ({ action, result, reason = '' }) =>
          action === 'rules' && result === 'refused' && reason.includes('nonsense'),
      ),
    );
  });

  it('keeps what two processes write, whole and in files of the size that was set', async () => {
    const long = 'x'.repeat(150);
    /** So many refusals of different modules, half of them by each process. */
    const refuse = async (round: number, count: number): Promise<void> => {
      const paths = Array.from(
        { length: count },
        (_, index) => `corp.example/team-a/${long}${round}n${index}`,
      );
      await Promise.all(
        paths.map((path, index) =>
          send((index % 2 === 0 ? first : second).url, `/${path}/@v/list`, { headers: at }),
        ),
      );
      await untilAudited(first.dataDir, (records) => {
        const told = new Set(records.map(({ module }) => module));
        return paths.every((path) => told.has(path));
      });
    };
    await refuse(0, 60);
    const written = await auditOf(first.dataDir, [
      '--limit',
      '100000',
      '--module',
      `corp.example/team-a/${long}*`,
    ]);
    expect(written).toHaveLength(60);
    expect(new Set(written.map(({ instance }) => instance)).size).toBe(2);

    const inFolder = join(first.dataDir, 'audit');
    const files = async () =>
      (await readdir(inFolder)).filter((name) => /^denied(?:\.\d+)?\.jsonl$/.test(name)).toSorted();
    for (let round = 1; (await files()).length < 4; round += 1) {
      expect(round).toBeLessThan(20);
      await refuse(round, 180);
    }
    // The oldest goes: three are kept besides the current one.
    await refuse(100, 180);
    expect(await files()).toEqual(['denied.1.jsonl', 'denied.2.jsonl', 'denied.3.jsonl', 'denied.jsonl']);
    for (const name of await files()) {
      expect((await stat(join(inFolder, name))).size, name).toBeLessThan(128 * 1024);
      const lines = (await readFile(join(inFolder, name), 'utf8')).split('\n');
      expect(lines.pop(), 'a whole last line').toBe('');
      expect(() => lines.map((line) => JSON.parse(line) as unknown)).not.toThrow();
    }
    // What strangers cause pushes nothing out that somebody did.
    expect(await auditOf(first.dataDir, ['--action', 'unpublish'])).toHaveLength(1);
  });
});

it('commands that work on a folder by themselves are in its audit too', async () => {
  const dataDir = (await folder('audit')).path;
  await makeToken(dataDir, 'early');
  for (const args of [
    ['token', 'revoke', 'early'],
    ['mode', 'offline'],
  ]) {
    expect(await runModferry([...args, '--data', dataDir])).toMatchObject({ code: 0 });
  }
  const lines = await auditOf(dataDir);
  expect(lines.map(({ action, who, result }) => `${action} ${who} ${result}`)).toEqual([
    'token_create local ok',
    'token_revoke local ok',
    'mode local ok',
  ]);
});
