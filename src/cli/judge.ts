/**
 * Who says for a command what a module's bytes must be: the running modferry, whose checksum database's client is warm
 * and whose upstreams are known to be well; without one, a client of our own.
 */
import type { Expectation, HashedKey, Judge } from '../checksums/types.ts';
import { isH1Hash } from '../gomod/go-sum.ts';
import { messageOf } from '../lib/errors.ts';
import type { Proof, Store } from '../store/store.ts';
import type { CliContext } from './context.ts';
import { readVersion } from './package-version.ts';
import { type Running, runningOn } from './running.ts';
import type { FolderSettings } from './settings.ts';

export interface OpenJudge {
  readonly judge: Judge;
  close(): Promise<void>;
}

/** A database that fetches a module on demand takes its time. */
const timeoutMs = 120_000;

/** Its judge rejects with the asker's reason, or with a ModferryError when no judge can be made of the configuration. */
export async function judgeFor(
  context: CliContext,
  settings: FolderSettings,
  store: Store,
): Promise<OpenJudge> {
  const running = await runningOn(context, settings);
  let here: Promise<OpenJudge> | undefined;
  const judge: Judge = {
    async expect(key, asker) {
      // Once nobody answered, nobody is asked again in this run.
      const expected = here === undefined ? await askProcess(running, key, asker.signal) : undefined;
      if (expected !== undefined) return expected;
      here ??= judgeHere(context, settings, store);
      return await (await here).judge.expect(key, asker);
    },
  };
  return { judge, close: async () => (await here)?.close() };
}

/** Undefined: no modferry is running. Rejects with the signal's reason. */
async function askProcess(
  running: Running,
  key: HashedKey,
  signal: AbortSignal,
): Promise<Expectation | undefined> {
  try {
    const { path, version, ext } = key;
    const answer = await running.askIfAny('POST', '/expect', { path, version, ext }, { timeoutMs, signal });
    if (answer === undefined) return undefined;
    return parseExpectation(answer) ?? blind('the running modferry gave no clear answer');
  } catch (error) {
    signal.throwIfAborted();
    return blind(messageOf(error));
  }
}

/** Nobody could be asked, so nothing follows from it. */
function blind(reason: string): Expectation {
  return { kind: 'blocked', reason, cause: 'unread' };
}

/** Without a running process the checksum database is asked from here, through the configured upstreams. */
async function judgeHere(context: CliContext, settings: FolderSettings, store: Store): Promise<OpenJudge> {
  const { openJudge } = await import('../service/offline-judge.ts');
  const { warnings, ...opened } = await openJudge({
    config: settings.loaded.config,
    env: context.env,
    clock: context.clock,
    store,
    dataDir: settings.dataDir,
    version: await readVersion(),
  });
  for (const warning of warnings) context.stderr.write(`modferry: ${warning}\n`);
  return opened;
}

/** The answer of the admin action `POST /expect`: an Expectation as JSON. Undefined for any other shape. */
function parseExpectation(answer: Record<string, unknown>): Expectation | undefined {
  const { kind, h1, by, why, reason } = answer;
  if (kind === 'known') {
    const proof = parseProof(answer['proof']);
    if (typeof h1 !== 'string' || !isH1Hash(h1) || proof === undefined) return undefined;
    return { kind, h1, proof, by: typeof by === 'string' ? by : 'the running modferry' };
  }
  if (typeof reason !== 'string') return undefined;
  const cause = answer['cause'] === 'absent' || answer['cause'] === 'unread' ? answer['cause'] : undefined;
  if (kind === 'blocked') return { kind, reason, cause };
  if (kind !== 'unproven' || (why !== 'off' && why !== 'unreachable')) return undefined;
  return { kind, why, reason, cause };
}

function parseProof(value: unknown): Proof | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { by, database, recordId, treeSize, label, reason, atMs } = value as Record<string, unknown>;
  if (typeof atMs !== 'number') return undefined;
  if (by === 'sumdb' && typeof database === 'string' && typeof recordId === 'number') {
    return { by, database, recordId, treeSize: Number(treeSize), atMs };
  }
  if (by === 'go.sum' && typeof label === 'string') return { by, label, atMs };
  return by === 'operator' && typeof reason === 'string' ? { by, reason, atMs } : undefined;
}
