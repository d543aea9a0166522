/** The text of `modferry explain`, for people. */
import type { ArtifactFacts, FreshnessFacts, KeptFacts } from '../proxy/explain.ts';
import type { Explanation } from '../service/explain.ts';
import type { LastFetch } from '../service/last-fetches.ts';
import { formatSize, renderTable } from './format.ts';
import { ageText } from './status-table.ts';

/** What the admin socket's `GET /explain` answers. */
export type ExplainAnswer = Explanation;

/** `nowMs`: wall clock, for ages. */
export function explainText(answer: ExplainAnswer, nowMs: number): string {
  const { kept, route, mode } = answer;
  const name = kept.version === null ? kept.module : `${kept.module}@${kept.version}`;
  return [
    `${name}\nroute ${route}, mode ${mode}\n`,
    section('Who is asked for what is not stored', sourceRows(answer)),
    kept.version === null ? '' : section('Stored', storedRows(kept, nowMs)),
    kept.version === null ? '' : lastFetchesText(answer.lastFetches, nowMs),
    section('Lists and @latest', freshnessRows(kept, nowMs)),
    section('Remembered absences', absenceRows(kept)),
  ].join('');
}

function section(title: string, rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  return `\n${title}\n${renderTable(rows.map((row) => [' ', ...row]))}`;
}

function sourceRows({ sources }: ExplainAnswer): string[][] {
  if (sources.length === 0) return [['nobody: no upstream may be asked for it']];
  return sources.map(({ name, place, why }) => [
    place === null || place === undefined ? '-' : `${place}.`,
    name,
    why,
  ]);
}

function storedRows(kept: KeptFacts, nowMs: number): string[][] {
  const rows = Object.entries(kept.artifacts).map(([ext, facts]) => [
    `.${ext}`,
    ...artifactCells(facts, nowMs),
  ]);
  if (kept.withdrawnForS !== null) {
    rows.push(['list', `left out: every source refused it; for ${ageText(kept.withdrawnForS * 1000)} more`]);
  }
  return rows;
}

function artifactCells(facts: ArtifactFacts, nowMs: number): string[] {
  if (facts.state === 'absent') return ['not stored'];
  if (facts.state !== 'stored') return [facts.state, facts.reason];
  return [
    formatSize(facts.sizeBytes),
    `from ${facts.source}`,
    `${ageText(nowMs - facts.storedAtMs)} ago`,
    facts.h1 ?? `sha256 ${facts.sha256}`,
  ];
}

function lastFetchesText(fetches: ExplainAnswer['lastFetches'], nowMs: number): string {
  return Object.entries(fetches)
    .map(([ext, fetch]) => section(lastFetchTitle(ext, fetch, nowMs), outcomeRows(fetch)))
    .join('');
}

function lastFetchTitle(ext: string, { source, atMs, tookMs }: LastFetch, nowMs: number): string {
  const result = source === null ? 'nobody had it' : `from ${source}`;
  return `.${ext} was fetched ${ageText(nowMs - atMs)} ago, ${result}, in ${tookMs} ms`;
}

function outcomeRows({ outcomes }: LastFetch): string[][] {
  return outcomes.map(({ source, code, message, tookMs }) => [
    source,
    code,
    `${Math.round(tookMs)} ms`,
    code === 'ok' ? '' : message.replaceAll(/\s+/g, ' '),
  ]);
}

function freshnessRows({ list, latest }: KeptFacts, nowMs: number): string[][] {
  const rows: string[][] = [];
  if (list !== null) {
    const counts = Object.entries(list.sources).map(([source, count]) => `${source}: ${count}`);
    const listed = list.listedBy.length === 0 ? '' : `; this version by ${list.listedBy.join(', ')}`;
    rows.push(['list', freshnessText(list, nowMs), `${counts.join(', ')} versions${listed}`]);
  }
  if (latest !== null) {
    rows.push(['@latest', freshnessText(latest, nowMs), `${latest.version} from ${latest.source}`]);
  }
  return rows;
}

function freshnessText(
  { state, confirmedAtMs, isRefreshing, lastFailure }: FreshnessFacts,
  nowMs: number,
): string {
  const refresh = isRefreshing ? ', being refreshed' : '';
  const failure = lastFailure === null ? '' : ` (last refresh failed: ${lastFailure.split('\n')[0]})`;
  return `${state}, confirmed ${ageText(nowMs - confirmedAtMs)} ago${refresh}${failure}`;
}

function absenceRows({ negatives }: KeptFacts): string[][] {
  return negatives.map(({ what, message, isPartial, leftS }) => [
    what,
    `${ageText(leftS * 1000)} more`,
    `${message}${isPartial ? ' (a source failed meanwhile)' : ''}`,
  ]);
}
