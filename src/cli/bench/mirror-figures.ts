/** The figures of one mirror, out of its samples. Pure. */
import { type BenchFaultKind, type BenchKind, benchKinds, type Sample } from './bench-types.ts';

/** Milliseconds; null where there was nothing to measure. */
export interface Spread {
  readonly p50: number | null;
  readonly p95: number | null;
}

export interface FaultCount {
  readonly kind: BenchFaultKind;
  /** Of `status`. */
  readonly status: number | null;
  readonly count: number;
  /** What the first of them said. */
  readonly message: string;
}

/** Some of a mirror's requests. Only good ones count for times. */
export interface Figures {
  readonly asked: number;
  readonly ok: number;
  /** Medians of each step, over the requests that took it. */
  readonly dnsMs: number | null;
  readonly connectMs: number | null;
  readonly proxyMs: number | null;
  readonly tlsMs: number | null;
  readonly firstByteMs: Spread;
  /** On new and on kept connections apart. */
  readonly firstByteNewMs: Spread;
  readonly firstByteKeptMs: Spread;
  readonly totalMs: Spread;
  readonly sizeBytes: number;
  /** All bytes by all the time they took; null without a byte. */
  readonly bytesPerSecond: number | null;
  /** The most frequent first. */
  readonly faults: readonly FaultCount[];
}

export interface MirrorFigures {
  readonly name: string;
  readonly all: Figures;
  /** List, .info, .mod and @latest: their times are the mirror's, not the file's. */
  readonly small: Figures;
  readonly byKind: Readonly<Partial<Record<BenchKind, Figures>>>;
}

export function mirrorFigures(name: string, samples: readonly Sample[]): MirrorFigures {
  const own = samples.filter((sample) => sample.mirror === name);
  const byKind: Partial<Record<BenchKind, Figures>> = {};
  for (const kind of benchKinds) {
    const some = own.filter((sample) => sample.kind === kind);
    if (some.length > 0) byKind[kind] = figuresOf(some);
  }
  return {
    name,
    all: figuresOf(own),
    small: figuresOf(own.filter(({ kind }) => kind !== 'zip')),
    byKind,
  };
}

export function figuresOf(samples: readonly Sample[]): Figures {
  const good = samples.filter(({ fault }) => fault === null);
  const sizeBytes = sum(good.map((sample) => sample.sizeBytes));
  const spentMs = sum(good.map(({ totalMs }) => totalMs));
  return {
    asked: samples.length,
    ok: good.length,
    dnsMs: median(good.map(({ dnsMs }) => dnsMs)),
    connectMs: median(good.map(({ connectMs }) => connectMs)),
    proxyMs: median(good.map(({ proxyMs }) => proxyMs)),
    tlsMs: median(good.map(({ tlsMs }) => tlsMs)),
    firstByteMs: firstBytes(good),
    firstByteNewMs: firstBytes(good.filter(({ isReused }) => !isReused)),
    firstByteKeptMs: firstBytes(good.filter(({ isReused }) => isReused)),
    totalMs: spreadOf(good.map(({ totalMs }) => totalMs)),
    sizeBytes,
    bytesPerSecond: sizeBytes === 0 || spentMs <= 0 ? null : (sizeBytes / spentMs) * 1000,
    faults: countFaults(samples),
  };
}

/**
 * The smallest value that at least `share` (0 to 1) of all values do not exceed (nearest rank); null without values.
 */
export function percentile(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = Math.min(sorted.length, Math.max(1, Math.ceil(share * sorted.length)));
  return sorted[rank - 1] ?? null;
}

function firstBytes(samples: readonly Sample[]): Spread {
  return spreadOf(samples.map(({ firstByteMs }) => firstByteMs));
}

function spreadOf(values: readonly (number | null)[]): Spread {
  const known = values.filter((value) => value !== null);
  return { p50: percentile(known, 0.5), p95: percentile(known, 0.95) };
}

function median(values: readonly (number | null)[]): number | null {
  return spreadOf(values).p50;
}

function countFaults(samples: readonly Sample[]): FaultCount[] {
  const counts = new Map<string, FaultCount>();
  for (const { fault, status } of samples) {
    if (fault === null) continue;
    const said = fault.kind === 'status' ? status : null;
    const key = `${fault.kind} ${said ?? ''}`;
    const known = counts.get(key);
    const count = (known?.count ?? 0) + 1;
    counts.set(key, { kind: fault.kind, status: said, count, message: known?.message ?? fault.message });
  }
  return [...counts.values()].toSorted((a, b) => b.count - a.count);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
