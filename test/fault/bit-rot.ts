/** What the tests of bit rot share: a store that was filled and stopped, and bytes flipped behind its back. */
import { existsSync } from 'node:fs';
import { readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { type Ext, get, proving, sumdbLog } from '../e2e/checksums-support.ts';
import { eventually, folder, modferry, runModferry, upstream } from '../e2e/support.ts';
import type { FakeModule } from '../kit/fake-module.ts';
import type { FakeUpstream } from '../kit/fake-upstream.ts';
import type { ModferryProcess } from '../kit/modferry-process.ts';
import type { SumdbLog } from '../kit/sumdb-log.ts';

const exts = ['info', 'mod', 'zip'] as const;

export interface FilledStore {
  readonly dataDir: string;
  readonly source: FakeUpstream;
  readonly log: SumdbLog;
  /** On the folder, with the upstream and the log. Default: no scrub. */
  start(scrub?: Readonly<Record<string, unknown>>): Promise<ModferryProcess>;
}

/** All modules published and proven, by a process that has ended. */
export async function filledStore(modules: readonly FakeModule[]): Promise<FilledStore> {
  const log = await sumdbLog({ modules });
  // What proves them is a full tile: those are kept as files.
  log.pad(300);
  const source = await upstream({ modules });
  const data = await folder('data');
  const start = (scrub: Readonly<Record<string, unknown>> = { enabled: false }): Promise<ModferryProcess> =>
    modferry({ dataDir: data.path, upstreams: [source], env: proving(log), config: { scrub } });
  const proxy = await start();
  for (const module of modules) {
    for (const ext of exts) expect((await get(proxy, module, ext)).status).toBe(200);
  }
  const files = modules.flatMap((module) => exts.map((ext) => recordFile(data.path, module, ext)));
  await eventually(
    () => Promise.resolve(files.filter((file) => !existsSync(file))),
    (missing) => missing.length === 0,
    30_000,
  );
  expect(await proxy.stop()).toMatchObject({ code: 0 });
  source.reset();
  log.reset();
  return { dataDir: data.path, source, log, start };
}

export function artifactFile(dataDir: string, { path, version }: FakeModule, ext: Ext | 'ziphash'): string {
  return join(dataDir, 'download', path, '@v', `${version}.${ext}`);
}

export function recordFile(dataDir: string, { path, version }: FakeModule, ext: Ext): string {
  return join(dataDir, 'meta/records', path, '@v', `${version}.${ext}.json`);
}

/** Flips one bit in the middle, as a disk does: size and times stay. With `touched` the time of the change shows. */
export async function flipBit(file: string, touched = false): Promise<void> {
  const { atime, mtime } = await stat(file);
  const bytes = await readFile(file);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(file, bytes);
  if (!touched) await utimes(file, atime, mtime);
}

/** In offline mode until the test is over. */
export async function setOffline(dataDir: string): Promise<void> {
  expect(await runModferry(['mode', 'offline', '--data', dataDir])).toMatchObject({ code: 0 });
  onTestFinished(async () => void (await runModferry(['mode', 'normal', '--data', dataDir])));
}
