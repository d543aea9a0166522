import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../../test/kit/temp.ts';
import type { Version } from '../gomod/types.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { readBody } from '../upstream/read-body.ts';
import { UpstreamError, type UpstreamRequest } from '../upstream/types.ts';
import { createDirectSource, type DirectSourceDeps } from './direct-source.ts';
import { type GitRepository, type RepositoryModule, VcsError, type VcsErrorCode } from './types.ts';

const asVersion = (text: string): Version => text as Version;
const revision = {
  version: asVersion('v1.2.0'),
  commit: 'a'.repeat(40),
  time: '2024-01-01T00:00:00Z',
  ref: undefined,
};
const url = 'https://git.corp.test/team/lib.git';

const module: RepositoryModule = {
  versions: async () => [asVersion('v1.0.0'), asVersion('v1.2.0')],
  latest: async () => revision,
  revision: async (query) => ({ ...revision, version: asVersion(query === 'main' ? 'v1.2.1-0.x' : query) }),
  goMod: async () => Buffer.from('module x\n'),
  zip: async (version, file) => writeFile(file, `zip of ${version}`),
};

interface World {
  readonly module?: Partial<RepositoryModule>;
  readonly deps?: Partial<DirectSourceDeps>;
}

async function world({ module: changed, deps }: World = {}) {
  const dir = await tempDir('direct');
  onTestFinished(dir.remove);
  const clock = new FakeClock(Date.now());
  const opened: string[] = [];
  const source = createDirectSource({
    finder: {
      find: async (path) => ({ vcs: 'git', url, root: path.split('/').slice(0, 3).join('/'), subdir: '' }),
    },
    mirrors: {
      open: async (place) => {
        opened.push(place.url);
        return { url: place.url } as GitRepository;
      },
      expire: () => true,
      close: async () => {},
    },
    moduleOf: () => ({ ...module, ...changed }),
    infoOf: ({ version, time }) => JSON.stringify({ Version: version, Time: time }),
    folder: dir.path,
    clock,
    ...deps,
  });
  onTestFinished(() => source.close());
  await source.start();
  return { source, clock, opened, folder: dir.path, zips: join(dir.path, 'zips') };
}

function ask(target: string, signal = new AbortController().signal): UpstreamRequest {
  return { target, answerClass: target.endsWith('.zip') ? 'zip' : 'meta', signal };
}

