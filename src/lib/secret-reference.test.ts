import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../../test/kit/temp.ts';
import { FileError, RereadFile } from './reread-file.ts';
import { Secret } from './secret.ts';
import { revealNow, SecretError, secretReference } from './secret-reference.ts';

async function folder(): Promise<string> {
  const dir = await tempDir('secret');
  onTestFinished(dir.remove);
  return dir.path;
}

function reference(text: string, env: Record<string, string> = {}) {
  const made = secretReference(text, { env, resolvePath: (path) => path });
  if (made === undefined) throw new Error(`${text} is no reference`);
  return made;
}

describe('secretReference', () => {
  it('reads a variable, and a file without its last line break', async () => {
    const file = join(await folder(), 'token');
    writeFileSync(file, 'from-file\n', { mode: 0o600 });

    expect(await revealNow(reference('env:TOKEN', { TOKEN: 'from-env' }))).toBe('from-env');
    expect(await revealNow(reference(`file:${file}`))).toBe('from-file');
    expect(await revealNow(new Secret('literal'))).toBe('literal');
    expect(secretReference('literal', { env: {}, resolvePath: (path) => path })).toBeUndefined();
  });

  it('uses a rotated file at the next read, however it was replaced', async () => {
    const dir = await folder();
    const file = join(dir, 'token');
    const secret = reference(`file:${file}`);
    writeFileSync(file, 'one', { mode: 0o600 });
    expect(await revealNow(secret)).toBe('one');

    writeFileSync(file, 'two');
    // As if it had been written within one tick of the clock.
    utimesSync(file, 1, 1);
    expect(await revealNow(secret)).toBe('two');

    writeFileSync(join(dir, 'next'), 'six');
    utimesSync(join(dir, 'next'), 1, 1);
    renameSync(join(dir, 'next'), file);
    expect(await revealNow(secret)).toBe('six');

    // The way of Kubernetes: a link to a folder that is exchanged.
    mkdirSync(join(dir, 'v2'));
    writeFileSync(join(dir, 'v2', 'token'), 'link');
    symlinkSync(join(dir, 'v2', 'token'), join(dir, 'link'));
    renameSync(join(dir, 'link'), file);
    expect(await revealNow(secret)).toBe('link');
  });

  it.each([
    ['env:NOT_SET', /NOT_SET is not set/],
    ['env:EMPTY', /EMPTY is not set/],
    ['file:/nowhere/at/all', /\/nowhere\/at\/all does not exist/],
    ['file:/', /no regular file/],
    ['file:/dev/zero', /no regular file/],
  ])('says what is wrong with %s', async (text, expected) => {
    await expect(reference(text, { EMPTY: '' }).read()).rejects.toThrow(expected);
  });

  it('refuses an empty file, one over 64 KiB, and a pipe without waiting for it', async () => {
    const dir = await folder();
    writeFileSync(join(dir, 'empty'), '\n');
    writeFileSync(join(dir, 'large'), 'x'.repeat(64 * 1024 + 1));
    execFileSync('/bin/sh', ['-c', 'mkfifo "$1"', 'sh', join(dir, 'pipe')]);

    await expect(reference(`file:${join(dir, 'empty')}`).read()).rejects.toThrow(SecretError);
    await expect(reference(`file:${join(dir, 'large')}`).read()).rejects.toThrow(/larger than 65536 bytes/);
    await expect(reference(`file:${join(dir, 'pipe')}`).read()).rejects.toThrow(/no regular file/);
  });

  it('warns of a file that others may read', async () => {
    const file = join(await folder(), 'token');
    const secret = reference(`file:${file}`);
    writeFileSync(file, 'one');
    chmodSync(file, 0o644);
    expect(await secret.warning()).toBe(
      `${file} holds a secret and can be read by everybody on this machine (mode 0644); chmod 600 it`,
    );
    chmodSync(file, 0o620);
    expect(await secret.warning()).toMatch(/changed by its group/);
    chmodSync(file, 0o640);
    expect(await secret.warning()).toBeUndefined();
    expect(await reference('file:/nowhere').warning()).toBeUndefined();
    expect(await reference('env:X').warning()).toBeUndefined();
  });

  it('shows the reference and never what it stands for', async () => {
    const file = join(await folder(), 'token');
    writeFileSync(file, 'hunter2', { mode: 0o600 });
    const secret = reference(`file:${file}`);
    await secret.read();

    expect(secret.shown).toBe(`file:${file}`);
    expect(inspect(secret, { depth: 9, showHidden: true }) + JSON.stringify(secret)).not.toContain('hunter2');
  });
});

describe('RereadFile', () => {
  it('says the same again after a failure: the file is looked at each time', async () => {
    const file = join(await folder(), 'late');
    const reread = new RereadFile({ path: file, maxBytes: 1024 });
    await expect(reread.read()).rejects.toThrow(FileError);
    writeFileSync(file, 'there', { mode: 0o600 });
    expect(await reread.read()).toMatchObject({ text: 'there', mode: 0o600 });
    chmodSync(file, 0o644);
    expect(await reread.read()).toMatchObject({ text: 'there', mode: 0o644 });
  });
});
