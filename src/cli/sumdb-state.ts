/** What is known of checksum databases, as a running process tells it or as the data folder has it. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unescapeCase } from '../gomod/escape.ts';
import type { Clock } from '../lib/clock.ts';
import type { Store } from '../store/store.ts';
import { parseFork } from '../sumdb/fork.ts';
import { parseObject } from '../sumdb/head-state.ts';
import type { ForkEvidence } from '../sumdb/types.ts';
import { CliError } from './cli-error.ts';
import { openForChanging } from './open-store.ts';
import { openForReading } from './read-store.ts';
import type { FolderSettings } from './settings.ts';

/** One database. What is null is not known, or known to a running process only. */
export interface KnownDatabase {
  readonly name: string;
  readonly treeSize: number | null;
  /** RFC 3339. */
  readonly confirmedAt: string | null;
  readonly isForked: boolean;
  readonly lookups: { readonly kept: number; readonly fetched: number; readonly failed: number } | null;
  readonly tilesFetched: number | null;
  readonly refused: number | null;
  readonly fork: ForkEvidence | null;
}

/** One entry of the admin action `GET /sumdb`; undefined when it has no name. */
export function parseDatabase(value: unknown): KnownDatabase | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const raw = value as Record<string, unknown>;
  const { name, fork } = raw;
  if (typeof name !== 'string') return undefined;
  const lookups = objectOf(raw['lookups']);
  return {
    name,
    treeSize: numberOf(raw['treeSize']),
    confirmedAt: timeOf(raw['confirmedAt']),
    isForked: raw['isForked'] === true,
    lookups:
      lookups === undefined
        ? null
        : {
            kept: numberOf(lookups['kept']) ?? 0,
            fetched: numberOf(lookups['fetched']) ?? 0,
            failed: numberOf(lookups['failed']) ?? 0,
          },
    tilesFetched: numberOf(raw['tilesFetched']),
    refused: numberOf(raw['refused']),
    fork: objectOf(fork) === undefined ? null : parseFork(name, Buffer.from(JSON.stringify(fork))),
  };
}

/** From the data folder. Rejects with CliError `absent` when there is no store, or StoreError. */
export async function readDatabases(dataDir: string, clock: Clock): Promise<readonly KnownDatabase[]> {
  const { store, layout } = await openForReading(dataDir, clock);
  try {
    const folders = await readdir(join(layout.meta, 'sumdb')).catch(() => []);
    const databases: KnownDatabase[] = [];
    for (const folder of folders.sort((one, other) => one.localeCompare(other))) {
      const name = unescapeCase(folder)?.replaceAll('@', '/');
      const database = name === undefined ? undefined : await readDatabase(store, name);
      if (database !== undefined) databases.push(database);
    }
    return databases;
  } finally {
    await store.close();
  }
}

/** Undefined for one that only passed through: nothing of it is proven. */
async function readDatabase(store: Store, name: string): Promise<KnownDatabase | undefined> {
  const [head, fork] = await Promise.all([
    store.readSumdbState(name, 'head'),
    store.readSumdbState(name, 'fork'),
  ]);
  if (head === undefined && fork === undefined) return undefined;
  const state = head === undefined ? undefined : parseObject(head);
  const confirmedAtMs = numberOf(state?.['confirmedAtMs']);
  return {
    name,
    treeSize: treeSizeOf(state?.['note']),
    confirmedAt: confirmedAtMs === null ? null : timeOf(new Date(confirmedAtMs)),
    isForked: fork !== undefined,
    lookups: null,
    tilesFetched: null,
    refused: null,
    fork: fork === undefined ? null : parseFork(name, fork),
  };
}

/** Shown only: no key is at hand here to verify the signature with. */
function treeSizeOf(note: unknown): number | null {
  const size = typeof note === 'string' ? /^go\.sum database tree\n(\d{1,16})\n/.exec(note)?.[1] : undefined;
  return size === undefined ? null : Number(size);
}

const swapTries = 10;

/** Forgets head and fork where no process runs. Rejects with CliError or StoreError. */
export async function resetDatabase(settings: FolderSettings, clock: Clock, name: string): Promise<void> {
  const store = await openForChanging(settings, clock);
  try {
    // In the order in which the head's client forgets them: its copy alone would be taken for what a disk has left, and
    // without the evidence of a fork the head that is known would be trusted on.
    for (const state of ['head_copy', 'head', 'fork'] as const) {
      for (let tries = 0; ; tries += 1) {
        const known = await store.readSumdbState(name, state);
        if (known === undefined || (await store.swapSumdbState(name, state, known, undefined))) break;
        if (tries >= swapTries) {
          throw new CliError(
            'failed',
            `another process changes what is known of ${name}; run the command again`,
          );
        }
      }
    }
  } finally {
    await store.close();
  }
}

function objectOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** Milliseconds since the epoch, a Date or its text. */
function timeOf(value: unknown): string | null {
  if (typeof value !== 'number' && typeof value !== 'string' && !(value instanceof Date)) return null;
  const time = new Date(value);
  return Number.isNaN(time.getTime()) ? null : time.toISOString();
}
