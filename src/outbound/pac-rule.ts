/**
 * The proxy rules of PAC scripts: one evaluator a script, shared by all upstreams that name it, with its answers
 * kept for a minute. A script sees scheme, host and port only, never paths.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../lib/clock.ts';
import { bareHost } from './network-address.ts';
import { parsePacAnswer } from './pac-answer.ts';
import { PacSandbox } from './pac-sandbox.ts';
import { type PacSource, type PacSourceOptions, pacSource } from './pac-source.ts';
import type { ProxyChoice, ProxyRule } from './proxy-rule.ts';

const keptMs = 60_000;
/** A failure may be the machine's: it is not kept as long. */
const keptFailureMs = 10_000;
const maxAnswers = 1000;

/** Why a script has no answer is told by PacError: the rules below reject with it. */
export class PacScripts {
  readonly #options: PacSourceOptions;
  readonly #byLocation = new Map<string, PacScript>();

  constructor(options: PacSourceOptions) {
    this.#options = options;
  }

  /** By the script at `location`: a path, or a `file:` or http(s) URL. Reads nothing before it is first asked. */
  rule(location: string): ProxyRule {
    let script = this.#byLocation.get(location);
    if (script === undefined) {
      script = new PacScript(pacSource(location, this.#options), this.#options.clock);
      this.#byLocation.set(location, script);
    }
    const { choose } = script;
    return choose;
  }

  /**
   * Ends all threads after the questions under way, because hardly anything will be asked any more: each later
   * question has a thread for itself. Never rejects.
   */
  async retire(): Promise<void> {
    await Promise.all([...this.#byLocation.values()].map((script) => script.retire()));
  }

  /** Ends all threads. Never rejects. */
  async close(): Promise<void> {
    await Promise.all([...this.#byLocation.values()].map((script) => script.close()));
  }
}

interface Kept {
  readonly untilMs: number;
  readonly choice: ProxyChoice | undefined;
  /** Rejected where there is no choice; pending while it is worked out. */
  readonly work: Promise<ProxyChoice>;
}

class PacScript {
  readonly #source: PacSource;
  readonly #clock: Clock;
  readonly #answers = new LRUCache<string, Kept>({ max: maxAnswers });
  #sandbox: PacSandbox | undefined;
  #version = 0;
  /** A thread must not outlast the question it was started for. */
  #isRetired = false;

  constructor(source: PacSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  readonly choose: ProxyRule = (target) => {
    const key = target.origin;
    const kept = this.#answers.get(key);
    if (kept !== undefined && kept.untilMs > this.#clock.monotonic()) return kept.choice ?? kept.work;
    const work = this.#evaluate(target);
    // Until it is settled: everybody who asks meanwhile waits for the same answer.
    this.#answers.set(key, { untilMs: Number.POSITIVE_INFINITY, choice: undefined, work });
    work.then(
      (choice) => this.#keep(key, keptMs, choice, work),
      () => this.#keep(key, keptFailureMs, undefined, work),
    );
    return work;
  };

  async retire(): Promise<void> {
    this.#isRetired = true;
    await this.#sandbox?.rest();
  }

  async close(): Promise<void> {
    await this.#sandbox?.close();
  }

  #keep(key: string, forMs: number, choice: ProxyChoice | undefined, work: Promise<ProxyChoice>): void {
    // A script that changed meanwhile has made way for other answers.
    if (this.#answers.peek(key)?.work !== work) return;
    this.#answers.set(key, { untilMs: this.#clock.monotonic() + forMs, choice, work });
  }

  async #evaluate(target: URL): Promise<ProxyChoice> {
    const { script, version } = await this.#source.text();
    const { shown } = this.#source;
    if (this.#sandbox === undefined || version !== this.#version) {
      void this.#sandbox?.close();
      if (this.#sandbox !== undefined) this.#dropSettled();
      this.#sandbox = new PacSandbox({ script, shown, clock: this.#clock });
      this.#version = version;
    }
    const asking = this.#sandbox.ask({ url: `${target.origin}/`, host: bareHost(target.hostname) });
    if (this.#isRetired) void this.#sandbox.rest();
    const answer = await asking;
    return parsePacAnswer(answer, shown);
  }

  #dropSettled(): void {
    for (const [key, { untilMs }] of this.#answers.entries()) {
      if (untilMs !== Number.POSITIVE_INFINITY) this.#answers.delete(key);
    }
  }
}
