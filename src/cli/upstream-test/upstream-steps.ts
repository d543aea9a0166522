/** The steps of one GOPROXY server: its connection, then one question as a client would ask it. */
import { messageOf } from '../../lib/errors.ts';
import { readBody } from '../../upstream/read-body.ts';
import { type Upstream, UpstreamError } from '../../upstream/types.ts';
import { type ConnectionWay, testConnection } from './connection.ts';
import type { StepName, StepWriter } from './step.ts';

export interface TestedUpstream {
  readonly upstream: Upstream;
  /** Without credentials. */
  readonly url: string;
  /** In words: `user "ci" and a password`; undefined: none. */
  readonly credentials: string | undefined;
  readonly way: ConnectionWay;
}

/** What is asked of it. */
export interface UpstreamQuestion {
  /** Escaped, from the slash on: `/example.com/lib/@v/list`. */
  readonly target: string;
  /** The module or version, for texts. */
  readonly what: string;
  /** False: whether it has it or not says nothing (a probe). */
  readonly isWanted: boolean;
}

const maxAnswerBytes = 4 * 1024 * 1024;

const stepOfCode: Readonly<Partial<Record<UpstreamError['code'], StepName>>> = {
  dns: 'dns',
  connect: 'tcp',
  tls: 'tls',
  proxy: 'proxy',
  proxy_auth: 'proxy',
};

/** Tells each step. Rejects with the signal's reason alone. */
export async function testUpstream(
  { upstream, url, credentials, way }: TestedUpstream,
  question: UpstreamQuestion,
  steps: StepWriter,
  signal: AbortSignal,
): Promise<void> {
  if (!(await testConnection(new URL(url), way, steps, signal))) return;
  const shown = credentials ?? 'none';
  try {
    const answer = await upstream.fetch({ target: question.target, answerClass: 'meta', signal });
    const body = (await readBody(answer, maxAnswerBytes)).toString('utf8');
    accepted(steps, credentials);
    steps.ok('authorisation', 'this may be read');
    const lines = body.split('\n').filter((line) => line.trim() !== '').length;
    const what = question.target.endsWith('/list')
      ? `${lines} version(s) of ${question.what}`
      : question.what;
    steps.ok('module', `it has ${what}`);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof UpstreamError)) {
      steps.failed('module', messageOf(error));
      return;
    }
    refused(error, question, steps, credentials, shown);
  }
}

function accepted(steps: StepWriter, credentials: string | undefined): void {
  if (credentials === undefined) steps.ok('authentication', 'none is asked for');
  else steps.ok('authentication', `${credentials}: not refused`);
}

function refused(
  error: UpstreamError,
  question: UpstreamQuestion,
  steps: StepWriter,
  credentials: string | undefined,
  shown: string,
): void {
  const text = messageOf(error);
  if (error.status === 401) {
    const remedy =
      credentials === undefined
        ? 'set token, or username and password, at this upstream, or write the host into .netrc'
        : 'renew the token or password; it may be expired or for another server';
    steps.failed('authentication', `${text}; credentials: ${shown}`, remedy);
  } else if (error.status === 403) {
    accepted(steps, credentials);
    steps.failed('authorisation', text, `let these credentials read ${question.what} there`);
  } else if (error.isAbsence) {
    accepted(steps, credentials);
    steps.ok('authorisation', 'it answers');
    if (!question.isWanted) steps.ok('module', `it answers for ${question.what}: ${text}`);
    else {
      const remedy = 'check path and version; servers also say this to those who may not see it';
      steps.failed('module', `it has no ${question.what} (${text})`, remedy);
    }
  } else {
    steps.failed(stepOfCode[error.code] ?? 'module', text, 'run modferry status to see how it has been');
  }
}
