/** What the tests of checksums share: a log for one test, a modferry that proves by it, and what the commands tell. */
import { onTestFinished } from 'vitest';
import type { FakeModule } from '../kit/fake-module.ts';
import type { ModferryProcess } from '../kit/modferry-process.ts';
import { type SumdbLog, type SumdbLogOptions, startSumdbLog } from '../kit/sumdb-log.ts';
import { type Answer, type AskOptions, ask, runModferry } from './support.ts';

export type Ext = 'info' | 'mod' | 'zip';

/** A checksum database for this test alone. */
export async function sumdbLog(options: SumdbLogOptions = {}): Promise<SumdbLog> {
  const started = await startSumdbLog(options);
  onTestFinished(started.close);
  return started;
}

/** GOSUMDB of a modferry that asks the log at its own address, after its upstreams. */
export function proving({ verifierKey, url }: Pick<SumdbLog, 'verifierKey' | 'url'>) {
  return { GOSUMDB: `${verifierKey} ${url}` };
}

/** The path of an artifact whose names need no escaping. */
export function pathOf({ path, version }: Pick<FakeModule, 'path' | 'version'>, ext: Ext): string {
  return `/${path}/@v/${version}.${ext}`;
}

export function get(
  { url }: Pick<ModferryProcess, 'url'>,
  module: Pick<FakeModule, 'path' | 'version'>,
  ext: Ext,
  options: AskOptions = {},
): Promise<Answer> {
  return ask(url, pathOf(module, ext), options);
}

export interface ToldEvent {
  readonly kind: string;
  readonly severity: string;
  readonly upstream?: string;
  readonly module?: string;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** `modferry events --json`, oldest first. */
export function events(dataDir: string, kind?: string): Promise<ToldEvent[]> {
  const filter = kind === undefined ? [] : ['--kind', kind];
  return jsonLines<ToldEvent>(['events', ...filter, '--json', '--data', dataDir]);
}

export interface Suspect {
  readonly id: string;
  readonly cause: string;
  readonly module: string;
  readonly version: string;
  readonly artifact: string;
  readonly source: string;
  readonly reason: string;
  readonly expectedH1: string | null;
  readonly foundH1: string | null;
  readonly expectedBy: string | null;
  readonly headers: Readonly<Record<string, string>> | null;
}

/** `modferry quarantine ls --json`, newest first. */
export function suspects(dataDir: string): Promise<Suspect[]> {
  return jsonLines<Suspect>(['quarantine', 'ls', '--json', '--data', dataDir]);
}

export interface ToldArtifact {
  readonly sha256: string;
  readonly h1: string | null;
  readonly source: string;
  readonly proof: { readonly by: string; readonly database?: string; readonly recordId?: number } | null;
  readonly unproven: string | null;
}

/** The artifacts in `modferry info --json`; none when nothing of it is stored. */
export async function info(
  dataDir: string,
  { path, version }: Pick<FakeModule, 'path' | 'version'>,
): Promise<Partial<Record<Ext, ToldArtifact>>> {
  const { stdout } = await runModferry(['info', '--json', '--data', dataDir, `${path}@${version}`]);
  if (stdout === '') return {};
  return (JSON.parse(stdout) as { artifacts: Partial<Record<Ext, ToldArtifact>> }).artifacts;
}

/** Objects, one a line, of a command with `--json`. */
export async function jsonLines<T>(args: readonly string[]): Promise<T[]> {
  const { stdout } = await runModferry(args);
  const lines = stdout.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as T);
}
