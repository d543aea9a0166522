import { QuickJS } from 'quickjs-wasi';
import { describe, expect, it } from 'vitest';
import { boundedQuickJs, withMaxMemory } from './quickjs-module.ts';

const maxBytes = 32 * 1024 * 1024;

describe('boundedQuickJs', () => {
  it('evaluates', async () => {
    using machine = await QuickJS.create({ wasm: boundedQuickJs(maxBytes) });
    expect(machine.dump(machine.evalCode('6 * 7'))).toBe(42);
  });

  it.each([
    'var a = []; while (true) a.push(new Array(1e5).fill(a.length));',
    'var a = []; while (true) a.push(new Uint8Array(1e5));',
    'new Uint8Array(1e9)',
    '"x".repeat(1e9)',
  ])('does not give more memory to %s', async (script) => {
    const machine = await QuickJS.create({ wasm: boundedQuickJs(maxBytes) });
    let failure: unknown;
    try {
      machine.evalCode(script);
    } catch (error) {
      failure = error;
    }

    expect(failure).toBeInstanceOf(Error);
    expect(machine._getMemory().buffer.byteLength).toBeLessThanOrEqual(maxBytes);
  });
});

describe('withMaxMemory', () => {
  it('refuses a module of another shape', () => {
    const header = [0, 97, 115, 109, 1, 0, 0, 0];
    expect(() => withMaxMemory(new Uint8Array(header), 10)).toThrow('no memory');
    expect(() => withMaxMemory(new Uint8Array([...header, 5, 4, 1, 1, 2, 3]), 10)).toThrow(
      'cannot be bounded',
    );
    expect(() => withMaxMemory(new Uint8Array([...header, 5, 3, 1, 0, 20]), 10)).toThrow('cannot be bounded');
  });
});
