/** The result of a bench for people. */
import { formatSize, plural, renderTable } from '../format.ts';
import { type BenchKind, benchKinds } from './bench-types.ts';
import type { FaultCount, Figures } from './mirror-figures.ts';
import type { RankedMirror, Ranking } from './ranking.ts';
import type { Recommendation } from './recommendation.ts';

export interface ReportInput {
  readonly ranking: Ranking;
  readonly recommended: Recommendation;
  /** Where clients of this modferry reach it; undefined when the configuration does not say. */
  readonly ownUrl: string | undefined;
}

const title = [
  '',
  'MIRROR',
  'STARS',
  'OK',
  'DNS',
  'CONNECT',
  'TLS',
  'TTFB P50',
  'P95',
  'ZIP/S',
  'TOTAL P50',
  'ERRORS',
];
const kindTitle = ['MIRROR', 'KIND', 'OK', 'NEW P50', 'KEPT P50', 'P95', 'TOTAL P50', 'SIZE', 'ERRORS'];

/** Ends with a line break. */
export function reportText({ ranking, recommended, ownUrl }: ReportInput): string {
  const { mirrors } = ranking;
  return [
    renderTable([title, ...mirrors.map(mirrorRow)]),
    `\nBy kind; NEW and KEPT are times to the first byte on new and kept connections\n`,
    renderTable([kindTitle, ...mirrors.flatMap(kindRows)]),
    disputesText(ranking),
    faultsText(mirrors),
    recommendationText(recommended, ownUrl),
  ].join('');
}

/** `★★★☆☆`. */
function starsText(stars: number): string {
  return '★'.repeat(stars) + '☆'.repeat(5 - stars);
}

function mirrorRow(mirror: RankedMirror): string[] {
  const { rank, name, stars, all, small, byKind, bytes } = mirror;
  const faults = all.faults.map(faultText);
  if (bytes === 'wrong') faults.unshift('WRONG BYTES');
  if (bytes === 'unclear') faults.unshift('BYTES DIFFER');
  return [
    `${rank}.`,
    name,
    starsText(stars),
    `${all.ok}/${all.asked}`,
    msText(all.dnsMs),
    msText(all.connectMs),
    msText(all.tlsMs),
    msText(small.firstByteMs.p50),
    msText(small.firstByteMs.p95),
    speedText(byKind.zip?.bytesPerSecond ?? null),
    msText(all.totalMs.p50),
    faults.join(', '),
  ];
}

function kindRows({ name, byKind }: RankedMirror): string[][] {
  return benchKinds.flatMap((kind) => {
    const figures = byKind[kind];
    return figures === undefined ? [] : [kindRow(name, kind, figures)];
  });
}

function kindRow(name: string, kind: BenchKind, figures: Figures): string[] {
  const { ok, asked, firstByteNewMs, firstByteKeptMs, firstByteMs, totalMs, sizeBytes, faults } = figures;
  return [
    name,
    kind,
    `${ok}/${asked}`,
    msText(firstByteNewMs.p50),
    msText(firstByteKeptMs.p50),
    msText(firstByteMs.p95),
    msText(totalMs.p50),
    ok === 0 ? '-' : formatSize(Math.round(sizeBytes / ok)),
    faults.map(faultText).join(', '),
  ];
}

/** `status 503 ×4`. */
function faultText({ kind, status, count }: FaultCount): string {
  const what = kind === 'status' ? `status ${status ?? '?'}` : kind.replace('_', ' ');
  return count === 1 ? what : `${what} ×${count}`;
}

function disputesText({ disputes, mirrors }: Ranking): string {
  if (disputes.length === 0) return '';
  const lines = disputes.slice(0, maxLines).map(({ what, mirror, verdict, identity, expected }) => {
    const said = identity ?? 'no such file';
    if (verdict === 'unclear') return `  ${mirror}: ${what} is ${said}; other mirrors have other bytes`;
    return `  ${mirror}: ${what} is ${said}${expected === null ? '' : `, right is ${expected}`}`;
  });
  const more = disputes.length > maxLines ? [`  and ${disputes.length - maxLines} more`] : [];
  const isUnclear = mirrors.some(({ bytes }) => bytes === 'unclear');
  const advice = isUnclear
    ? ['  No majority says which bytes are right: measure together with one more mirror, or look at go.sum']
    : [];
  return `\nNot the same bytes everywhere\n${[...lines, ...more, ...advice].join('\n')}\n`;
}

const maxLines = 20;

function faultsText(mirrors: readonly RankedMirror[]): string {
  const lines = mirrors.flatMap(({ name, all }) =>
    all.faults.map((fault) => `  ${name}: ${fault.message} (${plural(fault.count, 'request')})\n`),
  );
  return lines.length === 0 ? '' : `\nWhat went wrong\n${lines.join('')}`;
}

function recommendationText({ goproxy, yaml }: Recommendation, ownUrl: string | undefined): string {
  if (goproxy === null || yaml === null) return '';
  const own = ownUrl === undefined ? '' : `, then GOPROXY=${ownUrl}`;
  return (
    `\nRecommended for go, which then moves on after any error and to direct after 404 and 410\n` +
    `  go env -w 'GOPROXY=${goproxy}'\n` +
    `\nOr leave the choice to modferry${own}; in modferry.yaml\n${yaml.replaceAll(/^/gm, '  ').trimEnd()}\n`
  );
}

/** Milliseconds, finer where they are few. */
export function msText(ms: number | null): string {
  if (ms === null) return '-';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Decimal megabytes, as networks are measured. */
function speedText(bytesPerSecond: number | null): string {
  if (bytesPerSecond === null) return '-';
  const megabytes = bytesPerSecond / 1e6;
  return `${megabytes < 10 ? megabytes.toFixed(2) : Math.round(megabytes)} MB/s`;
}
