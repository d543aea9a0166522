/**
 * The known head as it is kept in the store: the signed note with the tiles at the right edge of its tree, so that
 * what is kept can be proven without anybody's help. What is read back is trusted only as far as its signature goes.
 */
import { hash } from 'node:crypto';
import { LogError } from './log/log-error.ts';
import type { Verifier } from './log/note.ts';
import { tilePath } from './log/tile.ts';
import { checkHeadTiles, headTiles } from './log/tile-reader.ts';
import { openTreeHead, type TreeHead } from './log/tree-head.ts';
import { tileHeight } from './tiles.ts';
import type { Edges } from './tree.ts';

export interface HeadState {
  readonly head: TreeHead;
  /** The signed note as received. */
  readonly note: Buffer;
  /** Undefined: they are missing or wrong, and to be fetched. */
  readonly edges: Edges | undefined;
  /** Milliseconds since the epoch. */
  readonly confirmedAtMs: number;
  /**
   * Names the moment in which this database was trusted at first sight; every head that follows carries it on. Another
   * one than before tells that an operator has reset what was known.
   */
  readonly beginning: string;
}

/** What was in the place of the state and could not be read is kept beside it, up to this length. */
const maxAsideBytes = 64 * 1024;

export function formatHeadState(state: HeadState, aside: Buffer | undefined): Buffer {
  const edges: Record<string, string> = {};
  for (const [path, { data }] of state.edges ?? []) edges[placeOf(path)] = data.toString('base64');
  const { note, confirmedAtMs, beginning } = state;
  return Buffer.from(
    `${JSON.stringify({
      note: note.toString('utf8'),
      edges,
      confirmedAtMs,
      beginning,
      ...(aside === undefined ? {} : { unreadable: aside.subarray(0, maxAsideBytes).toString('base64') }),
    })}\n`,
  );
}

/** Of a head that is trusted at first sight. */
export function beginningOf({ note }: { readonly note: Buffer }, atMs: number): string {
  return `${atMs}-${hash('sha256', note, 'hex').slice(0, 16)}`;
}

/** Undefined for what is no state, or whose note has no good signature. Edges that are wrong are left out. */
export function parseHeadState(bytes: Buffer, verifier: Verifier): HeadState | undefined {
  const raw = parseObject(bytes);
  if (raw === undefined || typeof raw['note'] !== 'string') return undefined;
  const note = Buffer.from(raw['note'], 'utf8');
  try {
    const head = openTreeHead(note, [verifier]);
    return {
      head,
      note,
      edges: edgesFrom(head, raw['edges']),
      confirmedAtMs: timeFrom(raw['confirmedAtMs']),
      beginning: typeof raw['beginning'] === 'string' ? raw['beginning'] : '',
    };
  } catch (error) {
    if (error instanceof LogError) return undefined;
    throw error;
  }
}

function edgesFrom(head: TreeHead, raw: unknown): Edges | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined;
  const given = new Map<string, unknown>(Object.entries(raw));
  const tiles = headTiles(head, tileHeight).map((tile) => {
    const text = given.get(placeOf(tilePath(tile)));
    return { tile, data: Buffer.from(typeof text === 'string' ? text : '', 'base64') };
  });
  try {
    checkHeadTiles(head, tileHeight, tiles);
    return new Map(tiles.map((one) => [tilePath(one.tile), one]));
  } catch (error) {
    if (error instanceof LogError) return undefined;
    throw error;
  }
}

/** `0/x001/234.p/5` */
function placeOf(path: string): string {
  return path.slice(`tile/${tileHeight}/`.length);
}

/** 0: long ago. */
function timeFrom(raw: unknown): number {
  return typeof raw === 'number' && Number.isSafeInteger(raw) && raw >= 0 ? raw : 0;
}

/** Undefined unless it is a JSON object. */
export function parseObject(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
