/**
 * Do all mirrors give the same bytes? The hash known beforehand decides, else the majority of the mirrors. Pure.
 */
import type { BenchModule, Sample } from './bench-types.ts';

/**
 * `wrong`: a zip or .mod that is not what it must be. `unclear`: mirrors disagree and none of them has the majority.
 */
export type ByteVerdict = 'right' | 'wrong' | 'unclear';

export interface ByteDispute {
  /** e.g. `example.com/a@v1.0.0.zip`. */
  readonly what: string;
  readonly mirror: string;
  readonly verdict: 'wrong' | 'unclear';
  /** Its own hash; null when what came is no such file at all. */
  readonly identity: string | null;
  /** The right one, where one is known. */
  readonly expected: string | null;
}

/** Everything that is not right, at most one entry for each file and mirror. */
export function findDisputes(samples: readonly Sample[], modules: readonly BenchModule[]): ByteDispute[] {
  const disputes: ByteDispute[] = [];
  for (const [what, file] of groupFiles(samples)) {
    const pinned = modules.find(
      ({ path, query }) => file.kind === 'zip' && path === file.module && query === file.version,
    )?.zipH1;
    const expected = pinned ?? majorityOf(file.saidBy);
    for (const [mirror, said] of file.saidBy) {
      const other = [...said].find((identity) => identity !== expected);
      if (other === undefined) continue;
      const verdict = other === null || expected !== undefined || said.size > 1 ? 'wrong' : 'unclear';
      disputes.push({ what, mirror, verdict, identity: other, expected: expected ?? null });
    }
  }
  return disputes;
}

/** The worst that is held against a mirror. */
export function verdictOn(mirror: string, disputes: readonly ByteDispute[]): ByteVerdict {
  const own = disputes.filter((dispute) => dispute.mirror === mirror);
  if (own.some(({ verdict }) => verdict === 'wrong')) return 'wrong';
  return own.length > 0 ? 'unclear' : 'right';
}

interface FileVotes {
  readonly module: string;
  readonly version: string;
  readonly kind: Sample['kind'];
  /** By mirror; null stands for a whole body that is no such file. */
  readonly saidBy: Map<string, Set<string | null>>;
}

function groupFiles(samples: readonly Sample[]): Map<string, FileVotes> {
  const files = new Map<string, FileVotes>();
  for (const { module, version, kind, mirror, identity, fault } of samples) {
    if (version === undefined || (kind !== 'zip' && kind !== 'mod')) continue;
    // What failed on the way says nothing of the bytes there.
    if (fault !== null && fault.kind !== 'content') continue;
    const what = `${module}@${version}.${kind}`;
    const file = files.get(what) ?? { module, version, kind, saidBy: new Map<string, Set<string | null>>() };
    files.set(what, file);
    const said = file.saidBy.get(mirror) ?? new Set();
    file.saidBy.set(mirror, said.add(identity));
  }
  return files;
}

/** What more than half of the mirrors that gave a real file agree on; undefined when there is no such thing. */
function majorityOf(saidBy: ReadonlyMap<string, ReadonlySet<string | null>>): string | undefined {
  const votes = new Map<string, number>();
  let voters = 0;
  for (const said of saidBy.values()) {
    const [only] = said;
    // Who says different things has no vote.
    if (said.size !== 1 || only === null || only === undefined) continue;
    voters += 1;
    votes.set(only, (votes.get(only) ?? 0) + 1);
  }
  return [...votes].find(([, count]) => count * 2 > voters)?.[0];
}
