/** Judges for tests that are about something else, and ones that know what a test tells them. */
import type { Expectation, HashedKey, Judge } from './types.ts';

/** As with checksums switched off. */
export const judgeOff: Judge = {
  expect: async () => ({ kind: 'unproven', why: 'off', reason: 'off in this test' }),
};

/** What the content must be. */
export function known(h1: string, atMs = 0): Expectation {
  return {
    kind: 'known',
    h1,
    by: 'sum.test #7',
    proof: { by: 'sumdb', database: 'sum.test', recordId: 7, treeSize: 9, atMs },
  };
}

/** Answers by `path@version.ext`; an error rejects. What is asked is kept in `asked`. */
export function playedJudge(
  says: (name: string) => Expectation | Promise<Expectation>,
): Judge & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    async expect({ path, version, ext }: HashedKey) {
      const name = `${path}@${version}.${ext}`;
      asked.push(name);
      return says(name);
    },
  };
}
