/**
 * Holds the running configuration and replaces it: on SIGHUP, through the admin socket, or when the file
 * changes. A reload loads the next snapshot, lets the one subscriber apply it, and only then makes it the
 * current one; whatever fails on the way leaves the old one running.
 */
import { ConfigError, type ConfigFault } from './fault.ts';
import type { LoadedConfig } from './load.ts';

/** A loaded configuration with its number: 1 at start, one more with each applied reload. */
export interface Revision {
  readonly revision: number;
  readonly loaded: LoadedConfig;
}

export type ReloadOutcome =
  | { readonly outcome: 'applied'; readonly revision: number }
  /** The next configuration has faults; the old one goes on. */
  | { readonly outcome: 'refused'; readonly revision: number; readonly faults: readonly ConfigFault[] }
  /** Loading or applying failed for another reason; the old one goes on. */
  | { readonly outcome: 'failed'; readonly revision: number; readonly error: unknown };

export interface ConfigWatcherOptions {
  readonly initial: LoadedConfig;
  readonly load: () => Promise<LoadedConfig>;
  /** Told every outcome, for the log. */
  readonly report: (outcome: ReloadOutcome) => void;
}

/** Applies a snapshot. A rejection means it was not applied and the previous one is still in force. */
export type ConfigSubscriber = (next: Revision, previous: Revision) => void | Promise<void>;

export class ConfigWatcher {
  readonly #options: ConfigWatcherOptions;
  #current: Revision;
  #subscriber: ConfigSubscriber | undefined;
  #running: Promise<ReloadOutcome> | undefined;
  #queued: Promise<ReloadOutcome> | undefined;

  constructor(options: ConfigWatcherOptions) {
    this.#options = options;
    this.#current = { revision: 1, loaded: options.initial };
  }

  get current(): Revision {
    return this.#current;
  }

  /** Sets the one subscriber; returns the unsubscribe. */
  subscribe(subscriber: ConfigSubscriber): () => void {
    this.#subscriber = subscriber;
    return () => {
      if (this.#subscriber === subscriber) this.#subscriber = undefined;
    };
  }

  /**
   * Reloads; never rejects. Reloads do not overlap: one that is asked for while another runs starts after it,
   * and all who ask in the meantime share that one, since it will read what they want read.
   */
  reload(): Promise<ReloadOutcome> {
    if (this.#running === undefined) return this.#start();
    this.#queued ??= this.#running.then(() => {
      this.#queued = undefined;
      return this.#start();
    });
    return this.#queued;
  }

  #start(): Promise<ReloadOutcome> {
    const running = this.#reloadOnce().then((outcome) => {
      this.#running = undefined;
      this.#options.report(outcome);
      return outcome;
    });
    this.#running = running;
    return running;
  }

  async #reloadOnce(): Promise<ReloadOutcome> {
    const previous = this.#current;
    try {
      const next: Revision = { revision: previous.revision + 1, loaded: await this.#options.load() };
      await this.#subscriber?.(next, previous);
      this.#current = next;
      return { outcome: 'applied', revision: next.revision };
    } catch (error) {
      const { revision } = previous;
      if (error instanceof ConfigError) return { outcome: 'refused', revision, faults: error.faults };
      return { outcome: 'failed', revision, error };
    }
  }
}
