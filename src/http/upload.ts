/**
 * Uploads: `PUT /{module}/@v/{version}.zip` publishes a version, `DELETE` takes it back. Nothing of a body is asked for
 * before it is known that the client may send it, and that it is not too long.
 */
import type { IncomingMessage } from 'node:http';
import type { Audit, AuditEntry } from '../audit/types.ts';
import { escapePath } from '../gomod/module-path.ts';
import type { ArtifactKey } from '../gomod/types.ts';
import { escapeVersion } from '../gomod/version.ts';
import type { Clock } from '../lib/clock.ts';
import { errnoOf, ModferryError, messageOf } from '../lib/errors.ts';
import type { Operation } from '../proxy/operation.ts';
import { PublishError, type PublishErrorCode, type Registry } from '../publish/types.ts';
import { exemptFromBodyTimeout } from './body-timeout.ts';
import type { Exchange } from './exchange.ts';
import { type Admitted, type Gate, nameOf } from './gate.ts';
import { headerOf } from './hop.ts';
import { endLingering } from './linger.ts';

export interface UploadDeps {
  readonly registry: Pick<Registry, 'publish' | 'unpublish'>;
  readonly gate: Pick<Gate, 'admit'>;
  readonly audit: Audit;
  readonly clock: Clock;
  /** `''`, or with a leading and without a trailing slash. */
  readonly pathPrefix: string;
  /** Longest zip that may be uploaded. Bytes. */
  maxZipBytes(): number;
}

/** Header of a DELETE: why the version is taken back. UTF-8. */
export const reasonHeader = 'x-modferry-reason';

export type ArtifactOperation = Operation & { readonly kind: 'artifact' };

/** True for what `handleUpload` answers. */
export function isUpload(method: string | undefined, operation: Operation): operation is ArtifactOperation {
  return (
    (method === 'PUT' || method === 'DELETE') && operation.kind === 'artifact' && operation.key.ext === 'zip'
  );
}

/**
 * Answers a PUT or DELETE. Rejects with the signal's reason when the client went away, and with what has an answer in
 * the table of `status.ts` or none.
 */
export async function handleUpload(
  exchange: Exchange,
  { key }: ArtifactOperation,
  signal: AbortSignal,
  deps: UploadDeps,
): Promise<void> {
  const isPublish = exchange.request.method === 'PUT';
  const wanted = { right: isPublish ? 'publish' : 'admin', path: key.path } as const;
  const admitted = await deps.gate.admit(exchange, wanted, signal);
  if (admitted === undefined) return;
  if (admitted === 'unserved') {
    await refuse(exchange, deps, 403, 'nothing can be published under this path');
    return;
  }
  const note = noteOf(isPublish ? 'publish' : 'unpublish', key, admitted, deps.audit);
  try {
    if (isPublish) await publish(exchange, key, admitted, signal, deps, note);
    else await unpublish(exchange, key, admitted, deps, note);
  } catch (error) {
    const answer = answerTo(error);
    const isGone = signal.aborted || (answer === undefined && isClientGone(error));
    const reason = isGone ? 'the client went away' : messageOf(error);
    note({ result: answer !== undefined && answer.status < 500 && !isGone ? 'refused' : 'failed', reason });
    if (isGone) signal.throwIfAborted();
    if (answer === undefined || isGone) throw error;
    await refuse(exchange, deps, answer.status, answer.text, answer.headers);
  }
}

type Note = (more: Pick<AuditEntry, 'result'> & Partial<AuditEntry>) => void;

async function publish(
  exchange: Exchange,
  key: ArtifactKey,
  { identity }: Admitted,
  signal: AbortSignal,
  deps: UploadDeps,
  note: Note,
): Promise<void> {
  const { request } = exchange;
  const { path, version } = key;
  const coding = headerOf(request, 'content-encoding');
  if (coding !== undefined && coding.toLowerCase() !== 'identity') {
    const text = 'a module zip is sent as it is, without a Content-Encoding';
    note({ result: 'refused', reason: text });
    await refuse(exchange, deps, 415, text);
    return;
  }
  const declaredBytes = declaredBytesOf(request);
  const maxBytes = deps.maxZipBytes();
  if (declaredBytes !== undefined && declaredBytes > maxBytes) {
    throw new PublishError(
      'too_large',
      `the upload of ${declaredBytes} bytes is over the limit of ${maxBytes} for a module zip here; leave large files out of the module`,
    );
  }
  exemptFromBodyTimeout(request);
  const published = await deps.registry.publish({
    path,
    version,
    body: bodyOf(exchange),
    declaredBytes,
    who: nameOf(identity),
    signal,
  });
  const { outcome, h1, goModH1, sizeBytes } = published;
  note({ result: 'ok', data: { outcome, h1, size: sizeBytes } });
  const url = urlOf(request, key, deps.pathPrefix);
  json(
    exchange,
    outcome === 'published' ? 201 : 200,
    { module: path, version, h1, goModH1, size: sizeBytes, url },
    { location: url },
  );
}

