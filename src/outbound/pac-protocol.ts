/** What goes between a PAC sandbox and its thread. */

export interface PacThreadData {
  readonly script: string;
  /** What `myIpAddress` says. */
  readonly ownAddress: string;
  readonly memoryBytes: number;
}

export interface PacQuestion {
  readonly url: string;
  readonly host: string;
}

export type PacReply =
  | { readonly kind: 'libraries' } // loaded; the script comes next
  | { readonly kind: 'ready' }
  | { readonly kind: 'answer'; readonly answer: string }
  | { readonly kind: 'failed'; readonly message: string };
