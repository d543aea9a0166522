import { describe, expect, it } from 'vitest';
import { parseWrk } from './wrk.ts';

const good = {
  requests: 1000,
  bytes: 5000,
  durationUs: 2_000_000,
  p99Us: 1500,
  badStatus: 0,
  socketErrors: 0,
};
const output = (facts: object): string => `Running 5s test\n  1 threads\n\nBENCH ${JSON.stringify(facts)}\n`;

describe('parseWrk', () => {
  it('turns sums into rates', () => {
    expect(parseWrk(output(good))).toEqual({
      requests: 1000,
      requestsPerS: 500,
      bytesPerS: 2500,
      p99Ms: 1.5,
    });
  });

  it.each([{ badStatus: 1 }, { socketErrors: 1 }, { requests: 0 }])('refuses a run with %o', (fault) => {
    expect(() => parseWrk(output({ ...good, ...fault }))).toThrow(/look at the server/);
  });

  it('refuses output without a result', () => {
    expect(() => parseWrk('unable to connect')).toThrow(/no result/);
  });
});
