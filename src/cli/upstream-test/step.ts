/** One step of `modferry upstreams test`: what was tried, how it went, how long it took, and what would help. */

/** In the order in which they come. */
export const stepNames = [
  'route',
  'location',
  'dns',
  'tcp',
  'proxy',
  'tls',
  'ssh',
  'credentials',
  'authentication',
  'authorisation',
  'repository',
  'module',
  'tag',
] as const;
export type StepName = (typeof stepNames)[number];

export interface Step {
  /** What is tested: an upstream, `direct`, a host; `modferry` for its own rules. */
  readonly subject: string;
  readonly name: StepName;
  /** `note`: nothing failed, but it is worth knowing. */
  readonly outcome: 'ok' | 'failed' | 'note';
  readonly tookMs: number;
  /** Without secrets. */
  readonly text: string;
  /** What to do; undefined where nothing failed, or the text says it. */
  readonly remedy: string | undefined;
}

/** Takes the steps of one subject as they are made, with their times. */
export class StepWriter {
  readonly #subject: string;
  readonly #now: () => number;
  readonly #onStep: (step: Step) => void;
  #startedMs: number;

  /** `now`: monotonic milliseconds. */
  constructor(subject: string, now: () => number, onStep: (step: Step) => void) {
    this.#subject = subject;
    this.#now = now;
    this.#onStep = onStep;
    this.#startedMs = now();
  }

  ok(name: StepName, text: string): void {
    this.#write(name, 'ok', text, undefined);
  }

  note(name: StepName, text: string, remedy?: string): void {
    this.#write(name, 'note', text, remedy);
  }

  failed(name: StepName, text: string, remedy?: string): void {
    this.#write(name, 'failed', text, remedy);
  }

  #write(name: StepName, outcome: Step['outcome'], text: string, remedy: string | undefined): void {
    const nowMs = this.#now();
    this.#onStep({ subject: this.#subject, name, outcome, tookMs: nowMs - this.#startedMs, text, remedy });
    this.#startedMs = nowMs;
  }
}