/** The client is told to send when the first byte is wanted, and not before. */
async function* bodyOf({ request, response }: Exchange): AsyncGenerator<Buffer> {
  if (expectsContinue(request)) response.writeContinue();
  // The request outlives its body: the answer goes out on the same socket.
  yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
}

async function unpublish(
  exchange: Exchange,
  { path, version }: ArtifactKey,
  { identity }: Admitted,
  deps: UploadDeps,
  note: Note,
): Promise<void> {
  const reason = utf8Of(headerOf(exchange.request, reasonHeader) ?? '');
  if (reason.trim() === '') {
    throw new PublishError('invalid', 'a reason is needed; send it in the header X-Modferry-Reason');
  }
  const tombstone = await deps.registry.unpublish(path, version, reason, nameOf(identity));
  note({ result: 'ok', reason: tombstone.reason });
  const { who, atMs } = tombstone;
  json(exchange, 200, {
    module: path,
    version,
    reason: tombstone.reason,
    who,
    time: new Date(atMs).toISOString(),
  });
}

function noteOf(
  action: 'publish' | 'unpublish',
  { path, version }: ArtifactKey,
  { identity, address }: Admitted,
  audit: Audit,
): Note {
  return (more) =>
    audit.note({
      action,
      who: nameOf(identity),
      from: address === '' ? 'local' : address,
      module: path,
      version,
      ...more,
    });
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const statusOf: Readonly<Record<PublishErrorCode, number>> = {
  exists: 409,
  tombstone: 409,
  invalid: 400,
  too_large: 413,
  absent: 404,
  slow: 408,
  disk_full: 503,
  busy: 503,
};

/** Trouble that passes: the same upload may be sent again. Seconds. */
const retryAfterS: Readonly<Record<string, string>> = {
  verifier_busy: '5',
  verifier_closed: '5',
  purged: '1',
  locked: '10',
  lock_lost: '1',
};

/** Undefined: the table of `status.ts` knows, or it is a fault of ours. */
function answerTo(error: unknown): Answer | undefined {
  if (error instanceof PublishError) {
    const status = statusOf[error.code];
    return { status, text: error.message, ...(status === 503 ? { headers: { 'retry-after': '10' } } : {}) };
  }
  if (!(error instanceof ModferryError)) return undefined;
  const after = retryAfterS[error.code];
  return after === undefined
    ? undefined
    : { status: 503, text: error.message, headers: { 'retry-after': after } };
}

/** What node throws out of a body whose connection ended. */
function isClientGone(error: unknown): boolean {
  return errnoOf(error) === 'ECONNRESET' || errnoOf(error) === 'ERR_STREAM_PREMATURE_CLOSE';
}

async function refuse(
  exchange: Exchange,
  { clock }: UploadDeps,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { request, response } = exchange;
  // Printable, and one line: it is shown on terminals.
  const body = Buffer.from(`${text.replaceAll(/\p{C}+/gu, ' ')}\n`);
  const isWaiting = expectsContinue(request) && !request.readableDidRead;
  const close = request.complete ? {} : { connection: 'close' };
  response.writeHead(status, {
    ...headersOf(exchange, 'text/plain; charset=utf-8', body),
    ...headers,
    ...close,
  });
  exchange.log(status, body.length, 'none', false);
  // A client that waits for 100 sends nothing that would have to be read away.
  if (isWaiting) response.end(body);
  else await endLingering(request, response, body, clock);
}

function json(
  exchange: Exchange,
  status: number,
  value: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  exchange.response.writeHead(status, { ...headersOf(exchange, 'application/json', body), ...headers });
  exchange.response.end(body);
  exchange.log(status, body.length, 'published', false);
}

function headersOf(exchange: Exchange, contentType: string, body: Buffer): Record<string, string | number> {
  return {
    'content-type': contentType,
    'content-length': body.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-request-id': exchange.id,
  };
}

/** Node has refused every value that is no number. */
function declaredBytesOf(request: IncomingMessage): number | undefined {
  const text = headerOf(request, 'content-length');
  if (text !== undefined) return Number(text);
  return headerOf(request, 'transfer-encoding') === undefined ? 0 : undefined;
}

function expectsContinue(request: IncomingMessage): boolean {
  return headerOf(request, 'expect')?.toLowerCase() === '100-continue';
}

/** Node reads headers as Latin-1; what is not UTF-8 is left as it came. */
function utf8Of(text: string): string {
  const bytes = Buffer.from(text, 'latin1');
  const decoded = bytes.toString('utf8');
  return decoded.includes('\u{fffd}') ? text : decoded;
}

/** Where the zip can be had from now on, as the client called us. */
function urlOf(request: IncomingMessage, { path, version }: ArtifactKey, prefix: string): string {
  const target = `${prefix}/${escapePath(path)}/@v/${escapeVersion(version)}.zip`;
  const host = headerOf(request, 'host') ?? '';
  if (!/^[\w.:[\]-]{1,255}$/.test(host)) return target;
  const isTls = 'encrypted' in request.socket && request.socket.encrypted === true;
  return `${isTls ? 'https' : 'http'}://${host}${target}`;
}
