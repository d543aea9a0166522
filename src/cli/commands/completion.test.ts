import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeCli, tempFolder } from '../test-kit.ts';

/** What bash would offer for the last word. */
async function complete(...words: readonly string[]): Promise<string[]> {
  const { stdout: script } = await fakeCli().run('completion', 'bash');
  const folder = tempFolder();
  writeFileSync(join(folder, 'go.sum'), '');
  mkdirSync(join(folder, 'my data'));
  const line = words.map((word) => `'${word}'`).join(' ');
  const ask = `COMP_WORDS=(modferry ${line}); COMP_CWORD=${words.length}; _modferry; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const result = spawnSync('bash', ['--norc', '-c', `${script}\n${ask}`], { encoding: 'utf8', cwd: folder });
  expect(result.stderr).toBe('');
  return result.stdout.split('\n').filter((reply) => reply !== '');
}

describe('bash completion', () => {
  it('registers itself when sourced', async () => {
    const { code, stdout } = await fakeCli().run('completion', 'bash');
    const result = spawnSync('bash', ['--norc', '-c', `${stdout}\ncomplete -p modferry`], {
      encoding: 'utf8',
    });
    expect(code).toBe(0);
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect(result.stdout).toContain('-F _modferry modferry');
  });

  it('offers commands, also below a group', async () => {
    expect(await complete('ver')).toEqual(['verify', 'version']);
    expect(await complete('config', '')).toEqual(['check', 'show', 'schema']);
    expect(await complete('completion', '')).toEqual(['bash', 'zsh', 'fish']);
  });

  it('offers the flags of the command', async () => {
    expect(await complete('serve', '--l')).toEqual(['--listen', '--log-level']);
    expect(await complete('config', 'show', '--')).toEqual(['--origin', '--json', '--config', '--help']);
    expect(await complete('env', '--format', 'g')).toEqual(['go', 'github', 'gitlab']);
  });

  it('is not misled by the value of a flag', async () => {
    expect(await complete('ls', '--data', 'config', '--lo')).toEqual(['--long']);
  });

  it('offers files and folders where they belong', async () => {
    expect(await complete('warm', 'go')).toEqual(['go.sum']);
    expect(await complete('ls', '--data', 'my')).toEqual(['my data']);
    expect(await complete('info', '')).toEqual([]);
  });
});

describe.each(['zsh', 'fish'])('%s completion', (shell) => {
  it('names every command and flag', async () => {
    const { code, stdout } = await fakeCli().run('completion', shell);
    expect(code).toBe(0);
    for (const word of ['serve', 'check', 'schema', 'path-prefix', 'resume-file', 'powershell']) {
      expect(stdout).toContain(word);
    }
  });
});
