/** Messages between the scrub's hasher and its thread. One file at a time; the asker grants each step. */

/** What the thread is started with. */
export interface HasherFacts {
  /** True: it keeps the process's own priority. */
  readonly isForeground: boolean;
}

export type HashOrder =
  /** Opens a file; the first step follows at once. */
  | { readonly kind: 'open'; readonly file: string; readonly stepBytes: number }
  /** The next step. */
  | { readonly kind: 'step'; readonly stepBytes: number }
  /** Closes the file that is open, if one is. Not answered. */
  | { readonly kind: 'drop' };

export type HashAnswer =
  /** Bytes hashed so far; more follow when the next step is granted. */
  | { readonly kind: 'more'; readonly sizeBytes: number }
  /** Lower-case hex. */
  | { readonly kind: 'done'; readonly sizeBytes: number; readonly sha256: string }
  /** The system's error as data: structured clone drops its code. */
  | { readonly kind: 'failed'; readonly code: string | undefined; readonly message: string };
