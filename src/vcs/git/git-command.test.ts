import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../../../test/kit/temp.ts';
import { systemClock } from '../../lib/clock.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { GitRunner } from './git-command.ts';
import type { GitRunnerOptions } from './git-options.ts';
import { failureOf, never } from './test-mirrors.ts';

/** A git of the test's own: a script for /bin/sh that answers --version by itself. */
async function scripted(script: string, options: Partial<GitRunnerOptions> = {}, clock = new FakeClock()) {
  const dir = await tempDir('git-runner');
  onTestFinished(dir.remove);
  const command = join(dir.path, 'git');
  const head = '[ "$1" = --version ] && { echo git version 2.39.5; exit; }';
  await writeFile(command, `#!/bin/sh\n${head}\ncd ${dir.path}\n${script}\n`);
  await chmod(command, 0o755);
  const runner = new GitRunner(
    { command, searchPath: process.env['PATH'] ?? '', homeDir: join(dir.path, 'home'), ...options },
    clock,
  );
  const file = async (name: string): Promise<string> => (await readFile(join(dir.path, name), 'utf8')).trim();
  /** Waits for what the script writes to a file, as one line. */
  const written = async (name: string): Promise<string> =>
    await expect
      .poll(() => file(name).catch(() => ''), { timeout: 10_000 })
      .not.toBe('')
      .then(() => file(name));
  return { dir: dir.path, runner, clock, written };
}

function isAlive(pid: string): boolean {
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch {
    return false;
  }
}

const aMoment = { timeout: 10_000 };

describe('a git that is ended', () => {
  it('takes everything with it that it started, at its deadline', async () => {
    const { runner, clock, written } = await scripted('sleep 1000 & echo $! > child; echo $$ > self; wait');
    const failure = failureOf(runner.run(['x'], { signal: never, timeoutMs: 5_000 }));
    const [child, self] = [await written('child'), await written('self')];
    expect(isAlive(child)).toBe(true);
    await clock.advance(5_000);
    expect(await failure).toMatchObject({ code: 'timeout', message: expect.stringContaining('5 s') });
    await expect.poll(() => [isAlive(child), isAlive(self)], aMoment).toEqual([false, false]);
    expect(clock.timers).toBe(0);
  });

  it('is killed when it does not go', async () => {
    const script = `trap '' TERM; (trap '' TERM; echo $$ > child; while :; do sleep 0.05; done) & echo $$ > self; while :; do sleep 0.05; done`;
    const { runner, clock, written } = await scripted(script);
    const asker = new AbortController();
    const failure = failureOf(runner.run(['x'], { signal: asker.signal }));
    const [self] = [await written('self'), await written('child')];
    asker.abort(new Error('gone'));
    await clock.advance(1_999);
    expect(isAlive(self)).toBe(true);
    await clock.advance(1);
    expect((await failure).message).toBe('gone');
    await expect.poll(() => isAlive(self), aMoment).toBe(false);
  });

  it('leaves nobody behind when it goes by itself', async () => {
    const { runner, written } = await scripted('sleep 1000 & echo $! > child; echo out; exit 3');
    const result = await runner.run(['x'], { signal: never });
    expect(result).toMatchObject({ exitCode: 3, stdout: Buffer.from('out\n') });
    const child = await written('child');
    await expect.poll(() => isAlive(child), aMoment).toBe(false);
  });
});

