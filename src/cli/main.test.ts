import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { publish, tempFolder } from './test-kit.ts';

const launcher = fileURLToPath(new URL('../../bin/modferry', import.meta.url));

function runReal(args: readonly string[], cwd: string) {
  const env = { PATH: process.env['PATH'] ?? '', XDG_CACHE_HOME: cwd };
  return spawnSync(launcher, args, { encoding: 'utf8', cwd, env });
}

describe('bin/modferry', () => {
  it('ends with the exit code of the command, and each stream has its own', () => {
    const cwd = tempFolder();
    expect(runReal(['version'], cwd)).toMatchObject({ status: 0, stderr: '' });
    expect(runReal(['nonsense'], cwd)).toMatchObject({ status: 2, stdout: '' });
    expect(runReal(['ls'], cwd)).toMatchObject({ status: 1, stdout: '' });
  });

  it('reads standard input', () => {
    const cwd = tempFolder();
    const args = ['warm', '--url', 'http://127.0.0.1:1'];
    const env = { PATH: process.env['PATH'] ?? '', XDG_CACHE_HOME: cwd };
    const { status, stderr } = spawnSync(launcher, args, {
      encoding: 'utf8',
      cwd,
      env,
      input: 'not a module\n',
    });
    expect(status).toBe(2);
    expect(stderr).toContain('standard input:1:');
  });

  it('ends in silence when the reader of its output goes away', async () => {
    const cwd = tempFolder();
    const names = Array.from({ length: 20 }, (_, index) => `example.com/m${index}@v1.0.0`);
    await publish(`${cwd}/modferry-data`, ...names);
    const child = spawn(launcher, ['ls'], {
      cwd,
      env: { PATH: process.env['PATH'] ?? '', XDG_CACHE_HOME: cwd },
    });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const code = await new Promise((resolve) => {
      child.on('close', resolve);
    });
    expect({ code, stderr }).toEqual({ code: 141, stderr: '' });
  });
});
