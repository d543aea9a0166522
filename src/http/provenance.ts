/** Headers that tell by what an artifact is proven, and where it came from. */
import type { Provenance } from '../proxy/types.ts';

/** `proof` names no upstream; `full` does. */
export type ProvenanceSetting = 'off' | 'proof' | 'full';

/**
 * Flat name-value pairs. `X-Modferry-Proof`: `sumdb NAME RECORD TREESIZE`, `go.sum LABEL`, `operator`, or
 * `none REASON`; left out where nothing is known.
 */
export function provenanceHeaders(
  provenance: Provenance | undefined,
  setting: ProvenanceSetting,
): readonly string[] {
  if (provenance === undefined || setting === 'off') return [];
  const proof = proofText(provenance);
  const headers = proof === undefined ? [] : ['X-Modferry-Proof', plain(proof)];
  if (setting === 'full') {
    headers.push('X-Modferry-Source', plain(provenance.origin));
    headers.push('X-Modferry-Stored-At', new Date(provenance.atMs).toISOString());
  }
  return headers;
}

function proofText({ proof, unproven }: Provenance): string | undefined {
  if (proof === undefined) return unproven === undefined ? undefined : `none ${unproven}`;
  if (proof.by === 'sumdb') return `sumdb ${proof.database} ${proof.recordId} ${proof.treeSize}`;
  return proof.by === 'go.sum' ? `go.sum ${proof.label}` : 'operator';
}

/** Labels and names are free text; a header takes printable ASCII. */
function plain(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200);
}
