/** Messages between the stream checks and their thread. Orders of one stream are carried out one after another. */
import type { VerifyFacts } from './verify-protocol.ts';
import type { ZipTarget } from './zip-types.ts';

export type StreamOrder =
  | { readonly kind: 'open'; readonly id: number; readonly target: ZipTarget }
  /** The next `length` bytes; the block is handed over and comes back when they are used up. */
  | { readonly kind: 'bytes'; readonly id: number; readonly block: ArrayBuffer; readonly length: number }
  /** The next bytes are those of the file from `fromByte` up to, without, `toByte`. */
  | {
      readonly kind: 'read';
      readonly id: number;
      readonly file: string;
      readonly fromByte: number;
      readonly toByte: number;
    }
  /** That was all of it. */
  | { readonly kind: 'end'; readonly id: number }
  /** It is not wanted any more. Carried out at once. */
  | { readonly kind: 'close'; readonly id: number };

export type StreamNotice =
  | { readonly kind: 'taken'; readonly id: number; readonly block: ArrayBuffer }
  | { readonly kind: 'read'; readonly id: number }
  /** The last one of a stream; all its blocks are free. Undefined: not proven, whatever the cause. */
  | { readonly kind: 'done'; readonly id: number; readonly facts: VerifyFacts | undefined };