async function failure(answer: Promise<unknown>): Promise<UpstreamError> {
  try {
    await answer;
  } catch (error) {
    if (error instanceof UpstreamError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

const base = '/git.corp.test/!team/lib';

describe('direct', () => {
  it('answers as a GOPROXY server does', async () => {
    const { source } = await world();
    const text = async (target: string) => {
      const answer = await source.fetch(ask(target));
      const body = await readBody(answer, 1000);
      expect(answer.contentLength).toBe(body.length);
      return [answer.contentType, String(body)];
    };
    expect(await text(`${base}/@v/list`)).toEqual(['text/plain; charset=utf-8', 'v1.0.0\nv1.2.0\n']);
    const info = '{"Version":"v1.2.0","Time":"2024-01-01T00:00:00Z"}';
    expect(await text(`${base}/@latest`)).toEqual(['application/json', info]);
    expect(await text(`${base}/@v/v1.2.0.info`)).toEqual(['application/json', info]);
    expect(await text(`${base}/@v/main.info`)).toEqual([
      'application/json',
      info.replace('v1.2.0', 'v1.2.1-0.x'),
    ]);
    expect(await text(`${base}/@v/v1.0.0.mod`)).toEqual(['text/plain; charset=utf-8', 'module x\n']);
    expect(await text(`${base}/@v/v1.0.0.zip`)).toEqual(['application/zip', 'zip of v1.0.0']);
    expect([source.name, source.isPrivate, source.stopsOnError]).toEqual(['direct', true, false]);
  });

  it.each([
    ['/sumdb/sum.example.test/supported', 'absent'],
    [`${base}/@v/main.zip`, 'absent'],
    [`${base}/@v/v2.0.0.mod`, 'absent'],
    ['/Git.corp.test/x/@v/list', 'refused'],
    ['/-x/@v/list', 'refused'],
    ['/../etc/@v/list', 'refused'],
    [base, 'absent'],
  ])('opens nothing for %s', async (target, code) => {
    const { source, opened } = await world();
    expect((await failure(source.fetch(ask(target)))).code).toBe(code);
    expect(opened).toEqual([]);
  });

  it.each<[VcsErrorCode, string, number | undefined]>([
    ['absent', 'absent', undefined],
    ['auth', 'status', 401],
    ['forbidden', 'status', 403],
    ['refused', 'refused', undefined],
    ['dns', 'dns', undefined],
    ['connect', 'connect', undefined],
    ['tls', 'tls', undefined],
    ['proxy', 'proxy', undefined],
    ['timeout', 'timeout', undefined],
    ['busy', 'busy', undefined],
    ['too_large', 'too_large', undefined],
    ['failed', 'protocol', undefined],
  ])('tells %s as %s', async (code, expected, status) => {
    const fails = () => Promise.reject(new VcsError(code, 'a sentence'));
    const { source } = await world({ module: { versions: fails, zip: fails } });
    const error = await failure(source.fetch(ask(`${base}/@v/list`)));
    expect([error.code, error.status, error.message, error.isAbsence]).toEqual([
      expected,
      status,
      'a sentence',
      code === 'absent',
    ]);
    expect((await failure(source.fetch(ask(`${base}/@v/v1.0.0.zip`)))).code).toBe(expected);
  });

  it('never takes an unforeseen error for an absence', async () => {
    const { source } = await world({ module: { latest: () => Promise.reject(new Error('disk I/O')) } });
    expect(await failure(source.fetch(ask(`${base}/@latest`)))).toMatchObject({ code: 'protocol' });
  });

  it('refuses other version control systems with the setting that allows them', async () => {
    const finder = { find: async () => ({ vcs: 'hg', url, root: 'x', subdir: '' }) as const };
    const off = await world({ deps: { finder } });
    const error = await failure(off.source.fetch(ask(`${base}/@v/list`)));
    expect([error.code, error.message]).toEqual(['refused', expect.stringContaining('direct.other_vcs')]);
    const answers = {
      list: async () => ['v9.0.0'],
      latest: async () => '{}',
      info: async () => '{}',
      goMod: async () => Buffer.alloc(0),
      zip: async () => {},
    };
    const otherModules = { open: () => answers, close: async () => {} };
    const on = await world({ deps: { finder, otherModules } });
    expect(String(await readBody(await on.source.fetch(ask(`${base}/@v/list`)), 100))).toBe('v9.0.0\n');
  });

  it('gives up after 10 min by default, and when the asker leaves', async () => {
    let started = Promise.withResolvers<void>();
    const hangs = (signal: AbortSignal) =>
      new Promise<never>((_, reject) => {
        started.resolve();
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    const { source, clock } = await world({ module: { versions: hangs } });
    const late = failure(source.fetch(ask(`${base}/@v/list`)));
    await started.promise;
    await clock.advance(600_001);
    expect((await late).code).toBe('timeout');
    started = Promise.withResolvers();
    const leaving = new AbortController();
    const left = failure(source.fetch(ask(`${base}/@v/list`, leaving.signal)));
    await started.promise;
    leaving.abort();
    expect((await left).code).toBe('aborted');
    expect(clock.timers).toBeLessThanOrEqual(1);
  });

  it('does a bounded number at once, and is busy beyond its queue', async () => {
    const gate = Promise.withResolvers<void>();
    let active = 0;
    let most = 0;
    const versions = async () => {
      active += 1;
      most = Math.max(most, active);
      await gate.promise;
      active -= 1;
      return [];
    };
    const { source } = await world({ module: { versions }, deps: { maxConcurrent: 2, maxQueued: 3 } });
    const five = Array.from({ length: 5 }, () => source.fetch(ask(`${base}/@v/list`)));
    await expect.poll(() => source.queued).toBe(3);
    expect((await failure(source.fetch(ask(`${base}/@v/list`)))).code).toBe('busy');
    gate.resolve();
    await Promise.all(five);
    expect(most).toBe(2);
  });
});

describe('zips of direct', () => {
  it('are built once for all who ask, and leave nothing', async () => {
    const gate = Promise.withResolvers<void>();
    let built = 0;
    const zip: RepositoryModule['zip'] = async (_, file) => {
      built += 1;
      await gate.promise;
      await writeFile(file, Buffer.alloc(700_000, built));
    };
    const { source, zips } = await world({ module: { zip } });
    const both = [1, 2].map(() => source.fetch(ask(`${base}/@v/v1.0.0.zip`)));
    await expect.poll(() => built).toBe(1);
    gate.resolve();
    const [first, second] = await Promise.all(both);
    if (first === undefined || second === undefined) throw new Error('both answer');
    // Nothing has a name any more, although it is still to be read.
    expect(await readdir(zips)).toEqual([]);
    expect(first.contentLength).toBe(700_000);
    const bytes = await Promise.all([readBody(first, 1e6), readBody(second, 1e6)]);
    expect(bytes[0].equals(bytes[1])).toBe(true);
    await readBody(await source.fetch(ask(`${base}/@v/v1.0.0.zip`)), 1e6);
    expect(built).toBe(2);
  });

  it('go on for others when one leaves, and end with the last', async () => {
    const started = Promise.withResolvers<AbortSignal>();
    const gate = Promise.withResolvers<void>();
    const zip: RepositoryModule['zip'] = async (_, file, signal) => {
      await writeFile(file, 'half');
      started.resolve(signal);
      await Promise.race([
        gate.promise,
        new Promise((__, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      ]);
    };
    const { source, zips } = await world({ module: { zip } });
    const leavers = [new AbortController(), new AbortController()];
    const answers = leavers.map(({ signal }) => failure(source.fetch(ask(`${base}/@v/v1.0.0.zip`, signal))));
    const signal = await started.promise;
    leavers[0]?.abort();
    expect((await answers[0])?.code).toBe('aborted');
    expect(signal.aborted).toBe(false);
    leavers[1]?.abort();
    expect((await answers[1])?.code).toBe('aborted');
    expect(signal.aborted).toBe(true);
    await expect.poll(() => readdir(zips)).toEqual([]);
  });

  it('let go of the file when dropped, cut off or not read to the end', async () => {
    const zip: RepositoryModule['zip'] = (_, file) => writeFile(file, Buffer.alloc(700_000));
    const { source } = await world({ module: { zip } });
    const openFiles = async () => (await readdir('/proc/self/fd')).length;
    const before = await openFiles();
    const leaving = new AbortController();
    for (const how of ['cancel', 'break', 'abort', 'both'] as const) {
      const answer = await source.fetch(ask(`${base}/@v/v1.0.0.zip`, leaving.signal));
      if (how === 'cancel') answer.cancel();
      if (how === 'break') for await (const chunk of answer.body) if (chunk.length > 0) break;
      if (how === 'both') {
        answer.cancel();
        answer.cancel();
        await expect(readBody(answer, 1e6)).rejects.toMatchObject({ code: 'aborted' });
      }
      if (how === 'abort') {
        const other = new AbortController();
        const cut = await source.fetch(ask(`${base}/@v/v1.2.0.zip`, other.signal));
        other.abort();
        await expect(readBody(cut, 1e6)).rejects.toMatchObject({ code: 'aborted' });
        answer.cancel();
      }
    }
    await expect.poll(openFiles).toBeLessThanOrEqual(before);
  });

  it('of dead processes are removed at the start', async () => {
    const { folder, zips, source } = await world();
    await mkdir(zips, { recursive: true });
    const old = join(zips, 'zip.0123456789ab');
    await writeFile(old, 'x');
    await utimes(old, 1, 1);
    await writeFile(join(zips, 'zip.fedcba987654'), 'of a living one');
    await source.start();
    expect(await readdir(zips)).toEqual(['zip.fedcba987654']);
    expect(existsSync(folder)).toBe(true);
  });
});

describe('what direct is given', () => {
  it('takes .mod and .zip from the commit of the stored .info', async () => {
    const asked: unknown[] = [];
    const { source } = await world({
      module: {
        goMod: async (version, _, commit) => {
          asked.push(['mod', version, commit]);
          return Buffer.from('module x\n');
        },
        zip: async (version, file, _, commit) => {
          asked.push(['zip', version, commit]);
          await writeFile(file, 'zip');
        },
      },
      deps: { storedCommit: async (path, version) => `${path}@${version}` },
    });
    await source.fetch(ask(`${base}/@v/v1.0.0.mod`));
    const zip = await source.fetch(ask(`${base}/@v/v1.0.0.zip`));
    zip.cancel();
    const commit = 'git.corp.test/Team/lib@v1.0.0';
    expect(asked).toEqual([
      ['mod', 'v1.0.0', commit],
      ['zip', 'v1.0.0', commit],
    ]);
  });

  it('refuses under one route what is of another', async () => {
    const { source } = await world({
      module: { goMod: async () => Buffer.from('module git.corp.test/secret\n') },
      deps: { privateRoutes: { isPrivate: (path) => path === 'git.corp.test/secret' } },
    });
    for (const file of ['@latest', '@v/v1.0.0.info', '@v/main.info', '@v/v1.0.0.mod', '@v/v1.0.0.zip']) {
      expect(await failure(source.fetch(ask(`${base}/${file}`))), file).toMatchObject({ code: 'refused' });
    }
  });

  it('closes what it was given for other version control systems', async () => {
    let closed = 0;
    const otherModules = {
      open: () => Promise.reject(new Error('none')) as never,
      close: async () => void closed++,
    };
    const { source } = await world({ deps: { otherModules } });
    await source.close();
    expect(closed).toBe(1);
  });

  it('lets a silent host hold up its own modules only', async () => {
    const { source } = await world({
      deps: {
        finder: {
          find: async (path, signal) => {
            if (path.startsWith('slow.test/')) {
              await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
            }
            return { vcs: 'git', url, root: path, subdir: '' };
          },
        },
      },
    });
    const gone = new AbortController();
    const slow = Array.from({ length: 100 }, (_, at) =>
      failure(source.fetch(ask(`/slow.test/r${at}/@v/list`, gone.signal))),
    );
    expect((await source.fetch(ask(`${base}/@v/list`))).contentLength).toBeGreaterThan(0);
    gone.abort(new Error('gone'));
    await Promise.all(slow);
  });

  it('mends the folder of its zips when it can be made again', async () => {
    const { source, zips } = await world();
    await writeFile(zips, 'in the way');
    expect(await failure(source.fetch(ask(`${base}/@v/v1.0.0.zip`)))).toMatchObject({ code: 'protocol' });
    await rm(zips);
    const zip = await source.fetch(ask(`${base}/@v/v1.0.0.zip`));
    expect(String(await readBody(zip, 1000))).toBe('zip of v1.0.0');
  });
});

describe('the register of direct', () => {
  it('knows after a restart which modules are in a repository, by any of its addresses', async () => {
    const { source, clock, folder } = await world();
    await source.fetch(ask(`${base}/@v/list`));
    await source.fetch(ask(`${base}/sub/@latest`));
    const paths = ['git.corp.test/Team/lib', 'git.corp.test/Team/lib/sub'];
    await clock.advance(1_001);
    await source.close();
    const again = await world({ deps: { folder } });
    for (const address of [
      url,
      'https://git.corp.test/team/lib',
      'https://git.corp.test/Team/Lib/',
      'ssh://git@git.corp.test:2222/team/lib.git',
      'git@git.corp.test:team/lib.git',
    ]) {
      expect(again.source.modulesOf(address), address).toEqual(paths);
    }
    for (const other of ['https://git.corp.test/team/lib2', 'https://x.test/team/lib', 'x', '', 'file:///']) {
      expect(again.source.modulesOf(other), other).toEqual([]);
    }
    expect(again.source.repositoriesOf(url)).toEqual([
      { url, root: 'git.corp.test/Team/lib', subdir: '', paths },
    ]);
  });

  it('keeps no names that were only asked for', async () => {
    const versions = async () => [];
    const fails = () => Promise.reject(new VcsError('absent', 'none'));
    const { source } = await world({ module: { versions, latest: fails } });
    await source.fetch(ask(`${base}/made/up/@v/list`));
    await failure(source.fetch(ask(`${base}/made/up/@latest`)));
    expect(source.modulesOf(url)).toEqual([]);
  });

  it('bears a damaged file, and other processes on it', async () => {
    for (const text of [
      '',
      '{',
      'null',
      '{"repositories":[1,{"url":"x","root":"","subdir":"","paths":["-"]}]}',
    ]) {
      const { folder } = await world();
      await writeFile(join(folder, 'modules.json'), text);
      const one = await world({ deps: { folder } });
      const two = await world({ deps: { folder } });
      await one.source.fetch(ask('/git.corp.test/team/one/@v/list'));
      await two.source.fetch(ask('/git.corp.test/team/two/@v/list'));
      await one.source.close();
      await two.source.close();
      const three = await world({ deps: { folder } });
      expect(three.source.modulesOf(url).toSorted()).toEqual([
        'git.corp.test/team/one',
        'git.corp.test/team/two',
      ]);
      expect(await readdir(folder)).toContain('modules.json');
      expect(JSON.parse(await readFile(join(folder, 'modules.json'), 'utf8'))).toHaveProperty('repositories');
    }
  });

  it('is bounded for each repository', async () => {
    const { source } = await world();
    for (let number = 0; number < 1_100; number += 1) {
      await source.fetch(ask(`/git.corp.test/team/lib/p${number}/@v/list`));
    }
    expect(source.modulesOf(url).length).toBe(1_000);
    expect(source.modulesOf(url)).toContain('git.corp.test/team/lib/p1099');
  });

  it('tells of moved tags with the modules they are about', async () => {
    const { source } = await world();
    await source.fetch(ask(`${base}/@v/list`));
    const told: unknown[] = [];
    source.events.on('moved_tag', (event) => told.push(event));
    const moved = { url, tag: 'v1.0.0', from: 'a', to: 'b' };
    source.tagMoved(moved);
    expect(told).toEqual([{ ...moved, paths: ['git.corp.test/Team/lib'] }]);
  });
});
