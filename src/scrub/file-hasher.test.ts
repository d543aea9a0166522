import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../../test/kit/temp.ts';
import { sha256Of } from '../store/contract/kit.ts';
import { newHasher } from './test-scrub.ts';

const sizes = [0, 1, 1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1, 8 * 1024 * 1024, 20 * 1024 * 1024 + 5];

async function folder(): Promise<string> {
  const dir = await tempDir('hasher');
  onTestFinished(dir.remove);
  return dir.path;
}

describe('the hasher', () => {
  it('gives size and SHA-256 of files of any size, with and without a pace', async () => {
    const dir = await folder();
    const hasher = newHasher();

    for (const size of sizes) {
      const bytes = randomBytes(size);
      const file = join(dir, String(size));
      await writeFile(file, bytes);
      let granted = 0;
      const grant = async (step: number): Promise<void> => void (granted += step);

      const expected = { sizeBytes: size, sha256: sha256Of(bytes) };
      expect(await hasher.hash(file)).toEqual(expected);
      expect(await hasher.hash(file, { grant })).toEqual(expected);
      expect(granted).toBeGreaterThanOrEqual(size);
    }
  });

  it('tells the errno of what cannot be read, and goes on with the next file', async () => {
    const dir = await folder();
    const hasher = newHasher();
    await mkdir(join(dir, 'sub'));
    await writeFile(join(dir, 'good'), 'x');

    await expect(hasher.hash(join(dir, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(hasher.hash(join(dir, 'sub'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect((await hasher.hash(join(dir, 'good'))).sizeBytes).toBe(1);
  });

  it('stops in the middle of a file when told to, and the next one gets its own answer', async () => {
    const dir = await folder();
    const hasher = newHasher();
    await writeFile(join(dir, 'long'), Buffer.alloc(20 * 1024 * 1024));
    await writeFile(join(dir, 'short'), 'x');
    const stop = new AbortController();
    let grants = 0;
    const grant = async (): Promise<void> => {
      grants += 1;
      if (grants === 3) stop.abort(new Error('enough'));
    };

    const long = hasher.hash(join(dir, 'long'), { grant, signal: stop.signal });
    const short = hasher.hash(join(dir, 'short'));

    await expect(long).rejects.toThrow('enough');
    expect(await short).toEqual({ sizeBytes: 1, sha256: sha256Of('x') });
    expect(grants).toBe(3);
  });

  it('rejects what is under way when it is closed', async () => {
    const dir = await folder();
    const hasher = newHasher();
    const file = join(dir, 'a');
    await writeFile(file, Buffer.alloc(64 * 1024 * 1024));
    const running = hasher.hash(file).catch((error: unknown) => error);
    const grant = async (): Promise<void> => {};
    const waiting = hasher.hash(file, { grant }).catch((error: unknown) => error);

    await hasher.close();

    expect(await running).toBeInstanceOf(Error);
    expect(await waiting).toBeInstanceOf(Error);
  });

  it.runIf(process.platform === 'linux')(
    'is of the lowest priority unless somebody waits for it',
    async () => {
      const file = join(await folder(), 'file');
      await writeFile(file, 'x');
      const before = await lowestThreads();

      await newHasher({ isForeground: true }).hash(file);
      expect(await lowestThreads()).toBe(before);

      await newHasher().hash(file);
      expect(await lowestThreads()).toBe(before + 1);
    },
  );
});

/** Threads of this process with nice 19. */
async function lowestThreads(): Promise<number> {
  const tasks = await readdir('/proc/self/task');
  const stats = tasks.map((task) => readFile(`/proc/self/task/${task}/stat`, 'utf8').catch(() => ''));
  // What stands behind the name begins with field 3; the nice value is field 19.
  const niceOf = (stat: string): string | undefined => stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16];
  return (await Promise.all(stats)).filter((stat) => niceOf(stat) === '19').length;
}
