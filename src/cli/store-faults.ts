/** What is told of a stored artifact that is not what it should be, fault by fault. */
import type { ArtifactExt } from '../gomod/types.ts';
import type { FaultKind } from '../scrub/artifact-check.ts';
import type { Treated } from '../scrub/treatment.ts';

export interface StoreFault {
  readonly module: string;
  readonly version: string;
  readonly artifact: ArtifactExt;
  /** `mismatch`: the content is not what the checksum database or a trusted go.sum line says. */
  readonly kind: FaultKind | 'mismatch';
  /** A sentence. */
  readonly detail: string;
  /** `h1:` hashes of a mismatch, and who says what is expected. */
  readonly expected?: string;
  readonly found?: string;
  readonly by?: string;
}

/** None: it is good. */
export function faultsOf({ key, checked, mismatch }: Treated): readonly StoreFault[] {
  const { path: module, version, ext: artifact } = key;
  const about = { module, version, artifact };
  const faults: StoreFault[] = shown(checked).map((fault) => ({ ...about, ...fault }));
  if (mismatch !== undefined) {
    const { expectedH1: expected, foundH1: found, by, reason: detail } = mismatch;
    faults.push({ ...about, kind: 'mismatch', detail, expected, found, by });
  }
  return faults;
}

/** Of a file that changed nothing more is told: what else is wrong with it follows from that. */
function shown({ faults }: Treated['checked']): Treated['checked']['faults'] {
  const changed = faults.find(({ kind }) => kind === 'changed');
  return changed === undefined ? faults : [changed];
}
