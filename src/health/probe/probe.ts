/** One probe of one upstream: what to ask for, and what the answer says about its health. */
import { createHash } from 'node:crypto';
import { looksLikeHtml } from '../../gomod/html.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { ParentFacts } from '../../upstream/parent-headers.ts';
import { readBody } from '../../upstream/read-body.ts';
import { type Upstream, UpstreamError } from '../../upstream/types.ts';
import type { HealthOptions, Observation, UpstreamHealth } from '../types.ts';

/** An upstream as the prober sees it. */
export interface ProbeTarget {
  readonly name: string;
  /** The plain one: a probe is no request and must not be counted as one. */
  readonly upstream: Pick<Upstream, 'fetch' | 'parent'>;
  /** Of its own entry; undefined: the general one, or `/readyz` of a modferry. `off`: never probed. */
  readonly probe: { readonly path: string; readonly sha256: string } | 'off' | undefined;
  isModferry(): boolean;
  /** Called after each probe of an upstream that is known to be a modferry. Default: nobody cares. */
  noteParent?(facts: ParentFacts): void;
  readonly health: Pick<UpstreamHealth, 'state' | 'breaker' | 'restUntilMs'> & {
    observe(observation: Observation): void;
    tick(): void;
  };
}

export interface ProbeQuestion {
  readonly path: string;
  /** Empty: the body is not compared. */
  readonly sha256: string;
  /** Asks a parent modferry whether it takes requests. */
  readonly isReadiness: boolean;
}

/** A probe's file is small; what is longer is not that file. */
export const maxProbeBytes = 64 * 1024;

/** The general probe of the configuration's defaults: `module github.com/pkg/errors` and a line end. */
export const defaultProbe = {
  path: '/github.com/pkg/errors/@v/v0.9.1.mod',
  sha256: 'df28c6a823f181d76179697177c0c5943c6ffb38f3c10b2dc53be360ee7d4589',
} as const;

/** What its entry says, else `/readyz` of a modferry, else the general probe. */
export function questionFor(
  target: ProbeTarget,
  general: Pick<HealthOptions['probe'], 'path' | 'sha256'>,
): ProbeQuestion {
  const own = typeof target.probe === 'object' ? target.probe : undefined;
  if (own === undefined && target.isModferry()) return { path: '/readyz', sha256: '', isReadiness: true };
  const { path, sha256 } = own ?? general;
  const known = path === defaultProbe.path ? defaultProbe.sha256 : '';
  return { path, sha256: sha256 === '' ? known : sha256, isReadiness: false };
}

/**
 * Asks once and reads the answer whole. Never rejects. `controller` ends it: by `timeoutMs` of the clock (`timeout`),
 * or when its owner aborts it (`aborted`). 404 and 410 come back as such: they are good answers.
 */
export async function probeOnce(
  target: ProbeTarget,
  question: ProbeQuestion,
  run: { readonly clock: Clock; readonly timeoutMs: number; readonly controller: AbortController },
): Promise<Observation> {
  const { clock, timeoutMs, controller } = run;
  const startedAtMs = clock.monotonic();
  const timer = clock.setTimeout(() => {
    const text = `no whole answer within ${Math.round(timeoutMs / 100) / 10} s`;
    controller.abort(new UpstreamError(target.name, 'timeout', text));
  }, timeoutMs);
  try {
    const answer = await target.upstream.fetch({
      target: question.path,
      answerClass: 'meta',
      signal: controller.signal,
      priority: 'low',
    });
    const body = await readBody(answer, maxProbeBytes);
    const fault = faultOf(body, answer.contentType, question.sha256);
    if (fault !== undefined) throw new UpstreamError(target.name, 'refused', fault);
    return { kind: 'probe', code: 'ok', tookMs: answer.firstByteMs };
  } catch (error) {
    return failureOf(error, question, clock.monotonic() - startedAtMs);
  } finally {
    timer.cancel();
  }
}

/** Why the body is not the file that was asked for. Captive portals answer 200 to everything. */
function faultOf(body: Buffer, contentType: string, sha256: string): string | undefined {
  if (looksLikeHtml(contentType, body)) return 'answered the probe with an HTML page: a captive portal?';
  if (sha256 === '' || createHash('sha256').update(body).digest('hex') === sha256) return undefined;
  return "the probe's file was altered: a captive portal or rewriting mirror?";
}

function failureOf(error: unknown, question: ProbeQuestion, tookMs: number): Observation {
  if (!(error instanceof UpstreamError)) {
    return { kind: 'probe', code: 'protocol', tookMs, message: messageOf(error) };
  }
  const { code, status, retryAfterMs, isSourcesFault } = error;
  const text = messageOf(error);
  return {
    kind: 'probe',
    code,
    tookMs,
    message: question.isReadiness && status === 503 ? `not ready: ${text}` : text,
    isSourcesFault,
    ...(status === undefined ? {} : { status }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}
