/** Headers that tell by what an artifact is proven, and where it came from. */
import type { Provenance } from '../proxy/types.ts';

/** `proof` names neither upstreams nor imports; `full` does. */
export type ProvenanceSetting = 'off' | 'proof' | 'full';

/**
 * Flat name-value pairs. `X-Modferry-Proof`: `sumdb NAME RECORD TREESIZE`, `go.sum` (with `full` its label behind it),
 * `operator`, or `none REASON`; left out where nothing is known, and for a .info.
 */
export function provenanceHeaders(
  provenance: Provenance | undefined,
  setting: ProvenanceSetting,
): readonly string[] {
  if (provenance === undefined || setting === 'off') return [];
  const proof = proofText(provenance, setting === 'full');
  const headers = proof === undefined ? [] : ['X-Modferry-Proof', plain(proof)];
  if (setting === 'full') {
    headers.push('X-Modferry-Source', plain(provenance.origin));
    headers.push('X-Modferry-Stored-At', new Date(provenance.atMs).toISOString());
  }
  return headers;
}

function proofText({ proof, unproven }: Provenance, isFull: boolean): string | undefined {
  // Nothing ever proves a .info.
  if (proof === undefined)
    return unproven === undefined || unproven === 'none' ? undefined : `none ${unproven}`;
  if (proof.by === 'sumdb') return `sumdb ${proof.database} ${proof.recordId} ${proof.treeSize}`;
  if (proof.by === 'operator') return 'operator';
  // A label is the name of a file as somebody typed it, with all that it tells of his machine.
  return isFull ? `go.sum ${proof.label}` : 'go.sum';
}

/** Labels and names are free text; a header takes printable ASCII. */
function plain(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200);
}
