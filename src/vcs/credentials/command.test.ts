import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../lib/fake-clock.ts';
import { parseGoauthOutput } from './goauth-output.ts';
import { entry, failure, finderOf, signal, tempFolder } from './test-finder.ts';

/** A program in shell that keeps count of its runs in `log`, one line each: its arguments. */
function program(body: string) {
  const dir = tempFolder();
  const file = join(dir, 'helper');
  const log = join(dir, 'log');
  writeFileSync(log, '');
  writeFileSync(file, `#!/bin/sh\necho "run $*" >> '${log}'\n${body}\n`, { mode: 0o755 });
  return {
    file,
    dir,
    runs: () => readFileSync(log, 'utf8').split('\n').slice(0, -1),
  };
}

const printing = (header: string, url = 'https://git.example'): string =>
  `printf '%s\\n\\n%s\\n\\n' '${url}' '${header}'`;

const basic = `Authorization: Basic ${Buffer.from('me:hunter2').toString('base64')}`;
const url = 'https://git.example/team/lib.git';

describe('credential commands', () => {
  it('runs once without arguments, and uses what it printed for all below the URL', async () => {
    const helper = program(printing(basic));
    const finder = finderOf([entry('git.example', { kind: 'command', argv: [helper.file, '--x'] })]);

    const wanted = { kind: 'basic', username: 'me', password: 'hunter2' };
    expect(await finder.find(url, { signal })).toEqual(wanted);
    expect(await finder.find('https://git.example/other', { signal })).toEqual(wanted);
    expect(helper.runs()).toEqual(['run --x']);
  });

  it('asks for one URL, with the refusal on stdin, where the first answer has nothing for it', async () => {
    const helper = program(
      `[ $# = 0 ] && exit 0\ncase "$1" in *team*) ${printing('Authorization: Bearer t0k', 'https://git.example/team')};; esac`,
    );
    const finder = finderOf([entry('git.example', { kind: 'command', argv: [helper.file] })]);

    expect(await finder.find(url, { signal })).toEqual({ kind: 'bearer', token: 't0k' });
    expect(await finder.find('https://git.example/else', { signal })).toBeUndefined();
    expect(await finder.find('https://git.example/else', { signal })).toBeUndefined();
    expect(helper.runs()).toEqual(['run ', `run ${url}`, 'run https://git.example/else']);
  });

  it('gives the program the URL without user and password, and the 401', async () => {
    const helper = program(`cat > "$(dirname "$0")/stdin"\n${printing(basic)}`);
    const finder = finderOf([entry('git.example', { kind: 'command', argv: [helper.file] })]);

    await finder.find('https://git:sEcret@git.example/r?token=sEcret', { isRetry: true, signal });
    expect(helper.runs()).toEqual(['run https://git.example/r']);
    expect(readFileSync(join(helper.dir, 'stdin'), 'utf8')).toMatch(
      /^HTTP\/1\.1 401 Unauthorized\r\n.*\r\n\r\n$/s,
    );
  });

  it('has an expired one anew, once for all who were refused, and not again and again', async () => {
    const helper = program(
      `n=$(wc -l < "$(dirname "$0")/log")\nprintf 'https://git.example\\n\\nAuthorization: Bearer t%s\\n\\n' $n`,
    );
    const clock = new FakeClock();
    const finder = finderOf([entry('git.example', { kind: 'command', argv: [helper.file] })], { clock });
    const token = async (isRetry: boolean) => {
      const found = await finder.find(url, { isRetry, signal });
      return found?.kind === 'bearer' ? found.token : undefined;
    };

    expect(await token(false)).toBe('t1');
    expect(await Promise.all([token(true), token(true), token(true)])).toEqual(['t2', 't2', 't2']);
    expect(await token(true)).toBe('t2');
    expect(await token(false)).toBe('t2');
    await clock.advance(5_000);
    expect(await token(true)).toBe('t3');
    // After ten minutes it is asked again by itself.
    await clock.advance(600_000);
    expect(await token(false)).toBe('t4');
    expect(helper.runs()).toHaveLength(4);
  });

  it('ends a program that does not answer, with all it started', async () => {
    const helper = program(
      `sleep 300 & echo $! > "$(dirname "$0")/pid"\nmkfifo "$(dirname "$0")/p"\ncat "$(dirname "$0")/p"`,
    );
    const argv = [helper.file];
    const finder = finderOf([entry('*', { kind: 'command', argv })], { commandTimeoutMs: 300 });
    const error = await failure(finder.find(url, { signal }));

    expect(error).toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('within 0.3 s') as string,
    });
    await gone(Number(readFileSync(join(helper.dir, 'pid'), 'utf8')));
  });

  it('does not wait for what a program leaves behind with its output in hand', async () => {
    const helper = program(`${printing(basic)}\nsleep 300 & echo $! > "$(dirname "$0")/pid"`);
    const finder = finderOf([entry('*', { kind: 'command', argv: [helper.file] })]);

    expect(await finder.find(url, { signal })).toMatchObject({ password: 'hunter2' });
    await gone(Number(readFileSync(join(helper.dir, 'pid'), 'utf8')));
  });

  it('ends it when the last asker leaves', async () => {
    const helper = program(`echo $$ > "$(dirname "$0")/pid"\nexec sleep 300`);
    const finder = finderOf([entry('*', { kind: 'command', argv: [helper.file] })]);
    const leaving = new AbortController();
    const work = finder.find(url, { signal: leaving.signal });
    await expect.poll(() => helper.runs().length).toBe(1);
    await expect.poll(() => pidIn(helper.dir)).toBeGreaterThan(0);
    leaving.abort(new Error('left'));

    await expect(work).rejects.toThrow('left');
    await gone(pidIn(helper.dir));
  });

  it.each([
    ['that fails', 'echo hunter2; echo hunter2 >&2; exit 3', /ended with code 3/],
    ['that prints too much', 'yes hunter2', /prints over 1048576 bytes/],
    ['that prints no URL', 'echo hunter2', /no URL/],
    [
      'that prints a plain http URL',
      printing('Authorization: Bearer hunter2', 'http://git.example'),
      /not https/,
    ],
    ['that prints a header git cannot send', printing('Authorization: Digest hunter2'), /git cannot send/],
    ['that prints half a header', printing('hunter2'), /without a name/],
  ])('tells of a program %s, without a word of it', async (_what, body, expected) => {
    const helper = program(body);
    const argv = [helper.file, '--password=hunter2'];
    const finder = finderOf([entry('*', { kind: 'command', argv })]);
    const error = await failure(finder.find(url, { signal }));

    expect(error).toMatchObject({ code: 'auth', message: expect.stringMatching(expected) as string });
    expect(inspect(error, { depth: 9 })).not.toContain('hunter2');
    // A failure is not asked for again at once.
    await failure(finder.find(url, { signal }));
    expect(helper.runs()).toHaveLength(1);
  });

  it('runs a few at once at most, however many modules are asked for', async () => {
    const helper = program(
      `[ $# = 0 ] && exit 0\nd=$(dirname "$0")\ntouch "$d/on-$$"\nls "$d" | grep -c '^on-' >> "$d/counts"\nsleep 0.1\nrm "$d/on-$$"`,
    );
    const finder = finderOf([entry('*', { kind: 'command', argv: [helper.file] })]);
    const urls = Array.from({ length: 12 }, (_, index) => `https://git.example/none-${index}`);
    await Promise.all(urls.map((each) => finder.find(each, { signal })));

    const counts = readFileSync(join(helper.dir, 'counts'), 'utf8').split('\n').map(Number);
    expect(helper.runs()).toHaveLength(13);
    expect(Math.max(...counts)).toBeLessThanOrEqual(4);
  });

  it('says when there is no such program, and runs none by a shell', async () => {
    const dir = tempFolder();
    const argv = [join(dir, `x; touch ${dir}/canary`)];
    const finder = finderOf([entry('*', { kind: 'command', argv })]);

    expect((await failure(finder.find(url, { signal }))).message).toMatch(/could not be run \(ENOENT\)/);
    expect(() => readFileSync(join(dir, 'canary'))).toThrow('ENOENT');
  });

  it('keeps variables of modferry to itself', async () => {
    const helper = program(
      `printf 'https://git.example\\n\\nAuthorization: Bearer [%s|%s]\\n\\n' "$MODFERRY_TOKEN" "$KEPT"`,
    );
    const env = { PATH: process.env['PATH'], MODFERRY_TOKEN: 'secret', KEPT: 'yes' };
    const finder = finderOf([entry('*', { kind: 'command', argv: [helper.file] })], { env });

    expect(await finder.find(url, { signal })).toEqual({ kind: 'bearer', token: '[|yes]' });
  });
});

