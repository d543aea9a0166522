import { describe, expect, it } from 'vitest';
import { PacError, parsePacAnswer } from './pac-answer.ts';

function shown(answer: string): string[] {
  return parsePacAnswer(answer, '/x.pac').map((hop) => (hop === 'direct' ? hop : hop.shown));
}

describe('parsePacAnswer', () => {
  it.each([
    ['DIRECT', ['direct']],
    ['', ['direct']],
    [' ; ', ['direct']],
    ['PROXY a:1; SOCKS5 b:2; HTTPS c:3; DIRECT', ['http://a:1', 'socks5://b:2', 'https://c:3', 'direct']],
    ['proxy a:1;socks b:2;http c:3', ['http://a:1', 'socks5://b:2', 'http://c:3']],
    ['PROXY [::1]:8', ['http://[::1]:8']],
    ['PROXY a:1; PROXY a:1; DIRECT; DIRECT', ['http://a:1', 'direct']],
    ['SOCKS4 a:1; QUIC b:2; DIRECT', ['direct']],
  ])('%j', (answer, expected) => {
    expect(shown(answer)).toEqual(expected);
  });

  it.each(['SOCKS4 a:1', 'nonsense', 'PROXY', 'PROXY a:99999', 'PROXY a:1 b:2'])(
    'refuses %j, naming the script',
    (answer) => {
      expect(() => shown(answer)).toThrow(PacError);
      expect(() => shown(answer)).toThrow('/x.pac');
    },
  );

  it('takes a bounded number of entries', () => {
    const answer = Array.from({ length: 5000 }, (_, index) => `PROXY p${index}:1`).join(';');
    expect(shown(answer)).toHaveLength(16);
  });
});
