/**
 * Publishing as a team does it: `modferry publish` over TLS with a token, the real `go` of another machine, two
 * processes on one data folder, and versions that are taken back. The tests go on where the one before ended.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import { goHome, runGo } from '../kit/go.ts';
import { jsonLines } from './checksums-support.ts';
import {
  accessLines,
  importingProject,
  lib,
  type PublishGround,
  publishGround,
  sourceOf,
} from './publish-ground.ts';
import { type CommandResult, eventually, expectCleanStore } from './support.ts';
import { askAs, put, zipPath } from './upload-support.ts';

let ground: PublishGround;

beforeAll(async () => {
  ground = await publishGround();
});

afterAll(async () => {
  await ground[Symbol.asyncDispose]();
});

describe('modferry publish', () => {
  it('publishes a folder where the scope of the token allows it, and only there', async () => {
    const folder = await ground.checkout('v1.0.0');
    const publish = ['publish', folder, '--version', 'v1.0.0'];

    const withoutToken = await ground.command(undefined, ...publish);
    const stranger = await ground.command(ground.tokens.other, ...publish);
    const reader = await ground.command(ground.tokens.reader, ...publish);

    expect(withoutToken.code).not.toBe(0);
    expect(withoutToken.stderr).toMatch(/--token|MODFERRY_TOKEN/);
    expect(stranger.code).not.toBe(0);
    expect(stranger.stderr).toContain(`${lib}@v1.0.0 was not published`);
    expect(reader.code).not.toBe(0);
    expect(await ground.list(lib)).not.toContain('v1.0.0');

    const published = await ground.command(ground.tokens.team, ...publish);
    expect(published, published.stderr).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^published .*\nh1:/),
    });
    const again = await ground.command(ground.tokens.team, ...publish);
    expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/^already published /) });
    expect(h1In(again)).toBe(h1In(published));
    expect(await ground.list(lib)).toBe('v1.0.0\n');
  });

  it('publishes a tag of a repository by its URL, with the bytes that Go would take', async () => {
    const what = `${ground.git.url}/team/lib.git@v1.1.0`;

    const published = await ground.command(ground.tokens.team, 'publish', what);

    expect(published, published.stderr).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^published /),
    });
    expect(await ground.command(ground.tokens.team, 'publish', what)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^already published /),
    });
    expect(await ground.list(lib)).toBe('v1.0.0\nv1.1.0\n');
  });

  it('refuses other content under the version with both hashes, and nothing changes', async () => {
    const before = await askAs(ground.tokens.reader, ground.first.url, `/${lib}/@v/v1.0.0.zip`);
    const folder = await ground.checkout('v1.0.0');
    await writeFile(join(folder, 'lib.go'), sourceOf('something else'));
    const dry = await ground.command(
      ground.tokens.team,
      'publish',
      folder,
      '--version',
      'v1.0.0',
      '--dry-run',
    );

    const refused = await ground.command(ground.tokens.team, 'publish', folder, '--version', 'v1.0.0');

    expect(refused.code).not.toBe(0);
    expect(new Set(refused.stderr.match(/h1:[\w+/]+=/g)).size).toBe(2);
    expect(refused.stderr).toContain(h1In(dry));
    const after = await askAs(ground.tokens.reader, ground.first.url, `/${lib}/@v/v1.0.0.zip`);
    expect(after.body.equals(before.body)).toBe(true);
  });
});

describe('what was published', () => {
  it('is got and built by the go command of another machine, from modferry', async () => {
    await using home = await goHome();
    await using project = await importingProject();
    const isServed = (artifact: string, version: string): boolean =>
      accessLines(ground.first).some(
        (line) =>
          line.module === lib &&
          line.artifact === artifact &&
          (line.version ?? '') === version &&
          line.status === 200 &&
          line.by === 'token:reader',
      );

    const versions = await ground.go(home, ['list', '-m', '-versions', lib], project.path);
    const got = await ground.go(home, ['get', `${lib}@latest`], project.path);
    const built = await ground.go(home, ['build', './...'], project.path);

    expect(versions, versions.stderr).toMatchObject({ code: 0, stdout: `${lib} v1.0.0 v1.1.0\n` });
    expect(got, got.stderr).toMatchObject({ code: 0, stderr: expect.stringContaining(`${lib} v1.1.0`) });
    expect(built, built.stderr).toMatchObject({ code: 0 });
    const tag = await ground.command(ground.tokens.team, 'publish', `${ground.git.url}/team/lib.git@v1.1.0`);
    expect(await readFile(join(project.path, 'go.sum'), 'utf8')).toContain(`${lib} v1.1.0 ${h1In(tag)}\n`);
    await eventually(
      async () => [isServed('list', ''), isServed('mod', 'v1.1.0'), isServed('zip', 'v1.1.0')],
      (seen) => !seen.includes(false),
    );
  });

  it('is got straight from the data folder, too', async () => {
    await using home = await goHome();
    await using project = await importingProject();
    const env = {
      GOPROXY: `file://${join(ground.first.dataDir, 'download')}`,
      GONOPROXY: 'none',
      GOPRIVATE: 'git.corp.test',
      GOFLAGS: '-modcacherw -mod=mod',
    };

    const got = await runGo(['get', lib], { home, cwd: project.path, env });
    const built = await runGo(['build', './...'], {
      home,
      cwd: project.path,
      env,
    });

    expect(got, got.stderr).toMatchObject({ code: 0, stderr: expect.stringContaining(`${lib} v1.1.0`) });
    expect(built, built.stderr).toMatchObject({ code: 0 });
  });
});

describe('different contents of one version, from eight clients to two processes at once', () => {
  it.each([1, 2, 3])('exactly one wins, and every reader sees its bytes (round %i)', async (round) => {
    const path = `git.corp.test/team/race${round}`;
    const uploads = Array.from({ length: 8 }, (_, index) => ({
      process: index % 2 === 0 ? ground.first : ground.second,
      module: fakeModule({ path, files: { 'who.txt': `client ${index}\n` }, paddingBytes: 200_000 }),
    }));
    let isOver = false;
    const seen = new Set<string>();
    const reading = [ground.first, ground.second].map(async (process) => {
      while (!isOver) {
        const { status, body } = await askAs(
          ground.tokens.reader,
          process.url,
          zipPath({ path, version: 'v1.0.0' }),
        );
        if (status === 200) seen.add(body.toString('base64'));
        else expect(status).toBe(404);
      }
    });

    const answers = await Promise.all(
      uploads.map(({ process, module }) => put(process.url, ground.tokens.team, module)),
    );
    isOver = true;
    await Promise.all(reading);

    const won = uploads.filter((_, index) => answers[index]?.status === 201).map(({ module }) => module);
    expect(won, answers.map(({ status, text }) => `${status} ${text}`).join('')).toHaveLength(1);
    const [winner] = won;
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(7);
    for (const [index, { status, text }] of answers.entries()) {
      if (status !== 409) continue;
      expect(text).toContain(winner?.zipH1);
      expect(text).toContain(uploads[index]?.module.zipH1);
    }
    for (const { url: base } of [ground.first, ground.second]) {
      await eventually(
        () => askAs(ground.tokens.reader, base, `/${path}/@v/list`),
        ({ text }) => text === 'v1.0.0\n',
      );
      for (const ext of ['info', 'mod', 'zip'] as const) {
        const answer = await askAs(ground.tokens.reader, base, `/${path}/@v/v1.0.0.${ext}`);
        expect(answer.status, ext).toBe(200);
        if (ext === 'zip') seen.add(answer.body.toString('base64'));
      }
    }
    expect([...seen]).toEqual([winner?.zip.toString('base64')]);
  });
});

describe('modferry unpublish', () => {
  const path = 'git.corp.test/team/gone';
  const reason = 'Leaks a key, use v1.0.1';

  it('takes a version back for good, in every process within two seconds', async () => {
    const bad = fakeModule({ path, version: 'v1.0.0' });
    const good = fakeModule({ path, version: 'v1.0.1' });
    for (const module of [bad, good]) {
      expect((await put(ground.second.url, ground.tokens.team, module)).status).toBe(201);
    }
    // Warm in both, from memory as well.
    for (const process of [ground.first, ground.second, ground.first, ground.second]) {
      expect(await ground.list(path, process)).toBe('v1.0.0\nv1.0.1\n');
      for (const ext of ['info', 'mod', 'zip']) {
        expect((await askAs(ground.tokens.reader, process.url, `/${path}/@v/v1.0.0.${ext}`)).status).toBe(
          200,
        );
      }
    }

    const refused = await ground.command(
      ground.tokens.team,
      'unpublish',
      `${path}@v1.0.0`,
      '--reason',
      reason,
    );
    expect(refused.code).not.toBe(0);
    expect(await ground.list(path)).toBe('v1.0.0\nv1.0.1\n');
    const done = await ground.command(ground.tokens.admin, 'unpublish', `${path}@v1.0.0`, '--reason', reason);
    expect(done, done.stderr).toMatchObject({ code: 0 });

    for (const process of [ground.first, ground.second]) {
      for (const ext of ['zip', 'mod', 'info']) {
        await eventually(
          () => askAs(ground.tokens.reader, process.url, `/${path}/@v/v1.0.0.${ext}`),
          ({ status, text }) => status === 410 && text.includes(reason),
          2_000,
        );
      }
      await eventually(
        () => ground.list(path, process),
        (text) => text === 'v1.0.1\n',
        2_000,
      );
      expect(await put(process.url, ground.tokens.team, bad)).toMatchObject({
        status: 409,
        text: expect.stringContaining(reason),
      });
    }
    expect((await askAs(ground.tokens.reader, ground.first.url, `/${path}/@latest`)).text).toContain(
      'v1.0.1',
    );
  });

  it('tells the go command why', async () => {
    await using home = await goHome();

    const { code, stderr } = await ground.go(home, ['mod', 'download', `${path}@v1.0.0`]);

    expect(code).not.toBe(0);
    expect(stderr).toContain(reason);
    expect(stderr).toContain('410');
  });
});

describe('the audit', () => {
  interface Entry {
    readonly action: string;
    readonly who: string;
    readonly from: string;
    readonly result: string;
    readonly module?: string;
    readonly version?: string;
    readonly reason?: string;
  }

  it('has who published, who was refused, and who took back what and why', async () => {
    const entries = await eventually(
      () => jsonLines<Entry>(['audit', '--json', '--limit', '1000', '--data', ground.first.dataDir]),
      (all) => all.some(({ action, result }) => action === 'unpublish' && result === 'ok'),
    );

    const from = '127.0.0.1';
    for (const expected of [
      { action: 'publish', who: 'token:ci-team', from, result: 'ok', module: lib, version: 'v1.0.0' },
      { action: 'publish', who: 'token:ci-team', from, result: 'ok', module: lib, version: 'v1.1.0' },
      { action: 'publish', who: 'token:ci-team', from, result: 'refused', module: lib, version: 'v1.0.0' },
      { action: 'denied', who: 'token:ci-other', from, result: 'refused', module: lib },
      {
        action: 'unpublish',
        who: 'token:admin',
        from,
        result: 'ok',
        module: 'git.corp.test/team/gone',
        version: 'v1.0.0',
        reason: expect.stringContaining('Leaks a key'),
      },
    ]) {
      expect(entries).toContainEqual(expect.objectContaining(expected));
    }
    const text = JSON.stringify(entries);
    for (const token of Object.values(ground.tokens)) expect(text).not.toContain(token);
  });

  it('follows a store without a fault, of which the public upstream heard nothing', async () => {
    await expectCleanStore(ground.first.dataDir);
    expect(ground.outside.requests).toEqual([]);
  });
});

function h1In({ stdout }: CommandResult): string {
  const found = /h1:[\w+/]+=/.exec(stdout)?.[0];
  if (found === undefined) throw new Error(`no h1 in ${stdout}`);
  return found;
}