describe('parseGoauthOutput', () => {
  it('reads sets of URLs and headers, the header in any case, others left alone', () => {
    const text = [
      'https://a.example',
      'https://b.example/x/',
      '',
      'X-Other: 1',
      'authorization: bearer t1',
      '',
      'https://c.example/',
      '',
      'Example: Data',
      '',
    ].join('\r\n');

    expect(parseGoauthOutput(text, 'p')).toEqual([
      { prefix: 'https://a.example', credential: { kind: 'bearer', token: 't1' } },
      { prefix: 'https://b.example/x', credential: { kind: 'bearer', token: 't1' } },
    ]);
    expect(parseGoauthOutput('', 'p')).toEqual([]);
    expect(() => parseGoauthOutput('https://a.example\n'.repeat(2000), 'p')).toThrow('too many lines');
  });
});

function pidIn(dir: string): number {
  try {
    return Number(readFileSync(join(dir, 'pid'), 'utf8'));
  } catch {
    return 0;
  }
}

/** Resolves when no live process has this id: one that was ended and awaits its parent counts as gone. */
async function gone(pid: number): Promise<void> {
  expect(pid).toBeGreaterThan(0);
  await expect
    .poll(() => {
      try {
        return /^\d+ \(.*\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] === 'Z';
      } catch {
        return true;
      }
    })
    .toBe(true);
}
