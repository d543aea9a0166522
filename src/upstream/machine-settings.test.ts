import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askGo } from './machine-settings.ts';

let folder: string;

/** A stand-in for `go`: a script that answers like it. */
async function fakeGo(name: string, script: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
  return file;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modferry-ask-go-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('askGo', () => {
  it('asks both questions outside any module with a local toolchain', async () => {
    const command = await fakeGo(
      'go-normal',
      'if [ "$2" = -changed ]; then echo "{}"; else echo "{\\"GOPROXY\\":\\"$GOTOOLCHAIN $GOWORK $(pwd)\\",\\"N\\":1}"; fi',
    );
    expect(await askGo({ env: process.env, command })).toEqual({
      values: { GOPROXY: 'local off /' },
      changed: {},
    });
  });

  it('says undefined for what an old Go cannot tell', async () => {
    const command = await fakeGo(
      'go-old',
      'if [ "$2" = -changed ]; then exit 2; fi; echo "{\\"GOPROXY\\":\\"x\\"}"',
    );
    expect(await askGo({ env: process.env, command })).toEqual({
      values: { GOPROXY: 'x' },
      changed: undefined,
    });
  });

  it.each([
    ['is not there', 'no-such-go-anywhere', undefined],
    ['fails', 'go-fails', 'exit 1'],
    ['speaks nonsense', 'go-nonsense', 'echo "[1, 2"'],
    ['hangs', 'go-hangs', 'exec sleep 30'],
  ])('gives undefined when go %s', async (_what, name, script) => {
    const command = script === undefined ? join(folder, name) : await fakeGo(name, script);
    expect(await askGo({ env: process.env, command, timeoutMs: 300 })).toBeUndefined();
  });
});
