/** Test help: a fake context that keeps what was written, and data folders with really published modules. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { FakeModule } from '../../test/kit/fake-module.ts';
import { makeModuleZip } from '../../test/kit/make-zip.ts';
import type { ArtifactExt, ModulePath, Version } from '../gomod/types.ts';
import { type AdminActions, listenAdmin } from '../http/admin.ts';
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

/** Answers on the admin socket of a data folder, as a running modferry would. */
export async function playServer(dataDir: string, actions: AdminActions): Promise<void> {
  const folder = join(dataDir, 'run', 'played');
  mkdirSync(folder, { recursive: true });
  const admin = await listenAdmin(join(folder, 'admin.sock'), actions);
  onTestFinished(() => admin.close());
}

/** `POST /expect` of a server whose checksum database knows these modules; by default it cannot be reached for others. */
export function expectAction(
  modules: readonly FakeModule[],
  otherwise: object = { kind: 'blocked', reason: 'sum.test cannot be reached' },
): AdminActions {
  const known = new Map<string, string>();
  for (const { path, version, zipH1, modH1 } of modules) {
    known.set(`${path}@${version}.zip`, zipH1).set(`${path}@${version}.mod`, modH1);
  }
  return {
    'POST /expect': ({ path, version, ext }) => {
      const h1 = known.get(`${String(path)}@${String(version)}.${String(ext)}`);
      if (h1 === undefined) return Promise.resolve(otherwise);
      const proof = { by: 'sumdb', database: 'sum.test', recordId: 7, treeSize: 99, atMs: 1 };
      return Promise.resolve({ kind: 'known', h1, by: 'sum.test #7', proof });
    },
  };
}

export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
