/**
 * One source's answer for a zip turned into a verified file: into the sink as it comes, hashed on the way, then
 * verified. The bytes may come from another source in the middle (`relay-body.ts`).
 */
import { createHash } from 'node:crypto';
import { UpstreamError } from '../upstream/types.ts';
import type { VerifiedZip } from './growing-body.ts';
import { pump } from './pump.ts';
import type { RelayBody } from './relay-body.ts';
import type { Sink } from './sink.ts';

/** Bodies up to this size are gathered in memory as they arrive: verified and served without reading back. */
const smallZipBytes = 256 * 1024;

export interface ZipAttempt {
  readonly relay: RelayBody;
  readonly sink: Sink;
  /** Length of the whole file; undefined: not declared. */
  readonly declaredBytes: number | undefined;
  readonly limitBytes: number;
  /** So many bytes are readable from the sink. */
  readonly onProgress: (receivedBytes: number) => void;
  verify(input: { file: string } | { buffer: Buffer }): Promise<{ h1: string }>;
  /** Whether a body of this length is worth keeping in memory: several wait for it. */
  isShared(sizeBytes: number): boolean;
  /** Wall clock. */
  now(): number;
}

/** Rejects with what the body, the sink or the verification throws. */
export async function fetchZip(attempt: ZipAttempt): Promise<VerifiedZip> {
  const { relay, sink, declaredBytes, limitBytes } = attempt;
  const hash = createHash('sha256');
  const isSmall = declaredBytes !== undefined && declaredBytes <= smallZipBytes;
  const small: Buffer[] | undefined = isSmall ? [] : undefined;
  const sizeBytes = await pump({
    body: small === undefined ? relay.chunks() : gathered(relay.chunks(), small),
    sink,
    hash,
    limitBytes: declaredBytes ?? limitBytes,
    onTooLong() {
      throw new UpstreamError(relay.answer.upstream, 'refused', 'sent more bytes than allowed');
    },
    onProgress: () => attempt.onProgress(sink.sizeBytes),
  });
  attempt.onProgress(sizeBytes);
  const body = small === undefined ? undefined : Buffer.concat(small, sizeBytes);
  const { h1 } = await attempt.verify(await verifiable(sink, body));
  return {
    sizeBytes,
    sha256: hash.digest('hex'),
    h1,
    source: relay.answer.upstream,
    verifiedAtMs: attempt.now(),
    body: body ?? (attempt.isShared(sizeBytes) ? await readWhole(sink) : undefined),
    isStaged: sink.staged !== undefined,
  };
}

async function verifiable(
  sink: Sink,
  body: Buffer | undefined,
): Promise<{ file: string } | { buffer: Buffer }> {
  if (body !== undefined) return { buffer: body };
  return sink.staged === undefined ? { buffer: await readWhole(sink) } : { file: sink.staged.file };
}

async function* gathered(body: AsyncIterable<Buffer>, into: Buffer[]): AsyncIterable<Buffer> {
  for await (const chunk of body) {
    into.push(chunk);
    yield chunk;
  }
}

async function readWhole(sink: Sink): Promise<Buffer> {
  const whole = Buffer.allocUnsafeSlow(sink.sizeBytes);
  let position = 0;
  while (position < whole.length) {
    const count = await sink.readAt(whole.subarray(position), whole.length - position, position);
    if (count === 0) break;
    position += count;
  }
  return whole.subarray(0, position);
}
