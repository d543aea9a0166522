/** One measured request on its way: its marks in time, and what ends it early. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import { ModferryError } from '../../lib/errors.ts';
import type { BenchFault, Measured } from './bench-types.ts';
import { MeasureError } from './measure-fault.ts';
import { type MeasuredRequestArgs, StepTimes } from './measured-agent.ts';

/** A kept connection was closed before its answer began. */
export class StaleConnection extends ModferryError<'stale'> {}

/** One request with its redirects. */
export class Exchange {
  readonly steps = new StepTimes();
  redirects = 0;
  isProxied = false;
  hasHead = false;
  sizeBytes = 0;
  /** Why it was ended from outside. */
  endedBy: Error | undefined;
  readonly #ended = new AbortController();
  readonly #clock: Clock;
  readonly #startedMs: number;
  #redirectMs: number | null = null;
  #firstByteMs: number | null = null;
  #status: number | null = null;
  #remoteAddress: string | null = null;
  #destroyRequest: (reason: Error) => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = clock.monotonic();
  }

  end(reason: Error): void {
    this.endedBy ??= reason;
    this.#ended.abort(reason);
    this.#destroyRequest(reason);
    this.steps.destroy();
  }

  endLate(timeoutMs: number): void {
    this.end(new MeasureError('timeout', `no ${this.steps.waitsFor} within ${timeoutMs / 1000} s`));
  }

  /** Aborts when it is ended from outside. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  redirected(): void {
    this.redirects += 1;
    this.hasHead = false;
    this.#firstByteMs = null;
    this.steps.waitsFor = 'first byte';
    this.#redirectMs = this.#elapsedMs();
  }

  /** Resolves at the head of the answer. */
  send(args: MeasuredRequestArgs): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = httpRequest(args);
      this.#destroyRequest = (reason) => request.destroy(reason);
      request.once('socket', (socket) => {
        this.steps.track(socket);
        const { remoteAddress, remotePort } = socket;
        this.#remoteAddress = remoteAddress === undefined ? null : `${remoteAddress}:${remotePort ?? 0}`;
      });
      // Stays for good: an error that comes after the answer is told by the body.
      request.on('error', (error) => {
        const isStale = request.reusedSocket && this.endedBy === undefined && !this.hasHead;
        reject(isStale ? new StaleConnection('stale', 'closed', { cause: error }) : error);
      });
      request.once('close', () => reject(new MeasureError('reset', 'the connection was closed')));
      request.once('response', (response) => {
        this.hasHead = true;
        this.#firstByteMs = this.#elapsedMs();
        this.#status = response.statusCode ?? 0;
        this.steps.waitsFor = 'rest of the body';
        resolve(response);
      });
      request.end();
    });
  }

  measured(fault: BenchFault | null): Measured {
    const { dnsMs, connectMs, proxyMs, tlsMs, connections } = this.steps;
    return {
      dnsMs,
      connectMs,
      proxyMs,
      tlsMs,
      redirectMs: this.#redirectMs,
      firstByteMs: this.#firstByteMs,
      totalMs: this.#elapsedMs(),
      status: this.#status,
      isReused: connections === 0 && this.#status !== null,
      isProxied: this.isProxied,
      redirects: this.redirects,
      remoteAddress: this.#remoteAddress,
      sizeBytes: this.sizeBytes,
      fault,
    };
  }

  #elapsedMs(): number {
    return this.#clock.monotonic() - this.#startedMs;
  }
}
