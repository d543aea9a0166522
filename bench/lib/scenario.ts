/** What the runner and the scenarios agree on. */

import type { Figure } from './figure.ts';
import type { FilledStore } from './fixtures.ts';

export interface Bench {
  /** How often each contender is measured. */
  readonly rounds: number;
  /** Length of one wrk load. */
  readonly seconds: number;
  /** The store that the product filled from the corpus; made when it is first asked for, shared, to be left as it is. */
  readonly store: () => Promise<FilledStore>;
  /** Tells the person who watches; one line. */
  readonly note: (text: string) => void;
}

export interface Scenario {
  /** As given on the command line. */
  readonly name: string;
  /** One sentence for `--list` and the README. */
  readonly about: string;
  /** Starts what it needs and leaves nothing running. Rejects when something could not be measured. */
  readonly run: (bench: Bench) => Promise<Figure[]>;
}
