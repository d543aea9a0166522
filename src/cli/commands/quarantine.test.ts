import { createHash } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type FakeModule, fakeModule } from '../../../test/kit/fake-module.ts';
import type { ArtifactExt, ModulePath, Version } from '../../gomod/types.ts';
import { systemClock } from '../../lib/clock.ts';
import { openFsStore } from '../../store/fs/fs-store.ts';
import { fakeCli, jsonLines, playServer, publish, tempFolder } from '../test-kit.ts';

const evil = fakeModule({ path: 'example.com/a', files: { 'b.go': 'package a\n' } });
const expectedH1 = `h1:${'A'.repeat(43)}=`;

interface SuspectOptions {
  readonly body?: Buffer;
  readonly ext?: ArtifactExt;
  readonly source?: string;
}

async function suspect(data: string, module: FakeModule, options: SuspectOptions = {}): Promise<string> {
  const { ext = 'zip', body = module[ext], source = 'goproxy.cn' } = options;
  const store = await openFsStore({ folder: data, clock: systemClock });
  const entry = await store.quarantine.add(
    {
      key: { path: module.path as ModulePath, version: module.version as Version, ext },
      cause: 'mismatch',
      source,
      reason: 'its hash is not the one of sum.golang.org',
      sha256: createHash('sha256').update(body).digest('hex'),
      sizeBytes: body.length,
      expectedH1,
      foundH1: module.zipH1,
      expectedBy: 'sum.golang.org #123',
      headers: { server: 'nginx' },
      atMs: Date.UTC(2026, 0, 2, 3, 4, 5),
    },
    { body },
  );
  await store.close();
  return entry.id;
}

function cliOn(data: string, isTty = false) {
  return fakeCli({ env: { MODFERRY_DATA: data }, isTty });
}

const zipOf = (data: string) => join(data, 'download/example.com/a/@v/v1.0.0.zip');

describe('modferry quarantine', () => {
  it('lists suspects, by module too', async () => {
    const data = tempFolder();
    const id = await suspect(data, evil);
    await suspect(data, fakeModule({ path: 'example.org/b' }));
    const cli = cliOn(data);
    expect((await cli.run('quarantine', 'ls')).stdout.trim().split('\n')).toHaveLength(2);
    const { stdout } = await cli.run('quarantine', 'ls', '--module', 'example.com');
    expect(stdout).toMatch(
      new RegExp(
        `^${id}  mismatch  example\\.com/a@v1\\.0\\.0\\.zip  from goproxy\\.cn  .*2026-01-02 03:04:05Z\\n$`,
      ),
    );
    expect(
      jsonLines((await cli.run('quarantine', 'ls', '--json', '--module', 'example.com')).stdout),
    ).toMatchObject([
      { id, cause: 'mismatch', module: 'example.com/a', artifact: 'zip', at: '2026-01-02T03:04:05.000Z' },
    ]);
    expect((await cli.run('quarantine', 'ls', '--module', 'none.example')).stdout).toContain(
      'nothing of these',
    );
  });

  it('shows all of one by the beginning of its id', async () => {
    const data = tempFolder();
    const id = await suspect(data, evil);
    const { code, stdout } = await cliOn(data).run('quarantine', 'show', id.slice(0, 5).toUpperCase());
    expect(code).toBe(0);
    for (const text of [
      id,
      expectedH1,
      evil.zipH1,
      'sum.golang.org #123',
      'header server',
      'nginx',
      'goproxy.cn',
    ])
      expect(stdout).toContain(text);
    expect(stdout).toContain(join(data, 'quarantine', `${id}.bytes`));
    const info = await cliOn(data).run('info', 'example.com/a@v1.0.0');
    expect(info.stdout).toContain(`  in quarantine ${id}: .zip from goproxy.cn, mismatch: its hash is not`);
  });

  it.each([
    ['abc', 2],
    ['../../../etc/passwd', 2],
    ['0000000000000000', 1],
  ])('has no entry %s', async (id, code) => {
    const data = tempFolder();
    await suspect(data, evil);
    expect((await cliOn(data).run('quarantine', 'show', id)).code).toBe(code);
  });

  it('says which ids a beginning fits that is not clear', async () => {
    const { findEntry } = await import('../quarantine-lookup.ts');
    const entry = { id: 'abcd000000000000' };
    const other = { id: 'abcd111111111111' };
    expect(() => findEntry([entry, other] as never, 'abcd')).toThrow(/2 ids: abcd0+, abcd1+/);
  });

  it('drops some, or all of them', async () => {
    const data = tempFolder();
    const ids = [
      await suspect(data, evil),
      await suspect(data, evil, { source: 'b' }),
      await suspect(data, evil, { source: 'c' }),
    ];
    const cli = cliOn(data);
    expect(await cli.run('quarantine', 'drop', ids[0] ?? '')).toMatchObject({
      code: 0,
      stdout: 'dropped 1 suspect\n',
    });
    expect((await cli.run('quarantine', 'drop')).code).toBe(2);
    expect((await cli.run('quarantine', 'drop', '--all', ids[1] ?? '')).code).toBe(2);
    expect((await cliOn(data, true).run('quarantine', 'drop', '--all')).stderr).toContain('add --yes');
    expect((await cli.run('quarantine', 'drop', '--all', '--json')).stdout).toBe('{"dropped":2}\n');
    expect((await cli.run('quarantine', 'ls')).stdout).toBe('nothing is in quarantine\n');
  });
});

