/**
 * QuickJS with a hard upper bound of its memory. The library's own limit does not count large blocks (a script got
 * 2.7 GB past a limit of 16 MiB), so the bound is written into the module: WebAssembly cannot grow beyond it.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const pageBytes = 64 * 1024;
const memorySection = 5;
/** Magic number and version. */
const headerBytes = 8;

/** The module of the pinned package. Reads it synchronously: for a thread of one's own. */
export function boundedQuickJs(maxMemoryBytes: number): Uint8Array<ArrayBuffer> {
  const packageFile = createRequire(import.meta.url).resolve('quickjs-wasi/package.json');
  const wasm = readFileSync(join(dirname(packageFile), 'quickjs.wasm'));
  return withMaxMemory(wasm, Math.floor(maxMemoryBytes / pageBytes));
}

/** The module with a maximum of pages for its one memory. Throws when it has another shape. */
export function withMaxMemory(wasm: Uint8Array, maxPages: number): Uint8Array<ArrayBuffer> {
  let at = headerBytes;
  while (at < wasm.length) {
    const start = at;
    const section = wasm[at];
    const size = readNumber(wasm, at + 1);
    const end = size.next + size.value;
    if (section !== memorySection) {
      at = end;
      continue;
    }
    const count = readNumber(wasm, size.next);
    const minPages = readNumber(wasm, count.next + 1);
    if (count.value !== 1 || wasm[count.next] !== 0 || minPages.next !== end || minPages.value > maxPages) {
      throw new Error('the memory of this QuickJS module cannot be bounded; install the pinned version');
    }
    const body = [1, 1, ...numberBytes(minPages.value), ...numberBytes(maxPages)];
    const bounded = [memorySection, ...numberBytes(body.length), ...body];
    return new Uint8Array(Buffer.concat([wasm.subarray(0, start), Buffer.from(bounded), wasm.subarray(end)]));
  }
  throw new Error('this QuickJS module has no memory; install the pinned version');
}

/** Unsigned LEB128. */
function readNumber(bytes: Uint8Array, start: number): { readonly value: number; readonly next: number } {
  let value = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = bytes[start + index] ?? 0;
    value += (byte & 127) * 2 ** (7 * index);
    if (byte < 128) return { value, next: start + index + 1 };
  }
  throw new Error('this QuickJS module is damaged; install the pinned version');
}

function numberBytes(value: number): number[] {
  const low = value & 127;
  return value < 128 ? [low] : [low | 128, ...numberBytes(value >> 7)];
}
