/** How long one upstream may be silent before another is asked beside it: patience and the hedge delay. */
import type { AnswerClass } from '../../upstream/types.ts';
import type { HealthOptions } from '../types.ts';
import { type Candidate, ranks, type Standing } from './standing.ts';

/** Fewer samples than this say nothing of a 99th percentile. */
const minSamples = 20;

type PatienceOptions = Pick<HealthOptions, 'firstByteMs' | 'firstByteFloorMs' | 'hedge'>;

/**
 * Twice the upstream's own p99 of this class, between `firstByteFloorMs` and the configured first-byte timeout; that
 * timeout while fewer than 20 answers are known. A modferry gets the time to change its own source (ruling 20): that
 * is a floor, and lifts the ceiling. One in doubt gets `boundMs` for small answers. Milliseconds.
 */
export function patienceMs(
  { upstream, health, isModferry, failoverMs }: Candidate,
  answerClass: AnswerClass,
  options: PatienceOptions,
  boundMs: () => number | undefined = () => undefined,
): number {
  // Whether it is slow shows as soon as it is silent for longer than the quickest allows.
  const doubtMs = answerClass === 'meta' && health.isDoubted ? boundMs() : undefined;
  if (doubtMs !== undefined) return Math.max(doubtMs, options.hedge.minMs);
  let floorMs = options.firstByteFloorMs;
  let ceilingMs = upstream.firstByteMs?.[answerClass] ?? options.firstByteMs[answerClass];
  if (isModferry === true) {
    // Believed within reason: it is another server's word.
    const toldMs = Math.min(failoverMs ?? 2 * options.firstByteMs.meta, 2 * options.firstByteMs.zip);
    // What it tells is of small files; for zips it has the patience that we have, or more.
    floorMs = Math.max(floorMs, toldMs, answerClass === 'zip' ? options.firstByteMs.zip : 0);
    ceilingMs = Math.max(ceilingMs, floorMs);
  }
  const p99Ms = health.samples(answerClass) < minSamples ? undefined : health.quantileMs(answerClass, 0.99);
  if (p99Ms === undefined) return ceilingMs;
  return Math.min(Math.max(2 * p99Ms, floorMs), ceilingMs);
}

/**
 * After this silence the next one is asked as well (ruling 17): the smaller of its own p95 and twice the p95 of the
 * quickest other, never below `minMs`. A suspect gets `minMs`; where nothing is known, `unknownMs`. Undefined: it is
 * the last of `asked`, or keeps Go's `,` rule. Milliseconds.
 */
export function hedgeMs(
  standing: Standing,
  asked: readonly Standing[],
  answerClass: AnswerClass,
  { minMs, unknownMs }: HealthOptions['hedge'],
): number | undefined {
  if (standing.candidate.upstream.stopsOnError || asked.at(-1) === standing) return undefined;
  if (standing.rank >= ranks.suspect) return minMs;
  let delayMs = standing.candidate.health.quantileMs(answerClass, 0.95);
  for (const other of asked) {
    // What a suspect or lost one once took promises nothing now.
    if (other === standing || other.rank >= ranks.suspect) continue;
    const p95Ms = other.candidate.health.quantileMs(answerClass, 0.95);
    if (p95Ms !== undefined && (delayMs === undefined || 2 * p95Ms < delayMs)) delayMs = 2 * p95Ms;
  }
  return Math.max(delayMs ?? unknownMs, minMs);
}