describe('the runner', () => {
  it('hands over arguments as they are, input too, and starts no shell', async () => {
    const { runner, dir } = await scripted('for a; do echo "<$a>"; done; cat');
    const args = ['a b', '$(touch canary)', '; touch canary', '`touch canary`', '*'];
    const { stdout } = await runner.run(args, { signal: never, input: 'in' });
    expect(stdout.toString()).toBe(`${args.map((arg) => `<${arg}>\n`).join('')}in`);
    expect(await readdir(dir)).not.toContain('canary');
  });

  it('starts no more than it may, and says busy to those who wait too long or too many', async () => {
    const { runner, clock, dir, written } = await scripted(
      'echo $$ > started-$1; while [ ! -e go ]; do sleep 0.02; done',
      { maxConcurrent: 2, maxQueued: 1, queueTimeoutMs: 1_000 },
    );
    const first = ['1', '2'].map((name) => runner.run([name], { signal: never }));
    await Promise.all([written('started-1'), written('started-2')]);
    const third = failureOf(runner.run(['3'], { signal: never }));
    await clock.advance(0);
    expect(await failureOf(runner.run(['4'], { signal: never }))).toMatchObject({ code: 'busy' });
    await clock.advance(1_000);
    expect(await third).toMatchObject({ code: 'busy' });
    expect((await readdir(dir)).filter((name) => name.startsWith('started'))).toHaveLength(2);
    // Fetches and reads do not wait for each other.
    await writeFile(join(dir, 'go'), '');
    await Promise.all(first);
    expect((await runner.run(['5'], { signal: never })).exitCode).toBe(0);
  });

  it('lets nobody who reads a mirror wait for those who wait for servers', async () => {
    const { runner, dir, written } = await scripted(
      'echo $$ > started-$1; [ "$1" = local ] || while [ ! -e go ]; do sleep 0.02; done',
      { maxConcurrent: 1 },
    );
    const reach = { url: 'https://git.example/a', credential: undefined };
    const fetching = runner.run(['remote'], { signal: never, reach });
    await written('started-remote');
    expect((await runner.run(['local'], { signal: never })).exitCode).toBe(0);
    await writeFile(join(dir, 'go'), '');
    await fetching;
  });

  it('takes no more output than it may, and of errors the end', async () => {
    const endless = await scripted('yes', {}, undefined);
    expect(await failureOf(endless.runner.run(['x'], { signal: never, maxBytes: 100_000 }))).toMatchObject({
      code: 'too_large',
    });
    const noisy = await scripted('yes | head -c 1000000 >&2; echo last >&2; exit 1');
    const { stderr } = await noisy.runner.run(['x'], { signal: never });
    expect(stderr.length).toBeLessThanOrEqual(8_192);
    expect(stderr).toMatch(/last\n$/);
  });

  it('waits for whoever takes the output, and ends with their failure', async () => {
    const { runner } = await scripted('yes');
    let chunks = 0;
    const onData = async (): Promise<void> => {
      chunks += 1;
      await new Promise(setImmediate);
      if (chunks === 3) throw new Error('disk full');
    };
    const failure = await failureOf(
      runner.run(['x'], { signal: never, onData, maxBytes: Number.POSITIVE_INFINITY }),
    );
    expect(failure.message).toBe('disk full');
    expect(chunks).toBe(3);
  });

  it('says so when there is no git, or one that is too old to be locked down', async () => {
    const dir = await tempDir('git-runner');
    onTestFinished(dir.remove);
    const options = { searchPath: dir.path, homeDir: join(dir.path, 'home') };
    const missing = new GitRunner({ ...options, command: join(dir.path, 'nothing') }, systemClock);
    expect(await failureOf(missing.run(['x'], { signal: never }))).toMatchObject({
      code: 'failed',
      message: expect.stringContaining('there is no git'),
    });
    const old = join(dir.path, 'old');
    await writeFile(old, '#!/bin/sh\necho git version 2.30.9\n', { mode: 0o755 });
    expect(
      await failureOf(new GitRunner({ ...options, command: old }, systemClock).run(['x'], { signal: never })),
    ).toMatchObject({ code: 'failed', message: expect.stringContaining('2.31') });
  });

  it('does not go to a place that was checked with a git that cannot be held to its address', async () => {
    const dir = await tempDir('git-runner');
    onTestFinished(dir.remove);
    const command = join(dir.path, 'git');
    await writeFile(command, '#!/bin/sh\necho git version 2.36.6\n', { mode: 0o755 });
    const by = (address: string | undefined, url: string): Promise<unknown> =>
      new GitRunner(
        {
          command,
          searchPath: '',
          homeDir: join(dir.path, 'home'),
          transport: { addressFor: () => address },
        },
        systemClock,
      ).run(['x'], { signal: never, reach: { url, credential: undefined } });
    for (const url of ['https://git.example/a', 'http://git.example/a']) {
      expect(await failureOf(by('192.0.2.1', url))).toMatchObject({
        code: 'refused',
        message: expect.stringContaining('2.37'),
      });
      await by(undefined, url);
    }
    await by('192.0.2.1', 'ssh://git@git.example/a');
  });

  it('does not start for those who have left', async () => {
    const { runner, dir } = await scripted('touch started');
    const reason = new Error('left');
    expect(await failureOf(runner.run(['x'], { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(await readdir(dir)).toEqual(['git']);
  });

  it('finds its programs in the search path that it was given, and nowhere else', async () => {
    const dir = await tempDir('git-path');
    onTestFinished(dir.remove);
    await mkdir(join(dir.path, 'bin'));
    const script = '#!/bin/sh\n[ "$1" = --version ] && { echo git version 2.39.5; exit; }\necho "$PATH"\n';
    await writeFile(join(dir.path, 'bin/git'), script, { mode: 0o755 });
    const searchPath = [join(dir.path, 'bin'), '/usr/bin', '/bin'].join(delimiter);
    const runner = new GitRunner({ searchPath, homeDir: join(dir.path, 'home') }, systemClock);
    expect((await runner.run(['x'], { signal: never })).stdout.toString().trim()).toBe(searchPath);
  });
});
