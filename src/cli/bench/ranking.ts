/**
 * Which mirror is better. The score is that of `modferry status`: share of good answers, times how quick the mirror is
 * beside the quickest one, and here also how fast its zips come. Pure.
 */
import { scoreOf, starsOf } from '../../health/record/score.ts';
import type { BenchMirror, BenchModule, Sample } from './bench-types.ts';
import { type MirrorFigures, mirrorFigures } from './mirror-figures.ts';
import { type ByteDispute, type ByteVerdict, findDisputes, verdictOn } from './same-bytes-vote.ts';

export interface RankedMirror extends MirrorFigures {
  readonly url: string;
  /** From 1. */
  readonly rank: number;
  /** 0 to 100. */
  readonly score: number;
  readonly stars: number;
  readonly bytes: ByteVerdict;
  /** Good enough to be named in GOPROXY at all. */
  readonly isUsable: boolean;
}

export interface Ranking {
  /** The best first. */
  readonly mirrors: readonly RankedMirror[];
  readonly disputes: readonly ByteDispute[];
}

/** As far behind the quickest does not matter: ruling 17. */
const toleranceMs = 200;
/** Smaller zips tell of latency, not of speed. */
const speedZipBytes = 256 * 1024;
/** A mirror that gives less than this share of what it is asked for is no mirror. */
const usableShare = 0.5;

export function rankMirrors(
  mirrors: readonly BenchMirror[],
  modules: readonly BenchModule[],
  samples: readonly Sample[],
): Ranking {
  const disputes = findDisputes(samples, modules);
  const figures = mirrors.map(({ name, url }) => ({
    url,
    ...mirrorFigures(name, samples),
    bytes: verdictOn(name, disputes),
  }));
  // Wrong answers may be as quick as they like: nobody is measured by them.
  const honest = figures.filter(({ bytes, all }) => bytes !== 'wrong' && isMostlyGood(all));
  const quickestMs = least(honest.map(({ small }) => small.firstByteMs.p50));
  const fastest = most(honest.map(speedOf));
  const scored = figures.map((one) => {
    const { asked, ok } = one.all;
    const p50Ms = one.small.firstByteMs.p50 ?? undefined;
    const boundMs = quickestMs === undefined ? undefined : quickestMs + toleranceMs;
    const success = asked === 0 ? 0 : ok / asked;
    const score =
      one.bytes === 'wrong' ? 0 : scoreOf({ success, p50Ms, boundMs }) * speedFactor(speedOf(one), fastest);
    const stars = starsOf(score, one.bytes === 'wrong' ? 'out' : 'healthy');
    return { ...one, score, stars, isUsable: one.bytes === 'right' && isMostlyGood(one.all) && hasZips(one) };
  });
  return { mirrors: scored.toSorted(compare).map((one, index) => ({ ...one, rank: index + 1 })), disputes };
}

type Scored = Omit<RankedMirror, 'rank'>;

const verdictOrder: Readonly<Record<ByteVerdict, number>> = { right: 0, unclear: 1, wrong: 2 };

function compare(a: Scored, b: Scored): number {
  return (
    verdictOrder[a.bytes] - verdictOrder[b.bytes] ||
    b.score - a.score ||
    (a.small.firstByteMs.p50 ?? Number.MAX_VALUE) - (b.small.firstByteMs.p50 ?? Number.MAX_VALUE)
  );
}

function isMostlyGood({ asked, ok }: MirrorFigures['all']): boolean {
  return ok > 0 && ok >= asked * usableShare;
}

/** An interrupted run may not have come to any zip. */
function hasZips({ byKind }: MirrorFigures): boolean {
  return byKind.zip === undefined || byKind.zip.ok > 0;
}

/** Bytes a second of large zips; undefined without them. */
function speedOf({ byKind }: MirrorFigures): number | undefined {
  const zips = byKind.zip;
  if (zips === undefined || zips.ok === 0 || zips.sizeBytes / zips.ok < speedZipBytes) return undefined;
  return zips.bytesPerSecond ?? undefined;
}

/** Half the speed of the fastest is as good as all of it; below that it costs up to half of the score. */
function speedFactor(speed: number | undefined, fastest: number | undefined): number {
  if (speed === undefined || fastest === undefined || fastest <= 0) return 1;
  return Math.min(1, Math.max(0.5, (2 * speed) / fastest));
}

function least(values: readonly (number | null)[]): number | undefined {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? undefined : Math.min(...known);
}

function most(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}
