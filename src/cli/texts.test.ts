import { describe, expect, it } from 'vitest';
import { ConfigError } from '../config/fault.ts';
import { StoreError } from '../store/store-error.ts';
import { CliError } from './cli-error.ts';
import { describeError, exitCodeFor, exitCodeOfRun } from './texts.ts';

describe('exit codes', () => {
  it.each([
    ['an unavailable server', new CliError('unavailable', 'x'), 69],
    ['something absent', new CliError('absent', 'x'), 1],
    ['wrong usage', new CliError('usage', 'x'), 2],
    ['a bad configuration', new ConfigError([]), 78],
    ['a store that cannot be read', new StoreError('io', 'x'), 1],
    ['an error nobody expected', new TypeError('x'), 70],
  ])('tell %s apart', (_, error, code) => {
    expect(exitCodeFor(error)).toBe(code);
  });

  it('replace those of the argument library', () => {
    expect([undefined, 0, 1, -4, -5, -1, -2].map(exitCodeOfRun)).toEqual([0, 0, 1, 2, 2, 70, 70]);
  });
});

describe('what is said', () => {
  it('is our own sentence for an error of ours', () => {
    expect(describeError(new CliError('usage', 'write it so'))).toBe('modferry: write it so');
  });

  it('is one line without a stack for any other', () => {
    expect(describeError(new TypeError('a\n  at b'))).toBe(
      'modferry: unexpected error: a at b; this is a fault of modferry, please report it',
    );
  });
});
