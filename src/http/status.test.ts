import { describe, expect, it } from 'vitest';
import { InvalidRequestError } from '../gomod/invalid-request.ts';
import { type FailureKind, SourcesFailure } from '../ingest/types.ts';
import { StoreError } from '../store/store-error.ts';
import type { SourceOutcome } from '../upstream/types.ts';
import { answerFor } from './status.ts';

function outcome(source: string, code: SourceOutcome['code'], message: string): SourceOutcome {
  return { source, code, message, tookMs: 12 };
}

describe('answerFor', () => {
  it.each([
    ['absent', 404],
    ['gone', 410],
    ['failed', 502],
    ['timeout', 504],
    ['unavailable', 503],
    ['loop', 508],
    ['disk_full', 503],
    ['overload', 503],
    ['not_fetched', 404],
    ['forbidden', 403],
  ] as [FailureKind, number][])('maps %s to %i', (kind, status) => {
    expect(answerFor(new SourcesFailure(kind, 'x'), 30).status).toBe(status);
  });

  it('never turns an error nobody expected into knowledge', () => {
    const answer = answerFor(new TypeError('secret detail'), 30);

    expect(answer.status).toBe(500);
    expect(answer.unexpected).toBe(true);
    expect(answer.text).not.toContain('secret detail');
  });

  it('has one line for each source, with its name, what happened and how long it took', () => {
    const failure = new SourcesFailure('failed', 'a.com/b@v1.0.0.zip: no source could answer', [
      outcome('one', 'timeout', 'no answer within 5 s'),
      outcome('two', 'absent', 'not found'),
    ]);

    expect(answerFor(failure, 30).text.split('\n')).toEqual([
      'a.com/b@v1.0.0.zip: no source could answer',
      'one: no answer within 5 s (12 ms)',
      'two: not found (12 ms)',
      '',
    ]);
  });

  it('keeps within what the go command shows: 8 lines, 650 bytes, printable, no empty line', () => {
    const many = Array.from({ length: 40 }, (_, index) =>
      outcome(`mirror-${index}`, 'reset', 'x\n\n\u001b[31my'.repeat(50)),
    );
    const { text } = answerFor(new SourcesFailure('failed', 'all failed', many), 30);

    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(650);
    expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(8);
    expect(text).not.toMatch(/\n\n/);
    expect(text).not.toContain('\u001b');
  });

  it('shortens what happened only where there is no room for all of it', () => {
    const cause = `the page of a module ${'with a long name '.repeat(8)}has no repository`;
    const two = [outcome('direct', 'refused', cause), outcome('published', 'absent', 'not published here')];
    const { text } = answerFor(new SourcesFailure('failed', 'x: no source could answer', two), 30);
    expect(text.split('\n')[1]).toBe(`direct: ${cause} (12 ms)`);

    const many = Array.from({ length: 5 }, (_, index) => outcome(`mirror-${index}`, 'refused', cause));
    const crowded = answerFor(new SourcesFailure('failed', 'x: no source could answer', many), 30).text;
    expect(crowded.split('\n').slice(1, 5)).toEqual(
      many.slice(0, 4).map(({ source }) => expect.stringMatching(new RegExp(`^${source}: .*… \\(12 ms\\)$`))),
    );
  });

  it('lets clients keep an agreed absence for its time, and nothing else', () => {
    const agreed = new SourcesFailure('absent', 'x', [outcome('one', 'absent', 'not found')]);
    const partial = new SourcesFailure('absent', 'x', agreed.outcomes, { partial: true });

    expect(answerFor(agreed, 30).headers['cache-control']).toBe('public, max-age=30');
    expect(answerFor(partial, 30).headers['cache-control']).toBe('no-store');
    expect(answerFor(new SourcesFailure('not_fetched', 'x'), 30).headers['cache-control']).toBe('no-store');
    expect(answerFor(new SourcesFailure('failed', 'x'), 30).headers['cache-control']).toBe('no-store');
  });

  it('says when to come back where that helps', () => {
    expect(answerFor(new SourcesFailure('overload', 'x'), 30).headers['retry-after']).toBe('2');
    expect(answerFor(new StoreError('disk_full', 'full'), 30).headers['retry-after']).toBe('10');
  });

  it.each([
    ['failed', 'sources'],
    ['timeout', 'sources'],
    ['unavailable', 'sources'],
    ['overload', 'overload'],
    ['internal', 'internal'],
    ['cancelled', 'draining'],
    ['disk_full', 'disk'],
    ['loop', undefined],
    ['absent', undefined],
    ['not_fetched', undefined],
  ] as [FailureKind, string | undefined][])('knows whose trouble %s is: %s', (kind, cause) => {
    expect(answerFor(new SourcesFailure(kind, 'x'), 30).cause).toBe(cause);
  });

  it('finds a fault of our own worth a log line, and no failure of sources', () => {
    expect(answerFor(new SourcesFailure('internal', 'x'), 30)).toMatchObject({
      status: 502,
      unexpected: true,
    });
    expect(answerFor(new SourcesFailure('failed', 'x'), 30).unexpected).toBe(false);
  });

  it('lays it on the time that the asker gave when a source was not asked for want of it', () => {
    const late = { ...outcome('one', 'timeout', 'not asked'), isTooLate: true };
    expect(answerFor(new SourcesFailure('timeout', 'x', [late]), 30).cause).toBe('deadline');
    expect(answerFor(new SourcesFailure('failed', 'x', [late]), 30).cause).toBe('sources');
  });

  it('takes a full disk and a rotten copy for our own trouble, and a fault of the program for no cause', () => {
    expect(answerFor(new StoreError('disk_full', 'full'), 30).cause).toBe('disk');
    expect(answerFor(new StoreError('rotten', 'rotten'), 30).cause).toBe('disk');
    expect(answerFor(new TypeError('x'), 30).cause).toBeUndefined();
  });

  it('answers a malformed request with 400 and its reason', () => {
    expect(answerFor(new InvalidRequestError('invalid_path', 'bad path'), 30)).toMatchObject({
      status: 400,
      text: 'bad path\n',
    });
  });
});
