import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatFork, parseFork } from './fork.ts';
import { beginningOf, formatHeadState, parseHeadState } from './head-state.ts';
import { parseVerifierKey } from './log/note.ts';
import { askerOf, makeWorld, startLog } from './test-database.ts';

async function kept() {
  const { log, open, store } = await makeWorld({ pad: 700 });
  await open().database.head(askerOf(), 0);
  const bytes = store.states.get('head') ?? Buffer.alloc(0);
  return { bytes, verifier: parseVerifierKey(log.verifierKey) };
}

describe('the state of a head', () => {
  it('reads what it has written', async () => {
    const { bytes, verifier } = await kept();
    const state = parseHeadState(bytes, verifier);
    if (state === undefined) throw new Error('not read');
    expect(state).toMatchObject({ head: { size: 700 }, beginning: beginningOf(state, state.confirmedAtMs) });
    expect([...(state.edges?.keys() ?? [])].sort()).toEqual(['tile/8/0/002.p/188', 'tile/8/1/000.p/2']);
    expect(formatHeadState(state, undefined)).toEqual(bytes);
  });

  it('never throws, and never takes a head that is not signed, whatever byte is changed', async () => {
    const { bytes, verifier } = await kept();
    const head = parseHeadState(bytes, verifier)?.head;
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }), (at, value) => {
        const changed = Buffer.from(bytes);
        changed[at] = value;
        const state = parseHeadState(changed, verifier);
        if (state !== undefined) expect(state.head).toEqual(head);
      }),
      { numRuns: 2000 },
    );
  });

  it('is undefined for what is no state', async () => {
    const log = await startLog();
    const verifier = parseVerifierKey(log.verifierKey);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          expect(parseHeadState(Buffer.from(bytes), verifier)).toBeUndefined();
        },
      ),
    );
  });
});

describe('the evidence of a fork', () => {
  it('reads what it has written, and something from anything', () => {
    const evidence = {
      database: 'sum.test',
      atMs: 5,
      source: 'up',
      known: 'a\n',
      other: 'b\n',
      proof: ['AA=='],
      computedHash: 'AA==',
    };
    expect(parseFork('sum.test', formatFork(evidence))).toEqual(evidence);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          const read = parseFork('sum.test', Buffer.from(bytes));
          expect(typeof read.source).toBe('string');
          expect(read.proof.every((hash) => typeof hash === 'string')).toBe(true);
        },
      ),
    );
  });
});