describe('modferry quarantine release', () => {
  it('publishes on the word of the operator, and warns of go', async () => {
    const data = tempFolder();
    const id = await suspect(data, evil);
    const cli = cliOn(data);
    const { code, stdout, stderr } = await cli.run(
      'quarantine',
      'release',
      id,
      '--reason',
      'tag moved, reviewed',
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'released example.com/a@v1.0.0.zip: published\n' });
    expect(stderr).toContain('GONOSUMDB');
    expect(existsSync(zipOf(data))).toBe(true);
    const json = JSON.parse((await cli.run('info', '--json', 'example.com/a@v1.0.0')).stdout) as object;
    expect(json).toMatchObject({
      artifacts: {
        zip: {
          h1: evil.zipH1,
          source: 'goproxy.cn',
          proof: { by: 'operator', reason: 'tag moved, reviewed' },
        },
      },
      quarantine: [],
    });
  });

  it('wants a reason, and --yes on a terminal', async () => {
    const data = tempFolder();
    const id = await suspect(data, evil);
    expect((await cliOn(data).run('quarantine', 'release', id)).code).toBe(2);
    expect((await cliOn(data).run('quarantine', 'release', id, '--reason', ' ')).code).toBe(2);
    const refused = await cliOn(data, true).run('quarantine', 'release', id, '--reason', 'x');
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('add --yes') as string });
    expect(existsSync(zipOf(data))).toBe(false);
  });

  it.each([
    ['zip', Buffer.from('no zip'), 'could not use it'],
    ['mod', Buffer.from('<html>'), 'could not use it'],
    ['info', Buffer.from('{"Version":"v2.0.0"}'), 'instead of v1.0.0'],
  ] as const)('does not release a %s that go could not use', async (ext, body, said) => {
    const data = tempFolder();
    const id = await suspect(data, evil, { ext, body });
    const { code, stderr } = await cliOn(data).run('quarantine', 'release', id, '--reason', 'x');
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(said) as string });
    expect((await cliOn(data).run('quarantine', 'ls', '--json')).stdout).toContain(id);
  });

  it('does not release bytes that changed in quarantine, or are gone', async () => {
    const data = tempFolder();
    const id = await suspect(data, evil);
    const bytes = join(data, 'quarantine', `${id}.bytes`);
    const flipped = Buffer.from(evil.zip);
    flipped[50] = (flipped[50] ?? 0) ^ 1;
    writeFileSync(bytes, flipped);
    const changed = await cliOn(data).run('quarantine', 'release', id, '--reason', 'x');
    expect(changed.stderr).toContain('are not those that were put in quarantine');
    rmSync(bytes);
    const gone = await cliOn(data).run('quarantine', 'release', id, '--reason', 'x');
    expect(gone.stderr).toContain('only the evidence');
    expect(existsSync(zipOf(data))).toBe(false);
  });

  it('leaves another stored file alone until it is purged', async () => {
    const data = tempFolder();
    await publish(data, 'example.com/a@v1.0.0');
    const id = await suspect(data, evil);
    const cli = cliOn(data);
    const { code, stderr } = await cli.run('quarantine', 'release', id, '--reason', 'x');
    expect(code).toBe(1);
    expect(stderr).toContain('run modferry purge example.com/a@v1.0.0, then release');
    await cli.run('purge', 'example.com/a@v1.0.0');
    expect((await cli.run('quarantine', 'release', id, '--reason', 'x')).code).toBe(0);
  });

  it('is done by the running process where there is one', async () => {
    const data = tempFolder();
    const id = await suspect(data, evil);
    const asked: object[] = [];
    await playServer(data, {
      'POST /quarantine-release': (ask) => {
        asked.push(ask);
        return Promise.resolve({ outcome: 'published', sha256: 'ab', h1: evil.zipH1 });
      },
    });
    const { stdout } = await cliOn(data).run(
      'quarantine',
      'release',
      id.slice(0, 6),
      '--reason',
      'x',
      '--json',
    );
    expect(asked).toEqual([{ id, reason: 'x' }]);
    expect(JSON.parse(stdout)).toMatchObject({
      id,
      outcome: 'published',
      h1: evil.zipH1,
      through: 'process',
    });
  });
});
