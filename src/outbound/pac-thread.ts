/**
 * The body of the thread that runs a PAC script: compiles it once in a QuickJS machine that has no network, no files
 * and no timers, then answers one question at a time. It sets no time limits: whoever waits ends the thread.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { createPacResolver, type FindProxyForURL } from 'pac-resolver';
import { QuickJS } from 'quickjs-wasi';
import { messageOf } from '../lib/errors.ts';
import { pacHelpers } from './pac-helpers.ts';
import type { PacQuestion, PacReply, PacThreadData } from './pac-protocol.ts';
import { boundedQuickJs } from './quickjs-module.ts';

const maxAnswerChars = 4096;

const { script, ownAddress, memoryBytes } = workerData as PacThreadData;

async function load(): Promise<FindProxyForURL> {
  const machine = await QuickJS.create({ wasm: boundedQuickJs(memoryBytes) });
  say({ kind: 'libraries' });
  return createPacResolver(machine, script, { sandbox: { ...pacHelpers(ownAddress) } });
}

async function answer(find: FindProxyForURL, { url, host }: PacQuestion): Promise<PacReply> {
  const found: unknown = await find(url, host);
  if (found === null || found === undefined) return { kind: 'answer', answer: '' };
  if (typeof found !== 'string') {
    return { kind: 'failed', message: `FindProxyForURL gave a ${typeof found} instead of text` };
  }
  if (found.length > maxAnswerChars)
    return { kind: 'failed', message: 'FindProxyForURL gave too long a text' };
  return { kind: 'answer', answer: found };
}

function say(reply: PacReply): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(reply);
}

function failed(error: unknown): PacReply {
  return { kind: 'failed', message: messageOf(error, 200) };
}

load().then(
  (find) => {
    parentPort?.on('message', (question: PacQuestion) => {
      void answer(find, question).catch(failed).then(say);
    });
    say({ kind: 'ready' });
  },
  (error: unknown) => say(failed(error)),
);
