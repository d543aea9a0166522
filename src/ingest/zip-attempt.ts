/**
 * One source's answer for a zip turned into a verified file: into the sink as it comes, hashed and checked on the
 * way, and once more at the end where that proved nothing. The bytes may come from another source in the middle (`relay-body.ts`).
 */
import { createHash } from 'node:crypto';
import { pump } from '../lib/pump.ts';
import type { SuspectBytes } from '../store/quarantine.ts';
import type { Trust } from '../store/store.ts';
import { UpstreamError } from '../upstream/types.ts';
import type { StagedPart, ZipStream } from '../zip/stream-feed.ts';
import type { ZipOddity } from '../zip/zip-types.ts';
import type { VerifiedZip } from './growing-body.ts';
import type { Came, Found } from './proving.ts';
import type { RelayBody } from './relay-body.ts';
import type { Sink } from './sink.ts';

/** Bodies up to this size are gathered in memory as they arrive: verified and served without reading back. */
const smallZipBytes = 256 * 1024;

/** Of a well-formed module zip. */
export interface ZipVerdict {
  readonly h1: string;
  /** Extra rules that are broken: no matter where the content is proven. */
  readonly oddities?: readonly ZipOddity[] | undefined;
}

export interface ZipAttempt {
  readonly relay: RelayBody;
  readonly sink: Sink;
  /** Length of the whole file; undefined: not declared. */
  readonly declaredBytes: number | undefined;
  readonly limitBytes: number;
  /** With each chunk that comes; what it throws ends the attempt. */
  onChunk(): void;
  /** So many bytes are readable from the sink. */
  readonly onProgress: (receivedBytes: number) => void;
  verify(input: { file: string } | { buffer: Buffer }): Promise<ZipVerdict>;
  /** The check while the bytes arrive, for what is not small. What it does not prove goes to `verify`. Default: none. */
  openStream?(staged: () => StagedPart | undefined): ZipStream | undefined;
  readonly signal: AbortSignal;
  /** What `verify` found, held against what it must be. */
  prove(found: Found, bytes: SuspectBytes): Promise<Trust>;
  /** It came whole, and `verify` rejected with this. */
  spoilt(came: Came, error: unknown, bytes: SuspectBytes): Promise<void>;
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
  const stream = isSmall ? undefined : attempt.openStream?.(() => stagedPart(sink));
  let sizeBytes: number;
  let streamed: ZipVerdict | undefined;
  try {
    sizeBytes = await pump({
      body: watched(relay.chunks(), (chunk) => {
        small?.push(chunk);
        stream?.push(chunk);
      }),
      sink,
      hash,
      limitBytes: declaredBytes ?? limitBytes,
      onTooLong() {
        throw new UpstreamError(relay.answer.upstream, 'refused', 'sent more bytes than allowed');
      },
      onChunk: () => attempt.onChunk(),
      onProgress: () => attempt.onProgress(sink.sizeBytes),
    });
    attempt.onProgress(sizeBytes);
    streamed = await stream?.finish(attempt.signal);
  } finally {
    stream?.close();
  }
  const body = small === undefined ? undefined : Buffer.concat(small, sizeBytes);
  const sha256 = hash.digest('hex');
  const came = { sha256, sizeBytes, sources: relay.sourceNames, headers: relay.answer.headers };
  const verdict =
    streamed ??
    (await attempt.verify(await verifiable(sink, body)).catch(async (error: unknown) => {
      await attempt.spoilt(came, error, suspectBytes(sink, body));
      throw error;
    }));
  const { h1, oddities } = verdict;
  const trust = await attempt.prove({ ...came, h1, oddities }, suspectBytes(sink, body));
  return {
    sizeBytes,
    sha256,
    h1,
    trust,
    source: relay.answer.upstream,
    verifiedAtMs: attempt.now(),
    body: body ?? (attempt.isShared(sizeBytes) ? await readWhole(sink) : undefined),
    isStaged: sink.staged !== undefined,
  };
}

function suspectBytes(sink: Sink, body: Buffer | undefined): SuspectBytes {
  if (sink.staged !== undefined) return { staged: sink.staged };
  return body === undefined ? undefined : { body };
}

async function verifiable(
  sink: Sink,
  body: Buffer | undefined,
): Promise<{ file: string } | { buffer: Buffer }> {
  if (body !== undefined) return { buffer: body };
  return sink.staged === undefined ? { buffer: await readWhole(sink) } : { file: sink.staged.file };
}

async function* watched(
  body: AsyncIterable<Buffer>,
  onChunk: (chunk: Buffer) => void,
): AsyncIterable<Buffer> {
  for await (const chunk of body) {
    onChunk(chunk);
    yield chunk;
  }
}

function stagedPart(sink: Sink): StagedPart | undefined {
  if (sink.staged === undefined) return undefined;
  return { file: sink.staged.file, readableBytes: sink.sizeBytes };
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
