/** Test help: a fake context that keeps what was written, and data folders with really published modules. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { makeModuleZip } from '../../test/kit/make-zip.ts';
import type { ArtifactExt, ModulePath, Version } from '../gomod/types.ts';
import { systemClock } from '../lib/clock.ts';
import { openFsStore } from '../store/fs/fs-store.ts';
import { checkModuleZip } from '../zip/module-zip-check.ts';
import { bufferReader } from '../zip/zip-reader.ts';
import { runCli } from './app.ts';
import type { CliContext, SignalName } from './context.ts';

export interface FakeCliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Of all three streams. Default false. */
  readonly isTty?: boolean;
}

export interface CliRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface FakeCli {
  /** Runs one command line to its end. */
  run(...args: readonly string[]): Promise<CliRun>;
  /** As if the user had sent the signal. */
  signal(name: SignalName): void;
}

export function fakeCli(options: FakeCliOptions = {}): FakeCli {
  const { cwd = tempFolder(), stdin = '', isTty = false } = options;
  // An empty PATH: the Go of this machine has no say in tests.
  const env = { PATH: '', ...options.env };
  const listeners = new Map<SignalName, Set<() => void>>();
  return {
    async run(...args) {
      const written = { stdout: '', stderr: '' };
      const output = (name: 'stdout' | 'stderr') => ({
        write: (text: string) => {
          written[name] += text;
        },
        drained: () => Promise.resolve(),
        isTty,
        columns: 80,
      });
      const stdout = output('stdout');
      const stderr = output('stderr');
      const context: CliContext = {
        process: { stdout, stderr, env },
        stdout,
        stderr,
        stdin: {
          isTty,
          async *[Symbol.asyncIterator]() {
            await Promise.resolve();
            yield Buffer.from(stdin);
          },
        },
        env,
        cwd,
        clock: systemClock,
        runtime: { nodeVersion: 'v24.0.0', platform: 'linux', arch: 'x64' },
        onSignal(name, listener) {
          const set = listeners.get(name) ?? new Set();
          listeners.set(name, set.add(listener));
          return () => set.delete(listener);
        },
      };
      const code = await runCli(args, context);
      return { code, ...written };
    },
    signal(name) {
      for (const listener of listeners.get(name) ?? []) listener();
    },
  };
}

/** Removed after the test. */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'modferry-cli-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Publishes complete versions (`MODULE@VERSION`), in order, and closes the store again. */
export async function publish(dataDir: string, ...names: readonly string[]): Promise<void> {
  const store = await openFsStore({ folder: dataDir, clock: systemClock });
  for (const name of names) {
    const [pathText = '', versionText = ''] = name.split('@');
    const path = pathText as ModulePath;
    const version = versionText as Version;
    const goMod = `module ${path}\n`;
    const zip = makeModuleZip(path, version, { 'go.mod': goMod, 'a.go': `package a // ${version}\n` });
    const { h1, goModH1 } = await checkModuleZip(bufferReader(zip), { path, version });
    const bodies: readonly [ArtifactExt, Buffer, string | undefined][] = [
      ['info', Buffer.from(JSON.stringify({ Version: version, Time: '2026-01-02T03:04:05Z' })), undefined],
      ['mod', Buffer.from(goMod), goModH1],
      ['zip', zip, h1],
    ];
    for (const [ext, body, hash] of bodies) {
      const staged = await store.stage({ path, version, ext });
      await staged.write([body]);
      const sha256 = createHash('sha256').update(body).digest('hex');
      await staged.publish({ sha256, source: 'goproxy.cn', ...(hash === undefined ? {} : { h1: hash }) });
      await staged.close();
    }
  }
  await store.idle();
  await store.close();
}
