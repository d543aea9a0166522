/** An answer of a checksum database as a reply. */
import { sha256Of } from './artifact-service.ts';
import type { BytesReply } from './types.ts';

export interface SumdbBody {
  readonly body: Buffer;
  /** As in the access log. */
  readonly source: string;
  /** True: what this URL means never changes. */
  readonly isFinal: boolean;
  /** Hashes are no text; default false. */
  readonly isHashes?: boolean;
  /** Of the body, where it is known. Default: computed. */
  readonly sha256?: string;
}

export function sumdbReply({ body, source, isFinal, isHashes = false, sha256 }: SumdbBody): BytesReply {
  return {
    kind: 'bytes',
    body,
    sha256: sha256 ?? sha256Of(body),
    lastModifiedMs: undefined,
    contentType: isHashes ? 'octets' : 'text',
    cache: { kind: isFinal ? 'immutable' : 'none' },
    source,
    keep: false,
  };
}
