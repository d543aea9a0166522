import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../../../test/kit/temp.ts';
import { systemClock } from '../../lib/clock.ts';
import { RunningGits } from './running-gits.ts';

async function started() {
  const dir = await tempDir('running-gits');
  onTestFinished(dir.remove);
  return { dir: dir.path, gits: new RunningGits(dir.path, systemClock) };
}

/** Stands for a git: a process that leads its group. */
function group(): number {
  const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
  onTestFinished(() => end(child));
  return child.pid ?? 0;
}

function end(child: ChildProcess): void {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
}

async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  return stat !== '' && !stat.includes(') Z ');
}

/** A modferry that writes down a git and is killed. Resolves to that git's group. */
async function killedOwner(dir: string): Promise<number> {
  const script = `
    import { spawn } from 'node:child_process';
    import { RunningGits } from ${JSON.stringify(new URL('./running-gits.ts', import.meta.url).href)};
    const git = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
    new RunningGits(${JSON.stringify(dir)}, { now: () => Date.now() }).record(git.pid);
    process.stdout.write(String(git.pid));
    setInterval(() => {}, 1000);
  `;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => end(owner));
  const [chunk] = await once(owner.stdout, 'data');
  const pid = Number(String(chunk));
  onTestFinished(() => {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // As it should be.
    }
  });
  const gone = once(owner, 'exit');
  owner.kill('SIGKILL');
  await gone;
  return pid;
}

describe('a git that is written down', () => {
  it('is ended once its modferry is gone', async () => {
    const { dir, gits } = await started();
    const pid = await killedOwner(dir);
    expect(await isAlive(pid)).toBe(true);
    await gits.endOrphans();
    await expect.poll(() => isAlive(pid)).toBe(false);
    expect(await readdir(dir)).toEqual([]);
  });

  it('is left alone while its modferry lives, and forgotten when it is over', async () => {
    const { dir, gits } = await started();
    const pid = group();
    const over = gits.record(pid);
    await new RunningGits(dir, systemClock).endOrphans();
    expect(await isAlive(pid)).toBe(true);
    expect(await readdir(dir)).toHaveLength(1);
    over();
    expect(await readdir(dir)).toEqual([]);
  });

  it('is not taken for another process that has its number now', async () => {
    const { dir, gits } = await started();
    const pid = group();
    gits.record(pid);
    const [name = ''] = await readdir(dir);
    const file = join(dir, name);
    const record = JSON.parse(await readFile(file, 'utf8'));
    record.owner.startedAt = '1';
    record.git.startedAt = '1';
    await writeFile(file, JSON.stringify(record));
    await gits.endOrphans();
    expect(await isAlive(pid)).toBe(true);
    expect(await readdir(dir)).toEqual([]);
  });

  it('of another machine, or in a record that nobody can read, is nobody here for a day', async () => {
    const { dir, gits } = await started();
    const pid = group();
    gits.record(pid);
    const [name = ''] = await readdir(dir);
    const file = join(dir, name);
    const record = JSON.parse(await readFile(file, 'utf8'));
    record.owner.startedAt = '1';
    await writeFile(file, JSON.stringify({ ...record, machine: 'other' }));
    await writeFile(join(dir, 'cut.running'), '{"git":');
    await gits.endOrphans();
    expect(await isAlive(pid)).toBe(true);
    expect(await readdir(dir)).toHaveLength(2);
    const yesterdayS = Date.now() / 1000 - 90_000;
    for (const one of [file, join(dir, 'cut.running')]) await utimes(one, yesterdayS, yesterdayS);
    await gits.endOrphans();
    expect(await isAlive(pid)).toBe(true);
    expect(await readdir(dir)).toEqual([]);
  });
});
