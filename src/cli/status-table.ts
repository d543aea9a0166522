/** The table of `modferry status`: one upstream a line, for people. */
import type { UpstreamFigures } from '../health/types.ts';
import { renderTable } from './format.ts';

/** What the admin socket's `GET /status` answers, as far as the table shows it. */
export interface StatusAnswer {
  readonly version: string;
  readonly startedAt: string;
  readonly urls: readonly string[];
  readonly draining: boolean;
  readonly mode: { readonly mode: string; readonly untilMs: number | null };
  readonly isFrozen: boolean;
  readonly strategy: Readonly<Record<string, string>>;
  readonly upstreams: readonly UpstreamFigures[];
  readonly store: { readonly usedBytes?: number; readonly freeBytes?: number; readonly totalBytes?: number };
  readonly fills: number;
  /** Left out by a modferry that is older than this command. */
  readonly proofs?: {
    readonly database: string | null;
    readonly mode: string;
    readonly unproven: boolean;
    readonly databases: readonly {
      readonly name: string;
      readonly treeSize?: number | null;
      readonly isForked: boolean;
    }[];
  };
}

const header = [
  '',
  'NAME',
  'STATE',
  'STARS',
  'OK 24H',
  'P50',
  'P95',
  'JITTER',
  'BREAKER',
  'SINCE',
  'LAST ERROR',
];

/** `nowMs`: wall clock, for ages. */
export function statusText(status: StatusAnswer, nowMs: number): string {
  const since = ageText(nowMs - Date.parse(status.startedAt));
  const first = `modferry ${status.version}, up ${since}, mode ${modeText(status.mode, nowMs)}${
    status.isFrozen ? ', order frozen' : ''
  }${status.draining ? ', stopping' : ''}`;
  const rows = status.upstreams.map((upstream) => row(upstream, nowMs));
  const notes = status.upstreams.some(({ favouriteOf }) => favouriteOf.length > 0)
    ? '→ is asked first; figures are of the last 5 minutes unless they say otherwise\n'
    : '';
  const table = rows.length === 0 ? 'no upstreams\n' : renderTable([header, ...rows]);
  const urls = status.urls.map((url) => `listening on ${url}\n`).join('');
  return `${first}\n${urls}${proofText(status.proofs)}\n${table}${notes}`;
}

function proofText(proofs: StatusAnswer['proofs']): string {
  if (proofs === undefined) return '';
  const { database, mode, unproven, databases } = proofs;
  const forked = databases.filter(({ isForked }) => isForked).map(({ name }) => name);
  const alarm =
    forked.length === 0 ? '' : `; FORKED: ${forked.join(', ')}, see modferry sumdb show ${forked[0]}`;
  if (unproven || database === null) return `modules are unproven: checksums are off${alarm}\n`;
  const size = databases.find(({ name }) => name === database)?.treeSize;
  const tree = typeof size === 'number' ? `, ${size} records` : '';
  return `modules are proven by ${database}${tree}, mode ${mode}${alarm}\n`;
}

function row(upstream: UpstreamFigures, nowMs: number): string[] {
  const recent = upstream.windows['5m'];
  const error = upstream.lastError;
  return [
    upstream.favouriteOf.length > 0 ? '→' : ' ',
    upstream.level === 1 ? upstream.name : `${upstream.name} (level ${upstream.level})`,
    stateText(upstream, nowMs),
    '★'.repeat(upstream.stars) + '☆'.repeat(5 - upstream.stars),
    percentText(upstream.windows['24h'].successRate),
    msText(recent.p50Ms),
    msText(recent.p95Ms),
    msText(upstream.jitterMs),
    breakerText(upstream, nowMs),
    ageText(nowMs - upstream.sinceMs),
    error === undefined || error === null
      ? '-'
      : `${error.code}: ${shortened(error.message)} (${ageText(nowMs - error.atMs)} ago)`,
  ];
}

/** What an operator did goes before what was observed. */
function stateText(upstream: UpstreamFigures, nowMs: number): string {
  if (upstream.isTakenOut) return 'taken out';
  const { restUntilMs } = upstream;
  const rests = typeof restUntilMs === 'number' && restUntilMs > nowMs;
  const state = rests ? `resting ${ageText(restUntilMs - nowMs)}` : upstream.state;
  return upstream.isPinned ? `${state}, pinned` : state;
}

function breakerText({ breaker, breakerUntilMs }: UpstreamFigures, nowMs: number): string {
  if (breaker === 'open' && typeof breakerUntilMs === 'number')
    return `open ${ageText(breakerUntilMs - nowMs)}`;
  return breaker === 'half_open' ? 'half open' : breaker;
}

function modeText({ mode, untilMs }: StatusAnswer['mode'], nowMs: number): string {
  return typeof untilMs === 'number' ? `${mode} for ${ageText(untilMs - nowMs)} more` : mode;
}

function percentText(ratio: number | undefined | null): string {
  return typeof ratio === 'number' ? `${(Math.floor(ratio * 1000) / 10).toFixed(1)} %` : '-';
}

function msText(ms: number | undefined | null): string {
  if (typeof ms !== 'number') return '-';
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function shortened(text: string): string {
  const oneLine = text.replaceAll(/\s+/g, ' ');
  return oneLine.length > 60 ? `${oneLine.slice(0, 59)}…` : oneLine;
}

/** The two largest units: `3d 4h`, `12m 5s`, `8s`. */
export function ageText(ms: number): string {
  const total = Math.max(0, Math.round(ms / 1000));
  const parts: [number, string][] = [
    [Math.floor(total / 86_400), 'd'],
    [Math.floor(total / 3600) % 24, 'h'],
    [Math.floor(total / 60) % 60, 'm'],
    [total % 60, 's'],
  ];
  const from = parts.findIndex(([count]) => count > 0);
  if (from < 0) return '0s';
  return parts
    .slice(from, from + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ');
}
